//! Taking the processor's answer: what it means for the intent, the charge, the invoice, the
//! subscription and the customer.

use serde_json::json;

use super::{
    Amount, Books, Id, Metadata, Moment, Refusal,
    charge::{
        self, AdviceCode, CardDetails, Charge, FraudDetails, NetworkStatus, Outcome, OutcomeType, PaymentMethodDetails,
        RiskLevel,
    },
    follow,
    invoice::Invoice,
    invoice_payment::{InvoicePayment, Status as InvoicePaymentStatus, StatusTransitions},
    payment_intent::{
        Action, Attempt, Internal, PaymentError, PaymentErrorType, PaymentIntent, SetupFutureUsage, Status,
    },
    payment_method::PaymentMethod,
    shape::Null,
    subscription::{SaveDefault, Status as SubscriptionStatus, Subscription},
};

/// What the processor answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Approved {
        reference: String,
    },
    Declined(Decline),
    /// The customer must authenticate first.
    NeedsAction,
}

/// Why a card was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decline {
    pub code: String,
    pub decline_code: Option<String>,
    pub message: String,
}

impl Decline {
    /// The decline as the error of a request.
    pub fn refusal(&self) -> Refusal {
        let mut refusal = Refusal::card(self.code.clone(), self.message.clone());
        refusal.decline_code.clone_from(&self.decline_code);
        refusal
    }
}

/// Settles the open attempt of an intent. An answer to a question that is no longer open changes
/// nothing: somebody else has settled it with the same answer.
pub fn settle(
    books: &mut Books,
    id: &Id<PaymentIntent>,
    number: i64,
    answer: &Answer,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let intent = books.find(id, "payment_intent")?.clone();
    let Some(attempt) = intent.internal.attempt.clone().filter(|attempt| attempt.number == number) else {
        return Ok(());
    };
    let intent = PaymentIntent { internal: Internal { attempt: None, ..intent.internal }, ..intent };
    announce(books, &intent, &attempt, answer, at);
    match (answer, attempt.action) {
        (Answer::Approved { reference }, Action::Sale | Action::Authorize) => {
            approved(books, intent, &attempt, reference, at)
        }
        (Answer::Approved { .. }, Action::Capture) => captured(books, intent, &attempt, at),
        (Answer::Approved { .. }, Action::Release) => {
            books.put(intent);
            Ok(())
        }
        (Answer::NeedsAction, _) if intent.internal.invoice.is_none() && attempt.off_session => {
            let decline = Decline {
                code: "authentication_required".to_owned(),
                decline_code: Some("authentication_required".to_owned()),
                message: "Your card was declined. This transaction requires authentication.".to_owned(),
            };
            // The issuer was never asked, so there is no charge.
            declined(books, intent, &attempt, &decline, false, at)
        }
        (Answer::NeedsAction, _) => needs_action(books, intent, &attempt, at),
        (Answer::Declined(decline), _) => declined(books, intent, &attempt, decline, true, at),
    }
}

/// The first payment inside the creating request has an outcome: now the subscription is told of, in
/// the status it ends the request with, and never as a passing `incomplete`.
fn announce(books: &mut Books, intent: &PaymentIntent, attempt: &Attempt, answer: &Answer, at: &mut Moment) {
    let Some(subscription) =
        subscription_of(books, intent).filter(|subscription| subscription.internal.unannounced).cloned()
    else {
        return;
    };
    let mut told = subscription;
    told.internal.unannounced = false;
    if matches!(answer, Answer::Approved { .. }) && told.status == SubscriptionStatus::Incomplete {
        told.status = SubscriptionStatus::Active;
        if told.payment_settings.save_default_payment_method == SaveDefault::OnSubscription {
            told.default_payment_method = Some(attempt.payment_method.clone());
        }
    }
    books.put(told).tell("customer.subscription.created", at);
}

fn approved(
    books: &mut Books,
    intent: PaymentIntent,
    attempt: &Attempt,
    reference: &str,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let method = books.find(&attempt.payment_method, "payment_method")?.clone();
    let captured = attempt.action == Action::Sale;
    let charge = charge_of(&intent, attempt, &method, Some(reference), None, at);
    let intent = PaymentIntent {
        amount_received: if captured { attempt.amount } else { Amount::ZERO },
        amount_capturable: if captured { Amount::ZERO } else { attempt.amount },
        last_payment_error: None,
        latest_charge: Some(charge.id.clone()),
        next_action: None,
        payment_method: Some(method.id.clone()),
        status: if captured { Status::Succeeded } else { Status::RequiresCapture },
        internal: Internal { reference: Some(reference.to_owned()), ..intent.internal },
        ..intent
    };
    books.put(charge).tell("charge.succeeded", at);
    let event = if captured { "payment_intent.succeeded" } else { "payment_intent.amount_capturable_updated" };
    books.put(intent.clone()).tell(event, at);
    keep_for_later(books, &intent, method, at);
    match &intent.internal.invoice {
        Some(invoice) => invoice_paid(books, &invoice.clone(), &intent, at),
        None => Ok(()),
    }
}

