use super::{Change, Facts, Members, Route, tools};
use crate::{
    billing::Refusal,
    dialect::{form::Form, version::Version},
};

pub static CHANGE: Change = Change {
    since: Version::of("2026-03-25.dahlia"),
    summary: "The ui_mode of a Checkout session is hosted_page, embedded_page or elements; before, hosted, embedded or custom.",
    objects: &["checkout.session"],
    undo,
    accept,
    unsupported,
    ..Change::NONE
};

/// What is said since, and what was said before.
const WORDS: [(&str, &str); 3] = [("hosted_page", "hosted"), ("embedded_page", "embedded"), ("elements", "custom")];

fn undo(members: &mut Members, _: &Facts) {
    let before = WORDS.iter().find(|(since, _)| tools::at(members, "ui_mode") == since).map(|(_, before)| *before);
    if let Some(before) = before {
        tools::set(members, "ui_mode", before);
    }
}

fn accept(route: &Route<'_>, form: &mut Form) {
    if !route.posts_to(&["/v1/checkout/sessions"]) {
        return;
    }
    let since = WORDS.iter().find(|(_, before)| form.get("ui_mode") == Some(&Form::text(before)));
    if let Some((since, _)) = since {
        form.put("ui_mode", Form::text(since));
    }
}

fn unsupported(route: &Route<'_>, form: &Form) -> Result<(), Refusal> {
    let is_newer = |(since, _): &(&str, &str)| form.get("ui_mode") == Some(&Form::text(since));
    if route.posts_to(&["/v1/checkout/sessions"]) && WORDS.iter().any(is_newer) {
        let message = "Invalid ui_mode: must be one of custom, embedded, or hosted";
        return Err(Refusal::invalid(message).param("ui_mode"));
    }
    Ok(())
}
