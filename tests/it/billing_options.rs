//! What subscriptions and invoices ask for of their payments: `payment_settings[payment_method_options]`.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{House, id};

const ASKED: &str = "payment_settings[payment_method_options][card][request_three_d_secure]";
const OPTIONS: &str = "payment_settings[payment_method_options]";
const CARD: &str = "pm_card_threeDSecureOptional";

fn asked(document: &Value) -> &Value {
    &document["payment_settings"]["payment_method_options"]["card"]["request_three_d_secure"]
}

/// The first payment is authenticated, with the customer there; renewals go on without.
#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_asks_for_authentication() {
    let house = House::open().await;
    let price = house.monthly_price(1500).await;
    let clock = house.test_clock("2027-01-31T09:00:00Z").await;
    let customer = house.customer(CARD, Some(&clock)).await;
    let made = house.subscribe_with(&customer, &price, &[(ASKED, "any")]).await.ok();
    assert_eq!((&made["status"], asked(&made)), (&json!("incomplete"), &json!("any")));
    let invoice = house.latest_invoice(&made).await;
    let intent = &invoice["payments"]["data"][0]["payment"]["payment_intent"];
    assert_eq!((asked(&invoice), &intent["status"]), (&json!("any"), &json!("requires_action")));
    assert_eq!(intent["payment_method_options"]["card"]["request_three_d_secure"], "any");
    let path = format!("/v1/test_helpers/payment_intents/{}/authenticate", id(intent));
    house.post(&path, &[("outcome", "succeed")]).await.ok();
    assert_eq!(house.fresh(&made).await["status"], "active");

    house.advance(&clock, "2027-03-01T09:00:00Z").await;
    let renewed = house.fresh(&made).await;
    assert_eq!(renewed["status"], "active");
    let invoice = house.latest_invoice(&renewed).await;
    assert_eq!((&invoice["status"], asked(&invoice)), (&json!("paid"), &json!("any")));
    assert_ne!(renewed["latest_invoice"], made["latest_invoice"]);
}

