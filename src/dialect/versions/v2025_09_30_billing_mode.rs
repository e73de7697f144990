use super::{Change, Route};
use crate::dialect::{form::Form, version::Version};

pub static CHANGE: Change = Change {
    since: Version::of("2025-09-30.clover"),
    summary: "New subscriptions are billed in flexible mode unless classic is asked for; before it was the other way round.",
    accept,
    ..Change::NONE
};

fn accept(route: &Route<'_>, form: &mut Form) {
    if route.posts_to(&["/v1/subscriptions"])
        || route.posts_to(&["/v1/subscription_schedules"]) && form.get("from_subscription").is_none()
    {
        classic_by_default(form);
    } else if route.posts_to(&["/v1/checkout/sessions"]) {
        if form.get("mode") != Some(&Form::text("subscription")) {
            return;
        }
        if form.get("subscription_data").is_none() {
            form.put("subscription_data", Form::empty());
        }
        if let Some(data) = form.get_mut("subscription_data") {
            classic_by_default(data);
        }
    } else if route.previews() && form.get("subscription").is_none() {
        // Only the preview of a new subscription has a mode to choose.
        if let Some(details) = form.get_mut("subscription_details") {
            classic_by_default(details);
        }
        if form.get("schedule").is_none()
            && let Some(details) = form.get_mut("schedule_details")
        {
            classic_by_default(details);
        }
    }
}

fn classic_by_default(form: &mut Form) {
    if form.get("billing_mode").is_none() {
        form.put("billing_mode", Form::map("type", Form::text("classic")));
    }
}
