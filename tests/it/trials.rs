//! Trials: how they begin, what is told before they end, and how they end, from the published rules.

use serde_json::json;

use crate::catalogue::has;
use crate::support::{House, at, id};

/// What is told from a number of events on, but for test clocks.
async fn told(house: &House, before: usize) -> Vec<String> {
    let mut told = house.event_types(before).await;
    told.retain(|kind| !kind.starts_with("test_helpers") && kind != "customer.updated");
    told
}

/// The whole example of a trial: 3000 a month, 14 days, to the second.
#[tokio::test(flavor = "multi_thread")]
async fn a_trial_from_beginning_to_end() {
    let house = House::open().await;
    let clock = house.test_clock("2026-11-01T10:00:00Z").await;
    let (price, customer) = (house.monthly_price(3000).await, house.customer("pm_card_visa", Some(&clock)).await);
    let before = house.event_types(0).await.len();
    let more = [("trial_period_days", "14"), ("items[0][quantity]", "2")];
    let made = house.subscribe_with(&customer, &price, &more).await.ok();
    let (start, end) = (at("2026-11-01T10:00:00Z"), at("2026-11-15T10:00:00Z"));
    has(&made, &json!({"status": "trialing", "trial_start": start, "trial_end": end, "billing_cycle_anchor": end}));
    has(&made["items"]["data"][0], &json!({"current_period_start": start, "current_period_end": end}));
    assert_eq!(made["pending_setup_intent"], json!(null), "its card needs no authentication");
    let first = house.latest_invoice(&made).await;
    has(&first, &json!({"status": "paid", "total": 0, "amount_due": 0, "billing_reason": "subscription_create"}));
    let line = &first["lines"]["data"][0];
    has(line, &json!({"amount": 0, "quantity": 2, "description": "Free trial for 2 × Basic"}));
    assert_eq!(line["period"], json!({"start": start, "end": end}));
    let expected = "customer.subscription.created invoice.created invoice.finalized invoice.updated invoice.paid \
                    invoice.payment_succeeded";
    assert_eq!(told(&house, before).await.join(" "), expected);
    let created = &house.list("/v1/events?type=customer.subscription.created").await[0];
    assert_eq!(created["data"]["object"]["status"], "trialing");
    // Three days before its end, to the second.
    let before = house.event_types(0).await.len();
    house.advance(&clock, "2026-11-12T09:59:59Z").await;
    assert!(told(&house, before).await.is_empty());
    house.advance(&clock, "2026-11-12T10:00:00Z").await;
    assert_eq!(told(&house, before).await, ["customer.subscription.trial_will_end"]);
    let notice = &house.list("/v1/events?type=customer.subscription.trial_will_end").await[0];
    assert_eq!(
        (&notice["created"], &notice["data"]["object"]["trial_end"]),
        (&json!(at("2026-11-12T10:00:00Z")), &json!(end))
    );
    // At the end it is active while its invoice is a draft.
    let before = house.event_types(0).await.len();
    house.advance(&clock, "2026-11-15T10:00:00Z").await;
    let next = at("2026-12-15T10:00:00Z");
    let active = house.fresh(&made).await;
    has(&active, &json!({"status": "active", "trial_start": start, "trial_end": end, "billing_cycle_anchor": end}));
    has(&active["items"]["data"][0], &json!({"current_period_start": end, "current_period_end": next}));
    let draft = house.latest_invoice(&active).await;
    has(&draft, &json!({"status": "draft", "billing_reason": "subscription_cycle", "total": 6000}));
    has(&draft, &json!({"period_start": start, "period_end": end, "automatically_finalizes_at": end + 3600}));
    assert_eq!(draft["lines"]["data"][0]["period"], json!({"start": end, "end": next}));
    let mut heard = told(&house, before).await;
    heard.sort_unstable();
    assert_eq!(heard, ["customer.subscription.updated", "invoice.created"]);
    let update = &house.list("/v1/events?type=customer.subscription.updated").await[0]["data"]["previous_attributes"];
    assert_eq!(update["status"], "trialing");
    house.advance(&clock, "2026-11-15T11:00:00Z").await;
    has(&house.latest_invoice(&active).await, &json!({"status": "paid", "amount_paid": 6000}));
    house.advance(&clock, "2026-12-15T11:00:00Z").await;
    assert_eq!(house.list(&format!("/v1/invoices?customer={customer}&status=paid")).await.len(), 3);
    assert_eq!(house.list("/v1/events?type=customer.subscription.trial_will_end").await.len(), 1, "told once");
}

