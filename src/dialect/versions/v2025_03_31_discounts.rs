use serde_json::Value;

use super::{Change, Facts, Members, Route, tools};
use crate::{
    billing::{Refusal, noun::null},
    dialect::{form::Form, version::Version},
};

pub static CHANGE: Change = Change {
    since: Version::of("2025-03-31.basil"),
    summary: "Subscriptions, phases and invoices have a list of discounts, where they had one; coupon and promotion_code became discounts.",
    objects: &["invoice", "subscription", "subscription_schedule"],
    undo,
    accept,
    unsupported,
    links_before: &[
        ("invoice", null("discount")),
        ("subscription", null("discount")),
        ("subscription_schedule", null("phases.coupon")),
    ],
    ..Change::NONE
};

fn undo(members: &mut Members, _: &Facts) {
    if tools::at(members, "object") == "subscription_schedule" {
        let phases = members.get_mut("phases").and_then(Value::as_array_mut).into_iter().flatten();
        phases.filter_map(Value::as_object_mut).for_each(|phase| tools::set(phase, "coupon", Value::Null));
        return;
    }
    let first = tools::items(members, "discounts").find(|discount| discount.is_object()).cloned();
    tools::set(members, "discount", first.unwrap_or(Value::Null));
}

const DISCOUNTED: [&str; 3] = ["/v1/subscriptions", "/v1/subscriptions/{id}", "/v1/invoices/create_preview"];
const SCHEDULES: [&str; 2] = ["/v1/subscription_schedules", "/v1/subscription_schedules/{id}"];
const CUSTOMERS: [&str; 2] = ["/v1/customers", "/v1/customers/{id}"];

const NAMES: [&str; 2] = ["coupon", "promotion_code"];

fn accept(route: &Route<'_>, form: &mut Form) {
    if route.posts_to(&DISCOUNTED) || route.previews() {
        discounts_of(form);
    } else if route.posts_to(&SCHEDULES)
        && let Some(Form::List(phases)) = form.get_mut("phases")
    {
        phases.iter_mut().for_each(discounts_of);
    }
}

fn discounts_of(form: &mut Form) {
    for name in NAMES {
        if let Some(code) = form.take(name) {
            let is_unset = matches!(&code, Form::Text(text) if text.is_empty());
            form.put("discounts", if is_unset { code } else { Form::List(vec![Form::map(name, code)]) });
        }
    }
}

fn unsupported(route: &Route<'_>, form: &Form) -> Result<(), Refusal> {
    match NAMES.into_iter().find(|name| form.get(name).is_some()) {
        Some(name) if route.posts_to(&CUSTOMERS) => Err(tools::not_supported(name)),
        _ => Ok(()),
    }
}
