//! From the draft to the money: finalise, send, pay, attach a payment.

use serde::Deserialize;

use super::{
    super::{call::Call, intents::need_charge, reply::Reply, route::At, sources},
    around,
};
use crate::{
    billing::{
        Books, Id, Moment, Refusal, cancel,
        checkout::session::check_invoice,
        collect::{self, Collection, intent_of},
        finalize,
        invoice::{Invoice, NOUN, Status},
        payment_intent::PaymentIntent,
        receive, send,
        shape::Unsupported,
    },
    engine::{Owner, Subject, verb::Decision},
    store::books::Needs,
};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Finalize {
    auto_advance: Option<bool>,
}

pub async fn finalize(At(id): At<String>, call: Call, params: Finalize) -> Reply {
    let id: Id<Invoice> = Id::given(id);
    let verb = Decision::new(Owner::of(&id), Needs::default(), move |books, at| {
        let invoice = books.at_path(&id)?.clone();
        if let (Some(auto_advance), Status::Draft) = (params.auto_advance, invoice.status) {
            books.put(Invoice { auto_advance, ..invoice });
        }
        if let Some(refusal) = finalize::try_finalize(books, &id, at)? {
            return Ok(Subject::document(&id).refused(refusal));
        }
        collect::begin(books, &id, at)?;
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

/// Finalises the invoice if it is a draft. A failure is remembered by the draft, and is the answer.
fn finalize_draft(books: &mut Books, id: &Id<Invoice>, at: &mut Moment) -> Result<Option<Subject>, Refusal> {
    if books.at_path(id)?.status != Status::Draft {
        return Ok(None);
    }
    let refusal = finalize::try_finalize(books, id, at)?;
    Ok(refusal.map(|refusal| Subject::document(id).refused(refusal)))
}

pub async fn send(At(id): At<String>, call: Call) -> Reply {
    let id: Id<Invoice> = Id::given(id);
    let verb = Decision::new(Owner::of(&id), Needs::default(), move |books, at| {
        send::check_collection(books.at_path(&id)?)?;
        let was_draft = books.at_path(&id)?.status == Status::Draft;
        if let Some(failed) = finalize_draft(books, &id, at)? {
            return Ok(failed);
        }
        // A draft that is paid by being finalised needs no sending.
        if !(was_draft && books.find(&id, "invoice")?.status == Status::Paid) {
            send::send(books, &id, at)?;
        }
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Pay {
    /// Only sources that hold a sum can fall short of it; a card is charged whole or not at all.
    #[serde(rename = "forgive")]
    _forgive: Option<bool>,
    mandate: Option<Unsupported>,
    off_session: Option<bool>,
    paid_out_of_band: Option<bool>,
    payment_method: Option<String>,
    source: Option<Unsupported>,
}

pub async fn pay(At(id): At<String>, call: Call, params: Pay) -> Reply {
    if params.paid_out_of_band == Some(true) && params.payment_method.is_some() {
        return Err(Refusal::exclusive(&["paid_out_of_band", "payment_method"]).param("paid_out_of_band").into());
    }
    let id: Id<Invoice> = Id::given(id);
    let source = match &params.payment_method {
        Some(method) => Some(sources::named(&call, method).await?),
        None => None,
    };
    let mut needs = around(&call, &id).await?;
    source.iter().for_each(|source| source.needs(&mut needs));
    let verb = Decision::new(Owner::of(&id), needs, move |books: &mut Books, at: &mut Moment| {
        let was_draft = books.at_path(&id)?.status == Status::Draft;
        check_invoice(books, &id)?;
        if let Some(failed) = finalize_draft(books, &id, at)? {
            return Ok(failed);
        }
        if was_draft && books.find(&id, "invoice")?.status == Status::Paid {
            return Ok(Subject::document(&id));
        }
        if params.paid_out_of_band == Some(true) {
            cancel::pay_out_of_band(books, &id, at)?;
            return Ok(Subject::document(&id));
        }
        let method = source.map(|source| source.place(books, id.bucket(), at)).transpose()?;
        let collection =
            Collection { automatic: false, off_session: params.off_session.unwrap_or(true), payment_method: method };
        collect::collect(books, &id, &collection, at)?;
        let intent: Option<Id<PaymentIntent>> = intent_of(books, &id).map(|intent| intent.id.clone());
        Ok(Subject::document(&id).unless_declined(intent))
    });
    call.run(&NOUN, verb).await
}

#[derive(Clone, Debug, Deserialize)]
pub struct AttachPayment {
    payment_intent: Id<PaymentIntent>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    payment_record: Option<Unsupported>,
}

/// Another payment for the invoice, beside its own.
pub async fn attach_payment(At(id): At<String>, call: Call, params: AttachPayment) -> Reply {
    let intent = params.payment_intent;
    let id: Id<Invoice> = Id::given(id);
    let mut needs = around(&call, &id).await?;
    needs.document(&intent);
    need_charge(&mut *call.house.engine.store.reader().await?, &intent, &mut needs).await?;
    let verb = Decision::new(Owner::of(&id), needs, move |books, at| {
        check_invoice(books, &id)?;
        receive::attach(books, &id, &intent, at)?;
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}
