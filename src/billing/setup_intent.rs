//! A wish to keep a card for later payments, and how far it has come.

use serde::{Deserialize, Serialize};

use super::{
    Id, Metadata, Noun, Refusal, Resource, Timestamp,
    checkout::Session,
    customer::{self, Customer},
    describe,
    mandate::Acceptance,
    method_options::SetupOptions,
    method_types::MethodType,
    next_action::NextAction,
    noun::{By, Cell, Keyed, Meaning, filter, null, one, text},
    payment_intent::{AutomaticPaymentMethods, PaymentError},
    payment_method::{self, PaymentMethod},
    setup_attempt::{self, SetupAttempt},
    shape::Null,
    test_clock::TestClock,
};
use crate::words;

pub static NOUN: Noun = Noun {
    object: "setup_intent",
    prefix: "seti_",
    table: "setup_intents",
    url: "/v1/setup_intents",
    name: "setupintent",
    keyed: Keyed::OfCustomer,
    leaves_stub: false,
    columns: &[text("customer"), text("test_clock"), text("payment_method"), text("status")],
    filters: &[
        filter("customer", By::Text("customer")),
        filter("payment_method", By::Text("payment_method")),
        // Whose card is set up is always a customer's.
        filter(
            "attach_to_self",
            By::Word { column: "status", words: &[("false", Meaning::Anything), ("true", Meaning::OneOf(&[]))] },
        ),
        filter("customer_account", By::NotSupportedYet),
    ],
    links: &[
        one("customer", &customer::NOUN),
        one("payment_method", &payment_method::NOUN),
        null("application"),
        one("latest_attempt", &setup_attempt::NOUN),
        null("mandate"),
        null("on_behalf_of"),
        null("single_use_mandate"),
    ],
    inlines: &[],
    previews: &[],
    searchable: &[],
    document: describe::shape_of::<SetupIntent>,
};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetupIntent {
    pub id: Id<SetupIntent>,
    pub object: Tag,
    pub allowed_payment_method_types: Option<Vec<MethodType>>,
    pub application: Null,
    pub automatic_payment_methods: Option<AutomaticPaymentMethods>,
    pub cancellation_reason: Option<CancellationReason>,
    pub client_secret: String,
    pub created: Timestamp,
    pub customer: Option<Id<Customer>>,
    pub customer_account: Null,
    pub description: Option<String>,
    pub excluded_payment_method_types: Option<Vec<MethodType>>,
    pub flow_directions: Null,
    pub last_setup_error: Option<PaymentError>,
    #[serde(default)]
    pub latest_attempt: Option<Id<SetupAttempt>>,
    pub livemode: bool,
    pub managed_payments: Null,
    pub mandate: Null,
    pub metadata: Metadata,
    pub next_action: Option<NextAction>,
    pub on_behalf_of: Null,
    pub payment_method: Option<Id<PaymentMethod>>,
    pub payment_method_configuration_details: Null,
    /// None of those that were made when none were kept.
    pub payment_method_options: Option<SetupOptions>,
    pub payment_method_types: Vec<String>,
    pub single_use_mandate: Null,
    pub status: Status,
    pub usage: Usage,
    pub internal: Internal,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Tag {
    #[serde(rename = "setup_intent")]
    SetupIntent,
}

/// What only we need to know.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Internal {
    /// The session that it is to complete: then nobody else may confirm or cancel it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkout: Option<Id<Session>>,
    /// What the customer has agreed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mandate: Option<Box<Acceptance>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_clock: Option<Id<TestClock>>,
}

words!(CancellationReason {
    Abandoned = "abandoned",
    Duplicate = "duplicate",
    RequestedByCustomer = "requested_by_customer",
});
words!(
    /// With or without the customer there.
    Usage { OffSession = "off_session", OnSession = "on_session" }
);

words!(
    /// The states of a setup intent.
    Status {
        Canceled = "canceled",
        Processing = "processing",
        RequiresAction = "requires_action",
        RequiresConfirmation = "requires_confirmation",
        RequiresPaymentMethod = "requires_payment_method",
        Succeeded = "succeeded",
    }
);

impl SetupIntent {
    /// The error of an action that its status does not allow.
    pub fn unexpected_state(message: impl Into<String>) -> Refusal {
        Refusal::invalid(message).code("setup_intent_unexpected_state")
    }

    /// Whether it may still be confirmed, changed or canceled.
    pub const fn is_open(&self) -> bool {
        match self.status {
            Status::RequiresAction | Status::RequiresConfirmation | Status::RequiresPaymentMethod => true,
            Status::Canceled | Status::Processing | Status::Succeeded => false,
        }
    }

    /// Whether it is its owner's to change: not if a session made it.
    pub fn check_own(&self, what: &str) -> Result<(), Refusal> {
        let Some(session) = &self.internal.checkout else { return Ok(()) };
        Err(Self::unexpected_state(format!(
            "You cannot {what} this SetupIntent because it was created by the Checkout Session {session}. Expire the session \
             instead."
        )))
    }

    pub fn cancel(self, reason: Option<CancellationReason>) -> Result<SetupIntent, Refusal> {
        if self.is_open() {
            return Ok(SetupIntent {
                cancellation_reason: reason,
                next_action: None,
                status: Status::Canceled,
                ..self
            });
        }
        Err(Self::unexpected_state(format!(
            "You cannot cancel this SetupIntent because it has a status of {}. Only a SetupIntent with one of the following \
             statuses may be canceled: requires_payment_method, requires_confirmation, requires_action.",
            self.status
        )))
    }
}

impl Resource for SetupIntent {
    const NOUN: &'static Noun = &NOUN;

    crate::basics!(created);

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::maybe(self.customer.as_ref()),
            Cell::maybe(self.internal.test_clock.as_ref()),
            Cell::maybe(self.payment_method.as_ref()),
            Cell::text(self.status),
        ]
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.status == Status::Succeeded && self.payment_method.is_none() {
            return Err("setup_intent: succeeded without a payment method");
        }
        if (self.status == Status::RequiresAction) != self.next_action.is_some() {
            return Err("setup_intent: there is a next action exactly when one is required");
        }
        Ok(())
    }
}
