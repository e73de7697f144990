//! Searches: what each field finds, how clauses are put together, pages, and what is refused.

use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, House, at, count, execute, id};

const RESOURCES: [&str; 7] =
    ["customers", "products", "prices", "subscriptions", "invoices", "payment_intents", "charges"];

impl House {
    async fn search(&self, resource: &str, query: &str, more: &[(&str, &str)]) -> Answer {
        let form: Vec<(&str, &str)> = [("query", query)].iter().chain(more).copied().collect();
        self.call(Method::GET, &format!("/v1/{resource}/search"), &form, &[]).await
    }

    /// The ids of what is found, newest first.
    async fn found(&self, resource: &str, query: &str) -> Vec<String> {
        let result = self.search(resource, query, &[("limit", "100")]).await.ok();
        result["data"].as_array().expect("a list").iter().map(id).collect()
    }
}

/// The resource, a query that finds the one, and one that finds nothing.
async fn finds(house: &House, resource: &str, id: &str, cases: &[(&str, &str)]) {
    for (query, other) in cases {
        assert_eq!(house.found(resource, query).await, [id], "{resource}: {query}");
        assert_eq!(house.found(resource, other).await, [""; 0], "{resource}: {other}");
    }
}

#[tokio::test]
async fn every_field_of_customers_products_and_prices() {
    let house = House::open().await;
    let form = [
        ("email", "Ada@Example.com"),
        ("name", "Ada Lovelace"),
        ("phone", "+44 20 1234"),
        ("metadata[userId]", "User-7"),
        ("metadata[100%]", "a_b\\c"),
    ];
    let customer = id(&house.post("/v1/customers", &form).await.ok());
    let cases = [
        ("email:\"ada@EXAMPLE.com\"", "email:\"ada@example.co\""),
        ("email~\"A@exam\"", "email~\"a%exam\""),
        ("name:'ada lovelace'", "name:'ada'"),
        ("name~\"LOVE\"", "name~\"a_a\""),
        ("-name~\"babbage\"", "-name~\"ada\""),
        ("phone:\"+44 20 1234\"", "phone:\"44 20 1234\""),
        ("phone~\"+44\"", "phone~\"+45\""),
        ("-phone:null", "phone:null"),
        ("created:1798761600", "created<1798761600"),
        ("created>1798761599 created<=1798761600", "-created>1798761599"),
        ("-created<1798761600", "-created:1798761600"),
        ("metadata[\"userId\"]:\"user-7\"", "metadata[\"userid\"]:\"user-7\""),
        ("-metadata[\"userId\"]:null", "metadata[\"userId\"]:null"),
        ("metadata[\"other\"]:null", "-metadata[\"other\"]:null"),
        ("metadata['100%']:\"A_B\\\\C\"", "metadata['100%']:\"a%c\""),
        ("-metadata[\"userId\"]:\"user-8\"", "-metadata[\"userId\"]:\"user-7\""),
    ];
    finds(&house, "customers", &customer, &cases).await;

    let form = [
        ("name", "Gold Plan"),
        ("description", "All of it, every month"),
        ("url", "https://example.com/Gold"),
        ("shippable", "true"),
        ("metadata[tier]", "3"),
    ];
    let product = id(&house.post("/v1/products", &form).await.ok());
    let cases = [
        ("active:'true'", "active:false"),
        ("description~\"EVERY\"", "description~\"never\""),
        ("description:\"all of it, every month\"", "description:null"),
        ("metadata[\"tier\"]:3", "metadata[\"tier\"]:\"4\""),
        ("name:\"gold plan\"", "name:\"gold\""),
        ("name~\"old pl\"", "name~\"silver\""),
        ("shippable:true", "shippable:\"false\""),
        ("url:\"https://EXAMPLE.com/gold\"", "url:null"),
        ("url~\"example\"", "-url~\"example\""),
    ];
    finds(&house, "products", &product, &cases).await;

    let form = [
        ("product", product.as_str()),
        ("currency", "eur"),
        ("unit_amount", "900"),
        ("lookup_key", "gold_EUR"),
        ("metadata[region]", "Europe"),
    ];
    let price = id(&house.post("/v1/prices", &form).await.ok());
    let of_product = [format!("product:\"{product}\""), format!("-product:\"{product}\"")];
    let part_of_it = [format!("product~\"{}\"", &product[4..]), "product~\"prod_x\"".to_owned()];
    let cases = [
        ("active:\"true\"", "active:\"false\""),
        ("currency:\"EUR\"", "currency:\"usd\""),
        ("lookup_key:\"GOLD_eur\"", "lookup_key:\"gold\""),
        ("lookup_key~\"old_e\"", "lookup_key:null"),
        ("metadata[\"region\"]:\"europe\"", "metadata[\"region\"]:\"asia\""),
        (of_product[0].as_str(), of_product[1].as_str()),
        (part_of_it[0].as_str(), part_of_it[1].as_str()),
        ("type:\"one_time\"", "type:\"recurring\""),
    ];
    finds(&house, "prices", &price, &cases).await;
}

