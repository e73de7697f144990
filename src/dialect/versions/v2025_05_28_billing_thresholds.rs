use super::{Change, tools::remove};
use crate::dialect::version::Version;

pub static CHANGE: Change = Change {
    since: Version::of("2025-05-28.basil"),
    summary: "billing_thresholds are back on subscriptions and their items.",
    objects: &["subscription", "subscription_item"],
    undo: |members, _| remove(members, &["billing_thresholds"]),
    ..Change::NONE
};
