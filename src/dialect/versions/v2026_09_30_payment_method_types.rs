use super::{Change, Route};
use crate::{
    billing::Refusal,
    dialect::{form::Form, version::Version},
};

pub static CHANGE: Change = Change {
    since: Version::of("2026-09-30.endive"),
    summary: "payment_method_types of payment intents, setup intents and Checkout sessions cannot be written any more.",
    refuse,
    ..Change::NONE
};

const WRITES: [&str; 7] = [
    "/v1/checkout/sessions",
    "/v1/payment_intents",
    "/v1/payment_intents/{id}",
    "/v1/payment_intents/{id}/confirm",
    "/v1/setup_intents",
    "/v1/setup_intents/{id}",
    "/v1/setup_intents/{id}/confirm",
];

fn refuse(route: &Route<'_>, form: &Form) -> Result<(), Refusal> {
    if !route.posts_to(&WRITES) || form.get("payment_method_types").is_none() {
        return Ok(());
    }
    let message = "The parameter payment_method_types is no longer supported. Use allowed_payment_method_types or \
                   excluded_payment_method_types, or leave it out.";
    Err(Refusal::invalid(message).code("payment_method_types_no_longer_supported").param("payment_method_types"))
}
