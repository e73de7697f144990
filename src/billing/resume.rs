//! Resuming a paused subscription: its invoice comes first, and its new cycle with the money.

use serde::{Deserialize, Serialize};

use super::{
    Books, Id, Moment, Refusal, Timestamp,
    anchor::{Span, cycle_of, terms},
    bill::{self, Bill},
    cancel,
    collect::{self, Collection},
    finalize,
    invoice::{BillingReason, Invoice},
    period::Period,
    prorate::{self, ProrationBehavior},
    subscription::{BillingModeType, CollectionMethod, Status, Subscription},
    upcoming,
};
use crate::words;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Resumption {
    pub anchor: ResumeAnchor,
    pub payment_behavior: ResumeBehavior,
    pub proration_behavior: ProrationBehavior,
    pub proration_date: Option<Timestamp>,
}

words!(
    /// Where the new cycle begins.
    ResumeAnchor {
        /// A whole period begins now.
        Now = "now",
        /// The old grid goes on: what is left of its current period comes first.
        Unchanged = "unchanged",
    }
);

words!(
    /// When a resumption counts.
    ResumeBehavior {
        /// Somebody tries to pay; whether that works decides between `active` and `past_due`.
        OnPaymentAttempt = "resume_on_payment_attempt",
        /// It is paid.
        OnPaymentSuccess = "resume_on_payment_success",
    }
);

impl ResumeBehavior {
    /// How long its invoice can be paid, in seconds.
    const fn window(self) -> i64 {
        match self {
            ResumeBehavior::OnPaymentAttempt => 23 * 3600,
            ResumeBehavior::OnPaymentSuccess => 365 * 86_400,
        }
    }
}

/// A resumption that waits for its invoice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resuming {
    pub invoice: Id<Invoice>,
    pub behavior: ResumeBehavior,
    pub billing_cycle_anchor: Timestamp,
    /// When the first new period begins: when it was asked for, not when it is paid.
    pub from: Timestamp,
    pub expires_at: Timestamp,
}

/// Resumes a paused subscription. Where there is nothing to pay it is active at once; otherwise its
/// invoice is open now, and the subscription stays paused until that is settled.
pub fn resume(books: &mut Books, id: &Id<Subscription>, wanted: Resumption, at: &mut Moment) -> Result<(), Refusal> {
    let subscription = books.find(id, "subscription")?.clone();
    check(&subscription, wanted)?;
    let from = at.now;
    let anchor = match wanted.anchor {
        ResumeAnchor::Now => from,
        ResumeAnchor::Unchanged => subscription.billing_cycle_anchor,
    };
    let (mut resumed, mut spans) = restarted(books, subscription.clone(), from, anchor)?;
    if wanted.anchor == ResumeAnchor::Unchanged {
        if wanted.proration_behavior == ProrationBehavior::None {
            // What is left of the current period is free.
            for item in &resumed.items.data {
                resumed.internal.billed.push(prorate::nothing_billed(books, item, subscription.currency, from)?);
            }
            go_on(books, resumed, Status::Active, at);
            return Ok(());
        }
        if let Some(time) = wanted.proration_date {
            count_from(books, &resumed, &mut spans, time)?;
        }
    }
    let bill = Bill {
        reason: BillingReason::SubscriptionUpdate,
        subscription: Some(&resumed),
        spans,
        period: Period { start: from, end: from },
        cycle: None,
        auto_advance: wanted.payment_behavior == ResumeBehavior::OnPaymentSuccess,
        currency: resumed.currency,
        include_pending_items: true,
    };
    let invoice = bill::draft(books, &bill, at)?;
    let mut waiting = Subscription { latest_invoice: Some(invoice.clone()), ..subscription };
    waiting.internal.resuming = Some(Resuming {
        invoice: invoice.clone(),
        behavior: wanted.payment_behavior,
        billing_cycle_anchor: anchor,
        from,
        expires_at: at.now.plus_seconds(wanted.payment_behavior.window()),
    });
    books.put(waiting);
    finalize::finalize(books, &invoice, at)?;
    // Nothing to pay has resumed it already, and then this tells nothing.
    books.tell(id, "customer.subscription.updated", at);
    let waits = books.find(id, "subscription")?.internal.resuming.is_some();
    if waits && wanted.payment_behavior == ResumeBehavior::OnPaymentSuccess {
        let collection = Collection { automatic: false, off_session: true, payment_method: None };
        collect::collect(books, &invoice, &collection, at)?;
    }
    Ok(())
}

