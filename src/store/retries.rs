//! What was seen of retries: written line by line with the outcomes, gathered into counts by whoever keeps
//! the house, read as counts.

use sqlx::{Row as _, postgres::PgRow};

use super::{Connection, Fault};
use crate::billing::chance::{
    Circumstance, Count, Group, Statistics,
    circumstance::{Brand, Country, Funding},
};

/// What is counted together.
const STRETCH_SECONDS: i64 = 30 * 86_400;
/// What is older is forgotten: 13 stretches, a little more than a year.
const REMEMBERED: i64 = 13;
/// No more different circumstances than this are learned from; there are that many only where retries are
/// very many.
const MOST: i64 = 200_000;

/// Gathers up to `limit` outcomes into the counts, and says how many there were. Several processes may do
/// so at once: each takes outcomes of its own, and counts in the same order.
pub async fn gather(connection: &mut Connection, limit: i64) -> Result<u64, Fault> {
    let gathered: i64 = sqlx::query_scalar(
        "with chosen as (
             select invoice, attempt, bucket from retry_outcomes order by invoice, attempt limit $1 for update skip locked
         ), taken as (
             delete from retry_outcomes o using chosen c
             where o.invoice = c.invoice and o.attempt = c.attempt and o.bucket = c.bucket returning o.*
         ), counted as (
             insert into retry_statistics as s (
                 livemode, stretch, decline, funding, brand, country, hour, weekday, day, since, payday, retry,
                 attempts, recovered
             )
             select livemode, (created / $2)::integer as stretch, decline, funding, brand, country, hour, weekday, day,
                 since, payday, retry, count(*), count(*) filter (where recovered)
             from taken group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 order by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12
             on conflict (livemode, stretch, decline, funding, brand, country, hour, weekday, day, since, payday, retry)
             do update set attempts = s.attempts + excluded.attempts, recovered = s.recovered + excluded.recovered
         )
         select count(*) from taken",
    )
    .bind(limit)
    .bind(STRETCH_SECONDS)
    .fetch_one(connection)
    .await?;
    Ok(u64::try_from(gathered).unwrap_or(0))
}

/// Forgets what is too long ago to go by.
pub async fn forget(connection: &mut Connection, now: i64) -> Result<(), Fault> {
    sqlx::query("delete from retry_statistics where stretch < $1").bind(oldest(now)).execute(connection).await?;
    Ok(())
}

/// What all that was seen comes to. While it is the same, so are the counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    stretches: Option<(i32, i32)>,
    rows: i64,
    attempts: i64,
    recovered: i64,
}

pub async fn extent(connection: &mut Connection, now: i64) -> Result<Extent, Fault> {
    let row = sqlx::query(
        "select min(stretch) as first, max(stretch) as last, count(*) as rows,
             coalesce(sum(attempts), 0)::bigint as attempts, coalesce(sum(recovered), 0)::bigint as recovered
         from retry_statistics where stretch >= $1",
    )
    .bind(oldest(now))
    .fetch_one(connection)
    .await?;
    Ok(Extent {
        stretches: row.get::<Option<i32>, _>("first").zip(row.get("last")),
        rows: row.get("rows"),
        attempts: row.get("attempts"),
        recovered: row.get("recovered"),
    })
}

/// What was seen in a mode.
pub async fn statistics(connection: &mut Connection, livemode: bool, now: i64) -> Result<Statistics, Fault> {
    let rows = sqlx::query(
        "select decline, funding, brand, country, hour, weekday, day, since, payday, retry,
             sum(attempts)::bigint as attempts, sum(recovered)::bigint as recovered
         from retry_statistics where livemode = $1 and stretch >= $2
         group by decline, funding, brand, country, hour, weekday, day, since, payday, retry
         order by max(stretch) desc, sum(attempts) desc limit $3",
    )
    .bind(livemode)
    .bind(oldest(now))
    .bind(MOST)
    .fetch_all(connection)
    .await?;
    let mut statistics = Statistics::default();
    for row in &rows {
        let count = |name| u32::try_from(row.get::<i64, _>(name)).unwrap_or(0);
        if let Some(circumstance) = circumstance(row) {
            statistics.add(circumstance, Count { attempts: count("attempts"), recovered: count("recovered") });
        }
    }
    Ok(statistics)
}

fn oldest(now: i64) -> i32 {
    i32::try_from(now / STRETCH_SECONDS - REMEMBERED).unwrap_or(0)
}

/// Nothing where it is none that this version knows.
fn circumstance(row: &PgRow) -> Option<Circumstance> {
    let small = |name| u8::try_from(row.get::<i16, _>(name)).unwrap_or(u8::MAX);
    let circumstance = Circumstance {
        decline: Group::named(row.get("decline"))?,
        funding: Funding::named(row.get("funding")),
        brand: Brand::named(row.get("brand")),
        country: Country::named(row.get("country")),
        hour: small("hour"),
        weekday: small("weekday"),
        day: small("day"),
        since: small("since"),
        payday: row.get("payday"),
        retry: small("retry"),
    };
    circumstance.is_possible().then_some(circumstance)
}
