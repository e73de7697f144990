//! What is owed for a period. An aggregate: its lines live in it. Frozen once finalised.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Amount, Currency, Id, Metadata, Noun, Refusal, Resource, Timestamp,
    attempts::Attempts,
    card,
    customer::{self, Customer, CustomerTaxId, TaxExempt},
    describe,
    dunning::FinalAction,
    invoice_line::{Line, NOUN as LINE_NOUN},
    invoice_payment,
    method_options::{InvoiceCard, OptionsOf},
    noun::{By, Cell, Keyed, Link, Meaning, Target, Word, boolean, filter, integer, json, null, one, text, word},
    payment_intent,
    payment_method::{self, PaymentMethod},
    remind::Agenda,
    retry::Progress,
    revise::FromInvoice,
    searchable::{CREATED, METADATA, Stand, number, string, token},
    shape::{Address, Inlined, Nothing, Null, Shipping},
    subscription::{self, CollectionMethod, Subscription},
    test_clock::{self, TestClock},
};
use crate::words;

pub static NOUN: Noun = Noun {
    object: "invoice",
    prefix: "in_",
    table: "invoices",
    url: "/v1/invoices",
    name: "invoice",
    keyed: Keyed::OfCustomer,
    leaves_stub: false,
    columns: &[
        text("customer"),
        text("subscription"),
        text("test_clock"),
        text("status"),
        text("collection_method"),
        integer("due_date"),
        integer("cycle"),
        text("number"),
        text("given_number"),
        integer("total"),
        integer("amount_due"),
        integer("amount_paid"),
        integer("amount_remaining"),
        integer("starting_balance"),
        integer("ending_balance"),
        integer("credited"),
        boolean("standing"),
        text("currency"),
        text("last_finalization_error_code"),
        text("last_finalization_error_type"),
        json("metadata"),
    ],
    filters: &[
        filter("customer", By::Text("customer")),
        filter("subscription", By::Text("subscription")),
        filter("status", By::Word { column: "status", words: STATUS_FILTER }),
        filter("collection_method", By::Word { column: "collection_method", words: subscription::COLLECTION_METHODS }),
        filter("due_date", By::Range("due_date")),
        filter("test_clock", By::Text("test_clock")),
        filter("customer_account", By::NotSupportedYet),
    ],
    links: &[
        one("customer", &customer::NOUN),
        one("default_payment_method", &payment_method::NOUN),
        one("default_source", &card::NOUN),
        one("from_invoice.invoice", &NOUN),
        one("latest_revision", &NOUN),
        one("parent.subscription_details.subscription", &subscription::NOUN),
        one("test_clock", &test_clock::NOUN),
        null("account_tax_ids"),
        null("application"),
        null("default_tax_rates"),
        null("discounts"),
        null("on_behalf_of"),
        null("total_discount_amounts.discount"),
        Link { path: "lines.data", to: Target::Inline(&LINE_NOUN) },
        Link {
            path: "payments",
            to: Target::Many {
                noun: &invoice_payment::NOUN,
                column: "invoice",
                query: "/v1/invoice_payments?invoice={id}",
            },
        },
        Link {
            path: "confirmation_secret",
            to: Target::Kept { name: "confirmation_secret", of: &payment_intent::NOUN },
        },
    ],
    inlines: &[],
    previews: &["lines"],
    searchable: &[
        CREATED,
        token("currency", Stand::Word("currency")),
        token("customer", Stand::Id("customer")),
        token("last_finalization_error_code", Stand::Word("last_finalization_error_code")),
        token("last_finalization_error_type", Stand::Word("last_finalization_error_type")),
        METADATA,
        string("number", Stand::Text("number")),
        string("receipt_number", Stand::Nothing),
        string("status", Stand::Word("status")),
        token("subscription", Stand::Id("subscription")),
        number("total"),
    ],
    document: describe::shape_of::<Invoice>,
};

