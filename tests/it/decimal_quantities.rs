//! Quantities with decimal places: `quantity_decimal` of invoice items and lines.

use serde_json::json;

use crate::catalogue::has;
use crate::support::{House, id};

#[tokio::test(flavor = "multi_thread")]
async fn two_and_a_half_hours_cost_two_and_a_half_times_as_much() {
    let house = House::open().await;
    let customer = house.customer("pm_card_visa", None).await;
    let hours = [("customer", &*customer), ("unit_amount_decimal", "1000"), ("currency", "usd")];
    let made = house.post("/v1/invoiceitems", &[&hours[..], &[("quantity_decimal", "2.5")]].concat()).await.ok();
    has(&made, &json!({"amount": 2500, "quantity": 2, "quantity_decimal": "2.5"}));
    let item = format!("/v1/invoiceitems/{}", id(&made));
    let changed = house.post(&item, &[("quantity_decimal", "0.7505")]).await.ok();
    has(&changed, &json!({"amount": 751, "quantity": 0, "quantity_decimal": "0.7505"}));
    // Another unit amount leaves the quantity as it is, and a whole quantity is one, too.
    let changed = house.post(&item, &[("unit_amount_decimal", "2000")]).await.ok();
    has(&changed, &json!({"amount": 1501, "quantity_decimal": "0.7505"}));
    has(&house.post(&item, &[("quantity", "3")]).await.ok(), &json!({"amount": 6000, "quantity_decimal": "3"}));

    let price = [("product_data[name]", "Cloth"), ("currency", "usd"), ("unit_amount", "300")];
    let price = id(&house.post("/v1/prices", &price).await.ok());
    let draft = id(&house.post("/v1/invoices", &[("customer", &customer)]).await.ok());
    let form = [("lines[0][pricing][price]", &*price), ("lines[0][quantity_decimal]", "2.5")];
    let full = house.post(&format!("/v1/invoices/{draft}/add_lines"), &form).await.ok();
    let line = &full["lines"]["data"][0];
    has(line, &json!({"amount": 750, "quantity": 2, "quantity_decimal": "2.5"}));
    let preview = [
        ("customer", &*customer),
        ("invoice_items[0][price]", &price),
        ("invoice_items[0][quantity_decimal]", "1.25"),
        ("invoice_items[0][description]", "Cut"),
    ];
    let preview = house.post("/v1/invoices/create_preview", &preview).await.ok();
    let lines = preview["lines"]["data"].as_array().unwrap();
    let cut = lines.iter().find(|line| line["description"] == "Cut").unwrap();
    has(cut, &json!({"amount": 375, "quantity": 1, "quantity_decimal": "1.25"}));

    // What two of two and a half had cost can be taken back.
    house.post(&format!("/v1/invoices/{draft}/finalize"), &[]).await.ok();
    let line = id(line);
    let form = [
        ("invoice", &*draft),
        ("lines[0][type]", "invoice_line_item"),
        ("lines[0][invoice_line_item]", &line),
        ("lines[0][quantity]", "2"),
    ];
    has(&house.post("/v1/credit_notes", &form).await.ok(), &json!({"amount": 600}));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_quantity_is() {
    let house = House::open().await;
    let customer = house.customer("pm_card_visa", None).await;
    let dozen = [
        ("product_data[name]", "Eggs"),
        ("currency", "usd"),
        ("unit_amount", "300"),
        ("transform_quantity[divide_by]", "12"),
        ("transform_quantity[round]", "up"),
    ];
    let dozen = id(&house.post("/v1/prices", &dozen).await.ok());
    let unit = ("unit_amount_decimal", "1000");
    for (form, code, param) in [
        (vec![unit, ("quantity_decimal", "-0.5")], "parameter_invalid_integer", "quantity_decimal"),
        (vec![unit, ("quantity_decimal", "1"), ("quantity", "1")], "parameters_exclusive", "quantity"),
        (vec![("amount", "5"), ("quantity_decimal", "1")], "parameters_exclusive", "amount"),
        (vec![("pricing[price]", &*dozen), ("quantity_decimal", "12.5")], "", "quantity_decimal"),
        (vec![unit, ("quantity_decimal", "half")], "", "quantity_decimal"),
        (vec![unit, ("quantity_decimal", "0.0000000000001")], "", "quantity_decimal"),
    ] {
        let form = [&[("customer", &*customer), ("currency", "usd")], &form[..]].concat();
        let error = house.post("/v1/invoiceitems", &form).await.error(400);
        assert_eq!(error["param"], param, "{form:?}");
        assert_eq!(error["code"].as_str().unwrap_or_default(), code, "{form:?}");
    }
    let whole = [("customer", &*customer), ("pricing[price]", &dozen), ("quantity_decimal", "13.0")];
    has(&house.post("/v1/invoiceitems", &whole).await.ok(), &json!({"amount": 600, "quantity_decimal": "13"}));
    assert_eq!(house.list("/v1/invoiceitems").await.len(), 1);
}
