//! Finding documents by id. Reads skip the engine: JSON flows out as it rests.

use std::collections::HashMap;

use sqlx::{AssertSqlSafe, Row as _};

use super::{Connection, Fault};
use crate::billing::{Noun, id::Bucket};

/// The body of a document that callers may see, or of the stub it left.
pub async fn find(connection: &mut Connection, noun: &Noun, id: &str, livemode: bool) -> Result<Option<String>, Fault> {
    if noun.shows(id) { stored(connection, noun, id, livemode).await } else { Ok(None) }
}

/// The body of any document.
pub async fn stored(
    connection: &mut Connection,
    noun: &Noun,
    id: &str,
    livemode: bool,
) -> Result<Option<String>, Fault> {
    let bucket = if noun.is_owned() { "and bucket = $3" } else { "" };
    let sql = format!("select body from {} where id = $1 and livemode = $2 {bucket}", noun.table);
    let mut query = sqlx::query_scalar(AssertSqlSafe(sql)).bind(id).bind(livemode);
    if noun.is_owned() {
        query = query.bind(Bucket::of(id).number());
    }
    Ok(query.fetch_optional(connection).await?)
}

/// The bodies of several documents, by id.
pub async fn find_many(
    connection: &mut Connection,
    noun: &Noun,
    ids: &[String],
    livemode: bool,
) -> Result<HashMap<String, String>, Fault> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = format!("select id, body from {} where id = any($1) and livemode = $2", noun.table);
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(ids).bind(livemode).fetch_all(connection).await?;
    Ok(rows.into_iter().map(|row| (row.get("id"), row.get("body"))).collect())
}

/// The bodies of all documents whose column is one of these.
pub async fn find_by(
    connection: &mut Connection,
    noun: &Noun,
    column: &str,
    values: &[String],
) -> Result<Vec<String>, Fault> {
    if values.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!("select body from {} where {column} = any($1) order by id", noun.table);
    Ok(sqlx::query_scalar(AssertSqlSafe(sql)).bind(values).fetch_all(connection).await?)
}

/// The first ten of each parent's children, newest first, and whether there are more.
pub async fn children(
    connection: &mut Connection,
    noun: &Noun,
    column: &str,
    parents: &[String],
) -> Result<HashMap<String, (Vec<String>, bool)>, Fault> {
    let sql = format!(
        "select p.id as parent, c.body
         from unnest($1::text[]) p (id)
         cross join lateral (select id, body from {} t where t.{column} = p.id order by t.id desc limit 11) c",
        noun.table
    );
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(parents).fetch_all(connection).await?;
    let mut found: HashMap<String, (Vec<String>, bool)> = HashMap::new();
    for row in rows {
        let (bodies, has_more) = found.entry(row.get("parent")).or_default();
        if bodies.len() == 10 {
            *has_more = true;
        } else {
            bodies.push(row.get("body"));
        }
    }
    Ok(found)
}

/// The subscription that an item belongs to.
pub async fn subscription_of_item(
    connection: &mut Connection,
    item: &str,
    livemode: bool,
) -> Result<Option<String>, Fault> {
    Ok(sqlx::query_scalar(
        "select s.body from subscription_items i join subscriptions s on s.id = i.subscription and s.bucket = i.bucket
         where i.id = $1 and i.bucket = $2 and not i.pending and s.livemode = $3",
    )
    .bind(item)
    .bind(Bucket::of(item).number())
    .bind(livemode)
    .fetch_optional(connection)
    .await?)
}

/// The price that has a lookup key.
pub async fn price_by_lookup_key(
    connection: &mut Connection,
    key: &str,
    livemode: bool,
) -> Result<Option<String>, Fault> {
    Ok(sqlx::query_scalar("select id from prices where livemode = $1 and lookup_key = $2")
        .bind(livemode)
        .bind(key)
        .fetch_optional(connection)
        .await?)
}

/// Whether an item of any subscription has a price, or is to have it.
pub async fn is_price_used(connection: &mut Connection, price: &str) -> Result<bool, Fault> {
    Ok(sqlx::query_scalar(
        "select exists (select from subscription_items where price = $1)
             or exists (select from subscription_schedules where standing and prices @> to_jsonb($1::text))",
    )
    .bind(price)
    .fetch_one(connection)
    .await?)
}

/// The customers on a test clock.
pub async fn customers_on_clock(connection: &mut Connection, clock: &str) -> Result<Vec<String>, Fault> {
    Ok(sqlx::query_scalar("select id from customers where test_clock = $1 and not deleted order by id")
        .bind(clock)
        .fetch_all(connection)
        .await?)
}

/// The account that this server is, made on first sight.
pub async fn account(connection: &mut Connection, candidate: &str, created: i64) -> Result<(String, i64), Fault> {
    let row = sqlx::query(
        "with made as (
             insert into accounts (id, created) select $1, $2 where not exists (select from accounts) returning id, created
         )
         select id, created from accounts union all select id, created from made order by created, id limit 1",
    )
    .bind(candidate)
    .bind(created)
    .fetch_one(connection)
    .await?;
    Ok((row.get("id"), row.get("created")))
}
