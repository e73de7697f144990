//! `/v1/test_helpers/{payment_intents,setup_intents}/{id}/authenticate`: what the customer does on the page
//! of a `next_action`, for programs.

use serde::Deserialize;

use super::{
    call::Call,
    reply::Reply,
    route::{At, Route},
};
use crate::{
    billing::{Id, Refusal, next_action::Authentication, payment_intent, setup_intent},
    engine::authenticate,
};

pub fn routes() -> Vec<Route> {
    vec![
        Route::post("/v1/test_helpers/payment_intents/{id}/authenticate", payment, &payment_intent::NOUN),
        Route::post("/v1/test_helpers/setup_intents/{id}/authenticate", setup, &setup_intent::NOUN),
    ]
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Authenticate {
    outcome: Authentication,
}

fn outcome(call: &Call, params: Authenticate) -> Result<Authentication, Refusal> {
    if call.livemode() {
        return Err(Refusal::invalid("Authentication can be simulated in test mode only."));
    }
    Ok(params.outcome)
}

async fn payment(At(id): At<String>, call: Call, params: Authenticate) -> Reply {
    let outcome = outcome(&call, params)?;
    let mut reader = call.house.engine.store.reader().await?;
    let verb = authenticate::payment(&mut reader, &Id::given(id), outcome).await?;
    drop(reader);
    call.run(&payment_intent::NOUN, verb).await
}

async fn setup(At(id): At<String>, call: Call, params: Authenticate) -> Reply {
    let outcome = outcome(&call, params)?;
    let mut reader = call.house.engine.store.reader().await?;
    let verb = authenticate::setup(&mut reader, &Id::given(id), outcome).await?;
    drop(reader);
    call.run(&setup_intent::NOUN, verb).await
}
