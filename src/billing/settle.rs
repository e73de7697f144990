//! Taking the processor's answer: what it means for the intent, the charge, the invoice, the
//! subscription and the customer.

use super::{
    Amount, Books, Id, Moment, Refusal, announce,
    answer::{Answer, Decline},
    attempts::{self, Made},
    authenticate,
    charge::{Charge, RiskLevel, Verdict},
    checkout, contest, dunning, erase, follow, increment,
    invoice::{Invoice, Status as InvoiceStatus},
    movement, news,
    payment_intent::{
        Action, Attempt, CancellationReason, Internal, PaymentError, PaymentIntent, RESERVED_SECONDS, SetupFutureUsage,
        Status,
    },
    payment_method::{self, PaymentMethod},
    processing, receive, repay,
    retry::Tried,
};

/// Settles the open attempt of an intent. An answer to a question that is no longer open changes
/// nothing: somebody else has settled it with the same answer.
pub fn settle(
    books: &mut Books,
    id: &Id<PaymentIntent>,
    number: i64,
    answer: &Answer,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let intent = books.find(id, "payment_intent")?.clone();
    let Some(attempt) = intent.internal.attempt.clone().filter(|attempt| attempt.number == number) else {
        return Ok(());
    };
    let internal = Internal { attempt: None, authenticated: None, ..intent.internal };
    let intent = PaymentIntent { internal, ..intent };
    if let Some(refund) = &attempt.refund {
        return repay::settle(books, intent, &attempt, refund, answer, at);
    }
    if let Some(dispute) = &attempt.dispute {
        return contest::settle(books, intent, &attempt, dispute, answer, at);
    }
    if attempt.action == Action::Watch {
        return news::settle(books, intent, &attempt, answer, at);
    }
    if attempt.action == Action::Increment {
        return increment::settle(books, intent, &attempt, answer, at);
    }
    if intent.status == Status::Canceled && attempt.action == Action::Inquire {
        return processing::too_late(books, intent, &attempt, answer, at);
    }
    let alone = intent.internal.invoice.is_none();
    let erased = erase::is_called_for(books, &intent, answer);
    let intent = if erased { erase::erase(books, intent, at)? } else { intent };
    let intent = news::await_news(intent, &attempt, answer, at);
    announce::first_payment_answered(books, &intent, &attempt, answer, at)?;
    announce::change_answered(books, &intent, at);
    match (answer, attempt.action) {
        // What was reserved stays so, until it is captured after all or lapses.
        (Answer::Declined(_), Action::Capture) => {
            books.put(intent);
            Ok(())
        }
        // It lapses by itself.
        (_, Action::Release) => {
            released(books, intent, at);
            Ok(())
        }
        (Answer::Declined(decline), _) => declined(books, intent, &attempt, decline, true, at),
        (Answer::NeedsAction, _) if alone && (attempt.off_session || attempt.refuses_action) => {
            // The issuer was never asked, so there is no charge.
            declined(books, intent, &attempt, &Decline::authentication_required(), false, at)
        }
        (Answer::NeedsAction, _) => {
            let told_before = books.told_so_far();
            authenticate::required(books, intent, &attempt, at)?;
            announce::withhold_payment(books, id, told_before);
            Ok(())
        }
        (_, Action::Capture) => captured(books, intent, &attempt, at),
        // A question about a refund names the refund, one about a dispute the dispute; what is reserved is no payment.
        (
            _,
            Action::Refund
            | Action::InquireRefund
            | Action::Concede
            | Action::Increment
            | Action::Contest
            | Action::InquireDispute
            | Action::Watch,
        ) => Ok(()),
        // It says nothing of the money: the question stays open, and is asked again.
        (Answer::News(_) | Answer::Ruled(_), Action::Sale | Action::Authorize | Action::Inquire) => {
            Err(Refusal::internal("The processor has answered another question than it was asked."))
        }
        (Answer::Processing { reference, ask_again_after }, Action::Sale | Action::Authorize | Action::Inquire) => {
            processing::begin(books, intent, &attempt, reference, *ask_again_after, at)
        }
        (Answer::Approved { reference, risk }, Action::Sale | Action::Authorize | Action::Inquire) => {
            approved(books, intent, &attempt, Verdict::Succeeded { reference, risk: *risk }, at)
        }
        (Answer::Provisional { reference, .. }, Action::Sale | Action::Authorize | Action::Inquire) => {
            approved(books, intent, &attempt, Verdict::Succeeded { reference, risk: RiskLevel::Normal }, at)
        }
    }?;
    if erased {
        erase::close_intent(books, id, at)?;
    }
    checkout::follow::answered(books, id, at)
}

