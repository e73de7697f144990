//! Subscription schedules that end before their time: by a caller, with their subscription, their customer or
//! its clock, and for unpaid bills.

use serde_json::{Value, json};

use crate::catalogue::has;
use crate::dunning::custom;
use crate::schedules::Plan;
use crate::support::{at, id};

/// `cancel` and `release` by a caller, the subscription's own end, and the customer's.
#[tokio::test(flavor = "multi_thread")]
async fn schedules_end_before_their_time() {
    let plan = Plan::begin().await;
    let later = at("2026-12-01T00:00:00Z").to_string();
    let path = |schedule: &Value, act: &str| format!("/{}/{act}", id(schedule));

    // Not begun yet.
    for (act, status) in [("cancel", "canceled"), ("release", "released")] {
        let waiting = plan.schedule(&[("start_date", &later)]).await;
        let mark = plan.house.mark().await;
        let ended = plan.post(&path(&waiting, act), &[]).await.ok();
        has(&ended, &json!({"status": status, "subscription": null, "released_subscription": null}));
        plan.house.told(mark).await.are(&format!("subscription_schedule.{status}"));
        for act in ["cancel", "release"] {
            plan.post(&path(&waiting, act), &[]).await.error(400);
        }
        plan.post(&format!("/{}", id(&waiting)), &[("metadata[a]", "b")]).await.error(400);
    }

    // Halfway through the month, with the unused half given back at once, or not.
    for (form, totals) in [
        (&[][..], &[1000, -500][..]),
        (&[("prorate", "false")], &[1000]),
        (&[("prorate", "false"), ("invoice_now", "false")], &[1000]),
    ] {
        let plan = Plan::begin().await;
        let schedule = plan.schedule(&[]).await;
        plan.advance("2026-11-16T00:00:00Z").await;
        let mark = plan.house.mark().await;
        let ended = plan.post(&path(&schedule, "cancel"), form).await.ok();
        has(&ended, &json!({"status": "canceled", "canceled_at": at("2026-11-16T00:00:00Z"), "current_phase": null}));
        let told = plan.house.told(mark).await;
        assert_eq!(told.types()[0], "subscription_schedule.canceled");
        told.one("customer.subscription.deleted");
        has(&plan.subscription(&schedule).await, &json!({"status": "canceled"}));
        let invoices = plan.invoices(&schedule).await;
        assert_eq!(invoices.iter().map(|(total, ..)| *total).collect::<Vec<_>>(), totals, "{form:?}");
    }

    // Released, the subscription goes on as it is.
    let schedule = plan.schedule(&[]).await;
    let subscription = plan.subscription(&schedule).await;
    let mark = plan.house.mark().await;
    let released = plan.post(&path(&schedule, "release"), &[]).await.ok();
    has(&released, &json!({"status": "released", "subscription": null, "released_subscription": id(&subscription)}));
    let told = plan.house.told(mark).await;
    told.are("subscription_schedule.released customer.subscription.updated");
    assert_eq!(told.previous("customer.subscription.updated"), &json!({"schedule": id(&schedule)}));
    // The end that it was given is kept only if that is asked for.
    for keeps in [false, true] {
        let only = [
            ("customer", plan.customer.as_str()),
            ("end_behavior", "cancel"),
            ("phases[0][items][0][price]", &plan.ten),
            ("phases[0][duration][interval]", "month"),
        ];
        let schedule = plan.post("", &only).await.ok();
        let subscription = plan.subscription(&schedule).await;
        has(&subscription, &json!({"cancel_at": at("2026-12-01T00:00:00Z")}));
        let form = [("preserve_cancel_date", if keeps { "true" } else { "false" })];
        plan.post(&path(&schedule, "release"), &form).await.ok();
        let kept = plan.house.fresh(&subscription).await;
        assert_eq!(kept["cancel_at"].is_null(), !keeps);
    }

    // The subscription is cancelled: so is what was scheduled.
    let schedule = plan.schedule(&[]).await;
    let mark = plan.house.mark().await;
    plan.house.delete(&format!("/v1/subscriptions/{}", schedule["subscription"].as_str().unwrap())).await.ok();
    plan.house.told(mark).await.are("customer.subscription.deleted invoice.updated subscription_schedule.canceled");
    has(&plan.read(&schedule).await, &json!({"status": "canceled", "canceled_at": at("2026-11-01T00:00:00Z")}));

    // The customer is deleted, whether or not it has begun; and with the clock, too.
    let (running, waiting) = (plan.schedule(&[]).await, plan.schedule(&[("start_date", &later)]).await);
    plan.house.delete(&format!("/v1/customers/{}", plan.customer)).await.ok();
    for schedule in [&running, &waiting] {
        has(&plan.read(schedule).await, &json!({"status": "canceled"}));
    }
    let plan = Plan::begin().await;
    let waiting = plan.schedule(&[("start_date", &later)]).await;
    plan.house.delete(&format!("/v1/test_helpers/test_clocks/{}", plan.clock)).await.ok();
    has(&plan.read(&waiting).await, &json!({"status": "canceled"}));
}

/// Unpaid bills end the subscription: the schedule is cancelled, and told of as aborted.
#[tokio::test(flavor = "multi_thread")]
async fn delinquency_aborts() {
    let plan = Plan::begin().await;
    let settings = [&custom(&["3"])[..], &[("collection[final_action][subscription]", "cancel")]].concat();
    plan.house.post("/v1/dunlin/settings", &settings).await.ok();
    let schedule = plan.schedule(&[]).await;
    plan.house.default_card(&plan.customer, "pm_card_chargeCustomerFail").await;
    plan.advance("2026-11-01T02:00:00Z").await;
    has(&plan.subscription(&schedule).await, &json!({"status": "past_due"}));
    let told = plan.until("2026-11-05T00:00:00Z").await;
    let types = told.types();
    let place = |kind: &str| types.iter().position(|told| *told == kind).expect(kind);
    assert!(place("customer.subscription.deleted") < place("subscription_schedule.aborted"));
    has(told.object("subscription_schedule.aborted"), &json!({"status": "canceled"}));
    has(&plan.subscription(&schedule).await, &json!({"status": "canceled"}));
}
