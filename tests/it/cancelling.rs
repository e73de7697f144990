//! How subscriptions end, what is still billed then, and what they refuse afterwards.

use reqwest::Method;
use serde_json::{Value, json};

use crate::catalogue::has;
use crate::states::Story;
use crate::support::{at, id};

impl Story {
    /// A one-off amount that waits for the next invoice, of the subscription or of nobody's.
    async fn owe(&self, cents: &str, of_subscription: bool) {
        let mut form = vec![("customer", &*self.customer), ("amount", cents), ("currency", "usd")];
        if of_subscription {
            form.push(("subscription", &self.subscription));
        }
        self.house.post("/v1/invoiceitems", &form).await.ok();
    }

    async fn cancel(&self, form: &[(&str, &str)]) -> Value {
        self.house.call(Method::DELETE, &self.path(), form, &[]).await.ok()
    }
}

/// At the end of the period what is pending is invoiced a last time, and charged an hour later.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_pending_is_invoiced_at_the_end_of_the_period() {
    let story = Story::begin().await;
    story.owe("700", true).await;
    story.owe("50", false).await;
    story.update(&[("cancel_at_period_end", "true")]).await;
    let mark = story.house.mark().await;
    story.advance("2027-02-01T00:00:00Z").await;
    let told = story.house.told(mark).await;
    told.are("invoice.created customer.subscription.deleted");
    let draft = story.invoices().await.remove(1);
    has(&draft, &json!({"status": "draft", "auto_advance": true, "total": 750}));
    has(told.object("customer.subscription.deleted"), &json!({"status": "canceled", "latest_invoice": draft["id"]}));
    story.advance("2027-02-01T01:00:00Z").await;
    has(&story.invoices().await[1], &json!({"status": "paid", "amount_paid": 750}));
    story.advance("2027-06-01T00:00:00Z").await;
    assert_eq!(story.invoices().await.len(), 2);
}

/// The end that was set finds earlier invoices uncollected: they stop, and stay payable.
#[tokio::test(flavor = "multi_thread")]
async fn earlier_invoices_stop_being_collected() {
    let story = Story::begin().await;
    let leave = [("collection[retries][mode]", "off"), ("collection[final_action][subscription]", "past_due")];
    story.settings(&leave).await;
    story.card("pm_card_chargeCustomerFail").await;
    story.advance("2027-02-01T02:00:00Z").await;
    story.update(&[("cancel_at_period_end", "true")]).await;
    let mark = story.house.mark().await;
    story.advance("2027-03-01T00:00:00Z").await;
    story.house.told(mark).await.are("invoice.updated customer.subscription.deleted");
    let owed = story.invoices().await.remove(1);
    has(&owed, &json!({"status": "open", "auto_advance": false, "next_payment_attempt": null}));
    let ended = story.read().await;
    has(&ended, &json!({"canceled_at": at("2027-02-01T02:00:00Z"), "ended_at": at("2027-03-01T00:00:00Z")}));
    story.card("pm_card_visa").await;
    assert_eq!(story.act(&id(&owed), "pay", &[]).await["status"], "paid");
    assert_eq!(story.status().await, "canceled", "nothing comes back to life");
}

/// Now: what is pending stays with the customer, or is invoiced and collected at once.
#[tokio::test(flavor = "multi_thread")]
async fn cancelling_now_leaves_or_invoices_what_is_pending() {
    let story = Story::begin().await;
    story.owe("700", true).await;
    let mark = story.house.mark().await;
    story.cancel(&[]).await;
    story.house.told(mark).await.are("customer.subscription.deleted");
    let pending = format!("/v1/invoiceitems?customer={}&pending=true", story.customer);
    assert_eq!(story.house.list(&pending).await.len(), 1);

    let story = Story::begin().await;
    story.owe("700", true).await;
    let mark = story.house.mark().await;
    let ended = story.cancel(&[("invoice_now", "true")]).await;
    let told = story.house.told(mark).await;
    told.hold(
        "customer.subscription.deleted invoice.created invoice.finalized payment_intent.created charge.succeeded
         payment_intent.succeeded invoice.updated invoice.paid invoice.payment_succeeded invoice_payment.paid",
    );
    let last = story.invoices().await.remove(1);
    has(&last, &json!({"id": ended["latest_invoice"], "status": "paid", "amount_paid": 700}));
    // With nothing to bill there is no invoice.
    let story = Story::begin().await;
    story.cancel(&[("invoice_now", "true")]).await;
    assert_eq!(story.invoices().await.len(), 1);
}

