//! Deliveries of events to endpoints: leased, sent, recorded.

use std::collections::HashSet;

use sqlx::Row as _;

use super::{Connection, Fault};

/// A delivery that is ours to make until its lease runs out.
#[derive(Debug)]
pub struct Lease {
    pub event: String,
    pub endpoint: String,
    /// This attempt's number, from 1. It fences: an attempt that comes back late records nothing.
    pub attempt: i32,
    pub created: i64,
    /// The event's bytes.
    pub body: String,
    /// The endpoint's document.
    pub endpoint_body: String,
}

/// Takes due deliveries: their due time moves beyond the lease, so nobody else takes them meanwhile and
/// a crash leaves them due again.
pub async fn lease(connection: &mut Connection, now: i64, leased_until: i64, limit: i64) -> Result<Vec<Lease>, Fault> {
    let rows = sqlx::query(
        "with due as (
             select event, endpoint, bucket from deliveries
             where due_at is not null and due_at <= $1 order by due_at limit $3 for update skip locked
         ), leased as (
             update deliveries d set due_at = $2, attempts = d.attempts + 1 from due
             where d.event = due.event and d.endpoint = due.endpoint and d.bucket = due.bucket
             returning d.event, d.endpoint, d.bucket, d.attempts, d.created
         )
         select l.event, l.endpoint, l.attempts, l.created, e.body, w.body as endpoint_body
         from leased l
         join events e on e.id = l.event and e.bucket = l.bucket
         join webhook_endpoints w on w.id = l.endpoint
         order by l.event",
    )
    .bind(now)
    .bind(leased_until)
    .bind(limit)
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Lease {
            event: row.get("event"),
            endpoint: row.get("endpoint"),
            attempt: row.get("attempts"),
            created: row.get("created"),
            body: row.get("body"),
            endpoint_body: row.get("endpoint_body"),
        })
        .collect())
}

/// How an attempt ended.
#[derive(Debug)]
pub enum Outcome {
    Delivered,
    /// Due again at this time.
    Again(i64),
    GivenUp,
}

/// Writes down how attempts ended: acknowledged deliveries are gone, the others due again or given up.
pub async fn record(connection: &mut Connection, outcomes: &[(Lease, Outcome)]) -> Result<(), Fault> {
    let select = |wanted: fn(&Outcome) -> bool| outcomes.iter().filter(move |(_, outcome)| wanted(outcome));
    let delivered = select(|outcome| matches!(outcome, Outcome::Delivered));
    let (events, endpoints, attempts) = keys(delivered.map(|(lease, _)| lease));
    if !events.is_empty() {
        sqlx::query(
            "delete from deliveries d using unnest($1::text[], $2::text[], $3::integer[]) x (event, endpoint, attempt)
             where d.event = x.event and d.endpoint = x.endpoint and d.attempts = x.attempt",
        )
        .bind(events)
        .bind(endpoints)
        .bind(attempts)
        .execute(&mut *connection)
        .await?;
    }
    let (events, endpoints, attempts) =
        keys(select(|outcome| !matches!(outcome, Outcome::Delivered)).map(|(lease, _)| lease));
    if !events.is_empty() {
        let due: Vec<Option<i64>> = select(|outcome| !matches!(outcome, Outcome::Delivered))
            .map(|(_, outcome)| if let Outcome::Again(at) = outcome { Some(*at) } else { None })
            .collect();
        sqlx::query(
            "update deliveries d set due_at = x.due_at, given_up = x.due_at is null
             from unnest($1::text[], $2::text[], $3::integer[], $4::bigint[]) x (event, endpoint, attempt, due_at)
             where d.event = x.event and d.endpoint = x.endpoint and d.attempts = x.attempt",
        )
        .bind(events)
        .bind(endpoints)
        .bind(attempts)
        .bind(due)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

fn keys<'a>(leases: impl Iterator<Item = &'a Lease>) -> (Vec<&'a str>, Vec<&'a str>, Vec<i32>) {
    let (mut events, mut endpoints, mut attempts) = (Vec::new(), Vec::new(), Vec::new());
    for lease in leases {
        events.push(lease.event.as_str());
        endpoints.push(lease.endpoint.as_str());
        attempts.push(lease.attempt);
    }
    (events, endpoints, attempts)
}

/// Which of these events an endpoint has not acknowledged.
pub async fn unacknowledged(connection: &mut Connection, events: &[&str]) -> Result<HashSet<String>, Fault> {
    let found: Vec<String> = sqlx::query_scalar("select event from deliveries where event = any($1)")
        .bind(events)
        .fetch_all(connection)
        .await?;
    Ok(found.into_iter().collect())
}

/// Deliveries to an endpoint that is disabled or deleted are stopped.
pub async fn stop(connection: &mut Connection, endpoint: &str) -> Result<(), Fault> {
    sqlx::query("delete from deliveries where endpoint = $1").bind(endpoint).execute(connection).await?;
    Ok(())
}

/// How many deliveries wait, and how many were given up.
pub async fn counts(connection: &mut Connection) -> Result<(i64, i64), Fault> {
    let row = sqlx::query("select count(*) filter (where not given_up) as waiting, count(*) filter (where given_up) as lost from deliveries")
        .fetch_one(connection)
        .await?;
    Ok((row.get("waiting"), row.get("lost")))
}
