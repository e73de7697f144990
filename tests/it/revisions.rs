//! Invoices that take the place of others.

use reqwest::Method;
use serde_json::{Value, json};

use crate::catalogue::has;
use crate::support::{Answer, House, at, id};

const START: &str = "2027-03-01T12:00:00Z";

/// A house with a customer on a test clock.
async fn start() -> (House, String, String) {
    let house = House::open().await;
    let clock = house.test_clock(START).await;
    let customer = house.customer("pm_card_visa", Some(&clock)).await;
    (house, clock, customer)
}

async fn act(house: &House, invoice: &Value, action: &str, form: &[(&str, &str)]) -> Answer {
    house.post(&format!("/v1/invoices/{}/{action}", id(invoice)), form).await
}

/// An open invoice over so many cents.
async fn open(house: &House, customer: &str, cents: &str, more: &[(&str, &str)]) -> Value {
    let item = [("customer", customer), ("amount", cents), ("currency", "usd"), ("description", "Work")];
    house.post("/v1/invoiceitems", &item).await.ok();
    let form = [("customer", customer), ("pending_invoice_items_behavior", "include")];
    let draft = house.post("/v1/invoices", &[&form, more].concat()).await.ok();
    act(house, &draft, "finalize", &[]).await.ok()
}

async fn revise(house: &House, invoice: &Value, more: &[(&str, &str)]) -> Answer {
    let invoice = id(invoice);
    let form = [("from_invoice[action]", "revision"), ("from_invoice[invoice]", &*invoice)];
    house.post("/v1/invoices", &[&form, more].concat()).await
}

/// Corrections: a revision is a draft that says what the invoice says; finalised it takes its place (5.2, 5.3).
#[tokio::test(flavor = "multi_thread")]
async fn a_revision_takes_the_place_of_its_invoice_once_it_is_finalised() {
    let (house, clock, customer) = start().await;
    let said = [
        ("collection_method", "send_invoice"),
        ("days_until_due", "30"),
        ("description", "For March"),
        ("footer", "Thanks"),
        ("custom_fields[0][name]", "PO"),
        ("custom_fields[0][value]", "42"),
        ("metadata[k]", "v"),
    ];
    let original = open(&house, &customer, "5000", &said).await;
    house.advance(&clock, "2027-03-04T12:00:00Z").await;
    let before = house.event_types(0).await.len();
    let draft = revise(&house, &original, &[("metadata[why]", "typo")]).await.ok();
    let told: Vec<String> = house.event_types(before).await;
    assert_eq!(told, ["invoice.created", "invoiceitem.created"]);
    has(&draft, &json!({"status": "draft", "total": 5000, "number": null, "billing_reason": "manual"}));
    has(&draft, &json!({"from_invoice": {"action": "revision", "invoice": original["id"]}, "latest_revision": null}));
    for same in ["collection_method", "description", "footer", "custom_fields", "currency", "customer", "period_start"]
    {
        assert_eq!(draft[same], original[same], "{same}");
    }
    assert_eq!(draft["metadata"], json!({"k": "v", "why": "typo"}));
    assert_eq!(draft["due_date"], at("2027-04-03T12:00:00Z"));
    let (line, before_it) = (&draft["lines"]["data"][0], &original["lines"]["data"][0]);
    assert_eq!((&line["description"], &line["amount"]), (&before_it["description"], &before_it["amount"]));
    assert_ne!(line["id"], before_it["id"]);
    let item_of = |line: &Value| line["parent"]["invoice_item_details"]["invoice_item"].clone();
    assert_ne!(item_of(line), item_of(before_it));
    assert_eq!(house.fresh(&original).await["status"], "open", "as long as the revision is a draft");

    let fewer = [("amount", "4000"), ("description", "Work, less a day")];
    let line_path = format!("/v1/invoices/{}/lines/{}", id(&draft), id(line));
    house.post(&line_path, &fewer).await.ok();
    assert_eq!(house.fresh(&original).await["lines"], original["lines"]);
    let before = house.event_types(0).await.len();
    let revised = act(&house, &draft, "finalize", &[]).await.ok();
    has(&revised, &json!({"status": "open", "amount_due": 4000, "from_invoice": draft["from_invoice"]}));
    assert_ne!(revised["number"], original["number"]);
    let told: Vec<String> =
        house.event_types(before).await.into_iter().filter(|kind| kind.starts_with("invoice.")).collect();
    assert_eq!(told, ["invoice.voided", "invoice.finalized"]);
    let voided = &house.list("/v1/events?type=invoice.voided").await[0]["data"]["object"];
    assert_eq!(voided["latest_revision"], draft["id"]);
    let path = format!("/v1/invoices/{}?expand[]=latest_revision.from_invoice.invoice", id(&original));
    let replaced = house.get(&path).await.ok();
    has(&replaced, &json!({"status": "void", "amount_remaining": 5000}));
    assert_eq!(replaced["latest_revision"]["total"], 4000);
    assert_eq!(replaced["latest_revision"]["from_invoice"]["invoice"]["id"], original["id"]);
    // So it is with clients of before there were revisions.
    let open = open(&house, &customer, "100", &[]).await;
    let (of_it, oldest) = (id(&open), [("stripe-version", "2020-08-27")]);
    let form = [("from_invoice[action]", "revision"), ("from_invoice[invoice]", &*of_it)];
    let early = house.call(Method::POST, "/v1/invoices", &form, &oldest).await.ok();
    assert!(early["total"] == 100 && early.get("from_invoice").is_none(), "{early:#}");
    // It can be revised itself; what is void cannot.
    let error = revise(&house, &original, &[]).await.error(400);
    assert_eq!(error["param"], "from_invoice[invoice]");
    let second = revise(&house, &revised, &[]).await.ok();
    assert_eq!(second["from_invoice"]["invoice"], revised["id"]);
}

