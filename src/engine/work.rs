//! Rounds of settling and advancing, for one customer or a thousand: the same path.

use std::{collections::BTreeMap, fmt, sync::Arc};

use super::{
    Engine, Failure,
    checkout::needs_of,
    close::{Cause, Closed, Closing, close, prepare},
    payment::{Open, Settled},
};
use crate::{
    billing::{
        Books, Id, Moment, Noun, Refusal, Timestamp, advance,
        checkout::{self, Session},
        customer::Customer,
        hold::{self, Hearing},
        payment_intent::{self, PaymentIntent},
        settle,
        webhook_endpoint::WebhookEndpoint,
    },
    store::{
        Fault, Tx,
        books::{self, Opening},
        delivery, due,
    },
};

/// What is to be done with one set of books.
#[derive(Clone, Debug, Default)]
pub struct Work {
    pub opening: Opening,
    pub settled: Vec<Settled>,
}

/// How far to go.
#[derive(Clone, Copy, Debug)]
pub struct Horizon {
    pub time: Timestamp,
    /// On a test clock each thing happens at its own time.
    pub stepping: bool,
}

/// What a round came to.
#[derive(Debug, Default)]
pub struct Round {
    /// Attempts to ask about before going on.
    pub open: Vec<Open>,
    pub stuck: Vec<Stuck>,
    pub closed: Closed,
}

/// Something that was due and could not be done.
#[derive(Debug)]
pub struct Stuck {
    pub whose: Whose,
    pub reason: String,
    /// It does not count: the database took too long.
    pub excused: bool,
}

/// Whose books a round is about.
#[derive(Clone, Debug)]
pub enum Whose {
    Customer(Id<Customer>),
    /// A payment of nobody.
    Guest(Id<PaymentIntent>),
    /// A session of nobody.
    Visitor(Id<Session>),
}

impl fmt::Display for Whose {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Whose::Customer(customer) => customer.fmt(formatter),
            Whose::Guest(intent) => intent.fmt(formatter),
            Whose::Visitor(session) => session.fmt(formatter),
        }
    }
}

impl Work {
    pub fn of(customer: &str) -> Work {
        Work { opening: Opening { customer: Some(Id::given(customer)), ..Opening::default() }, settled: Vec::new() }
    }

    /// A customer on a test clock, with its sessions that have come to their end.
    pub fn on_clock(customer: &str, sessions: &[Session]) -> Work {
        let mut work = Work::of(customer);
        work.opening
            .needs
            .documents
            .extend(sessions.iter().flat_map(|one| Work::of_session(one).opening.needs.documents));
        work
    }

    /// A payment of nobody.
    pub fn of_guest(intent: String) -> Work {
        let mut work = Work::default();
        work.opening.needs.documents.push((&payment_intent::NOUN, intent));
        work
    }

    /// A session that has come to its end, with what was begun for it.
    pub fn of_session(session: &Session) -> Work {
        let mut needs = needs_of(session);
        needs.document(&session.id);
        Work { opening: Opening { customer: session.customer.clone(), needs }, settled: Vec::new() }
    }

    pub fn whose(&self) -> Option<Whose> {
        let first = |noun: &Noun| {
            let of_noun = self.opening.needs.documents.iter().find(|(other, _)| other.object == noun.object);
            of_noun.map(|(_, id)| id.clone())
        };
        let customer = self.opening.customer.clone().map(Whose::Customer);
        let visitor = || first(&checkout::NOUN).map(|id| Whose::Visitor(Id::given(id)));
        let guest = || first(&payment_intent::NOUN).map(|id| Whose::Guest(Id::given(id)));
        customer.or_else(guest).or_else(visitor)
    }

    fn stuck(&self, refusal: &Refusal) -> Option<Stuck> {
        Some(Stuck { whose: self.whose()?, reason: refusal.to_string(), excused: false })
    }

