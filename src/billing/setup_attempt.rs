//! One attempt to set a card up for later.

use serde::{Deserialize, Serialize};

use super::{
    Books, Id, Moment, Noun, Resource, Timestamp,
    customer::{self, Customer},
    describe,
    noun::{By, Cell, Keyed, filter, null, one, text},
    payment_intent::PaymentError,
    payment_method::{self, Checks, Kind, PaymentMethod},
    setup_intent::{self, SetupIntent, Usage},
    shape::Null,
};
use crate::words;

pub static NOUN: Noun = Noun {
    object: "setup_attempt",
    prefix: "setatt_",
    table: "setup_attempts",
    url: "/v1/setup_attempts",
    name: "setup_attempt",
    keyed: Keyed::OfCustomer,
    leaves_stub: false,
    columns: &[text("customer"), text("setup_intent")],
    filters: &[filter("setup_intent", By::Text("setup_intent"))],
    links: &[
        one("customer", &customer::NOUN),
        one("payment_method", &payment_method::NOUN),
        one("setup_intent", &setup_intent::NOUN),
        null("application"),
        null("on_behalf_of"),
    ],
    inlines: &[],
    previews: &[],
    searchable: &[],
    document: describe::shape_of::<SetupAttempt>,
};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetupAttempt {
    pub id: Id<SetupAttempt>,
    pub object: Tag,
    pub application: Null,
    pub created: Timestamp,
    pub customer: Option<Id<Customer>>,
    pub customer_account: Null,
    pub flow_directions: Null,
    pub livemode: bool,
    pub on_behalf_of: Null,
    pub payment_method: Id<PaymentMethod>,
    pub payment_method_details: Details,
    pub setup_error: Option<PaymentError>,
    pub setup_intent: Id<SetupIntent>,
    pub status: Status,
    pub usage: Usage,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Tag {
    #[serde(rename = "setup_attempt")]
    SetupAttempt,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Details {
    pub card: CardDetails,
    #[serde(rename = "type")]
    pub kind: Kind,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CardDetails {
    pub brand: String,
    pub checks: Checks,
    pub country: Option<String>,
    pub exp_month: i64,
    pub exp_year: i64,
    pub fingerprint: String,
    pub funding: String,
    pub last4: String,
    pub network: String,
    pub three_d_secure: Null,
    pub wallet: Null,
}

words!(
    /// How it went.
    Status { Failed = "failed", RequiresAction = "requires_action", Succeeded = "succeeded" }
);

/// Writes down how an attempt went, or that it waits for the customer. One that has waited goes on.
pub fn record(
    books: &mut Books,
    intent: SetupIntent,
    method: &PaymentMethod,
    status: Status,
    error: Option<PaymentError>,
    at: &mut Moment,
) -> SetupIntent {
    let latest = intent.latest_attempt.as_ref().and_then(|id| books.get(id));
    let waited = latest.filter(|latest| latest.status == Status::RequiresAction && status != Status::RequiresAction);
    let attempt = match waited.cloned() {
        Some(attempt) => SetupAttempt { setup_error: error, status, ..attempt },
        None => SetupAttempt { setup_error: error, status, ..blank(&intent, method, at) },
    };
    let latest_attempt = Some(attempt.id.clone());
    books.put(attempt);
    SetupIntent { latest_attempt, ..intent }
}

fn blank(intent: &SetupIntent, method: &PaymentMethod, at: &mut Moment) -> SetupAttempt {
    let card = &method.card;
    SetupAttempt {
        id: Id::new(&mut at.ids, intent.id.bucket()),
        object: Tag::SetupAttempt,
        application: Null,
        created: at.now,
        customer: intent.customer.clone(),
        customer_account: Null,
        flow_directions: Null,
        livemode: intent.livemode,
        on_behalf_of: Null,
        payment_method: method.id.clone(),
        payment_method_details: Details {
            card: CardDetails {
                brand: card.brand.clone(),
                checks: card.checks.clone(),
                country: card.country.clone(),
                exp_month: card.exp_month,
                exp_year: card.exp_year,
                fingerprint: card.fingerprint.clone(),
                funding: card.funding.clone(),
                last4: card.last4.clone(),
                network: card.brand.clone(),
                three_d_secure: Null,
                wallet: Null,
            },
            kind: method.kind,
        },
        setup_error: None,
        setup_intent: intent.id.clone(),
        status: Status::Succeeded,
        usage: intent.usage,
    }
}

impl Resource for SetupAttempt {
    const NOUN: &'static Noun = &NOUN;

    crate::basics!(created);

    fn cells(&self) -> Vec<Cell> {
        vec![Cell::maybe(self.customer.as_ref()), Cell::text(&self.setup_intent)]
    }
}
