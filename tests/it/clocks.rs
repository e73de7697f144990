//! The billing cycle: on test clocks and at wall time.

use serde_json::json;

use crate::support::{House, at, id};

/// Renewal succeeds (canonical event sequences).
const RENEWAL: [&str; 10] = [
    "invoice.created",
    "customer.subscription.updated",
    "invoice.finalized",
    "payment_intent.created",
    "charge.succeeded",
    "payment_intent.succeeded",
    "invoice.updated",
    "invoice.paid",
    "invoice.payment_succeeded",
    "invoice_payment.paid",
];

#[tokio::test(flavor = "multi_thread")]
async fn fourteen_months_keep_the_31st() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let clock = house.test_clock("2027-01-31T09:00:05Z").await;
    let customer = house.customer("pm_card_visa", Some(&clock)).await;
    let subscription = house.subscribe(&customer, &price).await;
    assert_eq!(subscription["status"], "active");
    house.advance(&clock, "2028-04-01T00:00:00Z").await;

    let mut invoices = house.list(&format!("/v1/invoices?customer={customer}")).await;
    invoices.reverse();
    let boundaries = [
        "2027-01-31",
        "2027-02-28",
        "2027-03-31",
        "2027-04-30",
        "2027-05-31",
        "2027-06-30",
        "2027-07-31",
        "2027-08-31",
        "2027-09-30",
        "2027-10-31",
        "2027-11-30",
        "2027-12-31",
        "2028-01-31",
        "2028-02-29",
        "2028-03-31",
        "2028-04-30",
    ]
    .map(|day| at(&format!("{day}T09:00:05Z")));
    assert_eq!(invoices.len(), 15);
    for (month, invoice) in invoices.iter().enumerate() {
        let (start, end) = (boundaries[month], boundaries[month + 1]);
        assert_eq!(invoice["lines"]["data"][0]["period"], json!({"start": start, "end": end}), "month {month}");
        assert_eq!(invoice["status"], "paid");
        assert_eq!(invoice["created"], start);
        let paid_at = if month == 0 { start } else { start + 3600 };
        assert_eq!(invoice["status_transitions"]["paid_at"], paid_at, "month {month}");
        let (from, to) = if month == 0 { (start, start) } else { (boundaries[month - 1], start) };
        assert_eq!((&invoice["period_start"], &invoice["period_end"]), (&json!(from), &json!(to)));
        assert!(invoice["number"].as_str().unwrap().ends_with(&format!("-{:04}", month + 1)));
    }
    let renewals =
        house.event_types(0).await.into_iter().filter(|kind| kind == "customer.subscription.updated").count();
    assert_eq!(renewals, 14);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_year_in_one_step_is_twelve_steps() {
    let house = House::open().await;
    let price = house.monthly_price(1500).await;
    let mut histories = Vec::new();
    for steps in [
        vec!["2028-02-01T00:00:00Z"],
        vec![
            "2027-02-15T00:00:00Z",
            "2027-03-31T09:30:00Z",
            "2027-05-31T09:00:00Z",
            "2027-05-31T10:00:00Z",
            "2027-09-01T00:00:00Z",
            "2028-01-31T09:00:00Z",
            "2028-02-01T00:00:00Z",
        ],
    ] {
        let clock = house.test_clock("2027-01-31T09:00:00Z").await;
        let customer = house.customer("pm_card_visa", Some(&clock)).await;
        house.subscribe(&customer, &price).await;
        for step in steps {
            house.advance(&clock, step).await;
        }
        let invoices = house.list(&format!("/v1/invoices?customer={customer}")).await;
        let facts = |invoice: &serde_json::Value| {
            json!([
                invoice["created"],
                invoice["status_transitions"],
                invoice["amount_paid"],
                invoice["lines"]["data"][0]["period"]
            ])
        };
        let events = house.list("/v1/events").await;
        let mine = |event: &&serde_json::Value| event["data"]["object"]["customer"] == json!(customer);
        let events: Vec<serde_json::Value> =
            events.iter().filter(mine).map(|event| json!([event["type"], event["created"]])).collect();
        histories.push((invoices.iter().map(facts).collect::<Vec<_>>(), events));
    }
    assert_eq!(histories[0].0.len(), 13);
    assert_eq!(histories[0], histories[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_tells_its_events_in_order() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let clock = house.test_clock("2027-01-10T00:00:00Z").await;
    let customer = house.customer("pm_card_visa", Some(&clock)).await;
    let before = house.event_types(0).await.len();
    let subscription = id(&house.subscribe(&customer, &price).await);
    let created = house.event_types(before).await;
    // Create with a working card: the same set, created before updated, finalised before paid.
    let mut sorted = created.clone();
    sorted.sort_unstable();
    assert_eq!(
        sorted,
        [
            "charge.succeeded",
            "customer.subscription.created",
            "customer.updated",
            "invoice.created",
            "invoice.finalized",
            "invoice.paid",
            "invoice.payment_succeeded",
            "invoice.updated",
            "invoice_payment.paid",
            "payment_intent.created",
            "payment_intent.succeeded",
        ]
    );
    let place = |kind: &str| created.iter().position(|known| known == kind).unwrap();
    assert!(
        place("invoice.created") < place("invoice.finalized") && place("invoice.finalized") < place("invoice.paid")
    );
    let told = house.get("/v1/events?type=customer.subscription.created").await.ok();
    assert_eq!(told["data"][0]["data"]["object"]["status"], "active", "never a passing incomplete");

    let before = house.event_types(0).await.len();
    house.advance(&clock, "2027-02-10T00:00:00Z").await;
    assert_eq!(
        house.get(&format!("/v1/invoices?subscription={subscription}")).await.ok()["data"][0]["status"],
        "draft"
    );
    house.advance(&clock, "2027-02-10T01:00:00Z").await;
    let renewal: Vec<String> =
        house.event_types(before).await.into_iter().filter(|kind| !kind.starts_with("test_helpers")).collect();
    assert_eq!(renewal, RENEWAL);
    let updated = house.get("/v1/events?type=customer.subscription.updated").await.ok();
    let previous = updated["data"][0]["data"]["previous_attributes"].as_object().unwrap();
    assert_eq!(previous.keys().collect::<Vec<_>>(), ["items", "latest_invoice"]);
    assert_eq!(updated["data"][0]["request"], json!({"id": null, "idempotency_key": null}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_starts_declining_makes_it_past_due_until_it_is_paid() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let clock = house.test_clock("2027-01-10T00:00:00Z").await;
    let customer = house.customer("pm_card_visa", Some(&clock)).await;
    let subscription = id(&house.subscribe(&customer, &price).await);
    house.default_card(&customer, "pm_card_chargeCustomerFail").await;
    let before = house.event_types(0).await.len();
    house.advance(&clock, "2027-02-10T02:00:00Z").await;
    let failed: Vec<String> =
        house.event_types(before).await.into_iter().filter(|kind| !kind.starts_with("test_helpers")).collect();
    assert_eq!(
        failed,
        [
            "invoice.created",
            "customer.subscription.updated",
            "invoice.finalized",
            "payment_intent.created",
            "charge.failed",
            "payment_intent.payment_failed",
            "invoice.updated",
            "invoice.payment_failed",
            "customer.subscription.updated",
            "customer.updated",
        ]
    );
    let now = house.get(&format!("/v1/subscriptions/{subscription}?expand[]=latest_invoice")).await.ok();
    assert_eq!((&now["status"], &now["latest_invoice"]["status"]), (&json!("past_due"), &json!("open")));
    assert_eq!(now["latest_invoice"]["attempt_count"], 1);
    assert_eq!(house.get(&format!("/v1/customers/{customer}")).await.ok()["delinquent"], true);

    // A new card and a manual payment bring it back.
    let invoice = id(&now["latest_invoice"]);
    let declined = house.post(&format!("/v1/invoices/{invoice}/pay"), &[]).await.error(402);
    assert_eq!((&declined["code"], &declined["decline_code"]), (&json!("card_declined"), &json!("generic_decline")));
    house.default_card(&customer, "pm_card_mastercard").await;
    assert_eq!(house.post(&format!("/v1/invoices/{invoice}/pay"), &[]).await.ok()["status"], "paid");
    assert_eq!(house.get(&format!("/v1/subscriptions/{subscription}")).await.ok()["status"], "active");
    assert_eq!(house.get(&format!("/v1/customers/{customer}")).await.ok()["delinquent"], false);
    let again = house.post(&format!("/v1/invoices/{invoice}/pay"), &[]).await.error(400);
    assert_eq!(again["message"], "Invoice is already paid");
}

#[tokio::test(flavor = "multi_thread")]
async fn wall_time_renews_in_the_same_way() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let customer = house.customer("pm_card_visa", None).await;
    let subscription = id(&house.subscribe(&customer, &price).await);
    let before = house.event_types(0).await.len();
    house.advance_wall("2027-02-01T00:00:00Z").await;
    house.advance_wall("2027-02-01T01:00:00Z").await;
    assert_eq!(house.event_types(before).await, RENEWAL);
    // Three months of outage: every period is caught up, once.
    house.advance_wall("2027-05-01T00:00:10Z").await;
    house.advance_wall("2027-05-01T01:00:10Z").await;
    let mut starts: Vec<i64> = house
        .list(&format!("/v1/invoices?subscription={subscription}&status=paid"))
        .await
        .iter()
        .map(|invoice| invoice["lines"]["data"][0]["period"]["start"].as_i64().unwrap())
        .collect();
    starts.sort_unstable();
    let expected = ["2027-01-01", "2027-02-01", "2027-03-01", "2027-04-01", "2027-05-01"]
        .map(|day| at(&format!("{day}T00:00:00Z")));
    assert_eq!(starts, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_at_period_end_ends_there_without_an_invoice() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let clock = house.test_clock("2027-01-10T00:00:00Z").await;
    let customer = house.customer("pm_card_visa", Some(&clock)).await;
    let subscription = id(&house.subscribe(&customer, &price).await);
    let path = format!("/v1/subscriptions/{subscription}");
    let set = house.post(&path, &[("cancel_at_period_end", "true")]).await.ok();
    assert_eq!((&set["cancel_at_period_end"], &set["cancel_at"]), (&json!(true), &json!(at("2027-02-10T00:00:00Z"))));
    assert_eq!(set["canceled_at"], at("2027-01-10T00:00:00Z"));
    let told = house.get("/v1/events?type=customer.subscription.updated&limit=1").await.ok();
    let previous = &told["data"][0]["data"]["previous_attributes"];
    assert_eq!(previous["cancel_at_period_end"], false);
    assert_eq!((&previous["cancel_at"], &previous["canceled_at"]), (&json!(null), &json!(null)));
    let undone = house.post(&path, &[("cancel_at_period_end", "false")]).await.ok();
    assert_eq!((&undone["cancel_at"], &undone["canceled_at"]), (&json!(null), &json!(null)));
    house.post(&path, &[("cancel_at_period_end", "true")]).await.ok();
    house.advance(&clock, "2027-02-11T00:00:00Z").await;
    let ended = house.get(&path).await.ok();
    assert_eq!((&ended["status"], &ended["ended_at"]), (&json!("canceled"), &json!(at("2027-02-10T00:00:00Z"))));
    assert_eq!(house.list(&format!("/v1/invoices?subscription={subscription}")).await.len(), 1);
    assert!(house.list(&format!("/v1/subscriptions?customer={customer}")).await.is_empty(), "canceled ones are hidden");
    assert_eq!(house.list(&format!("/v1/subscriptions?customer={customer}&status=ended")).await.len(), 1);
    let gone = house.delete(&path).await.error(404);
    assert_eq!(gone["code"], "resource_missing");
    let refused = house.post(&path, &[("description", "x")]).await.error(400);
    assert_eq!(refused["code"], "invalid_canceled_subscription_fields");
    assert_eq!(house.post(&path, &[("metadata[k]", "v")]).await.ok()["metadata"], json!({"k": "v"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unpaid_first_invoice_expires_after_23_hours() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let clock = house.test_clock("2026-11-01T00:00:00Z").await;
    let customer = house.customer("pm_card_chargeCustomerFail", Some(&clock)).await;
    let subscription = house.subscribe(&customer, &price).await;
    assert_eq!(subscription["status"], "incomplete");
    let path = format!("/v1/subscriptions/{}", id(&subscription));
    house.advance(&clock, "2026-11-01T22:59:59Z").await;
    assert_eq!(house.get(&path).await.ok()["status"], "incomplete");
    let before = house.event_types(0).await.len();
    house.advance(&clock, "2026-11-01T23:00:00Z").await;
    let expired = house.get(&format!("{path}?expand[]=latest_invoice.payments")).await.ok();
    assert_eq!(
        (&expired["status"], &expired["latest_invoice"]["status"]),
        (&json!("incomplete_expired"), &json!("void"))
    );
    let intent = expired["latest_invoice"]["payments"]["data"][0]["payment"]["payment_intent"].as_str().unwrap();
    let intent = house.get(&format!("/v1/payment_intents/{intent}")).await.ok();
    assert_eq!((&intent["status"], &intent["cancellation_reason"]), (&json!("canceled"), &json!("void_invoice")));
    let told: Vec<String> =
        house.event_types(before).await.into_iter().filter(|kind| !kind.starts_with("test_helpers")).collect();
    assert_eq!(told, ["invoice.voided", "payment_intent.canceled", "customer.subscription.updated"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_clock_takes_its_customers_along() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let clock = house.test_clock("2027-01-10T00:00:00Z").await;
    let customer = house.customer("pm_card_visa", Some(&clock)).await;
    let subscription = id(&house.subscribe(&customer, &price).await);
    assert_eq!(house.list("/v1/customers").await.len(), 0, "hidden unless asked for");
    assert_eq!(house.list(&format!("/v1/customers?test_clock={clock}")).await.len(), 1);
    assert_eq!(house.delete(&format!("/v1/test_helpers/test_clocks/{clock}")).await.ok()["deleted"], true);
    assert_eq!(house.get(&format!("/v1/customers/{customer}")).await.ok()["deleted"], true);
    assert_eq!(house.get(&format!("/v1/subscriptions/{subscription}")).await.ok()["status"], "canceled");
    house.get(&format!("/v1/test_helpers/test_clocks/{clock}")).await.error(404);
}
