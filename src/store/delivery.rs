//! Deliveries of events to endpoints: leased, sent, recorded.
//!
//! A row waits until its event is acknowledged, and is gone then. To an endpoint that wants order, an
//! event is leased only when no earlier event of its object waits, together with those that follow it.

use sqlx::Row as _;

use super::{Connection, Fault, events};
use crate::billing::{Timestamp, hold::Hearing};

/// How much may be leased for an endpoint.
#[derive(Clone, Debug)]
pub struct Room {
    pub endpoint: String,
    pub deliveries: i32,
    pub ordered: bool,
}

/// How long an event waits for earlier ones of its object, from when it first had to.
pub const PATIENCE_SECONDS: i64 = 3600;

/// A delivery that is ours to make until its lease runs out.
#[derive(Clone, Debug)]
pub struct Lease {
    pub object: String,
    pub event: String,
    pub endpoint: String,
    pub bucket: i16,
    /// The event's number among those of its object.
    pub sequence: i32,
    /// This attempt's number, from 1. It fences: an attempt that comes back late changes nothing.
    pub attempt: i32,
    pub created: i64,
    /// Until when it may have to wait for earlier events of the object, if it had to.
    pub waits_until: Option<i64>,
    /// An earlier event of the object has yet to be delivered, but was waited for long enough.
    pub out_of_order: bool,
    /// The event's bytes.
    pub body: String,
}

/// What a look at the queue found.
#[derive(Debug, Default)]
pub struct Leased {
    /// By endpoint and object, in the order of the events.
    pub leases: Vec<Lease>,
    /// How many were due, those included that have to wait for others.
    pub due: usize,
}

/// Takes up to `limit` due deliveries, no more for an endpoint than there is room: their due time moves
/// beyond the lease, so nobody else takes them meanwhile and a crash leaves them due again. What has to
/// wait for an earlier event of its object is due again when that one is, or when it has waited enough.
pub async fn lease(
    connection: &mut Connection,
    rooms: &[Room],
    now: i64,
    leased_until: i64,
    limit: usize,
) -> Result<Leased, Fault> {
    let rows = sqlx::query(
        "with front as materialized (
             select d.*, room.ordered
             from unnest($1::text[], $2::integer[], $3::boolean[]) room (endpoint, deliveries, ordered)
             cross join lateral (
                 select d.object, d.event, d.endpoint, d.bucket, d.sequence, d.waits_until from deliveries d
                 where d.endpoint = room.endpoint and d.due_at <= $4
                 -- as the index has them: within a second in the order of writing, near enough
                 order by d.due_at limit room.deliveries for update skip locked
             ) d
             limit $5
         ), placed as (
             select front.*, rank() over (partition by endpoint, object order by sequence) - 1 as ahead from front
         ), judged as (
             -- more before it than are taken together with it: somebody else stands in the way
             select placed.*, before.until, before.events > placed.ahead as blocked,
                 before.events > placed.ahead and coalesce(placed.waits_until > $4, true) as waits
             from placed cross join lateral (
                 -- who is at it now may be done at any moment; what failed is tried when it is due
                 select count(*) as events,
                     max(case when e.leased and e.due_at > $4 then $4 + 1 else greatest(e.due_at, $4) end) as until
                 from deliveries e
                 where placed.ordered and e.object = placed.object and e.bucket = placed.bucket
                     and e.endpoint = placed.endpoint and e.sequence < placed.sequence and e.due_at is not null
             ) before
         ), leased as (
             update deliveries d set
                 due_at = case when j.waits then least(j.until, coalesce(d.waits_until, $7)) else $6 end,
                 waits_until = case when j.waits then coalesce(d.waits_until, $7) else d.waits_until end,
                 leased = not j.waits,
                 attempts = d.attempts + case when j.waits then 0 else 1 end
             from judged j
             where d.object = j.object and d.event = j.event and d.endpoint = j.endpoint and d.bucket = j.bucket
             returning d.object, d.event, d.endpoint, d.bucket, d.sequence, d.attempts, d.created, d.leased,
                 d.waits_until, j.blocked as out_of_order
         )
         select l.*, coalesce(e.body, '') as body
         from leased l left join events e on e.id = l.event and e.bucket = l.bucket and l.leased
         order by l.endpoint, l.object, l.sequence, l.event",
    )
    .bind(rooms.iter().map(|room| room.endpoint.as_str()).collect::<Vec<_>>())
    .bind(rooms.iter().map(|room| room.deliveries).collect::<Vec<_>>())
    .bind(rooms.iter().map(|room| room.ordered).collect::<Vec<_>>())
    .bind(now)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .bind(leased_until)
    .bind(now + PATIENCE_SECONDS)
    .fetch_all(connection)
    .await?;
    let due = rows.len();
    let leases = rows
        .into_iter()
        .filter(|row| row.get("leased"))
        .map(|row| Lease {
            object: row.get("object"),
            event: row.get("event"),
            endpoint: row.get("endpoint"),
            bucket: row.get("bucket"),
            sequence: row.get("sequence"),
            attempt: row.get("attempts"),
            created: row.get("created"),
            waits_until: row.get("waits_until"),
            out_of_order: row.get("out_of_order"),
            body: row.get("body"),
        })
        .collect();
    Ok(Leased { leases, due })
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Delivered,
    /// Due again at this time.
    Failed(i64),
    GivenUp,
    /// Not tried after all; due at this time.
    Unsent(i64),
}

