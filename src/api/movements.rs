//! `/v1/balance_transactions`: the other side of charges, refunds and disputes.

use serde_json::Value;

use super::{
    call::Call,
    reply::{Problem, Reply},
    route::{At, Route, list_of},
};
use crate::{
    billing::{
        Refusal, charge,
        movement::{self, NOUN},
        refund,
    },
    store::{
        Connection, Fault,
        list::{Condition, Cursor},
        movements, read,
    },
};

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/balance_transactions", list, list_of(&NOUN)),
        Route::get("/v1/balance_transactions/{id}", retrieve, &NOUN),
    ]
}

/// The body of what a movement is the other side of.
async fn source(reader: &mut Connection, id: &str, livemode: bool) -> Result<Option<String>, Fault> {
    let Some((charge, refund)) = movement::sources(id) else { return Ok(None) };
    if let Some(body) = read::find(reader, &charge::NOUN, charge.as_str(), livemode).await? {
        return Ok(Some(body));
    }
    match read::find(reader, &refund::NOUN, refund.as_str(), livemode).await? {
        Some(body) => Ok(Some(body)),
        None => movements::dispute_of(reader, id, livemode).await,
    }
}

fn made(id: &str, body: &str) -> Result<Option<Value>, Fault> {
    Ok(movement::named(id, &serde_json::from_str(body)?))
}

async fn retrieve(At(id): At<String>, call: Call) -> Reply {
    let mut reader = call.house.engine.store.reader().await?;
    let body = source(&mut reader, &id, call.livemode()).await?;
    drop(reader);
    let body = body.ok_or_else(|| Refusal::not_found(&NOUN, &id))?;
    let value = made(&id, &body)?.ok_or_else(|| Refusal::not_found(&NOUN, &id))?;
    call.show_made(&NOUN, value, body).await
}

async fn list(call: Call) -> Reply {
    let mut asked = call.list_params(&NOUN)?;
    let mut kind = None;
    asked.conditions.retain(|condition| match condition {
        Condition::Text("type", wanted) => {
            kind = Some(wanted.clone());
            false
        }
        _ => true,
    });
    let mut reader = call.house.engine.store.reader().await?;
    check_cursor(&mut reader, asked.cursor.as_ref(), call.livemode()).await?;
    let (conditions, cursor, kind) = (&asked.conditions, asked.cursor.as_ref(), kind.as_deref());
    let page = movements::list(&mut reader, call.livemode(), conditions, kind, cursor, asked.limit).await?;
    drop(reader);
    let mut values = Vec::with_capacity(page.found.len());
    let mut bodies = Vec::with_capacity(page.found.len());
    for (id, body) in page.found {
        if let Some(value) = made(&id, &body)? {
            values.push(value);
            bodies.push(body);
        }
    }
    call.list_made(&NOUN, values, bodies, page.has_more).await
}

async fn check_cursor(reader: &mut Connection, cursor: Option<&Cursor>, livemode: bool) -> Result<(), Problem> {
    let (param, id) = match cursor {
        None => return Ok(()),
        Some(Cursor::After(id)) => ("starting_after", id),
        Some(Cursor::Before(id)) => ("ending_before", id),
    };
    match source(reader, id, livemode).await? {
        Some(_) => Ok(()),
        None => Err(Refusal::no_such(NOUN.name, id).param(param).into()),
    }
}
