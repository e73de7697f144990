//! Who moves the money. A processor each; the engine knows only the trait.

pub mod test_cards;

use futures_util::future::BoxFuture;

use crate::billing::{
    Amount, Currency, Metadata, Timestamp,
    answer::{Answer, Decline},
    attach::NewMethod,
    evidence::Evidence,
    payment_intent::Action,
    payment_method::{AllowRedisplay, BillingDetails, Card},
};

/// A processor.
///
/// `ask` must be idempotent by its key: the same question, asked again because the answer was lost,
/// moves no money twice and gets the same answer.
pub trait Gateway: Send + Sync {
    /// Takes card details in and gives a token for them.
    fn tokenize<'a>(&'a self, source: &'a CardSource, now: Timestamp) -> BoxFuture<'a, Result<Tokenized, Decline>>;

    /// Asks whether a card can be kept for later.
    fn verify<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<(), Decline>>;

    fn ask<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Result<Answer, Unanswered>>;
}

/// What a payment method is made from.
#[derive(Clone, Debug)]
pub enum CardSource {
    /// A shared test name: what follows `pm_card_` or `tok_`.
    Name(String),
    Number {
        number: String,
        exp_month: i64,
        exp_year: i64,
        cvc: Option<String>,
    },
}

#[derive(Clone, Debug)]
pub struct Tokenized {
    /// Its issuer wants the customer to authenticate before it is kept for later.
    pub authenticates: bool,
    pub card: Card,
    /// Its issuer lets the customer authenticate where a seller wants that.
    pub may_authenticate: bool,
    pub token: String,
}

impl Tokenized {
    /// A new payment method of nobody.
    pub fn into_method(self, livemode: bool) -> NewMethod {
        NewMethod {
            allow_redisplay: AllowRedisplay::Unspecified,
            authenticates: self.authenticates,
            billing_details: BillingDetails::default(),
            card: self.card,
            livemode,
            may_authenticate: self.may_authenticate,
            metadata: Metadata::new(),
            token: self.token,
            spends: None,
        }
    }
}

/// One question about one payment.
#[derive(Clone, Debug)]
pub struct Question {
    /// Never reused for another question.
    pub key: String,
    pub action: Action,
    pub amount: Amount,
    /// The customer has just authenticated for it.
    pub authenticated: bool,
    pub currency: Currency,
    /// What a dispute is answered with.
    pub evidence: Option<Box<Evidence>>,
    /// The customer is not there to authenticate.
    pub off_session: bool,
    /// The card was set up for payments without the customer.
    pub set_up: bool,
    /// The seller wants the customer to authenticate wherever the issuer can let them.
    pub three_d_secure: bool,
    /// The card's token; for what follows a payment the payment's reference, for a dispute the dispute's.
    pub token: String,
}

/// Nobody knows what became of the question: it is asked again with the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the processor did not answer")]
pub struct Unanswered;
