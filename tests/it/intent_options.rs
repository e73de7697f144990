//! What may be said of how an intent is paid, or set up: kinds of payment method, options of cards, mandates.

use reqwest::Method;
use serde_json::{Value, json};

use crate::catalogue::has;
use crate::support::{Answer, House, PUBLISHABLE_KEY, id};

const PAYMENT: [(&str, &str); 2] = [("amount", "1000"), ("currency", "usd")];
const CONFIRMED: (&str, &str) = ("confirm", "true");
const THREE_D_SECURE: &str = "payment_method_options[card][request_three_d_secure]";
const NEWEST: &str = "2026-10-28.endive";

async fn intend(house: &House, form: &[(&str, &str)]) -> Answer {
    house.post("/v1/payment_intents", &[&PAYMENT[..], form].concat()).await
}

async fn set_up(house: &House, form: &[(&str, &str)]) -> Answer {
    house.post("/v1/setup_intents", form).await
}

fn path_of(intent: &Value) -> String {
    format!("/v1/{}s/{}", intent["object"].as_str().unwrap(), id(intent))
}

async fn confirm(house: &House, intent: &Value, form: &[(&str, &str)]) -> Answer {
    house.post(&format!("{}/confirm", path_of(intent)), form).await
}

async fn authenticate(house: &House, intent: &Value) -> Value {
    let path = path_of(intent).replace("/v1/", "/v1/test_helpers/");
    house.post(&format!("{path}/authenticate"), &[("outcome", "succeed")]).await.ok()
}

/// A call by a browser that knows the intent's secret.
async fn from_browser(house: &House, intent: &Value, action: &str, form: &[(&str, &str)]) -> Answer {
    let key = format!("Bearer {PUBLISHABLE_KEY}");
    let form = [&[("client_secret", intent["client_secret"].as_str().unwrap())], form].concat();
    house.call(Method::POST, &format!("{}/{action}", path_of(intent)), &form, &[("authorization", &key)]).await
}

async fn as_of(house: &House, version: &str, method: Method, path: &str, form: &[(&str, &str)]) -> Value {
    house.call(method, path, form, &[("stripe-version", version)]).await.ok()
}

