use serde_json::{Value, json};

use super::{Change, Facts, Members, tools};
use crate::{billing::noun::null, dialect::version::Version};

pub static CHANGE: Change = Change {
    since: Version::of("2025-03-31.basil"),
    summary: "Taxes have one shape everywhere; what an invoice transfers is not shown any more.",
    objects: &["credit_note", "credit_note_line_item", "invoice", "line_item"],
    undo,
    links_before: &[("invoice", null("total_tax_amounts.tax_rate")), ("line_item", null("tax_amounts.tax_rate"))],
    ..Change::NONE
};

fn undo(members: &mut Members, _: &Facts) {
    let object = tools::at(members, "object").as_str().unwrap_or_default().to_owned();
    let (since, before) = match object.as_str() {
        "invoice" => ("total_taxes", "total_tax_amounts"),
        "credit_note" => ("total_taxes", "tax_amounts"),
        _ => ("taxes", "tax_amounts"),
    };
    let amounts: Vec<Value> = tools::items(members, since).map(amount_of).collect();
    let sum = amounts.iter().filter_map(|tax| tax.get("amount").and_then(Value::as_i64)).try_fold(0, i64::checked_add);
    let tax = if amounts.is_empty() { None } else { sum };
    tools::remove(members, &[since]);
    tools::set(members, before, amounts);
    match object.as_str() {
        "invoice" => {
            tools::set(members, "tax", tax);
            tools::set(members, "application_fee_amount", Value::Null);
            tools::set(members, "transfer_data", Value::Null);
        }
        "line_item" => tools::set(members, "tax_rates", Vec::<Value>::new()),
        "credit_note_line_item" => {
            // No tax is included in amounts yet.
            let (amount, unit) =
                (tools::at(members, "amount").clone(), tools::at(members, "unit_amount_decimal").clone());
            tools::set(members, "amount_excluding_tax", amount);
            tools::set(members, "unit_amount_excluding_tax", unit);
        }
        _ => {}
    }
}

fn amount_of(tax: &Value) -> Value {
    let of = |path: &str| tax.pointer(path).cloned().unwrap_or(Value::Null);
    json!({
        "amount": of("/amount"),
        "inclusive": of("/tax_behavior") == "inclusive",
        "tax_rate": of("/tax_rate_details/tax_rate"),
        "taxability_reason": of("/taxability_reason"),
        "taxable_amount": of("/taxable_amount"),
    })
}
