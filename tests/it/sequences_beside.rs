//! The canonical event sequences that are told by what happens beside a subscription's cycle: its first
//! payment authenticated, invoices voided, credited and refunded, changes that wait, customers that go.

use serde_json::json;

use crate::catalogue::has;
use crate::changes::{MIDDLE, Tenant};
use crate::states::Story;
use crate::support::{House, id};

const PAID: &str = "charge.succeeded payment_intent.succeeded invoice.updated invoice.paid invoice.payment_succeeded \
                    invoice_payment.paid";

/// 20.2 with 3DS: the client confirms, authenticates, and is paid; or fails to.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_payment_is_authenticated() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    for outcome in ["succeed", "fail"] {
        let customer = id(&house.post("/v1/customers", &[]).await.ok());
        let form = [
            ("customer", customer.as_str()),
            ("items[0][price]", &price),
            ("payment_behavior", "default_incomplete"),
            ("expand[]", "latest_invoice.payments"),
        ];
        let made = house.post("/v1/subscriptions", &form).await.ok();
        let payment = &made["latest_invoice"]["payments"]["data"][0]["payment"]["payment_intent"];
        let intent = payment.as_str().expect("an intent");
        let mark = house.mark().await;
        let form = [("payment_method", "pm_card_threeDSecure2Required")];
        let waiting = house.post(&format!("/v1/payment_intents/{intent}/confirm"), &form).await.ok();
        assert_eq!(waiting["status"], "requires_action");
        house.told(mark).await.hold("payment_intent.requires_action invoice.updated invoice.payment_action_required");
        let mark = house.mark().await;
        let path = format!("/v1/test_helpers/payment_intents/{intent}/authenticate");
        house.post(&path, &[("outcome", outcome)]).await.ok();
        let told = house.told(mark).await;
        if outcome == "succeed" {
            told.hold(&format!("{PAID} payment_method.attached customer.subscription.updated"));
            assert_eq!(told.previous("customer.subscription.updated"), &json!({"status": "incomplete"}));
        } else {
            // The issuer was never asked: no charge. The subscription waits on.
            told.hold("payment_intent.payment_failed invoice.payment_failed");
            let path = format!("/v1/subscriptions/{}", id(&made));
            assert_eq!(house.get(&path).await.ok()["status"], "incomplete");
        }
    }
}

/// 20.15: voiding the first invoice ends the subscription that waited for it, whether by hand or by time.
#[tokio::test(flavor = "multi_thread")]
async fn voiding_the_first_invoice() {
    let house = House::open().await;
    let (price, customer) = (house.monthly_price(2000).await, house.customer("pm_card_chargeCustomerFail", None).await);
    let made = house.subscribe(&customer, &price).await;
    let mark = house.mark().await;
    house.post(&format!("/v1/invoices/{}/void", made["latest_invoice"].as_str().unwrap()), &[]).await.ok();
    let told = house.told(mark).await;
    told.are("invoice.voided payment_intent.canceled customer.subscription.updated");
    has(told.object("customer.subscription.updated"), &json!({"status": "incomplete_expired"}));
}

/// 20.15: a credit note over all that is due pays the invoice; its subscription recovers.
#[tokio::test(flavor = "multi_thread")]
async fn a_credit_note_to_zero() {
    let story = Story::begin().await;
    story.card("pm_card_chargeCustomerFail").await;
    story.advance("2027-02-01T02:00:00Z").await;
    let owed = story.latest().await;
    let mark = story.house.mark().await;
    story.house.post("/v1/credit_notes", &[("invoice", &*owed), ("amount", "500")]).await.ok();
    let told = story.house.told(mark).await;
    told.are("credit_note.created invoice.updated");
    has(told.previous("invoice.updated"), &json!({"amount_due": 2000, "amount_remaining": 2000}));
    let mark = story.house.mark().await;
    story.house.post("/v1/credit_notes", &[("invoice", &*owed), ("amount", "1500")]).await.ok();
    let told = story.house.told(mark).await;
    told.hold(
        "credit_note.created invoice.updated invoice.paid payment_intent.canceled customer.subscription.updated \
         customer.updated",
    );
    assert_eq!(told.types()[..3], ["credit_note.created", "invoice.updated", "invoice.paid"]);
    assert_eq!(told.previous("customer.subscription.updated"), &json!({"status": "past_due"}));
}

