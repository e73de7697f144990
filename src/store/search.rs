//! Searching documents: any of them that fulfil conditions, newest first, exact at every moment.
//!
//! The newest matches are at hand when many documents match: walking backwards through the ids meets them
//! soon. When few match, only an index of the field finds them soon, and gathering all of them costs
//! little. Which of the two it is nobody can know beforehand, and a planner that guesses wrong reads the
//! whole table. So a search first walks a little way, then gathers as long as there are not too many, and
//! then walks on: whatever the data, it reads little more than the better way would have.
//!
//! Ids tell when they were made, so that a range of creation times is a range of ids. Where callers may
//! choose the ids, `created` comes before the id in every order here.

use std::collections::BTreeMap;

use sqlx::{Postgres, QueryBuilder, Row as _, postgres::PgRow};

use super::{
    Connection, Fault,
    span::{by_time, created_within},
};
use crate::billing::Noun;

/// A page of a search that is wanted.
#[derive(Debug)]
pub struct Search<'a> {
    pub noun: &'a Noun,
    pub livemode: bool,
    pub conditions: Vec<Condition>,
    /// Whether one of the conditions is enough.
    pub any: bool,
    /// Only what is older than what stands there.
    pub after: Option<Place>,
    pub limit: i64,
}

/// Where a document stands in the order of what is found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Seconds; zero where the ids tell the time.
    pub created: i64,
    pub id: String,
}

/// What a document must fulfil, or must not. Columns come from nouns, values from clients.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    pub negated: bool,
    pub test: Test,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    Equal(Column, String),
    Contains(Column, String),
    /// A comparison (`>`, `>=`, `<`, `<=`, `=`) with a number.
    Compare(&'static str, &'static str, i64),
    Boolean(&'static str, bool),
    Null(Column),
    /// The metadata has this key with this value.
    Pair(String, String),
    Key(String),
    Never,
}

/// A column of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: &'static str,
    /// Its case does not matter, and it may hold capitals.
    pub lowered: bool,
    /// There is an index of it and the id.
    pub indexed: bool,
}

/// Matches: each its place and its body, newest first; and whether there are more.
#[derive(Debug, Default)]
pub struct Found {
    pub documents: Vec<(Place, String)>,
    pub has_more: bool,
}

/// How many documents are walked through before anything is gathered.
const FIRST_WALK: i64 = 1000;
/// A range of times that has no more documents is walked through whole.
const WHOLE_RANGE: i64 = 5000;
/// Counting stops here, as Stripe's does.
pub const MAXIMUM_COUNT: i64 = 10_000;
/// How far to walk where the first steps have met some matches, but not enough.
const LAST_WALK: i64 = 20_000;
/// Of a text that is looked for so many pieces are asked of the index: more would cost more than they
/// rule out.
const PIECES: usize = 3;
/// The newest documents show what is rare.
const SAMPLE: i64 = 1000;
/// What this many of the sample fulfil is dearer to look up than to test, if there is something rarer.
const COMMON: i64 = SAMPLE / 20;

/// Finds the newest matches.
pub async fn search(connection: &mut Connection, search: &Search<'_>) -> Result<Found, Fault> {
    let mut newest: BTreeMap<Place, String> = BTreeMap::new();
    for branch in search.branches() {
        newest.extend(branch.find(connection).await?);
    }
    let mut documents: Vec<(Place, String)> = newest.into_iter().rev().collect();
    let limit = usize::try_from(search.limit).unwrap_or(0);
    let has_more = documents.len() > limit;
    documents.truncate(limit);
    Ok(Found { documents, has_more })
}

