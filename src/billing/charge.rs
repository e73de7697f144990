//! One movement of money, or the failure of one. Written once per answered attempt.

use serde::{Deserialize, Serialize};

use super::{
    Amount, Currency, Id, Metadata, Moment, Noun, Resource, Timestamp,
    answer::Decline,
    card::OldCard,
    customer::{self, Customer},
    describe,
    method_options::{Abilities, Available, Extended, Overcapture},
    movement,
    noun::{By, Cell, Keyed, Link, Target, boolean, filter, integer, json, null, one, text},
    payment_intent::{self, Attempt, PaymentIntent},
    payment_method::{BillingDetails, Card, Checks, PaymentMethod, RegulatedStatus},
    refund,
    searchable::{CREATED, METADATA, Stand, number, token},
    shape::{Null, Shipping},
};
use crate::words;

pub static NOUN: Noun = Noun {
    object: "charge",
    prefix: "ch_",
    table: "charges",
    url: "/v1/charges",
    name: "charge",
    keyed: Keyed::OfCustomer,
    leaves_stub: false,
    columns: &[
        text("customer"),
        text("payment_intent"),
        integer("attempt"),
        text("status"),
        text("currency"),
        integer("amount_captured"),
        integer("amount"),
        text("card_brand"),
        integer("card_exp_month"),
        integer("card_exp_year"),
        text("card_fingerprint"),
        text("card_last4"),
        boolean("disputed"),
        text("postal_code"),
        boolean("refunded"),
        json("metadata"),
    ],
    filters: &[
        filter("customer", By::Text("customer")),
        filter("payment_intent", By::Text("payment_intent")),
        filter("transfer_group", By::NotSupportedYet),
    ],
    links: &[
        one("customer", &customer::NOUN),
        one("payment_intent", &payment_intent::NOUN),
        Link {
            path: "refunds",
            to: Target::Many { noun: &refund::NOUN, column: "charge", query: "/v1/charges/{id}/refunds" },
        },
        null("application"),
        null("application_fee"),
        Link { path: "balance_transaction", to: Target::Derived { make: movement::of, of: &[&movement::NOUN] } },
        null("failure_balance_transaction"),
        null("on_behalf_of"),
        null("review"),
        null("source_transfer"),
        null("transfer"),
    ],
    inlines: &[],
    previews: &[],
    searchable: &[
        number("amount"),
        token("billing_details.address.postal_code", Stand::Text("postal_code")),
        CREATED,
        token("currency", Stand::Word("currency")),
        token("customer", Stand::Id("customer")),
        token("disputed", Stand::Boolean("disputed")),
        METADATA,
        token("payment_method_details.card.brand", Stand::Word("card_brand")),
        token("payment_method_details.card.exp_month", Stand::Number("card_exp_month")),
        token("payment_method_details.card.exp_year", Stand::Number("card_exp_year")),
        token("payment_method_details.card.fingerprint", Stand::Text("card_fingerprint")),
        token("payment_method_details.card.last4", Stand::Text("card_last4")),
        token("refunded", Stand::Boolean("refunded")),
        token("status", Stand::Word("status")),
    ],
    document: describe::shape_of::<Charge>,
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
    /// The movement on its other side, once money has moved.
    #[serde(default)]
    pub balance_transaction: Option<String>,
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
    /// Nothing before the processor has said anything.
    pub outcome: Option<Outcome>,
    pub paid: bool,
    /// Nothing if it was made directly.
    pub payment_intent: Option<Id<PaymentIntent>>,
    pub payment_method: Id<PaymentMethod>,
    pub payment_method_details: PaymentMethodDetails,
    pub receipt_email: Option<String>,
    pub receipt_number: Null,
    pub receipt_url: Null,
    pub refunded: bool,
    pub review: Null,
    pub shipping: Option<Shipping>,
    /// The card as it was, if it was made directly.
    pub source: Option<Box<OldCard>>,
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

/// What was reported.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct FraudDetails {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_report: Option<UserReport>,
}

