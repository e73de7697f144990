//! `/v1/test_helpers/checkout/sessions/{id}/{complete,authenticate}`: what a customer does on the page of a
//! session, for programs.

use serde::Deserialize;

use crate::{
    api::{
        call::Call,
        intents::given,
        reply::Reply,
        route::At,
        sources::{self, MethodData},
    },
    billing::{
        Id, Refusal,
        checkout::{
            NOUN, Session,
            complete::{Entries, Means},
            item::LineItem,
        },
        customer::check_email,
        next_action::{Authentication, check_return_url},
        shape::Text,
    },
    engine::checkout,
};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ConsentParams {
    terms_of_service: Option<bool>,
}

#[derive(Clone, Debug, Deserialize)]
struct FieldParams {
    key: String,
    value: String,
}

#[derive(Clone, Debug, Deserialize)]
struct QuantityParams {
    id: Id<LineItem>,
    quantity: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Complete {
    consent: Option<ConsentParams>,
    custom_fields: Vec<FieldParams>,
    email: Option<Text<512>>,
    line_items: Vec<QuantityParams>,
    name: Option<Text<256>>,
    payment_method: Option<String>,
    payment_method_data: Option<MethodData>,
    phone: Option<Text<20>>,
    return_url: Option<String>,
}

fn only_tests(call: &Call) -> Result<(), Refusal> {
    if call.livemode() {
        return Err(Refusal::invalid("A Checkout Session can be completed by a call in test mode only."));
    }
    Ok(())
}

pub async fn complete(At(id): At<String>, call: Call, params: Complete) -> Reply {
    only_tests(&call)?;
    if let Some(Text(email)) = &params.email {
        check_email(email)?;
    }
    if let Some(url) = &params.return_url {
        check_return_url(url)?;
    }
    let id: Id<Session> = Id::given(id);
    let source = given(&call, params.payment_method.as_ref(), params.payment_method_data).await?;
    let mut reader = call.house.engine.store.reader().await?;
    let (session, mut needs) = checkout::around(&mut reader, &id).await?;
    drop(reader);
    let mut refused = None;
    if let Some(source) = &source {
        source.needs(&mut needs);
        if session.is_some_and(|session| session.keeps_card()) {
            refused = sources::refused(&call, source).await?;
        }
    }
    let entries = Entries {
        accepts_terms: params.consent.and_then(|consent| consent.terms_of_service).unwrap_or(false),
        email: params.email.map(String::from),
        fields: params.custom_fields.into_iter().map(|field| (field.key, field.value)).collect(),
        name: params.name.map(String::from),
        phone: params.phone.map(String::from),
        quantities: params.line_items.into_iter().map(|line| (line.id, line.quantity)).collect(),
    };
    let means = Means { payment_method: None, refused, return_url: params.return_url };
    let verb = checkout::complete(&id, needs, entries, means, move |books, bucket, at| {
        source.map(|source| source.place(books, bucket, at)).transpose()
    });
    call.run(&NOUN, verb).await
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Authenticate {
    outcome: Authentication,
}

pub async fn authenticate(At(id): At<String>, call: Call, params: Authenticate) -> Reply {
    only_tests(&call)?;
    let mut reader = call.house.engine.store.reader().await?;
    let verb = checkout::authenticate(&mut reader, &Id::given(id), params.outcome).await?;
    drop(reader);
    call.run(&NOUN, verb).await
}
