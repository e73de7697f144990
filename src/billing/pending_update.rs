//! A change of a subscription that waits for its payment: for a moment inside the request, or as the
//! `pending_update` that everybody sees.

use serde::{Deserialize, Serialize};

use super::{
    Books, Id, Metadata, Moment, Refusal, Timestamp,
    anchor::AnchorConfig,
    books::Withheld,
    cancel,
    invoice::{Invoice, Status as InvoiceStatus},
    prorate::Billed,
    shape::Null,
    subscribe::PaymentBehavior,
    subscription::{Item, Subscription},
    trial::Trial,
};

/// How long the customer has to pay for it, at most: 23 hours.
const WINDOW_SECONDS: i64 = 23 * 3600;

/// A change that is made only when (or whatever) its invoice comes to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Held {
    pub invoice: Id<Invoice>,
    /// What an unpaid invoice means for it.
    pub payment_behavior: PaymentBehavior,
    pub becomes: Becomes,
    /// The subscription as it was before the request, while its payment is under way in there.
    pub before: Option<Box<Subscription>>,
    /// What is told only once it is known that the change will be, where it may never have been.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<Withheld>,
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
    /// Set when the metadata waits too.
    pub metadata: Option<Metadata>,
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
    pub trial_end: Option<Timestamp>,
    pub trial_from_plan: Null,
}

/// A change whose payment failed inside the request waits for its customer, until something else is
/// due: the end of a trial or of a period, or 23 hours.
pub fn wait(subscription: Subscription, held: Held, now: Timestamp) -> Subscription {
    let ends = subscription.items.data.iter().map(|item| item.current_period_end);
    let times = ends.chain(subscription.trial_end.filter(|end| *end > now));
    let expires_at = times.fold(now.plus_seconds(WINDOW_SECONDS), Timestamp::min);
    let becomes = &held.becomes;
    let moves = becomes.billing_cycle_anchor != subscription.billing_cycle_anchor;
    let mut waiting = subscription;
    waiting.pending_update = Some(PendingUpdate {
        billing_cycle_anchor: moves.then_some(becomes.billing_cycle_anchor),
        cancel_at_period_end: Null,
        discount: Null,
        discounts: Null,
        expires_at,
        metadata: becomes.metadata.clone(),
        subscription_items: Some(becomes.items.clone()),
        trial_end: becomes.trial.map(|trial| trial.end),
        trial_from_plan: Null,
    });
    waiting.latest_invoice = Some(held.invoice.clone());
    waiting.internal.held = Some(Box::new(Held { before: None, ..held }));
    waiting
}

/// Whether an invoice is that of a change that is not made unless it is paid: leaving it unpaid owes
/// nothing.
pub fn is_of(subscription: &Subscription, invoice: &Id<Invoice>) -> bool {
    subscription.pending_update.is_some()
        && subscription.internal.held.as_ref().is_some_and(|held| held.invoice == *invoice)
}

/// Drops a change that waits, and its invoice with it. The invoice that was dropped.
pub fn discard(books: &mut Books, id: &Id<Subscription>, at: &mut Moment) -> Result<Option<Id<Invoice>>, Refusal> {
    let mut subscription = books.find(id, "subscription")?.clone();
    let (Some(_), Some(held)) = (subscription.pending_update.take(), subscription.internal.held.take()) else {
        return Ok(None);
    };
    let open = |invoice: &Invoice| matches!(invoice.status, InvoiceStatus::Open | InvoiceStatus::Uncollectible);
    if books.get(&held.invoice).is_some_and(open) {
        cancel::void_quietly(books, &held.invoice, at)?;
    }
    books.put(subscription);
    Ok(Some(held.invoice))
}

/// Its time has passed, or its invoice was voided.
pub fn expire(books: &mut Books, id: &Id<Subscription>, at: &mut Moment) -> Result<(), Refusal> {
    if discard(books, id, at)?.is_some() {
        books.tell(id, "customer.subscription.pending_update_expired", at);
    }
    Ok(())
}
