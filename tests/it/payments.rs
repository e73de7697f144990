//! Payment methods, payment intents, charges and the balance, from the published rules.

use reqwest::Method;
use serde_json::{Value, json};

use crate::catalogue::has;
use crate::support::{Answer, House, PUBLISHABLE_KEY, encode, id};

/// Creates an intent of these cents and whatever else is said.
async fn intend(house: &House, cents: &str, form: &[(&str, &str)]) -> Answer {
    house.post("/v1/payment_intents", &[&[("amount", cents), ("currency", "usd")], form].concat()).await
}

/// Calls an action of an intent.
async fn act(house: &House, intent: &Value, action: &str, form: &[(&str, &str)]) -> Answer {
    house.post(&format!("/v1/payment_intents/{}/{action}", id(intent)), form).await
}

async fn card(house: &House, number: &str, cvc: &str) -> Answer {
    let valid = [("type", "card"), ("card[exp_month]", "12"), ("card[exp_year]", "2034")];
    house.post("/v1/payment_methods", &[&valid[..], &[("card[number]", number), ("card[cvc]", cvc)]].concat()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_test_numbers_become_cards() {
    let house = House::open().await;
    for (number, brand) in [
        ("4242424242424242", "visa"),
        ("5555555555554444", "mastercard"),
        ("2223003122003222", "mastercard"),
        ("378282246310005", "amex"),
        ("6011111111111117", "discover"),
        ("3056930009020004", "diners"),
        ("36227206271667", "diners"),
        ("3566002020360505", "jcb"),
        ("6200000000000005", "unionpay"),
    ] {
        let made = card(&house, number, if brand == "amex" { "1234" } else { "123" }).await.ok();
        assert_eq!((&made["type"], &made["card"]["brand"]), (&json!("card"), &json!(brand)), "{number}");
        assert_eq!(made["card"]["last4"], number[number.len() - 4..]);
        has(&made["card"], &json!({"exp_month": 12, "exp_year": 2034}));
        assert_eq!(made["customer"], json!(null));
    }
    let first = card(&house, "4242424242424242", "123").await;
    assert!(!first.text.contains("4242424242424242"), "the number is never said again");
    let (first, twin) = (first.ok(), card(&house, "4242424242424242", "999").await.ok());
    let other = card(&house, "5555555555554444", "123").await.ok();
    assert_ne!(first["id"], twin["id"]);
    // One fingerprint for each number (10.4).
    assert_eq!(first["card"]["fingerprint"], twin["card"]["fingerprint"]);
    assert_ne!(first["card"]["fingerprint"], other["card"]["fingerprint"]);
    let token = house.post("/v1/payment_methods", &[("type", "card"), ("card[token]", "tok_visa")]).await.ok();
    has(&token["card"], &json!({"brand": "visa", "last4": "4242"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn impossible_card_data_is_refused() {
    let house = House::open().await;
    // The number fails the Luhn check (11.2).
    let wrong = card(&house, "4242424242424241", "123").await.error(402);
    has(&wrong, &json!({"type": "card_error", "code": "incorrect_number"}));
    assert_eq!(wrong["message"], "Your card number is incorrect.");
    for (field, code) in [
        ([("card[exp_month]", "13"), ("card[exp_year]", "2034"), ("card[cvc]", "123")], "invalid_expiry_month"),
        ([("card[exp_month]", "12"), ("card[exp_year]", "95"), ("card[cvc]", "123")], "invalid_expiry_year"),
        ([("card[exp_month]", "12"), ("card[exp_year]", "2034"), ("card[cvc]", "99")], "invalid_cvc"),
    ] {
        let form = [&[("type", "card"), ("card[number]", "4242424242424242")], &field[..]].concat();
        let refused = house.post("/v1/payment_methods", &form).await;
        assert!([400, 402].contains(&refused.status), "{code}: {:#}", refused.body);
        assert_eq!(refused.body["error"]["code"], code);
    }
    assert_eq!(house.count("select count(*) from payment_methods").await, 0);
}

/// Cards that refuse already when they are attached (11.2): token, number, code, decline code.
const DECLINES: [(&str, &str, &str, &str); 8] = [
    ("pm_card_visa_chargeDeclined", "4000000000000002", "card_declined", "generic_decline"),
    ("pm_card_visa_chargeDeclinedInsufficientFunds", "4000000000009995", "card_declined", "insufficient_funds"),
    ("pm_card_visa_chargeDeclinedLostCard", "4000000000009987", "card_declined", "lost_card"),
    ("pm_card_visa_chargeDeclinedStolenCard", "4000000000009979", "card_declined", "stolen_card"),
    ("pm_card_visa_chargeDeclinedVelocityLimitExceeded", "4000000000006975", "card_declined", "card_velocity_exceeded"),
    ("pm_card_chargeDeclinedExpiredCard", "4000000000000069", "expired_card", ""),
    ("pm_card_chargeDeclinedIncorrectCvc", "4000000000000127", "incorrect_cvc", ""),
    ("pm_card_chargeDeclinedProcessingError", "4000000000000119", "processing_error", ""),
];

#[tokio::test(flavor = "multi_thread")]
async fn declining_cards_can_neither_be_attached_nor_charged() {
    let house = House::open().await;
    let customer = id(&house.post("/v1/customers", &[]).await.ok());
    for (token, number, code, decline_code) in DECLINES {
        let raw = id(&card(&house, number, "123").await.ok());
        let attach = |method: String| {
            let (house, form) = (&house, [("customer", &*customer)]);
            async move { house.post(&format!("/v1/payment_methods/{method}/attach"), &form).await }
        };
        let form = [("payment_method", token), ("confirm", "true")];
        let charged = intend(&house, "1000", &form).await.error(402);
        assert_eq!(charged["payment_intent"]["last_payment_error"]["code"], code);
        for declined in [attach(token.to_owned()).await.error(402), attach(raw).await.error(402), charged] {
            has(&declined, &json!({"type": "card_error", "code": code}));
            if !decline_code.is_empty() {
                assert_eq!(declined["decline_code"], decline_code);
            }
            // Of a lost or stolen card the holder reads no more than the generic message (appendix C).
            if ["generic_decline", "lost_card", "stolen_card"].contains(&decline_code) {
                assert_eq!(declined["message"], "Your card was declined.");
            }
        }
    }
    assert!(house.list(&format!("/v1/customers/{customer}/payment_methods")).await.is_empty());
    assert_eq!(house.count("select count(*) from charges where status = 'succeeded'").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_method_belongs_to_one_customer_until_it_is_detached_for_ever() {
    let house = House::open().await;
    let (ada, eve) = (house.customer("pm_card_visa", None).await, house.customer("pm_card_mastercard", None).await);
    let method = id(&house.list(&format!("/v1/customers/{ada}/payment_methods")).await[0]);
    let path = format!("/v1/payment_methods/{method}");
    assert!(method.starts_with("pm_") && !method.starts_with("pm_card"), "each use of a token makes a fresh one");
    assert_eq!(house.get(&path).await.ok()["customer"], json!(ada));
    house.post(&format!("{path}/attach"), &[("customer", &eve)]).await.error(400);
    let changed = house.post(&path, &[("metadata[k]", "v"), ("billing_details[name]", "Ada")]).await.ok();
    assert_eq!((&changed["metadata"]["k"], &changed["billing_details"]["name"]), (&json!("v"), &json!("Ada")));
    let before = house.event_types(0).await.len();
    assert_eq!(house.post(&format!("{path}/detach"), &[]).await.ok()["customer"], json!(null));
    assert!(house.event_types(before).await.contains(&"payment_method.detached".to_owned()));
    // Detaching clears the defaults that point at it; nothing brings it back (10.4).
    let customer = house.get(&format!("/v1/customers/{ada}")).await.ok();
    assert_eq!(customer["invoice_settings"]["default_payment_method"], json!(null));
    house.post(&format!("{path}/attach"), &[("customer", &ada)]).await.error(400);
    house.post(&format!("{path}/detach"), &[]).await.error(400);
    assert!(house.list(&format!("/v1/customers/{ada}/payment_methods")).await.is_empty());
    let events = house.list("/v1/events?type=payment_method.attached").await;
    assert_eq!(events.len(), 2);
    assert_eq!(events[1]["data"]["object"]["customer"], json!(ada), "the snapshot is of the attached one");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intent_goes_from_no_method_to_success() {
    let house = House::open().await;
    let before = house.event_types(0).await.len();
    let form = [("metadata[order]", "7"), ("description", "An order")];
    let intent = intend(&house, "1000", &form).await.ok();
    has(&intent, &json!({"status": "requires_payment_method", "amount_received": 0}));
    has(&intent, &json!({"latest_charge": null, "payment_method": null}));
    let secret = intent["client_secret"].as_str().unwrap();
    assert!(secret.starts_with(&format!("{}_secret_", id(&intent))), "{secret}");
    let refused = act(&house, &intent, "confirm", &[]).await.error(400);
    let start = "You cannot confirm this PaymentIntent because it's missing a payment method.";
    assert!(refused["message"].as_str().unwrap().starts_with(start), "{refused}");
    let path = format!("/v1/payment_intents/{}", id(&intent));
    let ready = house.post(&path, &[("payment_method", "pm_card_visa")]).await.ok();
    assert_eq!(ready["status"], "requires_confirmation");
    let paid = act(&house, &intent, "confirm", &[]).await.ok();
    has(&paid, &json!({"status": "succeeded", "amount_received": 1000}));
    has(&paid, &json!({"next_action": null, "last_payment_error": null}));
    let charge = house.get(&format!("/v1/charges/{}", paid["latest_charge"].as_str().unwrap())).await.ok();
    assert_eq!(
        (&charge["status"], &charge["paid"], &charge["captured"]),
        (&json!("succeeded"), &json!(true), &json!(true))
    );
    has(&charge, &json!({"amount": 1000, "amount_captured": 1000}));
    assert_eq!((&charge["payment_intent"], &charge["payment_method"]), (&paid["id"], &paid["payment_method"]));
    // The metadata of an intent is copied to its charge (api.md 2).
    assert_eq!(charge["metadata"], json!({"order": "7"}));
    let told = house.event_types(before).await;
    assert_eq!(told, ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"]);
    let again = act(&house, &intent, "confirm", &[]).await.error(400);
    let message =
        "You cannot confirm this PaymentIntent because it has already succeeded after being previously confirmed.";
    has(&again, &json!({"code": "payment_intent_unexpected_state", "message": message}));
    assert_eq!(again["payment_intent"]["id"], intent["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_confirmation_is_kept_and_can_be_tried_again() {
    let house = House::open().await;
    let customer = house.customer("pm_card_chargeCustomerFail", None).await;
    let method = id(&house.list(&format!("/v1/customers/{customer}/payment_methods")).await[0]);
    let intent = intend(&house, "1000", &[("customer", &customer), ("payment_method", &method)]).await.ok();
    assert_eq!(intent["status"], "requires_confirmation");
    let before = house.event_types(0).await.len();
    let error = act(&house, &intent, "confirm", &[]).await.error(402);
    has(&error, &json!({"type": "card_error", "code": "card_declined"}));
    has(&error, &json!({"decline_code": "generic_decline", "message": "Your card was declined."}));
    let failed = &error["payment_intent"];
    assert_eq!((&failed["id"], &failed["object"]), (&intent["id"], &json!("payment_intent")));
    // The method leaves the intent and stays readable in the error (10.1).
    has(failed, &json!({"status": "requires_payment_method", "payment_method": null}));
    let last = &failed["last_payment_error"];
    has(last, &json!({"code": "card_declined", "decline_code": "generic_decline"}));
    assert_eq!((&last["type"], &last["payment_method"]["id"]), (&json!("card_error"), &json!(method)));
    assert_eq!((&last["charge"], &last["message"]), (&error["charge"], &error["message"]));
    assert_eq!(house.fresh(&intent).await["last_payment_error"]["code"], "card_declined", "it is persisted");
    let charge = house.get(&format!("/v1/charges/{}", error["charge"].as_str().unwrap())).await.ok();
    has(&charge, &json!({"status": "failed", "paid": false, "failure_code": "card_declined"}));
    assert_eq!(charge["failure_message"], error["message"]);
    assert_eq!(house.event_types(before).await, ["charge.failed", "payment_intent.payment_failed"]);
    let paid = act(&house, &intent, "confirm", &[("payment_method", "pm_card_visa")]).await.ok();
    has(&paid, &json!({"status": "succeeded", "last_payment_error": null}));
    assert_eq!(house.list(&format!("/v1/charges?payment_intent={}", id(&intent))).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn authentication_waits_for_the_customer_or_fails_without_one() {
    let house = House::open().await;
    let before = house.event_types(0).await.len();
    let form = [("payment_method", "pm_card_authenticationRequired"), ("confirm", "true")];
    let waiting = intend(&house, "1000", &form).await.ok();
    assert_eq!(waiting["status"], "requires_action");
    assert!(waiting["next_action"]["type"].is_string(), "{waiting:#}");
    assert_eq!(house.event_types(before).await, ["payment_intent.created", "payment_intent.requires_action"]);
    let canceled = act(&house, &waiting, "cancel", &[]).await.ok();
    has(&canceled, &json!({"status": "canceled", "next_action": null}));
    let customer = house.customer("pm_card_authenticationRequired", None).await;
    let method = id(&house.list(&format!("/v1/customers/{customer}/payment_methods")).await[0]);
    let form = [("customer", &*customer), ("payment_method", &*method), ("confirm", "true"), ("off_session", "true")];
    let error = intend(&house, "1000", &form).await.error(402);
    has(&error, &json!({"type": "card_error", "code": "authentication_required"}));
    let intent = house.fresh(&error["payment_intent"]).await;
    assert_eq!(intent["status"], "requires_payment_method");
    assert_eq!(intent["last_payment_error"]["payment_method"]["id"], json!(method));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authorised_amount_is_captured_in_full_in_part_or_not_at_all() {
    let house = House::open().await;
    let form = [("payment_method", "pm_card_visa"), ("confirm", "true"), ("capture_method", "manual")];
    let before = house.event_types(0).await.len();
    let intent = intend(&house, "1000", &form).await.ok();
    has(&intent, &json!({"status": "requires_capture", "amount_capturable": 1000, "amount_received": 0}));
    assert!(house.event_types(before).await.contains(&"payment_intent.amount_capturable_updated".to_owned()));
    let charge = format!("/v1/charges/{}", intent["latest_charge"].as_str().unwrap());
    assert_eq!(house.get(&charge).await.ok()["captured"], false);
    for amount in ["1001", "0", "-1", "x"] {
        act(&house, &intent, "capture", &[("amount_to_capture", amount)]).await.error(400);
    }
    let captured = act(&house, &intent, "capture", &[("amount_to_capture", "600")]).await.ok();
    has(&captured, &json!({"status": "succeeded", "amount_received": 600, "amount_capturable": 0, "amount": 1000}));
    has(&house.get(&charge).await.ok(), &json!({"captured": true, "amount_captured": 600}));
    let again = act(&house, &intent, "capture", &[]).await.error(400);
    let message = "This PaymentIntent could not be captured because it has a status of succeeded. Only a PaymentIntent \
                   with a status of requires_capture may be captured.";
    has(&again, &json!({"code": "payment_intent_unexpected_state", "message": message}));
    let whole = intend(&house, "1000", &form).await.ok();
    assert_eq!(act(&house, &whole, "capture", &[]).await.ok()["amount_received"], 1000);
    let released = intend(&house, "1000", &form).await.ok();
    let released = act(&house, &released, "cancel", &[]).await.ok();
    has(&released, &json!({"status": "canceled", "amount_received": 0, "amount_capturable": 0}));
}

/// An issuer keeps what was reserved for seven days (10.1); then, or when it is canceled, it is free again.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_reserved_is_let_go() {
    let house = House::open().await;
    let form = [("payment_method", "pm_card_visa"), ("confirm", "true"), ("capture_method", "manual")];
    let charge = async |intent: &Value| {
        house.get(&format!("/v1/charges/{}", intent["latest_charge"].as_str().unwrap())).await.ok()
    };
    let canceled = intend(&house, "1000", &form).await.ok();
    let before = house.event_types(0).await.len();
    act(&house, &canceled, "cancel", &[]).await.ok();
    assert_eq!(house.event_types(before).await, ["payment_intent.canceled", "charge.refunded"]);
    has(&charge(&canceled).await, &json!({"amount_refunded": 1000, "refunded": true, "captured": false}));

    let (left, taken) = (intend(&house, "1000", &form).await.ok(), intend(&house, "1000", &form).await.ok());
    house.advance_wall("2027-01-07T23:59:59Z").await;
    act(&house, &taken, "capture", &[]).await.ok();
    let before = house.event_types(0).await.len();
    house.advance_wall("2027-01-08T00:00:00Z").await;
    assert_eq!(house.event_types(before).await, ["payment_intent.canceled", "charge.expired"]);
    let expired = house.fresh(&left).await;
    has(&expired, &json!({"status": "canceled", "cancellation_reason": "expired", "amount_capturable": 0}));
    assert_eq!(charge(&left).await["refunded"], true);
    assert_eq!(house.fresh(&taken).await["status"], "succeeded");
    assert_eq!(house.count("select count(*) from payment_intents where due_at is not null").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intent_is_canceled_before_it_succeeds_and_then_stays_so() {
    let house = House::open().await;
    let open = intend(&house, "1000", &[]).await.ok();
    // This reason is for the service only (10.1).
    act(&house, &open, "cancel", &[("cancellation_reason", "void_invoice")]).await.error(400);
    let before = house.event_types(0).await.len();
    let canceled = act(&house, &open, "cancel", &[("cancellation_reason", "abandoned")]).await.ok();
    has(&canceled, &json!({"status": "canceled", "cancellation_reason": "abandoned"}));
    assert!(canceled["canceled_at"].is_i64());
    assert_eq!(house.event_types(before).await, ["payment_intent.canceled"]);
    for action in ["cancel", "capture", "confirm"] {
        let error = act(&house, &open, action, &[]).await.error(400);
        assert_eq!(error["code"], "payment_intent_unexpected_state", "{action}");
    }
    let paid = intend(&house, "1000", &[("payment_method", "pm_card_visa"), ("confirm", "true")]).await.ok();
    let error = act(&house, &paid, "cancel", &[]).await.error(400);
    let message = "You cannot cancel this PaymentIntent because it has a status of succeeded. Only a PaymentIntent \
                   with one of the following statuses may be canceled: requires_payment_method, requires_capture, \
                   requires_confirmation, requires_action, processing.";
    has(&error, &json!({"code": "payment_intent_unexpected_state", "message": message}));
    assert_eq!(error["payment_intent"]["status"], "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn amounts_have_a_least_and_a_most() {
    let house = House::open().await;
    let try_out = |currency: &'static str, amount: &'static str| {
        let house = &house;
        async move { house.post("/v1/payment_intents", &[("amount", amount), ("currency", currency)]).await }
    };
    // Minimum charges (5.5).
    for (currency, least, below) in [("usd", "50", "49"), ("gbp", "30", "29"), ("huf", "17500", "17499")] {
        assert_eq!(try_out(currency, least).await.ok()["currency"], currency);
        let error = try_out(currency, below).await.error(400);
        has(&error, &json!({"code": "amount_too_small", "param": "amount"}));
    }
    assert_eq!(try_out("usd", "49").await.error(400)["message"], "Amount must be at least $0.50 usd");
    try_out("usd", "99999999").await.ok();
    assert_eq!(try_out("usd", "100000000").await.error(400)["code"], "amount_too_large");
    for amount in ["0", "-1", "-9223372036854775808", "9223372036854775808", "1.5", "abc", "1e3", ""] {
        let error = try_out("usd", amount).await.error(400);
        has(&error, &json!({"type": "invalid_request_error", "param": "amount"}));
    }
    assert_eq!(try_out("xyz", "1000").await.error(400)["param"], "currency");
    assert_eq!(try_out("USD", "1000").await.ok()["currency"], "usd");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publishable_key_and_the_secret_of_an_intent_open_that_intent_only() {
    let house = House::open().await;
    let intent = intend(&house, "1000", &[("metadata[k]", "v"), ("description", "An order")]).await.ok();
    let other = intend(&house, "2000", &[]).await.ok();
    let key = format!("Bearer {PUBLISHABLE_KEY}");
    let headers = [("authorization", &*key)];
    let path = format!("/v1/payment_intents/{}", id(&intent));
    let with = |secret: &Value| format!("{path}?{}", encode(&[("client_secret", secret.as_str().unwrap())]));
    let seen = house.call(Method::GET, &with(&intent["client_secret"]), &[], &headers).await.ok();
    has(&seen, &json!({"status": "requires_payment_method", "amount": 1000}));
    let hidden = ["metadata", "customer", "latest_charge"];
    assert!(hidden.iter().all(|name| seen.get(name).is_none()), "for the secret key only: {seen:#}");
    let missing = house.call(Method::GET, &path, &[], &headers).await.error(400);
    has(&missing, &json!({"code": "parameter_missing", "param": "client_secret"}));
    let wrong = house.call(Method::GET, &with(&other["client_secret"]), &[], &headers).await.error(400);
    assert_eq!(wrong["param"], "client_secret");
    let start = "The client_secret provided does not match any associated PaymentIntent on this account.";
    assert!(wrong["message"].as_str().unwrap().starts_with(start), "{wrong}");
    let confirm = format!("{path}/confirm");
    let secret = intent["client_secret"].as_str().unwrap();
    let form = [("payment_method", "pm_card_visa"), ("client_secret", secret)];
    let paid = house.call(Method::POST, &confirm, &form, &headers).await.ok();
    assert!(paid["status"] == "succeeded" && paid.get("metadata").is_none(), "{paid:#}");
    for (method, path) in [(Method::POST, format!("{path}/cancel")), (Method::GET, "/v1/payment_intents".to_owned())] {
        let status = house.call(method, &path, &[], &headers).await.status;
        assert!([401, 403].contains(&status), "{path}: {status}");
    }
    // The secret key needs no client secret.
    assert_eq!(house.fresh(&intent).await["metadata"], json!({"k": "v"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intent_can_be_changed_until_it_has_succeeded() {
    let house = House::open().await;
    let intent = intend(&house, "1000", &[("metadata[a]", "1")]).await.ok();
    let path = format!("/v1/payment_intents/{}", id(&intent));
    let changed = house.post(&path, &[("amount", "2000"), ("metadata[b]", "2")]).await.ok();
    has(&changed, &json!({"amount": 2000, "metadata": {"a": "1", "b": "2"}}));
    house.post(&path, &[("amount", "49")]).await.error(400);
    act(&house, &intent, "confirm", &[("payment_method", "pm_card_visa")]).await.ok();
    house.post(&path, &[("amount", "3000")]).await.error(400);
    has(&house.post(&path, &[("metadata", "")]).await.ok(), &json!({"amount": 2000, "metadata": {}}));
    // Removed in this dialect (0.2).
    let error = intend(&house, "1000", &[("payment_method_types[]", "card")]).await.error(400);
    assert_eq!(error["code"], "payment_method_types_no_longer_supported");
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_and_methods_are_listed_by_customer() {
    let house = House::open().await;
    let (ada, eve) = (house.customer("pm_card_visa", None).await, house.customer("pm_card_visa", None).await);
    let amex = house.default_card(&ada, "pm_card_amex").await;
    // A successful payment saves its card when that was asked for (10.1).
    let save = [("customer", &*ada), ("payment_method", "pm_card_jcb"), ("setup_future_usage", "off_session")];
    let mine = intend(&house, "1000", &[&save[..], &[("confirm", "true")]].concat()).await.ok();
    let other = intend(&house, "500", &[("payment_method", "pm_card_visa"), ("confirm", "true")]).await.ok();
    for (query, count, newest) in [
        (format!("payment_methods?customer={ada}"), 3, &mine["payment_method"]),
        (format!("customers/{ada}/payment_methods?type=card"), 3, &mine["payment_method"]),
        (format!("payment_intents?customer={ada}"), 1, &mine["id"]),
        ("payment_intents".to_owned(), 2, &other["id"]),
        (format!("charges?customer={ada}"), 1, &mine["latest_charge"]),
        (format!("charges?payment_intent={}", id(&other)), 1, &other["latest_charge"]),
    ] {
        let found = house.list(&format!("/v1/{query}")).await;
        assert_eq!((found.len(), &found[0]["id"]), (count, newest), "{query}");
    }
    assert!(house.list(&format!("/v1/charges?customer={eve}")).await.is_empty());
    assert!(house.list(&format!("/v1/payment_methods?customer={ada}&type=sepa_debit")).await.is_empty());
    assert_eq!(house.get(&format!("/v1/customers/{ada}/payment_methods/{amex}")).await.ok()["card"]["brand"], "amex");
    house.get(&format!("/v1/customers/{eve}/payment_methods/{amex}")).await.error(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_balance_grows_with_what_was_charged() {
    let house = House::open().await;
    let sum = |balance: &Value, part: &str| -> i64 {
        let parts = balance[part].as_array().unwrap();
        parts.iter().filter(|part| part["currency"] == "usd").map(|part| part["amount"].as_i64().unwrap()).sum()
    };
    let before = house.get("/v1/balance").await.ok();
    has(&before, &json!({"object": "balance", "livemode": false}));
    assert!(sum(&before, "available") + sum(&before, "pending") == 0);
    intend(&house, "1000", &[("payment_method", "pm_card_visa"), ("confirm", "true")]).await.ok();
    let after = house.get("/v1/balance").await.ok();
    assert!(sum(&after, "available") + sum(&after, "pending") > 0);
    // This card settles at once (11.1).
    let settled = id(&card(&house, "4000000000000077", "123").await.ok());
    intend(&house, "1000", &[("payment_method", &settled), ("confirm", "true")]).await.ok();
    let last = house.get("/v1/balance").await.ok();
    assert!(sum(&last, "available") > sum(&after, "available") && last["pending"] == after["pending"], "{last:#}");
}
