//! What happens around charges that are made directly: nobody sees the intents that do the work, and whatever is
//! lost, nobody is charged twice.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::catalogue::has;
use crate::direct_charges::{TEN_DOLLARS, balance, charge, customer_with, later, try_charge};
use crate::silence::Silent;
use crate::support::{Answer, House, KEY, Process, count, faulty_cards, id, new_database};

#[tokio::test(flavor = "multi_thread")]
async fn a_processor_may_take_its_time() {
    let house = House::open().await;
    for (token, status, event) in
        [("tok_processing", "succeeded", "charge.succeeded"), ("tok_processingFails", "failed", "charge.failed")]
    {
        let before = house.event_types(0).await.len();
        let made = charge(&house, &[("source", token)]).await;
        has(&made, &json!({"status": "pending", "paid": false, "captured": false, "balance_transaction": null}));
        assert_eq!(house.event_types(before).await, ["charge.pending"]);
        later(&house, 60).await;
        let done = house.get(&format!("/v1/charges/{}", id(&made))).await.ok();
        has(&done, &json!({"status": status, "paid": status == "succeeded", "captured": status == "succeeded"}));
        assert_eq!(house.event_types(before).await, ["charge.pending", event]);
    }
}

/// The intent that does the work is told of nowhere and can be named nowhere.
#[tokio::test(flavor = "multi_thread")]
async fn no_intent_is_seen() {
    let house = House::open().await;
    let (customer, _) = customer_with(&house, &["tok_visa"]).await;
    let shown = [("payment_method", "pm_card_visa"), ("confirm", "true"), ("metadata[a]", "1")];
    let shown = house.post("/v1/payment_intents", &[&TEN_DOLLARS[..], &shown].concat()).await.ok();
    let made = charge(&house, &[("source", "tok_visa"), ("metadata[a]", "1")]).await;
    charge(&house, &[("customer", &*customer), ("metadata[a]", "1")]).await;
    let reserved = charge(&house, &[("source", "tok_visa"), ("capture", "false"), ("metadata[a]", "1")]).await;
    try_charge(&house, &[("source", "tok_chargeDeclined"), ("metadata[a]", "1")]).await.error(402);
    assert_eq!(house.count("select count(*) from payment_intents").await, 5);
    let hidden = id(&made).replace("ch_", "direct_");
    let counted = format!("select count(*) from payment_intents where id = '{hidden}'");
    assert_eq!(house.count(&counted).await, 1, "this is its name");

    let only = json!([shown]);
    for query in ["limit=10", "created[gte]=0", "created[lte]=4000000000"] {
        let page = house.get(&format!("/v1/payment_intents?{query}")).await.ok();
        assert_eq!((&page["data"], &page["has_more"]), (&only, &json!(false)), "{query}");
    }
    assert!(house.list(&format!("/v1/payment_intents?customer={customer}")).await.is_empty());
    let after = house.get(&format!("/v1/payment_intents?starting_after={}", id(&shown))).await.ok();
    assert_eq!((&after["data"], &after["has_more"]), (&json!([]), &json!(false)));
    for query in ["amount>999", "metadata['a']:'1'", "status:'succeeded'", "created>0", "-status:'canceled'"] {
        let form = [("query", query), ("expand[]", "total_count")];
        let found = house.call(Method::GET, "/v1/payment_intents/search", &form, &[]).await.ok();
        let seen = (&found["data"], &found["has_more"], &found["total_count"]);
        assert_eq!(seen, (&only, &json!(false), &json!(1)), "{query}");
    }
    let intents = house.list("/v1/events?type=payment_intent.*").await;
    assert!(intents.iter().all(|event| event["data"]["object"]["id"] == shown["id"]), "{intents:#?}");

    // By its name, should anybody guess it.
    for (method, path) in [
        (Method::GET, format!("/v1/payment_intents/{hidden}")),
        (Method::POST, format!("/v1/payment_intents/{hidden}")),
        (Method::POST, format!("/v1/payment_intents/{hidden}/confirm")),
        (Method::POST, format!("/v1/payment_intents/{}/capture", id(&reserved).replace("ch_", "direct_"))),
        (Method::POST, format!("/v1/payment_intents/{}/cancel", id(&reserved).replace("ch_", "direct_"))),
    ] {
        assert_eq!(house.call(method, &path, &[], &[]).await.error(404)["code"], "resource_missing", "{path}");
    }
    let outcome = [("outcome", "succeed")];
    house.post(&format!("/v1/test_helpers/payment_intents/{hidden}/authenticate"), &outcome).await.error(404);
    for path in ["/v1/payment_intents?starting_after=", "/v1/payment_intents?ending_before="] {
        house.get(&format!("{path}{hidden}")).await.error(400);
    }
    let refunded = charge(&house, &[("source", "tok_visa")]).await;
    house.post("/v1/refunds", &[("charge", &*id(&refunded))]).await.ok();
    let disputed = charge(&house, &[("source", "tok_createDispute")]).await;
    let suspected = charge(&house, &[("source", "tok_createIssuerFraudRecord")]).await;
    later(&house, 3600).await;
    for (list, charge) in [("refunds", &refunded), ("disputes", &disputed), ("radar/early_fraud_warnings", &suspected)]
    {
        let all = house.list(&format!("/v1/{list}?charge={}", id(charge))).await;
        assert_eq!((all.len(), &all[0]["payment_intent"]), (1, &Value::Null), "{list}");
        let hidden = id(charge).replace("ch_", "direct_");
        assert!(house.list(&format!("/v1/{list}?payment_intent={hidden}")).await.is_empty(), "{list}");
    }
    for list in ["charges", "refunds", "disputes"] {
        assert!(house.list(&format!("/v1/{list}?payment_intent={hidden}")).await.is_empty(), "{list}");
    }
    assert_eq!(house.post("/v1/refunds", &[("payment_intent", &*hidden)]).await.error(400)["code"], "resource_missing");
    let both = [("charge", &*id(&made)), ("payment_intent", &*hidden)];
    assert_eq!(house.post("/v1/refunds", &both).await.error(400)["param"], "payment_intent");
    house.post(&format!("/v1/customers/{customer}"), &[("email", "ada@example.com")]).await.ok();
    let price = house.monthly_price(2000).await;
    let open = [("collection_method", "send_invoice"), ("days_until_due", "3")];
    let open = house.subscribe_with(&customer, &price, &open).await.ok()["latest_invoice"].clone();
    let invoice = format!("/v1/invoices/{}", open.as_str().unwrap());
    house.post(&format!("{invoice}/finalize"), &[]).await.ok();
    let attach = [("payment_intent", &*hidden)];
    assert_eq!(house.post(&format!("{invoice}/attach_payment"), &attach).await.error(400)["code"], "resource_missing");
    // Expanding leads nowhere.
    let expanded = house.get(&format!("/v1/charges/{}?expand[]=payment_intent", id(&made))).await.ok();
    assert_eq!(expanded["payment_intent"], json!(null));
    let all = house.list("/v1/charges").await;
    let everything = house.get("/v1/charges?expand[]=data.payment_intent").await.text
        + &house.list("/v1/events").await.iter().map(Value::to_string).collect::<String>();
    assert!(all.len() == 8 && !everything.contains("direct_"), "{everything}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_twice_is_one_charge() {
    let house = House::open().await;
    let keyed = |key: &'static str, source: &'static str| {
        let form = [&TEN_DOLLARS[..], &[("source", source)]].concat();
        let house = &house;
        async move { house.call(Method::POST, "/v1/charges", &form, &[("idempotency-key", key)]).await }
    };
    for (key, source, status) in [("paid", "tok_visa", 200), ("declined", "tok_chargeDeclined", 402)] {
        let twins = join_all((0..10).map(|_| keyed(key, source))).await;
        let answered: Vec<&Answer> = twins.iter().filter(|answer| answer.status != 409).collect();
        let again = keyed(key, source).await;
        assert_eq!(again.status, status, "{:#}", again.body);
        assert!(!answered.is_empty() && answered.iter().all(|answer| answer.text == again.text));
        assert_eq!(again.headers["idempotent-replayed"], "true");
    }
    assert_eq!(house.list("/v1/charges").await.len(), 2);
    assert_eq!(house.event_types(0).await, ["charge.succeeded", "charge.failed"]);
    assert_eq!(balance(&house).await, 1000);
    assert_eq!(keyed("paid", "tok_mastercard").await.status, 400);
}

/// Whose answers are lost is asked again with the same key; who never answers is asked later on.
#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_charge_nobody_twice() {
    let ledger = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("ledger-direct-{}", std::process::id()));
    let _ = fs::remove_dir_all(&ledger);
    let house = House::open_with(faulty_cards(2, &ledger), 0).await;
    let mut keys = Vec::new();
    for _ in 0..4 {
        let made = charge(&house, &[("source", "tok_visa")]).await;
        assert_eq!(made["status"], "succeeded");
        keys.push(format!("{}-1", id(&made).replace("ch_", "direct_")));
    }
    let mut asked: Vec<String> =
        fs::read_dir(&ledger).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    asked.sort_unstable();
    assert_eq!(asked, keys, "one key for each charge");
    let _ = fs::remove_dir_all(&ledger);

    let gateway = Arc::new(Silent::default());
    let house = House::open_with(Arc::<Silent>::clone(&gateway), 0).await;
    let (customer, _) = customer_with(&house, &["tok_visa"]).await;
    let (failing, _) = customer_with(&house, &["tok_chargeCustomerFail"]).await;
    let before = house.event_types(0).await.len();
    gateway.silent.store(true, Ordering::Relaxed);
    let unknown = [
        charge(&house, &[("source", "tok_visa")]).await,
        charge(&house, &[("customer", &*customer)]).await,
        charge(&house, &[("customer", &*failing)]).await,
    ];
    for made in &unknown {
        has(made, &json!({"status": "pending", "paid": false, "outcome": null, "payment_intent": null}));
        house.post("/v1/refunds", &[("charge", &*id(made))]).await.error(400);
        house.post(&format!("/v1/charges/{}/capture", id(made)), &[]).await.error(400);
    }
    assert!(house.event_types(before).await.is_empty(), "nothing is known yet");
    gateway.silent.store(false, Ordering::Relaxed);
    later(&house, 120).await;
    for (made, status) in unknown.iter().zip(["succeeded", "succeeded", "failed"]) {
        let done = house.get(&format!("/v1/charges/{}", id(made))).await.ok();
        assert_eq!(done["status"], status, "{done:#}");
        assert!(done["outcome"]["type"].is_string(), "{done:#}");
    }
    let mut told = house.event_types(before).await;
    told.sort_unstable();
    assert_eq!(told, ["charge.failed", "charge.succeeded", "charge.succeeded"]);
    assert_eq!(house.list("/v1/charges").await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_before_the_answer_leaves_one_charge() {
    let database_url = new_database().await;
    let slow = [("DATABASE_URL", &*database_url), ("DUNLIN_GATEWAY_LATENCY_MS", "600000")];
    let process = Process::start(&slow).await;
    let client = Client::new();
    let make = |url: String| {
        let request = client.post(format!("{url}/v1/charges")).bearer_auth(KEY);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        request.body("amount=1000&currency=usd&source=tok_visa").header("idempotency-key", "once").send()
    };
    let lost = tokio::spawn(make(process.url.clone()));
    while count(&database_url, "select count(*) from payment_intents where due_at is not null").await == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    process.kill();
    assert!(lost.await.unwrap().map_or(true, |answer| answer.status() == 504), "nobody was answered");
    let process = Process::start(&[("DATABASE_URL", &database_url), ("DUNLIN_CLOCK_OFFSET", "-3600")]).await;
    assert_eq!(make(process.url.clone()).await.unwrap().status(), 409, "it may still be under way");
    process.kill();
    let process = Process::start(&[("DATABASE_URL", &database_url), ("DUNLIN_CLOCK_OFFSET", "120")]).await;
    let mut answers = Vec::new();
    for _ in 0..2 {
        let answer = make(process.url.clone()).await.unwrap();
        assert_eq!(answer.status(), 200);
        answers.push(answer.text().await.unwrap());
    }
    assert_eq!(answers[0], answers[1]);
    let made: Value = serde_json::from_str(&answers[0]).unwrap();
    has(&made, &json!({"object": "charge", "status": "succeeded", "payment_intent": null}));
    for sql in ["charges", "payment_intents", "events where type = 'charge.succeeded'", "events"] {
        assert_eq!(count(&database_url, &format!("select count(*) from {sql}")).await, 1, "{sql}");
    }
}

/// What nobody has answered yet is let go of once, and captured once.
#[tokio::test(flavor = "multi_thread")]
async fn what_follows_may_be_lost_too() {
    let gateway = Arc::new(Silent::default());
    let house = House::open_with(Arc::<Silent>::clone(&gateway), 0).await;
    let (customer, _) = customer_with(&house, &["tok_visa"]).await;
    for form in [[("source", "tok_visa"), ("capture", "false")], [("customer", &*customer), ("capture", "false")]] {
        let (first, second) = (charge(&house, &form).await, charge(&house, &form).await);
        let before = house.event_types(0).await.len();
        gateway.silent.store(true, Ordering::Relaxed);
        let released = house.post("/v1/refunds", &[("charge", &*id(&first))]).await.ok();
        has(&released, &json!({"status": "pending", "amount": 1000, "balance_transaction": null}));
        let capture = format!("/v1/charges/{}/capture", id(&second));
        assert_eq!(house.post(&capture, &[("amount", "700")]).await.ok()["captured"], false);
        for path in [format!("/v1/charges/{}/capture", id(&first)), capture] {
            assert_eq!(house.post(&path, &[]).await.error(429)["code"], "lock_timeout");
        }
        assert_eq!(house.post("/v1/refunds", &[("charge", &*id(&second))]).await.error(429)["code"], "lock_timeout");
        assert!(house.event_types(before).await.is_empty());
        gateway.silent.store(false, Ordering::Relaxed);
        later(&house, 120).await;
        let fresh = house.get(&format!("/v1/refunds/{}", id(&released))).await.ok();
        has(&fresh, &json!({"status": "succeeded", "balance_transaction": null}));
        has(&house.fresh(&first).await, &json!({"captured": false, "refunded": true}));
        has(&house.fresh(&second).await, &json!({"captured": true, "amount_captured": 700}));
        let mut told = house.event_types(before).await;
        told.sort_unstable();
        assert_eq!(told, ["charge.captured", "charge.refunded", "refund.created"]);
    }
    assert_eq!(balance(&house).await, 1400);
}