fn check(subscription: &Subscription, wanted: Resumption) -> Result<(), Refusal> {
    if subscription.status != Status::Paused {
        let message =
            format!("Only a paused subscription can be resumed; the status of this one is {}.", subscription.status);
        return Err(Refusal::invalid(message).code("status_transition_invalid"));
    }
    if subscription.collection_method != CollectionMethod::ChargeAutomatically {
        let message = "Only a subscription with collection_method=charge_automatically can be resumed.";
        return Err(Refusal::invalid(message));
    }
    if let Some(resuming) = &subscription.internal.resuming {
        let message = format!(
            "This subscription is being resumed already: pay its invoice {}, or void it to start again.",
            resuming.invoice
        );
        return Err(Refusal::invalid(message).code("status_transition_invalid"));
    }
    let flexible = subscription.billing_mode.kind == BillingModeType::Flexible;
    if wanted.payment_behavior == ResumeBehavior::OnPaymentSuccess && !flexible {
        let message = "resume_on_payment_success needs a subscription whose billing_mode is flexible.";
        return Err(Refusal::invalid(message).param("payment_behavior"));
    }
    Ok(())
}

/// The subscription with its first new period, which goes from a time to the next boundary of an
/// anchor's grid; and what that period costs.
fn restarted(
    books: &Books,
    subscription: Subscription,
    from: Timestamp,
    anchor: Timestamp,
) -> Result<(Subscription, Vec<Span>), Refusal> {
    let config = subscription.billing_cycle_anchor_config.filter(|_| anchor == subscription.billing_cycle_anchor);
    let mut resumed =
        Subscription { billing_cycle_anchor: anchor, billing_cycle_anchor_config: config, ..subscription };
    resumed.internal.billed.clear();
    if resumed.cancel_at_period_end {
        // It ends with the new period, not with the one it was paused in.
        resumed.cancel_at = None;
    }
    let spans: Result<Vec<Span>, Refusal> =
        resumed.items.data.iter().map(|item| resumed.span_from(books, item, from)).collect();
    let spans = spans?;
    for (item, span) in resumed.items.data.iter_mut().zip(&spans) {
        (item.current_period_start, item.current_period_end) = (span.period.start, span.period.end);
    }
    if resumed.cancel_at_period_end {
        resumed.cancel_at = resumed.period().map(|period| period.end);
    }
    Ok((resumed, spans))
}

/// Prorates as though the subscription had been resumed at another time of its current period.
fn count_from(books: &Books, resumed: &Subscription, spans: &mut [Span], time: Timestamp) -> Result<(), Refusal> {
    for (span, item) in spans.iter_mut().zip(&resumed.items.data) {
        let natural = resumed.grid().period_at(cycle_of(books, item)?, span.period.start)?;
        if time < natural.start || time >= span.period.end {
            let message = "Invalid proration_date: it must lie inside the period that the subscription resumes in.";
            return Err(Refusal::invalid(message).param("proration_date"));
        }
        span.period.start = time;
        span.terms = terms(span.period, natural);
    }
    Ok(())
}

/// The invoice that a resumption waits for was settled, or tried in vain where a try is enough. Whether
/// it was such an invoice.
pub fn conclude(
    books: &mut Books,
    subscription: &Subscription,
    invoice: &Id<Invoice>,
    paid: bool,
    at: &mut Moment,
) -> Result<bool, Refusal> {
    let Some(resuming) = subscription.internal.resuming.as_ref().filter(|resuming| resuming.invoice == *invoice) else {
        return Ok(false);
    };
    if !paid && resuming.behavior == ResumeBehavior::OnPaymentSuccess {
        return Ok(true);
    }
    let (resumed, _) = restarted(books, subscription.clone(), resuming.from, resuming.billing_cycle_anchor)?;
    go_on(books, resumed, if paid { Status::Active } else { Status::PastDue }, at);
    Ok(true)
}

/// The new cycle begins.
fn go_on(books: &mut Books, mut resumed: Subscription, status: Status, at: &mut Moment) {
    let id = resumed.id.clone();
    resumed.status = status;
    resumed.status_details = None;
    resumed.internal.resuming = None;
    resumed.internal.upcoming = upcoming::planned(books, resumed.livemode);
    books.put(resumed);
    if status == Status::Active {
        books.tell_beside(&id, "customer.subscription.resumed", at);
    }
    books.tell(&id, "customer.subscription.updated", at);
}

/// The invoice of a resumption was voided: the subscription stays paused, and can be resumed anew.
pub fn abandon(books: &mut Books, subscription: Subscription, invoice: &Id<Invoice>) {
    if subscription.internal.resuming.as_ref().is_some_and(|resuming| resuming.invoice == *invoice) {
        let mut paused = subscription;
        paused.internal.resuming = None;
        books.put(paused);
    }
}

/// Nobody has paid in time.
pub fn expire(books: &mut Books, id: &Id<Subscription>, at: &mut Moment) -> Result<(), Refusal> {
    let subscription = books.find(id, "subscription")?.clone();
    let Some(resuming) = &subscription.internal.resuming else { return Ok(()) };
    let invoice = resuming.invoice.clone();
    cancel::void_quietly(books, &invoice, at)?;
    abandon(books, subscription, &invoice);
    Ok(())
}
