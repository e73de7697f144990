//! Money of a charge that is given back.

use serde::{Deserialize, Serialize};

use super::{
    Amount, Currency, Id, Metadata, Noun, Resource, Timestamp,
    charge::{self, Charge},
    customer::{self, Customer},
    describe, movement,
    noun::{By, Cell, Keyed, Link, Target, filter, integer, null, one, text},
    payment_intent::{self, PaymentIntent},
    payment_method::{self, PaymentMethod},
    shape::Null,
};
use crate::words;

pub static NOUN: Noun = Noun {
    object: "refund",
    prefix: "re_",
    table: "refunds",
    url: "/v1/refunds",
    name: "refund",
    keyed: Keyed::OfCustomer,
    leaves_stub: false,
    columns: &[
        text("customer"),
        text("charge"),
        text("payment_intent"),
        integer("attempt"),
        text("status"),
        text("currency"),
        integer("amount"),
    ],
    filters: &[filter("charge", By::Text("charge")), filter("payment_intent", By::Text("payment_intent"))],
    links: &[
        one("charge", &charge::NOUN),
        one("customer", &customer::NOUN),
        one("payment_intent", &payment_intent::NOUN),
        one("payment_method", &payment_method::NOUN),
        Link { path: "balance_transaction", to: Target::Derived { make: movement::of, of: &[&movement::NOUN] } },
        null("failure_balance_transaction"),
        null("source_transfer_reversal"),
        null("transfer_reversal"),
    ],
    inlines: &[],
    previews: &[],
    searchable: &[],
    document: describe::shape_of::<Refund>,
};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Refund {
    pub id: Id<Refund>,
    pub object: Tag,
    pub amount: Amount,
    #[serde(default)]
    pub balance_transaction: Option<String>,
    pub charge: Id<Charge>,
    pub created: Timestamp,
    pub currency: Currency,
    pub customer: Option<Id<Customer>>,
    pub customer_account: Null,
    pub destination_details: DestinationDetails,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_reason: Option<String>,
    pub metadata: Metadata,
    /// Nothing if the charge was made directly.
    pub payment_intent: Option<Id<PaymentIntent>>,
    pub payment_method: Id<PaymentMethod>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_reason: Option<PendingReason>,
    pub reason: Option<Reason>,
    pub receipt_number: Null,
    pub source_transfer_reversal: Null,
    pub status: Status,
    pub transfer_reversal: Null,
    pub internal: Internal,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Tag {
    #[serde(rename = "refund")]
    Refund,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Internal {
    /// Which question about the intent asked for it: unique with the intent, the last line of defence
    /// against giving back twice.
    pub attempt: i64,
    /// How much of it belongs to credit notes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credited: Option<Amount>,
    pub livemode: bool,
    /// It let go of what was only reserved: no money has moved.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub released: bool,
}

/// Where the money went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DestinationDetails {
    pub card: CardDestination,
    #[serde(rename = "type")]
    pub kind: payment_method::Kind,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CardDestination {
    #[serde(rename = "type")]
    pub kind: DestinationType,
}

words!(DestinationType { Pending = "pending", Refund = "refund" });
words!(PendingReason { Processing = "processing" });
words!(Reason { Duplicate = "duplicate", Fraudulent = "fraudulent", RequestedByCustomer = "requested_by_customer" });
words!(
    /// The states of a refund.
    Status {
        Canceled = "canceled",
        Failed = "failed",
        Pending = "pending",
        RequiresAction = "requires_action",
        Succeeded = "succeeded",
    }
);

impl Status {
    /// Whether the money counts as given back.
    pub const fn counts(self) -> bool {
        match self {
            Status::Pending | Status::RequiresAction | Status::Succeeded => true,
            Status::Canceled | Status::Failed => false,
        }
    }
}

impl Refund {
    /// The intent whose money it gives back.
    pub fn intent(&self) -> Id<PaymentIntent> {
        payment_intent::behind(self.payment_intent.as_ref(), &self.charge)
    }

    #[must_use]
    pub fn succeed(self) -> Refund {
        let destination_details =
            DestinationDetails { card: CardDestination { kind: DestinationType::Refund }, ..self.destination_details };
        Refund { destination_details, pending_reason: None, status: Status::Succeeded, ..self }
    }

    #[must_use]
    pub fn fail(self, reason: &str) -> Refund {
        let failure_reason = Some(reason.to_owned());
        Refund { balance_transaction: None, failure_reason, pending_reason: None, status: Status::Failed, ..self }
    }
}

impl Resource for Refund {
    const NOUN: &'static Noun = &NOUN;

    fn id(&self) -> &Id<Self> {
        &self.id
    }

    fn livemode(&self) -> bool {
        self.internal.livemode
    }

    fn created(&self) -> Timestamp {
        self.created
    }

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::maybe(self.customer.as_ref()),
            Cell::text(&self.charge),
            Cell::text(self.intent()),
            Cell::Integer(Some(self.internal.attempt)),
            Cell::text(self.status),
            Cell::text(self.currency),
            // What has moved.
            Cell::Integer(Some(if self.internal.released { 0 } else { self.amount.minor_units() })),
        ]
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.amount <= Amount::ZERO {
            return Err("refund: nothing is given back");
        }
        if (self.status == Status::Failed) != self.failure_reason.is_some() {
            return Err("refund: there is a reason exactly when it has failed");
        }
        Ok(())
    }
}