/// The ways to ask for a trial, what excludes what, and how long one may be.
#[tokio::test(flavor = "multi_thread")]
async fn ways_to_ask_for_a_trial() {
    let house = House::open().await;
    let (price, customer) = (house.monthly_price(2000).await, house.customer("pm_card_visa", None).await);
    let product = id(&house.post("/v1/products", &[("name", "Promising")]).await.ok());
    let form = [
        ("product", &*product),
        ("currency", "usd"),
        ("unit_amount", "500"),
        ("recurring[interval]", "month"),
        ("recurring[trial_period_days]", "30"),
    ];
    let promising = house.post("/v1/prices", &form).await.ok();
    assert_eq!(promising["recurring"]["trial_period_days"], 30);
    let promising = id(&promising);
    let now = at("2027-01-01T00:00:00Z");
    let day = 86_400;
    let later = (now + 5 * day).to_string();
    for (price, more, trial) in [
        (&price, &[("trial_end", &*later)][..], Some(5)),
        (&price, &[("trial_period_days", "1")], Some(1)),
        (&price, &[("trial_from_plan", "true")], None),
        (&promising, &[], None),
        (&promising, &[("trial_from_plan", "false")], None),
        (&promising, &[("trial_from_plan", "true")], Some(30)),
        (&promising, &[("trial_from_plan", "true"), ("trial_period_days", "7")], Some(7)),
        (&promising, &[("trial_end", "now")], None),
    ] {
        let made = house.subscribe_with(&customer, price, more).await.ok();
        let end = trial.map_or(json!(null), |days| json!(now + days * day));
        let status = if trial.is_some() { "trialing" } else { "active" };
        assert_eq!((&made["trial_end"], &made["status"]), (&end, &json!(status)), "{more:?}");
    }
    let two_years = at("2029-01-01T00:00:00Z");
    for (more, param) in [
        (&[("trial_end", "1")][..], "trial_end"),
        (&[("trial_end", "soon")], "trial_end"),
        (&[("trial_end", &(two_years + 1).to_string())], "trial_end"),
        (&[("trial_period_days", "0")], "trial_period_days"),
        (&[("trial_period_days", "731")], "trial_period_days"),
        (&[("trial_end", &*later), ("trial_period_days", "3")], "trial_end"),
        (&[("trial_end", &*later), ("trial_from_plan", "true")], "trial_end"),
        (
            &[("trial_period_days", "3"), ("trial_settings[end_behavior][missing_payment_method]", "wait")],
            "trial_settings[end_behavior][missing_payment_method]",
        ),
    ] {
        assert_eq!(house.subscribe_with(&customer, &price, more).await.error(400)["param"], param, "{more:?}");
    }
    house.subscribe_with(&customer, &price, &[("trial_end", &two_years.to_string())]).await.ok();
}

/// A trial shorter than the notice is told of at its start.
#[tokio::test(flavor = "multi_thread")]
async fn a_short_trial_is_told_of_at_once() {
    let house = House::open().await;
    for (days, at_once) in [("2", true), ("3", true), ("4", false)] {
        let clock = house.test_clock("2027-03-01T00:00:00Z").await;
        let (price, customer) = (house.monthly_price(2000).await, house.customer("pm_card_visa", Some(&clock)).await);
        let before = house.event_types(0).await.len();
        house.subscribe_with(&customer, &price, &[("trial_period_days", days)]).await.ok();
        let kinds = told(&house, before).await;
        assert_eq!(kinds.first().map(String::as_str), Some("customer.subscription.created"));
        let notice =
            |kinds: &[String]| kinds.iter().filter(|kind| *kind == "customer.subscription.trial_will_end").count();
        assert_eq!(notice(&kinds), usize::from(at_once), "{days} days: {kinds:?}");
        house.advance(&clock, "2027-03-06T00:00:00Z").await;
        assert_eq!(notice(&told(&house, before).await), 1, "{days} days");
    }
}

