//! Trials that are ended early, extended, cut short, or given to who has paid already, from the published
//! rules.

use serde_json::{Value, json};

use crate::catalogue::has;
use crate::support::{Answer, House, at, id};

/// A subscription at 3000 a month on a clock, with this card.
async fn begin(time: &str, card: &str, more: &[(&str, &str)]) -> (House, String, Value) {
    let house = House::open().await;
    let clock = house.test_clock(time).await;
    let (price, customer) = (house.monthly_price(3000).await, house.customer(card, Some(&clock)).await);
    let form = [&[("customer", &*customer), ("items[0][price]", &*price)], more].concat();
    let made = house.post("/v1/subscriptions", &form).await.ok();
    (house, clock, made)
}

async fn change(house: &House, subscription: &Value, form: &[(&str, &str)]) -> Answer {
    house.post(&format!("/v1/subscriptions/{}", id(subscription)), form).await
}

async fn invoices(house: &House, subscription: &Value) -> usize {
    house.list(&format!("/v1/invoices?subscription={}", id(subscription))).await.len()
}

async fn told(house: &House, before: usize) -> Vec<String> {
    let mut told = house.event_types(before).await;
    told.retain(|kind| !kind.starts_with("test_helpers") && kind != "customer.updated");
    told
}

/// `trial_end=now`: over at once, a full period begins now, and it is paid in the request.
#[tokio::test(flavor = "multi_thread")]
async fn ending_a_trial_early() {
    let trial = [("trial_period_days", "14")];
    let (house, clock, made) = begin("2026-11-01T10:00:00Z", "pm_card_visa", &trial).await;
    house.advance(&clock, "2026-11-05T12:00:00Z").await;
    let before = house.event_types(0).await.len();
    let over = change(&house, &made, &[("trial_end", "now"), ("metadata[k]", "v")]).await.ok();
    let (now, end) = (at("2026-11-05T12:00:00Z"), at("2026-12-05T12:00:00Z"));
    has(&over, &json!({"status": "active", "trial_end": now, "trial_start": made["trial_start"]}));
    has(&over, &json!({"billing_cycle_anchor": now, "metadata": {"k": "v"}}));
    has(&over["items"]["data"][0], &json!({"current_period_start": now, "current_period_end": end}));
    let paid = house.latest_invoice(&over).await;
    has(&paid, &json!({"status": "paid", "total": 3000, "billing_reason": "subscription_update"}));
    assert_eq!(paid["lines"]["data"].as_array().unwrap().len(), 1, "nothing free is given back");
    let kinds = told(&house, before).await;
    for kind in ["customer.subscription.trial_will_end", "invoice.paid", "customer.subscription.updated"] {
        assert_eq!(kinds.iter().filter(|told| *told == kind).count(), 1, "{kind} in {kinds:?}");
    }
    let update = &house.list("/v1/events?type=customer.subscription.updated").await[0]["data"]["previous_attributes"];
    has(update, &json!({"status": "trialing", "trial_end": made["trial_end"], "metadata": {"k": null}}));
    house.advance(&clock, "2026-12-05T13:00:00Z").await;
    assert_eq!(house.latest_invoice(&house.fresh(&made).await).await["total"], 3000);
    assert_eq!(invoices(&house, &made).await, 3);
    // Now without a trial changes nothing.
    let same = change(&house, &made, &[("trial_end", "now")]).await.ok();
    assert_eq!((&same["status"], &same["trial_end"]), (&json!("active"), &json!(now)));
    assert_eq!(invoices(&house, &made).await, 3);
}

