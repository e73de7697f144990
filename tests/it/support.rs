//! A house for each test: a server in this process, a database cloned from a template, and a client.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, Once,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use dunlin::{
    api::auth,
    app::{App, Parts},
    billing::{
        Timestamp,
        answer::{self, Decline},
        payment_intent::Action,
    },
    clock::Clock,
    engine::Webhooks,
    gateway::{
        CardSource, Gateway, Question, Tokenized, Unanswered,
        test_cards::{Faults, TestCards},
    },
    store::postgres,
};
use futures_util::future::BoxFuture;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

/// The fixed key of every house.
pub const KEY: &str = "sk_test_houses0123456789";
pub const PUBLISHABLE_KEY: &str = "pk_test_houses0123456789";

/// A running server and what a test needs of it.
pub struct House {
    pub app: App,
    pub clock: Clock,
    pub url: String,
    pub database_url: String,
    pub client: Client,
}

/// An answer: its status, its headers of interest, its body.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
    pub text: String,
}

impl Answer {
    /// The body of a success.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{:#}", self.body);
        self.body
    }

    /// The error of a failure with this status.
    #[track_caller]
    pub fn error(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{:#}", self.body);
        self.body["error"].clone()
    }
}

/// Unix seconds of a UTC time such as `2027-01-31T09:00:05Z`.
pub fn at(time: &str) -> i64 {
    chrono::DateTime::parse_from_rfc3339(time).expect("a time").timestamp()
}

impl House {
    /// A house whose cycle the test turns itself, at 1 January 2027.
    pub async fn open() -> House {
        House::open_with(Arc::new(TestCards::default()), 0).await
    }

    pub async fn open_with(gateway: Arc<dyn Gateway>, workers: usize) -> House {
        start_crypto();
        let database_url = new_database().await;
        let clock = Clock::manual(Timestamp::new(at("2027-01-01T00:00:00Z")));
        let app = App::start(Parts {
            database_url: database_url.clone(),
            connections: 8,
            listen: "127.0.0.1:0".parse().expect("an address"),
            public_url: None,
            workers,
            clock: clock.clone(),
            gateway,
            webhooks: Webhooks::default(),
            migrate: false,
            test_key: None,
        })
        .await
        .expect("the app starts");
        let mut moment = app.engine.new_moment().expect("a moment");
        let mut reader = app.engine.store.reader().await.expect("a connection");
        for key in [KEY, PUBLISHABLE_KEY] {
            auth::keep(&mut reader, key, &mut moment.ids, 0).await.expect("a key");
        }
        drop(reader);
        House { url: format!("http://{}", app.address()), app, clock, database_url, client: Client::new() }
    }

