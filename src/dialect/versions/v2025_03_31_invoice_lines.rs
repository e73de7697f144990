use serde_json::Value;

use super::{Change, Facts, Members, tools, v2025_03_31_invoice_items::insert_price};
use crate::{
    billing::{
        invoice_item,
        noun::{Link, Target, null, one},
        plan, price,
    },
    dialect::version::Version,
};

pub static CHANGE: Change = Change {
    since: Version::of("2025-03-31.basil"),
    summary: "Lines of invoices say in parent and pricing what they said in type, price, plan, proration and their like.",
    objects: &["line_item"],
    undo,
    links_before: &[
        ("line_item", one("invoice_item", &invoice_item::NOUN)),
        ("line_item", Link { path: "plan", to: Target::Inline(&plan::NOUN) }),
        ("line_item", Link { path: "price", to: Target::Inline(&price::NOUN) }),
        ("line_item", null("subscription_item")),
    ],
    links_since: &[("line_item", "pricing.price_details.price")],
    ..Change::NONE
};

fn undo(members: &mut Members, facts: &Facts) {
    let is_subscription = tools::at(members, "parent.type") == "subscription_item_details";
    let details = if is_subscription { "subscription_item_details" } else { "invoice_item_details" };
    let of = |key: &str| tools::at(members, &format!("parent.{details}.{key}")).clone();
    let (item, invoice_item, proration, proration_details) =
        (of("subscription_item"), of("invoice_item"), of("proration"), of("proration_details"));
    let unit = tools::at(members, "pricing.unit_amount_decimal").clone();
    // No tax is included in amounts yet.
    let amount = tools::at(members, "amount").clone();
    insert_price(members, facts);
    tools::remove(members, &["parent", "pricing"]);
    tools::set(members, "amount_excluding_tax", amount);
    // A proration is a line of an item that was made for it.
    let of_item = !is_subscription || !invoice_item.is_null();
    tools::set(members, "type", if of_item { "invoiceitem" } else { "subscription" });
    for (key, id) in [("invoice_item", invoice_item), ("subscription_item", item)] {
        if !id.is_null() {
            tools::set(members, key, id);
        }
    }
    tools::set(members, "proration", proration == Value::Bool(true));
    tools::set(members, "proration_details", proration_details);
    tools::set(members, "unit_amount_excluding_tax", unit);
}
