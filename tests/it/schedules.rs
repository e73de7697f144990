//! Subscription schedules: phases that follow each other in time, and what becomes of the subscription.

use serde_json::{Value, json};

use crate::catalogue::has;
use crate::support::{Answer, House, at, id};

/// A payment that works, from the draft's finalisation to the end.
const COLLECTED: &str = "invoice.finalized payment_intent.created charge.succeeded payment_intent.succeeded invoice.updated \
                         invoice.paid invoice.payment_succeeded invoice_payment.paid";

/// A customer on a test clock at 1 November 2026, with prices of 10 and 20 dollars a month.
pub struct Plan {
    pub house: House,
    pub clock: String,
    pub customer: String,
    pub ten: String,
    pub twenty: String,
}

impl Plan {
    pub async fn begin() -> Plan {
        let house = House::open().await;
        let (ten, twenty) = (house.monthly_price(1000).await, house.monthly_price(2000).await);
        let clock = house.test_clock("2026-11-01T00:00:00Z").await;
        let customer = house.customer("pm_card_visa", Some(&clock)).await;
        Plan { house, clock, customer, ten, twenty }
    }

    /// Two months at 10 dollars, then one at 20, from now on unless it is said otherwise.
    pub async fn schedule(&self, more: &[(&str, &str)]) -> Value {
        let form = [
            ("customer", self.customer.as_str()),
            ("start_date", "now"),
            ("phases[0][items][0][price]", &self.ten),
            ("phases[0][duration][interval]", "month"),
            ("phases[0][duration][interval_count]", "2"),
            ("phases[1][items][0][price]", &self.twenty),
            ("phases[1][duration][interval]", "month"),
        ];
        let kept = form.into_iter().filter(|(name, _)| !more.iter().any(|(other, _)| other == name));
        let form: Vec<(&str, &str)> = kept.chain(more.iter().copied()).collect();
        self.house.post("/v1/subscription_schedules", &form).await.ok()
    }

    pub async fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.house.post(&format!("/v1/subscription_schedules{path}"), form).await
    }

    pub async fn read(&self, schedule: &Value) -> Value {
        self.house.get(&format!("/v1/subscription_schedules/{}", id(schedule))).await.ok()
    }

    pub async fn subscription(&self, schedule: &Value) -> Value {
        let subscription = schedule["subscription"].as_str().expect("a subscription");
        self.house.get(&format!("/v1/subscriptions/{subscription}")).await.ok()
    }

    /// The invoices of its subscription, oldest first: total, reason, status.
    pub async fn invoices(&self, schedule: &Value) -> Vec<(i64, String, String)> {
        let subscription = schedule["subscription"].as_str().expect("a subscription");
        let mut invoices = self.house.list(&format!("/v1/invoices?subscription={subscription}")).await;
        invoices.reverse();
        let word = |invoice: &Value, key: &str| invoice[key].as_str().expect("a word").to_owned();
        let of = |invoice: &Value| {
            (invoice["total"].as_i64().expect("a total"), word(invoice, "billing_reason"), word(invoice, "status"))
        };
        invoices.iter().map(of).collect()
    }

    pub async fn advance(&self, time: &str) {
        self.house.advance(&self.clock, time).await;
    }

    /// What is told until then.
    pub async fn until(&self, time: &str) -> crate::told::Told {
        let mark = self.house.mark().await;
        self.advance(time).await;
        self.house.told(mark).await
    }
}

type Case = (&'static [(&'static str, &'static str)], usize, &'static [i64]);

fn paid(total: i64, reason: &str) -> (i64, String, String) {
    (total, reason.to_owned(), "paid".to_owned())
}

