//! What happened. Written by closing the books, never by hand; immutable from then on.

use serde::Serialize;
use serde_json::{Map, Value, value::RawValue};

use super::{
    Noun, Timestamp,
    books::Told,
    describe,
    noun::{By, Keyed, filter, text},
};

pub static NOUN: Noun = Noun {
    object: "event",
    prefix: "evt_",
    table: "events",
    url: "/v1/events",
    name: "event",
    keyed: Keyed::OfCustomer,
    leaves_stub: false,
    columns: &[text("type")],
    filters: &[
        filter("type", By::EventType),
        filter("types", By::EventTypes),
        filter("delivery_success", By::DeliverySuccess),
    ],
    links: &[],
    inlines: &[],
    previews: &[],
    searchable: &[],
    document: describe::written_elsewhere,
};

/// The API version that documents, and those in events, are kept in.
pub const API_VERSION: &str = "2026-10-28.endive";

/// Which request caused an event; nothing for what the billing cycle does by itself.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Cause {
    pub id: Option<String>,
    pub idempotency_key: Option<String>,
}

#[derive(Serialize)]
struct Envelope<'a> {
    id: &'a str,
    object: &'static str,
    api_version: &'a str,
    created: Timestamp,
    data: Data<'a>,
    livemode: bool,
    pending_webhooks: usize,
    request: &'a Cause,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Serialize)]
struct Data<'a> {
    object: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_attributes: Option<&'a Map<String, Value>>,
}

/// The bytes of an event: stored, and where it is shown in the version that it is kept in, sent as they
/// are. It says in which version it is shown, and rests in the newest.
pub fn body(
    told: &Told,
    cause: &Cause,
    pending_webhooks: usize,
    shown_in: Option<&str>,
) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Envelope {
        id: &told.id,
        object: NOUN.object,
        api_version: shown_in.unwrap_or(API_VERSION),
        created: told.created,
        data: Data { object: &told.object, previous_attributes: told.previous.as_ref() },
        livemode: told.livemode,
        pending_webhooks,
        request: cause,
        kind: told.kind,
    })
}
