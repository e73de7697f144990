use serde_json::Value;

use super::{Change, tools::set};
use crate::dialect::version::Version;

pub static CHANGE: Change = Change {
    since: Version::of("2025-03-31.basil"),
    summary: "billing_thresholds were taken away from subscriptions and their items, for a while.",
    objects: &["subscription", "subscription_item"],
    undo: |members, _| set(members, "billing_thresholds", Value::Null),
    ..Change::NONE
};
