//! `expand[]`: ids replaced by what they name, level by level, one query per noun and level.

use std::collections::{BTreeMap, HashMap};

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::{
    speak,
    version::{Pin, Version},
    versions,
};
use crate::{
    billing::{
        Noun, Refusal,
        noun::{Link, Target},
        wire,
    },
    engine::Failure,
    store::{Connection, Fault, read},
};

const MAXIMUM_LEVELS: usize = 4;

/// Checks the paths against what the noun links to. The first segment is checked strictly, later ones
/// leniently. For lists the paths start with `data.`.
pub fn check(noun: &Noun, paths: &[String], is_list: bool, version: Version) -> Result<Vec<String>, Refusal> {
    let mut checked = Vec::new();
    let links = if paths.is_empty() { Vec::new() } else { versions::links(noun, version) };
    for path in paths {
        let inner = match (is_list, path.strip_prefix("data")) {
            (false, _) => path.as_str(),
            (true, Some("")) => continue,
            (true, Some(rest)) if rest.starts_with('.') => &rest[1..],
            (true, _) => {
                return Err(Refusal::invalid(format!(
                    "This property cannot be expanded ({path}). You may want to try expanding 'data.{path}' instead."
                )));
            }
        };
        // The `data` of a list is no level of its own.
        if inner.split('.').filter(|segment| *segment != "data").count() > MAXIMUM_LEVELS {
            return Err(Refusal::invalid(format!(
                "You cannot expand more than {MAXIMUM_LEVELS} levels of a property. Property: {path}"
            ))
            .code("property_expansion_max_depth"));
        }
        if !is_known(&links, inner) {
            let first = inner.split('.').next().unwrap_or(inner);
            return Err(Refusal::invalid(format!("This property cannot be expanded ({first}).")));
        }
        checked.push(inner.to_owned());
    }
    Ok(checked)
}

/// Whether the path starts with a link, or lies on the way to one.
fn is_known(links: &[&Link], path: &str) -> bool {
    links.iter().any(|link| {
        follow(link, path).is_some() || link.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'))
    })
}

/// What is left of a path after a link.
fn follow<'p>(link: &Link, path: &'p str) -> Option<&'p str> {
    let rest = path.strip_prefix(link.path)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('.') }
}

/// The nouns that a checked path leads through, and to.
pub fn reached(noun: &'static Noun, path: &str, version: Version) -> Vec<&'static Noun> {
    let mut found = Vec::new();
    for link in versions::links(noun, version) {
        let Some(rest) = follow(link, path) else { continue };
        match link.to {
            Target::One(target) | Target::Many { noun: target, .. } => {
                found.push(target);
                found.extend(reached(target, rest.strip_prefix("data.").unwrap_or(rest), version));
            }
            // What is inlined is shown anyway, and so is what a document holds itself.
            Target::Inline(target) | Target::Within { noun: target, .. } => {
                found.extend(reached(target, rest.strip_prefix("data.").unwrap_or(rest), version));
            }
            Target::Kept { of, .. } => found.push(of),
            Target::Derived { of, .. } => found.extend(of),
            Target::Nothing => {}
        }
    }
    found
}

/// Expands checked paths in spoken documents. `bodies` are the stored ones, in the same order.
pub fn expand<'a>(
    connection: &'a mut Connection,
    noun: &'static Noun,
    documents: &'a mut [Value],
    bodies: &'a [String],
    paths: &'a [String],
    pin: Pin,
) -> BoxFuture<'a, Result<(), Failure>> {
    Box::pin(async move {
        let mut by_link: BTreeMap<&'static str, (&'static Link, Vec<String>)> = BTreeMap::new();
        for path in paths {
            for link in versions::links(noun, pin.version) {
                if let Some(rest) = follow(link, path) {
                    let (_, rests) = by_link.entry(link.path).or_insert((link, Vec::new()));
                    rests.extend((!rest.is_empty()).then(|| rest.to_owned()));
                }
            }
        }
        for (link, rest) in by_link.into_values() {
            match link.to {
                Target::One(target) => expand_ids(connection, target, documents, link.path, &rest, pin).await?,
                Target::Many { noun: target, column, query } => {
                    expand_children(connection, target, documents, (link.path, column, query), &rest, pin).await?;
                }
                Target::Within { noun: target, name, query } => {
                    expand_within(connection, target, documents, bodies, (link.path, name, query), &rest, pin).await?;
                }
                Target::Nothing => {}
                Target::Kept { name, .. } => {
                    for (document, body) in documents.iter_mut().zip(bodies) {
                        let kept = speak::kept(body, name)?.unwrap_or(Value::Null);
                        if let Some(members) = document.as_object_mut() {
                            members.insert(link.path.to_owned(), kept);
                        }
                    }
                }
                Target::Derived { make, .. } => {
                    let mut derived = Vec::with_capacity(bodies.len());
                    for body in bodies {
                        derived.push(make(&serde_json::from_str(body).map_err(Fault::from)?).unwrap_or_default());
                    }
                    versions::render(connection, &mut derived, pin).await?;
                    for (document, derived) in documents.iter_mut().zip(derived) {
                        if let Some(members) = document.as_object_mut().filter(|_| !derived.is_null()) {
                            members.insert(link.path.to_owned(), derived);
                        }
                    }
                }
                Target::Inline(target) => {
                    let mut inlined = Vec::new();
                    for document in documents.iter_mut() {
                        visit(document, link.path, &mut |value| inlined.push(value.take()));
                    }
                    let bodies = bodies_of(connection, target, &inlined, &rest, pin.livemode).await?;
                    expand(connection, target, &mut inlined, &bodies, &rest, pin).await?;
                    let mut inlined = inlined.into_iter();
                    for document in documents.iter_mut() {
                        visit(document, link.path, &mut |value| *value = inlined.next().unwrap_or(Value::Null));
                    }
                }
            }
        }
        Ok(())
    })
}

