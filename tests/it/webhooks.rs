//! Every event reaches every endpoint that wants it, signed, at least once.

use std::sync::{Arc, Mutex};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, http::StatusCode, routing::post};
use dunlin::billing::Timestamp;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::{House, at, id};

/// A sink that answers what it is told to and keeps what it hears.
#[derive(Clone, Default)]
pub struct Sink {
    heard: Arc<Mutex<Vec<(HeaderMap, String)>>>,
    /// How many deliveries it still refuses.
    refusing: Arc<Mutex<usize>>,
}

impl Sink {
    pub async fn open(refusing: usize) -> (Sink, String) {
        let sink = Sink { refusing: Arc::new(Mutex::new(refusing)), ..Sink::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/hook", post(hear))
            .route("/elsewhere", post(|| async { (StatusCode::FOUND, [("location", "/hook")]) }))
            .with_state(sink.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (sink, url)
    }

    fn events(&self) -> Vec<Value> {
        self.heard.lock().unwrap().iter().map(|(_, body)| serde_json::from_str(body).unwrap()).collect()
    }
}

async fn hear(State(sink): State<Sink>, headers: HeaderMap, body: Bytes) -> StatusCode {
    sink.heard.lock().unwrap().push((headers, String::from_utf8(body.to_vec()).unwrap()));
    let mut refusing = sink.refusing.lock().unwrap();
    if *refusing > 0 {
        *refusing -= 1;
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    StatusCode::OK
}

pub async fn endpoint(house: &House, url: &str, events: &[&str]) -> Value {
    let mut form = vec![("url", url)];
    form.extend(events.iter().map(|event| ("enabled_events[]", *event)));
    house.post("/v1/webhook_endpoints", &form).await.ok()
}

/// Sends what is due until nothing is.
pub async fn dispatch(house: &House) {
    while house.app.dispatcher.dispatch().await.unwrap() > 0 {}
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_arrives_signed() {
    let house = House::open().await;
    let (sink, url) = Sink::open(0).await;
    let made = endpoint(&house, &url, &["*"]).await;
    let secret = made["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("whsec_"));
    let shown = house.get(&format!("/v1/webhook_endpoints/{}", id(&made))).await.ok();
    assert!(shown.get("secret").is_none(), "shown once");

    let price = house.monthly_price(2000).await;
    let customer = house.customer("pm_card_visa", None).await;
    house.subscribe(&customer, &price).await;
    let pending = house.list("/v1/events").await;
    assert!(pending.iter().all(|event| event["pending_webhooks"] == 1));
    dispatch(&house).await;

    let listed = house.list("/v1/events").await;
    assert!(listed.iter().all(|event| event["pending_webhooks"] == 0));
    let mut sent: Vec<String> = sink.events().iter().map(id).collect();
    let mut known: Vec<String> = listed.iter().map(id).collect();
    sent.sort_unstable();
    known.sort_unstable();
    assert_eq!(sent, known);
    for (headers, body) in sink.heard.lock().unwrap().iter() {
        let header = headers["stripe-signature"].to_str().unwrap();
        let (time, signature) = header.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("{time}.{body}").as_bytes());
        let expected = mac.finalize().into_bytes().iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        assert_eq!(signature, expected);
        assert_eq!(time, at("2027-01-01T00:00:00Z").to_string());
    }
    assert_eq!(house.list("/v1/events?delivery_success=false").await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_sink_is_tried_again_and_given_up_after_three_days() {
    let house = House::open().await;
    let (sink, url) = Sink::open(2).await;
    endpoint(&house, &url, &["customer.created"]).await;
    house.post("/v1/customers", &[]).await.ok();
    let start = at("2027-01-01T00:00:00Z");
    for (seconds, heard) in [(0, 1), (4, 1), (7, 2), (8, 2), (30, 3), (3600, 3)] {
        house.clock.set(Timestamp::new(start + seconds));
        dispatch(&house).await;
        assert_eq!(sink.events().len(), heard, "after {seconds} s");
    }
    let events = sink.events();
    assert!(events.iter().all(|event| id(event) == id(&events[0])), "the same event each time");
    assert_eq!(house.count("select count(*) from deliveries").await, 0, "acknowledged");

    *sink.refusing.lock().unwrap() = usize::MAX;
    house.post("/v1/customers", &[]).await.ok();
    for hours in 1..=96 {
        house.clock.set(Timestamp::new(start + 3600 + hours * 3600));
        dispatch(&house).await;
    }
    assert_eq!(house.count("select count(*) from deliveries where given_up and due_at is null").await, 1);
    let attempts = house.count("select attempts::bigint from deliveries").await;
    assert!((12..30).contains(&attempts), "{attempts}");
    assert_eq!(house.list("/v1/events?delivery_success=false").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_hear_what_they_asked_for() {
    let house = House::open().await;
    let (all, all_url) = Sink::open(0).await;
    let (some, some_url) = Sink::open(0).await;
    let (redirecting, redirecting_url) = Sink::open(0).await;
    let first = endpoint(&house, &all_url, &["*"]).await;
    endpoint(&house, &some_url, &["product.created", "product.updated"]).await;
    endpoint(&house, &redirecting_url.replace("/hook", "/elsewhere"), &["*"]).await;
    let product = id(&house.post("/v1/products", &[("name", "A")]).await.ok());
    let path = format!("/v1/products/{product}");
    house.post(&path, &[("name", "B")]).await.ok();
    // Nothing changed, so there is nothing to tell.
    house.post("/v1/customers", &[]).await.ok();
    dispatch(&house).await;
    assert_eq!(all.events().len(), 3);
    let types: Vec<Value> = some.events().iter().map(|event| event["type"].clone()).collect();
    assert_eq!(types.len(), 2);
    assert!(types.contains(&json!("product.created")) && types.contains(&json!("product.updated")));
    let updated = some.events().into_iter().find(|event| event["type"] == "product.updated").unwrap();
    assert_eq!(updated["data"]["previous_attributes"], json!({"name": "A"}));
    assert!(redirecting.events().is_empty(), "redirects are not followed");

    let disabled = house.post(&format!("/v1/webhook_endpoints/{}", id(&first)), &[("disabled", "true")]).await.ok();
    assert_eq!(disabled["status"], "disabled");
    house.delete(&path).await.ok();
    dispatch(&house).await;
    assert_eq!(all.events().len(), 3);
    assert_eq!(house.delete(&format!("/v1/webhook_endpoints/{}", id(&first))).await.ok()["deleted"], true);
    for (form, param) in [
        (vec![("url", "nonsense"), ("enabled_events[]", "*")], "url"),
        (vec![("url", "ftp://a.b/"), ("enabled_events[]", "*")], "url"),
        (vec![("url", &*all_url)], "enabled_events"),
        (vec![("url", &*all_url), ("enabled_events[]", "invoice.*")], "enabled_events[0]"),
        (vec![("url", &*all_url), ("enabled_events[]", "*"), ("api_version", "2020-08-28")], "api_version"),
    ] {
        assert_eq!(house.post("/v1/webhook_endpoints", &form).await.error(400)["param"], param);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_found_by_type() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let customer = house.customer("pm_card_visa", None).await;
    house.subscribe(&customer, &price).await;
    let types = |query: &'static str| {
        let house = &house;
        async move {
            let events = house.list(&format!("/v1/events?{query}")).await;
            events.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        }
    };
    assert_eq!(types("type=invoice.paid").await, ["invoice.paid"]);
    assert_eq!(types("type=invoice.*").await.len(), 5);
    assert_eq!(types("types[]=product.created&types[]=price.created").await, ["price.created", "product.created"]);
    let created = at("2027-01-01T00:00:00Z");
    assert!(house.list(&format!("/v1/events?created[gt]={created}")).await.is_empty());
    assert!(!house.list(&format!("/v1/events?created[gte]={created}")).await.is_empty());
    let event = house.get("/v1/events?limit=1").await.ok()["data"][0].clone();
    assert_eq!(house.get(&format!("/v1/events/{}", id(&event))).await.ok(), event);
    assert!(event["request"]["id"].as_str().unwrap().starts_with("req_"));
}
