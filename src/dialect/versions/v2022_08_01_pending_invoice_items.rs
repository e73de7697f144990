use super::{Change, Route};
use crate::{
    billing::Refusal,
    dialect::{form::Form, version::Version},
};

pub static CHANGE: Change = Change {
    since: Version::of("2022-08-01"),
    summary: "A new invoice leaves out what is pending unless it is told otherwise; before, it needed something pending.",
    accept,
    refuse,
    ..Change::NONE
};

fn accept(route: &Route<'_>, form: &mut Form) {
    // A revision says what the invoice before it says, and nothing that is pending.
    let said = ["from_invoice", "pending_invoice_items_behavior"].iter().any(|name| form.get(name).is_some());
    if route.posts_to(&["/v1/invoices"]) && !said {
        form.put("pending_invoice_items_behavior", Form::text("include_and_require"));
    }
}

fn refuse(route: &Route<'_>, form: &Form) -> Result<(), Refusal> {
    let behavior = form.get("pending_invoice_items_behavior");
    if route.posts_to(&["/v1/invoices"]) && behavior == Some(&Form::text("include_and_require")) {
        let message = "Invalid pending_invoice_items_behavior: must be one of exclude or include";
        return Err(Refusal::invalid(message).param("pending_invoice_items_behavior"));
    }
    Ok(())
}
