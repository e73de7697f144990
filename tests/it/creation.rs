//! Every combination of how a subscription is paid for, with which card and how much, from the
//! published tables.

use reqwest::Method;
use serde_json::{Value, json};

use crate::catalogue::has;
use crate::support::{House, at, id, intent};

/// Statuses of subscription, invoice and intent, as `active paid succeeded`; `-` for what there is not.
async fn statuses(house: &House, subscription: &Value) -> String {
    let invoice = house.latest_invoice(subscription).await;
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    [&subscription["status"], &invoice["status"], &intent(&invoice)["status"]].map(word).join(" ")
}

/// `payment_behavior` on creation: what every kind of card comes to.
#[tokio::test(flavor = "multi_thread")]
async fn the_table_of_payment_behaviors() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    for (behavior, card, outcome) in [
        ("allow_incomplete", "visa", "active paid succeeded"),
        ("allow_incomplete", "chargeCustomerFail", "incomplete open requires_payment_method"),
        ("allow_incomplete", "authenticationRequired", "incomplete open requires_action"),
        ("allow_incomplete", "processing", "incomplete open processing"),
        ("default_incomplete", "processing", "incomplete open requires_confirmation"),
        ("error_if_incomplete", "processing", "incomplete open processing"),
        ("default_incomplete", "visa", "incomplete open requires_confirmation"),
        ("default_incomplete", "chargeCustomerFail", "incomplete open requires_confirmation"),
        ("default_incomplete", "authenticationRequired", "incomplete open requires_confirmation"),
        ("error_if_incomplete", "visa", "active paid succeeded"),
        ("error_if_incomplete", "chargeCustomerFail", "402 card_declined"),
        ("error_if_incomplete", "visa_chargeCustomerFailLostCard", "402 card_declined"),
        ("error_if_incomplete", "authenticationRequired", "402 subscription_payment_intent_requires_action"),
        ("pending_if_incomplete", "visa", "400"),
    ] {
        let customer = house.customer(&format!("pm_card_{card}"), None).await;
        let answer = house.subscribe_with(&customer, &price, &[("payment_behavior", behavior)]).await;
        let came_to = match answer.status {
            200 => statuses(&house, &answer.body).await,
            status => format!("{status} {}", answer.body["error"]["code"].as_str().unwrap_or_default()),
        };
        assert_eq!(came_to.trim(), outcome, "{behavior} with {card}");
        let made = house.list(&format!("/v1/subscriptions?customer={customer}&status=all")).await;
        assert_eq!(made.len(), usize::from(answer.status == 200), "{behavior} with {card}");
    }
}

/// Nothing due is never incomplete: free, too little to charge, or covered by credit.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_due_is_active_whatever_the_behavior_and_the_card() {
    let house = House::open().await;
    let (free, small, usual) =
        (house.monthly_price(0).await, house.monthly_price(49).await, house.monthly_price(2000).await);
    for behavior in ["allow_incomplete", "default_incomplete", "error_if_incomplete"] {
        for (price, credit, balance) in
            [(&free, "0", 0), (&small, "0", 49), (&usual, "-2000", 0), (&usual, "-2500", -500)]
        {
            let customer = house.customer("pm_card_chargeCustomerFail", None).await;
            house.post(&format!("/v1/customers/{customer}"), &[("balance", credit)]).await.ok();
            let made = house.subscribe_with(&customer, price, &[("payment_behavior", behavior)]).await.ok();
            assert_eq!(statuses(&house, &made).await, "active paid -", "{behavior} {credit}");
            assert_eq!(house.get(&format!("/v1/customers/{customer}")).await.ok()["balance"], balance);
        }
    }
    // Just enough to be charged is charged.
    let customer = house.customer("pm_card_visa", None).await;
    let made = house.subscribe_with(&customer, &house.monthly_price(50).await, &[]).await.ok();
    assert_eq!(statuses(&house, &made).await, "active paid succeeded");
}

