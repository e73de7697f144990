//! What a session waited for has happened, or has not: it is complete, or goes on waiting.

use super::{
    complete, create,
    session::{Internal, Mode, Payment, PaymentStatus, Pursuit, Session, Status},
};
use crate::billing::{
    Books, Id, Moment, Refusal,
    draft::{self, Details, NewInvoice, PendingItems},
    finalize::{self, Purpose},
    invoice::Invoice,
    itemize::{CostParams, Edit},
    lines::{self, NewLine},
    payment_intent::{self, PaymentIntent},
    receive,
    setup_intent::{self, SetupIntent},
    shape::Patch,
};

/// The processor is asked once more, now that the customer has authenticated.
pub fn asked(books: &mut Books, intent: &PaymentIntent) {
    if let Some(mut session) = session_of(books, intent).filter(|session| session.status == Status::Open) {
        session.internal.paying = true;
        books.put(session);
    }
}

/// The session that a payment is for, as far as it is at hand.
fn session_of(books: &Books, intent: &PaymentIntent) -> Option<Session> {
    books.get(&intent.internal.checkout.as_ref()?.session).cloned()
}

/// The payment of a session has come to something. It is the last of what that tells of.
pub fn answered(books: &mut Books, id: &Id<PaymentIntent>, at: &mut Moment) -> Result<(), Refusal> {
    let Some(intent) = books.get(id).cloned() else { return Ok(()) };
    let Some(session) = session_of(books, &intent) else { return Ok(()) };
    match session.status {
        Status::Open => first_answer(books, session, &intent, at),
        Status::Complete if session.payment_status == PaymentStatus::Unpaid && session.internal.paying => {
            later_answer(books, session, &intent, at);
            Ok(())
        }
        Status::Complete | Status::Expired => Ok(()),
    }
}

fn first_answer(books: &mut Books, session: Session, intent: &PaymentIntent, at: &mut Moment) -> Result<(), Refusal> {
    use payment_intent::Status as Paid;
    let mut session = session;
    session.internal.paying = false;
    let payment_status = match intent.status {
        Paid::Succeeded => PaymentStatus::Paid,
        // The money is not there yet.
        Paid::Processing | Paid::RequiresCapture => PaymentStatus::Unpaid,
        Paid::Canceled => {
            books.put(without_pursuit(session));
            return Ok(());
        }
        Paid::RequiresAction | Paid::RequiresConfirmation | Paid::RequiresPaymentMethod => {
            session.internal.pursuit = Some(Pursuit::Payment(Payment::of(intent)));
            books.put(session);
            return Ok(());
        }
    };
    let session = match session.mode {
        Mode::Subscription => subscribed(books, session, intent)?,
        Mode::Payment if session.makes_invoice() => {
            let invoice = invoice(books, &session, intent, at)?;
            Session { invoice: Some(invoice), ..session }
        }
        Mode::Payment | Mode::Setup => session,
    };
    let mut session = session;
    session.internal.paying = payment_status == PaymentStatus::Unpaid;
    finish(books, session, payment_status, at);
    Ok(())
}

/// The session shows what was subscribed to.
fn subscribed(books: &Books, session: Session, intent: &PaymentIntent) -> Result<Session, Refusal> {
    let invoice = intent.internal.invoice.as_ref().and_then(|id| books.get(id));
    let subscription = invoice.and_then(Invoice::subscription).cloned();
    let session = create::billed(session, invoice)?;
    Ok(Session { invoice: invoice.map(|invoice| invoice.id.clone()), subscription, ..session })
}

/// An invoice of what was bought, paid with what has been paid (`invoice_creation`).
fn invoice(
    books: &mut Books,
    session: &Session,
    intent: &PaymentIntent,
    at: &mut Moment,
) -> Result<Id<Invoice>, Refusal> {
    let customer = books.customer()?.id.clone();
    let data = session.invoice_creation.as_ref().map(|creation| creation.invoice_data.clone()).unwrap_or_default();
    let details = Details {
        custom_fields: data.custom_fields.map_or(Patch::Keep, Patch::Set),
        description: data.description.map_or(Patch::Keep, Patch::Set),
        footer: data.footer.map_or(Patch::Keep, Patch::Set),
        metadata: data.metadata.map_or_else(Default::default, crate::billing::MetadataPatch::Merge),
        ..Details::default()
    };
    let (currency, pending_items) = (session.currency, PendingItems::Exclude);
    let id = draft::create(books, NewInvoice { customer, currency, details, pending_items, subscription: None }, at)?;
    let bought = session.internal.line_items.iter().map(|line| NewLine {
        invoice_item: None,
        edit: Edit {
            cost: CostParams {
                currency,
                price: Some(line.price.clone()),
                quantity: Some(line.quantity.into()),
                ..CostParams::default()
            },
            ..Edit::default()
        },
    });
    lines::add(books, &id, bought.collect(), crate::billing::MetadataPatch::Keep, at)?;
    // It asks for nothing: the payment is there.
    finalize::finalize_for(books, &id, Purpose::Void, at)?;
    receive::attach(books, &id, &intent.id, at)?;
    Ok(id)
}

/// What took its time has come, or has failed.
fn later_answer(books: &mut Books, session: Session, intent: &PaymentIntent, at: &mut Moment) {
    use payment_intent::Status as Paid;
    let (payment_status, event) = match intent.status {
        Paid::Succeeded => (PaymentStatus::Paid, "checkout.session.async_payment_succeeded"),
        Paid::RequiresPaymentMethod | Paid::Canceled => {
            (PaymentStatus::Unpaid, "checkout.session.async_payment_failed")
        }
        Paid::Processing | Paid::RequiresCapture | Paid::RequiresAction | Paid::RequiresConfirmation => return,
    };
    let mut session = Session { payment_status, ..session };
    session.internal.paying = false;
    let kept = books.put(session);
    // What was reserved is captured by whoever sells, who need not be told of it.
    if !intent.captures_by_hand() {
        kept.tell(event, at);
    }
}

/// The setup of a session has come to something.
pub fn set_up(books: &mut Books, id: &Id<SetupIntent>, at: &mut Moment) -> Result<(), Refusal> {
    let Some(intent) = books.get(id).cloned() else { return Ok(()) };
    let session = intent.internal.checkout.as_ref().and_then(|session| books.get(session)).cloned();
    let Some(session) = session.filter(|session| session.status == Status::Open) else { return Ok(()) };
    match (intent.status, session.mode) {
        (setup_intent::Status::Succeeded, Mode::Subscription) => {
            complete::subscribe_free(books, without_pursuit(session), intent.payment_method, at)
        }
        (setup_intent::Status::Succeeded, Mode::Setup | Mode::Payment) => {
            finish(books, session, PaymentStatus::NoPaymentRequired, at);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The same without what was begun for it.
#[must_use]
pub fn without_pursuit(session: Session) -> Session {
    Session { internal: Internal { pursuit: None, ..session.internal }, ..session }
}

/// All is done. Told last of all that happened.
pub fn finish(books: &mut Books, session: Session, payment_status: PaymentStatus, at: &mut Moment) {
    let session = Session { payment_status, status: Status::Complete, url: None, ..without_pursuit(session) };
    books.put(session).tell("checkout.session.completed", at);
}
