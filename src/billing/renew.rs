//! The boundary between two periods.

use super::{
    Books, Id, Moment, Refusal,
    anchor::{Span, Terms},
    bill::{self, Bill},
    cancel::{self, LastInvoice},
    dunning,
    invoice::BillingReason,
    pause_collection, prorate,
    subscription::{Status, Subscription, TrialEndAnchor},
    upcoming,
};

/// Moves a subscription into its next period and drafts the invoice for it, or ends it there when
/// that was asked for (order of operations of a renewal).
pub fn renew(books: &mut Books, id: &Id<Subscription>, at: &mut Moment) -> Result<(), Refusal> {
    let subscription = books.find(id, "subscription")?.clone();
    let ended = subscription.period().ok_or_else(|| Refusal::internal("A subscription without items cannot renew."))?;
    if subscription.cancel_at.is_some_and(|cancel_at| cancel_at <= ended.end) {
        return cancel::end_with_invoice(books, id, LastInvoice::Draft, at);
    }
    let free_stub = subscription.internal.free_stub && subscription.status == Status::Trialing;
    let (mut renewed, mut spans) = roll_over(books, subscription)?;
    renewed.internal.upcoming = upcoming::planned(books, renewed.livemode);
    if free_stub {
        spans = give_away_stubs(books, &mut renewed, spans)?;
    }
    let bill = Bill {
        reason: BillingReason::SubscriptionCycle,
        subscription: Some(&renewed),
        spans,
        period: ended,
        cycle: Some(ended.end),
        auto_advance: dunning::collects(books, &renewed),
        currency: renewed.currency,
        include_pending_items: true,
    };
    if free_stub && bill.spans.is_empty() && bill::pending_items(books, &bill).is_empty() {
        books.put(renewed).tell("customer.subscription.updated", at);
        return Ok(());
    }
    let invoice = bill::draft(books, &bill, at)?;
    books.put(Subscription { latest_invoice: Some(invoice.clone()), ..renewed });
    pause_collection::neutralize(books, id, &invoice, at)?;
    books.tell(id, "customer.subscription.updated", at);
    Ok(())
}

/// What is no whole period is not billed (`proration_behavior` on creation): until the first that is, there is
/// no invoice.
fn give_away_stubs(books: &Books, renewed: &mut Subscription, spans: Vec<Span>) -> Result<Vec<Span>, Refusal> {
    let (billed, free): (Vec<Span>, Vec<Span>) = spans.into_iter().partition(|span| span.terms == Terms::Whole);
    for span in free {
        let item = renewed.items.data.iter().find(|item| item.id == span.item);
        let nothing = item.map(|item| prorate::nothing_billed(books, item, renewed.currency, span.period.start));
        renewed.internal.billed.extend(nothing.transpose()?);
    }
    renewed.internal.free_stub = false;
    Ok(billed)
}

/// Every item that has reached its end moves on to the next boundary of the grid. A trial that ends there
/// is over.
pub fn roll_over(books: &Books, mut subscription: Subscription) -> Result<(Subscription, Vec<Span>), Refusal> {
    let Some(end) = subscription.period().map(|period| period.end) else { return Ok((subscription, Vec::new())) };
    if subscription.status == Status::Trialing {
        subscription.status = subscription.settled_status(end);
        if subscription.trial_settings.end_behavior.billing_cycle_anchor == Some(TrialEndAnchor::Now) {
            (subscription.billing_cycle_anchor, subscription.billing_cycle_anchor_config) = (end, None);
        }
    }
    let due = subscription.items.data.iter().filter(|item| item.current_period_end == end);
    let spans = due.map(|item| subscription.span_from(books, item, end)).collect::<Result<Vec<Span>, Refusal>>()?;
    for item in &mut subscription.items.data {
        if let Some(span) = spans.iter().find(|span| span.item == item.id) {
            (item.current_period_start, item.current_period_end) = (span.period.start, span.period.end);
            subscription.internal.billed.retain(|billed| billed.item != item.id);
        }
    }
    Ok((subscription, spans))
}
