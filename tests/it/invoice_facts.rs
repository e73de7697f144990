//! What an invoice is paid with, what it freezes, and what is said of it and its items.

use reqwest::Method;
use serde_json::{Value, json};

use crate::catalogue::has;
use crate::changes::{MIDDLE, Tenant};
use crate::support::{House, id};

async fn item(house: &House, customer: &str, more: &[(&str, &str)]) -> Value {
    let form = [("customer", customer), ("amount", "900"), ("currency", "usd")];
    house.post("/v1/invoiceitems", &[&form, more].concat()).await.ok()
}

/// A draft of 900.
async fn draft(house: &House, customer: &str, form: &[(&str, &str)]) -> Value {
    let draft = house.post("/v1/invoices", &[&[("customer", customer)], form].concat()).await.ok();
    item(house, customer, &[("invoice", &id(&draft))]).await;
    draft
}

/// Which payment method is used: the invoice's own comes first, and when it fails none of the others is tried.
#[tokio::test(flavor = "multi_thread")]
async fn the_payment_method_of_an_invoice_comes_first() {
    let house = House::open().await;
    for (own, usual, paid) in [
        ("pm_card_mastercard", "pm_card_chargeCustomerFail", true),
        ("pm_card_chargeCustomerFail", "pm_card_visa", false),
    ] {
        let customer = house.customer(usual, None).await;
        let own = house.post(&format!("/v1/payment_methods/{own}/attach"), &[("customer", &customer)]).await.ok();
        let invoice = draft(&house, &customer, &[("default_payment_method", &id(&own))]).await;
        let answer = house.post(&format!("/v1/invoices/{}/pay", id(&invoice)), &[]).await;
        if paid {
            assert_eq!(answer.ok()["status"], "paid");
        } else {
            assert_eq!(answer.error(402)["code"], "card_declined");
        }
        let charges = house.list(&format!("/v1/charges?customer={customer}")).await;
        assert_eq!((charges.len(), &charges[0]["payment_method"]), (1, &own["id"]));
    }
}

/// The freeze: what the customer's data are when it is finalised stays on it.
#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_freezes_where_its_customer_lives() {
    let house = House::open().await;
    let customer = house.customer("pm_card_visa", None).await;
    let path = format!("/v1/customers/{customer}");
    let moved = |city: &'static str, phone: &'static str| {
        let form = [
            ("address[city]", city),
            ("address[country]", "DE"),
            ("phone", phone),
            ("shipping[name]", "Ada"),
            ("shipping[address][city]", city),
        ];
        let (house, path) = (&house, &path);
        async move { house.post(path, &form).await.ok() }
    };
    moved("Berlin", "1").await;
    let invoice = draft(&house, &customer, &[]).await;
    assert_eq!(invoice["customer_address"]["city"], "Berlin");
    moved("Hamburg", "2").await;
    let frozen = house.post(&format!("/v1/invoices/{}/finalize", id(&invoice)), &[]).await.ok();
    moved("Bremen", "3").await;
    let after = house.fresh(&invoice).await;
    for finalized in [&frozen, &after] {
        assert_eq!(finalized["customer_address"]["city"], "Hamburg");
        assert_eq!(finalized["customer_address"]["country"], "DE");
        assert_eq!(finalized["customer_phone"], "2");
        assert_eq!(finalized["customer_shipping"]["address"]["city"], "Hamburg");
        assert_eq!(finalized["customer_shipping"]["name"], "Ada");
    }
}

/// Creation by API: clients before 2022-08-01 need something to invoice.
#[tokio::test(flavor = "multi_thread")]
async fn there_must_be_items_where_they_are_required() {
    let house = House::open().await;
    let customer = house.customer("pm_card_visa", None).await;
    let price = house.monthly_price(2000).await;
    let subscription = id(&house.subscribe(&customer, &price).await);
    item(&house, &customer, &[]).await;
    let old = [("stripe-version", "2020-08-27")];
    let of_customer = [("customer", customer.as_str())];
    let of_subscription = [of_customer[0], ("subscription", subscription.as_str())];
    let create = |form| house.call(Method::POST, "/v1/invoices", form, &old);
    assert_eq!(create(&of_subscription).await.error(400)["code"], "invoice_no_subscription_line_items");
    item(&house, &customer, &[("subscription", &subscription)]).await;
    assert_eq!(create(&of_subscription).await.ok()["total"], 900);
    assert_eq!(create(&of_customer).await.ok()["total"], 900);
    assert_eq!(create(&of_customer).await.error(400)["code"], "invoice_no_customer_line_items");
}

