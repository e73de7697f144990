//! `/v1/subscription_items`

use axum::{Router, routing::get};
use serde_json::Value;

use super::{
    House,
    call::{At, Call, not_found},
    reply::{Problem, Reply},
};
use crate::{
    billing::{
        Refusal,
        subscription::{ITEM_NOUN, NOUN},
    },
    dialect::{form::Form, speak},
    store::read,
};

pub fn routes() -> Router<House> {
    Router::new().route("/v1/subscription_items", get(list)).route("/v1/subscription_items/{id}", get(retrieve))
}

/// The items of a subscription as a client sees them: whole prices, and plans.
async fn spoken_items(call: &Call, body: String) -> Result<Vec<Value>, Problem> {
    let mut reader = call.house.engine.store.reader().await?;
    let spoken = speak::speak(&mut reader, &NOUN, &[body], call.livemode()).await?;
    let items = spoken.first().and_then(|one| one.pointer("/items/data")).and_then(Value::as_array);
    Ok(items.cloned().unwrap_or_default())
}

async fn list(mut call: Call) -> Reply {
    let id = match call.take("subscription") {
        Some(Form::Text(id)) => id,
        Some(_) => return Err(Refusal::invalid("Invalid string").param("subscription").into()),
        None => return Err(Refusal::missing("subscription").into()),
    };
    let mut reader = call.house.engine.store.reader().await?;
    let body = read::find(&mut reader, &NOUN, &id, call.livemode()).await?;
    drop(reader);
    let body = body.ok_or_else(|| Refusal::no_such(NOUN.name, &id).param("subscription"))?;
    let items = spoken_items(&call, body).await?;
    call.list_of(&ITEM_NOUN, items).await
}

async fn retrieve(At(id): At<String>, call: Call) -> Reply {
    call.no_params()?;
    let mut reader = call.house.engine.store.reader().await?;
    let body = read::subscription_of_item(&mut reader, &id, call.livemode()).await?;
    drop(reader);
    let body = body.ok_or_else(|| not_found(&ITEM_NOUN, &id))?;
    let items = spoken_items(&call, body).await?;
    let item = items.into_iter().find(|item| item.get("id").and_then(Value::as_str) == Some(&id));
    call.show_value(&ITEM_NOUN, item.ok_or_else(|| not_found(&ITEM_NOUN, &id))?).await
}
