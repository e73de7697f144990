//! Calls: requests over HTTP to a server in a process of its own. Its deliveries are written and not
//! sent, as in the scripts that it is compared with.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use dunlin::clock::Clock;

use crate::{
    Outcome,
    http::Client,
    limits::Limits,
    measure::{median, memory, seconds_of},
    place::{Place, runtime, setting},
    report::{Table, maybe, share},
    seed,
    server::{self, Server},
};

const CONNECTIONS: [usize; 3] = [1, 16, 64];
const CUSTOMERS: usize = 100_000;

/// What is called, and what it is compared with.
struct Call {
    name: &'static str,
    limit: Limit,
    request: Request,
}

/// The method, the path and the form of the call of this number.
pub type Request = Box<dyn Fn(usize) -> (&'static str, String, String) + Sync>;

enum Limit {
    Script(&'static str),
    /// Renewals, one in each transaction.
    Renewal,
}

/// What one run of a call came to.
pub struct Run {
    pub rate: f64,
    /// Milliseconds.
    pub half: f64,
    pub most: f64,
    /// Processor time of the server, in milliseconds a call.
    pub server: f64,
}

pub fn run() -> Outcome<()> {
    let seconds: u64 = setting("BENCH_SECONDS", 3);
    let rounds: usize = setting("BENCH_ROUNDS", 3);
    let place = Place::start("calls")?;
    let limits = Limits::prepare(&place, CUSTOMERS)?;
    // Once: rows come to rows on either side, and neither pays for a checkpoint that is a quarter of an hour's.
    limits.as_ref().map(Limits::reset).transpose()?;
    let (url, price, customers) = runtime()?.block_on(people(&place))?;
    let server = Server::start(&url, 0)?;
    let calls = calls(&price, customers);
    let next = AtomicUsize::new(0);
    let mut table =
        Table::new(&["call", "connections", "calls/s", "p50 ms", "p99 ms", "server ms", "limit/s", "share"]);
    let only = setting("BENCH_CALL", String::new());
    for call in calls.iter().filter(|call| call.name.starts_with(&only)) {
        for connections in CONNECTIONS {
            let (mut runs, mut ceilings) = (Vec::new(), Vec::new());
            for _ in 0..rounds {
                if let Some(limits) = &limits {
                    ceilings.push(ceiling(limits, &call.limit, connections, seconds)?);
                }
                runs.push(measure(&server, &call.request, connections, seconds, &next)?);
            }
            let of = |pick: fn(&Run) -> f64| median(runs.iter().map(pick));
            let ceiling = (!ceilings.is_empty()).then(|| median(ceilings));
            table.row(vec![
                call.name.to_owned(),
                connections.to_string(),
                format!("{:.0}", of(|run| run.rate)),
                format!("{:.2}", of(|run| run.half)),
                format!("{:.2}", of(|run| run.most)),
                format!("{:.3}", of(|run| run.server)),
                maybe(ceiling),
                share(of(|run| run.rate), ceiling),
            ]);
        }
    }
    table.print(&format!("Calls over HTTP, {CUSTOMERS} customers"));
    println!("\npeak memory of the server: {:.0} MB", memory(server.process()).1);
    Ok(())
}

fn ceiling(limits: &Limits, limit: &Limit, connections: usize, seconds: u64) -> Outcome<f64> {
    match limit {
        Limit::Script(name) => limits.script(name, connections, seconds),
        Limit::Renewal => limits.renewals(1, connections, seconds),
    }
}

/// Customers with a card, and their ids.
async fn people(place: &Place) -> Outcome<(String, String, Vec<String>)> {
    let url = place.database("calls").await?;
    let app = server::app(&url, 0, Clock::wall()).await?;
    let address = app.address();
    let original = tokio::task::spawn_blocking(move || seed::original(address, false)).await??;
    let mut connection = place.connect("calls").await?;
    seed::copy(&mut connection, &original, CUSTOMERS, 1).await?;
    let customers = sqlx::query_scalar("select id from customers order by md5(id)").fetch_all(&mut connection).await?;
    app.stop().await;
    Ok((url, original.price, customers))
}

/// Each call is made with a number that no other has.
fn calls(price: &str, customers: Vec<String>) -> Vec<Call> {
    let price = price.to_owned();
    let payers = customers.clone();
    let create = |number: usize| format!("email=new{number}@example.com&name=Some+One&metadata[plan]=pro");
    vec![
        Call {
            name: "create customer",
            limit: Limit::Script("create_customer_full"),
            request: Box::new(move |number| ("POST", "/v1/customers".to_owned(), create(number))),
        },
        Call {
            name: "retrieve customer",
            limit: Limit::Script("get_customer"),
            request: Box::new(move |number| {
                ("GET", format!("/v1/customers/{}", customers[number % customers.len()]), String::new())
            }),
        },
        Call {
            name: "list 100 customers",
            limit: Limit::Script("list_customers"),
            request: Box::new(|_| ("GET", "/v1/customers?limit=100".to_owned(), String::new())),
        },
        Call {
            name: "create subscription",
            limit: Limit::Renewal,
            request: Box::new(move |number| {
                let customer = &payers[number % payers.len()];
                ("POST", "/v1/subscriptions".to_owned(), format!("customer={customer}&items[0][price]={price}"))
            }),
        },
    ]
}

/// Calls for so many seconds, over so many connections.
pub fn measure(
    server: &Server,
    request: &Request,
    connections: usize,
    seconds: u64,
    next: &AtomicUsize,
) -> Outcome<Run> {
    let (started, before) = (Instant::now(), seconds_of(server.process()).0);
    let until = started + Duration::from_secs(seconds);
    let mut times = thread::scope(|scope| {
        let callers: Vec<_> =
            (0..connections).map(|_| scope.spawn(|| caller(server.address, request, until, next))).collect();
        let mut times = Vec::new();
        for caller in callers {
            times.extend(caller.join().map_err(|_| "a caller panicked")??);
        }
        Outcome::Ok(times)
    })?;
    let elapsed = started.elapsed().as_secs_f64();
    let busy = seconds_of(server.process()).0 - before;
    times.sort_by(f64::total_cmp);
    let count = f64::from(u32::try_from(times.len())?);
    let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or(f64::NAN);
    Ok(Run { rate: count / elapsed, half: at(50), most: at(99), server: busy * 1000.0 / count })
}

/// Calls until the time is over; answers how many milliseconds each call took.
fn caller(address: SocketAddr, request: &Request, until: Instant, next: &AtomicUsize) -> Outcome<Vec<f64>> {
    let mut client = Client::connect(address)?;
    let mut times = Vec::new();
    while Instant::now() < until {
        let (method, path, form) = request(next.fetch_add(1, Ordering::Relaxed));
        let started = Instant::now();
        client.call(method, &path, &form)?;
        times.push(started.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(times)
}
