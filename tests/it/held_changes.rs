//! What else waits beside a change that is made only when it is paid, and what replaces such a change.

use serde_json::json;

use crate::catalogue::has;
use crate::changes::{MIDDLE, Tenant, amounts};
use crate::support::id;

const THOUSAND: [(&str, &str); 1] = [("unit_amount", "1000")];
const ALWAYS: (&str, &str) = ("proration_behavior", "always_invoice");
const PENDING: (&str, &str) = ("payment_behavior", "pending_if_incomplete");
const NO_END: (&str, &str) = ("cancel_at_period_end", "false");
const ERROR: (&str, &str) = ("payment_behavior", "error_if_incomplete");

/// A subscription in the middle of its period, something that waits for its customer's next invoice, and a
/// price to go to.
async fn waiting(mode: &str, card: &str) -> (Tenant, String) {
    let tenant = Tenant::of(mode, &THOUSAND, "1").await;
    let form = [("customer", tenant.customer.as_str()), ("amount", "70"), ("currency", "usd")];
    tenant.house.post("/v1/invoiceitems", &form).await.ok();
    tenant.advance(MIDDLE).await;
    tenant.house.default_card(&tenant.customer, card).await;
    let price = tenant.price(&[("unit_amount", "2000")]).await;
    (tenant, price)
}

/// Proration behaviors: `always_invoice` bills all that is pending, whatever is to be done about the payment;
/// in classic mode only what is pending of the change and of earlier ones.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_invoiced_does_not_depend_on_the_payment_behavior() {
    for behavior in ["allow_incomplete", "error_if_incomplete", "pending_if_incomplete"] {
        for (mode, first, rest) in [("flexible", vec![1033, -517, 70], vec![]), ("classic", vec![1033, -517], vec![70])]
        {
            let (tenant, price) = waiting(mode, "pm_card_visa").await;
            tenant.swap(&price, &[ALWAYS, ("payment_behavior", behavior)]).await;
            let paid = tenant.latest().await;
            let mut billed = amounts(&paid);
            billed.sort_unstable_by_key(|amount| -amount.abs());
            assert_eq!((billed, &paid["status"]), (first, &json!("paid")), "{mode} {behavior}");
            assert_eq!(tenant.pending().await, rest, "{mode} {behavior}");
        }
        // A new period takes all of it in either mode.
        let (tenant, price) = waiting("classic", "pm_card_visa").await;
        let anew = ("billing_cycle_anchor[type]", "now");
        tenant.swap(&price, &[anew, ("payment_behavior", behavior)]).await;
        has(&tenant.latest().await, &json!({"status": "paid", "total": 2000 - 517 + 70}));
        assert_eq!(tenant.pending().await, [0; 0]);
    }
}

/// A change that is refused leaves waiting what had waited.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_change_takes_nothing_with_it() {
    for mode in ["flexible", "classic"] {
        let (tenant, price) = waiting(mode, "pm_card_visa").await;
        // An earlier change of the same subscription waits, too.
        let form = [("items[0][id]", tenant.item.as_str()), ("items[0][quantity]", "2")];
        tenant.update(&form).await;
        let before = tenant.pending().await;
        assert_eq!(before, [70, 1033, -517]);
        tenant.house.default_card(&tenant.customer, "pm_card_chargeCustomerFail").await;
        let form = [("items[0][id]", tenant.item.as_str()), ("items[0][price]", &price), ALWAYS, ERROR];
        tenant.house.post(&tenant.path(), &form).await.error(402);
        assert_eq!(tenant.pending().await, before, "{mode}");
        tenant.house.default_card(&tenant.customer, "pm_card_visa").await;
        tenant.advance("2026-12-01T02:00:00Z").await;
        has(&tenant.latest().await, &json!({"status": "paid", "total": 2000 + 70 + 516}));
        assert_eq!(tenant.pending().await, [0; 0]);
    }
}

/// A change that waits has with it what had waited; dropped, it lets that wait again, and paid, it keeps it.
#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_change_lets_the_rest_wait_again() {
    for dropped in ["expired", "voided", "replaced"] {
        let (tenant, price) = waiting("flexible", "pm_card_chargeCustomerFail").await;
        tenant.swap(&price, &[ALWAYS, PENDING]).await;
        let owed = tenant.latest().await;
        has(&owed, &json!({"status": "open", "total": 516 + 70}));
        assert_eq!(tenant.pending().await, [0; 0]);
        match dropped {
            "expired" => tenant.advance("2026-11-16T11:00:00Z").await,
            "voided" => drop(tenant.house.post(&format!("/v1/invoices/{}/void", id(&owed)), &[]).await.ok()),
            _ => {
                tenant.update(&[("description", "another")]).await;
            }
        }
        has(&tenant.read().await, &json!({"pending_update": null, "status": "active"}));
        assert_eq!(tenant.pending().await, [70], "{dropped}");
        tenant.house.default_card(&tenant.customer, "pm_card_visa").await;
        tenant.advance("2026-12-01T02:00:00Z").await;
        has(&tenant.latest().await, &json!({"status": "paid", "total": 1070}));
    }
    let (tenant, price) = waiting("flexible", "pm_card_chargeCustomerFail").await;
    tenant.swap(&price, &[ALWAYS, PENDING]).await;
    tenant.house.default_card(&tenant.customer, "pm_card_visa").await;
    tenant.house.post(&format!("/v1/invoices/{}/pay", id(&tenant.latest().await)), &[]).await.ok();
    assert_eq!(tenant.pending().await, [0; 0]);
    let standing = "select count(*) from invoice_items where standing";
    assert_eq!(tenant.house.count(standing).await, 0, "what is billed is looked at no more");
    tenant.advance("2026-12-01T02:00:00Z").await;
    has(&tenant.latest().await, &json!({"status": "paid", "total": 2000}));
}

/// Pending updates: a new update, pending or not, voids the one that waits and replaces it.
#[tokio::test(flavor = "multi_thread")]
async fn any_update_replaces_a_change_that_waits() {
    let (tenant, price) = waiting("flexible", "pm_card_chargeCustomerFail").await;
    let old = tenant.read().await["items"]["data"][0]["price"]["id"].clone();
    let card = tenant.house.post("/v1/payment_methods/pm_card_visa/attach", &[("customer", &tenant.customer)]).await;
    let card = id(&card.ok());
    for form in [
        vec![("cancel_at_period_end", "true")],
        vec![("pause_collection[behavior]", "void")],
        vec![("metadata[k]", "v")],
        vec![("default_payment_method", card.as_str())],
        vec![("items[0][id]", tenant.item.as_str()), ("items[0][quantity]", "3")],
    ] {
        tenant.update(&[("default_payment_method", ""), ("pause_collection", ""), NO_END]).await;
        let waiting = tenant.swap(&price, &[ALWAYS, PENDING]).await;
        assert!(waiting["pending_update"].is_object(), "{form:?}: {waiting:#}");
        let owed = tenant.latest().await;
        let updated = tenant.update(&form).await;
        has(&updated, &json!({"pending_update": null, "status": "active"}));
        assert_eq!(updated["items"]["data"][0]["price"]["id"], old, "{form:?}");
        assert_eq!(tenant.house.fresh(&owed).await["status"], "void", "{form:?}");
    }
    assert_eq!(tenant.read().await["items"]["data"][0]["quantity"], 3);
    // Saying nothing replaces nothing.
    let more = [ALWAYS, PENDING, ("items[0][quantity]", "3")];
    tenant.swap(&price, &more).await;
    assert!(tenant.update(&[]).await["pending_update"].is_object());
}
