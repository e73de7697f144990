//! The invoice that comes next, worked out by the rules that will make it, on books that are never
//! closed.

use std::collections::BTreeSet;

use super::{
    Books, Id, Moment, Refusal, Resource as _, Timestamp, advance, bill,
    change::{self, Change},
    end_date,
    invoice::{Internal, Invoice, Status, StatusTransitions},
    subscribe::{self, NewSubscription},
    subscription::Subscription,
};
use crate::words;

words!(
    /// What is looked at.
    Mode {
        /// The invoice that comes next, with all that waits for it.
        Next = "next",
        /// What every period costs: without prorations and one-off items.
        Recurring = "recurring",
    }
);

/// What is asked: a subscription there is, with or without a change.
#[derive(Clone, Debug)]
pub struct Ahead {
    pub subscription: Id<Subscription>,
    pub change: Option<Change>,
    pub cancel_at_period_end: Option<bool>,
    pub mode: Mode,
}

/// More steps than lie between two invoices.
const MAXIMUM_STEPS: usize = 50;

/// The next invoice of a subscription, as the draft that it will be: that of the change itself, when
/// it has one, and otherwise that of the next period.
pub fn ahead(books: &mut Books, wanted: &Ahead, at: &mut Moment) -> Result<Id<Invoice>, Refusal> {
    let id = &wanted.subscription;
    change::open(books, id, at)?;
    if let Some(change) = &wanted.change {
        let plan = change::plan(books, id, change, at)?;
        if let Some(invoice) = plan.invoice.clone().filter(|_| wanted.mode == Mode::Next) {
            return Ok(invoice);
        }
        change::become_so(books, id, plan.becomes, plan.invoice)?;
    }
    if let Some(at_end) = wanted.cancel_at_period_end {
        end_date::at_period_end(books, id, at_end, at)?;
    }
    let invoice = next_draft(books, id, at)?;
    match wanted.mode {
        Mode::Next => Ok(invoice),
        Mode::Recurring => only_recurring(books, &invoice, at).map(|()| invoice),
    }
}

/// Lives on until the subscription makes an invoice, or ends without one.
fn next_draft(books: &mut Books, id: &Id<Subscription>, at: &mut Moment) -> Result<Id<Invoice>, Refusal> {
    let known: BTreeSet<Id<Invoice>> = books.all::<Invoice>().map(|invoice| invoice.id.clone()).collect();
    for _ in 0..MAXIMUM_STEPS {
        let Some(due) = books.get(id).and_then(Subscription::due) else { break };
        at.now = at.now.max(due);
        advance::subscription_due(books, id, at)?;
        let new = |invoice: &&Invoice| !known.contains(&invoice.id) && invoice.subscription() == Some(id);
        if let Some(invoice) = books.all::<Invoice>().find(new) {
            return Ok(invoice.id.clone());
        }
    }
    Err(none(id.as_str()))
}

/// There is nothing to be billed.
fn none(id: &str) -> Refusal {
    Refusal::invalid(format!("No upcoming invoices for subscription: {id}")).code("invoice_upcoming_none").status(404)
}

fn only_recurring(books: &mut Books, id: &Id<Invoice>, at: &mut Moment) -> Result<(), Refusal> {
    let mut invoice = books.find(id, "invoice")?.clone();
    invoice.lines.data.retain(|line| line.invoice_item().is_none());
    bill::keep_draft(books, invoice, at)
}

/// The first invoice of a subscription that is not there yet, as the draft that it would be for a
/// moment.
pub fn beginning(books: &mut Books, wanted: &NewSubscription, at: &mut Moment) -> Result<Id<Invoice>, Refusal> {
    let now = at.now;
    let customer = books.find(&wanted.customer, "customer")?.clone();
    let id = subscribe::subscribe(books, wanted, at)?;
    let Some(first) = books.find(&id, "subscription")?.latest_invoice.clone() else {
        return next_draft(books, &id, at);
    };
    let invoice = books.find(&first, "invoice")?.clone();
    // As it was before it was finalised: so is the balance that it is reckoned with.
    books.put(customer);
    bill::keep_draft(books, unfinalized(invoice, now), at)?;
    Ok(first)
}

fn unfinalized(invoice: Invoice, now: Timestamp) -> Invoice {
    Invoice {
        amount_paid: super::Amount::ZERO,
        amount_remaining: invoice.amount_due,
        attempted: false,
        attempt_count: 0,
        effective_at: None,
        ending_balance: None,
        next_payment_attempt: Some(now),
        number: None,
        status: Status::Draft,
        status_transitions: StatusTransitions::default(),
        internal: Internal::default(),
        ..invoice
    }
}