/// A last invoice that cannot be collected does not keep the subscription.
#[tokio::test(flavor = "multi_thread")]
async fn a_last_invoice_that_fails_is_owed_all_the_same() {
    let story = Story::begin().await;
    story.owe("700", true).await;
    story.card("pm_card_chargeCustomerFail").await;
    let ended = story.cancel(&[("invoice_now", "true")]).await;
    assert_eq!(ended["status"], "canceled");
    has(&story.invoices().await[1], &json!({"status": "open", "attempt_count": 1, "amount_remaining": 700}));
    assert_eq!(story.status().await, "canceled");
}

/// Before the first payment cancelling expires it, with its invoice and intent.
#[tokio::test(flavor = "multi_thread")]
async fn cancelling_an_incomplete_subscription_expires_it() {
    let story = Story::begin().await;
    let customer = story.house.customer("pm_card_chargeCustomerFail", None).await;
    let incomplete = story.house.subscribe(&customer, &story.price).await;
    let path = format!("/v1/subscriptions/{}", id(&incomplete));
    let mark = story.house.mark().await;
    assert_eq!(story.house.delete(&path).await.ok()["status"], "incomplete_expired");
    story.house.told(mark).await.hold("customer.subscription.deleted invoice.voided payment_intent.canceled");
    let invoice = format!("/v1/invoices/{}", incomplete["latest_invoice"].as_str().expect("an invoice"));
    assert_eq!(story.house.get(&invoice).await.ok()["status"], "void");
    story.house.delete(&path).await.error(404);
}

/// While unpaid, the last invoice stays a draft as all others did.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_invoice_of_an_unpaid_subscription_stays_a_draft() {
    let story = Story::begin().await;
    story.settings(&[("collection[retries][mode]", "off")]).await;
    story.card("pm_card_chargeCustomerFail").await;
    story.advance("2027-02-01T02:00:00Z").await;
    story.owe("700", true).await;
    story.update(&[("cancel_at_period_end", "true")]).await;
    story.advance("2027-03-02T00:00:00Z").await;
    has(&story.invoices().await[2], &json!({"status": "draft", "auto_advance": false, "total": 700}));
    assert_eq!(story.status().await, "canceled");
}

/// After the end: metadata and reasons, nothing else; each refusal says so, and changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_ended_subscription_refuses() {
    let story = Story::begin().await;
    let method = &story.house.list(&format!("/v1/customers/{}/payment_methods", story.customer)).await[0];
    let method = id(method);
    story.cancel(&[]).await;
    let mark = story.house.mark().await;
    for field in [
        ("cancel_at_period_end", "true"),
        ("cancel_at_period_end", "false"),
        ("default_payment_method", &*method),
        ("description", "x"),
        ("pause_collection[behavior]", "void"),
        ("pause_collection", ""),
        ("payment_settings[save_default_payment_method]", "on_subscription"),
    ] {
        let error = story.house.post(&story.path(), &[field, ("metadata[k]", "v")]).await.error(400);
        assert_eq!(error["code"], "invalid_canceled_subscription_fields", "{field:?}");
    }
    for (call, status) in [("pause", 400), ("resume", 400)] {
        story.house.post(&format!("{}/{call}", story.path()), &[]).await.error(status);
    }
    story.house.delete(&story.path()).await.error(404);
    let item =
        [("customer", &*story.customer), ("amount", "5"), ("currency", "usd"), ("subscription", &*story.subscription)];
    story.house.post("/v1/invoiceitems", &item).await.error(400);
    story.house.told(mark).await.are("");
    assert_eq!(story.read().await["metadata"], json!({}));
    let form =
        [("metadata[k]", "v"), ("cancellation_details[comment]", "c"), ("cancellation_details[feedback]", "other")];
    let kept = story.update(&form).await;
    assert_eq!(kept["metadata"], json!({"k": "v"}));
    has(
        &kept["cancellation_details"],
        &json!({"comment": "c", "feedback": "other", "reason": "cancellation_requested"}),
    );
}

