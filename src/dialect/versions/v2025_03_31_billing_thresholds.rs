use serde_json::Value;

use super::{Change, Members, tools::set};
use crate::dialect::version::Version;

pub static CHANGE: Change = Change {
    since: Version::of("2025-03-31.basil"),
    summary: "billing_thresholds were taken away from subscriptions, their items and schedules, for a while.",
    objects: &["subscription", "subscription_item", "subscription_schedule"],
    undo: |members, _| put_back(members),
    ..Change::NONE
};

fn put_back(members: &mut Members) {
    if members.get("object") != Some(&Value::from("subscription_schedule")) {
        return set(members, "billing_thresholds", Value::Null);
    }
    if let Some(Value::Object(defaults)) = members.get_mut("default_settings") {
        set(defaults, "billing_thresholds", Value::Null);
    }
    let phases = members.get_mut("phases").and_then(Value::as_array_mut).into_iter().flatten();
    for phase in phases.filter_map(Value::as_object_mut) {
        set(phase, "billing_thresholds", Value::Null);
        let items = phase.get_mut("items").and_then(Value::as_array_mut).into_iter().flatten();
        items.filter_map(Value::as_object_mut).for_each(|item| set(item, "billing_thresholds", Value::Null));
    }
}
