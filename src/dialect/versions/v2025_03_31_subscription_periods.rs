use serde_json::Value;

use super::{Change, Facts, Members, tools};
use crate::dialect::version::Version;

pub static CHANGE: Change = Change {
    since: Version::of("2025-03-31.basil"),
    summary: "Each item of a subscription has its own current period, where the subscription had one.",
    objects: &["subscription", "subscription_item"],
    undo,
    ..Change::NONE
};

/// Where the periods of the items differ, the earliest counts.
fn undo(members: &mut Members, _: &Facts) {
    for key in ["current_period_start", "current_period_end"] {
        if tools::at(members, "object") == "subscription" {
            let earliest =
                tools::items(members, "items").filter_map(|item| item.get(key).and_then(Value::as_i64)).min();
            tools::set(members, key, earliest);
        } else {
            tools::remove(members, &[key]);
        }
    }
}
