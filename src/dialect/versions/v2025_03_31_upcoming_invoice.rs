use axum::http::Method;

use super::{Change, Route, tools};
use crate::{
    billing::Refusal,
    dialect::{form::Form, version::Version},
};

pub static CHANGE: Change = Change {
    since: Version::of("2025-03-31.basil"),
    summary: "What comes next is previewed by create_preview, of something that is named, and not by upcoming.",
    accept,
    unsupported,
    refuse,
    ..Change::NONE
};

/// Where the next invoice was shown.
pub const UPCOMING: [&str; 2] = ["/v1/invoices/upcoming", "/v1/invoices/upcoming/lines"];

/// What stands in `subscription_details` since.
const DETAILS: [(&str, &str); 10] = [
    ("subscription_billing_cycle_anchor", "billing_cycle_anchor"),
    ("subscription_cancel_at", "cancel_at"),
    ("subscription_cancel_at_period_end", "cancel_at_period_end"),
    ("subscription_cancel_now", "cancel_now"),
    ("subscription_default_tax_rates", "default_tax_rates"),
    ("subscription_items", "items"),
    ("subscription_proration_behavior", "proration_behavior"),
    ("subscription_proration_date", "proration_date"),
    ("subscription_start_date", "start_date"),
    ("subscription_trial_end", "trial_end"),
];

fn accept(route: &Route<'_>, form: &mut Form) {
    if route.method != Method::GET || !UPCOMING.contains(&route.path) {
        return;
    }
    let mut details = form.take("subscription_details").unwrap_or(Form::empty());
    for (flat, nested) in DETAILS {
        if let Some(value) = form.take(flat) {
            details.put(nested, value);
        }
    }
    if details != Form::empty() {
        form.put("subscription_details", details);
    }
}

fn unsupported(_: &Route<'_>, form: &Form) -> Result<(), Refusal> {
    let param = "subscription_trial_from_plan";
    if form.get(param).is_some() { Err(tools::not_supported(param)) } else { Ok(()) }
}

fn refuse(route: &Route<'_>, form: &Form) -> Result<(), Refusal> {
    let named = ["subscription", "schedule", "schedule_details", "invoice_items"];
    let of_items = form.get("subscription_details").is_some_and(|details| details.get("items").is_some());
    let is_bare = form.get("customer").is_some() && !of_items && named.iter().all(|name| form.get(name).is_none());
    if route.previews() && is_bare { Err(Refusal::missing("subscription_details[items]")) } else { Ok(()) }
}
