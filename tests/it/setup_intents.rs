//! Setting cards up for later, and the setup that a subscription asks for when nothing is to be paid yet.

use reqwest::{Client, Method, redirect};
use serde_json::{Value, json};

use crate::catalogue::has;
use crate::support::{Answer, House, PUBLISHABLE_KEY, encode, id};

const CONFIRMED: (&str, &str) = ("confirm", "true");

async fn set_up(house: &House, form: &[(&str, &str)]) -> Answer {
    house.post("/v1/setup_intents", form).await
}

async fn act(house: &House, setup: &Value, action: &str, form: &[(&str, &str)]) -> Answer {
    house.post(&format!("/v1/setup_intents/{}/{action}", id(setup)), form).await
}

async fn authenticate(house: &House, setup: &str, outcome: &str) -> Answer {
    house.post(&format!("/v1/test_helpers/setup_intents/{setup}/authenticate"), &[("outcome", outcome)]).await
}

async fn customer(house: &House) -> String {
    id(&house.post("/v1/customers", &[]).await.ok())
}

async fn free_price(house: &House) -> String {
    house.monthly_price(0).await
}

async fn subscribe(house: &House, customer: &str, price: &str, form: &[(&str, &str)]) -> Value {
    house.subscribe_with(customer, price, form).await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_is_set_up_and_attached() {
    let house = House::open().await;
    let customer = customer(&house).await;
    let before = house.event_types(0).await.len();
    let form = [("customer", &*customer), ("metadata[k]", "v"), ("description", "For later")];
    let setup = set_up(&house, &form).await.ok();
    has(&setup, &json!({"object": "setup_intent", "status": "requires_payment_method", "usage": "off_session"}));
    has(&setup, &json!({"customer": customer, "metadata": {"k": "v"}, "next_action": null, "payment_method": null}));
    assert!(setup["client_secret"].as_str().unwrap().starts_with(&format!("{}_secret_", id(&setup))));
    let refused = act(&house, &setup, "confirm", &[]).await.error(400);
    has(&refused, &json!({"code": "setup_intent_unexpected_state"}));
    assert_eq!(refused["setup_intent"]["id"], setup["id"]);
    let path = format!("/v1/setup_intents/{}", id(&setup));
    let chosen = house.post(&path, &[("payment_method", "pm_card_visa"), ("metadata[a]", "b")]).await.ok();
    has(&chosen, &json!({"status": "requires_confirmation", "metadata": {"k": "v", "a": "b"}}));
    let done = act(&house, &setup, "confirm", &[]).await.ok();
    has(&done, &json!({"status": "succeeded", "payment_method": chosen["payment_method"], "last_setup_error": null}));
    assert_eq!(house.get(&path).await.ok()["status"], "succeeded");
    let told = ["setup_intent.created", "setup_intent.succeeded", "payment_method.attached"];
    assert_eq!(house.event_types(before).await, told);
    let methods = house.list(&format!("/v1/customers/{customer}/payment_methods")).await;
    assert_eq!((methods.len(), &methods[0]["id"]), (1, &done["payment_method"]));
    // Single use (10.3).
    for action in ["confirm", "cancel"] {
        let error =
            act(&house, &setup, action, &[("payment_method", "pm_card_visa")][..usize::from(action == "confirm")])
                .await;
        assert_eq!(error.error(400)["code"], "setup_intent_unexpected_state", "{action}");
    }
    let whole = house.get(&format!("{path}?expand[]=payment_method&expand[]=customer")).await.ok();
    assert_eq!(
        (&whole["payment_method"]["card"]["brand"], &whole["customer"]["object"]),
        (&json!("visa"), &json!("customer"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_card_is_not_kept() {
    let house = House::open().await;
    let customer = customer(&house).await;
    let form =
        [("customer", &*customer), ("payment_method", "pm_card_visa_chargeDeclinedInsufficientFunds"), CONFIRMED];
    let before = house.event_types(0).await.len();
    let error = set_up(&house, &form).await.error(402);
    has(&error, &json!({"type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds"}));
    let setup = &error["setup_intent"];
    has(setup, &json!({"object": "setup_intent", "status": "requires_payment_method", "payment_method": null}));
    has(&setup["last_setup_error"], &json!({"code": "card_declined", "decline_code": "insufficient_funds"}));
    assert_eq!(setup["last_setup_error"]["payment_method"]["object"], "payment_method");
    assert_eq!(house.event_types(before).await, ["setup_intent.created", "setup_intent.setup_failed"]);
    assert!(house.list(&format!("/v1/customers/{customer}/payment_methods")).await.is_empty());
    // The same setup is tried again with another card.
    let done = act(&house, setup, "confirm", &[("payment_method", "pm_card_visa")]).await.ok();
    has(&done, &json!({"status": "succeeded", "last_setup_error": null}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_may_have_to_be_authenticated_first() {
    let house = House::open().await;
    let customer = customer(&house).await;
    let form = [("customer", &*customer), ("payment_method", "pm_card_authenticationRequiredOnSetup"), CONFIRMED];
    let before = house.event_types(0).await.len();
    let waiting = set_up(&house, &form).await.ok();
    assert_eq!(
        (&waiting["status"], &waiting["next_action"]["type"]),
        (&json!("requires_action"), &json!("use_stripe_sdk"))
    );
    let failed = authenticate(&house, &id(&waiting), "fail").await.ok();
    has(&failed, &json!({"status": "requires_payment_method", "next_action": null, "payment_method": null}));
    assert_eq!(failed["last_setup_error"]["code"], "setup_intent_authentication_failure");
    let told = ["setup_intent.created", "setup_intent.requires_action", "setup_intent.setup_failed"];
    assert_eq!(house.event_types(before).await, told);
    let method = failed["last_setup_error"]["payment_method"]["id"].as_str().unwrap();
    act(&house, &waiting, "confirm", &[("payment_method", method)]).await.ok();
    assert_eq!(authenticate(&house, &id(&waiting), "succeed").await.ok()["status"], "succeeded");
    assert_eq!(
        authenticate(&house, &id(&waiting), "succeed").await.error(400)["code"],
        "setup_intent_unexpected_state"
    );
    // Set up, it needs nobody (11.3).
    let form =
        [("amount", "1000"), ("currency", "usd"), ("customer", &*customer), ("payment_method", method), CONFIRMED];
    let paid = house.post("/v1/payment_intents", &[&form[..], &[("off_session", "true")]].concat()).await.ok();
    assert_eq!(paid["status"], "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirected_customer_comes_back_from_a_setup() {
    let house = House::open().await;
    let browser = Client::builder().redirect(redirect::Policy::none()).build().unwrap();
    let form =
        [("payment_method", "pm_card_threeDSecure2Required"), CONFIRMED, ("return_url", "https://shop.test/card")];
    let waiting = set_up(&house, &form).await.ok();
    let url = waiting["next_action"]["redirect_to_url"]["url"].as_str().unwrap();
    let text = browser.get(url).send().await.unwrap().text().await.unwrap();
    assert!(text.contains("value=\"succeed\"") && text.contains("value=\"fail\""), "{text}");
    let pressed = browser.post(url).body("outcome=succeed").send().await.unwrap();
    let expected = format!(
        "https://shop.test/card?setup_intent={}&setup_intent_client_secret={}&redirect_status=succeeded",
        id(&waiting),
        waiting["client_secret"].as_str().unwrap()
    );
    assert_eq!((pressed.status().as_u16(), pressed.headers()["location"].to_str().unwrap()), (303, &*expected));
    assert_eq!(house.get(&format!("/v1/setup_intents/{}", id(&waiting))).await.ok()["status"], "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn setups_are_canceled_listed_and_kept_apart() {
    let house = House::open().await;
    let (ada, eve) = (customer(&house).await, customer(&house).await);
    let hers = house.default_card(&eve, "pm_card_visa").await;
    let error = set_up(&house, &[("customer", &*ada), ("payment_method", &*hers)]).await.error(400);
    assert_eq!(error["param"], "payment_method");
    let mine = set_up(&house, &[("customer", &*ada), ("usage", "on_session")]).await.ok();
    assert_eq!(mine["usage"], "on_session");
    let other = set_up(&house, &[("customer", &*eve), ("payment_method", &*hers)]).await.ok();
    let before = house.event_types(0).await.len();
    act(&house, &mine, "cancel", &[("cancellation_reason", "fraudulent")]).await.error(400);
    let canceled = act(&house, &mine, "cancel", &[("cancellation_reason", "abandoned")]).await.ok();
    has(&canceled, &json!({"status": "canceled", "cancellation_reason": "abandoned"}));
    assert_eq!(house.event_types(before).await, ["setup_intent.canceled"]);
    act(&house, &mine, "confirm", &[("payment_method", "pm_card_visa")]).await.error(400);
    for (query, expected) in [
        (String::new(), vec![&other["id"], &mine["id"]]),
        (format!("?customer={ada}"), vec![&mine["id"]]),
        (format!("?payment_method={hers}"), vec![&other["id"]]),
    ] {
        let found = house.list(&format!("/v1/setup_intents{query}")).await;
        assert_eq!(found.iter().map(|setup| &setup["id"]).collect::<Vec<_>>(), expected, "{query}");
    }
    assert_eq!(house.get("/v1/setup_intents/seti_x").await.error(404)["message"], "No such setupintent: 'seti_x'");
    for (name, value) in [("single_use[amount]", "1"), ("attach_to_self", "true"), ("payment_method_types[]", "card")] {
        set_up(&house, &[(name, value)]).await.error(400);
    }
    act(&house, &other, "verify_microdeposits", &[("amounts[]", "32")]).await.error(400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_sets_a_card_up_with_its_secret_only() {
    let house = House::open().await;
    let setup = set_up(&house, &[("customer", &*customer(&house).await), ("metadata[k]", "v")]).await.ok();
    let key = format!("Bearer {PUBLISHABLE_KEY}");
    let headers = [("authorization", &*key)];
    let path = format!("/v1/setup_intents/{}", id(&setup));
    let secret = setup["client_secret"].as_str().unwrap();
    house.call(Method::GET, &path, &[], &headers).await.error(400);
    let wrong = house.call(Method::GET, &format!("{path}?client_secret=x"), &[], &headers).await.error(400);
    assert_eq!(wrong["param"], "client_secret");
    let query = encode(&[("client_secret", secret)]);
    let seen = house.call(Method::GET, &format!("{path}?{query}"), &[], &headers).await.ok();
    assert!(
        seen["status"] == "requires_payment_method" && seen.get("metadata").is_none() && seen.get("customer").is_none()
    );
    let form = |card: &'static str| [("client_secret", secret), ("payment_method", card)];
    let confirm = format!("{path}/confirm");
    let error = house.call(Method::POST, &confirm, &form("pm_card_visa_chargeDeclined"), &headers).await.error(402);
    assert!(error["setup_intent"].get("metadata").is_none(), "{error:#}");
    let done = house.call(Method::POST, &confirm, &form("pm_card_visa"), &headers).await.ok();
    assert!(done["status"] == "succeeded" && done.get("metadata").is_none());
    let status = house.call(Method::POST, &format!("{path}/cancel"), &[], &headers).await.status;
    assert!([401, 403].contains(&status));
}

/// A subscription that needs no first payment gets a setup, unless a card that needs nobody is there (10.3).
#[tokio::test(flavor = "multi_thread")]
async fn a_free_start_asks_for_a_card() {
    let house = House::open().await;
    let price = free_price(&house).await;
    let nobody = customer(&house).await;
    let before = house.event_types(0).await.len();
    let save = [("payment_settings[save_default_payment_method]", "on_subscription")];
    let made = subscribe(&house, &nobody, &price, &save).await;
    assert_eq!(made["status"], "active");
    let setup = house.get(&format!("/v1/setup_intents/{}", made["pending_setup_intent"].as_str().unwrap())).await.ok();
    has(&setup, &json!({"status": "requires_payment_method", "customer": nobody, "usage": "off_session"}));
    let told = house.list("/v1/events?type=customer.subscription.created").await;
    assert_eq!(told[0]["data"]["object"]["pending_setup_intent"], setup["id"], "told as it ended the request");
    assert!(house.event_types(before).await.contains(&"setup_intent.created".to_owned()));

    let before = house.event_types(0).await.len();
    let done = act(&house, &setup, "confirm", &[("payment_method", "pm_card_visa")]).await.ok();
    let told = ["setup_intent.succeeded", "payment_method.attached", "customer.subscription.updated"];
    assert_eq!(house.event_types(before).await, told);
    let after = house.get(&format!("/v1/subscriptions/{}?expand[]=pending_setup_intent", id(&made))).await.ok();
    assert_eq!(after["pending_setup_intent"], json!(null));
    assert_eq!(after["default_payment_method"], done["payment_method"], "saved as the default of the subscription");

    let ready = house.customer("pm_card_visa", None).await;
    assert_eq!(subscribe(&house, &ready, &price, &[]).await["pending_setup_intent"], json!(null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_free_start_asks_for_the_authentication_of_a_card() {
    let house = House::open().await;
    let price = free_price(&house).await;
    let customer = house.customer("pm_card_authenticationRequiredOnSetup", None).await;
    let made = subscribe(&house, &customer, &price, &[("expand[]", "pending_setup_intent")]).await;
    assert_eq!(made["status"], "active");
    let setup = &made["pending_setup_intent"];
    assert_eq!(setup["status"], "requires_action");
    assert!(setup["next_action"].is_object());
    authenticate(&house, &id(setup), "succeed").await.ok();
    let path = format!("/v1/subscriptions/{}", id(&made));
    assert_eq!(house.get(&path).await.ok()["pending_setup_intent"], json!(null));
    // Now the card needs nobody, and the next subscription no setup.
    assert_eq!(subscribe(&house, &customer, &price, &[]).await["pending_setup_intent"], json!(null));
    // A setup is not canceled with its subscription (10.3).
    let other = house.customer("pm_card_authenticationRequired", None).await;
    let made = subscribe(&house, &other, &price, &[]).await;
    house.delete(&format!("/v1/subscriptions/{}", id(&made))).await.ok();
    let setup = house.get(&format!("/v1/setup_intents/{}", made["pending_setup_intent"].as_str().unwrap())).await.ok();
    assert_eq!(setup["status"], "requires_action");
}

/// A trial without a card asks for one; setting it up pays when the trial ends (1.6, 10.3).
#[tokio::test(flavor = "multi_thread")]
async fn a_trial_asks_for_a_card_and_renews_with_it() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let clock = house.test_clock("2027-01-01T00:00:00Z").await;
    let customer = id(&house.post("/v1/customers", &[("test_clock", &clock)]).await.ok());
    let form = [("trial_period_days", "7"), ("payment_settings[save_default_payment_method]", "on_subscription")];
    let made = subscribe(&house, &customer, &price, &form).await;
    assert_eq!(made["status"], "trialing");
    let setup = made["pending_setup_intent"].as_str().unwrap();
    let path = format!("/v1/setup_intents/{setup}");
    let form = [("payment_method", "pm_card_authenticationRequiredOnSetup")];
    assert_eq!(house.post(&format!("{path}/confirm"), &form).await.ok()["status"], "requires_action");
    authenticate(&house, setup, "succeed").await.ok();
    house.advance(&clock, "2027-01-08T02:00:00Z").await;
    let after = house.get(&format!("/v1/subscriptions/{}?expand[]=latest_invoice", id(&made))).await.ok();
    assert_eq!((&after["status"], &after["latest_invoice"]["status"]), (&json!("active"), &json!("paid")));
    assert_eq!(after["pending_setup_intent"], json!(null));
}
