//! Telling of a new subscription: once, in the status that the creating request ends with.

use super::{
    Books, Id, Moment, Refusal,
    answer::Answer,
    attach, erase,
    payment_intent::{Attempt, PaymentIntent},
    subscription::{SaveDefault, Status, Subscription},
    trial,
};

/// Keeps back what the creation has told so far, so that `customer.subscription.created` comes first and
/// shows what has become of it. All but the first `told` events.
pub fn withhold(books: &mut Books, id: &Id<Subscription>, told: usize) -> Result<(), Refusal> {
    let mut subscription = books.find(id, "subscription")?.clone();
    subscription.internal.withheld = books.withhold(told);
    books.put(subscription);
    Ok(())
}

/// The same for what the first payment has told since, as long as nobody has heard of what it is for.
pub fn withhold_payment(books: &mut Books, id: &Id<PaymentIntent>, told_before: usize) {
    let Some(mut subscription) = books.get(id).and_then(|intent| unannounced(books, intent)).cloned() else { return };
    let mut since = books.withhold(told_before);
    subscription.internal.withheld.append(&mut since);
    books.put(subscription);
}

/// Tells of a subscription that nobody has heard of yet, and then what was kept back.
pub fn announce(books: &mut Books, id: &Id<Subscription>, at: &mut Moment) -> Result<(), Refusal> {
    let mut subscription = books.find(id, "subscription")?.clone();
    if !subscription.internal.unannounced {
        return Ok(());
    }
    let mut withheld = std::mem::take(&mut subscription.internal.withheld);
    if subscription.internal.checkout.take().is_some() {
        // A session tells of its customer first, whose currency came with the subscription.
        let (of_customer, others) = withheld.into_iter().partition(|told| told.kind == "customer.updated");
        books.release(of_customer, at);
        withheld = others;
    }
    (subscription.internal.unannounced, subscription.internal.only_if_paid) = (false, false);
    books.put(subscription).tell("customer.subscription.created", at);
    books.release(withheld, at);
    trial::give_notice_if_due(books, id, at)
}

/// The first payment inside the creating request has an outcome: now the subscription is told of, and
/// never as a passing `incomplete`.
pub fn first_payment_answered(
    books: &mut Books,
    intent: &PaymentIntent,
    attempt: &Attempt,
    answer: &Answer,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let Some(mut subscription) = unannounced(books, intent).cloned() else { return Ok(()) };
    let id = subscription.id.clone();
    if subscription.internal.checkout.is_some() {
        // Its session goes on waiting for the customer.
        if *answer == Answer::NeedsAction {
            return Ok(());
        }
        attach::attach(books, &attempt.payment_method, at)?;
        subscription.default_payment_method = Some(attempt.payment_method.clone());
        books.put(subscription.clone());
    }
    if matches!(answer, Answer::Approved { .. } | Answer::Provisional { .. })
        && subscription.status == Status::Incomplete
    {
        subscription.status = subscription.settled_status(at.now);
        if subscription.payment_settings.save_default_payment_method == SaveDefault::OnSubscription {
            subscription.default_payment_method = Some(attempt.payment_method.clone());
        }
        books.put(subscription);
    }
    announce(books, &id, at)
}

/// The payment of a change inside the request has an outcome, and not one that leaves nothing of the
/// change: now what was kept back is told.
pub fn change_answered(books: &mut Books, intent: &PaymentIntent, at: &mut Moment) {
    let Some((mut subscription, mut held)) = erase::untold_change(books, intent) else { return };
    let withheld = std::mem::take(&mut held.withheld);
    subscription.internal.held = Some(held);
    books.put(subscription);
    books.release(withheld, at);
}

/// The subscription whose first payment an intent is, as long as nobody has heard of it.
pub fn unannounced<'a>(books: &'a Books, intent: &PaymentIntent) -> Option<&'a Subscription> {
    let invoice = books.get(intent.internal.invoice.as_ref()?)?;
    books.get(invoice.subscription()?).filter(|subscription| subscription.internal.unannounced)
}
