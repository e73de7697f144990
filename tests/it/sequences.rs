//! The canonical event sequences: what is told in each scenario, in which order, and what it says had
//! been before. Sets are compared where the order is free, lists where one thing causes the next.

use reqwest::Method;
use serde_json::json;

use crate::catalogue::has;
use crate::dunning::custom;
use crate::states::Story;
use crate::support::{House, at, id};

/// A payment that works, from the charge to the end.
const PAID: &str = "charge.succeeded payment_intent.succeeded invoice.updated invoice.paid invoice.payment_succeeded \
                    invoice_payment.paid";

/// A payment that fails.
const FAILED: &str = "charge.failed payment_intent.payment_failed invoice.updated invoice.payment_failed";

/// 20.1: create with a working card.
#[tokio::test(flavor = "multi_thread")]
async fn create_with_a_working_card() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let customer = house.customer("pm_card_visa", None).await;
    let mark = house.mark().await;
    let form = [
        ("customer", customer.as_str()),
        ("items[0][price]", &price),
        ("payment_settings[save_default_payment_method]", "on_subscription"),
    ];
    house.post("/v1/subscriptions", &form).await.ok();
    let told = house.told(mark).await;
    told.hold(&format!(
        "customer.subscription.created invoice.created invoice.finalized payment_intent.created {PAID} customer.updated"
    ));
    assert_eq!(told.types()[0], "customer.subscription.created");
    has(told.object("customer.subscription.created"), &json!({"status": "active"}));
    has(told.previous("customer.updated"), &json!({"currency": null}));
    has(told.previous("invoice.updated"), &json!({"status": "open", "amount_paid": 0, "amount_remaining": 2000}));
    // The currency is set once.
    let mark = house.mark().await;
    house.subscribe(&customer, &price).await;
    let told = house.told(mark).await;
    told.hold(&format!(
        "customer.subscription.created invoice.created invoice.finalized payment_intent.created {PAID}"
    ));
}

/// 20.2: `default_incomplete`, then confirmed; and never confirmed.
#[tokio::test(flavor = "multi_thread")]
async fn default_incomplete_then_confirmed_or_never() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    for confirmed in [true, false] {
        let clock = house.test_clock("2027-01-01T00:00:00Z").await;
        let customer = id(&house.post("/v1/customers", &[("test_clock", &clock)]).await.ok());
        let mark = house.mark().await;
        let form = [
            ("customer", customer.as_str()),
            ("items[0][price]", &price),
            ("payment_behavior", "default_incomplete"),
            ("expand[]", "latest_invoice.payments"),
        ];
        let made = house.post("/v1/subscriptions", &form).await.ok();
        let told = house.told(mark).await;
        told.hold(
            "customer.subscription.created invoice.created invoice.finalized payment_intent.created customer.updated",
        );
        has(told.object("customer.subscription.created"), &json!({"status": "incomplete"}));
        let mark = house.mark().await;
        if confirmed {
            let payment = &made["latest_invoice"]["payments"]["data"][0]["payment"]["payment_intent"];
            let confirm = format!("/v1/payment_intents/{}/confirm", payment.as_str().expect("an intent"));
            house.post(&confirm, &[("payment_method", "pm_card_visa")]).await.ok();
            let told = house.told(mark).await;
            told.hold(&format!("{PAID} payment_method.attached customer.subscription.updated"));
            assert_eq!(told.previous("customer.subscription.updated"), &json!({"status": "incomplete"}));
        } else {
            house.advance(&clock, "2027-01-01T23:00:00Z").await;
            let told = house.told(mark).await;
            told.are("invoice.voided payment_intent.canceled customer.subscription.updated");
            has(told.previous("customer.subscription.updated"), &json!({"status": "incomplete", "ended_at": null}));
            has(told.object("payment_intent.canceled"), &json!({"cancellation_reason": "void_invoice"}));
        }
    }
}

/// 20.3: the first payment fails, or needs the customer.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_payment_fails() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    for (card, outcome) in [
        ("pm_card_chargeCustomerFail", FAILED),
        (
            "pm_card_authenticationRequired",
            "payment_intent.requires_action invoice.updated invoice.payment_action_required",
        ),
    ] {
        let customer = house.customer(card, None).await;
        let mark = house.mark().await;
        house.subscribe(&customer, &price).await;
        let told = house.told(mark).await;
        told.hold(&format!(
            "customer.subscription.created invoice.created invoice.finalized payment_intent.created customer.updated {outcome}"
        ));
        has(told.object("customer.subscription.created"), &json!({"status": "incomplete"}));
    }
}

