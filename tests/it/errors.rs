//! Every error that a served route can meet: how it is reached, what is answered, and that nothing changed.

use std::collections::HashMap;

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use crate::error_rows::{DECLINES, MISSING, NOUNS, NOWHERE, REFUSED, Row};
use crate::support::{Answer, House, PUBLISHABLE_KEY, at, execute, id};

/// A secret key of the other mode.
const LIVE_KEY: &str = "sk_live_others0123456789";

/// A house with something of everything, by the names that the rows use: `{paid}` is a paid invoice.
struct Scene {
    house: House,
    names: HashMap<&'static str, String>,
    /// What a change of any table changes.
    watch: String,
    differences: Vec<String>,
}

impl Scene {
    async fn set() -> Scene {
        let house = House::open().await;
        let watch = watch(&house.database_url).await;
        let mut scene = Scene { house, names: HashMap::new(), watch, differences: Vec::new() };
        scene.catalogue().await;
        scene.customers().await;
        scene.invoices().await;
        scene.payments().await;
        scene
    }

    async fn catalogue(&mut self) {
        let price = self.house.monthly_price(2000).await;
        let product = self.house.get(&format!("/v1/prices/{price}")).await.ok()["product"].as_str().unwrap().to_owned();
        self.names.extend([("price", price), ("product", product)]);
        self.make("once", "/v1/prices", "product={product}&currency=usd&unit_amount=300").await;
        self.make("euros", "/v1/prices", "product={product}&currency=eur&unit_amount=2000&recurring[interval]=month")
            .await;
        self.make("taken", "/v1/prices", "product={product}&currency=usd&unit_amount=1&lookup_key=basic").await;
        self.make("retired", "/v1/prices", "product={product}&currency=usd&unit_amount=5&recurring[interval]=month")
            .await;
        self.send("POST /v1/prices/{retired}", "active=false").await.ok();
        self.make("endpoint", "/v1/webhook_endpoints", "url=https://example.com/hook&enabled_events[]=*").await;
    }

    async fn customers(&mut self) {
        let customer = self.house.customer("pm_card_visa", None).await;
        self.names.insert("customer", customer);
        let cards = self.send("GET /v1/payment_methods?customer={customer}", "").await.ok();
        self.names.insert("card", id(&cards["data"][0]));
        let wary = self.house.customer("pm_card_authenticationRequired", None).await;
        self.names.insert("wary", wary);
        self.make("bare", "/v1/customers", "name=Eve").await;
        self.make("gone", "/v1/customers", "name=Max").await;
        self.send("DELETE /v1/customers/{gone}", "").await.ok();
        let subscription = self.make("sub", "/v1/subscriptions", "customer={customer}&items[0][price]={price}").await;
        self.names.insert("item", id(&subscription["items"]["data"][0]));
        self.make("ended", "/v1/subscriptions", "customer={customer}&items[0][price]={price}").await;
        self.send("DELETE /v1/subscriptions/{ended}", "").await.ok();
        self.names.insert("clock", self.house.test_clock("2027-01-01T00:00:00Z").await);
        let advance = format!("frozen_time={}", at("2027-02-01T00:00:00Z"));
        self.make("dweller", "/v1/customers", "test_clock={clock}").await;
        self.send("POST /v1/test_helpers/test_clocks/{clock}/advance", &advance).await.ok();
    }

    async fn invoices(&mut self) {
        for (name, action) in
            [("draft", ""), ("open", "finalize"), ("paid", "pay"), ("void", "void"), ("bad", "mark_uncollectible")]
        {
            let invoice = id(&self.make(name, "/v1/invoices", "customer={customer}").await);
            let form = format!("customer={{customer}}&currency=usd&amount=1500&invoice={invoice}");
            self.make("line", "/v1/invoiceitems", &form).await;
            for action in ["finalize", action].into_iter().take(if action.is_empty() { 0 } else { 2 }) {
                if action != "finalize" || self.status(&invoice).await == "draft" {
                    self.send(&format!("POST /v1/invoices/{invoice}/{action}"), "").await.ok();
                }
            }
        }
        for (name, form) in [
            ("owed", "customer={bare}"),
            ("shy", "customer={wary}"),
            ("sent", "customer={bare}&collection_method=send_invoice&days_until_due=5"),
        ] {
            let invoice = self.make(name, "/v1/invoices", form).await;
            let (id, customer) = (id(&invoice), invoice["customer"].as_str().unwrap());
            let form = format!("customer={customer}&currency=usd&amount=1500&invoice={id}");
            self.make("line", "/v1/invoiceitems", &form).await;
            self.send(&format!("POST /v1/invoices/{id}/finalize"), "").await.ok();
        }
        self.send("POST /v1/invoices/{sent}/void", "").await.ok();
    }

