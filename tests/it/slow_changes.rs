//! Changes whose payment takes longer than the request, across the end of a period: each second is billed once.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::catalogue::has;
use crate::changes::Tenant;
use crate::support::{at, id};

const DEAR: [(&str, &str); 1] = [("unit_amount", "10000000")];
const DEARER: [(&str, &str); 1] = [("unit_amount", "20000000")];
const ALWAYS: (&str, &str) = ("proration_behavior", "always_invoice");
/// Half a minute before the period ends.
const EVE: &str = "2026-11-30T23:59:30Z";
const BOUNDARY: &str = "2026-12-01T00:00:00Z";

/// A subscription on the eve of its renewal whose card takes a minute, and a price to go to.
async fn eve(card: &str) -> (Tenant, String) {
    let tenant = Tenant::of("flexible", &DEAR, "1").await;
    tenant.advance(EVE).await;
    tenant.house.default_card(&tenant.customer, card).await;
    let price = tenant.price(&DEARER).await;
    (tenant, price)
}

fn price_of(subscription: &Value) -> &str {
    subscription["items"]["data"][0]["price"]["id"].as_str().expect("a price")
}

async fn invoices(tenant: &Tenant) -> Vec<Value> {
    tenant.house.list(&format!("/v1/invoices?subscription={}", tenant.subscription)).await
}

/// The beginnings of the periods that were billed: each of them once.
async fn billed(tenant: &Tenant) -> Vec<i64> {
    let valid = invoices(tenant).await.into_iter().filter(|invoice| invoice["status"] != "void");
    let lines: Vec<Value> = valid.flat_map(|invoice| invoice["lines"]["data"].as_array().unwrap().clone()).collect();
    let is_proration = |line: &&Value| {
        line["parent"]["subscription_item_details"]["proration"] == true
            || line["parent"]["invoice_item_details"]["proration"] == true
    };
    let begun: Vec<i64> = lines
        .iter()
        .filter(|line| !is_proration(line))
        .map(|line| line["period"]["start"].as_i64().expect("a time"))
        .collect();
    let once: BTreeSet<i64> = begun.iter().copied().collect();
    assert_eq!(once.len(), begun.len(), "{begun:?}");
    once.into_iter().collect()
}

async fn pending_charges(tenant: &Tenant) -> usize {
    let charges = tenant.house.list(&format!("/v1/charges?customer={}", tenant.customer)).await;
    charges.iter().filter(|charge| charge["status"] == "pending").count()
}

/// A change of price, with each behaviour and both outcomes.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_change_and_a_renewal_bill_each_period_once() {
    // Whether it is made at once, and what it is in the end: whether it was made.
    for (card, behavior, at_once, made) in [
        ("pm_card_processing", "allow_incomplete", true, true),
        ("pm_card_processing", "pending_if_incomplete", false, false),
        ("pm_card_processing", "error_if_incomplete", false, true),
        ("pm_card_processingFails", "allow_incomplete", true, true),
        ("pm_card_processingFails", "pending_if_incomplete", false, false),
        ("pm_card_processingFails", "error_if_incomplete", false, false),
    ] {
        let (tenant, price) = eve(card).await;
        let changed = tenant.swap(&price, &[ALWAYS, ("payment_behavior", behavior)]).await;
        assert_eq!(price_of(&changed) == price, at_once, "{card} {behavior}");
        assert_eq!(changed["pending_update"].is_object(), behavior == "pending_if_incomplete");
        tenant.advance("2026-12-01T00:05:00Z").await;
        let after = tenant.read().await;
        has(&after, &json!({"pending_update": null}));
        assert_eq!(price_of(&after) == price, made, "{card} {behavior}");
        let period = &after["items"]["data"][0];
        assert_eq!(period["current_period_start"], at(BOUNDARY), "{card} {behavior}");
        assert_eq!(billed(&tenant).await, [at("2026-11-01T00:00:00Z"), at(BOUNDARY)], "{card} {behavior}");
        let renewal = invoices(&tenant).await.remove(0);
        let total = if made { 20_000_000 } else { 10_000_000 };
        has(&renewal, &json!({"billing_reason": "subscription_cycle", "total": total}));
        assert_eq!(pending_charges(&tenant).await, 0);
        let of_the_change = &invoices(&tenant).await[1];
        let paid = match (card, made) {
            (_, false) => "void",
            ("pm_card_processing", _) => "paid",
            _ => "open",
        };
        assert_eq!(of_the_change["status"], paid, "{card} {behavior}");
        // And it goes on.
        tenant.house.default_card(&tenant.customer, "pm_card_visa").await;
        tenant.advance("2027-01-01T00:05:00Z").await;
        assert_eq!(billed(&tenant).await.len(), 3);
    }
}

/// A new period that begins with the change: the old one does not go on beside it.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_new_period_ends_the_old_one() {
    for behavior in ["allow_incomplete", "error_if_incomplete"] {
        let (tenant, _) = eve("pm_card_processing").await;
        tenant.update(&[("billing_cycle_anchor[type]", "now"), ("payment_behavior", behavior)]).await;
        tenant.advance("2026-12-01T00:05:00Z").await;
        assert_eq!(billed(&tenant).await, [at("2026-11-01T00:00:00Z"), at(EVE)], "{behavior}");
        assert_eq!(tenant.read().await["items"]["data"][0]["current_period_end"], at("2026-12-30T23:59:30Z"));
        assert_eq!(pending_charges(&tenant).await, 0);
        has(&tenant.latest().await, &json!({"billing_reason": "subscription_update", "status": "paid"}));
    }
}

/// The invoice of a change that was to be only if it is paid, voided while that is not known: nothing has changed,
/// and the subscription goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_change_is_called_off() {
    let (tenant, price) = eve("pm_card_processing").await;
    let before = tenant.read().await;
    tenant.swap(&price, &[ALWAYS, ("payment_behavior", "error_if_incomplete")]).await;
    tenant.house.post(&tenant.path(), &[("metadata[k]", "v")]).await.error(429);
    let owed = id(&invoices(&tenant).await[0]);
    tenant.house.post(&format!("/v1/invoices/{owed}/void"), &[]).await.ok();
    assert_eq!(tenant.read().await, before);
    tenant.update(&[("metadata[k]", "v")]).await;
    tenant.advance("2026-12-01T00:05:00Z").await;
    assert_eq!(billed(&tenant).await, [at("2026-11-01T00:00:00Z"), at(BOUNDARY)]);
    let charges = tenant.house.list(&format!("/v1/charges?customer={}", tenant.customer)).await;
    has(&charges[0], &json!({"status": "succeeded", "refunded": true}));
}