/// 20.15: a refund, in part and of the rest; the invoice stays paid and the subscription active.
#[tokio::test(flavor = "multi_thread")]
async fn a_refund() {
    let story = Story::begin().await;
    let invoice = story.house.get(&format!("/v1/invoices/{}?expand[]=payments", story.latest().await)).await.ok();
    let intent = invoice["payments"]["data"][0]["payment"]["payment_intent"].as_str().expect("an intent").to_owned();
    for form in [vec![("payment_intent", intent.as_str()), ("amount", "500")], vec![("payment_intent", &intent)]] {
        let mark = story.house.mark().await;
        story.house.post("/v1/refunds", &form).await.ok();
        let told = story.house.told(mark).await;
        told.hold("refund.created charge.refunded");
        has(told.object("refund.created"), &json!({"status": "succeeded"}));
    }
    let after = story.house.get(&format!("/v1/invoices/{}", id(&invoice))).await.ok();
    assert_eq!((&after["status"], story.status().await), (&json!("paid"), "active".to_owned()));
}

/// 20.15: a change that waits for its payment, applied or expired.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_waits() {
    const WAITS: &str = "invoiceitem.created invoiceitem.created invoice.created invoice.finalized \
                         payment_intent.created charge.failed payment_intent.payment_failed invoice.updated \
                         invoice.payment_failed customer.subscription.updated";
    for paid in [true, false] {
        let tenant = Tenant::of("flexible", &[("unit_amount", "1000")], "1").await;
        tenant.advance(MIDDLE).await;
        tenant.house.default_card(&tenant.customer, "pm_card_chargeCustomerFail").await;
        let price = tenant.price(&[("unit_amount", "2000")]).await;
        let mark = tenant.house.mark().await;
        let form = [("proration_behavior", "always_invoice"), ("payment_behavior", "pending_if_incomplete")];
        tenant.swap(&price, &form).await;
        tenant.house.told(mark).await.hold(WAITS);
        let owed = id(&tenant.latest().await);
        if paid {
            tenant.house.default_card(&tenant.customer, "pm_card_visa").await;
        }
        let mark = tenant.house.mark().await;
        if paid {
            tenant.house.post(&format!("/v1/invoices/{owed}/pay"), &[]).await.ok();
        } else {
            tenant.advance("2026-11-16T11:00:00Z").await;
        }
        let told = tenant.house.told(mark).await;
        if paid {
            told.hold(&format!("{PAID} customer.subscription.pending_update_applied customer.subscription.updated"));
            let types = told.types();
            let place = |kind: &str| types.iter().position(|told| *told == kind);
            let (applied, updated) =
                (place("customer.subscription.pending_update_applied"), place("customer.subscription.updated"));
            assert!(place("invoice.paid") < applied && applied < updated, "{types:?}");
        } else {
            told.hold("invoice.voided payment_intent.canceled customer.subscription.pending_update_expired");
        }
    }
}

/// 20.11 and 20.3: a change that is refused unless it is paid leaves no event but those of the payment.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_refused() {
    for (card, outcome) in [
        ("pm_card_chargeCustomerFail", "charge.failed payment_intent.payment_failed"),
        ("pm_card_authenticationRequired", "payment_intent.requires_action"),
    ] {
        let tenant = Tenant::of("flexible", &[("unit_amount", "1000")], "1").await;
        tenant.advance(MIDDLE).await;
        tenant.house.default_card(&tenant.customer, card).await;
        let form = [("amount", "-100"), ("currency", "usd"), ("description", "Sorry")];
        tenant.house.post(&format!("/v1/customers/{}/balance_transactions", tenant.customer), &form).await.ok();
        let price = tenant.price(&[("unit_amount", "2000")]).await;
        let facts = async || {
            let customer = tenant.house.get(&format!("/v1/customers/{}", tenant.customer)).await.ok();
            let of = format!("?customer={}", tenant.customer);
            let mut facts = vec![customer, tenant.read().await];
            for list in ["invoices", "invoiceitems"] {
                facts.extend(tenant.house.list(&format!("/v1/{list}{of}")).await);
            }
            facts.extend(tenant.house.list(&format!("/v1/customers/{}/balance_transactions", tenant.customer)).await);
            facts
        };
        let (before, mark) = (facts().await, tenant.house.mark().await);
        let form = [
            ("items[0][id]", tenant.item.as_str()),
            ("items[0][price]", &price),
            ("proration_behavior", "always_invoice"),
            ("payment_behavior", "error_if_incomplete"),
            ("metadata[k]", "v"),
        ];
        tenant.house.post(&tenant.path(), &form).await.error(402);
        assert_eq!(facts().await, before);
        let told = tenant.house.told(mark).await;
        told.are(&format!("payment_intent.created {outcome} payment_intent.canceled"));
        // What is paid tells all of it, in the usual order.
        tenant.house.default_card(&tenant.customer, "pm_card_visa").await;
        let mark = tenant.house.mark().await;
        tenant.house.post(&tenant.path(), &form).await.ok();
        let told = tenant.house.told(mark).await;
        told.hold(&format!(
            "invoiceitem.created invoiceitem.created invoice.created invoice.finalized payment_intent.created \
             customer.updated {PAID} customer.subscription.updated"
        ));
        let numbers: Vec<serde_json::Value> = tenant
            .house
            .list(&format!("/v1/invoices?customer={}", tenant.customer))
            .await
            .iter()
            .map(|invoice| invoice["number"].clone())
            .collect();
        let number = |last: &str| numbers.iter().any(|number| number.as_str().is_some_and(|text| text.ends_with(last)));
        assert!(numbers.len() == 2 && number("-0001") && number("-0002"), "no number is lost: {numbers:?}");
    }
}

