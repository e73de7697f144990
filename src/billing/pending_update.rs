//! A change of a subscription that waits for its payment: for a moment inside the request, or as the
//! `pending_update` that everybody sees.

use serde::{Deserialize, Serialize};

use super::{
    Id, Metadata, Timestamp,
    anchor::AnchorConfig,
    invoice::Invoice,
    prorate::Billed,
    shape::Null,
    subscribe::PaymentBehavior,
    subscription::{Item, Subscription},
    trial::Trial,
};

/// A change that is made only when (or whatever) its invoice comes to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Held {
    pub invoice: Id<Invoice>,
    /// What an unpaid invoice means for it.
    pub payment_behavior: PaymentBehavior,
    pub becomes: Becomes,
    /// The subscription as it was before the request, while its payment is under way in there.
    pub before: Option<Box<Subscription>>,
}

/// What a change of items or cycle makes of a subscription.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Becomes {
    pub billing_cycle_anchor: Timestamp,
    pub billing_cycle_anchor_config: Option<AnchorConfig>,
    pub items: Vec<Item>,
    pub billed: Vec<Billed>,
    pub was_paid: bool,
    /// The trial that it leaves behind, if it changes that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<Trial>,
}

/// A change that its customer has yet to pay.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PendingUpdate {
    pub billing_cycle_anchor: Option<Timestamp>,
    pub cancel_at_period_end: Null,
    pub discount: Null,
    pub discounts: Null,
    pub expires_at: Timestamp,
    pub metadata: Option<Metadata>,
    pub subscription_items: Option<Vec<Item>>,
    pub trial_end: Null,
    pub trial_from_plan: Null,
}
