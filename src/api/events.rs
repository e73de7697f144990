//! `/v1/events`

use axum::{Router, routing::get};

use super::{
    House,
    call::{At, Call},
    reply::Reply,
};
use crate::billing::event::NOUN;

pub fn routes() -> Router<House> {
    Router::new()
        .route("/v1/events", get(|call: Call| async move { call.list(&NOUN).await }))
        .route("/v1/events/{id}", get(retrieve))
}

async fn retrieve(At(id): At<String>, call: Call) -> Reply {
    call.retrieve(&NOUN, &id).await
}
