//! What a renewal bills, and with what: prices that are no longer sold, cards that are gone, items that
//! come late, endpoints that stay silent.

use serde_json::{Value, json};

use crate::catalogue::has;
use crate::states::Story;
use crate::support::{House, at, id};
use crate::webhooks::{Sink, endpoint};

fn amounts(invoice: &Value) -> Vec<i64> {
    let lines = invoice["lines"]["data"].as_array().expect("lines");
    lines.iter().map(|line| line["amount"].as_i64().expect("an amount")).collect()
}

/// An archived price or product keeps renewing unchanged; nobody new gets it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_archived_goes_on() {
    let story = Story::begin().await;
    let price = story.house.post(&format!("/v1/prices/{}", story.price), &[("active", "false")]).await.ok();
    let product = price["product"].as_str().unwrap();
    story.house.post(&format!("/v1/products/{product}"), &[("active", "false")]).await.ok();
    story.advance("2027-02-01T02:00:00Z").await;
    has(&story.invoices().await[1], &json!({"total": 2000, "status": "paid"}));
    let item = id(&story.read().await["items"]["data"][0]);
    let more = story.update(&[("items[0][id]", &item), ("items[0][quantity]", "2")]).await;
    assert_eq!(more["items"]["data"][0]["quantity"], 2, "what is on it stays, in any quantity");
    let form = [("customer", &*story.customer), ("items[0][price]", &story.price)];
    let error = story.house.post("/v1/subscriptions", &form).await.error(400);
    assert_eq!(error["param"], "items[0][price]");
}

/// A default method that was detached is none: the attempt fails without asking anybody.
#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_is_gone_is_none() {
    let story = Story::begin().await;
    let customer = story.house.get(&format!("/v1/customers/{}", story.customer)).await.ok();
    let method = customer["invoice_settings"]["default_payment_method"].as_str().unwrap();
    story.house.post(&format!("/v1/payment_methods/{method}/detach"), &[]).await.ok();
    story.advance("2027-02-01T00:00:00Z").await;
    let mark = story.house.mark().await;
    story.advance("2027-02-01T01:00:00Z").await;
    let told = story.house.told(mark).await;
    told.are(
        "invoice.finalized payment_intent.created invoice.updated invoice.payment_failed customer.subscription.updated \
         customer.updated",
    );
    has(&story.invoices().await[1], &json!({"status": "open", "attempted": true, "attempt_count": 1}));
    assert_eq!(story.status().await, "past_due");
}

/// During the draft hour items need the invoice named; others wait for the next one.
#[tokio::test(flavor = "multi_thread")]
async fn items_of_the_draft_hour() {
    let story = Story::begin().await;
    story.advance("2027-02-01T00:00:00Z").await;
    let draft = story.latest().await;
    let item = [("customer", &*story.customer), ("currency", "usd")];
    story.house.post("/v1/invoiceitems", &[&item[..], &[("amount", "70")]].concat()).await.ok();
    story.house.post("/v1/invoiceitems", &[&item[..], &[("amount", "80"), ("invoice", &draft)]].concat()).await.ok();
    story.advance("2027-02-01T02:00:00Z").await;
    assert_eq!(amounts(&story.invoices().await[1]), [2000, 80]);
    let late = [&item[..], &[("amount", "90"), ("invoice", &draft)]].concat();
    assert_eq!(story.house.post("/v1/invoiceitems", &late).await.error(400)["code"], "invoice_not_editable");
    story.advance("2027-03-01T02:00:00Z").await;
    assert_eq!(amounts(&story.invoices().await[2]), [70, 2000]);
}

/// A subscription's items are its own; what names none goes with whichever invoice comes first.
#[tokio::test(flavor = "multi_thread")]
async fn whose_items_a_renewal_bills() {
    let story = Story::begin().await;
    let other = story.house.monthly_price(500).await;
    let other = id(&story.house.subscribe(&story.customer, &other).await);
    for (amount, of) in [("10", Some(&*story.subscription)), ("20", Some(&*other)), ("40", None)] {
        let mut form = vec![("customer", &*story.customer), ("currency", "usd"), ("amount", amount)];
        form.extend(of.map(|of| ("subscription", of)));
        story.house.post("/v1/invoiceitems", &form).await.ok();
    }
    story.advance("2027-02-01T02:00:00Z").await;
    let first = amounts(&story.invoices().await[1]);
    let second = amounts(&story.house.list(&format!("/v1/invoices?subscription={other}")).await[0]);
    assert_eq!((first, second), (vec![40, 10, 2000], vec![20, 500]), "due at once, the older one comes first");
}