    async fn status(&self, invoice: &str) -> String {
        self.house.get(&format!("/v1/invoices/{invoice}")).await.ok()["status"].as_str().unwrap().to_owned()
    }

    async fn payments(&mut self) {
        let form = "amount=1000&currency=usd&customer={customer}&payment_method={card}&confirm=true\
                    &automatic_payment_methods[enabled]=true&automatic_payment_methods[allow_redirects]=never";
        let intent = self.make("moved", "/v1/payment_intents", form).await;
        self.names.insert("charge", intent["latest_charge"].as_str().unwrap().to_owned());
        self.make("refund", "/v1/refunds", "charge={charge}").await;
        self.make("unpaid", "/v1/payment_intents", "amount=1000&currency=usd").await;
        self.make("reserved", "/v1/payment_intents", &format!("{form}&capture_method=manual")).await;
        self.make("canceled", "/v1/payment_intents", "amount=1000&currency=usd").await;
        self.send("POST /v1/payment_intents/{canceled}/cancel", "").await.ok();
        let form = "customer={customer}&payment_method={card}&confirm=true\
                    &automatic_payment_methods[enabled]=true&automatic_payment_methods[allow_redirects]=never";
        self.make("kept", "/v1/setup_intents", form).await;
    }

    /// Makes a thing, and gives its id a name.
    async fn make(&mut self, name: &'static str, path: &str, form: &str) -> Value {
        let made = self.send(&format!("POST {path}"), form).await.ok();
        self.names.insert(name, id(&made));
        made
    }

    /// The text with the ids that stand for the names in it.
    fn fill(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (name, id)| text.replace(&format!("{{{name}}}"), id))
    }

    async fn send(&self, call: &str, form: &str) -> Answer {
        self.send_with(call, form, &[]).await
    }

    async fn send_with(&self, call: &str, form: &str, headers: &[(&str, &str)]) -> Answer {
        let (call, form) = (self.fill(call), self.fill(form));
        let (method, path) = call.split_once(' ').expect("a method and a path");
        let method: Method = method.parse().expect("a method");
        let form: Vec<(&str, &str)> = form.split('&').filter_map(|pair| pair.split_once('=')).collect();
        self.house.call(method, path, &form, headers).await
    }

    async fn print(&self) -> i64 {
        self.house.count(&self.watch).await
    }

    /// Calls, and holds the answer against the row. What differs is kept for the end of the table.
    async fn check(&mut self, row: &Row, status: u16, kind: &str) -> Value {
        let (call, form, code, param, message) = row;
        let long = |text: &str| text.replace("<300>", &"x".repeat(300)).replace("<5001>", &"x".repeat(5001));
        let before = self.print().await;
        let answer = self.send(call, &long(form)).await;
        let error = &answer.body["error"];
        let said = |name: &str| error[name].as_str().unwrap_or_default();
        let wanted = self.fill(message);
        let same =
            wanted.strip_suffix('…').map_or(said("message") == wanted, |start| said("message").starts_with(start));
        let page = format!("https://stripe.com/docs/error-codes/{}", code.replace('_', "-"));
        let right = same
            && (answer.status, said("type"), said("code"), said("param")) == (status, kind, *code, &*long(param))
            && said("doc_url") == if code.is_empty() { "" } else { &page };
        if !right {
            self.differences.push(format!("{call} {form}\n  {} {error}\n  wanted: {status} {row:?}", answer.status));
        }
        if status != 402 && self.print().await != before {
            self.differences.push(format!("{call} {form}\n  has changed something"));
        }
        error.clone()
    }

    #[track_caller]
    fn end(self) {
        assert!(
            self.differences.is_empty(),
            "{} rows differ:\n{}",
            self.differences.len(),
            self.differences.join("\n")
        );
    }
}

