//! What cannot be done when it is due: waiting for a processor that does not answer, and refusals. Neither loses
//! money that has moved, nor stands in the way of anything else.

use std::{
    process::Command,
    sync::{Arc, atomic::Ordering},
};

use dunlin::store::{Fault, due::Place};
use serde_json::{Value, json};

use crate::catalogue::has;
use crate::silence::Silent;
use crate::support::{House, at, binary, execute, id, intent};

async fn silent_house() -> (Arc<Silent>, House) {
    let gateway = Arc::new(Silent::default());
    let house = House::open_with(Arc::<Silent>::clone(&gateway), 0).await;
    (gateway, house)
}

/// A subscription whose trial ends at this time with an invoice that no amount can hold.
async fn impossible(house: &House, customer: &str, trial_end: &str) -> Value {
    let price = house.monthly_price(999_999_999_999).await;
    let form = [("items[0][quantity]", "1000000000"), ("trial_end", &*at(trial_end).to_string())];
    house.subscribe_with(customer, &price, &form).await.ok()
}

/// Makes what was impossible possible.
async fn repair(house: &House) {
    let cheaper = "update prices set body = replace(body, '999999999999', '100')";
    execute(&house.database_url, cheaper).await;
}

async fn refusals(house: &House) -> i64 {
    house.count("select max(refusals)::bigint from customers").await
}

async fn minutes(house: &House, from: &str, minutes: impl IntoIterator<Item = i64>) {
    for minute in minutes {
        house.clock.set(dunlin::billing::Timestamp::new(at(from) + 60 * minute));
        house.app.engine.settle_down().await.expect("the tick");
    }
}

/// A payment of the last minute before the 23 hours are over, and a processor that takes hours to answer: the
/// window does not end before it is known what came of the payment.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_waits_for_the_answer() {
    for answers in [true, false] {
        let (gateway, house) = silent_house().await;
        let (price, customer) = (house.monthly_price(2000).await, house.customer("pm_card_visa", None).await);
        let form = [("payment_behavior", "default_incomplete")];
        let made = house.subscribe_with(&customer, &price, &form).await.ok();
        let asked = id(intent(&house.latest_invoice(&made).await));
        house.advance_wall("2027-01-01T22:59:30Z").await;
        gateway.silent.store(true, Ordering::Relaxed);
        house.post(&format!("/v1/payment_intents/{asked}/confirm"), &[]).await;
        for second in 0..4 {
            house.advance_wall(&format!("2027-01-01T23:00:{:02}Z", second * 15)).await;
        }
        minutes(&house, "2027-01-01T23:00:00Z", (1..120).step_by(5)).await;
        assert_eq!(refusals(&house).await, 0);
        assert_eq!(house.count("select count(*) from payment_intents where due_at is not null").await, 1);
        // What can only wait is not looked at again before the processor is.
        let look = "select count(*) from subscriptions s join payment_intents p on p.due_at = s.due_at";
        assert_eq!(house.count(look).await, 1);
        assert_eq!(house.fresh(&made).await["status"], "incomplete");
        if answers {
            gateway.silent.store(false, Ordering::Relaxed);
        } else {
            // It was never asked: its card is declined.
            execute(
                &house.database_url,
                "update payment_intents set body = replace(body, '\"token\":\"visa\"', '\"token\":\"chargeCustomerFail\"')",
            )
            .await;
            gateway.silent.store(false, Ordering::Relaxed);
        }
        minutes(&house, "2027-01-02T01:05:00Z", [0, 1]).await;
        let (status, invoice) = if answers { ("active", "paid") } else { ("incomplete_expired", "void") };
        let after = house.fresh(&made).await;
        assert_eq!(
            (&after["status"], &house.latest_invoice(&after).await["status"]),
            (&json!(status), &json!(invoice))
        );
        assert_eq!(house.list(&format!("/v1/charges?customer={customer}")).await.len(), 1);
        assert_eq!(refusals(&house).await, 0);
    }
}

