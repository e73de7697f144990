//! A payment that failed is tried again, until it is paid or given up.

use std::sync::{Arc, atomic::Ordering};

use serde_json::{Value, json};

use crate::catalogue::has;
use crate::silence::Silent;
use crate::states::Story;
use crate::support::{House, at, id};

/// What is told of an attempt that fails.
const FAILED: &str = "charge.failed payment_intent.payment_failed invoice.updated invoice.payment_failed";
/// What is told of one that is not made, because there is nothing to charge.
const NOT_CHARGED: &str = "invoice.updated invoice.payment_failed";
const PAID: &str = "charge.succeeded payment_intent.succeeded invoice.updated invoice.paid invoice.payment_succeeded \
                    invoice_payment.paid customer.subscription.updated customer.updated";

const SETTINGS: &str = "/v1/dunlin/settings";

impl Story {
    /// A story with these settings; its renewal of 1 February fails at 1:00.
    pub async fn failing(card: &str, settings: &[(&str, &str)]) -> Story {
        let story = Story::begin().await;
        story.house.post(SETTINGS, settings).await.ok();
        story.card(card).await;
        story.advance("2027-02-01T02:00:00Z").await;
        story
    }

    /// The invoice that its renewal failed to collect.
    pub async fn owed(&self) -> Value {
        self.invoices().await.remove(1)
    }

    /// How often the invoice was tried, and when it will be again.
    async fn plan(&self) -> (i64, Option<i64>) {
        let owed = self.owed().await;
        (owed["attempt_count"].as_i64().unwrap(), owed["next_payment_attempt"].as_i64())
    }
}

pub fn custom<'a>(days: &[&'a str]) -> Vec<(&'static str, &'a str)> {
    let names = ["collection[retries][days][0]", "collection[retries][days][1]", "collection[retries][days][2]"];
    let mut form = vec![("collection[retries][mode]", "custom")];
    form.extend(names.into_iter().zip(days.iter().copied()));
    form
}

/// The default: 8 retries within 2 weeks, at times that are chosen, and then unpaid.
#[tokio::test(flavor = "multi_thread")]
async fn eight_retries_in_two_weeks() {
    let story = Story::failing("pm_card_chargeCustomerFail", &[]).await;
    let first = at("2027-02-01T01:00:00Z");
    let mut before = first;
    for made in 1..9 {
        let (count, next) = story.plan().await;
        let next = next.expect("a retry");
        assert_eq!(count, made);
        assert!(before + 3600 <= next && next <= first + 14 * 86_400, "{made}: {next}");
        assert_eq!(story.status().await, "past_due");
        story.house.advance_to(&story.clock, next).await;
        before = next;
    }
    assert_eq!(story.plan().await, (9, None));
    has(&story.owed().await, &json!({"status": "open", "auto_advance": true, "attempted": true}));
    assert_eq!(story.status().await, "unpaid");
    let mark = story.house.mark().await;
    story.advance("2027-02-28T00:00:00Z").await;
    story.house.told(mark).await.are("");
    assert_eq!(story.house.list(&format!("/v1/charges?customer={}", story.customer)).await.len(), 1 + 9);
}

/// Custom 3/5/7 days, action cancel: the worked example. A cancelled subscription is never tried again.
#[tokio::test(flavor = "multi_thread")]
async fn custom_retries_and_cancel() {
    let mut settings = custom(&["3", "5", "7"]);
    settings.push(("collection[final_action][subscription]", "cancel"));
    let story = Story::failing("pm_card_chargeCustomerFail", &settings).await;
    for (count, day) in [(1, "2027-02-04"), (2, "2027-02-09"), (3, "2027-02-16")] {
        let next = format!("{day}T01:00:00Z");
        assert_eq!(story.plan().await, (count, Some(at(&next))));
        story.advance(&next).await;
    }
    assert_eq!(story.plan().await, (4, None));
    let ended = story.read().await;
    has(&ended, &json!({"status": "canceled", "ended_at": at("2027-02-16T01:00:00Z")}));
    assert_eq!(ended["cancellation_details"]["reason"], "payment_failed");
    has(&story.owed().await, &json!({"status": "open", "auto_advance": false}));
    let mark = story.house.mark().await;
    story.card("pm_card_visa").await;
    story.advance("2027-06-01T00:00:00Z").await;
    story.house.told(mark).await.are("payment_method.attached customer.updated");
}

