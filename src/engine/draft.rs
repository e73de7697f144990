//! What was decided for a caller, and is to be written: with what is answered, and with what the receipt of its
//! idempotency key remembers.

use std::sync::Arc;

use super::{
    Failure,
    close::Closing,
    payment::Open,
    request::{Answered, Render, Request},
    verb::{Asked, Subject},
};
use crate::{
    billing::Timestamp,
    store::{
        Tx, close,
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

/// What was decided, and is to be written. `S` is what its caller is told: a [`Step`], or a [`Subject`] that can be
/// put into words only once it is written.
pub struct Draft<S> {
    pub closing: Closing,
    pub said: S,
    pub asker: Asker,
    pub wall: Timestamp,
    /// There is a receipt already, of a payment under way.
    pub is_known: bool,
}

pub enum Drafted {
    Said(Draft<Step>),
    Unsaid(Draft<Subject>),
}

impl<S> Draft<S> {
    fn entry<'a>(&'a self, state: State<'a>) -> Option<Entry<'a>> {
        let request = &self.asker.request;
        Some(Entry { key: key_of(request)?, request: &request.id, now: self.wall.unix_seconds(), state })
    }

    fn answered<'a>(&self, answered: &'a Answered) -> State<'a> {
        let (status, body) = (answered.status, answered.body.as_str());
        if self.is_known { State::Settled { status, body } } else { State::Answered { status, body } }
    }
}

impl Draft<Step> {
    /// What is to be written about the request's key, if it has one.
    pub fn receipt(&self) -> Option<Entry<'_>> {
        self.entry(match &self.said {
            Step::Done(answered) => self.answered(answered),
            Step::Pay(subject, open) => State::UnderWay {
                subject: subject_text(subject, open),
                leased_until: self.wall.plus_seconds(LEASE_SECONDS).unix_seconds(),
            },
        })
    }
}

impl Drafted {
    pub fn said(self) -> Option<Draft<Step>> {
        match self {
            Drafted::Said(draft) => Some(draft),
            Drafted::Unsaid(_) => None,
        }
    }

    /// Writes it, and answers with how many deliveries. The receipt is written with it where the answer is
    /// known before.
    pub async fn write(self, tx: &mut Tx) -> Result<(Step, usize), Failure> {
        match self {
            Drafted::Said(draft) => {
                draft.closing.write(tx, draft.receipt().as_slice()).await?;
                Ok((draft.said, draft.closing.deliveries()))
            }
            Drafted::Unsaid(draft) => {
                tx.begin().await?;
                draft.closing.write(tx, &[]).await?;
                let answered = draft.asker.render.render(tx, &draft.said, &draft.closing.closed).await?;
                if let Some(receipt) = draft.entry(draft.answered(&answered)) {
                    close::close_receipt(tx, receipt).await?;
                }
                Ok((Step::Done(answered), draft.closing.deliveries()))
            }
        }
    }
}

/// Puts a subject into words, if what will be written is all there is to say.
pub fn put_into_words(
    asker: Asker,
    subject: Subject,
    closing: Closing,
    wall: Timestamp,
    is_known: bool,
) -> Result<Drafted, Failure> {
    Ok(match asker.render.render_ahead(&subject, &closing.closed)? {
        Some(answered) => Drafted::Said(Draft { closing, said: Step::Done(answered), asker, wall, is_known }),
        None => Drafted::Unsaid(Draft { closing, said: subject, asker, wall, is_known }),
    })
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
