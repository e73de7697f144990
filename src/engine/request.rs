//! One verb for one caller: decided once, answered once, however often it is asked.
//!
//! The receipt of an idempotency key is written in the transaction of the effect. A verb that moves
//! money takes two: the first commits the effect with its open attempt (and a receipt that says what
//! the answer will be about), the second commits the outcome with the answer. Either is shared with whoever
//! else is about, where that goes smoothly, and else done alone.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;

use super::{
    Engine, Failure,
    close::{Cause, Closed, prepare},
    draft::{Asker, Draft, LEASE_SECONDS, Said, Step, key_of, subject_of},
    group::Left,
    payment::Open,
    verb::{Owner, Subject, Verb},
    work::{Work, settle_all},
};
use crate::{
    billing::{
        Books, Refusal, Timestamp, books::NOUNS, invoice_prefix, refusal::ErrorType, test_clock::Status,
        webhook_endpoint::WebhookEndpoint,
    },
    store::{
        Connection, Fault, Tx,
        books::{self, Listening, Needs, Opened, Opening},
        idempotency::{self, Receipt},
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
pub trait Render: Send + Sync {
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

/// What a look at the books came to.
enum Decided {
    /// With how many deliveries.
    Now(Step, usize),
    /// It was decided before: this is the receipt.
    Before(Receipt),
}

impl Engine {
    /// Does a verb and answers it.
    pub async fn perform<V: Verb>(
        &self,
        request: &Request,
        verb: V,
        render: impl Render + 'static,
    ) -> Result<Answered, Failure> {
        let asker = Asker { request: request.clone(), render: Arc::new(render) };
        match self.first(&asker, verb).await? {
            Step::Done(answered) => Ok(answered),
            Step::Pay(subject, open) => self.pay(&asker, &subject, open).await,
        }
    }

    /// The first transaction: together with others, or else alone.
    async fn first<V: Verb>(&self, asker: &Asker, verb: V) -> Result<Step, Failure> {
        match self.first_together(asker, &verb).await {
            Ok(step) => return Ok(step),
            Err(Left::Failed(Failure::Broken(fault))) if may_repeat(&fault, &asker.request) => {}
            Err(Left::Failed(failure)) => return Err(failure),
            Err(Left::Alone) => {}
        }
        let mut tries = 0;
        loop {
            tries += 1;
            let failure = match self.first_alone(asker, verb.clone()).await {
                Ok(Some(step)) => return Ok(step),
                Ok(None) if tries < TRIES => continue,
                Ok(None) => return Err(in_use(&asker.request).into()),
                Err(failure) => failure,
            };
            match &failure {
                Failure::Broken(fault) if may_repeat(fault, &asker.request) && tries < TRIES => {
                    tokio::time::sleep(Duration::from_millis(10 << tries)).await;
                }
                Failure::Broken(fault) => return Err(constraint_refusal(fault).map_or(failure, Failure::Refused)),
                Failure::Refused(_) => return Err(failure),
            }
        }
    }

    async fn first_together<V: Verb>(&self, asker: &Asker, verb: &V) -> Result<Step, Left> {
        let Ok(Some(opening)) = self.shareable(verb).await else { return Err(Left::Alone) };
        let request = asker.request.clone();
        let (asker, verb) = (asker.clone(), verb.clone());
        let decide = move |engine: &Engine, books: Books, endpoints: &[WebhookEndpoint], wall: Timestamp| {
            engine.decide(asker, verb, books, endpoints, wall)
        };
        self.together(opening, Some(request), Box::new(decide)).await
    }

    /// What is to be opened for a verb that can be done together with what others ask for: it locks nothing but
    /// what belongs to one customer.
    async fn shareable<V: Verb>(&self, verb: &V) -> Result<Option<Opening>, Fault> {
        let (owner, mut needs) = (verb.owner(), Needs::default());
        verb.needs(&mut needs);
        // Its invoices are read by a query of its own, which others need not wait for.
        let reads_invoices = needs.invoices_beside.is_some() || needs.invoices_of.is_some();
        if reads_invoices || !needs.documents.iter().all(|(noun, _)| noun.is_owned()) {
            return Ok(None);
        }
        let opening = match owner {
            Owner::Nobody => Opening { customer: None, needs },
            Owner::Customer(id) => Opening { customer: Some(id), needs },
            Owner::Of(..) => {
                let mut reader = self.store.reader().await?;
                let opening = opening_of(&mut reader, owner, needs).await?;
                reader.give_back();
                opening
            }
        };
        let is_shareable = opening.customer.is_some() || opening.needs.locks_nothing();
        Ok(is_shareable.then_some(opening))
    }

    /// `None`: a twin committed first.
    async fn first_alone<V: Verb>(&self, asker: &Asker, verb: V) -> Result<Option<Step>, Failure> {
        let (owner, mut needs) = (verb.owner(), Needs::default());
        verb.needs(&mut needs);
        let mut tx = self.store.begin_later().await?;
        if !(matches!(owner, Owner::Nobody) && needs.locks_nothing()) {
            tx.begin().await?;
        }
        let opening = opening_of(&mut tx, owner, needs).await?;
        let decided = self.first_in(&mut tx, asker, verb, &opening).await;
        match ended(tx, decided).await {
            Ok(Decided::Now(step, deliveries)) => {
                self.tell(deliveries);
                Ok(Some(step))
            }
            Ok(Decided::Before(known)) => self.repeat(asker, known).await.map(|answered| Some(Step::Done(answered))),
            Err(Failure::Broken(fault)) if fault.constraint() == Some(idempotency::TWICE) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn first_in<V: Verb>(
        &self,
        tx: &mut Tx,
        asker: &Asker,
        verb: V,
        opening: &Opening,
    ) -> Result<Decided, Failure> {
        let wall = self.clock.now();
        let key = key_of(&asker.request);
        let mut opened = books::open_and_find(tx, std::slice::from_ref(opening), key.as_slice()).await?;
        if let Some(known) = known(tx, &asker.request, opened.receipts.pop(), wall).await? {
            return Ok(Decided::Before(known));
        }
        self.remember(&opened);
        let books = opened.books.into_iter().next().unwrap_or_default();
        let draft = self.decide(asker.clone(), verb, books, &opened.endpoints, wall)?;
        let (step, deliveries) = draft.write(tx).await?;
        Ok(Decided::Now(step, deliveries))
    }

    /// Remembers who listens, and the settings, if that was read.
    pub(super) fn remember(&self, opened: &Opened) {
        if let (Some(listening), Ok(mut remembered)) = (&opened.listening, self.listening.write()) {
            *remembered = Some(listening.clone());
        }
    }

    /// Who listens, and the settings, as this process last saw them.
    pub(super) fn remembered(&self) -> Option<Listening> {
        self.listening.read().ok()?.clone()
    }

    /// Decides in books that are open.
    fn decide<V: Verb>(
        &self,
        asker: Asker,
        verb: V,
        mut books: Books,
        endpoints: &[WebhookEndpoint],
        wall: Timestamp,
    ) -> Result<Draft, Failure> {
        books.keep_mode(asker.request.livemode);
        books.know(self.experience());
        let mut at = self.moment(time_in(&books, wall)?)?;
        let subject = verb.decide(&mut books, &mut at)?;
        books.soundness()?;
        let open = Open::opened_in(&books);
        let closing = prepare(vec![books], endpoints, &cause_of(&asker.request), wall)?;
        if open.is_empty() {
            return Draft::answering(asker, subject, closing, wall, false);
        }
        Ok(Draft { closing, said: Said::Now(Step::Pay(subject, open)), asker, wall, is_known: false })
    }

    /// Asks the processor, settles what it says, and answers.
    async fn pay(&self, asker: &Asker, subject: &Subject, open: Vec<Open>) -> Result<Answered, Failure> {
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
        let work = Work::from_answers(settled);
        match self.second(asker, subject, &work).await? {
            Step::Done(answered) => Ok(answered),
            Step::Pay(..) => Err(Refusal::internal("settling opens no attempts").into()),
        }
    }

    /// The second transaction: together with others, or else alone.
    async fn second(&self, asker: &Asker, subject: &Subject, work: &[Work]) -> Result<Step, Failure> {
        if let Ok(step) = self.second_together(asker, subject, work).await {
            return Ok(step);
        }
        let mut tries = 0;
        loop {
            tries += 1;
            match self.second_alone(asker, subject, work).await {
                // Settling twice is settling once: the second finds the attempt closed.
                Err(Failure::Broken(fault)) if (fault.is_passing() || fault.is_uncertain()) && tries < TRIES => {
                    tokio::time::sleep(Duration::from_millis(10 << tries)).await;
                }
                other => return other,
            }
        }
    }

    /// What one customer's payments came to is settled together with what others' did.
    async fn second_together(&self, asker: &Asker, subject: &Subject, work: &[Work]) -> Result<Step, Left> {
        let [work] = work else { return Err(Left::Alone) };
        if work.opening.customer.is_none() {
            return Err(Left::Alone);
        }
        let (asker, subject, work) = (asker.clone(), subject.clone(), work.clone());
        let opening = work.opening.clone();
        let decide = move |engine: &Engine, books: Books, endpoints: &[WebhookEndpoint], wall: Timestamp| {
            engine.settle(asker, subject, vec![books], &[work], endpoints, wall)
        };
        self.together(opening, None, Box::new(decide)).await
    }

    async fn second_alone(&self, asker: &Asker, subject: &Subject, work: &[Work]) -> Result<Step, Failure> {
        let openings: Vec<Opening> = work.iter().map(|work| work.opening.clone()).collect();
        let wall = self.clock.now();
        let mut tx = self.store.begin().await?;
        let settled = async {
            let opened = books::open(&mut tx, &openings).await?;
            let (asker, subject) = (asker.clone(), subject.clone());
            let draft = self.settle(asker, subject, opened.books, work, &opened.endpoints, wall)?;
            draft.write(&mut tx).await
        };
        let settled = settled.await;
        let (step, deliveries) = ended(tx, settled).await?;
        self.tell(deliveries);
        Ok(step)
    }

    /// Settles in books that are open.
    fn settle(
        &self,
        asker: Asker,
        subject: Subject,
        books: Vec<Books>,
        work: &[Work],
        endpoints: &[WebhookEndpoint],
        wall: Timestamp,
    ) -> Result<Draft, Failure> {
        let closing = settle_all(self, books, work, endpoints, wall, &cause_of(&asker.request))?;
        Draft::answering(asker, subject, closing, wall, true)
    }

    pub(super) fn tell(&self, deliveries: usize) {
        if deliveries > 0 {
            self.told.notify_one();
        }
    }

    /// The answer that was given before; or, if its server died between the two transactions, the rest
    /// of the work.
    async fn repeat(&self, asker: &Asker, known: Receipt) -> Result<Answered, Failure> {
        let request = &asker.request;
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
        let first = Asker { request: Request { id: known.request, ..request.clone() }, ..asker.clone() };
        self.pay(&first, &subject, open).await
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
pub(super) async fn ended<T>(tx: Tx, outcome: Result<T, Failure>) -> Result<T, Failure> {
    match &outcome {
        Ok(_) => tx.commit().await?,
        // What may not be well is not lent again: it is closed, which rolls it back.
        Err(Failure::Broken(fault)) if !fault.leaves_connected() => drop(tx),
        Err(_) => drop(tx.roll_back().await),
    }
    outcome
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

/// Whether the same verb may be done again. After a lost commit only where a receipt would tell.
fn may_repeat(fault: &Fault, request: &Request) -> bool {
    fault.is_passing() || fault.is_uncertain() && request.idempotency.is_some()
}

pub async fn opening_of(connection: &mut Connection, owner: Owner, mut needs: Needs) -> Result<Opening, Fault> {
    let customer = match owner {
        Owner::Nobody => None,
        Owner::Customer(id) => Some(id),
        Owner::Of(noun, id) => {
            let owner = books::owner(connection, noun, &id).await?.flatten();
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
