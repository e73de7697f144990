//! Revising an invoice: a draft that says what it said, to be changed. Once the draft is finalised it takes the
//! place of the invoice, which is void from then on.

use serde::{Deserialize, Serialize};

use super::{
    Amount, Books, Id, Moment, Refusal,
    bill::{self, Bill, due_after_balance, line},
    cancel,
    draft::Details,
    hold,
    invoice::{BillingReason, Invoice, Status},
    invoice_item::{Internal, InvoiceItem},
    invoice_line::{self, Line},
    pending_update,
    period::Period,
    subscription::{Status as SubscriptionStatus, Subscription},
};
use crate::words;

/// What an invoice was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FromInvoice {
    pub action: Relation,
    pub invoice: Id<Invoice>,
}

words!(Relation { Revision = "revision" });

/// Makes a draft that says what the invoice says, but for what the details say otherwise.
pub fn revise(books: &mut Books, from: FromInvoice, details: Details, at: &mut Moment) -> Result<Id<Invoice>, Refusal> {
    let original = books.find(&from.invoice, PARAM)?.clone();
    check_revisable(books, &original)?;
    let customer = books.customer()?.clone();
    let subscription = original.subscription().and_then(|id| books.get(id)).cloned();
    let bill = Bill {
        reason: BillingReason::Manual,
        subscription: subscription.as_ref(),
        spans: Vec::new(),
        period: Period { start: original.period_start, end: original.period_end },
        cycle: None,
        auto_advance: false,
        currency: original.currency,
        include_pending_items: false,
    };
    let id = bill::next_id(books, &bill, &customer, at);
    let (lines, items) = copied(books, &original, &id, at);
    let settings = &books.settings(customer.livemode).invoice;
    let blank = bill::blank(id.clone(), &customer, &bill, lines, settings, at)?;
    let starting_balance = customer.balance.minus(taken(&original)?)?;
    let due = due_after_balance(blank.total, starting_balance)?.due;
    let days = |until: super::Timestamp| until.unix_seconds() - original.created.unix_seconds();
    let draft = Invoice {
        amount_due: due,
        amount_remaining: due,
        collection_method: original.collection_method,
        custom_fields: original.custom_fields,
        default_payment_method: original.default_payment_method,
        description: original.description,
        due_date: original.due_date.map(|until| at.now.plus_seconds(days(until))),
        footer: original.footer,
        from_invoice: Some(from),
        metadata: original.metadata,
        parent: original.parent,
        payment_settings: original.payment_settings,
        starting_balance,
        statement_descriptor: original.statement_descriptor,
        ..blank
    };
    let draft = details.apply(books, draft, at.now)?;
    hold::announce(books, draft, at);
    for item in items {
        books.put(item).tell("invoiceitem.created", at);
    }
    Ok(id)
}

const PARAM: &str = "from_invoice[invoice]";

/// What is owed can be revised, as long as nothing has come for it and nothing else hangs on it.
fn check_revisable(books: &Books, original: &Invoice) -> Result<(), Refusal> {
    let refuse = |message: String| Err(Refusal::invalid(message).param(PARAM));
    if original.status != Status::Open {
        return refuse(format!(
            "Only an open invoice can be revised. This invoice has a status of {}.",
            original.status
        ));
    }
    if !original.amount_paid.is_zero() || !original.pre_payment_credit_notes_amount.is_zero() {
        return refuse("An invoice that was paid or credited in part cannot be revised.".to_owned());
    }
    let revises = |other: &Invoice| other.status == Status::Draft && revised_by(other) == Some(&original.id);
    if books.all::<Invoice>().any(revises) {
        return refuse("This invoice has a draft revision already. Change, finalize or delete that.".to_owned());
    }
    let decides = |subscription: &Subscription| {
        matches!(subscription.status, SubscriptionStatus::Incomplete | SubscriptionStatus::Paused)
            || pending_update::is_of(subscription, &original.id)
    };
    if original.subscription().and_then(|id| books.get(id)).is_some_and(decides) {
        return refuse("What becomes of the subscription depends on this invoice: it cannot be revised.".to_owned());
    }
    Ok(())
}

fn revised_by(revision: &Invoice) -> Option<&Id<Invoice>> {
    revision.from_invoice.as_ref().map(|from| &from.invoice)
}

/// What an invoice took from the balance (or gave to it, below zero).
fn taken(invoice: &Invoice) -> Result<Amount, Refusal> {
    let ending = invoice.ending_balance.unwrap_or(invoice.starting_balance);
    Ok(ending.minus(invoice.starting_balance)?)
}

/// The balance that a draft begins with: a revision has at hand what the invoice before it took.
pub fn starting_balance(books: &Books, draft: &Invoice) -> Result<Amount, Refusal> {
    let balance = books.customer()?.balance;
    match revised_by(draft).and_then(|id| books.get(id)).filter(|original| original.status == Status::Open) {
        Some(original) => Ok(balance.minus(taken(original)?)?),
        None => Ok(balance),
    }
}

/// The lines for a revision. What bills an invoice item bills a copy of it.
fn copied(books: &Books, original: &Invoice, id: &Id<Invoice>, at: &mut Moment) -> (Vec<Line>, Vec<InvoiceItem>) {
    let mut items = Vec::new();
    let mut lines = Vec::with_capacity(original.lines.data.len());
    for said in &original.lines.data {
        let Some(item) = said.invoice_item().and_then(|item| books.get(item)).cloned() else {
            let id_of_line = Id::given(at.ids.next(invoice_line::NOUN.prefix, id.bucket()));
            lines.push(Line { id: id_of_line, invoice: id.clone(), ..said.clone() });
            continue;
        };
        let item = InvoiceItem {
            id: Id::new(&mut at.ids, id.bucket()),
            date: at.now,
            invoice: Some(id.clone()),
            internal: Internal { copied: true, ..Internal::default() },
            ..item
        };
        lines.push(line::of_invoice_item(&item, id, at));
        items.push(item);
    }
    (lines, items)
}

/// A revision is finalised: it takes the place of the invoice before it.
pub fn take_place(books: &mut Books, revision: &Invoice, at: &mut Moment) -> Result<(), Refusal> {
    let Some(id) = revised_by(revision) else { return Ok(()) };
    let gone = || Refusal::invalid("The invoice that this one revises is not open any more: it cannot take its place.");
    let original = books.get(id).filter(|original| original.status == Status::Open).cloned().ok_or_else(gone)?;
    let id = original.id.clone();
    books.put(Invoice { latest_revision: Some(revision.id.clone()), ..original });
    cancel::void_quietly(books, &id, at)?;
    let of_it = revision.subscription().and_then(|subscription| books.get(subscription));
    let latest = of_it.filter(|subscription| subscription.latest_invoice.as_ref() == Some(&id)).cloned();
    if let Some(subscription) = latest {
        let latest_invoice = Some(revision.id.clone());
        books.put(Subscription { latest_invoice, ..subscription }).tell("customer.subscription.updated", at);
    }
    Ok(())
}