/// A query that comes to another number when a row of any table is written or gone.
async fn watch(database_url: &str) -> String {
    let mut connection = PgConnection::connect(database_url).await.expect("a connection");
    let tables: Vec<String> =
        sqlx::query_scalar("select tablename::text from pg_tables where schemaname = 'public' order by 1")
            .fetch_all(&mut connection)
            .await
            .expect("the tables");
    let one = |table: &String| format!("(select count(*) + coalesce(sum(xmin::text::int8), 0) from {table})");
    format!("select ({})::int8", tables.iter().map(one).collect::<Vec<_>>().join(" + "))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_and_changes_nothing() {
    let mut scene = Scene::set().await;
    for row in REFUSED {
        let status = match row.2 {
            "lock_timeout" => 429,
            "invoice_upcoming_none" => 404,
            _ => 400,
        };
        scene.check(row, status, "invalid_request_error").await;
    }
    scene.end();
}

/// An id in the path is a 404, one in a parameter a 400.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_named() {
    let mut scene = Scene::set().await;
    for (status, missing) in [(404, NOWHERE), (400, MISSING)] {
        for (call, form, param, message) in missing {
            let row = (*call, *form, "resource_missing", *param, *message);
            scene.check(&row, status, "invalid_request_error").await;
        }
    }
    scene.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn declines_are_402_and_say_why() {
    let mut scene = Scene::set().await;
    for (call, form, code, decline_code, message) in DECLINES {
        let error = scene.check(&(*call, *form, *code, "", *message), 402, "card_error").await;
        assert_eq!(error["decline_code"].as_str().unwrap_or_default(), *decline_code, "{call} {form}: {error:#}");
    }
    scene.end();
}

/// An intent that is in another state comes with the error.
#[tokio::test(flavor = "multi_thread")]
async fn errors_carry_the_intent_they_are_about() {
    let scene = Scene::set().await;
    for (call, form, member, name) in [
        ("POST /v1/payment_intents/{moved}/confirm", "", "payment_intent", "moved"),
        ("POST /v1/payment_intents/{moved}/cancel", "", "payment_intent", "moved"),
        ("POST /v1/payment_intents/{unpaid}/capture", "", "payment_intent", "unpaid"),
        ("POST /v1/setup_intents/{kept}/confirm", "", "setup_intent", "kept"),
        ("POST /v1/setup_intents/{kept}/cancel", "", "setup_intent", "kept"),
    ] {
        let error = scene.send(call, form).await.error(400);
        assert_eq!(error[member]["id"], json!(scene.names[name]), "{call}: {error:#}");
        assert_eq!(error[member]["object"], member);
        assert!(error[member].get("internal").is_none());
        let old = [("stripe-version", "2020-08-27")];
        let error = scene.send_with(call, form, &old).await.error(400);
        assert!(error[member].get("customer_account").is_none(), "as the caller's version has it: {error:#}");
    }
}

/// A publishable key sees no more of it in an error than elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_publishable_key_sees_a_part_of_the_intent() {
    let scene = Scene::set().await;
    let key = [("authorization", &*format!("Bearer {PUBLISHABLE_KEY}"))];
    for (path, name, member) in
        [("/v1/payment_intents", "moved", "payment_intent"), ("/v1/setup_intents", "kept", "setup_intent")]
    {
        let path = format!("{path}/{}", scene.names[name]);
        let secret = scene.house.get(&path).await.ok()["client_secret"].as_str().unwrap().to_owned();
        let form = format!("client_secret={secret}");
        let error = scene.send_with(&format!("POST {path}/confirm"), &form, &key).await.error(400);
        assert_eq!(error[member]["status"], "succeeded", "{error:#}");
        assert!(error[member].get("customer").is_none() && error[member].get("metadata").is_none(), "{error:#}");
    }
}

/// Somebody who has mixed up their keys is told so; what is in neither mode is just missing.
#[tokio::test(flavor = "multi_thread")]
async fn what_lives_in_the_other_mode_is_missing_and_said_to_be_there() {
    let scene = Scene::set().await;
    live_key(&scene.house).await;
    let live = [("authorization", &*format!("Bearer {LIVE_KEY}"))];
    for (call, form, status, param, message) in NOUNS {
        let message = scene.fill(message);
        let error = scene.send_with(call, form, &live).await.error(*status);
        let said = format!(
            "{message}; a similar object exists in test mode, but a live mode key was used to make this request."
        );
        assert_eq!((&error["code"], &error["message"]), (&json!("resource_missing"), &json!(said)), "{call}");
        assert_eq!(error["param"], json!(param), "{call}");
    }
    let error = scene.send_with("GET /v1/customers/cus_nothing", "", &live).await.error(404);
    assert_eq!(error["message"], "No such customer: 'cus_nothing'");
    let made = scene.send_with("POST /v1/customers", "name=Ada", &live).await.ok();
    assert_eq!(made["livemode"], true);
    let error = scene.send(&format!("GET /v1/customers/{}", id(&made)), "").await.error(404);
    let said = "a similar object exists in live mode, but a test mode key was used to make this request.";
    assert!(error["message"].as_str().unwrap().ends_with(said), "{error:#}");
}

