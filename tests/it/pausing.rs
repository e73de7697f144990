//! Pausing collection: the status stays, invoices are still made and made harmless.

use serde_json::{Value, json};

use crate::catalogue::has;
use crate::states::Story;
use crate::support::{at, id};

const VOID: &[(&str, &str)] = &[("pause_collection[behavior]", "void")];

/// The example of the rule, and 20.10: void from 5 November to 5 January, a month later.
#[tokio::test(flavor = "multi_thread")]
async fn void_until_a_day() {
    let story = Story::begin().await;
    story.advance("2027-01-05T00:00:00Z").await;
    let until = at("2027-03-05T00:00:00Z").to_string();
    let paused = story.update(&[VOID[0], ("pause_collection[resumes_at]", &until)]).await;
    let pause = json!({"behavior": "void", "resumes_at": at("2027-03-05T00:00:00Z")});
    has(&paused, &json!({"status": "active", "pause_collection": pause}));
    let mark = story.house.mark().await;
    story.advance("2027-02-15T00:00:00Z").await;
    let told = story.house.told(mark).await;
    told.are("invoice.created invoice.finalized invoice.voided customer.subscription.updated");
    has(told.object("invoice.created"), &json!({"auto_advance": false, "next_payment_attempt": null}));
    has(told.object("invoice.voided"), &json!({"amount_due": 2000, "amount_paid": 0, "starting_balance": 0}));
    story.advance("2027-03-04T23:59:59Z").await;
    let mark = story.house.mark().await;
    story.advance("2027-03-05T00:00:00Z").await;
    let told = story.house.told(mark).await;
    told.are("customer.subscription.updated");
    assert_eq!(told.previous("customer.subscription.updated"), &json!({"pause_collection": pause}));
    assert_eq!(told.one("customer.subscription.updated")["created"], at("2027-03-05T00:00:00Z"));
    assert_eq!(story.read().await["pause_collection"], json!(null));
    story.advance("2027-04-01T02:00:00Z").await;
    let invoices = story.invoices().await;
    let statuses: Vec<&Value> = invoices.iter().map(|invoice| &invoice["status"]).collect();
    assert_eq!(statuses, ["paid", "void", "void", "paid"]);
    // Voided numbers stay used, and the periods went on.
    let numbers: Vec<&str> = invoices.iter().map(|invoice| &invoice["number"].as_str().unwrap()[9..]).collect();
    assert_eq!(numbers, ["0001", "0002", "0003", "0004"]);
    assert_eq!(invoices[3]["lines"]["data"][0]["period"]["start"], at("2027-04-01T00:00:00Z"));
    // What was voided can never be collected.
    let error = story.house.post(&format!("/v1/invoices/{}/pay", id(&invoices[1])), &[]).await.error(400);
    assert!(error["message"].as_str().unwrap().contains("isn't open"), "{error}");
}

/// `void` leaves the customer's credit alone; `mark_uncollectible` uses it up first.
#[tokio::test(flavor = "multi_thread")]
async fn credit_is_left_alone_or_used_first() {
    for (behavior, credit, events, status, left) in [
        ("void", "-5000", "invoice.finalized invoice.voided", "void", -5000),
        (
            "mark_uncollectible",
            "-5000",
            "invoice.finalized invoice.updated invoice.paid invoice.payment_succeeded customer.updated",
            "paid",
            -3000,
        ),
        (
            "mark_uncollectible",
            "-500",
            "invoice.finalized customer.updated invoice.marked_uncollectible",
            "uncollectible",
            0,
        ),
        ("mark_uncollectible", "0", "invoice.finalized invoice.marked_uncollectible", "uncollectible", 0),
        ("keep_as_draft", "-5000", "", "draft", -5000),
    ] {
        let story = Story::begin().await;
        let customer = format!("/v1/customers/{}", story.customer);
        story.house.post(&customer, &[("balance", credit)]).await.ok();
        story.update(&[("pause_collection[behavior]", behavior)]).await;
        let mark = story.house.mark().await;
        story.advance("2027-02-10T00:00:00Z").await;
        let told = story.house.told(mark).await;
        told.are(&format!("invoice.created {events} customer.subscription.updated"));
        has(&story.invoices().await[1], &json!({"status": status, "auto_advance": false}));
        has(&story.house.get(&customer).await.ok(), &json!({"balance": left, "delinquent": false}));
        assert_eq!(story.status().await, "active");
        let intents = story.house.list(&format!("/v1/payment_intents?customer={}", story.customer)).await;
        assert_eq!(intents.len(), 1, "only that of the first invoice");
    }
}

