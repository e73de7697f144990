//! Bad input: a clear 4xx, no effect, never a 5xx.

use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};
use reqwest::Method;

use crate::support::{House, KEY, encode, id};

/// Every route, with `{}` for an id.
const ROUTES: &[(&str, &[&str])] = &[
    (
        "GET",
        &[
            "/v1/customers",
            "/v1/customers/{}",
            "/v1/customers/{}/payment_methods",
            "/v1/customers/{}/payment_methods/{}",
            "/v1/customers/{}/subscriptions",
            "/v1/products",
            "/v1/products/{}",
            "/v1/prices",
            "/v1/prices/{}",
            "/v1/payment_methods",
            "/v1/payment_methods/{}",
            "/v1/payment_intents",
            "/v1/payment_intents/{}",
            "/v1/charges",
            "/v1/charges/{}",
            "/v1/charges/{}/refunds",
            "/v1/refunds",
            "/v1/refunds/{}",
            "/v1/setup_intents",
            "/v1/setup_intents/{}",
            "/v1/subscriptions",
            "/v1/subscriptions/{}",
            "/v1/subscription_items",
            "/v1/subscription_items/{}",
            "/v1/invoices",
            "/v1/invoices/{}",
            "/v1/invoices/{}/lines",
            "/v1/invoice_payments",
            "/v1/invoice_payments/{}",
            "/v1/invoiceitems",
            "/v1/invoiceitems/{}",
            "/v1/events",
            "/v1/events/{}",
            "/v1/webhook_endpoints",
            "/v1/webhook_endpoints/{}",
            "/v1/test_helpers/test_clocks",
            "/v1/test_helpers/test_clocks/{}",
            "/v1/account",
            "/v1/accounts/{}",
            "/v1/balance",
        ],
    ),
    (
        "POST",
        &[
            "/v1/customers",
            "/v1/customers/{}",
            "/v1/products",
            "/v1/products/{}",
            "/v1/prices",
            "/v1/prices/{}",
            "/v1/payment_methods",
            "/v1/payment_methods/{}",
            "/v1/payment_methods/{}/attach",
            "/v1/payment_methods/{}/detach",
            "/v1/payment_intents",
            "/v1/payment_intents/{}",
            "/v1/payment_intents/{}/confirm",
            "/v1/payment_intents/{}/capture",
            "/v1/payment_intents/{}/cancel",
            "/v1/setup_intents",
            "/v1/setup_intents/{}",
            "/v1/setup_intents/{}/confirm",
            "/v1/setup_intents/{}/cancel",
            "/v1/setup_intents/{}/verify_microdeposits",
            "/v1/refunds",
            "/v1/refunds/{}",
            "/v1/refunds/{}/cancel",
            "/v1/charges/{}/refunds",
            "/v1/test_helpers/payment_intents/{}/authenticate",
            "/v1/test_helpers/setup_intents/{}/authenticate",
            "/v1/subscriptions",
            "/v1/subscriptions/{}",
            "/v1/invoices",
            "/v1/invoices/{}",
            "/v1/invoices/{}/finalize",
            "/v1/invoices/{}/pay",
            "/v1/invoices/{}/void",
            "/v1/invoices/{}/mark_uncollectible",
            "/v1/invoiceitems",
            "/v1/webhook_endpoints",
            "/v1/webhook_endpoints/{}",
            "/v1/test_helpers/test_clocks",
            "/v1/test_helpers/test_clocks/{}/advance",
        ],
    ),
    (
        "DELETE",
        &[
            "/v1/customers/{}",
            "/v1/products/{}",
            "/v1/subscriptions/{}",
            "/v1/invoices/{}",
            "/v1/invoiceitems/{}",
            "/v1/webhook_endpoints/{}",
            "/v1/test_helpers/test_clocks/{}",
        ],
    ),
];

const NAMES: &[&str] = &[
    "customer",
    "amount",
    "currency",
    "unit_amount",
    "unit_amount_decimal",
    "product",
    "product_data[name]",
    "name",
    "email",
    "recurring[interval]",
    "recurring[interval_count]",
    "items[0][price]",
    "items[0][quantity]",
    "items[][price]",
    "items",
    "metadata[a]",
    "metadata",
    "metadata[a][b]",
    "expand[]",
    "expand",
    "payment_method",
    "confirm",
    "capture_method",
    "off_session",
    "charge",
    "payment_intent",
    "outcome",
    "reason",
    "return_url",
    "setup_future_usage",
    "usage",
    "payment_behavior",
    "default_payment_method",
    "invoice_settings[default_payment_method]",
    "balance",
    "phone",
    "address[city]",
    "address",
    "shipping[name]",
    "shipping[address][line1]",
    "next_invoice_sequence",
    "invoice_prefix",
    "limit",
    "starting_after",
    "ending_before",
    "created",
    "created[gte]",
    "created[gt]",
    "status",
    "type",
    "types[]",
    "price",
    "subscription",
    "invoice",
    "quantity",
    "period[start]",
    "period[end]",
    "pricing[price]",
    "amount_to_capture",
    "cancel_at_period_end",
    "cancellation_details[feedback]",
    "frozen_time",
    "url",
    "enabled_events[]",
    "enabled_events",
    "card[number]",
    "card[exp_month]",
    "card[exp_year]",
    "card[cvc]",
    "card[token]",
    "type",
    "test_clock",
    "lookup_key",
    "lookup_keys[]",
    "active",
    "ids[]",
    "delivery_success",
    "client_secret",
    "paid_out_of_band",
    "payment[payment_intent]",
    "tax_exempt",
    "preferred_locales[]",
    "description",
    "id",
    "nonsense",
    "a[b][c][d][e][f][g][h][i][j]",
    "x[",
    "[x]",
    "",
];

