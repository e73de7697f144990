//! Payments attached to an invoice, and what becomes of the invoice's own beside them.

use serde_json::{Value, json};

use crate::catalogue::has;
use crate::invoice_payments::{CONFIRMED, attach, intent, payments, start};
use crate::support::{House, id};

const MINUTE_LATER: &str = "2027-01-01T00:01:00Z";

async fn read(house: &House, path: &str) -> Value {
    house.get(&format!("/v1/{path}")).await.ok()
}

/// The invoice's own intent.
async fn own(house: &House, invoice: &str) -> Value {
    let joint = payments(house, invoice).await.remove(0);
    read(house, &format!("payment_intents/{}", joint["payment"]["payment_intent"].as_str().unwrap())).await
}

async fn confirm(house: &House, intent: &str) -> Value {
    house.post(&format!("/v1/payment_intents/{intent}/confirm"), &[("payment_method", "pm_card_visa")]).await.ok()
}

/// What an invoice expects of an intent stays in its currency, and follows its amount.
#[tokio::test(flavor = "multi_thread")]
async fn an_attached_intent_keeps_its_currency() {
    let (house, customer, invoice) = start("2500").await;
    let attached = intent(&house, &customer, "2500", &[]).await;
    attach(&house, &invoice, &attached).await.ok();
    let path = format!("/v1/payment_intents/{attached}");
    assert_eq!(house.post(&path, &[("currency", "jpy")]).await.error(400)["param"], "currency");
    let changed = house.post(&path, &[("currency", "usd"), ("amount", "2000")]).await.ok();
    has(&changed, &json!({"currency": "usd", "amount": 2000}));
    has(&payments(&house, &invoice).await[1], &json!({"amount_requested": 2000, "status": "open"}));
    confirm(&house, &attached).await;
    has(&read(&house, &format!("invoices/{invoice}")).await, &json!({"status": "open", "amount_remaining": 500}));
    // What is attached to nothing may change.
    let free = intent(&house, &customer, "2500", &[]).await;
    let changed = house.post(&format!("/v1/payment_intents/{free}"), &[("currency", "jpy")]).await.ok();
    assert_eq!(changed["currency"], "jpy");
}

/// An invoice is paid once; what comes later is too much.
#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_is_told_to_be_paid_once() {
    let (house, customer, invoice) = start("2500").await;
    let (first, second) = (intent(&house, &customer, "2500", &[]).await, intent(&house, &customer, "2500", &[]).await);
    for one in [&first, &second] {
        attach(&house, &invoice, one).await.ok();
    }
    confirm(&house, &first).await;
    let before = house.mark().await;
    confirm(&house, &second).await;
    house
        .told(before)
        .await
        .hold("charge.succeeded payment_intent.succeeded invoice.updated invoice.overpaid customer.updated invoice_payment.paid");
    for kind in ["invoice.paid", "invoice.payment_succeeded"] {
        assert_eq!(house.list(&format!("/v1/events?type={kind}")).await.len(), 1, "{kind}");
    }
    has(&read(&house, &format!("invoices/{invoice}")).await, &json!({"status": "paid", "amount_overpaid": 2500}));
    assert_eq!(read(&house, &format!("customers/{customer}")).await["balance"], -2500);
    // Where each of them came from can be seen.
    let statuses = payments(&house, &invoice).await.into_iter().map(|joint| joint["status"].clone());
    assert_eq!(statuses.collect::<Vec<_>>(), ["canceled", "paid", "paid"]);
}

/// An invoice that is settled some other way while its own payment is under way owes nothing when that
/// fails, and nobody can pay it once more.
#[tokio::test(flavor = "multi_thread")]
async fn an_own_payment_that_fails_too_late_changes_nothing() {
    let settle = async |house: &House, customer: &str, invoice: &str, way: &str| match way {
        "attached" => {
            let whole = intent(house, customer, "2500", &CONFIRMED).await;
            attach(house, invoice, &whole).await.ok()
        }
        _ => house.post("/v1/credit_notes", &[("invoice", invoice), ("amount", "2500")]).await.ok(),
    };
    for way in ["attached", "credited"] {
        let (house, customer, invoice) = start("2500").await;
        house.default_card(&customer, "pm_card_processingFails").await;
        house.post(&format!("/v1/invoices/{invoice}/pay"), &[]).await.ok();
        assert_eq!(own(&house, &invoice).await["status"], "processing");
        settle(&house, &customer, &invoice, way).await;
        let path = format!("invoices/{invoice}");
        let paid = read(&house, &path).await;
        assert_eq!(paid["status"], "paid");
        let before = house.mark().await;
        house.advance_wall(MINUTE_LATER).await;
        house.told(before).await.are("charge.failed payment_intent.payment_failed payment_intent.canceled");
        assert_eq!(read(&house, &path).await, paid);
        assert_eq!(read(&house, &format!("customers/{customer}")).await["delinquent"], false);
        has(&own(&house, &invoice).await, &json!({"status": "canceled", "cancellation_reason": "automatic"}));
        assert_eq!(payments(&house, &invoice).await[0]["status"], "canceled");
    }
}