/// After an outage, too, what is due later than a question waits for its answer.
#[tokio::test(flavor = "multi_thread")]
async fn catching_up_waits_for_the_answer() {
    let (gateway, house) = silent_house().await;
    let (price, dear) = (house.monthly_price(2000).await, house.monthly_price(5000).await);
    let customer = house.customer("pm_card_visa", None).await;
    let made = house.subscribe(&customer, &price).await;
    house.default_card(&customer, "pm_card_chargeCustomerFail").await;
    let form = [
        ("items[0][id]", made["items"]["data"][0]["id"].as_str().unwrap()),
        ("items[0][price]", &*dear),
        ("proration_behavior", "always_invoice"),
        ("payment_behavior", "pending_if_incomplete"),
    ];
    house.clock.set(dunlin::billing::Timestamp::new(at("2027-01-10T00:00:00Z")));
    let path = format!("/v1/subscriptions/{}", id(&made));
    let waiting = house.post(&path, &form).await.ok();
    assert!(waiting["pending_update"].is_object());
    // Its customer pays, the answer is lost, and the server is away until the update has expired.
    gateway.silent.store(true, Ordering::Relaxed);
    let asked = id(intent(&house.latest_invoice(&waiting).await));
    house.clock.set(dunlin::billing::Timestamp::new(at("2027-01-10T22:59:59Z")));
    let confirm = format!("/v1/payment_intents/{asked}/confirm");
    house.post(&confirm, &[("payment_method", "pm_card_visa")]).await;
    minutes(&house, "2027-01-11T00:00:00Z", 0..3).await;
    assert_eq!(refusals(&house).await, 0);
    gateway.silent.store(false, Ordering::Relaxed);
    minutes(&house, "2027-01-11T00:03:00Z", 0..3).await;
    let after = house.get(&path).await.ok();
    assert_eq!((&after["pending_update"], &after["items"]["data"][0]["price"]["id"]), (&json!(null), &json!(dear)));
    assert_eq!(refusals(&house).await, 0);
}

/// One thing of a customer that is refused leaves all else of that customer alone, and no answer is lost.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_leaves_the_rest_alone() {
    let house = House::open().await;
    let (price, customer) = (house.monthly_price(2000).await, house.customer("pm_card_visa", None).await);
    let made = house.subscribe(&customer, &price).await;
    house.default_card(&customer, "pm_card_processing").await;
    // It comes between the question and its answer.
    impossible(&house, &customer, "2027-02-01T01:00:30Z").await;
    for time in ["00:00:00", "01:00:00", "01:00:30", "01:01:00"] {
        house.advance_wall(&format!("2027-02-01T{time}Z")).await;
    }
    let after = house.fresh(&made).await;
    has(&house.latest_invoice(&after).await, &json!({"status": "paid", "billing_reason": "subscription_cycle"}));
    assert_eq!(refusals(&house).await, 2, "once for each tick");
    // And the next month, though it is refused every time.
    minutes(&house, "2027-02-01T01:05:00Z", (0..60).step_by(5)).await;
    for time in ["00:00:00", "01:00:00", "01:01:00"] {
        house.advance_wall(&format!("2027-03-01T{time}Z")).await;
    }
    let paid = house.list(&format!("/v1/invoices?subscription={}", id(&made))).await;
    assert_eq!(paid.iter().filter(|invoice| invoice["status"] == "paid").count(), 3);
}

/// Refusals in a row are counted, not all there ever were.
#[tokio::test(flavor = "multi_thread")]
async fn success_begins_the_count_anew() {
    let house = House::open().await;
    let customer = house.customer("pm_card_visa", None).await;
    let made = impossible(&house, &customer, "2027-01-02T00:00:00Z").await;
    minutes(&house, "2027-01-02T00:00:00Z", (0..45).step_by(5)).await;
    assert_eq!(refusals(&house).await, 9);
    repair(&house).await;
    minutes(&house, "2027-01-02T00:45:00Z", [0]).await;
    assert_eq!(house.fresh(&made).await["status"], "active");
    assert_eq!(refusals(&house).await, 0);
}

