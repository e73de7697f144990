//! What an invoice takes with it when it is finalised, and how much it can hold.

use serde_json::json;

use crate::catalogue::has;
use crate::support::{House, id};

/// Name, address and tax of the customer are those of the moment of finalisation.
#[tokio::test(flavor = "multi_thread")]
async fn the_tax_of_the_customer_is_frozen_with_the_rest() {
    let house = House::open().await;
    let customer = house.customer("pm_card_visa", None).await;
    let draft = house.post("/v1/invoices", &[("customer", &customer)]).await.ok();
    has(&draft, &json!({"customer_tax_exempt": "none", "customer_tax_ids": []}));
    let path = format!("/v1/invoices/{}", id(&draft));
    house.post(&format!("{path}/add_lines"), &[("lines[0][amount]", "1000")]).await.ok();
    house.post(&format!("/v1/customers/{customer}"), &[("tax_exempt", "exempt"), ("phone", "555")]).await.ok();
    let number = [("type", "eu_vat"), ("value", "DE123456789")];
    house.post(&format!("/v1/customers/{customer}/tax_ids"), &number).await.ok();
    let open = house.post(&format!("{path}/finalize"), &[]).await.ok();
    let tax_ids = json!([{"type": "eu_vat", "value": "DE123456789"}]);
    has(&open, &json!({"customer_tax_exempt": "exempt", "customer_tax_ids": tax_ids, "customer_phone": "555"}));
    // Nothing that comes later changes it.
    house.post(&format!("/v1/customers/{customer}"), &[("tax_exempt", "reverse")]).await.ok();
    has(&house.get(&path).await.ok(), &json!({"customer_tax_exempt": "exempt", "customer_tax_ids": tax_ids}));
}

/// An invoice holds 250 lines: what is more waits for the next one, the oldest first.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_much_for_one_invoice_waits_for_the_next() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let clock = house.test_clock("2027-01-01T00:00:00Z").await;
    let customer = house.customer("pm_card_visa", Some(&clock)).await;
    let made = house.subscribe(&customer, &price).await;
    for place in 1..=750 {
        let form = [("customer", &*customer), ("currency", "usd"), ("amount", &*place.to_string())];
        house.post("/v1/invoiceitems", &form).await.ok();
    }
    // What is made for a change, two lines, does not wait behind them.
    let item = made["items"]["data"][0]["id"].as_str().unwrap();
    let form = [
        ("items[0][id]", item),
        ("items[0][quantity]", "2"),
        ("proration_behavior", "always_invoice"),
        ("payment_behavior", "error_if_incomplete"),
    ];
    let changed = house.post(&format!("/v1/subscriptions/{}", id(&made)), &form).await.ok();
    has(&house.latest_invoice(&changed).await, &json!({"status": "paid", "total": 2000 + (1..=248).sum::<i64>()}));
    let form = [("customer", &*customer), ("pending_invoice_items_behavior", "include")];
    let manual = house.post("/v1/invoices", &form).await.ok();
    let lines = house.list(&format!("/v1/invoices/{}/lines", id(&manual))).await;
    assert_eq!((lines.len(), &lines[0]["amount"], &lines[249]["amount"]), (250, &json!(498), &json!(249)));
    house.advance(&clock, "2027-02-01T02:00:00Z").await;
    let renewal = house.latest_invoice(&house.fresh(&made).await).await;
    assert_eq!(renewal["status"], "paid");
    let lines = house.list(&format!("/v1/invoices/{}/lines", id(&renewal))).await;
    assert_eq!((lines.len(), &lines[0]["amount"], &lines[248]["amount"]), (250, &json!(747), &json!(499)));
    let waiting = house.list(&format!("/v1/invoiceitems?customer={customer}&pending=true")).await;
    assert_eq!((waiting.len(), &waiting[0]["amount"]), (3, &json!(750)));
}
