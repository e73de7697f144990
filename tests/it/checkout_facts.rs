//! What Checkout sessions hold: their lines, the filters of their list, what is refused, older pins.

use serde_json::{Value, json};

use crate::catalogue::has;
use crate::checkout::{URLS, named};
use crate::support::{House, id};

/// `line_items`: what is sold, in its order, with whole prices; one-off lines are on the first invoice only.
#[tokio::test(flavor = "multi_thread")]
async fn lines_are_listed_and_expanded() {
    let house = House::open().await;
    let (monthly, once) = (house.monthly_price(2000).await, house.one_time_price(700).await);
    let more = [
        ("line_items[1][price]", once.as_str()),
        ("line_items[1][quantity]", "2"),
        ("line_items[1][adjustable_quantity][enabled]", "true"),
        ("line_items[1][adjustable_quantity][maximum]", "5"),
        ("line_items[2][price_data][currency]", "usd"),
        ("line_items[2][price_data][unit_amount]", "100"),
        ("line_items[2][price_data][product_data][name]", "Support"),
        ("line_items[2][price_data][recurring][interval]", "month"),
        ("line_items[2][quantity]", "3"),
        ("expand[]", "line_items.data.price.product"),
    ];
    let session = house.session("subscription", &monthly, &more).await;
    assert_eq!(session["amount_total"], 2000 + 1400 + 300);
    let lines = session["line_items"]["data"].as_array().unwrap();
    assert_eq!(lines[2]["price"]["product"]["name"], "Support");
    let path = format!("/v1/checkout/sessions/{}/line_items", id(&session));
    assert_eq!(session["line_items"]["url"], path);
    let listed = house.get(&path).await.ok();
    let sums: Vec<&Value> = listed["data"].as_array().unwrap().iter().map(|line| &line["amount_total"]).collect();
    assert_eq!(sums, [2000, 1400, 300]);
    let second = &listed["data"][1];
    has(
        second,
        &json!({"object": "item", "quantity": 2, "description": "Lamp", "currency": "usd", "amount_subtotal": 1400}),
    );
    has(second, &json!({"adjustable_quantity": {"enabled": true, "maximum": 5, "minimum": null}}));
    assert_eq!(second["price"]["id"], json!(once));
    assert!(second["price"]["product"].is_string() && second.get("plan").is_none());
    let page = house.get(&format!("{path}?limit=1&starting_after={}", id(&lines[0]))).await.ok();
    assert_eq!((&page["data"][0]["id"], &page["has_more"]), (&lines[1]["id"], &json!(true)));
    house.get("/v1/checkout/sessions/cs_none/line_items").await.error(404);

    let complete = format!("/v1/test_helpers/checkout/sessions/{}/complete", id(&session));
    let second = id(&lines[1]);
    let form = [("payment_method", "pm_card_visa"), ("email", "a@b.test"), ("line_items[0][id]", &second)];
    let too_many = [&form[..], &[("line_items[0][quantity]", "6")]].concat();
    has(&house.post(&complete, &too_many).await.error(400), &json!({"param": "line_items"}));
    let done = house.post(&complete, &[&form[..], &[("line_items[0][quantity]", "4")]].concat()).await.ok();
    assert_eq!(done["amount_total"], 2000 + 2800 + 300);
    let invoice = house.get(&format!("/v1/invoices/{}", named(&done, "invoice"))).await.ok();
    assert_eq!(invoice["total"], 5100);
    let subscription = house.get(&format!("/v1/subscriptions/{}", named(&done, "subscription"))).await.ok();
    assert_eq!(subscription["items"]["data"].as_array().unwrap().len(), 2);
}

