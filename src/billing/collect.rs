//! Asking for the money of an open invoice.

use super::{
    Books, Id, Moment, Refusal,
    confirm::check_unspent,
    customer::Customer,
    finalize,
    invoice::{Invoice, Status},
    invoice_payment::InvoicePayment,
    payment_intent::{Asker, PaymentIntent, Status as IntentStatus},
    payment_method::PaymentMethod,
    remind, send, settle,
    subscribe::check_payment_method,
    subscription::{CollectionMethod, Subscription},
};

/// Who asks, and with what.
pub struct Collection {
    /// Asked for by the billing cycle, not by a caller.
    pub automatic: bool,
    pub off_session: bool,
    /// Instead of the one that would be resolved.
    pub payment_method: Option<Id<PaymentMethod>>,
}

/// The payment method an invoice is charged to; the first level that names one wins, and there is no
/// falling through to the next level when that one fails (which payment method is used).
pub fn resolve_payment_method<'a>(books: &'a Books, invoice: &'a Invoice) -> Option<&'a PaymentMethod> {
    let subscription = invoice.subscription().and_then(|id| books.get(id));
    let named = invoice.default_payment_method.as_ref().or(invoice.default_source.as_ref());
    attached(books, named.or_else(|| subscription.and_then(named_by)), &invoice.customer)
}

/// The one that the next invoice of a subscription will be charged to.
pub fn resolve_for_subscription<'a>(books: &'a Books, subscription: &'a Subscription) -> Option<&'a PaymentMethod> {
    attached(books, named_by(subscription), &subscription.customer)
}

fn named_by(subscription: &Subscription) -> Option<&Id<PaymentMethod>> {
    subscription.default_payment_method.as_ref().or(subscription.default_source.as_ref())
}

/// The one that is named, or else the customer's default; whichever it is must be attached.
fn attached<'a>(
    books: &'a Books,
    named: Option<&'a Id<PaymentMethod>>,
    owner: &Id<Customer>,
) -> Option<&'a PaymentMethod> {
    let default = |customer: &'a Customer| {
        customer.invoice_settings.default_payment_method.as_ref().or(customer.default_source.as_ref())
    };
    let named = named.or_else(|| books.get(owner).and_then(default))?;
    books.get(named).filter(|method| method.customer.as_ref() == Some(owner))
}

/// The payment intent of an open invoice: the latest, where one has come to its end with something left.
pub fn intent_of<'a>(books: &'a Books, invoice: &Id<Invoice>) -> Option<&'a PaymentIntent> {
    let own = |payment: &&InvoicePayment| payment.is_default && payment.invoice == *invoice;
    let payment = books.all::<InvoicePayment>().filter(own).last()?;
    books.get(&payment.payment.payment_intent)
}

/// Starts collecting an invoice that was just finalised and advances by itself: it is charged, or sent.
pub fn begin(books: &mut Books, id: &Id<Invoice>, at: &mut Moment) -> Result<(), Refusal> {
    let invoice = books.find(id, "invoice")?;
    if invoice.status != Status::Open || !invoice.auto_advance {
        return Ok(());
    }
    match invoice.collection_method {
        CollectionMethod::ChargeAutomatically => {
            let collection = Collection { automatic: true, off_session: true, payment_method: None };
            collect(books, id, &collection, at)
        }
        CollectionMethod::SendInvoice => {
            send::send(books, id, at)?;
            remind::sent(books, id, at)
        }
    }
}

/// Opens an attempt to charge an open (or uncollectible) invoice. The processor is asked once the
/// books are closed; [`settle::settle`] takes its answer. Without any payment method the attempt has
/// failed already: a refusal for a caller, a failure like any other for the billing cycle.
pub fn collect(books: &mut Books, id: &Id<Invoice>, collection: &Collection, at: &mut Moment) -> Result<(), Refusal> {
    let mut invoice = books.find(id, "invoice")?.clone();
    invoice.check_payable()?;
    let method = match &collection.payment_method {
        Some(given) => Some(given_method(books, given, &invoice.customer)?),
        None => resolve_payment_method(books, &invoice),
    };
    let Some(method) = method.cloned() else {
        if collection.automatic {
            return settle::nothing_to_charge(books, invoice, at);
        }
        return Err(no_payment_method());
    };
    let intent = match intent_of(books, id).filter(|intent| !intent.status.is_terminal()) {
        Some(intent) => intent.clone(),
        // It was given up at once, and is wanted after all; or what came left something to be paid.
        None => {
            let intent = finalize::claim_later(books, &invoice, at);
            invoice = books.find(id, "invoice")?.clone();
            intent
        }
    };
    if intent.status == IntentStatus::Processing {
        // Its outcome is awaited already: the money must not be asked for twice.
        return if collection.automatic { Ok(()) } else { Err(processing()) };
    }
    let asker = Asker { automatic: collection.automatic, off_session: collection.off_session };
    let attempt = intent.charge_to(&method, invoice.amount_remaining, asker, at.now);
    books.put(intent.ask(attempt)?);
    if invoice.next_payment_attempt.is_some() {
        await_payment(books, invoice);
    }
    Ok(())
}

/// The one that a caller names: the customer's own, or one that belongs to nobody yet.
fn given_method<'a>(
    books: &'a Books,
    id: &Id<PaymentMethod>,
    customer: &Id<Customer>,
) -> Result<&'a PaymentMethod, Refusal> {
    let method = books.find(id, "payment_method")?;
    check_unspent(method)?;
    if method.customer.is_some() {
        check_payment_method(books, id, customer, "payment_method")?;
    }
    Ok(method)
}

/// What comes next about an invoice follows from how its payment goes.
pub fn await_payment(books: &mut Books, mut invoice: Invoice) {
    invoice.internal.asked = true;
    books.put(invoice);
}

fn processing() -> Refusal {
    PaymentIntent::unexpected_state("The payment of this invoice is still processing.".to_owned())
}

pub fn no_payment_method() -> Refusal {
    Refusal::invalid(
        "This customer has no attached payment source or default payment method. Please consider adding a default payment \
         method. For more information, visit https://stripe.com/docs/billing/subscriptions/payment-methods-setting.",
    )
    .code("resource_missing")
}