/// 20.4: a renewal succeeds, or comes to nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_succeeds() {
    let story = Story::begin().await;
    let mark = story.house.mark().await;
    story.advance("2027-02-01T00:00:00Z").await;
    let told = story.house.told(mark).await;
    told.are("invoice.created customer.subscription.updated");
    let previous = told.previous("customer.subscription.updated").as_object().expect("what was");
    assert_eq!(previous.keys().collect::<Vec<_>>(), ["items", "latest_invoice"]);
    has(&previous["items"]["data"][0], &json!({"current_period_start": at("2027-01-01T00:00:00Z")}));
    let mark = story.house.mark().await;
    story.advance("2027-02-01T01:00:00Z").await;
    let told = story.house.told(mark).await;
    told.are(&format!("invoice.finalized payment_intent.created {PAID}"));
    for event in &told.0 {
        assert_eq!(event["created"], at("2027-02-01T01:00:00Z"));
        assert_eq!(event["request"], json!({"id": null, "idempotency_key": null}));
    }

    // Zero total: no intent, and the paid pair all the same.
    let free = story.house.monthly_price(0).await;
    let free = id(&story.house.subscribe(&story.customer, &free).await);
    story.update(&[("cancel_at_period_end", "true")]).await;
    story.advance("2027-02-28T23:00:00Z").await;
    let mark = story.house.mark().await;
    story.advance("2027-03-01T02:00:00Z").await;
    let told = story.house.told(mark).await;
    let its = |event: &&serde_json::Value| event["data"]["object"].to_string().contains(&free);
    let types: Vec<&str> = told.0.iter().filter(its).map(|event| event["type"].as_str().expect("a type")).collect();
    assert_eq!(
        types.join(" "),
        "invoice.created customer.subscription.updated invoice.finalized invoice.updated invoice.paid \
         invoice.payment_succeeded"
    );
}

/// 20.5: a renewal fails, then recovers.
#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_fails_then_recovers() {
    let story = Story::begin().await;
    story.settings(&custom(&["1", "2", "2"])).await;
    story.card("pm_card_chargeCustomerFail").await;
    story.advance("2027-02-01T00:00:00Z").await;
    let mark = story.house.mark().await;
    story.advance("2027-02-01T01:00:00Z").await;
    let told = story.house.told(mark).await;
    told.are(&format!(
        "invoice.finalized payment_intent.created {FAILED} customer.subscription.updated customer.updated"
    ));
    assert_eq!(told.previous("customer.subscription.updated"), &json!({"status": "active"}));
    assert_eq!(told.previous("customer.updated"), &json!({"delinquent": false}));
    has(told.previous("invoice.updated"), &json!({"attempt_count": 0, "attempted": false}));
    has(told.object("invoice.payment_failed"), &json!({"attempt_count": 1, "attempted": true, "status": "open"}));

    // A failed attempt in between: by hand it does not count, and says nothing of the subscription.
    let owed = story.latest().await;
    let mark = story.house.mark().await;
    story.house.post(&format!("/v1/invoices/{owed}/pay"), &[]).await.error(402);
    let told = story.house.told(mark).await;
    told.are("charge.failed payment_intent.payment_failed invoice.payment_failed");

    // The first retry fails, too: it counts.
    let mark = story.house.mark().await;
    story.advance("2027-02-02T02:00:00Z").await;
    let told = story.house.told(mark).await;
    told.are(FAILED);
    let planned = [at("2027-02-02T01:00:00Z"), at("2027-02-04T01:00:00Z")];
    let previous = json!({"attempt_count": 1, "next_payment_attempt": planned[0]});
    assert_eq!(told.previous("invoice.updated"), &previous);
    has(told.object("invoice.payment_failed"), &json!({"attempt_count": 2, "next_payment_attempt": planned[1]}));

    // A new card, and the debt is paid.
    let mark = story.house.mark().await;
    story.card("pm_card_visa").await;
    story.house.told(mark).await.are("payment_method.attached customer.updated");
    let mark = story.house.mark().await;
    story.act(&owed, "pay", &[]).await;
    let told = story.house.told(mark).await;
    told.are(&format!("{PAID} customer.subscription.updated customer.updated"));
    assert_eq!(told.previous("customer.subscription.updated"), &json!({"status": "past_due"}));
    assert_eq!(told.previous("customer.updated"), &json!({"delinquent": true}));
}

