//! `/v1/checkout/sessions`

mod complete;
mod create;
mod data;
mod line_items;
mod update;

use super::{
    call::Call,
    reply::Reply,
    route::{At, Route, list_of},
};
use crate::{
    billing::{
        Id,
        checkout::{NOUN, Session, item},
    },
    engine::checkout,
};

pub fn routes() -> Vec<Route> {
    vec![
        Route::list("/v1/checkout/sessions", &NOUN),
        Route::post("/v1/checkout/sessions", create::create, &NOUN),
        Route::retrieve("/v1/checkout/sessions/{id}", &NOUN),
        Route::post("/v1/checkout/sessions/{id}", update::update, &NOUN),
        Route::post("/v1/checkout/sessions/{id}/expire", expire, &NOUN),
        Route::get("/v1/checkout/sessions/{id}/line_items", line_items::list, list_of(&item::NOUN)),
        Route::post("/v1/test_helpers/checkout/sessions/{id}/complete", complete::complete, &NOUN),
        Route::post("/v1/test_helpers/checkout/sessions/{id}/authenticate", complete::authenticate, &NOUN),
    ]
}

async fn expire(At(id): At<String>, call: Call) -> Reply {
    let id: Id<Session> = Id::given(id);
    let mut reader = call.house.engine.store.reader().await?;
    let (_, needs) = checkout::around(&mut reader, &id).await?;
    drop(reader);
    call.run(&NOUN, checkout::expire(&id, needs)).await
}