/// A filter leaves what is served, and names exclude each other; each is shown as it was said.
#[tokio::test(flavor = "multi_thread")]
async fn kinds_of_payment_method_are_filtered() {
    let house = House::open().await;
    let allowed = [("allowed_payment_method_types[0]", "us_bank_account"), ("allowed_payment_method_types[1]", "card")];
    let excluded = [("excluded_payment_method_types[0]", "klarna")];
    for (path, form) in [("/v1/payment_intents", &PAYMENT[..]), ("/v1/setup_intents", &[])] {
        let call = |more: &[(&str, &str)]| {
            let form = [form, more].concat();
            let form: Vec<(String, String)> =
                form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let house = &house;
            async move {
                let form: Vec<(&str, &str)> =
                    form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                house.post(path, &form).await
            }
        };
        let plain = call(&[]).await.ok();
        has(&plain, &json!({"allowed_payment_method_types": null, "excluded_payment_method_types": null}));
        let filtered = call(&allowed).await.ok();
        has(
            &filtered,
            &json!({
                "allowed_payment_method_types": ["us_bank_account", "card"], "payment_method_types": ["card"],
                "excluded_payment_method_types": null, "automatic_payment_methods": null,
            }),
        );
        let without = call(&excluded).await.ok();
        has(&without, &json!({"excluded_payment_method_types": ["klarna"], "allowed_payment_method_types": null}));
        assert_eq!(without["automatic_payment_methods"]["enabled"], true);
        for (said, param) in [
            (vec![("allowed_payment_method_types[]", "link")], "allowed_payment_method_types"),
            (vec![("excluded_payment_method_types[]", "card")], "excluded_payment_method_types"),
            (vec![("allowed_payment_method_types[]", "crad")], "allowed_payment_method_types[0]"),
            (vec![("excluded_payment_method_types[]", "link")], "excluded_payment_method_types[0]"),
            ([&allowed[..], &excluded].concat(), "allowed_payment_method_types"),
            (
                [&allowed[..], &[("automatic_payment_methods[enabled]", "true")]].concat(),
                "allowed_payment_method_types",
            ),
        ] {
            assert_eq!(call(&said).await.error(400)["param"], param, "{said:?}");
        }
        // An update has the last word.
        let changed = house.post(&path_of(&without), &allowed).await.ok();
        has(&changed, &json!({"excluded_payment_method_types": null, "automatic_payment_methods": null}));
        let changed = house.post(&path_of(&without), &excluded).await.ok();
        has(&changed, &json!({"excluded_payment_method_types": ["klarna"], "allowed_payment_method_types": null}));
        let cleared = house.post(&path_of(&without), &[("excluded_payment_method_types", "")]).await.ok();
        assert_eq!(cleared["excluded_payment_method_types"], json!(null));
        let done =
            confirm(&house, &without, &[&allowed[..], &[("payment_method", "pm_card_visa")]].concat()).await.ok();
        has(&done, &json!({"status": "succeeded", "allowed_payment_method_types": ["us_bank_account", "card"]}));
        // What has succeeded does not change any more.
        house.post(&path_of(&done), &excluded).await.error(400);
        for version in ["2020-08-27", "2025-02-24.acacia"] {
            let old = as_of(&house, version, Method::GET, &path_of(&done), &[]).await;
            assert!(old.get("allowed_payment_method_types").is_none(), "{version}");
            assert!(old.get("excluded_payment_method_types").is_none(), "{version}");
            // A filter is a choice, so the default of that time is none.
            let made = as_of(&house, version, Method::POST, path, &[form, &allowed[..]].concat()).await;
            assert_eq!(made["payment_method_types"], json!(["card"]), "{version}");
            let listed = [form, &allowed[..], &[("payment_method_types[]", "card")]].concat();
            house.call(Method::POST, path, &listed, &[("stripe-version", version)]).await.error(400);
        }
    }
    // A filter of setups can be unset.
    let setup = set_up(&house, &allowed).await.ok();
    let cleared = house.post(&path_of(&setup), &[("allowed_payment_method_types", "")]).await.ok();
    assert_eq!(
        (&cleared["allowed_payment_method_types"], &cleared["automatic_payment_methods"]["enabled"]),
        (&json!(null), &json!(true))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_filters_kinds_too() {
    let house = House::open().await;
    let form = [
        ("mode", "setup"),
        ("currency", "usd"),
        ("success_url", "https://shop.test/done"),
        ("cancel_url", "https://shop.test"),
    ];
    let create = |more: &'static [(&str, &str)]| {
        let (house, form) = (&house, [&form[..], more].concat());
        async move { house.post("/v1/checkout/sessions", &form).await }
    };
    let allowed = create(&[("allowed_payment_method_types[]", "card")]).await.ok();
    assert_eq!(allowed["allowed_payment_method_types"], json!(["card"]));
    assert!(allowed.get("excluded_payment_method_types").is_none());
    let excluded = create(&[("excluded_payment_method_types[]", "klarna")]).await.ok();
    has(&excluded, &json!({"excluded_payment_method_types": ["klarna"], "payment_method_types": ["card"]}));
    let path = format!("/v1/checkout/sessions/{}", id(&excluded));
    for version in ["2020-08-27", "2025-02-24.acacia"] {
        let old = as_of(&house, version, Method::GET, &path, &[]).await;
        assert!(old.get("excluded_payment_method_types").is_none(), "{version}");
    }
    create(&[("allowed_payment_method_types[]", "link")]).await.error(400);
    create(&[("excluded_payment_method_types[]", "card")]).await.error(400);
    create(&[("allowed_payment_method_types[]", "card"), ("excluded_payment_method_types[]", "klarna")])
        .await
        .error(400);
}

/// Who is there authenticates where the seller wants it and the issuer can; who is not there is not asked.
#[tokio::test(flavor = "multi_thread")]
async fn authentication_is_asked_for() {
    let house = House::open().await;
    for (card, asked, status) in [
        ("pm_card_threeDSecureOptional", "automatic", "succeeded"),
        ("pm_card_threeDSecureOptional", "any", "requires_action"),
        ("pm_card_threeDSecureOptional", "challenge", "requires_action"),
        ("pm_card_authenticationRequiredOnSetup", "any", "requires_action"),
        // It is supported, and its holder has not enrolled.
        ("pm_card_visa", "any", "succeeded"),
        ("pm_card_amex", "challenge", "succeeded"),
    ] {
        let form = [("payment_method", card), (THREE_D_SECURE, asked), CONFIRMED];
        for made in [intend(&house, &form).await.ok(), set_up(&house, &form).await.ok()] {
            assert_eq!(made["status"], status, "{card} {asked}");
            assert_eq!(made["payment_method_options"]["card"]["request_three_d_secure"], asked);
            if status == "requires_action" {
                assert_eq!(authenticate(&house, &made).await["status"], "succeeded", "{card} {asked}");
            }
        }
    }
    let customer = house.customer("pm_card_threeDSecureOptional", None).await;
    let method = id(&house.list(&format!("/v1/payment_methods?customer={customer}")).await[0]);
    let form = [("customer", &*customer), ("payment_method", &method), (THREE_D_SECURE, "any"), CONFIRMED];
    let paid = intend(&house, &[&form[..], &[("off_session", "true")]].concat()).await.ok();
    assert_eq!(paid["status"], "succeeded");
    let refused = intend(&house, &[&form[..], &[("error_on_requires_action", "true")]].concat()).await.error(402);
    assert_eq!(refused["code"], "authentication_required");
    // It may be asked for later, too.
    for made in [intend(&house, &[]).await.ok(), set_up(&house, &[]).await.ok()] {
        has(&made["payment_method_options"]["card"], &json!({"request_three_d_secure": "automatic", "network": null}));
        let changed = house.post(&path_of(&made), &[(THREE_D_SECURE, "any")]).await.ok();
        assert_eq!(changed["payment_method_options"]["card"]["request_three_d_secure"], "any");
        let waiting = confirm(&house, &made, &[("payment_method", "pm_card_threeDSecureOptional")]).await.ok();
        assert_eq!(waiting["status"], "requires_action");
        let back = [("payment_method", "pm_card_threeDSecureOptional"), (THREE_D_SECURE, "automatic")];
        assert_eq!(confirm(&house, &made, &back).await.ok()["status"], "succeeded");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn options_of_cards_take_the_place_of_what_the_intent_says() {
    let house = House::open().await;
    let customer = id(&house.post("/v1/customers", &[]).await.ok());
    let card = [("customer", &*customer), ("payment_method", "pm_card_visa"), CONFIRMED];
    let kept = |method: &Value| {
        let path = format!("/v1/payment_methods/{}", method.as_str().unwrap());
        let house = &house;
        async move { house.get(&path).await.ok()["customer"].clone() }
    };
    let usage = "payment_method_options[card][setup_future_usage]";
    for (whole, of_cards, attached) in [
        ("", "off_session", true),
        ("", "on_session", true),
        ("off_session", "none", false),
        ("off_session", "", true),
        ("", "none", false),
    ] {
        let mut form = card.to_vec();
        form.extend((!whole.is_empty()).then_some(("setup_future_usage", whole)));
        form.push((usage, of_cards));
        let paid = intend(&house, &form).await.ok();
        assert_eq!(paid["payment_method_options"]["card"].get("setup_future_usage").is_some(), !of_cards.is_empty());
        let expected = if attached { json!(customer) } else { json!(null) };
        assert_eq!(kept(&paid["payment_method"]).await, expected, "{whole} {of_cards}");
    }
    let by_hand = ("payment_method_options[card][capture_method]", "manual");
    let held = intend(&house, &[&card[..], &[by_hand]].concat()).await.ok();
    has(&held, &json!({"status": "requires_capture", "capture_method": "automatic_async", "amount_capturable": 1000}));
    assert_eq!(held["payment_method_options"]["card"]["capture_method"], "manual");
    let taken = house.post(&format!("{}/capture", path_of(&held)), &[]).await.ok();
    has(&taken, &json!({"status": "succeeded", "amount_received": 1000}));
    let made = intend(&house, &[by_hand]).await.ok();
    let unset = house.post(&path_of(&made), &[(by_hand.0, "")]).await.ok();
    assert!(unset["payment_method_options"]["card"].get("capture_method").is_none());
    assert_eq!(confirm(&house, &made, &card[..2]).await.error(400)["param"], "customer");
    assert_eq!(confirm(&house, &made, &card[1..2]).await.ok()["status"], "succeeded");
    // What else was asked for cannot be had, and the charge says so.
    let asked = [
        ("payment_method_options[card][request_extended_authorization]", "if_available"),
        ("payment_method_options[card][request_multicapture]", "if_available"),
        ("payment_method_options[card][request_overcapture]", "if_available"),
        ("payment_method_options[card][request_incremental_authorization]", "if_available"),
    ];
    let held = intend(&house, &[&card[..], &asked, &[("expand[]", "latest_charge")]].concat()).await.ok();
    let shown = &held["latest_charge"]["payment_method_details"]["card"];
    has(
        shown,
        &json!({
            "extended_authorization": {"status": "disabled"}, "multicapture": {"status": "unavailable"},
            "overcapture": {"maximum_amount_capturable": 1000, "status": "unavailable"},
            "incremental_authorization": {"status": "unavailable"},
        }),
    );
    let charge = format!("/v1/charges/{}", id(&held["latest_charge"]));
    as_of(&house, "2025-02-24.acacia", Method::GET, &charge, &[]).await;
    let old = as_of(&house, "2020-08-27", Method::GET, &charge, &[]).await;
    assert!(old["payment_method_details"]["card"].get("multicapture").is_none());
    let old = as_of(&house, "2020-08-27", Method::GET, &path_of(&held), &[]).await;
    let expected =
        json!({"installments": null, "mandate_options": null, "network": null, "request_three_d_secure": "automatic"});
    assert_eq!(old["payment_method_options"], json!({"card": expected}));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_kept_is_refused() {
    let house = House::open().await;
    let intents = [intend(&house, &[]).await.ok(), set_up(&house, &[]).await.ok()];
    for (param, value) in [
        ("payment_method_options[us_bank_account][verification_method]", "instant"),
        ("payment_method_options[card][moto]", "true"),
        ("payment_method_options[card][network]", "visa"),
        ("payment_method_options[card][mandate_options][amount]", "1"),
        ("payment_method_options[card][three_d_secure][version]", "2.1.0"),
        ("payment_method_options[card][request_three_d_secure]", "sometimes"),
    ] {
        for intent in &intents {
            let refused = house.post(&path_of(intent), &[(param, value)]).await.error(400);
            let said = refused["param"].as_str().unwrap();
            assert!(param.starts_with(said) && said.starts_with("payment_method_options["), "{refused}");
            confirm(&house, intent, &[(param, value), ("payment_method", "pm_card_visa")]).await.error(400);
        }
    }
    for param in ["cvc_token", "installments[enabled]", "statement_descriptor_suffix_kana", "require_cvc_recollection"]
    {
        let (head, rest) =
            param.split_once('[').map_or((param, String::new()), |(head, rest)| (head, format!("[{rest}")));
        let param = format!("payment_method_options[card][{head}]");
        intend(&house, &[(&format!("{param}{rest}"), "true")]).await.error(400);
        let unknown = set_up(&house, &[(&format!("{param}{rest}"), "true")]).await.error(400);
        assert_eq!((&unknown["code"], &unknown["param"]), (&json!("parameter_unknown"), &json!(param)));
    }
    let unknown = intend(&house, &[("payment_method_options[cash][x]", "1")]).await.error(400);
    has(&unknown, &json!({"code": "parameter_unknown", "param": "payment_method_options[cash]"}));
    for (name, value) in [
        ("radar_options[session]", "rse_1"),
        ("confirmation_token", "ctoken_1"),
        ("amount_details[tax][total_tax_amount]", "1"),
        ("hooks[inputs][tax][calculation]", "taxcalc_1"),
    ] {
        confirm(&house, &intents[0], &[(name, value)]).await.error(400);
    }
    for intent in &intents {
        assert_eq!(house.fresh(intent).await["status"], "requires_payment_method");
    }
}

/// Older generations know another word for the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_challenge_was_called_otherwise() {
    let house = House::open().await;
    let path = "/v1/payment_intents";
    let form = [&PAYMENT[..], &[(THREE_D_SECURE, "challenge_only")]].concat();
    let old = as_of(&house, "2020-08-27", Method::POST, path, &form).await;
    assert_eq!(old["payment_method_options"]["card"]["request_three_d_secure"], "challenge_only");
    for version in [NEWEST, "2025-02-24.acacia"] {
        let new = as_of(&house, version, Method::GET, &path_of(&old), &[]).await;
        assert_eq!(new["payment_method_options"]["card"]["request_three_d_secure"], "challenge", "{version}");
    }
    house.post(path, &form).await.error(400);
    let setup = set_up(&house, &[(THREE_D_SECURE, "challenge")]).await.ok();
    let old = as_of(&house, "2020-08-27", Method::GET, &path_of(&setup), &[]).await;
    let expected = json!({"mandate_options": null, "request_three_d_secure": "challenge_only"});
    assert_eq!(old["payment_method_options"], json!({"card": expected}));
}

const ONLINE: [(&str, &str); 4] = [
    ("mandate_data[customer_acceptance][type]", "online"),
    ("mandate_data[customer_acceptance][online][ip_address]", "203.0.113.7"),
    ("mandate_data[customer_acceptance][online][user_agent]", "Browser/1.0"),
    ("mandate_data[customer_acceptance][accepted_at]", "1790000000"),
];

/// Cards need no mandate: what was agreed to is checked and kept, and none is shown.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_customer_has_agreed_to_is_kept() {
    let house = House::open().await;
    let offline = [("mandate_data[customer_acceptance][type]", "offline")];
    for (table, path, form) in
        [("payment_intents", "/v1/payment_intents", &PAYMENT[..]), ("setup_intents", "/v1/setup_intents", &[])]
    {
        let made = house.post(path, form).await.ok();
        let card = [("payment_method", "pm_card_visa")];
        for (said, param) in [
            (&ONLINE[1..], "mandate_data[customer_acceptance][type]"),
            (&ONLINE[..1], "mandate_data[customer_acceptance][online]"),
            (&ONLINE[..2], "mandate_data[customer_acceptance][online][user_agent]"),
            (&[offline[0], ONLINE[1]][..], "mandate_data[customer_acceptance][online]"),
            (&[ONLINE[0], (ONLINE[1].0, "here"), ONLINE[2]], "mandate_data[customer_acceptance][online][ip_address]"),
            (&[("mandate_data[customer_acceptance][type]", "spoken")], "mandate_data[customer_acceptance][type]"),
        ] {
            let refused = confirm(&house, &made, &[&card[..], said].concat()).await.error(400);
            assert_eq!(refused["param"], param, "{said:?}");
        }
        let early = house.post(path, &[form, &ONLINE].concat()).await.error(400);
        assert_eq!(early["param"], "mandate_data");
        let done = confirm(&house, &made, &[&card[..], &ONLINE].concat()).await.ok();
        assert_eq!((&done["status"], done.get("internal")), (&json!("succeeded"), None));
        if table == "setup_intents" {
            assert_eq!(done["mandate"], json!(null));
        }
        let kept = |what: &str| {
            format!("select count(*) from {table} where body::json->'internal'->'mandate'->>'type' = '{what}'")
        };
        assert_eq!(house.count(&kept("online")).await, 1);
        let at_once = [form, &card[..], &offline, &[CONFIRMED]].concat();
        assert_eq!(house.post(path, &at_once).await.ok()["status"], "succeeded");
        assert_eq!(house.count(&kept("offline")).await, 1);
        let unset = [form, &card[..], &[("mandate_data", ""), CONFIRMED]].concat();
        assert_eq!(house.post(path, &unset).await.ok()["status"], "succeeded");
        // A browser is there with its customer.
        let made = house.post(path, form).await.ok();
        let refused = from_browser(&house, &made, "confirm", &[&card[..], &offline].concat()).await.error(400);
        assert_eq!(refused["param"], "mandate_data[customer_acceptance][type]");
        let done = from_browser(&house, &made, "confirm", &[&card[..], &ONLINE[..1]].concat()).await.ok();
        assert_eq!(done["status"], "succeeded");
    }
}

/// What a server has said is not for a browser to take back.
#[tokio::test(flavor = "multi_thread")]
async fn a_browser_says_less_than_a_server() {
    let house = House::open().await;
    let card = ("payment_method", "pm_card_visa");
    let made = intend(
        &house,
        &[("setup_future_usage", "off_session"), ("shipping[name]", "Ada"), ("shipping[address][line1]", "1")],
    )
    .await
    .ok();
    for (param, value) in [
        ("capture_method", "manual"),
        (THREE_D_SECURE, "automatic"),
        ("payment_method_options[card][capture_method]", ""),
        ("payment_method_options[card][request_incremental_authorization]", "if_available"),
        ("setup_future_usage", "on_session"),
        ("setup_future_usage", ""),
        ("payment_method_options[card][setup_future_usage]", "none"),
        ("payment_method_options[card][setup_future_usage]", "on_session"),
        ("excluded_payment_method_types[0]", "klarna"),
        ("off_session", "true"),
    ] {
        let refused = from_browser(&house, &made, "confirm", &[card, (param, value)]).await.error(400);
        assert_eq!(refused["param"], param.trim_end_matches("[0]"));
    }
    let setup = set_up(&house, &[]).await.ok();
    let refused = from_browser(&house, &setup, "confirm", &[card, (THREE_D_SECURE, "automatic")]).await.error(400);
    assert_eq!(refused["param"], THREE_D_SECURE);
    let elsewhere = [card, ("shipping[name]", "Eve"), ("shipping[address][line1]", "2")];
    assert_eq!(from_browser(&house, &made, "confirm", &elsewhere).await.error(400)["param"], "shipping");
    assert_eq!(house.fresh(&made).await["shipping"]["name"], "Ada");
    let paid = from_browser(&house, &made, "confirm", &[card, ("setup_future_usage", "off_session")]).await.ok();
    assert_eq!(paid["status"], "succeeded");
    // An address that a browser gave, a browser may change.
    let made = intend(&house, &[]).await.ok();
    let failing = [&elsewhere[1..], &[("payment_method", "pm_card_visa_chargeDeclined")]].concat();
    from_browser(&house, &made, "confirm", &failing).await.error(402);
    let moved = [card, ("shipping[name]", "Eve"), ("shipping[address][line1]", "3")];
    let paid = from_browser(&house, &made, "confirm", &moved).await.ok();
    assert_eq!(paid["shipping"]["address"]["line1"], "3");
    // With the secret key all of it may be said when confirming.
    let made = intend(&house, &[("receipt_email", "ada@example.com")]).await.ok();
    let form = [&moved[..], &[("capture_method", "manual"), ("receipt_email", "")]].concat();
    let held = confirm(&house, &made, &form).await.ok();
    has(&held, &json!({"status": "requires_capture", "capture_method": "manual", "receipt_email": null}));
    assert_eq!(held["shipping"]["name"], "Eve");
    // What was refused has changed nothing, and the error does not say that it has.
    let refused =
        confirm(&house, &held, &[("shipping[name]", "Bob"), ("shipping[address][line1]", "4")]).await.error(400);
    assert_eq!(refused["payment_intent"]["shipping"]["name"], "Eve");
}

#[tokio::test(flavor = "multi_thread")]
async fn cards_have_no_microdeposits() {
    let house = House::open().await;
    let made = intend(&house, &[]).await.ok();
    let path = format!("{}/verify_microdeposits", path_of(&made));
    let refused = house.post(&path, &[("amounts[]", "32"), ("amounts[]", "45")]).await.error(400);
    assert_eq!(refused["code"], "payment_intent_unexpected_state");
    let code = [("descriptor_code", "SM11AA")];
    assert_eq!(from_browser(&house, &made, "verify_microdeposits", &code).await.error(400)["code"], refused["code"]);
    let key = format!("Bearer {PUBLISHABLE_KEY}");
    let missing = house.call(Method::POST, &path, &code, &[("authorization", &key)]).await.error(400);
    has(&missing, &json!({"code": "parameter_missing", "param": "client_secret"}));
}

/// Every card that is set up is a customer's, and never the account's own.
#[tokio::test(flavor = "multi_thread")]
async fn no_setup_is_for_the_account_itself() {
    let house = House::open().await;
    set_up(&house, &[]).await.ok();
    for (query, count) in [("false", 1), ("true", 0)] {
        assert_eq!(house.list(&format!("/v1/setup_intents?attach_to_self={query}")).await.len(), count, "{query}");
    }
    house.get("/v1/setup_intents?attach_to_self=maybe").await.error(400);
}
