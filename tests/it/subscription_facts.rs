//! Billing modes, second trials, mixed intervals, pauses and resumptions, and clocks that cannot go on.

use reqwest::Method;
use serde_json::{Value, json};

use crate::catalogue::has;
use crate::changes::price;
use crate::dunning::custom;
use crate::states::Story;
use crate::support::{House, at, execute, id};

const KEEP: (&str, &str) = ("bill_for[unused_time_from][type]", "none");
const ON_SUCCESS: (&str, &str) = ("payment_behavior", "resume_on_payment_success");

/// Billing modes: after a second trial `trial_start` is the first one's in classic mode, its own in flexible.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_trial_begins_where_the_billing_mode_says() {
    for mode in ["classic", "flexible"] {
        let house = House::open().await;
        let clock = house.test_clock("2027-01-01T00:00:00Z").await;
        let customer = house.customer("pm_card_visa", Some(&clock)).await;
        let price = house.monthly_price(2000).await;
        let trial = [("trial_period_days", "5"), ("billing_mode[type]", mode)];
        let made = house.subscribe_with(&customer, &price, &trial).await.ok();
        let first = at("2027-01-01T00:00:00Z");
        assert_eq!(made["trial_start"], first);
        house.advance(&clock, "2027-01-10T00:00:00Z").await;
        let (path, end) = (format!("/v1/subscriptions/{}", id(&made)), at("2027-01-20T00:00:00Z"));
        let again = house.post(&path, &[("trial_end", &end.to_string())]).await.ok();
        let start = if mode == "classic" { first } else { at("2027-01-10T00:00:00Z") };
        has(&again, &json!({"status": "trialing", "trial_start": start, "trial_end": end}));
    }
}

/// Whether discounts of prorations are itemized is kept with the billing mode.
#[tokio::test(flavor = "multi_thread")]
async fn a_flexible_billing_mode_keeps_how_discounts_are_prorated() {
    let house = House::open().await;
    let customer = house.customer("pm_card_visa", None).await;
    let price = house.monthly_price(2000).await;
    let flexible = ("billing_mode[type]", "flexible");
    let itemized = ("billing_mode[flexible][proration_discounts]", "itemized");
    for (more, kept) in [(vec![flexible], "included"), (vec![flexible, itemized], "itemized")] {
        let made = house.subscribe_with(&customer, &price, &more).await.ok();
        let mode = json!({"type": "flexible", "flexible": {"proration_discounts": kept}});
        assert_eq!(made["billing_mode"], mode);
        assert_eq!(house.fresh(&made).await["billing_mode"], mode);
    }
}

/// A subscription with an item by the month and one by the quarter.
struct Mixed {
    house: House,
    clock: String,
    customer: String,
    monthly: String,
    made: Value,
}

impl Mixed {
    async fn open() -> Mixed {
        let house = House::open().await;
        let clock = house.test_clock("2027-01-01T00:00:00Z").await;
        let customer = house.customer("pm_card_visa", Some(&clock)).await;
        let monthly = price(&house, &[("unit_amount", "1000")]).await;
        let quarterly = price(&house, &[("unit_amount", "2500"), ("recurring[interval_count]", "3")]).await;
        let more = [("items[1][price]", quarterly.as_str()), ("billing_mode[type]", "flexible")];
        let made = house.subscribe_with(&customer, &monthly, &more).await.ok();
        Mixed { house, clock, customer, monthly, made }
    }
}

/// Mixed intervals: before basil a subscription has one period, and it ends with the item that ends first.
#[tokio::test(flavor = "multi_thread")]
async fn mixed_intervals_are_one_period_to_old_clients() {
    let Mixed { house, clock, made, .. } = Mixed::open().await;
    assert!(made.get("current_period_end").is_none());
    let path = format!("/v1/subscriptions/{}", id(&made));
    for (now, end) in [
        ("2027-01-15T00:00:00Z", "2027-02-01T00:00:00Z"),
        ("2027-02-15T00:00:00Z", "2027-03-01T00:00:00Z"),
        ("2027-03-15T00:00:00Z", "2027-04-01T00:00:00Z"),
        ("2027-04-15T00:00:00Z", "2027-05-01T00:00:00Z"),
    ] {
        house.advance(&clock, now).await;
        for version in ["2025-02-24.acacia", "2020-08-27"] {
            let old = house.call(Method::GET, &path, &[], &[("stripe-version", version)]).await.ok();
            assert_eq!(old["current_period_end"], at(end), "{now}");
            assert!(old["items"]["data"][0].get("current_period_end").is_none());
        }
    }
}

