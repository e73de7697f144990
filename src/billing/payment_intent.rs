//! A wish to be paid, and how far it has come. Talking to the processor is one of its states.

mod attempt;
mod direct;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Amount, Currency, Id, Metadata, Noun, Refusal, Resource, Timestamp,
    answer::Decline,
    balance_transaction::BalanceTransaction,
    charge::{self, Charge},
    checkout::Session,
    customer::{self, Customer},
    describe,
    dispute::Dispute,
    early_fraud_warning::EarlyFraudWarning,
    increment::DeclinedIncrement,
    invoice::Invoice,
    invoice_item::InvoiceItem,
    mandate::Acceptance,
    method_options::PaymentOptions,
    method_types::MethodType,
    next_action::NextAction,
    noun::{By, Cell, Keyed, boolean, filter, integer, json, null, one, text},
    payment_method::{self, PaymentMethod},
    price::Price,
    searchable::{CREATED, METADATA, Stand, number, token},
    shape::{Null, Shipping},
    test_clock::TestClock,
};
use crate::words;

pub use attempt::{Action, Asker, Attempt, Wait};
pub use direct::behind;

pub static NOUN: Noun = Noun {
    object: "payment_intent",
    prefix: "pi_",
    table: "payment_intents",
    url: "/v1/payment_intents",
    name: "payment_intent",
    keyed: Keyed::OfCustomerOrHidden,
    leaves_stub: false,
    columns: &[
        text("customer"),
        text("test_clock"),
        text("status"),
        integer("amount"),
        boolean("standing"),
        text("currency"),
        json("metadata"),
    ],
    filters: &[filter("customer", By::Text("customer")), filter("customer_account", By::NotSupportedYet)],
    links: &[
        one("customer", &customer::NOUN),
        one("latest_charge", &charge::NOUN),
        one("payment_method", &payment_method::NOUN),
        null("application"),
        null("on_behalf_of"),
        null("payment_record"),
        null("review"),
        null("source"),
    ],
    inlines: &[],
    previews: &[],
    searchable: &[
        number("amount"),
        CREATED,
        token("currency", Stand::Word("currency")),
        token("customer", Stand::Id("customer")),
        METADATA,
        token("status", Stand::Word("status")),
    ],
    document: describe::shape_of::<PaymentIntent>,
};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PaymentIntent {
    pub id: Id<PaymentIntent>,
    pub object: Tag,
    pub allowed_payment_method_types: Option<Vec<MethodType>>,
    pub amount: Amount,
    pub amount_capturable: Amount,
    pub amount_received: Amount,
    pub application: Null,
    pub application_fee_amount: Null,
    pub automatic_payment_methods: Option<AutomaticPaymentMethods>,
    pub canceled_at: Option<Timestamp>,
    pub cancellation_reason: Option<CancellationReason>,
    pub capture_method: CaptureMethod,
    pub client_secret: String,
    pub confirmation_method: ConfirmationMethod,
    pub created: Timestamp,
    pub currency: Currency,
    pub customer: Option<Id<Customer>>,
    pub customer_account: Null,
    pub description: Option<String>,
    pub excluded_payment_method_types: Option<Vec<MethodType>>,
    pub last_payment_error: Option<PaymentError>,
    pub latest_charge: Option<Id<Charge>>,
    pub livemode: bool,
    pub managed_payments: Null,
    pub metadata: Metadata,
    pub next_action: Option<NextAction>,
    pub on_behalf_of: Null,
    pub payment_method: Option<Id<PaymentMethod>>,
    pub payment_method_configuration_details: Null,
    pub payment_method_options: PaymentOptions,
    pub payment_method_types: Vec<String>,
    pub payment_record: Null,
    pub processing: Null,
    pub receipt_email: Option<String>,
    pub review: Null,
    pub setup_future_usage: Option<SetupFutureUsage>,
    pub shipping: Option<Shipping>,
    pub source: Null,
    pub statement_descriptor: Option<String>,
    pub statement_descriptor_suffix: Option<String>,
    pub status: Status,
    pub transfer_data: Null,
    pub transfer_group: Null,
    pub internal: Internal,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Tag {
    #[serde(rename = "payment_intent")]
    PaymentIntent,
}

/// What only we need to know.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Internal {
    /// The question that the processor has not answered yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Attempt>,
    /// How many questions were asked so far.
    #[serde(default)]
    pub attempts: i64,
    /// When what was reserved is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture_before: Option<Timestamp>,
    /// The payment method with which the customer has authenticated for the next confirmation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authenticated: Option<Id<PaymentMethod>>,
    /// The invoice that this pays, if any: then it is not to be changed directly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoice: Option<Id<Invoice>>,
    /// The invoice that it was attached to, and pays a part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attached_to: Option<Id<Invoice>>,
    /// What waits again for an invoice should this payment fail, and its invoice with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub invoice_items: Vec<Id<InvoiceItem>>,
    /// What of the customer's balance its invoice took: taken back with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance_transaction: Option<Id<BalanceTransaction>>,
    /// The session that it is to complete: then nobody else may confirm or cancel it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkout: Option<Box<OfSession>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_clock: Option<Id<TestClock>>,
    /// What was disputed about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disputes: Vec<Id<Dispute>>,
    /// What its issuer has warned of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fraud_warnings: Vec<Id<EarlyFraudWarning>>,
    /// Why no more could be reserved when that was last asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declined_increment: Option<Box<DeclinedIncrement>>,
    /// How often more was to be reserved.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub increments: i64,
    /// What the customer has agreed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mandate: Option<Box<Acceptance>>,
    /// The address was given in a browser, which may therefore change it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shipping_by_browser: bool,
    /// What the processor calls the payment, for captures and releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Answers that were not final.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits: Vec<Wait>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
const fn is_zero(count: &i64) -> bool {
    *count == 0
}

/// A session, and the prices that its invoice is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OfSession {
    pub session: Id<Session>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prices: Vec<Id<Price>>,
}

