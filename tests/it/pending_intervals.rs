//! `pending_invoice_item_interval`: what is pending is billed every so often; and `invoice_settings`, what
//! the invoices of a subscription say.

use serde_json::{Value, json};

use crate::catalogue::has;
use crate::states::Story;
use crate::support::{at, id};

const WEEKLY: [(&str, &str); 2] =
    [("pending_invoice_item_interval[interval]", "week"), ("pending_invoice_item_interval[interval_count]", "1")];

impl Story {
    async fn owes(&self, cents: &str) {
        let form = [("customer", &*self.customer), ("amount", cents), ("currency", "usd")];
        self.house.post("/v1/invoiceitems", &form).await.ok();
    }

    /// The totals of its invoices and why there are, oldest first.
    async fn totals(&self) -> Vec<(i64, String)> {
        let invoices = self.invoices().await;
        let of = |invoice: &Value| {
            (
                invoice["total"].as_i64().expect("a total"),
                invoice["billing_reason"].as_str().expect("a reason").to_owned(),
            )
        };
        invoices.iter().map(of).collect()
    }
}

/// Every week what is pending, if anything is; with the renewal what is pending then.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_pending_is_billed_every_week() {
    const AUTOMATIC: &str = "automatic_pending_invoice_item_invoice";
    let story = Story::begin().await;
    let mark = story.house.mark().await;
    let set = story.update(&WEEKLY).await;
    assert_eq!(set["pending_invoice_item_interval"], json!({"interval": "week", "interval_count": 1}));
    assert_eq!(set["next_pending_invoice_item_invoice"], at("2027-01-08T00:00:00Z"));
    story.house.told(mark).await.are("customer.subscription.updated");
    story.owes("700").await;
    let mark = story.house.mark().await;
    story.advance("2027-01-08T00:00:00Z").await;
    let told = story.house.told(mark).await;
    told.are("invoice.created customer.subscription.updated");
    has(
        told.previous("customer.subscription.updated"),
        &json!({"next_pending_invoice_item_invoice": at("2027-01-08T00:00:00Z")}),
    );
    let draft = story.house.get(&format!("/v1/invoices/{}", story.latest().await)).await.ok();
    has(&draft, &json!({"status": "draft", "auto_advance": true, "total": 700, "billing_reason": AUTOMATIC}));
    // Nothing was pending on the 15th, and 80 cents wait for the renewal.
    story.advance("2027-01-16T00:00:00Z").await;
    story.owes("900").await;
    story.advance("2027-01-29T00:00:00Z").await;
    story.owes("80").await;
    story.advance("2027-02-01T02:00:00Z").await;
    let expected = [(2000, "subscription_create"), (700, AUTOMATIC), (900, AUTOMATIC), (2080, "subscription_cycle")];
    assert_eq!(story.totals().await, expected.map(|(total, reason)| (total, reason.to_owned())));
    assert!(story.invoices().await.iter().all(|invoice| invoice["status"] == "paid"));
    let read = story.read().await;
    assert_eq!(read["next_pending_invoice_item_invoice"], at("2027-02-05T00:00:00Z"), "counted from when it was set");
    // Taken away, everything waits for the cycle.
    let unset = story.update(&[("pending_invoice_item_interval", "")]).await;
    has(&unset, &json!({"pending_invoice_item_interval": null, "next_pending_invoice_item_invoice": null}));
    story.owes("60").await;
    story.advance("2027-02-20T00:00:00Z").await;
    assert_eq!(story.totals().await.len(), 4);
}

