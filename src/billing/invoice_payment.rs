//! What joins an invoice to a payment for it.

use serde::{Deserialize, Serialize};

use super::{
    Amount, Currency, Id, Moment, Noun, Resource, Timestamp,
    customer::Customer,
    describe,
    invoice::{self, Invoice},
    noun::{By, Cell, Keyed, Meaning, boolean, filter, null, one, text, word},
    payment_intent::{self, PaymentIntent},
};
use crate::words;

pub static NOUN: Noun = Noun {
    object: "invoice_payment",
    prefix: "inpay_",
    table: "invoice_payments",
    url: "/v1/invoice_payments",
    name: "invoice payment",
    keyed: Keyed::OfCustomer,
    leaves_stub: false,
    columns: &[text("customer"), text("invoice"), text("payment_intent"), text("status"), boolean("standing")],
    filters: &[
        filter("invoice", By::Text("invoice")),
        filter("payment[payment_intent]", By::Text("payment_intent")),
        filter(
            "payment[type]",
            By::Word {
                column: "status",
                words: &[
                    ("", Meaning::Anything),
                    ("payment_intent", Meaning::Anything),
                    ("payment_record", Meaning::OneOf(&[])),
                ],
            },
        ),
        filter("payment[payment_record]", By::NotSupportedYet),
        filter(
            "status",
            By::Word { column: "status", words: &[word(&["open"]), word(&["paid"]), word(&["canceled"])] },
        ),
    ],
    links: &[
        one("invoice", &invoice::NOUN),
        one("payment.payment_intent", &payment_intent::NOUN),
        null("payment.charge"),
    ],
    inlines: &[],
    previews: &[],
    searchable: &[],
    document: describe::shape_of::<InvoicePayment>,
};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InvoicePayment {
    pub id: Id<InvoicePayment>,
    pub object: Tag,
    pub amount_paid: Option<Amount>,
    pub amount_requested: Amount,
    pub created: Timestamp,
    pub currency: Currency,
    pub invoice: Id<Invoice>,
    pub is_default: bool,
    pub livemode: bool,
    pub payment: Payment,
    pub status: Status,
    pub status_transitions: StatusTransitions,
    pub internal: Internal,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Tag {
    #[serde(rename = "invoice_payment")]
    InvoicePayment,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Internal {
    pub customer: Id<Customer>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Payment {
    pub payment_intent: Id<PaymentIntent>,
    #[serde(rename = "type")]
    pub kind: PaymentType,
}

words!(PaymentType { PaymentIntent = "payment_intent" });
words!(Status { Open = "open", Paid = "paid", Canceled = "canceled" });

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct StatusTransitions {
    pub canceled_at: Option<Timestamp>,
    pub paid_at: Option<Timestamp>,
}

impl InvoicePayment {
    /// The joint between an invoice and an intent that is to pay it, or a part of it.
    pub fn new(invoice: &Invoice, intent: &PaymentIntent, at: &mut Moment) -> InvoicePayment {
        InvoicePayment {
            id: Id::new(&mut at.ids, invoice.id.bucket()),
            object: Tag::InvoicePayment,
            amount_paid: None,
            amount_requested: intent.amount,
            created: at.now,
            currency: invoice.currency,
            invoice: invoice.id.clone(),
            // The invoice's own, not one that was attached to it.
            is_default: intent.internal.invoice.is_some(),
            livemode: invoice.livemode,
            payment: Payment { payment_intent: intent.id.clone(), kind: PaymentType::PaymentIntent },
            status: Status::Open,
            status_transitions: StatusTransitions::default(),
            internal: Internal { customer: invoice.customer.clone() },
        }
    }

    /// Nobody waits for it any longer.
    #[must_use]
    pub fn cancel(self, now: Timestamp) -> InvoicePayment {
        let status_transitions = StatusTransitions { canceled_at: Some(now), ..self.status_transitions };
        InvoicePayment { status: Status::Canceled, status_transitions, ..self }
    }
}

impl Resource for InvoicePayment {
    const NOUN: &'static Noun = &NOUN;

    crate::basics!(created);

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::text(&self.internal.customer),
            Cell::text(&self.invoice),
            Cell::text(&self.payment.payment_intent),
            Cell::text(self.status),
            Cell::Boolean(self.status == Status::Open),
        ]
    }
}
