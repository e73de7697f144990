//! The status `paused`, and the ways out of it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::catalogue::has;
use crate::states::Story;
use crate::support::{House, at, id};

/// What is not given back: then a pause costs nothing and brings nothing.
const KEEP: &[(&str, &str)] = &[("bill_for[unused_time_from][type]", "none")];
const PAID: &str = "charge.succeeded payment_intent.succeeded invoice.updated invoice.paid invoice.payment_succeeded \
                    invoice_payment.paid";

impl Story {
    async fn pause(&self, form: &[(&str, &str)]) -> Value {
        self.house.post(&format!("{}/pause", self.path()), form).await.ok()
    }

    async fn resume(&self, form: &[(&str, &str)]) -> Value {
        self.house.post(&format!("{}/resume", self.path()), form).await.ok()
    }

    /// The invoice items that wait for its customer's next invoice.
    async fn pending(&self) -> Vec<Value> {
        self.house.list(&format!("/v1/invoiceitems?customer={}&pending=true", self.customer)).await
    }

    async fn balance(&self) -> Value {
        self.house.get(&format!("/v1/customers/{}", self.customer)).await.ok()["balance"].clone()
    }
}

/// Pausing: at once, the rest of the period is given back, and nothing happens any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_pause_ends_the_period_and_gives_the_rest_back() {
    let story = Story::begin().await;
    story.advance("2027-01-16T12:00:00Z").await;
    let now = at("2027-01-16T12:00:00Z");
    let mark = story.house.mark().await;
    let paused = story.pause(&[]).await;
    has(&paused, &json!({"status": "paused", "ended_at": null, "cancel_at": null}));
    let details = json!({"paused": {
        "subscription": {"type": "pause_requested"}, "transitioned_at": now, "type": "subscription",
    }});
    assert_eq!(paused["status_details"], details);
    assert_eq!(paused["items"]["data"][0]["current_period_end"], now);
    let told = story.house.told(mark).await;
    told.are("invoiceitem.created customer.subscription.paused customer.subscription.updated");
    has(told.object("customer.subscription.paused"), &json!({"status": "paused"}));
    let previous = told.previous("customer.subscription.updated").as_object().expect("what was");
    assert_eq!(previous.keys().collect::<Vec<_>>(), ["items", "status", "status_details"]);
    assert_eq!((&previous["status"], &previous["status_details"]), (&json!("active"), &json!(null)));
    // Half of January is left.
    let pending = story.pending().await;
    has(&pending[0], &json!({"amount": -1000, "proration": true}));
    assert_eq!(pending[0]["period"], json!({"start": now, "end": at("2027-02-01T00:00:00Z")}));
    // No cycle, no invoices.
    let mark = story.house.mark().await;
    story.advance("2027-06-01T00:00:00Z").await;
    story.house.told(mark).await.are("");
    assert_eq!(story.invoices().await.len(), 1);
}

/// What is billed for when pausing, and when.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_pause_gives_back() {
    for (from, amount) in [("now", -1000), ("item_current_period_start", -2000), ("none", 0)] {
        let story = Story::begin().await;
        story.advance("2027-01-16T12:00:00Z").await;
        story.pause(&[("bill_for[unused_time_from][type]", from)]).await;
        let pending: i64 = story.pending().await.iter().map(|item| item["amount"].as_i64().unwrap()).sum();
        assert_eq!((pending, story.balance().await), (amount, json!(0)), "{from}");
    }
    // Invoiced at once it becomes credit.
    let story = Story::begin().await;
    story.advance("2027-01-16T12:00:00Z").await;
    let mark = story.house.mark().await;
    let paused = story.pause(&[("invoicing_behavior", "invoice")]).await;
    let told = story.house.told(mark).await;
    told.are(
        "invoiceitem.created invoice.created invoice.finalized invoice.updated invoice.paid invoice.payment_succeeded
         customer.updated customer.subscription.paused customer.subscription.updated",
    );
    assert_eq!((story.pending().await.len(), story.balance().await), (0, json!(-1000)));
    let invoice = story.invoices().await.remove(1);
    has(&invoice, &json!({"total": -1000, "amount_due": 0, "status": "paid", "id": paused["latest_invoice"]}));
    assert_eq!(invoice["billing_reason"], "subscription_update");
}