/// From the beginning; neutralised while collection is paused; kept as a draft of what is unpaid; at the
/// same second as a renewal there is one invoice.
#[tokio::test(flavor = "multi_thread")]
async fn at_the_boundary_and_while_paused() {
    let story = Story::begin().await;
    let form = [
        ("customer", &*story.customer),
        ("items[0][price]", &*story.price),
        ("pending_invoice_item_interval[interval]", "month"),
        ("pending_invoice_item_interval[interval_count]", "1"),
    ];
    let made = story.house.post("/v1/subscriptions", &form).await.ok();
    assert_eq!(made["next_pending_invoice_item_invoice"], at("2027-02-01T00:00:00Z"));
    let item = [
        ("customer", &*story.customer),
        ("amount", "500"),
        ("currency", "usd"),
        ("subscription", made["id"].as_str().unwrap()),
    ];
    story.house.post("/v1/invoiceitems", &item).await.ok();
    story.advance("2027-02-01T02:00:00Z").await;
    let of = format!("/v1/invoices?subscription={}", id(&made));
    let invoices = story.house.list(&of).await;
    assert_eq!((invoices.len(), &invoices[0]["total"]), (2, &json!(2500)));
    let path = format!("/v1/subscriptions/{}", id(&made));
    assert_eq!(story.house.get(&path).await.ok()["next_pending_invoice_item_invoice"], at("2027-03-01T00:00:00Z"));
    // Between two renewals, with collection paused.
    let form = [
        ("pending_invoice_item_interval[interval]", "day"),
        ("pending_invoice_item_interval[interval_count]", "3"),
        ("pause_collection[behavior]", "void"),
    ];
    story.house.post(&path, &form).await.ok();
    story.house.post("/v1/invoiceitems", &item).await.ok();
    story.advance("2027-02-04T03:00:00Z").await;
    let newest = &story.house.list(&of).await[0];
    has(newest, &json!({"status": "void", "total": 500}));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interval_that_cannot_be_is_refused() {
    let story = Story::begin().await;
    for (interval, count) in [("week", "53"), ("year", "2"), ("day", "0")] {
        let form = [
            ("pending_invoice_item_interval[interval]", interval),
            ("pending_invoice_item_interval[interval_count]", count),
        ];
        let error = story.house.post(&story.path(), &form).await.error(400);
        assert_eq!(error["param"], "pending_invoice_item_interval[interval_count]");
    }
    let error = story.house.post(&story.path(), &[("pending_invoice_item_interval[interval]", "hour")]).await;
    assert_eq!(error.status, 400);
}

/// Description, footer and fields of a subscription are those of its later invoices; a footer of the
/// customer stands where it has none.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_invoices_of_a_subscription_say() {
    let story = Story::begin().await;
    story.house.post(&format!("/v1/customers/{}", story.customer), &[("invoice_settings[footer]", "Hers")]).await.ok();
    let form = [
        ("invoice_settings[description]", "Thank you"),
        ("invoice_settings[custom_fields][0][name]", "PO"),
        ("invoice_settings[custom_fields][0][value]", "17"),
    ];
    let set = story.update(&form).await;
    let fields = json!([{"name": "PO", "value": "17"}]);
    has(&set["invoice_settings"], &json!({"description": "Thank you", "footer": null, "custom_fields": fields}));
    story.advance("2027-02-01T02:00:00Z").await;
    let invoice = &story.invoices().await[1];
    has(invoice, &json!({"description": "Thank you", "footer": "Hers", "custom_fields": fields}));
    let form = [
        ("invoice_settings[footer]", "Its own"),
        ("invoice_settings[custom_fields]", ""),
        ("invoice_settings[description]", ""),
    ];
    story.update(&form).await;
    story.advance("2027-03-01T02:00:00Z").await;
    let invoice = &story.invoices().await[2];
    has(invoice, &json!({"description": null, "footer": "Its own", "custom_fields": null}));
    // From the beginning, too.
    let form =
        [("customer", &*story.customer), ("items[0][price]", &story.price), ("invoice_settings[description]", "Hello")];
    let made = story.house.post("/v1/subscriptions", &form).await.ok();
    let first = made["latest_invoice"].as_str().unwrap();
    assert_eq!(story.house.get(&format!("/v1/invoices/{first}")).await.ok()["description"], "Hello");
    let many: Vec<(String, &str)> = (0..5)
        .flat_map(|n| ["name", "value"].map(|member| (format!("invoice_settings[custom_fields][{n}][{member}]"), "x")))
        .collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let error = story.house.post(&story.path(), &many).await.error(400);
    assert_eq!(error["param"], "invoice_settings[custom_fields]");
}