#[tokio::test]
async fn every_field_of_what_is_billed() {
    let house = House::open().await;
    let price = house.monthly_price(1500).await;
    let customer = house.customer("pm_card_visa", None).await;
    let subscription = house.subscribe_with(&customer, &price, &[("metadata[order]", "X1")]).await.ok();
    let subscription = id(&subscription);
    let cases = [
        ("created>=1798761600", "created>1798761600"),
        ("canceled_at:null", "canceled_at>0"),
        ("metadata[\"order\"]:\"x1\"", "metadata[\"order\"]:\"x2\""),
        ("status:\"active\"", "status:\"canceled\""),
    ];
    finds(&house, "subscriptions", &subscription, &cases).await;
    let invoice = house.get("/v1/invoices?limit=1").await.ok()["data"][0].clone();
    house.post(&format!("/v1/invoices/{}", id(&invoice)), &[("metadata[ledger]", "Main")]).await.ok();
    let number = invoice["number"].as_str().expect("a number").to_lowercase();
    let of = [
        (format!("customer:\"{customer}\""), format!("-customer:\"{customer}\"")),
        (format!("subscription:\"{subscription}\""), "subscription:\"sub_x\"".to_owned()),
        (format!("number:\"{number}\""), format!("-number:\"{number}\"")),
        (format!("number~\"{}\"", &number[2..]), "number~\"zzz\"".to_owned()),
    ];
    let cases: Vec<(&str, &str)> = of.iter().map(|(one, other)| (one.as_str(), other.as_str())).collect();
    finds(&house, "invoices", &id(&invoice), &cases).await;
    let cases = [
        ("created:1798761600", "created<1798761600"),
        ("currency:\"usd\"", "currency:\"eur\""),
        ("last_finalization_error_code:null", "last_finalization_error_code:\"x\""),
        ("last_finalization_error_type:null", "-last_finalization_error_type:null"),
        ("metadata[\"ledger\"]:\"main\"", "metadata[\"ledger\"]:null"),
        ("receipt_number:null", "receipt_number:\"1\""),
        ("-receipt_number~\"123\"", "-receipt_number:null"),
        ("status:\"paid\"", "status:\"open\""),
        ("status~\"pai\"", "-status~\"pai\""),
        ("total:1500", "total>1500"),
        ("total>=1500", "total<1500"),
        ("total<=1500", "-total<=1500"),
    ];
    finds(&house, "invoices", &id(&invoice), &cases).await;

    let intent = id(&house.get("/v1/payment_intents?limit=1").await.ok()["data"][0]);
    let of_customer = format!("customer:\"{customer}\"");
    let cases = [
        ("amount>1499", "amount<1500"),
        ("created>1", "created<1"),
        ("currency:\"USD\"", "-currency:\"usd\""),
        (of_customer.as_str(), "customer:null"),
        ("metadata[\"a\"]:null", "metadata[\"a\"]:\"b\""),
        ("status:\"succeeded\"", "status:\"canceled\""),
    ];
    finds(&house, "payment_intents", &intent, &cases).await;

    let charge = house.get("/v1/charges?limit=1").await.ok()["data"][0].clone();
    let fingerprint = charge["payment_method_details"]["card"]["fingerprint"].as_str().expect("a fingerprint");
    let of_card = format!("payment_method_details.card.fingerprint:\"{fingerprint}\"");
    let cases = [
        ("amount:1500", "amount:1501"),
        ("billing_details.address.postal_code:null", "billing_details.address.postal_code:\"12345\""),
        ("created>1 AND created<2000000000", "created>2000000000"),
        ("currency:\"usd\"", "currency:\"eur\""),
        (of_customer.as_str(), "customer:\"cus_x\""),
        ("disputed:false", "disputed:true"),
        ("metadata[\"a\"]:null", "-metadata[\"a\"]:null"),
        ("payment_method_details.card.brand:\"Visa\"", "payment_method_details.card.brand:\"amex\""),
        ("-payment_method_details.card.exp_month:null", "payment_method_details.card.exp_month:13"),
        ("-payment_method_details.card.exp_year:2001", "payment_method_details.card.exp_year:\"2001\""),
        (of_card.as_str(), "payment_method_details.card.fingerprint:null"),
        ("payment_method_details.card.last4:4242", "payment_method_details.card.last4:\"0042\""),
        ("refunded:false", "refunded:\"true\""),
        ("status:\"succeeded\"", "status:\"failed\""),
    ];
    finds(&house, "charges", &id(&charge), &cases).await;
    house.post("/v1/refunds", &[("charge", &id(&charge))]).await.ok();
    assert_eq!(house.found("charges", "refunded:true").await, [id(&charge)]);
    house.delete(&format!("/v1/subscriptions/{subscription}")).await.ok();
    assert_eq!(house.found("subscriptions", "canceled_at>=1798761600 AND status:\"canceled\"").await, [subscription]);
}

