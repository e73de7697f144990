//! When periods begin and end, and what their parts cost, from the published rules and examples.

use serde_json::{Value, json};

use crate::catalogue::has;
use crate::support::{House, at, id};

async fn price(house: &House, cents: &str, interval: &str, count: &str) -> String {
    let product = id(&house.post("/v1/products", &[("name", "Basic")]).await.ok());
    let form = [
        ("product", &*product),
        ("currency", "usd"),
        ("unit_amount", cents),
        ("recurring[interval]", interval),
        ("recurring[interval_count]", count),
    ];
    id(&house.post("/v1/prices", &form).await.ok())
}

fn day(time: &Value) -> String {
    chrono::DateTime::from_timestamp(time.as_i64().unwrap(), 0).unwrap().format("%F").to_string()
}

/// `start..end amount` of each line, oldest first.
fn lines(invoice: &Value) -> Vec<String> {
    let mut lines: Vec<&Value> = invoice["lines"]["data"].as_array().unwrap().iter().collect();
    lines.sort_by_key(|line| line["period"]["start"].as_i64());
    let said = |line: &&Value| {
        let period = &line["period"];
        format!("{}..{} {}", day(&period["start"]), day(&period["end"]), line["amount"])
    };
    lines.iter().map(said).collect()
}

/// A customer on a clock.
async fn on_clock(house: &House, time: &str) -> (String, String) {
    let clock = house.test_clock(time).await;
    let customer = house.customer("pm_card_visa", Some(&clock)).await;
    (clock, customer)
}

/// The stub example: 1338 now, 3000 on the anchor; and the same with a day of the month.
#[tokio::test(flavor = "multi_thread")]
async fn a_later_anchor_is_prorated_to() {
    let house = House::open().await;
    let monthly = house.monthly_price(3000).await;
    let (clock, customer) = on_clock(&house, "2026-11-17T15:00:00Z").await;
    let anchor = at("2026-12-01T00:00:00Z");
    let made = house.subscribe_with(&customer, &monthly, &[("billing_cycle_anchor", &anchor.to_string())]).await.ok();
    has(&made, &json!({"status": "active", "billing_cycle_anchor": anchor, "billing_cycle_anchor_config": null}));
    assert_eq!(made["items"]["data"][0]["current_period_end"], anchor);
    let first = house.latest_invoice(&made).await;
    has(&first, &json!({"total": 1338, "status": "paid"}));
    let line = &first["lines"]["data"][0];
    assert_eq!(line["description"], "Time on Basic from 17 Nov 2026 until 01 Dec 2026");
    assert_eq!(line["parent"]["subscription_item_details"]["proration"], true);
    house.advance(&clock, "2026-12-01T01:00:00Z").await;
    has(&house.latest_invoice(&house.fresh(&made).await).await, &json!({"total": 3000, "status": "paid"}));
    // The last day of every month, at the time of day of the creation.
    let (clock, customer) = on_clock(&house, "2026-11-17T15:00:00Z").await;
    let made =
        house.subscribe_with(&customer, &monthly, &[("billing_cycle_anchor_config[day_of_month]", "31")]).await.ok();
    let config = json!({"day_of_month": 31, "hour": null, "minute": null, "month": null, "second": null});
    has(&made, &json!({"billing_cycle_anchor": at("2026-11-30T15:00:00Z"), "billing_cycle_anchor_config": config}));
    assert_eq!(house.latest_invoice(&made).await["total"], 1300);
    for end in ["2026-12-31", "2027-01-31", "2027-02-28", "2027-03-31"] {
        house
            .advance(
                &clock,
                &format!("{}T15:00:00Z", day(&house.fresh(&made).await["items"]["data"][0]["current_period_end"])),
            )
            .await;
        assert_eq!(house.fresh(&made).await["items"]["data"][0]["current_period_end"], at(&format!("{end}T15:00:00Z")));
    }
}

/// Without prorations the first part is free, and there is no invoice until the first full period.
#[tokio::test(flavor = "multi_thread")]
async fn a_free_stub_has_no_invoice() {
    let house = House::open().await;
    let monthly = house.monthly_price(3000).await;
    let (clock, customer) = on_clock(&house, "2026-11-17T15:00:00Z").await;
    let anchor = at("2026-12-01T00:00:00Z").to_string();
    let before = house.event_types(0).await.len();
    let more = [("billing_cycle_anchor", &*anchor), ("proration_behavior", "none")];
    let made = house.subscribe_with(&customer, &monthly, &more).await.ok();
    has(&made, &json!({"status": "active", "latest_invoice": null}));
    assert_eq!(house.event_types(before).await[0], "customer.subscription.created");
    assert!(house.list(&format!("/v1/invoices?customer={customer}")).await.is_empty());
    house.advance(&clock, "2026-12-01T01:00:00Z").await;
    let active = house.fresh(&made).await;
    has(
        &house.latest_invoice(&active).await,
        &json!({"total": 3000, "status": "paid", "billing_reason": "subscription_cycle"}),
    );
}

