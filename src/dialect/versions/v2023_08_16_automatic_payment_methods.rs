use super::{Change, Route};
use crate::dialect::{form::Form, version::Version};

pub static CHANGE: Change = Change {
    since: Version::of("2023-08-16"),
    summary: "Intents that name no payment_method_types take what is enabled; before, cards.",
    accept,
    ..Change::NONE
};

fn accept(route: &Route<'_>, form: &mut Form) {
    let chosen = [
        "allowed_payment_method_types",
        "automatic_payment_methods",
        "excluded_payment_method_types",
        "payment_method_types",
    ]
    .iter()
    .any(|name| form.get(name).is_some());
    if route.posts_to(&["/v1/payment_intents", "/v1/setup_intents"]) && !chosen {
        form.put("payment_method_types", Form::List(vec![Form::text("card")]));
    }
}