    /// Answers, gathered by whose books they belong in.
    pub fn from_answers(answers: Vec<Settled>) -> Vec<Work> {
        let mut by_owner: BTreeMap<String, Work> = BTreeMap::new();
        for settled in answers {
            let opening = settled.open.opening();
            let owner = opening.customer.as_ref().map_or_else(|| settled.open.intent.to_string(), ToString::to_string);
            let work = by_owner.entry(owner).or_default();
            work.opening.customer.clone_from(&opening.customer);
            work.opening.needs.documents.extend(opening.needs.documents);
            work.opening.needs.prices.extend(opening.needs.prices);
            work.settled.push(settled);
        }
        by_owner.into_values().collect()
    }
}

/// Opens the books of all work, settles and advances each, closes all. The caller commits.
pub async fn round(engine: &Engine, tx: &mut Tx, work: &[Work], horizon: Option<Horizon>) -> Result<Round, Fault> {
    let wall = engine.clock.now();
    let mut result = Round::default();
    let mut decided = Vec::with_capacity(work.len());
    let mut waiting = Vec::new();
    let mut again = Vec::new();
    let (opened, endpoints) = open(engine, tx, work, horizon).await?;
    for ((mut books, mut at), work) in opened.into_iter().zip(work) {
        match go(&mut books, work, horizon, wall, &mut at) {
            Ok(gone) => {
                waiting.extend(gone.waits_until.zip(work.opening.customer.clone()));
                result.open.extend(gone.open);
                decided.push(books);
            }
            // A refused decision contributes nothing and spoils nobody else's batch.
            Err(_) => again.push(work.clone()),
        }
    }
    if !again.is_empty() {
        // Opened anew: what is refused is left out, and all else of its customer is done.
        let (opened, _) = open(engine, tx, &again, horizon).await?;
        for ((mut books, mut at), work) in opened.into_iter().zip(&again) {
            let (open, refused) = go_around(&mut books, work, horizon, wall, &mut at);
            result.open.extend(open);
            result.stuck.extend(refused.iter().take(1).filter_map(|refusal| work.stuck(refusal)));
            decided.push(books);
        }
    }
    result.closed = close(tx, decided, &endpoints, &Cause::default(), wall).await?;
    due::wait(tx, &waiting, wall.unix_seconds()).await?;
    Ok(result)
}

/// The books of all work, each with its moment.
async fn open(
    engine: &Engine,
    tx: &mut Tx,
    work: &[Work],
    horizon: Option<Horizon>,
) -> Result<(Vec<(Books, Moment)>, Arc<[WebhookEndpoint]>), Fault> {
    let wall = engine.clock.now();
    let openings: Vec<Opening> = work.iter().map(|work| work.opening.clone()).collect();
    let opened = books::open(tx, &openings).await?;
    let hearing = hearing(tx, &opened.books, horizon).await?;
    let experience = engine.experience();
    let ready = opened.books.into_iter().map(|mut books| {
        // However far from wall time that is.
        let at = engine.moment(books.test_clock().map_or(wall, |clock| clock.frozen_time))?;
        books.learn_hearing(Arc::clone(&hearing));
        books.know(Arc::clone(&experience));
        Ok((books, at))
    });
    Ok((ready.collect::<Result<_, Fault>>()?, opened.endpoints))
}

/// Whether the announcements that due drafts wait for were acknowledged: one question for the whole
/// batch, and none where nobody listens.
async fn hearing(tx: &mut Tx, books: &[Books], horizon: Option<Horizon>) -> Result<Arc<Hearing>, Fault> {
    let Some(horizon) = horizon else { return Ok(Arc::default()) };
    let awaited: Vec<&str> = books.iter().flat_map(|books| hold::awaited(books, horizon.time)).collect();
    if awaited.is_empty() {
        return Ok(Arc::default());
    }
    Ok(Arc::new(delivery::hearing(tx, &awaited).await?))
}