    pub async fn call(&self, method: Method, path: &str, form: &[(&str, &str)], headers: &[(&str, &str)]) -> Answer {
        let mut request = self.client.request(method.clone(), format!("{}{path}", self.url));
        if !headers.iter().any(|(name, _)| *name == "authorization") {
            request = request.bearer_auth(KEY);
        }
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(*name, *value);
        }
        let encoded = encode(form);
        if method == Method::GET {
            if !encoded.is_empty() {
                let join = if path.contains('?') { '&' } else { '?' };
                request = self.client.get(format!("{}{path}{join}{encoded}", self.url)).bearer_auth(KEY);
            }
        } else {
            request = request.header("content-type", "application/x-www-form-urlencoded").body(encoded);
        }
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.expect("a body");
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        record(&body, headers.get("stripe-version").and_then(|version| version.to_str().ok()));
        Answer { status, headers, body, text }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, &[], &[]).await
    }

    pub async fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.call(Method::POST, path, form, &[]).await
    }

    /// A call with an idempotency key.
    pub async fn post_keyed(&self, key: &str, path: &str, form: &[(&str, &str)]) -> Answer {
        self.call(Method::POST, path, form, &[("idempotency-key", key)]).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, &[], &[]).await
    }

    /// All of a list, newest first.
    pub async fn list(&self, path: &str) -> Vec<Value> {
        let join = if path.contains('?') { '&' } else { '?' };
        let mut found: Vec<Value> = Vec::new();
        loop {
            let cursor = found.last().map_or(String::new(), |last| format!("&starting_after={}", id(last)));
            let page = self.get(&format!("{path}{join}limit=100{cursor}")).await.ok();
            found.extend(page["data"].as_array().expect("a list").iter().cloned());
            if page["has_more"] == json!(false) {
                return found;
            }
        }
    }

    /// The types of all events, oldest first, leaving out the first `skip`.
    pub async fn event_types(&self, skip: usize) -> Vec<String> {
        let mut events = self.list("/v1/events").await;
        events.reverse();
        events.iter().skip(skip).map(|event| event["type"].as_str().expect("a type").to_owned()).collect()
    }

    /// A monthly price in US dollars.
    pub async fn monthly_price(&self, cents: i64) -> String {
        let product = self.post("/v1/products", &[("name", "Basic")]).await.ok();
        let price = self
            .post(
                "/v1/prices",
                &[
                    ("product", &id(&product)),
                    ("currency", "usd"),
                    ("unit_amount", &cents.to_string()),
                    ("recurring[interval]", "month"),
                ],
            )
            .await
            .ok();
        id(&price)
    }

    /// A customer with a card (`pm_card_visa`, say) as default, on a test clock or not.
    pub async fn customer(&self, card: &str, test_clock: Option<&str>) -> String {
        let mut form = vec![("email", "ada@example.com"), ("name", "Ada")];
        form.extend(test_clock.map(|clock| ("test_clock", clock)));
        let customer = id(&self.post("/v1/customers", &form).await.ok());
        self.default_card(&customer, card).await;
        customer
    }

    /// Attaches a card and makes it the default.
    pub async fn default_card(&self, customer: &str, card: &str) -> String {
        let method = self.post(&format!("/v1/payment_methods/{card}/attach"), &[("customer", customer)]).await.ok();
        let default = [("invoice_settings[default_payment_method]", id(&method))];
        let default: Vec<(&str, &str)> = default.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.post(&format!("/v1/customers/{customer}"), &default).await.ok();
        id(&method)
    }

    pub async fn subscribe(&self, customer: &str, price: &str) -> Value {
        self.subscribe_with(customer, price, &[]).await.ok()
    }

    /// The same with more parameters.
    pub async fn subscribe_with(&self, customer: &str, price: &str, more: &[(&str, &str)]) -> Answer {
        let form = [&[("customer", customer), ("items[0][price]", price)], more].concat();
        self.post("/v1/subscriptions", &form).await
    }

    /// A document as it is now.
    pub async fn fresh(&self, document: &Value) -> Value {
        let object = document["object"].as_str().expect("an object");
        self.get(&format!("/v1/{object}s/{}", id(document))).await.ok()
    }

    /// The latest invoice of a subscription, with its payments and their intents.
    pub async fn latest_invoice(&self, subscription: &Value) -> Value {
        let invoice = subscription["latest_invoice"].as_str().expect("an invoice");
        self.get(&format!("/v1/invoices/{invoice}?expand[]=payments.data.payment.payment_intent")).await.ok()
    }

    pub async fn test_clock(&self, time: &str) -> String {
        id(&self.post("/v1/test_helpers/test_clocks", &[("frozen_time", &at(time).to_string())]).await.ok())
    }

    /// Advances a test clock and does what is due on it.
    pub async fn advance(&self, clock: &str, time: &str) {
        self.advance_to(clock, at(time)).await;
    }

    pub async fn advance_to(&self, clock: &str, unix_seconds: i64) {
        let path = format!("/v1/test_helpers/test_clocks/{clock}");
        let advancing = self.post(&format!("{path}/advance"), &[("frozen_time", &unix_seconds.to_string())]).await.ok();
        assert_eq!(advancing["status"], "advancing");
        self.app.engine.advance_clocks().await.expect("the clocks advance");
        assert_eq!(self.get(&path).await.ok()["status"], "ready");
    }

    /// Moves wall time and does what is due.
    pub async fn advance_wall(&self, time: &str) {
        self.clock.set(Timestamp::new(at(time)));
        self.app.engine.settle_down().await.expect("the tick");
    }

    /// One number out of the database.
    pub async fn count(&self, sql: &str) -> i64 {
        count(&self.database_url, sql).await
    }
}

