//! The partitions of the events table: made ahead, dropped after retention.

use sqlx::{AssertSqlSafe, Row as _};

use super::{Connection, Fault};
use crate::billing::{Timestamp, event, id::lower_bound};

const WEEK_SECONDS: i64 = 7 * 86_400;
/// Events can be listed for 30 days.
pub const RETENTION_SECONDS: i64 = 30 * 86_400;

/// Makes the partitions of this week and the next two, and drops those that have outlived retention.
pub async fn maintain(connection: &mut Connection, now: i64) -> Result<(), Fault> {
    let this_week = now.div_euclid(WEEK_SECONDS);
    for week in this_week..=this_week + 2 {
        let bound = |week: i64| lower_bound(event::NOUN.prefix, Timestamp::new(week * WEEK_SECONDS));
        let name = format!("events_{week}");
        if exists(connection, &name).await? {
            continue;
        }
        let sql = format!(
            "create table if not exists {name} partition of events for values from ('{}') to ('{}')",
            bound(week),
            bound(week + 1)
        );
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *connection).await?;
    }
    let last_kept = (now - RETENTION_SECONDS).div_euclid(WEEK_SECONDS);
    let names: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid
         where i.inhparent = 'events'::regclass and c.relname ~ '^events_[0-9]+$'",
    )
    .fetch_all(&mut *connection)
    .await?;
    for name in names {
        let week: Option<i64> = name.strip_prefix("events_").and_then(|week| week.parse().ok());
        if week.is_some_and(|week| week < last_kept) {
            sqlx::query(AssertSqlSafe(format!("drop table if exists {name}"))).execute(&mut *connection).await?;
        }
    }
    Ok(())
}

async fn exists(connection: &mut Connection, table: &str) -> Result<bool, Fault> {
    Ok(sqlx::query_scalar("select to_regclass($1) is not null").bind(table).fetch_one(connection).await?)
}

/// How many endpoints have yet to acknowledge each event.
pub async fn pending(connection: &mut Connection, events: &[String]) -> Result<Vec<(String, i64)>, Fault> {
    let rows = sqlx::query("select event, count(*) as pending from deliveries where event = any($1) group by event")
        .bind(events)
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(|row| (row.get("event"), row.get("pending"))).collect())
}
