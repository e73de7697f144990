//! One verb for one caller: decided once, answered once, however often it is asked.
//!
//! The receipt of an idempotency key is written in the transaction of the effect. A verb that moves
//! money takes two: the first commits the effect with its open attempt (and a receipt that says what
//! the answer will be about), the second commits the outcome with the answer.

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::{
    Engine, Failure,
    close::{Cause, Closed, Closing, prepare},
    payment::{Open, Settled},
    verb::{Asked, Owner, Subject, Verb},
    work::settle_all,
};
use crate::{
    billing::{Books, Refusal, Timestamp, books::NOUNS, invoice_prefix, refusal::ErrorType, test_clock::Status},
    store::{
        Connection, Fault, Tx,
        books::{self, Listening, Needs, Opened, Opening},
        close,
        idempotency::{self, Entry, Key, Receipt, State},
    },
};

/// Who asks, and how often they may have asked before.
#[derive(Clone, Debug)]
pub struct Request {
    pub id: String,
    pub livemode: bool,
    pub idempotency: Option<Idempotency>,
}

#[derive(Clone, Debug)]
pub struct Idempotency {
    pub key: String,
    /// A digest of method, path and parameters.
    pub fingerprint: Vec<u8>,
}

/// An answer: the bytes that went out, or go out.
#[derive(Clone, Debug)]
pub struct Answered {
    pub status: u16,
    pub body: String,
    /// The request that was first answered so, if this is a repetition.
    pub repeats: Option<String>,
}

/// Puts a subject into words, inside the transaction that made it.
pub trait Render: Sync {
    /// Before anything is written, where what will be written is all there is to say: the receipt of such an
    /// answer is written with it.
    fn render_ahead(&self, _subject: &Subject, _closed: &Closed) -> Result<Option<Answered>, Failure> {
        Ok(None)
    }

    fn render<'a>(
        &'a self,
        connection: &'a mut Connection,
        subject: &'a Subject,
        closed: &'a Closed,
    ) -> BoxFuture<'a, Result<Answered, Failure>>;
}

/// How often a transaction that failed for a passing reason is tried.
const TRIES: u32 = 4;
/// How often a question is asked inside a request before the ticker takes over.
const QUESTIONS: u32 = 3;
/// How long a request may take between its two transactions before a repetition may finish it.
const LEASE_SECONDS: i64 = 90;

/// What the first transaction came to.
enum First {
    Done(Answered),
    Pay(Subject, Vec<Open>),
    /// A twin committed first: look again.
    TwinWon,
}

/// What a look at the books came to.
enum Decided {
    /// With how many deliveries.
    Now(First, usize),
    /// It was decided before: this is the receipt.
    Before(Receipt),
}

impl Engine {
    /// Does a verb and answers it.
    pub async fn perform<V: Verb>(&self, request: &Request, verb: V, render: &dyn Render) -> Result<Answered, Failure> {
        if let Some(listening) = self.remembered(&verb) {
            match self.by_memory(request, verb.clone(), &listening, render).await {
                Ok(First::Done(answered)) => return Ok(answered),
                Ok(First::Pay(subject, open)) => return self.pay(request, &subject, open, render).await,
                Err(Failure::Broken(fault)) if fault.is_uncertain() && !may_repeat(&fault, request) => {
                    return Err(fault.into());
                }
                // What was remembered may have changed, and the same may have been asked before: it is read.
                Ok(First::TwinWon) | Err(_) => {}
            }
        }
        let mut tries = 0;
        loop {
            tries += 1;
            let failure = match self.first(request, verb.clone(), render).await {
                Ok(First::Done(answered)) => return Ok(answered),
                Ok(First::Pay(subject, open)) => return self.pay(request, &subject, open, render).await,
                Ok(First::TwinWon) if tries < TRIES => continue,
                Ok(First::TwinWon) => return Err(in_use(request).into()),
                Err(failure) => failure,
            };
            match &failure {
                Failure::Broken(fault) if may_repeat(fault, request) && tries < TRIES => {
                    tokio::time::sleep(Duration::from_millis(10 << tries)).await;
                }
                Failure::Broken(fault) => return Err(constraint_refusal(fault).map_or(failure, Failure::Refused)),
                Failure::Refused(_) => return Err(failure),
            }
        }
    }

