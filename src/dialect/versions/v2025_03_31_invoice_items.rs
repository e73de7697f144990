use serde_json::Value;

use super::{Change, Facts, Members, Route, tools};
use crate::{
    billing::{
        noun::{Link, Target, one},
        plan, price, subscription,
    },
    dialect::{form::Form, version::Version},
};

pub static CHANGE: Change = Change {
    since: Version::of("2025-03-31.basil"),
    summary: "Invoice items say in pricing and parent what they said in price, unit_amount and subscription.",
    objects: &["invoiceitem"],
    undo,
    accept,
    links_before: &[
        ("invoiceitem", one("subscription", &subscription::NOUN)),
        ("invoiceitem", Link { path: "plan", to: Target::Inline(&plan::NOUN) }),
        ("invoiceitem", Link { path: "price", to: Target::Inline(&price::NOUN) }),
    ],
    links_since: &[("invoiceitem", "pricing.price_details.price")],
    ..Change::NONE
};

fn undo(members: &mut Members, facts: &Facts) {
    let unit = tools::at(members, "pricing.unit_amount_decimal").clone();
    let whole = unit.as_str().and_then(|text| text.parse::<i64>().ok());
    let subscription = tools::at(members, "parent.subscription_details.subscription").clone();
    let item = tools::at(members, "parent.subscription_details.subscription_item").clone();
    insert_price(members, facts);
    tools::remove(members, &["parent", "pricing"]);
    tools::set(members, "subscription", subscription);
    if !item.is_null() {
        tools::set(members, "subscription_item", item);
    }
    tools::set(members, "unit_amount", whole);
    tools::set(members, "unit_amount_decimal", unit);
}

/// The whole price, and the plan that it is.
pub fn insert_price(members: &mut Members, facts: &Facts) {
    let price = tools::at(members, "pricing.price_details.price").as_str().and_then(|id| facts.price(id)).cloned();
    let recurs = price.as_ref().is_some_and(|price| price.get("recurring").is_some_and(Value::is_object));
    let plan = price.as_ref().filter(|_| recurs).map(plan::as_plan);
    tools::set(members, "plan", plan.unwrap_or(Value::Null));
    tools::set(members, "price", price.unwrap_or(Value::Null));
}

const ITEMS: [&str; 2] = ["/v1/invoiceitems", "/v1/invoiceitems/{id}"];
const LINES: [&str; 2] = ["/v1/invoices/{id}/add_lines", "/v1/invoices/{id}/update_lines"];

fn accept(route: &Route<'_>, form: &mut Form) {
    if route.posts_to(&ITEMS) {
        price_in_pricing(form);
        form.rename("unit_amount", "unit_amount_decimal");
    } else if route.posts_to(&["/v1/invoices/{id}/lines/{line}"]) {
        price_in_pricing(form);
    } else if route.posts_to(&LINES)
        && let Some(Form::List(lines)) = form.get_mut("lines")
    {
        lines.iter_mut().for_each(price_in_pricing);
    }
}

fn price_in_pricing(form: &mut Form) {
    if let Some(price) = form.take("price") {
        form.put("pricing", Form::map("price", price));
    }
}
