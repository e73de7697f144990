//! Finding and claiming what is due. The agenda is a column; there is no queue to be stale.

use sqlx::{AssertSqlSafe, Row as _, postgres::PgRow};

use super::{Connection, Fault};
use crate::billing::{
    Id, Timestamp,
    checkout::Session,
    customer::Customer,
    payment_intent::{self, PaymentIntent},
};

/// The nouns whose documents become due.
const TABLES: [&str; 5] =
    ["subscriptions", "invoices", "payment_intents", "subscription_schedules", "checkout_sessions"];
/// Those whose documents are always at hand with their customer.
const STANDING: [&str; 4] = ["subscriptions", "invoices", "payment_intents", "subscription_schedules"];

/// How many refusals in a row park a customer.
const PARKED_AFTER: i16 = 10;

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
    /// Those of them whose due things were refused the last time.
    pub refused: Vec<String>,
    /// The earliest place at which something was found due, whoever has it now; there is more to come.
    pub earliest: Option<Place>,
}

/// Locks up to `limit` customers of whom something is due at wall time, earliest first, skipping those that
/// somebody else is at. The payments of those that are deleted are finished, too. `from` is a watermark: a
/// lower bound that spares the claim the dead entries at the front of the index.
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
        let rows = sqlx::query(
            "select id, refusals > 0 as is_refused from customers where id = any($1)
             order by id limit $2 for update skip locked",
        )
        .bind(&ids)
        .bind(limit)
        .fetch_all(&mut *connection)
        .await?;
        let refused = rows.iter().filter(|row| row.get("is_refused")).map(|row| row.get("id")).collect();
        let customers: Vec<String> = rows.iter().map(|row| row.get("id")).collect();
        let is_all = i64::try_from(due.len()).unwrap_or(i64::MAX) < window;
        if is_all && customers.len() == ids.len() {
            earliest = None;
        }
        // A window that others hold whole is stepped over.
        if is_all || !customers.is_empty() {
            return Ok(Claim { customers, refused, earliest });
        }
        from = last;
    }
}

