//! The states of a subscription and the ways between them, through real HTTP.

use serde_json::{Value, json};

use crate::catalogue::has;
use crate::dunning::custom;
use crate::support::{House, at, id};

pub struct Story {
    pub house: House,
    pub clock: String,
    pub customer: String,
    pub price: String,
    pub subscription: String,
}

impl Story {
    /// A monthly subscription of 20 dollars since 1 January 2027, paid by card.
    pub async fn begin() -> Story {
        Story::priced(2000).await
    }

    pub async fn priced(cents: i64) -> Story {
        let house = House::open().await;
        let price = house.monthly_price(cents).await;
        let clock = house.test_clock("2027-01-01T00:00:00Z").await;
        let customer = house.customer("pm_card_visa", Some(&clock)).await;
        let subscription = id(&house.subscribe(&customer, &price).await);
        Story { house, clock, customer, price, subscription }
    }

    pub fn path(&self) -> String {
        format!("/v1/subscriptions/{}", self.subscription)
    }

    pub async fn read(&self) -> Value {
        self.house.get(&self.path()).await.ok()
    }

    pub async fn update(&self, form: &[(&str, &str)]) -> Value {
        self.house.post(&self.path(), form).await.ok()
    }

    pub async fn advance(&self, time: &str) {
        self.house.advance(&self.clock, time).await;
    }

    /// What is told until then.
    pub async fn until(&self, time: &str) -> String {
        let mark = self.house.mark().await;
        self.advance(time).await;
        self.house.told(mark).await.types().join(" ")
    }

    pub async fn card(&self, card: &str) {
        self.house.default_card(&self.customer, card).await;
    }

    /// Changes the settings of collection.
    pub async fn settings(&self, form: &[(&str, &str)]) {
        self.house.post("/v1/dunlin/settings", form).await.ok();
    }

    /// Its invoices, oldest first.
    pub async fn invoices(&self) -> Vec<Value> {
        let mut invoices = self.house.list(&format!("/v1/invoices?subscription={}", self.subscription)).await;
        invoices.reverse();
        invoices
    }

    pub async fn latest(&self) -> String {
        self.read().await["latest_invoice"].as_str().expect("an invoice").to_owned()
    }

    pub async fn status(&self) -> String {
        self.read().await["status"].as_str().expect("a status").to_owned()
    }

    /// Does something to an invoice: `pay`, `void` …
    pub async fn act(&self, invoice: &str, action: &str, form: &[(&str, &str)]) -> Value {
        self.house.post(&format!("/v1/invoices/{invoice}/{action}"), form).await.ok()
    }
}

/// While unpaid, an invoice for a change stays a draft as the others do, although it was to be made at once.
#[tokio::test(flavor = "multi_thread")]
async fn unpaid_keeps_the_invoice_of_a_change() {
    let story = Story::begin().await;
    story.settings(&[("collection[retries][mode]", "off")]).await;
    story.card("pm_card_chargeCustomerFail").await;
    story.advance("2027-02-01T02:00:00Z").await;
    story.card("pm_card_visa").await;
    let item = story.read().await["items"]["data"][0]["id"].as_str().unwrap().to_owned();
    let form = [("items[0][id]", &*item), ("items[0][quantity]", "5"), ("proration_behavior", "always_invoice")];
    has(&story.update(&form).await, &json!({"status": "unpaid"}));
    let invoices = story.invoices().await;
    assert_eq!(invoices.len(), 3);
    has(&invoices[2], &json!({"status": "draft", "auto_advance": false, "billing_reason": "subscription_update"}));
}

