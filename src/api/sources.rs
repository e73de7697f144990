//! Naming a payment method: by id, by a shared test name (`pm_card_visa`), or by card details.

use serde::Deserialize;

use super::{call::Call, reply::Problem};
use crate::{
    billing::{
        Books, Id, Metadata, Moment, Refusal,
        answer::Decline,
        attach::{self, NewMethod},
        edit::within,
        id::Bucket,
        payment_method::{self, AllowRedisplay, BillingDetails, Kind, PaymentMethod},
        shape::{Address, Null, Patch, Unsupported},
        token::{self, Internal, Token},
    },
    gateway::{CardSource, Tokenized},
    store::{Fault, books::Needs, read},
};

/// A payment method that a call names. A shared test name makes a fresh one at each use.
#[derive(Clone, Debug)]
pub enum Source {
    Existing(Id<PaymentMethod>),
    New(Box<NewMethod>),
}

impl Source {
    pub fn needs(&self, needs: &mut Needs) {
        match self {
            Source::Existing(id) => needs.document(id),
            Source::New(new) => new.spends.iter().for_each(|token| needs.document(token)),
        }
    }

    /// The payment method in the books.
    pub fn place(self, books: &mut Books, bucket: Bucket, at: &mut Moment) -> Result<Id<PaymentMethod>, Refusal> {
        match self {
            Source::Existing(id) => Ok(id),
            Source::New(new) => attach::make(books, *new, bucket, at),
        }
    }
}

/// `payment_method_data`, and the parameters of a new payment method.
#[derive(Debug, Deserialize)]
pub struct MethodData {
    #[serde(rename = "type")]
    pub kind: Kind,
    pub card: Option<CardData>,
    pub billing_details: Option<BillingDetailsData>,
    pub allow_redisplay: Option<AllowRedisplay>,
}