/// The stored bodies of what is inlined, where something that is asked for is made of them.
async fn bodies_of(
    connection: &mut Connection,
    target: &Noun,
    inlined: &[Value],
    paths: &[String],
    livemode: bool,
) -> Result<Vec<String>, Failure> {
    let is_derived = |link: &&Link| matches!(link.to, Target::Derived { .. });
    let asked = |link: &Link| paths.iter().any(|path| follow(link, path).is_some());
    let ids: Vec<String> = if target.links.iter().filter(is_derived).any(asked) {
        inlined.iter().map(|value| value.get("id").and_then(Value::as_str).unwrap_or_default().to_owned()).collect()
    } else {
        Vec::new()
    };
    let found = read::find_many(connection, target, &ids, livemode).await?;
    let of = |place: usize| ids.get(place).and_then(|id| found.get(id)).cloned();
    Ok((0..inlined.len()).map(|place| of(place).unwrap_or_else(|| String::from("{}"))).collect())
}

async fn expand_ids(
    connection: &mut Connection,
    target: &'static Noun,
    documents: &mut [Value],
    path: &str,
    rest: &[String],
    pin: Pin,
) -> Result<(), Failure> {
    let mut ids = Vec::new();
    for document in documents.iter_mut() {
        visit(document, path, &mut |value| ids.extend(value.as_str().map(ToOwned::to_owned)));
    }
    ids.sort_unstable();
    ids.dedup();
    let found: Vec<(String, String)> =
        read::find_many(connection, target, &ids, pin.livemode).await?.into_iter().collect();
    let (ids, bodies): (Vec<String>, Vec<String>) = found.into_iter().unzip();
    let mut spoken = speak::speak(connection, target, &bodies, pin).await?;
    expand(connection, target, &mut spoken, &bodies, rest, pin).await?;
    let by_id: HashMap<String, Value> = ids.into_iter().zip(spoken).collect();
    for document in documents.iter_mut() {
        visit(document, path, &mut |value| {
            if let Some(whole) = value.as_str().and_then(|id| by_id.get(id)) {
                *value = whole.clone();
            }
        });
    }
    Ok(())
}