/// The metadata of the subscription as it was at finalisation, never synced again.
#[tokio::test(flavor = "multi_thread")]
async fn metadata_is_a_snapshot() {
    let story = Story::begin().await;
    story.advance("2027-02-01T00:00:00Z").await;
    story.update(&[("metadata[plan]", "one")]).await;
    story.advance("2027-02-01T01:00:00Z").await;
    story.update(&[("metadata[plan]", "two")]).await;
    let invoice = &story.invoices().await[1];
    assert_eq!(invoice["parent"]["subscription_details"]["metadata"], json!({"plan": "one"}));
}

/// A daily plan whose drafts wait for a silent endpoint: each day makes a further one, and each is finalised
/// by itself after its own 72 hours.
#[tokio::test(flavor = "multi_thread")]
async fn a_daily_plan_and_a_silent_endpoint() {
    let house = House::open().await;
    let (_, url) = Sink::open(usize::MAX).await;
    endpoint(&house, &url, &["invoice.created"]).await;
    let customer = house.customer("pm_card_visa", None).await;
    let product = id(&house.post("/v1/products", &[("name", "Paper")]).await.ok());
    let form = [("product", &*product), ("currency", "usd"), ("unit_amount", "100"), ("recurring[interval]", "day")];
    let price = id(&house.post("/v1/prices", &form).await.ok());
    house.subscribe(&customer, &price).await;
    let statuses = async || {
        let mut invoices = house.list(&format!("/v1/invoices?customer={customer}")).await;
        invoices.reverse();
        invoices.iter().map(|invoice| invoice["status"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    for day in 2..=4 {
        house.advance_wall(&format!("2027-01-0{day}T00:00:00Z")).await;
    }
    assert_eq!(statuses().await, "paid draft draft draft");
    house.advance_wall("2027-01-05T00:00:00Z").await;
    assert_eq!(statuses().await, "paid paid draft draft draft");
    house.advance_wall("2027-01-06T00:00:00Z").await;
    assert_eq!(statuses().await, "paid paid paid draft draft draft");
    let last = house.list(&format!("/v1/invoices?customer={customer}")).await.swap_remove(0);
    assert_eq!(last["created"], at("2027-01-06T00:00:00Z"));
}

/// Inside a trial other prices and quantities cost nothing, and the first paid period bills what there is.
#[tokio::test(flavor = "multi_thread")]
async fn changes_inside_a_trial_cost_nothing() {
    for mode in ["classic", "flexible"] {
        let story = Story::begin().await;
        let other = story.house.monthly_price(3000).await;
        let form = [
            ("customer", &*story.customer),
            ("items[0][price]", &story.price),
            ("trial_period_days", "10"),
            ("billing_mode[type]", mode),
        ];
        let made = story.house.post("/v1/subscriptions", &form).await.ok();
        let (path, item) = (format!("/v1/subscriptions/{}", id(&made)), id(&made["items"]["data"][0]));
        story.advance("2027-01-04T00:00:00Z").await;
        let form = [
            ("items[0][id]", &*item),
            ("items[0][price]", &other),
            ("items[0][quantity]", "2"),
            ("proration_behavior", "always_invoice"),
        ];
        let changed = story.house.post(&path, &form).await.ok();
        has(&changed, &json!({"status": "trialing", "trial_end": made["trial_end"]}));
        let invoices = format!("/v1/invoices?subscription={}", id(&made));
        assert!(story.house.list(&invoices).await.iter().all(|invoice| invoice["total"] == 0));
        story.advance("2027-01-11T02:00:00Z").await;
        has(&story.house.list(&invoices).await[0], &json!({"total": 6000, "status": "paid"}));
    }
}
