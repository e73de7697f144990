//! Authentication: what is left to do, and what follows when the customer does it or fails to.

use reqwest::{Client, Method, redirect};
use serde_json::{Value, json};

use crate::catalogue::has;
use crate::support::{Answer, House, PUBLISHABLE_KEY, encode, id, intent};

async fn intend(house: &House, form: &[(&str, &str)]) -> Answer {
    house.post("/v1/payment_intents", &[&[("amount", "1000"), ("currency", "usd")], form].concat()).await
}

async fn authenticate(house: &House, intent: &str, outcome: &str) -> Answer {
    house.post(&format!("/v1/test_helpers/payment_intents/{intent}/authenticate"), &[("outcome", outcome)]).await
}

/// The latest invoice of a subscription, and the intent that pays it.
async fn latest(house: &House, subscription: &Value) -> (Value, Value) {
    let invoice = house.latest_invoice(&house.fresh(subscription).await).await;
    let intent = intent(&invoice).clone();
    (invoice, intent)
}

async fn status(house: &House, subscription: &Value) -> Value {
    house.fresh(subscription).await["status"].clone()
}

/// A browser that shows redirects instead of following them.
fn browser() -> Client {
    Client::builder().redirect(redirect::Policy::none()).build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn completing_goes_on_and_failing_asks_for_another_card() {
    let house = House::open().await;
    let form = [("payment_method", "pm_card_authenticationRequired"), ("confirm", "true")];
    let waiting = intend(&house, &form).await.ok();
    // Without a return_url the client's own library opens the page.
    assert_eq!(waiting["next_action"]["type"], "use_stripe_sdk");
    let before = house.event_types(0).await.len();
    let paid = authenticate(&house, &id(&waiting), "succeed").await.ok();
    has(&paid, &json!({"status": "succeeded", "amount_received": 1000, "next_action": null}));
    assert_eq!(house.event_types(before).await, ["charge.succeeded", "payment_intent.succeeded"]);

    let waiting = intend(&house, &form).await.ok();
    let before = house.event_types(0).await.len();
    let failed = authenticate(&house, &id(&waiting), "fail").await.ok();
    has(&failed, &json!({"status": "requires_payment_method", "payment_method": null, "next_action": null}));
    let error = &failed["last_payment_error"];
    has(error, &json!({"code": "payment_intent_authentication_failure", "type": "invalid_request_error"}));
    assert_eq!(error["payment_method"]["id"], waiting["payment_method"]);
    // A failed authentication never reached the issuer: no charge (10.5).
    assert_eq!(house.event_types(before).await, ["payment_intent.payment_failed"]);
    assert!(house.list(&format!("/v1/charges?payment_intent={}", id(&waiting))).await.is_empty());
    let paid = house
        .post(&format!("/v1/payment_intents/{}/confirm", id(&waiting)), &[("payment_method", "pm_card_visa")])
        .await
        .ok();
    assert_eq!(paid["status"], "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_card_leaves_nothing_to_authenticate() {
    let house = House::open().await;
    let form = [("payment_method", "pm_card_authenticationRequired"), ("confirm", "true")];
    let waiting = intend(&house, &form).await.ok();
    let path = format!("/v1/payment_intents/{}", id(&waiting));
    let changed = house.post(&path, &[("payment_method", "pm_card_visa")]).await.ok();
    has(&changed, &json!({"status": "requires_confirmation", "next_action": null}));
    authenticate(&house, &id(&waiting), "succeed").await.error(400);
    assert_eq!(house.post(&format!("{path}/confirm"), &[]).await.ok()["status"], "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_waits_for_it_can_be_authenticated() {
    let house = House::open().await;
    let open = intend(&house, &[]).await.ok();
    let error = authenticate(&house, &id(&open), "succeed").await.error(400);
    assert_eq!(error["code"], "payment_intent_unexpected_state");
    assert_eq!(authenticate(&house, &id(&open), "maybe").await.error(400)["param"], "outcome");
    let path = format!("/v1/test_helpers/payment_intents/{}/authenticate", id(&open));
    has(&house.post(&path, &[]).await.error(400), &json!({"code": "parameter_missing", "param": "outcome"}));
    authenticate(&house, "pi_nothing", "succeed").await.error(404);
    let key = format!("Bearer {PUBLISHABLE_KEY}");
    let refused = house.call(Method::POST, &path, &[("outcome", "succeed")], &[("authorization", &key)]).await;
    assert!([401, 403].contains(&refused.status));
}

#[tokio::test(flavor = "multi_thread")]
async fn cards_differ_in_when_they_want_authentication() {
    let house = House::open().await;
    // Card; and what a payment comes to: at first, and once authenticated (authentication cards).
    for (card, first, then) in [
        ("authenticationRequired", "requires_action", "succeeded"),
        ("authenticationRequiredOnSetup", "requires_action", "succeeded"),
        ("authenticationRequiredSetupForOffSession", "requires_action", "succeeded"),
        ("authenticationRequiredChargeDeclinedInsufficientFunds", "requires_action", "requires_payment_method"),
        ("threeDSecure2Required", "requires_action", "succeeded"),
        ("threeDSecureRequiredChargeDeclined", "requires_action", "requires_payment_method"),
        ("threeDSecureOptional", "succeeded", ""),
        ("threeDSecureOptionalProcessingError", "succeeded", ""),
    ] {
        let method = format!("pm_card_{card}");
        let intent = intend(&house, &[("payment_method", &method), ("confirm", "true")]).await.ok();
        assert_eq!(intent["status"], first, "{card}");
        if !then.is_empty() {
            let after = authenticate(&house, &id(&intent), "succeed").await.ok();
            assert_eq!(after["status"], then, "{card}");
        }
    }
    let declined = [("payment_method", "pm_card_threeDSecureRequiredProcessingError"), ("confirm", "true")];
    assert_eq!(intend(&house, &declined).await.error(402)["code"], "card_declined");
    let poor = intend(
        &house,
        &[("payment_method", "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds"), ("confirm", "true")],
    );
    let after = authenticate(&house, &id(&poor.await.ok()), "succeed").await.ok();
    has(&after["last_payment_error"], &json!({"code": "card_declined", "decline_code": "insufficient_funds"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_set_up_once_pays_alone_from_then_on() {
    let house = House::open().await;
    let customer = id(&house.post("/v1/customers", &[]).await.ok());
    let off = |method: String| {
        let (house, customer) = (&house, customer.clone());
        async move {
            let form = [("customer", &*customer), ("payment_method", &*method), ("confirm", "true")];
            intend(house, &[&form[..], &[("off_session", "true")]].concat()).await
        }
    };
    for (card, alone) in [("authenticationRequiredOnSetup", true), ("authenticationRequired", false)] {
        let method = house.default_card(&customer, &format!("pm_card_{card}")).await;
        // Nobody is there to authenticate (10.1).
        let error = off(method.clone()).await.error(402);
        has(&error, &json!({"code": "authentication_required", "type": "card_error"}));
        assert_eq!(error["payment_intent"]["last_payment_error"]["payment_method"]["id"], json!(method));
        let form = [("customer", &*customer), ("payment_method", &*method), ("confirm", "true")];
        let keep = [&form[..], &[("setup_future_usage", "off_session")]].concat();
        let waiting = intend(&house, &keep).await.ok();
        assert_eq!(authenticate(&house, &id(&waiting), "succeed").await.ok()["status"], "succeeded");
        let again = off(method.clone()).await;
        assert_eq!(again.status == 200, alone, "{card}: {:#}", again.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirected_customer_comes_back_with_the_outcome() {
    let house = House::open().await;
    let card = [("payment_method", "pm_card_threeDSecure2Required"), ("confirm", "true")];
    for (button, back, redirect_status, status) in [
        ("succeed", "https://shop.test/done?order=7#top", "succeeded", "succeeded"),
        ("fail", "https://shop.test/done", "failed", "requires_payment_method"),
    ] {
        let waiting = intend(&house, &[&card[..], &[("return_url", back)]].concat()).await.ok();
        assert_eq!(waiting["next_action"]["type"], "redirect_to_url");
        let redirect = &waiting["next_action"]["redirect_to_url"];
        assert_eq!(redirect["return_url"], back);
        let url = redirect["url"].as_str().unwrap();
        assert!(url.starts_with(&format!("{}/", house.url)), "{url}");
        let page = browser().get(url).send().await.unwrap();
        assert_eq!(
            (page.status().as_u16(), &page.headers()["content-type"]),
            (200, &"text/html; charset=utf-8".parse().unwrap())
        );
        let text = page.text().await.unwrap();
        assert!(
            text.contains("$10.00") && text.contains("value=\"succeed\"") && text.contains("value=\"fail\""),
            "{text}"
        );
        let pressed = browser().post(url).body(encode(&[("outcome", button)])).send().await.unwrap();
        assert_eq!(pressed.status().as_u16(), 303);
        let (address, fragment) = back.split_once('#').unwrap_or((back, ""));
        let location = pressed.headers()["location"].to_str().unwrap();
        let added = format!(
            "payment_intent={}&payment_intent_client_secret={}&redirect_status={redirect_status}",
            id(&waiting),
            waiting["client_secret"].as_str().unwrap()
        );
        let join = if address.contains('?') { '&' } else { '?' };
        let fragment = if fragment.is_empty() { String::new() } else { format!("#{fragment}") };
        assert_eq!(location, format!("{address}{join}{added}{fragment}"));
        let after = house.get(&format!("/v1/payment_intents/{}", id(&waiting))).await.ok();
        assert_eq!(after["status"], status);
        // A second press finds nothing left to do.
        let again = browser().post(url).body(encode(&[("outcome", "succeed")])).send().await.unwrap();
        assert_eq!(again.status().as_u16(), 200);
        assert_eq!(house.get(&format!("/v1/payment_intents/{}", id(&waiting))).await.ok()["status"], status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_opens_with_the_secret_only() {
    let house = House::open().await;
    let form = [("payment_method", "pm_card_authenticationRequired"), ("confirm", "true")];
    let waiting = intend(&house, &form).await.ok();
    let url = waiting["next_action"]["use_stripe_sdk"]["stripe_js"].as_str().unwrap();
    let (bare, _) = url.split_once('?').unwrap();
    for wrong in
        [bare.to_owned(), format!("{bare}?client_secret=x"), format!("{}/authenticate/pi_x?client_secret=x", house.url)]
    {
        assert_eq!(browser().get(&wrong).send().await.unwrap().status().as_u16(), 404, "{wrong}");
        let pressed = browser().post(&wrong).body("outcome=succeed").send().await.unwrap();
        assert_eq!(pressed.status().as_u16(), 404, "{wrong}");
    }
    assert_eq!(browser().post(url).body("outcome=perhaps").send().await.unwrap().status().as_u16(), 400);
    let intent = house.get(&format!("/v1/payment_intents/{}", id(&waiting))).await.ok();
    assert_eq!(intent["status"], "requires_action");
    for bad in ["shop.test", "javascript:alert(1)"] {
        let error = intend(&house, &[&form[..], &[("return_url", bad)]].concat()).await.error(400);
        has(&error, &json!({"code": "url_invalid", "param": "return_url"}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_confirmed_by_hand_waits_for_its_server_again() {
    let house = House::open().await;
    let form = [("payment_method", "pm_card_authenticationRequired"), ("confirm", "true")];
    let waiting = intend(&house, &[&form[..], &[("confirmation_method", "manual")]].concat()).await.ok();
    assert_eq!(waiting["status"], "requires_action");
    let ready = authenticate(&house, &id(&waiting), "succeed").await.ok();
    has(&ready, &json!({"status": "requires_confirmation", "amount_received": 0}));
    let paid = house.post(&format!("/v1/payment_intents/{}/confirm", id(&waiting)), &[]).await.ok();
    assert_eq!(paid["status"], "succeeded");
}

/// A first payment that needs authentication (10.2): `requires_action`, open, incomplete; and what
/// completing it tells (20.2).
#[tokio::test(flavor = "multi_thread")]
async fn a_first_payment_is_completed_by_the_customer() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let customer = house.customer("pm_card_authenticationRequired", None).await;
    let made = house.subscribe(&customer, &price).await;
    let (invoice, intent) = latest(&house, &made).await;
    has(&invoice, &json!({"status": "open", "attempted": true, "attempt_count": 1}));
    assert_eq!((&made["status"], &intent["status"]), (&json!("incomplete"), &json!("requires_action")));
    let before = house.event_types(0).await.len();
    authenticate(&house, &id(&intent), "succeed").await.ok();
    let expected = [
        "charge.succeeded",
        "payment_intent.succeeded",
        "invoice.updated",
        "invoice.paid",
        "invoice.payment_succeeded",
        "invoice_payment.paid",
        "customer.subscription.updated",
    ];
    assert_eq!(house.event_types(before).await, expected);
    assert_eq!(status(&house, &made).await, "active");
    assert_eq!(latest(&house, &made).await.0["attempt_count"], 1);

    // Failing leaves it incomplete, to be paid with another card.
    let other = house.subscribe(&customer, &price).await;
    let (_, intent) = latest(&house, &other).await;
    let before = house.event_types(0).await.len();
    authenticate(&house, &id(&intent), "fail").await.ok();
    assert_eq!(house.event_types(before).await, ["payment_intent.payment_failed", "invoice.payment_failed"]);
    assert_eq!(status(&house, &other).await, "incomplete");
    let confirm = format!("/v1/payment_intents/{}/confirm", id(&intent));
    house.post(&confirm, &[("payment_method", "pm_card_visa")]).await.ok();
    assert_eq!(status(&house, &other).await, "active");
}

/// The path of Stripe.js: a publishable key and the invoice's confirmation secret.
#[tokio::test(flavor = "multi_thread")]
async fn a_browser_confirms_with_the_secret_of_the_invoice() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let customer = id(&house.post("/v1/customers", &[]).await.ok());
    let form = [
        ("customer", &*customer),
        ("items[0][price]", &*price),
        ("payment_behavior", "default_incomplete"),
        ("payment_settings[save_default_payment_method]", "on_subscription"),
        ("expand[]", "latest_invoice.confirmation_secret"),
    ];
    let made = house.post("/v1/subscriptions", &form).await.ok();
    let secret = made["latest_invoice"]["confirmation_secret"]["client_secret"].as_str().unwrap();
    let intent = secret.split("_secret_").next().unwrap();
    let key = format!("Bearer {PUBLISHABLE_KEY}");
    let headers = [("authorization", &*key)];
    let form = [
        ("client_secret", secret),
        ("payment_method_data[type]", "card"),
        ("payment_method_data[card][number]", "4000002500003155"),
        ("payment_method_data[card][exp_month]", "12"),
        ("payment_method_data[card][exp_year]", "2034"),
        ("return_url", "https://shop.test/done"),
        ("use_stripe_sdk", "true"),
    ];
    let confirm = format!("/v1/payment_intents/{intent}/confirm");
    let before = house.event_types(0).await.len();
    let waiting = house.call(Method::POST, &confirm, &form, &headers).await.ok();
    assert_eq!(
        (&waiting["status"], &waiting["next_action"]["type"]),
        (&json!("requires_action"), &json!("use_stripe_sdk"))
    );
    let page = waiting["next_action"]["use_stripe_sdk"]["stripe_js"].as_str().unwrap();
    assert_eq!(browser().post(page).body("outcome=succeed").send().await.unwrap().status().as_u16(), 200);
    let query = encode(&[("client_secret", secret)]);
    let seen = house.call(Method::GET, &format!("/v1/payment_intents/{intent}?{query}"), &[], &headers).await.ok();
    assert_eq!(seen["status"], "succeeded");
    let expected = [
        "payment_intent.requires_action",
        "invoice.updated",
        "invoice.payment_action_required",
        "charge.succeeded",
        "payment_intent.succeeded",
        "payment_method.attached",
        "invoice.updated",
        "invoice.paid",
        "invoice.payment_succeeded",
        "invoice_payment.paid",
        "customer.subscription.updated",
    ];
    assert_eq!(house.event_types(before).await, expected);
    let active = house.get(&format!("/v1/subscriptions/{}", id(&made))).await.ok();
    assert_eq!((&active["status"], &active["default_payment_method"]), (&json!("active"), &seen["payment_method"]));
}

/// A renewal that needs authentication: `past_due`, and the same intent brings it back (4.2).
#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_waits_for_the_customer_and_recovers() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let clock = house.test_clock("2027-01-01T00:00:00Z").await;
    let customer = house.customer("pm_card_visa", Some(&clock)).await;
    let made = house.subscribe(&customer, &price).await;
    house.default_card(&customer, "pm_card_authenticationRequired").await;
    house.advance(&clock, "2027-02-01T00:00:00Z").await;
    let before = house.event_types(0).await.len();
    house.advance(&clock, "2027-02-01T01:00:00Z").await;
    let told: Vec<String> =
        house.event_types(before).await.into_iter().filter(|kind| !kind.starts_with("test_helpers")).collect();
    let expected = [
        "invoice.finalized",
        "payment_intent.created",
        "payment_intent.requires_action",
        "invoice.updated",
        "invoice.payment_action_required",
        "customer.subscription.updated",
        "customer.updated",
    ];
    assert_eq!(told, expected);
    assert_eq!(status(&house, &made).await, "past_due");
    let (invoice, intent) = latest(&house, &made).await;
    has(&invoice, &json!({"status": "open", "attempted": true, "attempt_count": 1}));
    assert_eq!(intent["status"], "requires_action");
    authenticate(&house, &id(&intent), "succeed").await.ok();
    assert_eq!(
        (status(&house, &made).await, latest(&house, &made).await.0["status"].clone()),
        (json!("active"), json!("paid"))
    );
    assert_eq!(house.get(&format!("/v1/customers/{customer}")).await.ok()["delinquent"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_cannot_let_the_customer_act_is_refused() {
    let house = House::open().await;
    let form = [("payment_method", "pm_card_authenticationRequired"), ("error_on_requires_action", "true")];
    assert_eq!(intend(&house, &form).await.error(400)["param"], "error_on_requires_action");
    let error = intend(&house, &[&form[..], &[("confirm", "true")]].concat()).await.error(402);
    has(&error, &json!({"code": "authentication_required", "type": "card_error"}));
    assert_eq!(error["payment_intent"]["status"], "requires_payment_method");
    let intent = intend(&house, &[]).await.ok();
    let confirm = format!("/v1/payment_intents/{}/confirm", id(&intent));
    assert_eq!(house.post(&confirm, &form).await.error(402)["code"], "authentication_required");
}

/// An unattended payment of an invoice is refused, and can be completed with the same intent (5.1).
#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_that_was_to_be_paid_unattended_is_completed_by_the_customer() {
    let house = House::open().await;
    let customer = house.customer("pm_card_authenticationRequired", None).await;
    house.post("/v1/invoiceitems", &[("customer", &customer), ("amount", "1500"), ("currency", "usd")]).await.ok();
    let form = [("customer", &*customer), ("pending_invoice_items_behavior", "include")];
    let invoice = id(&house.post("/v1/invoices", &form).await.ok());
    let error = house.post(&format!("/v1/invoices/{invoice}/pay"), &[]).await.error(402);
    assert_eq!(error["code"], "invoice_payment_intent_requires_action");
    let intent = &error["payment_intent"];
    assert_eq!(intent["status"], "requires_action");
    let url = intent["next_action"]["use_stripe_sdk"]["stripe_js"].as_str().unwrap();
    assert_eq!(browser().post(url).body("outcome=succeed").send().await.unwrap().status().as_u16(), 200);
    let paid = house.get(&format!("/v1/invoices/{invoice}")).await.ok();
    has(&paid, &json!({"status": "paid", "amount_paid": 1500, "amount_remaining": 0}));
}
