//! `DELETE /v1/subscriptions/{id}`

use serde::Deserialize;

use super::CancellationDetailsParams;
use crate::{
    api::{
        call::{At, Call},
        reply::Reply,
    },
    billing::{
        Id, Refusal,
        cancel::{self, LastInvoice},
        subscription::{CancellationReason, NOUN, Subscription},
    },
    engine::{Owner, Subject, verb::Decision},
    store::books::Needs,
};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Cancel {
    cancellation_details: Option<CancellationDetailsParams>,
    invoice_now: Option<bool>,
    prorate: Option<bool>,
}

pub(super) async fn cancel(At(id): At<String>, call: Call) -> Reply {
    let params: Cancel = call.params()?;
    if params.prorate == Some(true) {
        return Err(Refusal::not_supported_yet("prorate").into());
    }
    let id: Id<Subscription> = Id::given(id);
    let verb = Decision::new(Owner::of(&id), Needs::default(), move |books, at| {
        let subscription = books.at_path(&id)?.clone();
        if let Some(details) = params.cancellation_details {
            let cancellation_details = details.over(subscription.cancellation_details);
            books.put(Subscription { cancellation_details, ..subscription });
        }
        if params.invoice_now == Some(true) {
            cancel::end_with_invoice(books, &id, LastInvoice::Now, at)?;
        } else {
            cancel::end(books, &id, CancellationReason::CancellationRequested, at)?;
        }
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}