/// After the last attempt: each action for the subscription with each for the invoice.
#[tokio::test(flavor = "multi_thread")]
async fn what_follows_the_last_attempt() {
    for (subscription, status, events) in [
        ("cancel", "canceled", "customer.subscription.deleted invoice.updated"),
        ("unpaid", "unpaid", "customer.subscription.updated"),
        ("past_due", "past_due", ""),
    ] {
        for (invoice, invoice_status, more) in
            [("leave_open", "open", ""), ("uncollectible", "uncollectible", "invoice.marked_uncollectible")]
        {
            let mut settings = custom(&["1"]);
            settings.push(("collection[final_action][subscription]", subscription));
            settings.push(("collection[final_action][invoice]", invoice));
            let story = Story::failing("pm_card_chargeCustomerFail", &settings).await;
            let mark = story.house.mark().await;
            story.advance("2027-02-02T02:00:00Z").await;
            let told = story.house.told(mark).await;
            told.are(&format!("{FAILED} {events} {more}"));
            has(told.object("invoice.payment_failed"), &json!({"attempt_count": 2, "next_payment_attempt": null}));
            assert_eq!(story.status().await, status);
            let owed = story.owed().await;
            assert_eq!(owed["status"], invoice_status, "{subscription}");
            if invoice == "uncollectible" {
                assert_eq!(owed["status_details"]["uncollectible"]["reason"], "max_payment_attempts");
                has(&owed, &json!({"auto_advance": false}));
            }
            // The debt can still be paid by hand; who was cancelled stays so.
            story.card("pm_card_visa").await;
            story.act(&id(&owed), "pay", &[]).await;
            assert_eq!(story.status().await, if subscription == "cancel" { "canceled" } else { "active" });
        }
    }
}

/// Off: the first attempt is the last.
#[tokio::test(flavor = "multi_thread")]
async fn retries_can_be_off() {
    let story = Story::begin().await;
    story.house.post(SETTINGS, &[("collection[retries][mode]", "off")]).await.ok();
    story.card("pm_card_chargeCustomerFail").await;
    story.advance("2027-02-01T00:00:00Z").await;
    let mark = story.house.mark().await;
    story.advance("2027-02-01T02:00:00Z").await;
    story.house.told(mark).await.are(&format!(
        "invoice.finalized payment_intent.created {FAILED} customer.subscription.updated customer.updated \
         customer.subscription.updated"
    ));
    assert_eq!(story.status().await, "unpaid");
}

/// Settings changed in between are honoured from the next scheduling on: a date that is set stays.
#[tokio::test(flavor = "multi_thread")]
async fn settings_may_change_in_between() {
    let story = Story::failing("pm_card_chargeCustomerFail", &custom(&["1"])).await;
    story.house.post(SETTINGS, &custom(&["2", "4"])).await.ok();
    assert_eq!(story.plan().await, (1, Some(at("2027-02-02T01:00:00Z"))));
    story.advance("2027-02-02T02:00:00Z").await;
    assert_eq!(story.plan().await, (2, Some(at("2027-02-06T01:00:00Z"))), "the second gap");
    let form = [("collection[retries][mode]", "smart"), ("collection[retries][window]", "1_month")];
    story.house.post(SETTINGS, &form).await.ok();
    story.advance("2027-02-06T02:00:00Z").await;
    // The third of eight within 30 days of the first failure.
    let (count, next) = story.plan().await;
    let next = next.expect("a retry");
    assert_eq!(count, 3);
    assert!(at("2027-02-06T02:00:00Z") <= next && next <= at("2027-03-03T01:00:00Z"));
    let form = [("collection[retries][mode]", "off"), ("collection[final_action][subscription]", "cancel")];
    story.house.post(SETTINGS, &form).await.ok();
    assert_eq!(story.status().await, "past_due");
    story.house.advance_to(&story.clock, next).await;
    assert_eq!(story.plan().await, (4, None));
    assert_eq!(story.status().await, "canceled");
}

