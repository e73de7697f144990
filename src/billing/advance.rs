//! Doing what is due, one thing after the other, in the order of time.

use super::{
    Books, Id, Moment, Refusal, Resource, Timestamp,
    cancel::{self, LastInvoice},
    checkout::{Session, expire},
    collect, confirm, dunning, finalize,
    invoice::{Invoice, Status as InvoiceStatus},
    pause_collection,
    payment_intent::{PaymentIntent, Status as IntentStatus},
    pending_interval, pending_update, processing, renew, resume,
    subscription::{Status, Subscription},
    subscription_schedule::SubscriptionSchedule,
    transition, trial, upcoming,
};

/// Something that must be touched at its time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    Session(Id<Session>),
    PaymentIntent(Id<PaymentIntent>),
    /// Before the renewal that bills the phase it begins.
    Schedule(Id<SubscriptionSchedule>),
    Subscription(Id<Subscription>),
    Invoice(Id<Invoice>),
}

/// More steps than any honest catch-up takes in one decision; the rest stays due.
const MAXIMUM_STEPS: usize = 1000;

/// Does all that is due up to `horizon`, earliest first. On a test clock (`stepping`) each thing
/// happens at its own time; at wall time it happens now, however late. Stops where the processor has
/// to be asked first, and does nothing while it is being asked: what comes later may depend on the answer.
pub fn advance(books: &mut Books, horizon: Timestamp, stepping: bool, at: &mut Moment) -> Result<(), Refusal> {
    let mut steps = Steps::new(horizon, stepping);
    while let Some(due) = steps.next(books, at) {
        come_round(books, &due, at)?;
    }
    Ok(())
}

/// The same where something is refused: that is left as it is, and all else is done. Why it was refused.
pub fn advance_around(books: &mut Books, horizon: Timestamp, stepping: bool, at: &mut Moment) -> Vec<Refusal> {
    let mut steps = Steps::new(horizon, stepping);
    let mut refused = Vec::new();
    while let Some(due) = steps.next(books, at) {
        let before = books.clone();
        if let Err(refusal) = come_round(books, &due, at).and_then(|()| books.soundness()) {
            *books = before;
            steps.left_out.push(due);
            refused.push(refusal);
        }
    }
    refused
}

/// Whether the processor is being asked, or was and has not answered.
pub fn is_asking(books: &Books) -> bool {
    books.all::<PaymentIntent>().any(|intent| intent.internal.attempt.is_some())
}

/// Until when what is due waits for the processor to answer: then it is asked again, if need be.
pub fn waits_until(books: &Books, horizon: Timestamp) -> Option<Timestamp> {
    let asked = books.all::<PaymentIntent>().filter(|intent| intent.internal.attempt.is_some());
    let again = asked.filter_map(Resource::due).min()?;
    books.next_due(&[]).filter(|(time, _)| *time <= horizon).map(|_| again)
}

/// The way through what is due.
struct Steps {
    horizon: Timestamp,
    stepping: bool,
    taken: usize,
    /// When the step before was due.
    last: Option<Timestamp>,
    left_out: Vec<Due>,
}

impl Steps {
    const fn new(horizon: Timestamp, stepping: bool) -> Steps {
        Steps { horizon, stepping, taken: 0, last: None, left_out: Vec::new() }
    }

    fn next(&mut self, books: &Books, at: &mut Moment) -> Option<Due> {
        let (time, due) = books.next_due(&self.left_out).filter(|(time, _)| *time <= self.horizon)?;
        // What is due together with what opened a question does not depend on its answer.
        if self.taken == MAXIMUM_STEPS || self.last != Some(time) && is_asking(books) {
            return None;
        }
        (self.taken, self.last) = (self.taken + 1, Some(time));
        if self.stepping {
            at.now = at.now.max(time);
        }
        Some(due)
    }
}

/// Does what is due.
pub fn come_round(books: &mut Books, due: &Due, at: &mut Moment) -> Result<(), Refusal> {
    match due {
        Due::Session(id) => expire::come_round(books, id, at),
        Due::PaymentIntent(id) => intent_due(books, id, at),
        Due::Schedule(id) => transition::come_round(books, id, at),
        Due::Subscription(id) => subscription_due(books, id, at),
        Due::Invoice(id) => invoice_due(books, id, at),
    }
}