/// A revision has at hand what the invoice before it took from the balance.
#[tokio::test(flavor = "multi_thread")]
async fn credit_goes_over_to_the_revision() {
    let (house, _, customer) = start().await;
    let credit = [("amount", "-1000"), ("currency", "usd")];
    house.post(&format!("/v1/customers/{customer}/balance_transactions"), &credit).await.ok();
    let original = open(&house, &customer, "5000", &[]).await;
    has(&original, &json!({"amount_due": 4000, "starting_balance": -1000, "ending_balance": 0}));
    let draft = revise(&house, &original, &[]).await.ok();
    has(&draft, &json!({"amount_due": 4000, "starting_balance": -1000, "ending_balance": null}));
    let line = format!("/v1/invoices/{}/lines/{}", id(&draft), id(&draft["lines"]["data"][0]));
    house.post(&line, &[("amount", "600")]).await.ok();
    has(&house.fresh(&draft).await, &json!({"amount_due": 0, "starting_balance": -1000}));
    let paid = act(&house, &draft, "finalize", &[]).await.ok();
    has(&paid, &json!({"status": "paid", "starting_balance": -1000, "ending_balance": -400}));
    assert_eq!(house.get(&format!("/v1/customers/{customer}")).await.ok()["balance"], -400);
    let history = house.list(&format!("/v1/customers/{customer}/balance_transactions")).await;
    let kinds: Vec<&Value> = history.iter().map(|entry| &entry["type"]).collect();
    assert_eq!(kinds, ["applied_to_invoice", "unapplied_from_invoice", "applied_to_invoice", "adjustment"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_invoice_of_a_subscription_is_revised() {
    let (house, clock, customer) = start().await;
    let price = house.monthly_price(2000).await;
    let sent = [("collection_method", "send_invoice"), ("days_until_due", "10")];
    let subscription = house.subscribe_with(&customer, &price, &sent).await.ok();
    house.advance(&clock, "2027-03-01T13:00:00Z").await;
    let original = house.latest_invoice(&subscription).await;
    assert_eq!(original["status"], "open");
    let draft = revise(&house, &original, &[("auto_advance", "true")]).await.ok();
    assert_eq!(draft["parent"]["subscription_details"]["subscription"], subscription["id"]);
    let billed = |invoice: &Value| invoice["lines"]["data"][0]["parent"]["subscription_item_details"].clone();
    assert_eq!(billed(&draft), billed(&original));
    assert_eq!(house.fresh(&subscription).await["latest_invoice"], original["id"]);
    // It is finalised by itself.
    house.advance(&clock, "2027-03-01T15:00:00Z").await;
    assert_eq!(house.fresh(&draft).await["status"], "open");
    assert_eq!(house.fresh(&original).await["status"], "void");
    let after = house.fresh(&subscription).await;
    assert_eq!((&after["latest_invoice"], &after["status"]), (&draft["id"], &json!("active")));
    act(&house, &draft, "pay", &[]).await.ok();
    house.advance(&clock, "2027-04-01T14:00:00Z").await;
    let renewed = house.fresh(&subscription).await;
    assert_eq!(renewed["status"], "active");
    assert_ne!(renewed["latest_invoice"], draft["id"]);
    // A renewal that could not be paid: the revision recovers the subscription.
    let card = house.customer("pm_card_visa", Some(&clock)).await;
    let charged = house.subscribe(&card, &price).await;
    house.default_card(&card, "pm_card_chargeCustomerFail").await;
    house.advance(&clock, "2027-05-01T16:00:00Z").await;
    assert_eq!(house.fresh(&charged).await["status"], "past_due");
    let unpaid = house.latest_invoice(&house.fresh(&charged).await).await;
    let revision = revise(&house, &unpaid, &[]).await.ok();
    house.default_card(&card, "pm_card_visa").await;
    let paid = act(&house, &revision, "pay", &[]).await.ok();
    assert_eq!(paid["status"], "paid");
    assert_eq!(house.fresh(&charged).await["status"], "active");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_that_is_deleted_leaves_nothing_behind() {
    let (house, _, customer) = start().await;
    let original = open(&house, &customer, "5000", &[]).await;
    let draft = revise(&house, &original, &[]).await.ok();
    let error = revise(&house, &original, &[]).await.error(400);
    assert!(error["message"].as_str().unwrap().contains("a draft revision already"), "{error:#}");
    house.delete(&format!("/v1/invoices/{}", id(&draft))).await.ok();
    assert_eq!(house.fresh(&original).await, original);
    assert!(house.list(&format!("/v1/invoiceitems?customer={customer}&pending=true")).await.is_empty());
    revise(&house, &original, &[]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_revised_is_refused() {
    let (house, _, customer) = start().await;
    let original = open(&house, &customer, "5000", &[]).await;
    let invoices = format!("/v1/invoices?customer={customer}");
    let before = house.list(&invoices).await.len();
    for (name, value) in [
        ("customer", customer.as_str()),
        ("currency", "usd"),
        ("subscription", "sub_x"),
        ("pending_invoice_items_behavior", "include"),
    ] {
        let error = revise(&house, &original, &[(name, value)]).await.error(400);
        has(&error, &json!({"code": "parameters_exclusive", "param": name}));
    }
    let made = |action: &'static str, invoice: String| {
        let house = &house;
        async move {
            let form = [("from_invoice[action]", action), ("from_invoice[invoice]", &*invoice)];
            house.post("/v1/invoices", &form).await.error(400)
        }
    };
    assert_eq!(made("copy", id(&original)).await["param"], "from_invoice[action]");
    has(
        &made("revision", "in_x".to_owned()).await,
        &json!({"code": "resource_missing", "param": "from_invoice[invoice]"}),
    );
    let half = [("from_invoice[action]", "revision")];
    assert_eq!(house.post("/v1/invoices", &half).await.error(400)["code"], "parameter_missing");
    let update = [("from_invoice[action]", "revision"), ("from_invoice[invoice]", "in_x")];
    house.post(&format!("/v1/invoices/{}", id(&original)), &update).await.error(400);
    let draft = house.post("/v1/invoices", &[("customer", &customer)]).await.ok();
    let message = made("revision", id(&draft)).await["message"].as_str().unwrap().to_owned();
    assert!(message.ends_with("This invoice has a status of draft."), "{message}");
    // The first invoice of an incomplete subscription decides what becomes of it.
    let price = house.monthly_price(2000).await;
    let incomplete = house.subscribe_with(&customer, &price, &[("payment_behavior", "default_incomplete")]).await.ok();
    let first = house.latest_invoice(&incomplete).await;
    assert_eq!(made("revision", id(&first)).await["param"], "from_invoice[invoice]");

    // Paid meanwhile, it is not replaced: the revision stays a draft, and says why.
    let revision = revise(&house, &original, &[]).await.ok();
    act(&house, &original, "pay", &[]).await.ok();
    act(&house, &revision, "finalize", &[]).await.error(400);
    let left = house.fresh(&revision).await;
    assert_eq!(left["status"], "draft");
    assert!(left["last_finalization_error"]["message"].as_str().unwrap().contains("not open any more"));
    assert_eq!(house.fresh(&original).await["status"], "paid");
    assert_eq!(house.fresh(&original).await["latest_revision"], Value::Null);
    assert_eq!(house.list(&invoices).await.len(), before + 3);
}
