//! Ending subscriptions, invoices and intents.

use super::{
    Books, Id, Moment, Refusal,
    balance::{self, Entry},
    balance_transaction::Kind,
    bill,
    collect::{self, intent_of},
    dunning, finalize, follow,
    invoice::{BillingReason, Internal as InvoiceInternal, Invoice, Status as InvoiceStatus, UncollectibleReason},
    invoice_item::InvoiceItem,
    invoice_payment::{InvoicePayment, Status as InvoicePaymentStatus},
    lend, pause_collection,
    payment_intent::{CancellationReason as IntentReason, PaymentIntent},
    payment_method::PaymentMethod,
    prorate, schedule,
    subscription::{CancellationReason, Status, Subscription},
};

/// Ends a subscription now. Its open and draft invoices stop being collected, and its pending
/// prorations are dropped (immediate cancel).
pub fn end(
    books: &mut Books,
    id: &Id<Subscription>,
    reason: CancellationReason,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let subscription = books.find(id, "subscription")?.clone();
    let first_unpaid =
        (subscription.status == Status::Incomplete).then(|| subscription.latest_invoice.clone()).flatten();
    books.put(subscription.cancel(reason, at.now)?).tell("customer.subscription.deleted", at);
    drop_prorations(books, id, at);
    if let Some(invoice) = first_unpaid {
        void_quietly(books, &invoice, at)?;
    }
    stop_advancing(books, id, &[InvoiceStatus::Draft, InvoiceStatus::Open], at);
    schedule::subscription_ended(books, id, at);
    Ok(())
}

/// Ends a subscription as a caller asked for: what is unused is given back, what is pending is invoiced now.
pub fn end_as_asked(
    books: &mut Books,
    id: &Id<Subscription>,
    prorate: bool,
    invoice_now: bool,
    at: &mut Moment,
) -> Result<(), Refusal> {
    match (prorate, invoice_now) {
        (true, _) => end_with_credit(books, id, invoice_now, at),
        (false, true) => end_with_invoice(books, id, LastInvoice::Now, at),
        (false, false) => end(books, id, CancellationReason::CancellationRequested, at),
    }
}

fn drop_prorations(books: &mut Books, id: &Id<Subscription>, at: &mut Moment) {
    let prorations: Vec<Id<InvoiceItem>> = books
        .all::<InvoiceItem>()
        .filter(|item| item.proration && item.invoice.is_none() && item.subscription() == Some(id))
        .map(|item| item.id.clone())
        .collect();
    for item in prorations {
        books.tell(&item, "invoiceitem.deleted", at);
        books.remove(&item);
    }
}

/// The same, and the time that was paid for is given back: as credit for the customer's next invoice,
/// or on a last invoice (`prorate`).
pub fn end_with_credit(
    books: &mut Books,
    id: &Id<Subscription>,
    invoice_now: bool,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let subscription = books.find(id, "subscription")?.clone();
    match subscription.status {
        Status::Active | Status::PastDue | Status::Unpaid => {
            for item in &subscription.items.data {
                prorate::credit(books, &subscription, item, at.now, at)?;
            }
        }
        // Nothing was paid for.
        Status::Canceled | Status::Incomplete | Status::IncompleteExpired | Status::Paused | Status::Trialing => {}
    }
    if invoice_now || subscription.status == Status::Incomplete {
        return end_with_invoice(books, id, LastInvoice::Now, at);
    }
    let reason = CancellationReason::CancellationRequested;
    books.put(subscription.cancel(reason, at.now)?).tell("customer.subscription.deleted", at);
    stop_advancing(books, id, &[InvoiceStatus::Draft, InvoiceStatus::Open], at);
    schedule::subscription_ended(books, id, at);
    Ok(())
}

/// The last invoice of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastInvoice {
    /// A draft for an hour, as any other: the end had been set beforehand.
    Draft,
    /// Finalised and collected at once.
    Now,
}

/// Ends a subscription, and invoices a last time what is still pending, prorations too (cancelling at
/// period end, and at once with `invoice_now`).
pub fn end_with_invoice(
    books: &mut Books,
    id: &Id<Subscription>,
    when: LastInvoice,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let subscription = books.find(id, "subscription")?.clone();
    if subscription.status == Status::Incomplete {
        return end(books, id, CancellationReason::CancellationRequested, at);
    }
    stop_advancing(books, id, &[InvoiceStatus::Draft, InvoiceStatus::Open], at);
    let auto_advance = when == LastInvoice::Now || dunning::collects(books, &subscription);
    let last = bill::draft_pending(books, &subscription, BillingReason::SubscriptionCycle, auto_advance, at)?;
    let mut ended = subscription.cancel(CancellationReason::CancellationRequested, at.now)?;
    ended.latest_invoice = last.clone().or(ended.latest_invoice);
    books.put(ended);
    let mut collected = false;
    if let Some(invoice) = &last {
        collected = !pause_collection::neutralize(books, id, invoice, at)? && when == LastInvoice::Now;
        if collected {
            finalize::finalize(books, invoice, at)?;
        }
    }
    books.tell(id, "customer.subscription.deleted", at);
    schedule::subscription_ended(books, id, at);
    match last.filter(|_| collected) {
        Some(invoice) => collect::begin(books, &invoice, at),
        None => Ok(()),
    }
}

