//! What happened. Written by closing the books, never by hand; immutable from then on.

use super::{
    Noun,
    noun::{By, filter, text},
};

pub static NOUN: Noun = Noun {
    object: "event",
    prefix: "evt_",
    table: "events",
    url: "/v1/events",
    name: "event",
    owned: true,
    leaves_stub: false,
    columns: &[text("type")],
    // `type`, `types` and `delivery_success` are read by the events route itself: they know wildcards.
    filters: &[filter("type", By::Text("type"))],
    links: &[],
    inlines: &[],
};

/// The API version that events and documents are kept in.
pub const API_VERSION: &str = "2026-10-28.endive";