/// 20.14, and the example of the rules: two months at 10 dollars, one at 20, then the subscription goes on
/// by itself.
#[tokio::test(flavor = "multi_thread")]
async fn phases_follow_each_other_and_the_end_releases() {
    let plan = Plan::begin().await;
    let mark = plan.house.mark().await;
    let schedule = plan.schedule(&[]).await;
    let told = plan.house.told(mark).await;
    told.are("subscription_schedule.created customer.subscription.created invoice.created customer.updated");
    let phases = [("2026-11-01", "2027-01-01", &plan.ten), ("2027-01-01", "2027-02-01", &plan.twenty)];
    for (phase, (start, end, price)) in schedule["phases"].as_array().unwrap().iter().zip(phases) {
        let time = |day: &str| at(&format!("{day}T00:00:00Z"));
        has(phase, &json!({"start_date": time(start), "end_date": time(end), "currency": "usd", "trial_end": null}));
        has(&phase["items"][0], &json!({"price": price, "plan": price, "quantity": 1}));
    }
    has(
        &schedule,
        &json!({
            "status": "active", "end_behavior": "release", "customer": plan.customer, "test_clock": plan.clock,
            "current_phase": {"start_date": at("2026-11-01T00:00:00Z"), "end_date": at("2027-01-01T00:00:00Z")},
            "completed_at": null, "released_subscription": null, "pause_schedules": [],
        }),
    );
    assert_eq!(told.object("subscription_schedule.created"), &schedule);
    let subscription = plan.subscription(&schedule).await;
    has(&subscription, &json!({"status": "active", "schedule": id(&schedule), "cancel_at": null}));
    // Its first invoice can be looked at for an hour.
    let draft =
        plan.house.get(&format!("/v1/invoices/{}", subscription["latest_invoice"].as_str().unwrap())).await.ok();
    has(
        &draft,
        &json!({
            "status": "draft", "total": 1000, "billing_reason": "subscription_create", "auto_advance": true,
            "automatically_finalizes_at": at("2026-11-01T01:00:00Z"),
        }),
    );
    plan.until("2026-11-01T01:00:00Z").await.hold(COLLECTED);
    plan.advance("2026-12-20T00:00:00Z").await;
    let told = plan.until("2027-01-01T00:00:00Z").await;
    told.are("subscription_schedule.updated invoice.created customer.subscription.updated");
    assert_eq!(
        told.previous("subscription_schedule.updated"),
        &json!({"current_phase": {"start_date": at("2026-11-01T00:00:00Z"), "end_date": at("2027-01-01T00:00:00Z")}})
    );
    let previous = told.previous("customer.subscription.updated").as_object().expect("what was");
    assert_eq!(previous.keys().collect::<Vec<_>>(), ["items", "latest_invoice"]);
    assert_eq!(previous["items"]["data"][0]["price"]["id"], plan.ten);
    assert_eq!(told.object("invoice.created")["lines"]["data"].as_array().unwrap().len(), 1);
    plan.advance("2027-01-24T23:59:59Z").await;
    plan.until("2027-01-25T00:00:00Z").await.are("subscription_schedule.expiring");
    plan.until("2027-01-31T23:59:59Z").await.are("");
    let told = plan.until("2027-02-01T00:00:00Z").await;
    told.are("subscription_schedule.completed invoice.created customer.subscription.updated");
    let previous = told.previous("customer.subscription.updated").as_object().expect("what was");
    assert_eq!(previous.keys().collect::<Vec<_>>(), ["items", "latest_invoice", "schedule"]);
    has(
        &plan.read(&schedule).await,
        &json!({"status": "completed", "completed_at": at("2027-02-01T00:00:00Z"), "current_phase": null}),
    );
    has(&plan.subscription(&schedule).await, &json!({"status": "active", "schedule": null}));
    plan.advance("2027-03-01T02:00:00Z").await;
    let cycle = "subscription_cycle";
    let expected =
        [paid(1000, "subscription_create"), paid(1000, cycle), paid(2000, cycle), paid(2000, cycle), paid(2000, cycle)];
    assert_eq!(plan.invoices(&schedule).await, expected);
}

/// A year in one leap is the same as month by month.
#[tokio::test(flavor = "multi_thread")]
async fn one_leap_is_the_same_as_many() {
    let plan = Plan::begin().await;
    let schedule = plan.schedule(&[("phases[1][duration][interval_count]", "3")]).await;
    plan.advance("2026-12-31T00:00:00Z").await;
    plan.advance("2027-02-28T00:00:00Z").await;
    let totals: Vec<i64> = plan.invoices(&schedule).await.iter().map(|(total, ..)| *total).collect();
    assert_eq!(totals, [1000, 1000, 2000, 2000]);
    has(&plan.read(&schedule).await, &json!({"status": "active"}));
}

