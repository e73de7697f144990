//! Answering a dispute: with evidence, or by giving it up; and what comes of it.

use super::{
    Amount, Books, Id, MetadataPatch, Moment, Refusal,
    answer::{Answer, Claim, Ruling},
    charge::Charge,
    dispute::{Dispute, EvidenceDetails, Status},
    evidence::{Evidence, EvidencePatch},
    news::{await_outcome, charged_back, disputable, expect_nothing},
    payment_intent::{Action, Attempt, PaymentIntent},
};

/// What is said about a dispute.
#[derive(Clone, Debug)]
pub struct Response {
    pub evidence: EvidencePatch,
    pub metadata: MetadataPatch,
    /// Whether the evidence goes to the bank now: unless it is said, if there is any new.
    pub submit: Option<bool>,
}

/// Keeps evidence and metadata of a dispute. What is to be submitted is sent to the processor once the books
/// are closed, and [`settle`] takes its answer; only then is it told of.
pub fn respond(books: &mut Books, id: &Id<Dispute>, response: Response, at: &mut Moment) -> Result<(), Refusal> {
    let dispute = books.at_path(id)?.clone();
    let is_new = response.evidence.is_given();
    let submit = response.submit.unwrap_or(is_new);
    if (is_new || submit) && !dispute.status.awaits_response() {
        return Err(closed(&dispute));
    }
    let evidence = response.evidence.over(dispute.evidence.clone())?;
    let metadata = response.metadata.apply(dispute.metadata.clone())?;
    if !submit {
        books.put(with_evidence(Dispute { metadata, ..dispute }, evidence)).tell("charge.dispute.updated", at);
        return Ok(());
    }
    if !evidence.is_any() {
        return Err(Refusal::missing("evidence"));
    }
    let dispute = Dispute { metadata, ..dispute };
    books.put(dispute.clone()).tell("charge.dispute.updated", at);
    ask(books, &dispute, Action::Contest, Some(Box::new(evidence)), at)
}

/// Gives a dispute up.
pub fn close(books: &mut Books, id: &Id<Dispute>, at: &mut Moment) -> Result<(), Refusal> {
    let dispute = books.at_path(id)?.clone();
    if !dispute.status.awaits_response() {
        return Err(closed(&dispute));
    }
    ask(books, &dispute, Action::Concede, None, at)
}

fn closed(dispute: &Dispute) -> Refusal {
    let message = if dispute.status.is_open() {
        format!("The evidence of dispute {} has been submitted already: it is {}.", dispute.id, dispute.status)
    } else {
        format!("Dispute {} is closed already: it is {}.", dispute.id, dispute.status)
    };
    Refusal::invalid(message)
}

fn with_evidence(dispute: Dispute, evidence: Evidence) -> Dispute {
    let has_evidence = evidence.is_any();
    Dispute { evidence, evidence_details: EvidenceDetails { has_evidence, ..dispute.evidence_details }, ..dispute }
}

/// Opens a question about a dispute.
fn ask(
    books: &mut Books,
    dispute: &Dispute,
    action: Action,
    evidence: Option<Box<Evidence>>,
    at: &Moment,
) -> Result<(), Refusal> {
    let intent = books.find(&dispute.intent(), "payment_intent")?.clone();
    let charge = books.find(&dispute.charge, "charge")?;
    let question = intent.question(action, dispute.amount, &charge.payment_method, &dispute.internal.reference, at.now);
    let attempt = Attempt { dispute: Some(dispute.id.clone()), evidence, ..question };
    books.put(intent.ask(attempt)?);
    Ok(())
}

