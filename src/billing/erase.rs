//! A subscription, or a change of one, that was to be only if it is paid, taken back as if it had never
//! been made. What stays is what has happened at the processor: the failed charge and its intent.

use super::{
    Books, Id, Moment, Refusal,
    announce::unannounced,
    answer::Answer,
    balance::{self, Entry},
    balance_transaction::{BalanceTransaction, Kind},
    books::Withheld,
    change,
    collect::intent_of,
    customer::Customer,
    invoice::Invoice,
    invoice_item::InvoiceItem,
    invoice_payment::InvoicePayment,
    lend,
    payment_intent::{CancellationReason, PaymentIntent, Status},
    pending_update::Held,
    subscription::Subscription,
};

/// Lets the intent of an invoice that may have to be taken back know what that has to give back: these
/// items, and what it took from the balance.
pub fn remember(books: &mut Books, invoice: &Id<Invoice>, items: Vec<Id<InvoiceItem>>) {
    let Some(mut intent) = intent_of(books, invoice).cloned() else { return };
    let applied = books.all::<BalanceTransaction>().find(|entry| entry.invoice.as_ref() == Some(invoice));
    intent.internal.balance_transaction = applied.map(|entry| entry.id.clone());
    intent.internal.invoice_items = items;
    books.put(intent);
}

/// Whether this answer leaves nothing of what the intent was to pay for.
pub fn is_called_for(books: &Books, intent: &PaymentIntent, answer: &Answer) -> bool {
    let only_if_paid = |subscription: &Subscription| subscription.internal.only_if_paid;
    // A session lets its customer authenticate.
    let failed = match answer {
        Answer::NeedsAction => intent.internal.checkout.is_none(),
        answer => matches!(answer, Answer::Declined(_)),
    };
    failed && (unannounced(books, intent).is_some_and(only_if_paid) || untold_change(books, intent).is_some())
}

/// The change that an intent is to pay for, as long as nobody has heard of it.
pub fn untold_change(books: &Books, intent: &PaymentIntent) -> Option<(Subscription, Box<Held>)> {
    change::holding(books, intent.internal.invoice.as_ref()?).filter(|(_, held)| !held.withheld.is_empty())
}

/// Takes back what the intent was to pay for, with its invoice and what was made for it; gives back what
/// they took. The intent, now of no invoice, comes back to be settled like any other.
pub fn erase(books: &mut Books, intent: PaymentIntent, at: &mut Moment) -> Result<PaymentIntent, Refusal> {
    let withheld = if let Some(begun) = unannounced(books, &intent).cloned() {
        take_invoice_back(books, &begun, &intent, at)?;
        books.remove(&begun.id);
        begun.internal.withheld
    } else if let Some((changed, held)) = untold_change(books, &intent) {
        take_invoice_back(books, &changed, &intent, at)?;
        if let Some(before) = held.before {
            change::restore(books, *before);
            books.tell(&changed.id, "customer.subscription.updated", at);
        }
        held.withheld
    } else {
        return Ok(intent);
    };
    // The intent stays, and so does a price that was made for it.
    let stays =
        |told: &Withheld| ["payment_intent.", "price.", "plan."].iter().any(|about| told.kind.starts_with(about));
    books.release(withheld.into_iter().filter(stays).collect(), at);
    let mut intent = intent;
    (intent.internal.invoice, intent.internal.invoice_items) = (None, Vec::new());
    intent.internal.balance_transaction = None;
    books.put(intent.clone());
    Ok(intent)
}

fn take_invoice_back(
    books: &mut Books,
    subscription: &Subscription,
    intent: &PaymentIntent,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let Some(invoice) = intent.internal.invoice.as_ref().and_then(|id| books.get(id)).cloned() else { return Ok(()) };
    give_back(books, subscription, intent, &invoice, at)?;
    let of_it = |payment: &&InvoicePayment| payment.invoice == invoice.id;
    let payments: Vec<Id<InvoicePayment>> = books.all().filter(of_it).map(|payment| payment.id.clone()).collect();
    payments.iter().for_each(|payment| books.remove(payment));
    books.remove(&invoice.id);
    Ok(())
}

/// The customer's balance, currency and numbers are as before, and so are the items that waited.
fn give_back(
    books: &mut Books,
    subscription: &Subscription,
    intent: &PaymentIntent,
    invoice: &Invoice,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let applied = intent.internal.balance_transaction.as_ref().and_then(|id| books.get(id)).cloned();
    if let Some(entry) = applied {
        take_back(books, &entry, at)?;
    }
    let customer = books.customer()?.clone();
    // A number that another invoice has followed since cannot be taken back.
    let last = format!("{}-{:04}", customer.invoice_prefix, customer.next_invoice_sequence.saturating_sub(1));
    let is_last = invoice.number.as_deref() == Some(&last);
    let brought_currency = subscription.internal.unannounced && subscription.internal.set_currency;
    books.put(Customer {
        currency: customer.currency.filter(|_| !brought_currency),
        next_invoice_sequence: customer.next_invoice_sequence.saturating_sub(i64::from(is_last)),
        ..customer
    });
    lend::take_back(books, &invoice.id);
    let made = |item: &&InvoiceItem| {
        item.invoice.as_ref() == Some(&invoice.id) || intent.internal.invoice_items.contains(&item.id)
    };
    let items: Vec<InvoiceItem> = books.all::<InvoiceItem>().filter(made).cloned().collect();
    for item in items {
        if item.subscription() == Some(&subscription.id) {
            books.remove(&item.id);
        } else {
            books.put(InvoiceItem { invoice: None, ..item });
        }
    }
    Ok(())
}

/// An entry in the history of the balance disappears, unless others have built upon it since.
fn take_back(books: &mut Books, entry: &BalanceTransaction, at: &mut Moment) -> Result<(), Refusal> {
    let customer = books.customer()?.clone();
    if customer.balance == entry.ending_balance {
        books.put(Customer { balance: customer.balance.minus(entry.amount)?, ..customer });
        books.remove(&entry.id);
        return Ok(());
    }
    balance::change(books, entry.amount.negated()?, Entry::of(Kind::UnappliedFromInvoice), at)?;
    books.tell(&customer.id, "customer.updated", at);
    Ok(())
}

/// Nobody may pay any more for what does not exist.
pub fn close_intent(books: &mut Books, id: &Id<PaymentIntent>, at: &mut Moment) -> Result<(), Refusal> {
    let intent = books.find(id, "payment_intent")?.clone();
    if intent.status != Status::Canceled {
        let reason = Some(CancellationReason::FailedInvoice);
        books.put(intent.cancel(reason, at.now)?).tell("payment_intent.canceled", at);
    }
    Ok(())
}