fn approved(
    books: &mut Books,
    intent: PaymentIntent,
    attempt: &Attempt,
    verdict: Verdict<'_>,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let method = books.find(&attempt.payment_method, "payment_method")?.clone();
    let captured = !intent.captures_by_hand();
    let capture_before = (!captured).then(|| at.now.plus_seconds(RESERVED_SECONDS));
    let charge = match processing::pending_charge(books, &intent) {
        Some(pending) => pending.succeed(captured, verdict),
        None => Charge::of(&intent, attempt, &method, verdict, at),
    };
    let intent = PaymentIntent {
        amount_received: if captured { attempt.amount } else { Amount::ZERO },
        amount_capturable: if captured { Amount::ZERO } else { attempt.amount },
        last_payment_error: None,
        latest_charge: Some(charge.id.clone()),
        next_action: None,
        payment_method: Some(method.id.clone()),
        status: if captured { Status::Succeeded } else { Status::RequiresCapture },
        internal: Internal { capture_before, reference: charge.internal.reference.clone(), ..intent.internal },
        ..intent
    };
    books.put(charge).tell("charge.succeeded", at);
    let event = if captured { "payment_intent.succeeded" } else { "payment_intent.amount_capturable_updated" };
    books.put(intent.clone()).tell(event, at);
    keep_for_later(books, &intent, method, at);
    if let Some(invoice) = &intent.internal.invoice {
        attempts::succeeded(books, invoice, attempt, at);
    }
    received(books, &intent, counts(attempt), at)
}

/// Whether it is an attempt by the plan. What is inquired about was counted when it was first asked.
fn counts(attempt: &Attempt) -> bool {
    attempt.automatic && attempt.action != Action::Inquire
}

/// The money that has come pays an invoice: the intent's own, or one that it was attached to.
fn received(books: &mut Books, intent: &PaymentIntent, automatic: bool, at: &mut Moment) -> Result<(), Refusal> {
    match (&intent.internal.invoice, &intent.internal.attached_to) {
        (Some(invoice), _) => receive::receive(books, invoice, intent, automatic, at),
        (None, Some(invoice)) if intent.status == Status::Succeeded => {
            receive::receive(books, invoice, intent, automatic, at)
        }
        (None, _) => Ok(()),
    }
}

/// `setup_future_usage` attaches the card that worked to the customer, and sets it up for payments
/// without the customer. A card that belongs to nobody has served its one time.
fn keep_for_later(books: &mut Books, intent: &PaymentIntent, method: PaymentMethod, at: &mut Moment) {
    if method.internal.spent {
        return;
    }
    let for_later = intent.future_usage() == Some(SetupFutureUsage::OffSession);
    // Only a card that authenticates has to remember it.
    let set_up = method.internal.set_up || method.internal.authenticates && for_later;
    let has_customer = intent.customer.as_ref().is_some_and(|customer| books.get(customer).is_some());
    let attaches = method.customer.is_none() && has_customer && intent.future_usage().is_some();
    let spent = method.customer.is_none() && !attaches;
    if !attaches && !spent && set_up == method.internal.set_up {
        return;
    }
    let customer = if attaches { intent.customer.clone() } else { method.customer.clone() };
    let internal = payment_method::Internal { set_up, spent, ..method.internal };
    let kept = books.put(PaymentMethod { customer, internal, ..method });
    if attaches {
        kept.tell("payment_method.attached", at);
    }
}