#[derive(Debug, Deserialize)]
pub struct CardData {
    pub number: Option<String>,
    pub exp_month: Option<i64>,
    pub exp_year: Option<i64>,
    pub cvc: Option<String>,
    pub token: Option<String>,
    #[expect(dead_code, reason = "named so that it is refused, not ignored")]
    networks: Option<Unsupported>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct BillingDetailsData {
    address: Patch<Address>,
    email: Patch<String>,
    name: Patch<String>,
    phone: Patch<String>,
}

impl BillingDetailsData {
    pub fn over(self, current: BillingDetails) -> BillingDetails {
        BillingDetails {
            address: self.address.over(Some(current.address)).unwrap_or_default(),
            email: self.email.over(current.email),
            name: self.name.over(current.name),
            phone: self.phone.over(current.phone),
            tax_id: Null,
        }
    }
}

/// A payment method named by an id or by a shared test name.
pub async fn named(call: &Call, id: &str) -> Result<Source, Problem> {
    match id.strip_prefix("pm_card_") {
        Some(name) => {
            test_card(call, name, Refusal::no_such(payment_method::NOUN.name, id).param("payment_method")).await
        }
        None => Ok(Source::Existing(Id::given(id))),
    }
}

/// A card brought in the old way, as a token.
pub async fn legacy(call: &Call, token: &str) -> Result<Source, Problem> {
    let new = brought(call, token, "source").await?;
    Ok(Source::New(Box::new(new)))
}

/// What a token stands for: one that was made here, or a shared test name.
async fn brought(call: &Call, token: &str, param: &str) -> Result<NewMethod, Problem> {
    let no_such = Refusal::no_such(token::NOUN.name, token).param(param);
    if let Some(name) = token.strip_prefix("tok_")
        && let Ok(taken) = tokenize(call, &CardSource::Name(name.to_owned())).await?
    {
        return Ok(taken.into_method(call.livemode()));
    }
    let mut reader = call.house.engine.store.reader().await?;
    let body = read::find(&mut reader, &token::NOUN, token, call.livemode()).await?.ok_or(no_such)?;
    let made: Token = serde_json::from_str(&body).map_err(Fault::from)?;
    let Internal { authenticates, billing_details, card, may_authenticate, token } = made.internal;
    let taken = Tokenized { authenticates, card, may_authenticate, token };
    Ok(NewMethod { billing_details, spends: Some(made.id), ..taken.into_method(call.livemode()) })
}

async fn test_card(call: &Call, name: &str, no_such: Refusal) -> Result<Source, Problem> {
    let taken = tokenize(call, &CardSource::Name(name.to_owned())).await?.map_err(|_| no_such)?;
    Ok(Source::New(Box::new(taken.into_method(call.livemode()))))
}

/// Hands a card to the processor.
pub async fn tokenize(call: &Call, source: &CardSource) -> Result<Result<Tokenized, Decline>, Problem> {
    Ok(call.house.engine.gateway.tokenize(source, call.house.engine.clock.now()).await)
}

/// A payment method made from details.
pub async fn described(call: &Call, data: MethodData, metadata: Metadata) -> Result<Source, Problem> {
    let card = data.card.ok_or_else(|| Refusal::missing("card"))?;
    let new = match (card.token, card.number) {
        (Some(token), None) => brought(call, &token, "card[token]").await?,
        (None, Some(number)) => {
            let source = CardSource::Number {
                number,
                exp_month: card.exp_month.ok_or_else(|| Refusal::missing("card[exp_month]"))?,
                exp_year: card.exp_year.ok_or_else(|| Refusal::missing("card[exp_year]"))?,
                cvc: card.cvc,
            };
            tokenize(call, &source).await?.map_err(|decline| decline.refusal())?.into_method(call.livemode())
        }
        (Some(_), Some(_)) => {
            return Err(
                Refusal::invalid("You may only specify one of these parameters: card[token], card[number].").into()
            );
        }
        (None, None) => return Err(Refusal::missing("card[number]").into()),
    };
    let details = data.billing_details.unwrap_or_default().over(new.billing_details);
    let allow_redisplay = data.allow_redisplay.unwrap_or(new.allow_redisplay);
    Ok(Source::New(Box::new(NewMethod { allow_redisplay, billing_details: details, metadata, ..new })))
}

/// A month and a year that a card can expire in.
pub fn check_expiry(month: Option<i64>, year: Option<i64>, param: &str) -> Result<(Option<i64>, Option<i64>), Refusal> {
    if month.is_some_and(|month| !(1..=12).contains(&month)) {
        let message = "Your card's expiration month is invalid.";
        return Err(Refusal::card("invalid_expiry_month", message).param(within(param, "exp_month")));
    }
    if year.is_some_and(|year| !(2000..=2100).contains(&year)) {
        let message = "Your card's expiration year is invalid.";
        return Err(Refusal::card("invalid_expiry_year", message).param(within(param, "exp_year")));
    }
    Ok((month, year))
}

/// Asks the processor whether the card may be kept for later; refuses if not.
pub async fn verify(call: &Call, source: &Source) -> Result<(), Problem> {
    match refused(call, source).await? {
        Some(decline) => Err(decline.refusal().into()),
        None => Ok(()),
    }
}

/// Why the processor does not want the card to be kept for later: some are refused from the start.
pub async fn refused(call: &Call, source: &Source) -> Result<Option<Decline>, Problem> {
    let token = match source {
        Source::New(new) => Some(new.token.clone()),
        Source::Existing(id) => {
            let mut reader = call.house.engine.store.reader().await?;
            let body = read::find(&mut reader, &payment_method::NOUN, id.as_str(), call.livemode()).await?;
            let method: Option<PaymentMethod> =
                body.map(|body| serde_json::from_str(&body)).transpose().map_err(crate::store::Fault::from)?;
            method.map(|method| method.internal.token)
        }
    };
    match token {
        Some(token) => Ok(call.house.engine.gateway.verify(&token).await.err()),
        None => Ok(None),
    }
}