/// What was written is found at once, as it is now: no other than what is there.
#[tokio::test]
async fn what_was_just_written_is_found() {
    let house = House::open().await;
    let ada = id(&house.post("/v1/customers", &[("email", "ada@example.com"), ("metadata[a]", "1")]).await.ok());
    assert_eq!(house.found("customers", "email:\"ada@example.com\"").await, [ada.as_str()]);
    let form = [("email", "ada@example.org"), ("metadata[a]", ""), ("metadata[b]", "1")];
    house.post(&format!("/v1/customers/{ada}"), &form).await.ok();
    assert_eq!(house.found("customers", "email:\"ada@example.com\"").await, [""; 0]);
    assert_eq!(house.found("customers", "metadata['a']:'1'").await, [""; 0]);
    assert_eq!(house.found("customers", "email~\"example.org\" AND metadata['b']:'1'").await, [ada.as_str()]);
    // The list's filter is exact.
    assert_eq!(house.list("/v1/customers?email=ada@example.org").await.len(), 1);
    assert_eq!(house.list("/v1/customers?email=Ada@example.org").await.len(), 0);
    // Live mode knows nothing of test mode.
    execute(&house.database_url, "update customers set livemode = true").await;
    assert_eq!(house.found("customers", "email~\"example\"").await, [""; 0]);
    execute(&house.database_url, "update customers set livemode = false").await;
    house.delete(&format!("/v1/customers/{ada}")).await.ok();
    for query in ["email~\"example\"", "metadata['b']:'1'", "email:null", "created>0", "-name:\"x\""] {
        assert_eq!(house.found("customers", query).await, [""; 0], "{query}");
    }
}

/// What lives on a test clock is found as anything else, at the times that it says itself.
#[tokio::test]
async fn what_lives_on_a_test_clock_is_found() {
    let house = House::open().await;
    let clock = house.test_clock("2030-05-01T00:00:00Z").await;
    let on_clock = house.customer("pm_card_visa", Some(&clock)).await;
    let price = house.monthly_price(1500).await;
    let subscription = id(&house.subscribe(&on_clock, &price).await);
    let off_clock = house.customer("pm_card_visa", None).await;
    let later = at("2029-01-01T00:00:00Z");
    for (query, expected) in [
        (format!("created>{later}"), vec![on_clock.as_str()]),
        (format!("created<{later}"), vec![off_clock.as_str()]),
        (format!("created<{later} OR created>{later}"), vec![off_clock.as_str(), on_clock.as_str()]),
        ("-created:5".to_owned(), vec![off_clock.as_str(), on_clock.as_str()]),
    ] {
        assert_eq!(house.found("customers", &query).await, expected, "{query}");
    }
    for resource in ["subscriptions", "invoices", "payment_intents", "charges"] {
        assert_eq!(house.found(resource, &format!("created>{later}")).await.len(), 1, "{resource}");
        assert_eq!(house.found(resource, &format!("created<{later}")).await.len(), 0, "{resource}");
    }
    assert_eq!(house.found("subscriptions", "status:\"active\"").await, [subscription]);
}

