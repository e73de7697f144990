//! What was sent to whom, and sending it again; secrets that roll; and that one bad endpoint slows nobody.

use std::time::{Duration, Instant};

use dunlin::billing::Timestamp;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::{
    catalogue::has,
    sinks::{Answer, Sink},
    support::{House, at, execute, id},
    webhooks::{dispatch, endpoint},
};

const START: &str = "2027-01-01T00:00:00Z";

async fn deliveries(house: &House, query: &str) -> Vec<Value> {
    house.list(&format!("/v1/dunlin/deliveries?{query}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_tells_what_went_out_and_what_came_back() {
    let house = House::open().await;
    let sink = Sink::open().await;
    let made = id(&endpoint(&house, &sink.url, &["customer.created", "product.created"]).await);
    let customer = id(&house.post("/v1/customers", &[]).await.ok());
    let waiting = deliveries(&house, "").await.swap_remove(0);
    has(
        &waiting,
        &json!({
            "object": "dunlin.delivery", "status": "waiting", "attempts": 0, "last_attempt": null, "about": customer,
            "endpoint": made, "type": "customer.created", "sequence": 1, "next_attempt": at(START), "created": at(START),
            "livemode": false,
        }),
    );
    sink.answer(|_| Answer { body: format!("no\0{}", "x".repeat(5000)), ..Answer::status(503) });
    dispatch(&house).await;
    let path = format!("/v1/dunlin/deliveries/{}", id(&waiting));
    let failed = house.get(&path).await.ok();
    has(&failed, &json!({"status": "failed", "attempts": 1}));
    assert!((at(START) + 5..=at(START) + 6).contains(&failed["next_attempt"].as_i64().unwrap()));
    let attempt = &failed["last_attempt"];
    has(attempt, &json!({"number": 1, "outcome": "failed", "at": at(START), "error": null, "out_of_order": false}));
    assert_eq!(attempt["response"]["status"], 503);
    let body = attempt["response"]["body"].as_str().unwrap();
    assert!(body.starts_with("no\u{fffd}xxx") && body.chars().count() == 2048, "its beginning only");
    let heard = sink.heard().swap_remove(0);
    has(
        &attempt["request"],
        &json!({"method": "POST", "url": sink.url, "headers": {
            "content-type": heard.header("content-type"), "user-agent": heard.header("user-agent"),
            "stripe-signature": heard.header("stripe-signature"), "dunlin-sequence": "1",
        }}),
    );
    sink.answer(|_| Answer { body: "thanks".to_owned(), ..Answer::ok() });
    house.clock.set(Timestamp::new(at(START) + 10));
    dispatch(&house).await;
    let delivered = house.get(&path).await.ok();
    has(&delivered, &json!({"status": "delivered", "attempts": 2, "next_attempt": null}));
    assert_eq!(delivered["last_attempt"]["response"], json!({"status": 200, "body": "thanks"}));
    let outcomes: Vec<&Value> =
        delivered["attempt_log"].as_array().unwrap().iter().map(|attempt| &attempt["outcome"]).collect();
    assert_eq!(outcomes, ["delivered", "failed"]);

    // A second endpoint that nobody listens at, and more events.
    let dead = id(&endpoint(&house, "http://127.0.0.1:9/", &["*"]).await);
    house.post("/v1/products", &[("name", "A")]).await.ok();
    dispatch(&house).await;
    for (query, expected) in [
        ("status=delivered", 2),
        ("status=failed", 1),
        ("status=waiting", 0),
        ("status=given_up", 0),
        (&*format!("endpoint={made}"), 2),
        (&*format!("endpoint={dead}&status=failed"), 1),
        ("type=customer.created", 1),
        ("type=product.*", 2),
        (&*format!("event={}", delivered["event"].as_str().unwrap()), 1),
        (&*format!("created[gt]={}", at(START)), 2),
        (&*format!("created[lte]={}", at(START)), 1),
        (&*format!("created={}", at(START) + 10), 2),
    ] {
        assert_eq!(deliveries(&house, query).await.len(), expected, "{query}");
    }
    let refused = deliveries(&house, "status=failed").await.swap_remove(0);
    assert_eq!(refused["last_attempt"]["response"], Value::Null);
    assert!(refused["last_attempt"]["error"].as_str().unwrap().contains("refused"), "{refused:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_are_paged_and_mistakes_refused() {
    let house = House::open().await;
    let sink = Sink::open().await;
    endpoint(&house, &sink.url, &["customer.created"]).await;
    endpoint(&house, "http://127.0.0.1:9/", &["customer.created"]).await;
    for _ in 0..4 {
        house.post("/v1/customers", &[]).await.ok();
    }
    dispatch(&house).await;
    let all: Vec<String> = deliveries(&house, "").await.iter().map(id).collect();
    assert_eq!(all.len(), 8);
    assert!(all.is_sorted_by(|one, other| one > other));
    let page = house.get("/v1/dunlin/deliveries?limit=3").await.ok();
    assert_eq!((page["has_more"].clone(), page["url"].clone()), (json!(true), json!("/v1/dunlin/deliveries")));
    let ids = |page: &Value| page["data"].as_array().unwrap().iter().map(id).collect::<Vec<_>>();
    assert_eq!(ids(&page), all[..3]);
    let page = house.get(&format!("/v1/dunlin/deliveries?limit=3&starting_after={}", all[2])).await.ok();
    assert_eq!(ids(&page), all[3..6]);
    let page = house.get(&format!("/v1/dunlin/deliveries?limit=2&ending_before={}", all[5])).await.ok();
    assert_eq!((ids(&page), page["has_more"].clone()), (all[3..5].to_vec(), json!(true)));
    for (query, param) in [
        ("starting_after=nonsense", "starting_after"),
        ("status=lost", "status"),
        ("customer=cus_1", "customer"),
        ("created[before]=1", "created[before]"),
    ] {
        let error = house.get(&format!("/v1/dunlin/deliveries?{query}")).await.error(400);
        assert_eq!(error["param"], param, "{query}");
    }
    let none = format!("dlv_{}", "0".repeat(48));
    for path in ["nonsense", &none] {
        assert_eq!(house.get(&format!("/v1/dunlin/deliveries/{path}")).await.error(404)["code"], "resource_missing");
        house.post(&format!("/v1/dunlin/deliveries/{path}/resend"), &[]).await.error(404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_delivered_or_given_up_can_be_sent_again() {
    let house = House::open().await;
    let sink = Sink::open().await;
    let made = id(&endpoint(&house, &sink.url, &["customer.created"]).await);
    house.post("/v1/customers", &[]).await.ok();
    dispatch(&house).await;
    let delivered = deliveries(&house, "").await.swap_remove(0);
    let path = format!("/v1/dunlin/deliveries/{}", id(&delivered));
    let again = house.post(&format!("{path}/resend"), &[]).await.ok();
    has(&again, &json!({"status": "failed", "next_attempt": at(START), "sequence": 1, "attempts": 1}));
    dispatch(&house).await;
    has(&house.get(&path).await.ok(), &json!({"status": "delivered", "attempts": 2}));
    let heard = sink.heard();
    assert_eq!((heard.len(), &heard[0].body), (2, &heard[1].body), "the same bytes");

    // Given up after three days, whether it was tried all the time or waited behind an open circuit.
    sink.answer(|_| Answer::status(500));
    for _ in 0..20 {
        house.post("/v1/customers", &[]).await.ok();
    }
    for hours in 0..=80 {
        house.clock.set(Timestamp::new(at(START) + hours * 3600));
        dispatch(&house).await;
    }
    house.app.engine.maintain().await.unwrap();
    assert_eq!(deliveries(&house, "status=given_up").await.len(), 20);
    has(
        &house.get(&format!("/v1/dunlin/webhook_endpoints/{made}")).await.ok(),
        &json!({"deliveries": {"waiting": 0, "failed": 0, "given_up": 20}, "ordered": true}),
    );
    sink.answer(|_| Answer::ok());
    house.clock.set(Timestamp::new(at(START) + 81 * 3600));
    let path = format!("/v1/dunlin/webhook_endpoints/{made}/resend");
    let resent = house.post(&path, &[("since", &at(START).to_string())]).await.ok();
    has(&resent, &json!({"object": "dunlin.resend", "events": 21, "has_more": false, "endpoint": made}));
    for _ in 0..3 {
        dispatch(&house).await;
    }
    assert_eq!(deliveries(&house, "status=given_up").await.len(), 0);
    assert_eq!(house.count("select count(*) from deliveries").await, 0);
    let mut taken: Vec<String> = sink.taken().iter().map(|heard| id(&heard.event)).collect();
    taken.sort_unstable();
    taken.dedup();
    assert_eq!(taken.len(), 21, "everybody was heard of in the end");
    let late = house.post(&path, &[("since", &(at(START) + 1).to_string())]).await.ok();
    assert_eq!(late["events"], 0);
    assert_eq!(house.post(&path, &[]).await.error(400)["param"], "since");
    house.post(&format!("/v1/webhook_endpoints/{made}"), &[("disabled", "true")]).await.ok();
    house.post(&path, &[("since", "0")]).await.error(400);
}

/// The signature that a secret makes.
fn signed(secret: &str, time: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{time}.{body}").as_bytes());
    mac.finalize().into_bytes().iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_rolls_without_a_gap() {
    let house = House::open().await;
    let sink = Sink::open().await;
    let made = endpoint(&house, &sink.url, &["*"]).await;
    let old = made["secret"].as_str().unwrap().to_owned();
    let path = format!("/v1/dunlin/webhook_endpoints/{}", id(&made));
    let rolled = house.post(&format!("{path}/roll_secret"), &[("expire_in", "3600")]).await.ok();
    let new = rolled["secret"].as_str().unwrap().to_owned();
    assert_ne!(old, new);
    has(&rolled, &json!({"object": "webhook_endpoint", "id": made["id"], "status": "enabled"}));
    let settings = house.get(&path).await.ok();
    assert_eq!(settings["former_secret_expires_at"], at(START) + 3600);
    assert!(settings.get("secret").is_none(), "shown once");
    for (seconds, secrets) in [(0, vec![&new, &old]), (3599, vec![&new, &old]), (3600, vec![&new])] {
        house.clock.set(Timestamp::new(at(START) + seconds));
        house.post("/v1/customers", &[]).await.ok();
        dispatch(&house).await;
        let heard = sink.heard().pop().unwrap();
        let time = (at(START) + seconds).to_string();
        let expected: Vec<String> =
            secrets.iter().map(|secret| format!("v1={}", signed(secret, &time, &heard.body))).collect();
        assert_eq!(heard.header("stripe-signature"), format!("t={time},{}", expected.join(",")), "{seconds}");
    }
    // At once, if it has leaked.
    let newest = house.post(&format!("{path}/roll_secret"), &[("expire_in", "0")]).await.ok();
    house.post("/v1/customers", &[]).await.ok();
    dispatch(&house).await;
    let header = sink.heard().pop().unwrap().header("stripe-signature");
    assert_eq!(header.matches("v1=").count(), 1);
    assert_ne!(newest["secret"], json!(new));
    for (form, param) in [
        (vec![("expire_in", "-1")], "expire_in"),
        (vec![("expire_in", "604801")], "expire_in"),
        (vec![("expires_at", "5")], "expires_at"),
        (vec![("expires_at", "5"), ("expire_in", "1")], "expire_in"),
        (vec![("when", "now")], "when"),
    ] {
        assert_eq!(house.post(&format!("{path}/roll_secret"), &form).await.error(400)["param"], param);
    }
    house.post("/v1/dunlin/webhook_endpoints/we_none/roll_secret", &[]).await.error(404);
    // Stripe's own calls know nothing of all this.
    let stripes = format!("/v1/webhook_endpoints/{}", id(&made));
    assert_eq!(house.post(&stripes, &[("ordered", "false")]).await.error(400)["code"], "parameter_unknown");
    assert_eq!(house.post(&path, &[("ordered", "false")]).await.ok()["ordered"], false);
    assert!(house.get(&stripes).await.ok().get("ordered").is_none());
}

/// A server that sends by itself, with sinks that hang, fail and answer.
#[tokio::test(flavor = "multi_thread")]
async fn endpoints_that_hang_slow_nobody() {
    let house = House::open_with(std::sync::Arc::new(dunlin::gateway::test_cards::TestCards::default()), 1).await;
    let good = Sink::open().await;
    endpoint(&house, &good.url, &["customer.created"]).await;
    for _ in 0..20 {
        let hanging = Sink::open().await;
        hanging.answer(|_| Answer::never());
        endpoint(&house, &hanging.url, &["customer.created"]).await;
    }
    let mut slowest = Duration::ZERO;
    for round in 1..=40 {
        let told = Instant::now();
        house.post("/v1/customers", &[]).await.ok();
        while good.taken().len() < round {
            assert!(told.elapsed() < Duration::from_secs(10), "round {round}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        slowest = slowest.max(told.elapsed());
    }
    // The others would have held it up for fifteen seconds.
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    let metrics = house.client.get(format!("{}/metrics", house.url)).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("dunlin_webhook_deliveries_under_way"));
    house.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_endpoint_gets_a_probe_now_and_then_until_it_answers() {
    let house = House::open().await;
    let sink = Sink::open().await;
    endpoint(&house, &sink.url, &["customer.created"]).await;
    sink.answer(|_| Answer::status(500));
    for _ in 0..100 {
        house.post("/v1/customers", &[]).await.ok();
    }
    dispatch(&house).await;
    let heard = sink.heard().len();
    assert!((5..10).contains(&heard), "{heard}");
    house.clock.set(Timestamp::new(at(START) + 300));
    dispatch(&house).await;
    assert_eq!(sink.heard().len(), heard + 1, "one probe");
    sink.answer(|_| Answer::ok());
    house.clock.set(Timestamp::new(at(START) + 600));
    dispatch(&house).await;
    assert_eq!(sink.taken().len(), 100, "then all the rest");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_left_alone_for_as_long_as_it_asks() {
    let house = House::open().await;
    let sink = Sink::open().await;
    endpoint(&house, &sink.url, &["customer.created"]).await;
    sink.answer(|_| Answer { headers: vec![("retry-after", "600".to_owned())], ..Answer::status(429) });
    house.post("/v1/customers", &[]).await.ok();
    dispatch(&house).await;
    let waiting = deliveries(&house, "status=failed").await.swap_remove(0);
    assert_eq!(waiting["next_attempt"], at(START) + 600);
}

/// Live endpoints: what an address book says today may be another tomorrow.
#[tokio::test(flavor = "multi_thread")]
async fn live_events_do_not_reach_private_networks() {
    let house = House::open().await;
    let sink = Sink::open().await;
    let port = sink.url.rsplit_once(':').unwrap().1.to_owned();
    let hosts = ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0.0.0.0", "169.254.169.254"];
    for scheme in ["https", "http"] {
        for host in hosts {
            endpoint(&house, &format!("{scheme}://{host}:{port}"), &["customer.created"]).await;
        }
    }
    house.post("/v1/customers", &[]).await.ok();
    // There are no live keys to register them with.
    let live =
        "update webhook_endpoints set livemode = true, body = replace(body, '\"livemode\":false', '\"livemode\":true')";
    execute(&house.database_url, live).await;
    dispatch(&house).await;
    assert!(sink.heard().is_empty());
    let refused = "select count(*) from delivery_attempts where status is null and milliseconds < 2000
         and (error like '%public address%' or error like '%https%')";
    assert_eq!(house.count(refused).await, 14);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_kept_for_a_week_and_events_for_thirty_days() {
    let house = House::open().await;
    let sink = Sink::open().await;
    endpoint(&house, &sink.url, &["customer.created"]).await;
    // The first falls where partitions were made ahead, the second where nobody has made any.
    for days in [0, 5] {
        house.clock.set(Timestamp::new(at(START) + days * 86_400));
        house.post("/v1/customers", &[]).await.ok();
        dispatch(&house).await;
    }
    let partitions = "select count(*) from pg_inherits where inhparent = 'delivery_attempts'::regclass";
    for (days, logged, told) in [(5, 2, 2), (8, 1, 2), (13, 0, 2), (30, 0, 2), (45, 0, 0)] {
        house.clock.set(Timestamp::new(at(START) + days * 86_400));
        house.app.engine.maintain().await.unwrap();
        assert_eq!(deliveries(&house, "").await.len(), logged, "after {days} days");
        assert_eq!(house.list("/v1/events").await.len(), told, "after {days} days");
        assert!(house.count(partitions).await <= 12, "old ones are dropped");
    }
}
