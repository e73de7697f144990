//! How a subscription follows its invoices: its status is that of the most recent one that was
//! finalised and not voided, never the sum of its debts.

use super::{
    Books, Id, Moment, Refusal, cancel, change,
    customer::Customer,
    dunning::FinalAction,
    invoice::{BillingReason, Invoice, Status as InvoiceStatus},
    lend,
    payment_method::PaymentMethod,
    pending_update, resume,
    subscription::{CancellationReason, CollectionMethod, SaveDefault, Status, Subscription},
};

/// An invoice was paid (with this method, if with any) or given up: what that means for its
/// subscription and its customer. Settling what is not the latest leaves the status alone.
pub fn settled(
    books: &mut Books,
    id: &Id<Invoice>,
    method: Option<&Id<PaymentMethod>>,
    at: &mut Moment,
) -> Result<(), Refusal> {
    if let Some(paused) = paused_of(books, id) {
        resume::conclude(books, &paused, id, true, at)?;
    }
    lend::leave(books, id);
    let changed = change::paid(books, id, at)?;
    let latest = subscription_of(books, id).filter(|one| is_latest(books, one, id));
    if let Some(subscription) = latest.and_then(|one| recovered(one, method, at)) {
        books.put(subscription).tell("customer.subscription.updated", at);
    }
    if let Some(changed) = changed {
        books.tell(&changed, "customer.subscription.updated", at);
    }
    set_delinquent(books, false, at);
    Ok(())
}

/// The subscription whose latest invoice is settled, if that changes anything: an ordinary payment does
/// not, and so writes nothing.
fn recovered(subscription: &Subscription, method: Option<&Id<PaymentMethod>>, at: &Moment) -> Option<Subscription> {
    let saves = subscription.payment_settings.save_default_payment_method == SaveDefault::OnSubscription;
    let saved = method.filter(|_| saves && !subscription.status.is_terminal());
    let (status, kept) = (after_settling(subscription, at), subscription.default_payment_method.as_ref());
    let method = saved.or(kept);
    (status != subscription.status || method != kept).then(|| Subscription {
        default_payment_method: method.cloned(),
        status,
        ..subscription.clone()
    })
}

/// Recovery, from whatever state a debt had led to.
fn after_settling(subscription: &Subscription, at: &Moment) -> Status {
    match subscription.status {
        Status::Incomplete | Status::PastDue | Status::Unpaid => subscription.settled_status(at.now),
        status
        @ (Status::Active | Status::Canceled | Status::IncompleteExpired | Status::Paused | Status::Trialing) => status,
    }
}

/// An attempt to collect an invoice came to nothing: its subscription falls behind. `attempted` says
/// whether it had been tried before.
pub fn failed(books: &mut Books, id: &Id<Invoice>, attempted: bool, at: &mut Moment) -> Result<(), Refusal> {
    let changed = change::unpaid(books, id, at)?;
    let invoice = books.find(id, "invoice")?;
    let first = invoice.billing_reason == BillingReason::SubscriptionCreate;
    let open = invoice.status == InvoiceStatus::Open;
    if let Some(paused) = paused_of(books, id).filter(|_| open) {
        resume::conclude(books, &paused, id, false, at)?;
    }
    // What is not made unless it is paid owes nothing.
    let owes = !first
        && invoice_is_kept(books, id)
        && subscription_of(books, id).is_none_or(|one| !pending_update::is_of(one, id));
    let behind = subscription_of(books, id).filter(|one| open && (first || owes) && speaks(books, one, id, attempted));
    if let Some(behind) = behind.map(|one| one.id.clone()) {
        fall_behind(books, &behind)?;
        books.tell(&behind, "customer.subscription.updated", at);
    }
    if let Some(changed) = changed {
        books.tell(&changed, "customer.subscription.updated", at);
    }
    if owes {
        set_delinquent(books, true, at);
    }
    Ok(())
}

fn invoice_is_kept(books: &Books, id: &Id<Invoice>) -> bool {
    books.get(id).is_some_and(|invoice| invoice.status != InvoiceStatus::Void)
}

/// The due date of an invoice that is sent has passed, and it is still open.
pub fn overdue(books: &mut Books, id: &Id<Invoice>, at: &mut Moment) -> Result<(), Refusal> {
    let mut invoice = books.find(id, "invoice")?.clone();
    invoice.internal.overdue = true;
    books.put(invoice);
    let behind = subscription_of(books, id).filter(|one| speaks(books, one, id, false));
    if let Some(behind) = behind.map(|one| one.id.clone()) {
        fall_behind(books, &behind)?;
        books.tell(&behind, "customer.subscription.updated", at);
    }
    set_delinquent(books, true, at);
    Ok(())
}

/// Its latest invoice stays unpaid for now.
pub fn fall_behind(books: &mut Books, id: &Id<Subscription>) -> Result<(), Refusal> {
    let subscription = books.find(id, "subscription")?;
    if matches!(subscription.status, Status::Active | Status::Trialing) {
        let behind = Subscription { status: Status::PastDue, ..subscription.clone() };
        books.put(behind);
    }
    Ok(())
}

