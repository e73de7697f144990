use super::{Change, Route, tools::INTENTS};
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

fn refuse(route: &Route<'_>, form: &Form) -> Result<(), Refusal> {
    let is_written = route.posts_to(&INTENTS) || route.posts_to(&["/v1/checkout/sessions"]);
    if !is_written || form.get("payment_method_types").is_none() {
        return Ok(());
    }
    let message = "The parameter payment_method_types is no longer supported. Use allowed_payment_method_types or \
                   excluded_payment_method_types, or leave it out.";
    Err(Refusal::invalid(message).code("payment_method_types_no_longer_supported").param("payment_method_types"))
}
