//! Whoever is billed. Its row is the lock under which everything it owns is written.

use serde::{Deserialize, Serialize};

use super::{
    Amount, Currency, Id, Metadata, Noun, Refusal, Resource, Timestamp, card, describe,
    id::{Bucket, Ids},
    invoice::CustomField,
    noun::{By, Cell, Keyed, Link, Target, boolean, filter, json, null, one, text},
    payment_method::{self, PaymentMethod},
    searchable::{CREATED, METADATA, Stand, string},
    shape::{Address, Null, Shipping},
    subscription,
    tax_id::{self, TaxId},
    test_clock::{self, TestClock},
};
use crate::words;

pub static NOUN: Noun = Noun {
    object: "customer",
    prefix: "cus_",
    table: "customers",
    url: "/v1/customers",
    name: "customer",
    keyed: Keyed::OfCustomer,
    leaves_stub: true,
    columns: &[
        text("email"),
        text("test_clock"),
        text("email_folded"),
        text("name_folded"),
        text("phone_folded"),
        json("metadata"),
        boolean("scheduled"),
    ],
    filters: &[
        filter("email", By::Folded { column: "email", folded: "email_folded" }),
        filter("test_clock", By::Text("test_clock")),
    ],
    links: &[
        one("default_source", &card::NOUN),
        one("invoice_settings.default_payment_method", &payment_method::NOUN),
        one("test_clock", &test_clock::NOUN),
        null("discount"),
        null("cash_balance"),
        null("tax"),
        null("invoice_credit_balance"),
        Link {
            path: "sources",
            to: Target::Many { noun: &card::NOUN, column: "customer", query: "/v1/customers/{id}/sources" },
        },
        Link {
            path: "tax_ids",
            to: Target::Many { noun: &tax_id::NOUN, column: "customer", query: "/v1/customers/{id}/tax_ids" },
        },
        Link {
            path: "subscriptions",
            to: Target::Many {
                noun: &subscription::NOUN,
                column: "customer",
                query: "/v1/customers/{id}/subscriptions",
            },
        },
    ],
    inlines: &[],
    previews: &[],
    searchable: &[
        CREATED,
        string("email", Stand::Folded("email_folded")),
        METADATA,
        string("name", Stand::Folded("name_folded")),
        string("phone", Stand::Folded("phone_folded")),
    ],
    document: describe::shape_of::<Customer>,
};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Customer {
    pub id: Id<Customer>,
    pub object: Tag,
    pub address: Option<Address>,
    /// Negative is credit: applied to the next invoices at finalisation.
    pub balance: Amount,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub business_name: Option<String>,
    pub created: Timestamp,
    /// Set by the first subscription or invoice, and then fixed.
    pub currency: Option<Currency>,
    pub customer_account: Null,
    /// A card, named in the old way.
    pub default_source: Option<Id<PaymentMethod>>,
    /// Whether its last invoice event was a failure to collect.
    pub delinquent: bool,
    pub description: Option<String>,
    pub discount: Null,
    pub email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub individual_name: Option<String>,
    pub invoice_prefix: String,
    pub invoice_settings: InvoiceSettings,
    pub livemode: bool,
    pub metadata: Metadata,
    pub name: Option<String>,
    /// Counts in the customer's row, so that numbers have no gaps and need no sequence.
    pub next_invoice_sequence: i64,
    pub phone: Option<String>,
    pub preferred_locales: Vec<String>,
    pub shipping: Option<Shipping>,
    pub tax_exempt: TaxExempt,
    pub test_clock: Option<Id<TestClock>>,
    #[serde(default, skip_serializing_if = "Internal::is_empty")]
    pub internal: Internal,
}

/// What only we need to know.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Internal {
    /// What its invoices show of it, in the order in which they came.
    #[serde(default)]
    pub tax_ids: Vec<CustomerTaxId>,
    /// It has a schedule that stands.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub scheduled: bool,
}

impl Internal {
    const fn is_empty(&self) -> bool {
        self.tax_ids.is_empty() && !self.scheduled
    }
}

/// A tax ID as an invoice shows it; only the customer knows its id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CustomerTaxId {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id<TaxId>>,
    #[serde(rename = "type")]
    pub kind: String,
    pub value: Option<String>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Tag {
    #[serde(rename = "customer")]
    Customer,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct InvoiceSettings {
    pub custom_fields: Option<Vec<CustomField>>,
    pub default_payment_method: Option<Id<PaymentMethod>>,
    pub footer: Option<String>,
    pub rendering_options: Null,
}

impl Customer {
    /// Of whom nothing is known yet.
    pub fn new(ids: &mut Ids, bucket: Bucket, livemode: bool, now: Timestamp) -> Customer {
        Customer {
            id: Id::new(ids, bucket),
            object: Tag::Customer,
            address: None,
            balance: Amount::ZERO,
            business_name: None,
            created: now,
            currency: None,
            customer_account: Null,
            default_source: None,
            delinquent: false,
            description: None,
            discount: Null,
            email: None,
            individual_name: None,
            invoice_prefix: ids.secret(8).to_uppercase(),
            invoice_settings: InvoiceSettings::default(),
            livemode,
            metadata: Metadata::new(),
            name: None,
            next_invoice_sequence: 1,
            phone: None,
            preferred_locales: Vec::new(),
            shipping: None,
            tax_exempt: TaxExempt::None,
            test_clock: None,
            internal: Internal::default(),
        }
    }
}

/// What a mail server could accept: something on both sides of one @.
pub fn check_email(email: &str) -> Result<(), Refusal> {
    let both = email.split_once('@');
    let valid = both.is_some_and(|(local, host)| !local.is_empty() && !host.is_empty() && !host.contains('@'));
    if valid && !email.chars().any(char::is_whitespace) {
        return Ok(());
    }
    Err(Refusal::invalid(format!("Invalid email address: {email}")).code("email_invalid").param("email"))
}

words!(TaxExempt { None = "none", Exempt = "exempt", Reverse = "reverse" });

impl Resource for Customer {
    const NOUN: &'static Noun = &NOUN;

    crate::basics!(created);

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::maybe(self.email.as_ref()),
            Cell::maybe(self.test_clock.as_ref()),
            Cell::folded(self.email.as_ref()),
            Cell::folded(self.name.as_ref()),
            Cell::folded(self.phone.as_ref()),
            Cell::metadata(&self.metadata),
            Cell::Boolean(self.internal.scheduled),
        ]
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.next_invoice_sequence < 1 {
            return Err("customer: invoice numbers start at 1");
        }
        Ok(())
    }
}
