//! `POST /v1/subscriptions/{id}/resume`

use serde::Deserialize;

use crate::{
    api::{call::Call, reply::Reply, route::At},
    billing::{
        Id, Timestamp, change,
        prorate::ProrationBehavior,
        resume::{self, ResumeAnchor, ResumeBehavior, Resumption},
        subscription::{NOUN, Subscription},
    },
    engine::{Owner, Subject, verb::Decision},
    store::books::Needs,
};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Resume {
    billing_cycle_anchor: Option<AnchorParams>,
    payment_behavior: Option<ResumeBehavior>,
    proration_behavior: Option<ProrationBehavior>,
    proration_date: Option<Timestamp>,
}

#[derive(Clone, Debug, Deserialize)]
struct AnchorParams {
    #[serde(rename = "type")]
    kind: ResumeAnchor,
}

pub(super) async fn resume(At(id): At<String>, call: Call, params: Resume) -> Reply {
    let id: Id<Subscription> = Id::given(id);
    let wanted = Resumption {
        anchor: params.billing_cycle_anchor.map_or(ResumeAnchor::Now, |anchor| anchor.kind),
        payment_behavior: params.payment_behavior.unwrap_or(ResumeBehavior::OnPaymentAttempt),
        proration_behavior: params.proration_behavior.unwrap_or(ProrationBehavior::CreateProrations),
        proration_date: params.proration_date,
    };
    let verb = Decision::new(Owner::of(&id), Needs::default(), move |books, at| {
        change::open(books, &id, at)?;
        resume::resume(books, &id, wanted, at)?;
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}