/// Who may do what is said before anything else.
#[tokio::test(flavor = "multi_thread")]
async fn keys_and_accounts_are_told_apart() {
    let scene = Scene::set().await;
    let own = id(&scene.house.get("/v1/account").await.ok());
    let with =
        |headers: &'static [(&'static str, &'static str)]| scene.send_with("GET /v1/customers?foo=1", "", headers);
    let error = with(&[("stripe-account", "acct_other")]).await.error(403);
    assert_eq!((&error["type"], &error["code"]), (&json!("invalid_request_error"), &json!("account_invalid")));
    let said = "The provided key 'sk_test_************6789' does not have access to account 'acct_other' (or that account \
                does not exist). Application access may have been revoked.";
    assert_eq!(error["message"], said);
    with(&[("stripe-context", "acct_other")]).await.error(403);
    with(&[("stripe-account", "acct_other"), ("stripe-context", "acct_other")]).await.error(400);
    let answer = scene.send_with("GET /v1/customers", "", &[("stripe-account", &own)]).await;
    assert_eq!((answer.status, &answer.headers["stripe-account"]), (200, &own.parse().unwrap()));
    execute(&scene.house.database_url, "update api_keys set revoked_at = 1 where kind = 'publishable'").await;
    let key = [("authorization", &*format!("Bearer {PUBLISHABLE_KEY}"))];
    let error = scene.send_with("GET /v1/payment_intents/{moved}", "", &key).await.error(401);
    assert_eq!((&error["type"], &error["code"]), (&json!("invalid_request_error"), &json!("api_key_expired")));
    assert_eq!(error["message"], "Expired API Key provided: pk_test_************6789");
}

/// What is wrong with the request as a whole.
#[tokio::test(flavor = "multi_thread")]
async fn requests_of_no_shape_are_refused() {
    let scene = Scene::set().await;
    let before = scene.print().await;
    let long = "x".repeat(17_000);
    for (call, headers, status, message) in [
        (
            "GET /v1/nothing",
            vec![],
            404,
            "Unrecognized request URL (GET: /v1/nothing). If you are trying to list objects, …",
        ),
        ("PUT /v1/customers", vec![], 404, "Unrecognized request URL (PUT: /v1/customers). …"),
        ("POST /v1/coupons", vec![], 404, "Unrecognized request URL (POST: /v1/coupons). …"),
        (&format!("GET /v1/customers?email={long}"), vec![], 414, "The request's URL is longer than …"),
        ("POST /v1/customers", vec![("stripe-version", "soon")], 400, "Invalid Stripe API version: soon"),
        (
            "POST /v1/customers",
            vec![("idempotency-key", &long[..256])],
            400,
            "The Idempotency-Key must be a non-empty …",
        ),
        (
            "POST /v1/customers",
            vec![("authorization", "Digest x")],
            401,
            "The Authorization header could not be read. …",
        ),
        (
            "POST /v1/customers",
            vec![("authorization", "Bearer sk_test_123")],
            401,
            "Invalid API Key provided: sk_test_***",
        ),
    ] {
        let error = scene.send_with(call, "", &headers).await.error(status);
        let said = error["message"].as_str().unwrap();
        match message.strip_suffix('…') {
            Some(start) => assert!(said.starts_with(start), "{call}: {error:#}"),
            None => assert_eq!(said, message, "{call}"),
        }
        assert_eq!(error.as_object().unwrap().keys().collect::<Vec<_>>(), ["message", "type"], "no code, no param");
        assert_eq!(error["type"], "invalid_request_error");
    }
    assert_eq!(scene.print().await, before);
}

/// 500 subscriptions that have not ended are enough for a customer.
#[tokio::test(flavor = "multi_thread")]
async fn a_customer_has_at_most_500_subscriptions() {
    let mut scene = Scene::set().await;
    let copies = "
        insert into subscriptions
        select copy.* from subscriptions s
        cross join generate_series(1, 499) n
        cross join overlay(s.id placing 'Z' || lpad(n::text, 3, '0') from length(s.id) - 5) as copied
        cross join jsonb_populate_record(s, jsonb_build_object('id', copied, 'body', replace(s.body, s.id, copied))) copy
        where s.id = '{sub}'";
    execute(&scene.house.database_url, &scene.fill(copies)).await;
    let said = "The customer {customer} already has 500 subscriptions, the most there can be.";
    let row = (
        "POST /v1/subscriptions",
        "customer={customer}&items[0][price]={price}",
        "customer_max_subscriptions",
        "",
        said,
    );
    scene.check(&row, 400, "invalid_request_error").await;
    scene.send("DELETE /v1/subscriptions/{sub}", "").await.ok();
    scene.send("POST /v1/subscriptions", "customer={customer}&items[0][price]={price}").await.ok();
    scene.end();
}

/// Turns a fresh test key into a live one: there is no other way to have one yet.
async fn live_key(house: &House) {
    let mut ids = house.app.engine.new_moment().expect("a moment").ids;
    let mut reader = house.app.engine.store.reader().await.expect("a connection");
    let stand_in = LIVE_KEY.replace("live", "test");
    dunlin::api::auth::keep(&mut reader, &stand_in, &mut ids, 0).await.expect("a key");
    let sql =
        format!("update api_keys set livemode = true, hash = sha256('{LIVE_KEY}') where hash = sha256('{stand_in}')");
    execute(&house.database_url, &sql).await;
}
