//! Cards that their issuers renew or replace.

use serde_json::json;

use crate::catalogue::has;
use crate::support::{House, id};

fn path(method: &str) -> String {
    format!("/v1/test_helpers/payment_methods/{method}/automatically_update")
}

/// `payment_method.automatically_updated` when the network sends a new expiry or number (10.4).
#[tokio::test(flavor = "multi_thread")]
async fn the_network_renews_a_card() {
    let house = House::open().await;
    let customer = house.customer("pm_card_visa", None).await;
    let method = house.list(&format!("/v1/payment_methods?customer={customer}")).await.remove(0);
    let before = house.event_types(0).await.len();
    let form = [("card[exp_month]", "3"), ("card[exp_year]", "2034")];
    let renewed = house.post(&path(&id(&method)), &form).await.ok();
    assert_eq!((&renewed["id"], &renewed["customer"]), (&method["id"], &method["customer"]));
    has(&renewed["card"], &json!({"exp_month": 3, "exp_year": 2034, "last4": "4242"}));
    assert_eq!(renewed["card"]["fingerprint"], method["card"]["fingerprint"]);
    assert_eq!(house.event_types(before).await, ["payment_method.automatically_updated"]);
    let told = &house.list("/v1/events?type=payment_method.automatically_updated").await[0];
    assert_eq!(told["data"]["object"], renewed);
    let card = &method["card"];
    let previous = json!({"card": {"exp_month": card["exp_month"], "exp_year": card["exp_year"]}});
    assert_eq!(told["data"]["previous_attributes"], previous);
    house.post(&path(&id(&method)), &form).await.ok();
    assert_eq!(house.event_types(before).await.len(), 1, "nothing changed, nothing told");
}

/// A card that was lost is never charged again; the one that takes its place is.
#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_takes_the_place_of_a_lost_one_is_charged() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let clock = house.test_clock("2027-01-01T00:00:00Z").await;
    let customer = house.customer("pm_card_visa", Some(&clock)).await;
    let subscription = house.subscribe(&customer, &price).await;
    let lost = house.default_card(&customer, "pm_card_visa_chargeCustomerFailLostCard").await;
    house.advance(&clock, "2027-02-01T01:00:00Z").await;
    assert_eq!(house.fresh(&subscription).await["status"], "past_due");
    let before = house.get(&format!("/v1/payment_methods/{lost}")).await.ok();
    let replaced = house.post(&path(&lost), &[("card[number]", "5555 5555 5555 4444")]).await.ok();
    has(&replaced["card"], &json!({"brand": "mastercard", "last4": "4444", "exp_year": before["card"]["exp_year"]}));
    assert_ne!(replaced["card"]["fingerprint"], before["card"]["fingerprint"]);
    assert_eq!(replaced["card"]["checks"], before["card"]["checks"]);
    let told = &house.list("/v1/events?type=payment_method.automatically_updated").await[0];
    has(&told["data"]["previous_attributes"]["card"], &json!({"brand": "visa", "last4": "0341"}));
    let retry = house.latest_invoice(&house.fresh(&subscription).await).await["next_payment_attempt"].as_i64().unwrap();
    house.advance_to(&clock, retry).await;
    assert_eq!(house.fresh(&subscription).await["status"], "active");
    let charge = &house.list(&format!("/v1/charges?customer={customer}")).await[0];
    has(charge, &json!({"status": "succeeded", "payment_method": lost}));
    assert_eq!(charge["payment_method_details"]["card"]["last4"], "4444");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_network_would_tell_is_refused() {
    let house = House::open().await;
    let customer = house.customer("pm_card_visa", None).await;
    let method = house.list(&format!("/v1/payment_methods?customer={customer}")).await.remove(0);
    let kept = path(&id(&method));
    for (name, value, status, param) in [
        ("card[exp_month]", "13", 402, json!("card[exp_month]")),
        ("card[exp_year]", "20", 402, json!("card[exp_year]")),
        ("card[exp_month]", "x", 400, json!("card[exp_month]")),
        ("card[cvc]", "123", 400, json!("card[cvc]")),
        ("card[number]", "4242424242424241", 402, json!(null)),
        ("exp_month", "3", 400, json!("exp_month")),
    ] {
        let answer = house.post(&kept, &[(name, value)]).await;
        assert_eq!((answer.status, &answer.body["error"]["param"]), (status, &param), "{name}: {:#}", answer.body);
    }
    house.post(&kept, &[]).await.error(400);
    assert_eq!(house.get(&format!("/v1/payment_methods/{}", id(&method))).await.ok(), method);
    house.post(&path("pm_x"), &[("card[exp_month]", "3")]).await.error(404);
    let detached = format!("/v1/payment_methods/{}/detach", id(&method));
    house.post(&detached, &[]).await.ok();
    let error = house.post(&kept, &[("card[exp_month]", "3")]).await.error(400);
    assert_eq!(error["code"], "payment_method_unexpected_state");
}
