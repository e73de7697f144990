//! Invoices that are sent, payments that wait for their customer, and invoices that are told of before
//! they are made: what happens around their days.

use serde_json::json;

use crate::catalogue::has;
use crate::dunning::custom;
use crate::states::Story;
use crate::support::{House, at, id};
use crate::webhooks::endpoint;

const SETTINGS: &str = "/v1/dunlin/settings";

impl Story {
    /// A monthly subscription whose invoices are sent and due after ten days, since 1 January.
    pub async fn sent(settings: &[(&str, &str)]) -> Story {
        let house = House::open().await;
        house.post(SETTINGS, settings).await.ok();
        let price = house.monthly_price(2000).await;
        let clock = house.test_clock("2027-01-01T00:00:00Z").await;
        let customer = house.customer("pm_card_visa", Some(&clock)).await;
        let form = [
            ("customer", &*customer),
            ("items[0][price]", &price),
            ("collection_method", "send_invoice"),
            ("days_until_due", "10"),
        ];
        let subscription = id(&house.post("/v1/subscriptions", &form).await.ok());
        Story { house, clock, customer, price, subscription }
    }
}

/// Up to three reminders around the due date; past due at the due date whatever is set.
#[tokio::test(flavor = "multi_thread")]
async fn reminders_around_the_due_date() {
    let days = [
        ("collection[manual_collection][reminder_days][0]", "-3"),
        ("collection[manual_collection][reminder_days][1]", "0"),
        ("collection[manual_collection][reminder_days][2]", "7"),
    ];
    let story = Story::sent(&days).await;
    assert_eq!(story.until("2027-01-01T01:00:00Z").await, "invoice.finalized payment_intent.created invoice.sent");
    assert_eq!(story.until("2027-01-07T23:59:59Z").await, "");
    assert_eq!(story.until("2027-01-08T00:00:00Z").await, "invoice.will_be_due");
    assert_eq!(
        story.until("2027-01-11T00:00:00Z").await,
        "invoice.overdue customer.subscription.updated customer.updated"
    );
    assert_eq!(story.read().await["status"], "past_due");
    // From the next reminder on the new days hold: the one that is set is kept.
    story.house.post(SETTINGS, &[("collection[manual_collection][reminder_days][0]", "12")]).await.ok();
    assert_eq!(story.until("2027-01-18T00:00:00Z").await, "invoice.overdue");
    assert_eq!(story.until("2027-01-23T00:00:00Z").await, "invoice.overdue");
    assert_eq!(story.until("2027-01-31T00:00:00Z").await, "");
    // What is paid is reminded of no more.
    let invoice = id(&story.invoices().await[0]);
    let form = [("paid_out_of_band", "true")];
    story.house.post(&format!("/v1/invoices/{invoice}/pay"), &form).await.ok();
    assert_eq!(story.read().await["status"], "active");
}

/// An invoice that does not advance by itself is not reminded of, until it may again.
#[tokio::test(flavor = "multi_thread")]
async fn reminders_stop_and_go_with_auto_advance() {
    let story = Story::sent(&[
        ("collection[manual_collection][reminder_days][0]", "-3"),
        ("collection[manual_collection][reminder_days][1]", "5"),
        ("collection[manual_collection][action]", "cancel"),
    ])
    .await;
    story.until("2027-01-01T01:00:00Z").await;
    let invoice = format!("/v1/invoices/{}", id(&story.invoices().await[0]));
    story.house.post(&invoice, &[("auto_advance", "false")]).await.ok();
    assert_eq!(story.until("2027-01-12T00:00:00Z").await, "customer.subscription.updated customer.updated");
    story.house.post(&invoice, &[("auto_advance", "true")]).await.ok();
    assert_eq!(story.until("2027-01-17T00:00:00Z").await, "invoice.overdue");
    assert!(story.until("2027-02-11T00:00:00Z").await.contains("customer.subscription.deleted"));
}

/// Nothing is set: no reminders, and it stays past due.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_reminded_unless_that_is_wanted() {
    let story = Story::sent(&[]).await;
    story.until("2027-01-01T01:00:00Z").await;
    assert_eq!(story.until("2027-01-31T00:00:00Z").await, "customer.subscription.updated customer.updated");
    story
        .house
        .post(&format!("/v1/subscriptions/{}", story.subscription), &[("cancel_at_period_end", "true")])
        .await
        .ok();
    story.until("2027-06-01T00:00:00Z").await;
    has(&story.invoices().await[0], &json!({"status": "open"}));
}

