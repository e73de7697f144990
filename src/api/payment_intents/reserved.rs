//! What becomes of a payment that is reserved, or has yet to be made: captured, made more, let go.

use serde::Deserialize;

use crate::{
    api::{call::Call, intents::need_charge, reply::Reply, route::At},
    billing::{
        Amount, Id, Metadata, MetadataPatch, Refusal, confirm,
        increment::{self, Words},
        payment_intent::{CancellationReason, NOUN, PaymentIntent},
        shape::{Text, Unsupported},
    },
    engine::{Owner, Subject, verb::Decision},
    store::books::Needs,
};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Capture {
    amount_to_capture: Option<Amount>,
    final_capture: Option<bool>,
    metadata: MetadataPatch,
    statement_descriptor: Option<Text<22>>,
    statement_descriptor_suffix: Option<Text<22>>,
    amount_details: Option<Unsupported>,
    application_fee_amount: Option<Unsupported>,
    hooks: Option<Unsupported>,
    payment_details: Option<Unsupported>,
    transfer_data: Option<Unsupported>,
}

pub async fn capture(At(id): At<String>, call: Call, params: Capture) -> Reply {
    if params.final_capture == Some(false) {
        return Err(Refusal::not_supported_yet("final_capture").into());
    }
    let id: Id<PaymentIntent> = Id::given(id);
    let verb = Decision::new(Owner::of(&id), Needs::default(), move |books, at| {
        let intent = books.at_path(&id)?.clone();
        let kept = intent.clone();
        let suffix = params.statement_descriptor_suffix.map(String::from);
        books.put(PaymentIntent {
            metadata: params.metadata.apply(intent.metadata)?,
            statement_descriptor: params.statement_descriptor.map(String::from).or(intent.statement_descriptor),
            statement_descriptor_suffix: suffix.or(intent.statement_descriptor_suffix),
            ..intent
        });
        confirm::capture(books, &id, params.amount_to_capture, at)
            .map_err(|refusal| confirm::showing_kept(books, kept, refusal))?;
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "some are named so that they are refused, not ignored")]
pub struct Increment {
    amount: Amount,
    description: Option<Text<1000>>,
    #[serde(default)]
    metadata: MetadataPatch,
    statement_descriptor: Option<Text<22>>,
    amount_details: Option<Unsupported>,
    application_fee_amount: Option<Unsupported>,
    hooks: Option<Unsupported>,
    payment_details: Option<Unsupported>,
    transfer_data: Option<Unsupported>,
}

/// More is reserved, if the issuer agrees.
pub async fn increment(At(id): At<String>, call: Call, params: Increment) -> Reply {
    let id: Id<PaymentIntent> = Id::given(id);
    let mut needs = Needs::default();
    need_charge(&mut *call.house.engine.store.reader().await?, &id, &mut needs).await?;
    let (amount, patch) = (params.amount, params.metadata);
    let description = params.description.map(String::from);
    let statement_descriptor = params.statement_descriptor.map(String::from);
    let verb = Decision::new(Owner::of(&id), needs, move |books, at| {
        let current = &books.at_path(&id)?.metadata;
        let metadata = match patch {
            MetadataPatch::Keep => Metadata::new(),
            MetadataPatch::Clear => current.keys().map(|key| (key.clone(), String::new())).collect(),
            MetadataPatch::Merge(pairs) => pairs,
        };
        let words = Words { description, metadata, statement_descriptor };
        let number = increment::increment(books, &id, amount, words, at)
            .map_err(|refusal| confirm::showing(books, &id, refusal))?;
        Ok(Subject::document(&id).unless_increment_declined(id, number))
    });
    call.run(&NOUN, verb).await
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Cancel {
    cancellation_reason: Option<CancellationReason>,
}

pub async fn cancel(At(id): At<String>, call: Call, params: Cancel) -> Reply {
    let by_callers = [
        CancellationReason::Abandoned,
        CancellationReason::Duplicate,
        CancellationReason::Fraudulent,
        CancellationReason::RequestedByCustomer,
    ];
    if params.cancellation_reason.is_some_and(|reason| !by_callers.contains(&reason)) {
        let message =
            "Invalid cancellation_reason: must be one of abandoned, duplicate, fraudulent, or requested_by_customer";
        return Err(Refusal::invalid(message).param("cancellation_reason").into());
    }
    let id: Id<PaymentIntent> = Id::given(id);
    let verb = Decision::new(Owner::of(&id), Needs::default(), move |books, at| {
        books.at_path(&id)?;
        confirm::cancel(books, &id, params.cancellation_reason, at)
            .map_err(|refusal| confirm::showing(books, &id, refusal))?;
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}
