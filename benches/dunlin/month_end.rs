//! Month-end: many subscriptions, some of them due at once, from the first claim to the last settled
//! payment. One endpoint listens to everything; its deliveries are written and not sent.

use std::time::Duration;

use dunlin::{app::App, billing::Timestamp, clock::Clock, engine::Engine, store::due};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::{
    Outcome,
    limits::Limits,
    measure::{Cost, Stopwatch, costliest, forget_peak, median, memory},
    place::{Place, execute, runtime, setting},
    report::{Table, maybe, share},
    seed, server,
};

/// A draft is finalised and charged this long after its period began.
const DRAFT_SECONDS: i64 = 3600;
/// Whoever listens has heard of the new invoices within the hour, so none is held.
const ACKNOWLEDGE: &str = "delete from deliveries d using events e where e.type = 'invoice.created' and d.event = e.id";
/// As many as the server starts on two cores, if not set otherwise.
fn workers() -> usize {
    setting("BENCH_WORKERS", 4)
}
/// One for each core is what the limit is highest with.
const LIMIT_WORKERS: usize = 2;
/// How long the limit is measured in each round.
const LIMIT_SECONDS: u64 = 4;

/// A house whose subscriptions fall due in groups.
pub struct House {
    app: App,
    clock: Clock,
    database: String,
    due: usize,
}

/// One measured month end.
pub struct Round {
    pub drafts: Duration,
    pub cost: Cost,
}

impl House {
    /// `count` subscriptions, of which `due` at a time fall due at once.
    pub async fn build(place: &Place, database: &str, count: usize, due: usize) -> Outcome<House> {
        let url = place.database(database).await?;
        let clock = Clock::manual(Timestamp::new(seed::START));
        let app = server::app(&url, 0, clock.clone()).await?;
        let address = app.address();
        let original = tokio::task::spawn_blocking(move || seed::original(address, true)).await??;
        let mut connection = place.connect(database).await?;
        seed::copy(&mut connection, &original, count, (count / due).max(1)).await?;
        Ok(House { app, clock, database: database.to_owned(), due })
    }

    /// Lets the next group fall due, and does all of it.
    pub async fn month_end(&self, place: &Place) -> Outcome<Round> {
        let mut connection = place.connect(&self.database).await?;
        let mut admin = place.admin().await?;
        let next = "select min(due_at) from subscriptions where due_at is not null";
        let end: i64 = sqlx::query_scalar(next).fetch_one(&mut connection).await?;
        let before = paid(&mut connection).await?;
        self.clock.set(Timestamp::new(end));
        self.app.engine.maintain().await?;
        let mut watch = Stopwatch::start(place, &mut admin, &self.database).await?;
        let started = std::time::Instant::now();
        self.work_off(&mut connection, end).await?;
        let drafts = started.elapsed();
        let started = std::time::Instant::now();
        execute(&mut connection, ACKNOWLEDGE).await?;
        watch.leave_out(started.elapsed());
        self.clock.set(Timestamp::new(end + DRAFT_SECONDS + 1));
        self.work_off(&mut connection, end + DRAFT_SECONDS + 1).await?;
        let cost = watch.stop(place, &mut admin, &self.database).await?;
        let renewed = paid(&mut connection).await? - before;
        if usize::try_from(renewed)? != self.due {
            return Err(format!("{renewed} of {} renewals were paid", self.due).into());
        }
        execute(&mut connection, "analyze").await?;
        Ok(Round { drafts, cost })
    }

    /// Works as the server does, until nothing is due.
    async fn work_off(&self, connection: &mut PgConnection, now: i64) -> Outcome<()> {
        loop {
            let workers: Vec<_> = (0..workers()).map(|_| tokio::spawn(work(self.app.engine.clone()))).collect();
            for worker in workers {
                worker.await??;
            }
            // As the indexes of what is due have it: looking must cost nothing.
            let due = "where due_at is not null and test_clock is null and due_at <= $1";
            let sql = format!("select exists (select from subscriptions {due}) or exists (select from invoices {due})");
            let left: bool = sqlx::query_scalar(AssertSqlSafe(sql)).bind(now).fetch_one(&mut *connection).await?;
            if !left {
                return Ok(());
            }
        }
    }

    pub async fn leave(self) {
        self.app.stop().await;
    }
}

