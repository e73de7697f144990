//! What becomes known of a payment after it has succeeded: its issuer suspects it, its cardholder disputes it.
//!
//! A processor that knows there may be more to tell says when to ask; one that sends a message is heard by the
//! same rule.

use super::{
    Amount, Books, Id, Moment, Refusal,
    answer::{Answer, Claim, News},
    cancel,
    charge::{Charge, Status},
    dispute::Dispute,
    early_fraud_warning,
    invoice::Invoice,
    payment_intent::{Action, Attempt, Internal, PaymentIntent, Wait},
    settings::DisputeAction,
    subscription::CancellationReason,
};

/// A payment that has succeeded may not have heard the last of it: it is asked about again. What is only
/// reserved has yet to be captured, and is heard of then.
#[must_use]
pub fn await_news(mut intent: PaymentIntent, attempt: &Attempt, answer: &Answer, at: &Moment) -> PaymentIntent {
    if let (Answer::Provisional { reference, ask_again_after }, true) =
        (answer, !matches!(attempt.action, Action::Authorize | Action::Increment))
    {
        let method = &attempt.payment_method;
        let attempt = intent.question(Action::Watch, attempt.amount, method, reference, at.now);
        intent.internal.waits.push(Wait { ask_at: at.now.plus_seconds(*ask_again_after), attempt });
    }
    intent
}

/// Takes what the processor says when it is asked for news.
pub fn settle(
    books: &mut Books,
    intent: PaymentIntent,
    attempt: &Attempt,
    answer: &Answer,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let id = intent.id.clone();
    books.put(await_news(intent, attempt, answer, at));
    match answer {
        Answer::News(news) => news.iter().try_for_each(|one| hear(books, &id, one, at)),
        Answer::Approved { .. }
        | Answer::Provisional { .. }
        | Answer::Processing { .. }
        | Answer::Declined(_)
        | Answer::NeedsAction
        | Answer::Ruled(_) => Ok(()),
    }
}

/// Something has become known of a payment.
pub fn hear(books: &mut Books, id: &Id<PaymentIntent>, news: &News, at: &mut Moment) -> Result<(), Refusal> {
    let intent = books.find(id, "payment_intent")?.clone();
    let charge = intent.latest_charge.as_ref().and_then(|id| books.get(id)).cloned();
    let Some(charge) = charge.filter(|charge| charge.status == Status::Succeeded && charge.captured) else {
        return Ok(());
    };
    match news {
        News::Suspected(kind) => {
            let warning = early_fraud_warning::warn(books, &charge, *kind, at);
            let mut internal = intent.internal;
            internal.fraud_warnings.push(warning);
            books.put(PaymentIntent { internal, ..intent });
            Ok(())
        }
        News::Disputed(claim) => dispute(books, intent, charge, claim, at),
    }
}

/// What was given back already, and what other disputes have taken, cannot be disputed any more.
fn dispute(
    books: &mut Books,
    intent: PaymentIntent,
    charge: Charge,
    claim: &Claim,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let amount = claim.amount.min(disputable(books, &charge)?);
    if amount <= Amount::ZERO {
        return Ok(());
    }
    let dispute = Dispute::of(&charge, claim, amount, at)?;
    let (id, charged, is_inquiry) = (dispute.id.clone(), charge.id.clone(), dispute.status.is_inquiry());
    let mut intent = await_outcome(intent, &dispute, &charge, claim.ask_again_after, at);
    intent.internal.disputes.push(id.clone());
    let paid_for = intent.clone();
    books.put(intent);
    books.put(Charge { disputed: true, ..charge });
    books.put(dispute).tell("charge.dispute.created", at);
    if !is_inquiry {
        books.tell(&id, "charge.dispute.funds_withdrawn", at);
    }
    early_fraud_warning::follow(books, &charged, at);
    if is_inquiry { Ok(()) } else { charged_back(books, &paid_for, at) }
}

/// Money was taken back: the setting says what becomes of the subscription that it had paid for.
pub fn charged_back(books: &mut Books, paid_for: &PaymentIntent, at: &mut Moment) -> Result<(), Refusal> {
    if books.settings(paid_for.livemode).collection.disputes.subscription == DisputeAction::Leave {
        return Ok(());
    }
    let internal = &paid_for.internal;
    let invoice = internal.invoice.as_ref().or(internal.attached_to.as_ref()).and_then(|id| books.get(id));
    let subscription = invoice.and_then(Invoice::subscription).and_then(|id| books.get(id));
    let Some(subscription) = subscription.filter(|one| !one.status.is_terminal()).map(|one| one.id.clone()) else {
        return Ok(());
    };
    cancel::end(books, &subscription, CancellationReason::PaymentDisputed, at)
}

/// How much of a charge can still be taken back from whoever has it.
pub fn disputable(books: &Books, charge: &Charge) -> Result<Amount, Refusal> {
    let mut left = charge.amount.minus(charge.amount_refunded)?;
    for dispute in books.all::<Dispute>().filter(|dispute| dispute.charge == charge.id && dispute.status.holds_money())
    {
        left = left.minus(dispute.amount)?;
    }
    Ok(left)
}

/// The processor is asked what has become of a dispute after so many seconds, and not before.
#[must_use]
pub fn await_outcome(
    intent: PaymentIntent,
    dispute: &Dispute,
    charge: &Charge,
    ask_again_after: i64,
    at: &Moment,
) -> PaymentIntent {
    let method = &charge.payment_method;
    let question = intent.question(Action::InquireDispute, dispute.amount, method, &dispute.internal.reference, at.now);
    let attempt = Attempt { dispute: Some(dispute.id.clone()), ..question };
    let mut intent = expect_nothing(intent, &dispute.id);
    intent.internal.waits.push(Wait { ask_at: at.now.plus_seconds(ask_again_after), attempt });
    intent
}

/// Nothing more is to be heard of a dispute.
#[must_use]
pub fn expect_nothing(intent: PaymentIntent, dispute: &Id<Dispute>) -> PaymentIntent {
    let mut waits = intent.internal.waits.clone();
    waits.retain(|wait| wait.attempt.dispute.as_ref() != Some(dispute));
    PaymentIntent { internal: Internal { waits, ..intent.internal }, ..intent }
}
