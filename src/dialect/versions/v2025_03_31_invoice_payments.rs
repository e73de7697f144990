use serde_json::Value;

use super::{Change, Facts, Members, tools};
use crate::{
    billing::{charge, noun::one, payment_intent},
    dialect::version::Version,
};

pub static CHANGE: Change = Change {
    since: Version::of("2025-03-31.basil"),
    summary: "An invoice has several payments, where it had one payment_intent and charge.",
    objects: &["invoice"],
    undo,
    links_before: &[
        ("invoice", one("payment_intent", &payment_intent::NOUN)),
        ("invoice", one("charge", &charge::NOUN)),
    ],
    links_since: &[("invoice", "payments"), ("invoice", "confirmation_secret")],
    ..Change::NONE
};

fn undo(members: &mut Members, facts: &Facts) {
    let is_draft = tools::at(members, "status") == "draft";
    let id = tools::at(members, "id").as_str().filter(|_| !is_draft);
    let (intent, charge) = match id.and_then(|id| facts.payment_of(id)).cloned() {
        Some((intent, charge)) => (Value::from(intent), charge),
        None => (Value::Null, Value::Null),
    };
    let paid = tools::at(members, "status") == "paid";
    let out_of_band = tools::at(members, "amount_paid_off_stripe").as_i64().unwrap_or(0);
    tools::set(members, "charge", charge);
    tools::set(members, "paid", paid);
    tools::set(members, "paid_out_of_band", paid && out_of_band > 0);
    tools::set(members, "payment_intent", intent);
    tools::remove(members, &["amount_overpaid", "confirmation_secret", "payments"]);
    // What came some other way was not counted.
    for (key, change) in [("amount_paid", -out_of_band), ("amount_remaining", out_of_band)] {
        if let Some(amount) = tools::at(members, key).as_i64().and_then(|amount| amount.checked_add(change)) {
            tools::set(members, key, amount);
        }
    }
}