fn parked(house: &House, arguments: &[&str]) -> String {
    let mut command = Command::new(binary());
    command.arg("parked").args(arguments).env("DATABASE_URL", &house.database_url);
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// Who is parked is shown and can be let go on; money that is under way is never parked.
#[tokio::test(flavor = "multi_thread")]
async fn parking_is_seen_and_undone() {
    let (gateway, house) = silent_house().await;
    let customer = house.customer("pm_card_visa", None).await;
    let made = impossible(&house, &customer, "2027-01-02T00:00:00Z").await;
    let gauge = async || {
        let text = house.client.get(format!("{}/metrics", house.url)).send().await.unwrap().text().await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("dunlin_customers_parked "));
        line.expect("a gauge").to_owned()
    };
    minutes(&house, "2027-01-02T00:00:00Z", (0..45).step_by(5)).await;
    assert_eq!((gauge().await, parked(&house, &["list"])), ("0".to_owned(), String::new()));
    // A payment whose answer is lost, left alone for the minute of the tenth refusal.
    gateway.silent.store(true, Ordering::Relaxed);
    let card = house.default_card(&customer, "pm_card_visa").await;
    let pay = [
        ("amount", "700"),
        ("currency", "usd"),
        ("customer", &*customer),
        ("confirm", "true"),
        ("payment_method", &*card),
    ];
    house.post("/v1/payment_intents", &pay).await;
    minutes(&house, "2027-01-02T00:45:00Z", (0..15).step_by(5)).await;
    assert_eq!(refusals(&house).await, 0, "nothing is refused while an answer is awaited");
    gateway.silent.store(false, Ordering::Relaxed);
    minutes(&house, "2027-01-02T01:00:00Z", (0..90).step_by(5)).await;
    let intents = house.list(&format!("/v1/payment_intents?customer={customer}")).await;
    assert_eq!(intents[0]["status"], "succeeded");
    assert_eq!(house.count("select count(*) from subscriptions where due_at is not null").await, 0);
    assert_eq!(gauge().await, "1");
    let shown = parked(&house, &["list"]);
    assert!(shown.starts_with(&customer) && shown.contains("amount"), "{shown}");
    repair(&house).await;
    minutes(&house, "2027-01-03T00:00:00Z", [0]).await;
    assert_eq!(house.fresh(&made).await["status"], "trialing", "it waits for a person");
    parked(&house, &["release", &customer]);
    minutes(&house, "2027-01-03T00:05:00Z", [0]).await;
    assert_eq!(house.fresh(&made).await["status"], "active");
    assert_eq!((gauge().await, refusals(&house).await), ("0".to_owned(), 0));
}

/// An intent of a customer that is parked stays due while its outcome is awaited.
#[tokio::test(flavor = "multi_thread")]
async fn money_under_way_is_never_parked() {
    let house = House::open().await;
    let customer = house.customer("pm_card_visa", None).await;
    impossible(&house, &customer, "2027-01-02T00:00:00Z").await;
    minutes(&house, "2027-01-02T00:00:00Z", (0..45).step_by(5)).await;
    assert_eq!(refusals(&house).await, 9);
    let form = [
        ("amount", "700"),
        ("currency", "usd"),
        ("customer", &*customer),
        ("confirm", "true"),
        ("payment_method", "pm_card_processing"),
    ];
    let slow = house.post("/v1/payment_intents", &form).await.ok();
    minutes(&house, "2027-01-02T00:45:00Z", [0]).await;
    assert_eq!(house.count("select count(*) from subscriptions where due_at is not null").await, 0);
    assert_eq!(house.get(&format!("/v1/payment_intents/{}", id(&slow))).await.ok()["status"], "succeeded");
}

