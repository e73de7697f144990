//! The page of a session, filled in: the same verbs for the page and for the API.

use super::{
    Engine, Owner, Subject, authenticate,
    verb::{Decision, Verb},
};
use crate::{
    billing::{
        Books, Id, Moment, Refusal,
        answer::Decline,
        attach::NewMethod,
        checkout::{
            Session,
            complete::{self, Entries, Means},
            expire,
            session::{Payment, Pursuit},
        },
        id::Bucket,
        next_action::Authentication,
        payment_method::{BillingDetails, PaymentMethod},
        setup,
    },
    gateway::CardSource,
    store::{
        Connection, Fault,
        books::{self, Needs},
    },
};

/// What must be at hand when a session is completed, or comes to its end: what it sells, and what was begun
/// for it.
pub fn needs_of(session: &Session) -> Needs {
    let mut needs = Needs::default();
    needs.prices.extend(session.internal.line_items.iter().map(|line| line.price.clone()));
    session.payment_intent.iter().for_each(|intent| needs.document(intent));
    session.setup_intent.iter().for_each(|setup| needs.document(setup));
    match &session.internal.pursuit {
        Some(Pursuit::Payment(payment)) => {
            needs.document(&payment.intent);
            payment.invoice_items.iter().for_each(|item| needs.document(item));
            payment.balance_transaction.iter().for_each(|entry| needs.document(entry));
        }
        Some(Pursuit::Setup(setup)) => needs.document(setup),
        None => {}
    }
    needs
}

/// The session as it is, and what a decision about it needs.
pub async fn around(connection: &mut Connection, id: &Id<Session>) -> Result<(Option<Session>, Needs), Fault> {
    let session = books::peek(connection, id).await?;
    let needs = session.as_ref().map(needs_of).unwrap_or_default();
    Ok((session, needs))
}

/// A card as it was filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    pub number: String,
    pub exp_month: i64,
    pub exp_year: i64,
    pub cvc: Option<String>,
}

/// Hands a card to the processor. Gives what it is kept as, and why it cannot be kept for later if a session
/// wants that.
pub async fn take_in(
    engine: &Engine,
    session: &Session,
    card: Card,
    billing_details: BillingDetails,
) -> Result<(NewMethod, Option<Decline>), Decline> {
    let Card { number, exp_month, exp_year, cvc } = card;
    let source = CardSource::Number { number, exp_month, exp_year, cvc };
    let taken = engine.gateway.tokenize(&source, engine.clock.now()).await?;
    let method = NewMethod { billing_details, ..taken.into_method(session.livemode) };
    let refused = if session.keeps_card() { engine.gateway.verify(&method.token).await.err() } else { None };
    Ok((method, refused))
}

/// Completes a session with what was filled in. `place` puts the payment method into the books, if one was given.
pub fn complete(
    id: &Id<Session>,
    needs: Needs,
    entries: Entries,
    means: Means,
    place: impl FnOnce(&mut Books, Bucket, &mut Moment) -> Result<Option<Id<PaymentMethod>>, Refusal>
    + Clone
    + Send
    + 'static,
) -> impl Verb {
    let id = id.clone();
    Decision::new(Owner::of(&id), needs, move |books, at| {
        books.at_path(&id)?;
        let payment_method = place(books, id.bucket(), at)?;
        let completion = complete::complete(books, &id, entries, Means { payment_method, ..means }, at)?;
        let subject = Subject::document(&id).unless_declined(completion.intent);
        Ok(match completion.refusal {
            Some(refusal) => subject.refused(refusal),
            None => subject,
        })
    })
}

/// Expires a session by the merchant's wish.
pub fn expire(id: &Id<Session>, needs: Needs) -> impl Verb + use<> {
    let id = id.clone();
    Decision::new(Owner::of(&id), needs, move |books, at| {
        expire::expire(books, &id, at)?;
        Ok(Subject::document(&id))
    })
}

/// The customer of a session has authenticated, or has not.
pub async fn authenticate(
    connection: &mut Connection,
    id: &Id<Session>,
    outcome: Authentication,
) -> Result<impl Verb + use<>, Fault> {
    let awaited = books::peek(connection, id).await?.and_then(|session| session.begun());
    let mut needs = Needs::default();
    match &awaited {
        Some(Pursuit::Payment(payment)) => {
            needs = authenticate::around(connection, &payment.intent).await?;
            needs.document(&payment.intent);
        }
        Some(Pursuit::Setup(setup)) => {
            needs = authenticate::around_setup(connection, setup).await?;
            needs.document(setup);
        }
        None => {}
    }
    let id = id.clone();
    Ok(Decision::new(Owner::of(&id), needs, move |books, at| {
        books.at_path(&id)?;
        match &awaited {
            Some(Pursuit::Payment(Payment { intent, .. })) => {
                crate::billing::authenticate::authenticate(books, intent, outcome, at)?;
                Ok(Subject::document(&id).unless_declined((outcome == Authentication::Succeed).then(|| intent.clone())))
            }
            Some(Pursuit::Setup(intent)) => {
                setup::authenticate(books, intent, outcome, at)?;
                Ok(Subject::document(&id))
            }
            None => Err(Refusal::invalid("This Checkout Session does not wait for an authentication.")),
        }
    }))
}