/// Takes the processor's answer about a dispute.
pub fn settle(
    books: &mut Books,
    intent: PaymentIntent,
    attempt: &Attempt,
    id: &Id<Dispute>,
    answer: &Answer,
    at: &mut Moment,
) -> Result<(), Refusal> {
    books.put(intent.clone());
    let dispute = books.find(id, "dispute")?.clone();
    // Closed meanwhile: the money was given back.
    if !dispute.status.is_open() {
        return Ok(());
    }
    let charge = books.find(&dispute.charge, "charge")?.clone();
    match (answer, attempt.action) {
        (Answer::Ruled(Ruling::Escalated(claim)), _) => escalated(books, intent, dispute, &charge, claim, at),
        (Answer::Ruled(Ruling::Won), _) => decided(books, intent, dispute, true, at),
        (Answer::Ruled(Ruling::Lost), _) | (Answer::Approved { .. }, Action::Concede) => {
            decided(books, intent, dispute, false, at)
        }
        (Answer::Approved { reference, .. }, Action::Contest) => {
            let answered = answered(dispute, attempt, reference, at);
            books.put(expect_nothing(intent, id));
            books.put(answered).tell("charge.dispute.updated", at);
            Ok(())
        }
        (
            Answer::Provisional { reference, ask_again_after } | Answer::Processing { reference, ask_again_after },
            action,
        ) => {
            let dispute = if action == Action::Contest { answered(dispute, attempt, reference, at) } else { dispute };
            books.put(await_outcome(intent, &dispute, &charge, *ask_again_after, at));
            books.put(dispute).tell("charge.dispute.updated", at);
            Ok(())
        }
        // It was not taken; what was written can be sent again.
        (Answer::Declined(_) | Answer::NeedsAction | Answer::News(_), Action::Contest) => {
            let evidence = attempt.evidence.as_deref().cloned().unwrap_or_default();
            books.put(with_evidence(dispute, evidence)).tell("charge.dispute.updated", at);
            Ok(())
        }
        (Answer::Approved { .. } | Answer::Declined(_) | Answer::NeedsAction | Answer::News(_), _) => Ok(()),
    }
}

fn answered(dispute: Dispute, attempt: &Attempt, reference: &str, at: &Moment) -> Dispute {
    let evidence = attempt.evidence.as_deref().cloned().unwrap_or_default();
    with_evidence(dispute, evidence).answered(reference.to_owned(), at.now)
}

/// An inquiry has become a dispute about money. Where none is left it has come to nothing.
fn escalated(
    books: &mut Books,
    intent: PaymentIntent,
    dispute: Dispute,
    charge: &Charge,
    claim: &Claim,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let amount = dispute.amount.min(disputable(books, charge)?);
    if amount <= Amount::ZERO || !dispute.status.is_inquiry() {
        return decided(books, intent, dispute, false, at);
    }
    let dispute = dispute.escalate(claim, amount, at)?;
    let id = dispute.id.clone();
    let intent = await_outcome(intent, &dispute, charge, claim.ask_again_after, at);
    books.put(intent.clone());
    books.put(dispute).tell("charge.dispute.updated", at);
    books.tell(&id, "charge.dispute.funds_withdrawn", at);
    charged_back(books, &intent, at)
}

fn decided(
    books: &mut Books,
    intent: PaymentIntent,
    dispute: Dispute,
    won: bool,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let dispute = dispute.decided(won, at)?;
    let (id, is_won) = (dispute.id.clone(), dispute.status == Status::Won);
    books.put(expect_nothing(intent, &id));
    books.put(dispute).tell("charge.dispute.closed", at);
    if is_won {
        books.tell(&id, "charge.dispute.funds_reinstated", at);
    }
    Ok(())
}

/// Money that a dispute has taken cannot be given back as well.
pub fn check_refundable(books: &Books, charge: &Charge) -> Result<(), Refusal> {
    if is_charged_back(books, charge) {
        let message = format!("Charge {} has been charged back; cannot issue a refund.", charge.id);
        return Err(Refusal::invalid(message).code("charge_disputed"));
    }
    Ok(())
}

/// Whether a dispute has its money, or some of it.
pub fn is_charged_back(books: &Books, charge: &Charge) -> bool {
    books.all::<Dispute>().any(|dispute| dispute.charge == charge.id && dispute.status.holds_money())
}

/// A charge was given back in full: who only asked about it has nothing left to ask.
pub fn given_back(books: &mut Books, charge: &Charge, at: &mut Moment) -> Result<(), Refusal> {
    let asks = |dispute: &&Dispute| dispute.charge == charge.id && dispute.status.is_inquiry();
    let inquiries: Vec<Dispute> = books.all().filter(asks).cloned().collect();
    for inquiry in inquiries {
        let inquiry = Dispute { is_charge_refundable: false, ..inquiry };
        if inquiry.status.is_open() {
            let intent = books.find(&inquiry.intent(), "payment_intent")?.clone();
            decided(books, intent, inquiry, true, at)?;
        } else {
            books.put(inquiry).tell("charge.dispute.updated", at);
        }
    }
    Ok(())
}
