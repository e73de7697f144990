//! Payments that are called into question: answered, given up, left alone; and where the money is meanwhile.

use dunlin::billing::{Timestamp, payment_intent::Action};
use reqwest::Method;
use serde_json::{Value, json};

use crate::catalogue::has;
use crate::support::{Deaf, House, at, id};

const DAY: i64 = 86_400;

/// A payment of ten dollars with a card.
async fn pay(house: &House, card: &str) -> Value {
    let form = [("amount", "1000"), ("currency", "usd"), ("payment_method", card), ("confirm", "true")];
    house.post("/v1/payment_intents", &form).await.ok()
}

async fn later(house: &House, seconds: i64) {
    house.clock.set(Timestamp::new(house.clock.now().unix_seconds() + seconds));
    house.app.engine.settle_down().await.unwrap();
}

/// The disputes of a payment, oldest first, a minute after it was made.
async fn disputed(house: &House, intent: &Value) -> Vec<Value> {
    later(house, 60).await;
    let mut found = house.list(&format!("/v1/disputes?payment_intent={}", id(intent))).await;
    found.reverse();
    found
}

async fn one_dispute(house: &House, card: &str) -> Value {
    let intent = pay(house, card).await;
    let mut found = disputed(house, &intent).await;
    assert_eq!(found.len(), 1, "{found:#?}");
    found.remove(0)
}

async fn charge_of(house: &House, dispute: &Value) -> Value {
    house.get(&format!("/v1/charges/{}", dispute["charge"].as_str().unwrap())).await.ok()
}

/// What the account has, in cents.
async fn balance(house: &House) -> i64 {
    house.get("/v1/balance").await.ok()["available"][0]["amount"].as_i64().unwrap()
}

