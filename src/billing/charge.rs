//! One movement of money, or the failure of one. Written once per answered attempt.

use serde::{Deserialize, Serialize};

use super::{
    Amount, Currency, Id, Metadata, Noun, Resource, Timestamp,
    customer::{self, Customer},
    noun::{By, Cell, filter, integer, null, one, text},
    payment_intent::{self, PaymentIntent},
    payment_method::{BillingDetails, Card, Checks, PaymentMethod, RegulatedStatus},
    shape::{Null, Shipping},
};
use crate::words;

pub static NOUN: Noun = Noun {
    object: "charge",
    prefix: "ch_",
    table: "charges",
    url: "/v1/charges",
    name: "charge",
    owned: true,
    leaves_stub: false,
    columns: &[
        text("customer"),
        text("payment_intent"),
        integer("attempt"),
        text("status"),
        text("currency"),
        integer("amount_captured"),
    ],
    filters: &[
        filter("customer", By::Text("customer")),
        filter("payment_intent", By::Text("payment_intent")),
        filter("transfer_group", By::NotSupportedYet),
    ],
    links: &[
        one("customer", &customer::NOUN),
        one("payment_intent", &payment_intent::NOUN),
        null("application"),
        null("application_fee"),
        null("balance_transaction"),
        null("failure_balance_transaction"),
        null("on_behalf_of"),
        null("refunds"),
        null("review"),
        null("source_transfer"),
        null("transfer"),
    ],
    inlines: &[],
    previews: &[],
};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Charge {
    pub id: Id<Charge>,
    pub object: Tag,
    pub amount: Amount,
    pub amount_captured: Amount,
    pub amount_refunded: Amount,
    pub application: Null,
    pub application_fee: Null,
    pub application_fee_amount: Null,
    pub balance_transaction: Null,
    pub billing_details: BillingDetails,
    pub calculated_statement_descriptor: Null,
    pub captured: bool,
    pub created: Timestamp,
    pub currency: Currency,
    pub customer: Option<Id<Customer>>,
    pub description: Option<String>,
    pub disputed: bool,
    pub failure_balance_transaction: Null,
    pub failure_code: Option<String>,
    pub failure_message: Option<String>,
    pub fraud_details: FraudDetails,
    pub livemode: bool,
    pub metadata: Metadata,
    pub on_behalf_of: Null,
    pub outcome: Outcome,
    pub paid: bool,
    pub payment_intent: Id<PaymentIntent>,
    pub payment_method: Id<PaymentMethod>,
    pub payment_method_details: PaymentMethodDetails,
    pub receipt_email: Option<String>,
    pub receipt_number: Null,
    pub receipt_url: Null,
    pub refunded: bool,
    pub review: Null,
    pub shipping: Option<Shipping>,
    pub source: Null,
    pub source_transfer: Null,
    pub statement_descriptor: Option<String>,
    pub statement_descriptor_suffix: Option<String>,
    pub status: Status,
    pub transfer_data: Null,
    pub transfer_group: Null,
    pub internal: Internal,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Tag {
    #[serde(rename = "charge")]
    Charge,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Internal {
    /// Which attempt of the intent this is: unique with it, the last line of defence against charging twice.
    pub attempt: i64,
    /// What the processor calls it.
    pub reference: Option<String>,
}

/// `fraud_details`: nothing was reported.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct FraudDetails {}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    pub advice_code: Option<AdviceCode>,
    pub network_advice_code: Null,
    pub network_decline_code: Null,
    pub network_status: NetworkStatus,
    pub reason: Option<String>,
    pub risk_level: RiskLevel,
    pub risk_score: i64,
    pub seller_message: String,
    #[serde(rename = "type")]
    pub kind: OutcomeType,
}

words!(AdviceCode {
    ConfirmCardData = "confirm_card_data",
    DoNotTryAgain = "do_not_try_again",
    TryAgainLater = "try_again_later",
});
words!(NetworkStatus { ApprovedByNetwork = "approved_by_network", DeclinedByNetwork = "declined_by_network" });
words!(RiskLevel { Normal = "normal" });
words!(OutcomeType { Authorized = "authorized", IssuerDeclined = "issuer_declined" });
words!(Status { Failed = "failed", Succeeded = "succeeded" });

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PaymentMethodDetails {
    pub card: CardDetails,
    #[serde(rename = "type")]
    pub kind: super::payment_method::Kind,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CardDetails {
    pub amount_authorized: Option<Amount>,
    pub authorization_code: Null,
    pub brand: String,
    pub checks: Checks,
    pub country: Option<String>,
    pub electronic_commerce_indicator: Null,
    pub exp_month: i64,
    pub exp_year: i64,
    pub fingerprint: String,
    pub funding: String,
    pub installments: Null,
    pub last4: String,
    pub mandate: Null,
    pub network: String,
    pub network_transaction_id: Null,
    pub regulated_status: RegulatedStatus,
    pub three_d_secure: Null,
    pub transaction_link_id: Null,
    pub wallet: Null,
}

impl CardDetails {
    pub fn of(card: &Card, authorized: Option<Amount>) -> CardDetails {
        CardDetails {
            amount_authorized: authorized,
            authorization_code: Null,
            brand: card.brand.clone(),
            checks: card.checks.clone(),
            country: card.country.clone(),
            electronic_commerce_indicator: Null,
            exp_month: card.exp_month,
            exp_year: card.exp_year,
            fingerprint: card.fingerprint.clone(),
            funding: card.funding.clone(),
            installments: Null,
            last4: card.last4.clone(),
            mandate: Null,
            network: card.brand.clone(),
            network_transaction_id: Null,
            regulated_status: card.regulated_status,
            three_d_secure: Null,
            transaction_link_id: Null,
            wallet: Null,
        }
    }
}

impl Resource for Charge {
    const NOUN: &'static Noun = &NOUN;

    crate::basics!(created);

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::maybe(self.customer.as_ref()),
            Cell::text(&self.payment_intent),
            Cell::Integer(Some(self.internal.attempt)),
            Cell::text(self.status),
            Cell::text(self.currency),
            Cell::Integer(Some(self.amount_captured.minor_units())),
        ]
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.amount_captured > self.amount || self.amount_captured.is_negative() {
            return Err("charge: captured more than was charged");
        }
        Ok(())
    }
}