/// What was given up while paused says why, and can be paid after all.
#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_given_up_while_paused_can_be_paid_after_all() {
    let story = Story::begin().await;
    story.update(&[("pause_collection[behavior]", "mark_uncollectible")]).await;
    story.advance("2027-02-10T00:00:00Z").await;
    let invoice = story.invoices().await.remove(1);
    assert_eq!(invoice["status_details"], json!({"uncollectible": {"reason": "subscription_paused"}}));
    let mark = story.house.mark().await;
    let paid = story.act(&id(&invoice), "pay", &[("expand[]", "payments")]).await;
    has(&paid, &json!({"status": "paid", "amount_paid": 2000, "attempt_count": 1}));
    assert!(paid.get("status_details").is_none());
    assert_eq!(paid["payments"]["data"][0]["status"], "paid");
    story.house.told(mark).await.are(
        "payment_intent.created charge.succeeded payment_intent.succeeded invoice.updated invoice.paid
         invoice.payment_succeeded invoice_payment.paid",
    );
}

/// Drafts kept while paused are collected once somebody lets them advance.
#[tokio::test(flavor = "multi_thread")]
async fn kept_drafts_are_collected_later() {
    let story = Story::begin().await;
    story.update(&[("pause_collection[behavior]", "keep_as_draft")]).await;
    story.advance("2027-03-10T00:00:00Z").await;
    story.update(&[("pause_collection", "")]).await;
    story.advance("2027-03-20T00:00:00Z").await;
    let invoices = story.invoices().await;
    for kept in &invoices[1..] {
        has(kept, &json!({"status": "draft", "auto_advance": false, "automatically_finalizes_at": null}));
    }
    story.house.post(&format!("/v1/invoices/{}", id(&invoices[1])), &[("auto_advance", "true")]).await.ok();
    story.advance("2027-03-20T02:00:00Z").await;
    let statuses: Vec<Value> = story.invoices().await.into_iter().map(|invoice| invoice["status"].clone()).collect();
    assert_eq!(statuses, ["paid", "paid", "draft"]);
    // Collection is normal again from the next invoice on.
    story.advance("2027-04-01T02:00:00Z").await;
    assert_eq!(story.invoices().await[3]["status"], "paid");
}

/// Setting, changing and unsetting: the event says exactly what changed.
#[tokio::test(flavor = "multi_thread")]
async fn the_event_holds_exactly_what_changed() {
    let story = Story::begin().await;
    let soon = at("2027-05-01T00:00:00Z");
    let resumes_at = soon.to_string();
    for (form, previous) in [
        (vec![VOID[0]], json!({"pause_collection": null})),
        (
            vec![VOID[0], ("pause_collection[resumes_at]", &*resumes_at)],
            json!({"pause_collection": {"resumes_at": null}}),
        ),
        (
            vec![("pause_collection[behavior]", "keep_as_draft"), ("pause_collection[resumes_at]", &*resumes_at)],
            json!({"pause_collection": {"behavior": "void"}}),
        ),
        (vec![VOID[0]], json!({"pause_collection": {"behavior": "keep_as_draft", "resumes_at": soon}})),
        (vec![("pause_collection", "")], json!({"pause_collection": {"behavior": "void", "resumes_at": null}})),
    ] {
        let mark = story.house.mark().await;
        story.update(&form).await;
        let told = story.house.told(mark).await;
        told.are("customer.subscription.updated");
        assert_eq!(told.previous("customer.subscription.updated"), &previous, "{form:?}");
    }
    let mark = story.house.mark().await;
    story.update(&[("pause_collection", "")]).await;
    story.house.told(mark).await.are("");
}