/// Ended early with a card that fails, or left to the client: past due, never incomplete.
#[tokio::test(flavor = "multi_thread")]
async fn ending_a_trial_early_without_being_paid() {
    let trial = [("trial_period_days", "14")];
    for (card, behavior) in [("pm_card_chargeCustomerFail", "allow_incomplete"), ("pm_card_visa", "default_incomplete")]
    {
        let (house, clock, made) = begin("2026-11-01T10:00:00Z", card, &trial).await;
        house.advance(&clock, "2026-11-05T12:00:00Z").await;
        let over = change(&house, &made, &[("trial_end", "now"), ("payment_behavior", behavior)]).await.ok();
        assert_eq!(
            (&over["status"], &house.latest_invoice(&over).await["status"]),
            (&json!("past_due"), &json!("open"))
        );
        house.default_card(over["customer"].as_str().unwrap(), "pm_card_visa").await;
        house.post(&format!("/v1/invoices/{}/pay", over["latest_invoice"].as_str().unwrap()), &[]).await.ok();
        assert_eq!(house.fresh(&made).await["status"], "active");
    }
}

/// Another end costs nothing; the period moves along, and its notice comes three days before it.
#[tokio::test(flavor = "multi_thread")]
async fn moving_the_end_of_a_trial() {
    let trial = [("trial_period_days", "7")];
    let (house, clock, made) = begin("2027-01-01T00:00:00Z", "pm_card_visa", &trial).await;
    house.advance(&clock, "2027-01-05T12:00:00Z").await;
    let notices = async || house.list("/v1/events?type=customer.subscription.trial_will_end").await.len();
    assert_eq!(notices().await, 1);
    let before = house.event_types(0).await.len();
    let end = at("2027-01-20T00:00:00Z");
    let moved = change(&house, &made, &[("trial_end", &end.to_string())]).await.ok();
    has(&moved, &json!({"status": "trialing", "trial_end": end, "billing_cycle_anchor": end}));
    assert_eq!(moved["items"]["data"][0]["current_period_end"], end);
    assert_eq!(told(&house, before).await, ["customer.subscription.updated"]);
    house.advance(&clock, "2027-01-17T00:00:00Z").await;
    assert_eq!(notices().await, 2, "of the new end");
    // Cut short, but not at once.
    let end = at("2027-01-18T00:00:00Z");
    let cut = change(&house, &made, &[("trial_end", &end.to_string())]).await.ok();
    assert_eq!((&cut["status"], &cut["trial_end"]), (&json!("trialing"), &json!(end)));
    assert_eq!(notices().await, 3, "at once: it is near");
    assert_eq!(invoices(&house, &made).await, 1);
    house.advance(&clock, "2027-01-18T01:00:00Z").await;
    let active = house.fresh(&made).await;
    assert_eq!((&active["status"], &active["trial_end"]), (&json!("active"), &json!(end)));
    assert_eq!(house.latest_invoice(&active).await["total"], 3000);
}

/// The example of a paid month that a trial interrupts: nothing on the old day, a full period after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_trial_for_who_has_paid() {
    for (behavior, pending) in [("none", 0), ("create_prorations", 1), ("always_invoice", 0)] {
        let (house, clock, made) = begin("2027-06-23T00:00:00Z", "pm_card_visa", &[]).await;
        house.advance(&clock, "2027-07-08T00:00:00Z").await;
        let end = at("2027-08-01T00:00:00Z");
        let form = [("trial_end", &*end.to_string()), ("proration_behavior", behavior)]
            .map(|pair| (pair.0, pair.1.to_owned()));
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, &**value)).collect();
        let trialing = change(&house, &made, &form).await.ok();
        let now = at("2027-07-08T00:00:00Z");
        has(
            &trialing,
            &json!({"status": "trialing", "trial_start": now, "trial_end": end, "billing_cycle_anchor": end}),
        );
        has(&trialing["items"]["data"][0], &json!({"current_period_start": now, "current_period_end": end}));
        let free = house.latest_invoice(&trialing).await;
        // Half of the month is left.
        let total = if behavior == "always_invoice" { -1500 } else { 0 };
        has(&free, &json!({"status": "paid", "total": total, "billing_reason": "subscription_update"}));
        let customer = made["customer"].as_str().unwrap();
        let waiting = house.list(&format!("/v1/invoiceitems?customer={customer}&pending=true")).await;
        assert_eq!(waiting.len(), pending, "{behavior}");
        house.advance(&clock, "2027-07-24T00:00:00Z").await;
        assert_eq!(invoices(&house, &made).await, 2, "nothing on the 23rd");
        house.advance(&clock, "2027-08-01T01:00:00Z").await;
        let paid = house.latest_invoice(&house.fresh(&made).await).await;
        let due = if behavior == "none" { 3000 } else { 1500 };
        has(&paid, &json!({"status": "paid", "amount_due": due, "billing_reason": "subscription_cycle"}));
        assert_eq!(paid["lines"]["data"][pending]["period"], json!({"start": end, "end": at("2027-09-01T00:00:00Z")}));
    }
}

