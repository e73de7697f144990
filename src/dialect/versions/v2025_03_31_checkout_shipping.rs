use serde_json::Value;

use super::{Change, Facts, Members, tools};
use crate::dialect::version::Version;

pub static CHANGE: Change = Change {
    since: Version::of("2025-03-31.basil"),
    summary: "shipping_details of a Checkout session moved to collected_information.",
    objects: &["checkout.session"],
    undo,
    ..Change::NONE
};

/// No session asks for an address to ship to.
fn undo(members: &mut Members, _: &Facts) {
    tools::set(members, "shipping_details", Value::Null);
}
