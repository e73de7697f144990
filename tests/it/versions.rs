//! Older API versions: the same history, read and written by clients of other times.

use dunlin::api::auth;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    sinks::Sink,
    support::{Answer, House, id},
    webhooks::dispatch,
};

const FIRST: &str = "2020-08-27";
const ACACIA: &str = "2025-02-24.acacia";
const BASIL: &str = "2025-03-31.basil";
const NEWEST: &str = "2026-10-28.endive";

impl House {
    /// A call by a client that is pinned to a version.
    async fn as_of(&self, version: &str, method: Method, path: &str, form: &[(&str, &str)]) -> Answer {
        let answer = self.call(method, path, form, &[("stripe-version", version)]).await;
        assert_eq!(answer.headers["stripe-version"], version);
        answer
    }

    async fn get_as_of(&self, version: &str, path: &str) -> Value {
        self.as_of(version, Method::GET, path, &[]).await.ok()
    }

    async fn post_as_of(&self, version: &str, path: &str, form: &[(&str, &str)]) -> Answer {
        self.as_of(version, Method::POST, path, form).await
    }
}

/// Customers with all that can befall them.
async fn history(house: &House) -> String {
    let price = house.monthly_price(2000).await;
    let clock = house.test_clock("2027-01-31T09:00:00Z").await;
    let customer = house.customer("pm_card_visa", Some(&clock)).await;
    let subscription = house.subscribe(&customer, &price).await;
    let path = format!("/v1/subscriptions/{}", id(&subscription));
    house.post("/v1/invoiceitems", &[("customer", &customer), ("amount", "700"), ("currency", "usd")]).await.ok();
    house.advance(&clock, "2027-02-28T12:00:00Z").await;
    let item = id(&subscription["items"]["data"][0]);
    house.post(&path, &[("items[0][id]", &item), ("items[0][quantity]", "3")]).await.ok();
    house.advance(&clock, "2027-03-31T12:00:00Z").await;
    let invoice = house.latest_invoice(&house.fresh(&subscription).await).await;
    house
        .post("/v1/credit_notes", &[("invoice", &id(&invoice)), ("amount", "100"), ("refund_amount", "100")])
        .await
        .ok();
    let balance = [("amount", "-50"), ("currency", "usd")];
    house.post(&format!("/v1/customers/{customer}/balance_transactions"), &balance).await.ok();
    house.default_card(&customer, "pm_card_chargeCustomerFail").await;
    house.advance(&clock, "2027-05-02T12:00:00Z").await;
    house.post(&path, &[("cancel_at_period_end", "true"), ("metadata[why]", "moves")]).await.ok();
    house.post("/v1/setup_intents", &[("description", "Later")]).await.ok();
    let intent = [("amount", "500"), ("currency", "usd"), ("payment_method", "pm_card_visa"), ("confirm", "true")];
    house.post("/v1/payment_intents", &[&intent[..], &[("return_url", "https://example.com/")]].concat()).await.ok();
    let draft = house.post("/v1/invoices", &[("customer", &customer)]).await.ok();
    let line = [("lines[0][amount]", "900"), ("lines[0][description]", "Advice")];
    house.post(&format!("/v1/invoices/{}/add_lines", id(&draft)), &line).await.ok();
    let sent = [("customer", &*customer), ("collection_method", "send_invoice"), ("days_until_due", "10")];
    let sent = house.post("/v1/invoices", &sent).await.ok();
    let line = [("lines[0][amount]", "400"), ("lines[0][description]", "Paid in cash")];
    house.post(&format!("/v1/invoices/{}/add_lines", id(&sent)), &line).await.ok();
    let pay = format!("/v1/invoices/{}/pay", id(&sent));
    house.post(&pay, &[("paid_out_of_band", "true")]).await.ok();
    id(&subscription)
}

const LISTS: [&str; 18] = [
    "balance_transactions_of_customers",
    "charges",
    "credit_notes",
    "customers",
    "events",
    "invoice_payments",
    "invoiceitems",
    "invoices",
    "payment_intents",
    "payment_methods",
    "prices",
    "products",
    "refunds",
    "setup_intents",
    "subscription_items",
    "subscriptions",
    "test_helpers/test_clocks",
    "webhook_endpoints",
];

