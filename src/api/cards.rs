//! `/v1/customers/{id}/sources` and `/cards`: a customer's payment methods in the old view.

use serde::Deserialize;

use super::{
    call::Call,
    customers::{check_owner, narrowed},
    reply::Reply,
    route::{At, Route, deleted, list_of},
    sources,
};
use crate::{
    billing::{
        Id, MetadataPatch, Refusal, attach,
        card::{self, NOUN},
        customer::Customer,
        payment_method::{BillingDetails, Card, PaymentMethod},
        shape::Address,
    },
    engine::{Owner, Subject, verb::Decision},
    store::books::Needs,
};

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/customers/{id}/sources", list, list_of(&NOUN)),
        Route::post("/v1/customers/{id}/sources", create, &NOUN),
        Route::retrieve_of_customer("/v1/customers/{id}/sources/{source}", &NOUN),
        Route::post("/v1/customers/{id}/sources/{source}", update, &NOUN),
        Route::delete("/v1/customers/{id}/sources/{source}", delete, deleted(&NOUN)),
        Route::get("/v1/customers/{id}/cards", list, list_of(&NOUN)),
        Route::post("/v1/customers/{id}/cards", create, &NOUN),
        Route::retrieve_of_customer("/v1/customers/{id}/cards/{source}", &NOUN),
        Route::post("/v1/customers/{id}/cards/{source}", update, &NOUN),
        Route::delete("/v1/customers/{id}/cards/{source}", delete, deleted(&NOUN)),
    ]
}

/// The answer about a payment method, as a source.
fn subject(id: &Id<PaymentMethod>) -> Subject {
    Subject { noun: &NOUN, ..Subject::document(id) }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct List {
    object: Option<String>,
}

/// There are no sources but cards.
async fn list(At(id): At<String>, call: Call, params: List) -> Reply {
    if params.object.is_some_and(|object| object != NOUN.object) {
        return Err(Refusal::not_supported_yet("object").into());
    }
    narrowed(call, &NOUN, id).await
}

#[derive(Clone, Debug, Deserialize)]
struct Create {
    source: Option<String>,
    /// What `/cards` calls it.
    card: Option<String>,
    #[serde(default)]
    metadata: MetadataPatch,
    /// Every card is.
    #[serde(rename = "validate")]
    _validate: Option<bool>,
}

/// The first source of a customer is its default.
async fn create(At(id): At<String>, call: Call, params: Create) -> Reply {
    let token = params.source.or(params.card).ok_or_else(|| Refusal::missing("source"))?;
    let source = sources::legacy(&call, &token).await?;
    sources::verify(&call, &source).await?;
    let mut needs = Needs::default();
    source.needs(&mut needs);
    let id: Id<Customer> = Id::given(id);
    let verb = Decision::new(Owner::Customer(id.clone()), needs, move |books, at| {
        books.at_path(&id)?;
        let method = source.place(books, id.bucket(), at)?;
        let made = books.find(&method, "source")?.clone();
        let metadata = params.metadata.apply(made.metadata)?;
        books.put(PaymentMethod { metadata, ..made });
        attach::attach(books, &method, at)?;
        card::tell(books, &method, "customer.source.created", None, at);
        let mut customer = books.customer()?.clone();
        if customer.default_source.is_none() {
            customer.default_source = Some(method.clone());
            books.put(customer).tell("customer.updated", at);
        }
        Ok(subject(&method))
    });
    call.run(&NOUN, verb).await
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Update {
    address_city: Option<String>,
    address_country: Option<String>,
    address_line1: Option<String>,
    address_line2: Option<String>,
    address_state: Option<String>,
    address_zip: Option<String>,
    exp_month: Option<i64>,
    exp_year: Option<i64>,
    metadata: MetadataPatch,
    name: Option<String>,
}

async fn update(At((customer, id)): At<(String, String)>, call: Call, params: Update) -> Reply {
    check_owner(&call, &NOUN, &customer, &id).await?;
    let expiry = sources::check_expiry(params.exp_month, params.exp_year, "")?;
    let id: Id<PaymentMethod> = Id::given(id);
    let verb = Decision::new(Owner::of(&id), Needs::default(), move |books, at| {
        let (method, before) = (books.at_path(&id)?.clone(), books.image(&id));
        let (details, address) = (method.billing_details.clone(), method.billing_details.address);
        let changed = PaymentMethod {
            billing_details: BillingDetails {
                address: Address {
                    city: params.address_city.or(address.city),
                    country: params.address_country.or(address.country),
                    line1: params.address_line1.or(address.line1),
                    line2: params.address_line2.or(address.line2),
                    postal_code: params.address_zip.or(address.postal_code),
                    state: params.address_state.or(address.state),
                },
                name: params.name.or(details.name),
                ..details
            },
            card: Card {
                exp_month: expiry.0.unwrap_or(method.card.exp_month),
                exp_year: expiry.1.unwrap_or(method.card.exp_year),
                ..method.card
            },
            metadata: params.metadata.apply(method.metadata)?,
            ..method
        };
        books.put(changed).tell("payment_method.updated", at);
        card::tell(books, &id, "customer.source.updated", before.as_ref(), at);
        Ok(subject(&id))
    });
    call.run(&NOUN, verb).await
}

async fn delete(At((customer, id)): At<(String, String)>, call: Call) -> Reply {
    check_owner(&call, &NOUN, &customer, &id).await?;
    let id: Id<PaymentMethod> = Id::given(id);
    let verb = Decision::new(Owner::of(&id), Needs::default(), move |books, at| {
        // Told while it is the customer's.
        card::tell(books, &id, "customer.source.deleted", None, at);
        attach::detach(books, &id, at)?;
        Ok(Subject { deleted: true, ..subject(&id) })
    });
    call.run(&NOUN, verb).await
}
