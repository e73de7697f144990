//! A session that nobody completes any more: at its time, or by the merchant's wish.

use super::{
    follow::without_pursuit,
    session::{Pursuit, Session, Status},
};
use crate::billing::{
    Books, Id, Moment, Refusal, announce, confirm, erase,
    payment_intent::PaymentIntent,
    setup,
    setup_intent::{CancellationReason, SetupIntent},
};

/// Expires an open session, and takes back what was begun for it.
pub fn expire(books: &mut Books, id: &Id<Session>, at: &mut Moment) -> Result<(), Refusal> {
    let session = books.at_path(id)?.clone();
    session.check_open("expired")?;
    if let Some(pursuit) = session.begun() {
        take_back(books, &pursuit, at)?;
    }
    let session = Session { status: Status::Expired, url: None, ..without_pursuit(session) };
    books.put(session).tell("checkout.session.expired", at);
    Ok(())
}

/// The time of a session has come.
pub fn come_round(books: &mut Books, id: &Id<Session>, at: &mut Moment) -> Result<(), Refusal> {
    match books.get(id) {
        Some(session) if session.status == Status::Open && !session.internal.paying => expire(books, id, at),
        _ => Ok(()),
    }
}

/// What was begun has come to nothing: a subscription has never been, a payment or a setup is canceled.
pub fn take_back(books: &mut Books, pursuit: &Pursuit, at: &mut Moment) -> Result<(), Refusal> {
    match pursuit {
        Pursuit::Setup(id) => take_setup_back(books, id, at),
        Pursuit::Payment(payment) => {
            let intent = books.find(&payment.intent, "payment_intent")?.clone();
            take_payment_back(books, intent, at)
        }
    }
}

fn take_setup_back(books: &mut Books, id: &Id<SetupIntent>, at: &mut Moment) -> Result<(), Refusal> {
    let open = books.find(id, "setup_intent")?.is_open();
    if open { setup::cancel(books, id, Some(CancellationReason::Abandoned), at) } else { Ok(()) }
}

fn take_payment_back(books: &mut Books, intent: PaymentIntent, at: &mut Moment) -> Result<(), Refusal> {
    let id = intent.id.clone();
    if intent.status.is_terminal() {
        return Ok(());
    }
    if announce::unannounced(books, &intent).is_some() {
        erase::erase(books, intent, at)?;
        return erase::close_intent(books, &id, at);
    }
    confirm::expire(books, &id, at)
}
