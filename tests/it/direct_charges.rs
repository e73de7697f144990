//! Charges that are made directly: all that holds of payments holds of them.

use dunlin::billing::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use crate::catalogue::has;
use crate::support::{Answer, House, id};

pub const TEN_DOLLARS: [(&str, &str); 2] = [("amount", "1000"), ("currency", "usd")];

pub async fn try_charge(house: &House, more: &[(&str, &str)]) -> Answer {
    house.post("/v1/charges", &[&TEN_DOLLARS, more].concat()).await
}

pub async fn charge(house: &House, more: &[(&str, &str)]) -> Value {
    try_charge(house, more).await.ok()
}

/// A customer with these cards as its sources; the first is its default.
pub async fn customer_with(house: &House, tokens: &[&str]) -> (String, Vec<String>) {
    let customer = id(&house.post("/v1/customers", &[]).await.ok());
    let mut cards = Vec::new();
    for token in tokens {
        let path = format!("/v1/customers/{customer}/sources");
        cards.push(id(&house.post(&path, &[("source", token)]).await.ok()));
    }
    (customer, cards)
}

pub async fn later(house: &House, seconds: i64) {
    house.clock.set(Timestamp::new(house.clock.now().unix_seconds() + seconds));
    house.app.engine.settle_down().await.unwrap();
}

