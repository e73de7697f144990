use serde_json::Value;

use super::{Change, Facts, Members, Route, tools};
use crate::{
    billing::Refusal,
    dialect::{form::Form, version::Version},
};

pub static CHANGE: Change = Change {
    since: Version::of("2022-08-01"),
    summary: "A Checkout session makes a customer only if one is required; lines have a price or price_data, and no amounts of \
              their own; what is shipped and how is told apart.",
    objects: &["checkout.session"],
    undo,
    accept,
    unsupported,
    ..Change::NONE
};

const SESSIONS: &str = "/v1/checkout/sessions";

fn undo(members: &mut Members, _: &Facts) {
    for gone in ["shipping", "shipping_rate"] {
        tools::set(members, gone, Value::Null);
    }
    tools::remove(members, &["shipping_details"]);
}

fn accept(route: &Route<'_>, form: &mut Form) {
    if !route.posts_to(&[SESSIONS]) {
        return;
    }
    let is_payment = form.get("mode").is_none_or(|mode| *mode == Form::text("payment"));
    if is_payment && form.get("customer").is_none() && form.get("customer_creation").is_none() {
        form.put("customer_creation", Form::text("always"));
    }
    if let Some(Form::List(lines)) = form.get_mut("line_items") {
        lines.iter_mut().for_each(priced);
    }
    // What was subscribed to stood apart from what was bought beside it.
    let items = form.get_mut("subscription_data").and_then(|data| data.take("items"));
    let Some(Form::List(mut items)) = items else { return };
    items.iter_mut().for_each(|item| {
        item.rename("plan", "price");
        if item.get("quantity").is_none() {
            item.put("quantity", Form::text("1"));
        }
    });
    match form.get_mut("line_items") {
        Some(Form::List(lines)) => lines.append(&mut items),
        _ => form.put("line_items", Form::List(items)),
    }
}

/// A line that says itself what it costs, with a price of its own.
fn priced(line: &mut Form) {
    let Some(amount) = line.take("amount") else { return };
    let mut data = Form::map("unit_amount", amount);
    if let Some(currency) = line.take("currency") {
        data.put("currency", currency);
    }
    let mut product = Form::empty();
    for member in ["name", "description", "images"] {
        if let Some(value) = line.take(member) {
            product.put(member, value);
        }
    }
    data.put("product_data", product);
    line.put("price_data", data);
}

fn unsupported(route: &Route<'_>, form: &Form) -> Result<(), Refusal> {
    if route.posts_to(&[SESSIONS]) && form.get("shipping_rates").is_some() {
        return Err(tools::not_supported("shipping_rates"));
    }
    Ok(())
}
