//! Whose card pays an invoice: the customer's own, or one that belongs to nobody yet.

use serde_json::json;

use crate::catalogue::has;
use crate::invoice_payments::start;
use crate::support::{House, id};

/// The customer's cards, oldest first.
async fn cards(house: &House, customer: &str) -> Vec<String> {
    let mut cards = house.list(&format!("/v1/payment_methods?customer={customer}")).await;
    cards.reverse();
    cards.iter().map(id).collect()
}

/// A payment method belongs to one customer at a time, and a detached one to nobody ever again.
#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_is_not_paid_with_the_card_of_another() {
    let (house, customer, invoice) = start("2500").await;
    let stranger = house.customer("pm_card_mastercard", None).await;
    let theirs = cards(&house, &stranger).await.remove(0);
    let detached = house.default_card(&customer, "pm_card_amex").await;
    house.post(&format!("/v1/payment_methods/{detached}/detach"), &[]).await.ok();
    let pay = format!("/v1/invoices/{invoice}/pay");
    for (wrong, code) in [(&theirs, "resource_missing"), (&detached, "payment_method_unexpected_state")] {
        let refused = house.post(&pay, &[("payment_method", wrong)]).await.error(400);
        has(&refused, &json!({"type": "invalid_request_error", "param": "payment_method"}));
        assert_eq!(refused["code"], code, "{wrong}");
    }
    assert!(house.list("/v1/charges").await.is_empty());
    has(&house.get(&format!("/v1/invoices/{invoice}")).await.ok(), &json!({"status": "open", "attempt_count": 0}));
    // The customer's own does, default or not, and so does one that belongs to nobody.
    let own = cards(&house, &customer).await.remove(0);
    house.post(&pay, &[("payment_method", &own)]).await.ok();
    assert_eq!(house.list("/v1/charges").await[0]["payment_method"], *own);
}

/// Detaching clears the defaults that name the card; those of invoices that can still be paid too.
#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_is_detached_is_no_invoices_default() {
    let (house, customer, open) = start("2500").await;
    let draft = id(&house.post("/v1/invoices", &[("customer", &customer)]).await.ok());
    let card = house.post("/v1/payment_methods/pm_card_amex/attach", &[("customer", &customer)]).await.ok();
    for invoice in [&open, &draft] {
        let form = [("default_payment_method", &*id(&card))];
        house.post(&format!("/v1/invoices/{invoice}"), &form).await.ok();
    }
    let before = house.mark().await;
    house.post(&format!("/v1/payment_methods/{}/detach", id(&card)), &[]).await.ok();
    house.told(before).await.are("invoice.updated invoice.updated payment_method.detached");
    for invoice in [&open, &draft] {
        has(&house.get(&format!("/v1/invoices/{invoice}")).await.ok(), &json!({"default_payment_method": null}));
    }
    // The next level names the card.
    let paid = house.post(&format!("/v1/invoices/{open}/pay"), &[]).await.ok();
    assert_eq!(paid["status"], "paid");
    assert_eq!(house.list("/v1/charges").await[0]["payment_method_details"]["card"]["brand"], "visa");
}
