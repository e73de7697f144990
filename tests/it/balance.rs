//! The customer's balance and its history: the one is always the sum of the other.

use serde_json::{Value, json};

use crate::catalogue::has;
use crate::support::{House, id};

/// The history of a customer's balance, oldest first: type, amount, balance after it.
async fn history(house: &House, customer: &str) -> Vec<(String, i64, i64)> {
    let mut entries = house.list(&format!("/v1/customers/{customer}/balance_transactions")).await;
    entries.reverse();
    let number = |entry: &Value, name: &str| entry[name].as_i64().unwrap();
    let fact = |entry: &Value| {
        (entry["type"].as_str().unwrap().to_owned(), number(entry, "amount"), number(entry, "ending_balance"))
    };
    let facts: Vec<_> = entries.iter().map(fact).collect();
    let balance = house.get(&format!("/v1/customers/{customer}")).await.ok()["balance"].as_i64().unwrap();
    assert_eq!(facts.iter().map(|(_, amount, _)| amount).sum::<i64>(), balance, "{facts:?}");
    assert_eq!(facts.last().map_or(0, |(_, _, ending)| *ending), balance, "{facts:?}");
    facts
}

async fn open(house: &House, customer: &str, cents: i64) -> Value {
    let draft = id(&house.post("/v1/invoices", &[("customer", customer)]).await.ok());
    let path = format!("/v1/invoices/{draft}");
    house.post(&format!("{path}/add_lines"), &[("lines[0][amount]", &cents.to_string())]).await.ok();
    house.post(&format!("{path}/finalize"), &[]).await.ok()
}

