//! `/v1/charges`: read only; charges are made by intents.

use axum::{Router, routing::get};

use super::{
    House,
    call::{At, Call},
    reply::Reply,
};
use crate::billing::charge::NOUN;

pub fn routes() -> Router<House> {
    Router::new()
        .route("/v1/charges", get(|call: Call| async move { call.list(&NOUN).await }))
        .route("/v1/charges/{id}", get(retrieve))
}

async fn retrieve(At(id): At<String>, call: Call) -> Reply {
    call.retrieve(&NOUN, &id).await
}