/// The end of the month: phases meet the boundaries of the cycle, which do not decay.
#[tokio::test(flavor = "multi_thread")]
async fn phases_meet_the_boundaries_of_the_cycle() {
    let plan = Plan::begin().await;
    let start = at("2027-01-31T00:00:00Z").to_string();
    let schedule = plan.schedule(&[("start_date", &start), ("phases[0][duration][interval_count]", "1")]).await;
    let days = |schedule: &Value| -> Vec<i64> {
        schedule["phases"].as_array().unwrap().iter().map(|phase| phase["end_date"].as_i64().unwrap()).collect()
    };
    assert_eq!(days(&schedule), [at("2027-02-28T00:00:00Z"), at("2027-03-31T00:00:00Z")]);
}

/// `end_behavior=cancel`: the end is on the subscription during the last phase, and then it ends.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_cancels() {
    let plan = Plan::begin().await;
    let schedule = plan.schedule(&[("end_behavior", "cancel")]).await;
    has(&plan.subscription(&schedule).await, &json!({"cancel_at": null}));
    plan.advance("2027-01-01T02:00:00Z").await;
    let ends = at("2027-02-01T00:00:00Z");
    has(&plan.subscription(&schedule).await, &json!({"cancel_at": ends, "cancel_at_period_end": false}));
    plan.advance("2027-01-31T00:00:00Z").await;
    let told = plan.until("2027-02-01T00:00:00Z").await;
    told.are("subscription_schedule.completed customer.subscription.deleted");
    has(&plan.read(&schedule).await, &json!({"status": "completed", "completed_at": ends, "canceled_at": null}));
    has(&plan.subscription(&schedule).await, &json!({"status": "canceled", "ended_at": ends}));
    assert_eq!(plan.invoices(&schedule).await.len(), 3);
}

/// Starting later: there is no subscription until then; it begins with the same rules, with a card or as one
/// that is sent its invoices.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_in_the_future() {
    let plan = Plan::begin().await;
    let start = at("2026-11-15T12:00:00Z").to_string();
    let mark = plan.house.mark().await;
    let more = [
        ("start_date", start.as_str()),
        ("metadata[order]", "6735"),
        ("phases[0][metadata][tier]", "intro"),
        ("phases[1][metadata][tier]", ""),
        ("phases[1][metadata][level]", "full"),
        ("phases[0][items][0][metadata][seat]", "a"),
        ("phases[0][items][0][quantity]", "3"),
        ("default_settings[description]", "Two for one"),
    ];
    let schedule = plan.schedule(&more).await;
    plan.house.told(mark).await.are("subscription_schedule.created");
    has(&schedule, &json!({"status": "not_started", "subscription": null, "current_phase": null}));
    assert_eq!(plan.house.list(&format!("/v1/subscriptions?customer={}", plan.customer)).await.len(), 0);
    let told = plan.until("2026-11-15T12:00:00Z").await;
    told.are("customer.subscription.created invoice.created customer.updated subscription_schedule.updated");
    has(told.previous("subscription_schedule.updated"), &json!({"status": "not_started", "subscription": null}));
    let schedule = plan.read(&schedule).await;
    has(&schedule, &json!({"status": "active", "metadata": {"order": "6735"}}));
    let begun = plan.subscription(&schedule).await;
    has(
        &begun,
        &json!({
            "status": "active", "start_date": at("2026-11-15T12:00:00Z"), "metadata": {"tier": "intro"},
            "description": "Two for one",
        }),
    );
    has(&begun["items"]["data"][0], &json!({"quantity": 3, "metadata": {"seat": "a"}}));
    plan.advance("2027-01-10T00:00:00Z").await;
    plan.advance("2027-01-15T13:00:00Z").await;
    let turned = plan.subscription(&schedule).await;
    has(&turned, &json!({"metadata": {"level": "full"}}));
    has(
        &turned["items"]["data"][0],
        &json!({"quantity": 1, "metadata": {"seat": "a"}, "id": begun["items"]["data"][0]["id"]}),
    );

    // Who is sent invoices has days to pay them.
    let later = at("2027-01-20T00:00:00Z").to_string();
    let more = [
        ("start_date", later.as_str()),
        ("default_settings[collection_method]", "send_invoice"),
        ("default_settings[invoice_settings][days_until_due]", "30"),
        ("phases[1][collection_method]", "charge_automatically"),
    ];
    let sent = plan.schedule(&more).await;
    plan.advance("2027-01-20T00:00:00Z").await;
    let sent = plan.read(&sent).await;
    has(&plan.subscription(&sent).await, &json!({"collection_method": "send_invoice", "days_until_due": 30}));
    plan.advance("2027-03-10T00:00:00Z").await;
    plan.advance("2027-03-20T02:00:00Z").await;
    has(&plan.subscription(&sent).await, &json!({"collection_method": "charge_automatically", "days_until_due": null}));
    assert_eq!(plan.invoices(&sent).await.last(), Some(&paid(2000, "subscription_cycle")));
}

