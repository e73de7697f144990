//! Shapes and nouns, as JSON schemas.

use serde_json::{Map, Value, json};

use crate::{
    api::{
        route::{Answer, Operation},
        voice,
    },
    billing::{
        Noun,
        describe::{Field, Kind, Shape},
        noun::{By, Filter, Link, Target},
        price,
        wire::INTERNAL,
    },
};

/// The name of a noun's schema.
pub fn name(noun: &Noun) -> String {
    noun.object.to_owned()
}

/// The name of the schema of its stub.
pub fn stub_name(noun: &Noun) -> String {
    format!("deleted_{}", noun.object)
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// Whether a parameter is written without brackets.
pub fn is_flat(schema: &Value) -> bool {
    match schema.get("anyOf").and_then(Value::as_array) {
        Some(choices) => choices.iter().all(is_flat),
        None => schema.get("type").is_some_and(|kind| kind != "array" && kind != "object"),
    }
}

/// An object with these members.
pub fn object(fields: &Map<String, Value>, required: &[&str], open: bool) -> Value {
    let mut schema = json!({"type": "object", "properties": fields, "additionalProperties": open});
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    schema
}

/// The parameters of a call, and which of them it cannot do without.
pub fn form(shape: &Shape) -> (Map<String, Value>, Vec<&'static str>) {
    let Kind::Object(fields) = &shape.kind else { return (Map::new(), Vec::new()) };
    let schemas = fields.iter().map(|field| (field.name.to_owned(), parameter(&field.shape))).collect();
    (schemas, fields.iter().filter(|field| field.required).map(|field| field.name).collect())
}

/// One parameter.
fn parameter(shape: &Shape) -> Value {
    let schema = match &shape.kind {
        Kind::Any | Kind::Null | Kind::Nothing => json!({}),
        Kind::Boolean => json!({"type": "boolean"}),
        Kind::Integer => json!({"type": "integer", "format": "int64"}),
        Kind::Number => json!({"type": "number"}),
        Kind::Text => json!({"type": "string", "minLength": 1, "maxLength": 5000}),
        Kind::Word(words) => json!({"type": "string", "enum": words}),
        Kind::List(inside) => json!({"type": "array", "items": parameter(inside)}),
        Kind::Map(inside) => json!({"type": "object", "additionalProperties": parameter(inside)}),
        Kind::Object(_) => {
            let (fields, required) = form(shape);
            object(&fields, &required, false)
        }
    };
    if shape.clears { json!({"anyOf": [schema, {"type": "string", "enum": [""]}]}) } else { schema }
}

/// The filters of a noun's list.
pub fn filters(noun: &Noun, fields: &mut Map<String, Value>) {
    let created = Filter { param: "created", by: By::Range("created") };
    for filter in noun.filters.iter().chain([&created]) {
        let text = json!({"type": "string", "minLength": 1});
        let integer = json!({"type": "integer", "format": "int64"});
        let schema = match &filter.by {
            By::Text(_) | By::Folded { .. } | By::ItemPrice | By::EventType => text,
            By::Boolean(_) | By::IsNull(_) | By::DeliverySuccess => json!({"type": "boolean"}),
            By::Range(_) | By::ItemPeriod { .. } => {
                let bounds = json!({"gt": integer, "gte": integer, "lt": integer, "lte": integer});
                json!({"anyOf": [integer, {"type": "object", "properties": bounds, "additionalProperties": false}]})
            }
            By::Word { words, .. } => {
                let words: Vec<&str> = words.iter().map(|(word, _)| *word).filter(|word| !word.is_empty()).collect();
                json!({"type": "string", "enum": words})
            }
            By::OneOf(_) => json!({"type": "array", "items": text}),
            By::EventTypes => json!({"type": "array", "items": text, "maxItems": 20}),
            By::NotSupportedYet => continue,
        };
        fields.insert(filter.param.to_owned(), schema);
    }
}

fn limit() -> Value {
    json!({"type": "integer", "minimum": 1, "maximum": 100, "default": 10})
}

/// Where in a list to be.
pub fn paging(fields: &mut Map<String, Value>) {
    fields.insert("limit".to_owned(), limit());
    for cursor in ["starting_after", "ending_before"] {
        fields.insert(cursor.to_owned(), json!({"type": "string", "minLength": 1}));
    }
}

/// What can be shown whole in an answer: the first step of a path is one of these, and others may follow.
pub fn expand(answer: Answer) -> Option<Value> {
    let (noun, before) = match answer {
        Answer::One(noun) => (noun, ""),
        Answer::List(noun) => (noun, r"data\."),
        Answer::Search(noun) => (noun, r"total_count$|^data\."),
        Answer::Deleted(_) | Answer::Other(_) => return None,
    };
    let paths: Vec<String> = noun.links.iter().map(|link| link.path.replace('.', r"\.")).collect();
    let pattern = format!(r"^{before}({})(\.[a-z_]+)*$", paths.join("|"));
    (!paths.is_empty()).then(|| json!({"type": "array", "items": {"type": "string", "pattern": pattern}}))
}

/// What to search for, and which page of what is found.
pub fn search(fields: &mut Map<String, Value>) {
    let text = json!({"type": "string", "minLength": 1});
    fields.extend([("query".to_owned(), text.clone()), ("page".to_owned(), text), ("limit".to_owned(), limit())]);
}

/// What a call answers.
pub fn answer(operation: &Operation) -> Value {
    let page = |noun: &Noun, object: &str| {
        json!({
            "type": "object",
            "properties": {
                "object": {"const": object},
                "data": {"type": "array", "items": reference(&name(noun))},
                "has_more": {"type": "boolean"},
                "url": {"type": "string"},
            },
            "required": ["object", "data", "has_more", "url"],
        })
    };
    match operation.answer {
        Answer::One(noun) => or_stub(noun),
        Answer::Deleted(noun) => reference(&stub_name(noun)),
        Answer::List(noun) => page(noun, "list"),
        Answer::Search(noun) => page(noun, "search_result"),
        Answer::Other(object) => {
            json!({"type": "object", "properties": {"object": {"const": object}}, "required": ["object"]})
        }
    }
}

/// Some things can be seen after they were deleted.
fn or_stub(noun: &Noun) -> Value {
    let whole = reference(&name(noun));
    if noun.leaves_stub { json!({"anyOf": [whole, reference(&stub_name(noun))]}) } else { whole }
}

/// What is left of a thing.
pub fn stub(noun: &Noun) -> Value {
    json!({
        "type": "object",
        "properties": {"id": {"type": "string"}, "object": {"const": noun.object}, "deleted": {"const": true}},
        "required": ["id", "object", "deleted"],
    })
}

/// A noun as it is said: as it rests, with prices inlined, and whatever can be expanded either way.
pub fn of_noun(noun: &'static Noun) -> Value {
    let shape = (noun.document)();
    let Kind::Object(fields) = &shape.kind else { return json!({"type": "object"}) };
    let mut schema = member_object(noun, fields, "");
    for link in noun.links {
        if let Target::Many { noun: target, .. } | Target::Within { noun: target, .. } = link.to {
            let data = json!({"type": "array", "items": reference(&name(target))});
            schema["properties"][link.path] =
                json!({"type": "object", "properties": {"object": {"const": "list"}, "data": data}});
        }
    }
    schema["properties"]["object"] = json!({"const": noun.object});
    if voice::is_redacted(noun) {
        schema["required"] = json!(["id", "object"]);
    }
    schema
}

fn member_object(noun: &'static Noun, fields: &[Field], path: &str) -> Value {
    let mut schemas = Map::new();
    let shown = fields.iter().filter(|field| field.name != INTERNAL);
    for field in shown.clone() {
        let path = if path.is_empty() { field.name.to_owned() } else { format!("{path}.{}", field.name) };
        schemas.insert(field.name.to_owned(), member(noun, &field.shape, &path));
    }
    let required: Vec<&str> = shown.filter(|field| field.required).map(|field| field.name).collect();
    object(&schemas, &required, true)
}

/// Of what a link has an id, until it is expanded.
pub fn ids_of(link: &Link) -> Vec<&'static Noun> {
    match link.to {
        Target::One(target) => vec![target],
        Target::Derived { of, .. } => of.to_vec(),
        Target::Many { .. } | Target::Within { .. } | Target::Kept { .. } | Target::Nothing | Target::Inline(_) => {
            Vec::new()
        }
    }
}