/// What cannot be paused, and what cannot be resumed.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_paused_or_resumed() {
    let story = Story::begin().await;
    let house = &story.house;
    let pause = |subscription: &str| format!("/v1/subscriptions/{subscription}/pause");
    let resume = |subscription: &str| format!("/v1/subscriptions/{subscription}/resume");
    let error = house.post(&resume(&story.subscription), &[]).await.error(400);
    assert_eq!(error["code"], "status_transition_invalid");
    story.pause(KEEP).await;
    house.post(&pause(&story.subscription), &[]).await.error(400);
    house.delete(&story.path()).await.ok();
    house.post(&pause(&story.subscription), &[]).await.error(400);
    house.post(&resume(&story.subscription), &[]).await.error(400);
    house.post(&resume("sub_none"), &[]).await.error(404);
    house.post(&pause("sub_none"), &[]).await.error(404);
    let form = [("customer", &*story.customer), ("items[0][price]", &*story.price), ("billing_mode[type]", "classic")];
    let classic = id(&house.post("/v1/subscriptions", &form).await.ok());
    house.post(&pause(&classic), &[]).await.error(400);
    let declined = house.customer("pm_card_chargeCustomerFail", None).await;
    let incomplete = id(&house.subscribe(&declined, &story.price).await);
    house.post(&pause(&incomplete), &[]).await.error(400);
    for form in [("type", "collection"), ("bill_for[unused_time_from][type]", "later"), ("invoicing_behavior", "never")]
    {
        house.post(&pause(&classic), &[form]).await.error(400);
    }
    house.post(&resume(&classic), &[("billing_cycle_anchor", "now")]).await.error(400);
}

/// Resuming with a new cycle: the invoice waits for somebody to pay it.
#[tokio::test(flavor = "multi_thread")]
async fn a_resumption_waits_for_a_payment() {
    let story = Story::begin().await;
    story.advance("2027-01-10T00:00:00Z").await;
    story.pause(KEEP).await;
    story.advance("2027-02-16T00:00:00Z").await;
    let mark = story.house.mark().await;
    let waiting = story.resume(&[("billing_cycle_anchor[type]", "now")]).await;
    has(&waiting, &json!({"status": "paused", "billing_cycle_anchor": at("2027-01-01T00:00:00Z")}));
    let told = story.house.told(mark).await;
    told.are("invoice.created invoice.finalized payment_intent.created customer.subscription.updated");
    let previous = told.previous("customer.subscription.updated").as_object().expect("what was");
    assert_eq!(previous.keys().collect::<Vec<_>>(), ["latest_invoice"]);
    let invoice = story.invoices().await.remove(1);
    has(&invoice, &json!({"status": "open", "amount_due": 2000, "auto_advance": false, "attempt_count": 0}));
    // Once is enough.
    let error = story.house.post(&format!("{}/resume", story.path()), &[]).await.error(400);
    assert_eq!(error["code"], "status_transition_invalid");
    story.advance("2027-02-16T10:00:00Z").await;
    let mark = story.house.mark().await;
    story.act(&id(&invoice), "pay", &[]).await;
    let told = story.house.told(mark).await;
    told.are(&format!("{PAID} customer.subscription.resumed customer.subscription.updated"));
    has(told.object("customer.subscription.resumed"), &json!({"status": "active"}));
    has(told.previous("customer.subscription.updated"), &json!({"status": "paused"}));
    // The new period began when it was asked for, not when it was paid.
    let resumed = story.read().await;
    let start = at("2027-02-16T00:00:00Z");
    has(&resumed, &json!({"status": "active", "billing_cycle_anchor": start}));
    assert!(resumed.get("status_details").is_none());
    let item = &resumed["items"]["data"][0];
    has(item, &json!({"current_period_start": start, "current_period_end": at("2027-03-16T00:00:00Z")}));
    story.advance("2027-03-16T02:00:00Z").await;
    has(&story.invoices().await[2], &json!({"status": "paid", "amount_due": 2000}));
}