/// Listing: a subscription is found by the period of any of its items.
#[tokio::test(flavor = "multi_thread")]
async fn mixed_intervals_are_found_by_each_period() {
    let Mixed { house, clock, customer, monthly, made } = Mixed::open().await;
    let mixed = id(&made);
    let single = id(&house.subscribe(&customer, &monthly).await);
    house.advance(&clock, "2027-02-15T00:00:00Z").await;
    let (january, february) = (at("2027-01-01T00:00:00Z"), at("2027-02-01T00:00:00Z"));
    let (march, april) = (at("2027-03-01T00:00:00Z"), at("2027-04-01T00:00:00Z"));
    let both = [single.clone(), mixed.clone()];
    let (only, none): (&[String], &[String]) = (&both[1..], &[]);
    for (query, found) in [
        (format!("current_period_end={march}"), &both[..]),
        (format!("current_period_end={april}"), only),
        (format!("current_period_start={february}"), &both),
        (format!("current_period_start={january}"), only),
        (format!("current_period_end[gt]={march}"), only),
        (format!("current_period_end[gte]={march}&current_period_end[lt]={april}"), &both),
        // No item has a period that ends in between.
        (format!("current_period_end[gt]={march}&current_period_end[lt]={april}"), none),
        (format!("current_period_end[gt]={april}"), none),
    ] {
        let list = house.list(&format!("/v1/subscriptions?customer={customer}&{query}")).await;
        assert_eq!(list.iter().map(id).collect::<Vec<String>>(), found, "{query}");
    }
}

/// Pausing: not while it is tried, nor where invoices are sent.
#[tokio::test(flavor = "multi_thread")]
async fn trials_and_sent_invoices_cannot_be_paused() {
    let house = House::open().await;
    let customer = house.customer("pm_card_visa", None).await;
    let price = house.monthly_price(2000).await;
    let sent = [("collection_method", "send_invoice"), ("days_until_due", "30")];
    for (more, code) in [(&[("trial_period_days", "5")][..], Some("status_transition_invalid")), (&sent, None)] {
        let made = house.subscribe_with(&customer, &price, more).await.ok();
        let mark = house.mark().await;
        let error = house.post(&format!("/v1/subscriptions/{}/pause", id(&made)), &[]).await.error(400);
        assert_eq!(error.get("code"), code.map(|code| json!(code)).as_ref(), "{error:#}");
        house.told(mark).await.are("");
        assert_eq!(house.fresh(&made).await["status"], made["status"]);
    }
}

/// Resuming on the old grid: the rest of its period counts from another time when that is said.
#[tokio::test(flavor = "multi_thread")]
async fn a_resumption_is_prorated_from_a_date() {
    let story = Story::priced(3000).await;
    story.advance("2027-01-10T00:00:00Z").await;
    story.house.post(&format!("{}/pause", story.path()), &[KEEP]).await.ok();
    story.advance("2027-02-16T00:00:00Z").await;
    let resume = |date: &str| {
        let date = at(date).to_string();
        let (house, path) = (&story.house, format!("{}/resume", story.path()));
        async move { house.post(&path, &[("billing_cycle_anchor[type]", "unchanged"), ("proration_date", &date)]).await }
    };
    for outside in ["2027-01-31T23:59:59Z", "2027-03-01T00:00:00Z"] {
        assert_eq!(resume(outside).await.error(400)["param"], "proration_date");
    }
    resume("2027-02-08T00:00:00Z").await.ok();
    // 21 of 28 days.
    let invoice = story.invoices().await.remove(1);
    has(&invoice, &json!({"status": "open", "amount_due": 2250}));
    let period = json!({"start": at("2027-02-08T00:00:00Z"), "end": at("2027-03-01T00:00:00Z")});
    assert_eq!(invoice["lines"]["data"][0]["period"], period);
}