/// What a decline for good, and having no card at all, mean for the retries: they are made and counted,
/// but charge nothing until there is a new card.
#[tokio::test(flavor = "multi_thread")]
async fn retries_wait_for_a_new_card() {
    for (card, charges) in [("pm_card_visa_chargeCustomerFailLostCard", 2), ("pm_card_visa", 1)] {
        let story = Story::begin().await;
        story.settings(&custom(&["1", "2", "2"])).await;
        let kept = story.house.default_card(&story.customer, card).await;
        let owns_none = card == "pm_card_visa";
        if owns_none {
            for method in story.house.list(&format!("/v1/customers/{}/payment_methods", story.customer)).await {
                story.house.post(&format!("/v1/payment_methods/{}/detach", id(&method)), &[]).await.ok();
            }
        }
        story.advance("2027-02-01T02:00:00Z").await;
        assert_eq!(story.plan().await, (1, Some(at("2027-02-02T01:00:00Z"))), "{kept}");
        for (count, time) in [(2, "2027-02-02T02:00:00Z"), (3, "2027-02-04T02:00:00Z")] {
            let mark = story.house.mark().await;
            story.advance(time).await;
            let told = story.house.told(mark).await;
            told.are(NOT_CHARGED);
            has(told.object("invoice.payment_failed"), &json!({"attempt_count": count, "status": "open"}));
        }
        let made = story.house.list(&format!("/v1/charges?customer={}", story.customer)).await;
        assert_eq!(made.len(), charges);
        // A new default alone starts nothing: it serves the next retry.
        let mark = story.house.mark().await;
        story.card("pm_card_mastercard").await;
        story.house.told(mark).await.are("payment_method.attached customer.updated");
        assert_eq!(story.plan().await, (3, Some(at("2027-02-06T01:00:00Z"))));
        let mark = story.house.mark().await;
        story.advance("2027-02-06T02:00:00Z").await;
        story.house.told(mark).await.are(PAID);
        has(&story.owed().await, &json!({"status": "paid", "attempt_count": 4, "next_payment_attempt": null}));
        assert_eq!(story.status().await, "active");
    }
}

/// A payment that wants authentication stays in the plan, but its card is not charged again.
#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_wants_authentication_is_not_charged_again() {
    let story = Story::failing("pm_card_authenticationRequired", &custom(&["1", "2", "2"])).await;
    assert_eq!(story.plan().await, (1, Some(at("2027-02-02T01:00:00Z"))));
    let mark = story.house.mark().await;
    story.advance("2027-02-02T02:00:00Z").await;
    story.house.told(mark).await.are(NOT_CHARGED);
    let payments = story.house.list(&format!("/v1/invoice_payments?invoice={}", id(&story.owed().await))).await;
    let intent = payments[0]["payment"]["payment_intent"].as_str().unwrap().to_owned();
    // It can still be finished by the customer.
    let path = format!("/v1/test_helpers/payment_intents/{intent}/authenticate");
    story.house.post(&path, &[("outcome", "succeed")]).await.ok();
    has(&story.owed().await, &json!({"status": "paid", "attempt_count": 2, "next_payment_attempt": null}));
    assert_eq!(story.status().await, "active");
}

/// Attempts outside the plan neither count nor move it.
#[tokio::test(flavor = "multi_thread")]
async fn attempts_by_hand_leave_the_plan_alone() {
    let story = Story::failing("pm_card_chargeCustomerFail", &custom(&["1", "2", "2"])).await;
    let (planned, owed) = (story.plan().await, id(&story.owed().await));
    story.house.post(&format!("/v1/invoices/{owed}/pay"), &[]).await.error(402);
    assert_eq!(story.plan().await, planned);
    let payments = story.house.list(&format!("/v1/invoice_payments?invoice={owed}")).await;
    let confirm = format!("/v1/payment_intents/{}/confirm", payments[0]["payment"]["payment_intent"].as_str().unwrap());
    story.house.post(&confirm, &[("payment_method", "pm_card_chargeCustomerFail")]).await.error(402);
    assert_eq!(story.plan().await, planned);
    story.advance("2027-02-02T02:00:00Z").await;
    assert_eq!(story.plan().await, (2, Some(at("2027-02-04T01:00:00Z"))));
}

/// A card brought as `source`, the old way: the latest open invoice is tried once, outside the count.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_is_tried_at_once() {
    let story = Story::failing("pm_card_chargeCustomerFail", &[]).await;
    let planned = story.plan().await;
    let path = format!("/v1/customers/{}", story.customer);
    // A default payment method would be charged before any source.
    story.house.post(&path, &[("invoice_settings[default_payment_method]", "")]).await.ok();
    let mark = story.house.mark().await;
    story.house.post(&path, &[("source", "tok_chargeCustomerFail")]).await.ok();
    story.house.told(mark).await.are(
        "payment_method.attached customer.source.created customer.updated charge.failed payment_intent.payment_failed \
         invoice.payment_failed",
    );
    assert_eq!(story.plan().await, planned);
    let mark = story.house.mark().await;
    let customer = story.house.post(&path, &[("source", "tok_visa")]).await.ok();
    assert!(customer["default_source"].is_string());
    story
        .house
        .told(mark)
        .await
        .are(&format!("payment_method.attached customer.source.created customer.updated {PAID}"));
    assert_eq!(story.status().await, "active");
    for (form, param) in [([("source", "tok_nothing")], "source"), ([("source", "card_1")], "source")] {
        assert_eq!(story.house.post(&path, &form).await.error(400)["param"], param);
    }
}

