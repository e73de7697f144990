//! `/v1/charges`: made by intents, or directly; what is said of them may change.

use serde::Deserialize;

use super::{
    call::Call,
    reply::Reply,
    route::{At, Route},
    sources::{self, Source},
};
use crate::{
    billing::{
        Amount, Currency, Id, MetadataPatch, Refusal,
        charge::{Charge, FraudDetails, NOUN, UserReport},
        customer::Customer,
        direct::{self, Capture, NewCharge},
        payment_intent,
        shape::{Patch, Shipping, Text, Unsupported},
    },
    engine::{Owner, Subject, verb::Decision},
    store::books::{Needs, peek},
};

pub fn routes() -> Vec<Route> {
    vec![
        Route::list("/v1/charges", &NOUN),
        Route::search("/v1/charges/search", &NOUN),
        Route::post("/v1/charges", create, &NOUN),
        Route::retrieve("/v1/charges/{id}", &NOUN),
        Route::post("/v1/charges/{id}", update, &NOUN),
        Route::post("/v1/charges/{id}/capture", capture, &NOUN),
    ]
}

#[derive(Clone, Debug, Deserialize)]
#[expect(dead_code, reason = "some are named so that they are refused, not ignored")]
struct Create {
    amount: Amount,
    currency: Currency,
    capture: Option<bool>,
    customer: Option<Id<Customer>>,
    description: Option<Text<1000>>,
    #[serde(default)]
    metadata: MetadataPatch,
    receipt_email: Option<Text<512>>,
    shipping: Option<Shipping>,
    source: Option<String>,
    statement_descriptor: Option<Text<22>>,
    statement_descriptor_suffix: Option<Text<22>>,
    application_fee: Option<Unsupported>,
    application_fee_amount: Option<Unsupported>,
    destination: Option<Unsupported>,
    on_behalf_of: Option<Unsupported>,
    radar_options: Option<Unsupported>,
    transfer_data: Option<Unsupported>,
    transfer_group: Option<Unsupported>,
}

/// Charges a card without an intent.
async fn create(call: Call, params: Create) -> Reply {
    // A customer's cards are named by their ids; what is nobody's comes as a token.
    let source = match (params.source, &params.customer) {
        (Some(id), Some(_)) => Some(Source::Existing(Id::given(id))),
        (Some(token), None) => Some(sources::legacy(&call, &token).await?),
        (None, _) => None,
    };
    let mut needs = Needs::default();
    source.iter().for_each(|source| source.needs(&mut needs));
    let new = NewCharge {
        amount: params.amount,
        capture: params.capture.unwrap_or(true),
        currency: params.currency,
        customer: params.customer.clone(),
        description: params.description.map(String::from),
        livemode: call.livemode(),
        metadata: params.metadata.initial()?,
        receipt_email: params.receipt_email.map(String::from),
        shipping: params.shipping,
        statement_descriptor: params.statement_descriptor.map(String::from),
        statement_descriptor_suffix: params.statement_descriptor_suffix.map(String::from),
    };
    let owner = params.customer.map_or(Owner::Nobody, Owner::Customer);
    let verb = Decision::new(owner, needs, move |books, at| {
        let bucket = new.customer.as_ref().map_or_else(|| at.ids.bucket(), Id::bucket);
        let card = source.map(|source| source.place(books, bucket, at)).transpose()?;
        let id = direct::charge(books, new, card, bucket, at)?;
        let intent = payment_intent::behind(None, &id);
        Ok(Subject::document(&id).unless_declined(Some(intent)))
    });
    call.run(&NOUN, verb).await
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Update {
    customer: Option<Id<Customer>>,
    description: Patch<String>,
    fraud_details: Option<FraudParams>,
    metadata: MetadataPatch,
    receipt_email: Patch<Text<512>>,
    shipping: Option<Shipping>,
    transfer_group: Option<Unsupported>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct FraudParams {
    user_report: Patch<UserReport>,
}

async fn update(At(id): At<String>, call: Call, params: Update) -> Reply {
    let id: Id<Charge> = Id::given(id);
    let verb = Decision::new(Owner::of(&id), Needs::default(), move |books, at| {
        let charge = books.at_path(&id)?.clone();
        if let Some(customer) = &params.customer
            && charge.customer.as_ref() != Some(customer)
        {
            let message = "The customer of a charge is that of its PaymentIntent, and cannot be changed.";
            return Err(Refusal::invalid(message).param("customer"));
        }
        let user_report = params.fraud_details.map_or(Patch::Keep, |details| details.user_report);
        let changed = Charge {
            description: params.description.over(charge.description),
            fraud_details: FraudDetails { user_report: user_report.over(charge.fraud_details.user_report) },
            metadata: params.metadata.apply(charge.metadata)?,
            receipt_email: params.receipt_email.map(String::from).over(charge.receipt_email),
            shipping: params.shipping.or(charge.shipping),
            ..charge
        };
        // One that the processor has not spoken of yet was told to nobody.
        let is_told = changed.outcome.is_some();
        let kept = books.put(changed);
        if is_told {
            kept.tell("charge.updated", at);
        }
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct CaptureParams {
    amount: Option<Amount>,
    receipt_email: Option<Text<512>>,
    statement_descriptor: Option<Text<22>>,
    statement_descriptor_suffix: Option<Text<22>>,
    // Known, and refused rather than ignored.
    application_fee: Option<Unsupported>,
    application_fee_amount: Option<Unsupported>,
    transfer_data: Option<Unsupported>,
    transfer_group: Option<Unsupported>,
}

/// Captures the payment that the charge belongs to.
async fn capture(At(id): At<String>, call: Call, params: CaptureParams) -> Reply {
    let id: Id<Charge> = Id::given(id);
    let mut needs = Needs::default();
    if let Some(charge) = peek(&mut *call.house.engine.store.reader().await?, &id).await? {
        needs.document(&charge.intent());
    }
    let wanted = Capture {
        amount: params.amount,
        receipt_email: params.receipt_email.map(String::from),
        statement_descriptor: params.statement_descriptor.map(String::from),
        statement_descriptor_suffix: params.statement_descriptor_suffix.map(String::from),
    };
    let verb = Decision::new(Owner::of(&id), needs, move |books, at| {
        direct::capture(books, &id, wanted, at)?;
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}
