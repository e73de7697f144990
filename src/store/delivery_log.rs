//! What is known of deliveries: those that wait, out of the queue; those that were acknowledged, out of
//! the log of attempts, for as long as it is kept. And sending them again.

use sqlx::{Postgres, QueryBuilder, Row as _, postgres::PgRow};

use super::{
    Connection, Fault,
    events::first_id,
    list::{Condition, Cursor},
};
use crate::billing::{Timestamp, delivery};

/// A delivery, and its last attempt.
#[derive(Debug)]
pub struct Delivery {
    pub event: String,
    pub endpoint: String,
    pub kind: String,
    /// The document that the event is about, and the event's number among those about it.
    pub object: String,
    pub sequence: i32,
    pub status: String,
    pub attempts: i32,
    pub next_attempt: Option<i64>,
    pub last: Option<Attempt>,
}

/// A line of the log.
#[derive(Debug)]
pub struct Attempt {
    pub number: i32,
    pub started: i64,
    pub milliseconds: i32,
    pub outcome: String,
    pub out_of_order: bool,
    pub url: String,
    pub signature: String,
    pub status: Option<i16>,
    pub response: Option<String>,
    pub error: Option<String>,
}

impl Attempt {
    fn of(row: &PgRow) -> Attempt {
        Attempt {
            number: row.get("attempt"),
            started: row.get("started"),
            milliseconds: row.get("milliseconds"),
            outcome: row.get("outcome"),
            out_of_order: row.get("out_of_order"),
            url: row.get("url"),
            signature: row.get("signature"),
            status: row.get("response_status"),
            response: row.get("response"),
            error: row.get("error"),
        }
    }
}

/// Which deliveries are wanted.
#[derive(Debug)]
pub struct Query<'a> {
    pub livemode: bool,
    pub conditions: &'a [Condition],
    pub cursor: Option<&'a Cursor>,
    pub limit: i64,
}

/// What waits; what is under way for the first time waits, too. The queue is short, the events are not:
/// it is never looked for from their side.
const QUEUED: &str = "
    select d.event, d.endpoint, d.bucket, d.attempts, case when d.leased then null else d.due_at end as next_attempt,
        case when d.given_up then 'given_up'
             when d.attempts > case when d.leased then 1 else 0 end then 'failed'
             else 'waiting' end as status
    from deliveries d join webhook_endpoints m on m.id = d.endpoint";

/// What was acknowledged and does not wait to be sent again.
const ACKNOWLEDGED: &str = "
    select distinct on (d.event, d.endpoint) d.event, d.endpoint, d.bucket, d.attempt, null::bigint, 'delivered'
    from delivery_attempts d join events m on m.id = d.event and m.bucket = d.bucket";

const OF_TYPE: &str = " and exists (select from events e where e.id = d.event and e.bucket = d.bucket and ";

/// The queue is in the order of the objects.
const IN_ITS_PLACE: &str = " and d.object = (select e.object from events e where e.id = ";

