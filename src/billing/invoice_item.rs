//! A one-off amount that waits for an invoice.

use serde::{Deserialize, Serialize};

use super::{
    Amount, Currency, Id, Metadata, Noun, Resource, Timestamp,
    customer::{self, Customer},
    decimal::Decimal,
    describe,
    invoice::{self, Invoice},
    invoice_line::{CreditedLines, Pricing},
    noun::{By, Cell, Keyed, boolean, filter, null, one, text},
    period::Period,
    price,
    shape::{Nothing, Null},
    subscription::{Item, Subscription},
    test_clock::{self, TestClock},
};
use crate::words;

pub static NOUN: Noun = Noun {
    object: "invoiceitem",
    prefix: "ii_",
    table: "invoice_items",
    url: "/v1/invoiceitems",
    name: "Invoice Item",
    keyed: Keyed::OfCustomer,
    leaves_stub: false,
    columns: &[text("customer"), text("invoice"), boolean("standing"), text("test_clock")],
    filters: &[
        filter("customer", By::Text("customer")),
        filter("invoice", By::Text("invoice")),
        filter("pending", By::IsNull("invoice")),
        filter("customer_account", By::NotSupportedYet),
    ],
    links: &[
        one("customer", &customer::NOUN),
        one("invoice", &invoice::NOUN),
        one("pricing.price_details.price", &price::NOUN),
        one("test_clock", &test_clock::NOUN),
        null("discounts"),
        null("tax_rates"),
    ],
    inlines: &[],
    previews: &[],
    searchable: &[],
    document: describe::shape_of::<InvoiceItem>,
};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InvoiceItem {
    pub id: Id<InvoiceItem>,
    pub object: Tag,
    pub amount: Amount,
    pub currency: Currency,
    pub customer: Id<Customer>,
    pub customer_account: Null,
    pub date: Timestamp,
    pub description: Option<String>,
    pub discountable: bool,
    pub discounts: Nothing,
    /// What callers cannot change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frozen_fields: Vec<FrozenField>,
    pub invoice: Option<Id<Invoice>>,
    pub livemode: bool,
    pub metadata: Metadata,
    pub net_amount: Amount,
    pub parent: Option<Parent>,
    pub period: Period,
    pub pricing: Option<Pricing>,
    pub proration: bool,
    /// Of prorations only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proration_details: Option<ProrationDetails>,
    pub quantity: i64,
    pub quantity_decimal: Decimal,
    pub tax_rates: Nothing,
    pub test_clock: Option<Id<TestClock>>,
    #[serde(default, skip_serializing_if = "Internal::is_empty")]
    pub internal: Internal,
}

/// What only we need to know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Internal {
    /// It waited, and waits again if the invoice that it is on comes to nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lent: bool,
    /// It was made for a revision, and goes if that comes to nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub copied: bool,
}

impl Internal {
    const fn is_empty(&self) -> bool {
        !self.lent && !self.copied
    }
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Tag {
    #[serde(rename = "invoiceitem")]
    InvoiceItem,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Parent {
    pub subscription_details: Option<SubscriptionDetails>,
    #[serde(rename = "type")]
    pub kind: ParentType,
}

words!(FrozenField { Discounts = "discounts", Pricing = "pricing", Quantity = "quantity" });
words!(ParentType { SubscriptionDetails = "subscription_details" });

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SubscriptionDetails {
    pub subscription: Id<Subscription>,
    /// Set for prorations of that item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription_item: Option<Id<Item>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProrationDetails {
    /// What a credit gives back.
    pub credited_items: Option<CreditedItems>,
    pub discount_amounts: Nothing,
}

/// The debit that a credit refers to: still pending, or a line of an invoice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CreditedItems {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoice_item: Option<Id<InvoiceItem>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoice_line_item_details: Option<CreditedLines>,
    #[serde(rename = "type")]
    pub kind: CreditedType,
}

words!(CreditedType { InvoiceItem = "invoice_item", InvoiceLineItems = "invoice_line_items" });

impl InvoiceItem {
    pub fn subscription(&self) -> Option<&Id<Subscription>> {
        self.parent.as_ref()?.subscription_details.as_ref().map(|details| &details.subscription)
    }

    /// The subscription item that this is a proration of.
    pub fn subscription_item(&self) -> Option<&Id<Item>> {
        self.parent.as_ref()?.subscription_details.as_ref()?.subscription_item.as_ref()
    }
}

impl Resource for InvoiceItem {
    const NOUN: &'static Noun = &NOUN;

    crate::basics!(date);

    fn cells(&self) -> Vec<Cell> {
        let standing = self.invoice.is_none() || self.internal.lent;
        vec![
            Cell::text(&self.customer),
            Cell::maybe(self.invoice.as_ref()),
            Cell::Boolean(standing),
            Cell::maybe(self.test_clock.as_ref()),
        ]
    }
}