/// 20.15: resuming in two steps: the invoice first, then the attempt, which decides the status.
#[tokio::test(flavor = "multi_thread")]
async fn a_resumption_on_an_attempt() {
    for card in ["pm_card_visa", "pm_card_chargeCustomerFail"] {
        let story = Story::begin().await;
        let pause = [("bill_for[unused_time_from][type]", "none")];
        story.house.post(&format!("{}/pause", story.path()), &pause).await.ok();
        let mark = story.house.mark().await;
        story.house.post(&format!("{}/resume", story.path()), &[]).await.ok();
        story
            .house
            .told(mark)
            .await
            .are("invoice.created invoice.finalized payment_intent.created customer.subscription.updated");
        let owed = story.latest().await;
        story.card(card).await;
        let mark = story.house.mark().await;
        let paid = story.house.post(&format!("/v1/invoices/{owed}/pay"), &[]).await;
        let told = story.house.told(mark).await;
        if card == "pm_card_visa" {
            paid.ok();
            told.hold(&format!("{PAID} customer.subscription.resumed customer.subscription.updated"));
        } else {
            paid.error(402);
            told.hold(
                "charge.failed payment_intent.payment_failed invoice.updated invoice.payment_failed \
                 customer.subscription.updated customer.updated",
            );
            assert_eq!(told.object("customer.subscription.updated")["status"], "past_due");
        }
    }
}

/// A pause drops a change that waits, with its invoice: then there is nothing to pay that is never made.
#[tokio::test(flavor = "multi_thread")]
async fn a_pause_drops_what_waits() {
    let tenant = Tenant::of("flexible", &[("unit_amount", "1000")], "1").await;
    tenant.advance(MIDDLE).await;
    tenant.house.default_card(&tenant.customer, "pm_card_chargeCustomerFail").await;
    let price = tenant.price(&[("unit_amount", "2000")]).await;
    let form = [("proration_behavior", "always_invoice"), ("payment_behavior", "pending_if_incomplete")];
    tenant.swap(&price, &form).await;
    let owed = id(&tenant.latest().await);
    let mark = tenant.house.mark().await;
    let pause = [("bill_for[unused_time_from][type]", "none")];
    let paused = tenant.house.post(&format!("{}/pause", tenant.path()), &pause).await.ok();
    has(&paused, &json!({"status": "paused", "pending_update": null}));
    tenant
        .house
        .told(mark)
        .await
        .are("invoice.voided payment_intent.canceled customer.subscription.paused customer.subscription.updated");
    assert_eq!(tenant.house.get(&format!("/v1/invoices/{owed}")).await.ok()["status"], "void");
}

/// 20.15: a customer is deleted that owes: what is open stays to be paid by hand, and advances no more.
#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_customer_that_owes() {
    let story = Story::begin().await;
    story.settings(&[("collection[final_action][subscription]", "past_due")]).await;
    story.card("pm_card_chargeCustomerFail").await;
    story.advance("2027-02-01T02:00:00Z").await;
    story.advance("2027-03-01T00:00:00Z").await;
    let mark = story.house.mark().await;
    story.house.delete(&format!("/v1/customers/{}", story.customer)).await.ok();
    let told = story.house.told(mark).await;
    told.hold(
        "customer.subscription.deleted invoice.updated invoice.updated payment_method.detached \
         payment_method.detached customer.deleted",
    );
    assert_eq!(told.types().first(), Some(&"customer.subscription.deleted"));
    assert_eq!(told.types().last(), Some(&"customer.deleted"));
    let mark = story.house.mark().await;
    story
        .house
        .post(&format!("/v1/test_helpers/test_clocks/{}/advance", story.clock), &[("frozen_time", "1806537600")])
        .await
        .ok();
    story.house.app.engine.advance_clocks().await.expect("the clock advances");
    story.house.told(mark).await.are("");
}