    async fn first<V: Verb>(&self, request: &Request, verb: V, render: &dyn Render) -> Result<First, Failure> {
        let (owner, mut needs) = (verb.owner(), Needs::default());
        verb.needs(&mut needs);
        let mut tx = self.store.begin_later().await?;
        if !(matches!(owner, Owner::Nobody) && needs.locks_nothing()) {
            tx.begin().await?;
        }
        let opening = opening_of(&mut tx, owner, needs).await?;
        let decided = self.first_in(&mut tx, request, verb, &opening, render).await;
        match ended(tx, decided).await {
            Ok(Decided::Now(first, deliveries)) => {
                self.tell(deliveries);
                Ok(first)
            }
            Ok(Decided::Before(known)) => self.repeat(request, known, render).await.map(First::Done),
            Err(Failure::Broken(fault)) if fault.constraint() == Some(idempotency::TWICE) => Ok(First::TwinWon),
            Err(failure) => Err(failure),
        }
    }

    /// What is remembered, if it is all that the verb needs to know.
    fn remembered<V: Verb>(&self, verb: &V) -> Option<Listening> {
        if !matches!(verb.owner(), Owner::Nobody) {
            return None;
        }
        let mut opening = Opening::default();
        verb.needs(&mut opening.needs);
        if opening.is_about_nothing() { self.listening.read().ok()?.clone() } else { None }
    }

    /// Decides by what is remembered: nothing is read. The statement that writes has it compared.
    async fn by_memory<V: Verb>(
        &self,
        request: &Request,
        verb: V,
        listening: &Listening,
        render: &dyn Render,
    ) -> Result<First, Failure> {
        let wall = self.clock.now();
        let mut tx = self.store.begin_later().await?;
        let decided = self.decide_in(&mut tx, request, verb, listening.opened(), wall, render).await;
        let (first, deliveries) = ended(tx, decided).await?;
        self.tell(deliveries);
        Ok(first)
    }

    async fn first_in<V: Verb>(
        &self,
        tx: &mut Tx,
        request: &Request,
        verb: V,
        opening: &Opening,
        render: &dyn Render,
    ) -> Result<Decided, Failure> {
        let wall = self.clock.now();
        let mut opened = books::open_and_find(tx, std::slice::from_ref(opening), key_of(request)).await?;
        if let Some(known) = known(tx, request, opened.receipt.take(), wall).await? {
            return Ok(Decided::Before(known));
        }
        if let (Some(listening), Ok(mut remembered)) = (&opened.listening, self.listening.write()) {
            *remembered = Some(listening.clone());
        }
        let (first, deliveries) = self.decide_in(tx, request, verb, opened, wall, render).await?;
        Ok(Decided::Now(first, deliveries))
    }

    /// Decides in books that are open, and writes. Answers with how many deliveries.
    async fn decide_in<V: Verb>(
        &self,
        tx: &mut Tx,
        request: &Request,
        verb: V,
        opened: Opened,
        wall: Timestamp,
        render: &dyn Render,
    ) -> Result<(First, usize), Failure> {
        let mut books = opened.books.into_iter().next().unwrap_or_default();
        books.keep_mode(request.livemode);
        books.know(self.experience());
        let now = time_in(&books, wall)?;
        let mut at = self.moment(now)?;
        let subject = verb.decide(&mut books, &mut at)?;
        books.soundness()?;
        let open = Open::opened_in(&books);
        let closing = prepare(vec![books], &opened.endpoints, &cause_of(request), wall)?.sealed(opened.seal);
        let deliveries = closing.deliveries();
        if open.is_empty() {
            let answered = answer(tx, request, &subject, &closing, render, wall, false).await?;
            return Ok((First::Done(answered), deliveries));
        }
        let subject_text = subject_text(&subject, &open);
        let leased_until = wall.plus_seconds(LEASE_SECONDS).unix_seconds();
        let receipt = entry(request, wall, State::UnderWay { subject: &subject_text, leased_until });
        closing.write(tx, receipt.as_ref()).await?;
        Ok((First::Pay(subject, open), deliveries))
    }

