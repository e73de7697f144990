//! One API call: who calls, with which parameters, and the few things that calls do.

use std::sync::Arc;

use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, Method, request::Parts},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    EffectiveVersion, House, RequestId,
    auth::{self, Caller},
    permissions::Permission,
    reply::{Problem, Reply, Said},
    voice::{self, Voice},
};
use crate::{
    billing::{Noun, Refusal, event, event_types},
    dialect::{
        expand, filter,
        form::Form,
        params, speak,
        version::{Pin, Version},
        versions,
    },
    engine::{Answered, Cause, Verb, request},
    store::{
        Connection,
        list::{self, Condition, Cursor, Page},
        read,
    },
};

/// The largest body that is read.
const MAXIMUM_BODY: usize = 1024 * 1024;

/// An authenticated call with its parameters.
pub struct Call {
    pub house: Arc<House>,
    pub caller: Caller,
    version: Version,
    request: request::Request,
    pub(super) path: String,
    pub(super) form: Form,
    pub(super) expand: Vec<String>,
}

async fn body_of(headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Refusal> {
    let bytes = to_bytes(body, MAXIMUM_BODY)
        .await
        .map_err(|_| Refusal::invalid(format!("The request body is larger than {MAXIMUM_BODY} bytes.")).status(413))?;
    let kind = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !bytes.is_empty() && kind.starts_with("application/json") {
        return Err(Refusal::invalid(
            "Invalid request (check that your POST content type is application/x-www-form-urlencoded). If you have questions, we can \
             help at https://support.stripe.com/.",
        ));
    }
    Ok(bytes.to_vec())
}

/// Keys have a meaning for POST only. The fingerprint says which request they were first used with.
fn idempotency(
    headers: &HeaderMap,
    method: &Method,
    path: &str,
    form: &Form,
) -> Result<Option<request::Idempotency>, Refusal> {
    let Some(key) = headers.get("idempotency-key").filter(|_| method == Method::POST) else { return Ok(None) };
    let key = key.to_str().unwrap_or_default();
    if key.is_empty() || key.chars().count() > 255 {
        return Err(Refusal::invalid("The Idempotency-Key must be a non-empty string of at most 255 characters."));
    }
    let fingerprint = Sha256::digest(format!("{method} {path} {:?}", form.clone().sorted())).to_vec();
    Ok(Some(request::Idempotency { key: key.to_owned(), fingerprint }))
}

fn paths(expand: Option<Form>) -> Result<Vec<String>, Refusal> {
    match expand {
        None => Ok(Vec::new()),
        Some(Form::List(items)) => items
            .into_iter()
            .map(|item| match item {
                Form::Text(path) => Ok(path),
                Form::List(_) | Form::Map(_) => Err(Refusal::invalid("Invalid string").param("expand")),
            })
            .collect(),
        Some(Form::Text(_) | Form::Map(_)) => Err(Refusal::invalid("Invalid array").param("expand")),
    }
}

impl Call {
    /// Who calls, and what they ask for.
    pub async fn hear(house: &Arc<House>, parts: &Parts, body: Body) -> Result<Call, Problem> {
        let id = parts.extensions.get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
        let query = parts.uri.query().unwrap_or_default();
        let body = body_of(&parts.headers, body).await;
        // Authentication comes before everything else; old browser code sends its key as a parameter.
        let form = body.and_then(|body| Form::parse(&[query.as_bytes(), &body]));
        let key = match auth::key_in(&parts.headers)? {
            Some(key) => key,
            None => match form.as_ref().ok().and_then(|form| form.get("key")) {
                Some(Form::Text(key)) if key.starts_with("pk_") => key.clone(),
                _ => return Err(auth::no_key().into()),
            },
        };
        let caller = house.keys.caller(&house.engine.store, &key).await?;
        let mut form = form?;
        if auth::key_in(&parts.headers)?.is_none() {
            form.take("key");
        }
        auth::check_account(&parts.headers, &caller, &house.account.id)?;
        let version = match parts.headers.get("stripe-version") {
            Some(asked) => Version::asked(&String::from_utf8_lossy(asked.as_bytes()))?,
            None => caller.version,
        };
        if let Some(effective) = parts.extensions.get::<EffectiveVersion>() {
            effective.set(version);
        }
        let path = parts.uri.path().to_owned();
        let idempotency = idempotency(&parts.headers, &parts.method, &path, &form)?;
        let expand = paths(form.take("expand"))?;
        let request = request::Request { id, livemode: caller.livemode, idempotency };
        Ok(Call { house: Arc::clone(house), caller, version, request, path, form, expand })
    }

    /// Takes the parameters for what they mean in the newest version.
    pub fn accept(&mut self, route: &versions::Route<'_>) -> Result<(), Refusal> {
        versions::accept(route, &mut self.form, self.version)
    }

    /// The parameters, read into their struct.
    pub fn params<'de, T: Deserialize<'de>>(&'de self) -> Result<T, Refusal> {
        params::read(&self.form)
    }

    /// The parameters of a list that is not filtered as its noun declares: all but those of paging, which stay.
    pub fn params_of_list<T: DeserializeOwned>(&mut self) -> Result<T, Refusal> {
        let Form::Map(members) = &mut self.form else { return self.params() };
        let paging = |(name, _): &(String, Form)| matches!(&**name, "limit" | "starting_after" | "ending_before");
        let (paging, others) = std::mem::take(members).into_iter().partition(paging);
        *members = paging;
        params::read(&Form::Map(others))
    }

    /// For calls without parameters: any is unknown.
    pub fn no_params(&self) -> Result<(), Refusal> {
        #[derive(Deserialize)]
        struct Nothing {}
        self.params::<Nothing>().map(|_| ())
    }

    /// What is to be expanded. A restricted key sees whole only what it may read.
    fn expansions(&self, noun: &'static Noun, is_list: bool) -> Result<Vec<String>, Refusal> {
        self.expansions_of(noun, &self.expand, is_list)
    }

    /// The same, of some of what was asked for.
    pub(super) fn expansions_of(
        &self,
        noun: &'static Noun,
        asked: &[String],
        is_list: bool,
    ) -> Result<Vec<String>, Refusal> {
        let paths = expand::check(noun, asked, is_list, self.version)?;
        if self.caller.publishable {
            voice::check_expansions(&paths)?;
        }
        if self.caller.permissions.is_some() {
            for reached in paths.iter().flat_map(|path| expand::reached(noun, path, self.version)) {
                self.check_permission(reached.resource(), Permission::Read)?;
            }
        }
        Ok(paths)
    }

    /// Whether the key may do this. Only restricted keys are asked.
    pub fn check_permission(&self, resource: &str, permission: Permission) -> Result<(), Refusal> {
        match &self.caller.permissions {
            Some(permissions) if !permissions.allow(resource, permission) => {
                Err(auth::not_permitted(&self.caller, &self.house.account.id, resource, permission))
            }
            _ => Ok(()),
        }
    }

    pub const fn livemode(&self) -> bool {
        self.caller.livemode
    }

    pub const fn version(&self) -> Version {
        self.version
    }

    /// What the caller is shown.
    pub const fn pin(&self) -> Pin {
        Pin { livemode: self.caller.livemode, version: self.version }
    }

    /// Why what is told now is told.
    pub fn cause(&self) -> Cause {
        request::cause_of(&self.request)
    }

    /// Does a verb, and answers with its subject.
    pub async fn run<V: Verb>(&self, noun: &'static Noun, verb: V) -> Reply {
        let paths = self.expansions(noun, false)?;
        let voice = Voice { paths, pin: self.pin(), redact: self.caller.publishable };
        Ok(Said(self.house.engine.perform(&self.request, verb, voice).await?))
    }

    /// Does a verb that is a step of a larger call: it leaves no receipt and shows nothing.
    pub async fn run_aside<V: Verb>(&self, verb: V) -> Result<(), Problem> {
        let voice = Voice { paths: Vec::new(), pin: self.pin(), redact: false };
        let request = request::Request { idempotency: None, ..self.request.clone() };
        self.house.engine.perform(&request, verb, voice).await?;
        Ok(())
    }

    /// Answers with one document.
    pub async fn retrieve(&self, noun: &'static Noun, id: &str) -> Reply {
        let paths = self.expansions(noun, false)?;
        let mut reader = self.house.engine.store.reader().await?;
        let Some(body) = read::find(&mut reader, noun, id, self.livemode()).await? else {
            return Err(Refusal::not_found(noun, id).in_mode(noun.name, self.livemode()).into());
        };
        let voice = Voice { paths, pin: self.pin(), redact: self.caller.publishable };
        let body = voice.text(&mut reader, noun, body).await?;
        reader.give_back();
        Ok(Said(Answered { status: 200, body, repeats: None }))
    }

    /// The parameters of a noun's list: its filters and the place in it.
    pub fn list_params(&self, noun: &Noun) -> Result<filter::ListParams, Refusal> {
        filter::read(noun, &self.form)
    }

    /// Answers with a page of a noun's list.
    pub async fn list(&self, noun: &'static Noun) -> Reply {
        self.list_where(noun, Vec::new()).await
    }

    /// The same, narrowed by where in the path it was asked.
    pub async fn list_where(&self, noun: &'static Noun, narrowed: Vec<Condition>) -> Reply {
        let paths = self.expansions(noun, true)?;
        let mut asked = filter::read(noun, &self.form)?;
        if !narrowed.is_empty() {
            asked.conditions.retain(|condition| !matches!(condition, Condition::Null("test_clock", _)));
        }
        asked.conditions.extend(narrowed);
        let unknown: Vec<&str> = event_types::unknown_to(self.version.as_str()).collect();
        if noun.object == event::NOUN.object && !unknown.is_empty() {
            asked.conditions.push(Condition::NoneOf("type", unknown));
        }
        let mut reader = self.house.engine.store.reader().await?;
        self.check_cursor(&mut reader, noun, asked.cursor.as_ref()).await?;
        let query = list::Query {
            noun,
            livemode: self.livemode(),
            conditions: asked.conditions,
            cursor: asked.cursor,
            limit: asked.limit,
            oldest_first: false,
        };
        let Page { bodies, has_more } = list::list(&mut reader, &query).await?;
        if paths.is_empty() && speak::as_it_rests(noun, self.version) {
            reader.give_back();
            let body = speak::list_as_it_rests(&bodies, has_more, &self.path)?;
            return Ok(Said(Answered { status: 200, body, repeats: None }));
        }
        let mut data = speak::speak(&mut reader, noun, &bodies, self.pin()).await?;
        expand::expand(&mut reader, noun, &mut data, &bodies, &paths, self.pin()).await?;
        reader.give_back();
        self.envelope(&data, has_more)
    }

    async fn check_cursor(&self, reader: &mut Connection, noun: &Noun, cursor: Option<&Cursor>) -> Result<(), Problem> {
        let (param, id) = match cursor {
            None => return Ok(()),
            Some(Cursor::After(id)) => ("starting_after", id),
            Some(Cursor::Before(id)) => ("ending_before", id),
        };
        let found = read::find(reader, noun, id, self.livemode()).await?;
        let stub = found.as_deref().is_some_and(|body| noun.leaves_stub && body.contains("\"deleted\":true"));
        if found.is_none() || stub {
            // Events are called notifications here, and only here.
            let name = if noun.object == "event" { "notification" } else { noun.name };
            return Err(Refusal::no_such(name, id).param(param).into());
        }
        Ok(())
    }

    /// Answers with a page of values that were gathered elsewhere (items, lines).
    pub async fn list_of(&self, noun: &'static Noun, mut values: Vec<Value>) -> Reply {
        self.expansions(noun, true)?;
        let asked = filter::read(noun, &self.form)?;
        let place = |id: &str| values.iter().position(|value| value.get("id").and_then(Value::as_str) == Some(id));
        let missing = |param: &str, id: &str| Refusal::no_such(noun.name, id).param(param);
        let limit = usize::try_from(asked.limit).unwrap_or(0);
        let (start, end, has_more) = match &asked.cursor {
            None => (0, limit.min(values.len()), values.len() > limit),
            Some(Cursor::After(id)) => {
                let start = place(id).ok_or_else(|| missing("starting_after", id))? + 1;
                (start, (start + limit).min(values.len()), values.len() > start + limit)
            }
            Some(Cursor::Before(id)) => {
                let end = place(id).ok_or_else(|| missing("ending_before", id))?;
                (end.saturating_sub(limit), end, end > limit)
            }
        };
        let page: Vec<Value> = values.drain(start..end).collect();
        let none = vec![String::from("{}"); page.len()];
        self.list_made(noun, page, none, has_more).await
    }

    /// Answers with a page of values that are made of stored documents.
    pub async fn list_made(
        &self,
        noun: &'static Noun,
        mut page: Vec<Value>,
        bodies: Vec<String>,
        has_more: bool,
    ) -> Reply {
        let paths = self.expansions(noun, true)?;
        let mut reader = self.house.engine.store.reader().await?;
        versions::render(&mut reader, &mut page, self.pin()).await?;
        expand::expand(&mut reader, noun, &mut page, &bodies, &paths, self.pin()).await?;
        self.envelope(&page, has_more)
    }

    /// A page of values, as lists are answered.
    pub fn envelope(&self, data: &[Value], has_more: bool) -> Reply {
        let list = json!({"object": "list", "data": data, "has_more": has_more, "url": self.path});
        Ok(Said(Answered { status: 200, body: speak::text(&list)?, repeats: None }))
    }

    /// Answers with a value that is a part of a stored document.
    pub async fn show_value(&self, noun: &'static Noun, value: Value) -> Reply {
        self.show_made(noun, value, String::from("{}")).await
    }

    /// The same with a value that is made of a stored document.
    pub async fn show_made(&self, noun: &'static Noun, value: Value, body: String) -> Reply {
        let paths = self.expansions(noun, false)?;
        let mut values = [value];
        let mut reader = self.house.engine.store.reader().await?;
        versions::render(&mut reader, &mut values, self.pin()).await?;
        expand::expand(&mut reader, noun, &mut values, &[body], &paths, self.pin()).await?;
        let [value] = values;
        Ok(Said(Answered { status: 200, body: speak::text(&value)?, repeats: None }))
    }

    /// Answers with a value that is no stored document.
    pub fn say(&self, value: &Value) -> Reply {
        Ok(Said(Answered { status: 200, body: speak::text(value)?, repeats: None }))
    }
}
