use serde_json::Value;

use super::{Change, Facts, Members, Route, tools::INTENTS};
use crate::dialect::{form::Form, version::Version};

pub static CHANGE: Change = Change {
    since: Version::of("2022-08-01"),
    summary: "request_three_d_secure says challenge; before, challenge_only.",
    objects: &["invoice", "payment_intent", "setup_intent", "subscription"],
    undo,
    accept,
    ..Change::NONE
};

const NOW: &str = "challenge";
const BEFORE: &str = "challenge_only";
/// Subscriptions and invoices could not say it.
const BEFORE_OF_BILLING: &str = "any";

fn undo(members: &mut Members, _: &Facts) {
    let settings = members.get_mut("payment_settings");
    say(settings.and_then(|settings| settings.get_mut("payment_method_options")), BEFORE_OF_BILLING);
    say(members.get_mut("payment_method_options"), BEFORE);
}

fn say(options: Option<&mut Value>, before: &str) {
    let card = options.and_then(|options| options.get_mut("card"));
    match card.and_then(|card| card.get_mut("request_three_d_secure")) {
        Some(asked) if *asked == NOW => *asked = before.into(),
        _ => {}
    }
}

fn accept(route: &Route<'_>, form: &mut Form) {
    if !route.posts_to(&INTENTS) {
        return;
    }
    let options = form.get_mut("payment_method_options").and_then(|options| options.get_mut("card"));
    if let Some(card) = options
        && card.get("request_three_d_secure") == Some(&Form::text(BEFORE))
    {
        card.put("request_three_d_secure", Form::text(NOW));
    }
}