pub async fn balance(house: &House) -> i64 {
    house.get("/v1/balance").await.ok()["available"][0]["amount"].as_i64().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_charged() {
    let house = House::open().await;
    let form = [
        ("source", "tok_visa"),
        ("description", "Two boxes"),
        ("metadata[order]", "6735"),
        ("receipt_email", "ada@example.com"),
        ("statement_descriptor", "BOXES"),
        ("shipping[name]", "Ada"),
        ("shipping[address][line1]", "1 Main St"),
    ];
    let made = charge(&house, &form).await;
    has(
        &made,
        &json!({
            "object": "charge", "amount": 1000, "amount_captured": 1000, "amount_refunded": 0, "captured": true,
            "currency": "usd", "customer": null, "description": "Two boxes", "livemode": false, "paid": true,
            "metadata": {"order": "6735"}, "payment_intent": null, "receipt_email": "ada@example.com",
            "refunded": false, "status": "succeeded", "failure_code": null, "statement_descriptor": "BOXES",
        }),
    );
    has(&made["outcome"], &json!({"type": "authorized", "risk_level": "normal"}));
    has(&made["source"], &json!({"object": "card", "brand": "Visa", "last4": "4242", "id": made["payment_method"]}));
    assert_eq!(made["payment_method_details"]["card"]["last4"], "4242");
    assert!(id(&made).starts_with("ch_"));
    assert_eq!(house.get(&format!("/v1/charges/{}", id(&made))).await.ok(), made);
    assert_eq!(house.event_types(0).await, ["charge.succeeded"]);
    assert_eq!(house.list("/v1/events").await[0]["data"]["object"], made);
    let moved = house.list("/v1/balance_transactions").await;
    has(&moved[0], &json!({"id": made["balance_transaction"], "source": made["id"], "amount": 1000}));
    // A token of one's own serves once.
    let card = [("card[number]", "4242424242424242"), ("card[exp_month]", "12"), ("card[exp_year]", "2030")];
    let token = id(&house.post("/v1/tokens", &card).await.ok());
    has(&charge(&house, &[("source", &*token)]).await, &json!({"description": null, "metadata": {}, "paid": true}));
    assert_eq!(try_charge(&house, &[("source", &*token)]).await.error(400)["code"], "token_already_used");
    assert_eq!(house.list("/v1/charges").await.len(), 2);
    let risky = charge(&house, &[("source", "tok_riskLevelElevated")]).await;
    assert_eq!(risky["outcome"]["risk_level"], "elevated");
    let found = house.get("/v1/charges/search?query=metadata['order']:'6735'").await.ok();
    assert_eq!(found["data"], json!([made]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_is_charged_by_its_cards() {
    let house = House::open().await;
    let (ada, cards) = customer_with(&house, &["tok_visa", "tok_mastercard"]).await;
    let (grace, others) = customer_with(&house, &["tok_amex"]).await;
    let before = house.event_types(0).await.len();
    let by_default = charge(&house, &[("customer", &*ada)]).await;
    has(&by_default, &json!({"customer": ada, "payment_method": cards[0], "paid": true}));
    has(&by_default["source"], &json!({"id": cards[0], "customer": ada}));
    let named = charge(&house, &[("customer", &*ada), ("source", &*cards[1])]).await;
    has(&named, &json!({"customer": ada, "payment_method": cards[1]}));
    let expanded = house.get(&format!("/v1/charges/{}?expand[]=customer", id(&named))).await.ok();
    assert_eq!(expanded["customer"]["id"], json!(ada));
    assert_eq!(house.list(&format!("/v1/charges?customer={ada}")).await, [named, by_default]);
    assert_eq!(house.event_types(before).await, ["charge.succeeded", "charge.succeeded"]);
    // What is not linked to the customer is not charged.
    for source in [&*others[0], "tok_visa", "card_none"] {
        let error = try_charge(&house, &[("customer", &*ada), ("source", source)]).await.error(402);
        has(&error, &json!({"type": "card_error", "code": "missing", "param": "source"}));
        assert_eq!(error["message"], format!("Customer {ada} does not have a linked source with ID {source}."));
    }
    let error = try_charge(&house, &[("source", &*cards[0])]).await.error(400);
    has(&error, &json!({"code": "resource_missing", "param": "source"}));
    let (nobody, _) = customer_with(&house, &[]).await;
    let error = try_charge(&house, &[("customer", &*nobody)]).await.error(402);
    has(&error, &json!({"type": "card_error", "code": "missing", "param": "card"}));
    assert_eq!(error["message"], "Cannot charge a customer that has no active card");
    house.delete(&format!("/v1/customers/{grace}")).await.ok();
    assert_eq!(try_charge(&house, &[("customer", &*grace)]).await.error(400)["param"], "customer");
    assert_eq!(house.list("/v1/charges").await.len(), 2, "nothing else was charged");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_declined_is_kept() {
    let house = House::open().await;
    for (place, (token, code, decline_code)) in [
        ("tok_chargeDeclined", "card_declined", "generic_decline"),
        ("tok_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("tok_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
        ("tok_authenticationRequired", "authentication_required", "authentication_required"),
    ]
    .into_iter()
    .enumerate()
    {
        let form = [("source", token), ("description", "Boxes"), ("metadata[order]", "1")];
        let error = try_charge(&house, &form).await.error(402);
        has(&error, &json!({"type": "card_error", "code": code, "decline_code": decline_code}));
        assert!(error.get("payment_intent").is_none(), "{error:#}");
        let failed = house.list("/v1/charges").await.remove(0);
        has(&failed, &json!({"id": error["charge"], "status": "failed", "paid": false, "captured": false}));
        has(&failed, &json!({"failure_code": code, "failure_message": error["message"], "payment_intent": null}));
        has(&failed, &json!({"description": "Boxes", "metadata": {"order": "1"}, "balance_transaction": null}));
        has(&failed["outcome"], &json!({"type": "issuer_declined", "reason": decline_code}));
        let told = house.list("/v1/events").await;
        assert_eq!((told.len(), &told[0]["type"]), (place + 1, &json!("charge.failed")));
        assert_eq!(told[0]["data"]["object"], failed);
        assert_eq!(house.post("/v1/refunds", &[("charge", &*id(&failed))]).await.error(400)["param"], "charge");
        house.post(&format!("/v1/charges/{}/capture", id(&failed)), &[]).await.error(400);
    }
    assert_eq!(house.count("select count(*) from payment_intents where standing").await, 0, "nothing is left to do");
    // A card that was attached can be declined later on.
    let (customer, _) = customer_with(&house, &["tok_chargeCustomerFail"]).await;
    assert_eq!(try_charge(&house, &[("customer", &*customer)]).await.error(402)["code"], "card_declined");
    // One that was set up needs nobody.
    let (customer, _) = customer_with(&house, &["tok_authenticationRequiredOnSetup"]).await;
    let code = try_charge(&house, &[("customer", &*customer)]).await.error(402)["code"].clone();
    assert_eq!(code, "authentication_required");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reservation_is_captured_let_go_of_or_expires() {
    let house = House::open().await;
    let reserve = [("source", "tok_visa"), ("capture", "false")];
    let reserved = charge(&house, &reserve).await;
    has(&reserved, &json!({"captured": false, "amount_captured": 0, "paid": true, "balance_transaction": null}));
    assert_eq!(reserved["status"], "succeeded");
    let path = format!("/v1/charges/{}", id(&reserved));
    let capture = format!("{path}/capture");
    for amount in ["1001", "0"] {
        assert_eq!(house.post(&capture, &[("amount", amount)]).await.error(400)["param"], "amount");
    }
    let before = house.event_types(0).await.len();
    let form = [
        ("amount", "600"),
        ("receipt_email", "ada@example.com"),
        ("statement_descriptor", "BOXES"),
        ("statement_descriptor_suffix", "TWO"),
    ];
    let captured = house.post(&capture, &form).await.ok();
    has(&captured, &json!({"captured": true, "amount_captured": 600, "amount_refunded": 400, "refunded": false}));
    has(
        &captured,
        &json!({"receipt_email": "ada@example.com", "statement_descriptor": "BOXES", "payment_intent": null}),
    );
    assert_eq!(captured["statement_descriptor_suffix"], "TWO");
    assert_eq!((house.get(&path).await.ok(), balance(&house).await), (captured, 600));
    assert_eq!(house.event_types(before).await, ["charge.captured"]);
    assert_eq!(house.post(&capture, &[]).await.error(400)["code"], "charge_already_captured");

    // A refund lets go of it: no money has moved.
    let released = charge(&house, &reserve).await;
    let refund = [("charge", &*id(&released)), ("amount", "300")];
    assert_eq!(house.post("/v1/refunds", &refund).await.error(400)["param"], "amount");
    let before = house.event_types(0).await.len();
    let refund = house.post("/v1/refunds", &refund[..1]).await.ok();
    has(&refund, &json!({"amount": 1000, "status": "succeeded", "balance_transaction": null, "payment_intent": null}));
    let released = house.get(&format!("/v1/charges/{}", id(&released))).await.ok();
    has(&released, &json!({"captured": false, "amount_refunded": 1000, "refunded": true, "status": "succeeded"}));
    assert_eq!(house.event_types(before).await, ["refund.created", "charge.refunded"]);
    assert_eq!((balance(&house).await, house.list("/v1/balance_transactions").await.len()), (600, 1));
    let expanded = house.get(&format!("/v1/refunds/{}?expand[]=balance_transaction", id(&refund))).await.ok();
    assert_eq!(expanded["balance_transaction"], json!(null));
    let gone = house.post(&format!("/v1/charges/{}/capture", id(&released)), &[]).await.error(400);
    assert_eq!(gone["code"], "charge_already_refunded");
    let again = house.post("/v1/refunds", &[("charge", &*id(&released))]).await.error(400);
    assert_eq!(again["param"], "charge");

    // What nobody captures is lost after a week.
    let left = charge(&house, &reserve).await;
    let before = house.event_types(0).await.len();
    later(&house, 7 * 86_400).await;
    assert_eq!(house.event_types(before).await, ["charge.expired"]);
    let expired = house.get(&format!("/v1/charges/{}", id(&left))).await.ok();
    has(&expired, &json!({"captured": false, "amount_refunded": 1000, "refunded": true}));
    let gone = house.post(&format!("/v1/charges/{}/capture", id(&left)), &[]).await.error(400);
    assert_eq!(gone["code"], "charge_expired_for_capture");
    house.post("/v1/refunds", &[("charge", &*id(&left))]).await.error(400);
}

#[tokio::test(flavor = "multi_thread")]
async fn its_money_goes_back() {
    let house = House::open().await;
    let (customer, _) = customer_with(&house, &["tok_visa"]).await;
    for form in [[("source", "tok_visa")], [("customer", &*customer)]] {
        let made = charge(&house, &form).await;
        let path = format!("/v1/charges/{}", id(&made));
        let part = house.post("/v1/refunds", &[("charge", &*id(&made)), ("amount", "400")]).await.ok();
        has(&part, &json!({"charge": made["id"], "payment_intent": null, "amount": 400, "status": "succeeded"}));
        assert_eq!(house.get(&path).await.ok()["amount_refunded"], 400);
        let rest = house.post(&format!("{path}/refunds"), &[]).await.ok();
        has(&rest, &json!({"amount": 600, "payment_intent": null}));
        assert_eq!(house.get(&path).await.ok()["refunded"], true);
        let again = house.post("/v1/refunds", &[("charge", &*id(&made))]).await.error(400);
        assert_eq!(again["code"], "charge_already_refunded");
        assert_eq!(house.list(&format!("/v1/refunds?charge={}", id(&made))).await, [rest, part]);
    }
    assert_eq!(balance(&house).await, 0);
    let changed = house.list("/v1/charges").await.remove(0);
    let path = format!("/v1/charges/{}", id(&changed));
    let changed = house.post(&path, &[("description", "Returned"), ("customer", &*customer)]).await.ok();
    assert_eq!(changed["description"], "Returned");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_disputed_and_suspected() {
    let house = House::open().await;
    let (customer, _) = customer_with(&house, &["tok_createDispute"]).await;
    for form in [[("source", "tok_createDispute")], [("customer", &*customer)]] {
        let made = charge(&house, &form).await;
        let before = house.event_types(0).await.len();
        later(&house, 60).await;
        let told = house.event_types(before).await;
        assert_eq!(told, ["charge.dispute.created", "charge.dispute.funds_withdrawn"]);
        let dispute = house.list(&format!("/v1/disputes?charge={}", id(&made))).await.remove(0);
        has(&dispute, &json!({"charge": made["id"], "payment_intent": null, "status": "needs_response"}));
        assert_eq!(house.post("/v1/refunds", &[("charge", &*id(&made))]).await.error(400)["code"], "charge_disputed");
        let path = format!("/v1/disputes/{}", id(&dispute));
        let answered = house.post(&path, &[("evidence[uncategorized_text]", "winning_evidence")]).await.ok();
        assert_eq!(answered["status"], "under_review");
        later(&house, 60).await;
        has(&house.get(&path).await.ok(), &json!({"status": "won", "payment_intent": null}));
        assert_eq!(house.get(&format!("/v1/charges/{}", id(&made))).await.ok()["disputed"], true);
    }
    let made = charge(&house, &[("source", "tok_createIssuerFraudRecord")]).await;
    later(&house, 60).await;
    let warning = house.list("/v1/radar/early_fraud_warnings").await.remove(0);
    has(&warning, &json!({"charge": made["id"], "payment_intent": null, "actionable": true}));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_refused() {
    let house = House::open().await;
    let (customer, _) = customer_with(&house, &["tok_visa"]).await;
    let refused = |form: Vec<(&'static str, &'static str)>| {
        let house = &house;
        async move { house.post("/v1/charges", &form).await.error(400) }
    };
    let error = refused(TEN_DOLLARS.to_vec()).await;
    assert_eq!(error["message"], "Must provide source or customer.");
    for (form, code, param) in [
        (vec![("currency", "usd"), ("source", "tok_visa")], "parameter_missing", "amount"),
        (vec![("amount", "1000"), ("source", "tok_visa")], "parameter_missing", "currency"),
        (vec![("amount", "0"), ("currency", "usd"), ("source", "tok_visa")], "parameter_invalid_integer", "amount"),
        (vec![("amount", "10"), ("currency", "usd"), ("source", "tok_visa")], "amount_too_small", "amount"),
        (vec![("amount", "100000000"), ("currency", "usd"), ("source", "tok_visa")], "amount_too_large", "amount"),
        (vec![("amount", "1000"), ("currency", "usd"), ("source", "tok_none")], "resource_missing", "source"),
        (vec![("amount", "1000"), ("currency", "usd"), ("source", "pm_card_visa")], "resource_missing", "source"),
        (vec![("amount", "1000"), ("currency", "usd"), ("customer", "cus_none")], "resource_missing", "customer"),
        (vec![("amount", "1000"), ("currency", "usd"), ("sources", "tok_visa")], "parameter_unknown", "sources"),
    ] {
        let error = refused(form).await;
        has(&error, &json!({"type": "invalid_request_error", "code": code, "param": param}));
    }
    for (name, value) in [
        ("application_fee", "1"),
        ("application_fee_amount", "1"),
        ("destination", "acct_1"),
        ("on_behalf_of", "acct_1"),
        ("radar_options[session]", "rse_1"),
        ("transfer_data[destination]", "acct_1"),
        ("transfer_group", "a"),
        ("currency", "xyz"),
        ("statement_descriptor", "much too long for a statement"),
    ] {
        let form: Vec<_> = TEN_DOLLARS.into_iter().filter(|(known, _)| *known != name).collect();
        let error = house.post("/v1/charges", &[&form[..], &[("source", "tok_visa"), (name, value)]].concat()).await;
        assert_eq!(error.error(400)["param"], name.split('[').next().unwrap(), "{name}");
    }
    for (name, value) in [("application_fee_amount", "1"), ("transfer_data[amount]", "1"), ("capture_method", "x")] {
        let made = charge(&house, &[("customer", &*customer), ("capture", "false")]).await;
        let error = house.post(&format!("/v1/charges/{}/capture", id(&made)), &[(name, value)]).await.error(400);
        assert_eq!(error["param"], name.split('[').next().unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_clients_see_what_they_know() {
    let house = House::open().await;
    let old = [("stripe-version", "2020-08-27")];
    let form = [&TEN_DOLLARS[..], &[("source", "tok_visa")]].concat();
    let made = house.call(Method::POST, "/v1/charges", &form, &old).await.ok();
    has(&made, &json!({"payment_intent": null, "invoice": null, "status": "succeeded"}));
    has(&made["refunds"], &json!({"object": "list", "data": [], "has_more": false}));
    has(&made["source"], &json!({"object": "card", "brand": "Visa", "last4": "4242"}));
    let path = format!("/v1/charges/{}", id(&made));
    let seen = |path: String| {
        let (house, old) = (&house, &old);
        async move { house.call(Method::GET, &path, &[], old).await.ok() }
    };
    assert_eq!(seen(path.clone()).await, made);
    let refund = house.call(Method::POST, "/v1/refunds", &[("charge", &*id(&made))], &old).await.ok();
    assert_eq!(refund["payment_intent"], json!(null));
    assert_eq!(seen(path).await["refunds"]["data"], json!([refund]));
    let declined = [&TEN_DOLLARS[..], &[("source", "tok_chargeDeclined")]].concat();
    let error = house.call(Method::POST, "/v1/charges", &declined, &old).await.error(402);
    let failed = seen(format!("/v1/charges/{}", error["charge"].as_str().unwrap())).await;
    has(&failed, &json!({"status": "failed", "failure_code": "card_declined"}));
}

/// On a test clock a charge lives at its customer's time.
#[tokio::test(flavor = "multi_thread")]
async fn a_reservation_on_a_test_clock_expires_by_it() {
    let house = House::open().await;
    let clock = house.test_clock("2030-01-01T00:00:00Z").await;
    let customer = [("test_clock", &*clock), ("source", "tok_visa")];
    let customer = id(&house.post("/v1/customers", &customer).await.ok());
    let reserved = charge(&house, &[("customer", &*customer), ("capture", "false")]).await;
    assert_eq!(reserved["created"], crate::support::at("2030-01-01T00:00:00Z"));
    house.advance(&clock, "2030-01-09T00:00:00Z").await;
    has(&house.fresh(&reserved).await, &json!({"captured": false, "refunded": true}));
}
