//! How requests are heard and answers are said: keys, forms, errors, lists, expansion, idempotency.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{House, KEY, PUBLISHABLE_KEY, id};

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_checked_before_anything_else() {
    let house = House::open().await;
    let with = |authorization: &'static str| {
        let house = &house;
        async move {
            house.call(Method::POST, "/v1/customers", &[("nonsense", "1")], &[("authorization", authorization)]).await
        }
    };
    let missing = with("").await;
    assert!(missing.headers.contains_key("www-authenticate"));
    let missing = missing.error(401);
    assert_eq!(missing["type"], "invalid_request_error");
    assert!(missing["message"].as_str().unwrap().starts_with("You did not provide an API key."));
    let wrong = with("Bearer sk_test_wrongwrongwrong1234").await.error(401);
    assert_eq!(wrong["message"], "Invalid API Key provided: sk_test_***************1234");
    // base64 of the key as user name, with an empty password
    let basic = house.client.get(format!("{}/v1/customers", house.url)).basic_auth(KEY, Some("")).send().await.unwrap();
    assert_eq!(basic.status(), 200);
    let publishable = with(concat!("Bearer ", "pk_test_houses0123456789")).await.error(401);
    assert_eq!(publishable["code"], "secret_key_required");
    assert_eq!(
        house.call(Method::POST, "/v1/customers", &[("nonsense", "1")], &[]).await.error(400)["code"],
        "parameter_unknown"
    );
    assert_eq!(PUBLISHABLE_KEY, "pk_test_houses0123456789");
}

