//! Questions to the processor about an intent.

use serde::{Deserialize, Serialize};

use crate::{
    billing::{
        Amount, Id, Timestamp, dispute::Dispute, evidence::Evidence, increment::Words, payment_method::PaymentMethod,
        refund::Refund,
    },
    words,
};

/// A question that the processor could not answer for good: it is asked again what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wait {
    pub ask_at: Timestamp,
    pub attempt: Attempt,
}

/// A question to the processor, committed before it is asked. Whoever comes next asks again with the
/// same key, and the processor gives the same answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    pub action: Action,
    pub amount: Amount,
    /// The customer has just authenticated for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub authenticated: bool,
    /// Asked by the billing cycle, not by a caller.
    pub automatic: bool,
    /// The dispute that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dispute: Option<Id<Dispute>>,
    /// What it is answered with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Box<Evidence>>,
    /// 1 for the first question about this intent.
    pub number: i64,
    pub off_session: bool,
    pub payment_method: Id<PaymentMethod>,
    /// Whoever asks cannot let the customer authenticate: needing that is a failure.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refuses_action: bool,
    /// The refund that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund: Option<Id<Refund>>,
    /// Where to send the customer after authenticating, for clients that cannot open the page themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_url: Option<String>,
    /// The card was set up for payments without its holder.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub set_up: bool,
    pub started_at: Timestamp,
    /// The seller wants the customer to authenticate wherever the issuer can let them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub three_d_secure: bool,
    /// The card's name at the gateway; of what follows a payment, the payment's.
    pub token: String,
    /// What is said of the payment once more is reserved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<Box<Words>>,
}

/// Who asks for a payment.
#[derive(Clone, Copy, Debug)]
pub struct Asker {
    /// The billing cycle, not a caller.
    pub automatic: bool,
    /// The customer is not there.
    pub off_session: bool,
}

words!(
    /// What the processor is asked to do.
    Action {
        /// Reserve the money, to be captured later.
        Authorize = "authorize",
        Capture = "capture",
        /// Give a dispute up.
        Concede = "concede",
        /// Answer a dispute with evidence.
        Contest = "contest",
        /// Reserve more: so much in all.
        Increment = "increment",
        /// Say what became of a payment.
        Inquire = "inquire",
        /// Say what became of a dispute.
        InquireDispute = "inquire_dispute",
        /// Say what became of a refund.
        InquireRefund = "inquire_refund",
        /// Give money back.
        Refund = "refund",
        /// Reserve and capture in one go.
        Sale = "sale",
        /// Let go of what was reserved.
        Release = "release",
        /// Say what was heard of a payment since it succeeded.
        Watch = "watch",
    }
);

impl Action {
    /// What is asked next where the answer was not final.
    pub const fn again(self) -> Action {
        match self {
            Action::Authorize
            | Action::Capture
            | Action::Increment
            | Action::Inquire
            | Action::Release
            | Action::Sale => Action::Inquire,
            Action::Concede | Action::Contest | Action::InquireDispute => Action::InquireDispute,
            Action::InquireRefund | Action::Refund => Action::InquireRefund,
            Action::Watch => Action::Watch,
        }
    }
}
