//! A payment intent that a caller makes, and the changes that callers may make to it.

use super::{
    Amount, Books, Currency, Id, Metadata, Moment, Refusal,
    confirm::check_owner,
    customer::Customer,
    id::Bucket,
    method_options::PaymentOptions,
    method_types::{Choice, SERVED},
    payment_intent::{CaptureMethod, ConfirmationMethod, Internal, PaymentIntent, SetupFutureUsage, Status, Tag},
    payment_method::PaymentMethod,
    shape::{Null, Shipping},
};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct NewIntent {
    pub amount: Amount,
    pub capture_method: CaptureMethod,
    /// What it may be paid with.
    pub choice: Choice,
    pub confirmation_method: ConfirmationMethod,
    pub currency: Currency,
    pub customer: Option<Id<Customer>>,
    pub description: Option<String>,
    pub livemode: bool,
    pub metadata: Metadata,
    pub options: PaymentOptions,
    pub receipt_email: Option<String>,
    pub setup_future_usage: Option<SetupFutureUsage>,
    pub shipping: Option<Shipping>,
    pub statement_descriptor: Option<String>,
    pub statement_descriptor_suffix: Option<String>,
}

/// What can be charged at all, in this currency.
pub fn check_amount(amount: Amount, currency: Currency) -> Result<(), Refusal> {
    if amount < Amount::new(1) {
        return Err(Refusal::below(1).param("amount"));
    }
    if amount > Amount::MAXIMUM_CHARGE {
        let most = currency.readable(Amount::MAXIMUM_CHARGE);
        return Err(Refusal::invalid(format!("Amount must be no more than {most}"))
            .code("amount_too_large")
            .param("amount"));
    }
    currency.check(amount, "amount")?;
    if amount < currency.minimum_charge() {
        let least = currency.readable(currency.minimum_charge());
        let message = format!("Amount must be at least {least} {currency}");
        return Err(Refusal::invalid(message).code("amount_too_small").param("amount"));
    }
    Ok(())
}

/// Puts a new intent into the books; its customer's books, or nobody's.
pub fn create(books: &mut Books, new: NewIntent, at: &mut Moment) -> Result<Id<PaymentIntent>, Refusal> {
    check_amount(new.amount, new.currency)?;
    let customer = match &new.customer {
        Some(id) => Some(books.find(id, "customer")?),
        None => None,
    };
    let test_clock = customer.and_then(|customer| customer.test_clock.clone());
    let bucket = customer.map_or_else(|| at.ids.bucket(), |customer| Bucket::of(customer.id.as_str()));
    let intent = blank(new, bucket, Internal { test_clock, ..Internal::default() }, at);
    let id = intent.id.clone();
    books.put(intent).tell("payment_intent.created", at);
    Ok(id)
}

/// A new intent, by a caller or for an invoice.
pub fn blank(new: NewIntent, bucket: Bucket, internal: Internal, at: &mut Moment) -> PaymentIntent {
    let id: Id<PaymentIntent> = Id::new(&mut at.ids, bucket);
    let client_secret = format!("{id}_secret_{}", at.ids.secret(25));
    PaymentIntent {
        id,
        object: Tag::PaymentIntent,
        allowed_payment_method_types: new.choice.allowed,
        amount: new.amount,
        amount_capturable: Amount::ZERO,
        amount_received: Amount::ZERO,
        application: Null,
        application_fee_amount: Null,
        automatic_payment_methods: new.choice.automatic,
        canceled_at: None,
        cancellation_reason: None,
        capture_method: new.capture_method,
        client_secret,
        confirmation_method: new.confirmation_method,
        created: at.now,
        currency: new.currency,
        customer: new.customer,
        customer_account: Null,
        description: new.description,
        excluded_payment_method_types: new.choice.excluded,
        last_payment_error: None,
        latest_charge: None,
        livemode: new.livemode,
        managed_payments: Null,
        metadata: new.metadata,
        next_action: None,
        on_behalf_of: Null,
        payment_method: None,
        payment_method_configuration_details: Null,
        payment_method_options: new.options,
        payment_method_types: vec![SERVED.to_owned()],
        payment_record: Null,
        processing: Null,
        receipt_email: new.receipt_email,
        review: Null,
        setup_future_usage: new.setup_future_usage,
        shipping: new.shipping,
        source: Null,
        statement_descriptor: new.statement_descriptor,
        statement_descriptor_suffix: new.statement_descriptor_suffix,
        status: Status::RequiresPaymentMethod,
        transfer_data: Null,
        transfer_group: Null,
        internal,
    }
}

/// Gives an unconfirmed intent a payment method.
pub fn choose_method(books: &mut Books, id: &Id<PaymentIntent>, method: &Id<PaymentMethod>) -> Result<(), Refusal> {
    let intent = books.find(id, "intent")?.clone();
    let method = books.find(method, "payment_method")?;
    check_owner(method, intent.customer.as_ref(), "PaymentIntent")?;
    let status = if intent.status.is_open() { Status::RequiresConfirmation } else { intent.status };
    let payment_method = Some(method.id.clone());
    // What was to be done was about another card.
    books.put(PaymentIntent { next_action: None, payment_method, status, ..intent });
    Ok(())
}

/// Whether an intent may ask for this instead.
pub fn check_price(intent: &PaymentIntent, amount: Amount, currency: Currency) -> Result<(), Refusal> {
    if intent.internal.attached_to.is_some() && currency != intent.currency {
        let message = "The currency of a PaymentIntent that is attached to an invoice cannot be changed.";
        return Err(Refusal::invalid(message).param("currency"));
    }
    check_amount(amount, currency)
}

/// Whether an intent may still be changed by a caller, and is not an invoice's.
pub fn check_editable(intent: &PaymentIntent) -> Result<(), Refusal> {
    intent.check_own("update")?;
    if intent.internal.invoice.is_some() {
        let message =
            "You cannot update this PaymentIntent because it was created by an invoice. Update the invoice instead.";
        return Err(PaymentIntent::unexpected_state(message.to_owned()));
    }
    if intent.internal.attempt.is_some() {
        return Err(super::cancel::busy());
    }
    if intent.status.is_open() {
        return Ok(());
    }
    Err(PaymentIntent::unexpected_state(format!(
        "This PaymentIntent's parameters could not be updated because it has a status of {}. You may only update these \
         parameters of a PaymentIntent with one of the following statuses: requires_payment_method, requires_confirmation, \
         requires_action.",
        intent.status
    )))
}
