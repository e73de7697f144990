//! Authentication: asked for, and then done or not by the customer.

use super::{
    Books, Id, Moment, Refusal, announce,
    attempts::{self, Made},
    cancel::busy,
    checkout, erase,
    next_action::{Authentication, NextAction},
    payment_intent::{Asker, Attempt, ConfirmationMethod, Internal, PaymentError, PaymentIntent, Status},
    remind,
    retry::Tried,
    settle,
};

/// What a failed authentication is called.
pub const FAILURE: &str = "payment_intent_authentication_failure";

/// The payment waits for the customer to authenticate. The invoice it pays stays open, and its
/// subscription incomplete or past due (result of an attempt).
pub fn required(books: &mut Books, intent: PaymentIntent, attempt: &Attempt, at: &mut Moment) -> Result<(), Refusal> {
    let action = NextAction::authenticate(intent.id.as_str(), &intent.client_secret, attempt.return_url.as_deref(), at);
    let waited = remind::waits_for_customer(&intent);
    let intent = PaymentIntent {
        next_action: Some(action),
        payment_method: Some(attempt.payment_method.clone()),
        status: Status::RequiresAction,
        ..intent
    };
    books.put(intent.clone()).tell("payment_intent.requires_action", at);
    match intent.internal.invoice.as_ref().and_then(|id| books.get(id)).cloned() {
        Some(mut invoice) => {
            if invoice.is_retried() && !waited {
                let settings = &books.settings(invoice.livemode).collection.authentication;
                invoice.internal.agenda = remind::of_authentication(settings, at.now);
            }
            let invoice = attempts::note(books, invoice, Made::requires_action(attempt, at));
            let tried = Tried { automatic: attempt.automatic, spent: Some(attempt.payment_method.clone()) };
            settle::not_collected(books, invoice, tried, &["invoice.payment_action_required"], at)
        }
        None => Ok(()),
    }
}

/// The customer has authenticated, or has not. A payment goes on where it had stopped; one that is
/// confirmed by hand waits for its server to confirm it again.
pub fn authenticate(
    books: &mut Books,
    id: &Id<PaymentIntent>,
    outcome: Authentication,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let intent = books.find(id, "intent")?.clone();
    if intent.internal.attempt.is_some() {
        return Err(busy());
    }
    let (Status::RequiresAction, Some(method)) = (intent.status, intent.payment_method.clone()) else {
        return Err(PaymentIntent::unexpected_state(format!(
            "This PaymentIntent cannot be authenticated because it has a status of {}. Only a PaymentIntent with a status of \
             requires_action can be.",
            intent.status
        )));
    };
    let method = books.find(&method, "payment_method")?.clone();
    if outcome == Authentication::Fail {
        let error = PaymentError::of_authentication(FAILURE, books.image(&method.id));
        // What only a session has heard of has never been.
        let erased = announce::unannounced(books, &intent).is_some();
        let intent = if erased { erase::erase(books, intent, at)? } else { intent };
        settle::failed(books, intent, error, Tried { automatic: false, spent: None }, at)?;
        if erased {
            erase::close_intent(books, id, at)?;
        }
        return checkout::follow::answered(books, id, at);
    }
    let internal = Internal { authenticated: Some(method.id.clone()), ..intent.internal };
    let intent = PaymentIntent { next_action: None, internal, ..intent };
    if intent.confirmation_method == ConfirmationMethod::Manual {
        books.put(PaymentIntent { status: Status::RequiresConfirmation, ..intent });
        return Ok(());
    }
    let asker = Asker { automatic: false, off_session: false };
    let attempt = intent.charge_to(&method, intent.amount, asker, at.now);
    let asked = intent.ask(attempt)?;
    checkout::follow::asked(books, &asked);
    books.put(asked);
    Ok(())
}
