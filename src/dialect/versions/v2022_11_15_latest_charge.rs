use super::{Change, Facts, Members, tools};
use crate::{
    billing::{
        charge,
        noun::{Link, Target},
    },
    dialect::version::Version,
};

pub static CHANGE: Change = Change {
    since: Version::of("2022-11-15"),
    summary: "A payment intent names its latest charge, where it listed all of them.",
    objects: &["payment_intent"],
    undo,
    links_before: &[("payment_intent", Link { path: "charges.data", to: Target::Inline(&charge::NOUN) })],
    ..Change::NONE
};

fn undo(members: &mut Members, facts: &Facts) {
    let charges = tools::at(members, "id").as_str().and_then(|id| facts.charges_of(id)).cloned();
    if let Some(charges) = charges {
        tools::set(members, "charges", charges);
    }
}