/// Every list can be read as of every version, and once more by its own parts.
#[tokio::test(flavor = "multi_thread")]
async fn everything_can_be_read_as_of_every_version() {
    let house = House::open().await;
    let subscription = history(&house).await;
    let versions = [
        FIRST,
        "2022-08-01",
        "2022-11-15",
        "2023-08-16",
        "2023-10-16",
        "2024-04-10",
        "2024-06-20",
        "2024-09-30.acacia",
        ACACIA,
        "2025-03-01.dashboard",
        BASIL,
        "2025-05-28.basil",
        "2025-09-30.clover",
        "2026-03-25.dahlia",
        "2026-09-30.endive",
        NEWEST,
    ];
    let clock = id(&house.list("/v1/test_helpers/test_clocks").await[0]);
    let customer = id(&house.list(&format!("/v1/customers?test_clock={clock}")).await[0]);
    for version in versions {
        // Payments of invoices came with basil.
        for list in LISTS.into_iter().filter(|list| version >= BASIL || *list != "invoice_payments") {
            let path = match list {
                "balance_transactions_of_customers" => format!("/v1/customers/{customer}/balance_transactions"),
                "customers" | "subscriptions" | "invoices" => format!("/v1/{list}?limit=100&test_clock={clock}"),
                "invoiceitems" | "payment_methods" => format!("/v1/{list}?customer={customer}"),
                "subscription_items" => format!("/v1/{list}?subscription={subscription}"),
                list => format!("/v1/{list}?limit=100"),
            };
            let page = house.get_as_of(version, &path).await;
            assert!(!page["data"].as_array().unwrap().is_empty() || list == "webhook_endpoints", "{version} {path}");
        }
        let expanded = if version < BASIL {
            "expand[]=data.charge&expand[]=data.payment_intent&expand[]=data.subscription.latest_invoice"
        } else {
            "expand[]=data.payments&expand[]=data.confirmation_secret&expand[]=data.parent.subscription_details.subscription"
        };
        house.get_as_of(version, &format!("/v1/invoices?limit=100&test_clock={clock}&{expanded}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_as_it_was_before_basil() {
    let house = House::open().await;
    let subscription = history(&house).await;
    let newest =
        house.get(&format!("/v1/invoices?subscription={subscription}&limit=100&expand[]=data.payments")).await.ok();
    let expand = "expand[]=data.payment_intent&expand[]=data.charge&expand[]=data.subscription";
    let acacia = house.get_as_of(ACACIA, &format!("/v1/invoices?subscription={subscription}&limit=100&{expand}")).await;
    let pairs = newest["data"].as_array().unwrap().iter().zip(acacia["data"].as_array().unwrap());
    let mut paid = 0;
    for (newest, acacia) in pairs {
        assert_eq!(newest["id"], acacia["id"]);
        assert_eq!(acacia["paid"], newest["status"] == "paid");
        assert_eq!(id(&acacia["subscription"]), subscription);
        assert_eq!(
            acacia["subscription_details"],
            json!({"metadata": newest["parent"]["subscription_details"]["metadata"]})
        );
        let payment = &newest["payments"]["data"][0]["payment"]["payment_intent"];
        assert_eq!(acacia["payment_intent"]["id"], *payment);
        assert_eq!(acacia["payment_intent"]["invoice"], acacia["id"]);
        assert_eq!(acacia["payment_intent"]["latest_charge"], acacia["charge"]["id"]);
        assert_eq!(acacia["charge"]["invoice"], acacia["id"]);
        for gone in ["parent", "payments", "confirmation_secret", "amount_overpaid", "total_taxes"] {
            assert_eq!(acacia.get(gone), None, "{gone}");
        }
        for (was, is) in
            acacia["lines"]["data"].as_array().unwrap().iter().zip(newest["lines"]["data"].as_array().unwrap())
        {
            assert_eq!(was["price"]["id"], is["pricing"]["price_details"]["price"]);
            assert_eq!(
                was["plan"]["id"],
                if was["price"]["type"] == "recurring" { was["price"]["id"].clone() } else { Value::Null }
            );
            let is_item = is["parent"]["type"] == "invoice_item_details"
                || !is["parent"]["subscription_item_details"]["invoice_item"].is_null();
            assert_eq!(was["type"], if is_item { "invoiceitem" } else { "subscription" });
        }
        paid += i64::from(newest["status"] == "paid");
    }
    assert_eq!(paid, 3);
    let cash = &house.get_as_of(ACACIA, "/v1/invoices?limit=1").await;
    let clock = id(&house.list("/v1/test_helpers/test_clocks").await[0]);
    let cash = if cash["data"].as_array().unwrap().is_empty() {
        house.get_as_of(ACACIA, &format!("/v1/invoices?limit=1&test_clock={clock}")).await["data"][0].clone()
    } else {
        cash["data"][0].clone()
    };
    assert_eq!(
        (&cash["paid"], &cash["paid_out_of_band"], &cash["amount_paid"], &cash["amount_remaining"]),
        (&json!(true), &json!(true), &json!(0), &json!(400))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_2020_subscribes_pays_and_reads() {
    let house = House::open().await;
    let price = house.monthly_price(1500).await;
    let customer = house.customer("pm_card_visa", None).await;
    let form = [
        ("customer", &*customer),
        ("items[0][price]", &price),
        ("payment_behavior", "default_incomplete"),
        ("expand[]", "latest_invoice.payment_intent"),
    ];
    let subscription = house.post_as_of(FIRST, "/v1/subscriptions", &form).await.ok();
    assert_eq!(subscription["status"], "incomplete");
    assert_eq!(
        subscription["current_period_end"],
        house.fresh(&subscription).await["items"]["data"][0]["current_period_end"]
    );
    assert_eq!(subscription["items"]["data"][0].get("current_period_end"), None);
    assert_eq!(house.fresh(&subscription).await["billing_mode"]["type"], "classic");
    let intent = &subscription["latest_invoice"]["payment_intent"];
    assert!(intent["client_secret"].as_str().unwrap().starts_with("pi_"));
    let confirm = format!("/v1/payment_intents/{}/confirm", id(intent));
    let confirmed = house.post_as_of(FIRST, &confirm, &[("payment_method", "pm_card_visa")]).await.ok();
    let charge = &confirmed["charges"]["data"][0];
    assert_eq!((&confirmed["status"], &charge["paid"]), (&json!("succeeded"), &json!(true)));
    assert_eq!(charge["invoice"], subscription["latest_invoice"]["id"]);
    assert_eq!(charge["refunds"]["data"], json!([]));
    house.post_as_of(FIRST, "/v1/refunds", &[("charge", &id(charge)), ("amount", "100")]).await.ok();
    let again = house.get_as_of(FIRST, &format!("/v1/payment_intents/{}", id(intent))).await;
    assert_eq!(again["charges"]["data"][0]["refunds"]["data"][0]["amount"], 100);
    let customer_of_charge = format!("/v1/payment_intents/{}?expand[]=charges.data.customer", id(intent));
    assert_eq!(house.get_as_of(FIRST, &customer_of_charge).await["charges"]["data"][0]["customer"]["id"], customer);
    let unknown = format!("/v1/subscriptions/{}?expand[]=latest_invoice.payments", id(&subscription));
    assert_eq!(house.as_of(FIRST, Method::GET, &unknown, &[]).await.status, 200);
    let unknown = format!("/v1/invoices/{}?expand[]=payments", id(&subscription["latest_invoice"]));
    let refused = house.as_of(FIRST, Method::GET, &unknown, &[]).await.error(400);
    assert_eq!(refused["message"], "This property cannot be expanded (payments).");
    let unknown = format!("/v1/invoices/{}?expand[]=payment_intent", id(&subscription["latest_invoice"]));
    let refused = house.as_of(BASIL, Method::GET, &unknown, &[]).await.error(400);
    assert_eq!(refused["message"], "This property cannot be expanded (payment_intent).");
}

#[tokio::test(flavor = "multi_thread")]
async fn defaults_are_those_of_the_pin() {
    let house = House::open().await;
    let intent = [("amount", "500"), ("currency", "usd")];
    let of = |version: &'static str| {
        let house = &house;
        async move { house.post_as_of(version, "/v1/payment_intents", &intent).await.ok() }
    };
    for (version, capture, automatic) in [
        (FIRST, "automatic", false),
        ("2022-11-15", "automatic", false),
        ("2023-10-16", "automatic", true),
        (ACACIA, "automatic_async", true),
        (NEWEST, "automatic_async", true),
    ] {
        let made = of(version).await;
        let kept = house.fresh(&made).await;
        assert_eq!(
            (&kept["capture_method"], kept["automatic_payment_methods"].is_object()),
            (&json!(capture), automatic),
            "{version}"
        );
        assert_eq!(kept["payment_method_types"], json!(["card"]));
    }
    let listed = [&intent[..], &[("payment_method_types[]", "card")]].concat();
    assert!(house.post_as_of(ACACIA, "/v1/payment_intents", &listed).await.ok()["automatic_payment_methods"].is_null());
    let refused = house.post_as_of(NEWEST, "/v1/payment_intents", &listed).await.error(400);
    assert_eq!(refused["code"], "payment_method_types_no_longer_supported");
    let cash = [&intent[..], &[("payment_method_types[]", "konbini")]].concat();
    let refused = house.post_as_of(ACACIA, "/v1/payment_intents", &cash).await.error(400);
    assert_eq!(refused["param"], "payment_method_types[0]");

    let customer = house.customer("pm_card_visa", None).await;
    let nothing = house.post_as_of(FIRST, "/v1/invoices", &[("customer", &customer)]).await.error(400);
    assert_eq!(nothing["code"], "invoice_no_customer_line_items");
    let item = [("customer", &*customer), ("unit_amount", "250"), ("quantity", "2"), ("currency", "usd")];
    let item = house.post_as_of(FIRST, "/v1/invoiceitems", &item).await.ok();
    assert_eq!((&item["unit_amount"], &item["unit_amount_decimal"]), (&json!(250), &json!("250")));
    let invoice = house.post_as_of(FIRST, "/v1/invoices", &[("customer", &customer)]).await.ok();
    assert_eq!(invoice["total"], 500);
    assert_eq!(house.post_as_of(NEWEST, "/v1/invoices", &[("customer", &customer)]).await.ok()["total"], 0);
    let required = [("customer", &*customer), ("pending_invoice_items_behavior", "include_and_require")];
    let refused = house.post_as_of("2022-08-01", "/v1/invoices", &required).await.error(400);
    assert_eq!(refused["param"], "pending_invoice_items_behavior");

    let product = [("name", "A"), ("features[0][name]", "Fast")];
    let product = house.post_as_of("2023-10-16", "/v1/products", &product).await.ok();
    assert_eq!(product["features"], json!([{"name": "Fast"}]));
    assert_eq!(house.fresh(&product).await["marketing_features"], json!([{"name": "Fast"}]));
    let refused = house.post_as_of(ACACIA, "/v1/products", &[("name", "A"), ("features[0][name]", "Fast")]).await;
    assert_eq!(refused.error(400)["code"], "parameter_unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_invoice_that_comes_next_is_upcoming() {
    let house = House::open().await;
    let price = house.monthly_price(1000).await;
    let customer = house.customer("pm_card_visa", None).await;
    let none = house.as_of(ACACIA, Method::GET, &format!("/v1/invoices/upcoming?customer={customer}"), &[]).await;
    let none = none.error(404);
    assert_eq!(none["code"], "invoice_upcoming_none");
    assert_eq!(none["message"], format!("No upcoming invoices for customer: {customer}"));
    let subscription = house.subscribe(&customer, &price).await;
    house.post("/v1/invoiceitems", &[("customer", &customer), ("amount", "70"), ("currency", "usd")]).await.ok();
    let next =
        house.get_as_of(ACACIA, &format!("/v1/invoices/upcoming?customer={customer}&expand[]=subscription")).await;
    assert_eq!((&next["total"], next.get("id")), (&json!(1070), None));
    assert_eq!((&next["billing_reason"], &next["subscription"]["id"]), (&json!("upcoming"), &subscription["id"]));
    assert_eq!(next["lines"]["url"], format!("/v1/invoices/upcoming/lines?customer={customer}"));
    let item = id(&subscription["items"]["data"][0]);
    let query = format!(
        "subscription={}&subscription_items[0][id]={item}&subscription_items[0][quantity]=4&subscription_proration_behavior=none",
        id(&subscription)
    );
    assert_eq!(house.get_as_of(FIRST, &format!("/v1/invoices/upcoming?{query}")).await["total"], 4070);
    let lines = house.get_as_of(FIRST, &format!("/v1/invoices/upcoming/lines?{query}&limit=1")).await;
    assert_eq!((&lines["has_more"], lines["data"].as_array().unwrap().len()), (&json!(true), 1));
    let after = id(&lines["data"][0]);
    let rest = house.get_as_of(FIRST, &format!("/v1/invoices/upcoming/lines?{query}&starting_after={after}")).await;
    assert_eq!((&rest["has_more"], rest["data"].as_array().unwrap().len()), (&json!(false), 1));
    assert_eq!(rest["data"][0]["object"], "line_item");
    let bare = house.post_as_of(ACACIA, "/v1/invoices/create_preview", &[("customer", &customer)]).await.ok();
    assert_eq!(bare["total"], 1070);
    for version in [BASIL, NEWEST] {
        let gone = house.as_of(version, Method::GET, &format!("/v1/invoices/upcoming?customer={customer}"), &[]).await;
        assert!(
            gone.error(404)["message"]
                .as_str()
                .unwrap()
                .starts_with("Unrecognized request URL (GET: /v1/invoices/upcoming)")
        );
        let bare = house.post_as_of(version, "/v1/invoices/create_preview", &[("customer", &customer)]).await;
        assert_eq!(bare.error(400)["code"], "parameter_missing");
    }
}

/// Each endpoint hears of an event in its own version; what an update changed, too.
#[tokio::test(flavor = "multi_thread")]
async fn events_speak_the_version_of_who_hears_them() {
    let house = House::open().await;
    let (old, new) = (Sink::open().await, Sink::open().await);
    for (sink, version) in [(&old, Some(FIRST)), (&new, None)] {
        let mut form = vec![("url", &*sink.url), ("enabled_events[]", "*")];
        form.extend(version.map(|version| ("api_version", version)));
        house.post("/v1/webhook_endpoints", &form).await.ok();
    }
    let price = house.monthly_price(1000).await;
    let clock = house.test_clock("2027-01-01T00:00:00Z").await;
    let customer = house.customer("pm_card_visa", Some(&clock)).await;
    let subscription = house.subscribe(&customer, &price).await;
    house.advance(&clock, "2027-02-01T02:00:00Z").await;
    dispatch(&house).await;
    let find = |sink: &Sink, kind: &str| {
        let events: Vec<Value> = sink.taken().iter().map(|heard| heard.event.clone()).collect();
        events.into_iter().rfind(|event| event["type"] == kind).unwrap_or_else(|| panic!("no {kind}"))
    };
    let (was, is) = (find(&old, "customer.subscription.updated"), find(&new, "customer.subscription.updated"));
    assert_eq!((&was["id"], &was["api_version"], &is["api_version"]), (&is["id"], &json!(FIRST), &json!(NEWEST)));
    let previous = was["data"]["previous_attributes"].as_object().unwrap();
    let mut keys: Vec<&String> = previous.keys().collect();
    keys.sort();
    assert_eq!(keys, ["current_period_end", "current_period_start", "latest_invoice"]);
    assert_eq!(previous["current_period_end"], was["data"]["object"]["current_period_start"]);
    assert!(is["data"]["previous_attributes"]["items"].is_object());
    let paid = find(&old, "invoice.paid");
    assert_eq!(paid["data"]["object"]["subscription"], subscription["id"]);
    assert!(paid["data"]["object"]["charge"].is_string());
    let succeeded = &find(&old, "payment_intent.succeeded")["data"]["object"];
    assert!(succeeded["invoice"].is_string());
    assert_eq!(succeeded["charges"]["data"][0]["invoice"], succeeded["invoice"]);
    let heard = |sink: &Sink| sink.taken().iter().any(|heard| heard.event["type"] == "invoice_payment.paid");
    assert_eq!((heard(&old), heard(&new)), (false, true), "it came with basil");
    let pending = house.list("/v1/events").await;
    assert!(pending.iter().all(|event| event["pending_webhooks"] == 0));
}

/// A client that asks for no version is answered in the account's; so are events, as of when they happened.
#[tokio::test(flavor = "multi_thread")]
async fn the_account_has_a_version_of_its_own() {
    let house = House::open().await;
    let price = house.monthly_price(1000).await;
    house.post("/v1/dunlin/settings", &[("api_version", ACACIA)]).await.ok();
    let refused = house.post("/v1/dunlin/settings", &[("api_version", "2021-01-01")]).await.error(400);
    assert_eq!(refused["param"], "api_version");
    // What a key stands for is known for a second; another key is looked up anew.
    let mut moment = house.app.engine.new_moment().expect("a moment");
    let mut reader = house.app.engine.store.reader().await.expect("a connection");
    let key = auth::create(&mut reader, &auth::KeyKind::Secret, &mut moment.ids, 0).await.expect("a key");
    drop(reader);
    let headers = [("authorization", &*format!("Bearer {}", key.text))];
    let customer = house.customer("pm_card_visa", None).await;
    let form = [("customer", &*customer), ("items[0][price]", &*price)];
    let made = house.call(Method::POST, "/v1/subscriptions", &form, &headers).await;
    assert_eq!(made.headers["stripe-version"], ACACIA);
    let made = made.ok();
    assert!(made["current_period_end"].is_i64());
    house.post("/v1/dunlin/settings", &[("api_version", "")]).await.ok();
    let event = &house.list("/v1/events?type=customer.subscription.created").await[0];
    assert_eq!(event["api_version"], ACACIA);
    assert_eq!(event["data"]["object"]["current_period_end"], made["current_period_end"]);
    let seen = house.get_as_of(NEWEST, &format!("/v1/events/{}", id(event))).await;
    assert_eq!(seen["data"]["object"]["current_period_end"], made["current_period_end"]);
    assert_eq!(house.list("/v1/events?type=product.created").await[0]["api_version"], NEWEST);
}
