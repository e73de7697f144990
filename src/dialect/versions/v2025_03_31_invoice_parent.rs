use serde_json::{Value, json};

use super::{Change, Facts, Members, tools};
use crate::{
    billing::{
        noun::{null, one},
        subscription,
    },
    dialect::version::Version,
};

pub static CHANGE: Change = Change {
    since: Version::of("2025-03-31.basil"),
    summary: "Invoices say in parent what they said in subscription, subscription_details and quote.",
    objects: &["invoice"],
    undo,
    links_before: &[("invoice", one("subscription", &subscription::NOUN)), ("invoice", null("quote"))],
    links_since: &[("invoice", "parent.subscription_details.subscription")],
    ..Change::NONE
};

fn undo(members: &mut Members, _: &Facts) {
    let of = |key: &str| tools::at(members, &format!("parent.{key}")).clone();
    let (details, quote) = (of("subscription_details"), of("quote_details.quote"));
    let of = |key: &str| details.get(key).cloned().unwrap_or(Value::Null);
    let (subscription, metadata, date) = (of("subscription"), of("metadata"), of("subscription_proration_date"));
    tools::remove(members, &["parent"]);
    tools::set(members, "quote", quote);
    tools::set(members, "subscription", subscription);
    let details = if details.is_null() { Value::Null } else { json!({ "metadata": metadata }) };
    tools::set(members, "subscription_details", details);
    if !date.is_null() {
        tools::set(members, "subscription_proration_date", date);
    }
}
