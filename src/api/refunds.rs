//! `/v1/refunds`, also below `/v1/charges/{id}`.

use serde::Deserialize;

use super::{
    call::Call,
    intents::need_charge,
    reply::{Problem, Reply},
    route::{At, Route, list_of},
};
use crate::{
    billing::{
        Amount, Books, Id, MetadataPatch, Moment, Refusal,
        charge::{self, Charge},
        payment_intent::{self, PaymentIntent},
        refund::{NOUN, Reason, Refund},
        repay::{self, NewRefund},
        shape::Unsupported,
    },
    engine::{Owner, Subject, verb::Decision},
    store::{
        books::{Needs, peek},
        list::Condition,
    },
};

pub fn routes() -> Vec<Route> {
    vec![
        Route::list("/v1/refunds", &NOUN),
        Route::post("/v1/refunds", create, &NOUN),
        Route::retrieve("/v1/refunds/{id}", &NOUN),
        Route::post("/v1/refunds/{id}", update, &NOUN),
        Route::post("/v1/refunds/{id}/cancel", cancel, &NOUN),
        Route::post("/v1/charges/{id}/refund", create_of_charge, &NOUN),
        Route::get("/v1/charges/{id}/refunds", list_of_charge, list_of(&NOUN)),
        Route::post("/v1/charges/{id}/refunds", create_of_charge, &NOUN),
    ]
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Create {
    amount: Option<Amount>,
    charge: Option<Id<Charge>>,
    metadata: MetadataPatch,
    payment_intent: Option<Id<PaymentIntent>>,
    reason: Option<Reason>,
    // Known, and refused rather than ignored.
    currency: Option<Unsupported>,
    customer: Option<Unsupported>,
    instructions_email: Option<Unsupported>,
    origin: Option<Unsupported>,
    refund_application_fee: Option<Unsupported>,
    reverse_transfer: Option<Unsupported>,
}

async fn create(call: Call, params: Create) -> Reply {
    let charge = params.charge.clone();
    make(&call, params, charge).await
}

/// The charge stands in the path.
async fn create_of_charge(At(id): At<String>, call: Call, params: Create) -> Reply {
    let id: Id<Charge> = Id::given(id);
    if params.charge.as_ref().is_some_and(|named| *named != id) {
        return Err(Refusal::invalid("The charge is named by the path.").param("charge").into());
    }
    check_path(&call, &id).await?;
    make(&call, params, Some(id)).await
}

/// Whether there is the charge that the path names.
async fn check_path(call: &Call, id: &Id<Charge>) -> Result<(), Problem> {
    let known = peek(&mut *call.house.engine.store.reader().await?, id).await?;
    match known.filter(|charge| charge.livemode == call.livemode()) {
        Some(_) => Ok(()),
        None => Err(Refusal::not_found(&charge::NOUN, id.as_str()).into()),
    }
}

async fn make(call: &Call, params: Create, charge: Option<Id<Charge>>) -> Reply {
    let payment_intent = intent_of(call, charge.as_ref(), params.payment_intent).await?;
    let mut needs = Needs::default();
    needs.document(&payment_intent);
    need_charge(&mut *call.house.engine.store.reader().await?, &payment_intent, &mut needs).await?;
    charge.iter().for_each(|charge| needs.document(charge));
    let new = NewRefund {
        payment_intent: payment_intent.clone(),
        charge,
        amount: params.amount,
        metadata: params.metadata.initial()?,
        reason: params.reason,
    };
    let verb = Decision::new(Owner::of(&payment_intent), needs, move |books: &mut Books, at: &mut Moment| {
        Ok(Subject::document(&repay::refund(books, new, at)?))
    });
    call.run(&NOUN, verb).await
}

/// The intent of the payment that is to be given back, by whichever name it was called.
async fn intent_of(
    call: &Call,
    charge: Option<&Id<Charge>>,
    intent: Option<Id<PaymentIntent>>,
) -> Result<Id<PaymentIntent>, Problem> {
    let Some(id) = charge else {
        let message = "One of the following params should be provided for this request: payment_intent or charge.";
        let id = intent.ok_or_else(|| Refusal::invalid(message).code("parameter_missing").param("payment_intent"))?;
        if !payment_intent::NOUN.shows(id.as_str()) {
            return Err(Refusal::no_such(payment_intent::NOUN.name, id.as_str()).param("payment_intent").into());
        }
        return Ok(id);
    };
    let known = peek(&mut *call.house.engine.store.reader().await?, id).await?;
    let known = known.filter(|charge| charge.livemode == call.livemode());
    let charge = known.ok_or_else(|| Refusal::no_such(charge::NOUN.name, id.as_str()).param("charge"))?;
    if intent.is_some() && intent != charge.payment_intent {
        let message = "The charge does not belong to the payment_intent.";
        return Err(Refusal::invalid(message).param("payment_intent").into());
    }
    Ok(charge.intent())
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Update {
    metadata: MetadataPatch,
}

async fn update(At(id): At<String>, call: Call, params: Update) -> Reply {
    let id: Id<Refund> = Id::given(id);
    let verb = Decision::new(Owner::of(&id), Needs::default(), move |books, at| {
        let refund = books.at_path(&id)?.clone();
        let metadata = params.metadata.apply(refund.metadata)?;
        repay::describe(books, Refund { metadata, ..refund }, at);
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

async fn cancel(At(id): At<String>, call: Call) -> Reply {
    let id: Id<Refund> = Id::given(id);
    let verb = Decision::new(Owner::of(&id), Needs::default(), move |books, _| Err(repay::cancel(books.at_path(&id)?)));
    call.run(&NOUN, verb).await
}

async fn list_of_charge(At(id): At<String>, call: Call) -> Reply {
    let charge = Id::<Charge>::given(id);
    check_path(&call, &charge).await?;
    call.list_where(&NOUN, vec![Condition::Text("charge", charge.to_string())]).await
}
