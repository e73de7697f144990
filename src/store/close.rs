//! Closing books: all that changed in one statement, whatever the size. Every statement costs a round
//! trip and the time to start it, which for one customer is most of what writing costs.

use std::sync::Arc;

use sqlx::{
    Arguments as _, AssertSqlSafe, Encode, Postgres, Type,
    postgres::{PgArguments, PgHasArrayType},
};

use super::{
    Connection, Fault, Tx,
    books::SEAL,
    idempotency::{Entry, State},
};
use crate::billing::{
    Noun, Timestamp,
    books::{Changes, Learned, Row},
    id::Bucket,
    noun::{Cell, Kind, Part},
};

/// An event to be written.
pub struct EventRow {
    pub id: String,
    pub livemode: bool,
    pub created: i64,
    pub kind: &'static str,
    /// The document that it is about, and its number among the events about it.
    pub object: String,
    pub sequence: i32,
    pub body: String,
}

/// A delivery to be written: due at once.
pub struct DeliveryRow {
    pub event: String,
    pub endpoint: String,
    pub object: String,
    pub sequence: i32,
    pub due_at: i64,
}

/// What is written beside the documents.
#[derive(Default)]
pub struct Beside {
    pub events: Vec<EventRow>,
    pub deliveries: Vec<DeliveryRow>,
    pub learned: Vec<Learned>,
    /// Nothing is written if this is no longer the seal of who listens, and of the settings.
    pub seal: Option<Arc<str>>,
}

/// Writes all that changed, and the receipt of whoever asked for it. What takes more than one statement
/// begins a transaction, if none is open.
pub async fn close(
    tx: &mut Tx,
    changes: &[Changes],
    beside: &Beside,
    receipt: Option<&Entry<'_>>,
) -> Result<(), Fault> {
    if changes.iter().any(|change| !change.removed.is_empty() || stale_parts(change).next().is_some()) {
        tx.begin().await?;
    }
    remove_parts(tx, changes).await?;
    let mut statement = Statement::default();
    for change in changes {
        insert(&mut statement, change.noun, &change.inserted)?;
        update(&mut statement, change.noun, &change.updated)?;
    }
    insert_parts(&mut statement, changes)?;
    insert_events(&mut statement, &beside.events)?;
    insert_deliveries(&mut statement, &beside.deliveries)?;
    insert_outcomes(&mut statement, &beside.learned)?;
    if let Some(receipt) = receipt {
        put_receipt(&mut statement, receipt)?;
    }
    if let Some(seal) = &beside.seal {
        let known = statement.column("text", [&**seal])?;
        // There is no other way to fail than by an error.
        statement.changes.push(format!("select 1 / (case when {} = {known} then 1 else 0 end)", *SEAL));
    }
    statement.execute(tx).await?;
    for change in changes {
        remove(tx, change.noun, &change.removed).await?;
    }
    Ok(())
}

/// Writes a receipt whose answer could not be put into words before all else was written.
pub async fn close_receipt(tx: &mut Tx, receipt: &Entry<'_>) -> Result<(), Fault> {
    let mut statement = Statement::default();
    put_receipt(&mut statement, receipt)?;
    statement.execute(tx).await
}

/// Bound columns as a relation, whose columns are named so.
fn relation(names: &str, words: &[String], rows: usize) -> String {
    let words = words.join(", ");
    if rows == 1 { format!("(values ({words})) x ({names})") } else { format!("unnest({words}) x ({names})") }
}

/// Changes of several tables that are made by one statement.
#[derive(Default)]
struct Statement {
    changes: Vec<String>,
    arguments: PgArguments,
    bound: usize,
}

impl Statement {
    /// Binds a column of values, and answers the words for it: of several rows an array, of one row the
    /// value itself. To unnest an array takes Postgres fifty times as long as to take a value.
    fn column<'q, T>(&mut self, kind: &str, values: impl IntoIterator<Item = T>) -> Result<String, Fault>
    where
        Vec<T>: Encode<'q, Postgres> + Type<Postgres>,
        T: Encode<'q, Postgres> + Type<Postgres> + PgHasArrayType + 'q,
    {
        let mut values: Vec<T> = values.into_iter().collect();
        self.bound += 1;
        let (bound, words) = if values.len() == 1 {
            (self.arguments.add(values.remove(0)), format!("${}::{kind}", self.bound))
        } else {
            (self.arguments.add(values), format!("${}::{kind}[]", self.bound))
        };
        bound.map_err(sqlx::Error::Encode)?;
        Ok(words)
    }

