//! `/v1/setup_attempts`: what was tried of a setup.

use super::{
    call::Call,
    reply::Reply,
    route::{Route, list_of},
};
use crate::{
    billing::{Refusal, setup_attempt::NOUN},
    store::list::Condition,
};

pub fn routes() -> Vec<Route> {
    vec![Route::get("/v1/setup_attempts", list, list_of(&NOUN))]
}

async fn list(call: Call) -> Reply {
    let asked = call.list_params(&NOUN)?;
    if !asked.conditions.iter().any(|condition| matches!(condition, Condition::Text("setup_intent", _))) {
        return Err(Refusal::missing("setup_intent").into());
    }
    call.list(&NOUN).await
}