fn captured(books: &mut Books, intent: PaymentIntent, attempt: &Attempt, at: &mut Moment) -> Result<(), Refusal> {
    let charge = intent.latest_charge.as_ref().and_then(|id| books.get(id)).cloned();
    if let Some(charge) = charge {
        let released = charge.amount.minus(attempt.amount)?;
        let balance_transaction = Some(movement::id_of(charge.id.as_str()));
        books
            .put(Charge {
                amount_captured: attempt.amount,
                amount_refunded: released,
                balance_transaction,
                captured: true,
                ..charge
            })
            .tell("charge.captured", at);
    }
    let intent = PaymentIntent {
        amount_capturable: Amount::ZERO,
        amount_received: attempt.amount,
        status: Status::Succeeded,
        ..intent
    };
    books.put(intent.clone()).tell("payment_intent.succeeded", at);
    received(books, &intent, false, at)
}

/// What was reserved is free again: the charge counts as given back.
fn released(books: &mut Books, intent: PaymentIntent, at: &mut Moment) {
    let expired = intent.cancellation_reason == Some(CancellationReason::Expired);
    let charge = intent.latest_charge.as_ref().and_then(|id| books.get(id)).cloned();
    books.put(intent);
    if let Some(charge) = charge {
        let kind = if expired { "charge.expired" } else { "charge.refunded" };
        books.put(Charge { amount_refunded: charge.amount, refunded: true, ..charge }).tell(kind, at);
    }
}

fn declined(
    books: &mut Books,
    intent: PaymentIntent,
    attempt: &Attempt,
    decline: &Decline,
    reached_issuer: bool,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let method = books.find(&attempt.payment_method, "payment_method")?.clone();
    let charge = match processing::pending_charge(books, &intent) {
        Some(pending) => Some(pending.fail(decline)),
        None => reached_issuer.then(|| Charge::of(&intent, attempt, &method, Verdict::Failed(decline), at)),
    };
    let mut error = PaymentError::of(decline, books.image(&method.id));
    error.charge = charge.as_ref().map(|charge| charge.id.clone());
    if let Some(charge) = charge {
        books.put(charge).tell("charge.failed", at);
    }
    let tried = Tried { automatic: counts(attempt), spent: decline.is_hard().then_some(method.id) };
    failed(books, intent, error, tried, at)
}

/// The payment failed: the intent wants another payment method.
pub fn failed(
    books: &mut Books,
    intent: PaymentIntent,
    error: PaymentError,
    tried: Tried,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let latest_charge = error.charge.clone().or_else(|| intent.latest_charge.clone());
    let made = Made::declined(&error, tried.automatic, at);
    let intent = PaymentIntent {
        last_payment_error: Some(error),
        latest_charge,
        next_action: None,
        payment_method: None,
        status: Status::RequiresPaymentMethod,
        ..intent
    };
    books.put(intent.clone()).tell("payment_intent.payment_failed", at);
    match intent.internal.invoice.as_ref().and_then(|id| books.get(id)).cloned() {
        Some(invoice) => {
            let invoice = attempts::note(books, invoice, made);
            not_collected(books, invoice, tried, &["invoice.payment_failed"], at)
        }
        None => Ok(()),
    }
}

/// An automatic attempt found nothing to charge, or nothing that is of any use: it failed without
/// asking anybody.
pub fn nothing_to_charge(books: &mut Books, invoice: Invoice, at: &mut Moment) -> Result<(), Refusal> {
    let made = Made::not_charged(books, &invoice, at);
    let invoice = attempts::note(books, invoice, made);
    not_collected(books, invoice, Tried { automatic: true, spent: None }, &["invoice.payment_failed"], at)
}

/// The invoice stays open, to be tried again or not; its subscription falls behind. Unless it was settled
/// some other way meanwhile: then nothing is owed, and nobody needs to pay any more.
pub fn not_collected(
    books: &mut Books,
    invoice: Invoice,
    tried: Tried,
    events: &[&'static str],
    at: &mut Moment,
) -> Result<(), Refusal> {
    let (id, attempted) = (invoice.id.clone(), invoice.attempted);
    if matches!(invoice.status, InvoiceStatus::Paid | InvoiceStatus::Void) {
        books.put(invoice);
        return receive::follow_remaining(books, &id, at);
    }
    let invoice = invoice.count_attempt(tried.automatic).rescheduled(books, tried, at.now);
    books.put(invoice).tell("invoice.updated", at);
    for event in events {
        books.tell(&id, event, at);
    }
    follow::failed(books, &id, attempted, at)?;
    dunning::conclude(books, &id, at)?;
    // A part may have come meanwhile.
    receive::follow_remaining(books, &id, at)
}