pub async fn count(database_url: &str, sql: &str) -> i64 {
    let mut connection = PgConnection::connect(database_url).await.expect("a connection");
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await.expect(sql)
}

pub async fn execute(database_url: &str, sql: &str) {
    let mut connection = PgConnection::connect(database_url).await.expect("a connection");
    connection.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await.expect(sql);
}

#[track_caller]
pub fn id(document: &Value) -> String {
    document["id"].as_str().unwrap_or_else(|| panic!("no id in {document:#}")).to_owned()
}

/// The intent of an invoice that shows its payments.
pub fn intent(invoice: &Value) -> &Value {
    &invoice["payments"]["data"][0]["payment"]["payment_intent"]
}

/// Form encoding, byte by byte.
pub fn encode(form: &[(&str, &str)]) -> String {
    let escape = |text: &str| {
        text.bytes().fold(String::new(), |mut escaped, byte| {
            if byte.is_ascii_alphanumeric() || b"-_.[]".contains(&byte) {
                escaped.push(char::from(byte));
            } else {
                escaped.extend(format!("%{byte:02X}").chars());
            }
            escaped
        })
    };
    form.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect::<Vec<_>>().join("&")
}

fn start_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
}

/// Keeps every answer for the shape checker, when a folder for them is given.
fn record(body: &Value, version: Option<&str>) {
    static FILES: Mutex<BTreeMap<String, fs::File>> = Mutex::new(BTreeMap::new());
    let Some(folder) = env::var_os("DUNLIN_SHAPES") else { return };
    // Stripe has no shape for what is Dunlin's own.
    let is_ours = |key: &str, start: &str| body[key].as_str().is_some_and(|text| text.starts_with(start));
    // What comes next has no id before basil; the published types say otherwise.
    let is_upcoming = body["object"] == "invoice" && body.get("id").is_none();
    let is_description = body.get("openapi").is_some();
    if body.is_null() || is_upcoming || is_description || is_ours("object", "dunlin.") || is_ours("url", "/v1/dunlin/")
    {
        return;
    }
    let mut files = FILES.lock().expect("the record");
    let name = format!("{}-{}.jsonl", version.unwrap_or("none"), std::process::id());
    let file = files.entry(name.clone()).or_insert_with(|| {
        fs::create_dir_all(&folder).expect("the folder");
        let path = PathBuf::from(&folder).join(name);
        fs::OpenOptions::new().create(true).append(true).open(path).expect("the file")
    });
    writeln!(file, "{body}").expect("a line");
}

/// The dunlin program.
pub fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_dunlin"))
}

/// A fresh database with all tables, cloned from a template: the cheapest way to a database of one's own.
pub async fn new_database() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    start_crypto();
    let cluster = tokio::task::spawn_blocking(|| postgres::test_cluster_url(binary()).expect("the test cluster"))
        .await
        .expect("the test cluster");
    let template = template(&cluster).await;
    let name = format!("house_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let mut admin = PgConnection::connect(&cluster).await.expect("the test cluster");
    // Of an earlier process with the same number: the cluster may have outlived it.
    let sql = format!("drop database if exists {name} with (force)");
    admin.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.expect("no leftover");
    let sql = format!("create database {name} template {template} strategy file_copy");
    admin.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.expect("a database");
    database(&cluster, &name)
}

fn database(cluster: &str, name: &str) -> String {
    cluster.replacen("/dunlin?", &format!("/{name}?"), 1)
}

