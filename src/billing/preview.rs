//! The invoice that comes next, worked out by the rules that will make it, on books that are never
//! closed.

use std::collections::BTreeSet;

use super::{
    Books, Currency, Id, Moment, Refusal, Resource as _, Timestamp, advance,
    bill::{self, Bill},
    cancel::{self, LastInvoice},
    change::{self, Change},
    customer::Customer,
    end_date,
    invoice::{BillingReason, Internal, Invoice, Status, StatusTransitions},
    invoice_item::InvoiceItem,
    invoice_line::Line,
    itemize::{self, Edit, NewItem},
    migrate,
    pause::{self, Pausing},
    period::Period,
    resume::{self, Resumption},
    schedule::{self, NewSchedule, Update},
    subscribe::{self, NewSubscription},
    subscription::{BillingMode, Subscription},
    subscription_schedule::{Status as Scheduled, SubscriptionSchedule},
    transition, trial,
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

/// What is asked: a subscription there is, with or without something done to it.
#[derive(Clone, Debug)]
pub struct Ahead {
    pub subscription: Id<Subscription>,
    pub billing_mode: Option<BillingMode>,
    pub cancel_at_period_end: Option<bool>,
    pub change: Option<Change>,
    /// What ends its cycle now, or begins it again.
    pub turn: Option<Turn>,
    pub items: Vec<PreviewItem>,
    pub mode: Mode,
}

/// Something done at once that has an invoice of its own.
#[derive(Clone, Copy, Debug)]
pub enum Turn {
    /// With what is unused given back, or not.
    Cancel {
        prorate: bool,
    },
    Pause(Pausing),
    Resume(Resumption),
}

/// An invoice item that is there for the preview only: a new one, or one that waits already, changed.
#[derive(Clone, Debug)]
pub struct PreviewItem {
    pub id: Option<Id<InvoiceItem>>,
    pub edit: Edit,
}

impl Ahead {
    /// Nothing but what comes next.
    pub fn of(subscription: Id<Subscription>) -> Ahead {
        Ahead {
            subscription,
            billing_mode: None,
            cancel_at_period_end: None,
            change: None,
            turn: None,
            items: Vec::new(),
            mode: Mode::Next,
        }
    }
}

/// More steps than lie between two invoices.
const MAXIMUM_STEPS: usize = 500;
const MAXIMUM_ITEMS: usize = 250;

/// The next invoice of a subscription, as the draft that it will be: that of what is done to it, when
/// that has one, and otherwise that of the next period.
pub fn ahead(books: &mut Books, wanted: &Ahead, at: &mut Moment) -> Result<Id<Invoice>, Refusal> {
    let id = &wanted.subscription;
    if change::open(books, id, at)?.status.is_terminal() {
        return Err(none("subscription", id.as_str()));
    }
    if let Some(mode) = &wanted.billing_mode {
        migrate::migrate(books, id, mode.clone(), at)?;
    }
    let items = wait(books, &wanted.items, at)?;
    let (now, said) = (at.now, wanted.change.as_ref().and_then(|change| change.proration_date));
    let invoice = match wanted.turn {
        Some(turn) => of_turn(books, id, turn, at)?,
        None => of_change_or_next(books, wanted, at)?,
    };
    if wanted.turn.is_some() || wanted.change.is_some() {
        date_prorations(books, &invoice, said.unwrap_or(now))?;
    }
    if wanted.mode == Mode::Next {
        include(books, &invoice, &items, at)?;
    }
    Ok(invoice)
}

/// Says from when the prorations of a preview are reckoned, so that they can be asked for again as they are.
fn date_prorations(books: &mut Books, id: &Id<Invoice>, time: Timestamp) -> Result<(), Refusal> {
    let mut invoice = books.find(id, "invoice")?.clone();
    let prorates = invoice.lines.data.iter().any(Line::is_proration);
    if let Some(details) = invoice.parent.as_mut().and_then(|parent| parent.subscription_details.as_mut()) {
        details.subscription_proration_date = prorates.then_some(time);
    }
    books.put(invoice);
    Ok(())
}

fn of_change_or_next(books: &mut Books, wanted: &Ahead, at: &mut Moment) -> Result<Id<Invoice>, Refusal> {
    let id = &wanted.subscription;
    if let Some(at_end) = wanted.cancel_at_period_end {
        end_date::at_period_end(books, id, at_end, at)?;
    }
    if let Some(change) = &wanted.change {
        if trial::is_stopped_by(books, id, change)? {
            return Err(none("subscription", id.as_str()));
        }
        let plan = change::plan(books, id, change, at)?;
        if let Some(invoice) = plan.invoice.clone().filter(|_| wanted.mode == Mode::Next) {
            return Ok(invoice);
        }
        change::become_so(books, id, plan.becomes, plan.invoice, at)?;
    }
    let invoice = next_draft(books, id, at)?;
    match wanted.mode {
        Mode::Next => Ok(invoice),
        Mode::Recurring => only_recurring(books, &invoice, at).map(|()| invoice),
    }
}

/// The subscription of a customer whose period ends first, of those that go on.
pub fn first_to_be_billed(books: &Books, customer: &Id<Customer>) -> Result<Id<Subscription>, Refusal> {
    let goes_on = |subscription: &&Subscription| {
        subscription.customer == *customer && !subscription.status.is_terminal() && !subscription.cancel_at_period_end
    };
    let ends = |subscription: &&Subscription| subscription.items.data.iter().map(|item| item.current_period_end).min();
    let first = books.all::<Subscription>().filter(goes_on).min_by_key(ends);
    first.map(|subscription| subscription.id.clone()).ok_or_else(|| none("customer", customer.as_str()))
}

/// The invoice that comes at once with a turn, as the draft that it is for a moment.
fn of_turn(books: &mut Books, id: &Id<Subscription>, turn: Turn, at: &mut Moment) -> Result<Id<Invoice>, Refusal> {
    let known = known(books);
    let (now, customer) = (at.now, books.customer()?.clone());
    match turn {
        Turn::Cancel { prorate: true } => cancel::end_with_credit(books, id, true, at)?,
        Turn::Cancel { prorate: false } => cancel::end_with_invoice(books, id, LastInvoice::Now, at)?,
        Turn::Pause(pausing) => pause::pause(books, id, pausing, at)?,
        Turn::Resume(resumption) => resume::resume(books, id, resumption, at)?,
    }
    let invoice = first_new(books, id, &known).ok_or_else(|| none("subscription", id.as_str()))?;
    undo_finalization(books, &invoice, customer, now, at)?;
    Ok(invoice)
}

/// Items for the preview wait, as others do.
fn wait(books: &mut Books, items: &[PreviewItem], at: &mut Moment) -> Result<Vec<Id<InvoiceItem>>, Refusal> {
    if items.len() > MAXIMUM_ITEMS {
        let message = format!("Array invoice_items exceeded maximum {MAXIMUM_ITEMS} allowed elements.");
        return Err(Refusal::invalid(message).param("invoice_items"));
    }
    let customer = books.customer()?.id.clone();
    let mut waiting = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let within = |refusal: Refusal| {
            // A preview names the price of an item directly.
            let inner = refusal.param.as_deref().map(|inner| if inner == "pricing[price]" { "price" } else { inner });
            let param = inner.map(|inner| format!("invoice_items[{index}][{inner}]"));
            Refusal { param, ..refusal }
        };
        let edit = item.edit.clone();
        waiting.push(match &item.id {
            Some(id) => {
                books.find(id, "invoiceitem").map_err(within)?;
                itemize::change(books, id, edit, at).map_err(within)?;
                id.clone()
            }
            None => {
                let new = NewItem { customer: customer.clone(), edit, invoice: None, subscription: None };
                itemize::make(books, new, at).map_err(within)?
            }
        });
    }
    Ok(waiting)
}