/// A start in the past is billed from then on: a line for each elapsed period, or one for all.
#[tokio::test(flavor = "multi_thread")]
async fn a_backdated_start() {
    let house = House::open().await;
    let monthly = house.monthly_price(3000).await;
    let start = at("2026-11-10T00:00:00Z").to_string();
    for (mode, behavior, expected) in [
        (
            "flexible",
            "create_prorations",
            &["2026-11-10..2026-12-10 3000", "2026-12-10..2027-01-10 3000", "2027-01-10..2027-02-10 3000"][..],
        ),
        ("classic", "create_prorations", &["2026-11-10..2027-01-10 6000", "2027-01-10..2027-02-10 3000"]),
        ("flexible", "none", &[]),
        ("classic", "none", &[]),
    ] {
        let (clock, customer) = on_clock(&house, "2027-01-15T00:00:00Z").await;
        let more = [("backdate_start_date", &*start), ("billing_mode[type]", mode), ("proration_behavior", behavior)];
        let made = house.subscribe_with(&customer, &monthly, &more).await.ok();
        let created = at("2027-01-15T00:00:00Z");
        has(&made, &json!({"status": "active", "created": created, "start_date": at("2026-11-10T00:00:00Z")}));
        assert_eq!(made["billing_cycle_anchor"], made["start_date"]);
        assert_eq!(day(&made["items"]["data"][0]["current_period_end"]), "2027-02-10");
        if expected.is_empty() {
            assert_eq!(made["latest_invoice"], json!(null));
        } else {
            assert_eq!(lines(&house.latest_invoice(&made).await), expected, "{mode}");
        }
        house.advance(&clock, "2027-02-10T01:00:00Z").await;
        assert_eq!(lines(&house.latest_invoice(&house.fresh(&made).await).await), ["2027-02-10..2027-03-10 3000"]);
    }
    // So many lines that no invoice holds them.
    let (_, customer) = on_clock(&house, "2027-01-15T00:00:00Z").await;
    let daily = price(&house, "100", "day", "1").await;
    let long_ago = at("2026-01-01T00:00:00Z").to_string();
    assert_eq!(
        house.subscribe_with(&customer, &daily, &[("backdate_start_date", &long_ago)]).await.error(400)["param"],
        "backdate_start_date"
    );
}

/// An end that is set at the beginning: the worked example of a year that is cut in half, words for
/// times, and a later period that is cut when it comes.
#[tokio::test(flavor = "multi_thread")]
async fn an_end_from_the_beginning() {
    let house = House::open().await;
    let yearly = price(&house, "12000", "year", "1").await;
    let (clock, customer) = on_clock(&house, "2027-01-01T00:00:00Z").await;
    let end = at("2027-07-01T00:00:00Z");
    let made = house.subscribe_with(&customer, &yearly, &[("cancel_at", &end.to_string())]).await.ok();
    has(&made, &json!({"cancel_at": end, "cancel_at_period_end": false, "canceled_at": made["created"]}));
    assert_eq!(made["cancellation_details"]["reason"], "cancellation_requested");
    assert_eq!(made["items"]["data"][0]["current_period_end"], end);
    assert_eq!(house.latest_invoice(&made).await["total"], 5951);
    house.advance(&clock, "2027-07-01T00:00:00Z").await;
    has(&house.fresh(&made).await, &json!({"status": "canceled", "ended_at": end}));
    assert_eq!(house.list(&format!("/v1/invoices?customer={customer}")).await.len(), 1);
    // In a later period: it is cut short, and prorated, when it begins.
    let monthly = house.monthly_price(3000).await;
    let (clock, customer) = on_clock(&house, "2026-10-01T00:00:00Z").await;
    let end = at("2026-11-16T00:00:00Z").to_string();
    let made =
        house.subscribe_with(&customer, &monthly, &[("cancel_at", &*end), ("proration_behavior", "none")]).await.ok();
    assert_eq!(house.latest_invoice(&made).await["total"], 3000);
    house.advance(&clock, "2026-11-01T01:00:00Z").await;
    let active = house.fresh(&made).await;
    assert_eq!(active["items"]["data"][0]["current_period_end"].to_string(), end);
    assert_eq!(house.latest_invoice(&active).await["total"], 1500);
    house.advance(&clock, "2027-01-01T00:00:00Z").await;
    has(&house.fresh(&made).await, &json!({"status": "canceled"}));
    assert_eq!(house.list(&format!("/v1/invoices?customer={customer}")).await.len(), 2);
    // Words stand for times.
    for (word, end) in
        [("min_period_end", "2027-02-01"), ("max_period_end", "2028-01-01"), ("max_billed_until", "2028-01-01")]
    {
        let (_, customer) = on_clock(&house, "2027-01-01T00:00:00Z").await;
        let made =
            house.subscribe_with(&customer, &monthly, &[("items[1][price]", &yearly), ("cancel_at", word)]).await.ok();
        assert_eq!(day(&made["cancel_at"]), end, "{word}");
        assert_eq!(house.latest_invoice(&made).await["total"], 15_000, "{word}");
    }
    let (_, customer) = on_clock(&house, "2027-01-01T00:00:00Z").await;
    for more in [
        &[("cancel_at", "1")][..],
        &[("cancel_at", "someday")],
        &[("cancel_at", "999999999999999")],
        &[("cancel_at", "min_period_end"), ("cancel_at_period_end", "true")],
    ] {
        assert_eq!(house.subscribe_with(&customer, &monthly, more).await.error(400)["param"], "cancel_at", "{more:?}");
    }
}

