//! Edges between states that are easily missed, rule by rule.

use serde_json::json;

use crate::catalogue::has;
use crate::states::Story;
use crate::support::{House, id};

/// Cancelling leaves the setup intent that a subscription waits for: whoever asked for it cancels it.
#[tokio::test(flavor = "multi_thread")]
async fn a_setup_outlives_its_subscription() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let customer = id(&house.post("/v1/customers", &[]).await.ok());
    let form = [("customer", customer.as_str()), ("items[0][price]", &price), ("trial_period_days", "10")];
    let made = house.post("/v1/subscriptions", &form).await.ok();
    let setup = made["pending_setup_intent"].as_str().expect("a setup intent");
    let ended = house.delete(&format!("/v1/subscriptions/{}", id(&made))).await.ok();
    assert_eq!(ended["pending_setup_intent"], setup);
    let path = format!("/v1/setup_intents/{setup}");
    assert_eq!(house.get(&path).await.ok()["status"], "requires_payment_method");
    assert_eq!(house.post(&format!("{path}/cancel"), &[]).await.ok()["status"], "canceled");
}

/// What is given up can be paid after all; an attempt that fails leaves it given up.
#[tokio::test(flavor = "multi_thread")]
async fn paying_what_was_given_up() {
    let story = Story::begin().await;
    story.card("pm_card_chargeCustomerFail").await;
    story.advance("2027-02-01T02:00:00Z").await;
    let owed = story.latest().await;
    story.act(&owed, "mark_uncollectible", &[]).await;
    assert_eq!(story.status().await, "active", "its latest invoice counts as settled");
    story.house.post(&format!("/v1/invoices/{owed}/pay"), &[]).await.error(402);
    let path = format!("/v1/invoices/{owed}");
    has(&story.house.get(&path).await.ok(), &json!({"status": "uncollectible", "auto_advance": false}));
    assert_eq!(story.status().await, "active");
    story.card("pm_card_visa").await;
    has(&story.act(&owed, "pay", &[]).await, &json!({"status": "paid", "amount_remaining": 0}));
    for action in ["void", "mark_uncollectible", "pay"] {
        story.house.post(&format!("{path}/{action}"), &[]).await.error(400);
    }
}

/// The latest invoice decides: settling an older one leaves the status, and so does giving it up.
#[tokio::test(flavor = "multi_thread")]
async fn settling_an_older_invoice() {
    for action in ["pay", "mark_uncollectible"] {
        let story = Story::begin().await;
        story.settings(&[("collection[final_action][subscription]", "past_due")]).await;
        story.card("pm_card_chargeCustomerFail").await;
        story.advance("2027-03-01T02:00:00Z").await;
        let invoices = story.invoices().await;
        story.card("pm_card_visa").await;
        story.act(&id(&invoices[1]), action, &[]).await;
        assert_eq!(story.status().await, "past_due", "{action}");
        story.act(&id(&invoices[2]), action, &[]).await;
        assert_eq!(story.status().await, "active", "{action}");
    }
}

/// `pause_collection` leaves trials alone: their notice comes, and they end.
#[tokio::test(flavor = "multi_thread")]
async fn a_trial_while_collection_is_paused() {
    let story = Story::begin().await;
    let form = [("customer", &*story.customer), ("items[0][price]", &story.price), ("trial_period_days", "10")];
    let path = format!("/v1/subscriptions/{}", id(&story.house.post("/v1/subscriptions", &form).await.ok()));
    story.house.post(&path, &[("pause_collection[behavior]", "void")]).await.ok();
    let mark = story.house.mark().await;
    story.advance("2027-01-08T00:00:00Z").await;
    story.house.told(mark).await.are("customer.subscription.trial_will_end");
    story.advance("2027-01-11T02:00:00Z").await;
    let over = story.house.get(&format!("{path}?expand[]=latest_invoice")).await.ok();
    has(&over, &json!({"status": "active", "pause_collection": {"behavior": "void", "resumes_at": null}}));
    has(&over["latest_invoice"], &json!({"status": "void", "total": 2000}));
}

/// Deleting a draft lets its items wait again; voiding an invoice does not.
#[tokio::test(flavor = "multi_thread")]
async fn items_of_what_is_deleted_or_voided() {
    let house = House::open().await;
    let customer = house.customer("pm_card_visa", None).await;
    let item = [("customer", customer.as_str()), ("amount", "700"), ("currency", "usd")];
    house.post("/v1/invoiceitems", &item).await.ok();
    let make = async || {
        let form = [("customer", customer.as_str()), ("pending_invoice_items_behavior", "include")];
        id(&house.post("/v1/invoices", &form).await.ok())
    };
    let pending = async || house.list(&format!("/v1/invoiceitems?pending=true&customer={customer}")).await.len();
    let draft = make().await;
    assert_eq!(pending().await, 0);
    house.delete(&format!("/v1/invoices/{draft}")).await.ok();
    assert_eq!(pending().await, 1);
    let draft = make().await;
    house.post(&format!("/v1/invoices/{draft}/finalize"), &[]).await.ok();
    house.post(&format!("/v1/invoices/{draft}/void"), &[]).await.ok();
    assert_eq!(pending().await, 0);
    assert_eq!(
        house.delete(&format!("/v1/invoices/{draft}")).await.error(400)["message"],
        "You can only delete draft invoices."
    );
}

/// A renewal that needs its customer: the same intent is finished by them, and the debt is paid.
#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_that_needs_its_customer() {
    let story = Story::begin().await;
    story.card("pm_card_authenticationRequired").await;
    story.advance("2027-02-01T02:00:00Z").await;
    has(&story.read().await, &json!({"status": "past_due"}));
    let invoice = story.house.get(&format!("/v1/invoices/{}?expand[]=payments", story.latest().await)).await.ok();
    let intent = invoice["payments"]["data"][0]["payment"]["payment_intent"].as_str().expect("an intent");
    let waiting = story.house.get(&format!("/v1/payment_intents/{intent}")).await.ok();
    assert_eq!(waiting["status"], "requires_action");
    assert!(waiting["next_action"].is_object());
    let path = format!("/v1/test_helpers/payment_intents/{intent}/authenticate");
    story.house.post(&path, &[("outcome", "succeed")]).await.ok();
    assert_eq!(story.status().await, "active");
    has(&story.house.get(&format!("/v1/invoices/{}", id(&invoice))).await.ok(), &json!({"status": "paid"}));
}
