//! The freeze: a draft gets its number and its final amounts, and what is due gets a payment intent.

use super::{
    Amount, Books, Currency, Id, Metadata, Moment, Refusal,
    balance::{self, Entry},
    balance_transaction::Kind,
    bill::{due_after_balance, tax_ids},
    customer::Customer,
    follow, hold,
    intend::{self, NewIntent},
    invoice::{
        BillingReason, ConfirmationSecret, ConfirmationSecretType, FinalizationError, Internal, Invoice, Parent,
        Status, StatusTransitions, SubscriptionDetails,
    },
    invoice_payment::InvoicePayment,
    method_options::OptionsOf,
    method_types::Choice,
    payment_intent::{self, CaptureMethod, ConfirmationMethod, PaymentIntent, SetupFutureUsage},
    revise,
    subscription::SaveDefault,
};

/// What will be done with an invoice once it is finalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Collect,
    /// Credit is used up, the rest is not asked for.
    GiveUp,
    /// Nothing is asked for, and credit is left alone.
    Void,
}

/// Finalises a draft, or lets it remember why that failed: it stays a draft, and is tried again when it
/// is changed or when somebody asks. Answers with what went wrong.
pub fn try_finalize(books: &mut Books, id: &Id<Invoice>, at: &mut Moment) -> Result<Option<Refusal>, Refusal> {
    if books.find(id, "invoice")?.status != Status::Draft {
        return Err(already_finalized());
    }
    let is_revision = books.find(id, "invoice")?.from_invoice.is_some();
    let before = is_revision.then(|| books.clone());
    let refusal = match finalize(books, id, at) {
        Ok(()) => return Ok(None),
        Err(refusal) if refusal.status >= 500 => return Err(refusal),
        Err(refusal) => refusal,
    };
    // The invoice before it stays what it was.
    if let Some(before) = before {
        *books = before;
    }
    let invoice = books.find(id, "invoice")?.clone();
    books
        .put(Invoice {
            automatically_finalizes_at: None,
            last_finalization_error: Some(FinalizationError::of(&refusal)),
            next_payment_attempt: None,
            ..invoice
        })
        .tell("invoice.finalization_failed", at);
    Ok(Some(refusal))
}

fn already_finalized() -> Refusal {
    Refusal::invalid("This invoice is already finalized, you can't re-finalize a non-draft invoice.")
}

/// Finalises a draft. Nothing due: it is paid. Otherwise it is open, with a payment intent for what
/// is due (the freeze; special totals at finalisation).
pub fn finalize(books: &mut Books, id: &Id<Invoice>, at: &mut Moment) -> Result<(), Refusal> {
    finalize_for(books, id, Purpose::Collect, at)
}

/// The same for an invoice that may not be collected: then it gets no payment intent.
pub fn finalize_for(books: &mut Books, id: &Id<Invoice>, purpose: Purpose, at: &mut Moment) -> Result<(), Refusal> {
    let invoice = books.find(id, "invoice")?.clone();
    if invoice.status != Status::Draft {
        return Err(already_finalized());
    }
    if purpose == Purpose::Collect {
        revise::take_place(books, &invoice, at)?;
    }
    let customer = books.get(&invoice.customer).cloned().ok_or_else(customer_deleted)?;
    let number = format!("{}-{:04}", customer.invoice_prefix, customer.next_invoice_sequence);
    // A number that a caller chose takes none of the sequence.
    let taken = i64::from(invoice.internal.given_number.is_none());
    let number = invoice.internal.given_number.clone().unwrap_or(number);
    let starting_balance = customer.balance;
    let Weighed { due, applied, carried } = weigh(invoice.total, starting_balance, invoice.currency, purpose)?;
    let changes = [Some((Kind::AppliedToInvoice, applied)), carried];
    let ending_balance =
        changes.iter().flatten().try_fold(starting_balance, |balance, (_, part)| balance.plus(*part))?;

    let metadata =
        invoice.subscription().and_then(|id| books.get(id)).map(|subscription| subscription.metadata.clone());
    let parent = invoice.parent.clone().map(|parent| Parent {
        subscription_details: parent
            .subscription_details
            .map(|details| SubscriptionDetails { metadata: metadata.unwrap_or(details.metadata), ..details }),
        ..parent
    });
    let finalized = Invoice {
        status: Status::Open,
        amount_due: due,
        amount_remaining: due,
        automatically_finalizes_at: None,
        customer_address: customer.address.clone(),
        customer_email: customer.email.clone(),
        customer_name: customer.name.clone(),
        customer_phone: customer.phone.clone(),
        customer_shipping: customer.shipping.clone(),
        customer_tax_exempt: customer.tax_exempt,
        customer_tax_ids: tax_ids(&customer),
        effective_at: invoice.effective_at.or(Some(at.now)),
        ending_balance: Some(ending_balance),
        last_finalization_error: None,
        next_payment_attempt: invoice.next_payment_attempt.filter(|_| invoice.auto_advance),
        number: Some(number),
        parent,
        starting_balance,
        webhooks_delivered_at: hold::heard_at(books, &invoice, at),
        internal: Internal { awaits: None, held_until: None, ..invoice.internal },
        status_transitions: StatusTransitions { finalized_at: Some(at.now), ..invoice.status_transitions.clone() },
        ..invoice
    };
    let customer_id = customer.id.clone();
    books.put(Customer { next_invoice_sequence: customer.next_invoice_sequence.saturating_add(taken), ..customer });
    for (kind, amount) in changes.into_iter().flatten() {
        balance::change(books, amount, Entry::about(kind, id), at)?;
    }
    match purpose {
        Purpose::Collect | Purpose::GiveUp if due.is_zero() => settle_at_zero(books, finalized, at)?,
        Purpose::Collect => open_with_intent(books, finalized, at)?,
        Purpose::GiveUp | Purpose::Void => drop(books.put(finalized).tell("invoice.finalized", at)),
    }
    if ending_balance != starting_balance {
        books.tell(&customer_id, "customer.updated", at);
    }
    Ok(())
}