/// `setup_future_usage` attaches the card that worked to the customer.
fn keep_for_later(books: &mut Books, intent: &PaymentIntent, method: PaymentMethod, at: &mut Moment) {
    let wanted = matches!(intent.setup_future_usage, Some(SetupFutureUsage::OffSession | SetupFutureUsage::OnSession));
    if wanted && method.customer.is_none() && !method.internal.spent && intent.customer.is_some() {
        books.put(PaymentMethod { customer: intent.customer.clone(), ..method }).tell("payment_method.attached", at);
    }
}

/// The money of an invoice has come through its intent.
fn invoice_paid(books: &mut Books, id: &Id<Invoice>, intent: &PaymentIntent, at: &mut Moment) -> Result<(), Refusal> {
    let invoice = books.find(id, "invoice")?.clone();
    let attempt_count = invoice.attempt_count.max(1);
    books.put(Invoice { attempt_count, ..invoice }.paid(at.now));
    for kind in ["invoice.updated", "invoice.paid", "invoice.payment_succeeded"] {
        books.tell(id, kind, at);
    }
    let payments: Vec<InvoicePayment> =
        books.all::<InvoicePayment>().filter(|payment| payment.invoice == *id).cloned().collect();
    for payment in payments.into_iter().filter(|payment| payment.payment.payment_intent == intent.id) {
        books
            .put(InvoicePayment {
                amount_paid: Some(intent.amount_received),
                status: InvoicePaymentStatus::Paid,
                status_transitions: StatusTransitions { paid_at: Some(at.now), ..payment.status_transitions },
                ..payment
            })
            .tell("invoice_payment.paid", at);
    }
    follow::settled(books, id, intent.payment_method.as_ref(), at)
}

fn captured(books: &mut Books, intent: PaymentIntent, attempt: &Attempt, at: &mut Moment) -> Result<(), Refusal> {
    let charge = intent.latest_charge.as_ref().and_then(|id| books.get(id)).cloned();
    if let Some(charge) = charge {
        let released = charge.amount.minus(attempt.amount)?;
        books
            .put(Charge { amount_captured: attempt.amount, amount_refunded: released, captured: true, ..charge })
            .tell("charge.captured", at);
    }
    books
        .put(PaymentIntent {
            amount_capturable: Amount::ZERO,
            amount_received: attempt.amount,
            status: Status::Succeeded,
            ..intent
        })
        .tell("payment_intent.succeeded", at);
    Ok(())
}

fn declined(
    books: &mut Books,
    intent: PaymentIntent,
    attempt: &Attempt,
    decline: &Decline,
    reached_issuer: bool,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let method = books.find(&attempt.payment_method, "payment_method")?.clone();
    let shown = books.image(&method.id);
    let charge = reached_issuer.then(|| charge_of(&intent, attempt, &method, None, Some(decline), at));
    let error = PaymentError {
        charge: charge.as_ref().map(|charge| charge.id.clone()),
        code: decline.code.clone(),
        decline_code: decline.decline_code.clone(),
        doc_url: format!("https://stripe.com/docs/error-codes/{}", decline.code.replace('_', "-")),
        message: decline.message.clone(),
        payment_method: shown,
        kind: PaymentErrorType::CardError,
    };
    let latest_charge = charge.as_ref().map(|charge| charge.id.clone()).or_else(|| intent.latest_charge.clone());
    let intent = PaymentIntent {
        last_payment_error: Some(error),
        latest_charge,
        next_action: None,
        payment_method: None,
        status: Status::RequiresPaymentMethod,
        ..intent
    };
    if let Some(charge) = charge {
        books.put(charge).tell("charge.failed", at);
    }
    books.put(intent.clone()).tell("payment_intent.payment_failed", at);
    match intent.internal.invoice.as_ref().and_then(|id| books.get(id)).cloned() {
        Some(invoice) => not_collected(books, invoice, attempt.automatic, &["invoice.payment_failed"], at),
        None => Ok(()),
    }
}

