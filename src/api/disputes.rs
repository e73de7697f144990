//! `/v1/disputes`: made by cardholders; they can be answered.

use serde::Deserialize;

use super::{
    call::Call,
    reply::{Problem, Reply},
    route::{At, Route},
};
use crate::{
    billing::{
        Id, MetadataPatch,
        contest::{self, Response},
        dispute::{Dispute, NOUN},
        evidence::EvidencePatch,
        shape::Unsupported,
    },
    engine::{Owner, Subject, verb::Decision},
    store::books::{Needs, peek},
};

pub fn routes() -> Vec<Route> {
    vec![
        Route::list("/v1/disputes", &NOUN),
        Route::retrieve("/v1/disputes/{id}", &NOUN),
        Route::post("/v1/disputes/{id}", update, &NOUN),
        Route::post("/v1/disputes/{id}/close", close, &NOUN),
    ]
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Update {
    evidence: EvidencePatch,
    metadata: MetadataPatch,
    submit: Option<bool>,
    // Known, and refused rather than ignored.
    intended_submission_method: Option<Unsupported>,
}

/// What a dispute is about, to ask the processor about it.
async fn needs_of(call: &Call, id: &Id<Dispute>) -> Result<Needs, Problem> {
    let mut needs = Needs::default();
    if let Some(dispute) = peek(&mut *call.house.engine.store.reader().await?, id).await? {
        needs.document(&dispute.charge);
        needs.document(&dispute.intent());
    }
    Ok(needs)
}

async fn update(At(id): At<String>, call: Call, params: Update) -> Reply {
    let id: Id<Dispute> = Id::given(id);
    let needs = needs_of(&call, &id).await?;
    let response = Response { evidence: params.evidence, metadata: params.metadata, submit: params.submit };
    let verb = Decision::new(Owner::of(&id), needs, move |books, at| {
        contest::respond(books, &id, response, at)?;
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

async fn close(At(id): At<String>, call: Call) -> Reply {
    let id: Id<Dispute> = Id::given(id);
    let needs = needs_of(&call, &id).await?;
    let verb = Decision::new(Owner::of(&id), needs, move |books, at| {
        contest::close(books, &id, at)?;
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}