/// 20.6: retries are exhausted; each setting, and the cycle after it.
#[tokio::test(flavor = "multi_thread")]
async fn retries_are_exhausted() {
    let failing_cycle =
        format!("invoice.created customer.subscription.updated invoice.finalized payment_intent.created {FAILED}");
    for (action, now, cycle) in [
        ("cancel", "customer.subscription.deleted invoice.updated", ""),
        ("unpaid", "customer.subscription.updated", "invoice.created customer.subscription.updated"),
        ("past_due", "", &*failing_cycle),
    ] {
        let story = Story::begin().await;
        story.settings(&custom(&["3", "4", "7"])).await;
        story.settings(&[("collection[final_action][subscription]", action)]).await;
        story.card("pm_card_chargeCustomerFail").await;
        story.advance("2027-02-15T00:00:00Z").await;
        let mark = story.house.mark().await;
        story.advance("2027-02-15T02:00:00Z").await;
        let told = story.house.told(mark).await;
        told.are(&format!("{FAILED} {now}"));
        has(told.object("invoice.payment_failed"), &json!({"attempt_count": 4, "next_payment_attempt": null}));
        if action == "cancel" {
            assert_eq!(
                told.object("customer.subscription.deleted")["cancellation_details"]["reason"],
                "payment_failed"
            );
            assert_eq!(told.0.last().expect("an event")["data"]["previous_attributes"], json!({"auto_advance": true}));
        }
        let mark = story.house.mark().await;
        story.advance("2027-03-01T02:00:00Z").await;
        story.house.told(mark).await.are(cycle);
    }
}

/// 20.8: cancel now, with a draft that was to be collected.
#[tokio::test(flavor = "multi_thread")]
async fn cancel_now() {
    let story = Story::begin().await;
    let mark = story.house.mark().await;
    let why = [("cancellation_details[comment]", "bye"), ("cancellation_details[feedback]", "unused")];
    story.house.call(Method::DELETE, &story.path(), &why, &[]).await.ok();
    let told = story.house.told(mark).await;
    told.are("customer.subscription.deleted");
    let ended = told.object("customer.subscription.deleted");
    let now = at("2027-01-01T00:00:00Z");
    has(ended, &json!({"status": "canceled", "canceled_at": now, "ended_at": now}));
    has(&ended["cancellation_details"], &json!({"comment": "bye", "feedback": "unused"}));

    let story = Story::begin().await;
    story.advance("2027-02-01T00:00:00Z").await;
    let mark = story.house.mark().await;
    story.house.delete(&story.path()).await.ok();
    let told = story.house.told(mark).await;
    told.are("customer.subscription.deleted invoice.updated");
    has(told.previous("invoice.updated"), &json!({"auto_advance": true}));
    has(told.object("invoice.updated"), &json!({"automatically_finalizes_at": null, "next_payment_attempt": null}));
}

/// 20.9: cancel at period end, its undo, and its end.
#[tokio::test(flavor = "multi_thread")]
async fn cancel_at_period_end() {
    let story = Story::begin().await;
    let mark = story.house.mark().await;
    story.update(&[("cancel_at_period_end", "true")]).await;
    let told = story.house.told(mark).await;
    told.are("customer.subscription.updated");
    let previous = json!({
        "cancel_at": null, "cancel_at_period_end": false, "canceled_at": null, "cancellation_details": {"reason": null},
    });
    assert_eq!(told.previous("customer.subscription.updated"), &previous);
    // Asking again changes nothing, so nothing is told.
    let mark = story.house.mark().await;
    story.update(&[("cancel_at_period_end", "true")]).await;
    story.house.told(mark).await.are("");
    let mark = story.house.mark().await;
    story.update(&[("cancel_at_period_end", "false")]).await;
    let told = story.house.told(mark).await;
    told.are("customer.subscription.updated");
    has(told.previous("customer.subscription.updated"), &json!({"cancel_at": at("2027-02-01T00:00:00Z")}));
    story.update(&[("cancel_at_period_end", "true")]).await;
    let mark = story.house.mark().await;
    story.advance("2027-02-02T00:00:00Z").await;
    story.house.told(mark).await.are("customer.subscription.deleted");
}

/// 20.15: a manual void, and its walk.
#[tokio::test(flavor = "multi_thread")]
async fn a_manual_void() {
    let story = Story::begin().await;
    story.settings(&[("collection[final_action][subscription]", "past_due")]).await;
    story.card("pm_card_chargeCustomerFail").await;
    story.advance("2027-03-01T02:00:00Z").await;
    let invoices = story.invoices().await;
    let mark = story.house.mark().await;
    story.act(&id(&invoices[1]), "void", &[]).await;
    story.house.told(mark).await.are("invoice.voided payment_intent.canceled");
    let mark = story.house.mark().await;
    story.act(&id(&invoices[2]), "void", &[]).await;
    let told = story.house.told(mark).await;
    told.are("invoice.voided payment_intent.canceled customer.subscription.updated");
    assert_eq!(told.previous("customer.subscription.updated"), &json!({"status": "past_due"}));
}

