//! Giving the money of a charge back, in full or in parts. The invoice that it paid stays paid, and its
//! subscription stays what it is.

use super::{
    Amount, Books, Currency, Id, Metadata, Moment, Refusal,
    answer::Answer,
    charge::{Charge, Status as ChargeStatus},
    contest, early_fraud_warning, movement,
    payment_intent::{
        Action, Attempt, CancellationReason, Internal as IntentInternal, PaymentIntent, Status as IntentStatus, Wait,
    },
    payment_method::Kind,
    refund::{
        CardDestination, DestinationDetails, DestinationType, Internal, PendingReason, Reason, Refund, Status, Tag,
    },
    shape::Null,
};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct NewRefund {
    /// The intent whose payment is given back.
    pub payment_intent: Id<PaymentIntent>,
    /// Its charge, where that was named.
    pub charge: Option<Id<Charge>>,
    /// All that is left, unless it is said.
    pub amount: Option<Amount>,
    pub metadata: Metadata,
    pub reason: Option<Reason>,
}

impl NewRefund {
    /// All that is left of a payment.
    pub fn of(payment_intent: Id<PaymentIntent>) -> NewRefund {
        NewRefund { payment_intent, charge: None, amount: None, metadata: Metadata::new(), reason: None }
    }
}

/// Opens an attempt to give money back. The processor is asked once the books are closed, and
/// [`settle`] takes its answer; only then is the refund told of.
pub fn refund(books: &mut Books, new: NewRefund, at: &mut Moment) -> Result<Id<Refund>, Refusal> {
    let intent = books.find(&new.payment_intent, "payment_intent")?.clone();
    let latest = intent.latest_charge.as_ref().and_then(|id| books.get(id));
    let charge = match &new.charge {
        Some(named) => Some(books.find(named, "charge")?),
        None => latest,
    };
    let releases = intent.direct_charge().is_some() && intent.status == IntentStatus::RequiresCapture;
    let charge = charge.filter(|charge| charge.status == ChargeStatus::Succeeded && (charge.captured || releases));
    let Some((charge, reference)) = charge.and_then(|charge| Some((charge, charge.internal.reference.as_ref()?)))
    else {
        return Err(not_refundable(&new));
    };
    contest::check_refundable(books, charge)?;
    let left = charge.amount.minus(charge.amount_refunded)?;
    if left.is_zero() {
        let message = format!("Charge {} has already been refunded.", charge.id);
        return Err(Refusal::invalid(message).code("charge_already_refunded"));
    }
    let amount = part_of(left, new.amount, charge.currency)?;
    if releases && amount != left {
        let message = "What was only reserved can be let go of in full only. Capture a smaller amount instead.";
        return Err(Refusal::invalid(message).param("amount"));
    }
    let id: Id<Refund> = Id::new(&mut at.ids, intent.id.bucket());
    let action = if releases { Action::Release } else { Action::Refund };
    let question = intent.question(action, amount, &charge.payment_method, reference, at.now);
    let attempt = Attempt { refund: Some(id.clone()), ..question };
    let refund = blank(id.clone(), charge, &attempt, new);
    books.put(intent.ask(attempt)?);
    books.put(refund);
    Ok(id)
}

fn not_refundable(new: &NewRefund) -> Refusal {
    let refusal = match &new.charge {
        Some(charge) => {
            Refusal::invalid(format!("Charge {charge} cannot be refunded: it was not captured.")).param("charge")
        }
        None => {
            let message =
                format!("This PaymentIntent ({}) does not have a successful charge to refund.", new.payment_intent);
            Refusal::invalid(message).param("payment_intent")
        }
    };
    refusal.code("charge_not_refundable")
}

/// What is to be given back of what is left: all of it, or a part.
fn part_of(left: Amount, wanted: Option<Amount>, currency: Currency) -> Result<Amount, Refusal> {
    let amount = wanted.unwrap_or(left);
    if amount <= Amount::ZERO {
        return Err(Refusal::below(1).param("amount"));
    }
    if amount > left {
        let (amount, left) = (currency.readable(amount), currency.readable(left));
        let message = format!("Refund amount ({amount}) is greater than unrefunded amount on charge ({left})");
        return Err(Refusal::invalid(message).param("amount"));
    }
    Ok(amount)
}

fn blank(id: Id<Refund>, charge: &Charge, attempt: &Attempt, new: NewRefund) -> Refund {
    let released = attempt.action == Action::Release;
    Refund {
        balance_transaction: (!released).then(|| movement::id_of(id.as_str())),
        id,
        object: Tag::Refund,
        amount: attempt.amount,
        charge: charge.id.clone(),
        created: attempt.started_at,
        currency: charge.currency,
        customer: charge.customer.clone(),
        customer_account: Null,
        destination_details: DestinationDetails {
            card: CardDestination { kind: DestinationType::Pending },
            kind: Kind::Card,
        },
        failure_reason: None,
        metadata: new.metadata,
        payment_intent: charge.payment_intent.clone(),
        payment_method: charge.payment_method.clone(),
        pending_reason: None,
        reason: new.reason,
        receipt_number: Null,
        source_transfer_reversal: Null,
        status: Status::Pending,
        transfer_reversal: Null,
        internal: Internal { attempt: attempt.number, credited: None, livemode: charge.livemode, released },
    }
}