/// The end of a trial without a payment method goes as was asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_trial_that_ends_without_a_payment_method() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    for (behavior, status, last, event) in [
        ("create_invoice", "past_due", "open", "invoice.payment_failed"),
        ("cancel", "canceled", "paid", "customer.subscription.deleted"),
        ("pause", "paused", "paid", "customer.subscription.paused"),
    ] {
        let clock = house.test_clock("2027-01-01T00:00:00Z").await;
        let form = [("test_clock", &*clock), ("email", "ada@example.com")];
        let customer = id(&house.post("/v1/customers", &form).await.ok());
        let more = [("trial_period_days", "7"), ("trial_settings[end_behavior][missing_payment_method]", behavior)];
        let made = house.subscribe_with(&customer, &price, &more).await.ok();
        assert_eq!(made["trial_settings"]["end_behavior"]["missing_payment_method"], behavior);
        assert!(made["pending_setup_intent"].is_string(), "a card is asked for");
        let before = house.event_types(0).await.len();
        house.advance(&clock, "2027-01-08T01:00:00Z").await;
        let ended = house.fresh(&made).await;
        assert_eq!(ended["status"], status, "{behavior}");
        assert_eq!(house.latest_invoice(&ended).await["status"], last, "{behavior}");
        let kinds = told(&house, before).await;
        assert!(kinds.iter().any(|kind| kind == event), "{behavior}: {kinds:?}");
        // Nothing more is made of what has ended or rests.
        house.advance(&clock, "2027-02-20T00:00:00Z").await;
        let invoices = house.list(&format!("/v1/invoices?customer={customer}")).await.len();
        assert_eq!(invoices, if behavior == "create_invoice" { 3 } else { 1 }, "{behavior}");
    }
    // With a payment method none of that matters.
    for behavior in ["cancel", "pause"] {
        let clock = house.test_clock("2027-01-01T00:00:00Z").await;
        let customer = house.customer("pm_card_visa", Some(&clock)).await;
        let more = [("trial_period_days", "7"), ("trial_settings[end_behavior][missing_payment_method]", behavior)];
        let made = house.subscribe_with(&customer, &price, &more).await.ok();
        house.advance(&clock, "2027-01-08T01:00:00Z").await;
        assert_eq!(house.fresh(&made).await["status"], "active");
    }
}

/// A failing card at the end of a trial: active for the hour of the draft, then past due.
#[tokio::test(flavor = "multi_thread")]
async fn a_trial_that_ends_with_a_failing_card() {
    let house = House::open().await;
    let clock = house.test_clock("2027-01-01T00:00:00Z").await;
    let (price, customer) =
        (house.monthly_price(2000).await, house.customer("pm_card_chargeCustomerFail", Some(&clock)).await);
    let made = house.subscribe_with(&customer, &price, &[("trial_period_days", "7")]).await.ok();
    house.advance(&clock, "2027-01-08T00:59:59Z").await;
    assert_eq!(house.fresh(&made).await["status"], "active");
    house.advance(&clock, "2027-01-08T01:00:00Z").await;
    assert_eq!(house.fresh(&made).await["status"], "past_due");
}

/// What costs money beside a trial is paid at once; until it is, the subscription is incomplete.
#[tokio::test(flavor = "multi_thread")]
async fn one_off_items_of_a_trial_are_paid_at_once() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let product = id(&house.post("/v1/products", &[("name", "Setup")]).await.ok());
    let form = [("product", &*product), ("currency", "usd"), ("unit_amount", "700")];
    let setup = id(&house.post("/v1/prices", &form).await.ok());
    let more = [("trial_period_days", "7"), ("add_invoice_items[0][price]", &*setup)];
    let customer = house.customer("pm_card_visa", None).await;
    let made = house.subscribe_with(&customer, &price, &more).await.ok();
    assert_eq!(made["status"], "trialing");
    has(&house.latest_invoice(&made).await, &json!({"status": "paid", "total": 700, "amount_paid": 700}));
    let customer = house.customer("pm_card_chargeCustomerFail", None).await;
    let made = house.subscribe_with(&customer, &price, &more).await.ok();
    assert_eq!(made["status"], "incomplete");
    house.default_card(&customer, "pm_card_visa").await;
    house.post(&format!("/v1/invoices/{}/pay", made["latest_invoice"].as_str().unwrap()), &[]).await.ok();
    assert_eq!(house.fresh(&made).await["status"], "trialing", "and not active: its trial goes on");
}

/// A trial of a subscription whose invoices are sent: nothing to pay now, an invoice to pay later.
#[tokio::test(flavor = "multi_thread")]
async fn a_trial_with_sent_invoices() {
    let house = House::open().await;
    let clock = house.test_clock("2027-01-01T00:00:00Z").await;
    let form = [("test_clock", &*clock), ("email", "ada@example.com")];
    let customer = id(&house.post("/v1/customers", &form).await.ok());
    let price = house.monthly_price(2000).await;
    let more = [
        ("collection_method", "send_invoice"),
        ("days_until_due", "10"),
        ("trial_period_days", "7"),
        ("trial_settings[end_behavior][missing_payment_method]", "cancel"),
    ];
    let made = house.subscribe_with(&customer, &price, &more).await.ok();
    assert_eq!((&made["status"], &house.latest_invoice(&made).await["status"]), (&json!("trialing"), &json!("paid")));
    house.advance(&clock, "2027-01-08T01:00:00Z").await;
    let active = house.fresh(&made).await;
    assert_eq!(active["status"], "active", "nobody needs a card to pay an invoice");
    let due = at("2027-01-18T00:00:00Z");
    has(&house.latest_invoice(&active).await, &json!({"status": "open", "due_date": due, "total": 2000}));
}

