//! One-off invoices as callers make them, edit them and let them go, from the published rules.

use serde_json::{Value, json};

use crate::catalogue::has;
use crate::support::{House, at, id};
use crate::told::Mark;

const START: &str = "2027-03-01T12:00:00Z";

/// A house with a customer on a test clock.
async fn start() -> (House, String, String) {
    let house = House::open().await;
    let clock = house.test_clock(START).await;
    let customer = house.customer("pm_card_visa", Some(&clock)).await;
    (house, clock, customer)
}

async fn invoice(house: &House, customer: &str, form: &[(&str, &str)]) -> Value {
    house.post("/v1/invoices", &[&[("customer", customer)], form].concat()).await.ok()
}

/// The types of events about invoices since a mark.
async fn of_invoices(house: &House, since: Mark) -> Vec<String> {
    let told = house.told(since).await;
    told.types().into_iter().filter(|kind| kind.starts_with("invoice.")).map(ToOwned::to_owned).collect()
}

async fn add_item(house: &House, customer: &str, cents: &str, more: &[(&str, &str)]) -> String {
    let form = [("customer", customer), ("amount", cents), ("currency", "usd")];
    id(&house.post("/v1/invoiceitems", &[&form, more].concat()).await.ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_takes_all_that_can_be_said_of_it() {
    let (house, _, customer) = start().await;
    let finalizes_at = at("2027-03-09T00:00:00Z");
    let time = finalizes_at.to_string();
    let form = [
        ("auto_advance", "true"),
        ("automatically_finalizes_at", &time),
        ("custom_fields[0][name]", "PO"),
        ("custom_fields[0][value]", "42"),
        ("description", "For March"),
        ("effective_at", "1800000000"),
        ("footer", "Thanks"),
        ("metadata[k]", "v"),
        ("number", "MARCH-1"),
        ("statement_descriptor", "DUNLIN"),
    ];
    let before = house.mark().await;
    let draft = invoice(&house, &customer, &form).await;
    assert_eq!(of_invoices(&house, before).await, ["invoice.created"]);
    has(&draft, &json!({"auto_advance": true, "automatically_finalizes_at": finalizes_at, "number": "MARCH-1"}));
    has(&draft, &json!({"next_payment_attempt": finalizes_at, "custom_fields": [{"name": "PO", "value": "42"}]}));
    has(&draft, &json!({"description": "For March", "footer": "Thanks", "metadata": {"k": "v"}}));
    has(&draft, &json!({"effective_at": 1_800_000_000, "statement_descriptor": "DUNLIN", "currency": "usd"}));
    has(&draft, &json!({"hosted_invoice_url": null, "invoice_pdf": null, "status": "draft", "due_date": null}));
    let path = format!("/v1/invoices/{}", id(&draft));
    let form = [("custom_fields", ""), ("description", ""), ("number", ""), ("auto_advance", "false")];
    let cleared = house.post(&path, &form).await.ok();
    has(&cleared, &json!({"custom_fields": null, "description": null, "number": null, "footer": "Thanks"}));
    has(&cleared, &json!({"automatically_finalizes_at": null, "next_payment_attempt": null}));
    // A chosen number takes none of the customer's sequence, and nobody else can have it.
    house.post(&path, &[("number", "MARCH-1")]).await.ok();
    let other = invoice(&house, &customer, &[]).await;
    let clash = house.post(&format!("/v1/invoices/{}", id(&other)), &[("number", "MARCH-1")]).await.error(400);
    has(&clash, &json!({"code": "resource_already_exists", "param": "number"}));
    let chosen = house.post(&format!("{path}/finalize"), &[]).await.ok();
    has(&chosen, &json!({"number": "MARCH-1", "effective_at": 1_800_000_000}));
    let counted = house.post(&format!("/v1/invoices/{}/finalize", id(&other)), &[]).await.ok();
    assert!(counted["number"].as_str().unwrap().ends_with("-0001"), "{counted:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_that_makes_no_sense_is_refused() {
    let (house, _, customer) = start().await;
    let past = at("2027-02-01T00:00:00Z").to_string();
    let far = at("2033-01-01T00:00:00Z").to_string();
    let sends = ("collection_method", "send_invoice");
    let must = "If invoice collection method is 'send_invoice', you must specify 'due_date' or 'days_until_due'.";
    let only = "You can only specify 'due_date' or 'days_until_due' if invoice collection method is 'send_invoice'.";
    for (form, param, message) in [
        (vec![sends], "days_until_due", must),
        (vec![("days_until_due", "30")], "days_until_due", only),
        (vec![("due_date", &*far)], "due_date", only),
        (vec![sends, ("due_date", &*past)], "due_date", "The due date"),
        (vec![sends, ("due_date", &*far), ("days_until_due", "3")], "due_date", "You may only specify one"),
        (vec![sends, ("days_until_due", "-1")], "days_until_due", "This value must be"),
        (vec![("automatically_finalizes_at", &*far)], "automatically_finalizes_at", "You can only set"),
        (
            vec![("auto_advance", "true"), ("automatically_finalizes_at", &*past)],
            "automatically_finalizes_at",
            "The time must be in the future.",
        ),
        (
            vec![("auto_advance", "true"), ("automatically_finalizes_at", &*far)],
            "automatically_finalizes_at",
            "The time must not be more than five years ahead.",
        ),
        (vec![("default_payment_method", "pm_x")], "default_payment_method", "No such PaymentMethod"),
        (vec![("subscription", "sub_x")], "subscription", "No such subscription"),
        (vec![("automatic_tax[enabled]", "true")], "automatic_tax", "This parameter is not supported"),
        (vec![("pending_invoice_items_behavior", "all")], "pending_invoice_items_behavior", "Invalid"),
    ] {
        let error = house.post("/v1/invoices", &[&[("customer", &*customer)], &form[..]].concat()).await.error(400);
        assert_eq!(error["param"], param, "{form:?}: {error:#}");
        assert!(error["message"].as_str().unwrap().starts_with(message), "{form:?}: {error:#}");
    }
    assert_eq!(house.post("/v1/invoices", &[]).await.error(400)["code"], "parameter_missing");
    assert!(house.list(&format!("/v1/invoices?customer={customer}")).await.is_empty(), "nothing was made");
    let euros = [("customer", &*customer), ("amount", "100"), ("currency", "eur")];
    house.post("/v1/invoiceitems", &euros).await.ok();
    invoice(&house, &customer, &[]).await;
    let mixed = house.post("/v1/invoices", &[("customer", &customer), ("currency", "eur")]).await.error(400);
    assert_eq!(mixed["param"], "currency", "the first invoice has fixed the currency of the customer");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_subscription_only_its_own_items_are_billed() {
    let (house, _, customer) = start().await;
    let price = house.monthly_price(1000).await;
    let subscription = id(&house.subscribe(&customer, &price).await);
    let own = add_item(&house, &customer, "300", &[("subscription", &subscription)]).await;
    let loose = add_item(&house, &customer, "500", &[]).await;
    let include = ("pending_invoice_items_behavior", "include");
    let billed = invoice(&house, &customer, &[include, ("subscription", &subscription)]).await;
    has(&billed, &json!({"billing_reason": "manual", "total": 300, "amount_due": 300}));
    assert_eq!(billed["parent"]["subscription_details"]["subscription"], *subscription);
    assert_eq!(house.get(&format!("/v1/invoiceitems/{own}")).await.ok()["invoice"], billed["id"]);
    let refused = house.delete(&format!("/v1/invoices/{}", id(&billed))).await.error(400);
    assert!(refused["message"].as_str().unwrap().contains("belongs to a subscription"), "{refused:#}");
    let rest = invoice(&house, &customer, &[include]).await;
    has(&rest, &json!({"total": 500, "parent": null}));
    assert_eq!(house.get(&format!("/v1/invoiceitems/{loose}")).await.ok()["invoice"], rest["id"]);
    let nothing = invoice(&house, &customer, &[include]).await;
    assert_eq!(nothing["total"], 0, "nothing waits any more");
    let paid = house.post(&format!("/v1/invoices/{}/finalize", id(&nothing)), &[]).await.ok();
    has(&paid, &json!({"status": "paid", "amount_due": 0}));
}

/// What stays open to change after each step of an invoice's life.
#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_changed_depends_on_the_status() {
    let (house, _, customer) = start().await;
    let card = house.default_card(&customer, "pm_card_visa").await;
    let all: [(&str, &str); 7] = [
        ("description", "x"),
        ("footer", "x"),
        ("effective_at", "1800000000"),
        ("auto_advance", "false"),
        ("default_payment_method", &card),
        ("statement_descriptor", "X"),
        ("metadata[k]", "v"),
    ];
    for (status, action, allowed) in [
        (
            "draft",
            None,
            vec![
                "description",
                "footer",
                "effective_at",
                "auto_advance",
                "default_payment_method",
                "statement_descriptor",
                "metadata[k]",
            ],
        ),
        ("open", Some("finalize"), vec!["auto_advance", "default_payment_method", "metadata[k]"]),
        ("uncollectible", Some("mark_uncollectible"), vec!["default_payment_method", "metadata[k]"]),
        ("paid", Some("pay"), vec!["metadata[k]"]),
        ("void", Some("void"), vec!["metadata[k]"]),
    ] {
        let draft = invoice(&house, &customer, &[]).await;
        add_item(&house, &customer, "900", &[("invoice", &id(&draft))]).await;
        let path = format!("/v1/invoices/{}", id(&draft));
        if let Some(action) = action {
            if action != "finalize" {
                house.post(&format!("{path}/finalize"), &[]).await.ok();
            }
            assert_eq!(house.post(&format!("{path}/{action}"), &[]).await.ok()["status"], status);
        }
        for (name, value) in all {
            let answer = house.post(&path, &[(name, value)]).await;
            if allowed.contains(&name) {
                assert_eq!(answer.status, 200, "{name} of {status}: {:#}", answer.body);
            } else {
                let said = "Finalized invoices can't be updated in this way";
                has(&answer.error(400), &json!({"message": said, "param": name}));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_draft_that_is_let_go_is_finalised_at_once() {
    let (house, clock, customer) = start().await;
    let draft = invoice(&house, &customer, &[]).await;
    add_item(&house, &customer, "900", &[("invoice", &id(&draft))]).await;
    house.advance(&clock, "2027-03-05T12:00:00Z").await;
    assert_eq!(house.fresh(&draft).await["status"], "draft");
    let path = format!("/v1/invoices/{}", id(&draft));
    let let_go = house.post(&path, &[("auto_advance", "true")]).await.ok();
    has(&let_go, &json!({"status": "draft", "automatically_finalizes_at": at("2027-03-05T12:00:00Z")}));
    house.app.engine.settle_down().await.unwrap();
    has(&house.fresh(&draft).await, &json!({"status": "paid", "amount_paid": 900}));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_that_is_sent_waits_for_its_due_date() {
    let (house, clock, customer) = start().await;
    let sends = [("collection_method", "send_invoice"), ("days_until_due", "14")];
    let draft = invoice(&house, &customer, &sends).await;
    add_item(&house, &customer, "900", &[("invoice", &id(&draft))]).await;
    let due = at("2027-03-15T12:00:00Z");
    has(&draft, &json!({"due_date": due, "collection_method": "send_invoice", "next_payment_attempt": null}));
    let path = format!("/v1/invoices/{}", id(&draft));
    let before = house.mark().await;
    let open = house.post(&format!("{path}/finalize"), &[]).await.ok();
    has(&open, &json!({"status": "open", "due_date": due, "next_payment_attempt": null, "attempted": false}));
    assert_eq!(of_invoices(&house, before).await, ["invoice.finalized"], "nothing is sent by itself");
    house.post(&format!("{path}/send"), &[]).await.ok();
    assert_eq!(of_invoices(&house, before).await, ["invoice.finalized", "invoice.sent"]);
    // The due date makes the customer delinquent, and charges nobody.
    house.advance(&clock, "2027-03-15T12:00:00Z").await;
    has(&house.fresh(&draft).await, &json!({"status": "open", "attempt_count": 0}));
    assert_eq!(house.get(&format!("/v1/customers/{customer}")).await.ok()["delinquent"], true);
    let paid = house.post(&format!("{path}/pay"), &[]).await.ok();
    has(&paid, &json!({"status": "paid", "amount_paid": 900}));
    assert_eq!(house.get(&format!("/v1/customers/{customer}")).await.ok()["delinquent"], false);
    let again = house.post(&format!("{path}/send"), &[]).await.error(400);
    assert!(again["message"].as_str().unwrap().starts_with("This invoice cannot be sent right now."));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_that_advances_is_sent_when_it_is_finalised() {
    let (house, clock, customer) = start().await;
    let sends = [("collection_method", "send_invoice"), ("days_until_due", "0"), ("auto_advance", "true")];
    let by_itself = invoice(&house, &customer, &sends).await;
    add_item(&house, &customer, "900", &[("invoice", &id(&by_itself))]).await;
    let by_hand = invoice(&house, &customer, &sends).await;
    let before = house.mark().await;
    house.post(&format!("/v1/invoices/{}/send", id(&by_hand)), &[]).await.ok();
    let expected = ["invoice.finalized", "invoice.updated", "invoice.paid", "invoice.payment_succeeded"];
    assert_eq!(of_invoices(&house, before).await, expected, "nothing is due: there is nothing to send");
    let before = house.mark().await;
    house.advance(&clock, "2027-03-01T13:00:00Z").await;
    has(&house.fresh(&by_itself).await, &json!({"status": "open", "auto_advance": true}));
    assert_eq!(of_invoices(&house, before).await, ["invoice.finalized", "invoice.sent"]);
    let charged = invoice(&house, &customer, &[]).await;
    let refused = house.post(&format!("/v1/invoices/{}/send", id(&charged)), &[]).await.error(400);
    assert_eq!(refused["message"], "You can only manually send an invoice if its collection method is 'send_invoice'.");
    assert_eq!(house.fresh(&charged).await["status"], "draft", "a refused call has changed nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_finalised_stays_a_draft_and_says_why() {
    let (house, clock, customer) = start().await;
    // Fils end in 0; this sum does not.
    let form = [("customer", &*customer), ("currency", "kwd"), ("auto_advance", "true")];
    let draft = house.post("/v1/invoices", &form).await.ok();
    let path = format!("/v1/invoices/{}", id(&draft));
    let form = [
        ("customer", &*customer),
        ("unit_amount_decimal", "1234.5"),
        ("quantity", "3"),
        ("invoice", &*id(&draft)),
        ("currency", "kwd"),
    ];
    let item = id(&house.post("/v1/invoiceitems", &form).await.ok());
    house.post("/v1/invoiceitems", &[("customer", &*customer), ("amount", "1001")]).await.error(400);
    let before = house.mark().await;
    let error = house.post(&format!("{path}/finalize"), &[]).await.error(400);
    assert_eq!(error["code"], "invalid_charge_amount");
    let failed = house.fresh(&draft).await;
    has(&failed, &json!({"status": "draft", "number": null, "total": 3704, "automatically_finalizes_at": null}));
    has(&failed["last_finalization_error"], &json!({"code": "invalid_charge_amount", "message": error["message"]}));
    assert_eq!(failed["last_finalization_error"]["type"], "invalid_request_error");
    assert_eq!(of_invoices(&house, before).await, ["invoice.finalization_failed"]);
    // It waits for somebody, however long.
    house.advance(&clock, "2027-03-08T12:00:00Z").await;
    assert_eq!(of_invoices(&house, before).await, ["invoice.finalization_failed"]);
    // Changed, it is tried again by itself; the error is gone with the first success.
    house.post(&format!("/v1/invoiceitems/{item}"), &[("unit_amount_decimal", "1230")]).await.ok();
    house.app.engine.settle_down().await.unwrap();
    let paid = house.fresh(&draft).await;
    has(&paid, &json!({"status": "paid", "last_finalization_error": null, "total": 3690, "amount_paid": 3690}));
    assert!(paid["number"].as_str().unwrap().ends_with("-0001"), "a failure takes no number: {paid:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn drafts_of_a_deleted_customer_are_never_finalised() {
    let house = House::open().await;
    let customer = house.customer("pm_card_visa", None).await;
    let draft = invoice(&house, &customer, &[("auto_advance", "true")]).await;
    add_item(&house, &customer, "900", &[("invoice", &id(&draft))]).await;
    house.delete(&format!("/v1/customers/{customer}")).await.ok();
    has(&house.fresh(&draft).await, &json!({"status": "draft", "auto_advance": false}));
    house.advance_wall("2027-01-02T00:00:00Z").await;
    let path = format!("/v1/invoices/{}", id(&draft));
    let error = house.post(&format!("{path}/pay"), &[]).await.error(400);
    has(&error, &json!({"code": "resource_missing", "param": "customer"}));
    let failed = house.fresh(&draft).await;
    has(&failed["last_finalization_error"], &json!({"code": "resource_missing", "type": "invalid_request_error"}));
    assert_eq!(house.list("/v1/events?type=invoice.finalization_failed").await.len(), 1);
    assert_eq!(house.count("select count(*) from invoices where due_at is not null").await, 0);
}
