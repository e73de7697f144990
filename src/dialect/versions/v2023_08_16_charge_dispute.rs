use serde_json::Value;

use super::{Change, Facts, Members, tools};
use crate::{
    billing::{dispute, noun::one},
    dialect::version::Version,
};

pub static CHANGE: Change = Change {
    since: Version::of("2023-08-16"),
    summary: "A charge does not name its dispute any more.",
    objects: &["charge"],
    undo,
    links_before: &[("charge", one("dispute", &dispute::NOUN))],
    ..Change::NONE
};

fn undo(members: &mut Members, facts: &Facts) {
    let dispute = tools::at(members, "id").as_str().and_then(|id| facts.dispute_of(id));
    let dispute = dispute.map_or(Value::Null, Value::from);
    tools::set(members, "dispute", dispute);
}