/// A start in the past: what has elapsed is billed, unless it is free.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_in_the_past() {
    let plan = Plan::begin().await;
    let start = at("2026-10-01T00:00:00Z").to_string();
    for (prorations, total) in [("create_prorations", 2000), ("none", 1000)] {
        let more = [
            ("start_date", start.as_str()),
            ("phases[0][duration][interval_count]", "3"),
            ("phases[0][proration_behavior]", prorations),
        ];
        let schedule = plan.schedule(&more).await;
        let subscription = plan.subscription(&schedule).await;
        has(&subscription, &json!({"status": "active", "start_date": at("2026-10-01T00:00:00Z")}));
        assert_eq!(plan.invoices(&schedule).await[0].0, total, "{prorations}");
        has(&schedule["current_phase"], &json!({"end_date": at("2027-01-01T00:00:00Z")}));
    }
}

/// Phases that begin inside a period: prorated as they say, or not; with one invoice at once, with the next,
/// or anchored where they begin.
#[tokio::test(flavor = "multi_thread")]
async fn a_phase_that_begins_inside_a_period() {
    let plan = Plan::begin().await;
    let middle = at("2026-11-16T00:00:00Z").to_string();
    // What the second phase says, how many prorations there are, and what is billed.
    let cases: [Case; 4] = [
        (&[], 2, &[1000, 2500]),
        (&[("phases[1][proration_behavior]", "none")], 0, &[1000, 2000]),
        (&[("phases[1][proration_behavior]", "always_invoice")], 2, &[1000, 500, 2000]),
        (&[("phases[1][billing_cycle_anchor]", "phase_start")], 1, &[1000, 1500]),
    ];
    let mut schedules = Vec::new();
    for (more, ..) in cases {
        let more =
            [&[("phases[0][end_date]", middle.as_str()), ("phases[1][duration][interval_count]", "3")], more].concat();
        let form: Vec<(&str, &str)> = [
            ("customer", plan.customer.as_str()),
            ("phases[0][items][0][price]", &plan.ten),
            ("phases[1][items][0][price]", &plan.twenty),
            ("phases[1][duration][interval]", "month"),
        ]
        .into_iter()
        .chain(more)
        .collect();
        schedules.push(plan.post("", &form).await.ok());
    }
    let told = plan.until("2026-11-16T00:00:00Z").await;
    let made = told.types().iter().filter(|kind| **kind == "invoiceitem.created").count();
    assert_eq!(made, cases.iter().map(|case| case.1).sum::<usize>());
    for schedule in &schedules {
        assert_eq!(plan.subscription(schedule).await["items"]["data"][0]["price"]["id"], plan.twenty);
    }
    plan.advance("2026-12-01T02:00:00Z").await;
    for (schedule, (more, _, totals)) in schedules.iter().zip(cases) {
        let invoices = plan.invoices(schedule).await;
        assert_eq!(invoices.iter().map(|(total, ..)| *total).collect::<Vec<_>>(), totals, "{more:?}");
        assert!(invoices.iter().all(|(.., status)| status == "paid"), "{more:?}");
    }
    let anchored = plan.subscription(&schedules[3]).await;
    assert_eq!(anchored["billing_cycle_anchor"], at("2026-11-16T00:00:00Z"));
}

