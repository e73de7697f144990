//! Subscriptions: how they begin, what they hold and how they end, from the published rules.

use reqwest::Method;
use serde_json::{Value, json};

use crate::catalogue::{finds, has};
use crate::support::{House, at, id, intent};

/// A house with a monthly price of 20 dollars and a customer with this card.
async fn start(card: &str) -> (House, String, String) {
    let house = House::open().await;
    let (price, customer) = (house.monthly_price(2000).await, house.customer(card, None).await);
    (house, price, customer)
}

/// The types told since a number of events; the strict orders hold in all of them (20).
async fn told(house: &House, before: usize) -> Vec<String> {
    let mut told = house.event_types(before).await;
    let place = |kind: &str| told.iter().position(|known| known == kind);
    for order in [
        "invoice.created invoice.finalized invoice.paid",
        "customer.subscription.created customer.subscription.updated",
        "payment_intent.created payment_intent.succeeded",
        "payment_intent.created payment_intent.requires_action",
        "payment_intent.created payment_intent.payment_failed",
    ] {
        assert!(order.split(' ').filter_map(place).is_sorted(), "{order}: {told:?}");
    }
    told.sort_unstable();
    told
}

/// Each of these types was told once.
#[track_caller]
fn once_each(told: &[String], kinds: &str) {
    for kind in kinds.split_whitespace() {
        assert_eq!(told.iter().filter(|known| *known == kind).count(), 1, "{kind} in {told:?}");
    }
}

