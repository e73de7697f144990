//! `GET /openapi.json`: every declared call, described from its declaration.

mod schema;

use std::{collections::BTreeMap, sync::LazyLock};

use axum::{http::Method, response::IntoResponse};
use serde_json::{Map, Value, json};

use super::{
    JSON,
    route::{Answer, Operation},
    routes,
};
use crate::billing::{Noun, event::API_VERSION, noun::Target, price};

/// The document, for everybody: it tells nothing that is not published anyway.
pub async fn show() -> impl IntoResponse {
    static TEXT: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", document()));
    ([JSON], TEXT.as_str())
}

/// The whole description, of the newest version.
pub fn document() -> Value {
    let mut nouns = BTreeMap::new();
    let mut paths: BTreeMap<&str, Value> = BTreeMap::new();
    for operation in routes().into_iter().map(|route| route.operation).filter(|operation| operation.until.is_none()) {
        if let Some(noun) = operation.answer.noun() {
            collect(noun, &mut nouns);
        }
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method.as_str().to_lowercase()] = describe(&operation);
    }
    let mut schemas: BTreeMap<String, Value> = BTreeMap::new();
    for noun in nouns.values() {
        schemas.insert(schema::name(noun), schema::of_noun(noun));
        schemas.insert(schema::stub_name(noun), schema::stub(noun));
    }
    schemas.insert("error".to_owned(), schema::error());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Dunlin",
            "version": API_VERSION,
            "description": "A self-hosted billing server that speaks Stripe's API.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}, {"basic": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic", "description": "The key is the name of the user; there is no password."},
                "bearer": {"type": "http", "scheme": "bearer", "description": "The key."},
            },
        },
    })
}

/// A noun, and all that it can hold.
fn collect(noun: &'static Noun, nouns: &mut BTreeMap<&'static str, &'static Noun>) {
    if nouns.insert(noun.object, noun).is_some() {
        return;
    }
    for link in noun.links {
        schema::ids_of(link).into_iter().for_each(|target| collect(target, nouns));
        if let Target::Many { noun: target, .. } | Target::Within { noun: target, .. } | Target::Inline(target) =
            link.to
        {
            collect(target, nouns);
        }
    }
    if !noun.inlines.is_empty() {
        collect(&price::NOUN, nouns);
    }
}

/// One call.
fn describe(operation: &Operation) -> Value {
    let mut described = json!({
        "operationId": operation_id(operation),
        "responses": responses(operation),
        "x-permission": {"resource": operation.resource, "needs": operation.permission.to_string()},
        "x-publishable-key": operation.publishable,
    });
    let in_path = operation.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> = in_path
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "minLength": 1}}))
        .collect();
    let (fields, required) = parameters_of(operation);
    if operation.method == Method::POST {
        let encoding: BTreeMap<&String, Value> = fields
            .iter()
            .filter(|(_, field)| !schema::is_flat(field))
            .map(|(name, _)| (name, json!({"style": "deepObject", "explode": true})))
            .collect();
        described["requestBody"] = json!({
            "required": !required.is_empty(),
            "content": {"application/x-www-form-urlencoded": {
                "encoding": encoding,
                "schema": schema::object(&fields, &required, false),
            }},
        });
    } else {
        parameters.extend(fields.iter().map(|(name, field)| {
            let style = if schema::is_flat(field) { "form" } else { "deepObject" };
            let required = required.contains(&name.as_str());
            json!({"name": name, "in": "query", "required": required, "style": style, "explode": true, "schema": field})
        }));
    }
    described["parameters"] = parameters.into();
    described
}

/// The parameters of a call, and which of them it cannot do without.
fn parameters_of(operation: &Operation) -> (Map<String, Value>, Vec<&'static str>) {
    let shape = (operation.parameters)();
    let (mut fields, mut required) = shape.as_ref().map(schema::form).unwrap_or_default();
    if let Answer::List(noun) = operation.answer {
        if shape.is_none() {
            schema::filters(noun, &mut fields);
        }
        schema::paging(&mut fields);
    }
    if let Answer::Search(_) = operation.answer {
        schema::search(&mut fields);
        required.push("query");
    }
    fields.extend(schema::expand(operation.answer).map(|expand| ("expand".to_owned(), expand)));
    (fields, required)
}

/// `post_v1_customers_id`.
fn operation_id(operation: &Operation) -> String {
    let words = operation.path.split(['/', '{', '}']).filter(|word| !word.is_empty());
    std::iter::once(operation.method.as_str().to_lowercase().as_str()).chain(words).collect::<Vec<_>>().join("_")
}

/// What may come back. A payment can be declined by whatever writes.
fn responses(operation: &Operation) -> Value {
    let json = |schema: Value| json!({"application/json": {"schema": schema}});
    let mut responses = json!({
        "200": {"description": "What was asked for.", "content": json(schema::answer(operation))},
        // Of one that is longer still not even enough is read to answer with an error.
        "414": {"description": "The URL is too long."},
    });
    let writes = operation.method == Method::POST;
    for (status, occurs, description) in [
        ("400", true, "The request was understood, and refused."),
        ("401", true, "The key is missing, unknown, or of the wrong kind."),
        ("402", writes, "A payment was declined, or needs its payer."),
        ("403", true, "The key has no permission for this."),
        ("404", true, "What the path names is not there."),
        ("409", writes, "Another request with this idempotency key is under way."),
        ("413", true, "The request is too large."),
        ("429", true, "Something else is at work on this, or it asks for too much."),
    ] {
        if occurs {
            let error = json(json!({"$ref": "#/components/schemas/error"}));
            responses[status] = json!({"description": description, "content": error});
        }
    }
    responses
}
