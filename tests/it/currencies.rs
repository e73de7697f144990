//! Prorations in currencies whose last digits must be 0: every invoice that they are on can be paid.

use serde_json::json;

use crate::catalogue::has;
use crate::changes::{MIDDLE, Tenant, amounts};
use crate::support::{at, id};

const MODES: [&str; 2] = ["classic", "flexible"];
const ALWAYS: (&str, &str) = ("proration_behavior", "always_invoice");

fn price<'a>(currency: &'a str, amount: &'a str) -> [(&'a str, &'a str); 2] {
    [("currency", currency), ("unit_amount", amount)]
}

/// Three-decimal currencies, ISK and UGX: what a change in the middle of a period costs is on the renewal,
/// and that is paid.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_change_leaves_pending_is_paid_with_the_renewal() {
    for mode in MODES {
        for (currency, old, new, pending, total) in [
            ("kwd", "10000", "20000", [10_330, -5170], 25_160),
            ("tnd", "10010", "9990", [5160, -5170], 9980),
            ("isk", "100000", "200000", [103_300, -51_700], 251_600),
            ("ugx", "700000", "1100000", [568_300, -361_700], 1_306_600),
        ] {
            let tenant = Tenant::of(mode, &price(currency, old), "1").await;
            tenant.advance(MIDDLE).await;
            let dearer = tenant.price(&price(currency, new)).await;
            tenant.swap(&dearer, &[]).await;
            assert_eq!(tenant.pending().await, pending, "{mode}: {old} to {new} {currency}");
            tenant.advance("2026-12-01T02:00:00Z").await;
            let renewed = tenant.latest().await;
            has(&renewed, &json!({"status": "paid", "billing_reason": "subscription_cycle", "total": total}));
            assert_eq!(tenant.house.event_types(0).await.iter().filter(|kind| kind.contains("failed")).count(), 0);
        }
    }
}

/// The same where it is paid at once, where less is owed than was paid, and where a period begins anew.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_at_once_can_be_paid() {
    for mode in MODES {
        let tenant = Tenant::of(mode, &price("kwd", "10000"), "1").await;
        tenant.advance(MIDDLE).await;
        let dearer = tenant.price(&price("kwd", "20000")).await;
        tenant.swap(&dearer, &[ALWAYS]).await;
        has(&tenant.latest().await, &json!({"status": "paid", "amount_paid": 5160}));
        // What was billed is given back to the last fils, whatever part of it is left.
        tenant.advance("2026-11-20T07:31:11Z").await;
        let cheap = tenant.price(&price("kwd", "1230")).await;
        tenant.swap(&cheap, &[ALWAYS]).await;
        let less = tenant.latest().await;
        let total = less["total"].as_i64().unwrap();
        assert!(total < 0 && total % 10 == 0, "{mode}: {total}");
        assert_eq!(tenant.balance().await, total);
        tenant.advance("2026-11-21T11:11:11Z").await;
        let anew = tenant.update(&[("billing_cycle_anchor[type]", "now")]).await;
        assert_eq!(anew["billing_cycle_anchor"], at("2026-11-21T11:11:11Z"));
        has(&tenant.latest().await, &json!({"status": "paid"}));
        for amount in amounts(&tenant.latest().await) {
            assert_eq!(amount % 10, 0, "{mode}");
        }
    }
}

/// The first partial period, an end inside a period, and a price with decimal places.
#[tokio::test(flavor = "multi_thread")]
async fn parts_of_periods_can_be_paid() {
    let tenant = Tenant::of("flexible", &price("bhd", "30000"), "1").await;
    tenant.advance("2026-11-17T15:00:00Z").await;
    let monthly = tenant.price(&price("bhd", "30010")).await;
    let anchor = at("2026-12-01T00:00:00Z").to_string();
    let more = [("billing_cycle_anchor", anchor.as_str())];
    let stub = tenant.house.subscribe_with(&tenant.customer, &monthly, &more).await.ok();
    let first = tenant.house.latest_invoice(&stub).await;
    // 1,155,600 of 2,592,000 seconds: 13379.46 fils.
    has(&first, &json!({"status": "paid", "amount_paid": 13_380}));
    let end = at("2026-12-11T07:00:00Z").to_string();
    tenant.house.post(&format!("/v1/subscriptions/{}", id(&stub)), &[("cancel_at", &end)]).await.ok();
    tenant.advance("2026-12-12T00:00:00Z").await;
    let ended = tenant.house.fresh(&stub).await;
    assert_eq!(ended["status"], "canceled");
    has(&tenant.house.latest_invoice(&ended).await, &json!({"status": "paid"}));
    let decimal = tenant.price(&[("currency", "bhd"), ("unit_amount_decimal", "1234.5")]).await;
    let made = tenant.house.subscribe_with(&tenant.customer, &decimal, &[("items[0][quantity]", "3")]).await.ok();
    has(&tenant.house.latest_invoice(&made).await, &json!({"status": "paid", "amount_paid": 3700}));
}
