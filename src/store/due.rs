//! Finding and claiming what is due. The agenda is a column; there is no queue to be stale.

use sqlx::{AssertSqlSafe, Row as _};

use super::{Connection, Fault};
use crate::billing::Id;

/// The nouns whose documents become due.
const TABLES: [&str; 3] = ["subscriptions", "invoices", "payment_intents"];

/// How many refusals in a row park a customer.
pub const PARKED_AFTER: i16 = 10;

/// A place in the agenda: what is due at one second is taken in the order of its customers.
#[derive(Clone, Debug, Default)]
pub struct Place {
    pub due_at: i64,
    pub customer: String,
}

/// Customers that were claimed: their rows are locked by this transaction.
#[derive(Debug, Default)]
pub struct Claim {
    pub customers: Vec<String>,
    /// The earliest place at which something was found due, whoever has it now; there is more to come.
    pub earliest: Option<Place>,
}

/// Locks up to `limit` live customers of whom something is due at wall time, earliest first, skipping
/// those that somebody else is at. `from` is a watermark: a lower bound that spares the claim the dead
/// entries at the front of the index.
pub async fn claim(connection: &mut Connection, now: i64, from: &Place, limit: i64) -> Result<Claim, Fault> {
    // Wider than the batch, so that the next worker mostly finds what the first left at once.
    let window = limit.saturating_mul(2);
    let mut from = from.clone();
    let mut earliest = None;
    loop {
        let due = due_from(connection, now, &from, window).await?;
        let Some(last) = due.last().cloned() else { return Ok(Claim::default()) };
        earliest = earliest.or_else(|| due.first().cloned());
        let mut ids: Vec<&str> = due.iter().map(|place| place.customer.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        let customers: Vec<String> = sqlx::query_scalar(
            "select id from customers where id = any($1) and not deleted order by id limit $2 for update skip locked",
        )
        .bind(&ids)
        .bind(limit)
        .fetch_all(&mut *connection)
        .await?;
        let is_all = i64::try_from(due.len()).unwrap_or(i64::MAX) < window;
        if is_all && customers.len() == ids.len() {
            earliest = None;
        }
        // A window that others hold whole is stepped over.
        if is_all || !customers.is_empty() {
            return Ok(Claim { customers, earliest });
        }
        from = last;
    }
}

/// The first places in the agenda from `from` on, by time, then by customer.
async fn due_from(connection: &mut Connection, now: i64, from: &Place, limit: i64) -> Result<Vec<Place>, Fault> {
    let branches = TABLES.map(|table| {
        format!(
            "(select due_at, customer from {table}
              where due_at is not null and test_clock is null and customer is not null
                and due_at <= $1 and (due_at, customer) >= ($2, $3)
              order by due_at, customer limit $4)"
        )
    });
    let sql = format!("{} order by due_at, customer limit $4", branches.join(" union all "));
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(now)
        .bind(from.due_at)
        .bind(&from.customer)
        .bind(limit)
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(|row| Place { due_at: row.get("due_at"), customer: row.get("customer") }).collect())
}

/// Locks up to `limit` customers on a test clock of whom something is due at the clock's time.
pub async fn claim_on_clock(
    connection: &mut Connection,
    clock: &str,
    horizon: i64,
    limit: i64,
) -> Result<Vec<String>, Fault> {
    let branches = TABLES.map(|table| {
        format!("select customer from {table} where test_clock = $1 and due_at is not null and due_at <= $2 and customer is not null")
    });
    let sql = format!(
        "select id from customers where id in ({}) and not deleted order by id limit $3 for update",
        branches.join(" union ")
    );
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(clock).bind(horizon).bind(limit).fetch_all(connection).await?;
    Ok(rows.into_iter().map(|row| row.get("id")).collect())
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

/// Clocks that are advancing or have come to their end, and ready clocks on which something is due
/// nonetheless: a crash or a request that left an attempt open.
pub async fn busy_clocks(connection: &mut Connection, now: i64) -> Result<Vec<String>, Fault> {
    let on_clock = TABLES
        .map(|table| format!("exists (select from {table} d where d.test_clock = t.id and d.due_at <= (t.body::json ->> 'frozen_time')::bigint)"));
    let sql = format!("select id from test_clocks t where due_at <= $1 or {} order by id", on_clock.join(" or "));
    Ok(sqlx::query_scalar(AssertSqlSafe(sql)).bind(now).fetch_all(connection).await?)
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
