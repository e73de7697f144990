//! What applications send every day, as their SDKs send it.

use reqwest::Method;
use serde_json::json;

use crate::catalogue::has;
use crate::support::{House, at, id};

/// A shared test name stands for the same payment method wherever a request names it.
#[tokio::test(flavor = "multi_thread")]
async fn a_customer_comes_with_a_shared_card_as_the_default() {
    let house = House::open().await;
    let form = [
        ("payment_method", "pm_card_visa"),
        ("invoice_settings[default_payment_method]", "pm_card_visa"),
        ("email", "ada@example.com"),
    ];
    let customer = house.post("/v1/customers", &form).await.ok();
    let default = customer["invoice_settings"]["default_payment_method"].as_str().unwrap();
    let methods = house.list(&format!("/v1/customers/{}/payment_methods", id(&customer))).await;
    assert_eq!(methods.iter().map(id).collect::<Vec<_>>(), [default]);
    let price = house.monthly_price(2000).await;
    assert_eq!(house.subscribe(&id(&customer), &price).await["status"], "active");
    let other = [("payment_method", "pm_card_visa"), ("invoice_settings[default_payment_method]", "pm_card_amex")];
    let error = house.post("/v1/customers", &other).await.error(400);
    assert_eq!(error["param"], "invoice_settings[default_payment_method]");
}

/// An SDK sends `null` as an empty string.
#[tokio::test(flavor = "multi_thread")]
async fn empty_parts_of_addresses_and_billing_details_are_none() {
    let house = House::open().await;
    let form = [
        ("address[line1]", "Mole End 1"),
        ("address[line2]", ""),
        ("address[state]", ""),
        ("shipping[name]", "Mole"),
        ("shipping[phone]", ""),
        ("shipping[address][line1]", "Mole End 1"),
        ("shipping[address][line2]", ""),
    ];
    let customer = house.post("/v1/customers", &form).await.ok();
    has(&customer["address"], &json!({"line1": "Mole End 1", "line2": null, "state": null}));
    has(&customer["shipping"], &json!({"name": "Mole", "phone": null}));
    has(&customer["shipping"]["address"], &json!({"line1": "Mole End 1", "line2": null}));
    let form = [
        ("type", "card"),
        ("card[token]", "tok_visa"),
        ("billing_details[name]", "Mole"),
        ("billing_details[email]", ""),
        ("billing_details[phone]", ""),
        ("billing_details[address][city]", "Riverbank"),
    ];
    let method = house.post("/v1/payment_methods", &form).await.ok();
    has(&method["billing_details"], &json!({"name": "Mole", "email": null, "phone": null}));
    let path = format!("/v1/payment_methods/{}", id(&method));
    let cleared = house.post(&path, &[("billing_details[name]", ""), ("billing_details[address]", "")]).await.ok();
    assert_eq!(cleared["billing_details"]["name"], json!(null));
    has(&cleared["billing_details"]["address"], &json!({"city": null, "line1": null}));
}

