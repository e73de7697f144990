//! `pending_invoice_item_interval`: what is pending is billed every so often, whatever the cycle is.

use serde::{Deserialize, Serialize};

use super::{
    Books, Id, Moment, Refusal, Timestamp, bill,
    invoice::BillingReason,
    pause_collection,
    period::{Cycle, Interval},
    shape::Patch,
    subscription::{Status, Subscription},
};

/// How often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingInterval {
    pub interval: Interval,
    #[serde(default = "one")]
    pub interval_count: i64,
}

const fn one() -> i64 {
    1
}

impl PendingInterval {
    fn cycle(self) -> Cycle {
        Cycle { interval: self.interval, count: self.interval_count }
    }

    /// At most a year.
    fn check(self) -> Result<PendingInterval, Refusal> {
        let longest = match self.interval {
            Interval::Day => 365,
            Interval::Week => 52,
            Interval::Month => 12,
            Interval::Year => 1,
        };
        if (1..=longest).contains(&self.interval_count) {
            return Ok(self);
        }
        let message = format!("Invalid interval_count: it must be between 1 and {longest}, a year at most.");
        Err(Refusal::invalid(message).param("pending_invoice_item_interval[interval_count]"))
    }
}

/// Gives a subscription such an interval, counted from now, or takes it away.
pub fn set(
    subscription: Subscription,
    wanted: &Patch<PendingInterval>,
    now: Timestamp,
) -> Result<Subscription, Refusal> {
    let mut changed = subscription;
    match wanted {
        Patch::Keep => {}
        Patch::Clear => {
            (changed.pending_invoice_item_interval, changed.next_pending_invoice_item_invoice) = (None, None);
            changed.internal.pending_since = None;
        }
        Patch::Set(interval) if changed.pending_invoice_item_interval == Some(*interval) => {}
        Patch::Set(interval) => {
            changed.pending_invoice_item_interval = Some(interval.check()?);
            changed.next_pending_invoice_item_invoice = Some(next(*interval, now, now)?);
            changed.internal.pending_since = Some(now);
        }
    }
    Ok(changed)
}

fn next(interval: PendingInterval, since: Timestamp, now: Timestamp) -> Result<Timestamp, Refusal> {
    let period = interval.cycle().period_at(since, now).map_err(|outside| Refusal::invalid(outside.to_string()))?;
    Ok(period.end)
}

impl Subscription {
    /// When what is pending is billed next, if the cycle does not come first.
    pub fn bills_pending_at(&self) -> Option<Timestamp> {
        self.next_pending_invoice_item_invoice
            .filter(|_| matches!(self.status, Status::Active | Status::PastDue | Status::Trialing | Status::Unpaid))
    }
}

/// The time has come: an invoice for what is pending, if anything is.
pub fn come_round(books: &mut Books, id: &Id<Subscription>, at: &mut Moment) -> Result<(), Refusal> {
    let mut subscription = books.find(id, "subscription")?.clone();
    let Some(interval) = subscription.pending_invoice_item_interval else { return Ok(()) };
    let auto_advance = subscription.status != Status::Unpaid && subscription.pause_collection.is_none();
    let reason = BillingReason::AutomaticPendingInvoiceItemInvoice;
    let invoice = bill::draft_pending(books, &subscription, reason, auto_advance, at)?;
    let since = subscription.internal.pending_since.unwrap_or(subscription.billing_cycle_anchor);
    subscription.next_pending_invoice_item_invoice = Some(next(interval, since, at.now)?);
    subscription.latest_invoice = invoice.clone().or(subscription.latest_invoice);
    books.put(subscription);
    if let Some(invoice) = invoice {
        pause_collection::neutralize(books, id, &invoice, at)?;
    }
    books.tell(id, "customer.subscription.updated", at);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `pending_invoice_item_interval`: days, weeks, months or years, a year at most.
    #[test]
    fn a_year_at_most() {
        for (interval, longest) in
            [(Interval::Day, 365), (Interval::Week, 52), (Interval::Month, 12), (Interval::Year, 1)]
        {
            for (interval_count, good) in [(0, false), (1, true), (longest, true), (longest + 1, false)] {
                let checked = PendingInterval { interval, interval_count }.check();
                assert_eq!(checked.is_ok(), good, "{interval_count} {interval:?}");
            }
        }
    }
}
