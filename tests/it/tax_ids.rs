//! Tax IDs of customers and of the account; and what else is below a customer's path.

use serde_json::{Value, json};

use crate::catalogue::has;
use crate::support::{House, id};

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_has_tax_ids_and_its_invoices_show_them() {
    let house = House::open().await;
    let form = [
        ("email", "ada@example.com"),
        ("tax_id_data[0][type]", "eu_vat"),
        ("tax_id_data[0][value]", "DE000000000"),
        ("tax_id_data[1][type]", "us_ein"),
        ("tax_id_data[1][value]", "12-3456789"),
        ("expand[]", "tax_ids"),
    ];
    let customer = house.post("/v1/customers", &form).await.ok();
    let path = format!("/v1/customers/{}/tax_ids", id(&customer));
    let tax_ids = &customer["tax_ids"];
    assert_eq!((&tax_ids["object"], &tax_ids["url"]), (&json!("list"), &json!(path)));
    assert_eq!(tax_ids["data"], json!(house.list(&path).await));
    has(
        &tax_ids["data"][1],
        &json!({
            "object": "tax_id", "type": "eu_vat", "value": "DE000000000", "country": "DE", "customer": customer["id"],
            "owner": {"customer": customer["id"], "customer_account": null, "type": "customer"},
            "verification": {"status": "verified", "verified_address": null, "verified_name": null},
        }),
    );
    assert_eq!(house.event_types(0).await, ["customer.created", "customer.tax_id.created", "customer.tax_id.created"]);
    let third = house.post(&path, &[("type", "ch_vat"), ("value", "CHE-123.456.789 MWST")]).await.ok();
    assert_eq!(third["verification"]["status"], "unavailable");
    let invoice = house.post("/v1/invoices", &[("customer", &*id(&customer))]).await.ok();
    assert_eq!(
        invoice["customer_tax_ids"],
        json!([
            {"type": "eu_vat", "value": "DE000000000"},
            {"type": "us_ein", "value": "12-3456789"},
            {"type": "ch_vat", "value": "CHE-123.456.789 MWST"},
        ])
    );
    // By both paths it is the same, and gone by both.
    let own = format!("/v1/tax_ids/{}", id(&third));
    assert_eq!(house.get(&own).await.ok(), third);
    let below = format!("{path}/{}", id(&third));
    assert_eq!(house.get(&below).await.ok(), third);
    assert_eq!(house.delete(&below).await.ok(), json!({"id": third["id"], "object": "tax_id", "deleted": true}));
    house.get(&own).await.error(404);
    assert_eq!(house.event_types(0).await.last().map(String::as_str), Some("customer.tax_id.deleted"));
    let invoice = house.post("/v1/invoices", &[("customer", &*id(&customer))]).await.ok();
    assert_eq!(invoice["customer_tax_ids"].as_array().map(Vec::len), Some(2));
    let shown = house.get(&format!("/v1/customers/{}", id(&customer))).await.ok();
    assert_eq!((shown.get("tax_ids"), shown.get("internal")), (None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn tax_ids_belong_to_a_customer_or_to_the_account() {
    let house = House::open().await;
    let customer = id(&house.post("/v1/customers", &[]).await.ok());
    let of_customer = [("owner[type]", "customer"), ("owner[customer]", &*customer)];
    let number = [("type", "gb_vat"), ("value", "GB123456789")];
    let theirs = house.post("/v1/tax_ids", &[&number[..], &of_customer].concat()).await.ok();
    let ours = house.post("/v1/tax_ids", &number).await.ok();
    has(&ours, &json!({"customer": null, "owner": {"customer_account": null, "type": "self"}}));
    let ids = |found: Vec<Value>| found.iter().map(id).collect::<Vec<_>>();
    assert_eq!(ids(house.list("/v1/tax_ids").await), [id(&ours)]);
    assert_eq!(
        ids(house.list(&format!("/v1/tax_ids?owner[type]=customer&owner[customer]={customer}")).await),
        [id(&theirs)]
    );
    assert_eq!(ids(house.list(&format!("/v1/customers/{customer}/tax_ids")).await), [id(&theirs)]);
    house.delete(&format!("/v1/tax_ids/{}", id(&ours))).await.ok();
    assert!(house.list("/v1/tax_ids").await.is_empty());
    let stranger = id(&house.post("/v1/customers", &[]).await.ok());
    house.get(&format!("/v1/customers/{stranger}/tax_ids/{}", id(&theirs))).await.error(404);
    house.delete(&format!("/v1/customers/{stranger}/tax_ids/{}", id(&theirs))).await.error(404);
    for (form, param) in [
        (&[("type", "eu_vat"), ("value", "12")][..], "value"),
        (&[("type", "none"), ("value", "12")], "type"),
        (&[("type", "eu_vat")], "value"),
        (&[number[0], number[1], ("owner[type]", "customer")], "owner[customer]"),
        (&[number[0], number[1], ("owner[type]", "account")], "owner[type]"),
        (&[number[0], number[1], ("owner[type]", "customer"), ("owner[customer]", "cus_none")], "owner[customer]"),
    ] {
        assert_eq!(house.post("/v1/tax_ids", form).await.error(400)["param"], param, "{form:?}");
    }
    let bad = [("tax_id_data[0][type]", "eu_vat"), ("tax_id_data[0][value]", "x")];
    assert_eq!(house.post("/v1/customers", &bad).await.error(400)["param"], "tax_id_data[0][value]");
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_by_the_path_of_their_customer() {
    let house = House::open().await;
    let customer = house.customer("pm_card_visa", None).await;
    let stranger = house.customer("pm_card_visa", None).await;
    let price = house.monthly_price(1000).await;
    let path = format!("/v1/customers/{customer}/subscriptions");
    let made = house.post(&path, &[("items[0][price]", &*price)]).await.ok();
    assert_eq!((&made["customer"], &made["status"]), (&json!(customer), &json!("active")));
    let one = format!("{path}/{}", id(&made));
    assert_eq!(house.get(&one).await.ok(), made);
    assert_eq!(house.list(&path).await, std::slice::from_ref(&made));
    house.get(&format!("/v1/customers/{stranger}/subscriptions/{}", id(&made))).await.error(404);
    house.delete(&format!("/v1/customers/{stranger}/subscriptions/{}", id(&made))).await.error(404);
    house.post(&path, &[("items[0][price]", &*price), ("customer", &*stranger)]).await.error(400);
    assert_eq!(house.post(&one, &[("metadata[a]", "b")]).await.ok()["metadata"], json!({"a": "b"}));
    assert_eq!(house.delete(&one).await.ok()["status"], "canceled");
    // There are no discounts.
    for path in [format!("/v1/customers/{customer}/discount"), format!("{one}/discount")] {
        let error = house.delete(&path).await.error(404);
        assert_eq!(error["code"], "resource_missing");
        assert!(error["message"].as_str().is_some_and(|message| message.starts_with("No active discount for")));
    }
    house.get(&format!("/v1/customers/{customer}/discount")).await.error(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_has_fields_for_all_its_invoices() {
    let house = House::open().await;
    let field =
        [("invoice_settings[custom_fields][0][name]", "PO"), ("invoice_settings[custom_fields][0][value]", "4711")];
    let customer = house.post("/v1/customers", &field).await.ok();
    let expected = json!([{"name": "PO", "value": "4711"}]);
    assert_eq!(customer["invoice_settings"]["custom_fields"], expected);
    let invoice = house.post("/v1/invoices", &[("customer", &*id(&customer))]).await.ok();
    assert_eq!(invoice["custom_fields"], expected);
    let path = format!("/v1/customers/{}", id(&customer));
    let cleared = house.post(&path, &[("invoice_settings[custom_fields]", "")]).await.ok();
    assert_eq!(cleared["invoice_settings"]["custom_fields"], Value::Null);
    let five: Vec<(String, &str)> = (0..5)
        .flat_map(|n| ["name", "value"].map(|part| (format!("invoice_settings[custom_fields][{n}][{part}]"), "x")))
        .collect();
    let five: Vec<(&str, &str)> = five.iter().map(|(name, value)| (&**name, *value)).collect();
    assert_eq!(house.post(&path, &five).await.error(400)["param"], "invoice_settings[custom_fields]");
}
