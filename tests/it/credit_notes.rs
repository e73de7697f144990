//! Credit notes: what they take back of open and of paid invoices, from the published rules.

use serde_json::{Value, json};

use crate::catalogue::has;
use crate::support::{Answer, House, id};

/// A house with a customer and an open invoice of two lines: 3 × 500 and 1000.
async fn start() -> (House, String, Value) {
    let house = House::open().await;
    let customer = house.customer("pm_card_visa", None).await;
    let invoice = open(&house, &customer).await;
    (house, customer, invoice)
}

async fn open(house: &House, customer: &str) -> Value {
    let draft = id(&house.post("/v1/invoices", &[("customer", customer)]).await.ok());
    let price = [("product_data[name]", "Cap"), ("currency", "usd"), ("unit_amount", "500")];
    let price = id(&house.post("/v1/prices", &price).await.ok());
    let form = [
        ("lines[0][pricing][price]", &*price),
        ("lines[0][quantity]", "3"),
        ("lines[1][amount]", "1000"),
        ("lines[1][description]", "Setup"),
    ];
    house.post(&format!("/v1/invoices/{draft}/add_lines"), &form).await.ok();
    house.post(&format!("/v1/invoices/{draft}/finalize"), &[]).await.ok()
}

async fn paid(house: &House, customer: &str) -> Value {
    let invoice = open(house, customer).await;
    house.post(&format!("/v1/invoices/{}/pay", id(&invoice)), &[]).await.ok()
}

async fn credit(house: &House, invoice: &Value, form: &[(&str, &str)]) -> Answer {
    let invoice = id(invoice);
    house.post("/v1/credit_notes", &[&[("invoice", &*invoice)], form].concat()).await
}

