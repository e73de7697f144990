//! What an authentication comes to: the same verb for the page and for the API.

use super::{
    Owner, Subject,
    verb::{Decision, Verb},
};
use crate::{
    billing::{
        Id, authenticate, next_action::Authentication, payment_intent::PaymentIntent, setup, setup_intent::SetupIntent,
    },
    store::{
        Connection, Fault,
        books::{self, Needs},
    },
};

/// The customer has authenticated a payment, or has not.
pub async fn payment(
    connection: &mut Connection,
    id: &Id<PaymentIntent>,
    outcome: Authentication,
) -> Result<impl Verb + use<>, Fault> {
    let needs = around(connection, id).await?;
    let id = id.clone();
    Ok(Decision::new(Owner::of(&id), needs, move |books, at| {
        books.at_path(&id)?;
        authenticate::authenticate(books, &id, outcome, at)?;
        Ok(Subject::document(&id))
    }))
}

/// The customer has authenticated a card that is being set up, or has not.
pub async fn setup(
    connection: &mut Connection,
    id: &Id<SetupIntent>,
    outcome: Authentication,
) -> Result<impl Verb + use<>, Fault> {
    let needs = around_setup(connection, id).await?;
    let id = id.clone();
    Ok(Decision::new(Owner::of(&id), needs, move |books, at| {
        books.at_path(&id)?;
        setup::authenticate(books, &id, outcome, at)?;
        Ok(Subject::document(&id))
    }))
}

/// What must be at hand when an intent goes on: its payment method, and the invoice that it pays.
pub async fn around(connection: &mut Connection, id: &Id<PaymentIntent>) -> Result<Needs, Fault> {
    let mut needs = Needs::default();
    if let Some(intent) = books::peek(connection, id).await? {
        intent.payment_method.iter().for_each(|method| needs.document(method));
        intent.internal.invoice.iter().for_each(|invoice| needs.document(invoice));
        if let Some(of) = &intent.internal.checkout {
            needs.document(&of.session);
            intent.internal.invoice_items.iter().for_each(|item| needs.document(item));
            intent.internal.balance_transaction.iter().for_each(|entry| needs.document(entry));
        }
    }
    Ok(needs)
}

/// The same for a setup: its payment method, its attempt, and the session that it completes.
pub async fn around_setup(connection: &mut Connection, id: &Id<SetupIntent>) -> Result<Needs, Fault> {
    let mut needs = Needs::default();
    if let Some(intent) = books::peek(connection, id).await? {
        intent.payment_method.iter().for_each(|method| needs.document(method));
        intent.latest_attempt.iter().for_each(|attempt| needs.document(attempt));
        if let Some(session) = intent.internal.checkout {
            if let Some(session) = books::peek(connection, &session).await? {
                needs.prices.extend(session.internal.line_items.into_iter().map(|line| line.price));
            }
            needs.document(&session);
        }
    }
    Ok(needs)
}
