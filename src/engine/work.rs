//! Rounds of settling and advancing, for one customer or a thousand: the same path.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use super::{
    Engine, Failure,
    close::{Cause, Closed, Closing, close, prepare},
    payment::{Open, Settled},
};
use crate::{
    billing::{
        Books, Id, Moment, Refusal, Timestamp, advance, customer::Customer, hold, payment_intent::PaymentIntent, settle,
    },
    store::{
        Fault, Tx,
        books::{self, Opened, Opening},
        delivery,
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
    pub refused: Vec<(Id<Customer>, Refusal)>,
    pub decided: usize,
    pub closed: Closed,
}

impl Work {
    pub fn of(customer: &str) -> Work {
        Work { opening: Opening { customer: Some(Id::given(customer)), ..Opening::default() }, settled: Vec::new() }
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
            work.settled.push(settled);
        }
        by_owner.into_values().collect()
    }
}

/// Opens the books of all work, settles and advances each, closes all. The caller commits.
pub async fn round(engine: &Engine, tx: &mut Tx, work: &[Work], horizon: Option<Horizon>) -> Result<Round, Fault> {
    let wall = engine.clock.now();
    let openings: Vec<Opening> = work.iter().map(|work| work.opening.clone()).collect();
    let opened = books::open(tx, &openings).await?;
    let unheard = unheard(tx, &opened.books, horizon).await?;
    let mut result = Round::default();
    let mut decided = Vec::with_capacity(work.len());
    let experience = engine.experience();
    for (mut books, work) in opened.books.into_iter().zip(work) {
        // However far from wall time that is.
        let mut at = engine.moment(books.test_clock().map_or(wall, |clock| clock.frozen_time))?;
        books.learn_unheard(Arc::clone(&unheard));
        books.know(Arc::clone(&experience));
        let verdict = settle_into(&mut books, &work.settled, wall, &mut at)
            .and_then(|()| go_on(&mut books, horizon, &mut at))
            .and_then(|left| books.soundness().map(|()| left));
        match verdict {
            Ok(left_alone) => {
                result.open.extend(left_alone);
                decided.push(books);
            }
            // A refused decision contributes nothing and spoils nobody else's batch.
            Err(refusal) => result.refused.extend(work.opening.customer.clone().map(|customer| (customer, refusal))),
        }
    }
    result.decided = decided.len();
    result.closed = close(tx, decided, &opened.endpoints, &Cause::default(), wall).await?;
    Ok(result)
}

/// Which of the announcements that due drafts wait for are not acknowledged: one question for the
/// whole batch, and none where nobody listens.
async fn unheard(tx: &mut Tx, books: &[Books], horizon: Option<Horizon>) -> Result<Arc<HashSet<String>>, Fault> {
    let Some(horizon) = horizon else { return Ok(Arc::default()) };
    let awaited: Vec<&str> = books.iter().flat_map(|books| hold::awaited(books, horizon.time)).collect();
    if awaited.is_empty() {
        return Ok(Arc::default());
    }
    Ok(Arc::new(delivery::unacknowledged(tx, &awaited).await?))
}

/// Advances, and says which attempts must be asked about now: new ones and those left alone.
fn go_on(books: &mut Books, horizon: Option<Horizon>, at: &mut Moment) -> Result<Vec<Open>, Refusal> {
    let Some(horizon) = horizon else { return Ok(Vec::new()) };
    let left_alone = Open::left_alone_in(books, horizon.time);
    if !horizon.stepping {
        // Taking them up again is a lease: nobody else asks for the next minute.
        for open in &left_alone {
            if let Some(intent) = books.get(&open.intent).cloned() {
                books.put(restarted(intent, at.now));
            }
        }
    }
    advance::advance(books, horizon.time, horizon.stepping, at)?;
    let mut open = Open::opened_in(books);
    let others: Vec<Open> =
        left_alone.into_iter().filter(|left| open.iter().all(|other| other.intent != left.intent)).collect();
    open.extend(others);
    Ok(open)
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
pub async fn settle_all(
    engine: &Engine,
    tx: &mut Tx,
    settled: &[Settled],
    wall: Timestamp,
    cause: &Cause,
) -> Result<Closing, Failure> {
    let work = Work::from_answers(settled.to_vec());
    let openings: Vec<Opening> = work.iter().map(|work| work.opening.clone()).collect();
    let Opened { books, endpoints, .. } = books::open(tx, &openings).await?;
    let mut decided = Vec::new();
    for (mut books, work) in books.into_iter().zip(&work) {
        let mut at = engine.moment(wall)?;
        books.know(engine.experience());
        settle_into(&mut books, &work.settled, wall, &mut at)?;
        books.soundness()?;
        decided.push(books);
    }
    Ok(prepare(decided, &endpoints, cause, wall)?)
}
