//! What something cost: time, processor time, write-ahead log, statements, memory.

use std::{
    collections::HashMap,
    fs,
    time::{Duration, Instant},
};

use sqlx::{PgConnection, Row as _};

use crate::{
    Outcome,
    place::{Place, execute},
};

/// Before and after, and the difference.
pub struct Stopwatch {
    started: Instant,
    wal: i64,
    commits: i64,
    client: f64,
    postgres: f64,
}

#[derive(Clone, Debug, Default)]
pub struct Cost {
    pub elapsed: Duration,
    pub wal_bytes: i64,
    pub commits: i64,
    /// Seconds of processor time of this process, and of all of Postgres's.
    pub client: f64,
    pub postgres: f64,
    /// `None`: Postgres does not count them.
    pub statements: Option<i64>,
}

/// A statement and what it cost.
#[derive(Clone, Debug)]
pub struct Statement {
    pub text: String,
    pub calls: i64,
    pub milliseconds: f64,
    pub wal_bytes: i64,
}

impl Stopwatch {
    /// From a fresh checkpoint, so that every round writes its pages whole just as often.
    pub async fn start(place: &Place, admin: &mut PgConnection, database: &str) -> Outcome<Stopwatch> {
        execute(admin, "checkpoint").await?;
        if place.counts_statements {
            execute(admin, "select pg_stat_statements_reset()").await?;
        }
        let (wal, commits) = written(admin, database).await?;
        let (client, postgres) = (seconds_of(std::process::id()).0, postgres_seconds(place)?);
        Ok(Stopwatch { started: Instant::now(), wal, commits, client, postgres })
    }

    /// Time that has just passed and does not count.
    pub fn leave_out(&mut self, time: Duration) {
        self.started += time;
    }

    pub async fn stop(self, place: &Place, admin: &mut PgConnection, database: &str) -> Outcome<Cost> {
        let elapsed = self.started.elapsed();
        let (client, postgres) = (seconds_of(std::process::id()).0, postgres_seconds(place)?);
        // Backends report what they have done at most once a second.
        tokio::time::sleep(Duration::from_millis(1200)).await;
        let (wal, commits) = written(admin, database).await?;
        let statements = if place.counts_statements { Some(count(admin, database).await?) } else { None };
        Ok(Cost {
            elapsed,
            wal_bytes: wal - self.wal,
            commits: commits - self.commits,
            client: client - self.client,
            postgres: postgres - self.postgres,
            statements,
        })
    }
}

async fn written(admin: &mut PgConnection, database: &str) -> Outcome<(i64, i64)> {
    let sql =
        "select (pg_current_wal_insert_lsn() - '0/0')::bigint, xact_commit from pg_stat_database where datname = $1";
    let row = sqlx::query(sql).bind(database).fetch_one(admin).await?;
    Ok((row.get(0), row.get(1)))
}

async fn count(admin: &mut PgConnection, database: &str) -> Outcome<i64> {
    let sql = "select coalesce(sum(calls), 0)::bigint from pg_stat_statements
               where dbid = (select oid from pg_database where datname = $1)";
    Ok(sqlx::query_scalar(sql).bind(database).fetch_one(admin).await?)
}

/// The statements that took longest since the last stopwatch was started.
pub async fn costliest(admin: &mut PgConnection, database: &str, limit: i64) -> Outcome<Vec<Statement>> {
    let sql = "select query, calls, total_exec_time, wal_bytes::bigint from pg_stat_statements
               where dbid = (select oid from pg_database where datname = $1) order by total_exec_time desc limit $2";
    let rows = sqlx::query(sql).bind(database).bind(limit).fetch_all(admin).await?;
    let statement = |row: &sqlx::postgres::PgRow| Statement {
        text: row.get::<String, _>(0).split_whitespace().collect::<Vec<_>>().join(" "),
        calls: row.get(1),
        milliseconds: row.get(2),
        wal_bytes: row.get(3),
    };
    Ok(rows.iter().map(statement).collect())
}

/// Clock ticks in a second, as /proc counts: the same on every Linux.
const TICKS: f64 = 100.0;

/// Processor time of a process, and of its children that have ended.
pub fn seconds_of(process: u32) -> (f64, f64) {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields: Vec<f64> = fields(&text).map(|field| field.parse().unwrap_or(0.0)).collect();
    let sum = |from: usize| fields.get(from..from + 2).map_or(0.0, |two| two.iter().sum::<f64>() / TICKS);
    (sum(11), sum(13))
}

/// What follows the name of the program, which may itself hold spaces.
fn fields(stat: &str) -> impl Iterator<Item = &str> {
    stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace()
}

/// Processor time of the postmaster and all its children, living and ended.
pub fn postgres_seconds(place: &Place) -> Outcome<f64> {
    let postmaster = place.postmaster()?;
    let (own, ended) = seconds_of(postmaster);
    let mut total = own + ended;
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        if fields(&stat).nth(1).and_then(|parent| parent.parse().ok()) == Some(postmaster) {
            total += seconds_of(process).0;
        }
    }
    Ok(total)
}

/// Memory of a process in MB: now, and at its peak.
pub fn memory(process: u32) -> (f64, f64) {
    let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let values: HashMap<&str, f64> = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .filter_map(|(name, value)| Some((name, value.trim().strip_suffix(" kB")?.parse::<f64>().ok()? / 1024.0)))
        .collect();
    let of = |name: &str| values.get(name).copied().unwrap_or_default();
    (of("VmRSS"), of("VmHWM"))
}

/// Forgets this process's memory peak.
pub fn forget_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5"); // where it is not allowed, the peak is an upper bound
}

/// The middle one.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
