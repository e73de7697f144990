//! Tables that are partitioned by the id of an event, which is by time: made ahead, dropped after
//! retention.

use sqlx::{AssertSqlSafe, Connection as _, Row as _};

use super::{Connection, Fault};
use crate::billing::{Timestamp, event, id::lower_bound};

const DAY_SECONDS: i64 = 86_400;
/// Events can be listed for 30 days.
pub const RETENTION_SECONDS: i64 = 30 * DAY_SECONDS;

/// A table in slices of time.
struct Sliced {
    table: &'static str,
    slice_seconds: i64,
    keep_seconds: i64,
}

/// Makes the partitions of now and of the next two slices, and drops those that have outlived their
/// retention: of the events 30 days, of the log of deliveries so many.
pub async fn maintain(connection: &mut Connection, now: i64, log_days: i64) -> Result<(), Fault> {
    let events = Sliced { table: "events", slice_seconds: 7 * DAY_SECONDS, keep_seconds: RETENTION_SECONDS };
    let log = Sliced { table: "delivery_attempts", slice_seconds: DAY_SECONDS, keep_seconds: log_days * DAY_SECONDS };
    let mut outcome = Ok(());
    for sliced in [events, log] {
        let kept = sliced.drop_old(connection, now).await;
        outcome = outcome.and(kept).and(sliced.make_ahead(connection, now).await);
    }
    // What fell outside all slices: attempts on events that were sent again late, for example.
    sqlx::query("delete from delivery_attempts_other where started < $1")
        .bind(now - log_days * DAY_SECONDS)
        .execute(&mut *connection)
        .await?;
    sqlx::query("delete from events_other where id < $1")
        .bind(first_id(Timestamp::new(now - RETENTION_SECONDS)))
        .execute(connection)
        .await?;
    outcome
}

impl Sliced {
    /// A slice whose rows have come before it cannot be made any more; those after it can.
    async fn make_ahead(&self, connection: &mut Connection, now: i64) -> Result<(), Fault> {
        let current = now.div_euclid(self.slice_seconds);
        let mut outcome = Ok(());
        for slice in current..=current + 2 {
            let name = format!("{}_{slice}", self.table);
            let exists = "select to_regclass($1) is not null";
            if sqlx::query_scalar(exists).bind(&name).fetch_one(&mut *connection).await? {
                continue;
            }
            let bound = |slice: i64| first_id(Timestamp::new(slice * self.slice_seconds));
            let sql = format!(
                "create table if not exists {name} partition of {} for values from ('{}') to ('{}')",
                self.table,
                bound(slice),
                bound(slice + 1)
            );
            outcome = outcome.and(change(connection, sql).await);
        }
        outcome
    }

    async fn drop_old(&self, connection: &mut Connection, now: i64) -> Result<(), Fault> {
        let first_kept = (now - self.keep_seconds).div_euclid(self.slice_seconds);
        let names: Vec<String> = sqlx::query_scalar(
            "select c.relname::text from pg_inherits i join pg_class c on c.oid = i.inhrelid
             where i.inhparent = $1::regclass",
        )
        .bind(self.table)
        .fetch_all(&mut *connection)
        .await?;
        for name in names {
            let number = name.strip_prefix(self.table).and_then(|rest| rest.strip_prefix('_'));
            let slice: Option<i64> = number.and_then(|number| number.parse().ok());
            if slice.is_some_and(|slice| slice < first_kept) {
                change(connection, format!("drop table if exists {name}")).await?;
            }
        }
        Ok(())
    }
}

/// Changes a table that everybody uses: rather not now than with all others waiting behind it.
async fn change(connection: &mut Connection, sql: String) -> Result<(), Fault> {
    let mut tx = connection.begin().await?;
    sqlx::query("set local lock_timeout = '5s'").execute(&mut *tx).await?;
    sqlx::query(AssertSqlSafe(sql)).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(())
}

/// The lowest id that an event written at this time could have.
pub fn first_id(time: Timestamp) -> String {
    lower_bound(event::NOUN.prefix, time)
}

/// How many endpoints have yet to acknowledge each event.
pub async fn pending(connection: &mut Connection, events: &[String]) -> Result<Vec<(String, i64)>, Fault> {
    let rows = sqlx::query(
        "select d.event, count(*) as pending
         from events e join deliveries d on d.object = e.object and d.event = e.id
         where e.id = any($1) group by d.event",
    )
    .bind(events)
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.get("event"), row.get("pending"))).collect())
}