words!(UserReport { Fraudulent = "fraudulent", Safe = "safe" });

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
words!(NetworkStatus {
    ApprovedByNetwork = "approved_by_network",
    DeclinedByNetwork = "declined_by_network",
    NotSentToNetwork = "not_sent_to_network",
});
words!(RiskLevel { Elevated = "elevated", Highest = "highest", Normal = "normal" });
words!(OutcomeType { Authorized = "authorized", Blocked = "blocked", IssuerDeclined = "issuer_declined" });
words!(Status { Failed = "failed", Pending = "pending", Succeeded = "succeeded" });

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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extended_authorization: Option<Extended>,
    pub fingerprint: String,
    pub funding: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incremental_authorization: Option<Available>,
    pub installments: Null,
    pub last4: String,
    pub mandate: Null,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multicapture: Option<Available>,
    pub network: String,
    pub network_transaction_id: Null,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overcapture: Option<Overcapture>,
    pub regulated_status: RegulatedStatus,
    pub three_d_secure: Null,
    pub transaction_link_id: Null,
    pub wallet: Null,
}

impl CardDetails {
    pub fn of(card: &Card, authorized: Option<Amount>, abilities: Abilities) -> CardDetails {
        CardDetails {
            amount_authorized: authorized,
            authorization_code: Null,
            brand: card.brand.clone(),
            checks: card.checks.clone(),
            country: card.country.clone(),
            electronic_commerce_indicator: Null,
            exp_month: card.exp_month,
            exp_year: card.exp_year,
            extended_authorization: abilities.extended_authorization,
            fingerprint: card.fingerprint.clone(),
            funding: card.funding.clone(),
            incremental_authorization: abilities.incremental_authorization,
            installments: Null,
            last4: card.last4.clone(),
            mandate: Null,
            multicapture: abilities.multicapture,
            network: card.brand.clone(),
            network_transaction_id: Null,
            overcapture: abilities.overcapture,
            regulated_status: card.regulated_status,
            three_d_secure: Null,
            transaction_link_id: Null,
            wallet: Null,
        }
    }
}

/// How an attempt ended, or that it has not yet.
#[derive(Clone, Copy, Debug)]
pub enum Verdict<'a> {
    /// The processor is about to be asked.
    Asked,
    Succeeded {
        reference: &'a str,
        risk: RiskLevel,
    },
    Pending {
        reference: &'a str,
    },
    Failed(&'a Decline),
}

impl Charge {
    /// The charge that records an answered attempt.
    pub fn of(
        intent: &PaymentIntent,
        attempt: &Attempt,
        method: &PaymentMethod,
        verdict: Verdict<'_>,
        at: &mut Moment,
    ) -> Charge {
        let (decline, status) = match verdict {
            Verdict::Succeeded { .. } => (None, Status::Succeeded),
            Verdict::Asked | Verdict::Pending { .. } => (None, Status::Pending),
            Verdict::Failed(decline) => (Some(decline), Status::Failed),
        };
        let paid = status == Status::Succeeded;
        let captured = paid && !intent.captures_by_hand();
        let is_reserved = decline.is_none() && intent.captures_by_hand();
        let abilities = Abilities::of(&intent.payment_method_options.card, attempt.amount, is_reserved);
        let direct = intent.direct_charge();
        let source = direct.is_some().then(|| Box::new(OldCard::of(method)));
        let id = direct.unwrap_or_else(|| Id::new(&mut at.ids, intent.id.bucket()));
        Charge {
            balance_transaction: captured.then(|| movement::id_of(id.as_str())),
            id,
            object: Tag::Charge,
            amount: attempt.amount,
            amount_captured: if captured { attempt.amount } else { Amount::ZERO },
            amount_refunded: Amount::ZERO,
            application: Null,
            application_fee: Null,
            application_fee_amount: Null,
            billing_details: method.billing_details.clone(),
            calculated_statement_descriptor: Null,
            captured,
            created: at.now,
            currency: intent.currency,
            customer: intent.customer.clone(),
            description: intent.description.clone(),
            disputed: false,
            failure_balance_transaction: Null,
            failure_code: decline.map(|decline| decline.code.clone()),
            failure_message: decline.map(|decline| decline.message.clone()),
            fraud_details: FraudDetails::default(),
            livemode: intent.livemode,
            metadata: if decline.is_none() { intent.metadata.clone() } else { Metadata::new() },
            on_behalf_of: Null,
            outcome: Outcome::of(verdict),
            paid,
            payment_intent: intent.public_id(),
            payment_method: method.id.clone(),
            payment_method_details: PaymentMethodDetails {
                card: CardDetails::of(&method.card, decline.is_none().then_some(attempt.amount), abilities),
                kind: method.kind,
            },
            receipt_email: intent.receipt_email.clone(),
            receipt_number: Null,
            receipt_url: Null,
            refunded: false,
            review: Null,
            shipping: intent.shipping.clone(),
            source,
            source_transfer: Null,
            statement_descriptor: intent.statement_descriptor.clone(),
            statement_descriptor_suffix: intent.statement_descriptor_suffix.clone(),
            status,
            transfer_data: Null,
            transfer_group: Null,
            internal: Internal { attempt: attempt.number, reference: verdict.reference() },
        }
    }