/// Payments of nobody are finished however much is due of customers, and what is refused of them waits.
#[tokio::test(flavor = "multi_thread")]
async fn payments_of_nobody_are_not_starved() {
    let (gateway, house) = silent_house().await;
    let (price, customer) = (house.monthly_price(2000).await, house.customer("pm_card_visa", None).await);
    house.subscribe(&customer, &price).await;
    house.clock.set(dunlin::billing::Timestamp::new(at("2027-01-31T23:58:00Z")));
    gateway.silent.store(true, Ordering::Relaxed);
    let form = [("amount", "700"), ("currency", "usd"), ("payment_method", "pm_card_visa"), ("confirm", "true")];
    for _ in 0..2 {
        house.post("/v1/payment_intents", &form).await;
    }
    gateway.silent.store(false, Ordering::Relaxed);
    let broken = "update payment_intents set body = replace(body, '\"amount_received\":0', '\"amount_received\":900')
                  where id = (select max(id) from payment_intents where customer is null)";
    execute(&house.database_url, broken).await;
    house.clock.set(dunlin::billing::Timestamp::new(at("2027-02-01T00:00:00Z")));
    let ticked = house.app.engine.tick(&Place::default()).await.unwrap();
    assert_eq!(ticked.customers, 1);
    let due = "select coalesce(sum(due_at), 0)::bigint from payment_intents where customer is null";
    assert_eq!(house.count(due).await, at("2027-02-01T00:05:00Z"), "one is done, one is pushed back");
}

/// Whose fault it is: what the database cannot do for anybody is tried again as it is, what it cannot do for one
/// customer pushes that one back, and only what it refuses counts.
#[tokio::test(flavor = "multi_thread")]
async fn faults_of_the_database_are_told_apart() {
    let house = House::open().await;
    let mut reader = house.app.engine.store.reader().await.expect("a connection");
    for (code, passing, slow) in [
        ("08006", true, false),
        ("25006", true, false),
        ("25P03", true, false),
        ("40001", true, false),
        ("40P01", true, false),
        ("53100", true, false),
        ("53200", true, false),
        ("53300", true, false),
        ("55P03", true, false),
        ("57014", false, true),
        ("57P01", true, false),
        ("57P05", true, false),
        ("23505", false, false),
        ("22003", false, false),
    ] {
        let raise = format!("do $$ begin raise exception using errcode = '{code}'; end $$");
        let error = sqlx::raw_sql(sqlx::AssertSqlSafe(raise)).execute(&mut *reader).await.expect_err(code);
        let fault = Fault::from(error);
        assert_eq!((fault.is_passing(), fault.is_slow()), (passing, slow), "{code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_for_one_customer_pushes_that_one_back() {
    for (code, counted) in [("57014", 0), ("23514", 1)] {
        let house = House::open().await;
        let price = house.monthly_price(2000).await;
        let mut made = Vec::new();
        for _ in 0..3 {
            let customer = house.customer("pm_card_visa", None).await;
            made.push(house.subscribe(&customer, &price).await);
        }
        let broken = format!(
            "create function broken() returns trigger language plpgsql as
                 $$ begin raise exception 'it cannot be' using errcode = '{code}'; end $$;
             create trigger broken before insert on invoices
                 for each row when (new.subscription = '{}') execute function broken()",
            id(&made[1])
        );
        execute(&house.database_url, &broken).await;
        house.advance_wall("2027-02-01T00:00:00Z").await;
        assert_eq!(refusals(&house).await, counted, "{code}");
        let again = format!("select due_at from subscriptions where id = '{}'", id(&made[1]));
        assert_eq!(house.count(&again).await, at("2027-02-01T00:05:00Z"), "{code}");
        assert_eq!(house.count("select count(*) from invoices where status = 'draft'").await, 2);
        execute(&house.database_url, "drop trigger broken on invoices").await;
        house.advance_wall("2027-02-01T00:05:00Z").await;
        assert_eq!(house.count("select count(*) from invoices where status = 'draft'").await, 3);
        assert_eq!(refusals(&house).await, 0);
    }
}
