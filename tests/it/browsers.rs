//! What a publishable key, which everybody can read, may see of an intent whose secret it shows.

use reqwest::Method;
use serde_json::{Value, json};

use crate::catalogue::has;
use crate::support::{Answer, House, PUBLISHABLE_KEY, encode, id};

async fn call(house: &House, method: Method, path: &str, form: &[(&str, &str)]) -> Answer {
    let key = format!("Bearer {PUBLISHABLE_KEY}");
    let (path, form) = match method {
        Method::GET => (format!("{path}?{}", encode(form)), &[][..]),
        _ => (path.to_owned(), form),
    };
    house.call(method, &path, form, &[("authorization", &key)]).await
}

fn secret(intent: &Value) -> &str {
    intent["client_secret"].as_str().expect("a secret")
}

/// The card, without what the merchant keeps about it and its customer.
#[track_caller]
fn shows_a_card_only(method: &Value) {
    has(method, &json!({"object": "payment_method", "type": "card"}));
    assert!(method.get("customer").is_none() && method.get("metadata").is_none(), "{method:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_sees_the_card_of_an_intent_and_nothing_behind_it() {
    let house = House::open().await;
    let customer = house.customer("pm_card_visa", None).await;
    let method = id(&house.list(&format!("/v1/payment_methods?customer={customer}")).await[0]);
    house.post(&format!("/v1/payment_methods/{method}"), &[("metadata[k]", "v")]).await.ok();
    let form = [("customer", &*customer), ("payment_method", &method)];
    let payment = [&form[..], &[("amount", "1000"), ("currency", "usd")]].concat();
    for (path, form) in [("/v1/payment_intents", &payment[..]), ("/v1/setup_intents", &form[..])] {
        let intent = house.post(path, form).await.ok();
        let path = format!("{path}/{}", id(&intent));
        let shown = [("client_secret", secret(&intent)), ("expand[]", "payment_method")];
        shows_a_card_only(&call(&house, Method::GET, &path, &shown).await.ok()["payment_method"]);
        for expand in
            ["payment_method.customer", "payment_method.customer.subscriptions.data.latest_invoice", "customer"]
        {
            let form = [("client_secret", secret(&intent)), ("expand[]", expand)];
            let refused = call(&house, Method::GET, &path, &form).await.error(400);
            assert_eq!(refused["param"], "expand", "{expand}");
            call(&house, Method::POST, &format!("{path}/confirm"), &form).await.error(400);
        }
        // What was refused has changed nothing, and the secret key sees all.
        let whole = house.get(&format!("{path}?expand[]=payment_method.customer")).await.ok();
        has(&whole, &json!({"status": "requires_confirmation"}));
        let method = &whole["payment_method"];
        assert_eq!((&method["metadata"], &method["customer"]["id"]), (&json!({"k": "v"}), &json!(customer)));
        let confirmed = call(&house, Method::POST, &format!("{path}/confirm"), &shown).await.ok();
        assert_eq!(confirmed["status"], "succeeded");
        shows_a_card_only(&confirmed["payment_method"]);
    }
}

/// The same in what it is told of a failure, now and later.
#[tokio::test(flavor = "multi_thread")]
async fn a_browser_is_told_of_a_failure_without_the_customer() {
    let house = House::open().await;
    let customer = house.customer("pm_card_chargeCustomerFail", None).await;
    let method = id(&house.list(&format!("/v1/payment_methods?customer={customer}")).await[0]);
    let form = [("customer", &*customer), ("payment_method", &method), ("amount", "1000"), ("currency", "usd")];
    let intent = house.post("/v1/payment_intents", &form).await.ok();
    let path = format!("/v1/payment_intents/{}", id(&intent));
    let form = [("client_secret", secret(&intent))];
    let error = call(&house, Method::POST, &format!("{path}/confirm"), &form).await.error(402);
    shows_a_card_only(&error["payment_intent"]["last_payment_error"]["payment_method"]);
    let seen = call(&house, Method::GET, &path, &form).await.ok();
    shows_a_card_only(&seen["last_payment_error"]["payment_method"]);
}
