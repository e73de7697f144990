//! What callers do to charges themselves: make one without an intent, capture one.

use super::{
    Amount, Books, Currency, Id, Metadata, Moment, Refusal,
    charge::{Charge, Status as ChargeStatus, Verdict},
    confirm,
    customer::Customer,
    id::Bucket,
    intend::{self, NewIntent},
    method_options::PaymentOptions,
    method_types::Choice,
    payment_intent::{
        Asker, Attempt, CancellationReason, CaptureMethod, ConfirmationMethod, Internal, PaymentIntent, Status, behind,
    },
    payment_method::PaymentMethod,
    shape::Shipping,
};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct NewCharge {
    pub amount: Amount,
    /// Otherwise it is only reserved.
    pub capture: bool,
    pub currency: Currency,
    pub customer: Option<Id<Customer>>,
    pub description: Option<String>,
    pub livemode: bool,
    pub metadata: Metadata,
    pub receipt_email: Option<String>,
    pub shipping: Option<Shipping>,
    pub statement_descriptor: Option<String>,
    pub statement_descriptor_suffix: Option<String>,
}

/// Opens an attempt to charge a card, or what the customer pays with by default. The charge is pending until the
/// processor has answered; only then is it told of. Its payment is an intent that callers never see.
pub fn charge(
    books: &mut Books,
    new: NewCharge,
    card: Option<Id<PaymentMethod>>,
    bucket: Bucket,
    at: &mut Moment,
) -> Result<Id<Charge>, Refusal> {
    intend::check_amount(new.amount, new.currency)?;
    let customer = new.customer.as_ref().map(|id| books.find(id, "customer")).transpose()?.cloned();
    let method = payer(books, customer.as_ref(), card)?.clone();
    let id: Id<Charge> = Id::new(&mut at.ids, bucket);
    let internal = Internal { test_clock: customer.and_then(|customer| customer.test_clock), ..Internal::default() };
    let intent = PaymentIntent {
        id: behind(None, &id),
        latest_charge: Some(id.clone()),
        payment_method: Some(method.id.clone()),
        ..intend::blank(intent_of(new), bucket, internal, at)
    };
    // With a card that it has kept, the customer is not there.
    let asker = Asker { automatic: false, off_session: method.customer.is_some() };
    let attempt = intent.charge_to(&method, intent.amount, asker, at.now);
    let attempt = Attempt { refuses_action: true, ..attempt };
    books.put(Charge::of(&intent, &attempt, &method, Verdict::Asked, at));
    books.put(intent.ask(attempt)?);
    Ok(id)
}

fn intent_of(new: NewCharge) -> NewIntent {
    NewIntent {
        amount: new.amount,
        capture_method: if new.capture { CaptureMethod::Automatic } else { CaptureMethod::Manual },
        choice: Choice::default(),
        confirmation_method: ConfirmationMethod::Automatic,
        currency: new.currency,
        customer: new.customer,
        description: new.description,
        livemode: new.livemode,
        metadata: new.metadata,
        options: PaymentOptions::default(),
        receipt_email: new.receipt_email,
        setup_future_usage: None,
        shipping: new.shipping,
        statement_descriptor: new.statement_descriptor,
        statement_descriptor_suffix: new.statement_descriptor_suffix,
    }
}

/// The card that pays: that of a token, or one of the customer's.
fn payer<'a>(
    books: &'a Books,
    customer: Option<&Customer>,
    card: Option<Id<PaymentMethod>>,
) -> Result<&'a PaymentMethod, Refusal> {
    let Some(customer) = customer else {
        let card = card.ok_or_else(|| {
            Refusal::invalid("Must provide source or customer.").code("parameter_missing").param("source")
        })?;
        return books.find(&card, "source");
    };
    let theirs = |id: &Id<PaymentMethod>| books.get(id).filter(|method| method.customer.as_ref() == Some(&customer.id));
    match card {
        Some(card) => theirs(&card).ok_or_else(|| {
            let message = format!("Customer {} does not have a linked source with ID {card}.", customer.id);
            Refusal::card("missing", message).param("source")
        }),
        None => {
            customer.default_source.as_ref().and_then(theirs).ok_or_else(|| {
                Refusal::card("missing", "Cannot charge a customer that has no active card").param("card")
            })
        }
    }
}

/// How a charge is captured.
#[derive(Clone, Debug, Default)]
pub struct Capture {
    /// All of it, unless it is said.
    pub amount: Option<Amount>,
    pub receipt_email: Option<String>,
    pub statement_descriptor: Option<String>,
    pub statement_descriptor_suffix: Option<String>,
}

/// Opens an attempt to capture what a charge has reserved, or a part of it.
pub fn capture(books: &mut Books, id: &Id<Charge>, wanted: Capture, at: &mut Moment) -> Result<(), Refusal> {
    let charge = books.at_path(id)?.clone();
    let intent = books.find(&charge.intent(), "payment_intent")?.clone();
    if intent.status != Status::RequiresCapture || intent.latest_charge.as_ref() != Some(id) {
        return Err(not_capturable(&charge, &intent));
    }
    let amount = wanted.amount.unwrap_or(intent.amount_capturable);
    if amount <= Amount::ZERO {
        return Err(Refusal::below(1).param("amount"));
    }
    if amount > intent.amount_capturable {
        let message = format!("No more than {} of charge {id} can be captured.", intent.amount_capturable);
        return Err(Refusal::invalid(message).code("amount_too_large").param("amount"));
    }
    let (descriptor, suffix) = (wanted.statement_descriptor, wanted.statement_descriptor_suffix);
    let intent_id = intent.id.clone();
    books.put(PaymentIntent {
        receipt_email: wanted.receipt_email.clone().or(intent.receipt_email),
        statement_descriptor: descriptor.clone().or(intent.statement_descriptor),
        statement_descriptor_suffix: suffix.clone().or(intent.statement_descriptor_suffix),
        ..intent
    });
    books.put(Charge {
        receipt_email: wanted.receipt_email.or(charge.receipt_email),
        statement_descriptor: descriptor.or(charge.statement_descriptor),
        statement_descriptor_suffix: suffix.or(charge.statement_descriptor_suffix),
        ..charge
    });
    confirm::capture(books, &intent_id, Some(amount), at)
}

fn not_capturable(charge: &Charge, intent: &PaymentIntent) -> Refusal {
    let id = &charge.id;
    if charge.captured {
        Refusal::invalid(format!("Charge {id} has already been captured.")).code("charge_already_captured")
    } else if charge.status != ChargeStatus::Succeeded {
        Refusal::invalid(format!("Charge {id} could not be captured because it is {}.", charge.status))
    } else if intent.cancellation_reason == Some(CancellationReason::Expired) {
        let message = format!("Charge {id} has expired: what it had reserved is free again.");
        Refusal::invalid(message).code("charge_expired_for_capture")
    } else {
        Refusal::invalid(format!("Charge {id} has already been refunded.")).code("charge_already_refunded")
    }
}
