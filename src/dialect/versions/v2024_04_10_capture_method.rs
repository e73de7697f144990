use super::{Change, Facts, Members, Route, tools};
use crate::dialect::{form::Form, version::Version};

pub static CHANGE: Change = Change {
    since: Version::of("2024-04-10"),
    summary: "New payment intents capture asynchronously unless they are told otherwise.",
    objects: &["payment_intent"],
    undo,
    accept,
    ..Change::NONE
};

fn undo(members: &mut Members, _: &Facts) {
    if tools::at(members, "capture_method") == "automatic_async" {
        tools::set(members, "capture_method", "automatic");
    }
}

fn accept(route: &Route<'_>, form: &mut Form) {
    if route.posts_to(&["/v1/payment_intents"]) && form.get("capture_method").is_none() {
        form.put("capture_method", Form::text("automatic"));
    }
}
