//! Closing books: all that changed in one statement, whatever the size. Every statement costs a round
//! trip and the time to start it, which for one customer is most of what writing costs.

use std::fmt::Write as _;

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
    pub seal: Option<i64>,
    /// It is what several callers asked for.
    pub is_shared: bool,
}

impl Beside {
    /// What others wrote beside theirs.
    pub fn append(&mut self, mut other: Beside) {
        self.is_shared = true;
        self.events.append(&mut other.events);
        self.deliveries.append(&mut other.deliveries);
        self.learned.append(&mut other.learned);
    }
}

/// Writes all that changed, and the receipts of whoever asked for it. What takes more than one statement
/// begins a transaction, if none is open.
pub async fn close(tx: &mut Tx, changes: &[&Changes], beside: &Beside, receipts: &[Entry<'_>]) -> Result<(), Fault> {
    if changes.iter().any(|change| !change.removed.is_empty() || stale_parts(change).next().is_some()) {
        tx.begin().await?;
    }
    remove_parts(tx, changes).await?;
    let mut statement = Statement::default();
    if let Some(seal) = beside.seal {
        statement.check_seal(seal)?;
    }
    statement.in_arrays = beside.is_shared;
    for change in changes {
        insert(&mut statement, change.noun, &change.inserted)?;
        update(&mut statement, change.noun, &change.updated)?;
    }
    insert_parts(&mut statement, changes)?;
    insert_events(&mut statement, &beside.events)?;
    insert_deliveries(&mut statement, &beside.deliveries)?;
    insert_outcomes(&mut statement, &beside.learned)?;
    put_receipts(&mut statement, receipts)?;
    statement.execute(tx).await?;
    for change in changes {
        remove(tx, change.noun, &change.removed).await?;
    }
    Ok(())
}

/// Writes a receipt whose answer could not be put into words before all else was written.
pub async fn close_receipt(tx: &mut Tx, receipt: Entry<'_>) -> Result<(), Fault> {
    let mut statement = Statement::default();
    put_receipts(&mut statement, &[receipt])?;
    statement.execute(tx).await
}

/// A column that was bound: its name, and what stands for its values.
type Column = (&'static str, Bound);

/// What stands for bound values: of several rows an array, of one row the value itself. To unnest an array takes
/// Postgres fifty times as long as to take a value.
#[derive(Clone, Copy)]
struct Bound {
    place: usize,
    kind: &'static str,
    is_array: bool,
}

impl Bound {
    fn say(self, into: &mut String) {
        // Writing to a string cannot fail.
        let _ = write!(into, "${}", self.place);
        into.push_str("::");
        into.push_str(self.kind);
        into.push_str(if self.is_array { "[]" } else { "" });
    }
}

/// Says one after the other, with commas in between.
fn list<T>(items: impl IntoIterator<Item = T>, into: &mut String, say: impl Fn(T, &mut String)) {
    for (place, item) in items.into_iter().enumerate() {
        into.push_str(if place == 0 { "" } else { ", " });
        say(item, into);
    }
}

fn names(columns: &[Column]) -> String {
    let mut names = String::with_capacity(16 * columns.len());
    list(columns, &mut names, |(name, _), names| names.push_str(name));
    names
}

/// Bound columns as a relation `x`.
fn relation(columns: &[Column]) -> String {
    let mut text = String::with_capacity(32 * columns.len());
    let is_array = columns.iter().any(|(_, bound)| bound.is_array);
    text.push_str(if is_array { "unnest(" } else { "(values (" });
    list(columns, &mut text, |(_, bound), text| bound.say(text));
    text.push_str(if is_array { ") x (" } else { ")) x (" });
    text.push_str(&names(columns));
    text.push(')');
    text
}

/// Changes of several tables that are made by one statement.
#[derive(Default)]
struct Statement {
    changes: Vec<String>,
    arguments: PgArguments,
    bound: usize,
    /// Single values are bound as arrays, too: so that the text does not depend on who happens to write together.
    in_arrays: bool,
    /// What the first insertion is to check: a decision about nothing that exists can only insert. There is no
    /// other way to fail than by an error.
    condition: Option<String>,
}

impl Statement {
    /// The statement fails, and changes nothing, if this is no longer the seal.
    fn check_seal(&mut self, seal: i64) -> Result<(), Fault> {
        let mut condition = format!(" where 1 / (case when {} = ", *SEAL);
        self.column("bigint", [seal])?.say(&mut condition);
        condition.push_str(" then 1 else 0 end) = 1");
        self.condition = Some(condition);
        Ok(())
    }

    /// Binds a column of values.
    fn column<'q, T>(&mut self, kind: &'static str, values: impl IntoIterator<Item = T>) -> Result<Bound, Fault>
    where
        Vec<T>: Encode<'q, Postgres> + Type<Postgres>,
        T: Encode<'q, Postgres> + Type<Postgres> + PgHasArrayType + 'q,
    {
        let mut values: Vec<T> = values.into_iter().collect();
        self.bound += 1;
        let is_array = self.in_arrays || values.len() != 1;
        let added = if is_array { self.arguments.add(values) } else { self.arguments.add(values.remove(0)) };
        added.map_err(sqlx::Error::Encode)?;
        Ok(Bound { place: self.bound, kind, is_array })
    }

    /// New rows of a table.
    fn insert(&mut self, table: &str, columns: &[Column]) {
        let change = self.insertion(table, columns);
        self.changes.push(change);
    }

    fn insertion(&mut self, table: &str, columns: &[Column]) -> String {
        let condition = self.condition.take().unwrap_or_default();
        let (names, relation) = (names(columns), relation(columns));
        format!("insert into {table} ({names}) select * from {relation}{condition}")
    }

    async fn execute(self, tx: &mut Tx) -> Result<(), Fault> {
        let Some((last, others)) = self.changes.split_last() else { return Ok(()) };
        let mut sql = String::with_capacity(self.changes.iter().map(|change| change.len() + 16).sum());
        if !others.is_empty() {
            sql.push_str("with ");
            list(others.iter().enumerate(), &mut sql, |(place, change), sql| {
                let _ = write!(sql, "change_{place} as ({change})");
            });
            sql.push(' ');
        }
        sql.push_str(last);
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
    let columns = columns(statement, noun, rows, true)?;
    statement.insert(noun.table, &columns);
    Ok(())
}

fn update(statement: &mut Statement, noun: &Noun, rows: &[Row]) -> Result<(), Fault> {
    if rows.is_empty() {
        return Ok(());
    }
    let columns = columns(statement, noun, rows, false)?;
    let key = if noun.is_owned() { "t.id = x.id and t.bucket = x.bucket" } else { "t.id = x.id" };
    let mut change = format!("update {} t set ", noun.table);
    let assigned = columns.iter().map(|(name, _)| *name).filter(|name| !matches!(*name, "id" | "bucket"));
    list(assigned, &mut change, |name, change| change.extend([name, " = x.", name]));
    change.extend([" from ", &relation(&columns), " where ", key]);
    statement.changes.push(change);
    Ok(())
}

/// The columns of a noun's rows.
fn columns(statement: &mut Statement, noun: &Noun, rows: &[Row], is_new: bool) -> Result<Vec<Column>, Fault> {
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
        let bound = match column.kind {
            Kind::Text => statement.column("text", cells.map(|cell| cell.and_then(Cell::as_text)))?,
            Kind::Integer => statement.column("bigint", cells.map(|cell| cell.and_then(Cell::as_integer)))?,
            Kind::Boolean => statement.column("boolean", cells.map(|cell| cell.and_then(Cell::as_boolean)))?,
            Kind::Json => statement.column("jsonb", cells.map(|cell| cell.and_then(Cell::as_json)))?,
        };
        columns.push((column.name, bound));
    }
    columns.push(("body", statement.column("text", rows.iter().map(|row| row.body.as_str()))?));
    Ok(columns)
}

fn insert_events(statement: &mut Statement, events: &[EventRow]) -> Result<(), Fault> {
    if events.is_empty() {
        return Ok(());
    }
    let columns = [
        ("id", statement.column("text", events.iter().map(|event| event.id.as_str()))?),
        ("bucket", statement.column("smallint", events.iter().map(|event| Bucket::of(&event.id).number()))?),
        ("livemode", statement.column("boolean", events.iter().map(|event| event.livemode))?),
        ("created", statement.column("bigint", events.iter().map(|event| event.created))?),
        ("type", statement.column("text", events.iter().map(|event| event.kind))?),
        ("object", statement.column("text", events.iter().map(|event| event.object.as_str()))?),
        ("sequence", statement.column("integer", events.iter().map(|event| event.sequence))?),
        ("body", statement.column("text", events.iter().map(|event| event.body.as_str()))?),
    ];
    statement.insert("events", &columns);
    Ok(())
}

fn insert_deliveries(statement: &mut Statement, deliveries: &[DeliveryRow]) -> Result<(), Fault> {
    if deliveries.is_empty() {
        return Ok(());
    }
    let due = statement.column("bigint", deliveries.iter().map(|delivery| delivery.due_at))?;
    let columns = [
        ("event", statement.column("text", deliveries.iter().map(|delivery| delivery.event.as_str()))?),
        ("endpoint", statement.column("text", deliveries.iter().map(|delivery| delivery.endpoint.as_str()))?),
        (
            "bucket",
            statement.column("smallint", deliveries.iter().map(|delivery| Bucket::of(&delivery.event).number()))?,
        ),
        ("object", statement.column("text", deliveries.iter().map(|delivery| delivery.object.as_str()))?),
        ("sequence", statement.column("integer", deliveries.iter().map(|delivery| delivery.sequence))?),
        ("created", due),
        ("due_at", due),
    ];
    statement.insert("deliveries", &columns);
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
    let change = statement.insertion("retry_outcomes", &columns) + " on conflict do nothing";
    statement.changes.push(change);
    Ok(())
}

/// A twin that was first makes the whole statement fail.
fn put_receipts(statement: &mut Statement, receipts: &[Entry<'_>]) -> Result<(), Fault> {
    let (known, new): (Vec<&Entry<'_>>, Vec<&Entry<'_>>) =
        receipts.iter().partition(|receipt| matches!(receipt.state, State::Settled { .. }));
    if !new.is_empty() {
        let mut columns = receipt_columns(statement, &new)?;
        columns.push(("subject", statement.column("text", new.iter().map(|receipt| receipt.state.subject()))?));
        let leased_until = new.iter().map(|receipt| receipt.state.leased_until());
        columns.push(("leased_until", statement.column("bigint", leased_until)?));
        columns.push(("created", statement.column("bigint", new.iter().map(|receipt| receipt.now))?));
        statement.insert("idempotency_keys", &columns);
    }
    if !known.is_empty() {
        let columns = receipt_columns(statement, &known)?;
        statement.changes.push(format!(
            "update idempotency_keys k set status = x.status, body = x.body, leased_until = null
             from {}
             where k.livemode = x.livemode and k.key = x.key and k.fingerprint = x.fingerprint
                 and k.request = x.request and k.status is null",
            relation(&columns)
        ));
    }
    Ok(())
}

/// What is known of a receipt, new or not.
fn receipt_columns(statement: &mut Statement, receipts: &[&Entry<'_>]) -> Result<Vec<Column>, Fault> {
    let answered = || receipts.iter().map(|receipt| receipt.state.answer());
    Ok(vec![
        ("livemode", statement.column("boolean", receipts.iter().map(|receipt| receipt.key.livemode))?),
        ("key", statement.column("text", receipts.iter().map(|receipt| receipt.key.text))?),
        ("fingerprint", statement.column("bytea", receipts.iter().map(|receipt| receipt.key.fingerprint))?),
        ("request", statement.column("text", receipts.iter().map(|receipt| receipt.request))?),
        ("status", statement.column("smallint", answered().map(|answer| Some(answer?.0.cast_signed())))?),
        ("body", statement.column("text", answered().map(|answer| Some(answer?.1)))?),
    ])
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

async fn remove_parts(connection: &mut Connection, changes: &[&Changes]) -> Result<(), Fault> {
    let stale: Vec<&str> = changes.iter().flat_map(|change| stale_parts(change)).collect();
    if !stale.is_empty() {
        sqlx::query("delete from subscription_items where subscription = any($1)")
            .bind(&stale)
            .execute(connection)
            .await?;
    }
    Ok(())
}

fn insert_parts(statement: &mut Statement, changes: &[&Changes]) -> Result<(), Fault> {
    let rows = changes.iter().flat_map(|change| change.inserted.iter().chain(&change.updated));
    let parts: Vec<(&Row, &Part)> =
        rows.flat_map(|row| row.parts.iter().flatten().map(move |part| (row, part))).collect();
    if parts.is_empty() {
        return Ok(());
    }
    let columns = [
        ("id", statement.column("text", parts.iter().map(|(_, part)| part.id.as_str()))?),
        ("bucket", statement.column("smallint", parts.iter().map(|(row, _)| row.bucket.number()))?),
        ("subscription", statement.column("text", parts.iter().map(|(row, _)| row.id.as_str()))?),
        ("customer", statement.column("text", parts.iter().map(|(_, part)| part.customer.as_str()))?),
        ("price", statement.column("text", parts.iter().map(|(_, part)| part.price.as_str()))?),
        ("pending", statement.column("boolean", parts.iter().map(|(_, part)| part.pending))?),
    ];
    statement.insert("subscription_items", &columns);
    Ok(())
}