/// Only what is made afterwards is touched: open invoices are collected, drafts go on.
#[tokio::test(flavor = "multi_thread")]
async fn earlier_invoices_go_on() {
    let story = Story::begin().await;
    story.advance("2027-02-01T00:00:00Z").await;
    story.update(VOID).await;
    story.advance("2027-02-01T02:00:00Z").await;
    assert_eq!(story.invoices().await[1]["status"], "paid");
    // An older debt neither heals nor is forgotten by what is voided.
    let story = Story::begin().await;
    story.settings(&[("collection[final_action][subscription]", "past_due")]).await;
    story.card("pm_card_chargeCustomerFail").await;
    story.advance("2027-02-01T02:00:00Z").await;
    let owed = story.latest().await;
    story.update(VOID).await;
    story.advance("2027-03-10T00:00:00Z").await;
    assert_eq!(story.status().await, "past_due");
    story.card("pm_card_visa").await;
    story.act(&owed, "pay", &[]).await;
    assert_eq!(story.status().await, "active");
}

/// What cannot be is refused, and changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused() {
    let story = Story::begin().await;
    let past = at("2027-01-01T00:00:00Z").to_string();
    let mark = story.house.mark().await;
    for (form, param) in [
        (vec![("pause_collection[resumes_at]", &*past)], "pause_collection[behavior]"),
        (vec![("pause_collection[behavior]", "skip")], "pause_collection[behavior]"),
        (vec![VOID[0], ("pause_collection[resumes_at]", &*past)], "pause_collection[resumes_at]"),
        (vec![("pause_collection[until]", "1")], "pause_collection[until]"),
    ] {
        let error = story.house.post(&story.path(), &form).await.error(400);
        assert_eq!(error["param"], param, "{error}");
    }
    story.house.told(mark).await.are("");
    story.house.delete(&story.path()).await.ok();
    let error = story.house.post(&story.path(), VOID).await.error(400);
    assert_eq!(error["code"], "invalid_canceled_subscription_fields");
    let incomplete = story.house.customer("pm_card_chargeCustomerFail", None).await;
    let incomplete = id(&story.house.subscribe(&incomplete, &story.price).await);
    let error = story.house.post(&format!("/v1/subscriptions/{incomplete}"), VOID).await.error(400);
    assert_eq!(error["param"], "pause_collection");
}

/// When a pause ends at a boundary, the invoice of that boundary is collected.
#[tokio::test(flavor = "multi_thread")]
async fn a_pause_that_ends_at_a_boundary_spares_its_invoice() {
    let story = Story::begin().await;
    let boundary = at("2027-03-01T00:00:00Z").to_string();
    story.update(&[VOID[0], ("pause_collection[resumes_at]", &boundary)]).await;
    story.advance("2027-03-01T02:00:00Z").await;
    let statuses: Vec<Value> = story.invoices().await.into_iter().map(|invoice| invoice["status"].clone()).collect();
    assert_eq!(statuses, ["paid", "void", "paid"]);
}

/// An invoice that a change makes at once is neutralised like any other.
#[tokio::test(flavor = "multi_thread")]
async fn an_immediate_invoice_is_neutralized_too() {
    for (behavior, status) in [("void", "void"), ("keep_as_draft", "draft"), ("mark_uncollectible", "uncollectible")] {
        let story = Story::begin().await;
        let bigger = story.house.monthly_price(5000).await;
        story.update(&[("pause_collection[behavior]", behavior)]).await;
        let item = id(&story.read().await["items"]["data"][0]);
        let form = [("items[0][id]", &*item), ("items[0][price]", &bigger), ("proration_behavior", "always_invoice")];
        let changed = story.update(&form).await;
        has(&changed, &json!({"status": "active"}));
        assert_eq!(changed["items"]["data"][0]["price"]["id"], json!(bigger));
        has(&story.invoices().await[1], &json!({"status": status, "auto_advance": false, "total": 3000}));
        let charges = story.house.list(&format!("/v1/charges?customer={}", story.customer)).await;
        assert_eq!(charges.len(), 1);
    }
}