/// A trial that is cancelled ends with it, and nothing is charged.
#[tokio::test(flavor = "multi_thread")]
async fn cancelling_a_trial_at_its_end_costs_nothing() {
    let story = Story::begin().await;
    let form = [
        ("customer", &*story.customer),
        ("items[0][price]", &story.price),
        ("trial_period_days", "7"),
        ("cancel_at_period_end", "true"),
    ];
    let trial = story.house.post("/v1/subscriptions", &form).await.ok();
    has(&trial, &json!({"status": "trialing", "cancel_at": at("2027-01-08T00:00:00Z")}));
    story.advance("2027-01-31T00:00:00Z").await;
    let ended = story.house.get(&format!("/v1/subscriptions/{}", id(&trial))).await.ok();
    has(&ended, &json!({"status": "canceled", "ended_at": at("2027-01-08T00:00:00Z")}));
    assert_eq!(story.house.list(&format!("/v1/invoices?subscription={}", id(&trial))).await.len(), 1);
}

/// `prorate` gives the rest of the period back: for the customer's next invoice, whichever that is.
#[tokio::test(flavor = "multi_thread")]
async fn the_rest_of_the_period_can_be_given_back() {
    let story = Story::begin().await;
    story.advance("2027-01-16T12:00:00Z").await;
    let mark = story.house.mark().await;
    story.cancel(&[("prorate", "true")]).await;
    story.house.told(mark).await.are("invoiceitem.created customer.subscription.deleted");
    let pending = format!("/v1/invoiceitems?customer={}&pending=true", story.customer);
    has(&story.house.list(&pending).await[0], &json!({"amount": -1000, "proration": true}));
    let other = story.house.subscribe(&story.customer, &story.price).await;
    let first = story.house.get(&format!("/v1/invoices/{}", other["latest_invoice"].as_str().unwrap())).await.ok();
    has(&first, &json!({"total": 1000, "amount_paid": 1000, "status": "paid"}));

    // With a last invoice it becomes credit of the customer.
    let story = Story::begin().await;
    story.advance("2027-01-16T12:00:00Z").await;
    let mark = story.house.mark().await;
    story.cancel(&[("prorate", "true"), ("invoice_now", "true")]).await;
    story.house.told(mark).await.hold(
        "invoiceitem.created customer.subscription.deleted invoice.created invoice.finalized invoice.updated
         invoice.paid invoice.payment_succeeded customer.updated",
    );
    let customer = story.house.get(&format!("/v1/customers/{}", story.customer)).await.ok();
    assert_eq!(customer["balance"], -1000);
    has(&story.invoices().await[1], &json!({"total": -1000, "amount_due": 0, "status": "paid"}));
}

/// Cancelling now drops prorations that wait; at the end of the period they are billed.
#[tokio::test(flavor = "multi_thread")]
async fn prorations_that_wait_are_dropped_or_billed() {
    for (now, total) in [(true, None), (false, Some(1500))] {
        let story = Story::begin().await;
        let bigger = story.house.monthly_price(5000).await;
        story.advance("2027-01-16T12:00:00Z").await;
        let item = id(&story.read().await["items"]["data"][0]);
        story.update(&[("items[0][id]", &item), ("items[0][price]", &bigger)]).await;
        let mark = story.house.mark().await;
        if now {
            story.cancel(&[]).await;
            let told = story.house.told(mark).await;
            told.are("customer.subscription.deleted invoiceitem.deleted invoiceitem.deleted");
        } else {
            story.update(&[("cancel_at_period_end", "true")]).await;
        }
        story.advance("2027-02-01T02:00:00Z").await;
        assert_eq!(story.status().await, "canceled");
        let last = story.invoices().await.into_iter().nth(1).map(|invoice| invoice["amount_paid"].clone());
        assert_eq!(last, total.map(Value::from));
    }
}