/// The subscription's invoices of these statuses no longer advance by themselves.
pub fn stop_advancing(books: &mut Books, id: &Id<Subscription>, statuses: &[InvoiceStatus], at: &mut Moment) {
    let advancing: Vec<Invoice> = books
        .all::<Invoice>()
        .filter(|invoice| invoice.subscription() == Some(id) && statuses.contains(&invoice.status))
        .filter(|invoice| invoice.auto_advance || invoice.next_payment_attempt.is_some())
        .cloned()
        .collect();
    for invoice in advancing {
        books.put(invoice.stay()).tell("invoice.updated", at);
    }
}

/// The 23 hours of the incomplete window have passed without the first payment.
pub fn expire(books: &mut Books, id: &Id<Subscription>, at: &mut Moment) -> Result<(), Refusal> {
    let subscription = books.find(id, "subscription")?.clone();
    let invoice = subscription.latest_invoice.clone();
    if let Some(invoice) = invoice {
        void_quietly(books, &invoice, at)?;
    }
    books.put(subscription.expire(at.now)).tell("customer.subscription.updated", at);
    Ok(())
}

/// Voids an invoice by a caller's wish, and lets its subscription follow.
pub fn void(books: &mut Books, id: &Id<Invoice>, at: &mut Moment) -> Result<(), Refusal> {
    void_quietly(books, id, at)?;
    follow::voided(books, id, at)
}

/// Voids an invoice, and leaves its subscription alone.
pub fn void_quietly(books: &mut Books, id: &Id<Invoice>, at: &mut Moment) -> Result<(), Refusal> {
    let invoice = books.find(id, "invoice")?.clone();
    if let Some(intent) = intent_of(books, id).filter(|intent| !intent.status.is_terminal()).cloned() {
        cancel_intent(books, intent, IntentReason::VoidInvoice, at, |books, at| {
            books.put(invoice.void(at.now)?).tell("invoice.voided", at);
            Ok(())
        })?;
    } else {
        books.put(invoice.void(at.now)?).tell("invoice.voided", at);
    }
    give_balance_back(books, id, at)?;
    close_payments(books, id, at);
    lend::take_back(books, id);
    Ok(())
}

/// Cancels an invoice's intent, after `first` has been done. Not while the processor is being asked.
pub fn cancel_intent(
    books: &mut Books,
    intent: PaymentIntent,
    reason: IntentReason,
    at: &mut Moment,
    first: impl FnOnce(&mut Books, &mut Moment) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    if intent.internal.attempt.is_some() {
        return Err(busy());
    }
    first(books, at)?;
    books.put(intent.cancel(Some(reason), at.now)?).tell("payment_intent.canceled", at);
    Ok(())
}

/// Somebody is talking to the processor about it right now.
pub fn busy() -> Refusal {
    Refusal::invalid(
        "This object cannot be accessed right now because another API request or Stripe process is currently accessing it. If \
         you see this error intermittently, retry the request.",
    )
    .code("lock_timeout")
    .status(429)
}

/// What a voided invoice took from the balance goes back to it.
fn give_balance_back(books: &mut Books, id: &Id<Invoice>, at: &mut Moment) -> Result<(), Refusal> {
    let invoice = books.find(id, "invoice")?;
    let Some(ending) = invoice.ending_balance else { return Ok(()) };
    let applied = ending.minus(invoice.starting_balance)?;
    if applied.is_zero() {
        return Ok(());
    }
    balance::change(books, applied.negated()?, Entry::about(Kind::UnappliedFromInvoice, id), at)?;
    let customer = books.customer()?.id.clone();
    books.tell(&customer, "customer.updated", at);
    Ok(())
}

/// Payments that nobody waits for any longer.
pub fn close_payments(books: &mut Books, id: &Id<Invoice>, at: &Moment) {
    let open: Vec<InvoicePayment> = books
        .all::<InvoicePayment>()
        .filter(|payment| payment.invoice == *id && payment.status == InvoicePaymentStatus::Open)
        .cloned()
        .collect();
    for payment in open {
        books.put(payment.cancel(at.now));
    }
}