/// Cancelled during the trial it ends with it, and costs nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_trial_that_is_cancelled_at_its_end() {
    let house = House::open().await;
    let clock = house.test_clock("2027-01-01T00:00:00Z").await;
    let (price, customer) = (house.monthly_price(2000).await, house.customer("pm_card_visa", Some(&clock)).await);
    let more = [("trial_period_days", "7"), ("cancel_at_period_end", "true")];
    let made = house.subscribe_with(&customer, &price, &more).await.ok();
    has(&made, &json!({"status": "trialing", "cancel_at_period_end": true, "cancel_at": made["trial_end"]}));
    house.advance(&clock, "2027-02-08T00:00:00Z").await;
    has(&house.fresh(&made).await, &json!({"status": "canceled", "ended_at": made["trial_end"]}));
    assert_eq!(house.list(&format!("/v1/invoices?customer={customer}")).await.len(), 1);
}

/// An anchor later than the trial: the time between them is prorated when the trial ends.
#[tokio::test(flavor = "multi_thread")]
async fn an_anchor_after_the_trial_makes_a_stub() {
    let house = House::open().await;
    let clock = house.test_clock("2026-11-01T00:00:00Z").await;
    let (price, customer) = (house.monthly_price(3000).await, house.customer("pm_card_visa", Some(&clock)).await);
    let [end, anchor] = ["2026-11-16T00:00:00Z", "2026-12-01T00:00:00Z"].map(|time| at(time).to_string());
    let more = [("trial_end", &*end), ("billing_cycle_anchor", &anchor)];
    let made = house.subscribe_with(&customer, &price, &more).await.ok();
    assert_eq!(made["billing_cycle_anchor"].to_string(), anchor);
    house.advance(&clock, "2026-11-16T01:00:00Z").await;
    let stub = house.latest_invoice(&house.fresh(&made).await).await;
    has(&stub, &json!({"total": 1500, "status": "paid"}));
    assert_eq!(stub["lines"]["data"][0]["parent"]["subscription_item_details"]["proration"], true);
    house.advance(&clock, "2026-12-01T01:00:00Z").await;
    assert_eq!(house.latest_invoice(&house.fresh(&made).await).await["total"], 3000);
}

/// Without prorations what lies between the end of the trial and the anchor is free: the first invoice is that of
/// the first full period. What was not billed is not given back either.
#[tokio::test(flavor = "multi_thread")]
async fn a_stub_after_a_trial_can_be_free() {
    let house = House::open().await;
    for (behavior, stub) in [("none", None), ("create_prorations", Some(2000))] {
        let clock = house.test_clock("2026-11-01T00:00:00Z").await;
        let customer = house.customer("pm_card_visa", Some(&clock)).await;
        let price = house.monthly_price(3000).await;
        let (trial, anchor) = (at("2026-11-11T00:00:00Z").to_string(), at("2026-12-01T00:00:00Z").to_string());
        let form = [("trial_end", &*trial), ("billing_cycle_anchor", &*anchor), ("proration_behavior", behavior)];
        let made = house.subscribe_with(&customer, &price, &form).await.ok();
        house.advance(&clock, "2026-11-16T00:00:00Z").await;
        let totals = |invoices: Vec<serde_json::Value>| {
            invoices.iter().map(|invoice| invoice["total"].as_i64().unwrap()).collect::<Vec<_>>()
        };
        let list = format!("/v1/invoices?customer={customer}");
        let expected: Vec<i64> = stub.into_iter().chain([0]).collect();
        assert_eq!(totals(house.list(&list).await), expected, "{behavior}");
        let shown = house.fresh(&made).await;
        assert_eq!(shown["status"], "active");
        assert_eq!(shown["items"]["data"][0]["current_period_end"], at("2026-12-01T00:00:00Z"));
        // Half of a free stub is worth nothing; half of one that was paid for is.
        let item = id(&shown["items"]["data"][0]);
        let preview = [
            ("subscription", &*id(&made)),
            ("subscription_details[items][0][id]", &item),
            ("subscription_details[items][0][deleted]", "true"),
            ("subscription_details[items][1][price]", &house.monthly_price(3000).await),
            ("subscription_details[proration_behavior]", "always_invoice"),
        ];
        let preview = house.post("/v1/invoices/create_preview", &preview).await.ok();
        assert_eq!(preview["total"], if stub.is_some() { 0 } else { 1500 }, "{behavior}");
        house.advance(&clock, "2026-12-01T02:00:00Z").await;
        let expected: Vec<i64> = [3000].into_iter().chain(stub).chain([0]).collect();
        assert_eq!(totals(house.list(&list).await), expected, "{behavior}");
    }
}
