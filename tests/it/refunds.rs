//! Money given back: in full, in parts, too much, twice, late, and not after all.

use std::{fs, path::PathBuf, process, sync::Arc, time::Duration};

use dunlin::{
    billing::{Timestamp, payment_intent::Action},
    gateway::test_cards::{Faults, TestCards},
};
use serde_json::{Value, json};

use crate::catalogue::has;
use crate::support::{Answer, Deaf, House, id};

/// A payment of ten dollars with a card.
async fn pay(house: &House, card: &str) -> Value {
    let form = [("amount", "1000"), ("currency", "usd"), ("payment_method", card), ("confirm", "true")];
    house.post("/v1/payment_intents", &form).await.ok()
}

async fn refund(house: &House, form: &[(&str, &str)]) -> Answer {
    house.post("/v1/refunds", form).await
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

async fn charge(house: &House, intent: &Value) -> Value {
    house.get(&format!("/v1/charges/{}?expand[]=refunds", text(&intent["latest_charge"]))).await.ok()
}

async fn later(house: &House, seconds: i64) {
    house.clock.set(Timestamp::new(house.clock.now().unix_seconds() + seconds));
    house.app.engine.settle_down().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_is_given_back_in_full_once() {
    let house = House::open().await;
    let intent = pay(&house, "pm_card_visa").await;
    let before = house.event_types(0).await.len();
    let form = [("payment_intent", text(&intent["id"])), ("reason", "requested_by_customer"), ("metadata[k]", "v")];
    let made = refund(&house, &form).await.ok();
    has(&made, &json!({"object": "refund", "status": "succeeded", "amount": 1000, "currency": "usd"}));
    has(&made, &json!({"reason": "requested_by_customer", "metadata": {"k": "v"}, "customer": null}));
    assert_eq!((&made["charge"], &made["payment_intent"]), (&intent["latest_charge"], &intent["id"]));
    assert_eq!(house.event_types(before).await, ["refund.created", "charge.refunded"]);
    let charge = charge(&house, &intent).await;
    has(&charge, &json!({"amount_refunded": 1000, "refunded": true, "status": "succeeded", "amount_captured": 1000}));
    assert_eq!(charge["refunds"]["data"][0]["id"], made["id"]);
    assert_eq!(house.get(&format!("/v1/payment_intents/{}", id(&intent))).await.ok()["status"], "succeeded");
    let again = refund(&house, &form).await.error(400);
    has(&again, &json!({"type": "invalid_request_error", "code": "charge_already_refunded"}));
    assert_eq!(again["message"], format!("Charge {} has already been refunded.", id(&charge)));
    assert_eq!(house.get("/v1/balance").await.ok()["available"][0]["amount"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_add_up_to_the_whole() {
    let house = House::open().await;
    let intent = pay(&house, "pm_card_visa").await;
    let whole = text(&intent["latest_charge"]);
    for bad in ["0", "-1", "x", "1001"] {
        assert_eq!(refund(&house, &[("charge", whole), ("amount", bad)]).await.error(400)["param"], "amount", "{bad}");
    }
    let first = refund(&house, &[("charge", whole), ("amount", "400")]).await.ok();
    has(&charge(&house, &intent).await, &json!({"amount_refunded": 400, "refunded": false}));
    let error = refund(&house, &[("charge", whole), ("amount", "601")]).await.error(400);
    let message = "Refund amount ($6.01) is greater than unrefunded amount on charge ($6.00)";
    assert_eq!(error["message"], message);
    // What is left, by the alias below the charge.
    let rest = house.post(&format!("/v1/charges/{whole}/refunds"), &[]).await.ok();
    assert_eq!(rest["amount"], 600);
    has(&charge(&house, &intent).await, &json!({"amount_refunded": 1000, "refunded": true}));
    let other = pay(&house, "pm_card_visa").await;
    refund(&house, &[("payment_intent", text(&other["id"]))]).await.ok();
    for (query, count) in
        [(String::new(), 3), (format!("?charge={whole}"), 2), (format!("?payment_intent={}", id(&other)), 1)]
    {
        assert_eq!(house.list(&format!("/v1/refunds{query}")).await.len(), count, "{query}");
    }
    let below = house.list(&format!("/v1/charges/{whole}/refunds")).await;
    assert_eq!(below.iter().map(id).collect::<Vec<_>>(), [id(&rest), id(&first)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_money_that_came_can_go_back() {
    let house = House::open().await;
    let manual = [("amount", "1000"), ("currency", "usd"), ("payment_method", "pm_card_visa"), ("confirm", "true")];
    let reserved =
        house.post("/v1/payment_intents", &[&manual[..], &[("capture_method", "manual")]].concat()).await.ok();
    let open = house.post("/v1/payment_intents", &manual[..2]).await.ok();
    for intent in [&reserved, &open] {
        let error = refund(&house, &[("payment_intent", text(&intent["id"]))]).await.error(400);
        has(&error, &json!({"code": "charge_not_refundable", "param": "payment_intent"}));
    }
    let error = refund(&house, &[("charge", text(&reserved["latest_charge"]))]).await.error(400);
    assert_eq!(error["code"], "charge_not_refundable");
    assert_eq!(refund(&house, &[]).await.error(400)["code"], "parameter_missing");
    has(
        &refund(&house, &[("charge", "ch_x")]).await.error(400),
        &json!({"code": "resource_missing", "param": "charge"}),
    );
    let error = refund(&house, &[("payment_intent", "pi_x")]).await.error(400);
    has(&error, &json!({"code": "resource_missing", "param": "payment_intent"}));
    house.get("/v1/refunds/re_x").await.error(404);
    let paid = pay(&house, "pm_card_visa").await;
    let both = [("charge", text(&paid["latest_charge"])), ("payment_intent", text(&open["id"]))];
    refund(&house, &both).await.error(400);
    for (name, value) in
        [("refund_application_fee", "true"), ("origin", "customer_balance"), ("reason", "expired_uncaptured_charge")]
    {
        let form = [("charge", text(&paid["latest_charge"])), (name, value)];
        assert_eq!(refund(&house, &form).await.error(400)["param"], name);
    }
    // Of a payment that was captured in part, only that part can go back.
    house.post(&format!("/v1/payment_intents/{}/capture", id(&reserved)), &[("amount_to_capture", "600")]).await.ok();
    assert_eq!(refund(&house, &[("payment_intent", text(&reserved["id"]))]).await.ok()["amount"], 600);
    assert_eq!(house.count("select count(*) from refunds").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_takes_notes_and_cannot_be_canceled() {
    let house = House::open().await;
    let intent = pay(&house, "pm_card_visa").await;
    let made = refund(&house, &[("payment_intent", text(&intent["id"]))]).await.ok();
    let path = format!("/v1/refunds/{}", id(&made));
    let before = house.event_types(0).await.len();
    assert_eq!(house.post(&path, &[("metadata[order]", "7")]).await.ok()["metadata"], json!({"order": "7"}));
    assert_eq!(house.event_types(before).await, ["refund.updated", "charge.refund.updated"]);
    let told = &house.list("/v1/events?type=refund.updated").await[0];
    assert_eq!(told["data"]["previous_attributes"], json!({"metadata": {"order": null}}));
    house.post(&path, &[("metadata[order]", "7")]).await.ok();
    assert_eq!(house.event_types(before).await.len(), 2, "nothing changed, nothing told");
    assert_eq!(house.post(&format!("{path}/cancel"), &[]).await.error(400)["code"], "status_transition_invalid");
    let whole = house.get(&format!("{path}?expand[]=charge&expand[]=payment_intent")).await.ok();
    assert_eq!((&whole["charge"]["object"], &whole["payment_intent"]["id"]), (&json!("charge"), &intent["id"]));
}

/// Refund cards (11.4): one is pending first, one comes back after it seemed to succeed.
#[tokio::test(flavor = "multi_thread")]
async fn some_refunds_are_decided_later() {
    let house = House::open().await;
    let slow = pay(&house, "pm_card_pendingRefund").await;
    let before = house.event_types(0).await.len();
    let made = refund(&house, &[("payment_intent", text(&slow["id"])), ("amount", "300")]).await.ok();
    has(&made, &json!({"status": "pending", "pending_reason": "processing"}));
    has(&charge(&house, &slow).await, &json!({"amount_refunded": 300, "refunded": false}));
    assert_eq!(house.event_types(before).await, ["refund.created", "charge.refunded"]);
    // Another one does not wait for the first.
    refund(&house, &[("payment_intent", text(&slow["id"])), ("amount", "200")]).await.ok();
    let before = house.event_types(0).await.len();
    later(&house, 60).await;
    let told = ["refund.updated", "charge.refund.updated", "refund.updated", "charge.refund.updated"];
    assert_eq!(house.event_types(before).await, told);
    let after = house.get(&format!("/v1/refunds/{}", id(&made))).await.ok();
    assert!(after["status"] == "succeeded" && after.get("pending_reason").is_none(), "{after:#}");
    assert_eq!(charge(&house, &slow).await["amount_refunded"], 500);
    assert_eq!(house.count("select count(*) from payment_intents where due_at is not null or standing").await, 0);

    let failing = pay(&house, "pm_card_refundFail").await;
    let made = refund(&house, &[("payment_intent", text(&failing["id"]))]).await.ok();
    assert_eq!(made["status"], "succeeded");
    has(&charge(&house, &failing).await, &json!({"amount_refunded": 1000, "refunded": true}));
    let before = house.event_types(0).await.len();
    later(&house, 60).await;
    let told = ["refund.updated", "charge.refund.updated", "refund.failed", "charge.updated"];
    assert_eq!(house.event_types(before).await, told);
    let after = house.get(&format!("/v1/refunds/{}", id(&made))).await.ok();
    has(&after, &json!({"status": "failed", "failure_reason": "expired_or_canceled_card"}));
    // The money is back with the charge, and can be given back again.
    has(&charge(&house, &failing).await, &json!({"amount_refunded": 0, "refunded": false}));
    assert_eq!(refund(&house, &[("payment_intent", text(&failing["id"]))]).await.ok()["amount"], 1000);
}

/// A refund changes neither its invoice nor the subscription (10.5).
#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_stays_paid_when_its_money_goes_back() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let clock = house.test_clock("2027-01-01T00:00:00Z").await;
    let customer = house.customer("pm_card_pendingRefund", Some(&clock)).await;
    let made = house.subscribe(&customer, &price).await;
    let charge = &house.list(&format!("/v1/charges?customer={customer}")).await[0];
    let given = refund(&house, &[("charge", &id(charge))]).await.ok();
    has(&given, &json!({"status": "pending", "amount": 2000, "customer": customer}));
    assert_eq!(given["created"], made["created"], "at the time of the clock");
    house.advance(&clock, "2027-01-01T00:01:00Z").await;
    assert_eq!(house.get(&format!("/v1/refunds/{}", id(&given))).await.ok()["status"], "succeeded");
    let after = house.get(&format!("/v1/subscriptions/{}?expand[]=latest_invoice", id(&made))).await.ok();
    assert_eq!((&after["status"], &after["latest_invoice"]["status"]), (&json!("active"), &json!("paid")));
    has(&after["latest_invoice"], &json!({"amount_paid": 2000, "amount_remaining": 0}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_whose_answer_was_lost_gives_back_once() {
    let ledger = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("ledger-refunds-{}", process::id()));
    fs::create_dir_all(&ledger).unwrap();
    // The second answer is lost: the payment is answered, the first question about the refund is not.
    let faults = Faults { latency: Duration::ZERO, lose_one_in: 2, ledger: Some(ledger.clone()) };
    let house = House::open_with(Arc::new(TestCards::new(faults)), 0).await;
    let intent = pay(&house, "pm_card_visa").await;
    let form = [("payment_intent", text(&intent["id"])), ("amount", "400")];
    let key = [("idempotency-key", "back")];
    let made = house.call(reqwest::Method::POST, "/v1/refunds", &form, &key).await.ok();
    assert_eq!(made["status"], "succeeded");
    let known = fs::read_to_string(ledger.join(format!("{}-2", id(&intent)))).unwrap();
    assert_eq!(known, "refunded 400 usd\nagain\n");
    let again = house.call(reqwest::Method::POST, "/v1/refunds", &form, &key).await.ok();
    assert_eq!(again["id"], made["id"]);
    assert_eq!(charge(&house, &intent).await["amount_refunded"], 400);
    fs::remove_dir_all(&ledger).unwrap();
}

/// The question is committed before it is asked: nobody's crash or silence loses it.
#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_was_not_answered_is_finished_by_whoever_comes_next() {
    let gateway = Deaf::to(Action::Refund);
    let house = House::open_with(gateway.clone(), 0).await;
    let intent = pay(&house, "pm_card_visa").await;
    let before = house.event_types(0).await.len();
    let form = [("payment_intent", text(&intent["id"]))];
    let made = refund(&house, &form).await.ok();
    assert_eq!(made["status"], "pending");
    assert!(house.event_types(before).await.is_empty(), "told when its outcome is known");
    assert_eq!(refund(&house, &form).await.error(429)["code"], "lock_timeout");
    gateway.hear();
    later(&house, 59).await;
    assert_eq!(house.get(&format!("/v1/refunds/{}", id(&made))).await.ok()["status"], "pending");
    later(&house, 1).await;
    assert_eq!(house.get(&format!("/v1/refunds/{}", id(&made))).await.ok()["status"], "succeeded");
    assert_eq!(house.event_types(before).await, ["refund.created", "charge.refunded"]);
    assert_eq!(charge(&house, &intent).await["amount_refunded"], 1000);
}
