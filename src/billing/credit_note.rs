//! What is taken back of a finalised invoice. An aggregate: its lines live in it.

use serde::{Deserialize, Serialize};

use super::{
    Amount, Currency, Id, Metadata, Noun, Refusal, Resource, Timestamp,
    balance_transaction::{self, BalanceTransaction},
    customer::{self, Customer},
    decimal::Decimal,
    describe,
    invoice::{self, Invoice},
    invoice_line,
    noun::{By, Cell, Keyed, Link, Target, filter, integer, one, text},
    refund::{self, Refund},
    shape::{Inlined, Nothing, Null},
};
use crate::words;

pub static NOUN: Noun = Noun {
    object: "credit_note",
    prefix: "cn_",
    table: "credit_notes",
    url: "/v1/credit_notes",
    name: "credit_note",
    keyed: Keyed::OfCustomer,
    leaves_stub: false,
    columns: &[
        text("customer"),
        text("invoice"),
        text("number"),
        text("status"),
        integer("amount"),
        integer("pre_payment_amount"),
        integer("post_payment_amount"),
    ],
    filters: &[
        filter("customer", By::Text("customer")),
        filter("invoice", By::Text("invoice")),
        filter("customer_account", By::NotSupportedYet),
    ],
    links: &[
        one("customer", &customer::NOUN),
        one("customer_balance_transaction", &balance_transaction::NOUN),
        one("invoice", &invoice::NOUN),
        one("refunds.refund", &refund::NOUN),
        Link { path: "lines.data", to: Target::Inline(&LINE_NOUN) },
    ],
    inlines: &[],
    previews: &["lines"],
    searchable: &[],
    document: describe::shape_of::<CreditNote>,
};

/// A line as its own object, for the list of lines.
pub static LINE_NOUN: Noun = Noun {
    object: "credit_note_line_item",
    prefix: "cnli_",
    table: "credit_notes",
    url: "/v1/credit_notes",
    name: "credit_note_line_item",
    keyed: Keyed::OfCustomer,
    leaves_stub: false,
    columns: &[],
    filters: &[],
    links: &[],
    inlines: &[],
    previews: &[],
    searchable: &[],
    document: describe::shape_of::<Line>,
};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CreditNote {
    pub id: Id<CreditNote>,
    pub object: Tag,
    pub amount: Amount,
    pub amount_shipping: Amount,
    pub created: Timestamp,
    pub currency: Currency,
    pub customer: Id<Customer>,
    pub customer_account: Null,
    pub customer_balance_transaction: Option<Id<BalanceTransaction>>,
    pub discount_amount: Amount,
    pub discount_amounts: Nothing,
    pub effective_at: Option<Timestamp>,
    pub invoice: Id<Invoice>,
    pub lines: Inlined<Line>,
    pub livemode: bool,
    pub memo: Option<String>,
    pub metadata: Metadata,
    pub number: String,
    /// What was given back some other way.
    pub out_of_band_amount: Option<Amount>,
    /// No document is printed; the wire has no null here.
    pub pdf: String,
    /// What is refunded, credited to the balance or given back some other way.
    pub post_payment_amount: Amount,
    /// What lowered the amount due.
    pub pre_payment_amount: Amount,
    pub pretax_credit_amounts: Nothing,
    pub reason: Option<Reason>,
    pub refunds: Vec<NoteRefund>,
    pub shipping_cost: Null,
    pub status: Status,
    pub subtotal: Amount,
    pub subtotal_excluding_tax: Amount,
    pub total: Amount,
    pub total_excluding_tax: Amount,
    pub total_taxes: Nothing,
    #[serde(rename = "type")]
    pub kind: Kind,
    pub voided_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Tag {
    #[serde(rename = "credit_note")]
    CreditNote,
}

/// A refund that belongs to the note, and how much of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NoteRefund {
    pub amount_refunded: Amount,
    pub payment_record_refund: Null,
    pub refund: Id<Refund>,
    #[serde(rename = "type")]
    pub kind: RefundType,
}

words!(RefundType { Refund = "refund" });
words!(Reason {
    Duplicate = "duplicate",
    Fraudulent = "fraudulent",
    OrderChange = "order_change",
    ProductUnsatisfactory = "product_unsatisfactory",
});
words!(Status { Issued = "issued", Void = "void" });
words!(
    /// Whether it lowered what was due, gave back what was paid, or did some of both.
    Kind {
        Mixed = "mixed",
        PostPayment = "post_payment",
        PrePayment = "pre_payment",
    }
);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    pub id: Id<Line>,
    pub object: LineTag,
    pub amount: Amount,
    pub description: Option<String>,
    pub discount_amount: Amount,
    pub discount_amounts: Nothing,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoice_line_item: Option<Id<invoice_line::Line>>,
    pub livemode: bool,
    pub metadata: Metadata,
    pub pretax_credit_amounts: Nothing,
    pub quantity: Option<i64>,
    pub tax_rates: Nothing,
    pub taxes: Nothing,
    #[serde(rename = "type")]
    pub kind: LineKind,
    pub unit_amount: Option<Amount>,
    pub unit_amount_decimal: Option<Decimal>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum LineTag {
    #[serde(rename = "credit_note_line_item")]
    Line,
}

words!(LineKind { CustomLineItem = "custom_line_item", InvoiceLineItem = "invoice_line_item" });

impl CreditNote {
    pub fn void(self, now: Timestamp) -> Result<CreditNote, Refusal> {
        match self.status {
            Status::Issued => Ok(CreditNote { status: Status::Void, voided_at: Some(now), ..self }),
            Status::Void => Err(Refusal::invalid("This credit note has already been voided.")),
        }
    }
}

impl Resource for CreditNote {
    const NOUN: &'static Noun = &NOUN;

    crate::basics!(created);

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::text(&self.customer),
            Cell::text(&self.invoice),
            Cell::text(&self.number),
            Cell::text(self.status),
            Cell::Integer(Some(self.amount.minor_units())),
            Cell::Integer(Some(self.pre_payment_amount.minor_units())),
            Cell::Integer(Some(self.post_payment_amount.minor_units())),
        ]
    }

    fn is_plain(&self) -> bool {
        self.lines.data.len() <= super::wire::PREVIEWED
    }

    fn check(&self) -> Result<(), &'static str> {
        if Amount::sum(self.lines.data.iter().map(|line| line.amount)) != Ok(self.amount) {
            return Err("credit note: the lines do not add up to the amount");
        }
        if self.pre_payment_amount.plus(self.post_payment_amount) != Ok(self.amount) {
            return Err("credit note: its two parts do not add up to the amount");
        }
        Ok(())
    }
}