impl Outcome {
    pub const fn word(self) -> &'static str {
        match self {
            Outcome::Delivered => "delivered",
            Outcome::Failed(_) => "failed",
            Outcome::GivenUp => "given_up",
            Outcome::Unsent(_) => "unsent",
        }
    }

    const fn due_at(self) -> Option<i64> {
        match self {
            Outcome::Failed(due_at) | Outcome::Unsent(due_at) => Some(due_at),
            Outcome::Delivered | Outcome::GivenUp => None,
        }
    }
}

/// What went out and what came back.
#[derive(Clone, Debug, Default)]
pub struct Exchange {
    pub started: i64,
    pub milliseconds: i32,
    pub url: String,
    pub signature: String,
    pub status: Option<i16>,
    /// The beginning of the answer's body.
    pub response: Option<String>,
    /// Why there was no answer.
    pub error: Option<String>,
}

/// A lease that has ended.
#[derive(Clone, Debug)]
pub struct Done {
    pub lease: Lease,
    pub outcome: Outcome,
    pub exchange: Exchange,
}

/// Writes down how attempts ended, and the log of them: acknowledged deliveries are gone, the others due
/// again or given up; what had to wait for one that is out of the way is due at once.
pub async fn record(connection: &mut Connection, done: &[Done], now: i64) -> Result<(), Fault> {
    if done.is_empty() {
        return Ok(());
    }
    let leases = || done.iter().map(|done| &done.lease);
    let exchanges = || done.iter().map(|done| &done.exchange);
    sqlx::query(
        "with done as materialized (
             select * from unnest(
                 $1::text[], $2::text[], $3::text[], $4::smallint[], $5::integer[], $6::integer[], $7::boolean[],
                 $8::text[], $9::bigint[], $10::bigint[], $11::integer[], $12::text[], $13::text[], $14::smallint[],
                 $15::text[], $16::text[]
             ) x (object, event, endpoint, bucket, sequence, attempt, out_of_order, outcome, due_at, started,
                  milliseconds, url, signature, status, response, error)
         ), acknowledged as (
             delete from deliveries d using done x
             where x.outcome = 'delivered' and d.attempts = x.attempt
                 and d.object = x.object and d.event = x.event and d.endpoint = x.endpoint and d.bucket = x.bucket
         ), kept as (
             update deliveries d set
                 due_at = x.due_at,
                 leased = false,
                 given_up = x.outcome = 'given_up',
                 attempts = d.attempts - case when x.outcome = 'unsent' then 1 else 0 end,
                 waits_until = case when x.outcome = 'unsent' then coalesce(d.waits_until, $18) else d.waits_until end
             from done x
             where x.outcome <> 'delivered' and d.attempts = x.attempt
                 and d.object = x.object and d.event = x.event and d.endpoint = x.endpoint and d.bucket = x.bucket
         ), woken as (
             update deliveries d set due_at = $17
             from (select object, endpoint, bucket, min(sequence) as sequence from done
                   where outcome in ('delivered', 'given_up') group by object, endpoint, bucket) x
             where d.object = x.object and d.endpoint = x.endpoint and d.bucket = x.bucket
                 and d.sequence > x.sequence and d.due_at > $17 and d.attempts = 0 and not d.leased
         )
         insert into delivery_attempts (event, endpoint, bucket, attempt, started, milliseconds, outcome, out_of_order,
                                        url, signature, status, response, error)
         select event, endpoint, bucket, attempt, started, milliseconds, outcome, out_of_order, url, signature, status,
             response, error
         from done x where outcome <> 'unsent'
             -- what is recorded again, because nobody could say whether it was, is logged once
             and not exists (
                 select from delivery_attempts a
                 where a.event = x.event and a.endpoint = x.endpoint and a.attempt = x.attempt
                     and a.started = x.started and a.milliseconds = x.milliseconds
             )",
    )
    .bind(leases().map(|lease| lease.object.as_str()).collect::<Vec<_>>())
    .bind(leases().map(|lease| lease.event.as_str()).collect::<Vec<_>>())
    .bind(leases().map(|lease| lease.endpoint.as_str()).collect::<Vec<_>>())
    .bind(leases().map(|lease| lease.bucket).collect::<Vec<_>>())
    .bind(leases().map(|lease| lease.sequence).collect::<Vec<_>>())
    .bind(leases().map(|lease| lease.attempt).collect::<Vec<_>>())
    .bind(leases().map(|lease| lease.out_of_order).collect::<Vec<_>>())
    .bind(done.iter().map(|done| done.outcome.word()).collect::<Vec<_>>())
    .bind(done.iter().map(|done| done.outcome.due_at()).collect::<Vec<_>>())
    .bind(exchanges().map(|exchange| exchange.started).collect::<Vec<_>>())
    .bind(exchanges().map(|exchange| exchange.milliseconds).collect::<Vec<_>>())
    .bind(exchanges().map(|exchange| exchange.url.as_str()).collect::<Vec<_>>())
    .bind(exchanges().map(|exchange| exchange.signature.as_str()).collect::<Vec<_>>())
    .bind(exchanges().map(|exchange| exchange.status).collect::<Vec<_>>())
    .bind(exchanges().map(|exchange| exchange.response.as_deref()).collect::<Vec<_>>())
    .bind(exchanges().map(|exchange| exchange.error.as_deref()).collect::<Vec<_>>())
    .bind(now)
    .bind(now + PATIENCE_SECONDS)
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether these events were acknowledged. An endpoint has not if it is still to hear of one, or if that
/// was given up; nobody waits for one that is disabled, nor for what is merely sent again.
pub async fn hearing(connection: &mut Connection, events: &[&str]) -> Result<Hearing, Fault> {
    let rows = sqlx::query(
        "select d.event, null::bigint as heard from events e join deliveries d on d.object = e.object and d.event = e.id
         where e.id = any($1) and not d.again
             and (d.given_up or exists (select from webhook_endpoints w where w.id = d.endpoint and w.enabled))
         union
         select event, max(heard) from (
             select event, min(started) as heard from delivery_attempts
             where event = any($1) and outcome = 'delivered' group by event, endpoint
         ) x group by event",
    )
    .bind(events)
    .fetch_all(connection)
    .await?;
    let mut hearing = Hearing::default();
    for row in rows {
        let event: String = row.get("event");
        match row.get::<Option<i64>, _>("heard") {
            Some(time) => drop(hearing.heard.insert(event, Timestamp::new(time))),
            None => drop(hearing.unheard.insert(event)),
        }
    }
    Ok(hearing)
}

