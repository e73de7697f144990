//! A card in the old view: what tokens hold, and how a customer's payment methods look as its sources.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Books, Id, Metadata, Moment, Noun,
    customer::{self, Customer},
    describe,
    noun::{Keyed, one},
    payment_method::{AllowRedisplay, BillingDetails, Card, PaymentMethod, RegulatedStatus},
    shape::Null,
};

/// A view of payment methods, by the same ids.
pub static NOUN: Noun = Noun {
    object: "card",
    prefix: "card_",
    table: "payment_methods",
    url: "/v1/customers/{customer}/sources",
    name: "source",
    keyed: Keyed::OfCustomer,
    leaves_stub: false,
    columns: &[],
    filters: &[],
    links: &[one("customer", &customer::NOUN)],
    inlines: &[],
    previews: &[],
    searchable: &[],
    document: describe::written_elsewhere,
};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OldCard {
    pub id: String,
    pub object: Tag,
    pub address_city: Option<String>,
    pub address_country: Option<String>,
    pub address_line1: Option<String>,
    pub address_line1_check: Option<String>,
    pub address_line2: Option<String>,
    pub address_state: Option<String>,
    pub address_zip: Option<String>,
    pub address_zip_check: Option<String>,
    pub allow_redisplay: AllowRedisplay,
    pub brand: String,
    pub country: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<Id<Customer>>,
    pub cvc_check: Option<String>,
    pub dynamic_last4: Null,
    pub exp_month: i64,
    pub exp_year: i64,
    pub fingerprint: String,
    pub funding: String,
    pub last4: String,
    pub metadata: Metadata,
    pub name: Option<String>,
    pub networks: Networks,
    pub regulated_status: RegulatedStatus,
    pub tokenization_method: Null,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Tag {
    #[serde(rename = "card")]
    Card,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Networks {
    pub preferred: Null,
}

impl OldCard {
    /// A payment method as it is now.
    pub fn of(method: &PaymentMethod) -> OldCard {
        OldCard {
            allow_redisplay: method.allow_redisplay,
            customer: method.customer.clone(),
            metadata: method.metadata.clone(),
            ..OldCard::new(method.id.to_string(), &method.card, &method.billing_details)
        }
    }

    pub fn new(id: String, card: &Card, details: &BillingDetails) -> OldCard {
        let (address, checks) = (details.address.clone(), card.checks.clone());
        OldCard {
            id,
            object: Tag::Card,
            address_city: address.city,
            address_country: address.country,
            address_line1: address.line1,
            address_line1_check: checks.address_line1_check,
            address_line2: address.line2,
            address_state: address.state,
            address_zip: address.postal_code,
            address_zip_check: checks.address_postal_code_check,
            allow_redisplay: AllowRedisplay::Unspecified,
            brand: brand(&card.brand).to_owned(),
            country: card.country.clone(),
            customer: None,
            cvc_check: checks.cvc_check,
            dynamic_last4: Null,
            exp_month: card.exp_month,
            exp_year: card.exp_year,
            fingerprint: card.fingerprint.clone(),
            funding: card.funding.clone(),
            last4: card.last4.clone(),
            metadata: Metadata::new(),
            name: details.name.clone(),
            networks: Networks::default(),
            regulated_status: card.regulated_status,
            tokenization_method: Null,
        }
    }
}

/// What a source has of a payment method.
#[derive(Deserialize)]
struct Method {
    id: String,
    allow_redisplay: AllowRedisplay,
    billing_details: BillingDetails,
    card: Card,
    customer: Option<Id<Customer>>,
    metadata: Metadata,
}

/// A payment method, stored or as clients see it, as a source of its customer.
pub fn as_card(method: &Value) -> Value {
    let Ok(method) = Method::deserialize(method) else { return Value::Null };
    let card = OldCard {
        allow_redisplay: method.allow_redisplay,
        customer: method.customer,
        metadata: method.metadata,
        ..OldCard::new(method.id, &method.card, &method.billing_details)
    };
    serde_json::to_value(card).unwrap_or_default()
}

/// Tells of a payment method that is handled as a source. An update counts from what it was `before`.
pub fn tell(books: &mut Books, id: &Id<PaymentMethod>, kind: &'static str, before: Option<&Value>, at: &mut Moment) {
    books.tell_view(id, kind, (as_card, before), at);
}

/// What the old view calls a brand.
fn brand(brand: &str) -> &str {
    match brand {
        "amex" => "American Express",
        "diners" => "Diners Club",
        "discover" => "Discover",
        "eftpos_au" => "Eftpos Australia",
        "jcb" => "JCB",
        "mastercard" => "MasterCard",
        "unionpay" => "UnionPay",
        "visa" => "Visa",
        _ => "Unknown",
    }
}
