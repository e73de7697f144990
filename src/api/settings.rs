//! `/v1/dunlin/settings`, and the same from the command line.

use futures_util::future::BoxFuture;
use serde_json::Value;

use super::{call::Call, reply::Reply, route::Route};
use crate::{
    billing::{
        Refusal,
        settings::{self, Author, AuthorType, Change, NOUN, Settings, VERSION_NOUN},
        shape::Patch,
    },
    dialect::{form::Form, params, version::Version},
    engine::{Answered, Closed, Engine, Failure, Owner, Render, Request, Subject, Verb, verb::Decision},
    store::{Connection, Fault, books::Needs, read},
};

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/dunlin/settings", retrieve, &NOUN),
        Route::post("/v1/dunlin/settings", update, &NOUN),
        Route::list("/v1/dunlin/settings/history", &VERSION_NOUN),
    ]
}

async fn retrieve(call: Call) -> Reply {
    let mut reader = call.house.engine.store.reader().await?;
    call.say(&current(&mut reader, call.livemode()).await?)
}

async fn update(call: Call, params: Change) -> Reply {
    let author = Author {
        hint: Some(call.caller.hint.to_string()),
        id: Some(call.caller.key.to_string()),
        kind: AuthorType::ApiKey,
    };
    let verb = change(call.livemode(), params, author)?;
    call.run(&NOUN, verb).await
}

fn change(livemode: bool, change: Change, author: Author) -> Result<impl Verb, Refusal> {
    if let Patch::Set(version) = &change.api_version {
        Version::asked(version).map_err(|refusal| refusal.param("api_version"))?;
    }
    let id = Settings::id_in(livemode);
    let mut needs = Needs::default();
    needs.document(&id);
    Ok(Decision::new(Owner::Nobody, needs, move |books, at| {
        settings::change(books, &id, change, author, at)?;
        Ok(Subject::document(&id))
    }))
}

/// What was written long ago says nothing of what has been added since: that has its default.
pub async fn in_force(connection: &mut Connection, livemode: bool) -> Result<Settings, Fault> {
    let id = Settings::id_in(livemode);
    let body = read::find(connection, &NOUN, id.as_str(), livemode).await?;
    Ok(body.map_or_else(|| Ok(Settings::of(livemode)), |body| serde_json::from_str(&body))?)
}

async fn current(connection: &mut Connection, livemode: bool) -> Result<Value, Fault> {
    Ok(serde_json::to_value(in_force(connection, livemode).await?)?)
}

/// `dunlin settings get`
pub async fn get_from_command_line(engine: &Engine, livemode: bool) -> Result<Value, Failure> {
    let mut reader = engine.store.reader().await?;
    Ok(current(&mut reader, livemode).await?)
}

/// `dunlin settings set`, with assignments such as `collection.retries.mode=custom`.
pub async fn set_from_command_line(engine: &Engine, livemode: bool, assignments: &[String]) -> Result<(), Failure> {
    let form = form_of(assignments)?;
    let author = Author { hint: None, id: None, kind: AuthorType::CommandLine };
    let verb = change(livemode, params::read(&form)?, author)?;
    let request = Request { id: String::new(), livemode, idempotency: None };
    engine.perform(&request, verb, Silence).await?;
    Ok(())
}

/// Lists that are written with commas: `collection.retries.days=3,5,7`.
const LISTS: [&str; 3] = [
    "collection.retries.days",
    "collection.manual_collection.reminder_days",
    "collection.authentication.reminder_days",
];

fn form_of(assignments: &[String]) -> Result<Form, Refusal> {
    let mut pairs = Vec::new();
    for assignment in assignments {
        let Some((path, value)) = assignment.split_once('=') else {
            return Err(Refusal::invalid(format!("{assignment} is not of the form name=value.")));
        };
        let mut parts = path.split('.');
        let first = escaped(parts.next().unwrap_or_default());
        let name = parts.fold(first, |name, part| format!("{name}[{}]", escaped(part)));
        if LISTS.contains(&path) && !value.is_empty() {
            pairs.extend(value.split(',').enumerate().map(|(at, part)| format!("{name}[{at}]={}", escaped(part))));
        } else {
            pairs.push(format!("{name}={}", escaped(value)));
        }
    }
    Form::parse(&[pairs.join("&").as_bytes()])
}

fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// Nobody reads the answer.
struct Silence;

impl Render for Silence {
    fn render<'a>(
        &'a self,
        _: &'a mut Connection,
        _: &'a Subject,
        _: &'a Closed,
    ) -> BoxFuture<'a, Result<Answered, Failure>> {
        Box::pin(async { Ok(Answered { status: 200, body: String::new(), repeats: None }) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_are_forms() {
        for (assignments, form) in [
            (&["collection.retries.mode=custom"][..], "collection[retries][mode]=custom"),
            (&["collection.retries.days=3,5"], "collection[retries][days][0]=3&collection[retries][days][1]=5"),
            (&["collection.retries.days=3"], "collection[retries][days][0]=3"),
            (&["collection.retries.days.0=3"], "collection[retries][days][0]=3"),
            (&["collection.retries.days="], "collection[retries][days]="),
            (
                &["invoice.upcoming_days=7", "invoice.statement_descriptor_after_trial=A & B=C"],
                "invoice[upcoming_days]=7&invoice[statement_descriptor_after_trial]=A+%26+B%3DC",
            ),
        ] {
            let assignments: Vec<String> = assignments.iter().map(ToString::to_string).collect();
            assert_eq!(form_of(&assignments), Form::parse(&[form.as_bytes()]), "{form}");
        }
        assert!(form_of(&["collection.retries.mode".to_owned()]).is_err());
    }
}
