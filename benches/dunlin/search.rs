//! Searches among a million customers, each kind on its own: how long one takes over HTTP, alone and with
//! others at the same time. The customers came evenly over a year; what is looked for is another at each call.

use std::sync::atomic::AtomicUsize;

use dunlin::{
    billing::{
        Books, Id, Resource as _, Timestamp,
        customer::{Customer, NOUN},
        id::lower_bound,
    },
    clock::Clock,
    store::close::{self, Beside},
};
use sqlx::{PgConnection, Row as _};

use crate::{
    Outcome,
    calls::{Request, Run, measure},
    http::Client,
    measure::median,
    place::{Place, execute, runtime, setting},
    report::Table,
    server::{self, Server},
};

const CONNECTIONS: [usize; 2] = [1, 8];
/// How many are written in one statement.
const BATCH: usize = 2000;
/// 2026-01-01, when the first customer came, and the seconds until the next.
const START: i64 = 1_767_225_600;
const STEP: i64 = 31;

pub fn run() -> Outcome<()> {
    let seconds: u64 = setting("BENCH_SECONDS", 3);
    let rounds: usize = setting("BENCH_ROUNDS", 3);
    let count: usize = setting("BENCH_CUSTOMERS", 1_000_000);
    let place = Place::start("search")?;
    let url = runtime()?.block_on(people(&place, count))?;
    let server = Server::start(&url, 0)?;
    let next = AtomicUsize::new(0);
    let mut table = Table::new(&["search", "example", "connections", "searches/s", "p50 ms", "p99 ms", "server ms"]);
    let only = setting("BENCH_CALL", String::new());
    for (name, query) in kinds(count).into_iter().filter(|(name, _)| name.starts_with(&only)) {
        let example = query(1);
        let request: Request = Box::new(move |number| {
            ("GET", format!("/v1/customers/search?query={}", encoded(&query(number))), String::new())
        });
        for connections in CONNECTIONS {
            // The first touches what was never read before.
            measure(&server, &request, connections, 1, &next)?;
            let mut runs = Vec::new();
            for _ in 0..rounds {
                runs.push(measure(&server, &request, connections, seconds, &next)?);
            }
            let of = |pick: fn(&Run) -> f64| median(runs.iter().map(pick));
            table.row(vec![
                name.to_owned(),
                format!("`{example}`"),
                connections.to_string(),
                format!("{:.0}", of(|run| run.rate)),
                format!("{:.2}", of(|run| run.half)),
                format!("{:.2}", of(|run| run.most)),
                format!("{:.3}", of(|run| run.server)),
            ]);
        }
    }
    table.print(&format!("Searches over HTTP, {count} customers"));
    runtime()?.block_on(sizes(&place))
}

type Query = Box<dyn Fn(usize) -> String + Sync>;

/// What is asked. Each call has a number of its own.
fn kinds(count: usize) -> Vec<(&'static str, Query)> {
    let some = move |number: usize| mixed(number) % count;
    let time = |person: usize| START + STEP * i64::try_from(person).unwrap_or(0);
    vec![
        ("email", Box::new(move |number| format!("email:\"{}\"", email(some(number))))),
        ("name, a few have it", Box::new(move |number| format!("name:\"{}\"", name(some(number))))),
        ("phone", Box::new(move |number| format!("phone:\"{}\"", phone(some(number) / 3 * 3)))),
        ("part of an email, one has it", Box::new(move |number| format!("email~\"{}\"", email(some(number))))),
        ("part of an email, all have it", Box::new(|_| "email~\"example.com\"".to_owned())),
        ("part of a name, 1 in 5000", Box::new(move |number| format!("name~\"{}\"", last_name(mixed(number))))),
        ("part of a name, 1 in 40", Box::new(move |number| format!("name~\"{}\"", FIRST_NAMES[number % 40]))),
        ("part of a name, nobody has it", Box::new(|number| format!("name~\"xyzzy{number}\""))),
        ("metadata, one has it", Box::new(move |number| format!("metadata[\"userId\"]:\"u{}\"", some(number)))),
        ("metadata, 1 in 100", Box::new(|_| "metadata[\"plan\"]:\"enterprise\"".to_owned())),
        ("metadata, 9 in 10", Box::new(|_| "metadata[\"plan\"]:\"free\"".to_owned())),
        ("has a key, 1 in 1000", Box::new(|_| "-metadata[\"beta\"]:null".to_owned())),
        ("lacks a key", Box::new(|_| "metadata[\"beta\"]:null".to_owned())),
        (
            "created within a day",
            Box::new(move |number| {
                let from = time(some(number));
                format!("created>={from} AND created<{}", from + 86_400)
            }),
        ),
        ("created long ago", Box::new(move |number| format!("created<{}", time(some(number) / 2)))),
        ("created lately", Box::new(move |number| format!("created>{}", time(count - 1 - number % 100)))),
        ("not set, 1 in 2000", Box::new(|_| "email:null".to_owned())),
        ("not set, 2 in 3", Box::new(|_| "phone:null".to_owned())),
        ("negated, 1 in 10 is left", Box::new(|_| "-metadata[\"plan\"]:\"free\"".to_owned())),
        ("negated part", Box::new(|number| format!("-name~\"{}\"", FIRST_NAMES[number % 40]))),
        (
            "AND",
            Box::new(move |number| {
                let from = time(some(number) / 2);
                format!(
                    "metadata[\"plan\"]:\"enterprise\" AND name~\"{}\" AND created>{from}",
                    FIRST_NAMES[number % 40]
                )
            }),
        ),
        (
            "OR",
            Box::new(move |number| {
                let (one, other) = (some(number), some(number + 1));
                format!(
                    "email:\"{}\" OR metadata[\"userId\"]:\"u{other}\" OR name~\"{}\"",
                    email(one),
                    last_name(number)
                )
            }),
        ),
    ]
}

