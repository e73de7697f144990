//! Finding and claiming what is due. The agenda is a column; there is no queue to be stale.

use sqlx::{AssertSqlSafe, Row as _};

use super::{Connection, Fault};
use crate::billing::Id;

/// The nouns whose documents become due.
const TABLES: [&str; 3] = ["subscriptions", "invoices", "payment_intents"];

/// How many refusals in a row park a customer.
pub const PARKED_AFTER: i16 = 10;

/// Customers that were claimed: their rows are locked by this transaction.
#[derive(Debug, Default)]
pub struct Claim {
    pub customers: Vec<String>,
    /// The earliest due time seen: nothing earlier is left behind.
    pub earliest: Option<i64>,
    /// There may be more.
    pub more: bool,
}

/// Locks up to `limit` live customers of whom something is due at wall time, earliest first, skipping
/// those that somebody else is at. `from` is a watermark: a lower bound that spares the claim the dead
/// entries at the front of the index.
pub async fn claim(connection: &mut Connection, now: i64, from: i64, limit: i64) -> Result<Claim, Fault> {
    // The window is wider than the batch, so that a second worker finds what the first left.
    let window = limit.saturating_mul(2);
    let branches = TABLES.map(|table| {
        format!(
            "(select customer, due_at from {table}
              where due_at is not null and test_clock is null and due_at between $2 and $1 and customer is not null
              order by due_at limit $3)"
        )
    });
    let sql = format!(
        "with due as materialized (select customer, min(due_at) as due_at from ({}) u group by customer order by 2 limit $3)
         select c.id, (select min(due_at) from due) as earliest, (select count(*) from due) as found
         from customers c where c.id in (select customer from due) and not c.deleted
         order by c.id limit $4 for update skip locked",
        branches.join(" union all ")
    );
    let rows =
        sqlx::query(AssertSqlSafe(sql)).bind(now).bind(from).bind(window).bind(limit).fetch_all(connection).await?;
    let claimed = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    Ok(Claim {
        earliest: rows.first().and_then(|row| row.get("earliest")),
        more: rows.first().is_some_and(|row| row.get::<i64, _>("found") > claimed) || claimed == limit,
        customers: rows.into_iter().map(|row| row.get("id")).collect(),
    })
}

/// Locks up to `limit` customers on a test clock of whom something is due at the clock's time.
pub async fn claim_on_clock(
    connection: &mut Connection,
    clock: &str,
    horizon: i64,
    limit: i64,
) -> Result<Claim, Fault> {
    let branches = TABLES.map(|table| {
        format!("select customer from {table} where test_clock = $1 and due_at is not null and due_at <= $2 and customer is not null")
    });
    let sql = format!(
        "select id from customers where id in ({}) and not deleted order by id limit $3 for update",
        branches.join(" union ")
    );
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(clock).bind(horizon).bind(limit).fetch_all(connection).await?;
    Ok(Claim { customers: rows.into_iter().map(|row| row.get("id")).collect(), earliest: None, more: false })
}

/// Payment intents of nobody whose open attempt has been left alone too long.
pub async fn lost_guests(connection: &mut Connection, now: i64, limit: i64) -> Result<Vec<String>, Fault> {
    Ok(sqlx::query_scalar(
        "select id from payment_intents
         where due_at is not null and test_clock is null and due_at <= $1 and customer is null order by due_at limit $2",
    )
    .bind(now)
    .bind(limit)
    .fetch_all(connection)
    .await?)
}

/// Clocks that are advancing, and ready clocks on which something is due nonetheless: a crash or a
/// request that left an attempt open.
pub async fn busy_clocks(connection: &mut Connection) -> Result<Vec<String>, Fault> {
    let on_clock = TABLES
        .map(|table| format!("exists (select from {table} d where d.test_clock = t.id and d.due_at <= (t.body::json ->> 'frozen_time')::bigint)"));
    let sql = format!("select id from test_clocks t where due_at is not null or {} order by id", on_clock.join(" or "));
    Ok(sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(connection).await?)
}

/// How long the longest-waiting live thing has been due, in seconds.
pub async fn lag(connection: &mut Connection, now: i64) -> Result<i64, Fault> {
    let branches = TABLES.map(|table| {
        format!("(select due_at from {table} where due_at is not null and test_clock is null order by due_at limit 1)")
    });
    let sql = format!("select min(due_at) from ({}) u", branches.join(" union all "));
    let earliest: Option<i64> = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(connection).await?;
    Ok(earliest.map_or(0, |earliest| (now - earliest).max(0)))
}

/// A refusal pushes a customer's due things back; after [`PARKED_AFTER`] in a row they wait for a person.
pub async fn push_back(
    connection: &mut Connection,
    customer: &Id<crate::billing::customer::Customer>,
    now: i64,
    until: i64,
) -> Result<bool, Fault> {
    let refusals: Option<i16> =
        sqlx::query_scalar("update customers set refusals = refusals + 1 where id = $1 returning refusals")
            .bind(customer.as_str())
            .fetch_optional(&mut *connection)
            .await?;
    let parked = refusals.is_some_and(|refusals| refusals >= PARKED_AFTER);
    for table in TABLES {
        let sql = format!("update {table} set due_at = $3 where customer = $1 and due_at <= $2");
        sqlx::query(AssertSqlSafe(sql))
            .bind(customer.as_str())
            .bind(now)
            .bind((!parked).then_some(until))
            .execute(&mut *connection)
            .await?;
    }
    Ok(parked)
}