/// What a total comes to once the balance is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Weighed {
    due: Amount,
    /// What applying it adds to the balance.
    applied: Amount,
    /// What no payment can have is carried to the next invoice: more or less than can be charged.
    carried: Option<(Kind, Amount)>,
}

/// Special totals at finalisation.
fn weigh(total: Amount, balance: Amount, currency: Currency, purpose: Purpose) -> Result<Weighed, Refusal> {
    if purpose == Purpose::Void {
        return Ok(Weighed { due: total.max(Amount::ZERO), applied: Amount::ZERO, carried: None });
    }
    let after = due_after_balance(total, balance)?;
    let weighed = Weighed { due: after.due, applied: after.ending_balance.minus(balance)?, carried: None };
    if purpose == Purpose::GiveUp || after.due.is_zero() {
        return Ok(weighed);
    }
    let carried = if after.due < currency.minimum_charge() {
        Kind::InvoiceTooSmall
    } else if after.due > Amount::MAXIMUM_CHARGE {
        Kind::InvoiceTooLarge
    } else {
        currency.check(after.due, "amount_due")?;
        return Ok(weighed);
    };
    Ok(Weighed { due: Amount::ZERO, carried: Some((carried, after.due)), ..weighed })
}

fn customer_deleted() -> Refusal {
    Refusal::invalid("The customer of this invoice has been deleted: it cannot be finalized.")
        .code("resource_missing")
        .param("customer")
}

/// No payment: it goes straight from open to paid.
fn settle_at_zero(books: &mut Books, invoice: Invoice, at: &mut Moment) -> Result<(), Refusal> {
    let id = invoice.id.clone();
    books.put(invoice.clone()).tell("invoice.finalized", at);
    books.put(invoice.paid(at.now));
    for kind in ["invoice.updated", "invoice.paid", "invoice.payment_succeeded"] {
        books.tell(&id, kind, at);
    }
    follow::settled(books, &id, None, at)
}

fn open_with_intent(books: &mut Books, invoice: Invoice, at: &mut Moment) -> Result<(), Refusal> {
    let (invoice, intent, payment) = claim(books, invoice, at);
    books.put(invoice).tell("invoice.finalized", at);
    books.put(intent).tell("payment_intent.created", at);
    books.put(payment);
    books.soundness()
}

/// Makes the payment intent of an invoice that was finalised without one: it is to be paid after all.
pub fn claim_later(books: &mut Books, invoice: &Invoice, at: &mut Moment) -> PaymentIntent {
    let (invoice, intent, payment) = claim(books, invoice.clone(), at);
    books.put(invoice);
    books.put(intent.clone()).tell("payment_intent.created", at);
    books.put(payment);
    intent
}

/// The intent by which an invoice can be paid, and the joint between them.
fn claim(books: &Books, invoice: Invoice, at: &mut Moment) -> (Invoice, PaymentIntent, InvoicePayment) {
    let description = match invoice.billing_reason {
        BillingReason::SubscriptionCreate => "Subscription creation",
        BillingReason::AutomaticPendingInvoiceItemInvoice
        | BillingReason::SubscriptionCycle
        | BillingReason::SubscriptionUpdate => "Subscription update",
        BillingReason::Manual => "Payment for Invoice",
    };
    let intent = blank_intent(books, &invoice, description, at);
    let invoice = Invoice {
        internal: Internal {
            confirmation_secret: Some(ConfirmationSecret {
                client_secret: intent.client_secret.clone(),
                kind: ConfirmationSecretType::PaymentIntent,
            }),
            ..invoice.internal
        },
        ..invoice
    };
    let payment = InvoicePayment::new(&invoice, &intent, at);
    (invoice, intent, payment)
}