/// The template of these migrations, made by whoever comes first.
async fn template(cluster: &str) -> String {
    static MADE: tokio::sync::OnceCell<String> = tokio::sync::OnceCell::const_new();
    MADE.get_or_init(|| async {
        let sum = sqlx::migrate!()
            .iter()
            .flat_map(|migration| migration.checksum.to_vec())
            .fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
        let name = format!("template_{sum:x}");
        let mut admin = PgConnection::connect(cluster).await.expect("the test cluster");
        // Test processes may race for it; this lock is held until the connection ends.
        admin.execute("select pg_advisory_lock(8420)").await.expect("the lock");
        let exists: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
            .bind(&name)
            .fetch_one(&mut admin)
            .await
            .expect("the databases");
        if !exists {
            let making = format!("{name}_making");
            let sql = format!("drop database if exists {making} with (force)");
            admin.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.expect("no leftover");
            admin.execute(sqlx::raw_sql(AssertSqlSafe(format!("create database {making}")))).await.expect("a database");
            let store = dunlin::store::Store::connect(&database(cluster, &making), 2).await.expect("the template");
            store.migrate().await.expect("the migrations");
            store.close().await;
            let sql = format!("alter database {making} rename to {name}");
            admin.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.expect("the template");
        }
        admin.close().await.expect("the lock is released");
        name
    })
    .await
    .clone()
}

/// A server in a process of its own, which can be killed.
pub struct Process {
    child: std::process::Child,
    pub url: String,
}

impl Process {
    /// Starts `dunlin` with these environment variables (a `DATABASE_URL`, or a `DUNLIN_DATA_DIR` for a
    /// Postgres of its own) and waits until it is ready.
    pub async fn start(settings: &[(&str, &str)]) -> Process {
        start_crypto();
        let mut child = std::process::Command::new(binary())
            .args(["--log", "warn", "--listen", "127.0.0.1:0"])
            .env_remove("DATABASE_URL")
            .env("DUNLIN_TEST_KEY", KEY)
            .envs(settings.iter().copied())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("the server starts");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let said = tokio::task::spawn_blocking(move || {
            let mut lines = output.lines().map_while(Result::ok);
            let url = lines.find_map(|line| Some(line.strip_prefix("Dunlin listens on ")?.to_owned()));
            // Its pipe stays open as long as it lives.
            std::thread::spawn(move || lines.for_each(drop));
            url
        });
        let url = said.await.expect("its output").expect("the server listens");
        Process { child, url }
    }

    /// Waits until it has ended by itself. Whether it ended well.
    pub async fn ended(mut self) -> bool {
        loop {
            if let Some(status) = self.child.try_wait().expect("the server's state") {
                return status.success();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.child.kill().expect("the server is killed");
        self.child.wait().expect("the server has ended");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Faults of the test-card processor, with a ledger that counts what was really charged.
pub fn faulty_cards(lose_one_in: u64, ledger: &Path) -> Arc<dyn Gateway> {
    fs::create_dir_all(ledger).expect("the ledger");
    Arc::new(TestCards::new(Faults { latency: Duration::ZERO, lose_one_in, ledger: Some(ledger.to_owned()) }))
}

/// A processor that at first answers no question of one kind.
pub struct Deaf {
    cards: TestCards,
    to: Action,
    deaf: AtomicBool,
}

impl Deaf {
    pub fn to(action: Action) -> Arc<Deaf> {
        Arc::new(Deaf { cards: TestCards::default(), to: action, deaf: AtomicBool::new(true) })
    }

    /// From now on all is answered.
    pub fn hear(&self) {
        self.deaf.store(false, Ordering::Relaxed);
    }
}

impl Gateway for Deaf {
    fn tokenize<'a>(&'a self, source: &'a CardSource, now: Timestamp) -> BoxFuture<'a, Result<Tokenized, Decline>> {
        self.cards.tokenize(source, now)
    }

    fn verify<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<(), Decline>> {
        self.cards.verify(token)
    }

    fn ask<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Result<answer::Answer, Unanswered>> {
        if question.action == self.to && self.deaf.load(Ordering::Relaxed) {
            return Box::pin(async { Err(Unanswered) });
        }
        self.cards.ask(question)
    }
}
