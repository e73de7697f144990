//! Plans: the legacy view of recurring prices, by the same ids. Whatever happens to the one is told of the
//! other, too.

use serde_json::{Map, Value};

use super::{
    Books, Id, Moment, Noun, describe,
    noun::{By, Keyed, Link, Target, filter, one},
    price::{self, Price},
    product,
};

pub static NOUN: Noun = Noun {
    object: "plan",
    prefix: "plan_",
    table: "prices",
    url: "/v1/plans",
    name: "plan",
    keyed: Keyed::Chosen,
    leaves_stub: false,
    columns: &[],
    filters: &[filter("active", By::Boolean("active")), filter("product", By::Text("product"))],
    links: &[
        one("product", &product::NOUN),
        Link { path: "tiers", to: Target::Derived { make: price::tiers, of: &[] } },
    ],
    inlines: &[],
    previews: &[],
    searchable: &[],
    document: describe::written_elsewhere,
};

/// The legacy view of a recurring price, which accompanies `price` in subscription items.
pub fn as_plan(price: &Value) -> Value {
    let of = |key: &str| price.get(key).cloned().unwrap_or(Value::Null);
    let recurring = |key: &str| price.pointer(&format!("/recurring/{key}")).cloned().unwrap_or(Value::Null);
    let mut plan = Map::new();
    plan.insert("id".into(), of("id"));
    plan.insert("object".into(), Value::from("plan"));
    plan.insert("active".into(), of("active"));
    plan.insert("amount".into(), of("unit_amount"));
    plan.insert("amount_decimal".into(), of("unit_amount_decimal"));
    plan.insert("billing_scheme".into(), of("billing_scheme"));
    plan.insert("created".into(), of("created"));
    plan.insert("currency".into(), of("currency"));
    plan.insert("interval".into(), recurring("interval"));
    plan.insert("interval_count".into(), recurring("interval_count"));
    plan.insert("livemode".into(), of("livemode"));
    plan.insert("metadata".into(), of("metadata"));
    plan.insert("meter".into(), recurring("meter"));
    plan.insert("nickname".into(), of("nickname"));
    plan.insert("product".into(), of("product"));
    plan.insert("tiers_mode".into(), of("tiers_mode"));
    plan.insert("transform_usage".into(), of("transform_quantity"));
    plan.insert("trial_period_days".into(), recurring("trial_period_days"));
    plan.insert("usage_type".into(), recurring("usage_type"));
    Value::Object(plan)
}

/// Keeps a new price.
pub fn create(books: &mut Books, price: Price, at: &mut Moment) -> Id<Price> {
    let id = price.id.clone();
    books.put(price).tell("price.created", at);
    tell(books, &id, "plan.created", None, at);
    id
}

/// Keeps a price that has changed.
pub fn update(books: &mut Books, price: Price, at: &mut Moment) {
    let id = price.id.clone();
    let before = books.get(&id).map(|price| price.internal.clone());
    let (image, told) = (books.image(&id), books.last_told().map(ToOwned::to_owned));
    let unseen = before.is_some_and(|before| before != price.internal);
    books.put(price).tell("price.updated", at);
    if unseen && books.last_told() == told.as_deref() {
        books.tell_unseen(&id, "price.updated", at);
    }
    tell(books, &id, "plan.updated", image.as_ref(), at);
}

/// Takes a price away for good.
pub fn delete(books: &mut Books, id: &Id<Price>, at: &mut Moment) {
    books.tell(id, "price.deleted", at);
    tell(books, id, "plan.deleted", None, at);
    books.remove(id);
}

/// Only what recurs is a plan.
fn tell(books: &mut Books, id: &Id<Price>, kind: &'static str, before: Option<&Value>, at: &mut Moment) {
    if books.get(id).is_some_and(|price| price.recurring.is_some()) {
        books.tell_view(id, kind, (as_plan, before), at);
    }
}
