//! The draft hour, and the hold: no invoice is finalised by itself before whoever wants to hear of its
//! creation has acknowledged it, for at most 72 hours.

use serde_json::{Value, json};

use crate::catalogue::has;
use crate::support::{House, at, id};
use crate::webhooks::{Sink, dispatch, endpoint};

/// A house with a monthly subscription, whose sink refuses so many deliveries.
async fn start(refusing: usize, events: &[&str]) -> (House, String) {
    let house = House::open().await;
    let (_, url) = Sink::open(refusing).await;
    endpoint(&house, &url, events).await;
    let customer = house.customer("pm_card_visa", None).await;
    let price = house.monthly_price(2000).await;
    house.subscribe(&customer, &price).await;
    (house, customer)
}

async fn newest(house: &House, customer: &str) -> Value {
    house.list(&format!("/v1/invoices?customer={customer}")).await.swap_remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_waits_until_its_creation_is_acknowledged() {
    let (house, customer) = start(0, &["invoice.created"]).await;
    house.advance_wall("2027-02-01T00:00:00Z").await;
    has(&newest(&house, &customer).await, &json!({"status": "draft", "webhooks_delivered_at": null}));
    house.advance_wall("2027-02-01T01:00:00Z").await;
    let held = newest(&house, &customer).await;
    has(&held, &json!({"status": "draft", "automatically_finalizes_at": at("2027-02-01T01:00:00Z")}));
    assert_eq!(house.list("/v1/events?type=invoice.finalized").await.len(), 1, "the first invoice only");
    dispatch(&house).await;
    // About an hour after the last look it is looked at again, and not before.
    house.advance_wall("2027-02-01T01:59:59Z").await;
    assert_eq!(newest(&house, &customer).await["status"], "draft");
    house.advance_wall("2027-02-01T02:00:00Z").await;
    let paid = newest(&house, &customer).await;
    let heard = at("2027-02-01T01:00:00Z");
    has(&paid, &json!({"status": "paid", "webhooks_delivered_at": heard, "automatically_finalizes_at": null}));
    // Acknowledged within the hour, it is not held at all.
    house.advance_wall("2027-03-01T00:00:00Z").await;
    dispatch(&house).await;
    house.advance_wall("2027-03-01T01:00:00Z").await;
    let created = at("2027-03-01T00:00:00Z");
    has(
        &newest(&house, &customer).await,
        &json!({"status": "paid", "created": created, "webhooks_delivered_at": created}),
    );
}

/// What was heard of late is finalised an hour after that, however long it had waited.
#[tokio::test(flavor = "multi_thread")]
async fn a_draft_that_was_held_is_finalised_an_hour_after_it_was_heard_of() {
    for (heard, still, then) in [
        ("2027-02-01T01:10:00Z", "2027-02-01T02:09:59Z", "2027-02-01T02:10:00Z"),
        ("2027-02-01T05:59:00Z", "2027-02-01T06:58:59Z", "2027-02-01T06:59:00Z"),
        // But never later than three days after its creation.
        ("2027-02-03T23:30:00Z", "2027-02-03T23:59:59Z", "2027-02-04T00:00:00Z"),
    ] {
        let (house, customer) = start(0, &["invoice.created"]).await;
        house.advance_wall("2027-02-01T00:00:00Z").await;
        house.advance_wall("2027-02-01T01:00:00Z").await;
        house.advance_wall(heard).await;
        dispatch(&house).await;
        // A look finds that it was heard of, at whatever time that is.
        let mut time = at(heard);
        while time + 1200 < at(still) {
            time += 1200;
            house.clock.set(dunlin::billing::Timestamp::new(time));
            house.app.engine.settle_down().await.unwrap();
        }
        house.advance_wall(still).await;
        has(&newest(&house, &customer).await, &json!({"status": "draft"}));
        house.advance_wall(then).await;
        let paid = newest(&house, &customer).await;
        has(&paid, &json!({"status": "paid", "webhooks_delivered_at": at(heard)}));
        assert_eq!(paid["status_transitions"]["finalized_at"], at(then));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_waited_for_three_days_and_no_longer() {
    let (house, customer) = start(usize::MAX, &["*"]).await;
    house.advance_wall("2027-02-01T00:00:00Z").await;
    let draft = newest(&house, &customer).await;
    let path = format!("/v1/invoices/{}", id(&draft));
    for day in ["2027-02-01T12:30:00Z", "2027-02-03T00:00:00Z", "2027-02-03T23:59:59Z"] {
        house.advance_wall(day).await;
        dispatch(&house).await;
        assert_eq!(house.get(&path).await.ok()["status"], "draft", "{day}");
    }
    house.advance_wall("2027-02-04T00:00:00Z").await;
    let paid = house.get(&path).await.ok();
    has(&paid, &json!({"status": "paid", "webhooks_delivered_at": null, "amount_paid": 2000}));
    assert_eq!(paid["status_transitions"]["finalized_at"], at("2027-02-04T00:00:00Z"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_by_hand_waits_for_nobody() {
    let (house, customer) = start(usize::MAX, &["invoice.created"]).await;
    house.advance_wall("2027-02-01T00:00:00Z").await;
    let draft = newest(&house, &customer).await;
    let paid = house.post(&format!("/v1/invoices/{}/pay", id(&draft)), &[]).await.ok();
    has(&paid, &json!({"status": "paid", "webhooks_delivered_at": at("2027-02-01T00:00:00Z")}));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_listens_nothing_is_held() {
    let (house, customer) = start(usize::MAX, &["invoice.paid", "customer.created"]).await;
    house.advance_wall("2027-02-01T00:00:00Z").await;
    let created = at("2027-02-01T00:00:00Z");
    has(&newest(&house, &customer).await, &json!({"status": "draft", "webhooks_delivered_at": created}));
    house.advance_wall("2027-02-01T01:00:00Z").await;
    has(&newest(&house, &customer).await, &json!({"status": "paid", "webhooks_delivered_at": created}));
}

/// Webhooks live at wall time; a year on a test clock does not wait for them.
#[tokio::test(flavor = "multi_thread")]
async fn a_test_clock_waits_for_nobody() {
    let (house, _) = start(usize::MAX, &["*"]).await;
    let clock = house.test_clock("2027-01-01T00:00:00Z").await;
    let customer = house.customer("pm_card_visa", Some(&clock)).await;
    let price = house.monthly_price(1000).await;
    house.subscribe(&customer, &price).await;
    house.advance(&clock, "2027-02-01T00:00:00Z").await;
    assert_eq!(newest(&house, &customer).await["status"], "draft");
    house.advance(&clock, "2027-02-01T01:00:00Z").await;
    assert_eq!(newest(&house, &customer).await["status"], "paid");
}