fn needs_action(books: &mut Books, intent: PaymentIntent, attempt: &Attempt, at: &mut Moment) -> Result<(), Refusal> {
    let intent = PaymentIntent {
        next_action: Some(json!({
            "type": "use_stripe_sdk",
            "use_stripe_sdk": { "type": "three_d_secure_redirect", "stripe_js": "" },
        })),
        payment_method: Some(attempt.payment_method.clone()),
        status: Status::RequiresAction,
        ..intent
    };
    books.put(intent.clone()).tell("payment_intent.requires_action", at);
    match intent.internal.invoice.as_ref().and_then(|id| books.get(id)).cloned() {
        Some(invoice) => not_collected(books, invoice, attempt.automatic, &["invoice.payment_action_required"], at),
        None => Ok(()),
    }
}

/// An automatic attempt found nothing to charge: it failed without asking anybody.
pub fn no_payment_method(books: &mut Books, invoice: Invoice, at: &mut Moment) {
    // The only refusal there is (no customer in the books) cannot happen to a loaded invoice.
    let _ = not_collected(books, invoice, true, &["invoice.payment_failed"], at);
}

/// The invoice stays open; its subscription falls behind.
fn not_collected(
    books: &mut Books,
    invoice: Invoice,
    automatic: bool,
    events: &[&'static str],
    at: &mut Moment,
) -> Result<(), Refusal> {
    let (id, attempted) = (invoice.id.clone(), invoice.attempted);
    // The first attempt counts whoever made it; later on only the automatic ones do.
    let counts = automatic || invoice.attempt_count == 0;
    books
        .put(Invoice {
            attempt_count: invoice.attempt_count + i64::from(counts),
            attempted: true,
            next_payment_attempt: None,
            ..invoice
        })
        .tell("invoice.updated", at);
    for event in events {
        books.tell(&id, event, at);
    }
    follow::failed(books, &id, attempted, at)
}

fn subscription_of<'a>(books: &'a Books, intent: &PaymentIntent) -> Option<&'a Subscription> {
    let invoice = books.get(intent.internal.invoice.as_ref()?)?;
    books.get(invoice.subscription()?)
}

/// The charge that records an answered attempt.
fn charge_of(
    intent: &PaymentIntent,
    attempt: &Attempt,
    method: &PaymentMethod,
    reference: Option<&str>,
    decline: Option<&Decline>,
    at: &mut Moment,
) -> Charge {
    let paid = decline.is_none();
    let captured = paid && attempt.action == Action::Sale;
    let reason = decline.map(|decline| decline.decline_code.clone().unwrap_or_else(|| decline.code.clone()));
    Charge {
        id: Id::new(&mut at.ids, intent.id.bucket()),
        object: charge::Tag::Charge,
        amount: attempt.amount,
        amount_captured: if captured { attempt.amount } else { Amount::ZERO },
        amount_refunded: Amount::ZERO,
        application: Null,
        application_fee: Null,
        application_fee_amount: Null,
        balance_transaction: Null,
        billing_details: method.billing_details.clone(),
        calculated_statement_descriptor: Null,
        captured,
        created: at.now,
        currency: intent.currency,
        customer: intent.customer.clone(),
        description: intent.description.clone(),
        disputed: false,
        failure_balance_transaction: Null,
        failure_code: decline.map(|decline| decline.code.clone()),
        failure_message: decline.map(|decline| decline.message.clone()),
        fraud_details: FraudDetails {},
        livemode: intent.livemode,
        metadata: if paid { intent.metadata.clone() } else { Metadata::new() },
        on_behalf_of: Null,
        outcome: Outcome {
            advice_code: decline.map(|_| AdviceCode::TryAgainLater),
            network_advice_code: Null,
            network_decline_code: Null,
            network_status: if paid { NetworkStatus::ApprovedByNetwork } else { NetworkStatus::DeclinedByNetwork },
            reason,
            risk_level: RiskLevel::Normal,
            risk_score: 0,
            seller_message: decline.map_or("Payment complete.", |_| "The bank did not accept the payment.").to_owned(),
            kind: if paid { OutcomeType::Authorized } else { OutcomeType::IssuerDeclined },
        },
        paid,
        payment_intent: intent.id.clone(),
        payment_method: method.id.clone(),
        payment_method_details: PaymentMethodDetails {
            card: CardDetails::of(&method.card, paid.then_some(attempt.amount)),
            kind: method.kind,
        },
        receipt_email: intent.receipt_email.clone(),
        receipt_number: Null,
        receipt_url: Null,
        refunded: false,
        review: Null,
        shipping: intent.shipping.clone(),
        source: Null,
        source_transfer: Null,
        statement_descriptor: intent.statement_descriptor.clone(),
        statement_descriptor_suffix: intent.statement_descriptor_suffix.clone(),
        status: if paid { charge::Status::Succeeded } else { charge::Status::Failed },
        transfer_data: Null,
        transfer_group: Null,
        internal: charge::Internal { attempt: attempt.number, reference: reference.map(ToOwned::to_owned) },
    }
}