/// Pages follow each other by tokens, newest first; as the SDKs' auto-paging asks for them.
#[tokio::test]
async fn pages_follow_each_other() {
    let house = House::open().await;
    let mut made = Vec::new();
    for number in 0..7 {
        let form = [("email", format!("user{number}@example.com")), ("metadata[even]", (number % 2).to_string())];
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        made.push(id(&house.post("/v1/customers", &form).await.ok()));
    }
    made.reverse();
    for query in ["email~\"example.com\"", "metadata['even']:'1' OR metadata['even']:'0'", "created>0"] {
        let (mut seen, mut token) = (Vec::new(), None::<String>);
        loop {
            let more: Vec<(&str, &str)> =
                [("limit", "3")].into_iter().chain(token.as_deref().map(|token| ("page", token))).collect();
            let result = house.search("customers", query, &more).await.ok();
            assert_eq!((&result["object"], &result["url"]), (&json!("search_result"), &json!("/v1/customers/search")));
            assert_eq!(result.get("total_count"), None);
            seen.extend(result["data"].as_array().expect("a list").iter().map(id));
            token = result["next_page"].as_str().map(ToOwned::to_owned);
            assert_eq!(result["has_more"], json!(token.is_some()));
            if token.is_none() {
                break;
            }
        }
        assert_eq!(seen, made, "{query}");
    }
    // Limits are clamped, as those of lists are.
    for (limit, length) in [("0", 1), ("-5", 1), ("7", 7), ("1000", 7)] {
        let result = house.search("customers", "created>0", &[("limit", limit)]).await.ok();
        assert_eq!(result["data"].as_array().expect("a list").len(), length, "{limit}");
    }
    // The whole count, on whichever page.
    let counted = [("limit", "2"), ("expand[]", "total_count")];
    let first = house.search("customers", "metadata['even']:'0'", &counted).await.ok();
    assert_eq!(first["total_count"], 4);
    let token = first["next_page"].as_str().expect("a token");
    let second = house.search("customers", "metadata['even']:'0'", &[counted[0], counted[1], ("page", token)]).await;
    assert_eq!(second.ok()["total_count"], 4);
    let either = "email:\"user1@example.com\" OR email~\"user1\" OR name:null";
    assert_eq!(house.search("customers", either, &counted).await.ok()["total_count"], 7);
}

/// Products may be named by whoever makes them: the newest come first all the same, page by page, even when what
/// a page ended with has gone.
#[tokio::test]
async fn chosen_ids_do_not_say_what_is_newest() {
    let house = House::open().await;
    for (place, id) in ["mug", "zebra", "apple", "kite", "bell"].iter().enumerate() {
        house.advance_wall(&format!("2027-01-0{}T00:00:00Z", place + 2)).await;
        house.post("/v1/products", &[("id", *id), ("name", "A toy"), ("metadata[toy]", "yes")]).await.ok();
    }
    for query in ["name:\"A toy\"", "name~\"toy\"", "metadata['toy']:'yes'", "active:'true'", "-url:'x'"] {
        assert_eq!(house.found("products", query).await, ["bell", "kite", "apple", "zebra", "mug"], "{query}");
    }
    let query = "metadata['toy']:'yes'";
    let mut seen = Vec::new();
    let mut page: Option<String> = None;
    loop {
        let more: Vec<(&str, &str)> =
            [("limit", "2")].into_iter().chain(page.as_deref().map(|token| ("page", token))).collect();
        let found = house.search("products", query, &more).await.ok();
        seen.extend(found["data"].as_array().expect("a list").iter().map(id));
        let Some(next) = found["next_page"].as_str() else { break };
        page = Some(next.to_owned());
        if let Some(last) = seen.last() {
            house.call(Method::DELETE, &format!("/v1/products/{last}"), &[], &[]).await.ok();
        }
    }
    assert_eq!(seen, ["bell", "kite", "apple", "zebra", "mug"]);
}