/// Deliveries to an endpoint that is deleted are stopped.
pub async fn stop(connection: &mut Connection, endpoint: &str) -> Result<(), Fault> {
    sqlx::query("delete from deliveries where endpoint = $1").bind(endpoint).execute(connection).await?;
    Ok(())
}

/// The documents of all endpoints that are enabled.
pub async fn endpoints(connection: &mut Connection) -> Result<Vec<String>, Fault> {
    Ok(sqlx::query_scalar("select body from webhook_endpoints where enabled order by id").fetch_all(connection).await?)
}

/// How long an event is tried before it is given up.
pub const GIVE_UP_SECONDS: i64 = 3 * 86_400;

/// Tidies up: gives up what has waited too long (behind an open circuit, or for a disabled endpoint),
/// forgets what was given up when its event is forgotten, and what nobody is there to hear.
pub async fn sweep(connection: &mut Connection, now: i64) -> Result<(), Fault> {
    sqlx::query("delete from deliveries d where not exists (select from webhook_endpoints w where w.id = d.endpoint)")
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "update deliveries set due_at = null, given_up = true, leased = false
         where due_at is not null and created < $2 and not (leased and due_at > $1)",
    )
    .bind(now)
    .bind(now - GIVE_UP_SECONDS)
    .execute(&mut *connection)
    .await?;
    sqlx::query("delete from deliveries where given_up and event < $1")
        .bind(events::first_id(Timestamp::new(now - events::RETENTION_SECONDS)))
        .execute(connection)
        .await?;
    Ok(())
}

/// How many deliveries wait, and how many were given up.
pub async fn counts(connection: &mut Connection) -> Result<(i64, i64), Fault> {
    let row = sqlx::query("select count(*) filter (where not given_up) as waiting, count(*) filter (where given_up) as lost from deliveries")
        .fetch_one(connection)
        .await?;
    Ok((row.get("waiting"), row.get("lost")))
}