/// `error_if_incomplete`: 402, and the customer is as before; of what happened only the failed payment
/// is known.
#[tokio::test(flavor = "multi_thread")]
async fn an_error_creates_nothing() {
    for (card, kinds) in [
        (
            "pm_card_chargeCustomerFail",
            "charge.failed payment_intent.canceled payment_intent.created payment_intent.payment_failed",
        ),
        (
            "pm_card_authenticationRequired",
            "payment_intent.canceled payment_intent.created payment_intent.requires_action",
        ),
    ] {
        let house = House::open().await;
        let customer = house.customer(card, None).await;
        let (price, once) = (house.monthly_price(2000).await, one_time(&house, 700).await);
        let waiting = [("customer", &*customer), ("amount", "300"), ("currency", "usd")];
        let waiting = id(&house.post("/v1/invoiceitems", &waiting).await.ok());
        house.post(&format!("/v1/customers/{customer}"), &[("balance", "-100")]).await.ok();
        let customer_before = house.get(&format!("/v1/customers/{customer}")).await.ok();
        let before = house.event_types(0).await.len();
        let more = [("payment_behavior", "error_if_incomplete"), ("add_invoice_items[0][price]", &*once)];
        let form = [&[("customer", &*customer), ("items[0][price]", &*price)][..], &more].concat();
        let key = [("idempotency-key", "only-once")];
        let answer = house.call(Method::POST, "/v1/subscriptions", &form, &key).await;
        let error = answer.clone().error(402);
        assert_eq!(error["type"], "card_error");
        let again = house.call(Method::POST, "/v1/subscriptions", &form, &key).await;
        assert_eq!((again.status, again.text), (402, answer.text), "the same key, the same answer");
        for list in ["subscriptions?status=all&", "invoices?"] {
            assert!(house.list(&format!("/v1/{list}customer={customer}")).await.is_empty(), "{list}");
        }
        assert_eq!(house.get(&format!("/v1/customers/{customer}")).await.ok(), customer_before);
        let items = house.list(&format!("/v1/invoiceitems?customer={customer}")).await;
        assert_eq!(items.iter().map(id).collect::<Vec<_>>(), std::slice::from_ref(&waiting), "it waits again");
        assert_eq!(items[0]["invoice"], json!(null));
        let history = house.list(&format!("/v1/customers/{customer}/balance_transactions")).await;
        assert_eq!(
            history.iter().map(|entry| &entry["amount"]).collect::<Vec<_>>(),
            [&json!(-100)],
            "no trace in the balance"
        );
        let mut told = house.event_types(before).await;
        told.sort_unstable();
        assert_eq!(told.join(" "), kinds);
        let left = &house.list(&format!("/v1/payment_intents?customer={customer}")).await[0];
        has(left, &json!({"status": "canceled", "amount": 2900, "amount_received": 0}));
        assert_eq!(house.count("select count(*) from subscription_items").await, 0);
        assert_eq!(house.count("select count(*) from invoice_payments").await, 0);
        // With a card that works it is as if nothing had been tried before.
        house.default_card(&customer, "pm_card_visa").await;
        let made = house.post("/v1/subscriptions", &form).await.ok();
        let paid = house.latest_invoice(&made).await;
        has(&paid, &json!({"status": "paid", "total": 3000, "amount_paid": 2900}));
        assert!(paid["number"].as_str().unwrap().ends_with("-0001"), "no gap in the numbers");
    }
}

async fn one_time(house: &House, cents: i64) -> String {
    let product = id(&house.post("/v1/products", &[("name", "Setup")]).await.ok());
    let form = [("product", &*product), ("currency", "usd"), ("unit_amount", &cents.to_string())];
    id(&house.post("/v1/prices", &form).await.ok())
}

/// The order of events of a creation with a working card, and the status they show.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_of_a_creation() {
    let house = House::open().await;
    let (price, customer) = (house.monthly_price(2000).await, house.customer("pm_card_visa", None).await);
    for behavior in ["allow_incomplete", "error_if_incomplete"] {
        let before = house.event_types(0).await.len();
        house.subscribe_with(&customer, &price, &[("payment_behavior", behavior)]).await.ok();
        let told: Vec<String> =
            house.event_types(before).await.into_iter().filter(|kind| kind != "customer.updated").collect();
        let expected = "customer.subscription.created invoice.created invoice.finalized payment_intent.created \
                        charge.succeeded payment_intent.succeeded invoice.updated invoice.paid \
                        invoice.payment_succeeded invoice_payment.paid";
        assert_eq!(told.join(" "), expected, "{behavior}");
        let created = &house.list("/v1/events?type=customer.subscription.created").await[0];
        assert_eq!(created["data"]["object"]["status"], "active");
        assert!(created["request"]["id"].is_string());
        let drafted = &house.list("/v1/events?type=invoice.created").await[0]["data"]["object"];
        assert_eq!(drafted["status"], "draft", "each event shows its own moment");
    }
}