/// Deliveries, newest first, and one more than the limit if there is one; before a cursor the other way
/// round.
pub async fn list(connection: &mut Connection, query: &Query<'_>) -> Result<Vec<Delivery>, Fault> {
    let backwards = matches!(query.cursor, Some(Cursor::Before(_)));
    let way = if backwards { "asc" } else { "desc" };
    let mut sql = QueryBuilder::<Postgres>::new(
        "select x.*, e.object, e.sequence, e.type, a.attempt, a.started, a.milliseconds, a.outcome, a.out_of_order, a.url,
        a.signature, a.status as response_status, a.response, a.error from ((select * from (",
    );
    sql.push(QUEUED);
    push_conditions(&mut sql, query, false);
    sql.push(") q");
    for condition in query.conditions {
        if let Condition::Word("status", words) = condition {
            sql.push(" where q.status = any(").push_bind(*words).push(")");
        }
    }
    sql.push(format!(" order by event {way}, endpoint {way} limit ")).push_bind(query.limit + 1);
    sql.push(") union all (").push(ACKNOWLEDGED);
    push_conditions(&mut sql, query, true);
    sql.push(
        " and d.outcome = 'delivered' and not exists (
             select from deliveries w
             where w.object = m.object and w.event = d.event and w.endpoint = d.endpoint and w.bucket = d.bucket
         )",
    );
    sql.push(format!(" order by d.event {way}, d.endpoint {way}, d.started desc, d.attempt desc limit "))
        .push_bind(query.limit + 1);
    sql.push(
        ")) x join events e on e.id = x.event and e.bucket = x.bucket
         left join lateral (
             select * from delivery_attempts a where a.event = x.event and a.endpoint = x.endpoint
             order by a.started desc, a.attempt desc limit 1
         ) a on true",
    );
    sql.push(format!(" order by x.event {way}, x.endpoint {way} limit ")).push_bind(query.limit + 1);
    let rows = sql.build().fetch_all(connection).await?;
    Ok(rows
        .into_iter()
        .map(|row| Delivery {
            event: row.get("event"),
            endpoint: row.get("endpoint"),
            kind: row.get("type"),
            object: row.get("object"),
            sequence: row.get("sequence"),
            status: row.get("status"),
            attempts: row.get("attempts"),
            next_attempt: row.get("next_attempt"),
            last: row.get::<Option<i32>, _>("attempt").map(|_| Attempt::of(&row)),
        })
        .collect())
}

/// The time at which an event was written is in its id, so a time is an id to compare with.
fn push_conditions(sql: &mut QueryBuilder<Postgres>, query: &Query<'_>, is_log: bool) {
    sql.push(" where m.livemode = ").push_bind(query.livemode);
    for condition in query.conditions {
        match condition {
            Condition::Text("endpoint", value) => sql.push(" and d.endpoint = ").push_bind(value.clone()),
            Condition::Text("event", value) if is_log => sql.push(" and d.event = ").push_bind(value.clone()),
            Condition::Text("event", value) => {
                sql.push(IN_ITS_PLACE).push_bind(value.clone()).push(") and d.event = ").push_bind(value.clone())
            }
            Condition::Type(types) => sql.push(OF_TYPE).push("e.type = any(").push_bind(types.clone()).push("))"),
            Condition::Compare(_, comparison, seconds) => {
                let second = |seconds: i64| first_id(Timestamp::new(seconds));
                let (this, next) = (second(*seconds), second(seconds.saturating_add(1)));
                match *comparison {
                    ">" => sql.push(" and d.event >= ").push_bind(next),
                    ">=" => sql.push(" and d.event >= ").push_bind(this),
                    "<" => sql.push(" and d.event < ").push_bind(this),
                    "<=" => sql.push(" and d.event < ").push_bind(next),
                    _ => sql.push(" and d.event >= ").push_bind(this).push(" and d.event < ").push_bind(next),
                }
            }
            Condition::Word("status", words) if is_log => {
                sql.push(" and 'delivered' = any(").push_bind(*words).push(")")
            }
            _ => sql,
        };
    }
    if let Some(Cursor::After(id) | Cursor::Before(id)) = query.cursor {
        let (event, endpoint) = delivery::parts(id).unwrap_or_default();
        let comparison = if matches!(query.cursor, Some(Cursor::After(_))) { "<" } else { ">" };
        sql.push(format!(" and (d.event, d.endpoint) {comparison} ("));
        sql.push_bind(event).push(", ").push_bind(endpoint).push(")");
    }
}

/// One delivery.
pub async fn find(
    connection: &mut Connection,
    event: &str,
    endpoint: &str,
    livemode: bool,
) -> Result<Option<Delivery>, Fault> {
    let conditions = [Condition::Text("event", event.to_owned()), Condition::Text("endpoint", endpoint.to_owned())];
    let query = Query { livemode, conditions: &conditions, cursor: None, limit: 1 };
    Ok(list(connection, &query).await?.into_iter().next())
}

/// All attempts of a delivery that are remembered, newest first.
pub async fn attempts(connection: &mut Connection, event: &str, endpoint: &str) -> Result<Vec<Attempt>, Fault> {
    let rows = sqlx::query(
        "select *, status as response_status from delivery_attempts where event = $1 and endpoint = $2
         order by started desc, attempt desc limit 100",
    )
    .bind(event)
    .bind(endpoint)
    .fetch_all(connection)
    .await?;
    Ok(rows.iter().map(Attempt::of).collect())
}

/// Which events are sent again.
#[derive(Debug)]
pub struct Again<'a> {
    pub endpoint: &'a str,
    pub livemode: bool,
    /// The first event, and the last.
    pub from: &'a str,
    pub to: &'a str,
    /// What the endpoint wants to hear; nothing in particular means everything.
    pub types: Option<&'a [String]>,
    pub limit: i64,
}

/// Makes events due again, whether they were delivered, were given up or wait; what is under way stays.
/// Their counting of days begins anew. Returns how many events there were, and the last of them.
pub async fn resend(connection: &mut Connection, again: &Again<'_>, now: i64) -> Result<(i64, Option<String>), Fault> {
    let row = sqlx::query(
        "with page as (
             select e.id, e.bucket, e.object, e.sequence from events e
             where e.id >= $2 and e.id <= $3 and e.livemode = $4 and ($5::text[] is null or e.type = any($5))
             order by e.id limit $6
         ), written as (
             insert into deliveries (event, endpoint, bucket, object, sequence, created, due_at, attempts, again)
             select p.id, $1, p.bucket, p.object, p.sequence, $7, $7, coalesce(a.attempts, 0), true
             from page p left join lateral (
                 select max(attempt) as attempts from delivery_attempts a where a.event = p.id and a.endpoint = $1
             ) a on true
             on conflict (object, event, endpoint, bucket) do update set
                 created = excluded.created, due_at = excluded.due_at, given_up = false, leased = false
             where not (deliveries.leased and deliveries.due_at > $7)
         )
         select count(*) as events, max(id) as last from page",
    )
    .bind(again.endpoint)
    .bind(again.from)
    .bind(again.to)
    .bind(again.livemode)
    .bind(again.types)
    .bind(again.limit)
    .bind(now)
    .fetch_one(connection)
    .await?;
    Ok((row.get("events"), row.get("last")))
}

/// How many deliveries to an endpoint wait for their first attempt, failed, and were given up.
pub async fn counts(connection: &mut Connection, endpoint: &str) -> Result<(i64, i64, i64), Fault> {
    let row = sqlx::query(
        "select count(*) filter (where not given_up and attempts = 0) as waiting,
             count(*) filter (where not given_up and attempts > 0) as failed,
             count(*) filter (where given_up) as given_up
         from deliveries where endpoint = $1",
    )
    .bind(endpoint)
    .fetch_one(connection)
    .await?;
    Ok((row.get("waiting"), row.get("failed"), row.get("given_up")))
}