/// The example of the rule: resumed on 16 February on the old grid of the first, 13 days of 28 are due.
#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_anchor_bills_what_is_left_of_the_period() {
    for (prorations, due) in [("create_prorations", 1393), ("always_invoice", 1393), ("none", 0)] {
        let story = Story::priced(3000).await;
        story.advance("2027-01-10T00:00:00Z").await;
        story.pause(KEEP).await;
        story.advance("2027-02-16T00:00:00Z").await;
        let form = [("billing_cycle_anchor[type]", "unchanged"), ("proration_behavior", prorations)];
        story.resume(&form).await;
        if due > 0 {
            let invoice = story.invoices().await.remove(1);
            has(&invoice, &json!({"status": "open", "amount_due": due}));
            let line = &invoice["lines"]["data"][0];
            let period = json!({"start": at("2027-02-16T00:00:00Z"), "end": at("2027-03-01T00:00:00Z")});
            assert_eq!((&line["amount"], &line["period"]), (&json!(due), &period));
            story.act(&id(&invoice), "pay", &[]).await;
        }
        let resumed = story.read().await;
        has(&resumed, &json!({"status": "active", "billing_cycle_anchor": at("2027-01-01T00:00:00Z")}));
        let item = &resumed["items"]["data"][0];
        has(item, &json!({"current_period_end": at("2027-03-01T00:00:00Z")}));
        story.advance("2027-03-01T02:00:00Z").await;
        let renewal = story.invoices().await.pop().unwrap();
        has(&renewal, &json!({"status": "paid", "amount_due": 3000, "billing_reason": "subscription_cycle"}));
    }
}

/// What was given back when it was paused is used up when it is resumed.
#[tokio::test(flavor = "multi_thread")]
async fn credit_of_the_pause_pays_for_the_resumption() {
    let story = Story::begin().await;
    story.pause(&[]).await;
    assert_eq!(story.pending().await[0]["amount"], -2000);
    story.advance("2027-04-01T00:00:00Z").await;
    let mark = story.house.mark().await;
    let resumed = story.resume(&[]).await;
    // Nothing is to be paid, so nothing is waited for.
    assert_eq!(resumed["status"], "active");
    story.house.told(mark).await.are(
        "invoice.created invoice.finalized invoice.updated invoice.paid invoice.payment_succeeded
         customer.subscription.resumed customer.subscription.updated",
    );
    assert_eq!(story.pending().await.len(), 0);
}

/// A failed attempt resumes it too, but past due; what was asked with `resume_on_payment_success` waits on.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_failed_attempt_means() {
    for (behavior, status) in [("resume_on_payment_attempt", "past_due"), ("resume_on_payment_success", "paused")] {
        let story = Story::begin().await;
        story.pause(KEEP).await;
        story.card("pm_card_chargeCustomerFail").await;
        let mark = story.house.mark().await;
        let asked = story.resume(&[("payment_behavior", behavior)]).await;
        let invoice = asked["latest_invoice"].as_str().expect("an invoice").to_owned();
        if behavior == "resume_on_payment_attempt" {
            story.house.post(&format!("/v1/invoices/{invoice}/pay"), &[]).await.error(402);
        }
        let now = story.read().await;
        assert_eq!(now["status"], status, "{behavior}");
        let told = story.house.told(mark).await;
        assert!(!told.types().contains(&"customer.subscription.resumed"), "{:?}", told.types());
        story.card("pm_card_visa").await;
        story.act(&invoice, "pay", &[]).await;
        has(&story.read().await, &json!({"status": "active"}));
    }
}

/// With a card that works the request itself resumes it.
#[tokio::test(flavor = "multi_thread")]
async fn resuming_on_success_pays_in_the_request() {
    let story = Story::begin().await;
    story.pause(KEEP).await;
    let mark = story.house.mark().await;
    let resumed = story.resume(&[("payment_behavior", "resume_on_payment_success")]).await;
    assert_eq!(resumed["status"], "active");
    story.house.told(mark).await.are(&format!(
        "invoice.created invoice.finalized payment_intent.created customer.subscription.updated {PAID}
         customer.subscription.resumed customer.subscription.updated"
    ));
    // Without a payment method there is nothing to try.
    let story = Story::begin().await;
    story.pause(KEEP).await;
    let method = &story.house.list(&format!("/v1/customers/{}/payment_methods", story.customer)).await[0];
    story.house.post(&format!("/v1/payment_methods/{}/detach", id(method)), &[]).await.ok();
    let mark = story.house.mark().await;
    let form = [("payment_behavior", "resume_on_payment_success")];
    story.house.post(&format!("{}/resume", story.path()), &form).await.error(400);
    story.house.told(mark).await.are("");
}

