//! Waiting for the world to have heard of a new invoice: as long as an endpoint that wants
//! `invoice.created` has not acknowledged it, the draft is not finalised by itself.

use std::collections::{HashMap, HashSet};

use super::{
    Books, Id, Moment, Refusal, Resource as _, Timestamp,
    invoice::{Internal, Invoice, Status},
};

/// How long silence is waited for, from the creation of the draft: 72 hours.
const PATIENCE_SECONDS: i64 = 72 * 3600;
/// How long after a look in vain the next one is: no longer than the draft waits once it was heard of.
const LOOK_AGAIN_SECONDS: i64 = 3600;
/// How long after it was heard of a draft that had to wait for that is finalised.
const SECONDS_AFTER_HEARING: i64 = 3600;

/// Puts a new draft into the books and tells of it. Where somebody listens, the draft remembers the
/// event. On a test clock nobody is waited for: webhooks live at wall time.
pub fn announce(books: &mut Books, invoice: Invoice, at: &mut Moment) {
    let awaited = invoice.test_clock.is_none() && books.is_heard(invoice.livemode, "invoice.created");
    if !awaited {
        books.put(invoice).tell("invoice.created", at);
        return;
    }
    let invoice = Invoice { webhooks_delivered_at: None, ..invoice };
    books.put(invoice.clone()).tell("invoice.created", at);
    let awaits = books.last_told().map(ToOwned::to_owned);
    books.put(Invoice { internal: Internal { awaits, ..invoice.internal }, ..invoice });
}

/// An announcement that was withheld is told under an id of its own: that is what the draft waits for.
pub fn await_released(books: &mut Books, kind: &str, about: &str, event: &str) {
    let draft = books.get(&Id::<Invoice>::given(about)).filter(|_| kind == "invoice.created");
    if let Some(invoice) = draft.filter(|invoice| invoice.internal.awaits.is_some()).cloned() {
        let internal = Internal { awaits: Some(event.to_owned()), ..invoice.internal };
        books.put(Invoice { internal, ..invoice });
    }
}

/// What is known of whether events were acknowledged, as far as somebody asked.
#[derive(Clone, Debug, Default)]
pub struct Hearing {
    /// An endpoint has yet to acknowledge them, or never did.
    pub unheard: HashSet<String>,
    /// Acknowledged by the last endpoint at this time. Where nobody had to, nothing is known.
    pub heard: HashMap<String, Timestamp>,
}

/// The events that drafts wait for which are due up to `horizon`.
pub fn awaited(books: &Books, horizon: Timestamp) -> impl Iterator<Item = &str> {
    let due = move |invoice: &&Invoice| {
        invoice.status == Status::Draft && Invoice::due(invoice).is_some_and(|due| due <= horizon)
    };
    books.all::<Invoice>().filter(due).filter_map(|invoice| invoice.internal.awaits.as_deref())
}

/// Whether a draft that is due has to wait on: until it was heard of, which is looked at again in an hour,
/// and where that took longer than the draft was to wait, for an hour more. At the latest the patience ends.
pub fn holds(books: &mut Books, id: &Id<Invoice>, at: &Moment) -> Result<bool, Refusal> {
    let invoice = books.find(id, "invoice")?;
    let Some(event) = &invoice.internal.awaits else { return Ok(false) };
    let until = invoice.created.plus_seconds(PATIENCE_SECONDS);
    let Hearing { unheard, heard } = books.hearing();
    let heard = invoice.internal.held_until.and_then(|_| heard.get(event));
    let next = if unheard.contains(event) {
        at.now.plus_seconds(LOOK_AGAIN_SECONDS)
    } else {
        heard.map_or(at.now, |heard| heard.plus_seconds(SECONDS_AFTER_HEARING))
    };
    let held_until = next.min(until);
    if held_until <= at.now {
        return Ok(false);
    }
    let mut invoice = invoice.clone();
    invoice.internal.held_until = Some(held_until);
    books.put(invoice);
    Ok(true)
}

/// The wait is over: when the last had heard of it, unless that was given up.
pub fn heard_at(books: &Books, invoice: &Invoice, at: &Moment) -> Option<Timestamp> {
    let Some(event) = &invoice.internal.awaits else { return invoice.webhooks_delivered_at.or(Some(at.now)) };
    let Hearing { unheard, heard } = books.hearing();
    (!unheard.contains(event)).then(|| heard.get(event).copied().unwrap_or(at.now))
}
