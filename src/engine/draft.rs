//! What was decided for a caller, and is to be written: with what is answered, and with what the receipt of its
//! idempotency key remembers.

use std::sync::Arc;

use super::{
    Failure,
    close::{Closed, Closing},
    payment::Open,
    request::{Answered, Render, Request},
    verb::{Asked, Subject},
};
use crate::{
    billing::Timestamp,
    store::{
        Fault, Tx, close,
        idempotency::{Entry, Key, State},
    },
};

/// How long a request may take between its two transactions before a repetition may finish it.
pub const LEASE_SECONDS: i64 = 90;

/// Who asks, and how they are answered.
#[derive(Clone)]
pub struct Asker {
    pub request: Request,
    pub render: Arc<dyn Render>,
}

/// What a transaction came to.
pub enum Step {
    Done(Answered),
    Pay(Subject, Vec<Open>),
}

/// What was decided, and is to be written.
pub struct Draft {
    pub closing: Closing,
    pub said: Said,
    pub asker: Asker,
    pub wall: Timestamp,
    /// There is a receipt already, of a payment under way.
    pub is_known: bool,
}

/// What its caller is told.
pub enum Said {
    Now(Step),
    /// What can be put into words only once it is written.
    Later(Subject),
}

impl Draft {
    /// Of what is answered at once, if what will be written is all there is to say.
    pub fn answering(
        asker: Asker,
        subject: Subject,
        closing: Closing,
        wall: Timestamp,
        is_known: bool,
    ) -> Result<Draft, Failure> {
        let said = match asker.render.render_ahead(&subject, &closing.closed)? {
            Some(answered) => Said::Now(Step::Done(answered)),
            None => Said::Later(subject),
        };
        Ok(Draft { closing, said, asker, wall, is_known })
    }

    /// What is to be written with it about the request's key, if it has one.
    fn receipt(&self) -> Option<Entry<'_>> {
        let state = match &self.said {
            Said::Now(Step::Done(answered)) => state(answered, self.is_known),
            Said::Now(Step::Pay(subject, open)) => State::UnderWay {
                subject: subject_text(subject, open),
                leased_until: self.wall.plus_seconds(LEASE_SECONDS).unix_seconds(),
            },
            Said::Later(_) => return None,
        };
        entry(&self.asker, self.wall, state)
    }

    /// Writes it alone. Answers with how many deliveries there are.
    pub async fn write(mut self, tx: &mut Tx) -> Result<(Step, usize), Failure> {
        let written = write(tx, std::slice::from_mut(&mut self), None).await?;
        Ok((self.say(tx, &written.closed).await?, written.deliveries()))
    }

    /// What its caller is told, now that it is written.
    pub async fn say(self, tx: &mut Tx, closed: &Closed) -> Result<Step, Failure> {
        let Draft { said, asker, wall, is_known, .. } = self;
        let subject = match said {
            Said::Now(step) => return Ok(step),
            Said::Later(subject) => subject,
        };
        let answered = asker.render.render(tx, &subject, closed).await?;
        if let Some(receipt) = entry(&asker, wall, state(&answered, is_known)) {
            close::close_receipt(tx, receipt).await?;
        }
        Ok(Step::Done(answered))
    }
}

fn entry<'a>(asker: &'a Asker, wall: Timestamp, state: State<'a>) -> Option<Entry<'a>> {
    let Asker { request, .. } = asker;
    Some(Entry { key: key_of(request)?, request: &request.id, now: wall.unix_seconds(), state })
}

fn state(answered: &Answered, is_known: bool) -> State<'_> {
    let (status, body) = (answered.status, answered.body.as_str());
    if is_known { State::Settled { status, body } } else { State::Answered { status, body } }
}

/// Writes what was decided together, with the receipts, and takes it out of the drafts. What is told only then is
/// still to be said.
pub async fn write(tx: &mut Tx, drafts: &mut [Draft], seal: Option<i64>) -> Result<Closing, Fault> {
    if drafts.iter().any(|draft| matches!(draft.said, Said::Later(_))) {
        tx.begin().await?;
    }
    let mut closings = drafts.iter_mut().map(|draft| std::mem::take(&mut draft.closing));
    let mut together = closings.next().unwrap_or_default().sealed(seal);
    closings.for_each(|closing| together.append(closing));
    let mut receipts: Vec<Entry<'_>> = drafts.iter().filter_map(Draft::receipt).collect();
    // In one order: of two transactions that write the same keys one waits, and not each for the other.
    receipts.sort_by_key(|receipt| (receipt.key.text, receipt.key.livemode));
    together.write(tx, &receipts).await?;
    Ok(together)
}

/// The request's key, if it has one.
pub fn key_of(request: &Request) -> Option<Key<'_>> {
    let idempotency = request.idempotency.as_ref()?;
    Some(Key { livemode: request.livemode, text: &idempotency.key, fingerprint: &idempotency.fingerprint })
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

pub fn subject_of(text: &str) -> Option<(Subject, Vec<String>)> {
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