/// `auto_advance` on an open invoice takes it out of the plan and puts it back.
#[tokio::test(flavor = "multi_thread")]
async fn auto_advance_puts_it_back_into_the_plan() {
    let story = Story::failing("pm_card_chargeCustomerFail", &custom(&["1", "2", "2"])).await;
    let path = format!("/v1/invoices/{}", id(&story.owed().await));
    let out = story.house.post(&path, &[("auto_advance", "false")]).await.ok();
    has(&out, &json!({"auto_advance": false, "next_payment_attempt": null}));
    let mark = story.house.mark().await;
    story.advance("2027-02-03T12:00:00Z").await;
    story.house.told(mark).await.are("");
    story.house.post(&path, &[("auto_advance", "true")]).await.ok();
    assert_eq!(story.plan().await, (1, Some(at("2027-02-04T12:00:00Z"))), "a day from now");
    // To the end of the plan, and then once more from its beginning.
    story.advance("2027-02-20T00:00:00Z").await;
    assert_eq!((story.plan().await.1, &*story.status().await), (None, "unpaid"));
    story.card("pm_card_visa").await;
    let back = story.house.post(&path, &[("auto_advance", "true")]).await.ok();
    has(&back, &json!({"next_payment_attempt": at("2027-02-21T00:00:00Z")}));
    story.advance("2027-02-21T00:00:00Z").await;
    assert_eq!(story.status().await, "active");
}

/// What was finalised without being collected is charged as soon as it may advance.
#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_that_was_never_tried_is_tried_at_once() {
    let story = Story::begin().await;
    story.advance("2027-02-01T00:30:00Z").await;
    let path = format!("/v1/invoices/{}", story.latest().await);
    let open = story.house.post(&format!("{path}/finalize"), &[("auto_advance", "false")]).await.ok();
    has(&open, &json!({"status": "open", "next_payment_attempt": null}));
    story.advance("2027-02-03T00:00:00Z").await;
    assert_eq!(story.owed().await["status"], "open");
    story.house.post(&path, &[("auto_advance", "true")]).await.ok();
    story.house.app.engine.advance_clocks().await.unwrap();
    has(&story.owed().await, &json!({"status": "paid", "attempt_count": 1}));
}

/// Each open invoice has a plan of its own; when one is given up and the subscription is unpaid, the
/// others are not tried any more either.
#[tokio::test(flavor = "multi_thread")]
async fn each_invoice_has_its_own_plan() {
    let story = Story::failing("pm_card_chargeCustomerFail", &custom(&["10", "10", "10"])).await;
    story.advance("2027-03-01T02:00:00Z").await;
    let plans = story.invoices().await[1..].iter().map(|one| one["next_payment_attempt"].as_i64()).collect::<Vec<_>>();
    assert_eq!(plans, [Some(at("2027-03-03T01:00:00Z")), Some(at("2027-03-11T01:00:00Z"))]);
    let mark = story.house.mark().await;
    story.advance("2027-03-03T02:00:00Z").await;
    let told = story.house.told(mark).await;
    told.are(&format!("{FAILED} customer.subscription.updated invoice.updated"));
    assert_eq!(told.0.last().unwrap()["data"]["object"]["id"], story.invoices().await[2]["id"]);
    let mark = story.house.mark().await;
    story.advance("2027-03-31T00:00:00Z").await;
    story.house.told(mark).await.are("");
}

/// A first payment has its 23 hours and is not tried again.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_payment_is_not_dunned() {
    let story = Story::begin().await;
    let customer = story.house.customer("pm_card_chargeCustomerFail", Some(&story.clock)).await;
    let incomplete = story.house.subscribe(&customer, &story.price).await;
    assert_eq!(incomplete["status"], "incomplete");
    let invoice = format!("/v1/invoices/{}", incomplete["latest_invoice"].as_str().unwrap());
    has(&story.house.get(&invoice).await.ok(), &json!({"next_payment_attempt": null, "attempt_count": 1}));
    story.advance("2027-01-01T22:59:59Z").await;
    has(&story.house.get(&invoice).await.ok(), &json!({"status": "open", "attempt_count": 1}));
    story.advance("2027-01-01T23:00:00Z").await;
    assert_eq!(story.house.get(&invoice).await.ok()["status"], "void");
}