/// `resume_on_payment_success` is for flexible subscriptions.
#[tokio::test(flavor = "multi_thread")]
async fn a_classic_subscription_is_not_resumed_on_success() {
    let house = House::open().await;
    let clock = house.test_clock("2027-01-01T00:00:00Z").await;
    let customer = id(&house.post("/v1/customers", &[("test_clock", &clock)]).await.ok());
    let price = house.monthly_price(2000).await;
    let more = [
        ("billing_mode[type]", "classic"),
        ("trial_period_days", "5"),
        ("trial_settings[end_behavior][missing_payment_method]", "pause"),
    ];
    let made = house.subscribe_with(&customer, &price, &more).await.ok();
    house.advance(&clock, "2027-01-10T00:00:00Z").await;
    assert_eq!(house.fresh(&made).await["status"], "paused");
    house.default_card(&customer, "pm_card_visa").await;
    let path = format!("/v1/subscriptions/{}/resume", id(&made));
    assert_eq!(house.post(&path, &[ON_SUCCESS]).await.error(400)["param"], "payment_behavior");
    house.post(&path, &[]).await.ok();
}

/// Resumed on success, it is tried again as the settings say, and stays paused until that works; after a year
/// its invoice is void.
#[tokio::test(flavor = "multi_thread")]
async fn a_resumption_is_tried_again_for_a_year() {
    let story = Story::begin().await;
    story.settings(&custom(&["1", "3"])).await;
    story.house.post(&format!("{}/pause", story.path()), &[KEEP]).await.ok();
    story.card("pm_card_chargeCustomerFail").await;
    story.house.post(&path_of(&story), &[ON_SUCCESS]).await.ok();
    let owed = story.invoices().await.remove(1);
    has(&owed, &json!({"status": "open", "auto_advance": true, "attempt_count": 1}));
    assert_eq!(owed["next_payment_attempt"], at("2027-01-02T00:00:00Z"));
    story.advance("2027-01-02T00:00:00Z").await;
    let owed = story.invoices().await.remove(1);
    has(&owed, &json!({"attempt_count": 2, "next_payment_attempt": at("2027-01-05T00:00:00Z")}));
    assert_eq!(story.status().await, "paused");
    story.card("pm_card_visa").await;
    story.advance("2027-01-05T00:00:00Z").await;
    has(&story.invoices().await[1], &json!({"status": "paid", "attempt_count": 3}));
    assert_eq!(story.status().await, "active");

    let story = Story::begin().await;
    story.settings(&custom(&["1"])).await;
    story.house.post(&format!("{}/pause", story.path()), &[KEEP]).await.ok();
    story.card("pm_card_chargeCustomerFail").await;
    story.house.post(&path_of(&story), &[ON_SUCCESS]).await.ok();
    story.advance("2027-12-31T23:59:59Z").await;
    assert_eq!(story.status().await, "paused");
    has(&story.invoices().await[1], &json!({"status": "open", "attempt_count": 2, "next_payment_attempt": null}));
    let told = story.until("2028-01-01T00:00:00Z").await;
    assert_eq!(told, "invoice.voided payment_intent.canceled");
    has(&story.invoices().await[1], &json!({"status": "void"}));
    // It can be asked for anew.
    story.card("pm_card_visa").await;
    story.house.post(&path_of(&story), &[ON_SUCCESS]).await.ok();
    assert_eq!(story.status().await, "active");
}

fn path_of(story: &Story) -> String {
    format!("{}/resume", story.path())
}

/// A clock that cannot go on says so, and tells.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_cannot_go_on_says_so() {
    let story = Story::begin().await;
    let item = id(&story.read().await["items"]["data"][0]);
    story.update(&[("items[0][id]", &item), ("items[0][quantity]", "9"), ("proration_behavior", "none")]).await;
    // More than there is.
    let sql = r#"update prices set body = replace(body, '"2000"', '"5000000000000000000"')"#;
    execute(&story.house.database_url, sql).await;
    let path = format!("/v1/test_helpers/test_clocks/{}", story.clock);
    let to = at("2027-02-02T00:00:00Z").to_string();
    story.house.post(&format!("{path}/advance"), &[("frozen_time", &to)]).await.ok();
    story.house.app.engine.advance_clocks().await.expect("the clocks");
    let failed = story.house.get(&path).await.ok();
    has(&failed, &json!({"status": "internal_failure", "frozen_time": at("2027-01-01T00:00:00Z")}));
    let told = story.house.list("/v1/events?type=test_helpers.test_clock.internal_failure").await;
    assert_eq!((told.len(), &told[0]["data"]["object"]["id"]), (1, &Value::from(story.clock.clone())));
    assert_eq!(story.invoices().await.len(), 1);
}
