//! Ids tell when they were made, so that a range of creation times is a range of ids.

use crate::billing::{Noun, Timestamp, id};

/// The columns that a noun's documents are in the order of their creation by: ids sort by time, but not those
/// that callers have chosen.
pub const fn by_time(noun: &Noun) -> &'static [&'static str] {
    if noun.ids_tell_time() { &["id"] } else { &["created", "id"] }
}

/// How far an id may be from the time at which its document says it was created, in seconds.
const DRIFT: i64 = 86_400;
/// The last time that ids can tell.
const END_OF_TIME: i64 = 281_474_976_710;

/// Comparisons that the id of each document fulfils whose creation compares so with a time, in seconds. On a
/// test clock any time can be at any wall time: there they say nothing.
pub fn created_within(noun: &Noun, livemode: bool, comparison: &str, time: i64) -> Vec<(&'static str, String)> {
    if !noun.ids_tell_time() {
        return Vec::new();
    }
    let id_at = |time: i64| id::lower_bound(&noun.prefix_in(livemode), Timestamp::new(time.clamp(0, END_OF_TIME)));
    let first = || (">=", id_at(time.saturating_sub(DRIFT)));
    let last = || ("<", id_at(time.saturating_add(DRIFT)));
    match comparison {
        ">" | ">=" => vec![first()],
        "<" | "<=" => vec![last()],
        _ => vec![first(), last()],
    }
}
