//! Events. One is kept in the newest version, and says in which it is shown: that which was the
//! account's when it happened.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use super::{Members, render};
use crate::{
    billing::{webhook_endpoint::WebhookEndpoint, wire},
    dialect::version::{Pin, Version},
    store::{Connection, Fault},
};

/// The version that an event says it is shown in.
fn version_of(event: &Value) -> Version {
    event.get("api_version").and_then(Value::as_str).and_then(Version::known).unwrap_or(Version::NEWEST)
}

/// Shapes kept events as they are shown.
pub async fn render_events(connection: &mut Connection, events: &mut [Value], livemode: bool) -> Result<(), Fault> {
    let versions: BTreeSet<Version> = events.iter().map(version_of).collect();
    for version in versions.into_iter().filter(|version| *version != Version::NEWEST) {
        let mut shown: Vec<&mut Value> = events.iter_mut().filter(|event| version_of(event) == version).collect();
        render_in(connection, &mut shown, Pin { livemode, version }).await?;
    }
    Ok(())
}

/// The versions that an event is shown in, and that an endpoint wants it in.
fn versions_for(endpoint: &WebhookEndpoint, kept: &str) -> (Version, Version) {
    #[derive(Deserialize)]
    struct Head {
        api_version: String,
    }
    let own = serde_json::from_str::<Head>(kept).ok().and_then(|head| Version::known(&head.api_version));
    let own = own.unwrap_or(Version::NEWEST);
    (own, endpoint.api_version.as_deref().and_then(Version::known).unwrap_or(own))
}

/// Whether an endpoint wants an event otherwise than it is kept.
pub fn is_shaped_for(endpoint: &WebhookEndpoint, kept: &str) -> bool {
    let (own, wanted) = versions_for(endpoint, kept);
    own != Version::NEWEST || wanted != Version::NEWEST
}

/// A kept event in the version that an endpoint wants: its own, or that of the event.
pub async fn shape_for(connection: &mut Connection, endpoint: &WebhookEndpoint, kept: &str) -> Result<String, Fault> {
    let (_, version) = versions_for(endpoint, kept);
    let mut event: Value = serde_json::from_str(kept)?;
    let pin = Pin { livemode: endpoint.livemode, version };
    render_in(connection, &mut [&mut event], pin).await?;
    event["api_version"] = version.as_str().into();
    Ok(event.to_string())
}

/// What an update says of before is the difference between what was and what is, both in that version.
async fn render_in(connection: &mut Connection, events: &mut [&mut Value], pin: Pin) -> Result<(), Fault> {
    let mut documents = Vec::new();
    for event in events.iter_mut() {
        let Some(data) = event.get_mut("data") else { continue };
        let object = data.get("object").cloned().unwrap_or(Value::Null);
        if let Some(Value::Object(previous)) = data.get("previous_attributes") {
            documents.push(before(&object, previous));
        }
        documents.push(object);
    }
    render(connection, &mut documents, pin).await?;
    let mut documents = documents.into_iter();
    for event in events.iter_mut() {
        let Some(data) = event.get_mut("data").and_then(Value::as_object_mut) else { continue };
        let earlier = if data.contains_key("previous_attributes") { documents.next() } else { None };
        let object = documents.next().unwrap_or(Value::Null);
        if let Some(earlier) = earlier {
            let previous = wire::previous_attributes(&earlier, &object).unwrap_or_default();
            data.insert("previous_attributes".to_owned(), previous.into());
        }
        data.insert("object".to_owned(), object);
    }
    Ok(())
}

/// The object as it was before an update.
fn before(object: &Value, previous: &Members) -> Value {
    let mut before = object.clone();
    if let Value::Object(members) = &mut before {
        take_back(members, previous, false);
    }
    before
}

fn take_back(members: &mut Members, previous: &Members, is_metadata: bool) {
    for (key, old) in previous {
        match (members.get_mut(key), old) {
            (Some(Value::Object(inner)), Value::Object(old)) if old.get("object").is_none() => {
                take_back(inner, old, key == "metadata");
            }
            // A key that was not there.
            _ if is_metadata && old.is_null() => drop(members.shift_remove(key)),
            _ => drop(members.insert(key.clone(), old.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_before_follows_from_what_changed() {
        let befores = [
            json!({"a": 1, "metadata": {"x": "1"}, "b": {"c": 1, "d": 2}, "items": {"object": "list", "data": [1]}}),
            json!({"a": null, "metadata": {}, "b": null, "items": {"object": "list", "data": []}}),
            json!({"a": 2, "metadata": {"x": "2", "y": "1"}, "b": {"c": 2, "d": 2}, "items": {"object": "list", "data": [2]}}),
        ];
        for was in &befores {
            for is in &befores {
                let previous = wire::previous_attributes(was, is).unwrap_or_default();
                assert_eq!(before(is, &previous), *was, "{previous:?}");
            }
        }
    }
}
