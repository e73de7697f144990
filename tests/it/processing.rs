//! Payments whose outcome is known later, and cards on which the risk check frowns.

use serde_json::{Value, json};

use crate::catalogue::has;
use crate::support::{House, id};

async fn intend(house: &House, form: &[(&str, &str)]) -> crate::support::Answer {
    house.post("/v1/payment_intents", &[&[("amount", "1000"), ("currency", "usd")], form].concat()).await
}

async fn subscription(house: &House, made: &Value) -> Value {
    house.get(&format!("/v1/subscriptions/{}?expand[]=latest_invoice", id(made))).await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_payment_pends_until_the_processor_knows() {
    let house = House::open().await;
    for (card, status, charge, told) in [
        ("pm_card_processing", "succeeded", "succeeded", ["charge.succeeded", "payment_intent.succeeded"]),
        (
            "pm_card_processingFails",
            "requires_payment_method",
            "failed",
            ["charge.failed", "payment_intent.payment_failed"],
        ),
    ] {
        let before = house.event_types(0).await.len();
        let slow = intend(&house, &[("payment_method", card), ("confirm", "true")]).await.ok();
        has(&slow, &json!({"status": "processing", "amount_received": 0}));
        let path = format!("/v1/charges/{}", slow["latest_charge"].as_str().unwrap());
        has(&house.get(&path).await.ok(), &json!({"status": "pending", "paid": false, "amount_captured": 0}));
        let expected = ["payment_intent.created", "charge.pending", "payment_intent.processing"];
        assert_eq!(house.event_types(before).await, expected);
        let again = house.post(&format!("/v1/payment_intents/{}/confirm", id(&slow)), &[]).await.error(400);
        assert_eq!(again["code"], "payment_intent_unexpected_state");
        let before = house.event_types(0).await.len();
        house.clock.set(dunlin::billing::Timestamp::new(house.clock.now().unix_seconds() + 59));
        house.app.engine.settle_down().await.unwrap();
        assert!(house.event_types(before).await.is_empty(), "not yet");
        house.clock.set(dunlin::billing::Timestamp::new(house.clock.now().unix_seconds() + 1));
        house.app.engine.settle_down().await.unwrap();
        let after = house.get(&format!("/v1/payment_intents/{}", id(&slow))).await.ok();
        assert_eq!(after["status"], status);
        // The same charge, decided.
        let decided = house.list(&format!("/v1/charges?payment_intent={}", id(&slow))).await;
        assert_eq!((decided.len(), &decided[0]["status"]), (1, &json!(charge)));
        assert_eq!(house.event_types(before).await, told);
    }
}

/// Processing keeps a first subscription incomplete, and a renewed one as it is, until it settles (1.2, 4.2).
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_payment_keeps_the_status_of_its_subscription() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let clock = house.test_clock("2027-01-01T00:00:00Z").await;
    let customer = house.customer("pm_card_processing", Some(&clock)).await;
    let made = house.subscribe(&customer, &price).await;
    assert_eq!(made["status"], "incomplete");
    let first = subscription(&house, &made).await;
    has(&first["latest_invoice"], &json!({"status": "open", "attempted": true, "attempt_count": 1}));
    let pay = format!("/v1/invoices/{}/pay", id(&first["latest_invoice"]));
    assert_eq!(house.post(&pay, &[]).await.error(400)["code"], "payment_intent_unexpected_state");
    house.advance(&clock, "2027-01-01T00:01:00Z").await;
    let active = subscription(&house, &made).await;
    assert_eq!((&active["status"], &active["latest_invoice"]["status"]), (&json!("active"), &json!("paid")));

    house.default_card(&customer, "pm_card_processingFails").await;
    house.advance(&clock, "2027-02-01T01:00:30Z").await;
    let renewed = subscription(&house, &made).await;
    assert_eq!(renewed["status"], "active");
    has(&renewed["latest_invoice"], &json!({"status": "open", "attempted": true, "attempt_count": 1}));
    house.advance(&clock, "2027-02-01T01:01:00Z").await;
    let failed = subscription(&house, &made).await;
    assert_eq!((&failed["status"], &failed["latest_invoice"]["status"]), (&json!("past_due"), &json!("open")));
    assert_eq!(failed["latest_invoice"]["attempt_count"], 1, "one attempt, however long it took");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_risky_payment_is_marked_and_one_card_is_blocked() {
    let house = House::open().await;
    let charge_of = |intent: Value| {
        let house = &house;
        async move { house.get(&format!("/v1/charges/{}", intent["latest_charge"].as_str().unwrap())).await.ok() }
    };
    for (card, level) in [("pm_card_riskLevelElevated", "elevated"), ("pm_card_riskLevelHighest", "highest")] {
        let risky = intend(&house, &[("payment_method", card), ("confirm", "true")]).await.ok();
        has(&charge_of(risky).await["outcome"], &json!({"risk_level": level, "type": "authorized"}));
    }
    let error = intend(&house, &[("payment_method", "pm_card_radarBlock"), ("confirm", "true")]).await.error(402);
    has(&error, &json!({"code": "card_declined", "decline_code": "highest_risk_level"}));
    let outcome = &charge_of(error["payment_intent"].clone()).await["outcome"];
    has(outcome, &json!({"type": "blocked", "risk_level": "highest", "network_status": "not_sent_to_network"}));
    has(outcome, &json!({"reason": "highest_risk_level", "advice_code": "do_not_try_again"}));
    for (card, checks) in [
        ("cvcCheckFail", json!({"cvc_check": "fail"})),
        ("avsZipFail", json!({"address_postal_code_check": "fail", "address_line1_check": "pass"})),
        ("avsLine1Fail", json!({"address_postal_code_check": "pass", "address_line1_check": "fail"})),
        ("avsFail", json!({"address_postal_code_check": "fail", "address_line1_check": "fail"})),
        ("avsUnchecked", json!({"address_postal_code_check": "unavailable"})),
    ] {
        let paid = intend(&house, &[("payment_method", &format!("pm_card_{card}")), ("confirm", "true")]).await.ok();
        has(&charge_of(paid).await["payment_method_details"]["card"]["checks"], &checks);
    }
}

/// A card that belongs to nobody serves once (10.4).
#[tokio::test(flavor = "multi_thread")]
async fn a_card_of_nobody_pays_once() {
    let house = House::open().await;
    let customer = id(&house.post("/v1/customers", &[]).await.ok());
    let paid = intend(&house, &[("payment_method", "pm_card_visa"), ("confirm", "true")]).await.ok();
    let method = paid["payment_method"].as_str().unwrap();
    let again = intend(&house, &[("payment_method", method), ("confirm", "true")]).await.error(400);
    assert_eq!(again["code"], "payment_method_unexpected_state");
    house.post(&format!("/v1/payment_methods/{method}/attach"), &[("customer", &customer)]).await.error(400);
}

/// What is canceled while the processor is at it cannot be called back, but the money can.
#[tokio::test(flavor = "multi_thread")]
async fn money_that_comes_too_late_goes_back() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let clock = house.test_clock("2027-01-01T00:00:00Z").await;
    for (card, charge, refunds) in [("pm_card_processing", "succeeded", 1), ("pm_card_processingFails", "failed", 0)] {
        let customer = house.customer(card, Some(&clock)).await;
        let made = house.subscribe(&customer, &price).await;
        let invoice = id(&subscription(&house, &made).await["latest_invoice"]);
        house.post(&format!("/v1/invoices/{invoice}/void"), &[]).await.ok();
        let before = house.event_types(0).await.len();
        let now = house.get(&format!("/v1/test_helpers/test_clocks/{clock}")).await.ok()["frozen_time"].clone();
        house.advance_to(&clock, now.as_i64().unwrap() + 60).await;
        let told: Vec<String> =
            house.event_types(before).await.into_iter().filter(|kind| !kind.starts_with("test_helpers")).collect();
        let expected: &[&str] =
            if refunds == 1 { &["charge.succeeded", "refund.created", "charge.refunded"] } else { &["charge.failed"] };
        assert_eq!(told, expected, "{card}");
        let charges = house.list(&format!("/v1/charges?customer={customer}")).await;
        assert_eq!(
            (charges.len(), &charges[0]["status"], &charges[0]["refunded"]),
            (1, &json!(charge), &json!(refunds == 1))
        );
        let authorized = if refunds == 1 { json!(2000) } else { Value::Null };
        assert_eq!(charges[0]["payment_method_details"]["card"]["amount_authorized"], authorized);
        assert_eq!(subscription(&house, &made).await["status"], "incomplete_expired");
        let intents = house.list(&format!("/v1/payment_intents?customer={customer}")).await;
        assert_eq!(intents[0]["status"], "canceled");
    }
}