/// The example of mixed intervals: items whose boundaries meet are on one invoice, others are not.
#[tokio::test(flavor = "multi_thread")]
async fn mixed_intervals() {
    let house = House::open().await;
    let (a, b, c) = (
        price(&house, "1000", "month", "1").await,
        price(&house, "2000", "month", "2").await,
        price(&house, "3000", "month", "3").await,
    );
    let (clock, customer) = on_clock(&house, "2027-01-01T00:00:00Z").await;
    let more = [("items[1][price]", &*c), ("items[2][quantity]", "2")];
    assert_eq!(
        house.subscribe_with(&customer, &a, &[("items[1][price]", &*b), ("items[2][price]", &c), more[1]]).await.ok()["status"],
        "active"
    );
    let made = &house.list(&format!("/v1/subscriptions?customer={customer}")).await[0];
    assert_eq!(house.latest_invoice(made).await["total"], 9000);
    for (month, total) in [("02", 1000), ("03", 3000), ("04", 7000), ("05", 3000), ("06", 1000), ("07", 9000)] {
        house.advance(&clock, &format!("2027-{month}-01T01:00:00Z")).await;
        let invoice = house.latest_invoice(&house.fresh(made).await).await;
        has(&invoice, &json!({"total": total, "status": "paid"}));
        assert_eq!(invoice["period_end"], at(&format!("2027-{month}-01T00:00:00Z")));
    }
    assert_eq!(house.list(&format!("/v1/invoices?customer={customer}")).await.len(), 7);
    // At the period's end means the end of the item that ends first.
    let ending = house.post(&format!("/v1/subscriptions/{}", id(made)), &[("cancel_at_period_end", "true")]).await.ok();
    assert_eq!(day(&ending["cancel_at"]), "2027-08-01");
    // Only flexible subscriptions may mix, and only multiples of the shortest.
    for (one, other, mode) in [(&b, &c, "flexible"), (&a, &b, "classic")] {
        let more = [("items[1][price]", &**other), ("billing_mode[type]", mode)];
        assert_eq!(house.subscribe_with(&customer, one, &more).await.error(400)["param"], "items", "{mode}");
    }
}

/// Boundaries of every interval, counted from the anchor: month ends, leap years, weekdays.
#[tokio::test(flavor = "multi_thread")]
async fn boundaries_through_the_cycle() {
    let house = House::open().await;
    for (start, interval, count, ends) in [
        ("2027-01-31T09:00:05Z", "month", "1", &["2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"][..]),
        ("2027-11-30T00:00:00Z", "month", "3", &["2028-02-29", "2028-05-30", "2028-08-30", "2028-11-30"]),
        ("2028-02-29T00:00:00Z", "year", "1", &["2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29"]),
        ("2026-11-02T08:00:00Z", "week", "2", &["2026-11-16", "2026-11-30", "2026-12-14"]),
        // Clocks are turned on 28 March and 31 October in much of Europe: nothing moves here.
        ("2027-03-27T01:30:00Z", "day", "1", &["2027-03-28", "2027-03-29", "2027-03-30"]),
        ("2027-10-30T02:30:00Z", "day", "1", &["2027-10-31", "2027-11-01"]),
    ] {
        let (clock, customer) = on_clock(&house, start).await;
        let made = house.subscribe_with(&customer, &price(&house, "1000", interval, count).await, &[]).await.ok();
        let time = start.split_once('T').unwrap().1;
        for (place, end) in ends.iter().enumerate() {
            let item = house.fresh(&made).await["items"]["data"][0].clone();
            assert_eq!(item["current_period_end"], at(&format!("{end}T{time}")), "{start} {interval} {place}");
            house.advance(&clock, &format!("{end}T{time}")).await;
        }
    }
}