/// Pending items survive the end of their subscription: a later invoice bills them.
#[tokio::test(flavor = "multi_thread")]
async fn items_of_an_ended_subscription_are_billed_later() {
    let house = House::open().await;
    let customer = house.customer("pm_card_visa", None).await;
    let price = house.monthly_price(2000).await;
    let subscription = id(&house.subscribe(&customer, &price).await);
    let left = item(&house, &customer, &[("subscription", &subscription)]).await;
    house.delete(&format!("/v1/subscriptions/{subscription}")).await.ok();
    assert_eq!(house.get(&format!("/v1/invoiceitems/{}", id(&left))).await.ok()["invoice"], Value::Null);
    let form = [("customer", customer.as_str()), ("pending_invoice_items_behavior", "include")];
    let invoice = house.post("/v1/invoices", &form).await.ok();
    has(&invoice, &json!({"total": 900, "status": "draft"}));
    assert_eq!(house.get(&format!("/v1/invoiceitems/{}", id(&left))).await.ok()["invoice"], invoice["id"]);
    has(
        &house.post(&format!("/v1/invoices/{}/pay", id(&invoice)), &[]).await.ok(),
        &json!({"status": "paid", "amount_paid": 900}),
    );
}

/// Payment settings of an invoice can be changed as long as it can be paid.
#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_says_what_it_may_be_paid_with() {
    let house = House::open().await;
    let customer = house.customer("pm_card_visa", None).await;
    let types = ("payment_settings[payment_method_types][0]", "card");
    let invoice = draft(&house, &customer, &[types]).await;
    assert_eq!(invoice["payment_settings"]["payment_method_types"], json!(["card"]));
    let path = format!("/v1/invoices/{}", id(&invoice));
    let none = ("payment_settings[payment_method_types]", "");
    let cleared = house.post(&path, &[none]).await.ok();
    assert_eq!(cleared["payment_settings"]["payment_method_types"], Value::Null);
    house.post(&format!("{path}/finalize"), &[]).await.ok();
    let open = house.post(&path, &[types]).await.ok();
    assert_eq!(open["payment_settings"]["payment_method_types"], json!(["card"]));
    assert_eq!(house.post(&path, &[("description", "x")]).await.error(400)["param"], "description");
    for (name, value) in [
        ("payment_settings[payment_method_types][0]", "barter"),
        ("payment_settings[default_mandate]", "mandate_1"),
        ("payment_settings[payment_method_options][card][installments][enabled]", "true"),
    ] {
        let error = house.post(&path, &[(name, value)]).await.error(400);
        assert!(error["param"].as_str().unwrap().starts_with("payment_settings["), "{error:#}");
    }
    house.post(&format!("{path}/pay"), &[]).await.ok();
    assert_eq!(house.post(&path, &[none]).await.error(400)["param"], "payment_settings");
}

/// `automatic_tax[enabled]=false` says what holds anyway, wherever it can be said; `true` is not supported.
#[tokio::test(flavor = "multi_thread")]
async fn no_automatic_tax_can_be_asked_for() {
    let house = House::open().await;
    let customer = house.customer("pm_card_visa", None).await;
    let price = house.monthly_price(2000).await;
    let made = house.subscribe_with(&customer, &price, &[("automatic_tax[enabled]", "false")]).await.ok();
    assert_eq!(made["automatic_tax"]["enabled"], false);
    let invoice = draft(&house, &customer, &[("automatic_tax[enabled]", "false")]).await;
    assert_eq!(invoice["automatic_tax"]["enabled"], false);
    let (subscription, customer) = (id(&made), ("customer", customer.as_str()));
    for (path, form) in [
        ("/v1/subscriptions".to_owned(), vec![customer, ("items[0][price]", &*price)]),
        (format!("/v1/subscriptions/{subscription}"), vec![]),
        ("/v1/invoices".to_owned(), vec![customer]),
        (format!("/v1/invoices/{}", id(&invoice)), vec![]),
        ("/v1/invoices/create_preview".to_owned(), vec![("subscription", &*subscription)]),
    ] {
        let with = |enabled| [&form[..], &[("automatic_tax[enabled]", enabled)]].concat();
        house.post(&path, &with("false")).await.ok();
        let error = house.post(&path, &with("true")).await.error(400);
        assert_eq!(error["param"], "automatic_tax", "{path}");
        assert!(error["message"].as_str().unwrap().starts_with("This parameter is not supported"), "{error:#}");
        assert_eq!(house.post(&path, &with("perhaps")).await.error(400)["param"], "automatic_tax[enabled]");
    }
}