fn blank_intent(books: &Books, invoice: &Invoice, description: &str, at: &mut Moment) -> PaymentIntent {
    // The caller stays with the customer while a first payment is made, so the card can be kept for later.
    let first = invoice.billing_reason == BillingReason::SubscriptionCreate;
    let subscription = invoice.subscription().and_then(|id| books.get(id));
    let saves = subscription.is_some_and(|subscription| {
        subscription.payment_settings.save_default_payment_method == SaveDefault::OnSubscription
    });
    let new = NewIntent {
        amount: invoice.amount_remaining,
        capture_method: CaptureMethod::Automatic,
        choice: Choice::default(),
        confirmation_method: ConfirmationMethod::Automatic,
        currency: invoice.currency,
        customer: Some(invoice.customer.clone()),
        description: Some(description.to_owned()),
        livemode: invoice.livemode,
        metadata: Metadata::new(),
        options: (invoice.payment_settings.payment_method_options.as_ref())
            .map(OptionsOf::of_payment)
            .unwrap_or_default(),
        receipt_email: None,
        setup_future_usage: (first || saves).then_some(SetupFutureUsage::OffSession),
        shipping: None,
        statement_descriptor: invoice.statement_descriptor.clone(),
        statement_descriptor_suffix: None,
    };
    let internal = payment_intent::Internal {
        invoice: Some(invoice.id.clone()),
        test_clock: invoice.test_clock.clone(),
        ..payment_intent::Internal::default()
    };
    intend::blank(new, invoice.id.bucket(), internal, at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Due, applied, carried.
    type Facts = (i64, i64, Option<(Kind, i64)>);

    fn weighed(code: &str, total: i64, balance: i64, purpose: Purpose) -> Result<Facts, Refusal> {
        let currency = Currency::parse(code).unwrap();
        let weighed = weigh(Amount::new(total), Amount::new(balance), currency, purpose)?;
        let carried = weighed.carried.map(|(kind, amount)| (kind, amount.minor_units()));
        Ok((weighed.due.minor_units(), weighed.applied.minor_units(), carried))
    }

    /// Special totals at finalisation; zero-decimal and three-decimal currencies.
    #[test]
    fn what_cannot_be_charged_is_carried() {
        let small = |amount| Some((Kind::InvoiceTooSmall, amount));
        let large = |amount| Some((Kind::InvoiceTooLarge, amount));
        for (code, total, balance, expected) in [
            ("usd", 0, 0, (0, 0, None)),
            ("usd", 2000, 0, (2000, 0, None)),
            ("usd", -700, 0, (0, -700, None)),
            ("usd", 4080, -1000, (3080, 1000, None)),
            ("usd", 1900, -2100, (0, 1900, None)),
            ("usd", 2000, 20, (2020, -20, None)),
            ("usd", 520, -500, (0, 500, small(20))),
            ("usd", 49, 0, (0, 0, small(49))),
            ("usd", 50, 0, (50, 0, None)),
            ("gbp", 29, 0, (0, 0, small(29))),
            ("gbp", 30, 0, (30, 0, None)),
            ("huf", 17_499, 0, (0, 0, small(17_499))),
            ("jpy", 49, 0, (0, 0, small(49))),
            ("jpy", 1400, 0, (1400, 0, None)),
            ("kwd", 1230, 0, (1230, 0, None)),
            ("usd", 99_999_999, 0, (99_999_999, 0, None)),
            ("usd", 100_000_000, 0, (0, 0, large(100_000_000))),
            ("usd", 100_000_000, -1, (99_999_999, 1, None)),
        ] {
            assert_eq!(weighed(code, total, balance, Purpose::Collect), Ok(expected), "{total} {code}, {balance}");
        }
        assert!(weighed("kwd", 1234, 0, Purpose::Collect).is_err(), "fils end in 0");
        // Nobody is charged: nothing is too little. Nothing is asked for at all: the balance is left alone.
        assert_eq!(weighed("usd", 520, -500, Purpose::GiveUp), Ok((20, 500, None)));
        assert_eq!(weighed("usd", 520, -500, Purpose::Void), Ok((520, 0, None)));
    }

    proptest! {
        #[test]
        fn money_neither_appears_nor_vanishes(total in -200_000_000_i64..200_000_000, balance in -200_000_000_i64..200_000_000) {
            let (due, applied, carried) = weighed("usd", total, balance, Purpose::Collect).unwrap();
            let after = balance + applied + carried.map_or(0, |(_, amount)| amount);
            prop_assert_eq!(total + balance, due + after);
            prop_assert!(due == 0 || (50..=99_999_999).contains(&due));
        }
    }
}
