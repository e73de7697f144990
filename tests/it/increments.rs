//! More is reserved than was.

use dunlin::billing::payment_intent::Action;
use reqwest::Method;
use serde_json::{Value, json};

use crate::catalogue::has;
use crate::support::{Answer, Deaf, House, PUBLISHABLE_KEY, id};

const MORE: (&str, &str) = ("payment_method_options[card][request_incremental_authorization]", "if_available");

/// A payment of 1000 that is reserved.
async fn held(house: &House, card: &str, more: &[(&str, &str)]) -> Value {
    let form = [
        ("amount", "1000"),
        ("currency", "usd"),
        ("payment_method", card),
        ("confirm", "true"),
        ("capture_method", "manual"),
        ("metadata[order]", "7"),
    ];
    house.post("/v1/payment_intents", &[&form[..], more].concat()).await.ok()
}

async fn increment(house: &House, intent: &Value, form: &[(&str, &str)]) -> Answer {
    house.post(&format!("/v1/payment_intents/{}/increment_authorization", id(intent)), form).await
}

async fn charge(house: &House, intent: &Value) -> Value {
    house.get(&format!("/v1/charges/{}", intent["latest_charge"].as_str().unwrap())).await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_reserved_becomes_more_and_is_captured() {
    let house = House::open().await;
    let intent = held(&house, "pm_card_visa", &[MORE]).await;
    let card = &charge(&house, &intent).await["payment_method_details"]["card"];
    assert_eq!(card["incremental_authorization"], json!({"status": "available"}));
    let before = house.event_types(0).await.len();
    let form =
        [("amount", "1500"), ("description", "A longer stay"), ("metadata[night]", "2"), ("metadata[order]", "")];
    let more = increment(&house, &intent, &form).await.ok();
    has(&more, &json!({"status": "requires_capture", "amount": 1500, "amount_capturable": 1500, "amount_received": 0}));
    has(&more, &json!({"description": "A longer stay", "metadata": {"night": "2"}}));
    assert_eq!(house.event_types(before).await, ["charge.updated", "payment_intent.amount_capturable_updated"]);
    let shown = charge(&house, &intent).await;
    has(&shown, &json!({"amount": 1500, "amount_captured": 0, "description": "A longer stay"}));
    assert_eq!(shown["payment_method_details"]["card"]["amount_authorized"], 1500);
    let words = [("amount", "1600"), ("metadata", ""), ("statement_descriptor", "HOTEL ADA")];
    let more = increment(&house, &intent, &words).await.ok();
    has(&more, &json!({"metadata": {}, "statement_descriptor": "HOTEL ADA", "description": "A longer stay"}));
    let capture = format!("/v1/payment_intents/{}/capture", id(&intent));
    house.post(&capture, &[("amount_to_capture", "1601")]).await.error(400);
    let taken = house.post(&capture, &[("amount_to_capture", "1550")]).await.ok();
    has(&taken, &json!({"status": "succeeded", "amount": 1600, "amount_received": 1550}));
    has(&charge(&house, &intent).await, &json!({"amount": 1600, "amount_captured": 1550, "amount_refunded": 50}));
    let late = increment(&house, &intent, &[("amount", "2000")]).await.error(400);
    assert_eq!(late["code"], "payment_intent_unexpected_state");
    let form = [("charge", intent["latest_charge"].as_str().unwrap())];
    assert_eq!(house.post("/v1/refunds", &form).await.ok()["amount"], 1550);
    for version in ["2020-08-27", "2025-02-24.acacia"] {
        let path = format!("/v1/charges/{}", intent["latest_charge"].as_str().unwrap());
        let old = house.call(Method::GET, &path, &[], &[("stripe-version", version)]).await.ok();
        let said = old["payment_method_details"]["card"].get("incremental_authorization").is_some();
        assert_eq!(said, version != "2020-08-27", "{version}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_asked_for_cannot_become_more() {
    let house = House::open().await;
    let never = (MORE.0, "never");
    for intent in [held(&house, "pm_card_visa", &[]).await, held(&house, "pm_card_visa", &[never]).await] {
        let refused = increment(&house, &intent, &[("amount", "1500")]).await.error(400);
        has(&refused, &json!({"code": "payment_intent_unexpected_state"}));
        assert_eq!(refused["payment_intent"]["id"], intent["id"]);
    }
    let paid = held(&house, "pm_card_visa", &[MORE]).await;
    for (form, param) in [
        (&[][..], "amount"),
        (&[("amount", "1000")], "amount"),
        (&[("amount", "900")], "amount"),
        (&[("amount", "100000000")], "amount"),
        (&[("amount", "2000"), ("application_fee_amount", "1")], "application_fee_amount"),
        (&[("amount", "2000"), ("transfer_data[amount]", "1")], "transfer_data"),
        (&[("amount", "2000"), ("metadata[a_key_that_has_more_than_forty_characters]", "x")], "metadata"),
    ] {
        let refused = increment(&house, &paid, form).await.error(400);
        assert!(refused["param"].as_str().unwrap().starts_with(param), "{refused}");
    }
    has(&house.fresh(&paid).await, &json!({"amount": 1000, "amount_capturable": 1000}));
    let waiting = house.post("/v1/payment_intents", &[("amount", "1000"), ("currency", "usd"), MORE]).await.ok();
    increment(&house, &waiting, &[("amount", "1500")]).await.error(400);
    let path = format!("/v1/payment_intents/{}/increment_authorization", id(&paid));
    let key = format!("Bearer {PUBLISHABLE_KEY}");
    let form = [("amount", "1500"), ("client_secret", paid["client_secret"].as_str().unwrap())];
    let refused = house.call(Method::POST, &path, &form, &[("authorization", &key)]).await;
    assert!([401, 403].contains(&refused.status), "{:#}", refused.body);
    assert_eq!(house.post("/v1/payment_intents/pi_x/increment_authorization", &[("amount", "1")]).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decline_leaves_what_is_reserved() {
    let house = House::open().await;
    let intent = held(&house, "pm_card_incrementFails", &[MORE]).await;
    let before = house.event_types(0).await.len();
    let form = [("amount", "1500"), ("description", "Too much"), ("metadata[night]", "2")];
    for _ in 0..10 {
        let declined = increment(&house, &intent, &form).await.error(402);
        has(&declined, &json!({"type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds"}));
        has(&declined["payment_intent"], &json!({"status": "requires_capture", "amount": 1000}));
    }
    // Ten attempts, declines included.
    let refused = increment(&house, &intent, &form).await.error(400);
    assert_eq!(refused["code"], "payment_intent_unexpected_state");
    assert!(house.event_types(before).await.is_empty());
    let left = house.fresh(&intent).await;
    has(&left, &json!({"amount": 1000, "amount_capturable": 1000, "description": null, "last_payment_error": null}));
    assert_eq!(left["metadata"], json!({"order": "7"}));
    has(&charge(&house, &intent).await, &json!({"amount": 1000, "amount_refunded": 0}));
    let taken = house.post(&format!("/v1/payment_intents/{}/capture", id(&intent)), &[]).await.ok();
    has(&taken, &json!({"status": "succeeded", "amount_received": 1000}));
}

/// Whoever comes next asks the same question again.
#[tokio::test(flavor = "multi_thread")]
async fn an_increment_without_an_answer_is_finished_later() {
    let gateway = Deaf::to(Action::Increment);
    let house = House::open_with(gateway.clone(), 0).await;
    let intent = held(&house, "pm_card_visa", &[MORE]).await;
    let asked = increment(&house, &intent, &[("amount", "1500"), ("metadata[night]", "2")]).await.ok();
    has(&asked, &json!({"amount": 1000, "status": "requires_capture"}));
    // Nothing else may happen meanwhile.
    let path = format!("/v1/payment_intents/{}", id(&intent));
    assert_eq!(house.post(&format!("{path}/capture"), &[]).await.error(429)["code"], "lock_timeout");
    increment(&house, &intent, &[("amount", "1600")]).await.error(429);
    house.post(&format!("{path}/cancel"), &[]).await.error(429);
    gateway.hear();
    house.advance_wall("2027-01-01T00:05:00Z").await;
    let more = house.fresh(&intent).await;
    has(&more, &json!({"amount": 1500, "amount_capturable": 1500, "metadata": {"order": "7", "night": "2"}}));
    assert_eq!(house.event_types(0).await.iter().filter(|kind| *kind == "charge.updated").count(), 1);
    let canceled = house.post(&format!("{path}/cancel"), &[]).await.ok();
    has(&canceled, &json!({"status": "canceled", "amount_capturable": 0}));
    has(&charge(&house, &intent).await, &json!({"amount": 1500, "amount_refunded": 1500, "refunded": true}));
}
