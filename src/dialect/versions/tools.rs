//! What the changes do to objects again and again.

use serde_json::Value;

use super::Members;
use crate::billing::Refusal;

/// Where intents of both kinds are written.
pub const INTENTS: [&str; 6] = [
    "/v1/payment_intents",
    "/v1/payment_intents/{id}",
    "/v1/payment_intents/{id}/confirm",
    "/v1/setup_intents",
    "/v1/setup_intents/{id}",
    "/v1/setup_intents/{id}/confirm",
];

/// `id`, `object`, then by name: the order of members on the wire.
pub fn sort(members: &mut Members) {
    let rank = |key: &str| match key {
        "id" => 0,
        "object" => 1,
        _ => 2,
    };
    let mut sorted: Vec<(String, Value)> = std::mem::take(members).into_iter().collect();
    sorted.sort_by(|(one, _), (other, _)| (rank(one), one).cmp(&(rank(other), other)));
    members.extend(sorted);
}

/// The value at a dotted path, or null.
pub fn at<'a>(members: &'a Members, path: &str) -> &'a Value {
    let mut keys = path.split('.');
    let first = keys.next().and_then(|key| members.get(key));
    first.and_then(|first| keys.try_fold(first, |value, key| value.get(key))).unwrap_or(&Value::Null)
}

pub fn set(members: &mut Members, key: &str, value: impl Into<Value>) {
    members.insert(key.to_owned(), value.into());
}

/// Gives a member another name.
pub fn rename(members: &mut Members, from: &str, to: &str) {
    if let Some(value) = members.shift_remove(from) {
        members.insert(to.to_owned(), value);
    }
}

pub fn remove(members: &mut Members, keys: &[&str]) {
    keys.iter().for_each(|key| drop(members.shift_remove(*key)));
}

/// Removes the member at a dotted path, if it is there; of a list, from each that is in it.
pub fn remove_at(members: &mut Members, path: &str) {
    match path.split_once('.') {
        None => drop(members.shift_remove(path)),
        Some((key, rest)) => match members.get_mut(key) {
            Some(Value::Object(inner)) => remove_at(inner, rest),
            Some(Value::Array(list)) => {
                list.iter_mut().filter_map(Value::as_object_mut).for_each(|inner| remove_at(inner, rest));
            }
            _ => {}
        },
    }
}

/// The objects of an inlined list, or of an array.
pub fn items<'a>(members: &'a Members, key: &str) -> impl Iterator<Item = &'a Value> {
    let value = members.get(key).unwrap_or(&Value::Null);
    value.get("data").unwrap_or(value).as_array().into_iter().flatten()
}

/// A parameter of an older version whose subject is not served.
pub fn not_supported(param: &str) -> Refusal {
    Refusal::invalid("This parameter is not supported by this server yet.").param(param)
}