/// A retry that is built from a map comes in another order, and is the same request.
#[tokio::test(flavor = "multi_thread")]
async fn a_repetition_may_come_in_another_order() {
    let house = House::open().await;
    let key = [("Idempotency-Key", "once")];
    let mut form = vec![("name", "Ada"), ("metadata[a]", "1"), ("metadata[b]", "2"), ("email", "ada@example.com")];
    let first = house.call(Method::POST, "/v1/customers", &form, &key).await.ok();
    form.reverse();
    assert_eq!(house.call(Method::POST, "/v1/customers", &form, &key).await.ok(), first);
    form[0].1 = "eve@example.com";
    let error = house.call(Method::POST, "/v1/customers", &form, &key).await.error(400);
    assert_eq!(error["type"], "idempotency_error");
    assert_eq!(house.list("/v1/customers").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_product_of_a_plan_is_shown_whole_when_asked_for() {
    let house = House::open().await;
    let customer = house.customer("pm_card_visa", None).await;
    let price = house.monthly_price(2000).await;
    let made = house.subscribe(&customer, &price).await;
    for version in ["2020-08-27", "2025-02-24.acacia", "2026-10-28.endive"] {
        let pin = [("Stripe-Version", version)];
        let path = format!("/v1/subscriptions/{}?expand[]=items.data.plan.product", id(&made));
        let whole = house.call(Method::GET, &path, &[], &pin).await.ok();
        assert_eq!(whole["items"]["data"][0]["plan"]["product"]["object"], "product", "{version}");
        let list = format!("/v1/subscriptions?customer={customer}&expand[]=data.items.data.plan.product");
        let list = house.call(Method::GET, &list, &[], &pin).await.ok();
        assert_eq!(list["data"][0]["items"]["data"][0]["plan"]["product"]["object"], "product", "{version}");
    }
    let path = format!("/v1/invoices?customer={customer}&expand[]=data.lines.data.plan.product");
    let invoices = house.call(Method::GET, &path, &[], &[("Stripe-Version", "2020-08-27")]).await.ok();
    assert_eq!(invoices["data"][0]["lines"]["data"][0]["plan"]["product"]["object"], "product");
}

/// What a preview says of its prorations can be asked for again to the cent.
#[tokio::test(flavor = "multi_thread")]
async fn a_preview_says_from_when_its_prorations_are_reckoned() {
    let house = House::open().await;
    let clock = house.test_clock("2027-01-01T00:00:00Z").await;
    let customer = house.customer("pm_card_visa", Some(&clock)).await;
    let (small, large) = (house.monthly_price(1000).await, house.monthly_price(3000).await);
    let subscription = house.subscribe(&customer, &small).await;
    house.advance(&clock, "2027-01-11T00:00:00Z").await;
    let item = id(&subscription["items"]["data"][0]);
    let date = at("2027-01-16T12:00:00Z").to_string();
    for (said, expected) in [(Some(&*date), at("2027-01-16T12:00:00Z")), (None, at("2027-01-11T00:00:00Z"))] {
        let subscription = id(&subscription);
        let mut form = vec![
            ("subscription", &*subscription),
            ("subscription_details[items][0][id]", &item),
            ("subscription_details[items][0][price]", &large),
        ];
        form.extend(said.map(|date| ("subscription_details[proration_date]", date)));
        let preview = house.post("/v1/invoices/create_preview", &form).await.ok();
        assert_eq!(preview["parent"]["subscription_details"]["subscription_proration_date"], expected);
        form.push(("subscription_details[proration_behavior]", "none"));
        let preview = house.post("/v1/invoices/create_preview", &form).await.ok();
        assert_eq!(preview["parent"]["subscription_details"].get("subscription_proration_date"), None);
    }
    // What is charged has none.
    let form = [("items[0][id]", &*item), ("items[0][price]", &large), ("proration_behavior", "always_invoice")];
    let changed = house.post(&format!("/v1/subscriptions/{}", id(&subscription)), &form).await.ok();
    let invoice = house.latest_invoice(&changed).await;
    assert_eq!(invoice["parent"]["subscription_details"].get("subscription_proration_date"), None);
}

/// Prices of less than a cent are printed as what they are.
#[tokio::test(flavor = "multi_thread")]
async fn half_a_cent_is_half_a_cent_on_the_invoice() {
    let house = House::open().await;
    let customer = house.customer("pm_card_visa", None).await;
    let price = [
        ("product_data[name]", "API calls"),
        ("currency", "usd"),
        ("unit_amount_decimal", "0.5"),
        ("recurring[interval]", "month"),
    ];
    let price = id(&house.post("/v1/prices", &price).await.ok());
    let made = house.subscribe_with(&customer, &price, &[("items[0][quantity]", "1000")]).await.ok();
    let invoice = house.latest_invoice(&made).await;
    has(&invoice["lines"]["data"][0], &json!({"amount": 500, "description": "1000 × API calls (at $0.005 / month)"}));
}

/// A classic credit is of the item as it is, whatever had been billed for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_classic_credit_names_what_it_gives_back() {
    let house = House::open().await;
    let clock = house.test_clock("2027-04-01T00:00:00Z").await;
    let customer = house.customer("pm_card_visa", Some(&clock)).await;
    let (basic, pro) = (house.monthly_price(1000).await, house.monthly_price(2000).await);
    let form = [("items[0][quantity]", "2"), ("billing_mode[type]", "classic")];
    let subscription = house.subscribe_with(&customer, &basic, &form).await.ok();
    let path = format!("/v1/subscriptions/{}", id(&subscription));
    let item = id(&subscription["items"]["data"][0]);
    house.advance(&clock, "2027-04-11T00:00:00Z").await;
    let free = [
        ("items[0][id]", &*item),
        ("items[0][price]", &pro),
        ("items[0][quantity]", "4"),
        ("proration_behavior", "none"),
    ];
    house.post(&path, &free).await.ok();
    house.advance(&clock, "2027-04-21T00:00:00Z").await;
    let back = [("items[0][id]", &*item), ("items[0][price]", &basic), ("items[0][quantity]", "1")];
    house.post(&path, &back).await.ok();
    let pending = house.list(&format!("/v1/invoiceitems?customer={customer}&pending=true")).await;
    let credit = pending.iter().find(|item| item["amount"].as_i64().unwrap() < 0).unwrap();
    has(credit, &json!({"amount": -2667, "quantity": 4}));
    assert_eq!(credit["pricing"]["price_details"]["price"], pro);
    assert!(credit["description"].as_str().unwrap().starts_with("Unused time on 4 × "), "{credit}");
}

/// What is told of a new intent is what is there when the request has ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_intent_is_told_as_it_is() {
    let house = House::open().await;
    let customer = house.customer("pm_card_visa", None).await;
    let price = house.monthly_price(2000).await;
    let mark = house.mark().await;
    house.subscribe_with(&customer, &price, &[("payment_behavior", "default_incomplete")]).await.ok();
    let intent = house.list("/v1/payment_intents").await.swap_remove(0);
    assert_eq!(intent["status"], "requires_confirmation");
    assert_eq!(house.told(mark).await.object("payment_intent.created"), &intent);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interval_of_pending_items_is_one_unless_said() {
    let house = House::open().await;
    let customer = house.customer("pm_card_visa", None).await;
    let price = house.monthly_price(2000).await;
    let form = [("pending_invoice_item_interval[interval]", "week")];
    let made = house.subscribe_with(&customer, &price, &form).await.ok();
    has(&made, &json!({"pending_invoice_item_interval": {"interval": "week", "interval_count": 1}}));
}

/// What lives on a test clock is left out of lists unless its clock is named, or something that is on it.
#[tokio::test(flavor = "multi_thread")]
async fn items_on_a_clock_are_listed_with_their_customer_or_invoice() {
    let house = House::open().await;
    let clock = house.test_clock("2027-01-01T00:00:00Z").await;
    let customer = house.customer("pm_card_visa", Some(&clock)).await;
    let draft = id(&house.post("/v1/invoices", &[("customer", &customer)]).await.ok());
    let form = [("customer", &*customer), ("invoice", &draft), ("amount", "500"), ("currency", "usd")];
    house.post("/v1/invoiceitems", &form).await.ok();
    for (query, count) in [("", 0), (&*format!("?customer={customer}"), 1), (&format!("?invoice={draft}"), 1)] {
        assert_eq!(house.list(&format!("/v1/invoiceitems{query}")).await.len(), count, "{query}");
    }
}

/// A change whose prorations are reckoned from before the last change gives back what was paid for that time, too:
/// of 1000 a month and 2000 from the 16th on, 333 for ten days and 1000 for fifteen.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_may_reach_back_before_the_last_one() {
    let house = House::open().await;
    let clock = house.test_clock("2027-04-01T00:00:00Z").await;
    let customer = house.customer("pm_card_visa", Some(&clock)).await;
    let prices = [house.monthly_price(1000).await, house.monthly_price(2000).await, house.monthly_price(3000).await];
    let subscription = house.subscribe(&customer, &prices[0]).await;
    let path = format!("/v1/subscriptions/{}", id(&subscription));
    let item = id(&subscription["items"]["data"][0]);
    house.advance(&clock, "2027-04-16T00:00:00Z").await;
    house.post(&path, &[("items[0][id]", &item), ("items[0][price]", &prices[1])]).await.ok();
    house.advance(&clock, "2027-04-21T00:00:00Z").await;
    let date = at("2027-04-06T00:00:00Z").to_string();
    let form = [("items[0][id]", &*item), ("items[0][price]", &prices[2]), ("proration_date", &date)];
    house.post(&path, &form).await.ok();
    let pending = house.list(&format!("/v1/invoiceitems?customer={customer}&pending=true")).await;
    let mut amounts: Vec<i64> = pending.iter().map(|item| item["amount"].as_i64().unwrap()).collect();
    amounts.sort_unstable();
    assert_eq!(amounts, [-1000, -500, -333, 1000, 2500]);
    // The next change finds what the last has billed, and nothing of before.
    house.advance(&clock, "2027-04-26T00:00:00Z").await;
    house.post(&path, &[("items[0][id]", &*item), ("items[0][price]", &prices[0])]).await.ok();
    let pending = house.list(&format!("/v1/invoiceitems?customer={customer}&pending=true")).await;
    let newest: Vec<i64> = pending[..2].iter().map(|item| item["amount"].as_i64().unwrap()).collect();
    assert_eq!(newest, [-500, 167]);
}