/// A session can be given other lines as long as it is open, and other metadata at any time.
#[tokio::test(flavor = "multi_thread")]
async fn an_open_session_can_change() {
    let house = House::open().await;
    let once = house.one_time_price(700).await;
    let session = house.session("payment", &once, &[("metadata[a]", "1")]).await;
    let path = format!("/v1/checkout/sessions/{}", id(&session));
    let line = id(&house.get(&format!("{path}/line_items")).await.ok()["data"][0]);
    let other = house.one_time_price(300).await;
    let form = [
        ("line_items[0][price]", other.as_str()),
        ("line_items[0][quantity]", "1"),
        ("line_items[1][id]", &line),
        ("line_items[1][quantity]", "3"),
        ("metadata[a]", ""),
        ("metadata[b]", "2"),
    ];
    let changed = house.post(&path, &form).await.ok();
    has(&changed, &json!({"amount_total": 2400, "metadata": {"b": "2"}}));
    house.post(&path, &[("line_items[0][id]", "li_none")]).await.error(400);
    // What was begun for the old lines is not paid any more.
    house.complete(&session, "pm_card_authenticationRequired").await.ok();
    let begun = named(&house.session_now(&session).await, "payment_intent");
    let changed = house.post(&path, &[("line_items[0][id]", &line), ("line_items[0][quantity]", "1")]).await.ok();
    has(&changed, &json!({"amount_total": 700, "payment_intent": null}));
    assert_eq!(house.get(&format!("/v1/payment_intents/{begun}")).await.ok()["status"], "canceled");
    let done = house.complete(&session, "pm_card_visa").await.ok();
    has(&done, &json!({"status": "complete", "amount_total": 700}));
    house.post(&path, &[("line_items[0][id]", &line)]).await.error(400);
    assert_eq!(house.post(&path, &[("metadata[c]", "3")]).await.ok()["metadata"]["c"], "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_by_their_filters() {
    let house = House::open().await;
    let (monthly, once) = (house.monthly_price(2000).await, house.one_time_price(1500).await);
    let customer = house.customer("pm_card_visa", None).await;
    let subscribed = house.session("subscription", &monthly, &[("customer", &customer)]).await;
    let subscribed = house.complete(&subscribed, "pm_card_visa").await.ok();
    let open = house.session("payment", &once, &[("customer_email", "bob@example.com")]).await;
    has(&open, &json!({"customer_email": "bob@example.com"}));
    has(&open["customer_details"], &json!({"email": "bob@example.com"}));
    let paid = house.session("payment", &once, &[]).await;
    let paid = house.complete(&paid, "pm_card_visa").await.ok();
    for (filter, found) in [
        (String::new(), vec![&paid, &open, &subscribed]),
        (format!("customer={customer}"), vec![&subscribed]),
        (format!("subscription={}", named(&subscribed, "subscription")), vec![&subscribed]),
        (format!("payment_intent={}", named(&paid, "payment_intent")), vec![&paid]),
        ("status=open".to_owned(), vec![&open]),
        ("status=complete".to_owned(), vec![&paid, &subscribed]),
        ("customer_details[email]=bob@example.com".to_owned(), vec![&open]),
        (format!("created[gte]={}", house.clock.now().unix_seconds()), vec![&paid, &open, &subscribed]),
        (format!("created[gt]={}", house.clock.now().unix_seconds()), vec![]),
    ] {
        let listed: Vec<String> = house.list(&format!("/v1/checkout/sessions?{filter}")).await.iter().map(id).collect();
        assert_eq!(listed, found.into_iter().map(id).collect::<Vec<_>>(), "{filter}");
    }
    let path = format!("/v1/checkout/sessions/{}", id(&subscribed));
    let expanded = house
        .get(&format!("{path}?expand[]=subscription&expand[]=customer&expand[]=invoice&expand[]=line_items"))
        .await
        .ok();
    for member in ["subscription", "customer", "invoice"] {
        assert_eq!(expanded[member]["id"], subscribed[member], "{member}");
    }
    assert_eq!(expanded["line_items"]["data"][0]["quantity"], 1);
    house.get("/v1/checkout/sessions?status=paid").await.error(400);
}

/// What cannot be sold, or not in this way, is refused when the session is made.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_cannot_be_are_refused() {
    let house = House::open().await;
    let (monthly, once, cheap) =
        (house.monthly_price(2000).await, house.one_time_price(1500).await, house.one_time_price(10).await);
    let now = house.clock.now().unix_seconds();
    let (early, late, soon) = ((now + 1799).to_string(), (now + 86_401).to_string(), (now + 3600).to_string());
    let mark = house.mark().await;
    for (mode, price, more, param) in [
        ("payment", &monthly, vec![], "line_items[0][price]"),
        ("subscription", &once, vec![], "line_items"),
        ("payment", &cheap, vec![], "line_items"),
        ("payment", &once, vec![("expires_at", early.as_str())], "expires_at"),
        ("payment", &once, vec![("expires_at", &late)], "expires_at"),
        ("payment", &once, vec![("line_items[0][quantity]", "0")], "line_items[0][quantity]"),
        ("payment", &once, vec![("client_reference_id", &*"x".repeat(201))], "client_reference_id"),
        ("payment", &once, vec![("customer_email", "nobody")], "customer_email"),
        ("payment", &once, vec![("success_url", "shop")], "success_url"),
        ("payment", &once, vec![("subscription_data[description]", "A")], "subscription_data"),
        ("payment", &once, vec![("payment_method_collection", "always")], "payment_method_collection"),
        ("subscription", &monthly, vec![("payment_intent_data[description]", "A")], "payment_intent_data"),
        ("subscription", &monthly, vec![("customer_creation", "always")], "customer_creation"),
        ("subscription", &monthly, vec![("subscription_data[trial_end]", &soon)], "subscription_data[trial_end]"),
        (
            "subscription",
            &monthly,
            vec![("subscription_data[trial_period_days]", "0")],
            "subscription_data[trial_period_days]",
        ),
        (
            "subscription",
            &monthly,
            vec![("line_items[1][price]", &*monthly), ("line_items[1][quantity]", "1")],
            "line_items",
        ),
        ("payment", &once, vec![("customer", "cus_none")], "customer"),
        ("payment", &once, vec![("ui_mode", "elements")], "ui_mode"),
        ("payment", &once, vec![("discounts[0][coupon]", "c")], "discounts"),
        ("payment", &once, vec![("allow_promotion_codes", "true")], "allow_promotion_codes"),
        ("payment", &once, vec![("automatic_tax[enabled]", "true")], "automatic_tax"),
        ("payment", &once, vec![("shipping_options[0][shipping_rate]", "s")], "shipping_options"),
        ("payment", &once, vec![("payment_method_types[]", "card")], "payment_method_types"),
        ("payment", &once, vec![("line_items[0][tax_rates][]", "t")], "line_items[0][tax_rates]"),
    ] {
        let error = house.session_with(mode, price, &more).await.error(400);
        assert_eq!(error["param"], param, "{mode} {more:?} {error:#}");
    }
    for missing in ["mode", "success_url"] {
        let all = [
            ("mode", "payment"),
            ("success_url", "https://a.test"),
            ("line_items[0][price]", &once),
            ("line_items[0][quantity]", "1"),
        ];
        let form: Vec<(&str, &str)> = all.into_iter().filter(|(name, _)| *name != missing).collect();
        has(
            &house.post("/v1/checkout/sessions", &form).await.error(400),
            &json!({"param": missing, "code": "parameter_missing"}),
        );
    }
    house.told(mark).await.are("");
    assert!(house.list("/v1/checkout/sessions").await.is_empty());
    for path in ["", "/expire", "/line_items"] {
        let path = format!("/v1/checkout/sessions/cs_test_none{path}");
        let answer = if path.ends_with("expire") { house.post(&path, &[]).await } else { house.get(&path).await };
        assert_eq!(answer.error(404)["code"], "resource_missing", "{path}");
    }
}

