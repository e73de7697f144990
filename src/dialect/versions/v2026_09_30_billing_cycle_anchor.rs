use super::{Change, Route};
use crate::dialect::{form::Form, version::Version};

pub static CHANGE: Change = Change {
    since: Version::of("2026-09-30.endive"),
    summary: "billing_cycle_anchor of an update, a resumption and a preview is an object with a type, not a word.",
    accept,
    ..Change::NONE
};

/// What restarts or keeps the cycle of a subscription that there is.
const UPDATES: [&str; 2] = ["/v1/subscriptions/{id}", "/v1/subscriptions/{id}/resume"];

fn accept(route: &Route<'_>, form: &mut Form) {
    if route.posts_to(&UPDATES) {
        with_type(form);
    } else if route.previews()
        && let Some(details) = form.get_mut("subscription_details")
    {
        with_type(details);
    }
}

fn with_type(form: &mut Form) {
    let Some(Form::Text(word)) = form.get("billing_cycle_anchor") else { return };
    let mut typed = Form::empty();
    if !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()) {
        typed.put("type", Form::text("timestamp"));
        typed.put("timestamp", Form::text(word));
    } else {
        typed.put("type", Form::text(word));
    }
    form.put("billing_cycle_anchor", typed);
}