/// What comes next of one subscription and its schedule, and when.
pub fn next_of(books: &Books, id: &Id<Subscription>) -> Option<(Timestamp, Due)> {
    let subscription = books.get(id)?;
    let schedule = subscription.schedule.as_ref().and_then(|schedule| books.get(schedule));
    let turn = schedule.and_then(|schedule| Some((schedule.due()?, Due::Schedule(schedule.id.clone()))));
    let own = subscription.due().map(|due| (due, Due::Subscription(id.clone())));
    [turn, own].into_iter().flatten().min()
}

/// Does what has been due about one subscription, before a caller looks at it: the ticker may not
/// have come to it yet.
pub fn catch_up(books: &mut Books, id: &Id<Subscription>, at: &mut Moment) -> Result<(), Refusal> {
    for _ in 0..MAXIMUM_STEPS {
        let Some((_, due)) = next_of(books, id).filter(|(time, _)| *time <= at.now) else { break };
        come_round(books, &due, at)?;
    }
    Ok(())
}

impl Books {
    /// What must be touched next, and when, of all but what is left out.
    fn next_due(&self, left_out: &[Due]) -> Option<(Timestamp, Due)> {
        // One with an open question is the processor's to answer.
        let intents = self.all::<PaymentIntent>().filter(|one| one.internal.attempt.is_none());
        let firsts = [
            first(self.all(), Due::Session, left_out),
            first(intents, Due::PaymentIntent, left_out),
            first(self.all(), Due::Schedule, left_out),
            first(self.all(), Due::Subscription, left_out),
            first(self.all(), Due::Invoice, left_out),
        ];
        firsts.into_iter().flatten().min()
    }
}

/// The first of one noun to be due, and when.
fn first<'a, R: Resource>(
    documents: impl Iterator<Item = &'a R>,
    due: impl Fn(Id<R>) -> Due,
    left_out: &[Due],
) -> Option<(Timestamp, Due)> {
    let is_left_out = |id: &Id<R>| !left_out.is_empty() && left_out.contains(&due(id.clone()));
    let in_turn = documents.filter_map(|one| Some((one.due()?, one.id())));
    in_turn.filter(|(_, id)| !is_left_out(id)).min().map(|(time, id)| (time, due(id.clone())))
}

/// Does what is due about a subscription at this moment.
pub fn subscription_due(books: &mut Books, id: &Id<Subscription>, at: &mut Moment) -> Result<(), Refusal> {
    let subscription = books.find(id, "subscription")?;
    match subscription.status {
        Status::Incomplete => cancel::expire(books, id, at),
        _ if subscription.pending_update.as_ref().is_some_and(|one| Some(one.expires_at) == subscription.due()) => {
            pending_update::expire(books, id, at)
        }
        _ if subscription.collection_resumes_at().is_some_and(|time| Some(time) == subscription.due()) => {
            pause_collection::lift(books, id, at)
        }
        _ if subscription.cancel_at.is_some_and(|cancel_at| Some(cancel_at) == subscription.due()) => {
            cancel::end_with_invoice(books, id, LastInvoice::Draft, at)
        }
        _ if subscription.upcoming_at().is_some_and(|time| Some(time) == subscription.due()) => {
            upcoming::give_notice(books, id, at)
        }
        Status::Trialing if subscription.trial_notice_at().is_some_and(|time| Some(time) == subscription.due()) => {
            trial::give_notice(books, id, at)
        }
        // What ends at the same time bills it, and comes first.
        _ if subscription.bills_pending_at().is_some_and(|time| Some(time) == subscription.due())
            && subscription.period().is_none_or(|period| Some(period.end) != subscription.due()) =>
        {
            pending_interval::come_round(books, id, at)
        }
        Status::Trialing => trial::end(books, id, at),
        Status::Active | Status::PastDue | Status::Unpaid => renew::renew(books, id, at),
        Status::Paused => resume::expire(books, id, at),
        Status::Canceled | Status::IncompleteExpired => Ok(()),
    }
}

fn intent_due(books: &mut Books, id: &Id<PaymentIntent>, at: &mut Moment) -> Result<(), Refusal> {
    match books.find(id, "payment_intent")?.status {
        IntentStatus::RequiresCapture => confirm::expire(books, id, at),
        _ => processing::inquire(books, id, at),
    }
}

fn invoice_due(books: &mut Books, id: &Id<Invoice>, at: &mut Moment) -> Result<(), Refusal> {
    if books.find(id, "invoice")?.status == InvoiceStatus::Open {
        return dunning::due(books, id, at);
    }
    if super::hold::holds(books, id, at)? {
        return Ok(());
    }
    match finalize::try_finalize(books, id, at)? {
        None => collect::begin(books, id, at),
        Some(_) => Ok(()),
    }
}
