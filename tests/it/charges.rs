//! What can be said of charges; the movements on their other side; and attempts to set a card up.

use serde_json::{Value, json};

use crate::catalogue::has;
use crate::support::{House, id};

/// A payment of ten dollars, with more parameters: its charge.
async fn charge(house: &House, more: &[(&str, &str)]) -> Value {
    let form = [("amount", "1000"), ("currency", "usd"), ("payment_method", "pm_card_visa"), ("confirm", "true")];
    let intent = house.post("/v1/payment_intents", &[&form[..], more].concat()).await.ok();
    house.get(&format!("/v1/charges/{}", intent["latest_charge"].as_str().unwrap())).await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_a_charge_may_change() {
    let house = House::open().await;
    let made = charge(&house, &[]).await;
    let path = format!("/v1/charges/{}", id(&made));
    let before = house.event_types(0).await.len();
    let form = [
        ("description", "Two boxes"),
        ("metadata[order]", "6735"),
        ("receipt_email", "ada@example.com"),
        ("fraud_details[user_report]", "safe"),
        ("shipping[name]", "Ada"),
        ("shipping[address][line1]", "1 Main St"),
    ];
    let changed = house.post(&path, &form).await.ok();
    has(
        &changed,
        &json!({
            "description": "Two boxes", "metadata": {"order": "6735"}, "receipt_email": "ada@example.com",
            "fraud_details": {"user_report": "safe"}, "amount": 1000,
        }),
    );
    assert_eq!(changed["shipping"]["address"]["line1"], "1 Main St");
    assert_eq!(house.event_types(before).await, ["charge.updated"]);
    house.post(&path, &[("fraud_details[user_report]", "")]).await.ok();
    assert_eq!(house.get(&path).await.ok()["fraud_details"], json!({}));
    for (name, value) in [("customer", "cus_other"), ("transfer_group", "x"), ("amount", "1")] {
        assert_eq!(house.post(&path, &[(name, value)]).await.error(400)["param"], name);
    }
    assert_eq!(house.post("/v1/charges/ch_none", &[]).await.error(404)["code"], "resource_missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_is_captured_by_its_own_path() {
    let house = House::open().await;
    let reserved = charge(&house, &[("capture_method", "manual")]).await;
    has(&reserved, &json!({"captured": false, "balance_transaction": null}));
    assert!(house.list("/v1/balance_transactions").await.is_empty(), "nothing has moved yet");
    let path = format!("/v1/charges/{}/capture", id(&reserved));
    let captured = house.post(&path, &[("amount", "700")]).await.ok();
    has(&captured, &json!({"object": "charge", "captured": true, "amount_captured": 700, "amount_refunded": 300}));
    let moved = format!("/v1/balance_transactions/{}", captured["balance_transaction"].as_str().unwrap());
    has(&house.get(&moved).await.ok(), &json!({"amount": 700, "type": "charge", "source": reserved["id"]}));
    house.post(&path, &[]).await.error(400);
    house.post("/v1/charges/ch_none/capture", &[]).await.error(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_movement_has_its_other_side() {
    let house = House::open().await;
    let mut sources = Vec::new();
    for _ in 0..3 {
        let made = charge(&house, &[]).await;
        sources.push(id(&made));
        house.clock.set(dunlin::billing::Timestamp::new(house.clock.now().unix_seconds() + 1));
        let back = house.post("/v1/refunds", &[("charge", &*id(&made)), ("amount", "400")]).await.ok();
        sources.push(id(&back));
        house.clock.set(dunlin::billing::Timestamp::new(house.clock.now().unix_seconds() + 1));
    }
    let declined = [
        ("amount", "5000"),
        ("currency", "usd"),
        ("payment_method", "pm_card_visa_chargeDeclined"),
        ("confirm", "true"),
    ];
    house.post("/v1/payment_intents", &declined).await.error(402);
    let all = house.list("/v1/balance_transactions").await;
    let of = |found: &[Value]| found.iter().map(|one| one["source"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    sources.reverse();
    assert_eq!(of(&all), sources, "newest first, and nothing of what was declined");
    assert_eq!(all.iter().map(|one| one["net"].as_i64().unwrap()).sum::<i64>(), 3 * 600);
    has(
        &all[0],
        &json!({"object": "balance_transaction", "amount": -400, "fee": 0, "type": "refund", "status": "available"}),
    );
    // Page by page, there and back.
    let page = house.get("/v1/balance_transactions?limit=2").await.ok();
    assert_eq!((of(page["data"].as_array().unwrap()), &page["has_more"]), (sources[..2].to_vec(), &json!(true)));
    let next = house.get(&format!("/v1/balance_transactions?limit=4&starting_after={}", id(&all[1]))).await.ok();
    assert_eq!((of(next["data"].as_array().unwrap()), &next["has_more"]), (sources[2..].to_vec(), &json!(false)));
    let back = house.get(&format!("/v1/balance_transactions?limit=2&ending_before={}", id(&all[3]))).await.ok();
    assert_eq!((of(back["data"].as_array().unwrap()), &back["has_more"]), (sources[1..3].to_vec(), &json!(true)));
    // By what they are.
    for (query, expected) in [
        ("type=refund".to_owned(), 3),
        ("type=charge".to_owned(), 3),
        ("type=payout".to_owned(), 0),
        (format!("source={}", sources[0]), 1),
        ("currency=USD".to_owned(), 6),
        ("currency=eur".to_owned(), 0),
        (format!("created[gt]={}", all[2]["created"]), 2),
    ] {
        assert_eq!(house.list(&format!("/v1/balance_transactions?{query}")).await.len(), expected, "{query}");
    }
    // Each can be had from the other.
    let path = format!("/v1/charges/{}?expand[]=balance_transaction", all[1]["source"].as_str().unwrap());
    assert_eq!(house.get(&path).await.ok()["balance_transaction"], all[1]);
    let path = format!("/v1/refunds/{}?expand[]=balance_transaction", all[0]["source"].as_str().unwrap());
    assert_eq!(house.get(&path).await.ok()["balance_transaction"], all[0]);
    let shown = house.get(&format!("/v1/balance_transactions/{}?expand[]=source", id(&all[1]))).await.ok();
    assert_eq!((&shown["source"]["object"], shown["source"].get("internal")), (&json!("charge"), None));
    assert_eq!(house.get("/v1/balance_transactions/txn_none").await.error(404)["code"], "resource_missing");
    assert_eq!(
        house.get("/v1/balance_transactions?starting_after=txn_none").await.error(400)["param"],
        "starting_after"
    );
    assert_eq!(house.get("/v1/balance_transactions?payout=po_1").await.error(400)["param"], "payout");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attempt_to_set_a_card_up_is_kept() {
    let house = House::open().await;
    let customer = id(&house.post("/v1/customers", &[]).await.ok());
    let setup = id(&house.post("/v1/setup_intents", &[("customer", &*customer)]).await.ok());
    let confirm = format!("/v1/setup_intents/{setup}/confirm");
    let attempts = format!("/v1/setup_attempts?setup_intent={setup}");
    assert!(house.list(&attempts).await.is_empty());
    house.post(&confirm, &[("payment_method", "pm_card_visa_chargeDeclined")]).await.error(402);
    let failed = house.list(&attempts).await;
    has(
        &failed[0],
        &json!({"object": "setup_attempt", "status": "failed", "customer": customer, "setup_intent": setup}),
    );
    assert_eq!(failed[0]["setup_error"]["code"], "card_declined");
    let waiting = [("payment_method", "pm_card_authenticationRequiredOnSetup"), ("expand[]", "latest_attempt")];
    let waiting = house.post(&confirm, &waiting).await.ok();
    assert_eq!(
        (&waiting["status"], &waiting["latest_attempt"]["status"]),
        (&json!("requires_action"), &json!("requires_action"))
    );
    house.post(&format!("/v1/test_helpers/setup_intents/{setup}/authenticate"), &[("outcome", "succeed")]).await.ok();
    let done = house.list(&attempts).await;
    assert_eq!(done.iter().map(|one| &one["status"]).collect::<Vec<_>>(), [&json!("succeeded"), &json!("failed")]);
    assert_eq!(done[0]["id"], waiting["latest_attempt"]["id"], "it has gone on");
    assert_eq!(done[0]["payment_method_details"]["card"]["brand"], "visa");
    assert_eq!(house.get("/v1/setup_attempts").await.error(400)["param"], "setup_intent");
}
