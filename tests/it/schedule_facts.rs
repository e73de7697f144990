//! Subscription schedules in lists, expanded, and in older versions; and that nobody else notices them.

use reqwest::Method;
use serde_json::Value;

use crate::catalogue::finds;
use crate::schedules::Plan;
use crate::states::Story;
use crate::support::{at, id};

/// Lists with all their filters, expansion, and membership in a test clock.
#[tokio::test(flavor = "multi_thread")]
async fn lists_and_expansion() {
    let plan = Plan::begin().await;
    let other = plan.house.customer("pm_card_visa", None).await;
    let start = at("2027-02-01T00:00:00Z").to_string();
    let waiting = id(&plan.schedule(&[("start_date", &start)]).await);
    let (canceled, released) = (id(&plan.schedule(&[]).await), id(&plan.schedule(&[]).await));
    plan.post(&format!("/{canceled}/cancel"), &[]).await.ok();
    plan.post(&format!("/{released}/release"), &[]).await.ok();
    let form = [
        ("customer", other.as_str()),
        ("phases[0][items][0][price]", &plan.ten),
        ("phases[0][duration][interval]", "month"),
    ];
    let running = id(&plan.post("", &form).await.ok());
    let (of, now) = (format!("customer={}", plan.customer), at("2026-11-01T00:00:00Z"));
    let cases: [(String, &[&String]); 8] = [
        (of.clone(), &[&released, &canceled, &waiting]),
        (String::new(), &[&running]),
        ("scheduled=true".to_owned(), &[]),
        (format!("{of}&scheduled=true"), &[&waiting]),
        (format!("{of}&scheduled=false"), &[&released, &canceled]),
        (format!("{of}&canceled_at={now}"), &[&canceled]),
        (format!("{of}&released_at[lte]={now}"), &[&released]),
        (format!("{of}&completed_at[gte]=0"), &[]),
    ];
    finds(&plan.house, "/v1/subscription_schedules", &cases).await;
    let path = format!(
        "/v1/subscription_schedules/{running}?expand[]=customer&expand[]=subscription.schedule&expand[]=phases.items.price&expand[]=phases.items.plan"
    );
    let whole = plan.house.get(&path).await.ok();
    assert_eq!(whole["customer"]["id"], other);
    assert_eq!(whole["subscription"]["schedule"]["id"], running);
    assert_eq!(whole["phases"][0]["items"][0]["price"]["unit_amount"], 1000);
    assert_eq!(whole["phases"][0]["items"][0]["plan"]["object"], "plan");
    plan.house.get("/v1/subscription_schedules?customer_account=acct_1").await.error(400);
}

/// What older versions say: iterations, classic mode, and members that were not there yet.
#[tokio::test(flavor = "multi_thread")]
async fn older_versions() {
    let plan = Plan::begin().await;
    let form = [
        ("customer", plan.customer.as_str()),
        ("start_date", "now"),
        ("phases[0][items][0][price]", &plan.ten),
        ("phases[0][iterations]", "2"),
        ("phases[0][coupon]", ""),
    ];
    let call = |version: &'static str, form: Vec<(&'static str, String)>| {
        let house = &plan.house;
        async move {
            let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
            house.call(Method::POST, "/v1/subscription_schedules", &form, &[("stripe-version", version)]).await
        }
    };
    let owned = |form: &[(&'static str, &str)]| -> Vec<(&'static str, String)> {
        form.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
    };
    let acacia = call("2025-02-24.acacia", owned(&form)).await.ok();
    assert_eq!(acacia["phases"][0]["end_date"], at("2027-01-01T00:00:00Z"));
    assert_eq!(acacia["phases"][0]["coupon"], Value::Null);
    assert!(acacia.get("billing_mode").is_none() && acacia.get("pause_schedules").is_none());
    let newest = plan.read(&acacia).await;
    assert_eq!(newest["billing_mode"]["type"], "classic");
    assert!(newest["phases"][0].get("coupon").is_none());
    let oldest = call("2020-08-27", owned(&form)).await.ok();
    assert!(oldest["phases"][0].get("metadata").is_none());
    let between = call("2025-04-30.basil", owned(&form[..4])).await.ok();
    assert!(between["phases"][0].get("billing_thresholds").is_none());
    assert!(between["phases"][0]["items"][0].get("billing_thresholds").is_none());
    assert!(between.get("billing_mode").is_some());
    let error = call("2025-09-30.clover", owned(&form[..4])).await.error(400);
    assert_eq!(error["param"], "phases[0][iterations]");
}

/// A renewal without a schedule takes as many rows and events as ever; the schedules of others cost it nothing.
#[tokio::test(flavor = "multi_thread")]
async fn others_do_not_notice() {
    let story = Story::begin().await;
    assert_eq!(story.house.count("select count(*) from customers where scheduled").await, 0);
    story.until("2027-02-01T00:00:00Z").await;
    let types = story.until("2027-03-01T00:00:00Z").await;
    assert!(types.ends_with("invoice.created customer.subscription.updated"), "{types}");
    let form = [("from_subscription", story.subscription.as_str())];
    let schedule = story.house.post("/v1/subscription_schedules", &form).await.ok();
    assert_eq!(story.house.count("select count(*) from customers where scheduled").await, 1);
    story.house.post(&format!("/v1/subscription_schedules/{}/release", id(&schedule)), &[]).await.ok();
    assert_eq!(story.house.count("select count(*) from customers where scheduled").await, 0);
}