    /// Asks the processor, settles what it says, and answers.
    async fn pay(
        &self,
        request: &Request,
        subject: &Subject,
        open: Vec<Open>,
        render: &dyn Render,
    ) -> Result<Answered, Failure> {
        let mut settled = Vec::new();
        let mut unanswered = open;
        for _ in 0..QUESTIONS {
            let answered = self.ask(unanswered.clone()).await;
            unanswered.retain(|open| !answered.iter().any(|settled| settled.open.intent == open.intent));
            settled.extend(answered);
            if unanswered.is_empty() {
                break;
            }
        }
        let mut tries = 0;
        loop {
            tries += 1;
            match self.second(request, subject, &settled, render).await {
                // Settling twice is settling once: the second finds the attempt closed.
                Err(Failure::Broken(fault)) if (fault.is_passing() || fault.is_uncertain()) && tries < TRIES => {
                    tokio::time::sleep(Duration::from_millis(10 << tries)).await;
                }
                other => return other,
            }
        }
    }

    async fn second(
        &self,
        request: &Request,
        subject: &Subject,
        settled: &[Settled],
        render: &dyn Render,
    ) -> Result<Answered, Failure> {
        let wall = self.clock.now();
        let mut tx = self.store.begin().await?;
        let answered = async {
            let closing = settle_all(self, &mut tx, settled, wall, &cause_of(request)).await?;
            let answered = answer(&mut tx, request, subject, &closing, render, wall, true).await?;
            Ok((answered, closing.deliveries()))
        };
        let answered = answered.await;
        let (answered, deliveries) = ended(tx, answered).await?;
        self.tell(deliveries);
        Ok(answered)
    }

    fn tell(&self, deliveries: usize) {
        if deliveries > 0 {
            self.told.notify_one();
        }
    }

    /// The answer that was given before; or, if its server died between the two transactions, the rest
    /// of the work.
    async fn repeat(&self, request: &Request, known: Receipt, render: &dyn Render) -> Result<Answered, Failure> {
        if let Some((status, body)) = known.status.zip(known.body) {
            return Ok(Answered { status, body, repeats: Some(known.request) });
        }
        let Some(key) = key_of(request) else { return Err(in_use(request).into()) };
        let wall = self.clock.now();
        let leased_until = wall.plus_seconds(LEASE_SECONDS).unix_seconds();
        let subject = known.subject.as_deref().and_then(subject_of);
        // Its own receipt: of a commit of which nobody could say whether it had happened.
        let is_own = known.request == request.id;
        let lapsed = known.leased_until.is_some_and(|until| until <= wall.unix_seconds());
        let Some((subject, intents)) = subject.filter(|_| is_own || lapsed) else {
            return Err(in_use(request).into());
        };
        // Before the lease is ours: who fails here and tries again must not be held up by a lease of its own.
        let open = self.still_open(&intents).await?;
        if !is_own {
            let mut reader = self.store.reader().await?;
            let ours = idempotency::take_over(&mut reader, key, wall.unix_seconds(), leased_until).await?;
            drop(reader);
            if !ours {
                return Err(in_use(request).into());
            }
        }
        let first = Request { id: known.request, ..request.clone() };
        self.pay(&first, &subject, open, render).await
    }

