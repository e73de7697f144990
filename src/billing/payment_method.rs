//! A way to pay. Card numbers are never kept: the gateway's token stands for them.

use serde::{Deserialize, Serialize};

use super::{
    Id, Metadata, Noun, Resource, Timestamp,
    customer::{self, Customer},
    describe,
    noun::{By, Cell, Keyed, boolean, filter, one, text, word},
    shape::{Address, Null},
};
use crate::words;

pub static NOUN: Noun = Noun {
    object: "payment_method",
    prefix: "pm_",
    table: "payment_methods",
    url: "/v1/payment_methods",
    name: "PaymentMethod",
    keyed: Keyed::OfCustomer,
    leaves_stub: false,
    columns: &[text("customer"), text("type"), text("allow_redisplay"), boolean("standing")],
    filters: &[
        filter("customer", By::Text("customer")),
        filter("type", By::Text("type")),
        filter(
            "allow_redisplay",
            By::Word {
                column: "allow_redisplay",
                words: &[word(&["always"]), word(&["limited"]), word(&["unspecified"])],
            },
        ),
    ],
    links: &[one("customer", &customer::NOUN)],
    inlines: &[],
    previews: &[],
    searchable: &[],
    document: describe::shape_of::<PaymentMethod>,
};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PaymentMethod {
    pub id: Id<PaymentMethod>,
    pub object: Tag,
    pub allow_redisplay: AllowRedisplay,
    pub billing_details: BillingDetails,
    pub card: Card,
    pub created: Timestamp,
    pub customer: Option<Id<Customer>>,
    pub customer_account: Null,
    pub livemode: bool,
    pub metadata: Metadata,
    #[serde(rename = "type")]
    pub kind: Kind,
    pub internal: Internal,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Tag {
    #[serde(rename = "payment_method")]
    PaymentMethod,
}

words!(Kind { Card = "card" });
words!(AllowRedisplay { Always = "always", Limited = "limited", Unspecified = "unspecified" });

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Internal {
    /// Its issuer wants the customer to authenticate before it is kept for later.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub authenticates: bool,
    /// Its issuer lets the customer authenticate where a seller wants that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_authenticate: bool,
    /// It was set up for payments without the customer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub set_up: bool,
    /// What the gateway calls this card.
    pub token: String,
    /// Detached once, it can never be attached again.
    #[serde(default)]
    pub spent: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BillingDetails {
    pub address: Address,
    pub email: Option<String>,
    pub name: Option<String>,
    pub phone: Option<String>,
    pub tax_id: Null,
}

/// What may be shown of a card.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Card {
    pub brand: String,
    pub checks: Checks,
    pub country: Option<String>,
    pub display_brand: String,
    pub exp_month: i64,
    pub exp_year: i64,
    /// The same for every use of the same number on one server.
    pub fingerprint: String,
    pub funding: String,
    pub generated_from: Null,
    pub last4: String,
    pub networks: Networks,
    pub regulated_status: RegulatedStatus,
    pub three_d_secure_usage: ThreeDSecureUsage,
    pub wallet: Null,
}

words!(RegulatedStatus { Unregulated = "unregulated" });

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checks {
    pub address_line1_check: Option<String>,
    pub address_postal_code_check: Option<String>,
    pub cvc_check: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Networks {
    pub available: Vec<String>,
    pub preferred: Null,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ThreeDSecureUsage {
    pub supported: bool,
}

impl Resource for PaymentMethod {
    const NOUN: &'static Noun = &NOUN;

    crate::basics!(created);

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::maybe(self.customer.as_ref()),
            Cell::text(self.kind),
            Cell::text(self.allow_redisplay),
            Cell::Boolean(self.customer.is_some()),
        ]
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.internal.spent && self.customer.is_some() {
            return Err("payment_method: detached for good, yet attached");
        }
        Ok(())
    }
}