/// Customers as the server stores them, in the order in which they came.
async fn people(place: &Place, count: usize) -> Outcome<String> {
    let url = place.database("search").await?;
    let app = server::app(&url, 0, Clock::wall()).await?;
    let address = app.address();
    let original = tokio::task::spawn_blocking(move || Client::connect(address)?.post("/v1/customers", "")).await??;
    let original: Customer = serde_json::from_value(original)?;
    let mut connection = place.connect("search").await?;
    let everybody: Vec<usize> = (0..count).collect();
    for some in everybody.chunks(BATCH) {
        let mut books = Books::default();
        for number in some {
            books.put(person(&original, *number));
        }
        let (changes, _) = books.into_changes()?;
        let changes: Vec<_> = changes.into_iter().map(|(_, changes)| changes).collect();
        let mut tx = app.engine.store.begin().await?;
        close::close(&mut tx, &changes.iter().collect::<Vec<_>>(), &Beside::default(), &[]).await?;
        tx.commit().await?;
    }
    execute(&mut connection, &format!("delete from customers where id = '{}'", original.id())).await?;
    execute(&mut connection, "vacuum analyze").await?;
    app.stop().await;
    Ok(url)
}

fn person(original: &Customer, number: usize) -> Customer {
    let created = Timestamp::new(START + STEP * i64::try_from(number).unwrap_or(0));
    let plan = match number % 100 {
        0 => "enterprise",
        1..10 => "pro",
        _ => "free",
    };
    let beta = (number % 1000 == 7).then(|| ("beta".to_owned(), "yes".to_owned()));
    let metadata = [("userId".to_owned(), format!("u{number}")), ("plan".to_owned(), plan.to_owned())];
    Customer {
        id: Id::given(format!("{}{}", lower_bound(NOUN.prefix, created), bucket(number))),
        created,
        email: (number % 2000 != 13).then(|| email(number)),
        name: Some(name(number)),
        phone: number.is_multiple_of(3).then(|| phone(number)),
        metadata: metadata.into_iter().chain(beta).collect(),
        ..original.clone()
    }
}

/// Two characters, as ids end with.
fn bucket(number: usize) -> String {
    const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let bucket = mixed(number) % (62 * 62);
    [bucket / 62, bucket % 62].map(|digit| char::from(BASE62[digit])).iter().collect()
}

const FIRST_NAMES: [&str; 40] = [
    "Ada",
    "Alan",
    "Anita",
    "Barbara",
    "Bjarne",
    "Carol",
    "Claude",
    "Dana",
    "Dennis",
    "Donald",
    "Edsger",
    "Emmy",
    "Erna",
    "Frances",
    "Fred",
    "Grace",
    "Guido",
    "Hedy",
    "Ida",
    "Jean",
    "John",
    "Karen",
    "Katherine",
    "Ken",
    "Kurt",
    "Leslie",
    "Linus",
    "Margaret",
    "Mary",
    "Niklaus",
    "Noether",
    "Radia",
    "Robin",
    "Sophie",
    "Steve",
    "Tim",
    "Tony",
    "Ursula",
    "Vint",
    "Whitfield",
];

const SYLLABLES: [&str; 17] = [
    "ber", "cho", "dal", "fen", "gor", "hal", "jin", "kow", "lin", "mar", "nov", "pet", "ros", "sky", "tan", "vel",
    "wes",
];

fn name(number: usize) -> String {
    format!("{} {}", FIRST_NAMES[mixed(number) % 40], last_name(mixed(number)))
}

/// One of 17³.
fn last_name(chance: usize) -> String {
    [chance / 40, chance / 680, chance / 11_560].map(|chance| SYLLABLES[chance % 17]).concat()
}

fn email(number: usize) -> String {
    format!("{}.{}@example.com", FIRST_NAMES[mixed(number) % 40].to_lowercase(), number)
}

fn phone(number: usize) -> String {
    format!("+1 555 {:07}", number * 3 % 10_000_000)
}

/// A number that looks like chance (the finaliser of a well-known generator).
fn mixed(number: usize) -> usize {
    let mut mixed = u64::try_from(number).unwrap_or(0).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    usize::try_from((mixed ^ (mixed >> 31)) >> 8).unwrap_or(0)
}

fn encoded(text: &str) -> String {
    let mut url = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            url.push(char::from(byte));
        } else {
            let digits = [byte >> 4, byte & 15].map(|digit| char::from_digit(u32::from(digit), 16).unwrap_or('0'));
            url.push('%');
            url.extend(digits);
        }
    }
    url
}

/// What the indexes take.
async fn sizes(place: &Place) -> Outcome<()> {
    let mut connection: PgConnection = place.connect("search").await?;
    let sql = "select indexrelname, pg_relation_size(indexrelid) / 1048576 as mb from pg_stat_user_indexes
               where relname = 'customers' order by indexrelname";
    println!();
    for row in sqlx::query(sql).fetch_all(&mut connection).await? {
        println!("{}: {} MB", row.get::<String, _>("indexrelname"), row.get::<i64, _>("mb"));
    }
    Ok(())
}