/// An invoice was voided. A first invoice ends the subscription that waited for it; otherwise, if it
/// was the latest, those that remain decide.
pub fn voided(books: &mut Books, id: &Id<Invoice>, at: &mut Moment) -> Result<(), Refusal> {
    if let Some(paused) = paused_of(books, id) {
        resume::abandon(books, paused, id);
        return Ok(());
    }
    if let Some(waiting) = subscription_of(books, id).filter(|one| pending_update::is_of(one, id)).cloned() {
        return pending_update::expire(books, &waiting.id, at);
    }
    if let Some(restored) = change::voided(books, id) {
        books.tell(&restored, "customer.subscription.updated", at);
        return Ok(());
    }
    let Some(mut subscription) = subscription_of(books, id).filter(|one| is_latest(books, one, id)).cloned() else {
        return Ok(());
    };
    let lost = newest_first(books, &subscription.id).find(|invoice| is_lost(invoice)).map(|invoice| invoice.id.clone());
    if lost != subscription.internal.lost {
        subscription.internal.lost = lost;
        books.put(subscription.clone());
    }
    let changed = match subscription.status {
        Status::Incomplete => subscription.expire(at.now),
        Status::Active | Status::PastDue | Status::Unpaid => match walk(books, &subscription.id, at) {
            Status::Canceled => {
                return cancel::end(books, &subscription.id, CancellationReason::PaymentFailed, at);
            }
            status if status == subscription.status => return Ok(()),
            status => Subscription { status, ..subscription },
        },
        Status::Canceled | Status::IncompleteExpired | Status::Paused | Status::Trialing => return Ok(()),
    };
    books.put(changed).tell("customer.subscription.updated", at);
    Ok(())
}

/// What the remaining invoices say, from the newest to the oldest: the first that says something
/// wins. Voided ones are invisible, drafts never change a status.
fn walk(books: &Books, id: &Id<Subscription>, at: &Moment) -> Status {
    newest_first(books, id).find_map(|invoice| says(invoice, at)).unwrap_or(Status::Active)
}

fn newest_first<'a>(books: &'a Books, id: &Id<Subscription>) -> impl Iterator<Item = &'a Invoice> {
    let mut invoices: Vec<&Invoice> =
        books.all::<Invoice>().filter(|invoice| invoice.subscription() == Some(id)).collect();
    invoices.reverse();
    invoices.into_iter()
}

fn says(invoice: &Invoice, at: &Moment) -> Option<Status> {
    match invoice.status {
        InvoiceStatus::Paid => Some(Status::Active),
        // Given up by dunning, that has said what becomes of the subscription.
        InvoiceStatus::Uncollectible => Some(invoice.internal.given_up.map_or(Status::Active, FinalAction::status)),
        InvoiceStatus::Open => match (invoice.collection_method, invoice.internal.given_up) {
            (CollectionMethod::ChargeAutomatically, given_up) => given_up.map(FinalAction::status),
            (CollectionMethod::SendInvoice, _) => {
                invoice.due_date.is_some_and(|due| due <= at.now).then_some(Status::PastDue)
            }
        },
        InvoiceStatus::Draft | InvoiceStatus::Void => None,
    }
}

/// An invoice was given up for good, and leaves the books. Where it is the latest, paying an older one does
/// not recover its subscription.
pub fn lost(books: &mut Books, id: &Id<Invoice>) {
    let of = subscription_of(books, id).filter(|one| !one.status.is_terminal() && is_latest(books, one, id)).cloned();
    if let Some(mut subscription) = of {
        subscription.internal.lost = Some(id.clone());
        books.put(subscription);
    }
}

/// Whether it is uncollectible because nothing had helped, not by a caller's wish.
fn is_lost(invoice: &Invoice) -> bool {
    invoice.status == InvoiceStatus::Uncollectible && invoice.internal.given_up.is_some()
}

/// Whether no later finalised invoice speaks for the subscription. What is not in the books is paid, void or
/// uncollectible: the first would have recovered it, the second is invisible, the third is remembered
/// unless it recovered it, too.
fn is_latest(books: &Books, subscription: &Subscription, id: &Id<Invoice>) -> bool {
    let later = |other: &Invoice| {
        other.subscription() == Some(&subscription.id)
            && other.id > *id
            && !matches!(other.status, InvoiceStatus::Draft | InvoiceStatus::Void)
    };
    let lost = subscription.internal.lost.as_ref().is_some_and(|lost| lost > id);
    !lost && !books.all::<Invoice>().any(later)
}

/// Whether the failure of an invoice counts. Unlike a recovery it must not be mistaken for the latest
/// where a later one was paid: then that is the subscription's latest, or it had failed before.
fn speaks(books: &Books, subscription: &Subscription, id: &Id<Invoice>, attempted: bool) -> bool {
    let Some(latest) = &subscription.latest_invoice else { return false };
    let only_a_draft_is_later = || books.get(latest).is_some_and(|invoice| invoice.status == InvoiceStatus::Draft);
    latest == id || !attempted && only_a_draft_is_later() && is_latest(books, subscription, id)
}

/// The subscription that an invoice belongs to, once the world knows of it.
fn subscription_of<'a>(books: &'a Books, id: &Id<Invoice>) -> Option<&'a Subscription> {
    let subscription = books.get(books.get(id)?.subscription()?)?;
    (!subscription.internal.unannounced).then_some(subscription)
}

/// The same where it is paused, and may wait for just this invoice to be resumed.
fn paused_of(books: &Books, id: &Id<Invoice>) -> Option<Subscription> {
    subscription_of(books, id).filter(|subscription| subscription.status == Status::Paused).cloned()
}

/// The most recent change of any of a customer's invoices says whether it is delinquent.
fn set_delinquent(books: &mut Books, delinquent: bool, at: &mut Moment) {
    // A deleted customer is nothing any longer.
    let customer = books.all::<Customer>().next().filter(|customer| customer.delinquent != delinquent).cloned();
    if let Some(customer) = customer {
        books.put(Customer { delinquent, ..customer }).tell("customer.updated", at);
    }
}
