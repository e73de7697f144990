use serde_json::Value;

use super::{Change, Facts, Members, Route, tools};
use crate::{
    billing::{Refusal, noun::null},
    dialect::{form::Form, version::Version},
};

pub static CHANGE: Change = Change {
    since: Version::of("2025-03-31.basil"),
    summary: "Subscriptions and invoices have a list of discounts, where they had one; coupon and promotion_code became discounts.",
    objects: &["invoice", "subscription"],
    undo,
    accept,
    unsupported,
    links_before: &[("invoice", null("discount")), ("subscription", null("discount"))],
    ..Change::NONE
};

fn undo(members: &mut Members, _: &Facts) {
    let first = tools::items(members, "discounts").find(|discount| discount.is_object()).cloned();
    tools::set(members, "discount", first.unwrap_or(Value::Null));
}

const DISCOUNTED: [&str; 3] = ["/v1/subscriptions", "/v1/subscriptions/{id}", "/v1/invoices/create_preview"];
const CUSTOMERS: [&str; 2] = ["/v1/customers", "/v1/customers/{id}"];

const NAMES: [&str; 2] = ["coupon", "promotion_code"];

fn accept(route: &Route<'_>, form: &mut Form) {
    for name in NAMES {
        if (route.posts_to(&DISCOUNTED) || route.previews())
            && let Some(code) = form.take(name)
        {
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