/// Who is sent invoices: active at once, a draft for an hour, then open with a due date.
#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_that_is_sent() {
    let house = House::open().await;
    let clock = house.test_clock("2027-01-01T00:00:00Z").await;
    let (price, customer) =
        (house.monthly_price(2000).await, house.customer("pm_card_chargeCustomerFail", Some(&clock)).await);
    let before = house.event_types(0).await.len();
    let sent = [("collection_method", "send_invoice"), ("days_until_due", "30")];
    let made = house.subscribe_with(&customer, &price, &sent).await.ok();
    has(&made, &json!({"status": "active", "collection_method": "send_invoice", "days_until_due": 30}));
    let draft = house.latest_invoice(&made).await;
    let due = at("2027-01-31T00:00:00Z");
    has(
        &draft,
        &json!({"status": "draft", "collection_method": "send_invoice", "due_date": due, "auto_advance": true}),
    );
    has(&draft, &json!({"next_payment_attempt": null, "billing_reason": "subscription_create", "number": null}));
    let told = "customer.subscription.created customer.updated invoice.created";
    let mut heard = house.event_types(before).await;
    heard.sort_unstable();
    assert_eq!(heard.join(" "), told);
    house.advance(&clock, "2027-01-01T00:59:59Z").await;
    assert_eq!(house.latest_invoice(&made).await["status"], "draft");
    let before = house.event_types(0).await.len();
    house.advance(&clock, "2027-01-01T01:00:00Z").await;
    let open = house.latest_invoice(&made).await;
    has(&open, &json!({"status": "open", "due_date": due, "attempted": false, "attempt_count": 0}));
    assert_eq!(
        (&intent(&open)["status"], &open["next_payment_attempt"]),
        (&json!("requires_payment_method"), &json!(null))
    );
    let told: Vec<String> =
        house.event_types(before).await.into_iter().filter(|kind| !kind.starts_with("test_helpers")).collect();
    assert_eq!(told, ["invoice.finalized", "payment_intent.created", "invoice.sent"]);
    // Renewals are sent as well; due days after they are made.
    house.post(&format!("/v1/invoices/{}/pay", id(&open)), &[("paid_out_of_band", "true")]).await.ok();
    house.advance(&clock, "2027-02-01T02:00:00Z").await;
    let made = house.get(&format!("/v1/subscriptions/{}", id(&made))).await.ok();
    let renewal = house.latest_invoice(&made).await;
    has(&renewal, &json!({"status": "open", "due_date": at("2027-03-03T00:00:00Z"), "attempted": false}));
    // No behaviour and no card matters, and nothing due is paid at its time.
    for behavior in ["allow_incomplete", "default_incomplete", "error_if_incomplete"] {
        let more = [sent[0], sent[1], ("payment_behavior", behavior)];
        let customer = house.customer("pm_card_chargeCustomerFail", None).await;
        let made = house.subscribe_with(&customer, &price, &more).await.ok();
        assert_eq!(statuses(&house, &made).await, "active draft -");
    }
}

/// What may and must come with each way to collect.
#[tokio::test(flavor = "multi_thread")]
async fn days_until_due_belong_to_sent_invoices_only() {
    let house = House::open().await;
    let (price, customer) = (house.monthly_price(2000).await, house.customer("pm_card_visa", None).await);
    let nameless = id(&house.post("/v1/customers", &[]).await.ok());
    for (customer, more, param) in [
        (&customer, &[("collection_method", "send_invoice")][..], "days_until_due"),
        (&customer, &[("days_until_due", "3")], "days_until_due"),
        (&customer, &[("collection_method", "send_invoice"), ("days_until_due", "-1")], "days_until_due"),
        (&nameless, &[("collection_method", "send_invoice"), ("days_until_due", "3")], "customer"),
    ] {
        assert_eq!(house.subscribe_with(customer, &price, more).await.error(400)["param"], param, "{more:?}");
    }
    assert!(house.list("/v1/subscriptions?status=all").await.is_empty());
}

