//! `/v1/payment_methods`

use serde::Deserialize;

use super::{
    call::Call,
    reply::Reply,
    route::{At, Route},
    sources::{self, BillingDetailsData, CardData, MethodData, Source},
};
use crate::{
    billing::{
        Id, MetadataPatch, attach,
        customer::Customer,
        payment_method::{AllowRedisplay, Card, Kind, NOUN, PaymentMethod},
        shape::Unsupported,
    },
    engine::{Owner, Subject, verb::Decision},
    store::books::Needs,
};

pub fn routes() -> Vec<Route> {
    vec![
        Route::list("/v1/payment_methods", &NOUN),
        Route::post("/v1/payment_methods", create, &NOUN).publishable(),
        Route::retrieve("/v1/payment_methods/{id}", &NOUN),
        Route::post("/v1/payment_methods/{id}", update, &NOUN),
        Route::post("/v1/payment_methods/{id}/attach", attach_to_customer, &NOUN),
        Route::post("/v1/payment_methods/{id}/detach", detach, &NOUN),
    ]
}

#[derive(Debug, Deserialize)]
struct Create {
    #[serde(rename = "type")]
    kind: Kind,
    card: Option<CardData>,
    billing_details: Option<BillingDetailsData>,
    allow_redisplay: Option<AllowRedisplay>,
    #[serde(default)]
    metadata: MetadataPatch,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    customer: Option<Unsupported>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    payment_method: Option<Unsupported>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    sepa_debit: Option<Unsupported>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    us_bank_account: Option<Unsupported>,
}

/// Also for publishable keys: the browser turns the card into a payment method.
async fn create(call: Call, params: Create) -> Reply {
    let data = MethodData {
        kind: params.kind,
        card: params.card,
        billing_details: params.billing_details,
        allow_redisplay: params.allow_redisplay,
    };
    let source = sources::described(&call, data, params.metadata.initial()?).await?;
    let mut needs = Needs::default();
    source.needs(&mut needs);
    let verb = Decision::new(Owner::Nobody, needs, move |books, at| {
        let bucket = at.ids.bucket();
        Ok(Subject::document(&source.place(books, bucket, at)?))
    });
    call.run(&NOUN, verb).await
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Update {
    allow_redisplay: Option<AllowRedisplay>,
    billing_details: Option<BillingDetailsData>,
    card: Option<CardUpdate>,
    metadata: MetadataPatch,
    us_bank_account: Option<Unsupported>,
}

#[derive(Clone, Debug, Deserialize)]
struct CardUpdate {
    exp_month: Option<i64>,
    exp_year: Option<i64>,
}

async fn update(At(id): At<String>, call: Call, params: Update) -> Reply {
    let id: Id<PaymentMethod> = Id::given(id);
    let verb = Decision::new(Owner::of(&id), Needs::default(), move |books, at| {
        let method = books.at_path(&id)?.clone();
        let (month, year) = params.card.map_or((None, None), |card| (card.exp_month, card.exp_year));
        let (month, year) = sources::check_expiry(month, year, "card")?;
        let card = Card {
            exp_month: month.unwrap_or(method.card.exp_month),
            exp_year: year.unwrap_or(method.card.exp_year),
            ..method.card
        };
        let changed = PaymentMethod {
            allow_redisplay: params.allow_redisplay.unwrap_or(method.allow_redisplay),
            billing_details: params.billing_details.unwrap_or_default().over(method.billing_details),
            card,
            metadata: params.metadata.apply(method.metadata)?,
            ..method
        };
        books.put(changed).tell("payment_method.updated", at);
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

#[derive(Clone, Debug, Deserialize)]
struct Attach {
    customer: Id<Customer>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    customer_account: Option<Unsupported>,
}

async fn attach_to_customer(At(id): At<String>, call: Call, params: Attach) -> Reply {
    let customer = params.customer;
    let source = sources::named(&call, &id).await?;
    sources::verify(&call, &source).await?;
    let mut needs = Needs::default();
    source.needs(&mut needs);
    let verb = Decision::new(Owner::Customer(customer.clone()), needs, move |books, at| {
        if let Source::Existing(id) = &source {
            books.at_path(id)?;
        }
        let bucket = books.find(&customer, "customer")?.id.bucket();
        let method = source.place(books, bucket, at)?;
        attach::attach(books, &method, at)?;
        Ok(Subject::document(&method))
    });
    call.run(&NOUN, verb).await
}

async fn detach(At(id): At<String>, call: Call) -> Reply {
    let id: Id<PaymentMethod> = Id::given(id);
    let verb = Decision::new(Owner::of(&id), Needs::default(), move |books, at| {
        books.at_path(&id)?;
        attach::detach(books, &id, at)?;
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}