async fn balance(house: &House, customer: &str) -> Value {
    house.get(&format!("/v1/customers/{customer}")).await.ok()["balance"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_on_an_open_invoice_lowers_what_is_due() {
    let (house, customer, invoice) = start().await;
    let number = invoice["number"].as_str().unwrap();
    let before = house.mark().await;
    let form = [("amount", "700"), ("memo", "Late"), ("reason", "order_change"), ("metadata[k]", "v")];
    let note = credit(&house, &invoice, &form).await.ok();
    has(&note, &json!({"object": "credit_note", "amount": 700, "total": 700, "subtotal": 700, "status": "issued"}));
    has(&note, &json!({"type": "pre_payment", "pre_payment_amount": 700, "post_payment_amount": 0, "currency": "usd"}));
    has(&note, &json!({"number": format!("{number}-CN-01"), "memo": "Late", "reason": "order_change"}));
    has(&note, &json!({"customer": customer, "metadata": {"k": "v"}, "voided_at": null, "invoice": invoice["id"]}));
    has(&note["lines"]["data"][0], &json!({"type": "custom_line_item", "amount": 700, "quantity": 1}));
    house.told(before).await.are("credit_note.created invoice.updated");
    let lowered = house.fresh(&invoice).await;
    has(&lowered, &json!({"status": "open", "total": 2500, "amount_due": 1800, "amount_remaining": 1800}));
    has(&lowered, &json!({"pre_payment_credit_notes_amount": 700, "post_payment_credit_notes_amount": 0}));
    // What is charged is what remains.
    let whole = house.post(&format!("/v1/invoices/{}/pay", id(&invoice)), &[]).await.ok();
    has(&whole, &json!({"status": "paid", "amount_paid": 1800, "amount_due": 1800, "amount_remaining": 0}));
    assert_eq!(house.list("/v1/charges").await[0]["amount"], 1800);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_of_all_that_is_due_pays_the_invoice() {
    let (house, _, invoice) = start().await;
    credit(&house, &invoice, &[("amount", "500")]).await.ok();
    let before = house.mark().await;
    let last = credit(&house, &invoice, &[("amount", "2000")]).await.ok();
    assert!(last["number"].as_str().unwrap().ends_with("-CN-02"), "numbers count on: {last:#}");
    house.told(before).await.are("credit_note.created invoice.updated invoice.paid payment_intent.canceled");
    let settled = house.fresh(&invoice).await;
    has(&settled, &json!({"status": "paid", "amount_due": 0, "amount_paid": 0, "amount_remaining": 0}));
    has(&settled, &json!({"total": 2500, "pre_payment_credit_notes_amount": 2500}));
    assert!(house.list("/v1/charges").await.is_empty());
    let error = credit(&house, &invoice, &[("amount", "1"), ("credit_amount", "1")]).await.error(400);
    assert_eq!(error["param"], "amount", "nothing is left to credit");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_on_a_paid_invoice_says_where_the_money_goes() {
    let (house, customer, _) = start().await;
    let invoice = paid(&house, &customer).await;
    let before = house.mark().await;
    let form = [("amount", "700"), ("credit_amount", "500"), ("out_of_band_amount", "200")];
    let note = credit(&house, &invoice, &form).await.ok();
    has(&note, &json!({"type": "post_payment", "pre_payment_amount": 0, "post_payment_amount": 700}));
    assert_eq!(note["out_of_band_amount"], 200);
    house.told(before).await.are("credit_note.created invoice.updated customer.updated");
    let after = house.fresh(&invoice).await;
    has(&after, &json!({"status": "paid", "amount_paid": 2500, "amount_due": 2500, "amount_remaining": 0}));
    has(&after, &json!({"pre_payment_credit_notes_amount": 0, "post_payment_credit_notes_amount": 700}));
    assert_eq!(balance(&house, &customer).await, -500);
    let entry = note["customer_balance_transaction"].as_str().unwrap();
    let path = format!("/v1/customers/{customer}/balance_transactions/{entry}");
    let entry = house.get(&path).await.ok();
    has(&entry, &json!({"type": "credit_note", "amount": -500, "credit_note": note["id"], "invoice": invoice["id"]}));
    // The parts must make up the whole, and the whole be on the invoice.
    for (form, param) in [
        (vec![("amount", "100")], "credit_amount"),
        (vec![("amount", "100"), ("credit_amount", "99")], "credit_amount"),
        (vec![("amount", "100"), ("credit_amount", "200"), ("out_of_band_amount", "-100")], "out_of_band_amount"),
        (vec![("amount", "1801"), ("credit_amount", "1801")], "amount"),
        (vec![("amount", "0")], "amount"),
        (vec![("credit_amount", "100")], "amount"),
    ] {
        assert_eq!(credit(&house, &invoice, &form).await.error(400)["param"], param, "{form:?}");
    }
    assert_eq!(house.list(&format!("/v1/credit_notes?invoice={}", id(&invoice))).await.len(), 1);
    credit(&house, &invoice, &[("amount", "1800"), ("out_of_band_amount", "1800")]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_credited_by_amount_or_by_quantity() {
    let (house, _, invoice) = start().await;
    let line = |place: usize| id(&invoice["lines"]["data"][place]);
    let (caps, setup) = (line(0), line(1));
    let form = [
        ("lines[0][type]", "invoice_line_item"),
        ("lines[0][invoice_line_item]", &*caps),
        ("lines[0][quantity]", "2"),
        ("lines[1][type]", "invoice_line_item"),
        ("lines[1][invoice_line_item]", &*setup),
        ("lines[1][amount]", "250"),
        ("lines[2][type]", "custom_line_item"),
        ("lines[2][description]", "Sorry"),
        ("lines[2][quantity]", "3"),
        ("lines[2][unit_amount]", "10"),
    ];
    let note = credit(&house, &invoice, &form).await.ok();
    has(&note, &json!({"amount": 1280, "pre_payment_amount": 1280}));
    let lines = &note["lines"]["data"];
    has(&lines[0], &json!({"amount": 1000, "quantity": 2, "invoice_line_item": caps, "description": "Cap"}));
    has(&lines[1], &json!({"amount": 250, "quantity": null, "invoice_line_item": setup, "description": "Setup"}));
    has(&lines[2], &json!({"amount": 30, "quantity": 3, "unit_amount": 10, "description": "Sorry"}));
    assert_eq!(lines[2].get("invoice_line_item"), None);
    let listed = house.list(&format!("/v1/credit_notes/{}/lines", id(&note))).await;
    assert_eq!(&json!(listed), lines);
    let of = |kind: &'static str| ("lines[0][type]", kind);
    let caps = ("lines[0][invoice_line_item]", &*caps);
    let (invoiced, custom) = (of("invoice_line_item"), of("custom_line_item"));
    for (form, param) in [
        (vec![invoiced, caps, ("lines[0][amount]", "1"), ("lines[0][quantity]", "1")], "lines[0][amount]"),
        (vec![invoiced, caps], "lines[0][amount]"),
        (vec![invoiced, caps, ("lines[0][quantity]", "4")], "lines[0][quantity]"),
        (vec![invoiced, caps, ("lines[0][amount]", "1501")], "lines[0][amount]"),
        (vec![invoiced, caps, ("lines[0][amount]", "-1")], "lines[0][amount]"),
        (vec![custom, ("lines[0][unit_amount]", "-5"), ("lines[0][quantity]", "-1")], "lines[0][quantity]"),
        (vec![invoiced, ("lines[0][amount]", "1")], "lines[0][invoice_line_item]"),
        (
            vec![invoiced, ("lines[0][invoice_line_item]", "il_x"), ("lines[0][amount]", "1")],
            "lines[0][invoice_line_item]",
        ),
        (vec![invoiced, caps, ("lines[0][unit_amount]", "1")], "lines[0][unit_amount]"),
        (vec![custom], "lines[0][unit_amount]"),
        (vec![custom, ("lines[0][amount]", "1")], "lines[0][amount]"),
        (vec![custom, ("lines[0][unit_amount]", "5"), ("amount", "6")], "amount"),
        (vec![custom, ("lines[0][unit_amount]", "1221")], "amount"),
        (vec![("lines[0][unit_amount]", "5")], "lines[0][type]"),
    ] {
        assert_eq!(credit(&house, &invoice, &form).await.error(400)["param"], param, "{form:?}");
    }
    assert_eq!(house.fresh(&invoice).await["amount_remaining"], 1220, "what was refused has changed nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_says_what_would_be_and_keeps_nothing() {
    let (house, _, invoice) = start().await;
    let path = format!("/v1/credit_notes/preview?invoice={}&lines[0][type]=custom_line_item", id(&invoice));
    let path = format!("{path}&lines[0][unit_amount]=300&lines[1][type]=custom_line_item&lines[1][unit_amount]=400");
    let preview = house.get(&path).await.ok();
    has(&preview, &json!({"object": "credit_note", "amount": 700, "pre_payment_amount": 700, "type": "pre_payment"}));
    let lines = path.replace("/preview", "/preview/lines");
    let page = house.get(&format!("{lines}&limit=1")).await.ok();
    assert_eq!((&page["data"][0]["amount"], &page["has_more"]), (&json!(300), &json!(true)));
    let all = house.list(&lines).await;
    assert_eq!(all.iter().map(|line| line["amount"].as_i64().unwrap()).collect::<Vec<_>>(), [300, 400]);
    assert!(house.list("/v1/credit_notes").await.is_empty());
    assert_eq!(house.fresh(&invoice).await, invoice);
    // The note that is then made is the one that was shown, but for its ids.
    let form = [
        ("lines[0][type]", "custom_line_item"),
        ("lines[0][unit_amount]", "300"),
        ("lines[1][type]", "custom_line_item"),
        ("lines[1][unit_amount]", "400"),
    ];
    let made = credit(&house, &invoice, &form).await.ok();
    let without_ids = |note: &Value| {
        let mut note = note.clone();
        note["id"] = Value::Null;
        note["lines"]["url"] = Value::Null;
        note["lines"]["data"].as_array_mut().unwrap().iter_mut().for_each(|line| line["id"] = Value::Null);
        note
    };
    assert_eq!(without_ids(&made), without_ids(&preview));
    let wrong = format!("/v1/credit_notes/preview?invoice={}&amount=9999", id(&invoice));
    assert_eq!(house.get(&wrong).await.error(400)["param"], "amount");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_is_voided_while_its_invoice_is_open() {
    let (house, customer, invoice) = start().await;
    let note = credit(&house, &invoice, &[("amount", "700")]).await.ok();
    let path = format!("/v1/credit_notes/{}", id(&note));
    let before = house.mark().await;
    let said = house.post(&path, &[("memo", "Mistake"), ("metadata[k]", "v")]).await.ok();
    has(&said, &json!({"memo": "Mistake", "metadata": {"k": "v"}, "amount": 700}));
    house.post(&path, &[("memo", "Mistake")]).await.ok();
    house.told(before).await.are("credit_note.updated");
    assert_eq!(house.post(&path, &[("amount", "1")]).await.error(400)["code"], "parameter_unknown");
    let before = house.mark().await;
    let voided = house.post(&format!("{path}/void"), &[]).await.ok();
    has(&voided, &json!({"status": "void", "amount": 700}));
    assert!(voided["voided_at"].is_i64());
    house.told(before).await.are("credit_note.voided invoice.updated");
    has(&house.fresh(&invoice).await, &json!({"amount_due": 2500, "pre_payment_credit_notes_amount": 0}));
    house.post(&format!("{path}/void"), &[]).await.error(400);
    // A number stays used; what is due again is charged.
    let next = credit(&house, &invoice, &[("amount", "100")]).await.ok();
    assert!(next["number"].as_str().unwrap().ends_with("-CN-02"));
    house.post(&format!("/v1/invoices/{}/pay", id(&invoice)), &[]).await.ok();
    assert_eq!(house.list("/v1/charges").await[0]["amount"], 2400);
    let late = house.post(&format!("/v1/credit_notes/{}/void", id(&next)), &[]).await.error(400);
    assert_eq!(late["code"], "status_transition_invalid");
    assert_eq!(house.list(&format!("/v1/credit_notes?customer={customer}")).await.len(), 2);
    house.get("/v1/credit_notes/cn_x").await.error(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partly_paid_invoice_gives_back_both() {
    let (house, customer, invoice) = start().await;
    let form = [("customer", &*customer), ("amount", "1000"), ("currency", "usd"), ("confirm", "true")];
    let form = [&form[..], &[("payment_method", "pm_card_visa")]].concat();
    let part = id(&house.post("/v1/payment_intents", &form).await.ok());
    let path = format!("/v1/invoices/{}/attach_payment", id(&invoice));
    house.post(&path, &[("payment_intent", &part)]).await.ok();
    let note = credit(&house, &invoice, &[("amount", "1800"), ("credit_amount", "300")]).await.ok();
    has(&note, &json!({"type": "mixed", "pre_payment_amount": 1500, "post_payment_amount": 300}));
    let settled = house.fresh(&invoice).await;
    has(&settled, &json!({"status": "paid", "amount_due": 1000, "amount_paid": 1000, "amount_remaining": 0}));
    assert_eq!(balance(&house, &customer).await, -300);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_open_and_paid_invoices_are_credited() {
    let (house, customer, invoice) = start().await;
    let draft = house.post("/v1/invoices", &[("customer", &customer)]).await.ok();
    let voided = open(&house, &customer).await;
    house.post(&format!("/v1/invoices/{}/void", id(&voided)), &[]).await.ok();
    let lost = open(&house, &customer).await;
    house.post(&format!("/v1/invoices/{}/mark_uncollectible", id(&lost)), &[]).await.ok();
    for wrong in [&draft, &voided, &lost] {
        assert_eq!(credit(&house, wrong, &[("amount", "1")]).await.error(400)["param"], "invoice");
    }
    let unknown = house.post("/v1/credit_notes", &[("invoice", "in_x"), ("amount", "1")]).await.error(400);
    has(&unknown, &json!({"code": "resource_missing", "param": "invoice"}));
    for (form, param) in [
        (vec![("reason", "mood"), ("amount", "1")], "reason"),
        (vec![("shipping_cost[shipping_rate]", "shr_x")], "shipping_cost"),
    ] {
        assert_eq!(credit(&house, &invoice, &form).await.error(400)["param"], param);
    }
    assert_eq!(house.post("/v1/credit_notes", &[]).await.error(400)["param"], "invoice");
}

/// A subscription follows its invoice when a credit note settles it, and not otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn a_settled_invoice_recovers_its_subscription() {
    let house = House::open().await;
    let customer = house.customer("pm_card_visa", None).await;
    let price = house.monthly_price(2000).await;
    let subscription = id(&house.subscribe(&customer, &price).await);
    house.default_card(&customer, "pm_card_chargeCustomerFail").await;
    house.advance_wall("2027-02-01T00:00:00Z").await;
    house.advance_wall("2027-02-01T01:00:00Z").await;
    let path = format!("/v1/subscriptions/{subscription}");
    assert_eq!(house.get(&path).await.ok()["status"], "past_due");
    let latest = json!({"id": house.get(&path).await.ok()["latest_invoice"]});
    credit(&house, &latest, &[("amount", "500")]).await.ok();
    assert_eq!(house.get(&path).await.ok()["status"], "past_due");
    credit(&house, &latest, &[("amount", "1500")]).await.ok();
    assert_eq!(house.get(&path).await.ok()["status"], "active");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_refunds_or_takes_up_a_refund() {
    let (house, customer, _) = start().await;
    let invoice = paid(&house, &customer).await;
    let before = house.mark().await;
    let note = credit(&house, &invoice, &[("amount", "700"), ("refund_amount", "700")]).await.ok();
    let refund = note["refunds"][0]["refund"].as_str().unwrap().to_owned();
    has(&note["refunds"][0], &json!({"amount_refunded": 700, "type": "refund", "payment_record_refund": null}));
    house.told(before).await.hold("credit_note.created invoice.updated refund.created charge.refunded");
    has(&house.get(&format!("/v1/refunds/{refund}")).await.ok(), &json!({"amount": 700, "status": "succeeded"}));
    assert_eq!(house.list("/v1/charges").await[0]["amount_refunded"], 700);
    has(&house.fresh(&invoice).await, &json!({"status": "paid", "post_payment_credit_notes_amount": 700}));
    // A refund that was made by itself is taken up later, beside credit.
    let charge = id(&house.list("/v1/charges").await[0]);
    let by_itself = id(&house.post("/v1/refunds", &[("charge", &*charge), ("amount", "300")]).await.ok());
    // But only once, in one note or in two.
    let twice = [("amount", "600"), ("refunds[0][refund]", &*by_itself), ("refunds[1][refund]", &*by_itself)];
    let refused = credit(&house, &invoice, &twice).await.error(400);
    assert_eq!(refused["param"], "refunds[1][amount_refunded]");
    let form = [("amount", "400"), ("credit_amount", "100"), ("refunds[0][refund]", &*by_itself)];
    let note = credit(&house, &invoice, &form).await.ok();
    for taken in [&refund, &by_itself] {
        let form = [("amount", "1"), ("refunds[0][refund]", &**taken), ("refunds[0][amount_refunded]", "1")];
        let refused = credit(&house, &invoice, &form).await.error(400);
        assert_eq!(refused["message"], format!("The refund {taken} has $0.00 that belongs to no credit note yet."));
    }
    assert_eq!(note["refunds"][0]["refund"], by_itself);
    assert_eq!(balance(&house, &customer).await, -100);
    let whole = house.get(&format!("/v1/credit_notes/{}?expand[]=refunds.refund", id(&note))).await.ok();
    assert_eq!(whole["refunds"][0]["refund"]["amount"], 300);
    let other = paid(&house, &customer).await;
    for (form, param) in [
        (vec![("amount", "300"), ("refunds[0][refund]", &*by_itself)], "refunds[0][refund]"),
        (vec![("amount", "300"), ("refunds[0][refund]", "re_x")], "refunds[0][refund]"),
        (vec![("amount", "100"), ("refund_amount", "99")], "credit_amount"),
    ] {
        assert_eq!(credit(&house, &other, &form).await.error(400)["param"], param, "{form:?}");
    }
    let form = [("amount", "301"), ("refunds[0][refund]", &*by_itself), ("refunds[0][amount_refunded]", "301")];
    assert_eq!(credit(&house, &invoice, &form).await.error(400)["param"], "refunds[0][amount_refunded]");
    let form = [("amount", "1400"), ("refund_amount", "1400")];
    credit(&house, &invoice, &form).await.ok();
    assert_eq!(house.list(&format!("/v1/refunds?charge={charge}")).await.len(), 3);
}

/// A line cannot be credited beyond its amount, whether by one note or by several; what a voided note had
/// taken can be credited again.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_is_credited_once() {
    let (house, _, invoice) = start().await;
    let lines: Vec<String> = invoice["lines"]["data"].as_array().unwrap().iter().map(id).collect();
    let part = |line: &str, amount: &str| {
        [("lines[0][type]", "invoice_line_item"), ("lines[0][invoice_line_item]", line), ("lines[0][amount]", amount)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let issue = async |parts: &[(String, String)]| {
        let form: Vec<(&str, &str)> = parts.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        credit(&house, &invoice, &form).await
    };
    let first = issue(&part(&lines[0], "900")).await.ok();
    let error = issue(&part(&lines[0], "601")).await.error(400);
    assert_eq!(
        (&error["param"], &error["message"]),
        (&json!("lines[0][amount]"), &json!("The line has $6.00 to credit."))
    );
    // Twice in one note is no more than once.
    let second = part(&lines[0], "301").map(|(name, value)| (name.replacen("[0]", "[1]", 1), value));
    let error = issue(&[part(&lines[0], "300"), second].concat()).await.error(400);
    assert_eq!(error["param"], "lines[1][amount]");
    issue(&part(&lines[0], "600")).await.ok();
    issue(&part(&lines[0], "1")).await.error(400);
    house.post(&format!("/v1/credit_notes/{}/void", id(&first)), &[]).await.ok();
    issue(&part(&lines[0], "901")).await.error(400);
    issue(&part(&lines[0], "900")).await.ok();
    issue(&part(&lines[1], "1000")).await.ok();
    has(&house.fresh(&invoice).await, &json!({"status": "paid", "amount_due": 0}));
}