/// The first places in the agenda from `from` on, by time, then by customer.
async fn due_from(connection: &mut Connection, now: i64, from: &Place, limit: i64) -> Result<Vec<Place>, Fault> {
    let branches = STANDING.map(|table| {
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
) -> Result<Vec<OnClock>, Fault> {
    let branches = TABLES.map(|table| {
        format!("select customer from {table} where test_clock = $1 and due_at is not null and due_at <= $2 and customer is not null")
    });
    let sql = format!(
        "select id, array(select s.body from checkout_sessions s where s.customer = c.id and s.due_at <= $2) as sessions
         from customers c where id in ({}) order by id limit $3 for update",
        branches.join(" union ")
    );
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(clock).bind(horizon).bind(limit).fetch_all(connection).await?;
    let of = |row: &PgRow| -> Result<OnClock, Fault> {
        let bodies: Vec<String> = row.get("sessions");
        let sessions = bodies.iter().map(|body| serde_json::from_str(body)).collect::<Result<_, _>>()?;
        Ok(OnClock { customer: row.get("id"), sessions })
    };
    rows.iter().map(of).collect()
}

/// A customer on a test clock, and its sessions that have come to their end.
#[derive(Debug)]
pub struct OnClock {
    pub customer: String,
    pub sessions: Vec<Session>,
}

/// Sessions that have come to their end at wall time.
pub async fn sessions(connection: &mut Connection, now: i64, limit: i64) -> Result<Vec<Session>, Fault> {
    let bodies: Vec<String> = sqlx::query_scalar(
        "select body from checkout_sessions
         where due_at is not null and test_clock is null and due_at <= $1 order by due_at limit $2",
    )
    .bind(now)
    .bind(limit)
    .fetch_all(connection)
    .await?;
    Ok(bodies.iter().map(|body| serde_json::from_str(body)).collect::<Result<_, _>>()?)
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

/// A refusal pushes a customer's due things back; after [`PARKED_AFTER`] in a row they wait for a person, all but
/// its payments: money that is under way is asked about until something is heard of it. `counted`: why it was
/// refused, if that counts. Whether it is parked now.
pub async fn push_back(
    connection: &mut Connection,
    customer: &Id<Customer>,
    now: i64,
    until: i64,
    counted: Option<&str>,
) -> Result<bool, Fault> {
    let refusals: Option<i16> = sqlx::query_scalar(
        "update customers set refusals = least(refusals + 1, 1000), refused_because = $2
         where id = $1 and $2 is not null returning refusals",
    )
    .bind(customer.as_str())
    .bind(counted)
    .fetch_optional(&mut *connection)
    .await?;
    let parked = refusals.is_some_and(|refusals| refusals >= PARKED_AFTER);
    for table in TABLES {
        let stops = parked && table != payment_intent::NOUN.table;
        let sql = format!("update {table} set due_at = $3 where customer = $1 and due_at <= $2");
        sqlx::query(AssertSqlSafe(sql))
            .bind(customer.as_str())
            .bind(now)
            .bind((!stops).then_some(until))
            .execute(&mut *connection)
            .await?;
    }
    Ok(parked)
}

/// The same for a payment of nobody. It is never parked.
pub async fn push_back_guest(connection: &mut Connection, intent: &Id<PaymentIntent>, until: i64) -> Result<(), Fault> {
    sqlx::query("update payment_intents set due_at = $3 where id = $1 and bucket = $2")
        .bind(intent.as_str())
        .bind(intent.bucket().number())
        .bind(until)
        .execute(connection)
        .await?;
    Ok(())
}

/// The same for a session of nobody.
pub async fn push_back_visitor(connection: &mut Connection, session: &Id<Session>, until: i64) -> Result<(), Fault> {
    sqlx::query("update checkout_sessions set due_at = $3 where id = $1 and bucket = $2")
        .bind(session.as_str())
        .bind(session.bucket().number())
        .bind(until)
        .execute(connection)
        .await?;
    Ok(())
}

/// What is due of these customers waits for answers of the processor: it is not looked at before each of them
/// is due. Otherwise those who can only wait would stand in the way of all others.
pub async fn wait(connection: &mut Connection, waiting: &[(Timestamp, Id<Customer>)], now: i64) -> Result<(), Fault> {
    if waiting.is_empty() {
        return Ok(());
    }
    for table in STANDING {
        let sql = format!(
            "update {table} d set due_at = x.until from unnest($1::text[], $2::bigint[]) x (customer, until)
             where d.customer = x.customer and d.due_at <= $3"
        );
        sqlx::query(AssertSqlSafe(sql))
            .bind(waiting.iter().map(|(_, customer)| customer.as_str()).collect::<Vec<_>>())
            .bind(waiting.iter().map(|(until, _)| until.unix_seconds()).collect::<Vec<_>>())
            .bind(now)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Refusals are counted anew for these customers. How many had been refused.
pub async fn forgive(connection: &mut Connection, customers: &[&str]) -> Result<u64, Fault> {
    let forgiven =
        sqlx::query("update customers set refusals = 0, refused_because = null where id = any($1) and refusals > 0")
            .bind(customers)
            .execute(connection)
            .await?;
    Ok(forgiven.rows_affected())
}

/// A customer whose due things were refused too often, and why they were the last time.
#[derive(Debug)]
pub struct Parked {
    pub customer: String,
    pub reason: String,
}

/// The customers that are parked.
pub async fn parked(connection: &mut Connection) -> Result<Vec<Parked>, Fault> {
    let sql = format!(
        "select id, coalesce(refused_because, '') as reason from customers
         where refusals >= {PARKED_AFTER} and not deleted order by id"
    );
    let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(connection).await?;
    Ok(rows.into_iter().map(|row| Parked { customer: row.get("id"), reason: row.get("reason") }).collect())
}

/// How many they are.
pub async fn count_parked(connection: &mut Connection) -> Result<i64, Fault> {
    let sql = format!("select count(*) from customers where refusals >= {PARKED_AFTER} and not deleted");
    Ok(sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(connection).await?)
}
