//! `cancel_at` on a running subscription: set, moved, taken away, and what that costs.

use serde_json::json;

use crate::catalogue::has;
use crate::states::Story;
use crate::support::at;

/// Beyond the current period: the last period is shorter, and costs its part.
#[tokio::test(flavor = "multi_thread")]
async fn an_end_beyond_the_period_makes_a_short_last_one() {
    let story = Story::begin().await;
    let end = at("2027-02-15T00:00:00Z");
    let mark = story.house.mark().await;
    let set = story.update(&[("cancel_at", &end.to_string())]).await;
    has(&set, &json!({"cancel_at": end, "cancel_at_period_end": false, "status": "active"}));
    assert_eq!(set["items"]["data"][0]["current_period_end"], at("2027-02-01T00:00:00Z"));
    let told = story.house.told(mark).await;
    told.are("customer.subscription.updated");
    story.advance("2027-03-01T00:00:00Z").await;
    has(&story.read().await, &json!({"status": "canceled", "ended_at": end}));
    let invoices = story.invoices().await;
    assert_eq!(invoices.len(), 2);
    // 14 of February's 28 days.
    assert_eq!(invoices[1]["total"].as_i64().unwrap() * 2, invoices[0]["total"].as_i64().unwrap());
}

/// Taken away before it comes: everything goes on.
#[tokio::test(flavor = "multi_thread")]
async fn an_end_can_be_taken_away() {
    let story = Story::begin().await;
    story.update(&[("cancel_at", &at("2027-02-15T00:00:00Z").to_string())]).await;
    let undone = story.update(&[("cancel_at", "")]).await;
    has(&undone, &json!({"cancel_at": null, "canceled_at": null}));
    assert_eq!(undone["cancellation_details"]["reason"], json!(null));
    story.advance("2027-03-01T00:00:00Z").await;
    assert_eq!(story.status().await, "active");
    assert_eq!(story.invoices().await.len(), 3);
}

/// Inside the current period: it is shortened and what was paid beyond is credited; taken away again,
/// the time comes back for the same money.
#[tokio::test(flavor = "multi_thread")]
async fn an_end_inside_the_period_shortens_it() {
    let story = Story::begin().await;
    let end = at("2027-01-16T12:00:00Z");
    let paid = story.invoices().await[0]["total"].as_i64().unwrap();
    let mark = story.house.mark().await;
    let set = story.update(&[("cancel_at", &end.to_string())]).await;
    assert_eq!(set["items"]["data"][0]["current_period_end"], end);
    story.house.told(mark).await.are("invoiceitem.created customer.subscription.updated");
    let pending = format!("/v1/invoiceitems?customer={}&pending=true", story.customer);
    let credit = story.house.list(&pending).await.remove(0);
    has(
        &credit,
        &json!({"amount": -paid / 2, "proration": true, "period": {"start": end, "end": at("2027-02-01T00:00:00Z")}}),
    );

    let undone = story.update(&[("cancel_at", "")]).await;
    assert_eq!(undone["items"]["data"][0]["current_period_end"], at("2027-02-01T00:00:00Z"));
    let amounts: i64 = story.house.list(&pending).await.iter().map(|item| item["amount"].as_i64().unwrap()).sum();
    assert_eq!(amounts, 0, "credit and charge are each other's reverse");
    story.advance("2027-02-01T02:00:00Z").await;
    has(&story.invoices().await[1], &json!({"total": paid, "status": "paid"}));
}

/// Without prorations the time is simply lost; the end comes at its second.
#[tokio::test(flavor = "multi_thread")]
async fn an_end_inside_the_period_without_prorations() {
    let story = Story::begin().await;
    let end = at("2027-01-16T12:00:00Z");
    let mark = story.house.mark().await;
    story.update(&[("cancel_at", &end.to_string()), ("proration_behavior", "none")]).await;
    story.house.told(mark).await.are("customer.subscription.updated");
    story.advance("2027-02-01T02:00:00Z").await;
    has(&story.read().await, &json!({"status": "canceled", "ended_at": end}));
    assert_eq!(story.invoices().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_cannot_be_is_refused() {
    let story = Story::begin().await;
    let past = at("2026-12-31T00:00:00Z").to_string();
    let later = at("2027-06-01T00:00:00Z").to_string();
    for (form, param) in [
        (vec![("cancel_at", &*past)], "cancel_at"),
        (vec![("cancel_at", "soon")], "cancel_at"),
        (vec![("cancel_at", &*later), ("cancel_at_period_end", "true")], "cancel_at"),
    ] {
        let refused = story.house.post(&story.path(), &form).await;
        assert_eq!((refused.status, &refused.body["error"]["param"]), (400, &json!(param)), "{form:?}");
    }
    has(&story.read().await, &json!({"cancel_at": null}));
    // The words resolve to a time at once.
    let set = story.update(&[("cancel_at", "max_period_end")]).await;
    has(&set, &json!({"cancel_at": at("2027-02-01T00:00:00Z"), "cancel_at_period_end": false}));
}
