//! Payments of customers that are deleted: money that is under way comes to its end all the same.

use std::sync::{Arc, atomic::Ordering};

use serde_json::{Value, json};

use crate::catalogue::has;
use crate::silence::Silent;
use crate::support::{House, at, id};

async fn pay(house: &House, customer: &str, form: &[(&str, &str)]) -> Value {
    let common = [("amount", "1000"), ("currency", "usd"), ("customer", customer), ("confirm", "true")];
    house.post("/v1/payment_intents", &[&common[..], form].concat()).await.ok()
}

async fn delete(house: &House, customer: &str) {
    assert_eq!(house.delete(&format!("/v1/customers/{customer}")).await.ok()["deleted"], true);
}

const DUE: &str = "select count(*) from payment_intents where due_at is not null";

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_payment_of_a_deleted_customer_ends() {
    let house = House::open().await;
    for (card, status, charge) in [
        ("pm_card_processing", "succeeded", "succeeded"),
        ("pm_card_processingFails", "requires_payment_method", "failed"),
    ] {
        let customer = id(&house.post("/v1/customers", &[]).await.ok());
        let later = ("setup_future_usage", "off_session");
        let slow = pay(&house, &customer, &[("payment_method", card), later]).await;
        delete(&house, &customer).await;
        house.clock.set(dunlin::billing::Timestamp::new(house.clock.now().unix_seconds() + 60));
        house.app.engine.settle_down().await.expect("the tick");
        assert_eq!(house.fresh(&slow).await["status"], status);
        let charges = house.list(&format!("/v1/charges?payment_intent={}", id(&slow))).await;
        assert_eq!(charges[0]["status"], charge);
        let method =
            house.get(&format!("/v1/payment_methods/{}", charges[0]["payment_method"].as_str().unwrap())).await;
        assert_eq!(method.ok()["customer"], json!(null), "nothing is attached to who is gone");
    }
    assert_eq!(house.list("/v1/events?type=charge.succeeded").await.len(), 1);
    assert_eq!(house.count(DUE).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_and_a_reservation_of_a_deleted_customer_end() {
    let house = House::open().await;
    let customer = id(&house.post("/v1/customers", &[]).await.ok());
    let paid = pay(&house, &customer, &[("payment_method", "pm_card_pendingRefund")]).await;
    let refund = house.post("/v1/refunds", &[("payment_intent", &id(&paid))]).await.ok();
    assert_eq!(refund["status"], "pending");
    let reserved = pay(&house, &customer, &[("payment_method", "pm_card_visa"), ("capture_method", "manual")]).await;
    assert_eq!(reserved["status"], "requires_capture");
    delete(&house, &customer).await;
    house.advance_wall("2027-01-01T00:01:00Z").await;
    assert_eq!(house.fresh(&refund).await["status"], "succeeded");
    house.advance_wall("2027-01-08T00:01:00Z").await;
    has(&house.fresh(&reserved).await, &json!({"status": "canceled", "cancellation_reason": "expired"}));
    assert_eq!(house.count(DUE).await, 0);
}

/// While the processor is being asked a customer cannot be deleted.
#[tokio::test(flavor = "multi_thread")]
async fn a_customer_is_not_deleted_while_an_answer_is_awaited() {
    let gateway = Arc::new(Silent::default());
    let house = House::open_with(Arc::<Silent>::clone(&gateway), 0).await;
    let customer = id(&house.post("/v1/customers", &[]).await.ok());
    gateway.silent.store(true, Ordering::Relaxed);
    let asked = pay(&house, &customer, &[("payment_method", "pm_card_visa")]).await;
    let error = house.delete(&format!("/v1/customers/{customer}")).await.error(429);
    assert_eq!(error["code"], "lock_timeout");
    gateway.silent.store(false, Ordering::Relaxed);
    house.advance_wall("2027-01-01T00:01:00Z").await;
    assert_eq!(house.fresh(&asked).await["status"], "succeeded");
    delete(&house, &customer).await;
}

/// On a test clock it ends when the clock says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_of_a_deleted_customer_on_a_clock_ends() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let clock = house.test_clock("2030-01-01T00:00:00Z").await;
    let customer = house.customer("pm_card_visa", Some(&clock)).await;
    let subscription = house.subscribe(&customer, &price).await;
    house.default_card(&customer, "pm_card_processing").await;
    house.advance(&clock, "2030-02-01T01:00:30Z").await;
    let invoice = house.list(&format!("/v1/invoices?subscription={}", id(&subscription))).await.remove(0);
    delete(&house, &customer).await;
    house.advance(&clock, "2030-02-01T01:02:00Z").await;
    has(
        &house.fresh(&invoice).await,
        &json!({"status": "paid", "status_transitions": {
            "finalized_at": at("2030-02-01T01:00:00Z"),
            "marked_uncollectible_at": null,
            "paid_at": at("2030-02-01T01:01:00Z"),
            "voided_at": null,
        }}),
    );
    assert_eq!(house.count(DUE).await, 0);
}
