use serde_json::{Value, json};

use super::{Change, Facts, Members, tools};
use crate::dialect::version::Version;

pub static CHANGE: Change = Change {
    since: Version::of("2024-04-10"),
    summary: "rendering_options of invoices became rendering.",
    objects: &["invoice"],
    undo,
    ..Change::NONE
};

fn undo(members: &mut Members, _: &Facts) {
    let options = match members.get("rendering") {
        Some(Value::Object(rendering)) => json!({"amount_tax_display": rendering.get("amount_tax_display")}),
        _ => Value::Null,
    };
    tools::set(members, "rendering_options", options);
}
