//! Clock: a year of monthly billing by one advance of a test clock, polled until it is ready.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{
    Outcome,
    http::{Client, text},
    measure::median,
    place::{Place, runtime, setting},
    report::Table,
    seed,
    server::Server,
};

/// A year and a day, so that the twelfth invoice has been finalised and paid.
const YEAR_SECONDS: i64 = 366 * 86_400;
const POLL: Duration = Duration::from_millis(2);
const MANY: usize = 100;

pub fn run() -> Outcome<()> {
    let rounds: usize = setting("BENCH_ROUNDS", 3);
    let place = Place::start("clock")?;
    let url = runtime()?.block_on(place.database("clock"))?;
    let server = Server::start(&url, 2)?;
    let mut client = Client::connect(server.address)?;
    let price = seed::price(&mut client)?;
    year(&mut client, &price, 1)?; // warms up
    let (mut one, mut many) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        for _ in 0..3 {
            one.push(year(&mut client, &price, 1)?);
        }
        many.push(year(&mut client, &price, MANY)?);
    }
    let mut table = Table::new(&["subscriptions", "median, ms", "all, ms"]);
    for (count, times) in [(1, one), (MANY, many)] {
        let all: Vec<String> = times.iter().map(|time| format!("{time:.0}")).collect();
        table.row(vec![count.to_string(), format!("{:.0}", median(times.iter().copied())), all.join(" ")]);
    }
    table.print("A year of monthly billing on a test clock");
    Ok(())
}

/// Milliseconds from the advance to the clock being ready.
fn year(client: &mut Client, price: &str, customers: usize) -> Outcome<f64> {
    let clock = client.make("/v1/test_helpers/test_clocks", &format!("frozen_time={}", seed::START))?;
    for number in 0..customers {
        let (id, _) = seed::customer(client, &format!("email=clock{number}@example.com&test_clock={clock}"))?;
        client.post("/v1/subscriptions", &format!("customer={id}&items[0][price]={price}"))?;
    }
    let started = Instant::now();
    let advance = format!("frozen_time={}", seed::START + YEAR_SECONDS);
    client.post(&format!("/v1/test_helpers/test_clocks/{clock}/advance"), &advance)?;
    let path = format!("/v1/test_helpers/test_clocks/{clock}");
    loop {
        match text(&client.get(&path)?, "status")?.as_str() {
            "advancing" => sleep(POLL),
            "ready" => break,
            other => return Err(format!("the clock is {other}").into()),
        }
    }
    let elapsed = started.elapsed().as_secs_f64() * 1000.0;
    check(client, &clock, customers)?;
    Ok(elapsed)
}

/// Every customer has paid its first invoice and twelve more.
fn check(client: &mut Client, clock: &str, customers: usize) -> Outcome<()> {
    let found = client.get(&format!("/v1/customers?test_clock={clock}&limit=100"))?;
    let found: Vec<String> =
        found["data"].as_array().into_iter().flatten().map(|customer| text(customer, "id")).collect::<Outcome<_>>()?;
    if found.len() != customers.min(100) {
        return Err(format!("{} of {customers} customers are on the clock", found.len()).into());
    }
    for customer in found {
        let paid = client.get(&format!("/v1/invoices?customer={customer}&status=paid&limit=100"))?;
        let count = paid["data"].as_array().map_or(0, Vec::len);
        if count != 13 {
            return Err(format!("{customer} has paid {count} invoices instead of 13").into());
        }
    }
    Ok(())
}
