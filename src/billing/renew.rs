//! The boundary between two periods.

use super::{
    Books, Id, Moment, Refusal,
    bill::{self, Bill},
    cancel,
    invoice::BillingReason,
    pause_collection,
    subscribe::next_boundary,
    subscription::{CancellationReason, Item, Status, Subscription},
};

/// Moves a subscription into its next period and drafts the invoice for it, or ends it there when
/// that was asked for (order of operations of a renewal).
pub fn renew(books: &mut Books, id: &Id<Subscription>, at: &mut Moment) -> Result<(), Refusal> {
    let subscription = books.find(id, "subscription")?.clone();
    let ended = subscription.period().ok_or_else(|| Refusal::internal("A subscription without items cannot renew."))?;
    if subscription.cancel_at.is_some_and(|cancel_at| cancel_at <= ended.end) {
        return cancel::end(books, id, CancellationReason::CancellationRequested, at);
    }
    let renewed = roll_over(books, subscription)?;
    let bill = Bill {
        reason: BillingReason::SubscriptionCycle,
        subscription: Some(&renewed),
        period: ended,
        cycle: Some(ended.end),
        // An unpaid subscription keeps its drafts: nothing is collected until somebody asks.
        auto_advance: renewed.status != Status::Unpaid && renewed.pause_collection.is_none(),
        currency: renewed.currency,
        include_pending_items: true,
    };
    let invoice = bill::draft(books, &bill, at)?;
    books.put(Subscription { latest_invoice: Some(invoice.clone()), ..renewed });
    pause_collection::neutralize(books, id, &invoice, at)?;
    books.tell(id, "customer.subscription.updated", at);
    Ok(())
}

/// Every item that has reached its end moves on to the next boundary of the anchor's grid.
fn roll_over(books: &Books, mut subscription: Subscription) -> Result<Subscription, Refusal> {
    let anchor = subscription.billing_cycle_anchor;
    let end = subscription.period().map(|period| period.end);
    for item in &mut subscription.items.data {
        if Some(item.current_period_end) != end {
            continue;
        }
        let cycle = books
            .price(&item.price)
            .and_then(super::price::Price::cycle)
            .ok_or_else(|| Refusal::internal(format!("The price {} of {} is not at hand.", item.price, item.id)))?;
        let next = next_boundary(cycle, anchor, item.current_period_end)?;
        *item = Item { current_period_start: item.current_period_end, current_period_end: next, ..item.clone() };
    }
    Ok(subscription)
}
