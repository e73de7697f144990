//! What a processor answers, and what its refusals mean.

use serde::{Deserialize, Serialize};

use super::{
    Amount, Refusal,
    charge::{AdviceCode, NetworkStatus, OutcomeType, RiskLevel},
    dispute::Reason,
    early_fraud_warning::FraudType,
};

/// The answer to a question about a payment.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Approved {
        /// What the processor calls the payment.
        reference: String,
        risk: RiskLevel,
    },
    /// Approved, but it may still come back: the processor knows for sure after so many seconds.
    Provisional {
        reference: String,
        ask_again_after: i64,
    },
    /// Taken in; the processor will know after so many seconds.
    Processing {
        reference: String,
        ask_again_after: i64,
    },
    Declined(Decline),
    /// The customer must authenticate first.
    NeedsAction,
    /// What was heard of a payment after it had succeeded.
    News(Vec<News>),
    /// How a dispute was decided.
    Ruled(Ruling),
}

/// What the network tells of a payment that had succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// The cardholder disputes it, or asks about it.
    Disputed(Claim),
    /// The issuer suspects it.
    Suspected(FraudType),
}

/// What a cardholder claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What the processor calls the dispute.
    pub reference: String,
    pub amount: Amount,
    /// What the processor takes for its trouble, should it take the money.
    pub fee: Amount,
    /// Only a question so far: no money is taken.
    pub is_inquiry: bool,
    /// What the network calls the reason.
    pub network_reason_code: String,
    pub reason: Reason,
    /// How long it may be answered, in seconds.
    pub respond_within: i64,
    /// After so many seconds the processor knows what has become of it if it is not answered.
    pub ask_again_after: i64,
}

/// What becomes of a dispute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// The money stays with whoever charged it; of an inquiry: it comes to nothing.
    Won,
    Lost,
    /// An inquiry becomes a dispute about money.
    Escalated(Claim),
}

/// Why a card was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decline {
    pub code: String,
    pub decline_code: Option<String>,
    pub message: String,
}

/// Reasons that will not go away: charging the same card again is no use (hard decline codes).
const HARD: [&str; 9] = [
    "incorrect_number",
    "lost_card",
    "pickup_card",
    "stolen_card",
    "revocation_of_authorization",
    "revocation_of_all_authorizations",
    "authentication_required",
    "highest_risk_level",
    "transaction_not_allowed",
];

/// Whether a reason will not go away.
pub fn is_hard(reason: &str) -> bool {
    HARD.contains(&reason)
}

impl Decline {
    /// The issuer wants the customer to authenticate, and the customer is not there.
    pub fn authentication_required() -> Decline {
        Decline {
            code: "authentication_required".to_owned(),
            decline_code: Some("authentication_required".to_owned()),
            message: "Your card was declined. This transaction requires authentication.".to_owned(),
        }
    }

    /// The processor cannot say how it ended.
    pub fn processing_error() -> Decline {
        Decline {
            code: "processing_error".to_owned(),
            decline_code: None,
            message: "An error occurred while processing your card. Try again in a little bit.".to_owned(),
        }
    }

    /// The decline as the error of a request.
    pub fn refusal(&self) -> Refusal {
        let mut refusal = Refusal::card(self.code.clone(), self.message.clone());
        refusal.decline_code.clone_from(&self.decline_code);
        refusal
    }

    /// The most precise word for it.
    pub fn reason(&self) -> &str {
        self.decline_code.as_deref().unwrap_or(&self.code)
    }

    pub fn is_hard(&self) -> bool {
        is_hard(self.reason())
    }

    pub fn advice(&self) -> AdviceCode {
        match self.reason() {
            "incorrect_cvc" | "invalid_cvc" | "incorrect_number" | "invalid_number" | "expired_card" => {
                AdviceCode::ConfirmCardData
            }
            _ if self.is_hard() => AdviceCode::DoNotTryAgain,
            _ => AdviceCode::TryAgainLater,
        }
    }

    /// Who refused: the issuer, or the risk check before the issuer was asked.
    pub fn origin(&self) -> (NetworkStatus, OutcomeType, RiskLevel) {
        if self.reason() == "highest_risk_level" {
            (NetworkStatus::NotSentToNetwork, OutcomeType::Blocked, RiskLevel::Highest)
        } else {
            (NetworkStatus::DeclinedByNetwork, OutcomeType::IssuerDeclined, RiskLevel::Normal)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decline(code: &str, decline_code: Option<&str>) -> Decline {
        Decline { code: code.to_owned(), decline_code: decline_code.map(ToOwned::to_owned), message: String::new() }
    }

    /// Hard decline codes: no retry without a new card.
    #[test]
    fn some_declines_are_for_good() {
        for reason in HARD {
            assert!(decline("card_declined", Some(reason)).is_hard(), "{reason}");
        }
        for reason in ["generic_decline", "insufficient_funds", "card_velocity_exceeded", "do_not_honor", "fraudulent"]
        {
            assert!(!decline("card_declined", Some(reason)).is_hard(), "{reason}");
        }
        assert!(decline("incorrect_number", None).is_hard());
        assert!(!decline("processing_error", None).is_hard());
    }

    #[test]
    fn a_blocked_payment_never_reached_the_issuer() {
        let (network, kind, risk) = decline("card_declined", Some("highest_risk_level")).origin();
        assert_eq!((network, kind, risk), (NetworkStatus::NotSentToNetwork, OutcomeType::Blocked, RiskLevel::Highest));
        let (network, kind, _) = decline("card_declined", Some("lost_card")).origin();
        assert_eq!((network, kind), (NetworkStatus::DeclinedByNetwork, OutcomeType::IssuerDeclined));
    }
}
