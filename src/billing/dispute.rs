//! A payment that its cardholder calls into question: first perhaps as an inquiry, or at once with the money
//! taken back.

use serde::{Deserialize, Serialize};

use super::{
    Amount, Currency, Id, Metadata, Moment, Noun, Refusal, Resource, Timestamp,
    answer::Claim,
    charge::{self, Charge},
    customer::Customer,
    describe,
    evidence::Evidence,
    movement::{self, Category, FeeDetail, FeeType, Movement},
    noun::{By, Cell, Keyed, filter, integer, null, one, text},
    payment_intent::{self, PaymentIntent},
    payment_method,
    shape::{Nothing, Null},
};
use crate::words;

pub static NOUN: Noun = Noun {
    object: "dispute",
    prefix: "dp_",
    table: "disputes",
    url: "/v1/disputes",
    name: "dispute",
    keyed: Keyed::OfCustomer,
    leaves_stub: false,
    columns: &[
        text("customer"),
        text("charge"),
        text("payment_intent"),
        text("currency"),
        text("withdrawal"),
        integer("withdrawn"),
        integer("withdrawn_at"),
        text("reinstatement"),
        integer("reinstated"),
        integer("reinstated_at"),
    ],
    filters: &[filter("charge", By::Text("charge")), filter("payment_intent", By::Text("payment_intent"))],
    links: &[
        one("charge", &charge::NOUN),
        one("payment_intent", &payment_intent::NOUN),
        null("evidence.cancellation_policy"),
        null("evidence.customer_communication"),
        null("evidence.customer_signature"),
        null("evidence.duplicate_charge_documentation"),
        null("evidence.receipt"),
        null("evidence.refund_policy"),
        null("evidence.service_documentation"),
        null("evidence.shipping_documentation"),
        null("evidence.uncategorized_file"),
    ],
    inlines: &[],
    previews: &[],
    searchable: &[],
    document: describe::shape_of::<Dispute>,
};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Dispute {
    pub id: Id<Dispute>,
    pub object: Tag,
    pub amount: Amount,
    /// The money taken, and the money brought back.
    pub balance_transactions: Vec<Movement>,
    pub charge: Id<Charge>,
    pub created: Timestamp,
    pub currency: Currency,
    pub enhanced_eligibility_types: Nothing,
    pub evidence: Evidence,
    pub evidence_details: EvidenceDetails,
    pub intended_submission_method: Null,
    pub is_charge_refundable: bool,
    pub livemode: bool,
    pub metadata: Metadata,
    pub network_reason_code: String,
    /// Nothing if the charge was made directly.
    pub payment_intent: Option<Id<PaymentIntent>>,
    pub payment_method_details: PaymentMethodDetails,
    pub reason: Reason,
    pub status: Status,
    pub internal: Internal,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Tag {
    #[serde(rename = "dispute")]
    Dispute,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Internal {
    pub customer: Option<Id<Customer>>,
    /// What the processor calls it.
    pub reference: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EvidenceDetails {
    pub due_by: Option<Timestamp>,
    pub enhanced_eligibility: EnhancedEligibility,
    pub has_evidence: bool,
    /// What was last submitted came too late.
    pub past_due: bool,
    pub submission_count: i64,
    pub submission_method: SubmissionMethod,
}

/// No dispute here is of a kind that asks for more.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct EnhancedEligibility {}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PaymentMethodDetails {
    pub card: CardDetails,
    #[serde(rename = "type")]
    pub kind: payment_method::Kind,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CardDetails {
    pub brand: String,
    pub case_type: CaseType,
    pub network: String,
    pub network_reason_code: String,
}

words!(SubmissionMethod { Manual = "manual", NotSubmitted = "not_submitted" });
words!(CaseType { Chargeback = "chargeback", Inquiry = "inquiry" });
words!(Reason {
    CreditNotProcessed = "credit_not_processed",
    Duplicate = "duplicate",
    Fraudulent = "fraudulent",
    General = "general",
    ProductNotReceived = "product_not_received",
    ProductUnacceptable = "product_unacceptable",
    SubscriptionCanceled = "subscription_canceled",
    Unrecognized = "unrecognized",
});
words!(
    /// The states of a dispute. An inquiry is in those that are warnings.
    Status {
        Lost = "lost",
        NeedsResponse = "needs_response",
        UnderReview = "under_review",
        WarningClosed = "warning_closed",
        WarningNeedsResponse = "warning_needs_response",
        WarningUnderReview = "warning_under_review",
        Won = "won",
    }
);

impl Status {
    /// Whether it is but an inquiry: no money has moved.
    pub const fn is_inquiry(self) -> bool {
        match self {
            Status::WarningClosed | Status::WarningNeedsResponse | Status::WarningUnderReview => true,
            Status::Lost | Status::NeedsResponse | Status::UnderReview | Status::Won => false,
        }
    }

    /// Whether it is still to be decided.
    pub const fn is_open(self) -> bool {
        match self {
            Status::NeedsResponse | Status::UnderReview | Status::WarningNeedsResponse | Status::WarningUnderReview => {
                true
            }
            Status::Lost | Status::WarningClosed | Status::Won => false,
        }
    }

    pub const fn awaits_response(self) -> bool {
        matches!(self, Status::NeedsResponse | Status::WarningNeedsResponse)
    }

    /// Once it has been answered.
    const fn answered(self) -> Status {
        match self {
            Status::NeedsResponse => Status::UnderReview,
            Status::WarningNeedsResponse => Status::WarningUnderReview,
            other => other,
        }
    }

    /// Once it is decided. An inquiry has no other end than to come to nothing.
    const fn decided(self, won: bool) -> Status {
        match self {
            Status::WarningNeedsResponse | Status::WarningUnderReview => Status::WarningClosed,
            Status::NeedsResponse | Status::UnderReview if won => Status::Won,
            Status::NeedsResponse | Status::UnderReview => Status::Lost,
            closed => closed,
        }
    }

    /// Whether the money is with the cardholder.
    pub const fn holds_money(self) -> bool {
        matches!(self, Status::NeedsResponse | Status::UnderReview | Status::Lost)
    }
}

impl Dispute {
    /// The intent whose money it is about.
    pub fn intent(&self) -> Id<PaymentIntent> {
        payment_intent::behind(self.payment_intent.as_ref(), &self.charge)
    }

    /// A dispute about some of a charge, or an inquiry.
    pub fn of(charge: &Charge, claim: &Claim, amount: Amount, at: &mut Moment) -> Result<Dispute, Refusal> {
        let card = &charge.payment_method_details.card;
        let inquiry = Dispute {
            id: Id::new(&mut at.ids, charge.id.bucket()),
            object: Tag::Dispute,
            amount,
            balance_transactions: Vec::new(),
            charge: charge.id.clone(),
            created: at.now,
            currency: charge.currency,
            enhanced_eligibility_types: Nothing,
            evidence: Evidence::default(),
            evidence_details: EvidenceDetails {
                due_by: Some(at.now.plus_seconds(claim.respond_within)),
                enhanced_eligibility: EnhancedEligibility {},
                has_evidence: false,
                past_due: false,
                submission_count: 0,
                submission_method: SubmissionMethod::NotSubmitted,
            },
            intended_submission_method: Null,
            is_charge_refundable: true,
            livemode: charge.livemode,
            metadata: Metadata::new(),
            network_reason_code: claim.network_reason_code.clone(),
            payment_intent: charge.payment_intent.clone(),
            payment_method_details: PaymentMethodDetails {
                card: CardDetails {
                    brand: card.brand.clone(),
                    case_type: CaseType::Inquiry,
                    network: card.network.clone(),
                    network_reason_code: claim.network_reason_code.clone(),
                },
                kind: charge.payment_method_details.kind,
            },
            reason: claim.reason,
            status: Status::WarningNeedsResponse,
            internal: Internal { customer: charge.customer.clone(), reference: claim.reference.clone() },
        };
        if claim.is_inquiry { Ok(inquiry) } else { inquiry.escalate(claim, amount, at) }
    }

    /// An inquiry becomes a dispute about money, which is taken, with the processor's fee.
    pub fn escalate(mut self, claim: &Claim, amount: Amount, at: &mut Moment) -> Result<Dispute, Refusal> {
        let withdrawal = self.movement(Category::Dispute, amount.negated()?, claim.fee, at)?;
        self.balance_transactions.push(withdrawal);
        self.payment_method_details.card.case_type = CaseType::Chargeback;
        self.evidence_details.due_by = Some(at.now.plus_seconds(claim.respond_within));
        self.internal.reference.clone_from(&claim.reference);
        Ok(Dispute { amount, is_charge_refundable: false, status: Status::NeedsResponse, ..self })
    }

    /// Its evidence is with the bank.
    #[must_use]
    pub fn answered(self, reference: String, now: Timestamp) -> Dispute {
        let evidence_details = EvidenceDetails {
            past_due: self.evidence_details.due_by.is_some_and(|due_by| due_by < now),
            submission_count: self.evidence_details.submission_count + 1,
            submission_method: SubmissionMethod::Manual,
            ..self.evidence_details
        };
        let internal = Internal { reference, ..self.internal };
        Dispute { evidence_details, status: self.status.answered(), internal, ..self }
    }

    /// It is decided. Money that was taken comes back, with the fee, if it was won.
    pub fn decided(mut self, won: bool, at: &mut Moment) -> Result<Dispute, Refusal> {
        let status = self.status.decided(won);
        let taken = self.balance_transactions.first().cloned().filter(|_| status == Status::Won);
        if let Some(taken) = taken {
            let back = self.movement(Category::DisputeReversal, taken.amount.negated()?, taken.fee.negated()?, at)?;
            self.balance_transactions.push(back);
        }
        let is_charge_refundable = self.is_charge_refundable || status == Status::Won;
        Ok(Dispute { is_charge_refundable, status, ..self })
    }

    fn movement(&self, category: Category, amount: Amount, fee: Amount, at: &mut Moment) -> Result<Movement, Refusal> {
        let (direction, of_the_fee) = match category {
            Category::DisputeReversal => ("reversal", "Dispute fee returned"),
            _ => ("withdrawal", "Dispute fee"),
        };
        let detail = FeeDetail {
            amount: fee,
            application: Null,
            currency: self.currency,
            description: Some(of_the_fee.to_owned()),
            kind: FeeType::StripeFee,
        };
        Ok(Movement {
            description: Some(format!("Chargeback {direction} for {}", self.charge)),
            fee,
            fee_details: if fee.is_zero() { Vec::new() } else { vec![detail] },
            net: amount.minus(fee)?,
            ..Movement::without_fee(
                at.ids.next(movement::NOUN.prefix, self.id.bucket()),
                amount,
                self.currency,
                at.now,
                self.id.to_string(),
                (movement::Kind::Adjustment, category),
            )
        })
    }
}

impl Resource for Dispute {
    const NOUN: &'static Noun = &NOUN;

    crate::basics!(created);

    fn cells(&self) -> Vec<Cell> {
        let moved = |place: usize| self.balance_transactions.get(place);
        let id = |place| Cell::maybe(moved(place).map(|movement| &movement.id));
        let net = |place| Cell::Integer(moved(place).map(|movement| movement.net.minor_units().abs()));
        let created = |place| Cell::time(moved(place).map(|movement| movement.created));
        vec![
            Cell::maybe(self.internal.customer.as_ref()),
            Cell::text(&self.charge),
            Cell::text(self.intent()),
            Cell::text(self.currency),
            id(0),
            net(0),
            created(0),
            id(1),
            net(1),
            created(1),
        ]
    }

    fn check(&self) -> Result<(), &'static str> {
        let movements = match self.status {
            status if status.is_inquiry() => 0,
            Status::Won => 2,
            _ => 1,
        };
        if self.balance_transactions.len() != movements {
            return Err("dispute: the money is not where its status says");
        }
        if self.amount <= Amount::ZERO {
            return Err("dispute: nothing is disputed");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The states of a dispute: what follows each when it is answered, won and lost, and where the money is.
    #[test]
    fn every_state_has_its_ways_on() {
        use Status::{Lost, NeedsResponse, UnderReview, WarningClosed, WarningNeedsResponse, WarningUnderReview, Won};
        for (status, answered, won, lost, holds_money) in [
            (NeedsResponse, UnderReview, Won, Lost, true),
            (UnderReview, UnderReview, Won, Lost, true),
            (WarningNeedsResponse, WarningUnderReview, WarningClosed, WarningClosed, false),
            (WarningUnderReview, WarningUnderReview, WarningClosed, WarningClosed, false),
            (Won, Won, Won, Won, false),
            (Lost, Lost, Lost, Lost, true),
            (WarningClosed, WarningClosed, WarningClosed, WarningClosed, false),
        ] {
            assert_eq!(status.answered(), answered, "{status} answered");
            assert_eq!(status.decided(true), won, "{status} won");
            assert_eq!(status.decided(false), lost, "{status} lost");
            assert_eq!(status.holds_money(), holds_money, "{status}");
            assert_eq!(status.is_open(), won != status, "{status}");
        }
    }
}
