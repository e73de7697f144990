//! Prices that are made together with what they are for.

use serde_json::{Value, json};

use crate::catalogue::has;
use crate::support::{House, id};

async fn start() -> (House, String, String, String) {
    let house = House::open().await;
    let clock = house.test_clock("2027-01-01T00:00:00Z").await;
    let customer = house.customer("pm_card_visa", Some(&clock)).await;
    let product = id(&house.post("/v1/products", &[("name", "Made to measure")]).await.ok());
    (house, clock, customer, product)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_to_prices_of_its_own() {
    let (house, clock, customer, product) = start().await;
    let form = [
        ("customer", &*customer),
        ("items[0][price_data][currency]", "usd"),
        ("items[0][price_data][product]", &product),
        ("items[0][price_data][recurring][interval]", "month"),
        ("items[0][price_data][unit_amount]", "1234"),
        ("items[0][quantity]", "2"),
        ("add_invoice_items[0][price_data][currency]", "usd"),
        ("add_invoice_items[0][price_data][product]", &product),
        ("add_invoice_items[0][price_data][unit_amount_decimal]", "99.5"),
        ("add_invoice_items[0][quantity]", "3"),
    ];
    let made = house.post("/v1/subscriptions", &form).await.ok();
    assert_eq!(made["status"], "active");
    let price = &made["items"]["data"][0]["price"];
    has(
        price,
        &json!({"object": "price", "unit_amount": 1234, "type": "recurring", "active": false, "product": product}),
    );
    let path = format!("/v1/invoices/{}", made["latest_invoice"].as_str().unwrap());
    let first = house.get(&path).await.ok();
    has(&first, &json!({"status": "paid", "total": 2468 + 299}));
    assert_eq!(first["lines"]["data"][1]["description"], "2 × Made to measure (at $12.34 / month)");
    // What is told shows the price whole, and is told of it as well.
    let told = &house.list("/v1/events?type=customer.subscription.created").await[0]["data"]["object"];
    assert_eq!(told["items"], made["items"]);
    assert_eq!(house.list("/v1/events?type=price.created").await.len(), 2);
    // It renews, but nobody else can use its price.
    house.advance(&clock, "2027-02-01T01:00:00Z").await;
    let invoices = house.list(&format!("/v1/invoices?customer={customer}")).await;
    assert_eq!(invoices.iter().map(|invoice| &invoice["total"]).collect::<Vec<_>>(), [&json!(2468), &json!(2767)]);
    let form = [("customer", &*customer), ("items[0][price]", price["id"].as_str().unwrap())];
    assert_eq!(house.post("/v1/subscriptions", &form).await.error(400)["param"], "items[0][price]");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_price_of_its_own() {
    let (house, _, customer, product) = start().await;
    let good = [
        ("items[0][price_data][currency]", "usd"),
        ("items[0][price_data][product]", &*product),
        ("items[0][price_data][recurring][interval]", "month"),
        ("items[0][price_data][unit_amount]", "1000"),
    ];
    let once = [
        ("add_invoice_items[0][price_data][currency]", "eur"),
        ("add_invoice_items[0][price_data][product]", &*product),
        ("add_invoice_items[0][price_data][unit_amount]", "1000"),
    ];
    for (without, more, param) in [
        (0, &[][..], "items[0][price_data][currency]"),
        (1, &[("items[0][price_data][product]", "prod_none")], "items[0][price_data][product]"),
        (2, &[], "items[0][price]"),
        (
            2,
            &[
                ("items[0][price_data][recurring][interval]", "month"),
                ("items[0][price_data][recurring][interval_count]", "99"),
            ],
            "items[0][price_data][recurring][interval_count]",
        ),
        (3, &[], "items[0][price_data][unit_amount]"),
        (3, &[("items[0][price_data][unit_amount]", "-1")], "items[0][price_data][unit_amount]"),
        (9, &[("items[0][price]", "price_1")], "items[0][price]"),
        (9, &once, "add_invoice_items[0][price]"),
    ] {
        let kept = good.iter().enumerate().filter(|(place, _)| *place != without).map(|(_, pair)| *pair);
        let form: Vec<(&str, &str)> =
            [("customer", &*customer)].into_iter().chain(kept).chain(more.iter().copied()).collect();
        assert_eq!(house.post("/v1/subscriptions", &form).await.error(400)["param"], param, "{form:?}");
    }
    let prices: Vec<Value> = house.list("/v1/prices").await;
    assert!(prices.is_empty(), "a refusal makes no prices");
}
