//! Trying again to collect what is owed, until it is paid or given up.

use super::{
    Books, Id, Moment, Refusal, Resource as _, cancel,
    collect::{self, Collection, intent_of, resolve_payment_method},
    follow,
    invoice::{Invoice, Status as InvoiceStatus, UncollectibleReason},
    payment_intent::PaymentIntent,
    remind,
    settings::{Final, LaterInvoices},
    settle,
    subscription::{CancellationReason, CollectionMethod, Status, Subscription},
};
use crate::words;

words!(
    /// What happens to a subscription when the last attempt to collect its invoice has failed.
    FinalAction {
        Cancel = "cancel",
        /// Leave it as it is: its next invoices are collected as usual.
        PastDue = "past_due",
        /// Keep it, and keep drafting its invoices, but collect nothing.
        Unpaid = "unpaid",
    }
);

words!(
    /// What happens to the invoice itself then.
    InvoiceAction { LeaveOpen = "leave_open", Uncollectible = "uncollectible" }
);

impl FinalAction {
    pub const fn status(self) -> Status {
        match self {
            FinalAction::Cancel => Status::Canceled,
            FinalAction::PastDue => Status::PastDue,
            FinalAction::Unpaid => Status::Unpaid,
        }
    }
}

/// Does what is due about an open invoice.
pub fn due(books: &mut Books, id: &Id<Invoice>, at: &mut Moment) -> Result<(), Refusal> {
    let invoice = books.find(id, "invoice")?;
    let due = invoice.due();
    if invoice.next_attempt().is_some_and(|time| Some(time) == due) {
        retry(books, id, at)
    } else if invoice.next_reminder().is_some_and(|time| Some(time) == due) {
        remind::remind(books, id, at)
    } else if invoice.deadline().is_some_and(|deadline| Some(deadline.at) == due) {
        remind::give_up(books, id, at)
    } else {
        remind::overdue(books, id, at)
    }
}

/// The time of the next attempt has come. Where there is nothing to charge but what was refused for good,
/// it counts without being made (when a retry does not charge).
fn retry(books: &mut Books, id: &Id<Invoice>, at: &mut Moment) -> Result<(), Refusal> {
    let invoice = books.find(id, "invoice")?.clone();
    if intent_of(books, id).is_some_and(PaymentIntent::is_under_way) {
        collect::await_payment(books, invoice);
        return Ok(());
    }
    if resolve_payment_method(books, &invoice).is_some_and(|method| invoice.has_spent(&method.id)) {
        return settle::nothing_to_charge(books, invoice, at);
    }
    collect::collect(books, id, &Collection { automatic: true, off_session: true, payment_method: None }, at)
}

/// Tries the latest invoice of each subscription that is past due once, outside the plan: the customer
/// has brought a card in the old way, as a `source`.
pub fn try_latest(books: &mut Books, at: &mut Moment) -> Result<(), Refusal> {
    let behind = |one: &&Subscription| {
        one.status == Status::PastDue && one.collection_method == CollectionMethod::ChargeAutomatically
    };
    let latest = |one: &Subscription| {
        let of_it = |invoice: &&Invoice| {
            invoice.subscription() == Some(&one.id)
                && invoice.status == InvoiceStatus::Open
                && invoice.auto_advance
                && invoice.collection_method == CollectionMethod::ChargeAutomatically
        };
        books.all::<Invoice>().filter(of_it).last().map(|invoice| invoice.id.clone())
    };
    let wanted: Vec<Id<Invoice>> = books.all::<Subscription>().filter(behind).filter_map(latest).collect();
    for id in wanted {
        if !intent_of(books, &id).is_some_and(PaymentIntent::is_under_way) {
            let by_hand = Collection { automatic: false, off_session: true, payment_method: None };
            collect::collect(books, &id, &by_hand, at)?;
        }
    }
    Ok(())
}

/// After an attempt that failed: if no other follows, the debt is given up as the settings say (after
/// the last attempt).
pub fn conclude(books: &mut Books, id: &Id<Invoice>, at: &mut Moment) -> Result<(), Refusal> {
    let invoice = books.find(id, "invoice")?;
    if !invoice.is_retried() || invoice.next_payment_attempt.is_some() {
        return Ok(());
    }
    // The customer has a term of their own to finish it.
    if invoice.deadline().is_some() && intent_of(books, id).is_some_and(remind::waits_for_customer) {
        return Ok(());
    }
    let Final { invoice: of_invoice, subscription } = books.settings(invoice.livemode).collection.final_action;
    give_up(books, id, subscription, at)?;
    match of_invoice {
        InvoiceAction::LeaveOpen => {}
        InvoiceAction::Uncollectible => {
            let invoice = books.find(id, "invoice")?.clone();
            books
                .put(invoice.mark_uncollectible(UncollectibleReason::MaxPaymentAttempts, at.now)?)
                .tell("invoice.marked_uncollectible", at);
            follow::lost(books, id);
        }
    }
    Ok(())
}

/// No further attempt will be made by itself: the invoice stays open, and a subscription that is past
/// due comes to its final state (after the last attempt).
pub fn give_up(books: &mut Books, id: &Id<Invoice>, action: FinalAction, at: &mut Moment) -> Result<(), Refusal> {
    if books.find(id, "invoice")?.status != InvoiceStatus::Open {
        return Err(Invoice::not_open());
    }
    stop_trying(books, id, action, at)?;
    let subscription = books.find(id, "invoice")?.subscription().and_then(|id| books.get(id)).cloned();
    let Some(subscription) = subscription.filter(|subscription| subscription.status == Status::PastDue) else {
        return Ok(());
    };
    match action {
        FinalAction::Cancel => cancel::end(books, &subscription.id, CancellationReason::PaymentFailed, at)?,
        FinalAction::PastDue => {}
        FinalAction::Unpaid => {
            let id = subscription.id.clone();
            books
                .put(Subscription { status: Status::Unpaid, ..subscription })
                .tell("customer.subscription.updated", at);
            if !books.get(&id).is_some_and(|subscription| collects(books, subscription)) {
                cancel::stop_advancing(books, &id, &[InvoiceStatus::Draft], at);
            }
            // Nothing of it is collected any more, however many attempts were left to the others.
            let of_it = |invoice: &&Invoice| invoice.subscription() == Some(&id) && invoice.is_retried();
            let others: Vec<Id<Invoice>> =
                books.all::<Invoice>().filter(of_it).map(|invoice| invoice.id.clone()).collect();
            for other in others {
                stop_trying(books, &other, action, at)?;
            }
        }
    }
    Ok(())
}

fn stop_trying(books: &mut Books, id: &Id<Invoice>, action: FinalAction, at: &mut Moment) -> Result<(), Refusal> {
    let mut invoice = books.find(id, "invoice")?.clone();
    invoice.next_payment_attempt = None;
    invoice.internal.given_up = Some(action);
    if invoice.collection_method == CollectionMethod::ChargeAutomatically {
        invoice.internal.agenda = None;
    }
    books.put(invoice).tell("invoice.updated", at);
    Ok(())
}

/// Whether the new invoices of a subscription are collected by themselves: not while collection is paused,
/// and not while it is unpaid, unless its invoices are sent and the settings say so.
pub fn collects(books: &Books, subscription: &Subscription) -> bool {
    let sent = subscription.collection_method == CollectionMethod::SendInvoice;
    let manual = &books.settings(subscription.livemode).collection.manual_collection;
    let open = sent && manual.later_invoices == LaterInvoices::Open;
    subscription.pause_collection.is_none() && (subscription.status != Status::Unpaid || open)
}