    async fn still_open(&self, intents: &[String]) -> Result<Vec<Open>, Failure> {
        let mut tx = self.store.begin().await?;
        let mut needs = Needs::default();
        needs.documents.extend(intents.iter().map(|id| (&crate::billing::payment_intent::NOUN, id.clone())));
        let opened = books::open(&mut tx, &[Opening { customer: None, needs }]).await?;
        tx.commit().await?;
        // Far enough ahead that an open attempt counts however fresh it is.
        Ok(opened.books.first().map(|books| Open::left_alone_in(books, Timestamp::new(i64::MAX))).unwrap_or_default())
    }
}

/// Ends a transaction as it deserves.
async fn ended<T>(tx: Tx, outcome: Result<T, Failure>) -> Result<T, Failure> {
    match outcome {
        Ok(done) => {
            tx.commit().await?;
            Ok(done)
        }
        Err(failure) => {
            // Where even that fails the connection is closed, which comes to the same.
            let _ = tx.roll_back().await;
            Err(failure)
        }
    }
}

/// What is known about the request's idempotency key, checked against the request.
async fn known(
    tx: &mut Tx,
    request: &Request,
    found: Option<Receipt>,
    wall: Timestamp,
) -> Result<Option<Receipt>, Failure> {
    let (Some(idempotency), Some(key), Some(found)) = (&request.idempotency, key_of(request), found) else {
        return Ok(None);
    };
    if found.has_lapsed(wall.unix_seconds()) {
        idempotency::forget(tx, key, wall.unix_seconds()).await?;
        return Ok(None);
    }
    if !found.is_same {
        let message = format!(
            "Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a \
             key other than '{}' if you meant to execute a different request.",
            idempotency.key
        );
        return Err(Refusal::new(400, ErrorType::IdempotencyError, message).into());
    }
    Ok(Some(found))
}

/// Writes what was decided, and answers. The receipt is written with it where the answer can be put into
/// words before; `is_known` when there is one already, of a payment under way.
async fn answer(
    tx: &mut Tx,
    request: &Request,
    subject: &Subject,
    closing: &Closing,
    render: &dyn Render,
    wall: Timestamp,
    is_known: bool,
) -> Result<Answered, Failure> {
    if let Some(answered) = render.render_ahead(subject, &closing.closed)? {
        closing.write(tx, entry(request, wall, state(&answered, is_known)).as_ref()).await?;
        return Ok(answered);
    }
    tx.begin().await?;
    closing.write(tx, None).await?;
    let answered = render.render(tx, subject, &closing.closed).await?;
    if let Some(receipt) = entry(request, wall, state(&answered, is_known)) {
        close::close_receipt(tx, &receipt).await?;
    }
    Ok(answered)
}

fn state(answered: &Answered, is_known: bool) -> State<'_> {
    let (status, body) = (answered.status, answered.body.as_str());
    if is_known { State::Settled { status, body } } else { State::Answered { status, body } }
}

/// Whether the same verb may be done again. After a lost commit only where a receipt would tell.
fn may_repeat(fault: &Fault, request: &Request) -> bool {
    fault.is_passing() || fault.is_uncertain() && request.idempotency.is_some()
}

pub async fn opening_of(tx: &mut Tx, owner: Owner, mut needs: Needs) -> Result<Opening, Fault> {
    let customer = match owner {
        Owner::Nobody => None,
        Owner::Customer(id) => Some(id),
        Owner::Of(noun, id) => {
            let owner = books::owner(tx, noun, &id).await?.flatten();
            needs.documents.push((noun, id));
            owner
        }
    };
    Ok(Opening { customer, needs })
}

/// A customer on a test clock lives at its frozen time, and must wait while it advances.
pub fn time_in(books: &Books, wall: Timestamp) -> Result<Timestamp, Refusal> {
    let Some(clock) = books.test_clock() else { return Ok(wall) };
    match clock.status {
        Status::Ready => Ok(clock.frozen_time),
        Status::Advancing | Status::InternalFailure => Err(clock.not_ready()),
    }
}

