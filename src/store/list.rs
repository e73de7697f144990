//! Listing documents: filters, cursors, newest first. Keyset paging, no offsets, no exact counts.

use sqlx::{Postgres, QueryBuilder};

use super::{
    Connection, Fault,
    span::{by_time, created_within},
};
use crate::billing::Noun;

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

/// What a listed document must fulfil. Columns and words come from nouns, values from clients: only those are
/// bound. A statement has one plan for all that can be bound, and what it cannot see chooses no index.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    Text(&'static str, String),
    Boolean(&'static str, bool),
    /// One of the noun's own words; no word means no document.
    Word(&'static str, &'static [&'static str]),
    OneOf(&'static str, Vec<String>),
    NoneOf(&'static str, Vec<&'static str>),
    /// One of these types of events.
    Type(Vec<String>),
    Null(&'static str, bool),
    /// A column, a comparison (`>`, `>=`, `<`, `<=`, `=`) and a number.
    Compare(&'static str, &'static str, i64),
    ItemPrice(String),
    /// All of these hold of the column, or of this member of one of the item periods that it cannot say.
    ItemPeriod {
        column: &'static str,
        member: &'static str,
        comparisons: Vec<(&'static str, i64)>,
    },
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
    let (way, comparison) = query.way();
    let mut sql = QueryBuilder::<Postgres>::new("select body from ");
    match query.conditions.iter().find(|condition| condition.leads()) {
        // Each type has its events in order; the page is among the first of each.
        Some(Condition::Type(types)) => {
            sql.push("unnest(")
                .push_bind(types)
                .push("::text[]) wanted (type) cross join lateral (select id, body from ");
            query.push_page(&mut sql, "t.type = wanted.type");
            sql.push(format!(") found order by id{way} limit ")).push_bind(query.limit + 1);
        }
        // The items of a price have their subscriptions in order.
        Some(Condition::ItemPrice(price)) => {
            sql.push("(select distinct subscription from subscription_items where not pending and price = ");
            sql.push_bind(price);
            if let Some(cursor) = &query.cursor {
                sql.push(format!(" and subscription {comparison} ")).push_bind(cursor.id());
            }
            sql.push(format!(" order by subscription{way}) wanted cross join lateral (select body from "));
            query.push_page(&mut sql, "t.id = wanted.subscription");
            sql.push(format!(") found order by subscription{way} limit ")).push_bind(query.limit + 1);
        }
        _ => query.push_page(&mut sql, "true"),
    }
    let bodies: Vec<String> = sql.build_query_scalar().fetch_all(connection).await?;
    Ok(Page::of(bodies, query.limit, query.is_backwards()))
}

impl Query<'_> {
    const fn is_backwards(&self) -> bool {
        matches!(self.cursor, Some(Cursor::Before(_)))
    }

    /// How it is sorted to be read, and how what is behind the cursor compares with it.
    fn way(&self) -> (&'static str, &'static str) {
        if self.oldest_first == self.is_backwards() { (" desc", "<") } else { ("", ">") }
    }

    /// The first documents behind the cursor that fulfil all conditions, and this one.
    fn push_page(&self, sql: &mut QueryBuilder<Postgres>, condition: &str) {
        let table = self.noun.table;
        sql.push(format!("{table} t where {condition} and livemode = ")).push_bind(self.livemode);
        if self.noun.leaves_stub {
            sql.push(" and not deleted");
        }
        if let Some(prefix) = self.noun.hides_below() {
            sql.push(format!(" and id > '{prefix}'"));
        }
        for condition in &self.conditions {
            push_condition(sql, condition);
            self.push_span(sql, condition);
        }
        let key = by_time(self.noun);
        let (way, comparison) = self.way();
        match (&self.cursor, key) {
            (None, _) => {}
            (Some(cursor), [_]) => {
                sql.push(format!(" and id {comparison} ")).push_bind(cursor.id().to_owned());
            }
            (Some(cursor), _) => {
                let key = key.join(", ");
                sql.push(format!(" and ({key}) {comparison} (select {key} from {table} where id = "));
                sql.push_bind(cursor.id().to_owned()).push(")");
            }
        }
        let order: Vec<String> = key.iter().map(|column| format!("{column}{way}")).collect();
        sql.push(format!(" order by {} limit ", order.join(", "))).push_bind(self.limit + 1);
    }

    /// A range of creation times is a range of ids, but for what lives on test clocks.
    fn push_span(&self, sql: &mut QueryBuilder<Postgres>, condition: &Condition) {
        let Condition::Compare("created", comparison, time) = condition else { return };
        if self.livemode || self.conditions.contains(&Condition::Null("test_clock", true)) {
            push_span(sql, self.noun, self.livemode, comparison, *time);
        }
    }
}

impl Cursor {
    fn id(&self) -> &str {
        let (Cursor::After(id) | Cursor::Before(id)) = self;
        id
    }
}

impl Condition {
    /// Whether something else than the table has the documents that fulfil it, in the order of the list.
    const fn leads(&self) -> bool {
        matches!(self, Condition::Type(_) | Condition::ItemPrice(_))
    }
}

pub(super) fn push_span(sql: &mut QueryBuilder<Postgres>, noun: &Noun, livemode: bool, comparison: &str, time: i64) {
    for (comparison, id) in created_within(noun, livemode, comparison, time) {
        sql.push(format!(" and id {comparison} ")).push_bind(id);
    }
}

pub(super) fn push_condition(sql: &mut QueryBuilder<Postgres>, condition: &Condition) {
    sql.push(" and ");
    match condition {
        Condition::Text(column, value) => sql.push(format!("{column} = ")).push_bind(value.clone()),
        Condition::Boolean(column, true) => sql.push(*column),
        Condition::Boolean(column, false) => sql.push(format!("not {column}")),
        Condition::Word(_, []) => sql.push("false"),
        Condition::Word(column, words) => sql.push(format!("{column} in ('{}')", words.join("', '"))),
        Condition::OneOf(column, values) => sql.push(format!("{column} = any(")).push_bind(values.clone()).push(")"),
        Condition::NoneOf(column, values) => sql.push(format!("{column} <> all(")).push_bind(values.clone()).push(")"),
        Condition::Null(column, true) => sql.push(format!("{column} is null")),
        Condition::Null(column, false) => sql.push(format!("{column} is not null")),
        Condition::Compare(column, comparison, value) => sql.push(format!("{column} {comparison} ")).push_bind(*value),
        Condition::ItemPeriod { column, member, comparisons } => {
            let all = |sql: &mut QueryBuilder<Postgres>, value: &str| {
                sql.push("true");
                for (comparison, number) in comparisons {
                    sql.push(format!(" and {value} {comparison} ")).push_bind(*number);
                }
            };
            sql.push("(");
            all(sql, column);
            sql.push(" or periods is not null and exists (select from jsonb_array_elements(periods) p where ");
            all(sql, &format!("(p ->> '{member}')::bigint"));
            sql.push("))")
        }
        Condition::Delivered(wanted) => sql.push(format!(
            "{} exists (select from deliveries d where d.object = t.object and d.event = t.id)",
            if *wanted { "not" } else { "" }
        )),
        Condition::Type(_) | Condition::ItemPrice(_) => sql.push("true"),
    };
}
