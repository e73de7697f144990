//! What callers do to payment intents: create, confirm, capture, cancel.

use super::{
    Amount, Books, Id, Moment, Refusal,
    cancel::busy,
    customer::Customer,
    payment_intent::{Action, Asker, Attempt, CancellationReason, PaymentIntent, Status},
    payment_method::PaymentMethod,
    receive,
};

/// An error of a wrong state shows the intent as it is.
pub fn showing(books: &Books, id: &Id<PaymentIntent>, mut refusal: Refusal) -> Refusal {
    if refusal.code.as_deref() == Some("payment_intent_unexpected_state") {
        refusal.payment_intent = books.image(id).map(Box::new);
    }
    refusal
}

/// The same where something has been put since: it is shown as it was, which is as it stays.
pub fn showing_kept(books: &mut Books, kept: PaymentIntent, refusal: Refusal) -> Refusal {
    let id = kept.id.clone();
    books.put(kept);
    showing(books, &id, refusal)
}

/// How an intent is confirmed.
#[derive(Clone, Debug, Default)]
pub struct Confirmation {
    /// Instead of the one that the intent has.
    pub payment_method: Option<Id<PaymentMethod>>,
    pub off_session: bool,
    /// Needing the customer to authenticate is a failure.
    pub refuses_action: bool,
    /// Where to send the customer after authenticating.
    pub return_url: Option<String>,
}

/// Opens an attempt to charge an intent.
pub fn confirm(
    books: &mut Books,
    id: &Id<PaymentIntent>,
    confirmation: Confirmation,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let intent = books.find(id, "intent")?.clone();
    match intent.status {
        Status::RequiresPaymentMethod | Status::RequiresConfirmation | Status::RequiresAction => {}
        Status::Succeeded | Status::RequiresCapture => {
            return Err(PaymentIntent::unexpected_state(
                "You cannot confirm this PaymentIntent because it has already succeeded after being previously confirmed.".to_owned(),
            ));
        }
        Status::Canceled | Status::Processing => {
            let message =
                format!("You cannot confirm this PaymentIntent because it has a status of {}.", intent.status);
            return Err(PaymentIntent::unexpected_state(message));
        }
    }
    let Some(method) = confirmation.payment_method.as_ref().or(intent.payment_method.as_ref()) else {
        return Err(PaymentIntent::unexpected_state(
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the PaymentIntent \
             with a payment method and then confirm it again, or confirm it again directly with a payment method or \
             ConfirmationToken."
                .to_owned(),
        ));
    };
    let method = books.find(method, "payment_method")?.clone();
    check_owner(&method, intent.customer.as_ref(), "PaymentIntent")?;
    let asker = Asker { automatic: false, off_session: confirmation.off_session };
    let attempt = intent.charge_to(&method, intent.amount, asker, at.now);
    let (refuses_action, return_url) = (confirmation.refuses_action, confirmation.return_url);
    let attempt = Attempt { refuses_action, return_url, ..attempt };
    let intent = PaymentIntent { payment_method: Some(method.id), ..intent };
    books.put(intent.ask(attempt)?);
    Ok(())
}

/// A payment method that belonged to a customer, or has paid for nobody, is of no further use.
pub fn check_unspent(method: &PaymentMethod) -> Result<(), Refusal> {
    if method.internal.spent {
        let message = "The provided PaymentMethod was previously used with a PaymentIntent without Customer attachment, or was \
                       detached from a Customer. It may not be used again.";
        return Err(Refusal::invalid(message).code("payment_method_unexpected_state").param("payment_method"));
    }
    Ok(())
}

/// A payment method that belongs to a customer can pay for that customer only.
/// `what` is asked for: a `PaymentIntent`, a `SetupIntent`.
pub fn check_owner(method: &PaymentMethod, customer: Option<&Id<Customer>>, what: &str) -> Result<(), Refusal> {
    check_unspent(method)?;
    match (&method.customer, customer) {
        (Some(owner), Some(customer)) if owner == customer => Ok(()),
        (None, _) => Ok(()),
        (Some(owner), _) => {
            let message = format!(
                "The provided PaymentMethod belongs to the Customer {owner}. Please include the Customer in the `customer` \
                 parameter on the {what}."
            );
            Err(Refusal::invalid(message).param("payment_method"))
        }
    }
}

/// Opens an attempt to capture what was reserved, or a part of it.
pub fn capture(
    books: &mut Books,
    id: &Id<PaymentIntent>,
    amount: Option<Amount>,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let intent = books.find(id, "intent")?.clone();
    if intent.status != Status::RequiresCapture {
        return Err(PaymentIntent::unexpected_state(format!(
            "This PaymentIntent could not be captured because it has a status of {}. Only a PaymentIntent with a status of \
             requires_capture may be captured.",
            intent.status
        )));
    }
    let amount = amount.unwrap_or(intent.amount_capturable);
    if amount > intent.amount_capturable {
        let message = format!(
            "The amount to capture is greater than the amount you can capture for this PaymentIntent. Please try again with an \
             amount less than or equal to {}.",
            intent.amount_capturable
        );
        return Err(Refusal::invalid(message).code("amount_too_large").param("amount_to_capture"));
    }
    if amount <= Amount::ZERO {
        return Err(Refusal::below(1).param("amount_to_capture"));
    }
    let question = follow_up(&intent, Action::Capture, amount, at)?;
    books.put(intent.ask(question)?);
    Ok(())
}

/// Cancels an intent. What was reserved is released at the processor.
pub fn cancel(
    books: &mut Books,
    id: &Id<PaymentIntent>,
    reason: Option<CancellationReason>,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let intent = books.find(id, "intent")?.clone();
    // What was reserved can be let go of, whoever sold it.
    if intent.status != Status::RequiresCapture {
        intent.check_own("cancel")?;
    }
    if intent.internal.invoice.is_some() {
        let message =
            "You cannot cancel this PaymentIntent because it belongs to an invoice. Void the invoice instead.";
        return Err(PaymentIntent::unexpected_state(message.to_owned()));
    }
    if intent.internal.attempt.is_some() {
        return Err(busy());
    }
    end(books, intent, reason, at)
}

/// Nobody has captured what was reserved, and the issuer keeps it no longer.
pub fn expire(books: &mut Books, id: &Id<PaymentIntent>, at: &mut Moment) -> Result<(), Refusal> {
    let intent = books.find(id, "intent")?.clone();
    end(books, intent, Some(CancellationReason::Expired), at)
}

fn end(
    books: &mut Books,
    intent: PaymentIntent,
    reason: Option<CancellationReason>,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let id = intent.id.clone();
    let release = (intent.status == Status::RequiresCapture)
        .then(|| follow_up(&intent, Action::Release, intent.amount_capturable, at))
        .transpose()?;
    let mut canceled = intent.cancel(reason, at.now)?;
    if let Some(question) = release {
        canceled = canceled.ask(question)?;
    }
    books.put(canceled).tell("payment_intent.canceled", at);
    receive::forget(books, &id, at);
    Ok(())
}

/// A further question about a payment that the processor knows by its reference.
pub fn follow_up(intent: &PaymentIntent, action: Action, amount: Amount, at: &Moment) -> Result<Attempt, Refusal> {
    let (Some(reference), Some(method)) = (&intent.internal.reference, &intent.payment_method) else {
        return Err(Refusal::internal("A reserved payment has no reference at the processor."));
    };
    Ok(intent.question(action, amount, method, reference, at.now))
}
