//! Card details that somebody has handed in, to be used once.

use serde::{Deserialize, Serialize};

use super::{
    Books, Id, Moment, Noun, Refusal, Resource, Timestamp,
    card::OldCard,
    describe,
    id::Bucket,
    noun::{Cell, Keyed},
    payment_method::{BillingDetails, Card, Kind},
    shape::Null,
};

pub static NOUN: Noun = Noun {
    object: "token",
    prefix: "tok_",
    table: "tokens",
    url: "/v1/tokens",
    name: "token",
    keyed: Keyed::Shared,
    leaves_stub: false,
    columns: &[],
    filters: &[],
    links: &[],
    inlines: &[],
    previews: &[],
    searchable: &[],
    document: describe::shape_of::<Token>,
};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Token {
    pub id: Id<Token>,
    pub object: Tag,
    pub card: OldCard,
    pub client_ip: Null,
    pub created: Timestamp,
    pub livemode: bool,
    #[serde(rename = "type")]
    pub kind: Kind,
    pub used: bool,
    pub internal: Internal,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Tag {
    #[serde(rename = "token")]
    Token,
}

/// What a payment method is made of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Internal {
    pub authenticates: bool,
    pub billing_details: BillingDetails,
    pub card: Card,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_authenticate: bool,
    /// What the gateway calls the card.
    pub token: String,
}

impl Token {
    pub fn new(internal: Internal, livemode: bool, at: &mut Moment) -> Token {
        let card = at.ids.next("card_", Bucket::SHARED);
        Token {
            id: Id::new(&mut at.ids, Bucket::SHARED),
            object: Tag::Token,
            card: OldCard::new(card, &internal.card, &internal.billing_details),
            client_ip: Null,
            created: at.now,
            livemode,
            kind: Kind::Card,
            used: false,
            internal,
        }
    }
}

/// A token is used once; who comes second is refused.
pub fn spend(books: &mut Books, id: &Id<Token>) -> Result<(), Refusal> {
    let token = books.find(id, "token")?.clone();
    if token.used {
        let message = format!("You cannot use a Stripe token more than once: {id}.");
        return Err(Refusal::invalid(message).code("token_already_used"));
    }
    books.put(Token { used: true, ..token });
    Ok(())
}

impl Resource for Token {
    const NOUN: &'static Noun = &NOUN;

    crate::basics!(created);

    fn cells(&self) -> Vec<Cell> {
        Vec::new()
    }
}
