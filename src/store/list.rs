//! Listing documents: filters, cursors, newest first. Keyset paging, no offsets, no exact counts.

use sqlx::{Postgres, QueryBuilder};

use super::{Connection, Fault};
use crate::billing::{Noun, price, product};

/// A page of a list that is wanted.
#[derive(Debug)]
pub struct Query<'a> {
    pub noun: &'a Noun,
    pub livemode: bool,
    pub conditions: Vec<Condition>,
    pub cursor: Option<Cursor>,
    pub limit: i64,
    pub oldest_first: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Cursor {
    /// Items after this id in the order of the list.
    After(String),
    /// Items before it.
    Before(String),
}

/// What a listed document must fulfil. Column names come from nouns, values from clients.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    Text(&'static str, String),
    Boolean(&'static str, bool),
    OneOf(&'static str, Vec<String>),
    NoneOf(&'static str, Vec<&'static str>),
    StartsWith(&'static str, String),
    Null(&'static str, bool),
    /// A column, a comparison (`>`, `>=`, `<`, `<=`, `=`) and a number.
    Compare(&'static str, &'static str, i64),
    ItemPrice(String),
    /// All deliveries of the event were acknowledged, or not.
    Delivered(bool),
}

/// A page: bodies in the order of the list, and whether there are more in the direction of paging.
#[derive(Debug, Default)]
pub struct Page {
    pub bodies: Vec<String>,
    pub has_more: bool,
}

impl Page {
    /// Of what was read: one more than the limit if there is one, and before a cursor the other way round.
    pub(super) fn of(mut bodies: Vec<String>, limit: i64, backwards: bool) -> Page {
        let limit = usize::try_from(limit).unwrap_or(0);
        let has_more = bodies.len() > limit;
        bodies.truncate(limit);
        if backwards {
            bodies.reverse();
        }
        Page { bodies, has_more }
    }
}

pub async fn list(connection: &mut Connection, query: &Query<'_>) -> Result<Page, Fault> {
    let mut sql = QueryBuilder::<Postgres>::new(format!("select body from {} t where livemode = ", query.noun.table));
    sql.push_bind(query.livemode);
    if query.noun.leaves_stub {
        sql.push(" and not deleted");
    }
    for condition in &query.conditions {
        push_condition(&mut sql, condition);
    }
    let backwards = matches!(query.cursor, Some(Cursor::Before(_)));
    // Ids sort by time, so the cursor is the id itself; but not those that callers have chosen.
    let chosen = [price::NOUN.table, product::NOUN.table].contains(&query.noun.table);
    let downwards = query.oldest_first == backwards;
    if let Some(Cursor::After(id) | Cursor::Before(id)) = &query.cursor {
        let comparison = if downwards { "<" } else { ">" };
        if chosen {
            sql.push(format!(
                " and (created, id) {comparison} (select created, id from {} where id = ",
                query.noun.table
            ));
            sql.push_bind(id).push(")");
        } else {
            sql.push(format!(" and id {comparison} ")).push_bind(id);
        }
    }
    sql.push(match (chosen, downwards) {
        (true, true) => " order by created desc, id desc",
        (true, false) => " order by created, id",
        (false, true) => " order by id desc",
        (false, false) => " order by id",
    });
    sql.push(" limit ").push_bind(query.limit + 1);
    let bodies: Vec<String> = sql.build_query_scalar().fetch_all(connection).await?;
    Ok(Page::of(bodies, query.limit, backwards))
}

pub(super) fn push_condition(sql: &mut QueryBuilder<Postgres>, condition: &Condition) {
    sql.push(" and ");
    match condition {
        Condition::Text(column, value) => sql.push(format!("{column} = ")).push_bind(value.clone()),
        Condition::Boolean(column, value) => sql.push(format!("{column} = ")).push_bind(*value),
        Condition::OneOf(column, values) => sql.push(format!("{column} = any(")).push_bind(values.clone()).push(")"),
        Condition::NoneOf(column, values) => sql.push(format!("{column} <> all(")).push_bind(values.clone()).push(")"),
        Condition::StartsWith(column, prefix) => {
            sql.push(format!("starts_with({column}, ")).push_bind(prefix.clone()).push(")")
        }
        Condition::Null(column, wanted) => sql.push(format!("({column} is null) = ")).push_bind(*wanted),
        Condition::Compare(column, comparison, value) => sql.push(format!("{column} {comparison} ")).push_bind(*value),
        Condition::ItemPrice(price) => sql
            .push("id in (select subscription from subscription_items where not pending and price = ")
            .push_bind(price.clone())
            .push(")"),
        Condition::Delivered(wanted) => sql
            .push("not exists (select from deliveries d where d.object = t.object and d.event = t.id) = ")
            .push_bind(*wanted),
    };
}