/// The first level that names a payment method wins, and no other is tried when it fails.
#[tokio::test(flavor = "multi_thread")]
async fn the_levels_of_payment_methods() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    for (of_subscription, of_customer, outcome) in [
        (Some("visa"), "chargeCustomerFail", "active paid succeeded"),
        (Some("chargeCustomerFail"), "visa", "incomplete open requires_payment_method"),
        (None, "visa", "active paid succeeded"),
    ] {
        let customer = house.customer(&format!("pm_card_{of_customer}"), None).await;
        let mut more = vec![("payment_settings[save_default_payment_method]", "on_subscription")];
        let mut named = String::new();
        if let Some(card) = of_subscription {
            let attach = format!("/v1/payment_methods/pm_card_{card}/attach");
            named = id(&house.post(&attach, &[("customer", &customer)]).await.ok());
            more.push(("default_payment_method", &named));
        }
        let made = house.subscribe_with(&customer, &price, &more).await.ok();
        assert_eq!(statuses(&house, &made).await, outcome, "{of_subscription:?} over {of_customer}");
        // What paid becomes its default; what failed was so already.
        let default = house.get(&format!("/v1/customers/{customer}")).await.ok();
        let default = default["invoice_settings"]["default_payment_method"].as_str().unwrap().to_owned();
        assert_eq!(made["default_payment_method"], if named.is_empty() { default } else { named });
    }
    // A method that was detached is none at all.
    let customer = house.customer("pm_card_visa", None).await;
    let method = id(&house.list(&format!("/v1/customers/{customer}/payment_methods")).await[0]);
    house.post(&format!("/v1/payment_methods/{method}/detach"), &[]).await.ok();
    assert_eq!(house.subscribe_with(&customer, &price, &[]).await.error(400)["code"], "resource_missing");
}

/// The types of methods that may pay are kept, and stand on the invoices too; here there are cards.
#[tokio::test(flavor = "multi_thread")]
async fn types_of_payment_methods() {
    let house = House::open().await;
    let (price, customer) = (house.monthly_price(2000).await, house.customer("pm_card_visa", None).await);
    let types = "payment_settings[payment_method_types]";
    let made = house.subscribe_with(&customer, &price, &[(&format!("{types}[0]"), "card")]).await.ok();
    assert_eq!(made["payment_settings"]["payment_method_types"], json!(["card"]));
    assert_eq!(house.latest_invoice(&made).await["payment_settings"]["payment_method_types"], json!(["card"]));
    let open = house.post(&format!("/v1/subscriptions/{}", id(&made)), &[(types, "")]).await.ok();
    assert_eq!(open["payment_settings"]["payment_method_types"], json!(null));
    house.subscribe_with(&customer, &price, &[(&format!("{types}[0]"), "sepa_debit")]).await.error(400);
}

/// Off session a card that was set up works without its owner; on session they must authenticate.
#[tokio::test(flavor = "multi_thread")]
async fn off_session_is_what_the_caller_says() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    for (off_session, outcome) in [("true", "active paid succeeded"), ("false", "incomplete open requires_action")] {
        let customer = house.customer("pm_card_authenticationRequiredSetupForOffSession", None).await;
        let made = house.subscribe_with(&customer, &price, &[("off_session", off_session)]).await.ok();
        assert_eq!(statuses(&house, &made).await, outcome, "off_session={off_session}");
    }
}

/// One-off prices come onto the first invoice, before the items, and never recur.
#[tokio::test(flavor = "multi_thread")]
async fn one_off_items_come_with_the_first_invoice() {
    let house = House::open().await;
    let clock = house.test_clock("2027-01-01T00:00:00Z").await;
    let (price, customer) = (house.monthly_price(2000).await, house.customer("pm_card_visa", Some(&clock)).await);
    let (setup, hours) = (one_time(&house, 5000).await, one_time(&house, 100).await);
    let more = [
        ("add_invoice_items[0][price]", &*setup),
        ("add_invoice_items[0][metadata][k]", "v"),
        ("add_invoice_items[1][price]", &hours),
        ("add_invoice_items[1][quantity]", "3"),
        ("add_invoice_items[1][period][start][type]", "now"),
        ("add_invoice_items[1][period][end][type]", "timestamp"),
        ("add_invoice_items[1][period][end][timestamp]", "1900000000"),
    ];
    let made = house.subscribe_with(&customer, &price, &more).await.ok();
    let first = house.latest_invoice(&made).await;
    has(&first, &json!({"status": "paid", "total": 7300, "amount_paid": 7300}));
    let lines = first["lines"]["data"].as_array().unwrap();
    let amounts: Vec<&Value> = lines.iter().map(|line| &line["amount"]).collect();
    assert_eq!(amounts, [300, 5000, 2000]);
    let (start, end) = (at("2027-01-01T00:00:00Z"), at("2027-02-01T00:00:00Z"));
    has(&lines[0], &json!({"quantity": 3, "period": {"start": start, "end": 1_900_000_000}}));
    has(&lines[1], &json!({"metadata": {"k": "v"}, "description": "Setup", "period": {"start": start, "end": end}}));
    let items = house.list(&format!("/v1/invoiceitems?customer={customer}")).await;
    assert!(items.iter().all(|item| item["parent"]["subscription_details"]["subscription"] == made["id"]));
    assert!(items.iter().all(|item| item["proration"] == false && item["invoice"] == first["id"]));
    assert_eq!(house.list("/v1/events?type=invoiceitem.created").await.len(), 2);
    house.advance(&clock, "2027-02-01T02:00:00Z").await;
    let made = house.get(&format!("/v1/subscriptions/{}", id(&made))).await.ok();
    assert_eq!(house.latest_invoice(&made).await["total"], 2000);
    for (param, value) in [
        ("add_invoice_items[0][price]", &*price),
        ("add_invoice_items[0][price]", "price_none"),
        ("add_invoice_items[0][quantity]", "2"),
        ("add_invoice_items[0][discounts][0][coupon]", "x"),
    ] {
        house.subscribe_with(&customer, &price, &[(param, value)]).await.error(400);
    }
}