    async fn execute(mut self, tx: &mut Tx) -> Result<(), Fault> {
        let Some(last) = self.changes.pop() else { return Ok(()) };
        let others: Vec<String> =
            self.changes.iter().enumerate().map(|(place, change)| format!("change_{place} as ({change})")).collect();
        let sql = if others.is_empty() { last } else { format!("with {} {last}", others.join(", ")) };
        let written = sqlx::query_with(AssertSqlSafe(sql), self.arguments).execute(&mut **tx).await;
        match written {
            Ok(_) => Ok(()),
            Err(error) if tx.commits_each() => Err(Fault::of_commit(error)),
            Err(error) => Err(error.into()),
        }
    }
}

fn insert(statement: &mut Statement, noun: &Noun, rows: &[Row]) -> Result<(), Fault> {
    if rows.is_empty() {
        return Ok(());
    }
    let (names, words) = columns(statement, noun, rows, true)?;
    let names = names.join(", ");
    let rows = relation(&names, &words, rows.len());
    statement.changes.push(format!("insert into {} ({names}) select * from {rows}", noun.table));
    Ok(())
}

fn update(statement: &mut Statement, noun: &Noun, rows: &[Row]) -> Result<(), Fault> {
    if rows.is_empty() {
        return Ok(());
    }
    let (names, words) = columns(statement, noun, rows, false)?;
    let key = if noun.is_owned() { "t.id = x.id and t.bucket = x.bucket" } else { "t.id = x.id" };
    let assignments: Vec<String> = names
        .iter()
        .filter(|name| !matches!(**name, "id" | "bucket"))
        .map(|name| format!("{name} = x.{name}"))
        .collect();
    statement.changes.push(format!(
        "update {} t set {} from {} where {key}",
        noun.table,
        assignments.join(", "),
        relation(&names.join(", "), &words, rows.len())
    ));
    Ok(())
}

/// The columns of a noun's rows: their names, and the words for what they hold.
fn columns(
    statement: &mut Statement,
    noun: &Noun,
    rows: &[Row],
    is_new: bool,
) -> Result<(Vec<&'static str>, Vec<String>), Fault> {
    let mut columns = vec![("id", statement.column("text", rows.iter().map(|row| row.id.as_str()))?)];
    if noun.is_owned() {
        columns.push(("bucket", statement.column("smallint", rows.iter().map(|row| row.bucket.number()))?));
    }
    if is_new {
        columns.push(("livemode", statement.column("boolean", rows.iter().map(|row| row.livemode))?));
        columns.push(("created", statement.column("bigint", rows.iter().map(|row| row.created.unix_seconds()))?));
    }
    let due = rows.iter().map(|row| row.due.map(Timestamp::unix_seconds));
    columns.push(("due_at", statement.column("bigint", due)?));
    columns.push(("told", statement.column("integer", rows.iter().map(|row| row.told))?));
    for (place, column) in noun.columns.iter().enumerate() {
        let cells = rows.iter().map(|row| row.cells.get(place));
        let words = match column.kind {
            Kind::Text => statement.column("text", cells.map(|cell| cell.and_then(Cell::as_text)))?,
            Kind::Integer => statement.column("bigint", cells.map(|cell| cell.and_then(Cell::as_integer)))?,
            Kind::Boolean => statement.column("boolean", cells.map(|cell| cell.and_then(Cell::as_boolean)))?,
            Kind::Json => statement.column("jsonb", cells.map(|cell| cell.and_then(Cell::as_json)))?,
        };
        columns.push((column.name, words));
    }
    columns.push(("body", statement.column("text", rows.iter().map(|row| row.body.as_str()))?));
    Ok(columns.into_iter().unzip())
}

