//! Subscription schedules where not all goes well: paused collection, changes that wait, payment methods that
//! have come loose, and starts that are refused.

use dunlin::billing::{Id, Timestamp};
use serde_json::{Value, json};

use crate::catalogue::has;
use crate::schedules::Plan;
use crate::support::{House, at, id};

fn of(schedule: &Value) -> String {
    format!("/v1/subscriptions/{}", schedule["subscription"].as_str().expect("a subscription"))
}

/// `pause_collection` does not stop the phases: their invoices are neutralised as any other.
#[tokio::test(flavor = "multi_thread")]
async fn phases_go_on_while_collection_is_paused() {
    let plan = Plan::begin().await;
    let schedule = plan.schedule(&[("phases[0][duration][interval_count]", "1")]).await;
    plan.advance("2026-11-02T00:00:00Z").await;
    plan.house.post(&of(&schedule), &[("pause_collection[behavior]", "void")]).await.ok();
    plan.advance("2026-12-01T02:00:00Z").await;
    assert_eq!(plan.subscription(&schedule).await["items"]["data"][0]["price"]["id"], plan.twenty);
    let last = plan.invoices(&schedule).await.pop().expect("an invoice");
    assert_eq!(last, (2000, "subscription_cycle".to_owned(), "void".to_owned()));
}

/// A change that waits for its payment is discarded by a phase that begins.
#[tokio::test(flavor = "multi_thread")]
async fn a_phase_discards_a_change_that_waits() {
    let plan = Plan::begin().await;
    let soon = at("2026-11-15T12:00:00Z").to_string();
    let form = [
        ("customer", plan.customer.as_str()),
        ("phases[0][items][0][price]", &plan.ten),
        ("phases[0][end_date]", &soon),
        ("phases[1][items][0][price]", &plan.twenty),
        ("phases[1][proration_behavior]", "none"),
    ];
    let schedule = plan.post("", &form).await.ok();
    plan.advance("2026-11-15T00:00:00Z").await;
    plan.house.default_card(&plan.customer, "pm_card_chargeCustomerFail").await;
    let item = plan.subscription(&schedule).await["items"]["data"][0]["id"].as_str().expect("an item").to_owned();
    let form = [
        ("items[0][id]", item.as_str()),
        ("items[0][quantity]", "9"),
        ("proration_behavior", "always_invoice"),
        ("payment_behavior", "pending_if_incomplete"),
    ];
    let waiting = plan.house.post(&of(&schedule), &form).await.ok();
    assert!(waiting["pending_update"].is_object());
    assert_eq!(plan.read(&schedule).await["phases"].as_array().expect("phases").len(), 2, "nothing has changed yet");
    plan.advance("2026-11-15T12:00:00Z").await;
    let turned = plan.subscription(&schedule).await;
    has(&turned, &json!({"pending_update": null, "status": "active"}));
    has(&turned["items"]["data"][0], &json!({"quantity": 1}));
    assert_eq!(turned["items"]["data"][0]["price"]["id"], plan.twenty);
    let last = plan.invoices(&schedule).await.pop().expect("an invoice");
    assert_eq!((last.0, last.2.as_str()), (4267, "void"));
}

/// A payment method that has come loose pays for nothing, and no phase waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_method_comes_loose() {
    let plan = Plan::begin().await;
    let method = plan.house.default_card(&plan.customer, "pm_card_mastercard").await;
    plan.house.default_card(&plan.customer, "pm_card_visa").await;
    let later = at("2026-11-10T00:00:00Z").to_string();
    let named = [("phases[1][default_payment_method]", method.as_str())];
    let running = plan.schedule(&[&named[..], &[("phases[0][duration][interval_count]", "1")]].concat()).await;
    let named = [("default_settings[default_payment_method]", method.as_str()), ("start_date", &later)];
    let waiting = plan.schedule(&named).await;
    plan.house.post(&format!("/v1/payment_methods/{method}/detach"), &[]).await.ok();
    plan.advance("2026-11-20T00:00:00Z").await;
    has(&plan.subscription(&plan.read(&waiting).await).await, &json!({"default_payment_method": null}));
    plan.advance("2026-12-01T02:00:00Z").await;
    has(&plan.subscription(&running).await, &json!({"default_payment_method": null, "status": "active"}));
    assert!(plan.invoices(&running).await.iter().all(|(.., status)| status == "paid"));
}

/// A start that is refused again and again waits for a person, and then begins where it was to.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_is_refused_waits_for_a_person() {
    let house = House::open().await;
    let (price, customer) = (house.monthly_price(1000).await, house.customer("pm_card_visa", None).await);
    let path = format!("/v1/customers/{customer}");
    let start = at("2027-01-10T00:00:00Z").to_string();
    let form = [
        ("customer", customer.as_str()),
        ("start_date", &start),
        ("default_settings[collection_method]", "send_invoice"),
        ("default_settings[invoice_settings][days_until_due]", "30"),
        ("phases[0][items][0][price]", &price),
        ("phases[0][duration][interval]", "month"),
    ];
    let schedule = house.post("/v1/subscription_schedules", &form).await.ok();
    // Invoices cannot be sent to somebody without an address.
    house.post(&path, &[("email", "")]).await.ok();
    for minutes in 0..60 {
        house.clock.set(Timestamp::new(at("2027-01-10T00:00:00Z") + minutes * 301));
        house.app.engine.settle_down().await.expect("the tick");
    }
    assert_eq!(house.count("select count(*) from subscription_schedules where due_at is not null").await, 0);
    has(&house.fresh(&schedule).await, &json!({"status": "not_started"}));
    house.post(&path, &[("email", "ada@example.com")]).await.ok();
    assert!(house.app.engine.take_up_again(&Id::given(&customer)).await.expect("the database"));
    house.app.engine.settle_down().await.expect("the tick");
    let begun = house.fresh(&schedule).await;
    has(&begun, &json!({"status": "active"}));
    let subscription = house.get(&of(&begun)).await.ok();
    has(&subscription, &json!({"status": "active", "start_date": at("2027-01-10T00:00:00Z")}));
    assert_eq!(subscription["items"]["data"][0]["current_period_end"], at("2027-02-10T00:00:00Z"));
    assert_eq!(house.list(&format!("/v1/invoices?subscription={}", id(&subscription))).await.len(), 1);
}
