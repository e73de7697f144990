//! The status `paused`: no cycle and no invoices until the subscription is resumed.

use serde::{Deserialize, Serialize};

use super::{
    Books, Id, Moment, Refusal, Timestamp, bill, collect, finalize,
    invoice::{BillingReason, Invoice},
    pending_update, prorate,
    subscription::{BillingModeType, CollectionMethod, Status, Subscription},
};
use crate::words;

/// Why and since when a subscription is in its status; absent where the status says it all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusDetails {
    pub paused: Paused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    pub subscription: PausedSubscription,
    pub transitioned_at: Timestamp,
    #[serde(rename = "type")]
    pub kind: PauseType,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PausedSubscription {
    #[serde(rename = "type")]
    pub reason: PauseReason,
}

words!(PauseType { Subscription = "subscription" });
words!(PauseReason {
    PauseRequested = "pause_requested",
    TrialEndWithoutPaymentMethod = "trial_end_without_payment_method",
});

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Pausing {
    pub unused_time_from: UnusedTimeFrom,
    /// What is given back, and whatever else is pending, is invoiced now and not with the next invoice.
    pub invoice_now: bool,
}

words!(
    /// Since when the time that was paid for is given back.
    UnusedTimeFrom {
        ItemCurrentPeriodStart = "item_current_period_start",
        None = "none",
        Now = "now",
    }
);

/// Pauses a subscription by a caller's wish. Its open invoices and drafts go on as they were; a change
/// that waits for its payment is dropped, and so is the invoice of that.
pub fn pause(books: &mut Books, id: &Id<Subscription>, wanted: Pausing, at: &mut Moment) -> Result<(), Refusal> {
    check(books.find(id, "subscription")?)?;
    pending_update::discard(books, id, at)?;
    let subscription = books.find(id, "subscription")?.clone();
    for item in &subscription.items.data {
        let since = match wanted.unused_time_from {
            UnusedTimeFrom::None => continue,
            UnusedTimeFrom::ItemCurrentPeriodStart => item.current_period_start,
            UnusedTimeFrom::Now => at.now,
        };
        prorate::credit(books, &subscription, item, since, at)?;
    }
    let invoice = if wanted.invoice_now { invoice_pending(books, &subscription, at)? } else { None };
    let mut paused = subscription.pause(PauseReason::PauseRequested, at.now);
    paused.latest_invoice = invoice.clone().or(paused.latest_invoice);
    stop(books, paused, at);
    match invoice {
        Some(invoice) => collect::begin(books, &invoice, at),
        None => Ok(()),
    }
}

/// Keeps a subscription that has just been paused.
pub fn stop(books: &mut Books, paused: Subscription, at: &mut Moment) {
    let id = paused.id.clone();
    books.put(paused);
    books.tell_beside(&id, "customer.subscription.paused", at);
    books.tell(&id, "customer.subscription.updated", at);
}

/// Invoices and finalises what is pending, if anything is.
fn invoice_pending(
    books: &mut Books,
    subscription: &Subscription,
    at: &mut Moment,
) -> Result<Option<Id<Invoice>>, Refusal> {
    let invoice = bill::draft_pending(books, subscription, BillingReason::SubscriptionUpdate, true, at)?;
    if let Some(invoice) = &invoice {
        finalize::finalize(books, invoice, at)?;
    }
    Ok(invoice)
}

fn check(subscription: &Subscription) -> Result<(), Refusal> {
    match subscription.status {
        Status::Active | Status::PastDue | Status::Unpaid => {}
        Status::Canceled | Status::Incomplete | Status::IncompleteExpired | Status::Paused | Status::Trialing => {
            let message = format!("A subscription whose status is {} cannot be paused.", subscription.status);
            return Err(Refusal::invalid(message).code("status_transition_invalid"));
        }
    }
    if subscription.billing_mode.kind != BillingModeType::Flexible {
        return Err(Refusal::invalid("Only a subscription whose billing_mode is flexible can be paused."));
    }
    if subscription.collection_method != CollectionMethod::ChargeAutomatically {
        let message = "Only a subscription with collection_method=charge_automatically can be paused.";
        return Err(Refusal::invalid(message));
    }
    if let Some(schedule) = &subscription.schedule {
        let message = format!("A subscription with a schedule cannot be paused; this one has {schedule}.");
        return Err(Refusal::invalid(message));
    }
    Ok(())
}

impl Subscription {
    /// Its periods end here, and no others begin.
    #[must_use]
    pub fn pause(mut self, reason: PauseReason, now: Timestamp) -> Subscription {
        for item in &mut self.items.data {
            // A period that has only just begun still has a second, so that it is one.
            item.current_period_end = now.max(item.current_period_start.plus_seconds(1));
        }
        // What was billed has been given back or is over.
        self.internal.billed.clear();
        let subscription = PausedSubscription { reason };
        let paused = Paused { subscription, transitioned_at: now, kind: PauseType::Subscription };
        Subscription { status: Status::Paused, status_details: Some(StatusDetails { paused }), ..self }
    }
}