async fn expand_children(
    connection: &mut Connection,
    target: &'static Noun,
    documents: &mut [Value],
    (path, column, query): (&str, &str, &str),
    rest: &[String],
    pin: Pin,
) -> Result<(), Failure> {
    let id_of = |document: &Value| document.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    let parents: Vec<String> = documents.iter().map(id_of).collect();
    let mut children = read::children(connection, target, column, &parents).await?;
    let rest: Vec<String> = rest.iter().filter_map(|path| path.strip_prefix("data.")).map(ToOwned::to_owned).collect();
    for document in documents {
        let id = id_of(document);
        let (bodies, has_more) = children.remove(&id).unwrap_or_default();
        let mut data = speak::speak(connection, target, &bodies, pin).await?;
        expand(connection, target, &mut data, &bodies, &rest, pin).await?;
        let list = json!({"object": "list", "data": data, "has_more": has_more, "url": query.replace("{id}", &id)});
        if let Some(members) = document.as_object_mut() {
            members.insert(path.to_owned(), list);
        }
    }
    Ok(())
}

async fn expand_within(
    connection: &mut Connection,
    target: &'static Noun,
    documents: &mut [Value],
    bodies: &[String],
    (path, name, query): (&str, &str, &str),
    rest: &[String],
    pin: Pin,
) -> Result<(), Failure> {
    let rest: Vec<String> = rest.iter().filter_map(|path| path.strip_prefix("data.")).map(ToOwned::to_owned).collect();
    for (document, body) in documents.iter_mut().zip(bodies) {
        let kept = speak::kept(body, name)?.unwrap_or_default();
        let kept: Vec<String> = kept.as_array().into_iter().flatten().map(Value::to_string).collect();
        let shown = &kept[..kept.len().min(wire::PREVIEWED)];
        let mut data = speak::speak(connection, target, shown, pin).await?;
        expand(connection, target, &mut data, shown, &rest, pin).await?;
        let id = document.get("id").and_then(Value::as_str).unwrap_or_default();
        let has_more = kept.len() > shown.len();
        let list = json!({"object": "list", "data": data, "has_more": has_more, "url": query.replace("{id}", id)});
        if let Some(members) = document.as_object_mut() {
            members.insert(path.to_owned(), list);
        }
    }
    Ok(())
}

/// Calls `act` on every value at the end of a dotted path; arrays on the way are walked.
fn visit(value: &mut Value, path: &str, act: &mut dyn FnMut(&mut Value)) {
    let (key, rest) = match path.split_once('.') {
        Some((key, rest)) => (key, Some(rest)),
        None => (path, None),
    };
    let Some(child) = value.get_mut(key) else { return };
    match (child, rest) {
        (Value::Array(items), rest) => items.iter_mut().for_each(|item| match rest {
            Some(rest) => visit(item, rest, act),
            None => act(item),
        }),
        (child, Some(rest)) => visit(child, rest, act),
        (child, None) => act(child),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::billing::{customer, subscription};

    /// What is shown anyway needs no asking for; what lies behind it does.
    #[test]
    fn paths_reach_what_they_lead_through() {
        let reached =
            |noun, path| reached(noun, path, Version::NEWEST).iter().map(|noun| noun.object).collect::<Vec<_>>();
        assert_eq!(reached(&subscription::NOUN, "customer"), ["customer"]);
        assert_eq!(reached(&subscription::NOUN, "latest_invoice.customer"), ["invoice", "customer"]);
        assert_eq!(reached(&subscription::NOUN, "items.data.price.product"), ["product"]);
        assert_eq!(reached(&customer::NOUN, "subscriptions.data.latest_invoice"), ["subscription", "invoice"]);
    }

    #[test]
    fn paths_are_checked_against_the_links() {
        let check_one = |path: &str, list| {
            check(&subscription::NOUN, &[path.to_owned()], list, Version::NEWEST).map_err(|refusal| refusal.message)
        };
        for path in [
            "customer",
            "latest_invoice",
            "latest_invoice.payments",
            "items.data.price.product",
            "items",
            "customer.nothing",
        ] {
            assert!(check_one(path, false).is_ok(), "{path}");
            assert!(check_one(&format!("data.{path}"), true).is_ok(), "data.{path}");
        }
        assert_eq!(check_one("foo", false), Err("This property cannot be expanded (foo).".to_owned()));
        assert_eq!(check_one("customers", false), Err("This property cannot be expanded (customers).".to_owned()));
        assert_eq!(
            check_one("customer", true),
            Err("This property cannot be expanded (customer). You may want to try expanding 'data.customer' instead."
                .to_owned())
        );
        assert_eq!(check_one("data", true), Ok(Vec::new()));
        assert!(check(&customer::NOUN, &["a.b.c.d.e".to_owned()], false, Version::NEWEST).is_err());
    }
}
