//! A payment that takes its time: the processor has it, and will be asked again what became of it.

use super::{
    Books, Id, Moment, Refusal,
    answer::Answer,
    change,
    charge::{self, Charge, Verdict},
    invoice::{Invoice, Status as InvoiceStatus},
    payment_intent::{Attempt, Internal, PaymentIntent, Status, Wait},
    repay::{self, NewRefund},
};

/// The charge is pending, the intent is processing. An invoice stays open and its subscription stays what
/// it is: `incomplete` for a first payment, otherwise usually `active` (result of an attempt).
pub fn begin(
    books: &mut Books,
    intent: PaymentIntent,
    attempt: &Attempt,
    reference: &str,
    ask_again_after: i64,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let ask_at = at.now.plus_seconds(ask_again_after);
    let wait = Wait { ask_at, attempt: Attempt { token: reference.to_owned(), ..attempt.clone() } };
    let known = pending_charge(books, &intent);
    // A charge that was made directly is there before the processor has it.
    let first = known.as_ref().is_none_or(|charge| charge.internal.reference.is_none());
    let verdict = Verdict::Pending { reference };
    let charge = match known {
        Some(charge) => charge.take_in(verdict),
        None => {
            let method = books.find(&attempt.payment_method, "payment_method")?.clone();
            Charge::of(&intent, attempt, &method, verdict, at)
        }
    };
    let mut waits = intent.internal.waits.clone();
    waits.push(wait);
    let intent = PaymentIntent {
        last_payment_error: None,
        latest_charge: Some(charge.id.clone()),
        next_action: None,
        payment_method: Some(attempt.payment_method.clone()),
        status: Status::Processing,
        internal: Internal { waits, ..intent.internal },
        ..intent
    };
    let invoice = intent.internal.invoice.clone();
    let id = intent.id.clone();
    books.put(intent);
    if first {
        books.put(charge).tell("charge.pending", at);
        books.tell(&id, "payment_intent.processing", at);
        if let Some(invoice) = invoice {
            attempted(books, &invoice, attempt.automatic, at);
            if let Some(changed) = change::delayed(books, &invoice, at)? {
                books.tell(&changed, "customer.subscription.updated", at);
            }
        }
    }
    Ok(())
}

/// The intent was canceled while the processor was at it. Money that comes nevertheless goes back.
pub fn too_late(
    books: &mut Books,
    intent: PaymentIntent,
    attempt: &Attempt,
    answer: &Answer,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let id = intent.id.clone();
    let charge = pending_charge(books, &intent);
    let mut waits = intent.internal.waits.clone();
    if let Answer::Processing { ask_again_after, .. } = answer {
        waits.push(Wait { ask_at: at.now.plus_seconds(*ask_again_after), attempt: attempt.clone() });
    }
    books.put(PaymentIntent { internal: Internal { waits, ..intent.internal }, ..intent });
    let Some(charge) = charge else { return Ok(()) };
    match answer {
        Answer::Processing { .. } | Answer::NeedsAction | Answer::News(_) | Answer::Ruled(_) => {}
        Answer::Declined(decline) => drop(books.put(charge.fail(decline)).tell("charge.failed", at)),
        Answer::Approved { reference, .. } | Answer::Provisional { reference, .. } => {
            let verdict = Verdict::Succeeded { reference, risk: charge::RiskLevel::Normal };
            books.put(charge.succeed(true, verdict)).tell("charge.succeeded", at);
            repay::refund(books, NewRefund::of(id), at)?;
        }
    }
    Ok(())
}

/// The charge whose outcome is awaited.
pub fn pending_charge(books: &Books, intent: &PaymentIntent) -> Option<Charge> {
    let charge = books.get(intent.latest_charge.as_ref()?)?;
    (charge.status == charge::Status::Pending).then(|| charge.clone())
}

fn attempted(books: &mut Books, id: &Id<Invoice>, automatic: bool, at: &mut Moment) {
    let Some(invoice) = books.get(id).filter(|invoice| invoice.status == InvoiceStatus::Open).cloned() else { return };
    // The plan goes on should it fail.
    let invoice = Invoice { next_payment_attempt: None, ..invoice.count_attempt(automatic) };
    books.put(invoice).tell("invoice.updated", at);
}

/// The time has come to ask what became of it.
pub fn inquire(books: &mut Books, id: &Id<PaymentIntent>, at: &mut Moment) -> Result<(), Refusal> {
    let mut intent = books.find(id, "payment_intent")?.clone();
    let Some(wait) = intent.inquiry().cloned() else { return Ok(()) };
    intent.internal.waits.retain(|other| *other != wait);
    let number = intent.internal.attempts + 1;
    let action = wait.attempt.action.again();
    let question = Attempt { action, number, started_at: at.now, ..wait.attempt };
    books.put(intent.ask(question)?);
    Ok(())
}