/// Where nothing is paid at first, the setup asks for it (10.3).
#[tokio::test(flavor = "multi_thread")]
async fn a_trial_asks_for_authentication() {
    let house = House::open().await;
    let price = house.monthly_price(1500).await;
    let customer = house.customer(CARD, None).await;
    let trial = [("trial_period_days", "7"), ("expand[]", "pending_setup_intent"), (ASKED, "any")];
    let made = house.subscribe_with(&customer, &price, &trial[..2]).await.ok();
    assert_eq!(made["pending_setup_intent"], Value::Null, "nobody asks, and the card can do without");
    let made = house.subscribe_with(&customer, &price, &trial).await.ok();
    let setup = &made["pending_setup_intent"];
    assert_eq!((&made["status"], &setup["status"]), (&json!("trialing"), &json!("requires_action")));
    assert_eq!(setup["payment_method_options"]["card"]["request_three_d_secure"], "any");
    let path = format!("/v1/test_helpers/setup_intents/{}/authenticate", id(setup));
    house.post(&path, &[("outcome", "succeed")]).await.ok();
    assert_eq!(house.fresh(&made).await["pending_setup_intent"], Value::Null);

    let nobody = id(&house.post("/v1/customers", &[]).await.ok());
    let setup = house.subscribe_with(&nobody, &price, &trial).await.ok()["pending_setup_intent"].take();
    assert_eq!(setup["status"], "requires_payment_method");
    assert_eq!(setup["payment_method_options"]["card"]["request_three_d_secure"], "any");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_changed_and_unset_and_nothing_else_is_taken() {
    let house = House::open().await;
    let price = house.monthly_price(1500).await;
    let customer = house.customer("pm_card_visa", None).await;
    let made = house.subscribe(&customer, &price).await;
    let path = format!("/v1/subscriptions/{}", id(&made));
    assert_eq!(made["payment_settings"]["payment_method_options"], Value::Null);
    let changed = house.post(&path, &[(ASKED, "challenge")]).await.ok();
    let options = &changed["payment_settings"]["payment_method_options"];
    assert_eq!(options["card"], json!({"network": null, "request_three_d_secure": "challenge"}));
    assert_eq!((&options["us_bank_account"], &options["upi"]), (&Value::Null, &Value::Null));
    for (version, word, kinds) in [("2020-08-27", "any", 6), ("2025-02-24.acacia", "challenge", 7)] {
        let old = house.call(Method::GET, &path, &[], &[("stripe-version", version)]).await.ok();
        assert_eq!(asked(&old), word, "{version}");
        assert_eq!(old["payment_settings"]["payment_method_options"].as_object().unwrap().len(), kinds, "{version}");
    }
    // What says nothing of it changes nothing.
    let kept = house.post(&path, &[("payment_settings[save_default_payment_method]", "off")]).await.ok();
    assert_eq!(asked(&kept), "challenge");
    assert_eq!(house.post(&path, &[(OPTIONS, "")]).await.ok()["payment_settings"], made["payment_settings"]);
    for (name, value, param) in [
        ("payment_settings[payment_method_options][card][network]", "visa", None),
        ("payment_settings[payment_method_options][us_bank_account][verification_method]", "instant", None),
        (ASKED, "sometimes", Some(ASKED)),
        ("payment_settings[payment_method_options][cash][a]", "b", None),
    ] {
        let error = house.post(&path, &[(name, value)]).await.error(400);
        assert!(error["param"].as_str().is_some_and(|found| name.starts_with(found)), "{name}: {error}");
        assert!(param.is_none_or(|param| error["param"] == param));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_of_its_own_asks_until_it_is_finalised() {
    let house = House::open().await;
    let customer = house.customer(CARD, None).await;
    let form = [("customer", &*customer), (ASKED, "any")];
    let draft = house.post("/v1/invoices", &form).await.ok();
    assert_eq!(draft["payment_settings"]["payment_method_options"]["card"], json!({"request_three_d_secure": "any"}));
    let path = format!("/v1/invoices/{}", id(&draft));
    assert_eq!(
        house.post(&path, &[(OPTIONS, "")]).await.ok()["payment_settings"]["payment_method_options"],
        Value::Null
    );
    house.post(&path, &[(ASKED, "any")]).await.ok();
    let item = [("customer", &*customer), ("invoice", &id(&draft)), ("amount", "900"), ("currency", "usd")];
    house.post("/v1/invoiceitems", &item).await.ok();
    house.post(&format!("{path}/finalize"), &[]).await.ok();
    let refused = house.post(&path, &[(ASKED, "automatic")]).await.error(400);
    assert_eq!(refused["param"], "payment_settings");
    let refused = house.post(&format!("{path}/pay"), &[("off_session", "false")]).await.error(402);
    assert_eq!(refused["code"], "invoice_payment_intent_requires_action");
    assert_eq!(house.post(&format!("{path}/pay"), &[]).await.ok()["status"], "paid");
}

/// On a session they are for what it makes: a payment, a subscription and its invoices, a setup.
#[tokio::test(flavor = "multi_thread")]
async fn a_checkout_session_hands_them_on() {
    let house = House::open().await;
    let once = house.one_time_price(1500).await;
    let monthly = house.monthly_price(2000).await;
    let authentication = ("payment_method_options[card][request_three_d_secure]", "any");
    let by_hand = ("payment_method_options[card][capture_method]", "manual");
    for (mode, price) in [("payment", &once), ("subscription", &monthly)] {
        let session = house.session(mode, price, &[authentication]).await;
        let shown = json!({"card": {"request_three_d_secure": "any"}});
        assert_eq!(session["payment_method_options"], shown, "{mode}");
        house.complete(&session, CARD).await.ok();
        assert_eq!(house.session_now(&session).await["status"], "open", "{mode} waits");
        let path = format!("/v1/test_helpers/checkout/sessions/{}/authenticate", id(&session));
        let done = house.post(&path, &[("outcome", "succeed")]).await.ok();
        assert_eq!((&done["status"], &done["payment_status"]), (&json!("complete"), &json!("paid")), "{mode}");
        if let Some(subscription) = done["subscription"].as_str() {
            assert_eq!(asked(&house.get(&format!("/v1/subscriptions/{subscription}")).await.ok()), "any");
        }
        let old = [("stripe-version", "2020-08-27")];
        let old = house.call(Method::GET, &format!("/v1/checkout/sessions/{}", id(&session)), &[], &old).await.ok();
        assert_eq!(old["payment_method_options"], json!({}), "{mode}");
    }
    let reserved = house.session("payment", &once, &[by_hand]).await;
    let done = house.complete(&reserved, "pm_card_visa").await.ok();
    let intent = format!("/v1/payment_intents/{}", done["payment_intent"].as_str().expect("an intent"));
    let intent = house.get(&intent).await.ok();
    assert_eq!((&intent["status"], &intent["amount_capturable"]), (&json!("requires_capture"), &json!(1500)));
    assert_eq!(intent["payment_method_options"]["card"]["capture_method"], "manual");
    let error = house.session_with("subscription", &monthly, &[by_hand]).await.error(400);
    assert_eq!(error["param"], "payment_method_options[card]");

    let form = [&crate::checkout::URLS[..], &[("mode", "setup"), ("currency", "usd"), authentication]].concat();
    let setup = house.post("/v1/checkout/sessions", &form).await.ok();
    let intent = format!("/v1/setup_intents/{}", setup["setup_intent"].as_str().expect("a setup"));
    assert_eq!(house.get(&intent).await.ok()["payment_method_options"]["card"]["request_three_d_secure"], "any");
}

/// An invoice is paid, not reserved for: its intent cannot be told otherwise by whoever confirms it.
#[tokio::test(flavor = "multi_thread")]
async fn the_payment_of_an_invoice_is_never_reserved() {
    let house = House::open().await;
    let price = house.monthly_price(1500).await;
    let customer = house.customer("pm_card_visa", None).await;
    let form = [("payment_behavior", "default_incomplete")];
    let made = house.subscribe_with(&customer, &price, &form).await.ok();
    let invoice = house.latest_invoice(&made).await;
    let intent = &invoice["payments"]["data"][0]["payment"]["payment_intent"];
    let path = format!("/v1/payment_intents/{}/confirm", id(intent));
    for param in ["capture_method", "payment_method_options[card][capture_method]"] {
        let refused = house.post(&path, &[("payment_method", "pm_card_visa"), (param, "manual")]).await.error(400);
        assert_eq!(refused["param"], param);
    }
    let paid = house.post(&path, &[("payment_method", "pm_card_visa")]).await.ok();
    assert_eq!((&paid["status"], &paid["amount_received"]), (&json!("succeeded"), &json!(1500)));
    assert_eq!(house.fresh(&made).await["status"], "active");
}
