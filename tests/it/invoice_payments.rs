//! Several payments for one invoice: attached ones, partial ones, and too much.

use serde_json::{Value, json};

use crate::catalogue::has;
use crate::support::{Answer, House, id};

/// A house with a customer and an open invoice of these cents.
pub async fn start(cents: &str) -> (House, String, String) {
    let house = House::open().await;
    let customer = house.customer("pm_card_visa", None).await;
    let draft = id(&house.post("/v1/invoices", &[("customer", &customer)]).await.ok());
    house.post(&format!("/v1/invoices/{draft}/add_lines"), &[("lines[0][amount]", cents)]).await.ok();
    house.post(&format!("/v1/invoices/{draft}/finalize"), &[]).await.ok();
    (house, customer, draft)
}

/// A payment intent of the customer, confirmed or not.
pub async fn intent(house: &House, customer: &str, cents: &str, more: &[(&str, &str)]) -> String {
    let form = [("customer", customer), ("amount", cents), ("currency", "usd")];
    let intent = house.post("/v1/payment_intents", &[&form, more].concat()).await.ok();
    id(&intent)
}

pub const CONFIRMED: [(&str, &str); 2] = [("confirm", "true"), ("payment_method", "pm_card_visa")];

pub async fn attach(house: &House, invoice: &str, intent: &str) -> Answer {
    house.post(&format!("/v1/invoices/{invoice}/attach_payment"), &[("payment_intent", intent)]).await
}

/// The payments of an invoice, its own first.
pub async fn payments(house: &House, invoice: &str) -> Vec<Value> {
    let mut payments = house.list(&format!("/v1/invoice_payments?invoice={invoice}")).await;
    payments.reverse();
    payments
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_paid_elsewhere_lowers_what_remains() {
    let (house, customer, invoice) = start("2500").await;
    let part = intent(&house, &customer, "1000", &CONFIRMED).await;
    let before = house.mark().await;
    let partly = attach(&house, &invoice, &part).await.ok();
    has(&partly, &json!({"status": "open", "amount_due": 2500, "amount_paid": 1000, "amount_remaining": 1500}));
    house.told(before).await.are("invoice.updated invoice_payment.paid");
    let joints = payments(&house, &invoice).await;
    // The invoice's own payment stays in step with what remains.
    has(&joints[0], &json!({"is_default": true, "status": "open", "amount_requested": 1500}));
    has(&joints[1], &json!({"is_default": false, "status": "paid", "amount_paid": 1000, "amount_requested": 1000}));
    let own = joints[0]["payment"]["payment_intent"].as_str().unwrap();
    assert_eq!(house.get(&format!("/v1/payment_intents/{own}")).await.ok()["amount"], 1500);
    let refused = house.post(&format!("/v1/invoices/{invoice}/void"), &[]).await.error(400);
    assert_eq!(refused["message"], "Invoices with `paid` payments cannot be voided.");
    // The rest is charged as usual.
    let paid = house.post(&format!("/v1/invoices/{invoice}/pay"), &[]).await.ok();
    has(&paid, &json!({"status": "paid", "amount_paid": 2500, "amount_remaining": 0, "amount_overpaid": 0}));
    let charged: i64 = house.list("/v1/charges").await.iter().map(|one| one["amount"].as_i64().unwrap()).sum();
    assert_eq!(charged, 2500);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attached_intent_pays_when_it_succeeds() {
    let (house, customer, invoice) = start("2500").await;
    let whole = intent(&house, &customer, "2500", &[]).await;
    let waiting = attach(&house, &invoice, &whole).await.ok();
    has(&waiting, &json!({"status": "open", "amount_paid": 0, "amount_remaining": 2500}));
    let before = house.mark().await;
    house.post(&format!("/v1/payment_intents/{whole}/confirm"), &[("payment_method", "pm_card_visa")]).await.ok();
    let path = format!("/v1/invoices/{invoice}");
    has(&house.get(&path).await.ok(), &json!({"status": "paid", "amount_paid": 2500, "amount_remaining": 0}));
    house.told(before).await.hold(
        "charge.succeeded payment_intent.succeeded invoice.updated invoice.paid invoice.payment_succeeded \
         invoice_payment.paid payment_intent.canceled",
    );
    let joints = payments(&house, &invoice).await;
    assert_eq!((&joints[0]["status"], &joints[1]["status"]), (&json!("canceled"), &json!("paid")));
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_becomes_credit() {
    let (house, customer, invoice) = start("2500").await;
    let more = intent(&house, &customer, "3000", &CONFIRMED).await;
    let paid = attach(&house, &invoice, &more).await.ok();
    has(&paid, &json!({"status": "paid", "amount_paid": 2500, "amount_remaining": 0, "amount_overpaid": 500}));
    assert_eq!(house.get(&format!("/v1/customers/{customer}")).await.ok()["balance"], -500);
    assert_eq!(house.list("/v1/events?type=invoice.overpaid").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intent_that_does_not_fit_is_refused() {
    let (house, customer, invoice) = start("2500").await;
    let stranger = house.customer("pm_card_visa", None).await;
    let theirs = intent(&house, &stranger, "1000", &CONFIRMED).await;
    let canceled = intent(&house, &customer, "1000", &[]).await;
    house.post(&format!("/v1/payment_intents/{canceled}/cancel"), &[]).await.ok();
    let own = payments(&house, &invoice).await[0]["payment"]["payment_intent"].as_str().unwrap().to_owned();
    for wrong in [&theirs, &canceled, &own, &"pi_x".to_owned()] {
        assert_eq!(attach(&house, &invoice, wrong).await.error(400)["param"], "payment_intent", "{wrong}");
    }
    let path = format!("/v1/invoices/{invoice}/attach_payment");
    assert_eq!(house.post(&path, &[]).await.error(400)["code"], "parameter_missing");
    let part = intent(&house, &customer, "1000", &[]).await;
    attach(&house, &invoice, &part).await.ok();
    assert_eq!(attach(&house, &invoice, &part).await.error(400)["param"], "payment_intent", "once is enough");
    // An intent that is given up is expected no longer; the invoice can be voided then.
    house.post(&format!("/v1/payment_intents/{part}/cancel"), &[]).await.ok();
    assert_eq!(payments(&house, &invoice).await[1]["status"], "canceled");
    house.post(&format!("/v1/invoices/{invoice}/void"), &[]).await.ok();
    let late = intent(&house, &customer, "1000", &CONFIRMED).await;
    assert_eq!(
        attach(&house, &invoice, &late).await.error(400)["message"],
        "You can only pass in open invoices. This invoice isn't open."
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn how_a_payment_may_be_asked_for() {
    let (house, _, invoice) = start("2500").await;
    let path = format!("/v1/invoices/{invoice}/pay");
    for (form, param) in [
        (vec![("source", "card_x")], "source"),
        (vec![("mandate", "mandate_x")], "mandate"),
        (vec![("paid_out_of_band", "true"), ("payment_method", "pm_card_visa")], "paid_out_of_band"),
        (vec![("payment_method", "pm_x")], "payment_method"),
    ] {
        assert_eq!(house.post(&path, &form).await.error(400)["param"], param);
    }
    let form = [("forgive", "true"), ("off_session", "false"), ("payment_method", "pm_card_mastercard")];
    let paid = house.post(&path, &form).await.ok();
    has(&paid, &json!({"status": "paid", "amount_paid": 2500}));
}