/// What stands at a path of a noun.
fn member(noun: &'static Noun, shape: &Shape, path: &str) -> Value {
    let is_inlined = noun.inlines.iter().any(|inline| {
        let parents = if inline.parents.is_empty() { String::new() } else { format!("{}.", inline.parents) };
        path == format!("{parents}{}", inline.key)
    });
    let mut schema = match &shape.kind {
        Kind::Any => json!({}),
        Kind::Null => json!({"type": "null"}),
        Kind::Nothing => json!({"type": "array", "maxItems": 0}),
        Kind::Boolean => json!({"type": "boolean"}),
        Kind::Integer => json!({"type": "integer"}),
        Kind::Number => json!({"type": "number"}),
        Kind::Text if is_inlined => reference(&name(&price::NOUN)),
        Kind::Text => json!({"type": "string"}),
        Kind::Word(words) => json!({"type": "string", "enum": words}),
        Kind::List(inside) => json!({"type": "array", "items": member(noun, inside, path)}),
        Kind::Map(inside) => json!({"type": "object", "additionalProperties": member(noun, inside, path)}),
        Kind::Object(fields) => member_object(noun, fields, path),
    };
    let link = noun.links.iter().find(|link| link.path == path && shape.kind == Kind::Text);
    let wholes: Vec<Value> = link.into_iter().flat_map(ids_of).map(or_stub).collect();
    if !wholes.is_empty() {
        let either = [vec![schema], wholes].concat();
        schema = json!({"anyOf": either});
    }
    if shape.optional && schema != json!({}) { json!({"anyOf": [schema, {"type": "null"}]}) } else { schema }
}

/// What a refusal looks like.
pub fn error() -> Value {
    let text = json!({"type": "string"});
    json!({
        "type": "object",
        "properties": {"error": {
            "type": "object",
            "properties": {
                "charge": text,
                "code": text,
                "decline_code": text,
                "doc_url": text,
                "message": text,
                "param": text,
                "payment_intent": reference("payment_intent"),
                "setup_intent": reference("setup_intent"),
                "type": {"enum": ["api_error", "card_error", "idempotency_error", "invalid_request_error"]},
            },
            "required": ["message", "type"],
        }},
        "required": ["error"],
    })
}
