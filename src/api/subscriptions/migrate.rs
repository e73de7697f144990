//! `POST /v1/subscriptions/{id}/migrate`

use serde::Deserialize;

use super::BillingModeParams;
use crate::{
    api::{call::Call, reply::Reply, route::At},
    billing::{
        Id, change, migrate,
        subscription::{NOUN, Subscription},
    },
    engine::{Owner, Subject, verb::Decision},
    store::books::Needs,
};

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Migrate {
    billing_mode: BillingModeParams,
}

pub(super) async fn migrate(At(id): At<String>, call: Call, params: Migrate) -> Reply {
    let wanted = params.billing_mode.mode();
    let id: Id<Subscription> = Id::given(id);
    let verb = Decision::new(Owner::of(&id), Needs::default(), move |books, at| {
        change::open(books, &id, at)?;
        migrate::migrate(books, &id, wanted, at)?;
        books.tell(&id, "customer.subscription.updated", at);
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}
