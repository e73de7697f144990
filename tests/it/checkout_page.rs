//! The page of a Checkout session, as a browser without scripts uses it.

use std::sync::{Arc, atomic::Ordering};

use dunlin::billing::Timestamp;
use reqwest::{Client, redirect};
use serde_json::{Value, json};

use crate::catalogue::has;
use crate::silence::Silent;
use crate::support::{House, encode, id};

fn browser() -> Client {
    Client::builder().redirect(redirect::Policy::none()).build().unwrap()
}

const CARD: [(&str, &str); 4] =
    [("email", "ada@example.com"), ("number", "4242 4242 4242 4242"), ("expiry", "12 / 34"), ("cvc", "123")];

struct Shown {
    status: u16,
    location: Option<String>,
    text: String,
}

async fn shown(request: reqwest::RequestBuilder) -> Shown {
    let answer = request.send().await.unwrap();
    let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
    assert!(header("content-security-policy").is_some_and(|policy| policy.starts_with("default-src 'none'")));
    assert_eq!(header("referrer-policy").as_deref(), Some("no-referrer"));
    let (status, location) = (answer.status().as_u16(), header("location"));
    let text = answer.text().await.unwrap();
    assert!(!text.contains("<script"), "it works without scripts");
    Shown { status, location, text }
}

async fn open(url: &str) -> Shown {
    shown(browser().get(url)).await
}

async fn submit(url: &str, form: &[(&str, &str)]) -> Shown {
    let body = encode(form);
    shown(browser().post(url).header("content-type", "application/x-www-form-urlencoded").body(body)).await
}