const STATUS_FILTER: &[Word] = &[
    ("", Meaning::Anything),
    word(&["draft"]),
    word(&["open"]),
    word(&["paid"]),
    word(&["uncollectible"]),
    word(&["void"]),
];

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Invoice {
    pub id: Id<Invoice>,
    pub object: Tag,
    pub account_country: String,
    pub account_name: Null,
    pub account_tax_ids: Null,
    pub amount_due: Amount,
    pub amount_overpaid: Amount,
    pub amount_paid: Amount,
    /// What came some other way; absent unless something did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount_paid_off_stripe: Option<Amount>,
    pub amount_remaining: Amount,
    pub amount_shipping: Amount,
    pub application: Null,
    pub attempt_count: i64,
    pub attempted: bool,
    pub auto_advance: bool,
    pub automatic_tax: AutomaticTax,
    pub automatically_finalizes_at: Option<Timestamp>,
    pub billing_reason: BillingReason,
    pub collection_method: CollectionMethod,
    pub created: Timestamp,
    pub currency: Currency,
    pub custom_fields: Option<Vec<CustomField>>,
    pub customer: Id<Customer>,
    pub customer_account: Null,
    pub customer_address: Option<Address>,
    pub customer_email: Option<String>,
    pub customer_name: Option<String>,
    pub customer_phone: Option<String>,
    pub customer_shipping: Option<Shipping>,
    pub customer_tax_exempt: TaxExempt,
    pub customer_tax_ids: Vec<CustomerTaxId>,
    pub default_payment_method: Option<Id<PaymentMethod>>,
    /// A card, named in the old way.
    pub default_source: Option<Id<PaymentMethod>>,
    pub default_tax_rates: Nothing,
    pub description: Option<String>,
    pub discounts: Nothing,
    pub due_date: Option<Timestamp>,
    pub effective_at: Option<Timestamp>,
    pub ending_balance: Option<Amount>,
    pub footer: Option<String>,
    pub from_invoice: Option<FromInvoice>,
    pub hosted_invoice_url: Null,
    pub invoice_pdf: Null,
    pub issuer: Issuer,
    pub last_finalization_error: Option<FinalizationError>,
    pub latest_revision: Option<Id<Invoice>>,
    pub lines: Inlined<Line>,
    pub livemode: bool,
    pub metadata: Metadata,
    pub next_payment_attempt: Option<Timestamp>,
    pub number: Option<String>,
    pub on_behalf_of: Null,
    pub parent: Option<Parent>,
    pub payment_settings: PaymentSettings,
    pub period_end: Timestamp,
    pub period_start: Timestamp,
    pub post_payment_credit_notes_amount: Amount,
    pub pre_payment_credit_notes_amount: Amount,
    pub receipt_number: Null,
    pub rendering: Null,
    pub shipping_cost: Null,
    pub shipping_details: Null,
    pub starting_balance: Amount,
    pub statement_descriptor: Option<String>,
    pub status: Status,
    /// Absent unless its status calls for an explanation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_details: Option<StatusDetails>,
    pub status_transitions: StatusTransitions,
    pub subtotal: Amount,
    pub subtotal_excluding_tax: Amount,
    pub test_clock: Option<Id<TestClock>>,
    pub total: Amount,
    pub total_discount_amounts: Nothing,
    pub total_excluding_tax: Amount,
    pub total_pretax_credit_amounts: Nothing,
    pub total_taxes: Nothing,
    pub webhooks_delivered_at: Option<Timestamp>,
    pub internal: Internal,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Tag {
    #[serde(rename = "invoice")]
    Invoice,
}

/// What only we need to know.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Internal {
    /// The start of the period that a renewal bills: unique per subscription.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cycle: Option<Timestamp>,
    /// Shown when asked for by `expand[]=confirmation_secret`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmation_secret: Option<ConfirmationSecret>,
    /// It is being paid, or its payment is awaited: what comes next follows from the answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asked: bool,
    /// How often it was tried again by itself, once it has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<Progress>,
    /// When its customer is reminded, and when that was no use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agenda: Option<Agenda>,
    /// No attempt will be made any more; what that did to the subscription.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_up: Option<FinalAction>,
    /// What was tried to collect it, once an attempt has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<Attempts>,
    /// Its due date has passed while it was open, and that has been seen to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub overdue: bool,
    /// The event `invoice.created`, where an endpoint wanted to hear of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaits: Option<String>,
    /// Not finalised before: that event had not been acknowledged at the last look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_until: Option<Timestamp>,
    /// How many credit notes were issued for it: their numbers count on.
    #[serde(default, skip_serializing_if = "is_none_yet")]
    pub credit_notes: i64,
    /// What credit notes have taken back of its lines.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub credited: BTreeMap<Id<Line>, Amount>,
    /// The number that a caller chose: unique among those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_number: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_none_yet(count: &i64) -> bool {
    *count == 0
}

