//! A stored document as an answer shows it, without taking it apart: most of what is read and listed
//! rests in the very shape that is said, and only lacks line breaks.

use crate::billing::wire::INTERNAL;

/// Appends a compact JSON text, indented as `serde_json` indents, at a depth. The member `internal` of
/// the document itself is left out; it never is the first.
pub fn indent(compact: &str, depth: usize, into: &mut String) {
    let hidden = format!(",\"{INTERNAL}\":");
    let bytes = compact.as_bytes();
    let mut level = depth;
    // What lies between `copied` and `place` goes over as it is.
    let (mut copied, mut place) = (0, 0);
    while let Some(byte) = bytes.get(place) {
        match byte {
            b'"' => place += string_length(&bytes[place + 1..]),
            b'{' | b'[' if matches!(bytes.get(place + 1), Some(b'}' | b']')) => place += 1,
            b'{' | b'[' => {
                level += 1;
                into.push_str(&compact[copied..=place]);
                new_line(level, into);
                copied = place + 1;
            }
            b'}' | b']' => {
                level = level.saturating_sub(1);
                into.push_str(&compact[copied..place]);
                new_line(level, into);
                copied = place;
            }
            b':' => {
                into.push_str(&compact[copied..=place]);
                into.push(' ');
                copied = place + 1;
            }
            b',' if level == depth + 1 && compact[place..].starts_with(&hidden) => {
                into.push_str(&compact[copied..place]);
                copied = place + hidden.len() + value_length(&bytes[place + hidden.len()..]);
                place = copied;
                continue;
            }
            b',' => {
                into.push_str(&compact[copied..=place]);
                new_line(level, into);
                copied = place + 1;
            }
            _ => {}
        }
        place += 1;
    }
    into.push_str(&compact[copied..]);
}

fn new_line(level: usize, into: &mut String) {
    const SPACES: &str = "\n                                ";
    if let Some(spaces) = SPACES.get(..=2 * level) {
        into.push_str(spaces);
    } else {
        into.push('\n');
        into.extend(std::iter::repeat_n("  ", level));
    }
}

/// The length of what is left of a string, with the quote that ends it.
fn string_length(text: &[u8]) -> usize {
    let mut place = 0;
    while let Some(byte) = text.get(place) {
        match byte {
            b'"' => return place + 1,
            b'\\' => place += 2,
            _ => place += 1,
        }
    }
    text.len()
}

/// The length of the value that a text begins with.
fn value_length(text: &[u8]) -> usize {
    let (mut level, mut place) = (0_usize, 0);
    while let Some(byte) = text.get(place) {
        match byte {
            b'"' => place += string_length(&text[place + 1..]),
            b'{' | b'[' => level += 1,
            b'}' | b']' | b',' if level == 0 => break,
            b'}' | b']' => level -= 1,
            _ => {}
        }
        place += 1;
    }
    place
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;

    fn indented(document: &Value) -> String {
        let mut text = String::new();
        indent(&document.to_string(), 0, &mut text);
        text
    }

    #[test]
    fn what_is_internal_stays_inside() {
        let document = json!({"id": "a\"\\", "internal2": {}, "list": [{"internal": [1, "]"]}, []], "internal": {"x": ["}", 1]}, "z": null});
        let shown = json!({"id": "a\"\\", "internal2": {}, "list": [{"internal": [1, "]"]}, []], "z": null});
        assert_eq!(indented(&document), serde_json::to_string_pretty(&shown).unwrap());
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-z{}\\[\\]:,\"\\\\é\n]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec(("[a-z\"\\\\,]{0,6}", inner), 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_indents_as_serde_json_does(first in values(), hidden in values(), last in values()) {
            let whole = json!({"first": first, "internal": hidden, "last": last});
            let shown = json!({"first": first, "last": last});
            prop_assert_eq!(indented(&whole), serde_json::to_string_pretty(&shown).unwrap());
        }
    }
}