/// 30, 60 or 90 days past due: each of the three actions, and the later invoices.
#[tokio::test(flavor = "multi_thread")]
async fn the_action_after_30_60_or_90_days() {
    for (days, action, later, due, status, told) in [
        ("30", "cancel", "draft", "2027-02-10", "canceled", "customer.subscription.deleted invoice.updated"),
        ("60", "unpaid", "draft", "2027-03-12", "unpaid", "customer.subscription.updated"),
        ("90", "unpaid", "open", "2027-04-11", "unpaid", "customer.subscription.updated"),
        ("30", "past_due", "draft", "2027-02-10", "past_due", ""),
    ] {
        let story = Story::sent(&[
            ("collection[manual_collection][action]", action),
            ("collection[manual_collection][days_past_due]", days),
            ("collection[manual_collection][later_invoices]", later),
        ])
        .await;
        // Each later invoice is sent, and due, on its own; the first one decides.
        story.until(&format!("{due}T00:00:00Z")).await;
        let ended = story.read().await;
        assert_eq!(ended["status"], status, "{days} {action}");
        if action == "cancel" {
            assert_eq!(ended["ended_at"], at(&format!("{due}T00:00:00Z")));
            assert_eq!(ended["cancellation_details"]["reason"], "payment_failed");
        }
        let events = story.house.list("/v1/events").await;
        let last: Vec<&str> = events
            .iter()
            .filter(|event| event["created"] == at(&format!("{due}T00:00:00Z")))
            .map(|event| event["type"].as_str().unwrap())
            .filter(|kind| !kind.starts_with("test_helpers"))
            .collect();
        let first = told.split_whitespace().next();
        assert_eq!(last.last().copied(), first, "{days} {action}");
        has(&story.invoices().await[0], &json!({"status": "open"}));
        story.until("2027-05-01T02:00:00Z").await;
        let newest = story.invoices().await.pop().unwrap();
        match (action, later) {
            ("unpaid", "draft") => has(&newest, &json!({"status": "draft", "auto_advance": false})),
            ("unpaid" | "past_due", _) => has(&newest, &json!({"status": "open", "auto_advance": true})),
            _ => assert!(newest["created"].as_i64() < Some(at("2027-02-10T00:00:00Z"))),
        }
        assert_eq!(story.read().await["status"], status, "{days} {action}");
    }
}

/// The whole way of a sent invoice, from the draft to its action, as one sequence.
#[tokio::test(flavor = "multi_thread")]
async fn from_the_draft_to_the_action() {
    let story = Story::sent(&[
        ("collection[manual_collection][action]", "cancel"),
        ("collection[manual_collection][reminder_days][0]", "-3"),
        ("collection[manual_collection][reminder_days][1]", "3"),
    ])
    .await;
    assert_eq!(story.until("2027-01-01T00:30:00Z").await, "");
    assert_eq!(
        story.until("2027-01-31T23:00:00Z").await,
        "invoice.finalized payment_intent.created invoice.sent invoice.will_be_due customer.subscription.updated \
         customer.updated invoice.overdue"
    );
    assert_eq!(
        story.until("2027-02-02T00:00:00Z").await,
        "invoice.created customer.subscription.updated invoice.finalized payment_intent.created invoice.sent"
    );
    assert_eq!(
        story.until("2027-02-11T00:00:00Z").await,
        "invoice.will_be_due customer.subscription.deleted invoice.updated invoice.updated"
    );
    // Nothing happens any more, not even at the due date of the second.
    assert_eq!(story.until("2027-04-01T00:00:00Z").await, "");
    assert_eq!(story.house.get(&format!("/v1/customers/{}", story.customer)).await.ok()["delinquent"], true);
}

const REQUIRED: [(&str, &str); 3] = [
    ("collection[authentication][reminder_days][0]", "1"),
    ("collection[authentication][reminder_days][1]", "4"),
    ("collection[authentication][days_until_action]", "6"),
];

/// Authentication: reminders, and each action when nobody has completed it in time.
#[tokio::test(flavor = "multi_thread")]
async fn authentication_is_asked_for_again_and_ends() {
    for (action, status, told) in [
        ("cancel", "canceled", "invoice.updated customer.subscription.deleted invoice.updated"),
        ("unpaid", "unpaid", "invoice.updated customer.subscription.updated"),
        ("past_due", "past_due", "invoice.updated"),
    ] {
        let mut settings = REQUIRED.to_vec();
        settings.extend(custom(&["1", "30"]));
        settings.push(("collection[authentication][action]", action));
        let story = Story::failing("pm_card_authenticationRequired", &settings).await;
        assert_eq!(story.status().await, "past_due");
        let mark = story.house.mark().await;
        story.advance("2027-02-02T01:00:00Z").await;
        // The retry, which charges nothing, and the reminder.
        story.house.told(mark).await.are("invoice.updated invoice.payment_failed invoice.payment_action_required");
        let mark = story.house.mark().await;
        story.advance("2027-02-07T00:00:00Z").await;
        let told_since = story.house.told(mark).await;
        told_since.are("invoice.payment_action_required");
        has(told_since.object("invoice.payment_action_required"), &json!({"status": "open", "attempt_count": 2}));
        let mark = story.house.mark().await;
        story.advance("2027-02-07T01:00:00Z").await;
        story.house.told(mark).await.are(told);
        assert_eq!(story.status().await, status);
        has(&story.owed().await, &json!({"status": "open", "next_payment_attempt": null}));
        let mark = story.house.mark().await;
        story.advance("2027-02-27T00:00:00Z").await;
        story.house.told(mark).await.are("");
    }
}