/// `billing_cycle_anchor=unchanged` at the end of a trial: the grid stays, its first part is prorated.
#[tokio::test(flavor = "multi_thread")]
async fn an_anchor_that_a_trial_leaves_alone() {
    let (house, clock, made) = begin("2027-06-23T00:00:00Z", "pm_card_visa", &[]).await;
    let end = at("2027-08-08T00:00:00Z").to_string();
    let form = [
        ("trial_end", &*end),
        ("proration_behavior", "none"),
        ("trial_settings[end_behavior][billing_cycle_anchor]", "unchanged"),
    ];
    let trialing = change(&house, &made, &form).await.ok();
    assert_eq!(trialing["billing_cycle_anchor"], at("2027-06-23T00:00:00Z"));
    house.advance(&clock, "2027-08-08T01:00:00Z").await;
    // 15 of the 31 days from 23 July.
    assert_eq!(house.latest_invoice(&house.fresh(&made).await).await["total"], 1452);
    house.advance(&clock, "2027-08-23T01:00:00Z").await;
    assert_eq!(house.latest_invoice(&house.fresh(&made).await).await["total"], 3000);
}

/// What cannot be, and what changes later on.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_trial_refuses() {
    let anchor = at("2027-01-25T00:00:00Z").to_string();
    let trial = [("trial_period_days", "7"), ("billing_cycle_anchor", &*anchor)];
    let (house, clock, made) = begin("2027-01-01T00:00:00Z", "pm_card_visa", &trial).await;
    let (past, far) = (at("2026-12-31T00:00:00Z").to_string(), at("2029-01-02T00:00:00Z").to_string());
    for (end, code) in [(&past, json!(null)), (&far, json!(null))] {
        assert_eq!(change(&house, &made, &[("trial_end", end)]).await.error(400)["code"], code);
    }
    let after = at("2027-01-26T00:00:00Z").to_string();
    let error = change(&house, &made, &[("trial_end", &after)]).await.error(400);
    assert_eq!(error["code"], "subscription_update_trial_after_billing_cycle_anchor");
    assert_eq!(house.fresh(&made).await, made, "a refusal changes nothing");
    let settings = [("trial_settings[end_behavior][missing_payment_method]", "pause")];
    let set = change(&house, &made, &settings).await.ok();
    assert_eq!(
        set["trial_settings"]["end_behavior"],
        json!({"billing_cycle_anchor": null, "missing_payment_method": "pause"})
    );
    house.advance(&clock, "2027-01-09T00:00:00Z").await;
    let both = [("trial_end", &*after), ("billing_cycle_anchor[type]", "now")];
    let error = change(&house, &made, &both).await.error(400);
    assert_eq!(error["code"], "subscription_update_trial_after_billing_cycle_anchor");
    // While it is incomplete, and once it has ended, there is no trial to change.
    let (house, clock, made) = begin("2027-01-01T00:00:00Z", "pm_card_chargeCustomerFail", &[]).await;
    for form in [[("trial_end", &*after)], [settings[0]]] {
        change(&house, &made, &form).await.error(400);
    }
    house.advance(&clock, "2027-01-02T00:00:00Z").await;
    for form in [[("trial_end", &*after)], [settings[0]]] {
        change(&house, &made, &form).await.error(400);
    }
}
