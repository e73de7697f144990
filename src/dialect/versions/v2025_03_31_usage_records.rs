use serde_json::Value;

use super::{Change, Facts, Members, Route, tools};
use crate::{
    billing::Refusal,
    dialect::{form::Form, version::Version},
};

pub static CHANGE: Change = Change {
    since: Version::of("2025-03-31.basil"),
    summary: "Usage is metered, not recorded: aggregate_usage of prices and plans is gone.",
    objects: &["plan", "price"],
    undo,
    unsupported,
    ..Change::NONE
};

fn undo(members: &mut Members, _: &Facts) {
    if tools::at(members, "object") == "plan" {
        tools::set(members, "aggregate_usage", Value::Null);
    } else if let Some(Value::Object(recurring)) = members.get_mut("recurring") {
        tools::set(recurring, "aggregate_usage", Value::Null);
        tools::sort(recurring);
    }
}

fn unsupported(route: &Route<'_>, form: &Form) -> Result<(), Refusal> {
    if route.posts_to(&["/v1/plans"]) && form.get("aggregate_usage").is_some() {
        return Err(tools::not_supported("aggregate_usage"));
    }
    if route.posts_to(&["/v1/prices"]) && form.get("recurring").is_some_and(|it| it.get("aggregate_usage").is_some()) {
        return Err(tools::not_supported("recurring[aggregate_usage]"));
    }
    Ok(())
}
