use super::{Change, Facts, Members, tools};
use crate::{
    billing::{invoice, noun::one},
    dialect::version::Version,
};

pub static CHANGE: Change = Change {
    since: Version::of("2025-03-31.basil"),
    summary: "Payment intents and charges do not name their invoice any more.",
    objects: &["charge", "payment_intent"],
    undo,
    links_before: &[("charge", one("invoice", &invoice::NOUN)), ("payment_intent", one("invoice", &invoice::NOUN))],
    ..Change::NONE
};

fn undo(members: &mut Members, facts: &Facts) {
    let key = if tools::at(members, "object") == "charge" { "payment_intent" } else { "id" };
    let invoice = tools::at(members, key).as_str().and_then(|intent| facts.invoice_of(intent));
    tools::set(members, "invoice", invoice);
}
