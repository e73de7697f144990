//! `/v1/test_helpers/payment_methods/{id}/automatically_update`: what the card networks tell of cards that their
//! issuers renew or replace, for tests.

use serde::Deserialize;

use super::{
    call::Call,
    reply::{Problem, Reply},
    route::{At, Route},
    sources,
};
use crate::{
    billing::{
        Id, Refusal,
        payment_method::{NOUN, PaymentMethod},
        reissue::{self, Reissue},
    },
    engine::{Owner, Subject, verb::Decision},
    gateway::CardSource,
    store::books::{Needs, peek},
};

pub fn routes() -> Vec<Route> {
    vec![Route::post("/v1/test_helpers/payment_methods/{id}/automatically_update", update, &NOUN)]
}

#[derive(Clone, Debug, Deserialize)]
struct Update {
    card: CardParams,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct CardParams {
    exp_month: Option<i64>,
    exp_year: Option<i64>,
    /// Of the card that takes its place.
    number: Option<String>,
}

async fn update(At(id): At<String>, call: Call, params: Update) -> Reply {
    if call.livemode() {
        return Err(Refusal::invalid("What a network tells can be simulated in test mode only.").into());
    }
    let id: Id<PaymentMethod> = Id::given(id);
    let news = news_of(&call, &id, params.card).await?;
    let verb = Decision::new(Owner::of(&id), Needs::default(), move |books, at| {
        reissue::reissue(books, &id, news, at)?;
        Ok(Subject::document(&id))
    });
    call.run(&NOUN, verb).await
}

/// What is not said stays as it is.
async fn news_of(call: &Call, id: &Id<PaymentMethod>, params: CardParams) -> Result<Reissue, Problem> {
    let known = peek(&mut *call.house.engine.store.reader().await?, id).await?;
    let known = known.filter(|method| method.livemode == call.livemode());
    let card = known.ok_or_else(|| Refusal::not_found(&NOUN, id.as_str()))?.card;
    let (month, year) = sources::check_expiry(params.exp_month, params.exp_year, "card")?;
    let (exp_month, exp_year) = (month.unwrap_or(card.exp_month), year.unwrap_or(card.exp_year));
    let Some(number) = params.number else {
        if month.is_none() && year.is_none() {
            return Err(Refusal::missing("card[exp_month]").into());
        }
        return Ok(Reissue::Renewed { exp_month, exp_year });
    };
    let source = CardSource::Number { number, exp_month, exp_year, cvc: None };
    let taken = sources::tokenize(call, &source).await?.map_err(|decline| decline.refusal())?;
    Ok(Reissue::Replaced {
        authenticates: taken.authenticates,
        card: Box::new(taken.card),
        may_authenticate: taken.may_authenticate,
        token: taken.token,
    })
}
