//! A subscription that was to exist only if its first payment succeeds, taken back as if it had never
//! been made. What stays is what has happened at the processor: the failed charge and its intent.

use super::{
    Books, Id, Moment, Refusal,
    announce::unannounced,
    answer::Answer,
    balance::{self, Entry},
    balance_transaction::{BalanceTransaction, Kind},
    customer::Customer,
    invoice::Invoice,
    invoice_item::InvoiceItem,
    invoice_payment::InvoicePayment,
    payment_intent::{CancellationReason, PaymentIntent, Status},
    subscription::Subscription,
};

/// Whether this answer leaves nothing of the subscription that the intent was to begin.
pub fn is_called_for(books: &Books, intent: &PaymentIntent, answer: &Answer) -> bool {
    matches!(answer, Answer::Declined(_) | Answer::NeedsAction)
        && unannounced(books, intent).is_some_and(|subscription| subscription.internal.only_if_paid)
}

/// Removes the subscription, its first invoice and what was made for it; gives back what they took. The
/// intent, now of no invoice, comes back to be settled like any other.
pub fn erase(books: &mut Books, intent: PaymentIntent, at: &mut Moment) -> Result<PaymentIntent, Refusal> {
    let Some(subscription) = unannounced(books, &intent).cloned() else { return Ok(intent) };
    let invoice = subscription.latest_invoice.as_ref().and_then(|id| books.get(id)).cloned();
    if let Some(invoice) = invoice {
        give_back(books, &subscription, &intent, &invoice, at)?;
        let payments: Vec<Id<InvoicePayment>> = books
            .all::<InvoicePayment>()
            .filter(|payment| payment.invoice == invoice.id)
            .map(|payment| payment.id.clone())
            .collect();
        payments.iter().for_each(|payment| books.remove(payment));
        books.remove(&invoice.id);
    }
    books.remove(&subscription.id);
    // The intent stays, and so does a price that was made for it.
    let stays = |kind: &str| ["payment_intent.", "price.", "plan."].iter().any(|about| kind.starts_with(about));
    let kept = subscription.internal.withheld.into_iter().filter(|told| stays(&told.kind)).collect();
    books.release(kept, at);
    let mut intent = intent;
    (intent.internal.invoice, intent.internal.invoice_items) = (None, Vec::new());
    intent.internal.balance_transaction = None;
    books.put(intent.clone());
    Ok(intent)
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
    books.put(Customer {
        currency: customer.currency.filter(|_| !subscription.internal.set_currency),
        next_invoice_sequence: customer.next_invoice_sequence.saturating_sub(i64::from(is_last)),
        ..customer
    });
    let items: Vec<InvoiceItem> =
        books.all::<InvoiceItem>().filter(|item| item.invoice.as_ref() == Some(&invoice.id)).cloned().collect();
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