#[tokio::test]
async fn what_is_found_can_be_expanded() {
    let house = House::open().await;
    let price = house.monthly_price(1500).await;
    let customer = house.customer("pm_card_visa", None).await;
    house.subscribe(&customer, &price).await;
    let expand = [("expand[]", "data.customer"), ("expand[]", "total_count")];
    let result = house.search("subscriptions", "status:\"active\"", &expand).await.ok();
    assert_eq!((&result["data"][0]["customer"]["id"], &result["total_count"]), (&json!(customer), &json!(1)));
    let error = house.search("subscriptions", "status:\"active\"", &[("expand[]", "customer")]).await.error(400);
    assert!(error["message"].as_str().expect("a message").contains("data.customer"), "{error}");
}

#[tokio::test]
async fn what_cannot_be_searched_is_refused() {
    let house = House::open().await;
    for resource in RESOURCES {
        for query in ["", "ada", "nothing:\"x\"", "created>\"x\"", "metadata:\"x\"", "active:1 AND x:2 OR y:3", "(a:1)"]
        {
            let error = house.search(resource, query, &[]).await.error(400);
            assert_eq!(
                (&error["param"], &error["type"]),
                (&json!("query"), &json!("invalid_request_error")),
                "{query}"
            );
        }
        let error = house.get(&format!("/v1/{resource}/search")).await.error(400);
        assert_eq!((&error["param"], &error["code"]), (&json!("query"), &json!("parameter_missing")));
        assert_eq!(house.search(resource, "metadata['a']:'b'", &[]).await.ok()["data"], json!([]));
    }
    let error = house.search("customers", "email~\"ab\"", &[]).await.error(400);
    assert_eq!(error["param"], "query");
    house.post("/v1/customers", &[("email", "a@b.c")]).await.ok();
    house.post("/v1/customers", &[("email", "d@e.f")]).await.ok();
    let first = house.search("customers", "created>0", &[("limit", "1")]).await.ok();
    let token = first["next_page"].as_str().expect("a token");
    for (query, page) in [("created>1", token), ("created>0", "x"), ("created>0", &token[2..])] {
        let error = house.search("customers", query, &[("page", page)]).await.error(400);
        assert_eq!((&error["param"], &error["type"]), (&json!("page"), &json!("invalid_request_error")));
    }
    for (name, value, code) in [
        ("limit", "ten", "parameter_invalid_integer"),
        ("starting_after", "cus_1", "parameter_unknown"),
        ("email", "a@b.c", "parameter_unknown"),
    ] {
        let error = house.search("customers", "created>0", &[(name, value)]).await.error(400);
        assert_eq!((&error["param"], &error["code"]), (&json!(name), &json!(code)));
    }
    house.call(Method::POST, "/v1/customers/search", &[("query", "created>0")], &[]).await.error(404);
}