/// Gives up on an open invoice by a caller's wish; its subscription counts as settled.
pub fn mark_uncollectible(books: &mut Books, id: &Id<Invoice>, at: &mut Moment) -> Result<(), Refusal> {
    let invoice = books.find(id, "invoice")?.clone();
    if intent_of(books, id).is_some_and(|intent| intent.internal.attempt.is_some()) {
        return Err(busy());
    }
    books
        .put(invoice.mark_uncollectible(UncollectibleReason::UserForgiven, at.now)?)
        .tell("invoice.marked_uncollectible", at);
    follow::settled(books, id, None, at)
}

/// The money came some other way. Only `invoice.paid` is told: there was no payment here.
pub fn pay_out_of_band(books: &mut Books, id: &Id<Invoice>, at: &mut Moment) -> Result<(), Refusal> {
    let invoice = books.find(id, "invoice")?.clone();
    invoice.check_payable()?;
    let intent = intent_of(books, id).filter(|intent| !intent.status.is_terminal()).cloned();
    let attempted = invoice.attempted;
    let elsewhere = Some(invoice.amount_remaining);
    books.put(Invoice { amount_paid_off_stripe: elsewhere, attempted, ..invoice.paid(at.now) });
    for kind in ["invoice.updated", "invoice.paid"] {
        books.tell(id, kind, at);
    }
    if let Some(intent) = intent {
        cancel_intent(books, intent, IntentReason::Automatic, at, |_, _| Ok(()))?;
    }
    close_payments(books, id, at);
    follow::settled(books, id, None, at)
}

/// Only a draft that belongs to no subscription can be deleted, and one that is a revision; its items wait again.
pub fn delete_draft(books: &mut Books, id: &Id<Invoice>, at: &mut Moment) -> Result<(), Refusal> {
    let invoice = books.find(id, "invoice")?;
    if invoice.status != InvoiceStatus::Draft {
        return Err(Refusal::invalid("You can only delete draft invoices."));
    }
    let is_revision = invoice.from_invoice.is_some();
    if invoice.subscription().is_some() && !is_revision {
        return Err(Refusal::invalid("You can't delete an invoice that belongs to a subscription."));
    }
    let items: Vec<InvoiceItem> =
        books.all::<InvoiceItem>().filter(|item| item.invoice.as_ref() == Some(id)).cloned().collect();
    for item in items {
        if is_revision && item.internal.copied {
            books.tell(&item.id, "invoiceitem.deleted", at);
            books.remove(&item.id);
        } else {
            books.put(InvoiceItem { invoice: None, ..item });
        }
    }
    books.tell(id, "invoice.deleted", at);
    books.remove(id);
    Ok(())
}

/// A customer that is deleted: its subscriptions end at once, its payment methods come loose.
pub fn delete_customer(books: &mut Books, at: &mut Moment) -> Result<(), Refusal> {
    let customer = books.customer()?.clone();
    let subscriptions: Vec<Id<Subscription>> = books
        .all::<Subscription>()
        .filter(|subscription| !subscription.status.is_terminal())
        .map(|subscription| subscription.id.clone())
        .collect();
    for subscription in subscriptions {
        end(books, &subscription, CancellationReason::CancellationRequested, at)?;
    }
    schedule::drop_all(books, at);
    let attached = books.all::<PaymentMethod>().filter(|method| method.customer.is_some());
    let methods: Vec<PaymentMethod> = attached.cloned().collect();
    for mut method in methods {
        method.customer = None;
        method.internal.spent = true;
        books.put(method).tell("payment_method.detached", at);
    }
    let pending: Vec<Id<InvoiceItem>> =
        books.all::<InvoiceItem>().filter(|item| item.invoice.is_none()).map(|item| item.id.clone()).collect();
    for item in pending {
        books.tell(&item, "invoiceitem.deleted", at);
        books.remove(&item);
    }
    let unfinished: Vec<Invoice> = books
        .all::<Invoice>()
        .filter(|invoice| matches!(invoice.status, InvoiceStatus::Draft | InvoiceStatus::Open))
        .cloned()
        .collect();
    for invoice in unfinished {
        // Nothing happens to it by itself any longer, not even at its due date.
        let internal = InvoiceInternal { overdue: true, ..invoice.internal.clone() };
        books.put(Invoice { internal, ..invoice.stay() }).tell("invoice.updated", at);
    }
    books.tell(&customer.id, "customer.deleted", at);
    books.remove(&customer.id);
    Ok(())
}