/// How long an issuer keeps what was reserved: 7 days.
pub const RESERVED_SECONDS: i64 = 7 * 86_400;

/// How long the one who asked has before another may ask the same.
const ATTEMPT_PATIENCE_SECONDS: i64 = 60;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AutomaticPaymentMethods {
    pub allow_redirects: AllowRedirects,
    pub enabled: bool,
}

words!(AllowRedirects { Always = "always", Never = "never" });
words!(CancellationReason {
    Abandoned = "abandoned",
    Automatic = "automatic",
    Duplicate = "duplicate",
    Expired = "expired",
    FailedInvoice = "failed_invoice",
    Fraudulent = "fraudulent",
    RequestedByCustomer = "requested_by_customer",
    VoidInvoice = "void_invoice",
});
words!(CaptureMethod { Automatic = "automatic", AutomaticAsync = "automatic_async", Manual = "manual" });
words!(ConfirmationMethod { Automatic = "automatic", Manual = "manual" });
words!(SetupFutureUsage { OffSession = "off_session", OnSession = "on_session" });

/// Why the last attempt failed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PaymentError {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge: Option<Id<Charge>>,
    pub code: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decline_code: Option<String>,
    pub doc_url: String,
    pub message: String,
    /// The payment method as it was shown then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_method: Option<Value>,
    #[serde(rename = "type")]
    pub kind: PaymentErrorType,
}

words!(PaymentErrorType { CardError = "card_error", InvalidRequestError = "invalid_request_error" });

impl PaymentError {
    /// A decline, with the payment method as it was then.
    pub fn of(decline: &Decline, payment_method: Option<Value>) -> PaymentError {
        PaymentError {
            charge: None,
            code: decline.code.clone(),
            decline_code: decline.decline_code.clone(),
            doc_url: doc_url(&decline.code),
            message: decline.message.clone(),
            payment_method,
            kind: PaymentErrorType::CardError,
        }
    }

    /// The customer could not, or would not, authenticate.
    pub fn of_authentication(code: &str, payment_method: Option<Value>) -> PaymentError {
        PaymentError {
            charge: None,
            code: code.to_owned(),
            decline_code: None,
            doc_url: doc_url(code),
            message:
                "We are unable to authenticate your payment method. Please choose a different payment method and try \
                      again."
                    .to_owned(),
            payment_method,
            kind: PaymentErrorType::InvalidRequestError,
        }
    }
}

fn doc_url(code: &str) -> String {
    format!("https://stripe.com/docs/error-codes/{}", code.replace('_', "-"))
}

words!(
    /// The states of a payment intent.
    Status {
        Canceled = "canceled",
        Processing = "processing",
        RequiresAction = "requires_action",
        RequiresCapture = "requires_capture",
        RequiresConfirmation = "requires_confirmation",
        RequiresPaymentMethod = "requires_payment_method",
        Succeeded = "succeeded",
    }
);

impl Status {
    pub const fn is_terminal(self) -> bool {
        matches!(self, Status::Succeeded | Status::Canceled)
    }

    /// Whether it waits to be confirmed, and may be changed until then.
    pub const fn is_open(self) -> bool {
        matches!(self, Status::RequiresPaymentMethod | Status::RequiresConfirmation | Status::RequiresAction)
    }
}

impl PaymentIntent {
    /// The next answer to ask for again.
    pub fn inquiry(&self) -> Option<&Wait> {
        self.internal.waits.iter().min_by_key(|wait| wait.ask_at)
    }

    /// Whether the processor has it.
    pub fn is_under_way(&self) -> bool {
        self.internal.attempt.is_some() || self.status == Status::Processing
    }

    /// Whether something may become of it without anybody naming it. What was begun and left alone may lie
    /// there by the thousand.
    fn is_standing(&self) -> bool {
        let pays = self.internal.invoice.is_some() || self.internal.attached_to.is_some();
        self.due().is_some() || pays && !self.status.is_terminal()
    }

