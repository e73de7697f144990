//! `/v1/tokens`: card details, handed in by a browser.

use serde::Deserialize;

use super::{call::Call, reply::Reply, route::Route, sources::tokenize};
use crate::{
    billing::{
        Refusal,
        payment_method::BillingDetails,
        shape::{Address, Null, Unsupported},
        token::{Internal, NOUN, Token},
    },
    engine::{Owner, Subject, verb::Decision},
    gateway::CardSource,
    store::books::Needs,
};

pub fn routes() -> Vec<Route> {
    vec![Route::post("/v1/tokens", create, &NOUN).publishable(), Route::retrieve("/v1/tokens/{id}", &NOUN)]
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Create {
    card: Option<CardParams>,
    // Known, and refused rather than ignored.
    account: Option<Unsupported>,
    bank_account: Option<Unsupported>,
    customer: Option<Unsupported>,
    cvc_update: Option<Unsupported>,
    person: Option<Unsupported>,
    pii: Option<Unsupported>,
}

#[derive(Debug, Deserialize)]
struct CardParams {
    number: String,
    exp_month: i64,
    exp_year: i64,
    cvc: Option<String>,
    name: Option<String>,
    address_city: Option<String>,
    address_country: Option<String>,
    address_line1: Option<String>,
    address_line2: Option<String>,
    address_state: Option<String>,
    address_zip: Option<String>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    currency: Option<Unsupported>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    networks: Option<Unsupported>,
}

async fn create(call: Call, params: Create) -> Reply {
    let card = params.card.ok_or_else(|| {
        let message = "You must supply either a card, customer, PII data, bank account, or account legal entity to create a token.";
        Refusal::invalid(message).param("card")
    })?;
    let details = BillingDetails {
        address: Address {
            city: card.address_city,
            country: card.address_country,
            line1: card.address_line1,
            line2: card.address_line2,
            postal_code: card.address_zip,
            state: card.address_state,
        },
        email: None,
        name: card.name,
        phone: None,
        tax_id: Null,
    };
    let (number, exp_month, exp_year, cvc) = (card.number, card.exp_month, card.exp_year, card.cvc);
    let source = CardSource::Number { number, exp_month, exp_year, cvc };
    let taken = tokenize(&call, &source).await?.map_err(|decline| decline.refusal())?;
    let internal = Internal {
        authenticates: taken.authenticates,
        billing_details: details,
        card: taken.card,
        may_authenticate: taken.may_authenticate,
        token: taken.token,
    };
    let livemode = call.livemode();
    let verb = Decision::new(Owner::Nobody, Needs::default(), move |books, at| {
        let token = Token::new(internal, livemode, at);
        let id = token.id.clone();
        books.put(token);
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}