/// A name and a value that are shown on the invoice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CustomField {
    pub name: String,
    pub value: String,
}

/// Why the last try to finalise failed: an error in the shape of the API's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FinalizationError {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doc_url: Option<String>,
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub param: Option<String>,
    #[serde(rename = "type")]
    pub kind: String,
}

impl FinalizationError {
    pub fn of(refusal: &Refusal) -> FinalizationError {
        FinalizationError {
            code: refusal.code.clone(),
            doc_url: refusal.doc_url(),
            message: refusal.message.clone(),
            param: refusal.param.clone(),
            kind: refusal.kind.as_str().to_owned(),
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConfirmationSecret {
    pub client_secret: String,
    #[serde(rename = "type")]
    pub kind: ConfirmationSecretType,
}

words!(ConfirmationSecretType { PaymentIntent = "payment_intent" });

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AutomaticTax {
    pub disabled_reason: Null,
    pub enabled: bool,
    pub liability: Null,
    pub provider: Null,
    pub status: Null,
}

words!(BillingReason {
    AutomaticPendingInvoiceItemInvoice = "automatic_pending_invoice_item_invoice",
    Manual = "manual",
    SubscriptionCreate = "subscription_create",
    SubscriptionCycle = "subscription_cycle",
    SubscriptionUpdate = "subscription_update",
});

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Issuer {
    #[serde(rename = "type")]
    pub kind: IssuerType,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IssuerType {
    #[default]
    #[serde(rename = "self")]
    Oneself,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Parent {
    pub quote_details: Null,
    pub subscription_details: Option<SubscriptionDetails>,
    #[serde(rename = "type")]
    pub kind: ParentType,
}

words!(ParentType { SubscriptionDetails = "subscription_details" });

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SubscriptionDetails {
    /// The subscription's metadata as it was at finalisation.
    pub metadata: Metadata,
    pub subscription: Id<Subscription>,
    /// Of previews that show prorations: the time they are reckoned from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription_proration_date: Option<Timestamp>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PaymentSettings {
    pub default_mandate: Null,
    pub payment_method_options: Option<OptionsOf<InvoiceCard>>,
    pub payment_method_types: Option<Vec<payment_method::Kind>>,
}

words!(
    /// The states of an invoice.
    Status {
        Draft = "draft",
        Open = "open",
        Paid = "paid",
        Uncollectible = "uncollectible",
        Void = "void",
    }
);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StatusDetails {
    pub uncollectible: Uncollectible,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Uncollectible {
    pub reason: UncollectibleReason,
}

words!(
    /// Why an invoice was given up.
    UncollectibleReason {
        MaxPaymentAttempts = "max_payment_attempts",
        SubscriptionPaused = "subscription_paused",
        UserForgiven = "user_forgiven",
    }
);

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct StatusTransitions {
    pub finalized_at: Option<Timestamp>,
    pub marked_uncollectible_at: Option<Timestamp>,
    pub paid_at: Option<Timestamp>,
    pub voided_at: Option<Timestamp>,
}

impl Invoice {
    pub fn subscription(&self) -> Option<&Id<Subscription>> {
        self.parent.as_ref()?.subscription_details.as_ref().map(|details| &details.subscription)
    }

    /// Whether what is due, what credit notes took off and what the balance gave or took make up the
    /// total. What was voided from the start took nothing, even where it would have given.
    fn is_balanced(&self) -> bool {
        let sum = |parts: &[Amount]| Amount::sum(parts.iter().copied());
        let Some(ending) = self.ending_balance else { return false };
        let taken = sum(&[self.amount_due, self.pre_payment_credit_notes_amount, ending]);
        taken == sum(&[self.total, self.starting_balance])
            || self.total.is_negative() && self.amount_due.is_zero() && ending == self.starting_balance
    }
}

impl Resource for Invoice {
    const NOUN: &'static Noun = &NOUN;

    crate::basics!(created);

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::text(&self.customer),
            Cell::maybe(self.subscription()),
            Cell::maybe(self.test_clock.as_ref()),
            Cell::text(self.status),
            Cell::text(self.collection_method),
            Cell::time(self.due_date),
            Cell::time(self.internal.cycle),
            Cell::maybe(self.number.as_ref()),
            Cell::maybe(self.internal.given_number.as_ref()),
            Cell::Integer(Some(self.total.minor_units())),
            Cell::Integer(Some(self.amount_due.minor_units())),
            Cell::Integer(Some(self.amount_paid.minor_units())),
            Cell::Integer(Some(self.amount_remaining.minor_units())),
            Cell::Integer(Some(self.starting_balance.minor_units())),
            Cell::Integer(self.ending_balance.map(Amount::minor_units)),
            Cell::Integer(Some(self.pre_payment_credit_notes_amount.minor_units())),
            Cell::Boolean(matches!(self.status, Status::Draft | Status::Open)),
            Cell::text(self.currency),
            Cell::maybe(self.last_finalization_error.as_ref().and_then(|error| error.code.as_ref())),
            Cell::maybe(self.last_finalization_error.as_ref().map(|error| &error.kind)),
            Cell::metadata(&self.metadata),
        ]
    }

    /// A draft that advances by itself is finalised about an hour after it was made, one that is sent
    /// becomes overdue, one that could not be charged is tried again, of both the customer is reminded. A payment under way is its
    /// intent's, which is due on its own.
    fn due(&self) -> Option<Timestamp> {
        match self.status {
            Status::Draft if self.auto_advance => {
                self.automatically_finalizes_at.map(|time| self.internal.held_until.map_or(time, |held| held.max(time)))
            }
            Status::Open => {
                let overdue = self.due_date.filter(|_| !self.internal.overdue);
                let deadline = self.deadline().map(|deadline| deadline.at);
                [self.next_attempt(), overdue, self.next_reminder(), deadline].into_iter().flatten().min()
            }
            Status::Draft | Status::Paid | Status::Uncollectible | Status::Void => None,
        }
    }

    fn is_plain(&self) -> bool {
        self.lines.data.len() <= super::wire::PREVIEWED
    }

    fn check(&self) -> Result<(), &'static str> {
        let lines = Amount::sum(self.lines.data.iter().map(|line| line.amount));
        if lines != Ok(self.subtotal) || self.total != self.subtotal {
            return Err("invoice: the lines do not add up to the total");
        }
        if self.amount_due.minus(self.amount_paid) != Ok(self.amount_remaining) {
            return Err("invoice: due, paid and remaining do not add up");
        }
        if self.status == Status::Paid && !self.amount_remaining.is_zero() {
            return Err("invoice: paid, yet something remains");
        }
        if self.amount_due.is_negative() || self.amount_remaining.is_negative() {
            return Err("invoice: a negative amount is due");
        }
        if self.status == Status::Draft {
            return Ok(());
        }
        if self.number.is_none() {
            return Err("invoice: finalised without a number");
        }
        if self.is_balanced() { Ok(()) } else { Err("invoice: what the balance gave or took is not in the amounts") }
    }
}