fn insert_events(statement: &mut Statement, events: &[EventRow]) -> Result<(), Fault> {
    if events.is_empty() {
        return Ok(());
    }
    let columns = [
        statement.column("text", events.iter().map(|event| event.id.as_str()))?,
        statement.column("smallint", events.iter().map(|event| Bucket::of(&event.id).number()))?,
        statement.column("boolean", events.iter().map(|event| event.livemode))?,
        statement.column("bigint", events.iter().map(|event| event.created))?,
        statement.column("text", events.iter().map(|event| event.kind))?,
        statement.column("text", events.iter().map(|event| event.object.as_str()))?,
        statement.column("integer", events.iter().map(|event| event.sequence))?,
        statement.column("text", events.iter().map(|event| event.body.as_str()))?,
    ];
    let names = "id, bucket, livemode, created, type, object, sequence, body";
    let rows = relation(names, &columns, events.len());
    statement.changes.push(format!("insert into events ({names}) select * from {rows}"));
    Ok(())
}

fn insert_deliveries(statement: &mut Statement, deliveries: &[DeliveryRow]) -> Result<(), Fault> {
    if deliveries.is_empty() {
        return Ok(());
    }
    let columns = [
        statement.column("text", deliveries.iter().map(|delivery| delivery.event.as_str()))?,
        statement.column("text", deliveries.iter().map(|delivery| delivery.endpoint.as_str()))?,
        statement.column("smallint", deliveries.iter().map(|delivery| Bucket::of(&delivery.event).number()))?,
        statement.column("text", deliveries.iter().map(|delivery| delivery.object.as_str()))?,
        statement.column("integer", deliveries.iter().map(|delivery| delivery.sequence))?,
        statement.column("bigint", deliveries.iter().map(|delivery| delivery.due_at))?,
    ];
    statement.changes.push(format!(
        "insert into deliveries (event, endpoint, bucket, object, sequence, created, due_at)
         select event, endpoint, bucket, object, sequence, due_at, due_at from {}",
        relation("event, endpoint, bucket, object, sequence, due_at", &columns, deliveries.len())
    ));
    Ok(())
}

/// How retries ended. There are none where all is well.
fn insert_outcomes(statement: &mut Statement, learned: &[Learned]) -> Result<(), Fault> {
    if learned.is_empty() {
        return Ok(());
    }
    let seen = || learned.iter().map(|one| one.outcome.circumstance);
    let columns = [
        ("invoice", statement.column("text", learned.iter().map(|one| one.invoice.as_str()))?),
        ("attempt", statement.column("bigint", learned.iter().map(|one| one.attempt))?),
        ("bucket", statement.column("smallint", learned.iter().map(|one| one.invoice.bucket().number()))?),
        ("livemode", statement.column("boolean", learned.iter().map(|one| one.livemode))?),
        ("created", statement.column("bigint", learned.iter().map(|one| one.outcome.at.unix_seconds()))?),
        ("decline", statement.column("text", seen().map(|seen| seen.decline.word()))?),
        ("funding", statement.column("text", seen().map(|seen| seen.funding.word()))?),
        ("brand", statement.column("text", seen().map(|seen| seen.brand.word()))?),
        ("country", statement.column("text", seen().map(|seen| seen.country.letters().to_owned()))?),
        ("hour", statement.column("smallint", seen().map(|seen| i16::from(seen.hour)))?),
        ("weekday", statement.column("smallint", seen().map(|seen| i16::from(seen.weekday)))?),
        ("day", statement.column("smallint", seen().map(|seen| i16::from(seen.day)))?),
        ("since", statement.column("smallint", seen().map(|seen| i16::from(seen.since)))?),
        ("payday", statement.column("boolean", seen().map(|seen| seen.payday))?),
        ("retry", statement.column("smallint", seen().map(|seen| i16::from(seen.retry)))?),
        ("recovered", statement.column("boolean", learned.iter().map(|one| one.outcome.recovered))?),
    ];
    let (names, words): (Vec<&str>, Vec<String>) = columns.into_iter().unzip();
    let names = names.join(", ");
    let rows = relation(&names, &words, learned.len());
    let change = format!("insert into retry_outcomes ({names}) select * from {rows} on conflict do nothing");
    statement.changes.push(change);
    Ok(())
}