/// Leaving `unpaid`: drafts are kept, and the most recent one that is finalised and paid brings it back.
#[tokio::test(flavor = "multi_thread")]
async fn unpaid_keeps_drafts_and_comes_back_by_paying_one() {
    let story = Story::begin().await;
    story.settings(&custom(&["3", "4", "7"])).await;
    story.card("pm_card_chargeCustomerFail").await;
    story.advance("2027-02-15T00:00:00Z").await;
    assert_eq!(story.status().await, "past_due");
    let mark = story.house.mark().await;
    story.advance("2027-02-15T02:00:00Z").await;
    let told = story.house.told(mark).await;
    told.are(
        "charge.failed payment_intent.payment_failed invoice.updated invoice.payment_failed \
         customer.subscription.updated",
    );
    assert_eq!(told.previous("customer.subscription.updated"), &json!({"status": "past_due"}));

    // Retries exhausted, unpaid: each later cycle tells of a draft and the new period, and nothing else.
    let mark = story.house.mark().await;
    story.advance("2027-03-15T00:00:00Z").await;
    story.house.told(mark).await.are("invoice.created customer.subscription.updated");
    story.advance("2027-04-15T00:00:00Z").await;
    let kept = story.invoices().await;
    assert_eq!(kept.len(), 4);
    for draft in &kept[2..] {
        has(draft, &json!({"status": "draft", "auto_advance": false, "automatically_finalizes_at": null}));
        has(draft, &json!({"next_payment_attempt": null, "attempt_count": 0, "number": null}));
    }
    assert_eq!(story.status().await, "unpaid");

    // A new card alone changes nothing; a draft that may advance is finalised and charged.
    story.card("pm_card_mastercard").await;
    let draft = format!("/v1/invoices/{}", id(&kept[3]));
    let advancing = story.house.post(&draft, &[("auto_advance", "true")]).await.ok();
    let finalizes_at = advancing["automatically_finalizes_at"].as_i64().expect("a time");
    assert_eq!(story.status().await, "unpaid");
    let mark = story.house.mark().await;
    story.advance("2027-04-15T03:00:00Z").await;
    assert!(finalizes_at <= at("2027-04-15T01:00:00Z"));
    story.house.told(mark).await.are(
        "invoice.finalized payment_intent.created charge.succeeded payment_intent.succeeded invoice.updated invoice.paid
         invoice.payment_succeeded invoice_payment.paid customer.subscription.updated customer.updated",
    );
    assert_eq!(story.status().await, "active");
    // The older ones stay as they are: the status is not the sum of debts.
    let statuses: Vec<Value> = story.invoices().await.into_iter().map(|invoice| invoice["status"].clone()).collect();
    assert_eq!(statuses, ["paid", "open", "draft", "paid"]);
    // Renewals are collected again.
    story.advance("2027-05-01T02:00:00Z").await;
    has(&story.invoices().await[4], &json!({"status": "paid", "auto_advance": false}));
}

/// The other way back: finalise by hand, then pay.
#[tokio::test(flavor = "multi_thread")]
async fn unpaid_comes_back_by_finalising_and_paying_by_hand() {
    let story = Story::begin().await;
    story.card("pm_card_chargeCustomerFail").await;
    story.advance("2027-03-02T00:00:00Z").await;
    let draft = story.latest().await;
    let open = story.act(&draft, "finalize", &[]).await;
    has(&open, &json!({"status": "open", "auto_advance": false, "attempt_count": 0}));
    assert_eq!(story.status().await, "unpaid");
    // Paying an older one changes nothing.
    story.card("pm_card_mastercard").await;
    let older = id(&story.invoices().await[1]);
    story.act(&older, "pay", &[]).await;
    assert_eq!(story.status().await, "unpaid");
    story.act(&draft, "pay", &[]).await;
    assert_eq!(story.status().await, "active");
}

/// Voiding the latest of an unpaid subscription: the walk finds the older one, which was given up.
#[tokio::test(flavor = "multi_thread")]
async fn voiding_walks_back_to_an_invoice_that_was_given_up() {
    let story = Story::begin().await;
    story.settings(&custom(&["10", "10", "10"])).await;
    story.card("pm_card_chargeCustomerFail").await;
    // The debt of February is given up when that of March has failed once.
    story.advance("2027-03-04T00:00:00Z").await;
    let invoices = story.invoices().await;
    assert_eq!(story.status().await, "unpaid");
    story.act(&id(&invoices[2]), "void", &[]).await;
    assert_eq!(story.status().await, "unpaid");
    let mark = story.house.mark().await;
    story.act(&id(&invoices[1]), "void", &[]).await;
    let told = story.house.told(mark).await;
    told.are("invoice.voided payment_intent.canceled customer.subscription.updated");
    assert_eq!(told.previous("customer.subscription.updated"), &json!({"status": "unpaid"}));
    assert_eq!(story.status().await, "active");
}

/// While a renewal is still a draft, the debt before it is the latest finalised invoice.
#[tokio::test(flavor = "multi_thread")]
async fn a_draft_does_not_stand_between_a_debt_and_its_payment() {
    let story = Story::begin().await;
    story.settings(&[("collection[final_action][subscription]", "past_due")]).await;
    story.card("pm_card_chargeCustomerFail").await;
    story.advance("2027-03-01T00:30:00Z").await;
    let invoices = story.invoices().await;
    assert_eq!((&invoices[1]["status"], &invoices[2]["status"]), (&json!("open"), &json!("draft")));
    assert_eq!(story.status().await, "past_due");
    story.card("pm_card_visa").await;
    story.act(&id(&invoices[1]), "pay", &[]).await;
    assert_eq!(story.status().await, "active");
}

/// A renewal that comes to nothing is settled, whatever was owed before.
#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_covered_by_credit_recovers() {
    let story = Story::begin().await;
    story.settings(&[("collection[final_action][subscription]", "past_due")]).await;
    story.card("pm_card_chargeCustomerFail").await;
    story.advance("2027-02-01T02:00:00Z").await;
    assert_eq!(story.status().await, "past_due");
    story.house.post(&format!("/v1/customers/{}", story.customer), &[("balance", "-5000")]).await.ok();
    story.advance("2027-03-01T02:00:00Z").await;
    assert_eq!(story.status().await, "active");
    let customer = story.house.get(&format!("/v1/customers/{}", story.customer)).await.ok();
    has(&customer, &json!({"delinquent": false, "balance": -3000}));
}