/// The term of an authentication holds whether retries end before it or are not made at all.
#[tokio::test(flavor = "multi_thread")]
async fn authentication_has_a_term_of_its_own() {
    for retries in [("collection[retries][mode]", "off"), ("collection[retries][max_attempts]", "1")] {
        let mut settings = REQUIRED.to_vec();
        settings.push(retries);
        let story = Story::failing("pm_card_authenticationRequired", &settings).await;
        story.advance("2027-02-07T00:59:59Z").await;
        assert_eq!(story.status().await, "past_due", "{retries:?}");
        story.advance("2027-02-07T01:00:00Z").await;
        assert_eq!(story.status().await, "unpaid", "{retries:?}");
        has(&story.owed().await, &json!({"status": "open", "next_payment_attempt": null}));
    }
}

/// Who has authenticated, or paid with another card, is left alone; who tried in vain is not.
#[tokio::test(flavor = "multi_thread")]
async fn authentication_that_is_done_ends_nothing() {
    for (outcome, status) in [("succeed", "active"), ("fail", "canceled"), ("other card", "past_due")] {
        let mut settings = REQUIRED.to_vec();
        settings.push(("collection[authentication][action]", "cancel"));
        let story = Story::failing("pm_card_authenticationRequired", &settings).await;
        let owed = id(&story.owed().await);
        let payments = story.house.list(&format!("/v1/invoice_payments?invoice={owed}")).await;
        let intent = payments[0]["payment"]["payment_intent"].as_str().unwrap();
        if outcome == "other card" {
            story.card("pm_card_chargeCustomerFail").await;
            story.house.post(&format!("/v1/invoices/{owed}/pay"), &[]).await.error(402);
        } else {
            let path = format!("/v1/test_helpers/payment_intents/{intent}/authenticate");
            story.house.post(&path, &[("outcome", outcome)]).await;
        }
        let mark = story.house.mark().await;
        story.advance("2027-02-08T00:00:00Z").await;
        let told = story.house.told(mark).await;
        assert!(!told.types().contains(&"invoice.payment_action_required"), "{outcome}: {:?}", told.types());
        assert_eq!(story.status().await, status, "{outcome}");
    }
}

/// `invoice.upcoming`: the invoice as it will be, some days before the end of the period, without an id.
#[tokio::test(flavor = "multi_thread")]
async fn an_upcoming_invoice_is_told_of() {
    let story = Story::begin().await;
    let mark = story.house.mark().await;
    story.advance("2027-01-31T23:00:00Z").await;
    story.house.told(mark).await.are("");
    story.house.post(SETTINGS, &[("invoice[upcoming_days]", "3")]).await.ok();
    story.advance("2027-02-02T00:00:00Z").await;
    story.house.post(SETTINGS, &[("invoice[upcoming_days]", "5")]).await.ok();
    let mark = story.house.mark().await;
    story.advance("2027-02-25T23:59:59Z").await;
    // A change takes effect from the next period.
    story.house.told(mark).await.are("");
    story.advance("2027-02-26T00:00:00Z").await;
    let told = story.house.told(mark).await;
    told.are("invoice.upcoming");
    let upcoming = told.object("invoice.upcoming");
    has(upcoming, &json!({"object": "invoice", "status": "draft", "billing_reason": "upcoming", "total": 2000}));
    has(upcoming, &json!({"created": at("2027-03-01T00:00:00Z"), "number": null}));
    assert!(upcoming.get("id").is_none());
    assert_eq!(upcoming["lines"]["data"][0]["period"]["end"], at("2027-04-01T00:00:00Z"));
    // It has changed nothing, and is told once.
    assert_eq!(story.invoices().await.len(), 2);
    let mark = story.house.mark().await;
    story.advance("2027-02-28T23:00:00Z").await;
    story.house.told(mark).await.are("");
    story.advance("2027-03-02T00:00:00Z").await;
    let mark = story.house.mark().await;
    story.advance("2027-03-27T00:00:00Z").await;
    story.house.told(mark).await.are("invoice.upcoming");
}