/// A twin that was first makes the whole statement fail.
fn put_receipt(statement: &mut Statement, receipt: &Entry<'_>) -> Result<(), Fault> {
    let mut columns = vec![
        ("livemode", statement.column("boolean", [receipt.key.livemode])?),
        ("key", statement.column("text", [receipt.key.text])?),
        ("fingerprint", statement.column("bytea", [receipt.key.fingerprint])?),
        ("request", statement.column("text", [receipt.request])?),
    ];
    if let State::UnderWay { subject, leased_until } = receipt.state {
        columns.push(("subject", statement.column("text", [subject])?));
        columns.push(("leased_until", statement.column("bigint", [leased_until])?));
    }
    if let State::Answered { status, body } | State::Settled { status, body } = receipt.state {
        columns.push(("status", statement.column("smallint", [status.cast_signed()])?));
        columns.push(("body", statement.column("text", [body])?));
    }
    let is_known = matches!(receipt.state, State::Settled { .. });
    if !is_known {
        columns.push(("created", statement.column("bigint", [receipt.now])?));
    }
    let (names, words): (Vec<&str>, Vec<String>) = columns.into_iter().unzip();
    let names = names.join(", ");
    let row = relation(&names, &words, 1);
    statement.changes.push(if is_known {
        format!(
            "update idempotency_keys k set status = x.status, body = x.body, leased_until = null
             from {row}
             where k.livemode = x.livemode and k.key = x.key and k.fingerprint = x.fingerprint
                 and k.request = x.request and k.status is null"
        )
    } else {
        format!("insert into idempotency_keys ({names}) select * from {row}")
    });
    Ok(())
}

async fn remove(connection: &mut Connection, noun: &Noun, rows: &[Row]) -> Result<(), Fault> {
    if rows.is_empty() {
        return Ok(());
    }
    let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    if noun.leaves_stub {
        let stub = |id: &&str| serde_json::json!({"id": id, "object": noun.object, "deleted": true}).to_string();
        let stubs: Vec<String> = ids.iter().map(stub).collect();
        let sql = format!(
            "update {} t set deleted = true, due_at = null, body = x.body from unnest($1::text[], $2::text[]) x (id, body) where t.id = x.id",
            noun.table
        );
        sqlx::query(AssertSqlSafe(sql)).bind(&ids).bind(&stubs).execute(connection).await?;
    } else {
        let sql = format!("delete from {} where id = any($1)", noun.table);
        sqlx::query(AssertSqlSafe(sql)).bind(&ids).execute(connection).await?;
    }
    Ok(())
}

/// The documents whose parts have changed: they are written anew.
fn stale_parts(change: &Changes) -> impl Iterator<Item = &str> {
    change.updated.iter().filter(|row| row.parts.is_some()).map(|row| row.id.as_str())
}

async fn remove_parts(connection: &mut Connection, changes: &[Changes]) -> Result<(), Fault> {
    let stale: Vec<&str> = changes.iter().flat_map(stale_parts).collect();
    if !stale.is_empty() {
        sqlx::query("delete from subscription_items where subscription = any($1)")
            .bind(&stale)
            .execute(connection)
            .await?;
    }
    Ok(())
}

fn insert_parts(statement: &mut Statement, changes: &[Changes]) -> Result<(), Fault> {
    let rows = changes.iter().flat_map(|change| change.inserted.iter().chain(&change.updated));
    let parts: Vec<(&Row, &Part)> =
        rows.flat_map(|row| row.parts.iter().flatten().map(move |part| (row, part))).collect();
    if parts.is_empty() {
        return Ok(());
    }
    let columns = [
        statement.column("text", parts.iter().map(|(_, part)| part.id.as_str()))?,
        statement.column("smallint", parts.iter().map(|(row, _)| row.bucket.number()))?,
        statement.column("text", parts.iter().map(|(row, _)| row.id.as_str()))?,
        statement.column("text", parts.iter().map(|(_, part)| part.customer.as_str()))?,
        statement.column("text", parts.iter().map(|(_, part)| part.price.as_str()))?,
        statement.column("boolean", parts.iter().map(|(_, part)| part.pending))?,
    ];
    let names = "id, bucket, subscription, customer, price, pending";
    let rows = relation(names, &columns, parts.len());
    statement.changes.push(format!("insert into subscription_items ({names}) select * from {rows}"));
    Ok(())
}