/// What was given for the preview is on its invoice, also where that leaves other items waiting.
fn include(
    books: &mut Books,
    invoice: &Id<Invoice>,
    items: &[Id<InvoiceItem>],
    at: &mut Moment,
) -> Result<(), Refusal> {
    for id in items {
        let item = books.find(id, "invoiceitem")?.clone();
        if item.invoice.is_none() {
            bill::add_to_draft(books, invoice, &item, at)?;
            books.put(InvoiceItem { invoice: Some(invoice.clone()), ..item });
        }
    }
    Ok(())
}

fn known(books: &Books) -> BTreeSet<Id<Invoice>> {
    books.all::<Invoice>().map(|invoice| invoice.id.clone()).collect()
}

/// The first invoice of a subscription that was not known.
fn first_new(books: &Books, id: &Id<Subscription>, known: &BTreeSet<Id<Invoice>>) -> Option<Id<Invoice>> {
    let new = |invoice: &&Invoice| !known.contains(&invoice.id) && invoice.subscription() == Some(id);
    books.all::<Invoice>().find(new).map(|invoice| invoice.id.clone())
}

/// Lives on until the subscription makes an invoice, or ends without one.
fn next_draft(books: &mut Books, id: &Id<Subscription>, at: &mut Moment) -> Result<Id<Invoice>, Refusal> {
    let known = known(books);
    for _ in 0..MAXIMUM_STEPS {
        let Some((due, next)) = advance::next_of(books, id) else { break };
        at.now = at.now.max(due);
        advance::come_round(books, &next, at)?;
        if let Some(invoice) = first_new(books, id, &known) {
            return Ok(invoice);
        }
    }
    Err(none("subscription", id.as_str()))
}

/// There is nothing to be billed.
fn none(whose: &str, id: &str) -> Refusal {
    Refusal::invalid(format!("No upcoming invoices for {whose}: {id}")).code("invoice_upcoming_none").status(404)
}

