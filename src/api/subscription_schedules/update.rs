//! `POST /v1/subscription_schedules/{id}`

use serde::Deserialize;

use super::{
    defaults::DefaultsParams,
    phases::{self, PhaseParams},
};
use crate::{
    api::{call::Call, reply::Reply, route::At},
    billing::{
        Id, MetadataPatch,
        prorate::ProrationBehavior,
        schedule::{self, Update},
        shape::Unsupported,
        subscription_schedule::{EndBehavior, NOUN, SubscriptionSchedule},
    },
    engine::{Owner, Subject, verb::Decision},
    store::books::Needs,
};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct UpdateParams {
    default_settings: Option<DefaultsParams>,
    end_behavior: Option<EndBehavior>,
    metadata: MetadataPatch,
    phases: Option<Vec<PhaseParams>>,
    proration_behavior: Option<ProrationBehavior>,
    // Known, and refused rather than ignored.
    pause_schedules: Option<Unsupported>,
}

pub(super) async fn update(At(id): At<String>, call: Call, params: UpdateParams) -> Reply {
    let (id, livemode): (Id<SubscriptionSchedule>, bool) = (Id::given(id), call.livemode());
    let mut needs = Needs::default();
    needs.document(&id);
    phases::need_prices(params.phases.iter().flatten(), &mut needs);
    let verb = Decision::new(Owner::of(&id), needs, move |books, at| {
        let schedule = schedule::open(books, &id, at)?;
        let wanted = Update {
            phases: params.phases.map(|phases| phases::wanted(phases, books, livemode, at)).transpose()?,
            default_settings: params.default_settings.map(|given| given.over(schedule.default_settings)),
            end_behavior: params.end_behavior,
            metadata: params.metadata,
            prorations: params.proration_behavior.unwrap_or(ProrationBehavior::CreateProrations),
        };
        schedule::update(books, &id, wanted, at)?;
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}