/// 20.15: deleting a customer ends each of its subscriptions first.
#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_customer() {
    let story = Story::begin().await;
    story.house.subscribe(&story.customer, &story.price).await;
    let mark = story.house.mark().await;
    story.house.delete(&format!("/v1/customers/{}", story.customer)).await.ok();
    let told = story.house.told(mark).await;
    told.are("customer.subscription.deleted customer.subscription.deleted payment_method.detached customer.deleted");
}

/// 20.12, the part of a payment out of band: `paid` alone, without a charge.
#[tokio::test(flavor = "multi_thread")]
async fn paid_out_of_band() {
    let story = Story::begin().await;
    story.card("pm_card_chargeCustomerFail").await;
    story.advance("2027-02-01T02:00:00Z").await;
    let mark = story.house.mark().await;
    story.act(&story.latest().await, "pay", &[("paid_out_of_band", "true")]).await;
    story
        .house
        .told(mark)
        .await
        .hold("invoice.updated invoice.paid payment_intent.canceled customer.subscription.updated customer.updated");
}

/// 20.7: a trial begins, is about to end, and ends: charged, or without a payment method.
#[tokio::test(flavor = "multi_thread")]
async fn a_trial() {
    const ZERO: &str = "invoice.created invoice.finalized invoice.updated invoice.paid invoice.payment_succeeded";
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    for (card, missing, end) in [
        (true, "cancel", "customer.subscription.updated invoice.created"),
        (false, "create_invoice", "customer.subscription.updated invoice.created"),
        (false, "cancel", "customer.subscription.deleted"),
        (false, "pause", "customer.subscription.paused customer.subscription.updated"),
    ] {
        let clock = house.test_clock("2027-01-01T00:00:00Z").await;
        let customer = id(&house.post("/v1/customers", &[("test_clock", &clock)]).await.ok());
        if card {
            house.default_card(&customer, "pm_card_visa").await;
        }
        let mark = house.mark().await;
        let form = [
            ("customer", &*customer),
            ("items[0][price]", &price),
            ("trial_period_days", "7"),
            ("trial_settings[end_behavior][missing_payment_method]", missing),
        ];
        house.post("/v1/subscriptions", &form).await.ok();
        let told = house.told(mark).await;
        let kept = if card { "" } else { "setup_intent.created" };
        told.hold(&format!("customer.subscription.created customer.updated {ZERO} {kept}"));
        has(told.object("customer.subscription.created"), &json!({"status": "trialing"}));
        let mark = house.mark().await;
        house.advance(&clock, "2027-01-07T00:00:00Z").await;
        let told = house.told(mark).await;
        told.are("customer.subscription.trial_will_end");
        assert_eq!(told.0[0]["created"], at("2027-01-05T00:00:00Z"));
        let mark = house.mark().await;
        house.advance(&clock, "2027-01-08T00:00:00Z").await;
        let told = house.told(mark).await;
        told.hold(end);
        if end.contains("invoice.created") {
            has(told.previous("customer.subscription.updated"), &json!({"status": "trialing"}));
        }
        let mark = house.mark().await;
        house.advance(&clock, "2027-01-08T02:00:00Z").await;
        let then = match (card, missing) {
            (true, _) => format!("invoice.finalized payment_intent.created {PAID}"),
            (false, "create_invoice") => {
                "invoice.finalized payment_intent.created invoice.updated invoice.payment_failed \
                                          customer.subscription.updated customer.updated"
                    .to_owned()
            }
            (false, _) => String::new(),
        };
        house.told(mark).await.are(&then);
    }
}