fn only_recurring(books: &mut Books, id: &Id<Invoice>, at: &mut Moment) -> Result<(), Refusal> {
    let mut invoice = books.find(id, "invoice")?.clone();
    invoice.lines.data.retain(|line| line.invoice_item().is_none());
    bill::keep_draft(books, invoice, at)
}

/// The first invoice of a subscription that is not there yet, as the draft that it would be for a
/// moment. It may begin later than now.
pub fn beginning(
    books: &mut Books,
    wanted: &NewSubscription,
    begins: Option<Timestamp>,
    items: &[PreviewItem],
    at: &mut Moment,
) -> Result<Id<Invoice>, Refusal> {
    at.now = begins.map_or(at.now, |begins| begins.max(at.now));
    let now = at.now;
    let customer = books.find(&wanted.customer, "customer")?.clone();
    let items = wait(books, items, at)?;
    let id = subscribe::subscribe(books, wanted, at)?;
    let invoice = match books.find(&id, "subscription")?.latest_invoice.clone() {
        Some(first) => {
            undo_finalization(books, &first, customer, now, at)?;
            first
        }
        None => next_draft(books, &id, at)?,
    };
    include(books, &invoice, &items, at)?;
    Ok(invoice)
}

/// The next invoice of a schedule, and of the subscription that it makes: as it is, or after a change of it.
pub fn of_schedule(
    books: &mut Books,
    id: &Id<SubscriptionSchedule>,
    update: Option<Update>,
    (items, mode): (&[PreviewItem], Mode),
    at: &mut Moment,
) -> Result<Id<Invoice>, Refusal> {
    let since = (known(books), at.now, books.customer()?.clone());
    let items = wait(books, items, at)?;
    if let Some(update) = update {
        schedule::update(books, id, update, at)?;
    }
    first_of_schedule(books, id, since, (&items, mode), at)
}

/// The first invoice of a schedule that is not there yet.
pub fn of_new_schedule(
    books: &mut Books,
    wanted: NewSchedule,
    (items, mode): (&[PreviewItem], Mode),
    at: &mut Moment,
) -> Result<Id<Invoice>, Refusal> {
    let since = (known(books), at.now, books.customer()?.clone());
    let items = wait(books, items, at)?;
    let id = schedule::create(books, wanted, at)?;
    first_of_schedule(books, &id, since, (&items, mode), at)
}

/// The first invoice that was not known when the preview began, or else the next.
fn first_of_schedule(
    books: &mut Books,
    id: &Id<SubscriptionSchedule>,
    (known, now, customer): (BTreeSet<Id<Invoice>>, Timestamp, Customer),
    (items, mode): (&[Id<InvoiceItem>], Mode),
    at: &mut Moment,
) -> Result<Id<Invoice>, Refusal> {
    let waiting = books.find(id, "schedule")?;
    if waiting.status == Scheduled::NotStarted {
        at.now = waiting.due().map_or(at.now, |begins| begins.max(at.now));
        transition::come_round(books, id, at)?;
    }
    let subscription = books.find(id, "schedule")?.subscription.clone();
    let subscription =
        subscription.filter(|one| books.get(one).is_some()).ok_or_else(|| none("schedule", id.as_str()))?;
    let invoice = match first_new(books, &subscription, &known) {
        Some(first) if mode == Mode::Next => first,
        _ => next_draft(books, &subscription, at)?,
    };
    // That of a trial has been paid already.
    if books.find(&invoice, "invoice")?.status != Status::Draft {
        undo_finalization(books, &invoice, customer, now, at)?;
    }
    match mode {
        Mode::Next => include(books, &invoice, items, at)?,
        Mode::Recurring => only_recurring(books, &invoice, at)?,
    }
    Ok(invoice)
}

/// An invoice of nothing but items, with those that wait.
pub fn of_items(
    books: &mut Books,
    currency: Option<Currency>,
    items: &[PreviewItem],
    at: &mut Moment,
) -> Result<Id<Invoice>, Refusal> {
    let items = wait(books, items, at)?;
    let first = items.first().and_then(|id| books.get(id)).map(|item| item.currency);
    let bill = Bill {
        reason: BillingReason::Manual,
        subscription: None,
        spans: Vec::new(),
        period: Period { start: at.now, end: at.now },
        cycle: None,
        auto_advance: false,
        currency: currency.or(first).ok_or_else(|| Refusal::missing("currency"))?,
        include_pending_items: true,
    };
    let invoice = bill::draft(books, &bill, at)?;
    include(books, &invoice, &items, at)?;
    Ok(invoice)
}

/// As it was before it was finalised: so is the balance that it is reckoned with.
fn undo_finalization(
    books: &mut Books,
    id: &Id<Invoice>,
    customer: Customer,
    now: Timestamp,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let invoice = books.find(id, "invoice")?.clone();
    books.put(customer);
    bill::keep_draft(books, unfinalized(invoice, now), at)
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
