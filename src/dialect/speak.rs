//! Stored documents, said to a client: in the shape of its version, with prices inlined.

use std::collections::HashMap;

use serde_json::Value;

use super::{
    indent::indent,
    version::{Pin, Version},
    versions,
};
use crate::{
    billing::{Noun, event, price, wire},
    store::{Connection, Fault, events, read},
};

/// Stored bodies of one noun, as spoken values.
pub async fn speak(connection: &mut Connection, noun: &Noun, bodies: &[String], pin: Pin) -> Result<Vec<Value>, Fault> {
    let mut documents: Vec<Value> = bodies.iter().map(|body| serde_json::from_str(body)).collect::<Result<_, _>>()?;
    let mut wanted = Vec::new();
    documents.iter().for_each(|document| wire::prices_to_inline(noun, document, &mut wanted));
    wanted.sort_unstable();
    wanted.dedup();
    let mut prices: HashMap<String, Value> = HashMap::new();
    for (id, body) in read::find_many(connection, &price::NOUN, &wanted, pin.livemode).await? {
        prices.insert(id, serde_json::from_str(&body)?);
    }
    for document in &mut documents {
        wire::wire(noun, document, &|id| prices.get(id).cloned());
    }
    if noun.object == event::NOUN.object {
        count_pending(connection, &mut documents).await?;
        // Events are shown in the version of their time, whoever asks.
        versions::render_events(connection, &mut documents, pin.livemode).await?;
    }
    versions::render(connection, &mut documents, pin).await?;
    Ok(documents)
}

/// An event is kept as it was sent; only the count of endpoints that have yet to hear of it is live.
async fn count_pending(connection: &mut Connection, documents: &mut [Value]) -> Result<(), Fault> {
    let ids: Vec<String> = documents.iter().filter_map(|event| Some(event.get("id")?.as_str()?.to_owned())).collect();
    let pending: HashMap<String, i64> = events::pending(connection, &ids).await?.into_iter().collect();
    for document in documents {
        let waiting = document.get("id").and_then(Value::as_str).and_then(|id| pending.get(id)).copied().unwrap_or(0);
        if let Some(members) = document.as_object_mut() {
            members.insert("pending_webhooks".to_owned(), waiting.into());
        }
    }
    Ok(())
}

/// What a document keeps under `internal`, by name.
pub fn kept(body: &str, name: &str) -> Result<Option<Value>, Fault> {
    let document: Value = serde_json::from_str(body)?;
    Ok(document.get(wire::INTERNAL).and_then(|internal| internal.get(name)).cloned())
}

/// Whether the documents of a noun are said just as they rest, but for what they keep to themselves.
pub fn as_it_rests(noun: &Noun, version: Version) -> bool {
    !versions::touches(noun.object, version)
        && noun.inlines.is_empty()
        && noun.previews.is_empty()
        && noun.object != event::NOUN.object
        && wire::view(noun).is_none()
}

/// A stored body of such a noun, pretty-printed.
pub fn text_as_it_rests(body: &str) -> String {
    let mut text = String::with_capacity(body.len() * 3 / 2);
    indent(body, 0, &mut text);
    text
}

/// A stored body as text, where all that it takes is at hand: `price` finds the prices that are inlined, and
/// only the newest version needs nothing else.
pub fn text_at_hand(
    noun: &Noun,
    body: &str,
    version: Version,
    price: &dyn Fn(&str) -> Option<Value>,
) -> Result<Option<String>, Fault> {
    if as_it_rests(noun, version) {
        return Ok(Some(text_as_it_rests(body)));
    }
    if version != Version::NEWEST {
        return Ok(None);
    }
    let mut document: Value = serde_json::from_str(body)?;
    let mut wanted = Vec::new();
    wire::prices_to_inline(noun, &document, &mut wanted);
    if noun.object == event::NOUN.object || wanted.iter().any(|id| price(id).is_none()) {
        return Ok(None);
    }
    wire::wire(noun, &mut document, price);
    Ok(Some(text(&document)?))
}

/// A page of such bodies, pretty-printed.
pub fn list_as_it_rests(bodies: &[String], has_more: bool, url: &str) -> Result<String, Fault> {
    let length: usize = bodies.iter().map(String::len).sum();
    let mut text = String::with_capacity(length * 2 + 200);
    text.push_str("{\n  \"object\": \"list\",\n  \"data\": [");
    for (place, body) in bodies.iter().enumerate() {
        text.push_str(if place == 0 { "\n    " } else { ",\n    " });
        indent(body, 2, &mut text);
    }
    text.push_str(if bodies.is_empty() { "],\n" } else { "\n  ],\n" });
    let url = serde_json::to_string(url)?;
    let has_more = if has_more { "true" } else { "false" };
    text.extend(["  \"has_more\": ", has_more, ",\n  \"url\": ", &url, "\n}"]);
    Ok(text)
}

/// Pretty-printed, as answers are.
pub fn text(value: &Value) -> Result<String, Fault> {
    Ok(serde_json::to_string_pretty(value)?)
}

/// The member of a new endpoint that is shown once.
pub const SECRET: &str = "secret";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_reads_the_same_however_it_is_said() {
        for bodies in [vec![], vec![json!({"id": "cus_1", "list": []}), json!({"id": "cus_2", "nested": {"a": 1}})]] {
            let texts: Vec<String> = bodies.iter().map(Value::to_string).collect();
            let list = json!({"object": "list", "data": bodies, "has_more": true, "url": "/v1/customers"});
            assert_eq!(list_as_it_rests(&texts, true, "/v1/customers").unwrap(), text(&list).unwrap());
        }
    }
}
