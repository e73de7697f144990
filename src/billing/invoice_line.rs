//! A line of an invoice. It lives in its invoice.

use serde::{Deserialize, Serialize};

use super::{
    Amount, Currency, Id, Metadata, Noun,
    decimal::Decimal,
    describe,
    invoice::Invoice,
    invoice_item::InvoiceItem,
    noun::{Keyed, null, one},
    period::Period,
    price::{self, Price},
    product::Product,
    shape::{Nothing, Null},
    subscription::{self, Item, Subscription},
};
use crate::words;

pub static NOUN: Noun = Noun {
    object: "line_item",
    prefix: "il_",
    table: "invoices",
    url: "/v1/invoices",
    name: "line_item",
    keyed: Keyed::OfCustomer,
    leaves_stub: false,
    columns: &[],
    filters: &[],
    links: &[
        one("pricing.price_details.price", &price::NOUN),
        one("subscription", &subscription::NOUN),
        null("discounts"),
    ],
    inlines: &[],
    previews: &[],
    searchable: &[],
    document: describe::shape_of::<Line>,
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    pub id: Id<Line>,
    pub object: Tag,
    /// Before discounts, in minor units; negative for credits.
    pub amount: Amount,
    pub currency: Currency,
    pub description: Option<String>,
    pub discount_amounts: Nothing,
    pub discountable: bool,
    pub discounts: Nothing,
    pub invoice: Id<Invoice>,
    pub livemode: bool,
    pub metadata: Metadata,
    pub parent: Parent,
    pub period: Period,
    pub pretax_credit_amounts: Nothing,
    pub pricing: Option<Pricing>,
    pub quantity: i64,
    pub quantity_decimal: Decimal,
    pub subscription: Option<Id<Subscription>>,
    pub subtotal: Amount,
    pub taxes: Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Tag {
    #[serde(rename = "line_item")]
    LineItem,
}

impl Line {
    /// Whether it bills a part of a period because something changed.
    pub fn is_proration(&self) -> bool {
        let Parent { invoice_item_details, subscription_item_details, .. } = &self.parent;
        invoice_item_details.as_ref().is_some_and(|details| details.proration)
            || subscription_item_details.as_ref().is_some_and(|details| details.proration)
    }
}

/// What the line bills: exactly one of the two details is set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parent {
    pub invoice_item_details: Option<InvoiceItemDetails>,
    pub subscription_item_details: Option<SubscriptionItemDetails>,
    #[serde(rename = "type")]
    pub kind: ParentType,
}

words!(ParentType {
    InvoiceItemDetails = "invoice_item_details",
    SubscriptionItemDetails = "subscription_item_details",
});

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InvoiceItemDetails {
    pub invoice_item: Id<InvoiceItem>,
    pub proration: bool,
    pub proration_details: Null,
    pub subscription: Option<Id<Subscription>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubscriptionItemDetails {
    /// Set for prorations.
    pub invoice_item: Option<Id<InvoiceItem>>,
    pub proration: bool,
    pub proration_details: Option<ProrationDetails>,
    pub subscription: Id<Subscription>,
    pub subscription_item: Id<Item>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProrationDetails {
    /// What a credit gives back, where that was invoiced.
    pub credited_items: Option<CreditedLines>,
}

/// Lines of an invoice that a credit refers to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CreditedLines {
    pub invoice: Id<Invoice>,
    pub invoice_line_items: Vec<Id<Line>>,
}

/// Where the amount of a line or an invoice item comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pricing {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_details: Option<PriceDetails>,
    #[serde(rename = "type")]
    pub kind: PricingType,
    pub unit_amount_decimal: Option<Decimal>,
}

words!(PricingType { PriceDetails = "price_details" });

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PriceDetails {
    pub price: Id<Price>,
    pub product: Id<Product>,
}

impl Line {
    /// The invoice item that this line bills.
    pub fn invoice_item(&self) -> Option<&Id<InvoiceItem>> {
        let of_item = self.parent.invoice_item_details.as_ref().map(|details| &details.invoice_item);
        of_item.or_else(|| self.parent.subscription_item_details.as_ref()?.invoice_item.as_ref())
    }
}

impl Pricing {
    pub fn price(&self) -> Option<&Id<Price>> {
        self.price_details.as_ref().map(|details| &details.price)
    }

    pub fn of(price: &Price) -> Pricing {
        Pricing {
            price_details: Some(PriceDetails { price: price.id.clone(), product: price.product.clone() }),
            kind: PricingType::PriceDetails,
            unit_amount_decimal: price.unit_amount_decimal,
        }
    }
}
