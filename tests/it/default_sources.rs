//! Cards that are named in the old way, as `default_source`: of an invoice, a subscription, a customer.

use serde_json::{Value, json};

use crate::catalogue::has;
use crate::support::{House, id};

async fn source(house: &House, customer: &str, token: &str) -> String {
    id(&house.post(&format!("/v1/customers/{customer}/sources"), &[("source", token)]).await.ok())
}

async fn charged(house: &House, invoice: &Value) -> String {
    let charges = house.list("/v1/charges").await;
    let latest = charges.into_iter().find(|charge| charge["amount"] == invoice["amount_due"]).expect("a charge");
    latest["payment_method"].as_str().unwrap_or_default().to_owned()
}

/// Which payment method is used: of the six that can be named the first wins, and a payment method comes
/// before a source on each level.
#[tokio::test(flavor = "multi_thread")]
async fn each_level_comes_before_the_next() {
    let house = House::open().await;
    let customer = house.post("/v1/customers", &[("source", "tok_visa")]).await.ok();
    let (first, customer) = (customer["default_source"].as_str().unwrap().to_owned(), id(&customer));
    assert_eq!(house.get(&format!("/v1/customers/{customer}")).await.ok()["default_source"], json!(first));
    let others = [
        source(&house, &customer, "tok_mastercard").await,
        source(&house, &customer, "tok_amex").await,
        source(&house, &customer, "tok_discover").await,
    ];
    let path = format!("/v1/customers/{customer}");
    let settings = ("invoice_settings[default_payment_method]", &*others[0]);
    let subscription = ("default_source", &*others[1]);
    let method = ("default_payment_method", &*others[2]);
    for (place, (default, terms, expected)) in [
        (None, vec![], &first),
        (Some(settings), vec![], &others[0]),
        (Some(settings), vec![subscription], &others[1]),
        (Some(settings), vec![subscription, method], &others[2]),
    ]
    .into_iter()
    .enumerate()
    {
        house.post(&path, &default.into_iter().collect::<Vec<_>>()).await.ok();
        let price = house.monthly_price(1000 + i64::try_from(place).unwrap()).await;
        let made = house.subscribe_with(&customer, &price, &terms).await.ok();
        assert_eq!(made["status"], "active");
        assert_eq!(charged(&house, &house.latest_invoice(&made).await).await, *expected);
    }
    let draft = [("customer", &*customer), ("default_source", &*others[1]), ("auto_advance", "false")];
    let draft = house.post("/v1/invoices", &draft).await.ok();
    assert_eq!(draft["default_source"], json!(others[1]));
    let item = [("customer", &*customer), ("invoice", &*id(&draft)), ("amount", "4321"), ("currency", "usd")];
    house.post("/v1/invoiceitems", &item).await.ok();
    let paid = house.post(&format!("/v1/invoices/{}/pay", id(&draft)), &[]).await.ok();
    assert_eq!(charged(&house, &paid).await, others[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_away_is_no_default_any_more() {
    let house = House::open().await;
    let customer = id(&house.post("/v1/customers", &[("source", "tok_visa")]).await.ok());
    let own = source(&house, &customer, "tok_mastercard").await;
    let price = house.monthly_price(1000).await;
    let made = house.subscribe_with(&customer, &price, &[("default_source", &own)]).await.ok();
    let path = format!("/v1/subscriptions/{}", id(&made));
    let shown = house.get(&format!("{path}?expand[]=default_source&expand[]=customer.default_source")).await.ok();
    has(&shown["default_source"], &json!({"object": "card", "brand": "MasterCard"}));
    has(&shown["customer"]["default_source"], &json!({"object": "card", "brand": "Visa"}));
    house.delete(&format!("/v1/customers/{customer}/sources/{own}")).await.ok();
    has(&house.get(&path).await.ok(), &json!({"default_source": null}));
    let error = house.post(&path, &[("default_source", &own)]).await.error(400);
    assert_eq!(error["param"], "default_source");
    let other = source(&house, &customer, "tok_amex").await;
    has(&house.post(&path, &[("default_source", &other)]).await.ok(), &json!({"default_source": other}));
    has(&house.post(&path, &[("default_source", "")]).await.ok(), &json!({"default_source": null}));
    let stranger = house.customer("pm_card_visa", None).await;
    let error = house.post(&format!("/v1/customers/{stranger}"), &[("default_source", &other)]).await.error(400);
    assert_eq!(error["param"], "default_source");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_becomes_of_a_source_is_told_as_of_a_card() {
    let house = House::open().await;
    let mark = house.mark().await;
    let customer = id(&house.post("/v1/customers", &[("source", "tok_visa")]).await.ok());
    let told = house.told(mark).await;
    told.hold("customer.created payment_method.attached customer.source.created");
    has(told.object("customer.source.created"), &json!({"object": "card", "brand": "Visa", "customer": customer}));
    let mark = house.mark().await;
    let path = format!("/v1/customers/{customer}/sources/{}", source(&house, &customer, "tok_amex").await);
    house.told(mark).await.are("payment_method.attached customer.source.created");
    let mark = house.mark().await;
    house.post(&path, &[("name", "Ada")]).await.ok();
    let told = house.told(mark).await;
    told.are("payment_method.updated customer.source.updated");
    assert_eq!(told.previous("customer.source.updated"), &json!({"name": null}));
    let mark = house.mark().await;
    house.delete(&path).await.ok();
    let told = house.told(mark).await;
    told.hold("customer.source.deleted payment_method.detached");
    has(told.object("customer.source.deleted"), &json!({"object": "card", "customer": customer}));
}