/// Nothing has come of a creation.
async fn nothing_is_left(house: &House, customer: &str) {
    assert!(house.list(&format!("/v1/subscriptions?customer={customer}&status=all")).await.is_empty());
    assert!(house.list(&format!("/v1/invoices?customer={customer}")).await.is_empty());
    assert_eq!(house.get(&format!("/v1/customers/{customer}")).await.ok()["currency"], json!(null));
    let events = "select count(*) from events where type in ('customer.subscription.created', 'invoice.created')";
    assert_eq!(house.count(events).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_working_card_makes_it_active() {
    let (house, price, customer) = start("pm_card_visa").await;
    let made = house.subscribe_with(&customer, &price, &[("metadata[k]", "v"), ("description", "Gold")]).await.ok();
    let (now, end) = (at("2027-01-01T00:00:00Z"), at("2027-02-01T00:00:00Z"));
    has(&made, &json!({"object": "subscription", "status": "active", "customer": customer, "currency": "usd"}));
    has(&made, &json!({"created": now, "start_date": now, "billing_cycle_anchor": now, "ended_at": null}));
    has(&made, &json!({"collection_method": "charge_automatically", "cancel_at": null, "canceled_at": null}));
    has(&made, &json!({"cancel_at_period_end": false, "default_payment_method": null, "description": "Gold"}));
    assert_eq!(made["billing_mode"]["type"], "flexible", "the default of this dialect (0.1)");
    has(&made["items"]["data"][0], &json!({"quantity": 1, "current_period_start": now, "current_period_end": end}));
    let invoice = house.latest_invoice(&made).await;
    has(&invoice, &json!({"status": "paid", "billing_reason": "subscription_create", "amount_paid": 2000}));
    // The first invoice looks back on nothing (4.1).
    has(&invoice, &json!({"period_start": now, "period_end": now, "attempt_count": 1, "auto_advance": false}));
    let details = &invoice["parent"]["subscription_details"];
    has(details, &json!({"subscription": made["id"], "metadata": {"k": "v"}}));
    let line = &invoice["lines"]["data"][0];
    has(line, &json!({"amount": 2000, "period": {"start": now, "end": end}, "metadata": {"k": "v"}}));
    assert_eq!(line["description"], "1 × Basic (at $20.00 / month)");
    has(intent(&invoice), &json!({"status": "succeeded", "amount": 2000, "setup_future_usage": "off_session"}));
    assert_eq!(intent(&invoice)["description"], "Subscription creation");
    assert_eq!(house.get(&format!("/v1/customers/{customer}")).await.ok()["currency"], "usd");
    // The metadata of the invoice is a snapshot, never synchronised again (1.1).
    let path = format!("/v1/subscriptions/{}", id(&made));
    let changed = house.post(&path, &[("metadata[k]", "w"), ("description", "Gold")]).await.ok();
    let later = house.get(&format!("/v1/invoices/{}", id(&invoice))).await.ok();
    assert_eq!(later["parent"]["subscription_details"]["metadata"], json!({"k": "v"}));
    // The event has the old values of what changed and of nothing else (21).
    let updates = house.list("/v1/events?type=customer.subscription.updated").await;
    assert_eq!(updates.len(), 1, "none while it was created (20.1)");
    has(&updates[0]["data"], &json!({"object": changed, "previous_attributes": {"metadata": {"k": "v"}}}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decline_leaves_it_incomplete_until_it_is_paid() {
    let (house, price, customer) = start("pm_card_chargeCustomerFail").await;
    let before = house.event_types(0).await.len();
    let made = house.subscribe(&customer, &price).await;
    assert_eq!(made["status"], "incomplete");
    let open = house.latest_invoice(&made).await;
    has(&open, &json!({"status": "open", "auto_advance": false, "amount_remaining": 2000, "attempt_count": 1}));
    assert_eq!(open["next_payment_attempt"], json!(null), "nothing is retried by itself (1.5)");
    assert_eq!(intent(&open)["status"], "requires_payment_method");
    let told = told(&house, before).await;
    let kinds = "customer.subscription.created invoice.created invoice.finalized payment_intent.created \
                 charge.failed payment_intent.payment_failed invoice.updated invoice.payment_failed";
    once_each(&told, kinds);
    assert!(!told.contains(&"customer.subscription.updated".to_owned()) && !told.contains(&"invoice.paid".to_owned()));
    let snapshot = house.list("/v1/events?type=customer.subscription.created").await;
    assert_eq!(snapshot[0]["data"]["object"]["status"], "incomplete");
    // While it is incomplete only what moves no money may change (1.5).
    let path = format!("/v1/subscriptions/{}", id(&made));
    house.post(&path, &[("items[0][price]", &price)]).await.error(400);
    house.post(&path, &[("metadata[k]", "v"), ("description", "x")]).await.ok();
    let method = house.post("/v1/payment_methods/pm_card_visa/attach", &[("customer", &customer)]).await.ok();
    house.post(&format!("/v1/invoices/{}/pay", id(&open)), &[("payment_method", &id(&method))]).await.ok();
    let active = house.fresh(&made).await;
    has(&active, &json!({"status": "active", "default_payment_method": null}));
    assert_eq!(active["items"]["data"][0]["current_period_start"], made["start_date"], "the cycle has not moved");
}

#[tokio::test(flavor = "multi_thread")]
async fn authentication_leaves_it_incomplete_with_something_to_do() {
    let (house, price, customer) = start("pm_card_authenticationRequired").await;
    let before = house.event_types(0).await.len();
    let made = house.subscribe(&customer, &price).await;
    assert_eq!(made["status"], "incomplete");
    let open = house.latest_invoice(&made).await;
    assert_eq!((&open["status"], &intent(&open)["status"]), (&json!("open"), &json!("requires_action")));
    assert!(intent(&open)["next_action"].is_object());
    let told = told(&house, before).await;
    once_each(&told, "payment_intent.requires_action invoice.payment_action_required invoice.finalized");
    assert!(!told.contains(&"charge.failed".to_owned()), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn default_incomplete_waits_for_the_customer_to_confirm() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let customer = id(&house.post("/v1/customers", &[]).await.ok());
    let before = house.event_types(0).await.len();
    let form = [
        ("payment_behavior", "default_incomplete"),
        ("payment_settings[save_default_payment_method]", "on_subscription"),
        ("expand[]", "latest_invoice.confirmation_secret"),
    ];
    let whole = house.subscribe_with(&customer, &price, &form).await.ok();
    assert_eq!((&whole["status"], &whole["latest_invoice"]["status"]), (&json!("incomplete"), &json!("open")));
    let expected = "customer.subscription.created customer.updated invoice.created invoice.finalized \
                    payment_intent.created";
    assert_eq!(told(&house, before).await.join(" "), expected);
    let made = house.fresh(&whole).await;
    let waiting = intent(&house.latest_invoice(&made).await).clone();
    has(&waiting, &json!({"status": "requires_payment_method", "payment_method": null, "amount": 2000}));
    assert_eq!(whole["latest_invoice"]["confirmation_secret"]["client_secret"], waiting["client_secret"]);
    let before = house.event_types(0).await.len();
    let confirm = format!("/v1/payment_intents/{}/confirm", id(&waiting));
    let paid = house.post(&confirm, &[("payment_method", "pm_card_visa")]).await.ok();
    let active = house.fresh(&made).await;
    // The method that paid was asked to be kept (1.4).
    has(&active, &json!({"status": "active", "default_payment_method": paid["payment_method"]}));
    assert_eq!(house.list(&format!("/v1/customers/{customer}/payment_methods")).await.len(), 1);
    let told = told(&house, before).await;
    let kinds = "charge.succeeded payment_intent.succeeded invoice.updated invoice.paid invoice.payment_succeeded \
                 invoice_payment.paid";
    once_each(&told, kinds);
    let updates = house.list("/v1/events?type=customer.subscription.updated").await;
    let was = |event: &Value| event["data"]["previous_attributes"]["status"] == "incomplete";
    assert_eq!(updates.iter().filter(|event| was(event)).count(), 1, "{updates:#?}");
    // With a default method the customer has only to confirm.
    let other = house.customer("pm_card_visa", None).await;
    let made = house.subscribe_with(&other, &price, &form[..1]).await.ok();
    let ready = house.latest_invoice(&made).await;
    assert_eq!((&made["status"], &intent(&ready)["status"]), (&json!("incomplete"), &json!("requires_confirmation")));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_payment_method_only_what_costs_nothing_begins() {
    let (house, price, _) = start("pm_card_visa").await;
    let (free, customer) = (house.monthly_price(0).await, id(&house.post("/v1/customers", &[]).await.ok()));
    // A method that is merely attached is never used (1.4).
    house.post("/v1/payment_methods/pm_card_visa/attach", &[("customer", &customer)]).await.ok();
    let error = house.subscribe_with(&customer, &price, &[]).await.error(400);
    let start = "This customer has no attached payment source or default payment method.";
    assert!(error["message"].as_str().unwrap().starts_with(start), "{error}");
    nothing_is_left(&house, &customer).await;
    for more in [vec![], vec![("payment_behavior", "default_incomplete")]] {
        let made = house.subscribe_with(&customer, &free, &more).await.ok();
        let invoice = house.latest_invoice(&made).await;
        assert_eq!((&made["status"], &invoice["status"]), (&json!("active"), &json!("paid")));
        assert_eq!(invoice["payments"]["data"], json!([]), "nothing due, no intent");
    }
    // Credit covers the first period; what is left of it is kept (5.5).
    house.post(&format!("/v1/customers/{customer}"), &[("balance", "-2500")]).await.ok();
    assert_eq!(house.subscribe_with(&customer, &price, &[]).await.ok()["status"], "active");
    assert_eq!(house.get(&format!("/v1/customers/{customer}")).await.ok()["balance"], -500);
    assert!(house.list("/v1/payment_intents").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_method_of_the_subscription_comes_first_and_alone() {
    let (house, price, customer) = start("pm_card_visa").await;
    let attach = "/v1/payment_methods/pm_card_chargeCustomerFail/attach";
    let failing = id(&house.post(attach, &[("customer", &customer)]).await.ok());
    let made = house.subscribe_with(&customer, &price, &[("default_payment_method", &failing)]).await.ok();
    has(&made, &json!({"status": "incomplete", "default_payment_method": failing}));
    assert!(house.list("/v1/charges").await.iter().all(|charge| charge["status"] == "failed"), "no fall-through");
    let saved = [("payment_settings[save_default_payment_method]", "on_subscription")];
    let saved = house.subscribe_with(&customer, &price, &saved).await.ok();
    let default = house.get(&format!("/v1/customers/{customer}")).await.ok();
    let default = &default["invoice_settings"]["default_payment_method"];
    has(&house.fresh(&saved).await, &json!({"status": "active", "default_payment_method": default}));
    let stranger = house.customer("pm_card_visa", None).await;
    let theirs = id(&house.list(&format!("/v1/customers/{stranger}/payment_methods")).await[0]);
    house.subscribe_with(&customer, &price, &[("default_payment_method", &theirs)]).await.error(400);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_items_make_one_invoice() {
    let (house, base, customer) = start("pm_card_visa").await;
    let seat = house.monthly_price(700).await;
    // A pending item of the customer comes along, before the items of the subscription (1.1, 5.6).
    house.post("/v1/invoiceitems", &[("customer", &customer), ("amount", "50"), ("currency", "usd")]).await.ok();
    let more = [("items[0][quantity]", "3"), ("items[1][price]", &*base), ("items[1][metadata][k]", "v")];
    let made = house.subscribe_with(&customer, &seat, &more).await.ok();
    let items = made["items"]["data"].as_array().unwrap();
    let said: Vec<Value> = items.iter().map(|item| json!([item["price"]["id"], item["quantity"]])).collect();
    assert_eq!(said, [json!([seat, 3]), json!([base, 1])], "oldest first");
    assert_eq!(items[1]["metadata"], json!({"k": "v"}));
    let listed = house.list(&format!("/v1/subscription_items?subscription={}", id(&made))).await;
    assert_eq!(listed, *items);
    assert_eq!(house.get(&format!("/v1/subscription_items/{}", id(&items[0]))).await.ok(), items[0]);
    house.get("/v1/subscription_items").await.error(400);
    let invoice = house.latest_invoice(&made).await;
    has(&invoice, &json!({"status": "paid", "subtotal": 4150, "total": 4150, "amount_paid": 4150}));
    let lines = invoice["lines"]["data"].as_array().unwrap();
    let amounts: Vec<&Value> = lines.iter().map(|line| &line["amount"]).collect();
    assert_eq!(amounts, [50, 2000, 2100], "the items of the subscription newest first");
    let seats = lines.iter().find(|line| line["amount"] == 2100).unwrap();
    has(seats, &json!({"quantity": 3, "description": "3 × Basic (at $7.00 / month)"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn items_that_do_not_fit_are_refused() {
    let (house, price, customer) = start("pm_card_visa").await;
    let product = id(&house.post("/v1/products", &[("name", "Other")]).await.ok());
    let form = [("product", &*product), ("unit_amount", "900"), ("recurring[interval]", "month"), ("currency", "usd")];
    let euro = [&form[..3], &[("currency", "eur")]].concat();
    let once = [&form[..2], &[("currency", "usd")]].concat();
    let euro = id(&house.post("/v1/prices", &euro).await.ok());
    let once = id(&house.post("/v1/prices", &once).await.ok());
    let retired = id(&house.post("/v1/prices", &form).await.ok());
    let archived = house.monthly_price(100).await;
    house.post(&format!("/v1/prices/{archived}"), &[("active", "false")]).await.ok();
    house.post(&format!("/v1/products/{product}"), &[("active", "false")]).await.ok();
    for other in [&euro, &once, &archived, &retired] {
        house.subscribe_with(&customer, &price, &[("items[1][price]", other)]).await.error(400);
    }
    for more in [
        ("items[0][quantity]", "-1"),
        ("items[0][quantity]", "99999999999999999999"),
        // This one is for updates only (1.2).
        ("payment_behavior", "pending_if_incomplete"),
        // For later issues: refused, not ignored.
        ("default_tax_rates[0]", "txr_1"),
        ("discounts[0][coupon]", "x"),
    ] {
        assert_eq!(house.subscribe_with(&customer, &price, &[more]).await.error(400)["type"], "invalid_request_error");
    }
    house.post("/v1/subscriptions", &[("customer", &customer)]).await.error(400);
    nothing_is_left(&house, &customer).await;
    // The first currency of a customer is the only one (1.1).
    house.subscribe(&customer, &price).await;
    house.post(&format!("/v1/products/{product}"), &[("active", "true")]).await.ok();
    house.subscribe_with(&customer, &euro, &[]).await.error(400);
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_are_listed_by_what_they_are() {
    let (house, price, ada) = start("pm_card_visa").await;
    let (other, eve) = (house.monthly_price(500).await, house.customer("pm_card_chargeCustomerFail", None).await);
    let active = id(&house.subscribe(&ada, &price).await);
    let canceled = id(&house.subscribe(&ada, &other).await);
    house.delete(&format!("/v1/subscriptions/{canceled}")).await.ok();
    house.advance_wall("2027-01-02T00:00:00Z").await;
    let incomplete = id(&house.subscribe(&eve, &price).await);
    let day = at("2027-01-02T00:00:00Z");
    let cases: &[(String, &[&String])] = &[
        (String::new(), &[&incomplete, &active]),
        ("status=all".to_owned(), &[&incomplete, &canceled, &active]),
        ("status=active".to_owned(), &[&active]),
        ("status=incomplete".to_owned(), &[&incomplete]),
        ("status=ended".to_owned(), &[&canceled]),
        (format!("customer={ada}&status=all"), &[&canceled, &active]),
        (format!("price={price}"), &[&incomplete, &active]),
        (format!("created[gte]={day}"), &[&incomplete]),
        (format!("current_period_start[lt]={day}"), &[&active]),
    ];
    finds(&house, "/v1/subscriptions", cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_now_ends_it_and_stops_what_would_follow() {
    let (house, price, _) = start("pm_card_visa").await;
    let clock = house.test_clock("2027-01-01T00:00:00Z").await;
    let customer = house.customer("pm_card_visa", Some(&clock)).await;
    let made = house.subscribe(&customer, &price).await;
    house.advance(&clock, "2027-02-01T00:00:00Z").await;
    let renewal = format!("/v1/invoices/{}", house.fresh(&made).await["latest_invoice"].as_str().unwrap());
    has(&house.get(&renewal).await.ok(), &json!({"status": "draft", "auto_advance": true}));
    house.delete(&renewal).await.error(400);
    house.post("/v1/invoiceitems", &[("customer", &customer), ("amount", "100"), ("currency", "usd")]).await.ok();
    let before = house.event_types(0).await.len();
    let path = format!("/v1/subscriptions/{}", id(&made));
    let why = [("cancellation_details[comment]", "bye"), ("cancellation_details[feedback]", "too_expensive")];
    let ended = house.call(Method::DELETE, &path, &why, &[]).await.ok();
    let now = at("2027-02-01T00:00:00Z");
    has(&ended, &json!({"object": "subscription", "status": "canceled", "canceled_at": now, "ended_at": now}));
    let why = json!({"comment": "bye", "feedback": "too_expensive", "reason": "cancellation_requested"});
    has(&ended["cancellation_details"], &why);
    let told = told(&house, before).await;
    once_each(&told, "customer.subscription.deleted");
    assert!(told[1..].iter().all(|kind| kind == "invoice.updated"), "{told:?}");
    let event = house.list("/v1/events?type=customer.subscription.deleted").await;
    has(&event[0]["data"]["object"], &json!({"status": "canceled", "canceled_at": now, "ended_at": now}));
    // Its draft advances no more, but the customer keeps what was pending (7.2).
    house.advance(&clock, "2027-04-01T00:00:00Z").await;
    has(&house.get(&renewal).await.ok(), &json!({"status": "draft", "auto_advance": false}));
    assert_eq!(house.list(&format!("/v1/invoices?customer={customer}")).await.len(), 2);
    assert_eq!(house.list(&format!("/v1/invoiceitems?customer={customer}&pending=true")).await.len(), 1);
    assert_eq!(house.post(&format!("{renewal}/pay"), &[]).await.ok()["status"], "paid", "still payable by hand");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_latest_invoice_decides_the_status() {
    let (house, price, _) = start("pm_card_visa").await;
    let leave = [("collection[final_action][subscription]", "past_due")];
    house.post("/v1/dunlin/settings", &leave).await.ok();
    for (action, form, months) in [
        ("pay", vec![("paid_out_of_band", "true")], 2),
        ("mark_uncollectible", vec![], 2),
        // The walk back from a voided invoice finds the first one, which is paid.
        ("void", vec![], 1),
    ] {
        let clock = house.test_clock("2027-01-01T00:00:00Z").await;
        let customer = house.customer("pm_card_visa", Some(&clock)).await;
        let made = house.subscribe(&customer, &price).await;
        house.default_card(&customer, "pm_card_chargeCustomerFail").await;
        for month in ["2027-02-01T02:00:00Z", "2027-03-01T02:00:00Z"].into_iter().take(months) {
            house.advance(&clock, month).await;
            assert_eq!(house.fresh(&made).await["status"], "past_due");
        }
        // Oldest first; settling what is not the latest changes nothing (2.3).
        let open = house.list(&format!("/v1/invoices?customer={customer}&status=open")).await;
        assert_eq!(open.len(), months);
        for (place, invoice) in open.iter().rev().enumerate() {
            house.post(&format!("/v1/invoices/{}/{action}", id(invoice)), &form).await.ok();
            let status = if place + 1 == months { "active" } else { "past_due" };
            assert_eq!(house.fresh(&made).await["status"], status, "{action} of invoice {place}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn voiding_the_first_invoice_expires_it_at_once() {
    let (house, price, customer) = start("pm_card_chargeCustomerFail").await;
    let made = house.subscribe(&customer, &price).await;
    let before = house.event_types(0).await.len();
    house.post(&format!("/v1/invoices/{}/void", made["latest_invoice"].as_str().unwrap()), &[]).await.ok();
    assert_eq!(house.fresh(&made).await["status"], "incomplete_expired");
    assert_eq!(intent(&house.latest_invoice(&made).await)["cancellation_reason"], "void_invoice");
    let expected = ["customer.subscription.updated", "invoice.voided", "payment_intent.canceled"];
    assert_eq!(told(&house, before).await, expected, "no customer.subscription.deleted (1.5)");
    let event = &house.list("/v1/events?type=customer.subscription.updated").await[0];
    assert_eq!(event["data"]["previous_attributes"]["status"], "incomplete");
    assert_eq!(house.list("/v1/subscriptions?status=incomplete_expired").await.len(), 1);
}