/// An invoice of no subscription is dunned as well; only it is given up.
#[tokio::test(flavor = "multi_thread")]
async fn a_one_off_invoice_is_dunned() {
    let story = Story::begin().await;
    let mut settings = custom(&["1"]);
    settings.push(("collection[final_action][invoice]", "uncollectible"));
    story.house.post(SETTINGS, &settings).await.ok();
    story.card("pm_card_chargeCustomerFail").await;
    let item = [("customer", &*story.customer), ("amount", "700"), ("currency", "usd")];
    story.house.post("/v1/invoiceitems", &item).await.ok();
    let form =
        [("customer", &*story.customer), ("auto_advance", "true"), ("pending_invoice_items_behavior", "include")];
    let invoice = format!("/v1/invoices/{}", id(&story.house.post("/v1/invoices", &form).await.ok()));
    story.advance("2027-01-01T02:00:00Z").await;
    let next = at("2027-01-02T01:00:00Z");
    has(&story.house.get(&invoice).await.ok(), &json!({"attempt_count": 1, "next_payment_attempt": next}));
    story.advance("2027-01-02T02:00:00Z").await;
    has(&story.house.get(&invoice).await.ok(), &json!({"status": "uncollectible", "attempt_count": 2}));
    assert_eq!(story.status().await, "active");
}

/// A retry is a state like any attempt: whoever comes next asks again with the same key, and it counts once.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_survives_a_silent_processor() {
    let gateway = Arc::new(Silent::default());
    let house = House::open_with(Arc::<Silent>::clone(&gateway), 0).await;
    house.post(SETTINGS, &custom(&["1", "2", "2"])).await.ok();
    let (price, customer) = (house.monthly_price(2000).await, house.customer("pm_card_visa", None).await);
    house.subscribe(&customer, &price).await;
    house.default_card(&customer, "pm_card_chargeCustomerFail").await;
    house.advance_wall("2027-02-01T00:00:00Z").await;
    house.advance_wall("2027-02-01T01:00:00Z").await;
    let owed = async || house.list(&format!("/v1/invoices?customer={customer}")).await.remove(0);
    assert_eq!(owed().await["next_payment_attempt"], at("2027-02-02T01:00:00Z"));
    gateway.silent.store(true, Ordering::Relaxed);
    house.advance_wall("2027-02-02T01:00:00Z").await;
    let asked = owed().await;
    has(&asked, &json!({"attempt_count": 1, "next_payment_attempt": at("2027-02-02T01:00:00Z")}));
    // By hand it has to wait for the answer.
    house.post(&format!("/v1/invoices/{}/pay", id(&asked)), &[]).await.error(429);
    // Ticks that come meanwhile open no second attempt.
    for second in 1..30 {
        house.advance_wall(&format!("2027-02-02T01:00:{second:02}Z")).await;
        assert_eq!(owed().await, asked);
    }
    gateway.silent.store(false, Ordering::Relaxed);
    house.advance_wall("2027-02-02T01:02:00Z").await;
    has(&owed().await, &json!({"attempt_count": 2, "next_payment_attempt": at("2027-02-04T01:02:00Z")}));
    assert_eq!(house.list(&format!("/v1/charges?customer={customer}")).await.len(), 3);
}

/// A payment that took its time and failed in the end is tried again from then on.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_fails_late_is_retried() {
    let story = Story::begin().await;
    story.settings(&custom(&["1", "2"])).await;
    story.card("pm_card_processingFails").await;
    story.advance("2027-02-01T01:00:00Z").await;
    assert_eq!(story.plan().await, (1, None), "its outcome is awaited");
    story.advance("2027-02-01T02:00:00Z").await;
    assert_eq!(story.plan().await, (1, Some(at("2027-02-02T01:01:00Z"))));
    story.advance("2027-02-02T01:01:00Z").await;
    assert_eq!(story.plan().await, (2, None));
    story.advance("2027-02-02T02:00:00Z").await;
    assert_eq!(story.plan().await, (2, Some(at("2027-02-04T01:02:00Z"))));
}

/// The first attempt counts and begins the plan whoever made it, where the invoice advances by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_attempt_by_hand_begins_the_plan() {
    let story = Story::begin().await;
    story.settings(&custom(&["1", "2"])).await;
    story.card("pm_card_chargeCustomerFail").await;
    story.advance("2027-02-01T00:10:00Z").await;
    let draft = story.latest().await;
    story.house.post(&format!("/v1/invoices/{draft}/pay"), &[]).await.error(402);
    assert_eq!(story.plan().await, (1, Some(at("2027-02-02T00:10:00Z"))));
    story.advance("2027-02-01T12:00:00Z").await;
    assert_eq!(story.plan().await.0, 1, "not tried again when the draft would have been");
    story.advance("2027-02-02T12:00:00Z").await;
    assert_eq!(story.plan().await, (2, Some(at("2027-02-04T00:10:00Z"))));
}