fn entries(expected: &[(&str, i64, i64)]) -> Vec<(String, i64, i64)> {
    expected.iter().map(|(kind, amount, ending)| ((*kind).to_owned(), *amount, *ending)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_writes_entries_and_reads_them() {
    let house = House::open().await;
    let customer = id(&house.post("/v1/customers", &[]).await.ok());
    let path = format!("/v1/customers/{customer}/balance_transactions");
    let before = house.mark().await;
    let form = [("amount", "-500"), ("currency", "eur"), ("description", "Sorry"), ("metadata[k]", "v")];
    let entry = house.post(&path, &form).await.ok();
    has(&entry, &json!({"object": "customer_balance_transaction", "type": "adjustment", "amount": -500}));
    has(&entry, &json!({"currency": "eur", "ending_balance": -500, "customer": customer, "description": "Sorry"}));
    has(&entry, &json!({"invoice": null, "credit_note": null, "metadata": {"k": "v"}, "livemode": false}));
    house.told(before).await.are("customer.updated");
    has(&house.get(&format!("/v1/customers/{customer}")).await.ok(), &json!({"balance": -500, "currency": "eur"}));
    let one = format!("{path}/{}", id(&entry));
    assert_eq!(house.get(&one).await.ok(), entry);
    let said = house.post(&one, &[("description", "Very sorry"), ("metadata[k]", "")]).await.ok();
    has(&said, &json!({"description": "Very sorry", "metadata": {}, "amount": -500}));
    house.post(&format!("/v1/customers/{customer}"), &[("balance", "200")]).await.ok();
    let expected = [("adjustment", -500, -500), ("adjustment", 700, 200)];
    assert_eq!(history(&house, &customer).await, entries(&expected));
    // The entry cannot be changed, and is found under its customer only.
    assert_eq!(house.post(&one, &[("amount", "1")]).await.error(400)["code"], "parameter_unknown");
    let other = id(&house.post("/v1/customers", &[("balance", "-50")]).await.ok());
    house.get(&format!("/v1/customers/{other}/balance_transactions/{}", id(&entry))).await.error(404);
    assert_eq!(history(&house, &other).await, entries(&[("initial", -50, -50)]));
    for (form, param) in [
        (vec![("currency", "eur")], "amount"),
        (vec![("amount", "1")], "currency"),
        (vec![("amount", "1"), ("currency", "usd")], "currency"),
        (vec![("amount", "0"), ("currency", "eur")], "amount"),
        (vec![("amount", "9223372036854775807"), ("currency", "eur")], ""),
    ] {
        let error = house.post(&path, &form).await.error(400);
        assert_eq!(error["param"].as_str().unwrap_or_default(), param, "{form:?}: {error:#}");
    }
    assert_eq!(history(&house, &customer).await.len(), 2, "what was refused is no entry");
    house.post("/v1/customers/cus_x/balance_transactions", &[("amount", "1"), ("currency", "eur")]).await.error(404);
}

/// Special totals at finalisation, as the history tells them.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_invoice_gives_and_takes_is_written_down() {
    let house = House::open().await;
    for (before, total, expected) in [
        (-1000, 3000, vec![("applied_to_invoice", 1000, 0)]),
        (-5000, 3000, vec![("applied_to_invoice", 3000, -2000)]),
        (-500, 520, vec![("applied_to_invoice", 500, 0), ("invoice_too_small", 20, 20)]),
        (20, 2000, vec![("applied_to_invoice", -20, 0)]),
        (0, 49, vec![("invoice_too_small", 49, 49)]),
        (0, 100_000_000, vec![("invoice_too_large", 100_000_000, 100_000_000)]),
        (0, -700, vec![("applied_to_invoice", -700, -700)]),
        (0, 2000, vec![]),
        (0, 0, vec![]),
    ] {
        let balance = before.to_string();
        let customer = id(&house.post("/v1/customers", &[("balance", &*balance)]).await.ok());
        let initial = (before != 0).then_some(("initial", before, before));
        let invoice = open(&house, &customer, total).await;
        let told: Vec<_> = initial.into_iter().chain(expected.clone()).collect();
        assert_eq!(history(&house, &customer).await, entries(&told), "balance {before}, total {total}");
        let path = format!("/v1/customers/{customer}/balance_transactions?invoice={}", id(&invoice));
        assert_eq!(house.list(&path).await.len(), expected.len());
        let ending = expected.last().map_or(0, |(_, _, ending)| *ending);
        has(&invoice, &json!({"starting_balance": before, "ending_balance": ending}));
    }
}

/// A draft shows the current balance, and what it would do.
#[tokio::test(flavor = "multi_thread")]
async fn a_draft_follows_the_balance() {
    let house = House::open().await;
    let customer = id(&house.post("/v1/customers", &[("balance", "-200")]).await.ok());
    let draft = id(&house.post("/v1/invoices", &[("customer", &customer)]).await.ok());
    let path = format!("/v1/invoices/{draft}");
    let made = house.post(&format!("{path}/add_lines"), &[("lines[0][amount]", "1000")]).await.ok();
    has(&made, &json!({"starting_balance": -200, "amount_due": 800, "ending_balance": null}));
    let before = house.mark().await;
    house.post(&format!("/v1/customers/{customer}"), &[("balance", "-300")]).await.ok();
    house.told(before).await.are("invoice.updated customer.updated");
    has(&house.get(&path).await.ok(), &json!({"starting_balance": -300, "amount_due": 700, "total": 1000}));
    // Another invoice uses it up.
    let before = house.mark().await;
    open(&house, &customer, 2000).await;
    house.told(before).await.hold(
        "invoice.created invoice.updated invoiceitem.created invoice.updated invoice.finalized payment_intent.created \
         customer.updated",
    );
    has(&house.get(&path).await.ok(), &json!({"starting_balance": 0, "amount_due": 1000, "amount_remaining": 1000}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_voided_invoice_gives_back_and_a_lost_one_does_not() {
    let house = House::open().await;
    for (action, back) in [("void", true), ("mark_uncollectible", false)] {
        let customer = id(&house.post("/v1/customers", &[("balance", "-1000")]).await.ok());
        let invoice = open(&house, &customer, 3000).await;
        house.post(&format!("/v1/invoices/{}/{action}", id(&invoice)), &[]).await.ok();
        let mut expected = vec![("initial", -1000, -1000), ("applied_to_invoice", 1000, 0)];
        expected.extend(back.then_some(("unapplied_from_invoice", -1000, -1000)));
        assert_eq!(history(&house, &customer).await, entries(&expected), "{action}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ordinary_renewal_writes_no_history() {
    let house = House::open().await;
    let customer = house.customer("pm_card_visa", None).await;
    let price = house.monthly_price(2000).await;
    house.subscribe(&customer, &price).await;
    house.advance_wall("2027-02-01T00:00:00Z").await;
    house.advance_wall("2027-02-01T01:00:00Z").await;
    assert_eq!(house.list(&format!("/v1/invoices?customer={customer}&status=paid")).await.len(), 2);
    assert!(history(&house, &customer).await.is_empty());
}

/// Zero-decimal and three-decimal currencies, and the least that can be charged.
#[tokio::test(flavor = "multi_thread")]
async fn currencies_without_cents_are_billed_in_what_they_have() {
    let house = House::open().await;
    for (currency, amount, status) in
        [("jpy", "1400", "open"), ("jpy", "49", "paid"), ("kwd", "1230", "open"), ("huf", "17499", "paid")]
    {
        let customer = id(&house.post("/v1/customers", &[]).await.ok());
        let draft = house.post("/v1/invoices", &[("customer", &*customer), ("currency", currency)]).await.ok();
        let path = format!("/v1/invoices/{}", id(&draft));
        house.post(&format!("{path}/add_lines"), &[("lines[0][amount]", amount)]).await.ok();
        let invoice = house.post(&format!("{path}/finalize"), &[]).await.ok();
        let total: i64 = amount.parse().unwrap();
        has(&invoice, &json!({"total": total, "currency": currency, "status": status}));
        assert_eq!(invoice["amount_due"], if status == "open" { total } else { 0 });
    }
    let customer = id(&house.post("/v1/customers", &[]).await.ok());
    for (path, form) in [
        ("/v1/invoiceitems", vec![("customer", &*customer), ("currency", "kwd"), ("amount", "1231")]),
        ("/v1/payment_intents", vec![("currency", "bhd"), ("amount", "1231")]),
        ("/v1/payment_intents", vec![("currency", "isk"), ("amount", "5050")]),
        ("/v1/payment_intents", vec![("currency", "jpy"), ("amount", "49")]),
    ] {
        assert_eq!(house.post(path, &form).await.error(400)["param"], "amount", "{path} {form:?}");
    }
    let price = [("product_data[name]", "Cap"), ("currency", "kwd"), ("unit_amount", "1231")];
    assert_eq!(house.post("/v1/prices", &price).await.error(400)["param"], "unit_amount");
}
