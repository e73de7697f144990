//! Searches: what a request asks for, in words that the store understands.

mod page;
pub mod query;
mod resolve;

use serde::Deserialize;

use super::{filter, form::Form, params};
use crate::{
    billing::{Noun, Refusal},
    store::search::Search,
};
use query::{Join, Query, Unreadable};

pub use page::Page;

/// The shortest text that a part is looked for by, in characters.
const SHORTEST_PART: usize = 3;

#[derive(Deserialize)]
struct Params {
    query: String,
    limit: Option<i64>,
    page: Option<String>,
}

/// What a search request asks for, and what the tokens of its pages are bound to. `expand` has been taken
/// out of the form before.
pub fn read<'a>(noun: &'a Noun, form: &Form, livemode: bool) -> Result<(Search<'a>, Page), Refusal> {
    let Params { query: text, limit, page } = params::read(form)?;
    let query = Query::parse(&text).map_err(refusal)?;
    let conditions =
        query.clauses.iter().map(|clause| resolve::condition(noun, clause)).collect::<Result<Vec<_>, _>>()?;
    let pages = Page::of(noun, livemode, &text);
    let after = page.map(|token| pages.read(&token)).transpose()?;
    let search = Search { noun, livemode, conditions, any: query.join == Join::Or, after, limit: filter::clamp(limit) };
    Ok((search, pages))
}

fn refusal(why: Unreadable) -> Refusal {
    invalid(match why {
        Unreadable::Grammar => {
            "We were unable to parse your search query. Try using the format `metadata[\"key\"]:\"value\"` to query for metadata \
             or `field:\"value\"` to query for other fields."
                .to_owned()
        }
        Unreadable::TooManyClauses => {
            format!("A search query can have at most {} clauses.", query::MAXIMUM_CLAUSES)
        }
        Unreadable::MixedJoins => "A search query can join its clauses with AND or with OR, but not with both.".to_owned(),
        Unreadable::Parentheses => "Parentheses are not supported in search queries.".to_owned(),
    })
}

/// A query that asks for what cannot be asked.
fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::invalid(message).param("query")
}
