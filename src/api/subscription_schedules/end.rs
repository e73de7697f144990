//! `POST /v1/subscription_schedules/{id}/cancel` and `…/release`

use serde::Deserialize;

use crate::{
    api::{call::Call, reply::Reply, route::At},
    billing::{
        Id, schedule,
        subscription_schedule::{NOUN, SubscriptionSchedule},
    },
    engine::{Owner, Subject, verb::Decision},
    store::books::Needs,
};

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Cancel {
    invoice_now: Option<bool>,
    prorate: Option<bool>,
}

/// Unlike the cancellation of a subscription this one bills and gives back, unless it is told not to.
pub(super) async fn cancel(At(id): At<String>, call: Call, params: Cancel) -> Reply {
    let id: Id<SubscriptionSchedule> = Id::given(id);
    let mut needs = Needs::default();
    needs.document(&id);
    let verb = Decision::new(Owner::of(&id), needs, move |books, at| {
        let (prorate, invoice_now) = (params.prorate.unwrap_or(true), params.invoice_now.unwrap_or(true));
        schedule::cancel(books, &id, (prorate, invoice_now), at)?;
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Release {
    preserve_cancel_date: Option<bool>,
}

pub(super) async fn release(At(id): At<String>, call: Call, params: Release) -> Reply {
    let id: Id<SubscriptionSchedule> = Id::given(id);
    let mut needs = Needs::default();
    needs.document(&id);
    let verb = Decision::new(Owner::of(&id), needs, move |books, at| {
        schedule::release(books, &id, params.preserve_cancel_date.unwrap_or(false), at)?;
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}