/// How far one set of books went.
#[derive(Default)]
struct Gone {
    /// The attempts that must be asked about now: new ones and those left alone.
    open: Vec<Open>,
    /// Something is due that waits for an answer: until then there is no use in looking again.
    waits_until: Option<Timestamp>,
}

/// Settles, and goes on.
fn go(
    books: &mut Books,
    work: &Work,
    horizon: Option<Horizon>,
    wall: Timestamp,
    at: &mut Moment,
) -> Result<Gone, Refusal> {
    settle_into(books, &work.settled, wall, at)?;
    let mut gone = Gone::default();
    if let Some(horizon) = horizon {
        let left_alone = take_up(books, horizon, at);
        gone.waits_until = advance::waits_until(books, horizon.time).filter(|_| !horizon.stepping);
        advance::advance(books, horizon.time, horizon.stepping, at)?;
        gone.open = Open::asked_in(books, left_alone);
    }
    books.soundness()?;
    Ok(gone)
}

/// The same step by step, around what is refused. An answer that can be settled is, whatever else is refused:
/// the money has moved.
fn go_around(
    books: &mut Books,
    work: &Work,
    horizon: Option<Horizon>,
    wall: Timestamp,
    at: &mut Moment,
) -> (Vec<Open>, Vec<Refusal>) {
    let mut refused = Vec::new();
    for settled in &work.settled {
        let before = books.clone();
        let settled = settle_into(books, std::slice::from_ref(settled), wall, at).and_then(|()| books.soundness());
        if let Err(refusal) = settled {
            *books = before;
            refused.push(refusal);
        }
    }
    let Some(horizon) = horizon else { return (Vec::new(), refused) };
    let before = books.clone();
    let left_alone = take_up(books, horizon, at);
    if let Err(unsound) = books.soundness() {
        *books = before;
        refused.push(unsound);
        return (Vec::new(), refused);
    }
    refused.extend(advance::advance_around(books, horizon.time, horizon.stepping, at));
    (Open::asked_in(books, left_alone), refused)
}

/// The attempts that nobody has finished in time. At wall time taking them up again is a lease: nobody else
/// asks for the next minute.
fn take_up(books: &mut Books, horizon: Horizon, at: &Moment) -> Vec<Open> {
    let left_alone = Open::left_alone_in(books, horizon.time);
    if !horizon.stepping {
        for open in &left_alone {
            if let Some(intent) = books.get(&open.intent).cloned() {
                books.put(restarted(intent, at.now));
            }
        }
    }
    left_alone
}

fn restarted(mut intent: PaymentIntent, now: Timestamp) -> PaymentIntent {
    if let Some(attempt) = &mut intent.internal.attempt {
        attempt.started_at = now;
    }
    intent
}

fn settle_into(books: &mut Books, settled: &[Settled], wall: Timestamp, at: &mut Moment) -> Result<(), Refusal> {
    for one in settled {
        let on_clock = books.get(&one.open.intent).is_some_and(|intent| intent.internal.test_clock.is_some());
        at.now = if on_clock { one.open.attempt.started_at } else { wall };
        settle::settle(books, &one.open.intent, one.open.attempt.number, &one.answer, at)?;
    }
    Ok(())
}

/// Settles the answers that one request got. The caller writes it.
pub fn settle_all(
    engine: &Engine,
    opened: Vec<Books>,
    work: &[Work],
    endpoints: &[WebhookEndpoint],
    wall: Timestamp,
    cause: &Cause,
) -> Result<Closing, Failure> {
    let mut decided = Vec::with_capacity(work.len());
    for (mut books, work) in opened.into_iter().zip(work) {
        let mut at = engine.moment(wall)?;
        books.know(engine.experience());
        settle_into(&mut books, &work.settled, wall, &mut at)?;
        books.soundness()?;
        decided.push(books);
    }
    Ok(prepare(decided, endpoints, cause, wall)?)
}
