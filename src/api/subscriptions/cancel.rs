//! `DELETE /v1/subscriptions/{id}`

use serde::Deserialize;

use super::CancellationDetailsParams;
use crate::{
    api::{call::Call, reply::Reply, route::At},
    billing::{
        Id, cancel, change,
        subscription::{NOUN, Subscription},
    },
    engine::{Owner, Subject, verb::Decision},
    store::books::Needs,
};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Cancel {
    cancellation_details: Option<CancellationDetailsParams>,
    invoice_now: Option<bool>,
    prorate: Option<bool>,
}

pub(super) async fn cancel(At(id): At<String>, call: Call, params: Cancel) -> Reply {
    let id: Id<Subscription> = Id::given(id);
    // A credit refers to the line that billed what it gives back.
    let invoices_of = params.prorate.unwrap_or(false).then(|| id.clone());
    let needs = Needs { invoices_of, ..Needs::default() };
    let verb = Decision::new(Owner::of(&id), needs, move |books, at| {
        let subscription = change::open(books, &id, at)?;
        if let Some(details) = params.cancellation_details {
            let cancellation_details = details.over(subscription.cancellation_details);
            books.put(Subscription { cancellation_details, ..subscription });
        }
        let (prorate, invoice_now) = (params.prorate.unwrap_or(false), params.invoice_now.unwrap_or(false));
        cancel::end_as_asked(books, &id, prorate, invoice_now, at)?;
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}