/// One advance by a year is twelve advances by a month: the same invoices, lines, amounts, events, times.
#[tokio::test(flavor = "multi_thread")]
async fn a_year_at_once_is_twelve_months() {
    let house = House::open().await;
    let (monthly, quarterly) = (house.monthly_price(2000).await, price(&house, "900", "month", "3").await);
    let mut lives = Vec::new();
    for steps in [1, 12] {
        let (clock, customer) = on_clock(&house, "2027-01-31T12:00:00Z").await;
        let more = [("items[1][price]", &*quarterly), ("trial_period_days", "10"), ("items[0][quantity]", "3")];
        house.subscribe_with(&customer, &monthly, &more).await.ok();
        for step in 1..=steps {
            let month = 1 + 12 / steps * step;
            let (year, month) = (2027 + (month - 1) / 12, (month - 1) % 12 + 1);
            house.advance(&clock, &format!("{year}-{month:02}-28T12:00:00Z")).await;
        }
        lives.push(facts(&house, &customer).await);
    }
    assert_eq!(lives[0]["invoices"].as_array().unwrap().len(), 13);
    assert_eq!(lives[0], lives[1]);
}

/// All that can be compared between two customers: everything but ids.
async fn facts(house: &House, customer: &str) -> Value {
    let invoices = house.list(&format!("/v1/invoices?customer={customer}")).await;
    let about: Vec<String> = invoices.iter().map(id).collect();
    let fact = |invoice: &Value| {
        let kept = [
            "created",
            "status",
            "total",
            "amount_paid",
            "period_start",
            "period_end",
            "status_transitions",
            "attempt_count",
        ];
        let mut fact: Vec<Value> = kept.iter().map(|key| invoice[key].clone()).collect();
        fact.extend(lines(invoice).into_iter().map(Value::from));
        Value::from(fact)
    };
    let events = house.list("/v1/events").await;
    let ours = events.iter().filter(|event| {
        let object = &event["data"]["object"];
        object["customer"] == customer || object["invoice"].as_str().is_some_and(|id| about.contains(&id.to_owned()))
    });
    let told = ours.map(|event| json!([event["type"], event["created"]]));
    json!({"invoices": invoices.iter().map(fact).collect::<Vec<_>>(), "events": told.collect::<Vec<_>>()})
}

/// A server that was down for three months catches up period by period, each at its price and place.
#[tokio::test(flavor = "multi_thread")]
async fn three_months_down_are_caught_up_period_by_period() {
    let house = House::open().await;
    let monthly = house.monthly_price(2000).await;
    let customer = house.customer("pm_card_visa", None).await;
    let made = house.subscribe_with(&customer, &monthly, &[("trial_period_days", "5")]).await.ok();
    house.advance_wall("2027-04-10T00:00:00Z").await;
    house.advance_wall("2027-04-10T01:00:00Z").await;
    let mut invoices = house.list(&format!("/v1/invoices?customer={customer}")).await;
    invoices.reverse();
    let expected = [
        "2027-01-01..2027-01-06 0",
        "2027-01-06..2027-02-06 2000",
        "2027-02-06..2027-03-06 2000",
        "2027-03-06..2027-04-06 2000",
        "2027-04-06..2027-05-06 2000",
    ];
    assert_eq!(invoices.iter().flat_map(lines).collect::<Vec<_>>(), expected);
    assert!(invoices.iter().all(|invoice| invoice["status"] == "paid"));
    let active = house.fresh(&made).await;
    assert_eq!(
        (&active["status"], day(&active["items"]["data"][0]["current_period_end"])),
        (&json!("active"), "2027-05-06".to_owned())
    );
    assert_eq!(house.list("/v1/events?type=customer.subscription.trial_will_end").await.len(), 1);
}