/// However many match, and wherever they lie, the answer is the same: what a plain filter finds.
#[tokio::test]
async fn the_way_to_what_is_found_makes_no_difference() {
    let house = House::open().await;
    house.post("/v1/customers", &[("email", "model@example.com")]).await.ok();
    // Five thousand, so that some matches lie behind what is walked first, and some are too many to gather.
    execute(
        &house.database_url,
        "insert into customers select r.* from customers t, generate_series(1, 5000) n
         cross join lateral jsonb_populate_record(t, jsonb_build_object('id', 'cus_' || lpad(n::text, 24, '0'),
             'email_folded', 'user' || n || '@example.com', 'name_folded', case when n % 3 = 0 then null else 'name ' || n % 7 end,
             'metadata', jsonb_build_object('', array['old', 'mod'], 'old', case when n < 3000 then 'yes' else 'no' end, 'mod', (n % 500)::text),
             'body', replace(t.body, t.id, 'cus_' || lpad(n::text, 24, '0')))) r;
         delete from customers where email_folded = 'model@example.com'; analyze customers",
    )
    .await;
    for (query, filter) in [
        ("email~\"example.com\"", "true"),
        ("email~\"user123\"", "email_folded like 'user123%'"),
        ("email~\"user4999@example.com\"", "email_folded = 'user4999@example.com'"),
        ("name~\"name 6\"", "name_folded = 'name 6'"),
        ("-name~\"name 6\"", "(name_folded = 'name 6') is not true"),
        ("name:null", "name_folded is null"),
        ("-name:null email~\"r77\"", "name_folded is not null and email_folded like '%r77%'"),
        ("metadata['old']:'yes'", "metadata->>'old' = 'yes'"),
        ("metadata['old']:'YES' AND name:'name 1'", "metadata->>'old' = 'yes' and name_folded = 'name 1'"),
        ("metadata['mod']:'7'", "metadata->>'mod' = '7'"),
        ("-metadata['mod']:null", "true"),
        (
            "metadata['mod']:'7' OR metadata['mod']:'8' OR name~\"me 5\"",
            "metadata->>'mod' in ('7', '8') or name_folded = 'name 5'",
        ),
        ("-metadata['old']:'no' -metadata['mod']:'7'", "metadata->>'old' <> 'no' and metadata->>'mod' <> '7'"),
    ] {
        for limit in [10, 100] {
            let text = limit.to_string();
            let more = [("limit", text.as_str()), ("expand[]", "total_count")];
            let result = house.search("customers", query, &more).await.ok();
            let found: Vec<String> = result["data"].as_array().expect("a list").iter().map(id).collect();
            assert!(found.is_sorted_by(|one, other| one > other), "{query}");
            let newest = format!("select id from customers where {filter} order by id desc limit {limit}");
            let expected = house.count(&format!("select count(*) from ({newest}) t")).await;
            assert_eq!(i64::try_from(found.len()), Ok(expected), "{query}, {limit}");
            let list = format!("array['{}']::text[]", found.join("', '"));
            let same = house.count(&format!("select count(*) from ({newest}) t where id = any({list})")).await;
            assert_eq!(same, expected, "{query}, {limit}: {found:?}");
            let total = house.count(&format!("select count(*) from customers where {filter}")).await;
            assert_eq!(result["total_count"], json!(total), "{query}");
        }
    }
}

/// A database that is older than searching: its rows are filled from what they say of themselves.
#[tokio::test]
async fn what_was_there_before_is_found() {
    let house = House::open().await;
    let price = house.monthly_price(1500).await;
    let form = [
        ("name", "Ada"),
        ("email", "Ada@x.org"),
        ("phone", "123"),
        ("metadata[a]", "B"),
        ("payment_method", "pm_card_visa"),
    ];
    let customer = id(&house.post("/v1/customers", &form).await.ok());
    let card = house.default_card(&customer, "pm_card_visa").await;
    house.subscribe_with(&customer, &price, &[("metadata[c]", "D"), ("default_payment_method", &card)]).await.ok();
    let columns = "select md5(string_agg(t::text, ',' order by t::text))::text from (
        select email_folded, name_folded, phone_folded, metadata::text from customers
        union all select name_folded, description_folded, metadata::text, null from products
        union all select metadata::text, canceled_at::text, null, null from subscriptions
        union all select currency, last_finalization_error_code, last_finalization_error_type, metadata::text from invoices
        union all select currency, metadata::text, null, null from payment_intents
        union all select concat(amount, card_brand, card_exp_month, card_exp_year, card_fingerprint), card_last4,
            concat(disputed, refunded), concat(postal_code, metadata) from charges) t";
    let sum = format!("select ('x' || substr(({columns}), 1, 15))::bit(60)::bigint");
    let before = count(&house.database_url, &sum).await;
    execute(
        &house.database_url,
        "update customers set email_folded = null, name_folded = null, phone_folded = null, metadata = null;
         update products set name_folded = null, description_folded = null, metadata = null;
         update subscriptions set canceled_at = null, metadata = null;
         update invoices set currency = null, metadata = null;
         update payment_intents set currency = null, metadata = null;
         update charges set amount = null, card_brand = null, card_exp_month = null, card_exp_year = null,
             card_fingerprint = null, card_last4 = null, disputed = null, refunded = null",
    )
    .await;
    assert_ne!(count(&house.database_url, &sum).await, before);
    execute(&house.database_url, include_str!("../../migrations/0081_search_backfill.sql")).await;
    assert_eq!(count(&house.database_url, &sum).await, before);
    assert_eq!(house.found("customers", "name:\"ada\" metadata['a']:'b' email~\"a@x\"").await, [customer]);
    assert_eq!(house.found("charges", "payment_method_details.card.last4:\"4242\"").await.len(), 1);
}
