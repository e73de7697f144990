//! A delivery: one event, one endpoint, and what came of it. It has no document of its own; this is how
//! it is named and found.

use super::{
    Noun, describe, event,
    noun::{By, Keyed, filter, word},
    webhook_endpoint,
};

pub static NOUN: Noun = Noun {
    object: "dunlin.delivery",
    prefix: "dlv_",
    table: "deliveries",
    url: "/v1/dunlin/deliveries",
    name: "delivery",
    keyed: Keyed::OfCustomer,
    leaves_stub: false,
    columns: &[],
    filters: &[
        filter("endpoint", By::Text("endpoint")),
        filter("event", By::Text("event")),
        filter("type", By::EventType),
        filter(
            "status",
            By::Word {
                column: "status",
                words: &[word(&["waiting"]), word(&["failed"]), word(&["delivered"]), word(&["given_up"])],
            },
        ),
    ],
    links: &[],
    inlines: &[],
    previews: &[],
    searchable: &[],
    document: describe::written_elsewhere,
};

/// The headers that are the same in every delivery.
pub const CONTENT_TYPE: &str = "application/json; charset=utf-8";
pub const USER_AGENT: &str = "Stripe/1.0 (+https://stripe.com/docs/webhooks)";

/// How long the ids of events and endpoints are, behind their prefixes.
const LENGTH: usize = 24;

/// The name of a delivery: whose it is and of what, so that it needs no column.
pub fn id(event: &str, endpoint: &str) -> String {
    let bare = |id: &str, noun: &Noun| id.strip_prefix(noun.prefix).unwrap_or(id).to_owned();
    format!("{}{}{}", NOUN.prefix, bare(event, &event::NOUN), bare(endpoint, &webhook_endpoint::NOUN))
}

/// The event and the endpoint of a delivery.
pub fn parts(id: &str) -> Option<(String, String)> {
    let both = id.strip_prefix(NOUN.prefix).filter(|both| both.is_ascii() && both.len() == 2 * LENGTH)?;
    let (event, endpoint) = both.split_at(LENGTH);
    Some((format!("{}{event}", event::NOUN.prefix), format!("{}{endpoint}", webhook_endpoint::NOUN.prefix)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_its_event_and_its_endpoint() {
        let (event, endpoint) = ("evt_0123456789abcdefghijklmn", "we_ABCDEFGHIJKLMNOPQRSTUVWX");
        let id = id(event, endpoint);
        assert_eq!(id, "dlv_0123456789abcdefghijklmnABCDEFGHIJKLMNOPQRSTUVWX");
        assert_eq!(parts(&id), Some((event.to_owned(), endpoint.to_owned())));
        for other in ["", "dlv_", "evt_0123456789abcdefghijklmn", "dlv_ä0123456789abcdefghijklmABCDEFGHIJKLMNOPQRSTUVW"]
        {
            assert_eq!(parts(other), None, "{other}");
        }
    }
}
