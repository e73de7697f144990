//! Test clocks that meet with trouble: two servers that advance the same one, and one that cannot go on.

use dunlin::{
    billing::{Id, Timestamp},
    engine::work::Horizon,
};
use serde_json::json;

use crate::catalogue::has;
use crate::support::{House, at, execute, id};

/// A server that comes late with an advance does not end the next one.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_server_does_not_end_the_next_advance() {
    let house = House::open().await;
    let clock = house.test_clock("2027-01-01T00:00:00Z").await;
    let path = format!("/v1/test_helpers/test_clocks/{clock}");
    house.advance(&clock, "2027-01-02T00:00:00Z").await;
    let target = at("2027-01-03T00:00:00Z");
    house.post(&format!("{path}/advance"), &[("frozen_time", &target.to_string())]).await.ok();
    let late = Horizon { time: Timestamp::new(at("2027-01-02T00:00:00Z")), stepping: true };
    house.app.engine.finish_clock(&Id::given(clock), late).await.expect("the clock");
    has(&house.get(&path).await.ok(), &json!({"status": "advancing", "frozen_time": at("2027-01-02T00:00:00Z")}));
    house.app.engine.advance_clocks().await.expect("the clocks advance");
    has(&house.get(&path).await.ok(), &json!({"status": "ready", "frozen_time": target}));
    let ready = house.list("/v1/events?type=test_helpers.test_clock.ready").await;
    assert_eq!(ready.len(), 2);
}

/// What breaks on a clock ends its advance at once, holds up no other, and can be deleted.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_cannot_go_on_fails() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let clocks = [house.test_clock("2030-01-01T00:00:00Z").await, house.test_clock("2030-01-01T00:00:00Z").await];
    let customer = house.customer("pm_card_visa", Some(&clocks[0])).await;
    let subscription = house.subscribe(&customer, &price).await;
    // No renewal can be written.
    execute(&house.database_url, "alter table invoices add constraint broken check (cycle is null) not valid").await;
    let target = at("2030-03-01T00:00:00Z").to_string();
    let path = |clock: &str| format!("/v1/test_helpers/test_clocks/{clock}");
    for clock in &clocks {
        house.post(&format!("{}/advance", path(clock)), &[("frozen_time", &target)]).await.ok();
    }
    house.delete(&path(&clocks[0])).await.error(429);
    house.app.engine.advance_clocks().await.expect("the clocks advance");
    assert_eq!(house.get(&path(&clocks[0])).await.ok()["status"], "internal_failure");
    assert_eq!(house.get(&path(&clocks[1])).await.ok()["status"], "ready");
    let error = house.post(&format!("/v1/customers/{customer}"), &[("name", "Bea")]).await.error(429);
    assert_eq!(error["code"], "lock_timeout");
    let deleted = house.delete(&path(&clocks[0])).await.ok();
    assert_eq!(deleted["deleted"], true);
    assert_eq!(house.get(&format!("/v1/customers/{customer}")).await.ok()["deleted"], true);
    let ended = house.get(&format!("/v1/subscriptions/{}", id(&subscription))).await.ok();
    assert_eq!(ended["status"], "canceled");
    house.delete(&path(&clocks[0])).await.error(404);
}
