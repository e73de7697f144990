//! Trials that are ended early where there is no payment method.

use serde_json::json;

use crate::catalogue::has;
use crate::support::{House, at, id};

/// A trial of two weeks at 2000 a month for a customer without a card, five days old.
async fn begin(missing: &str) -> (House, String, String) {
    let house = House::open().await;
    let clock = house.test_clock("2027-01-01T00:00:00Z").await;
    let price = house.monthly_price(2000).await;
    let customer = id(&house.post("/v1/customers", &[("test_clock", &clock)]).await.ok());
    let trial = [("trial_period_days", "14"), ("trial_settings[end_behavior][missing_payment_method]", missing)];
    let made = house.subscribe_with(&customer, &price, &trial).await.ok();
    assert_eq!(made["status"], "trialing");
    house.advance(&clock, "2027-01-06T00:00:00Z").await;
    (house, clock, format!("/v1/subscriptions/{}", id(&made)))
}

/// The status machine: a trial that is over ends in what was asked for, by itself or with `trial_end=now`.
#[tokio::test(flavor = "multi_thread")]
async fn a_trial_that_is_cut_short_ends_as_it_would_by_itself() {
    let now = at("2027-01-06T00:00:00Z");
    for (missing, status, told, invoices) in [
        ("cancel", "canceled", "customer.subscription.trial_will_end customer.subscription.deleted", 1),
        (
            "pause",
            "paused",
            "customer.subscription.trial_will_end customer.subscription.paused customer.subscription.updated",
            1,
        ),
        (
            "create_invoice",
            "past_due",
            "customer.subscription.trial_will_end invoice.created invoice.finalized payment_intent.created
             invoice.updated invoice.payment_failed customer.subscription.updated customer.updated",
            2,
        ),
    ] {
        let (house, _, path) = begin(missing).await;
        let mark = house.mark().await;
        let over = house.post(&path, &[("trial_end", "now"), ("metadata[k]", "v")]).await.ok();
        has(&over, &json!({"status": status, "trial_end": now, "metadata": {"k": "v"}}));
        house.told(mark).await.hold(told);
        let made = house.list(&format!("/v1/invoices?customer={}", over["customer"].as_str().unwrap())).await;
        assert_eq!(made.len(), invoices, "{missing}");
        match missing {
            "cancel" => has(&over, &json!({"ended_at": now})),
            "pause" => {
                let details = &over["status_details"]["paused"];
                assert_eq!(details["subscription"]["type"], "trial_end_without_payment_method");
                has(&over["items"]["data"][0], &json!({"current_period_end": now}));
            }
            _ => {
                has(&made[0], &json!({"status": "open", "amount_due": 2000, "attempted": true, "attempt_count": 1}));
                has(&over, &json!({"latest_invoice": made[0]["id"], "billing_cycle_anchor": now}));
            }
        }
    }
}

/// What is changed with it is changed; paused, it is billed when it is resumed.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_changed_with_the_end_of_a_trial_counts() {
    let (house, clock, path) = begin("pause").await;
    let item = id(&house.get(&path).await.ok()["items"]["data"][0]);
    let dearer = house.monthly_price(5000).await;
    let form = [("trial_end", "now"), ("items[0][id]", &*item), ("items[0][price]", &dearer)];
    let paused = house.post(&path, &form).await.ok();
    has(&paused, &json!({"status": "paused"}));
    assert_eq!(paused["items"]["data"][0]["price"]["id"], json!(dearer));
    house.advance(&clock, "2027-02-01T00:00:00Z").await;
    let customer = paused["customer"].as_str().unwrap();
    house.default_card(customer, "pm_card_visa").await;
    house.post(&format!("{path}/resume"), &[("payment_behavior", "resume_on_payment_success")]).await.ok();
    let resumed = house.get(&path).await.ok();
    assert_eq!(resumed["status"], "active");
    has(&house.latest_invoice(&resumed).await, &json!({"status": "paid", "amount_paid": 5000}));
}

/// Only if it is paid: without anything to pay with it is refused. A card, or invoices that are sent, and the
/// trial ends in a period.
#[tokio::test(flavor = "multi_thread")]
async fn a_trial_that_is_to_be_paid_is_not_cut_short_without_a_card() {
    for behavior in ["error_if_incomplete", "pending_if_incomplete"] {
        let (house, _, path) = begin("create_invoice").await;
        let before = house.get(&path).await.ok();
        let form = [("trial_end", "now"), ("payment_behavior", behavior)];
        assert_eq!(house.post(&path, &form).await.error(400)["code"], "resource_missing");
        assert_eq!(house.get(&path).await.ok(), before);
    }
    let (house, _, path) = begin("cancel").await;
    let customer = house.get(&path).await.ok()["customer"].as_str().unwrap().to_owned();
    house.default_card(&customer, "pm_card_visa").await;
    has(&house.post(&path, &[("trial_end", "now")]).await.ok(), &json!({"status": "active"}));
    // A preview shows no invoice where there will be none.
    let (house, _, path) = begin("cancel").await;
    let subscription = path.rsplit('/').next().unwrap();
    let form = [("subscription", subscription), ("subscription_details[trial_end]", "now")];
    let error = house.post("/v1/invoices/create_preview", &form).await.error(404);
    assert_eq!(error["code"], "invoice_upcoming_none");
}
