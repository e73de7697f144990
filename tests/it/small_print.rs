//! Small promises about money: what is told, in which currency, and who may see it.

use std::sync::Arc;

use dunlin::{
    billing::{
        Timestamp,
        answer::{Answer, Decline},
        payment_intent::Action,
    },
    gateway::{CardSource, Gateway, Question, Tokenized, Unanswered, test_cards::TestCards},
};
use futures_util::future::BoxFuture;
use serde_json::json;

use crate::catalogue::has;
use crate::support::{House, execute, id};

/// What was to be billed and never will be is told of.
#[tokio::test(flavor = "multi_thread")]
async fn the_pending_items_of_a_deleted_customer_are_deleted_aloud() {
    let house = House::open().await;
    let customer = house.customer("pm_card_visa", None).await;
    let form = [("customer", &*customer), ("currency", "usd"), ("amount", "500")];
    let item = id(&house.post("/v1/invoiceitems", &form).await.ok());
    let before = house.mark().await;
    house.delete(&format!("/v1/customers/{customer}")).await.ok();
    let told = house.told(before).await;
    told.are("payment_method.detached invoiceitem.deleted customer.deleted");
    assert_eq!(told.one("invoiceitem.deleted")["data"]["object"]["id"], *item);
}

/// A balance is in a currency: from then on the customer is billed in no other.
#[tokio::test(flavor = "multi_thread")]
async fn a_balance_fixes_the_currency() {
    let house = House::open().await;
    let euros = [
        ("product_data[name]", "Basic"),
        ("currency", "eur"),
        ("unit_amount", "2000"),
        ("recurring[interval]", "month"),
    ];
    let price = id(&house.post("/v1/prices", &euros).await.ok());
    let made = house.post("/v1/customers", &[("balance", "-500")]).await.ok();
    has(&made, &json!({"balance": -500, "currency": "usd"}));
    let form = [("balance", "-500")];
    let plain = house.post("/v1/customers", &[]).await.ok();
    assert_eq!(plain["currency"], json!(null));
    assert_eq!(house.post(&format!("/v1/customers/{}", id(&plain)), &form).await.ok()["currency"], "usd");
    for customer in [&made, &plain] {
        house.default_card(&id(customer), "pm_card_visa").await;
        house.subscribe_with(&id(customer), &price, &[]).await.error(400);
    }
    // No balance, no currency.
    let free = house.post("/v1/customers", &[("balance", "0")]).await.ok();
    assert_eq!(free["currency"], json!(null));
    let customer = house.customer("pm_card_visa", None).await;
    house.subscribe_with(&customer, &price, &[]).await.ok();
}

/// What cannot be charged any more because so little is left of it can still be described.
#[tokio::test(flavor = "multi_thread")]
async fn metadata_asks_for_no_amount() {
    let house = House::open().await;
    let customer = house.customer("pm_card_visa", None).await;
    let draft = id(&house.post("/v1/invoices", &[("customer", &customer)]).await.ok());
    house.post(&format!("/v1/invoices/{draft}/add_lines"), &[("lines[0][amount]", "1000")]).await.ok();
    house.post(&format!("/v1/invoices/{draft}/finalize"), &[]).await.ok();
    house.post("/v1/credit_notes", &[("invoice", &*draft), ("amount", "970")]).await.ok();
    let joint = house.list(&format!("/v1/invoice_payments?invoice={draft}")).await.remove(0);
    let path = format!("/v1/payment_intents/{}", joint["payment"]["payment_intent"].as_str().unwrap());
    let described = house.post(&path, &[("metadata[k]", "v")]).await.ok();
    has(&described, &json!({"amount": 30, "metadata": {"k": "v"}}));
}

/// Test and live never mix: what is of the other mode does not exist.
#[tokio::test(flavor = "multi_thread")]
async fn the_refunds_of_a_charge_are_those_of_its_mode() {
    let house = House::open().await;
    let form = [("amount", "1000"), ("currency", "usd"), ("confirm", "true"), ("payment_method", "pm_card_visa")];
    let charge = house.post("/v1/payment_intents", &form).await.ok()["latest_charge"].as_str().unwrap().to_owned();
    let path = format!("/v1/charges/{charge}/refunds");
    assert_eq!(house.get(&path).await.ok()["data"], json!([]));
    let other_mode =
        "update charges set livemode = true, body = replace(body, '\"livemode\":false', '\"livemode\":true')";
    execute(&house.database_url, other_mode).await;
    assert_eq!(house.get(&path).await.error(404)["code"], "resource_missing");
}

/// Test cards, but the processor does not capture, and does not let go.
#[derive(Default)]
struct Stubborn(TestCards);

impl Gateway for Stubborn {
    fn tokenize<'a>(&'a self, source: &'a CardSource, now: Timestamp) -> BoxFuture<'a, Result<Tokenized, Decline>> {
        self.0.tokenize(source, now)
    }

    fn verify<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<(), Decline>> {
        self.0.verify(token)
    }

    fn ask<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Result<Answer, Unanswered>> {
        if matches!(question.action, Action::Capture | Action::Release) {
            return Box::pin(async { Ok(Answer::Declined(Decline::authentication_required())) });
        }
        self.0.ask(question)
    }
}

/// What was reserved stays reserved when it is not captured, and what is canceled stays canceled.
#[tokio::test(flavor = "multi_thread")]
async fn a_capture_that_is_declined_is_no_failed_payment() {
    let house = House::open_with(Arc::new(Stubborn::default()), 0).await;
    let form = [("amount", "1000"), ("currency", "usd"), ("confirm", "true"), ("payment_method", "pm_card_visa")];
    let reserved = house.post("/v1/payment_intents", &[&form[..], &[("capture_method", "manual")]].concat()).await.ok();
    let path = format!("/v1/payment_intents/{}", id(&reserved));
    let before = house.mark().await;
    let kept = house.post(&format!("{path}/capture"), &[]).await.ok();
    has(&kept, &json!({"status": "requires_capture", "amount_capturable": 1000, "amount_received": 0}));
    house.told(before).await.are("");
    let before = house.mark().await;
    has(&house.post(&format!("{path}/cancel"), &[]).await.ok(), &json!({"status": "canceled"}));
    house.told(before).await.are("payment_intent.canceled charge.refunded");
}
