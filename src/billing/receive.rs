//! Money that comes for an invoice: through its own payment intent, or through one attached to it.

use super::{
    Amount, Books, Id, Moment, Refusal,
    balance::{self, Entry},
    balance_transaction::Kind,
    cancel::{busy, cancel_intent},
    collect::intent_of,
    contest,
    customer::Customer,
    follow,
    invoice::{Invoice, Status as InvoiceStatus},
    invoice_payment::{InvoicePayment, Status, StatusTransitions},
    payment_intent::{CancellationReason, PaymentIntent, Status as IntentStatus},
};

/// An intent has brought money for an invoice. What is left must still be paid; what is too much
/// becomes credit of the customer. `automatic` says whether the plan has brought it.
pub fn receive(
    books: &mut Books,
    id: &Id<Invoice>,
    intent: &PaymentIntent,
    automatic: bool,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let mut invoice = books.find(id, "invoice")?.clone();
    // Money of another currency pays nothing here, whatever the numbers are.
    if matches!(invoice.status, InvoiceStatus::Draft | InvoiceStatus::Void) || intent.currency != invoice.currency {
        return Ok(());
    }
    let was_paid = invoice.status == InvoiceStatus::Paid;
    let own = intent.internal.invoice.is_some();
    if own {
        // It was asked for; what is attached may have been paid before.
        invoice = invoice.count_attempt(automatic);
    }
    let (invoice, excess) = invoice.receive(intent.amount_received, at.now)?;
    let settled = !was_paid && invoice.status == InvoiceStatus::Paid;
    books.put(invoice).tell("invoice.updated", at);
    if settled {
        for kind in ["invoice.paid", "invoice.payment_succeeded"] {
            books.tell(id, kind, at);
        }
    }
    if !excess.is_zero() {
        books.tell(id, "invoice.overpaid", at);
        give_credit(books, id, excess, at)?;
    }
    record(books, id, intent, at);
    if !own {
        follow_remaining(books, id, at)?;
    }
    if settled { follow::settled(books, id, intent.payment_method.as_ref(), at) } else { Ok(()) }
}

fn give_credit(books: &mut Books, id: &Id<Invoice>, amount: Amount, at: &mut Moment) -> Result<(), Refusal> {
    // One that is deleted has no balance any longer.
    let Some(customer) = books.all::<Customer>().next().map(|customer| customer.id.clone()) else { return Ok(()) };
    balance::change(books, amount.negated()?, Entry::about(Kind::InvoiceOverpaid, id), at)?;
    books.tell(&customer, "customer.updated", at);
    Ok(())
}

/// The joint between the invoice and the intent shows what came.
fn record(books: &mut Books, id: &Id<Invoice>, intent: &PaymentIntent, at: &mut Moment) {
    let joint = books
        .all::<InvoicePayment>()
        .find(|payment| payment.invoice == *id && payment.payment.payment_intent == intent.id)
        .cloned();
    if let Some(payment) = joint {
        books
            .put(InvoicePayment {
                amount_paid: Some(intent.amount_received),
                status: Status::Paid,
                status_transitions: StatusTransitions { paid_at: Some(at.now), ..payment.status_transitions },
                ..payment
            })
            .tell("invoice_payment.paid", at);
    }
}

/// Keeps an invoice's own intent in step with what remains; when nothing does, it is not needed.
pub fn follow_remaining(books: &mut Books, id: &Id<Invoice>, at: &mut Moment) -> Result<(), Refusal> {
    let remaining = books.find(id, "invoice")?.amount_remaining;
    let Some(intent) = intent_of(books, id).filter(|intent| !intent.status.is_terminal()).cloned() else {
        return Ok(());
    };
    // Its answer is on the way: it may bring too much, which then becomes credit.
    if intent.is_under_way() {
        return Ok(());
    }
    if remaining.is_zero() {
        // What else is attached may still bring money, and then shows it: too much becomes credit.
        let id = intent.id.clone();
        cancel_intent(books, intent, CancellationReason::Automatic, at, |_, _| Ok(()))?;
        forget(books, &id, at);
    } else if intent.amount != remaining {
        let intent = PaymentIntent { amount: remaining, ..intent };
        books.put(intent.clone());
        request(books, &intent);
    }
    Ok(())
}

