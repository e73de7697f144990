//! Stored documents, said to a client: the newest wire shape, with prices inlined.

use std::collections::HashMap;

use serde_json::Value;

use crate::{
    billing::{Noun, event, price, webhook_endpoint, wire},
    store::{Connection, Fault, events, read},
};

/// Stored bodies of one noun, as spoken values; and, by id, what they keep to themselves.
pub async fn speak(
    connection: &mut Connection,
    noun: &Noun,
    bodies: &[String],
    livemode: bool,
) -> Result<Vec<Value>, Fault> {
    let mut documents: Vec<Value> = bodies.iter().map(|body| serde_json::from_str(body)).collect::<Result<_, _>>()?;
    let mut wanted = Vec::new();
    documents.iter().for_each(|document| wire::prices_to_inline(noun, document, &mut wanted));
    wanted.sort_unstable();
    wanted.dedup();
    let mut prices: HashMap<String, Value> = HashMap::new();
    for (id, body) in read::find_many(connection, &price::NOUN, &wanted, livemode).await? {
        prices.insert(id, serde_json::from_str(&body)?);
    }
    for document in &mut documents {
        wire::wire(noun, document, &|id| prices.get(id).cloned());
    }
    if noun.object == event::NOUN.object {
        count_pending(connection, &mut documents).await?;
    }
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

/// Pretty-printed, as answers are.
pub fn text(value: &Value) -> Result<String, Fault> {
    Ok(serde_json::to_string_pretty(value)?)
}

/// The member of a new endpoint that is shown once.
pub const SECRET: &str = "secret";

/// Whether a noun's documents hold secrets that only their creation shows.
pub fn has_secret(noun: &Noun) -> bool {
    noun.object == webhook_endpoint::NOUN.object
}