/// What a proration comes to follows from time, so neither its price nor its quantity can be changed.
#[tokio::test(flavor = "multi_thread")]
async fn a_proration_says_what_is_frozen_about_it() {
    let tenant = Tenant::of("flexible", &[("unit_amount", "1000")], "1").await;
    tenant.advance(MIDDLE).await;
    tenant.update(&[("items[0][id]", &tenant.item), ("items[0][quantity]", "2")]).await;
    let items = tenant.house.list(&format!("/v1/invoiceitems?pending=true&customer={}", tenant.customer)).await;
    assert_eq!(items.len(), 2);
    let product = id(&tenant.house.post("/v1/products", &[("name", "Setup")]).await.ok());
    let once = [("product", product.as_str()), ("currency", "usd"), ("unit_amount", "50")];
    let once = id(&tenant.house.post("/v1/prices", &once).await.ok());
    for frozen in &items {
        assert_eq!(frozen["frozen_fields"], json!(["discounts", "pricing", "quantity"]));
        let path = format!("/v1/invoiceitems/{}", id(frozen));
        for (name, value, param) in [
            ("quantity", "7", "quantity"),
            ("unit_amount_decimal", "7", "unit_amount_decimal"),
            ("pricing[price]", once.as_str(), "pricing"),
        ] {
            assert_eq!(tenant.house.post(&path, &[(name, value)]).await.error(400)["param"], param);
        }
        has(&tenant.house.post(&path, &[("description", "Half")]).await.ok(), &json!({"amount": frozen["amount"]}));
    }
    let free = item(&tenant.house, &tenant.customer, &[]).await;
    assert!(free.get("frozen_fields").is_none());
    let path = format!("/v1/invoiceitems/{}", id(&free));
    has(&tenant.house.post(&path, &[("quantity", "2")]).await.ok(), &json!({"amount": 1800, "quantity": 2}));
    // On a draft it is the same by its line.
    tenant.advance("2026-12-01T00:00:00Z").await;
    let renewal = tenant.latest().await;
    let line = renewal["lines"]["data"].as_array().unwrap().iter().find(|line| line["amount"] == -517).unwrap();
    let path = format!("/v1/invoices/{}/lines/{}", id(&renewal), id(line));
    assert_eq!(tenant.house.post(&path, &[("quantity", "3")]).await.error(400)["param"], "quantity");
    assert_eq!(tenant.latest().await["total"], renewal["total"]);
}

/// Numbering: a prefix that was chosen is one customer's for good, so that no two invoices have one number.
#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_is_one_customers() {
    let house = House::open().await;
    let chosen = [("invoice_prefix", "ACME")];
    let first = format!("/v1/customers/{}", id(&house.post("/v1/customers", &chosen).await.ok()));
    let mark = house.mark().await;
    let error = house.post("/v1/customers", &chosen).await.error(400);
    has(&error, &json!({"code": "resource_already_exists", "param": "invoice_prefix"}));
    assert_eq!(error["message"], "Another customer has that invoice prefix already.");
    house.told(mark).await.are("");
    let second = format!("/v1/customers/{}", id(&house.post("/v1/customers", &[]).await.ok()));
    let before = house.get(&second).await.ok();
    assert_eq!(house.post(&second, &chosen).await.error(400)["param"], "invoice_prefix");
    assert_eq!(house.get(&second).await.ok(), before);
    // Whose it is can say it again, leave it, and come back to it.
    for prefix in ["ACME", "OTHER", "ACME"] {
        let kept = house.post(&first, &[("invoice_prefix", prefix)]).await.ok();
        assert_eq!(kept["invoice_prefix"], prefix);
    }
    house.post(&second, &[("invoice_prefix", "OTHER")]).await.error(400);
    house.delete(&first).await.ok();
    house.post(&second, &chosen).await.error(400);
    // Two at once: one of them has it.
    let race = [("invoice_prefix", "RACE")];
    let (one, other) = tokio::join!(house.post("/v1/customers", &race), house.post("/v1/customers", &race));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400]);
}