/// Giving its invoice up resumes it, voiding it does not, and 23 hours without an attempt void it.
#[tokio::test(flavor = "multi_thread")]
async fn the_invoice_of_a_resumption_given_up_voided_or_forgotten() {
    let story = Story::begin().await;
    story.pause(KEEP).await;
    story.resume(&[]).await;
    let mark = story.house.mark().await;
    story.act(&story.latest().await, "void", &[]).await;
    story.house.told(mark).await.are("invoice.voided payment_intent.canceled");
    assert_eq!(story.status().await, "paused");

    story.resume(&[]).await;
    story.advance("2027-01-01T22:59:59Z").await;
    assert_eq!(story.invoices().await[2]["status"], "open");
    let mark = story.house.mark().await;
    story.advance("2027-01-01T23:00:00Z").await;
    story.house.told(mark).await.are("invoice.voided payment_intent.canceled");
    has(&story.invoices().await[2], &json!({"status": "void"}));
    assert_eq!(story.status().await, "paused");

    story.resume(&[]).await;
    let mark = story.house.mark().await;
    story.act(&story.latest().await, "mark_uncollectible", &[]).await;
    story
        .house
        .told(mark)
        .await
        .are("invoice.marked_uncollectible customer.subscription.resumed customer.subscription.updated");
    assert_eq!(story.status().await, "active");
}

/// A paused subscription can be ended, also at a time that was set before.
#[tokio::test(flavor = "multi_thread")]
async fn a_paused_subscription_can_end() {
    let story = Story::begin().await;
    story.pause(KEEP).await;
    let mark = story.house.mark().await;
    let ended = story.house.call(Method::DELETE, &story.path(), &[], &[]).await.ok();
    assert_eq!(ended["status"], "canceled");
    story.house.told(mark).await.are("customer.subscription.deleted");

    let story = Story::begin().await;
    story.update(&[("cancel_at_period_end", "true")]).await;
    story.advance("2027-01-10T00:00:00Z").await;
    story.pause(KEEP).await;
    story.advance("2027-02-02T00:00:00Z").await;
    has(&story.read().await, &json!({"status": "canceled", "ended_at": at("2027-02-01T00:00:00Z")}));
}

/// A trial that ended without a payment method: its subscription sleeps until it is resumed.
#[tokio::test(flavor = "multi_thread")]
async fn a_trial_that_ended_in_a_pause_is_resumed() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let clock = house.test_clock("2027-01-01T00:00:00Z").await;
    let customer = id(&house.post("/v1/customers", &[("test_clock", &clock)]).await.ok());
    let form = [
        ("customer", &*customer),
        ("items[0][price]", &price),
        ("trial_period_days", "7"),
        ("trial_settings[end_behavior][missing_payment_method]", "pause"),
    ];
    let subscription = id(&house.post("/v1/subscriptions", &form).await.ok());
    let story = Story { house, clock, customer, price, subscription };
    story.advance("2027-01-07T00:00:00Z").await;
    let mark = story.house.mark().await;
    story.advance("2027-01-20T00:00:00Z").await;
    let told = story.house.told(mark).await;
    told.are("customer.subscription.paused customer.subscription.updated");
    let previous = json!({"status": "trialing", "status_details": null});
    assert_eq!(told.previous("customer.subscription.updated"), &previous);
    let paused = story.read().await;
    let details = json!({"paused": {
        "subscription": {"type": "trial_end_without_payment_method"},
        "transitioned_at": at("2027-01-08T00:00:00Z"),
        "type": "subscription",
    }});
    assert_eq!(paused["status_details"], details);
    story.card("pm_card_visa").await;
    story.resume(&[]).await;
    story.act(&story.latest().await, "pay", &[]).await;
    let resumed = story.read().await;
    has(&resumed, &json!({"status": "active", "billing_cycle_anchor": at("2027-01-20T00:00:00Z")}));
    has(&story.invoices().await[1], &json!({"status": "paid", "amount_paid": 2000}));
    story.advance("2027-02-20T02:00:00Z").await;
    assert_eq!(story.invoices().await.len(), 3);
}