/// 20.12: a subscription whose invoices are sent: paid by its intent, out of band, or overdue.
#[tokio::test(flavor = "multi_thread")]
async fn sent_invoices() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    for way in ["intent", "out of band", "overdue"] {
        let clock = house.test_clock("2027-01-01T00:00:00Z").await;
        let customer = house.customer("pm_card_visa", Some(&clock)).await;
        let mark = house.mark().await;
        let form = [
            ("customer", &*customer),
            ("items[0][price]", &price),
            ("collection_method", "send_invoice"),
            ("days_until_due", "10"),
        ];
        let made = house.post("/v1/subscriptions", &form).await.ok();
        let told = house.told(mark).await;
        told.hold("customer.subscription.created invoice.created customer.updated");
        has(told.object("customer.subscription.created"), &json!({"status": "active"}));
        let mark = house.mark().await;
        house.advance(&clock, "2027-01-01T01:00:00Z").await;
        house.told(mark).await.are("invoice.finalized payment_intent.created invoice.sent");
        let invoice = made["latest_invoice"].as_str().expect("an invoice").to_owned();
        let mark = house.mark().await;
        match way {
            "intent" => {
                let payments = house.get(&format!("/v1/invoices/{invoice}?expand[]=payments")).await.ok();
                let intent = payments["payments"]["data"][0]["payment"]["payment_intent"].as_str().expect("an intent");
                let confirm = format!("/v1/payment_intents/{intent}/confirm");
                house.post(&confirm, &[("payment_method", "pm_card_visa")]).await.ok();
                let told = house.told(mark).await;
                assert!(
                    told.types().starts_with(&["charge.succeeded", "payment_intent.succeeded"]),
                    "{:?}",
                    told.types()
                );
                assert!(!told.types().contains(&"customer.subscription.updated"));
            }
            "out of band" => {
                house.post(&format!("/v1/invoices/{invoice}/pay"), &[("paid_out_of_band", "true")]).await.ok();
                house.told(mark).await.hold("invoice.updated invoice.paid payment_intent.canceled");
            }
            _ => {
                house.advance(&clock, "2027-01-10T23:59:59Z").await;
                house.told(mark).await.are("");
                house.advance(&clock, "2027-01-11T00:00:00Z").await;
                let told = house.told(mark).await;
                told.are("customer.subscription.updated customer.updated");
                assert_eq!(told.previous("customer.subscription.updated"), &json!({"status": "active"}));
                let mark = house.mark().await;
                house.post(&format!("/v1/invoices/{invoice}/pay"), &[("paid_out_of_band", "true")]).await.ok();
                house.told(mark).await.hold(
                    "invoice.updated invoice.paid payment_intent.canceled customer.subscription.updated customer.updated",
                );
            }
        }
    }
}

/// 20.15: resuming from `paused`, with its invoice.
#[tokio::test(flavor = "multi_thread")]
async fn a_resumption() {
    let story = Story::begin().await;
    let pause = [("bill_for[unused_time_from][type]", "none")];
    let mark = story.house.mark().await;
    story.house.post(&format!("{}/pause", story.path()), &pause).await.ok();
    story.house.told(mark).await.are("customer.subscription.paused customer.subscription.updated");
    let mark = story.house.mark().await;
    let form = [("payment_behavior", "resume_on_payment_success")];
    story.house.post(&format!("{}/resume", story.path()), &form).await.ok();
    story.house.told(mark).await.are(&format!(
        "invoice.created invoice.finalized payment_intent.created customer.subscription.updated {PAID} \
         customer.subscription.resumed customer.subscription.updated"
    ));
}

/// 20.11: an upgrade that is paid at once, a downgrade that becomes credit, and a change that waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_price() {
    for (cents, behavior, expected) in [
        (
            5000,
            "always_invoice",
            format!(
                "invoiceitem.created invoiceitem.created invoice.created invoice.finalized payment_intent.created {PAID} \
                 customer.subscription.updated"
            ),
        ),
        (
            1000,
            "always_invoice",
            "invoiceitem.created invoiceitem.created invoice.created invoice.finalized invoice.updated invoice.paid \
             invoice.payment_succeeded customer.updated customer.subscription.updated"
                .to_owned(),
        ),
        (5000, "create_prorations", "invoiceitem.created invoiceitem.created customer.subscription.updated".to_owned()),
    ] {
        let story = Story::begin().await;
        let other = story.house.monthly_price(cents).await;
        story.advance("2027-01-16T12:00:00Z").await;
        let item = id(&story.read().await["items"]["data"][0]);
        let mark = story.house.mark().await;
        let form = [("items[0][id]", &*item), ("items[0][price]", &other), ("proration_behavior", behavior)];
        story.update(&form).await;
        let told = story.house.told(mark).await;
        told.hold(&expected);
        let previous = told.previous("customer.subscription.updated").as_object().expect("what was");
        let invoiced = behavior == "always_invoice";
        let keys: &[&str] = if invoiced { &["items", "latest_invoice"] } else { &["items"] };
        assert_eq!(previous.keys().collect::<Vec<_>>(), keys);
    }
}
