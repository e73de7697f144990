use serde_json::Value;

use super::{Change, Facts, Members, Route, tools};
use crate::{
    billing::{noun::one, refund},
    dialect::{form::Form, version::Version},
};

pub static CHANGE: Change = Change {
    since: Version::of("2025-03-31.basil"),
    summary: "A credit note has several refunds, where it had one.",
    objects: &["credit_note"],
    undo,
    accept,
    links_before: &[("credit_note", one("refund", &refund::NOUN))],
    links_since: &[("credit_note", "refunds.refund")],
    ..Change::NONE
};

fn undo(members: &mut Members, _: &Facts) {
    let first = tools::items(members, "refunds").next().and_then(|refund| refund.get("refund").cloned());
    tools::remove(members, &["refunds"]);
    tools::set(members, "refund", first.unwrap_or(Value::Null));
}

fn accept(route: &Route<'_>, form: &mut Form) {
    let notes = ["/v1/credit_notes", "/v1/credit_notes/preview", "/v1/credit_notes/preview/lines"];
    if notes.contains(&route.path)
        && let Some(refund) = form.take("refund")
    {
        form.put("refunds", Form::List(vec![Form::map("refund", refund)]));
    }
}