async fn answer_with(house: &House, dispute: &Value, text: &str) -> Value {
    house.post(&format!("/v1/disputes/{}", id(dispute)), &[("evidence[uncategorized_text]", text)]).await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_takes_the_money_and_a_won_one_brings_it_back() {
    let house = House::open().await;
    let intent = pay(&house, "pm_card_createDispute").await;
    let before = house.event_types(0).await.len();
    later(&house, 59).await;
    assert!(house.list("/v1/disputes").await.is_empty() && house.event_types(before).await.is_empty());
    later(&house, 1).await;
    assert_eq!(house.event_types(before).await, ["charge.dispute.created", "charge.dispute.funds_withdrawn"]);
    let dispute = house.list("/v1/disputes").await.remove(0);
    has(&dispute, &json!({"object": "dispute", "amount": 1000, "currency": "usd", "reason": "fraudulent"}));
    has(&dispute, &json!({"status": "needs_response", "is_charge_refundable": false, "livemode": false}));
    has(&dispute, &json!({"charge": intent["latest_charge"], "payment_intent": intent["id"], "metadata": {}}));
    let due_by = dispute["created"].as_i64().unwrap() + 7 * DAY;
    has(&dispute["evidence_details"], &json!({"due_by": due_by, "has_evidence": false, "past_due": false}));
    has(&dispute["evidence_details"], &json!({"submission_count": 0, "submission_method": "not_submitted"}));
    has(&dispute["payment_method_details"]["card"], &json!({"case_type": "chargeback", "network_reason_code": "10.4"}));
    assert!(id(&dispute).starts_with("dp_"));
    assert_eq!(charge_of(&house, &dispute).await["disputed"], true);
    assert_eq!(balance(&house).await, -1500, "the payment and the fee are gone");

    // What was taken cannot be given back as well.
    let error = house.post("/v1/refunds", &[("payment_intent", &*id(&intent))]).await.error(400);
    assert_eq!(error["code"], "charge_disputed");

    let path = format!("/v1/disputes/{}", id(&dispute));
    let before = house.event_types(0).await.len();
    let staged = [("evidence[customer_name]", "Ada"), ("submit", "false"), ("metadata[case]", "7")];
    let staged = house.post(&path, &staged).await.ok();
    has(&staged, &json!({"status": "needs_response", "metadata": {"case": "7"}}));
    has(&staged["evidence_details"], &json!({"has_evidence": true, "submission_count": 0}));
    assert_eq!(house.event_types(before).await, ["charge.dispute.updated"]);
    let told = &house.list("/v1/events?type=charge.dispute.updated").await[0];
    let previous = json!({
        "evidence": {"customer_name": null}, "evidence_details": {"has_evidence": false}, "metadata": {"case": null},
    });
    assert_eq!(told["data"]["previous_attributes"], previous);

    let answered = answer_with(&house, &dispute, "winning_evidence").await;
    has(&answered, &json!({"status": "under_review", "is_charge_refundable": false}));
    has(&answered["evidence"], &json!({"customer_name": "Ada", "uncategorized_text": "winning_evidence"}));
    has(&answered["evidence_details"], &json!({"submission_count": 1, "submission_method": "manual"}));
    assert_eq!(house.event_types(before).await.len(), 2, "one update for one answer");
    for form in [&[("submit", "true")][..], &[("evidence[customer_name]", "Bob"), ("submit", "false")]] {
        house.post(&path, form).await.error(400);
    }
    house.post(&format!("{path}/close"), &[]).await.error(400);
    assert_eq!(house.post(&path, &[("metadata[case]", "8")]).await.ok()["metadata"], json!({"case": "8"}));

    let before = house.event_types(0).await.len();
    later(&house, 60).await;
    assert_eq!(house.event_types(before).await, ["charge.dispute.closed", "charge.dispute.funds_reinstated"]);
    let won = house.get(&path).await.ok();
    has(&won, &json!({"status": "won", "is_charge_refundable": true}));
    assert_eq!(balance(&house).await, 1000, "all is back");
    later(&house, 30 * DAY).await;
    assert_eq!(house.get(&path).await.ok(), won, "that was the last of it");
    assert_eq!(house.count("select count(*) from payment_intents where due_at is not null or standing").await, 0);
    // And it can be given back.
    house.post("/v1/refunds", &[("payment_intent", &*id(&intent))]).await.ok();
    assert_eq!(balance(&house).await, 0);
}

/// Dispute evidence text decides the outcome; what is not answered in time is lost.
#[tokio::test(flavor = "multi_thread")]
async fn disputes_are_lost_by_bad_evidence_by_silence_and_by_giving_up() {
    let house = House::open().await;
    let card = "pm_card_createDisputeProductNotReceived";
    let (bad, silent, given_up) =
        (one_dispute(&house, card).await, one_dispute(&house, card).await, one_dispute(&house, card).await);
    has(&bad, &json!({"reason": "product_not_received", "network_reason_code": "13.1"}));
    let before = house.event_types(0).await.len();
    let closed = house.post(&format!("/v1/disputes/{}/close", id(&given_up)), &[]).await.ok();
    has(&closed, &json!({"status": "lost", "is_charge_refundable": false}));
    assert_eq!(house.event_types(before).await, ["charge.dispute.closed"]);
    answer_with(&house, &bad, "losing_evidence").await;
    later(&house, 60).await;
    assert_eq!(house.fresh(&bad).await["status"], "lost");
    assert_eq!(house.fresh(&silent).await["status"], "needs_response");
    later(&house, 7 * DAY - 240).await;
    assert_eq!(house.fresh(&silent).await["status"], "needs_response");
    later(&house, 240).await;
    has(&house.fresh(&silent).await, &json!({"status": "lost", "is_charge_refundable": false}));
    assert_eq!(house.list("/v1/events?type=charge.dispute.closed").await.len(), 3);
    assert_eq!(balance(&house).await, 3 * -1500);
    for dispute in [&bad, &silent, &given_up] {
        let error = house.post("/v1/refunds", &[("charge", dispute["charge"].as_str().unwrap())]).await.error(400);
        assert_eq!(error["code"], "charge_disputed");
        house.post(&format!("/v1/disputes/{}", id(dispute)), &[("evidence[service_date]", "May")]).await.error(400);
        house.post(&format!("/v1/disputes/{}/close", id(dispute)), &[]).await.error(400);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inquiry_moves_no_money_unless_it_escalates() {
    let house = House::open().await;
    let card = "pm_card_createDisputeInquiry";
    let before = house.event_types(0).await.len();
    let satisfied = one_dispute(&house, card).await;
    has(&satisfied, &json!({"status": "warning_needs_response", "is_charge_refundable": true}));
    assert_eq!(satisfied["balance_transactions"], json!([]));
    assert_eq!(satisfied["payment_method_details"]["card"]["case_type"], "inquiry");
    assert_eq!(charge_of(&house, &satisfied).await["disputed"], true);
    assert_eq!(house.event_types(before).await.last().unwrap(), "charge.dispute.created");
    assert_eq!(answer_with(&house, &satisfied, "winning_evidence").await["status"], "warning_under_review");
    later(&house, 60).await;
    assert_eq!(house.fresh(&satisfied).await["status"], "warning_closed");

    // Whoever has the money back has nothing to ask.
    let refunded = one_dispute(&house, card).await;
    let before = house.event_types(0).await.len();
    house.post("/v1/refunds", &[("charge", refunded["charge"].as_str().unwrap())]).await.ok();
    assert_eq!(house.event_types(before).await, ["refund.created", "charge.refunded", "charge.dispute.closed"]);
    has(&house.fresh(&refunded).await, &json!({"status": "warning_closed", "is_charge_refundable": false}));

    let dropped = one_dispute(&house, card).await;
    house.post(&format!("/v1/disputes/{}/close", id(&dropped)), &[]).await.ok();
    assert_eq!(house.fresh(&dropped).await["status"], "warning_closed");

    let forgotten = one_dispute(&house, card).await;
    let escalated = one_dispute(&house, card).await;
    let had = balance(&house).await;
    answer_with(&house, &escalated, "escalate_inquiry_evidence").await;
    let before = house.event_types(0).await.len();
    later(&house, 60).await;
    assert_eq!(house.event_types(before).await, ["charge.dispute.updated", "charge.dispute.funds_withdrawn"]);
    let escalated = house.fresh(&escalated).await;
    has(&escalated, &json!({"status": "needs_response", "is_charge_refundable": false, "amount": 1000}));
    assert_eq!(escalated["payment_method_details"]["card"]["case_type"], "chargeback");
    assert_eq!(balance(&house).await, had - 2500);
    answer_with(&house, &escalated, "winning_evidence").await;
    later(&house, 60).await;
    has(&house.fresh(&escalated).await, &json!({"status": "won", "is_charge_refundable": true}));
    assert_eq!(balance(&house).await, had);

    later(&house, 8 * DAY).await;
    assert_eq!(house.fresh(&forgotten).await["status"], "warning_needs_response");
    let late = answer_with(&house, &forgotten, "They are still thinking.").await;
    assert_eq!(late["evidence_details"]["past_due"], true);
    let silent = one_dispute(&house, card).await;
    later(&house, 120 * DAY).await;
    assert_eq!(house.fresh(&silent).await["status"], "warning_closed");
}

/// The other side of a dispute: one movement when money is taken, one when it comes back.
#[tokio::test(flavor = "multi_thread")]
async fn the_money_of_a_dispute_is_among_the_movements() {
    let house = House::open().await;
    let dispute = one_dispute(&house, "pm_card_createDispute").await;
    answer_with(&house, &dispute, "winning_evidence").await;
    pay(&house, "pm_card_visa").await;
    later(&house, 60).await;
    let dispute = house.fresh(&dispute).await;
    let [taken, back] = dispute["balance_transactions"].as_array().unwrap().as_slice() else { panic!("{dispute:#}") };
    let of_dispute =
        json!({"object": "balance_transaction", "type": "adjustment", "source": dispute["id"], "currency": "usd"});
    for (movement, amount, fee, net, category) in
        [(taken, -1000, 1500, -2500, "dispute"), (back, 1000, -1500, 2500, "dispute_reversal")]
    {
        has(movement, &of_dispute);
        has(movement, &json!({"amount": amount, "fee": fee, "net": net, "reporting_category": category}));
        has(&movement["fee_details"][0], &json!({"amount": fee, "currency": "usd", "type": "stripe_fee"}));
        let path = format!("/v1/balance_transactions/{}", id(movement));
        assert_eq!(house.get(&path).await.ok(), *movement);
        let whole = house.get(&format!("{path}?expand[]=source")).await.ok();
        assert_eq!((&whole["source"]["object"], &whole["source"]["id"]), (&json!("dispute"), &dispute["id"]));
        assert!(whole["source"].get("internal").is_none());
    }
    assert_eq!(back["created"].as_i64().unwrap(), taken["created"].as_i64().unwrap() + 60);
    let all = house.list("/v1/balance_transactions").await;
    assert_eq!(all.iter().map(|one| &one["net"]).collect::<Vec<_>>(), [2500, 1000, -2500, 1000]);
    let sum: i64 = all.iter().map(|one| one["net"].as_i64().unwrap()).sum();
    assert_eq!(sum, balance(&house).await);
    // Page by page, either way.
    let page = |query: String| {
        let house = &house;
        async move {
            let page = house.get(&format!("/v1/balance_transactions?limit=1{query}")).await.ok();
            (id(&page["data"][0]), page["has_more"] == true)
        }
    };
    assert_eq!(page(format!("&starting_after={}", id(back))).await, (id(&all[1]), true));
    assert_eq!(page(format!("&starting_after={}", id(&all[1]))).await, (id(taken), true));
    assert_eq!(page(format!("&ending_before={}", id(&all[1]))).await, (id(back), false));
    let made = back["created"].as_i64().unwrap();
    for (query, count) in [
        ("type=adjustment".to_owned(), 2),
        ("type=charge".to_owned(), 2),
        ("type=refund".to_owned(), 0),
        (format!("source={}", id(&dispute)), 2),
        (format!("type=adjustment&created[gte]={made}"), 1),
        (format!("type=adjustment&created[lt]={made}"), 1),
        ("currency=eur".to_owned(), 0),
    ] {
        assert_eq!(house.list(&format!("/v1/balance_transactions?{query}")).await.len(), count, "{query}");
    }
    house.get("/v1/balance_transactions/txn_x").await.error(404);
}

/// No more is taken than the cardholder has paid, and not had back.
#[tokio::test(flavor = "multi_thread")]
async fn disputes_take_no_more_than_is_left() {
    let house = House::open().await;
    let several = pay(&house, "pm_card_createMultipleDisputes").await;
    let both = disputed(&house, &several).await;
    assert_eq!(both.iter().map(|one| &one["amount"]).collect::<Vec<_>>(), [500, 500]);
    assert_eq!(balance(&house).await, -3000);
    answer_with(&house, &both[0], "winning_evidence").await;
    later(&house, 60).await;
    assert_eq!(house.fresh(&both[0]).await["status"], "won");
    assert_eq!(house.fresh(&both[1]).await["status"], "needs_response");
    later(&house, 7 * DAY).await;
    assert_eq!(house.fresh(&both[1]).await["status"], "lost");

    let partly = pay(&house, "pm_card_createDispute").await;
    house.post("/v1/refunds", &[("payment_intent", &*id(&partly)), ("amount", "300")]).await.ok();
    assert_eq!(disputed(&house, &partly).await[0]["amount"], 700);
    let wholly = pay(&house, "pm_card_createDispute").await;
    house.post("/v1/refunds", &[("payment_intent", &*id(&wholly))]).await.ok();
    assert!(disputed(&house, &wholly).await.is_empty());

    // What is only reserved cannot be disputed; what is captured of it can.
    let manual = [("amount", "1000"), ("currency", "usd"), ("payment_method", "pm_card_createDispute")];
    let more = [("confirm", "true"), ("capture_method", "manual")];
    let reserved = house.post("/v1/payment_intents", &[&manual[..], &more[..]].concat()).await.ok();
    assert!(disputed(&house, &reserved).await.is_empty());
    let capture = format!("/v1/payment_intents/{}/capture", id(&reserved));
    house.post(&capture, &[("amount_to_capture", "600")]).await.ok();
    assert_eq!(disputed(&house, &reserved).await[0]["amount"], 600);
}

/// A dispute changes neither its invoice nor the subscription (10.5), and comes at the time of its clock.
#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_stays_paid_when_its_payment_is_disputed() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let clock = house.test_clock("2027-01-01T00:00:00Z").await;
    let customer = house.customer("pm_card_createDispute", Some(&clock)).await;
    let made = house.subscribe(&customer, &price).await;
    house.advance(&clock, "2027-01-01T00:01:00Z").await;
    let charge = id(&house.list(&format!("/v1/charges?customer={customer}")).await[0]);
    let dispute = house.list(&format!("/v1/disputes?charge={charge}")).await.remove(0);
    has(&dispute, &json!({"amount": 2000, "status": "needs_response"}));
    assert_eq!(dispute["created"].as_i64().unwrap(), made["created"].as_i64().unwrap() + 60);
    let after = house.get(&format!("/v1/subscriptions/{}?expand[]=latest_invoice", id(&made))).await.ok();
    assert_eq!((&after["status"], &after["latest_invoice"]["status"]), (&json!("active"), &json!("paid")));
    has(&after["latest_invoice"], &json!({"amount_paid": 2000, "amount_remaining": 0}));
    house.default_card(&customer, "pm_card_visa").await;
    house.advance(&clock, "2027-02-02T00:00:00Z").await;
    assert_eq!(house.fresh(&dispute).await["status"], "lost");
    assert_eq!(house.fresh(&made).await["status"], "active");
    // What is gone pays no other invoice, and a credit note cannot give it back.
    let loose = [("customer", &*customer), ("amount", "500"), ("currency", "usd")];
    house.post("/v1/invoiceitems", &loose).await.ok();
    let form = [("customer", &*customer), ("pending_invoice_items_behavior", "include")];
    let open = house.post("/v1/invoices", &form).await.ok();
    house.post(&format!("/v1/invoices/{}/finalize", id(&open)), &[]).await.ok();
    let more = [("customer", &*customer), ("payment_method", "pm_card_createDispute"), ("confirm", "true")];
    let form = [&more[..], &[("amount", "500"), ("currency", "usd")]].concat();
    let gone = house.post("/v1/payment_intents", &form).await.ok();
    house.advance(&clock, "2027-02-02T00:01:00Z").await;
    let attach = format!("/v1/invoices/{}/attach_payment", id(&open));
    let error = house.post(&attach, &[("payment_intent", &*id(&gone))]).await.error(400);
    assert!(error["message"].as_str().unwrap().ends_with("was charged back."), "{error:#}");
    let invoice = after["latest_invoice"]["id"].as_str().unwrap();
    let note = [("invoice", invoice), ("amount", "2000"), ("refund_amount", "2000")];
    assert_eq!(house.post("/v1/credit_notes", &note).await.error(400)["code"], "charge_disputed");
    // Its customer may be gone: the case goes on.
    let other = house.customer("pm_card_createDispute", None).await;
    house.subscribe(&other, &price).await;
    house.delete(&format!("/v1/customers/{other}")).await.ok();
    later(&house, 60).await;
    let orphan = house.list("/v1/disputes").await.remove(0);
    answer_with(&house, &orphan, "winning_evidence").await;
    later(&house, 60).await;
    assert_eq!(house.fresh(&orphan).await["status"], "won");
}

/// The dispute setting can end the subscription (9.4); an inquiry does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_whose_payment_is_charged_back_may_end() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    house.post("/v1/dunlin/settings", &[("collection[disputes][subscription]", "cancel")]).await.ok();
    let clock = house.test_clock("2027-01-01T00:00:00Z").await;
    let (left, ended) = (
        house.customer("pm_card_createDisputeInquiry", Some(&clock)).await,
        house.customer("pm_card_createDispute", Some(&clock)).await,
    );
    let (left, ended) = (house.subscribe(&left, &price).await, house.subscribe(&ended, &price).await);
    house.advance(&clock, "2027-01-01T00:01:00Z").await;
    assert_eq!(house.fresh(&left).await["status"], "active");
    let ended = house.fresh(&ended).await;
    assert_eq!((&ended["status"], &ended["ended_at"]), (&json!("canceled"), &json!(at("2027-01-01T00:01:00Z"))));
    assert_eq!(ended["cancellation_details"]["reason"], "payment_disputed");
    let told = house.event_types(0).await;
    let of_it: Vec<&str> = told.iter().map(String::as_str).filter(|kind| kind.ends_with("deleted")).collect();
    assert_eq!(of_it, ["customer.subscription.deleted"]);
    // Once it becomes a matter of money, it does.
    let inquiry = house.list("/v1/disputes").await.into_iter().find(|one| one["status"] == "warning_needs_response");
    answer_with(&house, &inquiry.unwrap(), "escalate_inquiry_evidence").await;
    house.advance(&clock, "2027-01-01T00:02:00Z").await;
    assert_eq!(house.fresh(&left).await["cancellation_details"]["reason"], "payment_disputed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_with_a_dispute_is_refused() {
    let house = House::open().await;
    let dispute = one_dispute(&house, "pm_card_createDispute").await;
    let path = format!("/v1/disputes/{}", id(&dispute));
    let long = "x".repeat(20_001);
    for (name, value) in [
        ("evidence[receipt]", "file_1"),
        ("evidence[uncategorized_file]", "file_1"),
        ("evidence[enhanced_evidence][visa_compliance][fee_acknowledged]", "true"),
        ("evidence[appeal][card][reason_for_filing]", "x"),
        ("evidence[service_date]", long.as_str()),
        ("evidence[none]", "x"),
        ("evidence", "x"),
        ("submit", "maybe"),
        ("intended_submission_method", "manual"),
        ("status", "won"),
    ] {
        let error = house.post(&path, &[(name, value)]).await.error(400);
        let param = error["param"].as_str().unwrap();
        assert!(name.starts_with(param), "{name}: {error:#}");
    }
    let error = house.post(&path, &[("submit", "true")]).await.error(400);
    assert_eq!(error["param"], "evidence");
    assert_eq!(house.fresh(&dispute).await, dispute, "nothing has changed");
    // More than other parameters may have.
    let evidence = house.post(&path, &[("evidence[service_date]", &long[1..]), ("submit", "false")]).await.ok();
    assert_eq!(evidence["evidence"]["service_date"].as_str().unwrap().len(), 20_000);
    let cleared = house.post(&path, &[("evidence[service_date]", ""), ("submit", "false")]).await.ok();
    assert_eq!((&cleared["evidence"], &cleared["status"]), (&dispute["evidence"], &dispute["status"]));
    for path in ["/v1/disputes/dp_x", "/v1/disputes/dp_x/close"] {
        let error = house.post(path, &[]).await.error(404);
        has(&error, &json!({"code": "resource_missing", "message": "No such dispute: 'dp_x'"}));
    }
    house.get("/v1/disputes/dp_x").await.error(404);
    house.get("/v1/disputes?customer=cus_1").await.error(400);
    assert!(house.list("/v1/disputes?charge=ch_x").await.is_empty());
    let whole = house.get(&format!("{path}?expand[]=charge&expand[]=payment_intent")).await.ok();
    assert_eq!((&whole["charge"]["disputed"], &whole["payment_intent"]["status"]), (&json!(true), &json!("succeeded")));
}

/// Older versions have a dispute with the charge, and less to say of either.
#[tokio::test(flavor = "multi_thread")]
async fn older_versions_see_disputes_as_they_did() {
    let house = House::open().await;
    let dispute = one_dispute(&house, "pm_card_createDispute").await;
    let fine = pay(&house, "pm_card_visa").await;
    let get = |path: String, version: &'static str| {
        let house = &house;
        async move { house.call(Method::GET, &path, &[], &[("stripe-version", version)]).await.ok() }
    };
    let charge = format!("/v1/charges/{}", dispute["charge"].as_str().unwrap());
    assert_eq!(get(charge.clone(), "2020-08-27").await["dispute"], dispute["id"]);
    let expanded = get(format!("{charge}?expand[]=dispute"), "2022-11-15").await;
    assert_eq!(expanded["dispute"]["status"], "needs_response");
    assert!(get(charge, "2023-08-16").await.get("dispute").is_none());
    let undisputed = format!("/v1/charges/{}", fine["latest_charge"].as_str().unwrap());
    assert_eq!(get(undisputed, "2020-08-27").await["dispute"], Value::Null);
    let path = format!("/v1/disputes/{}", id(&dispute));
    let oldest = get(path.clone(), "2020-08-27").await;
    assert!(oldest.get("payment_method_details").is_none() && oldest["evidence"].get("enhanced_evidence").is_none());
    assert!(oldest["balance_transactions"][0].get("balance_type").is_none());
    let acacia = get(path, "2025-02-24.acacia").await;
    assert!(acacia.get("intended_submission_method").is_none());
    assert_eq!(acacia["evidence_details"]["enhanced_eligibility"], json!({}));
}

/// The evidence is committed before it is sent: nobody's crash or silence loses it, and it is sent once.
#[tokio::test(flavor = "multi_thread")]
async fn evidence_that_was_not_taken_is_sent_by_whoever_comes_next() {
    let gateway = Deaf::to(Action::Contest);
    let house = House::open_with(gateway.clone(), 0).await;
    let dispute = one_dispute(&house, "pm_card_createDispute").await;
    assert_eq!(answer_with(&house, &dispute, "winning_evidence").await["status"], "needs_response");
    let path = format!("/v1/disputes/{}", id(&dispute));
    let again = house.post(&path, &[("evidence[uncategorized_text]", "losing_evidence")]).await.error(429);
    assert_eq!(again["code"], "lock_timeout");
    gateway.hear();
    later(&house, 60).await;
    let answered = house.fresh(&dispute).await;
    assert_eq!(answered["status"], "under_review");
    assert_eq!(answered["evidence"]["uncategorized_text"], "winning_evidence");
    later(&house, 60).await;
    assert_eq!(house.fresh(&dispute).await["status"], "won");
}