/// An interval that changes with a phase: in classic mode the cycle begins anew, with one invoice.
#[tokio::test(flavor = "multi_thread")]
async fn another_interval() {
    let plan = Plan::begin().await;
    let product = id(&plan.house.post("/v1/products", &[("name", "Year")]).await.ok());
    let form =
        [("product", product.as_str()), ("currency", "usd"), ("unit_amount", "10000"), ("recurring[interval]", "year")];
    let yearly = id(&plan.house.post("/v1/prices", &form).await.ok());
    for (mode, first) in [("classic", 10_000), ("flexible", 8384)] {
        let more = [
            ("billing_mode[type]", mode),
            ("phases[1][items][0][price]", yearly.as_str()),
            ("phases[1][duration][interval]", "year"),
        ];
        let schedule = plan.schedule(&more).await;
        if mode == "classic" {
            plan.advance("2026-12-20T00:00:00Z").await;
            plan.advance("2027-01-01T02:00:00Z").await;
            let read = plan.subscription(&schedule).await;
            assert_eq!(read["billing_cycle_anchor"], at("2027-01-01T00:00:00Z"));
            assert_eq!(read["items"]["data"][0]["current_period_end"], at("2028-01-01T00:00:00Z"));
        } else {
            // The anchor stays, and what is left of the year is billed: from 1 March to 1 January.
            plan.advance("2027-02-20T00:00:00Z").await;
            plan.advance("2027-03-01T02:00:00Z").await;
            let read = plan.subscription(&schedule).await;
            assert_eq!(read["billing_cycle_anchor"], at("2027-01-01T02:00:00Z"));
        }
        let invoices = plan.invoices(&schedule).await;
        assert_eq!(invoices.len(), 3, "{invoices:?}");
        if mode == "classic" {
            assert_eq!(invoices[2].0, first);
        }
    }
}

/// Trials: a phase that is one, with the next that is not; and one that says it again.
#[tokio::test(flavor = "multi_thread")]
async fn trials_are_stated_in_each_phase() {
    let plan = Plan::begin().await;
    let trial = [
        ("phases[0][trial]", "true"),
        ("phases[0][duration][interval]", "week"),
        ("phases[0][duration][interval_count]", "2"),
    ];
    let one = plan.schedule(&trial).await;
    has(&one["phases"][0], &json!({"trial": true, "trial_end": at("2026-11-15T00:00:00Z")}));
    let two = plan
        .schedule(&[&trial[..], &[("phases[1][trial_end]", &at("2026-11-20T00:00:00Z").to_string())]].concat())
        .await;
    for schedule in [&one, &two] {
        has(
            &plan.subscription(schedule).await,
            &json!({"status": "trialing", "trial_end": at("2026-11-15T00:00:00Z")}),
        );
    }
    plan.advance("2026-11-15T02:00:00Z").await;
    has(&plan.subscription(&one).await, &json!({"status": "active"}));
    assert_eq!(plan.invoices(&one).await, [paid(0, "subscription_create"), paid(2000, "subscription_cycle")]);
    has(&plan.subscription(&two).await, &json!({"status": "trialing", "trial_end": at("2026-11-20T00:00:00Z")}));
    assert_eq!(plan.subscription(&two).await["items"]["data"][0]["price"]["id"], plan.twenty);
    plan.advance("2026-11-20T02:00:00Z").await;
    has(&plan.subscription(&two).await, &json!({"status": "active"}));
    assert_eq!(plan.invoices(&two).await, [paid(0, "subscription_create"), paid(2000, "subscription_cycle")]);
}

