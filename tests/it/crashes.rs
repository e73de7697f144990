//! Nothing acknowledged is lost, nobody is charged twice, no period is billed twice: through kill -9, lost
//! answers and two servers on one database.
//!
//! The processor keeps its own books: a folder with one file per idempotency key, which outlives every
//! server. What was charged is counted there, and compared with what Dunlin believes.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use dunlin::store::postgres::{Settings, running_url};
use reqwest::Client;
use serde_json::Value;

use crate::support::{House, KEY, Process, count, execute, faulty_cards, id, new_database};

/// How many subscriptions are due in a run.
const SUBSCRIPTIONS: usize = 400;

struct Run {
    /// Where the database is: a variable of the server's environment.
    home: (&'static str, String),
    database_url: String,
    ledger: PathBuf,
}

impl Run {
    /// On the shared test cluster.
    async fn prepare(name: &str) -> Run {
        let database_url = new_database().await;
        Run::prepare_at(name, ("DATABASE_URL", database_url.clone()), || database_url).await
    }

    /// Many active subscriptions that are all due, copied from a real one by SQL.
    async fn prepare_at(name: &str, home: (&'static str, String), url: impl FnOnce() -> String) -> Run {
        let ledger = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("ledger-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&ledger);
        fs::create_dir_all(&ledger).unwrap();
        let process = Process::start(&[(home.0, &home.1)]).await;
        let client = Client::new();
        let price = "currency=usd&unit_amount=2000&recurring[interval]=month&product_data[name]=A";
        let price = id(&post(&client, &process.url, "/v1/prices", price).await);
        let customer = "email=ada@example.com&payment_method=pm_card_visa";
        let customer = id(&post(&client, &process.url, "/v1/customers", customer).await);
        let methods = get(&client, &process.url, &format!("/v1/customers/{customer}/payment_methods")).await;
        let default = format!("invoice_settings[default_payment_method]={}", id(&methods["data"][0]));
        post(&client, &process.url, &format!("/v1/customers/{customer}"), &default).await;
        post(&client, &process.url, "/v1/subscriptions", &format!("customer={customer}&items[0][price]={price}")).await;
        let database_url = url();
        multiply(&database_url).await;
        process.kill();
        Run { home, database_url, ledger }
    }

    fn settings<'a>(&'a self, offset: &'a str) -> Vec<(&'a str, &'a str)> {
        vec![
            (self.home.0, &self.home.1),
            ("DUNLIN_CLOCK_OFFSET", offset),
            ("DUNLIN_GATEWAY_LOSES", "10"),
            ("DUNLIN_GATEWAY_LATENCY_MS", "2"),
            ("DUNLIN_GATEWAY_LEDGER", self.ledger.to_str().unwrap()),
        ]
    }

    async fn count(&self, sql: &str) -> i64 {
        count(&self.database_url, sql).await
    }

    /// Waits until a count is reached.
    async fn until(&self, sql: &str, wanted: i64) {
        for _ in 0..6000 {
            if self.count(sql).await >= wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{sql}: {} of {wanted}", self.count(sql).await);
    }

    /// What the run must have come to: every promise, shown by SQL.
    async fn audit(&self) {
        let all = i64::try_from(SUBSCRIPTIONS).unwrap();
        // R2: every period once.
        assert_eq!(self.count(CYCLES).await, all, "each due subscription was renewed exactly once");
        let twice = "select count(*) from (select subscription, cycle from invoices where cycle is not null group by 1, 2 having count(*) > 1) x";
        assert_eq!(self.count(twice).await, 0);
        // R1: every invoice charged once, by Dunlin's books and by the processor's.
        let charged_twice = "select count(*) from (select payment_intent from charges where status = 'succeeded' group by 1 having count(*) > 1) x";
        assert_eq!(self.count(charged_twice).await, 0);
        let captures = captures(&self.ledger);
        assert_eq!(captures.len(), SUBSCRIPTIONS, "one captured payment for each intent");
        assert!(captures.values().all(|keys| *keys == 1), "nobody was charged twice");
        assert_eq!(self.count(PAID).await, all);
        // R3: money adds up.
        let owed = "select count(*) from invoices where status = 'paid' and (amount_paid <> amount_due or amount_remaining <> 0)";
        assert_eq!(self.count(owed).await, 0);
        // R4: an event for each change.
        for kind in [
            "invoice.created",
            "invoice.finalized",
            "payment_intent.created",
            "payment_intent.succeeded",
            "invoice.paid",
            "charge.succeeded",
        ] {
            let sql = format!(
                "select count(*) - count(distinct body::json -> 'data' -> 'object' ->> 'id') from events where type = '{kind}'"
            );
            assert_eq!(self.count(&sql).await, 0, "{kind} was told once about each");
            // One more: the subscription that all others are copies of.
            assert_eq!(
                self.count(&format!("select count(*) from events where type = '{kind}'")).await,
                all + 1,
                "{kind}"
            );
        }
        let _ = fs::remove_dir_all(&self.ledger);
    }
}

const CYCLES: &str =
    "select count(*) from invoices where cycle is not null and body::json ->> 'billing_reason' = 'subscription_cycle'";
const PAID: &str =
    "select count(*) from invoices where status = 'paid' and body::json ->> 'billing_reason' = 'subscription_cycle'";
const CHARGED: &str = "select count(*) - 1 from charges where status = 'succeeded'";

/// Captured payments by intent: how many keys each was captured under.
fn captures(ledger: &Path) -> BTreeMap<String, usize> {
    let mut captures = BTreeMap::new();
    for entry in fs::read_dir(ledger).unwrap() {
        let path = entry.unwrap().path();
        // What starts with a dot is a draft that a killed server left behind.
        if path.file_name().unwrap().to_str().unwrap().starts_with('.') {
            continue;
        }
        if fs::read_to_string(&path).unwrap().starts_with("captured") {
            let key = path.file_name().unwrap().to_str().unwrap().to_owned();
            let (intent, _attempt) = key.rsplit_once('-').unwrap();
            *captures.entry(intent.to_owned()).or_default() += 1;
        }
    }
    captures
}

/// Copies the one customer, card and subscription; the copies are due, the original is not.
async fn multiply(database_url: &str) {
    // Ids get a number in their middle and keep their last two characters, which name the bucket.
    let copies = format!(
        "create function copy_of(id text, n int) returns text language sql immutable as
             $$ select left(id, length(id) - 8) || lpad(n::text, 6, '0') || right(id, 2) $$;
         create temporary table original as
             select c.id as customer, m.id as method, s.id as subscription, i.id as item
             from customers c, payment_methods m, subscriptions s, subscription_items i;
         insert into customers (id, bucket, livemode, created, email, body)
             select copy_of(c.id, n), c.bucket, c.livemode, c.created, c.email,
                    replace(replace(c.body, c.id, copy_of(c.id, n)), o.method, copy_of(o.method, n))
             from customers c, original o, generate_series(1, {SUBSCRIPTIONS}) n;
         insert into payment_methods (id, bucket, livemode, created, customer, type, allow_redisplay, standing, body)
             select copy_of(m.id, n), m.bucket, m.livemode, m.created, copy_of(o.customer, n), m.type, m.allow_redisplay, m.standing,
                    replace(replace(m.body, m.id, copy_of(m.id, n)), o.customer, copy_of(o.customer, n))
             from payment_methods m, original o, generate_series(1, {SUBSCRIPTIONS}) n;
         insert into subscriptions (id, bucket, livemode, created, due_at, customer, status, collection_method,
                                    current_period_start, current_period_end, standing, body)
             select copy_of(s.id, n), s.bucket, s.livemode, s.created, s.due_at, copy_of(o.customer, n), s.status, s.collection_method,
                    s.current_period_start, s.current_period_end, s.standing,
                    replace(replace(replace(s.body, s.id, copy_of(s.id, n)), o.customer, copy_of(o.customer, n)),
                            o.item, copy_of(o.item, n))
             from subscriptions s, original o, generate_series(1, {SUBSCRIPTIONS}) n;
         insert into subscription_items (id, bucket, subscription, customer, price)
             select copy_of(i.id, n), i.bucket, copy_of(o.subscription, n), copy_of(o.customer, n), i.price
             from subscription_items i, original o, generate_series(1, {SUBSCRIPTIONS}) n;
         update subscriptions set due_at = null where id = (select subscription from original);
         analyze"
    );
    execute(database_url, &copies).await;
}

pub async fn post(client: &Client, url: &str, path: &str, form: &str) -> Value {
    let request = client.post(format!("{url}{path}")).bearer_auth(KEY);
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(form.to_owned());
    let response = request.send().await.unwrap();
    let status = response.status();
    let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert!(status.is_success(), "{path}: {body:#}");
    body
}

pub async fn get(client: &Client, url: &str, path: &str) -> Value {
    let response = client.get(format!("{url}{path}")).bearer_auth(KEY).send().await.unwrap();
    serde_json::from_str(&response.text().await.unwrap()).unwrap()
}

/// The longest month and some, in seconds: everything is due by then.
const NEXT_MONTH: &str = "2764800";
/// And an hour and some later.
const AND_AN_HOUR: &str = "2772000";

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_in_the_middle_of_a_run_bills_everybody_once() {
    let run = Run::prepare("kill").await;
    // The drafts: killed as soon as some are there, then again, then left to finish.
    for _ in 0..2 {
        let process = Process::start(&run.settings(NEXT_MONTH)).await;
        run.until(CYCLES, 1).await;
        process.kill();
    }
    let process = Process::start(&run.settings(NEXT_MONTH)).await;
    run.until(CYCLES, i64::try_from(SUBSCRIPTIONS).unwrap()).await;
    process.kill();
    // The payments: killed between the commit of the attempts and that of their answers, if luck has it.
    // An attempt that was left alone is taken up by a server of a later minute.
    for (share, later) in [(1, 0), (4, 120)] {
        let offset = (AND_AN_HOUR.parse::<i64>().unwrap() + later).to_string();
        let process = Process::start(&run.settings(&offset)).await;
        let asked = || fs::read_dir(&run.ledger).unwrap().count();
        while asked() < SUBSCRIPTIONS * share / 8 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        process.kill();
    }
    let _process = finish(&run).await;
    run.audit().await;
}

/// Lost answers are due again a minute later: servers of later minutes take them up. Each process loses
/// every tenth answer, so at most a tenth is left each time. Returns the last process.
async fn finish(run: &Run) -> Process {
    let all = i64::try_from(SUBSCRIPTIONS).unwrap();
    let mut last: Option<Process> = None;
    for (later, paid) in [(1, all - all / 10), (2, all - all / 100), (3, all)] {
        last.take().into_iter().for_each(Process::kill);
        let offset = (AND_AN_HOUR.parse::<i64>().unwrap() + 120 + later * 180).to_string();
        last = Some(Process::start(&run.settings(&offset)).await);
        run.until(PAID, paid).await;
    }
    last.unwrap()
}

/// kill -9 of the Postgres that a server runs for itself.
fn kill_postgres(folder: &Path) {
    let file = fs::read_to_string(folder.join("postgres/postmaster.pid")).unwrap();
    let pid = nix::unistd::Pid::from_raw(file.lines().next().unwrap().parse().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_of_postgres_in_the_middle_of_a_run_bills_everybody_once() {
    // Postgres itself may run as another user, who must reach the folder.
    let folder = std::env::temp_dir().join(format!("dunlin-crash-{}", std::process::id()));
    let settings = Settings { data_dir: Some(folder.clone()), durable: true, fetch: true, binaries: None };
    let home = ("DUNLIN_DATA_DIR", folder.to_str().unwrap().to_owned());
    let run = Run::prepare_at("postgres", home, || running_url(&settings).unwrap()).await;

    let process = Process::start(&run.settings(NEXT_MONTH)).await;
    run.until(CYCLES, 1).await;
    kill_postgres(&folder);
    assert!(!process.ended().await, "without its Postgres it ends, and says so");
    let process = Process::start(&run.settings(NEXT_MONTH)).await;
    run.until(CYCLES, i64::try_from(SUBSCRIPTIONS).unwrap()).await;
    process.kill();
    let process = Process::start(&run.settings(AND_AN_HOUR)).await;
    while fs::read_dir(&run.ledger).unwrap().count() < SUBSCRIPTIONS / 8 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    kill_postgres(&folder);
    assert!(!process.ended().await);
    let process = finish(&run).await;
    run.audit().await;
    process.kill();
    let _ = fs::remove_dir_all(&folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_share_a_run_without_doing_anything_twice() {
    let run = Run::prepare("pair").await;
    for offset in [NEXT_MONTH, AND_AN_HOUR] {
        let one = Process::start(&run.settings(offset)).await;
        let other = Process::start(&run.settings(offset)).await;
        let (sql, wanted) =
            if offset == NEXT_MONTH { (CYCLES, SUBSCRIPTIONS) } else { (CHARGED, SUBSCRIPTIONS * 8 / 10) };
        run.until(sql, i64::try_from(wanted).unwrap()).await;
        one.kill();
        other.kill();
    }
    let _process = finish(&run).await;
    run.audit().await;
}

/// Creates customers as fast as it can; returns those that the server said it has.
async fn write_until_it_dies(client: Client, url: String, answers: Arc<AtomicUsize>) -> Vec<String> {
    let mut made = Vec::new();
    loop {
        let request = client.post(format!("{url}/v1/customers")).bearer_auth(KEY).body("name=Ada");
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let Ok(response) = request.send().await else { return made };
        let succeeded = response.status().is_success();
        let Ok(text) = response.text().await else { return made };
        if succeeded {
            made.push(id(&serde_json::from_str(&text).unwrap()));
            answers.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_kill_9() {
    let database_url = new_database().await;
    let client = Client::new();
    let mut acknowledged: Vec<String> = Vec::new();
    for round in 0..5 {
        let process = Process::start(&[("DATABASE_URL", &database_url)]).await;
        let answers = Arc::new(AtomicUsize::new(0));
        let writer = || write_until_it_dies(client.clone(), process.url.clone(), Arc::clone(&answers));
        let writers: Vec<_> = (0..4).map(|_| tokio::spawn(writer())).collect();
        // Killed with requests under way, a little later each time.
        while answers.load(Ordering::SeqCst) < 10 + round * 7 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        process.kill();
        for writer in writers {
            acknowledged.extend(writer.await.unwrap());
        }
    }
    assert!(acknowledged.len() >= 50, "{}", acknowledged.len());
    let list = acknowledged.iter().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(",");
    let there = count(&database_url, &format!("select count(*) from customers where id in ({list})")).await;
    assert_eq!(usize::try_from(there).unwrap(), acknowledged.len());
    let told = count(&database_url, "select count(*) from events where type = 'customer.created'").await;
    assert_eq!(told, count(&database_url, "select count(*) from customers").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_asked_for_again_with_the_same_key() {
    let ledger = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("ledger-lost-{}", std::process::id()));
    let _ = fs::remove_dir_all(&ledger);
    // Every second answer is lost.
    let house = House::open_with(faulty_cards(2, &ledger), 0).await;
    let price = house.monthly_price(2000).await;
    let mut paid = 0;
    for _ in 0..6 {
        let customer = house.customer("pm_card_visa", None).await;
        let subscription = house.subscribe(&customer, &price).await;
        assert_eq!(subscription["status"], "active");
        paid += 1;
    }
    let captures = captures(&ledger);
    assert_eq!(captures.len(), paid);
    assert!(captures.values().all(|keys| *keys == 1));
    let _ = fs::remove_dir_all(&ledger);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_processor_that_never_answers_leaves_the_attempt_to_the_ticker() {
    let ledger = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("ledger-never-{}", std::process::id()));
    let _ = fs::remove_dir_all(&ledger);
    let house = House::open_with(faulty_cards(1, &ledger), 0).await;
    let price = house.monthly_price(2000).await;
    let customer = house.customer("pm_card_visa", None).await;
    let subscription = house.subscribe(&customer, &price).await;
    // Nobody knows yet: it is incomplete, and its attempt is due.
    assert_eq!(subscription["status"], "incomplete");
    assert_eq!(house.count("select count(*) from payment_intents where due_at is not null").await, 1);
    let told = "select count(*) from events where type = 'customer.subscription.created'";
    assert_eq!(house.count(told).await, 0, "told when its outcome is known");
    let _ = fs::remove_dir_all(&ledger);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_survives_a_crash_between_the_effect_and_its_payment() {
    let database_url = new_database().await;
    let slow = [("DATABASE_URL", &*database_url), ("DUNLIN_GATEWAY_LATENCY_MS", "600000")];
    let process = Process::start(&slow).await;
    let client = Client::new();
    let price = "currency=usd&unit_amount=2000&recurring[interval]=month&product_data[name]=A";
    let price = id(&post(&client, &process.url, "/v1/prices", price).await);
    let customer = id(&post(&client, &process.url, "/v1/customers", "payment_method=pm_card_visa").await);
    let methods = get(&client, &process.url, &format!("/v1/customers/{customer}/payment_methods")).await;
    let form =
        format!("customer={customer}&items[0][price]={price}&default_payment_method={}", id(&methods["data"][0]));
    let subscribe = |url: String| {
        let request = client.post(format!("{url}/v1/subscriptions")).bearer_auth(KEY).body(form.clone());
        request.header("content-type", "application/x-www-form-urlencoded").header("idempotency-key", "once").send()
    };
    let lost = tokio::spawn(subscribe(process.url.clone()));
    while count(&database_url, "select count(*) from payment_intents where due_at is not null").await == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    process.kill();
    // On a machine that is busy enough the request may have run out of its own time before.
    assert!(lost.await.unwrap().map_or(true, |answer| answer.status() == 504), "nobody was answered");
    // While the lease of the dead server lasts, a repetition is told to wait; then it does the rest. The
    // clocks say which it is, however long the machine takes to start a server.
    let process = Process::start(&[("DATABASE_URL", &database_url), ("DUNLIN_CLOCK_OFFSET", "-3600")]).await;
    assert_eq!(subscribe(process.url.clone()).await.unwrap().status(), 409);
    process.kill();
    let process = Process::start(&[("DATABASE_URL", &database_url), ("DUNLIN_CLOCK_OFFSET", "120")]).await;
    let mut answers = Vec::new();
    for _ in 0..2 {
        let answer = subscribe(process.url.clone()).await.unwrap();
        assert_eq!(answer.status(), 200);
        answers.push(answer.text().await.unwrap());
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(serde_json::from_str::<Value>(&answers[0]).unwrap()["status"], "active");
    for sql in ["subscriptions", "charges", "invoices", "events where type = 'customer.subscription.created'"] {
        assert_eq!(count(&database_url, &format!("select count(*) from {sql}")).await, 1, "{sql}");
    }
}