    /// The intent that it is a payment of.
    pub fn intent(&self) -> Id<PaymentIntent> {
        payment_intent::behind(self.payment_intent.as_ref(), &self.id)
    }

    /// A pending charge that the processor has taken in.
    #[must_use]
    pub fn take_in(self, verdict: Verdict<'_>) -> Charge {
        let reference = self.internal.reference.or_else(|| verdict.reference());
        Charge { outcome: Outcome::of(verdict), internal: Internal { reference, ..self.internal }, ..self }
    }

    /// A pending charge whose money has come.
    #[must_use]
    pub fn succeed(self, captured: bool, verdict: Verdict<'_>) -> Charge {
        let amount_captured = if captured { self.amount } else { Amount::ZERO };
        let balance_transaction = captured.then(|| movement::id_of(self.id.as_str()));
        let charge = self.take_in(verdict);
        Charge { amount_captured, balance_transaction, captured, paid: true, status: Status::Succeeded, ..charge }
    }

    /// A pending charge whose money will not come.
    #[must_use]
    pub fn fail(mut self, decline: &Decline) -> Charge {
        self.payment_method_details.card.amount_authorized = None;
        Charge {
            failure_code: Some(decline.code.clone()),
            failure_message: Some(decline.message.clone()),
            outcome: Outcome::of(Verdict::Failed(decline)),
            paid: false,
            status: Status::Failed,
            ..self
        }
    }
}

impl Verdict<'_> {
    /// What the processor calls the payment.
    fn reference(self) -> Option<String> {
        match self {
            Verdict::Succeeded { reference, .. } | Verdict::Pending { reference } => Some(reference.to_owned()),
            Verdict::Asked | Verdict::Failed(_) => None,
        }
    }
}

impl Outcome {
    fn of(verdict: Verdict<'_>) -> Option<Outcome> {
        let (network_status, kind, risk_level) = match verdict {
            Verdict::Asked => return None,
            Verdict::Succeeded { risk, .. } => (NetworkStatus::ApprovedByNetwork, OutcomeType::Authorized, risk),
            Verdict::Pending { .. } => (NetworkStatus::ApprovedByNetwork, OutcomeType::Authorized, RiskLevel::Normal),
            Verdict::Failed(decline) => decline.origin(),
        };
        let seller_message = match kind {
            OutcomeType::Authorized => "Payment complete.",
            OutcomeType::Blocked => "The payment was blocked because its risk was judged too high.",
            OutcomeType::IssuerDeclined => "The bank did not accept the payment.",
        };
        let decline = if let Verdict::Failed(decline) = verdict { Some(decline) } else { None };
        Some(Outcome {
            advice_code: decline.map(Decline::advice),
            network_advice_code: Null,
            network_decline_code: Null,
            network_status,
            reason: decline.map(|decline| decline.reason().to_owned()),
            risk_level,
            risk_score: 0,
            seller_message: seller_message.to_owned(),
            kind,
        })
    }
}

impl Resource for Charge {
    const NOUN: &'static Noun = &NOUN;

    crate::basics!(created);

    fn cells(&self) -> Vec<Cell> {
        let card = &self.payment_method_details.card;
        vec![
            Cell::maybe(self.customer.as_ref()),
            Cell::text(self.intent()),
            Cell::Integer(Some(self.internal.attempt)),
            Cell::text(self.status),
            Cell::text(self.currency),
            Cell::Integer(Some(self.amount_captured.minor_units())),
            Cell::Integer(Some(self.amount.minor_units())),
            Cell::text(&card.brand),
            Cell::Integer(Some(card.exp_month)),
            Cell::Integer(Some(card.exp_year)),
            Cell::text(&card.fingerprint),
            Cell::text(&card.last4),
            Cell::Boolean(self.disputed),
            Cell::maybe(self.billing_details.address.postal_code.as_ref()),
            Cell::Boolean(self.refunded),
            Cell::metadata(&self.metadata),
        ]
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.amount_captured > self.amount || self.amount_captured.is_negative() {
            return Err("charge: captured more than was charged");
        }
        if self.amount_refunded > self.amount || self.amount_refunded.is_negative() {
            return Err("charge: more was given back than was charged");
        }
        Ok(())
    }
}
