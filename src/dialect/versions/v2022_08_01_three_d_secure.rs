use super::{Change, Facts, Members, Route};
use crate::dialect::{form::Form, version::Version};

pub static CHANGE: Change = Change {
    since: Version::of("2022-08-01"),
    summary: "request_three_d_secure says challenge; before, challenge_only.",
    objects: &["payment_intent", "setup_intent"],
    undo,
    accept,
    ..Change::NONE
};

const NOW: &str = "challenge";
const BEFORE: &str = "challenge_only";

const WRITES: [&str; 6] = [
    "/v1/payment_intents",
    "/v1/payment_intents/{id}",
    "/v1/payment_intents/{id}/confirm",
    "/v1/setup_intents",
    "/v1/setup_intents/{id}",
    "/v1/setup_intents/{id}/confirm",
];

fn undo(members: &mut Members, _: &Facts) {
    let options = members.get_mut("payment_method_options").and_then(|options| options.get_mut("card"));
    match options.and_then(|card| card.get_mut("request_three_d_secure")) {
        Some(asked) if *asked == NOW => *asked = BEFORE.into(),
        _ => {}
    }
}

fn accept(route: &Route<'_>, form: &mut Form) {
    if !route.posts_to(&WRITES) {
        return;
    }
    let options = form.get_mut("payment_method_options").and_then(|options| options.get_mut("card"));
    if let Some(card) = options
        && card.get("request_three_d_secure") == Some(&Form::text(BEFORE))
    {
        card.put("request_three_d_secure", Form::text(NOW));
    }
}