/// How many match in all, up to [`MAXIMUM_COUNT`].
pub async fn count(connection: &mut Connection, search: &Search<'_>) -> Result<i64, Fault> {
    let mut sql = QueryBuilder::<Postgres>::new("with ");
    let branches = search.branches();
    for (place, branch) in branches.iter().enumerate() {
        sql.push(if place == 0 { "" } else { ", " });
        sql.push(format!("found_{place} as materialized ("));
        branch.push_gathered(connection, &mut sql).await?;
        sql.push(")");
    }
    sql.push(" select count(*) from (");
    for place in 0..branches.len() {
        sql.push(if place == 0 { "" } else { " union " });
        sql.push(format!("(select id from found_{place} limit {MAXIMUM_COUNT})"));
    }
    let counted: i64 = sql.push(") found").build_query_scalar().fetch_one(connection).await?;
    Ok(counted.min(MAXIMUM_COUNT))
}

/// Conditions that are all to be fulfilled, and what of the table can fulfil them.
struct Branch<'a> {
    search: &'a Search<'a>,
    conditions: Vec<&'a Condition>,
    /// Comparisons of the id that follow from the conditions.
    bounds: Vec<(&'static str, String)>,
    /// Only what lives on a test clock, or only what does not.
    on_clock: Option<bool>,
}

