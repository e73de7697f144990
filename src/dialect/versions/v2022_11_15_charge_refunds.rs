use super::{Change, Facts, Members, tools};
use crate::dialect::version::Version;

pub static CHANGE: Change = Change {
    since: Version::of("2022-11-15"),
    summary: "The refunds of a charge are not included any more unless they are expanded.",
    objects: &["charge"],
    undo,
    ..Change::NONE
};

fn undo(members: &mut Members, facts: &Facts) {
    let refunds = tools::at(members, "id").as_str().and_then(|id| facts.refunds_of(id)).cloned();
    if let Some(refunds) = refunds {
        tools::set(members, "refunds", refunds);
    }
}