async fn work(engine: Engine) -> Outcome<()> {
    let mut from = due::Place::default();
    while let Some(next) = engine.tick(&from).await?.more {
        from = next;
    }
    Ok(())
}

async fn paid(connection: &mut PgConnection) -> Outcome<i64> {
    Ok(sqlx::query_scalar("select count(*) from invoices where status = 'paid'").fetch_one(connection).await?)
}

pub fn run() -> Outcome<()> {
    let count = setting("BENCH_SUBSCRIPTIONS", 100_000);
    let due: usize = setting("BENCH_DUE", 10_000);
    let rounds: usize = setting("BENCH_ROUNDS", 3).min((count / due).saturating_sub(1).max(1));
    let place = Place::start("month-end")?;
    let limits = Limits::prepare(&place, count)?;
    let runtime = runtime()?;
    let house = runtime.block_on(House::build(&place, "month_end", count, due))?;
    // The first round finds empty tables and a cold cache, as no house does that has lived a month.
    runtime.block_on(house.month_end(&place))?;
    std::thread::sleep(Duration::from_secs(setting("BENCH_PAUSE", 0)));
    forget_peak();
    let (mut measured, mut ceilings) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        if let Some(limits) = &limits {
            limits.reset()?; // with a checkpoint, as our own round begins with one
            ceilings.push(limits.renewals(500, LIMIT_WORKERS, LIMIT_SECONDS)?);
        }
        measured.push(runtime.block_on(house.month_end(&place))?);
    }
    print(&measured, &ceilings, count, due);
    println!("\npeak memory of the server and the bench in one process: {:.0} MB", memory(std::process::id()).1);
    let statements: i64 = setting("BENCH_STATEMENTS", 0);
    if statements > 0 && place.counts_statements {
        let found =
            runtime.block_on(async { costliest(&mut place.admin().await?, &house.database, statements).await })?;
        let mut table = Table::new(&["calls", "ms", "WAL kB", "statement"]);
        for one in found {
            let text: String = one.text.chars().take(110).collect();
            let cells =
                [one.calls.to_string(), format!("{:.0}", one.milliseconds), (one.wal_bytes / 1024).to_string(), text];
            table.row(cells.to_vec());
        }
        table.print("The costliest statements of the last round");
    }
    runtime.block_on(house.leave());
    Ok(())
}

fn print(measured: &[Round], ceilings: &[f64], count: usize, due: usize) {
    let mut table = Table::new(&[
        "round",
        "renewals/s",
        "limit/s",
        "share",
        "drafts s",
        "all s",
        "statements",
        "commits",
        "WAL B",
        "server ms",
        "Postgres ms",
    ]);
    let each = f64::from(u32::try_from(due).unwrap_or(u32::MAX));
    let rate = |round: &Round| each / round.cost.elapsed.as_secs_f64();
    let line = |name: String, round: &Round, rate: f64, ceiling: Option<f64>| {
        let per = |value: i64| f64::from(u32::try_from(value).unwrap_or(u32::MAX)) / each;
        vec![
            name,
            format!("{rate:.0}"),
            maybe(ceiling),
            share(rate, ceiling),
            format!("{:.2}", round.drafts.as_secs_f64()),
            format!("{:.2}", round.cost.elapsed.as_secs_f64()),
            round.cost.statements.map_or_else(|| "n/a".to_owned(), |count| format!("{:.3}", per(count))),
            format!("{:.4}", per(round.cost.commits)),
            format!("{:.0}", per(round.cost.wal_bytes)),
            format!("{:.3}", round.cost.client * 1000.0 / each),
            format!("{:.3}", round.cost.postgres * 1000.0 / each),
        ]
    };
    for (place, round) in measured.iter().enumerate() {
        table.row(line((place + 1).to_string(), round, rate(round), ceilings.get(place).copied()));
    }
    table.print(&format!("Month-end: {due} due among {count}; statements and what follows are for each renewal"));
    let (rate, ceiling) = (median(measured.iter().map(rate)), median(ceilings.iter().copied()));
    let ceiling = (!ceilings.is_empty()).then_some(ceiling);
    println!("\nmedian: {rate:.0} renewals/s, limit {}, share {}", maybe(ceiling), share(rate, ceiling));
}
