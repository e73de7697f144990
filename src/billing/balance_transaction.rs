//! An entry in the history of a customer's balance: the balance is the sum of its entries.

use serde::{Deserialize, Serialize};

use super::{
    Amount, Currency, Id, Metadata, Noun, Resource, Timestamp,
    credit_note::{self, CreditNote},
    customer::{self, Customer},
    describe,
    invoice::{self, Invoice},
    noun::{By, Cell, Keyed, filter, integer, null, one, text},
    shape::Null,
};
use crate::words;

pub static NOUN: Noun = Noun {
    object: "customer_balance_transaction",
    prefix: "cbtxn_",
    table: "customer_balance_transactions",
    url: "/v1/customers/{customer}/balance_transactions",
    name: "customer_balance_transaction",
    keyed: Keyed::OfCustomer,
    leaves_stub: false,
    columns: &[text("customer"), text("invoice"), integer("amount"), integer("ending_balance")],
    filters: &[filter("invoice", By::Text("invoice"))],
    links: &[
        one("credit_note", &credit_note::NOUN),
        one("customer", &customer::NOUN),
        one("invoice", &invoice::NOUN),
        null("checkout_session"),
    ],
    inlines: &[],
    previews: &[],
    searchable: &[],
    document: describe::shape_of::<BalanceTransaction>,
};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BalanceTransaction {
    pub id: Id<BalanceTransaction>,
    pub object: Tag,
    /// Negative gives credit, positive takes it or adds debt.
    pub amount: Amount,
    pub checkout_session: Null,
    pub created: Timestamp,
    pub credit_note: Option<Id<CreditNote>>,
    pub currency: Currency,
    pub customer: Id<Customer>,
    pub customer_account: Null,
    pub description: Option<String>,
    /// The balance after this entry.
    pub ending_balance: Amount,
    pub invoice: Option<Id<Invoice>>,
    pub livemode: bool,
    pub metadata: Metadata,
    #[serde(rename = "type")]
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Tag {
    #[serde(rename = "customer_balance_transaction")]
    BalanceTransaction,
}

words!(
    /// Why the balance changed.
    Kind {
        /// By a caller's wish.
        Adjustment = "adjustment",
        AppliedToInvoice = "applied_to_invoice",
        CreditNote = "credit_note",
        /// The balance that the customer was made with.
        Initial = "initial",
        InvoiceOverpaid = "invoice_overpaid",
        /// More than one payment can have: carried to the next invoice.
        InvoiceTooLarge = "invoice_too_large",
        /// Less than one payment can have: carried to the next invoice.
        InvoiceTooSmall = "invoice_too_small",
        /// A voided invoice gives back what it took.
        UnappliedFromInvoice = "unapplied_from_invoice",
    }
);

impl Resource for BalanceTransaction {
    const NOUN: &'static Noun = &NOUN;

    crate::basics!(created);

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::text(&self.customer),
            Cell::maybe(self.invoice.as_ref()),
            Cell::Integer(Some(self.amount.minor_units())),
            Cell::Integer(Some(self.ending_balance.minor_units())),
        ]
    }
}
