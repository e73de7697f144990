//! Restricted keys: what they may do, said for each call by its declaration.

use dunlin::api::{
    self,
    auth::{self, KeyKind},
    permissions::{Permission, Permissions},
};
use reqwest::Method;

use crate::{
    operations::path_of,
    support::{Answer, House, id},
};

/// Makes a key with these permissions.
async fn key(house: &House, permissions: &str) -> String {
    let kind = KeyKind::Restricted(Permissions::parse(permissions).unwrap());
    let mut moment = house.app.engine.new_moment().unwrap();
    let mut reader = house.app.engine.store.reader().await.unwrap();
    let made = auth::create(&mut reader, &kind, &mut moment.ids, 0).await.unwrap();
    format!("Bearer {}", made.text)
}

async fn with(house: &House, key: &str, method: Method, path: &str, form: &[(&str, &str)]) -> Answer {
    house.call(method, path, form, &[("authorization", key)]).await
}

#[track_caller]
fn assert_forbidden(answer: Answer, lacks: &str) {
    let error = answer.error(403);
    assert_eq!(error["type"], "invalid_request_error");
    let message = error["message"].as_str().unwrap();
    assert!(message.starts_with("The provided key 'rk_test_*"), "{message}");
    assert!(
        message.contains("does not have the required permissions for this endpoint on account 'acct_"),
        "{message}"
    );
    assert!(message.contains(&format!("A key with {lacks} may")), "{message}");
}

/// Each call × each permission on its resource: none and too little are refused before anything else is looked
/// at; enough is not.
#[tokio::test(flavor = "multi_thread")]
async fn every_call_needs_its_permission() {
    let house = House::open().await;
    let nothing = key(&house, "").await;
    let routes = api::routes();
    let all = |permission: &str| {
        let mut resources: Vec<&str> = routes.iter().map(|route| route.operation.resource).collect();
        resources.sort_unstable();
        resources.dedup();
        resources.iter().map(|resource| format!("{resource}={permission}")).collect::<Vec<_>>().join(",")
    };
    let (reader, writer) = (key(&house, &all("read")).await, key(&house, &all("write")).await);
    for operation in routes.iter().map(|route| &route.operation) {
        let path = path_of(operation);
        let call = |key: &str| {
            let (house, key, method, path) = (&house, key.to_owned(), operation.method.clone(), path.clone());
            async move { with(house, &key, method, &path, &[]).await }
        };
        let lacks = format!("{}={}", operation.resource, operation.permission);
        assert_forbidden(call(&nothing).await, &lacks);
        let read = call(&reader).await;
        match operation.permission {
            Permission::Read => assert_allowed(operation.path, &read),
            Permission::Write => assert_forbidden(read, &lacks),
        }
        assert_allowed(operation.path, &call(&writer).await);
    }
}

/// Another account's page is forbidden to every key.
fn assert_allowed(path: &str, answer: &Answer) {
    if path != "/v1/accounts/{id}" {
        assert!([200, 400, 404].contains(&answer.status), "{path}: {}", answer.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_does_what_it_may() {
    let house = House::open().await;
    let customer = house.customer("pm_card_visa", None).await;
    let key = key(&house, "customers=read,products=write").await;
    let path = format!("/v1/customers/{customer}");
    assert_eq!(with(&house, &key, Method::GET, &path, &[]).await.ok()["id"], *customer);
    assert_forbidden(with(&house, &key, Method::POST, &path, &[("name", "Grace")]).await, "customers=write");
    assert_eq!(house.get(&path).await.ok()["name"], "Ada");
    let product = with(&house, &key, Method::POST, "/v1/products", &[("name", "Seat")]).await.ok();
    with(&house, &key, Method::GET, &format!("/v1/products/{}", id(&product)), &[]).await.ok();
    assert_forbidden(with(&house, &key, Method::GET, "/v1/prices", &[]).await, "prices=read");
}

/// What is expanded is read: it needs the permission to read it, however deep it lies.
#[tokio::test(flavor = "multi_thread")]
async fn expanding_is_reading() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let customer = house.customer("pm_card_visa", None).await;
    let path = format!("/v1/subscriptions/{}", id(&house.subscribe(&customer, &price).await));
    let subscriptions = key(&house, "subscriptions=read").await;
    let invoices = key(&house, "subscriptions=read,invoices=read").await;
    let get =
        async |key: &str, expand: &str| with(&house, key, Method::GET, &format!("{path}?expand[]={expand}"), &[]).await;
    // Prices are part of a subscription.
    assert_eq!(get(&subscriptions, "items").await.ok()["items"]["data"][0]["price"]["id"], *price);
    assert_forbidden(get(&subscriptions, "latest_invoice").await, "invoices=read");
    assert_eq!(get(&invoices, "latest_invoice").await.ok()["latest_invoice"]["object"], "invoice");
    assert_forbidden(get(&invoices, "latest_invoice.customer").await, "customers=read");
    assert_forbidden(get(&invoices, "items.data.price.product").await, "products=read");
}

/// So is what is made of a document, or kept with it, and belongs to another resource.
#[tokio::test(flavor = "multi_thread")]
async fn expanding_what_is_derived_is_reading_too() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let customer = house.customer("pm_card_visa", None).await;
    let subscription = house.subscribe(&customer, &price).await;
    let invoice = format!("/v1/invoices/{}", subscription["latest_invoice"].as_str().unwrap());
    let charge = id(&house.list("/v1/charges").await[0]);
    let movement = charge.replace("ch_", "txn_");
    let (charge, movement) = (format!("/v1/charges/{charge}"), format!("/v1/balance_transactions/{movement}"));
    house.get(&movement).await.ok();
    for (path, expand, may, lacks) in [
        (&charge, "balance_transaction", "charges=read", "balance_transactions=read"),
        (&invoice, "confirmation_secret", "invoices=read", "payment_intents=read"),
        (&movement, "source", "balance_transactions=read", "charges=read"),
    ] {
        let path = format!("{path}?expand[]={expand}");
        assert_forbidden(with(&house, &key(&house, may).await, Method::GET, &path, &[]).await, lacks);
        let both = key(&house, &format!("{may},{lacks},disputes=read,refunds=read")).await;
        assert!(with(&house, &both, Method::GET, &path, &[]).await.ok()[expand].is_object(), "{path}");
    }
    // The tiers of a price are the price's own.
    let prices = key(&house, "prices=read").await;
    with(&house, &prices, Method::GET, &format!("/v1/prices/{price}?expand[]=tiers"), &[]).await.ok();
}