/// The joint between an invoice and an intent that has yet to pay it shows what is asked for.
pub fn request(books: &mut Books, intent: &PaymentIntent) {
    let asks = |payment: &&InvoicePayment| {
        payment.status == Status::Open
            && payment.payment.payment_intent == intent.id
            && payment.amount_requested != intent.amount
    };
    let joint = books.all::<InvoicePayment>().find(asks).cloned();
    if let Some(payment) = joint {
        books.put(InvoicePayment { amount_requested: intent.amount, ..payment });
    }
}

/// Attaches a payment intent to an open invoice: what it has brought, or will bring, pays a part.
pub fn attach(books: &mut Books, id: &Id<Invoice>, intent: &Id<PaymentIntent>, at: &mut Moment) -> Result<(), Refusal> {
    let invoice = books.at_path(id)?.clone();
    if invoice.status != InvoiceStatus::Open {
        return Err(Invoice::not_open());
    }
    if intent_of(books, id).is_some_and(|own| own.internal.attempt.is_some()) {
        return Err(busy());
    }
    let intent = books.find_shown(intent, "payment_intent")?.clone();
    check_attachable(&invoice, &intent)?;
    check_kept(books, &intent)?;
    let intent = PaymentIntent {
        internal: super::payment_intent::Internal { attached_to: Some(id.clone()), ..intent.internal },
        ..intent
    };
    books.put(intent.clone());
    books.put(InvoicePayment::new(&invoice, &intent, at));
    if intent.status == IntentStatus::Succeeded { receive(books, id, &intent, false, at) } else { Ok(()) }
}

/// An intent was canceled: its invoice expects nothing from it any longer.
pub fn forget(books: &mut Books, intent: &Id<PaymentIntent>, at: &Moment) {
    let joint = books
        .all::<InvoicePayment>()
        .find(|payment| payment.status == Status::Open && payment.payment.payment_intent == *intent)
        .cloned();
    if let Some(payment) = joint {
        books.put(payment.cancel(at.now));
    }
}

fn check_attachable(invoice: &Invoice, intent: &PaymentIntent) -> Result<(), Refusal> {
    let refuse = |message: String| Err(Refusal::invalid(message).param("payment_intent"));
    if intent.customer.as_ref() != Some(&invoice.customer) {
        return refuse(format!("The PaymentIntent {} does not belong to the customer of the invoice.", intent.id));
    }
    if intent.currency != invoice.currency {
        return refuse(format!("The PaymentIntent {} is not in the currency of the invoice.", intent.id));
    }
    if intent.internal.invoice.is_some() || intent.internal.attached_to.is_some() {
        return refuse(format!("The PaymentIntent {} pays an invoice already.", intent.id));
    }
    if intent.status == IntentStatus::Canceled {
        return refuse(format!("The PaymentIntent {} is canceled.", intent.id));
    }
    Ok(())
}

/// Money that was given back, or is about to be, pays nothing.
fn check_kept(books: &Books, intent: &PaymentIntent) -> Result<(), Refusal> {
    if intent.internal.attempt.as_ref().is_some_and(|attempt| attempt.refund.is_some()) {
        return Err(busy());
    }
    let Some(charge) = intent.latest_charge.as_ref().and_then(|id| books.get(id)) else { return Ok(()) };
    if contest::is_charged_back(books, charge) {
        let message = format!("The payment of the PaymentIntent {} was charged back.", intent.id);
        return Err(Refusal::invalid(message).param("payment_intent"));
    }
    // What was let go of when only a part was captured had never come.
    if charge.amount.minus(charge.amount_refunded)? < intent.amount_received {
        let message = format!("The payment of the PaymentIntent {} was refunded, in whole or in part.", intent.id);
        return Err(Refusal::invalid(message).param("payment_intent"));
    }
    Ok(())
}