impl Search<'_> {
    fn branches(&self) -> Vec<Branch<'_>> {
        let groups: Vec<Vec<&Condition>> = if self.any {
            self.conditions.iter().map(|condition| vec![condition]).collect()
        } else {
            vec![self.conditions.iter().collect()]
        };
        groups.iter().flat_map(|conditions| self.split(conditions)).collect()
    }

    /// On a test clock any time can be at any wall time, so that what lives there is looked for apart from
    /// what ids can tell the time of. Live mode has no test clocks.
    fn split<'a>(&'a self, conditions: &[&'a Condition]) -> Vec<Branch<'a>> {
        let branch = |bounds: &[(&'static str, String)], on_clock| Branch {
            search: self,
            conditions: conditions.to_vec(),
            bounds: bounds.to_vec(),
            on_clock,
        };
        let bounds: Vec<(&'static str, String)> =
            conditions.iter().flat_map(|condition| bounds(self.noun, self.livemode, condition)).collect();
        let has_clocks = self.noun.columns.iter().any(|column| column.name == "test_clock");
        match (bounds.is_empty(), self.livemode, has_clocks) {
            (true, ..) | (false, false, false) => vec![branch(&[], None)],
            (false, true, _) => vec![branch(&bounds, None)],
            (false, false, true) => vec![branch(&bounds, Some(false)), branch(&[], Some(true))],
        }
    }
}

/// What an id must be for a condition to be fulfilled.
fn bounds(noun: &Noun, livemode: bool, condition: &Condition) -> Vec<(&'static str, String)> {
    match (&condition.test, condition.negated) {
        (Test::Compare("created", comparison, time), false) => created_within(noun, livemode, comparison, *time),
        _ => Vec::new(),
    }
}

impl Branch<'_> {
    /// The newest matches: one more than is wanted, if there are so many.
    async fn find(&self, connection: &mut Connection) -> Result<Vec<(Place, String)>, Fault> {
        if self.conditions.iter().any(|condition| condition.is_ordered()) {
            return self.look_up(connection).await;
        }
        if self.conditions.iter().any(|condition| condition.is_gathered()) {
            let near = self.walk(connection, Some(FIRST_WALK)).await?;
            if self.is_enough(&near) {
                return Ok(near);
            }
            if self.ends_within(connection, WHOLE_RANGE).await? {
                return self.walk(connection, Some(WHOLE_RANGE)).await;
            }
            // As dense as what was met, and twice as far.
            let met = i64::try_from(near.len()).unwrap_or(i64::MAX);
            let farther =
                (2 * FIRST_WALK * (self.search.limit + 1)).checked_div(met).filter(|farther| *farther <= LAST_WALK);
            if let Some(farther) = farther {
                let near = self.walk(connection, Some(farther)).await?;
                if self.is_enough(&near) {
                    return Ok(near);
                }
            }
            if let Some(all) = self.gather(connection).await? {
                return Ok(all);
            }
        }
        self.walk(connection, None).await
    }

    fn is_enough(&self, found: &[(Place, String)]) -> bool {
        found.len() > usize::try_from(self.search.limit).unwrap_or(0)
    }

    /// There is an index that has the matches in order.
    async fn look_up(&self, connection: &mut Connection) -> Result<Vec<(Place, String)>, Fault> {
        let mut sql = QueryBuilder::new(format!("select {} from {} where ", self.columns(), self.search.noun.table));
        self.push_scope(&mut sql, false);
        self.push_conditions(&mut sql, |_| true);
        self.fetch(connection, sql).await
    }

    /// Reads from the newest on: to the end, or so many documents.
    async fn walk(&self, connection: &mut Connection, far: Option<i64>) -> Result<Vec<(Place, String)>, Fault> {
        let table = self.search.noun.table;
        let mut sql = QueryBuilder::new(format!("select {} from (select * from {table} where ", self.columns()));
        self.push_scope(&mut sql, false);
        // Either keeps the conditions out of the inner query, so that it has one plan only.
        sql.push(format!(" order by {}", self.newest_first()));
        match far {
            Some(far) => sql.push(" limit ").push_bind(far),
            None => sql.push(" offset 0"),
        };
        sql.push(") t where true");
        self.push_conditions(&mut sql, |_| true);
        self.fetch(connection, sql).await
    }

    /// What is read of a document.
    const fn columns(&self) -> &'static str {
        if self.search.noun.ids_tell_time() { "0::bigint as created, id, body" } else { "created, id, body" }
    }

    fn newest_first(&self) -> String {
        let columns: Vec<String> = by_time(self.search.noun).iter().map(|column| format!("{column} desc")).collect();
        columns.join(", ")
    }

    async fn fetch(
        &self,
        connection: &mut Connection,
        mut sql: QueryBuilder<Postgres>,
    ) -> Result<Vec<(Place, String)>, Fault> {
        sql.push(format!(" order by {} limit ", self.newest_first())).push_bind(self.search.limit + 1);
        Ok(sql.build().fetch_all(connection).await?.iter().map(document).collect())
    }

    /// Whether the range of times has no more documents than that.
    async fn ends_within(&self, connection: &mut Connection, far: i64) -> Result<bool, Fault> {
        if self.bounds.is_empty() {
            return Ok(false);
        }
        let table = self.search.noun.table;
        let mut sql = QueryBuilder::new(format!("select count(*) from (select from {table} where "));
        self.push_scope(&mut sql, false);
        sql.push(" order by id desc limit ").push_bind(far).push(") near");
        let counted: i64 = sql.build_query_scalar().fetch_one(connection).await?;
        Ok(counted < far)
    }

    /// Gathers what an index finds, in whatever order. `None`: it is too much.
    async fn gather(&self, connection: &mut Connection) -> Result<Option<Vec<(Place, String)>>, Fault> {
        let noun = self.search.noun;
        let most = 1000 + 30 * self.search.limit;
        let mut sql = QueryBuilder::new("with found as materialized (");
        self.push_gathered(connection, &mut sql).await?;
        sql.push(format!("), few as materialized (select {} from found limit ", by_time(noun).join(", ")));
        sql.push_bind(most + 1).push(format!(
            ") select {}, (select count(*) from few) as counted from {}
             where id = any(array(select id from few order by {} limit ",
            self.columns(),
            noun.table,
            self.newest_first()
        ));
        sql.push_bind(self.search.limit + 1).push(format!(")) order by {}", self.newest_first()));
        let rows = sql.build().fetch_all(connection).await?;
        let counted: i64 = rows.first().map_or(0, |row| row.get("counted"));
        Ok((counted <= most).then(|| rows.iter().map(document).collect()))
    }

    /// Which of the conditions to ask an index of: the rarest, and others that are rare.
    async fn asked(&self, connection: &mut Connection) -> Result<Vec<&Condition>, Fault> {
        let gathered: Vec<&Condition> = self.conditions.iter().copied().filter(|one| one.is_gathered()).collect();
        if gathered.len() < 2 {
            return Ok(gathered);
        }
        let mut sql = QueryBuilder::new("select array[");
        for (place, condition) in gathered.iter().enumerate() {
            sql.push(if place == 0 { "" } else { ", " }).push("count(*) filter (where ");
            condition.test.push(&mut sql);
            sql.push(")");
        }
        sql.push(format!("] from (select * from {} where livemode = ", self.search.noun.table));
        sql.push_bind(self.search.livemode).push(format!(" order by {} limit ", self.newest_first()));
        sql.push_bind(SAMPLE).push(") newest");
        let counts: Vec<i64> = sql.build_query_scalar().fetch_one(connection).await?;
        let most = counts.iter().copied().min().unwrap_or_default().max(COMMON);
        Ok(gathered.into_iter().zip(counts).filter(|(_, count)| *count <= most).map(|(one, _)| one).collect())
    }

    /// What to ask of the index of a text's pieces: the whole of a long text would be looked up piece by
    /// piece, and pieces that most documents have cost much and say nothing.
    async fn pieces(&self, connection: &mut Connection, column: Column, text: &str) -> Result<Vec<String>, Fault> {
        let pieces = pieces(text);
        if pieces.len() <= PIECES {
            return Ok(pieces);
        }
        let mut sql = QueryBuilder::<Postgres>::new("with newest as materialized (select ");
        sql.push(format!("{} as text from {} where livemode = ", column.name, self.search.noun.table));
        sql.push_bind(self.search.livemode);
        sql.push(format!(" order by {} limit 200) select piece from unnest(", self.newest_first()));
        sql.push_bind(pieces)
            .push("::text[]) piece order by (select count(*) from newest where strpos(text, piece) > 0)");
        sql.push(" limit ").push_bind(i64::try_from(PIECES).unwrap_or(i64::MAX));
        Ok(sql.build_query_scalar().fetch_all(connection).await?)
    }

    /// All that match, from an index of what is asked for. The ids are compared in a way that no index knows:
    /// a range of them may be most of the table.
    async fn push_gathered(&self, connection: &mut Connection, sql: &mut QueryBuilder<Postgres>) -> Result<(), Fault> {
        let noun = self.search.noun;
        sql.push(format!("select {} from {} where ", by_time(noun).join(", "), noun.table));
        let asked = self.asked(connection).await?;
        self.push_scope(sql, !asked.is_empty());
        for condition in &asked {
            let Test::Contains(column, text) = &condition.test else { continue };
            let mut pieces = self.pieces(connection, *column, text).await?;
            // A planner takes several pieces for so rare that it asks no other index.
            pieces.truncate(if asked.len() > 1 { 1 } else { PIECES });
            for piece in pieces {
                sql.push(format!(" and {} like ", column.name)).push_bind(format!("%{piece}%"));
            }
        }
        let is_asked = |condition: &Condition| asked.iter().any(|asked| std::ptr::eq(*asked, condition));
        self.push_conditions(sql, |condition| is_asked(condition) || !condition.is_gathered());
        Ok(())
    }

    /// Which part of the table it is about; hidden from the indexes that go by time, if they are not to be
    /// taken.
    fn push_scope(&self, sql: &mut QueryBuilder<Postgres>, hidden: bool) {
        let id = if hidden { "id || ''" } else { "id" };
        sql.push("livemode = ").push_bind(self.search.livemode);
        if let Some(prefix) = self.search.noun.hides_below() {
            sql.push(format!(" and {id} > '{prefix}'"));
        }
        match &self.search.after {
            Some(Place { id: last, .. }) if self.search.noun.ids_tell_time() => {
                sql.push(format!(" and {id} < ")).push_bind(last.clone());
            }
            Some(Place { created, id: last }) => {
                let when = if hidden { "created + 0" } else { "created" };
                sql.push(format!(" and ({when}, {id}) < (")).push_bind(*created).push(", ");
                sql.push_bind(last.clone()).push(")");
            }
            None => {}
        }
        for (comparison, bound) in &self.bounds {
            sql.push(format!(" and {id} {comparison} ")).push_bind(bound.clone());
        }
        if let Some(on_clock) = self.on_clock {
            sql.push(if on_clock { " and test_clock is not null" } else { " and test_clock is null" });
        }
    }

    /// What is not to be asked of an index is said in a way that no index knows.
    fn push_conditions(&self, sql: &mut QueryBuilder<Postgres>, is_asked: impl Fn(&Condition) -> bool) {
        if self.search.noun.leaves_stub {
            sql.push(" and not deleted");
        }
        for condition in &self.conditions {
            sql.push(" and (");
            condition.test.push(sql);
            // What is not known to be true is not true: the negation finds what has no such field, too.
            sql.push(match (condition.negated, is_asked(condition)) {
                (true, _) => ") is not true",
                (false, false) => ") is true",
                (false, true) => ")",
            });
        }
    }
}

fn document(row: &PgRow) -> (Place, String) {
    (Place { created: row.get("created"), id: row.get("id") }, row.get("body"))
}

impl Condition {
    /// Whether an index has what fulfils it in the order of the ids.
    fn is_ordered(&self) -> bool {
        matches!(&self.test, Test::Equal(column, _) if column.indexed) && !self.negated
    }

    /// Whether an index has what fulfils it, in no order.
    fn is_gathered(&self) -> bool {
        match &self.test {
            Test::Contains(column, text) => column.indexed && !self.negated && !pieces(text).is_empty(),
            Test::Pair(..) | Test::Key(_) => !self.negated,
            Test::Null(column) => column.indexed,
            _ => false,
        }
    }
}

impl Test {
    fn push(&self, sql: &mut QueryBuilder<Postgres>) {
        match self {
            Test::Equal(column, value) => sql.push(format!("{column} = ")).push_bind(value.clone()),
            Test::Contains(column, part) => {
                sql.push(format!("strpos({column}, ")).push_bind(part.clone()).push(") > 0")
            }
            Test::Compare(column, comparison, value) => sql.push(format!("{column} {comparison} ")).push_bind(*value),
            Test::Boolean(column, value) => sql.push(format!("{column} = ")).push_bind(*value),
            Test::Null(column) => sql.push(format!("{} is null", column.name)),
            Test::Pair(key, value) => push_metadata(sql, &serde_json::json!({key: value})),
            Test::Key(key) => push_metadata(sql, &serde_json::json!({"": [key]})),
            Test::Never => sql.push("false"),
        };
    }
}

fn push_metadata<'s>(sql: &'s mut QueryBuilder<Postgres>, part: &serde_json::Value) -> &'s mut QueryBuilder<Postgres> {
    sql.push("metadata @> ").push_bind(part.to_string()).push("::jsonb")
}

impl std::fmt::Display for Column {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.lowered { write!(f, "lower({})", self.name) } else { f.write_str(self.name) }
    }
}

/// The pieces of three letters or digits that a text is found by. Not every Postgres knows other letters
/// than those of ASCII, so those come first.
fn pieces(text: &str) -> Vec<String> {
    let runs = |belongs: fn(char) -> bool| {
        let characters: Vec<char> = text.chars().collect();
        let mut found: Vec<String> =
            characters.windows(3).filter(|three| three.iter().all(|c| belongs(*c))).map(String::from_iter).collect();
        found.sort_unstable();
        found.dedup();
        found
    };
    let ascii = runs(|c| c.is_ascii_alphanumeric());
    if ascii.is_empty() { runs(char::is_alphanumeric) } else { ascii }
}