/// `add_invoice_items` come with the invoice of their phase.
#[tokio::test(flavor = "multi_thread")]
async fn one_off_items_come_with_their_phase() {
    let plan = Plan::begin().await;
    let product = id(&plan.house.post("/v1/products", &[("name", "Setup")]).await.ok());
    let form = [("product", product.as_str()), ("currency", "usd"), ("unit_amount", "500")];
    let setup = id(&plan.house.post("/v1/prices", &form).await.ok());
    let more = [
        ("phases[0][add_invoice_items][0][price]", setup.as_str()),
        ("phases[1][add_invoice_items][0][price_data][currency]", "usd"),
        ("phases[1][add_invoice_items][0][price_data][product]", &product),
        ("phases[1][add_invoice_items][0][price_data][unit_amount]", "70"),
        ("phases[1][add_invoice_items][0][quantity]", "2"),
        ("phases[1][add_invoice_items][0][period][start][type]", "phase_start"),
        ("phases[1][add_invoice_items][0][period][end][type]", "min_item_period_end"),
    ];
    let schedule = plan.schedule(&more).await;
    plan.advance("2026-12-20T00:00:00Z").await;
    plan.advance("2027-01-01T02:00:00Z").await;
    let totals: Vec<i64> = plan.invoices(&schedule).await.iter().map(|(total, ..)| *total).collect();
    assert_eq!(totals, [1500, 1000, 2140]);
    let latest = plan.subscription(&schedule).await["latest_invoice"].as_str().unwrap().to_owned();
    let invoice = plan.house.get(&format!("/v1/invoices/{latest}")).await.ok();
    let lines = invoice["lines"]["data"].as_array().unwrap();
    for line in lines {
        assert_eq!(line["period"], json!({"start": at("2027-01-01T00:00:00Z"), "end": at("2027-02-01T00:00:00Z")}));
    }
}

/// At wall time: phases turn where they were laid, however late somebody comes to it.
#[tokio::test(flavor = "multi_thread")]
async fn late_is_no_different() {
    let house = House::open().await;
    let (ten, twenty) = (house.monthly_price(1000).await, house.monthly_price(2000).await);
    let customer = house.customer("pm_card_visa", None).await;
    let start = at("2027-01-10T00:00:00Z").to_string();
    let form = [
        ("customer", customer.as_str()),
        ("start_date", &start),
        ("phases[0][items][0][price]", &ten),
        ("phases[0][duration][interval]", "month"),
        ("phases[1][items][0][price]", &twenty),
        ("phases[1][duration][interval]", "month"),
    ];
    let schedule = house.post("/v1/subscription_schedules", &form).await.ok();
    house.advance_wall("2027-01-10T00:00:09Z").await;
    house.advance_wall("2027-01-10T02:00:00Z").await;
    house.advance_wall("2027-02-10T00:00:07Z").await;
    house.advance_wall("2027-02-10T02:00:00Z").await;
    // Nobody was there for three days, and somebody asks before the ticker comes.
    house.clock.set(dunlin::billing::Timestamp::new(at("2027-03-13T00:00:00Z")));
    let path = format!("/v1/subscription_schedules/{}", id(&schedule));
    house.post(&path, &[("metadata[a]", "b")]).await.error(400);
    house.advance_wall("2027-03-13T00:00:00Z").await;
    let schedule = house.get(&path).await.ok();
    has(&schedule, &json!({"status": "completed", "completed_at": at("2027-03-10T00:00:00Z")}));
    let subscription = schedule["subscription"].as_str().unwrap();
    let read = house.get(&format!("/v1/subscriptions/{subscription}")).await.ok();
    has(&read, &json!({"start_date": at("2027-01-10T00:00:00Z"), "schedule": null}));
    let invoices = house.list(&format!("/v1/invoices?subscription={subscription}")).await;
    assert_eq!(invoices.iter().map(|invoice| &invoice["total"]).collect::<Vec<_>>(), [2000, 2000, 1000]);
    assert!(house.list("/v1/invoiceitems").await.is_empty(), "nothing was to be prorated");
}
