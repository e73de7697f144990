//! Tokens, and customers' cards in the old view.

use reqwest::Method;
use serde_json::{Value, json};

use crate::catalogue::has;
use crate::support::{House, PUBLISHABLE_KEY, id};

const CARD: [(&str, &str); 4] =
    [("card[number]", "4242424242424242"), ("card[exp_month]", "12"), ("card[exp_year]", "2030"), ("card[cvc]", "123")];

async fn token(house: &House) -> Value {
    house.post("/v1/tokens", &CARD).await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_used_once() {
    let house = House::open().await;
    let key = format!("Bearer {PUBLISHABLE_KEY}");
    let form = [&CARD[..], &[("card[name]", "Ada"), ("card[address_zip]", "10115")]].concat();
    let made = house.call(Method::POST, "/v1/tokens", &form, &[("authorization", &key)]).await.ok();
    has(&made, &json!({"object": "token", "type": "card", "used": false, "livemode": false, "client_ip": null}));
    has(
        &made["card"],
        &json!({"object": "card", "brand": "Visa", "last4": "4242", "exp_month": 12, "exp_year": 2030, "name": "Ada", "address_zip": "10115"}),
    );
    assert!(!made.to_string().contains("4242424242424242"), "the number is kept nowhere");
    let form = [("type", "card"), ("card[token]", &*id(&made))];
    let method = house.post("/v1/payment_methods", &form).await.ok();
    has(&method["card"], &json!({"brand": "visa", "last4": "4242"}));
    assert_eq!(method["billing_details"]["name"], "Ada");
    assert_eq!(house.get(&format!("/v1/tokens/{}", id(&made))).await.ok()["used"], true);
    let again = house.post("/v1/payment_methods", &form).await.error(400);
    assert_eq!(again["code"], "token_already_used");
    let customer = house.post("/v1/customers", &[("source", &*id(&made))]).await.error(400);
    assert_eq!(customer["code"], "token_already_used");
    assert!(house.list("/v1/customers").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_pays() {
    let house = House::open().await;
    let source = id(&token(&house).await);
    let customer = id(&house.post("/v1/customers", &[("source", &*source), ("email", "ada@example.com")]).await.ok());
    let price = house.monthly_price(1000).await;
    assert_eq!(house.subscribe(&customer, &price).await["status"], "active");
    // A token of a card that is declined is one, too.
    let declined = [("card[number]", "4000000000000002"), CARD[1], CARD[2]];
    let declined = id(&house.post("/v1/tokens", &declined).await.ok());
    let intent = [
        ("amount", "500"),
        ("currency", "usd"),
        ("confirm", "true"),
        ("payment_method_data[type]", "card"),
        ("payment_method_data[card][token]", &*declined),
        ("automatic_payment_methods[enabled]", "true"),
        ("automatic_payment_methods[allow_redirects]", "never"),
    ];
    assert_eq!(house.post("/v1/payment_intents", &intent).await.error(402)["code"], "card_declined");
    assert_eq!(house.get(&format!("/v1/tokens/{declined}")).await.ok()["used"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_token() {
    let house = House::open().await;
    let endless = [("card[number]", "4242424242424242"), ("card[exp_month]", "12")];
    for (form, param) in
        [(&[][..], "card"), (&endless, "card[exp_year]"), (&[("bank_account[country]", "US")], "bank_account")]
    {
        assert_eq!(house.post("/v1/tokens", form).await.error(400)["param"], param, "{form:?}");
    }
    let wrong = [("card[number]", "4242424242424241"), CARD[1], CARD[2]];
    assert_eq!(house.post("/v1/tokens", &wrong).await.error(402)["code"], "incorrect_number");
    assert_eq!(house.get("/v1/tokens/tok_none").await.error(404)["message"], "No such token: 'tok_none'");
    let unknown = house.post("/v1/payment_methods", &[("type", "card"), ("card[token]", "tok_none")]).await.error(400);
    assert_eq!((&unknown["param"], &unknown["code"]), (&json!("card[token]"), &json!("resource_missing")));
}

#[tokio::test(flavor = "multi_thread")]
async fn cards_of_a_customer_in_the_old_view() {
    let house = House::open().await;
    let customer = id(&house.post("/v1/customers", &[]).await.ok());
    let sources = format!("/v1/customers/{customer}/sources");
    let card = house.post(&sources, &[("source", &id(&token(&house).await)), ("metadata[a]", "1")]).await.ok();
    has(&card, &json!({"object": "card", "customer": customer, "brand": "Visa", "metadata": {"a": "1"}}));
    let path = format!("{sources}/{}", id(&card));
    assert_eq!(house.get(&path).await.ok(), card);
    let other = house.post(&format!("/v1/customers/{customer}/cards"), &[("card", "tok_mastercard")]).await.ok();
    assert_eq!(other["brand"], "MasterCard");
    assert_eq!(
        house.list(&format!("{sources}?object=card")).await.iter().map(id).collect::<Vec<_>>(),
        [id(&other), id(&card)]
    );
    let shown = house.get(&format!("/v1/customers/{customer}?expand[]=sources")).await.ok();
    assert_eq!(shown["sources"]["data"], json!([other, card]));
    assert_eq!(shown["default_source"], card["id"], "the first is the default");
    let changed = [("default_source", &*id(&other))];
    let changed = house.post(&format!("/v1/customers/{customer}"), &changed).await.ok();
    assert_eq!(changed["default_source"], other["id"]);
    let renamed = house.post(&path, &[("name", "Ada"), ("exp_year", "2031")]).await.ok();
    has(&renamed, &json!({"name": "Ada", "exp_year": 2031, "exp_month": 12}));
    assert_eq!(house.delete(&path).await.ok(), json!({"id": card["id"], "object": "card", "deleted": true}));
    house.get(&path).await.error(404);
    let stranger = id(&house.post("/v1/customers", &[]).await.ok());
    house.get(&format!("/v1/customers/{stranger}/sources/{}", id(&other))).await.error(404);
}
