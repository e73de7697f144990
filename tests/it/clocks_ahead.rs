//! Test clocks themselves: what they show while they advance, what they hide, and their end.

use serde_json::json;

use crate::catalogue::has;
use crate::support::{House, at, id};

/// Status while advancing: the target is shown, and what lives on the clock waits until it is ready.
#[tokio::test(flavor = "multi_thread")]
async fn what_lives_on_an_advancing_clock_waits() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let clock = house.test_clock("2027-01-01T00:00:00Z").await;
    let customer = house.customer("pm_card_visa", Some(&clock)).await;
    let subscription = id(&house.subscribe(&customer, &price).await);
    let path = format!("/v1/test_helpers/test_clocks/{clock}");
    let target = at("2027-01-05T00:00:00Z");
    let advancing = house.post(&format!("{path}/advance"), &[("frozen_time", &target.to_string())]).await.ok();
    has(&advancing, &json!({"status": "advancing", "frozen_time": at("2027-01-01T00:00:00Z")}));
    assert_eq!(advancing["status_details"], json!({"advancing": {"target_frozen_time": target}}));
    let later = (target + 1).to_string();
    for (path, form) in [
        (format!("{path}/advance"), ("frozen_time", later.as_str())),
        (format!("/v1/subscriptions/{subscription}"), ("metadata[k]", "v")),
        (format!("/v1/customers/{customer}"), ("name", "Bea")),
    ] {
        assert_eq!(house.post(&path, &[form]).await.error(429)["code"], "lock_timeout", "{path}");
    }
    // What does not live on it goes on.
    house.post("/v1/customers", &[]).await.ok();
    house.app.engine.advance_clocks().await.expect("the clocks advance");
    let ready = house.get(&path).await.ok();
    has(&ready, &json!({"status": "ready", "frozen_time": target, "status_details": {}}));
    for time in [target, target - 1] {
        let error = house.post(&format!("{path}/advance"), &[("frozen_time", &time.to_string())]).await.error(400);
        assert_eq!(error["param"], "frozen_time");
    }
    let kinds = house.event_types(0).await;
    let kinds: Vec<&str> = kinds.iter().filter_map(|kind| kind.strip_prefix("test_helpers.test_clock.")).collect();
    assert_eq!(kinds, ["created", "advancing", "ready"]);
}

/// Lists leave out what lives on clocks, unless it is asked for by its clock or its customer; it carries
/// the clock, and its times.
#[tokio::test(flavor = "multi_thread")]
async fn what_lives_on_clocks_is_hidden() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let clock = house.test_clock("2030-01-01T00:00:00Z").await;
    let customer = house.customer("pm_card_visa", Some(&clock)).await;
    house.subscribe(&customer, &price).await;
    let item = [("customer", customer.as_str()), ("amount", "70"), ("currency", "usd")];
    house.post("/v1/invoiceitems", &item).await.ok();
    for list in ["customers", "subscriptions", "invoices"] {
        assert!(house.list(&format!("/v1/{list}")).await.is_empty(), "{list}");
        let found = match list {
            "customers" => house.list(&format!("/v1/{list}?test_clock={clock}")).await,
            _ => house.list(&format!("/v1/{list}?customer={customer}")).await,
        };
        has(&found[0], &json!({"test_clock": clock, "created": at("2030-01-01T00:00:00Z")}));
    }
    assert_eq!(house.list(&format!("/v1/subscriptions?test_clock={clock}")).await.len(), 1);
    has(&house.list(&format!("/v1/invoiceitems?customer={customer}")).await[0], &json!({"test_clock": clock}));
}

/// A clock is deleted thirty days after its creation, and its customers with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_has_an_end() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let clock = house.test_clock("2020-01-01T00:00:00Z").await;
    let path = format!("/v1/test_helpers/test_clocks/{clock}");
    let customer = house.customer("pm_card_visa", Some(&clock)).await;
    let subscription = id(&house.subscribe(&customer, &price).await);
    assert_eq!(house.get(&path).await.ok()["deletes_after"], at("2027-01-31T00:00:00Z"));
    house.advance_wall("2027-01-30T23:59:59Z").await;
    assert_eq!(house.get(&path).await.ok()["status"], "ready");
    house.advance_wall("2027-01-31T00:00:00Z").await;
    house.get(&path).await.error(404);
    assert_eq!(house.get(&format!("/v1/customers/{customer}")).await.ok()["deleted"], true);
    let ended = house.get(&format!("/v1/subscriptions/{subscription}")).await.ok();
    has(&ended, &json!({"status": "canceled", "ended_at": at("2020-01-01T00:00:00Z")}));
    let last = house.list("/v1/events").await.swap_remove(0);
    assert_eq!(last["type"], "test_helpers.test_clock.deleted");
}
