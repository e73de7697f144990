//! Products, prices and customers, from the published rules.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{House, at, id};

/// Whether a document has these members with these values, whatever else it has.
#[track_caller]
pub fn has(document: &Value, members: &Value) {
    for (name, value) in members.as_object().expect("members") {
        assert_eq!(&document[name], value, "{name} of {document:#}");
    }
}

/// The newest event of a type.
async fn newest_event(house: &House, kind: &str) -> Value {
    house.get(&format!("/v1/events?type={kind}&limit=1")).await.ok()["data"][0].clone()
}

/// The ids of a list, newest first.
async fn ids(house: &House, path: &str) -> Vec<String> {
    house.list(path).await.iter().map(id).collect()
}

/// Whether each query of a list finds these ids, newest first.
pub async fn finds(house: &House, path: &str, cases: &[(String, &[&String])]) {
    for (query, expected) in cases {
        assert_eq!(ids(house, &format!("{path}?{query}")).await.iter().collect::<Vec<_>>(), *expected, "{query}");
    }
}

async fn product(house: &House, form: &[(&str, &str)]) -> String {
    id(&house.post("/v1/products", &[&[("name", "Basic")], form].concat()).await.ok())
}

async fn price(house: &House, form: &[(&str, &str)]) -> Value {
    house.post("/v1/prices", &[&[("currency", "usd")], form].concat()).await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_keeps_what_an_update_leaves_out() {
    let house = House::open().await;
    let made =
        house.post("/v1/products", &[("name", "Basic"), ("description", "small"), ("metadata[a]", "1")]).await.ok();
    assert_eq!((&made["object"], &made["active"], &made["livemode"]), (&json!("product"), &json!(true), &json!(false)));
    assert_eq!(made["created"], at("2027-01-01T00:00:00Z"));
    let path = format!("/v1/products/{}", id(&made));
    let renamed = house.post(&path, &[("name", "Large"), ("active", "false")]).await.ok();
    has(&renamed, &json!({"name": "Large", "active": false, "description": "small", "metadata": {"a": "1"}}));
    // previous_attributes holds the old values of what changed, and of nothing else (events, section 21).
    let mut previous = newest_event(&house, "product.updated").await["data"]["previous_attributes"].clone();
    previous.as_object_mut().unwrap().remove("updated");
    assert_eq!(previous, json!({"name": "Basic", "active": true}));
    assert_eq!(newest_event(&house, "product.created").await["data"]["object"]["name"], "Basic");
    // The empty string unsets.
    assert_eq!(house.post(&path, &[("description", "")]).await.ok()["description"], json!(null));
    assert_eq!(house.get(&path).await.ok()["description"], json!(null));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_changes_nothing_is_not_told() {
    let house = House::open().await;
    let customer = id(&house.post("/v1/customers", &[("name", "Ada"), ("metadata[k]", "v")]).await.ok());
    let before = house.event_types(0).await.len();
    house.post(&format!("/v1/customers/{customer}"), &[("name", "Ada"), ("metadata[k]", "v")]).await.ok();
    house.post(&format!("/v1/customers/{customer}"), &[]).await.ok();
    assert!(house.event_types(before).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_is_merged_key_by_key() {
    let house = House::open().await;
    let product = product(&house, &[]).await;
    let price = id(&price(&house, &[("product", &product), ("unit_amount", "100")]).await);
    let customer = id(&house.post("/v1/customers", &[]).await.ok());
    for path in [format!("products/{product}"), format!("prices/{price}"), format!("customers/{customer}")] {
        let path = format!("/v1/{path}");
        assert_eq!(house.get(&path).await.ok()["metadata"], json!({}), "never null");
        for (form, expected) in [
            (vec![("metadata[a]", "1"), ("metadata[b]", "2")], json!({"a": "1", "b": "2"})),
            (vec![("metadata[b]", "3"), ("metadata[c]", "4")], json!({"a": "1", "b": "3", "c": "4"})),
            // An empty value deletes its key, what is left out is left alone, an empty hash deletes all.
            (vec![("metadata[a]", "")], json!({"b": "3", "c": "4"})),
            (vec![], json!({"b": "3", "c": "4"})),
            (vec![("metadata", "")], json!({})),
        ] {
            assert_eq!(house.post(&path, &form).await.ok()["metadata"], expected, "{path} {form:?}");
            assert_eq!(house.get(&path).await.ok()["metadata"], expected);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_has_limits() {
    let house = House::open().await;
    let fifty: Vec<(String, String)> = (0..50).map(|n| (format!("metadata[k{n}]"), "v".to_owned())).collect();
    let form: Vec<(&str, &str)> = fifty.iter().map(|(name, value)| (&**name, &**value)).collect();
    let customer = id(&house.post("/v1/customers", &form).await.ok());
    let path = format!("/v1/customers/{customer}");
    // The limit holds for the merged keys, not only for those of one request.
    house.post(&path, &[("metadata[another]", "v")]).await.error(400);
    house.post(&path, &[("metadata[another]", "v"), ("metadata[k0]", "")]).await.ok();
    let (key, long_key) = (format!("metadata[{}]", "k".repeat(40)), format!("metadata[{}]", "k".repeat(41)));
    let (value, long_value) = ("é".repeat(500), "é".repeat(501));
    house.post("/v1/customers", &[(&key, "v")]).await.ok();
    house.post("/v1/customers", &[("metadata[k]", &value)]).await.ok();
    let refused = [(&*long_key, "v"), ("metadata[k]", &*long_value), ("metadata[a][b]", "v"), ("metadata", "text")];
    for field in refused {
        assert_eq!(
            house.post("/v1/customers", &[field]).await.error(400)["type"],
            "invalid_request_error",
            "{field:?}"
        );
    }
    assert_eq!(house.list("/v1/customers").await.len(), 3, "what was refused has made nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_may_bring_its_own_id_once() {
    let house = House::open().await;
    assert_eq!(product(&house, &[("id", "gold-plan")]).await, "gold-plan");
    let again = house.post("/v1/products", &[("name", "Other"), ("id", "gold-plan")]).await.error(400);
    assert_eq!(again["code"], "resource_already_exists");
    assert_eq!(house.get("/v1/products/gold-plan").await.ok()["name"], "Basic");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_product_without_prices_can_be_deleted() {
    let house = House::open().await;
    let (free, priced) = (product(&house, &[]).await, product(&house, &[]).await);
    price(&house, &[("product", &priced), ("unit_amount", "100")]).await;
    house.delete(&format!("/v1/products/{priced}")).await.error(400);
    house.get(&format!("/v1/products/{priced}")).await.ok();
    let stub = house.delete(&format!("/v1/products/{free}")).await.ok();
    assert_eq!(stub, json!({"id": free, "object": "product", "deleted": true}));
    let gone = house.get(&format!("/v1/products/{free}")).await.error(404);
    assert_eq!(gone["code"], "resource_missing");
    assert_eq!(ids(&house, "/v1/products").await, [priced]);
    assert_eq!(newest_event(&house, "product.deleted").await["data"]["object"]["id"], json!(free));
}

#[tokio::test(flavor = "multi_thread")]
async fn products_are_listed_by_what_they_are() {
    let house = House::open().await;
    let first = product(&house, &[("url", "https://example.com/one"), ("shippable", "true")]).await;
    house.advance_wall("2027-01-02T00:00:00Z").await;
    let second = product(&house, &[("active", "false")]).await;
    house.advance_wall("2027-01-03T00:00:00Z").await;
    let third = product(&house, &[]).await;
    let second_of_january = at("2027-01-02T00:00:00Z");
    let cases: &[(String, &[&String])] = &[
        (String::new(), &[&third, &second, &first]),
        ("active=true".to_owned(), &[&third, &first]),
        ("active=false".to_owned(), &[&second]),
        (format!("ids[]={first}&ids[]={third}"), &[&third, &first]),
        ("url=https://example.com/one".to_owned(), &[&first]),
        ("shippable=true".to_owned(), &[&first]),
        (format!("created={second_of_january}"), &[&second]),
        (format!("created[gt]={second_of_january}"), &[&third]),
        (format!("created[gte]={second_of_january}"), &[&third, &second]),
        (format!("created[lt]={second_of_january}"), &[&first]),
        (format!("created[lte]={second_of_january}&active=true"), &[&first]),
    ];
    finds(&house, "/v1/products", cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_says_its_amount_in_two_ways() {
    let house = House::open().await;
    let product = product(&house, &[]).await;
    let whole = price(&house, &[("product", &product), ("unit_amount", "1000")]).await;
    has(&whole, &json!({"unit_amount": 1000, "unit_amount_decimal": "1000", "type": "one_time", "recurring": null}));
    has(&whole, &json!({"product": product, "active": true}));
    let part = price(&house, &[("product", &product), ("unit_amount_decimal", "12.5")]).await;
    has(&part, &json!({"unit_amount": null, "unit_amount_decimal": "12.5"}));
    let same = price(&house, &[("product", &product), ("unit_amount_decimal", "250")]).await;
    has(&same, &json!({"unit_amount": 250, "unit_amount_decimal": "250"}));
    assert_eq!(
        price(&house, &[("product", &product), ("unit_amount", "0")]).await["unit_amount"],
        0,
        "free is a price"
    );
    // Currencies are read in any case and said in lower case (api.md 3.2).
    let yen = [("currency", "JPY"), ("product", &*product), ("unit_amount", "500")];
    assert_eq!(house.post("/v1/prices", &yen).await.ok()["currency"], "jpy");
    let monthly =
        price(&house, &[("product", &product), ("unit_amount", "100"), ("recurring[interval]", "month")]).await;
    assert_eq!(monthly["type"], "recurring");
    has(&monthly["recurring"], &json!({"interval": "month", "interval_count": 1}));
    assert_eq!(monthly["recurring"]["usage_type"], "licensed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_that_makes_no_sense_is_refused() {
    let house = House::open().await;
    let product = product(&house, &[]).await;
    let recurring = ("recurring[interval]", "month");
    for fields in [
        vec![("unit_amount", "-1")],
        vec![("unit_amount", "99999999999999999999")],
        vec![("unit_amount_decimal", "abc")],
        vec![("unit_amount_decimal", "1.0000000000001")],
        vec![("unit_amount", "1"), ("recurring[interval]", "fortnight")],
        vec![("unit_amount", "1"), recurring, ("recurring[interval_count]", "0")],
        vec![("unit_amount", "1"), recurring, ("recurring[interval_count]", "-3")],
        vec![("unit_amount", "1"), ("product_data[name]", "also")],
        vec![],
    ] {
        let form = [&[("currency", "usd"), ("product", &*product)], &fields[..]].concat();
        assert_eq!(house.post("/v1/prices", &form).await.error(400)["type"], "invalid_request_error", "{fields:?}");
    }
    house.post("/v1/prices", &[("currency", "usd"), ("unit_amount", "100")]).await.error(400);
    assert!(house.list("/v1/prices").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_keeps_its_amount_for_life() {
    let house = House::open().await;
    let price = house.monthly_price(1000).await;
    let path = format!("/v1/prices/{price}");
    for field in [("unit_amount", "5"), ("currency", "eur"), ("recurring[interval]", "year")] {
        house.post(&path, &[field]).await.error(400);
    }
    let archived = house.post(&path, &[("active", "false"), ("nickname", "old")]).await.ok();
    has(&archived, &json!({"active": false, "nickname": "old", "unit_amount": 1000}));
    let previous = newest_event(&house, "price.updated").await["data"]["previous_attributes"].clone();
    assert_eq!(previous, json!({"active": true, "nickname": null}));
    // Prices are archived, never deleted.
    let error = house.call(Method::DELETE, &path, &[], &[]).await.error(404);
    assert!(error["message"].as_str().unwrap().starts_with("Unrecognized request URL"));
    house.get(&path).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_and_a_product_can_be_made_in_one_call() {
    let house = House::open().await;
    let price = price(&house, &[("unit_amount", "700"), ("product_data[name]", "New")]).await;
    let product = house.get(&format!("/v1/products/{}", price["product"].as_str().unwrap())).await.ok();
    assert_eq!(product["name"], "New");
    let form = [
        ("name", "Gold"),
        ("default_price_data[currency]", "usd"),
        ("default_price_data[unit_amount]", "900"),
        ("default_price_data[recurring][interval]", "year"),
        ("expand[]", "default_price"),
    ];
    let gold = house.post("/v1/products", &form).await.ok();
    assert_eq!(gold["default_price"]["unit_amount"], 900);
    assert_eq!((&gold["default_price"]["product"], &gold["default_price"]["type"]), (&gold["id"], &json!("recurring")));
}

#[tokio::test(flavor = "multi_thread")]
async fn prices_are_listed_by_what_they_are() {
    let house = House::open().await;
    let (one, two) = (product(&house, &[]).await, product(&house, &[]).await);
    let once = id(&price(&house, &[("product", &one), ("unit_amount", "1"), ("lookup_key", "once")]).await);
    let monthly = [("product", &*one), ("unit_amount", "2"), ("recurring[interval]", "month")];
    let monthly = id(&price(&house, &monthly).await);
    let yearly = [("product", &*two), ("unit_amount", "3"), ("recurring[interval]", "year"), ("active", "false")];
    let yearly = id(&price(&house, &yearly).await);
    let euro = [("currency", "eur"), ("product", &*two), ("unit_amount", "4")];
    let euro = id(&house.post("/v1/prices", &euro).await.ok());
    let cases: &[(String, &[&String])] = &[
        (String::new(), &[&euro, &yearly, &monthly, &once]),
        ("active=true".to_owned(), &[&euro, &monthly, &once]),
        ("currency=eur".to_owned(), &[&euro]),
        (format!("product={one}"), &[&monthly, &once]),
        ("type=recurring".to_owned(), &[&yearly, &monthly]),
        ("type=one_time".to_owned(), &[&euro, &once]),
        ("recurring[interval]=year".to_owned(), &[&yearly]),
        ("lookup_keys[]=once&lookup_keys[]=unknown".to_owned(), &[&once]),
        (format!("product={two}&type=one_time"), &[&euro]),
    ];
    finds(&house, "/v1/prices", cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lookup_key_belongs_to_one_price() {
    let house = House::open().await;
    let product = product(&house, &[]).await;
    let form = [("currency", "usd"), ("product", &*product), ("unit_amount", "1"), ("lookup_key", "standard")];
    let first = id(&house.post("/v1/prices", &form).await.ok());
    house.post("/v1/prices", &form).await.error(400);
    assert_eq!(house.get(&format!("/v1/prices/{first}")).await.ok()["lookup_key"], "standard");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_is_kept_changed_and_told() {
    let house = House::open().await;
    let form = [
        ("name", "Ada"),
        ("email", "ada@example.com"),
        ("phone", "+441234567"),
        ("description", "first"),
        ("address[city]", "London"),
        ("address[country]", "GB"),
    ];
    let made = house.post("/v1/customers", &form).await.ok();
    has(&made, &json!({"balance": 0, "currency": null, "delinquent": false, "next_invoice_sequence": 1}));
    has(&made["address"], &json!({"city": "London", "country": "GB"}));
    let path = format!("/v1/customers/{}", id(&made));
    let changed = house.post(&path, &[("name", "Ada L."), ("phone", ""), ("address", "")]).await.ok();
    has(&changed, &json!({"name": "Ada L.", "phone": null, "address": null, "email": "ada@example.com"}));
    let told = newest_event(&house, "customer.updated").await;
    let previous = told["data"]["previous_attributes"].as_object().unwrap();
    let mut changed: Vec<&String> = previous.keys().collect();
    changed.sort_unstable();
    assert_eq!(changed, ["address", "name", "phone"]);
    assert_eq!((&previous["name"], &previous["phone"]), (&json!("Ada"), &json!("+441234567")));
    assert_eq!(told["data"]["object"]["name"], "Ada L.");
}

#[tokio::test(flavor = "multi_thread")]
async fn customer_texts_have_lengths() {
    let house = House::open().await;
    for (field, most) in [("name", 256), ("email", 512), ("phone", 20)] {
        let fits = if field == "email" { format!("{}@example.com", "a".repeat(most - 12)) } else { "1".repeat(most) };
        house.post("/v1/customers", &[(field, &fits)]).await.ok();
        let error = house.post("/v1/customers", &[(field, &format!("1{fits}"))]).await.error(400);
        assert_eq!(error["param"], field);
        assert!(error["message"].as_str().unwrap().ends_with(&format!("must be at most {most} characters")), "{error}");
    }
    assert_eq!(house.list("/v1/customers").await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn invoice_prefixes_are_generated_or_chosen() {
    let house = House::open().await;
    let prefix = |text: &str| text.chars().all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit());
    let generated = house.post("/v1/customers", &[]).await.ok();
    let generated = generated["invoice_prefix"].as_str().unwrap();
    assert!(generated.len() == 8 && prefix(generated), "{generated}");
    for chosen in ["A", "ABCDEFGHIJ12"] {
        assert_eq!(house.post("/v1/customers", &[("invoice_prefix", chosen)]).await.ok()["invoice_prefix"], chosen);
    }
    for refused in ["abc", "ABCDEFGHIJ123", "A-B"] {
        house.post("/v1/customers", &[("invoice_prefix", refused)]).await.error(400);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn customers_are_found_by_the_exact_email_and_by_time() {
    let house = House::open().await;
    let ada = id(&house.post("/v1/customers", &[("email", "ada@example.com")]).await.ok());
    let capital = id(&house.post("/v1/customers", &[("email", "Ada@example.com")]).await.ok());
    house.advance_wall("2027-01-02T00:00:00Z").await;
    let twin = id(&house.post("/v1/customers", &[("email", "ada@example.com")]).await.ok());
    let second_of_january = at("2027-01-02T00:00:00Z");
    let cases: &[(String, &[&String])] = &[
        ("email=ada%40example.com".to_owned(), &[&twin, &ada]),
        ("email=Ada@example.com".to_owned(), &[&capital]),
        ("email=ada@example".to_owned(), &[]),
        (format!("created[gte]={second_of_january}"), &[&twin]),
        (format!("created[lt]={second_of_january}"), &[&capital, &ada]),
        (format!("created[lt]={second_of_january}&email=ada@example.com"), &[&ada]),
    ];
    finds(&house, "/v1/customers", cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_customer_leaves_a_stub_and_takes_all_along() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let customer = house.customer("pm_card_visa", None).await;
    let subscription = id(&house.subscribe(&customer, &price).await);
    let path = format!("/v1/customers/{customer}");
    let before = house.event_types(0).await.len();
    let stub = json!({"id": customer, "object": "customer", "deleted": true});
    assert_eq!(house.delete(&path).await.ok(), stub);
    assert_eq!(house.get(&path).await.ok(), stub, "a later GET is a success");
    assert!(house.list("/v1/customers").await.is_empty());
    assert_eq!(house.get(&format!("/v1/subscriptions/{subscription}")).await.ok()["status"], "canceled");
    let told = house.event_types(before).await;
    for kind in ["customer.deleted", "customer.subscription.deleted"] {
        assert_eq!(told.iter().filter(|known| *known == kind).count(), 1, "{told:?}");
    }
    let refused = house.post(&path, &[("name", "Eve")]).await;
    assert!([400, 404].contains(&refused.status), "{:#}", refused.body);
    assert!(refused.body["error"]["message"].as_str().unwrap().starts_with("No such customer"));
    let form = [("customer", &*customer), ("items[0][price]", &*price)];
    house.post("/v1/subscriptions", &form).await.error(400);
    house.post("/v1/payment_methods/pm_card_visa/attach", &[("customer", &customer)]).await.error(400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_is_put_on_a_clock_only_when_made() {
    let house = House::open().await;
    let clock = house.test_clock("2027-05-01T00:00:00Z").await;
    let plain = id(&house.post("/v1/customers", &[]).await.ok());
    house.post(&format!("/v1/customers/{plain}"), &[("test_clock", &clock)]).await.error(400);
    let timed = house.post("/v1/customers", &[("test_clock", &clock)]).await.ok();
    has(&timed, &json!({"test_clock": clock, "created": at("2027-05-01T00:00:00Z")}));
    house.post("/v1/customers", &[("test_clock", "clock_x")]).await.error(400);
    assert_eq!(ids(&house, "/v1/customers").await, [plain]);
}