const VALUES: &[&str] = &[
    "",
    "0",
    "1",
    "-1",
    "2000",
    "99999999",
    "100000000",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "1.5",
    "1e9",
    "0x10",
    "0.000000000001",
    "12345678901234567890.1",
    "true",
    "false",
    "null",
    "usd",
    "USD",
    "jpy",
    "xyz",
    "month",
    "year",
    "day",
    "now",
    "all",
    "active",
    "card",
    "a@b.c",
    "@",
    "pm_card_visa",
    "pm_card_chargeCustomerFail",
    "pm_card_authenticationRequired",
    "succeed",
    "fail",
    "duplicate",
    "off_session",
    "https://shop.test/done",
    "javascript:alert(1)",
    "pm_card_nothing",
    "tok_visa",
    "4242424242424242",
    "4000000000000002",
    "13",
    "2034",
    "http://127.0.0.1:9/",
    "*",
    "invoice.paid",
    "cus_x",
    "cus_\u{0}",
    "é😀",
    "'; drop table customers; --",
    "%",
    "\u{202e}",
    "allow_incomplete",
    "default_incomplete",
    "manual",
    "data",
    "data.customer",
    "customer",
    "items.data.price.product",
    "latest_invoice.payments",
];

fn any_value() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => prop::sample::select(VALUES).prop_map(ToOwned::to_owned),
        1 => ".{0,40}",
        1 => any::<i64>().prop_map(|number| number.to_string()),
        1 => Just("x".repeat(6000)),
    ]
}

fn any_form() -> impl Strategy<Value = Vec<(String, String)>> {
    prop::collection::vec((prop::sample::select(NAMES).prop_map(ToOwned::to_owned), any_value()), 0..6)
}

#[tokio::test(flavor = "multi_thread")]
async fn random_forms_at_every_route_are_never_a_fault() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let customer = house.customer("pm_card_visa", None).await;
    let subscription = house.subscribe(&customer, &price).await;
    let clock = house.test_clock("2027-01-01T00:00:00Z").await;
    // Ids that exist make the forms reach deeper.
    let mut ids: Vec<String> =
        vec![customer, price, id(&subscription), clock, "x".into(), "%00".into(), "%ff".into(), "é".into()];
    ids.push(subscription["latest_invoice"].as_str().unwrap().to_owned());
    ids.push(id(&subscription["items"]["data"][0]));
    house.post("/v1/setup_intents", &[("payment_method", "pm_card_visa")]).await.ok();
    for path in
        ["/v1/payment_intents", "/v1/setup_intents", "/v1/charges", "/v1/payment_methods", "/v1/events", "/v1/products"]
    {
        ids.extend(house.list(path).await.first().map(id));
    }
    let mut runner = TestRunner::deterministic();
    let draw = |strategy: BoxedStrategy<String>, runner: &mut TestRunner| strategy.new_tree(runner).unwrap().current();
    let any_id = prop::sample::select(ids).boxed();
    for _ in 0..12 {
        for (method, paths) in ROUTES {
            for path in *paths {
                let form = any_form().new_tree(&mut runner).unwrap().current();
                let mut path = (*path).to_owned();
                while path.contains("{}") {
                    path = path.replacen("{}", &draw(any_id.clone(), &mut runner), 1);
                }
                let method: Method = method.parse().unwrap();
                let pairs: Vec<(&str, &str)> =
                    form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                let answer = house.call(method.clone(), &path, &pairs, &[]).await;
                assert!(answer.status < 500, "{method} {path} {form:?}: {} {}", answer.status, answer.text);
                if answer.status >= 400 {
                    assert!(answer.body["error"]["message"].is_string(), "{method} {path} {form:?}: {}", answer.text);
                }
            }
        }
    }
    // What was reserved waits to be captured; nothing else is left open.
    let open = "select count(*) from payment_intents where due_at is not null and status <> 'requires_capture'";
    assert_eq!(house.count(open).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_are_refused() {
    let house = House::open().await;
    let post = |body: Vec<u8>| {
        let house = &house;
        async move {
            let request = house.client.post(format!("{}/v1/customers", house.url)).bearer_auth(KEY);
            let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
            request.send().await.unwrap().status().as_u16()
        }
    };
    for body in
        [&b"name=%ff"[..], b"name=%00", b"name=%", b"name=\xff\xfe", b"name=a&name=b", b"=x", b"a[[b]=1", b"name[x=1"]
    {
        assert_eq!(post(body.to_vec()).await, 400, "{:?}", String::from_utf8_lossy(body));
    }
    assert_eq!(post(format!("metadata{}=1", "[a]".repeat(50)).into_bytes()).await, 400);
    assert_eq!(post(encode(&vec![("metadata[a]", "1"); 1001]).into_bytes()).await, 400);
    assert_eq!(post(vec![b'a'; 2 * 1024 * 1024]).await, 413);
    assert_eq!(house.count("select count(*) from customers").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_keeps_its_limits() {
    let house = House::open().await;
    let long = "k".repeat(41);
    let many: Vec<(String, String)> = (0..51).map(|n| (format!("metadata[key{n}]"), "v".to_owned())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    house.post("/v1/customers", &many).await.error(400);
    house.post("/v1/customers", &[(&format!("metadata[{long}]"), "v")]).await.error(400);
    house.post("/v1/customers", &[("metadata[k]", &"v".repeat(501))]).await.error(400);
    house.post("/v1/customers", &many[..50]).await.ok();
}
