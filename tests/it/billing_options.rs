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