/// A price that was offered is sold, even if it is not on sale any more.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_offered_is_sold() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let session = house.session("subscription", &price, &[]).await;
    house.post(&format!("/v1/prices/{price}"), &[("active", "false")]).await.ok();
    house.session_with("subscription", &price, &[]).await.error(400);
    assert_eq!(house.complete(&session, "pm_card_visa").await.ok()["status"], "complete");
}

/// Older pins: the words of their time, and nothing that came later.
#[tokio::test(flavor = "multi_thread")]
async fn older_pins_see_what_they_know() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let form = |ui_mode: Option<&'static str>| {
        let lines = [("mode", "subscription"), ("line_items[0][price]", &*price), ("line_items[0][quantity]", "1")];
        let mode = ui_mode.map(|mode| ("ui_mode", mode));
        URLS.into_iter().chain(lines).chain(mode).collect::<Vec<_>>()
    };
    let create = async |version: &str, form: &[(&str, &str)]| {
        house.call(reqwest::Method::POST, "/v1/checkout/sessions", form, &[("stripe-version", version)]).await
    };
    let made = create("2026-02-25.clover", &form(Some("hosted"))).await.ok();
    assert_eq!(made["ui_mode"], "hosted");
    assert_eq!(create("2026-02-25.clover", &form(Some("hosted_page"))).await.error(400)["param"], "ui_mode");
    let made = create("2025-02-24.acacia", &form(None)).await.ok();
    assert!(made.get("wallet_options").is_none() && made["shipping_details"].is_null());
    let done = house.complete(&made, "pm_card_visa").await.ok();
    let subscription = house.get(&format!("/v1/subscriptions/{}", named(&done, "subscription"))).await.ok();
    assert_eq!(subscription["billing_mode"]["type"], "classic");
    let old = [
        URLS[0],
        URLS[1],
        ("mode", "payment"),
        ("payment_method_types[0]", "card"),
        ("line_items[0][amount]", "500"),
        ("line_items[0][currency]", "usd"),
        ("line_items[0][name]", "Lamp"),
        ("line_items[0][quantity]", "2"),
    ];
    let made = create("2020-08-27", &old).await.ok();
    assert!(made.get("ui_mode").is_none() && made["amount_total"] == 1000, "{made:#}");
    let done = house.complete(&made, "pm_card_visa").await.ok();
    assert!(done["customer"].is_string(), "a customer is always made");
}
