//! What prices come to: tiers, packages, decimals, several currencies; and what products carry with them.

use serde_json::{Value, json};

use crate::catalogue::has;
use crate::support::{House, id};

/// A price of a new product.
async fn price(house: &House, form: &[(&str, &str)]) -> Value {
    let product = id(&house.post("/v1/products", &[("name", "Seats")]).await.ok());
    house.post("/v1/prices", &[&[("currency", "usd"), ("product", &*product)], form].concat()).await.ok()
}

const MONTHLY: (&str, &str) = ("recurring[interval]", "month");

/// At most 10 at 5.00, at most 50 at 4.00 and 10.00 at once, more at 2.50.
const TIERS: [(&str, &str); 9] = [
    MONTHLY,
    ("billing_scheme", "tiered"),
    ("tiers[0][up_to]", "10"),
    ("tiers[0][unit_amount]", "500"),
    ("tiers[1][up_to]", "50"),
    ("tiers[1][unit_amount]", "400"),
    ("tiers[1][flat_amount]", "1000"),
    ("tiers[2][up_to]", "inf"),
    ("tiers[2][unit_amount]", "250"),
];

/// Price models: the table of tiers, as invoices bill it.
#[tokio::test(flavor = "multi_thread")]
async fn tiers_are_billed_by_their_table() {
    let house = House::open().await;
    for (mode, amounts) in
        [("graduated", [0, 3500, 5000, 6400, 14_000, 29_500]), ("volume", [0, 3500, 5000, 5400, 13_000, 20_000])]
    {
        let tiered = price(&house, &[&TIERS[..], &[("tiers_mode", mode)]].concat()).await;
        has(
            &tiered,
            &json!({"billing_scheme": "tiered", "tiers_mode": mode, "unit_amount": null, "unit_amount_decimal": null}),
        );
        assert_eq!(tiered.get("tiers"), None, "tiers are shown when they are asked for");
        for (quantity, amount) in ["0", "7", "10", "11", "30", "80"].into_iter().zip(amounts) {
            let customer = house.customer("pm_card_visa", None).await;
            let made = house.subscribe_with(&customer, &id(&tiered), &[("items[0][quantity]", quantity)]).await.ok();
            let invoice = house.latest_invoice(&made).await;
            assert_eq!(invoice["total"], amount, "{mode} {quantity}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tiers_are_shown_when_they_are_asked_for() {
    let house = House::open().await;
    let tiered = price(&house, &[&TIERS[..], &[("tiers_mode", "volume")]].concat()).await;
    let customer = house.customer("pm_card_visa", None).await;
    let expected = json!([
        {"flat_amount": null, "flat_amount_decimal": null, "unit_amount": 500, "unit_amount_decimal": "500", "up_to": 10},
        {"flat_amount": 1000, "flat_amount_decimal": "1000", "unit_amount": 400, "unit_amount_decimal": "400", "up_to": 50},
        {"flat_amount": null, "flat_amount_decimal": null, "unit_amount": 250, "unit_amount_decimal": "250", "up_to": null},
    ]);
    let path = format!("/v1/prices/{}?expand[]=tiers", id(&tiered));
    assert_eq!(house.get(&path).await.ok()["tiers"], expected);
    assert_eq!(house.get("/v1/prices?expand[]=data.tiers").await.ok()["data"][0]["tiers"], expected);
    let made = house.subscribe_with(&customer, &id(&tiered), &[("expand[]", "items.data.price.tiers")]).await.ok();
    assert_eq!(made["items"]["data"][0]["price"]["tiers"], expected);
    assert_eq!(made["items"]["data"][0]["price"].get("internal"), None);
    let told = &house.list("/v1/events?type=customer.subscription.created").await[0]["data"]["object"];
    let price = &told["items"]["data"][0]["price"];
    assert_eq!((price.get("internal"), price.get("tiers"), &price["id"]), (None, None, &tiered["id"]));
}

/// Proration of a tiered price: the tiers of the quantity, and then the share of the period.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_a_tiered_quantity_is_prorated() {
    let house = House::open().await;
    let clock = house.test_clock("2027-02-01T00:00:00Z").await;
    let tiered = price(&house, &[&TIERS[..], &[("tiers_mode", "graduated")]].concat()).await;
    let customer = house.customer("pm_card_visa", Some(&clock)).await;
    let made = house.subscribe_with(&customer, &id(&tiered), &[("items[0][quantity]", "10")]).await.ok();
    house.advance(&clock, "2027-02-15T00:00:00Z").await;
    let item = id(&made["items"]["data"][0]);
    house.post(&format!("/v1/subscription_items/{item}"), &[("quantity", "11")]).await.ok();
    let mut items = house.list(&format!("/v1/invoiceitems?customer={customer}")).await;
    items.sort_by_key(|item| item["amount"].as_i64());
    assert_eq!(items.iter().map(|item| &item["amount"]).collect::<Vec<_>>(), [&json!(-2500), &json!(3200)]);
}

/// Price models, packages; decimals are rounded once for each line.
#[tokio::test(flavor = "multi_thread")]
async fn packages_and_decimals_are_billed_exactly() {
    let house = House::open().await;
    let up = [("transform_quantity[divide_by]", "1000"), ("transform_quantity[round]", "up")];
    let down = [("transform_quantity[divide_by]", "1000"), ("transform_quantity[round]", "down")];
    let none: &[(&str, &str)] = &[];
    for (transform, unit, quantity, amount) in [
        (&up[..], "10", "12345", 130),
        (&down, "10", "12345", 120),
        (none, "0.05", "30", 2),
        (none, "0.0125", "123456", 1543),
        (none, "0.000000000001", "1000000000", 0),
    ] {
        let price = price(&house, &[&[("unit_amount_decimal", unit)], transform].concat()).await;
        assert_eq!(price["unit_amount_decimal"], unit);
        let customer = house.customer("pm_card_visa", None).await;
        let form = [("customer", &*customer), ("pricing[price]", &id(&price)), ("quantity", quantity)];
        let item = house.post("/v1/invoiceitems", &form).await.ok();
        assert_eq!(item["amount"], amount, "{unit} × {quantity}");
        // Another quantity of the same price is packed and rounded like the first.
        let path = format!("/v1/invoiceitems/{}", id(&item));
        assert_eq!(house.post(&path, &[("quantity", "0")]).await.ok()["amount"], 0);
        assert_eq!(house.post(&path, &[("quantity", quantity)]).await.ok()["amount"], amount);
    }
    let refused = [("currency", "usd"), ("product_data[name]", "Fine"), ("unit_amount_decimal", "0.0000000000001")];
    assert_eq!(house.post("/v1/prices", &refused).await.error(400)["param"], "unit_amount_decimal");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_in_several_currencies_is_billed_in_the_one_that_is_wanted() {
    let house = House::open().await;
    let options = [
        MONTHLY,
        ("unit_amount", "1000"),
        ("currency_options[eur][unit_amount]", "900"),
        ("currency_options[eur][tax_behavior]", "inclusive"),
        ("currency_options[jpy][unit_amount_decimal]", "1200.5"),
    ];
    let many = price(&house, &options).await;
    assert_eq!(many.get("currency_options"), None, "shown when they are asked for");
    let path = format!("/v1/prices/{}", id(&many));
    let shown = house.get(&format!("{path}?expand[]=currency_options")).await.ok()["currency_options"].clone();
    let option = |unit: Value, decimal: &str, tax: &str| json!({"custom_unit_amount": null, "tax_behavior": tax, "unit_amount": unit, "unit_amount_decimal": decimal});
    let mut expected = json!({
        "eur": option(json!(900), "900", "inclusive"),
        "jpy": option(Value::Null, "1200.5", "unspecified"),
        "usd": option(json!(1000), "1000", "unspecified"),
    });
    assert_eq!(shown, expected);
    // Given, or the customer's, or the price's own.
    for (currency, total) in [("eur", 900), ("jpy", 1201), ("", 1000)] {
        let customer = house.customer("pm_card_visa", None).await;
        let given: &[(&str, &str)] = if currency.is_empty() { &[] } else { &[("currency", currency)] };
        let made = house.subscribe_with(&customer, &id(&many), given).await.ok();
        let currency = if currency.is_empty() { "usd" } else { currency };
        assert_eq!((&made["currency"], &made["status"]), (&json!(currency), &json!("active")));
        let invoice = house.latest_invoice(&made).await;
        has(&invoice, &json!({"currency": currency, "total": total}));
        assert_eq!(invoice["lines"]["data"][0]["currency"], currency);
        // A second one, without a word, and an item: in the customer's currency.
        let second = house.subscribe(&customer, &id(&many)).await;
        assert_eq!(second["currency"], currency);
    }
    let customer = house.customer("pm_card_visa", None).await;
    let error = house.subscribe_with(&customer, &id(&many), &[("currency", "gbp")]).await.error(400);
    assert_eq!(error["param"], "currency");
    // An update adds and replaces by currency, and the empty string takes all away.
    let before = house.list("/v1/events?type=price.updated").await.len();
    let added = [("currency_options[gbp][unit_amount]", "800"), ("expand[]", "currency_options")];
    expected["gbp"] = option(json!(800), "800", "unspecified");
    assert_eq!(house.post(&path, &added).await.ok()["currency_options"], expected);
    assert_eq!(house.list("/v1/events?type=price.updated").await.len(), before + 1, "what is not shown is told");
    let own = house.post(&path, &[("currency_options[usd][unit_amount]", "1")]).await.error(400);
    assert_eq!(own["param"], "currency_options[usd]");
    let cleared = house.post(&path, &[("currency_options", ""), ("expand[]", "currency_options")]).await.ok();
    assert_eq!(cleared["currency_options"], json!({"usd": expected["usd"]}));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_item_is_priced_in_the_currency_of_its_customer() {
    let house = House::open().await;
    let once = price(&house, &[("unit_amount", "1000"), ("currency_options[eur][unit_amount]", "900")]).await;
    let customer = house.customer("pm_card_visa", None).await;
    let form = [("customer", &*customer), ("pricing[price]", &id(&once)), ("currency", "eur"), ("quantity", "2")];
    let item = house.post("/v1/invoiceitems", &form).await.ok();
    has(&item, &json!({"currency": "eur", "amount": 1800}));
    assert_eq!(item["pricing"]["unit_amount_decimal"], "900");
    let again = house.post(&format!("/v1/invoiceitems/{}", id(&item)), &[("quantity", "3")]).await.ok();
    has(&again, &json!({"currency": "eur", "amount": 2700}));
    let form = [("customer", &*customer), ("pricing[price]", &id(&once)), ("currency", "gbp")];
    assert_eq!(house.post("/v1/invoiceitems", &form).await.error(400)["param"], "currency");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lookup_key_moves_only_when_it_is_told_to() {
    let house = House::open().await;
    let key = ("lookup_key", "standard");
    let first = price(&house, &[("unit_amount", "100"), key]).await;
    let form = [("currency", "usd"), ("product_data[name]", "New"), ("unit_amount", "200"), key];
    let refused = house.post("/v1/prices", &form).await.error(400);
    assert_eq!((&refused["code"], &refused["param"]), (&json!("resource_already_exists"), &json!("lookup_key")));
    let second = house.post("/v1/prices", &[&form[..], &[("transfer_lookup_key", "true")]].concat()).await.ok();
    assert_eq!(second["lookup_key"], "standard");
    assert_eq!(house.fresh(&first).await["lookup_key"], Value::Null);
    let told = &house.list("/v1/events?type=price.updated").await[0]["data"];
    has(told, &json!({"previous_attributes": {"lookup_key": "standard"}}));
    assert_eq!(told["object"]["id"], first["id"]);
    // And back again, by an update; to whoever has it already nothing happens.
    for _ in 0..2 {
        let path = format!("/v1/prices/{}", id(&first));
        let back = house.post(&path, &[key, ("transfer_lookup_key", "true")]).await.ok();
        assert_eq!(back["lookup_key"], "standard");
        assert_eq!(house.fresh(&second).await["lookup_key"], Value::Null);
    }
    let found = house.list("/v1/prices?lookup_keys[]=standard").await;
    assert_eq!(found.iter().map(id).collect::<Vec<_>>(), [id(&first)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_price() {
    let house = House::open().await;
    let base = [("currency", "usd"), ("product_data[name]", "Seats")];
    let unit = ("unit_amount", "100");
    let tiered = [("billing_scheme", "tiered"), ("tiers[0][up_to]", "inf"), ("tiers[0][unit_amount]", "5")];
    let cases: [(&[(&str, &str)], &str); 14] = [
        (&[], "unit_amount"),
        (&[unit, ("unit_amount_decimal", "1")], "unit_amount"),
        (&[unit, ("tiers_mode", "volume")], "tiers_mode"),
        (&[unit, ("tiers[0][up_to]", "inf"), ("tiers[0][unit_amount]", "1")], "tiers"),
        (&tiered, "tiers_mode"),
        (&[("billing_scheme", "tiered"), ("tiers_mode", "volume")], "tiers"),
        (
            &[unit, ("transform_quantity[divide_by]", "0"), ("transform_quantity[round]", "up")],
            "transform_quantity[divide_by]",
        ),
        (&[unit, ("custom_unit_amount[enabled]", "true")], "unit_amount"),
        (&[("custom_unit_amount[enabled]", "false")], "custom_unit_amount[enabled]"),
        (&[("custom_unit_amount[enabled]", "true"), MONTHLY], "custom_unit_amount"),
        (&[unit, ("currency_options[usd][unit_amount]", "1")], "currency_options[usd]"),
        (&[unit, ("currency_options[eur][tax_behavior]", "inclusive")], "currency_options[eur][unit_amount]"),
        (&[unit, MONTHLY, ("recurring[usage_type]", "metered")], "recurring[usage_type]"),
        (&[unit, MONTHLY, ("recurring[meter]", "mtr_1")], "recurring[meter]"),
    ];
    for (form, param) in cases {
        let error = house.post("/v1/prices", &[&base, form].concat()).await.error(400);
        assert_eq!(error["param"], param, "{form:?}: {error}");
    }
    assert!(house.list("/v1/prices").await.is_empty());
    // Whether tax is in it is said once.
    let path = format!("/v1/prices/{}", id(&price(&house, &[unit]).await));
    assert_eq!(house.post(&path, &[("tax_behavior", "exclusive")]).await.ok()["tax_behavior"], "exclusive");
    assert_eq!(house.post(&path, &[("tax_behavior", "inclusive")]).await.error(400)["param"], "tax_behavior");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_amount_that_the_payer_chooses_is_for_a_checkout_only() {
    let house = House::open().await;
    let form = [
        ("custom_unit_amount[enabled]", "true"),
        ("custom_unit_amount[minimum]", "100"),
        ("custom_unit_amount[preset]", "500"),
    ];
    let open = price(&house, &form).await;
    assert_eq!(open["custom_unit_amount"], json!({"maximum": null, "minimum": 100, "preset": 500}));
    let customer = house.customer("pm_card_visa", None).await;
    let item = [("customer", &*customer), ("pricing[price]", &id(&open))];
    assert_eq!(house.post("/v1/invoiceitems", &item).await.error(400)["param"], "pricing[price]");
    house.subscribe_with(&customer, &id(&open), &[]).await.error(400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_brings_its_default_price() {
    let house = House::open().await;
    let form = [
        ("name", "Box"),
        ("default_price_data[currency]", "usd"),
        ("default_price_data[unit_amount]", "2000"),
        ("default_price_data[recurring][interval]", "year"),
        ("default_price_data[tax_behavior]", "exclusive"),
        ("default_price_data[metadata][k]", "v"),
        ("default_price_data[currency_options][eur][unit_amount]", "1900"),
        ("package_dimensions[height]", "2.5"),
        ("package_dimensions[length]", "10"),
        ("package_dimensions[weight]", "0.75"),
        ("package_dimensions[width]", "4"),
        ("marketing_features[0][name]", "Light"),
        ("images[0]", "https://example.com/box.png"),
        ("url", "https://example.com/box"),
        ("shippable", "true"),
        ("expand[]", "default_price.currency_options"),
    ];
    let made = house.post("/v1/products", &form).await.ok();
    has(
        &made["default_price"],
        &json!({"unit_amount": 2000, "tax_behavior": "exclusive", "metadata": {"k": "v"}, "product": made["id"], "active": true}),
    );
    assert_eq!(made["default_price"]["currency_options"]["eur"]["unit_amount"], 1900);
    has(
        &made,
        &json!({
            "package_dimensions": {"height": 2.5, "length": 10.0, "weight": 0.75, "width": 4.0},
            "marketing_features": [{"name": "Light"}],
            "shippable": true,
        }),
    );
    assert_eq!(house.event_types(0).await, ["product.created", "price.created", "plan.created"]);
    let path = format!("/v1/products/{}", id(&made));
    assert_eq!(house.post(&path, &[("package_dimensions", "")]).await.ok()["package_dimensions"], Value::Null);
    let bad = [
        ("package_dimensions[height]", "-1"),
        ("package_dimensions[length]", "1"),
        ("package_dimensions[weight]", "1"),
        ("package_dimensions[width]", "1"),
    ];
    assert_eq!(house.post(&path, &bad).await.error(400)["param"], "package_dimensions[height]");
    house.delete(&path).await.error(400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_brings_its_price_and_product() {
    let house = House::open().await;
    let customer = house.customer("pm_card_visa", None).await;
    let invoice = id(&house.post("/v1/invoices", &[("customer", &customer), ("currency", "usd")]).await.ok());
    let form = [
        ("lines[0][price_data][currency]", "usd"),
        ("lines[0][price_data][unit_amount]", "700"),
        ("lines[0][price_data][product_data][name]", "Engraving"),
        ("lines[0][quantity]", "2"),
    ];
    let path = format!("/v1/invoices/{invoice}/add_lines");
    let draft = house.post(&path, &form).await.ok();
    has(&draft["lines"]["data"][0], &json!({"amount": 1400, "description": "Engraving", "quantity": 2}));
    assert_eq!(house.list("/v1/products").await[0]["name"], "Engraving");
    let neither = [("lines[0][price_data][currency]", "usd"), ("lines[0][price_data][unit_amount]", "1")];
    assert_eq!(house.post(&path, &neither).await.error(400)["param"], "lines[0][price_data][product]");
}
