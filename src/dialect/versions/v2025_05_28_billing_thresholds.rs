use super::{Change, Members, tools::remove_at};
use crate::dialect::version::Version;

pub static CHANGE: Change = Change {
    since: Version::of("2025-05-28.basil"),
    summary: "billing_thresholds are back on subscriptions and their items.",
    objects: &["subscription", "subscription_item", "subscription_schedule"],
    undo: |members, _| remove(members),
    ..Change::NONE
};

/// Where they stand: on what has items, on the items, and on what is to be.
const PLACES: [&str; 4] = [
    "billing_thresholds",
    "default_settings.billing_thresholds",
    "phases.billing_thresholds",
    "phases.items.billing_thresholds",
];

fn remove(members: &mut Members) {
    PLACES.iter().for_each(|place| remove_at(members, place));
}