/// The incomplete window: 23 hours to the second; then expired, void and cancelled, and told so.
#[tokio::test(flavor = "multi_thread")]
async fn the_incomplete_window() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    for (behavior, card) in [("default_incomplete", "visa"), ("allow_incomplete", "chargeCustomerFail")] {
        let clock = house.test_clock("2026-11-01T00:00:00Z").await;
        let customer = house.customer(&format!("pm_card_{card}"), Some(&clock)).await;
        let made = house.subscribe_with(&customer, &price, &[("payment_behavior", behavior)]).await.ok();
        house.advance(&clock, "2026-11-01T22:59:59Z").await;
        let path = format!("/v1/subscriptions/{}", id(&made));
        assert_eq!(house.get(&path).await.ok()["status"], "incomplete");
        let before = house.event_types(0).await.len();
        house.advance(&clock, "2026-11-01T23:00:00Z").await;
        let expired = house.get(&path).await.ok();
        let end = at("2026-11-01T23:00:00Z");
        has(&expired, &json!({"status": "incomplete_expired", "ended_at": end}));
        let void = house.latest_invoice(&expired).await;
        has(&void, &json!({"status": "void", "auto_advance": false}));
        assert_eq!(void["status_transitions"]["voided_at"], end);
        has(intent(&void), &json!({"status": "canceled", "cancellation_reason": "void_invoice"}));
        let mut told = house.event_types(before).await;
        told.retain(|kind| !kind.starts_with("test_helpers"));
        assert_eq!(told, ["invoice.voided", "payment_intent.canceled", "customer.subscription.updated"]);
        let update = &house.list("/v1/events?type=customer.subscription.updated").await[0];
        assert_eq!(update["data"]["previous_attributes"]["status"], "incomplete");
        // It is over for good.
        house.post(&format!("/v1/invoices/{}/pay", id(&void)), &[]).await.error(400);
        house.post(&format!("{path}/resume"), &[]).await.error(400);
        house.delete(&path).await.error(404);
        house.advance(&clock, "2027-01-01T00:00:00Z").await;
        assert_eq!(house.list(&format!("/v1/invoices?customer={customer}")).await.len(), 1);
    }
}

/// Paid inside the window it is active, and its period is the one that began with it.
#[tokio::test(flavor = "multi_thread")]
async fn paid_inside_the_window() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    for way in ["confirm", "pay", "out_of_band"] {
        let clock = house.test_clock("2026-11-01T00:00:00Z").await;
        let customer = house.customer("pm_card_visa", Some(&clock)).await;
        let made = house.subscribe_with(&customer, &price, &[("payment_behavior", "default_incomplete")]).await.ok();
        house.advance(&clock, "2026-11-01T10:00:00Z").await;
        let open = house.latest_invoice(&made).await;
        let pay = format!("/v1/invoices/{}/pay", id(&open));
        match way {
            "confirm" => house.post(&format!("/v1/payment_intents/{}/confirm", id(intent(&open))), &[]).await.ok(),
            "pay" => house.post(&pay, &[]).await.ok(),
            _ => house.post(&pay, &[("paid_out_of_band", "true")]).await.ok(),
        };
        let active = house.get(&format!("/v1/subscriptions/{}", id(&made))).await.ok();
        assert_eq!(active["status"], "active", "{way}");
        let (start, end) = (at("2026-11-01T00:00:00Z"), at("2026-12-01T00:00:00Z"));
        has(&active["items"]["data"][0], &json!({"current_period_start": start, "current_period_end": end}));
        house.advance(&clock, "2026-11-02T10:00:00Z").await;
        assert_eq!(house.get(&format!("/v1/subscriptions/{}", id(&made))).await.ok()["status"], "active");
    }
}