/// Not of what is not charged: paused collection, an end with the period.
#[tokio::test(flavor = "multi_thread")]
async fn an_upcoming_invoice_that_will_not_be_charged_is_not_told_of() {
    for form in [&[("pause_collection[behavior]", "void")][..], &[("cancel_at_period_end", "true")], &[]] {
        let story = Story::begin().await;
        story.house.post(SETTINGS, &[("invoice[upcoming_days]", "7")]).await.ok();
        story.advance("2027-02-02T00:00:00Z").await;
        if !form.is_empty() {
            story.update(form).await;
        }
        let mark = story.house.mark().await;
        story.advance("2027-02-28T23:00:00Z").await;
        story.house.told(mark).await.are(if form.is_empty() { "invoice.upcoming" } else { "" });
    }
}

/// An endpoint that names the event is enough: then it is a week.
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_may_ask_for_upcoming_invoices() {
    let house = House::open().await;
    endpoint(&house, "http://127.0.0.1:9/", &["*"]).await;
    let price = house.monthly_price(2000).await;
    let quiet = house.customer("pm_card_visa", None).await;
    house.subscribe(&quiet, &price).await;
    endpoint(&house, "http://127.0.0.1:9/", &["invoice.upcoming"]).await;
    let customer = house.customer("pm_card_visa", None).await;
    house.subscribe(&customer, &price).await;
    house.advance_wall("2027-01-24T23:59:59Z").await;
    assert!(house.list("/v1/events?type=invoice.upcoming").await.is_empty());
    house.advance_wall("2027-01-25T00:00:00Z").await;
    let told = house.list("/v1/events?type=invoice.upcoming").await;
    assert_eq!(
        told.iter().map(|event| event["data"]["object"]["customer"].as_str()).collect::<Vec<_>>(),
        [Some(&*customer)]
    );
}

/// How long a draft can be edited, and the first invoice after a trial.
#[tokio::test(flavor = "multi_thread")]
async fn how_invoices_are_made() {
    let story = Story::begin().await;
    let settings =
        [("invoice[finalize_after]", "86400"), ("invoice[statement_descriptor_after_trial]", "ADA TRIAL OVER")];
    story.house.post(SETTINGS, &settings).await.ok();
    let form = [("customer", &*story.customer), ("items[0][price]", &story.price), ("trial_period_days", "10")];
    let trial = id(&story.house.post("/v1/subscriptions", &form).await.ok());
    story.advance("2027-01-11T00:00:00Z").await;
    let first = async || story.house.list(&format!("/v1/invoices?subscription={trial}")).await.remove(0);
    let due = at("2027-01-12T00:00:00Z");
    has(&first().await, &json!({"status": "draft", "automatically_finalizes_at": due, "next_payment_attempt": due}));
    assert_eq!(first().await["statement_descriptor"], "ADA TRIAL OVER");
    story.advance("2027-01-11T23:59:59Z").await;
    assert_eq!(first().await["status"], "draft");
    story.advance("2027-01-12T00:00:00Z").await;
    assert_eq!(first().await["status"], "paid");
    let payments = story.house.list(&format!("/v1/invoice_payments?invoice={}", id(&first().await))).await;
    let intent = payments[0]["payment"]["payment_intent"].as_str().unwrap();
    let intent = story.house.get(&format!("/v1/payment_intents/{intent}")).await.ok();
    assert_eq!(intent["statement_descriptor"], "ADA TRIAL OVER");
    // Later ones are as usual; and 0 finalises at once.
    story.house.post(SETTINGS, &[("invoice[finalize_after]", "0")]).await.ok();
    story.advance("2027-02-11T00:00:00Z").await;
    has(&first().await, &json!({"status": "paid", "statement_descriptor": null}));
    // A draft never outlives what it bills.
    story.house.post(SETTINGS, &[("invoice[finalize_after]", "259200")]).await.ok();
    let product = story.house.post("/v1/products", &[("name", "Daily")]).await.ok();
    let price =
        [("product", &*id(&product)), ("currency", "usd"), ("unit_amount", "100"), ("recurring[interval]", "day")];
    let price = id(&story.house.post("/v1/prices", &price).await.ok());
    let daily = id(&story.house.subscribe(&story.customer, &price).await);
    story.advance("2027-02-12T00:00:00Z").await;
    let draft = story.house.list(&format!("/v1/invoices?subscription={daily}")).await.remove(0);
    assert_eq!(draft["automatically_finalizes_at"], at("2027-02-12T23:00:00Z"));
}