pub fn cause_of(request: &Request) -> Cause {
    Cause {
        id: Some(request.id.clone()),
        idempotency_key: request.idempotency.as_ref().map(|idempotency| idempotency.key.clone()),
    }
}

fn key_of(request: &Request) -> Option<Key<'_>> {
    let idempotency = request.idempotency.as_ref()?;
    Some(Key { livemode: request.livemode, text: &idempotency.key, fingerprint: &idempotency.fingerprint })
}

/// What is to be written about the request's key, if it has one.
fn entry<'a>(request: &'a Request, wall: Timestamp, state: State<'a>) -> Option<Entry<'a>> {
    Some(Entry { key: key_of(request)?, request: &request.id, now: wall.unix_seconds(), state })
}

fn in_use(request: &Request) -> Refusal {
    let key = request.idempotency.as_ref().map_or("", |idempotency| &idempotency.key);
    let message = format!(
        "There is currently another in-progress request using this Idempotent Key (that probably means you submitted twice, and \
         the other request is still going through): {key}. Please try again later."
    );
    Refusal::new(409, ErrorType::IdempotencyError, message).code("idempotency_key_in_use")
}

/// A unique value that a client chose can clash only when it is written.
fn constraint_refusal(fault: &Fault) -> Option<Refusal> {
    match fault.constraint()? {
        "products_pkey" => {
            Some(Refusal::invalid("Product already exists.").code("resource_already_exists").param("id"))
        }
        "prices_pkey" => Some(Refusal::invalid("Plan already exists.").code("resource_already_exists").param("id")),
        "invoices_given_number" => Some(
            Refusal::invalid("Another invoice has that number already.")
                .code("resource_already_exists")
                .param("number"),
        ),
        "invoice_prefixes_pkey" => Some(invoice_prefix::taken()),
        "prices_product_fkey" => {
            Some(Refusal::invalid("This product cannot be deleted because it has one or more user-created prices."))
        }
        // `prices_lookup_key`: the table and the column of a unique index.
        other => {
            let named = NOUNS.iter().find_map(|noun| {
                let column = other.strip_prefix(noun.table)?.strip_prefix('_')?;
                noun.columns.iter().find(|known| known.name == column).map(|column| (noun.name, column.name))
            });
            named.map(|(name, column)| {
                let message = format!("A {name} already uses that {}.", column.replace('_', " "));
                Refusal::invalid(message).code("resource_already_exists").param(column)
            })
        }
    }
}

/// What a receipt under way remembers: noun, id, the intents to ask about, whether a decline is the
/// answer, and whether it is a stub or only a part.
fn subject_text(subject: &Subject, open: &[Open]) -> String {
    let intents: Vec<&str> = open.iter().map(|open| open.intent.as_str()).collect();
    let declined = subject.unless_declined.as_ref().map(ToString::to_string).unwrap_or_default();
    let shown = match &subject.part {
        _ if subject.deleted => DELETED.to_owned(),
        Some((noun, id)) => format!("{} {id}", noun.object),
        None => String::new(),
    };
    format!("{} {} {} {declined} {shown}", subject.noun.object, subject.id, intents.join(","))
}

/// How a receipt under way says that the answer is a stub.
const DELETED: &str = "deleted";

fn subject_of(text: &str) -> Option<(Subject, Vec<String>)> {
    let mut words = text.split(' ');
    let noun = crate::billing::noun_of(words.next()?)?;
    let id = words.next()?.to_owned();
    let intents = words.next()?.split(',').map(ToOwned::to_owned).collect();
    let declined = words.next().and_then(Asked::parse);
    let shown = words.next().unwrap_or_default();
    let part = crate::billing::noun_of(shown).zip(words.next().map(ToOwned::to_owned));
    let deleted = shown == DELETED;
    Some((Subject { noun, id, deleted, unless_declined: declined, refusal: None, part, shown_once: None }, intents))
}