fn url(session: &Value) -> String {
    session["url"].as_str().expect("a page").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_subscribes_on_the_page() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let more = [("line_items[0][adjustable_quantity][enabled]", "true")];
    let session = house.session("subscription", &price, &more).await;
    let page = open(&url(&session)).await;
    for part in
        ["Subscribe", "Basic", "$20.00", "every month", "name=\"number\"", "name=\"email\"", "https://shop.test/cart"]
    {
        assert!(page.text.contains(part), "{part} in {}", page.text);
    }
    let mark = house.mark().await;
    let line = id(&house.get(&format!("/v1/checkout/sessions/{}/line_items", id(&session))).await.ok()["data"][0]);
    let quantity = format!("quantity[{line}]");
    let form = [&CARD[..], &[(&*quantity, "3")]].concat();
    let sent = submit(&url(&session), &form).await;
    let done = format!("https://shop.test/done?session={}", id(&session));
    assert_eq!((sent.status, sent.location.as_deref()), (303, Some(&*done)), "{}", sent.text);
    let told = house.told(mark).await;
    assert_eq!(told.types().last(), Some(&"checkout.session.completed"));
    has(told.object("checkout.session.completed"), &json!({"amount_total": 6000, "payment_status": "paid"}));
    // However often it is sent, and wherever from.
    for again in [submit(&url(&session), &form).await, open(&url(&session)).await] {
        assert_eq!((again.status, again.location.as_deref()), (303, Some(&*done)));
    }
    assert_eq!(house.list("/v1/charges").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_on_the_page() {
    let house = House::open().await;
    let price = house.one_time_price(1500).await;
    let session = house.session("payment", &price, &[]).await;
    let with = |name: &'static str, value: &'static str| {
        CARD.into_iter()
            .map(move |(key, usual)| if key == name { (key, value) } else { (key, usual) })
            .collect::<Vec<_>>()
    };
    for (form, said) in [
        (with("number", "4000 0000 0000 9995"), "insufficient funds"),
        (with("number", "4242 4242 4242 4241"), "card number is incorrect"),
        (with("number", ""), "payment_method"),
        (with("expiry", "soon"), "expiration date is invalid"),
        (with("email", "nobody"), "Invalid email address"),
        (with("email", ""), "email"),
    ] {
        let page = submit(&url(&session), &form).await;
        assert_eq!(page.status, 200, "{said}");
        assert!(page.text.contains("role=\"alert\"") && page.text.contains(said), "{said}: {}", page.text);
        assert_eq!(house.session_now(&session).await["status"], "open", "{said}");
    }
    assert_eq!(submit(&url(&session), &CARD).await.status, 303);
    let path = format!("{}/checkout/{}", house.url, "cs_test_none");
    assert_eq!(open(&path).await.status, 404);
    assert_eq!(submit(&path, &CARD).await.status, 404);
    let session = house.session("payment", &price, &[]).await;
    house.post(&format!("/v1/checkout/sessions/{}/expire", id(&session)), &[]).await.ok();
    assert!(open(&url(&session)).await.text.contains("expired"));
    assert!(submit(&url(&session), &CARD).await.text.contains("expired"));
}

/// The page of authentication, there and back.
#[tokio::test(flavor = "multi_thread")]
async fn a_card_is_authenticated_on_the_way() {
    let house = House::open().await;
    let (monthly, once) = (house.monthly_price(2000).await, house.one_time_price(1500).await);
    let trial = [("subscription_data[trial_period_days]", "7")];
    let cases = [("subscription", &monthly, &[][..]), ("payment", &once, &[]), ("subscription", &monthly, &trial)];
    for (mode, price, more) in cases {
        let session = house.session(mode, price, more).await;
        let mut form = CARD.to_vec();
        form[1].1 = "4000 0027 6000 3184";
        for outcome in ["fail", "succeed"] {
            let sent = submit(&url(&session), &form).await;
            let there = sent.location.unwrap_or_else(|| panic!("{mode}: {}", sent.text));
            assert!(there.contains("/authenticate/"), "{there}");
            let back = submit(&there, &[("outcome", outcome)]).await.location.expect("a way back");
            assert!(back.starts_with(&url(&session)), "{back}");
            let page = open(&back).await;
            if outcome == "fail" {
                assert!(page.text.contains("could not be authenticated"), "{}", page.text);
                assert_eq!(house.session_now(&session).await["status"], "open");
            } else {
                assert_eq!(page.location, Some(format!("https://shop.test/done?session={}", id(&session))));
            }
        }
        assert_eq!(house.session_now(&session).await["status"], "complete");
    }
}

/// Whatever is said of a session is text on its page, and what its page asks for must be filled in.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_asks_what_it_is_told_to_ask() {
    let house = House::open().await;
    let price = house.one_time_price(1500).await;
    let more = [
        ("custom_fields[0][key]", "engraving"),
        ("custom_fields[0][label][type]", "custom"),
        ("custom_fields[0][label][custom]", "<b>Engraving</b>"),
        ("custom_fields[0][type]", "text"),
        ("custom_text[submit][message]", "\"><script>alert(1)</script>"),
        ("consent_collection[terms_of_service]", "required"),
        ("phone_number_collection[enabled]", "true"),
        ("submit_type", "donate"),
    ];
    let session = house.session("payment", &price, &more).await;
    let page = open(&url(&session)).await;
    for part in
        ["&lt;b&gt;Engraving", "&lt;script&gt;", "Donate", "field[engraving]", "name=\"terms\"", "name=\"phone\""]
    {
        assert!(page.text.contains(part), "{part} in {}", page.text);
    }
    let filled = [("field[engraving]", "To Ada"), ("terms", "accepted"), ("phone", "+491234")];
    for missing in 0..filled.len() {
        let some = filled.iter().enumerate().filter(|(place, _)| *place != missing).map(|(_, entry)| *entry);
        let form: Vec<(&str, &str)> = CARD.into_iter().chain(some).collect();
        assert!(submit(&url(&session), &form).await.text.contains("role=\"alert\""), "{missing}");
    }
    assert_eq!(submit(&url(&session), &[&CARD[..], &filled].concat()).await.status, 303);
    let done = house.session_now(&session).await;
    has(&done, &json!({"consent": {"promotions": null, "terms_of_service": "accepted"}, "status": "complete"}));
    assert_eq!(done["custom_fields"][0]["text"]["value"], "To Ada");
    assert_eq!(done["customer_details"]["phone"], "+491234");
}

/// Submitted many times at once: one subscription, one charge, one event.
#[tokio::test(flavor = "multi_thread")]
async fn twins_pay_once() {
    let house = Arc::new(House::open().await);
    let price = house.monthly_price(2000).await;
    let session = house.session("subscription", &price, &[]).await;
    let mark = house.mark().await;
    let page = url(&session);
    let twins: Vec<_> = (0..6)
        .map(|_| {
            tokio::spawn({
                let page = page.clone();
                async move { submit(&page, &CARD).await.status }
            })
        })
        .collect();
    for twin in twins {
        let status = twin.await.unwrap();
        assert!([200, 303].contains(&status), "{status}");
    }
    house.told(mark).await.one("checkout.session.completed");
    assert_eq!(house.list("/v1/subscriptions").await.len(), 1);
    assert_eq!(house.list("/v1/customers").await.len(), 1);
    assert_eq!(house.list("/v1/charges").await.len(), 1);
}

/// The server dies, or the processor is silent, after the session was committed to be paid: whoever comes next
/// finishes it, however late, and until then nothing else happens to it.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_begun_is_finished() {
    let gateway = Arc::new(Silent::default());
    let house = House::open_with(Arc::<Silent>::clone(&gateway), 0).await;
    let (monthly, once) = (house.monthly_price(2000).await, house.one_time_price(1500).await);
    for (mode, price) in [("subscription", &monthly), ("payment", &once)] {
        gateway.silent.store(true, Ordering::Relaxed);
        let session = house.session(mode, price, &[]).await;
        assert!(submit(&url(&session), &CARD).await.text.contains("being processed"));
        house.post(&format!("/v1/checkout/sessions/{}/expire", id(&session)), &[]).await.error(429);
        house.complete(&session, "pm_card_visa").await.error(429);
        let mark = house.mark().await;
        // Its time passes meanwhile.
        for minutes in [1, 24 * 60, 24 * 60 + 2] {
            let created = session["created"].as_i64().unwrap();
            house.clock.set(Timestamp::new(created + minutes * 60));
            house.app.engine.settle_down().await.unwrap();
            house.told(mark).await.are("");
        }
        gateway.silent.store(false, Ordering::Relaxed);
        house.clock.set(Timestamp::new(house.clock.now().unix_seconds() + 120));
        house.app.engine.settle_down().await.unwrap();
        let done = house.session_now(&session).await;
        has(&done, &json!({"status": "complete", "payment_status": "paid"}));
        assert_eq!(house.told(mark).await.types().last(), Some(&"checkout.session.completed"));
    }
}
