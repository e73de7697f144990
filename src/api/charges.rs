//! `/v1/charges`: made by intents; what is said of them may change.

use serde::Deserialize;

use super::{
    call::Call,
    payment_intents::{Capture, captured},
    reply::Reply,
    route::{At, Route},
};
use crate::{
    billing::{
        Amount, Id, MetadataPatch, Refusal,
        charge::{Charge, FraudDetails, NOUN, UserReport},
        customer::Customer,
        payment_intent::PaymentIntent,
        shape::{Patch, Shipping, Text, Unsupported},
    },
    engine::{Owner, Subject, verb::Decision},
    store::books::{Needs, peek},
};

pub fn routes() -> Vec<Route> {
    vec![
        Route::list("/v1/charges", &NOUN),
        Route::search("/v1/charges/search", &NOUN),
        Route::retrieve("/v1/charges/{id}", &NOUN),
        Route::post("/v1/charges/{id}", update, &NOUN),
        Route::post("/v1/charges/{id}/capture", capture, &NOUN),
    ]
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
        books.put(changed).tell("charge.updated", at);
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct CaptureParams {
    amount: Option<Amount>,
    statement_descriptor: Option<Text<22>>,
    statement_descriptor_suffix: Option<Text<22>>,
    // Known, and refused rather than ignored.
    application_fee: Option<Unsupported>,
    application_fee_amount: Option<Unsupported>,
    receipt_email: Option<Unsupported>,
    transfer_data: Option<Unsupported>,
    transfer_group: Option<Unsupported>,
}

/// Captures the payment that the charge belongs to.
async fn capture(At(id): At<String>, call: Call, params: CaptureParams) -> Reply {
    let id: Id<Charge> = Id::given(id);
    let charge = peek(&mut *call.house.engine.store.reader().await?, &id).await?;
    let charge = charge.filter(|charge| charge.livemode == call.livemode());
    let intent: Id<PaymentIntent> = charge.ok_or_else(|| Refusal::not_found(&NOUN, id.as_str()))?.payment_intent;
    let wanted = Capture::of(params.amount, params.statement_descriptor, params.statement_descriptor_suffix);
    let verb = Decision::new(Owner::of(&intent), Needs::default(), move |books, at| {
        captured(books, &intent, wanted, at)?;
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}