    /// The key under which the processor knows the open question. Never reused for another.
    pub fn attempt_key(&self, attempt: &Attempt) -> String {
        format!("{}-{}", self.id, attempt.number)
    }

    /// Commits to ask the processor; nothing else may happen to the intent until it has answered.
    pub fn ask(self, question: Attempt) -> Result<PaymentIntent, Refusal> {
        if self.internal.attempt.is_some() {
            let what = if self.direct_charge().is_some() { "charge" } else { "PaymentIntent" };
            return Err(Refusal::invalid(format!(
                "This {what} cannot be accessed right now because another API request or process is currently accessing it. \
                 Please try again later."
            ))
            .code("lock_timeout")
            .status(429));
        }
        let attempts = question.number;
        Ok(PaymentIntent { internal: Internal { attempt: Some(question), attempts, ..self.internal }, ..self })
    }

    /// The question whether this payment method pays.
    pub fn charge_to(&self, method: &PaymentMethod, amount: Amount, asker: Asker, now: Timestamp) -> Attempt {
        let action = if self.captures_by_hand() { Action::Authorize } else { Action::Sale };
        let asked_for = self.payment_method_options.card.request_three_d_secure.is_asked_for();
        Attempt {
            authenticated: self.internal.authenticated.as_ref() == Some(&method.id),
            automatic: asker.automatic,
            off_session: asker.off_session,
            set_up: method.internal.set_up,
            three_d_secure: asked_for && !asker.off_session,
            ..self.question(action, amount, &method.id, &method.internal.token, now)
        }
    }

    /// A question to the processor, about what it knows by this token.
    pub fn question(
        &self,
        action: Action,
        amount: Amount,
        payment_method: &Id<PaymentMethod>,
        token: &str,
        now: Timestamp,
    ) -> Attempt {
        Attempt {
            action,
            amount,
            authenticated: false,
            automatic: false,
            dispute: None,
            evidence: None,
            number: self.internal.attempts + 1,
            off_session: true,
            payment_method: payment_method.clone(),
            refuses_action: false,
            refund: None,
            return_url: None,
            set_up: false,
            started_at: now,
            three_d_secure: false,
            token: token.to_owned(),
            words: None,
        }
    }

    /// Whether it is its owner's to change: not if a session made it.
    pub fn check_own(&self, what: &str) -> Result<(), Refusal> {
        let Some(of) = &self.internal.checkout else { return Ok(()) };
        Err(Self::unexpected_state(format!(
            "You cannot {what} this PaymentIntent because it was created by the Checkout Session {}. Expire the session instead.",
            of.session
        )))
    }

    /// The error of an action that its status does not allow.
    pub fn unexpected_state(message: String) -> Refusal {
        Refusal::invalid(message).code("payment_intent_unexpected_state")
    }

    pub fn cancel(self, reason: Option<CancellationReason>, now: Timestamp) -> Result<PaymentIntent, Refusal> {
        match self.status {
            Status::RequiresPaymentMethod
            | Status::RequiresCapture
            | Status::RequiresConfirmation
            | Status::RequiresAction
            | Status::Processing => Ok(PaymentIntent {
                status: Status::Canceled,
                amount_capturable: Amount::ZERO,
                canceled_at: Some(now),
                cancellation_reason: reason,
                next_action: None,
                ..self
            }),
            Status::Canceled | Status::Succeeded => Err(Self::unexpected_state(format!(
                "You cannot cancel this PaymentIntent because it has a status of {}. Only a PaymentIntent with one of the \
                 following statuses may be canceled: requires_payment_method, requires_capture, requires_confirmation, \
                 requires_action, processing.",
                self.status
            ))),
        }
    }
}

impl Resource for PaymentIntent {
    const NOUN: &'static Noun = &NOUN;

    crate::basics!(created);

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::maybe(self.customer.as_ref()),
            Cell::maybe(self.internal.test_clock.as_ref()),
            Cell::text(self.status),
            Cell::Integer(Some(self.amount.minor_units())),
            Cell::Boolean(self.is_standing()),
            Cell::text(self.currency),
            Cell::metadata(&self.metadata),
        ]
    }

    /// An open question must be finished before another is asked. On a test clock there is no waiting: its
    /// time stands still.
    fn due(&self) -> Option<Timestamp> {
        let Some(attempt) = &self.internal.attempt else {
            let lost_at = self.internal.capture_before.filter(|_| self.status == Status::RequiresCapture);
            return self.inquiry().map(|wait| wait.ask_at).into_iter().chain(lost_at).min();
        };
        let started_at = attempt.started_at;
        let patience = if self.internal.test_clock.is_some() { 0 } else { ATTEMPT_PATIENCE_SECONDS };
        Some(started_at.plus_seconds(patience))
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.amount.is_negative() || self.amount_received > self.amount {
            return Err("payment_intent: received more than asked for");
        }
        if self.status == Status::Succeeded && self.latest_charge.is_none() {
            return Err("payment_intent: succeeded without a charge");
        }
        Ok(())
    }
}