/// Takes the processor's answer: to the refund itself, or to what became of it later.
pub fn settle(
    books: &mut Books,
    intent: PaymentIntent,
    attempt: &Attempt,
    id: &Id<Refund>,
    answer: &Answer,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let refund = books.find(id, "refund")?.clone();
    if attempt.action == Action::Release {
        // Whatever was said: it lapses by itself.
        books.put(intent.cancel(Some(CancellationReason::RequestedByCustomer), at.now)?);
        return begun(books, refund.succeed(), at);
    }
    let mut waits = intent.internal.waits.clone();
    if let Answer::Provisional { reference, ask_again_after } | Answer::Processing { reference, ask_again_after } =
        answer
    {
        let attempt = Attempt { token: reference.clone(), ..attempt.clone() };
        waits.push(Wait { ask_at: at.now.plus_seconds(*ask_again_after), attempt });
    }
    books.put(PaymentIntent { internal: IntentInternal { waits, ..intent.internal }, ..intent });
    let first = attempt.action == Action::Refund;
    let refund = match answer {
        Answer::Approved { .. } | Answer::Provisional { .. } => refund.succeed(),
        Answer::Processing { .. } => Refund { pending_reason: Some(PendingReason::Processing), ..refund },
        Answer::Declined(decline) => refund.fail(decline.reason()),
        Answer::NeedsAction | Answer::News(_) | Answer::Ruled(_) => refund.fail("unknown"),
    };
    if first { begun(books, refund, at) } else { changed(books, refund, at) }
}

/// The refund exists, and the charge shows it; unless it failed at once.
fn begun(books: &mut Books, refund: Refund, at: &mut Moment) -> Result<(), Refusal> {
    let (charge, amount, counts) = (refund.charge.clone(), refund.amount, refund.status.counts());
    let id = refund.id.clone();
    books.put(refund).tell("refund.created", at);
    if !counts {
        books.tell(&id, "refund.failed", at);
        return Ok(());
    }
    let charge = books.find(&charge, "charge")?.clone();
    let amount_refunded = charge.amount_refunded.plus(amount)?;
    let refunded = amount_refunded == charge.amount;
    let charge = Charge { amount_refunded, refunded, ..charge };
    books.put(charge.clone()).tell("charge.refunded", at);
    if refunded {
        contest::given_back(books, &charge, at)?;
    }
    early_fraud_warning::follow(books, &charge.id, at);
    Ok(())
}

/// What was pending is decided, or what had succeeded has come back: then the charge has its money again.
fn changed(books: &mut Books, refund: Refund, at: &mut Moment) -> Result<(), Refusal> {
    let (id, charge, amount, failed) =
        (refund.id.clone(), refund.charge.clone(), refund.amount, refund.status == Status::Failed);
    books.put(refund).tell("refund.updated", at);
    books.echo(&id, "refund.updated", "charge.refund.updated", at);
    if failed {
        books.tell(&id, "refund.failed", at);
        let charge = books.find(&charge, "charge")?.clone();
        let amount_refunded = charge.amount_refunded.minus(amount)?;
        let id = charge.id.clone();
        books.put(Charge { amount_refunded, refunded: false, ..charge }).tell("charge.updated", at);
        early_fraud_warning::follow(books, &id, at);
    }
    Ok(())
}

/// Only a refund that waits for the customer could be canceled; that of a card never does.
pub fn cancel(refund: &Refund) -> Refusal {
    let message = format!(
        "This refund cannot be canceled because it has a status of {}. Only a refund with a status of requires_action may be \
         canceled.",
        refund.status
    );
    Refusal::invalid(message).code("status_transition_invalid")
}

/// Keeps the metadata of a refund, and tells of it.
pub fn describe(books: &mut Books, refund: Refund, at: &mut Moment) {
    let id = refund.id.clone();
    books.put(refund).tell("refund.updated", at);
    books.echo(&id, "refund.updated", "charge.refund.updated", at);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Partial and multiple refunds, up to the charge.
    #[test]
    fn no_more_goes_back_than_is_left() {
        let usd = Currency::parse("usd").unwrap();
        for (left, wanted, part) in [
            (1000, None, Some(1000)),
            (400, None, Some(400)),
            (1000, Some(1), Some(1)),
            (1000, Some(1000), Some(1000)),
            (1000, Some(1001), None),
            (400, Some(401), None),
            (1000, Some(0), None),
            (1000, Some(-1), None),
            (1000, Some(i64::MAX), None),
        ] {
            let found = part_of(Amount::new(left), wanted.map(Amount::new), usd);
            assert_eq!(found.ok(), part.map(Amount::new), "{wanted:?} of {left}");
        }
    }
}
