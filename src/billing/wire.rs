//! The newest wire shape of a stored document, and the difference between two of them.
//!
//! A document rests with ids where Stripe always shows whole prices, and with what only we need under
//! `internal`. Speaking it means inlining the first and removing the second; both happen here only.

use serde_json::{Map, Value};

use super::{Noun, card, noun::Inline, plan};

/// The member that never leaves the server.
pub const INTERNAL: &str = "internal";

/// Turns a stored document into what a client sees. `price` finds the wire shape of a price.
pub fn wire(noun: &Noun, document: &mut Value, price: &dyn Fn(&str) -> Option<Value>) {
    if let Some(view) = view(noun) {
        *document = view(document);
    }
    if let Value::Object(members) = document {
        members.shift_remove(INTERNAL);
    }
    for preview in noun.previews {
        shorten(document, preview);
    }
    for inline in noun.inlines {
        each_parent(document, inline, &mut |parent| {
            let Some(Value::String(id)) = parent.get(inline.key) else { return };
            let Some(mut price) = price(id) else { return };
            price.as_object_mut().and_then(|members| members.shift_remove(INTERNAL));
            if inline.with_plan {
                parent.insert("plan".to_owned(), plan::as_plan(&price));
            }
            parent.insert(inline.key.to_owned(), price);
        });
    }
}

/// How the documents of a noun are seen that is but another view of what rests.
pub fn view(noun: &Noun) -> Option<fn(&Value) -> Value> {
    match noun.object {
        "plan" => Some(plan::as_plan),
        "card" => Some(card::as_card),
        _ => None,
    }
}

/// How much of a long list is inlined.
pub const PREVIEWED: usize = 10;

fn shorten(document: &mut Value, list: &str) {
    let Some(Value::Object(list)) = document.get_mut(list) else { return };
    let Some(Value::Array(data)) = list.get_mut("data") else { return };
    if data.len() > PREVIEWED {
        data.truncate(PREVIEWED);
        list.insert("has_more".to_owned(), true.into());
    }
}

/// The ids of the prices that [`wire`] will ask for.
pub fn prices_to_inline(noun: &Noun, document: &Value, found: &mut Vec<String>) {
    for inline in noun.inlines {
        for parent in parents(document, inline) {
            if let Some(Value::String(id)) = parent.get(inline.key) {
                found.push(id.clone());
            }
        }
    }
}

fn parents<'a>(document: &'a Value, inline: &Inline) -> Vec<&'a Value> {
    if inline.parents.is_empty() {
        return vec![document];
    }
    let found = inline.parents.split('.').try_fold(document, |value, key| value.get(key));
    found.and_then(Value::as_array).map(|list| list.iter().collect()).unwrap_or_default()
}

fn each_parent(document: &mut Value, inline: &Inline, change: &mut dyn FnMut(&mut Map<String, Value>)) {
    if inline.parents.is_empty() {
        document.as_object_mut().into_iter().for_each(change);
        return;
    }
    let found = inline.parents.split('.').try_fold(document, |value, key| value.get_mut(key));
    let list = found.and_then(Value::as_array_mut).into_iter().flatten();
    list.filter_map(Value::as_object_mut).for_each(change);
}

/// The `previous_attributes` of an update: for every changed member its old value. Of a nested
/// object only the changed members; lists whole; a member that did not exist before is null.
/// `None` when nothing changed.
pub fn previous_attributes(before: &Value, after: &Value) -> Option<Map<String, Value>> {
    let (Value::Object(before), Value::Object(after)) = (before, after) else { return None };
    let mut previous = Map::new();
    for (key, old) in before {
        let change = match after.get(key) {
            Some(new) if new == old => continue,
            Some(new) if nested(old) && nested(new) => previous_attributes(old, new).map(Value::Object),
            _ => Some(old.clone()),
        };
        if let Some(change) = change {
            previous.insert(key.clone(), change);
        }
    }
    for key in after.keys().filter(|key| !before.contains_key(*key)) {
        previous.insert(key.clone(), Value::Null);
    }
    (!previous.is_empty()).then_some(previous)
}

/// An object that is no list envelope: those are compared whole.
fn nested(value: &Value) -> bool {
    value.as_object().is_some_and(|members| members.get("object").and_then(Value::as_str) != Some("list"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn previous_attributes_hold_old_values_of_changed_leaves() {
        let cases = [
            (json!({"a": 1, "b": 2}), json!({"a": 1, "b": 3}), json!({"b": 2})),
            (
                json!({"pause_collection": {"behavior": "void", "resumes_at": null}}),
                json!({"pause_collection": {"behavior": "void", "resumes_at": 9}}),
                json!({"pause_collection": {"resumes_at": null}}),
            ),
            (
                json!({"pause_collection": null}),
                json!({"pause_collection": {"behavior": "void"}}),
                json!({"pause_collection": null}),
            ),
            (
                json!({"pause_collection": {"behavior": "void"}}),
                json!({"pause_collection": null}),
                json!({"pause_collection": {"behavior": "void"}}),
            ),
            (
                json!({"metadata": {"a": "1"}}),
                json!({"metadata": {"a": "1", "b": "2"}}),
                json!({"metadata": {"b": null}}),
            ),
            (
                json!({"items": {"object": "list", "data": [{"q": 1}], "url": "/"}}),
                json!({"items": {"object": "list", "data": [{"q": 2}], "url": "/"}}),
                json!({"items": {"object": "list", "data": [{"q": 1}], "url": "/"}}),
            ),
        ];
        for (before, after, expected) in cases {
            assert_eq!(previous_attributes(&before, &after).map(Value::Object), Some(expected));
        }
        assert_eq!(previous_attributes(&json!({"a": [1]}), &json!({"a": [1]})), None);
    }
}