/// What remains is what its own intent asks for, once its payment has failed.
#[tokio::test(flavor = "multi_thread")]
async fn an_own_payment_that_fails_asks_for_the_rest() {
    let (house, customer, invoice) = start("2500").await;
    house.default_card(&customer, "pm_card_processingFails").await;
    house.post(&format!("/v1/invoices/{invoice}/pay"), &[]).await.ok();
    let part = intent(&house, &customer, "1000", &CONFIRMED).await;
    attach(&house, &invoice, &part).await.ok();
    house.advance_wall(MINUTE_LATER).await;
    has(&own(&house, &invoice).await, &json!({"status": "requires_payment_method", "amount": 1500}));
    assert_eq!(payments(&house, &invoice).await[0]["amount_requested"], 1500);
    assert_eq!(read(&house, &format!("customers/{customer}")).await["delinquent"], true);
    let paid = house.post(&format!("/v1/invoices/{invoice}/pay"), &[("payment_method", "pm_card_visa")]).await.ok();
    has(&paid, &json!({"status": "paid", "amount_paid": 2500, "amount_overpaid": 0}));
}

/// Money that was given back pays nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_refunded_payment_is_not_attached() {
    let (house, customer, invoice) = start("2500").await;
    let refund = async |intent: &str, form: &[(&str, &str)]| {
        house.post("/v1/refunds", &[&[("payment_intent", intent)], form].concat()).await.ok()
    };
    let whole = intent(&house, &customer, "2500", &CONFIRMED).await;
    refund(&whole, &[]).await;
    let part = intent(&house, &customer, "2500", &CONFIRMED).await;
    refund(&part, &[("amount", "1")]).await;
    let slow = [("confirm", "true"), ("payment_method", "pm_card_pendingRefund")];
    let pending = intent(&house, &customer, "2500", &slow).await;
    assert_eq!(refund(&pending, &[]).await["status"], "pending");
    for wrong in [&whole, &part, &pending] {
        assert_eq!(attach(&house, &invoice, wrong).await.error(400)["param"], "payment_intent");
    }
    // What was let go of when a part was captured is no refund.
    let captured = intent(&house, &customer, "2500", &[&CONFIRMED[..], &[("capture_method", "manual")]].concat()).await;
    house.post(&format!("/v1/payment_intents/{captured}/capture"), &[("amount_to_capture", "2000")]).await.ok();
    let partly = attach(&house, &invoice, &captured).await.ok();
    has(&partly, &json!({"status": "open", "amount_paid": 2000, "amount_remaining": 500}));
}

/// What a note took off cannot become due again while the rest is being paid.
#[tokio::test(flavor = "multi_thread")]
async fn a_credit_note_stays_while_a_payment_is_under_way() {
    let (house, customer, invoice) = start("2500").await;
    let note = id(&house.post("/v1/credit_notes", &[("invoice", &*invoice), ("amount", "500")]).await.ok());
    house.default_card(&customer, "pm_card_processing").await;
    house.post(&format!("/v1/invoices/{invoice}/pay"), &[]).await.ok();
    let void = format!("/v1/credit_notes/{note}/void");
    assert_eq!(house.post(&void, &[]).await.error(429)["code"], "lock_timeout");
    house.advance_wall(MINUTE_LATER).await;
    has(&read(&house, &format!("invoices/{invoice}")).await, &json!({"status": "paid", "amount_paid": 2000}));
    house.post(&void, &[]).await.error(400);
}

/// The same where a credit note had settled it: the money that comes is too much.
#[tokio::test(flavor = "multi_thread")]
async fn an_own_payment_that_succeeds_too_late_becomes_credit() {
    let (house, customer, invoice) = start("2500").await;
    house.default_card(&customer, "pm_card_processing").await;
    house.post(&format!("/v1/invoices/{invoice}/pay"), &[]).await.ok();
    house.post("/v1/credit_notes", &[("invoice", &*invoice), ("amount", "2500")]).await.ok();
    let before = house.mark().await;
    house.advance_wall(MINUTE_LATER).await;
    house.told(before).await.hold(
        "charge.succeeded payment_intent.succeeded invoice.updated invoice.overpaid customer.updated invoice_payment.paid",
    );
    assert_eq!(house.list("/v1/events?type=invoice.paid").await.len(), 1);
    assert_eq!(read(&house, &format!("customers/{customer}")).await["balance"], -2500);
}