/// What a secret key is needed for says nothing else to a publishable one: not what there is, nor what a
/// call should have looked like.
#[tokio::test(flavor = "multi_thread")]
async fn a_publishable_key_learns_nothing() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let customer = house.customer("pm_card_visa", None).await;
    let item = id(&house.subscribe(&customer, &price).await["items"]["data"][0]);
    let key = format!("Bearer {PUBLISHABLE_KEY}");
    for path in [
        format!("subscription_items/{item}"),
        "subscription_items/si_nothing".to_owned(),
        "subscription_items".to_owned(),
        "credit_notes/cn_nothing/lines".to_owned(),
        "charges/ch_nothing/refunds".to_owned(),
        "customers/cus_nothing/subscriptions".to_owned(),
        "customers?nonsense=1".to_owned(),
    ] {
        let answer = house.call(Method::GET, &format!("/v1/{path}"), &[], &[("authorization", &key)]).await;
        assert_eq!(answer.error(401)["code"], "secret_key_required", "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_its_headers() {
    let house = House::open().await;
    let answer = house.get("/v1/customers").await;
    let header = |name: &str| answer.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    assert!(header("request-id").unwrap().starts_with("req_"));
    assert_eq!(header("stripe-version").as_deref(), Some("2026-10-28.endive"));
    assert_eq!(header("content-type").as_deref(), Some("application/json"));
    let with = |version: &'static str| {
        let house = &house;
        async move { house.call(Method::POST, "/v1/customers", &[], &[("stripe-version", version)]).await }
    };
    assert_eq!(with("2026-09-30.endive").await.status, 200);
    let old = with("2019-12-03").await.error(400);
    assert!(old["message"].as_str().unwrap().contains("the oldest that it speaks is 2020-08-27"));
    assert_eq!(with("yesterday").await.error(400)["message"], "Invalid Stripe API version: yesterday");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_urls_say_so() {
    let house = House::open().await;
    for (method, path) in
        [(Method::GET, "/v1/foo"), (Method::PUT, "/v1/customers"), (Method::GET, "/v1/customers/"), (Method::GET, "/")]
    {
        let error = house.call(method.clone(), path, &[], &[]).await.error(404);
        let start = format!("Unrecognized request URL ({method}: {path}).");
        assert!(error["message"].as_str().unwrap().starts_with(&start), "{error}");
        assert_eq!(error["type"], "invalid_request_error");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_page_in_both_directions() {
    let house = House::open().await;
    let mut made = Vec::new();
    for _ in 0..7 {
        made.push(id(&house.post("/v1/customers", &[]).await.ok()));
    }
    made.reverse();
    let page = |query: String| {
        let house = &house;
        async move {
            let page = house.get(&format!("/v1/customers?{query}")).await.ok();
            let ids: Vec<String> = page["data"].as_array().unwrap().iter().map(id).collect();
            (ids, page["has_more"].as_bool().unwrap())
        }
    };
    assert_eq!(page("limit=3".into()).await, (made[..3].to_vec(), true));
    assert_eq!(page(format!("limit=3&starting_after={}", made[2])).await, (made[3..6].to_vec(), true));
    assert_eq!(page(format!("limit=3&starting_after={}", made[5])).await, (made[6..].to_vec(), false));
    assert_eq!(page(format!("limit=2&ending_before={}", made[4])).await, (made[2..4].to_vec(), true));
    assert_eq!(page(format!("limit=10&ending_before={}", made[4])).await, (made[..4].to_vec(), false));
    assert_eq!(page("limit=0".into()).await.0.len(), 1, "clamped");
    assert_eq!(page("limit=1000".into()).await, (made.clone(), false));
    let envelope = house.get("/v1/customers").await.ok();
    assert_eq!(envelope.as_object().unwrap().keys().collect::<Vec<_>>(), ["object", "data", "has_more", "url"]);
    assert_eq!(envelope["url"], "/v1/customers");
    for (query, message) in [
        ("limit=x", "Invalid integer: x"),
        ("starting_after=cus_x", "No such customer: 'cus_x'"),
        ("starting_after=a&ending_before=b", "Received both starting_after and ending_before parameters."),
        ("created[foo]=1", "Received unknown parameter: created[foo]"),
        ("foo=1", "Received unknown parameter: foo"),
    ] {
        let error = house.get(&format!("/v1/customers?{query}")).await.error(400);
        assert!(error["message"].as_str().unwrap().starts_with(message), "{query}: {error}");
    }
    let event = house.get("/v1/events?starting_after=evt_x").await.error(400);
    assert_eq!(event["message"], "No such notification: 'evt_x'");
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_expand_to_four_levels() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let customer = house.customer("pm_card_visa", None).await;
    let subscription = id(&house.subscribe(&customer, &price).await);
    let path = format!(
        "/v1/subscriptions/{subscription}?expand[]=customer.invoice_settings.default_payment_method\
         &expand[]=latest_invoice.payments.data.payment.payment_intent&expand[]=latest_invoice.confirmation_secret\
         &expand[]=items.data.price.product&expand[]=default_source"
    );
    let whole = house.get(&path).await.ok();
    assert_eq!(whole["customer"]["invoice_settings"]["default_payment_method"]["object"], "payment_method");
    assert_eq!(whole["latest_invoice"]["payments"]["data"][0]["payment"]["payment_intent"]["status"], "succeeded");
    assert_eq!(whole["latest_invoice"]["confirmation_secret"]["type"], "payment_intent");
    assert_eq!(whole["items"]["data"][0]["price"]["product"]["name"], "Basic");
    let list = house
        .get(&format!("/v1/invoices?customer={customer}&expand[]=data.customer&expand[]=data.payments"))
        .await
        .ok();
    assert_eq!(list["data"][0]["customer"]["email"], "ada@example.com");
    assert_eq!(list["data"][0]["payments"]["data"][0]["status"], "paid");
    let plain = house.get(&format!("/v1/invoices/{}", id(&list["data"][0]))).await.ok();
    assert!(plain.get("payments").is_none() && plain.get("confirmation_secret").is_none(), "only when asked for");
    for (path, message) in [
        ("/v1/subscriptions/sub_x?expand[]=foo".to_owned(), "This property cannot be expanded (foo)."),
        (
            "/v1/customers?expand[]=test_clock".to_owned(),
            "This property cannot be expanded (test_clock). You may want to try expanding 'data.test_clock' instead.",
        ),
        (
            format!("/v1/subscriptions/{subscription}?expand[]=a.b.c.d.e"),
            "You cannot expand more than 4 levels of a property. Property: a.b.c.d.e",
        ),
    ] {
        assert_eq!(house.get(&path).await.error(400)["message"], message);
    }
    house.delete(&format!("/v1/customers/{customer}")).await.ok();
    let stub = house.get(&format!("/v1/subscriptions/{subscription}?expand[]=customer")).await.ok();
    assert_eq!(stub["customer"], json!({"id": customer, "object": "customer", "deleted": true}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_key_answers_the_same_bytes() {
    let house = House::open().await;
    let first = house.post_keyed("k1", "/v1/customers", &[("name", "Ada")]).await;
    let again = house.post_keyed("k1", "/v1/customers", &[("name", "Ada")]).await;
    assert_eq!((first.status, &first.text), (again.status, &again.text));
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_eq!(again.headers["original-request"], first.headers["request-id"]);
    assert_ne!(again.headers["request-id"], first.headers["request-id"]);
    assert_eq!(again.headers["idempotency-key"], "k1");
    assert!(!first.headers.contains_key("idempotent-replayed"));
    for (path, form) in [("/v1/customers", [("name", "Eve")]), ("/v1/products", [("name", "Ada")])] {
        let error = house.post_keyed("k1", path, &form).await.error(400);
        assert_eq!(error["type"], "idempotency_error");
        let start = "Keys for idempotent requests can only be used with the same parameters they were first used with.";
        assert!(error["message"].as_str().unwrap().starts_with(start));
    }
    // A refused request was never executed: its key is free.
    house.post_keyed("k2", "/v1/products", &[]).await.error(400);
    house.post_keyed("k2", "/v1/products", &[("name", "B")]).await.ok();
    house.post_keyed(&"k".repeat(256), "/v1/customers", &[]).await.error(400);
    assert_eq!(house.count("select count(*) from customers").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_payment_is_remembered_too() {
    let house = House::open().await;
    let customer = house.customer("pm_card_chargeCustomerFail", None).await;
    let method = house.list(&format!("/v1/customers/{customer}/payment_methods")).await;
    let form = [
        ("amount", "1000"),
        ("currency", "usd"),
        ("customer", &*customer),
        ("payment_method", &*id(&method[0])),
        ("confirm", "true"),
    ];
    let first = house.post_keyed("pay", "/v1/payment_intents", &form).await;
    let again = house.post_keyed("pay", "/v1/payment_intents", &form).await;
    assert_eq!((first.status, again.status), (402, 402));
    assert_eq!(first.text, again.text);
    assert_eq!(house.count("select count(*) from charges").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_twins_have_one_effect() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let customer = house.customer("pm_card_visa", None).await;
    let form = [("customer", &*customer), ("items[0][price]", &*price)];
    let answers = join_all((0..50).map(|_| house.post_keyed("twin", "/v1/subscriptions", &form))).await;
    let mut bodies: Vec<String> = Vec::new();
    for answer in answers {
        match answer.status {
            200 => bodies.push(answer.text),
            409 => assert_eq!(answer.error(409)["code"], "idempotency_key_in_use"),
            other => panic!("{other}: {:#}", answer.body),
        }
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "the same bytes for everybody");
    assert_eq!(house.count("select count(*) from subscriptions").await, 1);
    assert_eq!(house.count("select count(*) from charges where status = 'succeeded'").await, 1);
    let created = "select count(*) from events where type = 'customer.subscription.created'";
    assert_eq!(house.count(created).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_say_what_was_asked_in_form_encoding_only() {
    let house = House::open().await;
    let json = house
        .client
        .post(format!("{}/v1/customers", house.url))
        .bearer_auth(KEY)
        .header("content-type", "application/json")
        .body("{\"name\":\"Ada\"}")
        .send()
        .await
        .unwrap();
    assert_eq!(json.status(), 400);
    let body: Value = serde_json::from_str(&json.text().await.unwrap()).unwrap();
    assert!(body["error"]["message"].as_str().unwrap().contains("application/x-www-form-urlencoded"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_house_says_how_it_is() {
    let house = House::open().await;
    let text = |path: &'static str| {
        let house = &house;
        async move { house.client.get(format!("{}{path}", house.url)).send().await.unwrap().text().await.unwrap() }
    };
    assert_eq!(text("/healthz").await, "ok");
    assert_eq!(text("/readyz").await, "ready");
    house.get("/v1/customers").await.ok();
    let metrics = text("/metrics").await;
    for name in ["dunlin_requests_total", "dunlin_due_lag_seconds", "dunlin_webhook_deliveries_waiting"] {
        assert!(metrics.contains(name), "{name} in {metrics}");
    }
}
