//! Making a draft invoice: its lines, and what they add up to.

pub mod line;

use super::{
    Amount, Books, Currency, Id, Metadata, Moment, Refusal, Timestamp,
    anchor::Span,
    customer::{Customer, CustomerTaxId},
    hold,
    invoice::{
        AutomaticTax, BillingReason, CustomField, Internal, Invoice, Issuer, Parent, ParentType, PaymentSettings,
        Status, StatusTransitions, SubscriptionDetails, Tag,
    },
    invoice_item::InvoiceItem,
    invoice_line::Line,
    method_options::OptionsOf,
    period::Period,
    prorate, revise,
    settings::Invoicing,
    shape::{Inlined, Nothing, Null},
    subscription::{CollectionMethod, InvoiceSettings, Subscription},
};

/// A draft is never left longer than this if its period would be over by then.
const SHORTEST_DRAFT_SECONDS: i64 = 3600;

/// What a new invoice is for.
pub struct Bill<'a> {
    pub reason: BillingReason,
    pub subscription: Option<&'a Subscription>,
    /// What of its items is billed, in their order.
    pub spans: Vec<Span>,
    /// The period that the invoice shows: the one just ended for a renewal.
    pub period: Period,
    /// The start of the period that a renewal bills.
    pub cycle: Option<Timestamp>,
    pub auto_advance: bool,
    pub currency: Currency,
    pub include_pending_items: bool,
}

impl Bill<'_> {
    /// How long the draft can be edited before it is finalised: always less than what it bills lasts.
    fn finalize_after(&self, settings: &Invoicing) -> i64 {
        let length = |period: Period| period.end.unix_seconds() - period.start.unix_seconds();
        let shortest = self.spans.iter().map(|span| length(span.period)).min().unwrap_or(i64::MAX);
        settings.finalize_after.min((shortest - SHORTEST_DRAFT_SECONDS).max(SHORTEST_DRAFT_SECONDS))
    }

    /// Whether it is the first after a trial: card networks want it to be recognised.
    fn follows_trial(&self, now: Timestamp) -> bool {
        let trial_end = self.subscription.and_then(|subscription| subscription.trial_end);
        self.reason != BillingReason::Manual && trial_end.is_some_and(|end| end == now || self.cycle == Some(end))
    }
}

/// Puts a draft invoice into the books, with the pending items it picks up and a line for each item
/// of its subscription, and tells `invoice.created`.
pub fn draft(books: &mut Books, bill: &Bill<'_>, at: &mut Moment) -> Result<Id<Invoice>, Refusal> {
    let pending = if bill.include_pending_items { pending_items(books, bill) } else { Vec::new() };
    draft_with(books, bill, pending, at)
}

/// The same with these invoice items, newest first. What is too much for one invoice waits for the next.
pub fn draft_with(
    books: &mut Books,
    bill: &Bill<'_>,
    mut pending: Vec<InvoiceItem>,
    at: &mut Moment,
) -> Result<Id<Invoice>, Refusal> {
    make_room(bill, &mut pending, |_| false);
    let customer = books.customer()?.clone();
    let id = next_id(books, bill, &customer, at);
    let mut lines = Vec::new();
    for item in &pending {
        lines.push(line::of_invoice_item(item, &id, at));
    }
    prorate::refer_to_credited(books, &mut lines, &pending);
    for item in pending {
        books.put(InvoiceItem { invoice: Some(id.clone()), ..item });
    }
    if let Some(subscription) = bill.subscription {
        // The items newest first, as the order of lines has it; what is billed of each, oldest first.
        for item in subscription.items.data.iter().rev() {
            for span in bill.spans.iter().filter(|span| span.item == item.id) {
                lines.push(line::of_span(books, subscription, item, span, &id, at)?);
            }
        }
    }
    let invoice = blank(id.clone(), &customer, bill, lines, &books.settings(customer.livemode).invoice, at)?;
    hold::announce(books, invoice, at);
    Ok(id)
}

/// Leaves out the newest of what is too much for one invoice, but none that stays in any case.
pub fn make_room(bill: &Bill<'_>, pending: &mut Vec<InvoiceItem>, stays: impl Fn(&InvoiceItem) -> bool) {
    let mut too_many = (pending.len() + bill.spans.len()).saturating_sub(MAXIMUM_LINES);
    pending.retain(|item| {
        let waits = too_many > 0 && !stays(item);
        too_many -= usize::from(waits);
        !waits
    });
}

/// The id of a new invoice. Which one of a subscription is the latest is known by their ids, so it comes after
/// all others, even if the clock of whoever made them was ahead.
pub fn next_id(books: &Books, bill: &Bill<'_>, customer: &Customer, at: &mut Moment) -> Id<Invoice> {
    if let Some(subscription) = bill.subscription {
        let others = books.all::<Invoice>().filter(|other| other.subscription() == Some(&subscription.id));
        let latest = others.map(|other| &other.id).chain(&subscription.latest_invoice).max();
        latest.into_iter().for_each(|latest| at.ids.follow(latest.as_str()));
    }
    Id::new(&mut at.ids, customer.id.bucket())
}

/// A draft of what is pending for a subscription, if anything is.
pub fn draft_pending(
    books: &mut Books,
    subscription: &Subscription,
    reason: BillingReason,
    auto_advance: bool,
    at: &mut Moment,
) -> Result<Option<Id<Invoice>>, Refusal> {
    let bill = Bill {
        reason,
        subscription: Some(subscription),
        spans: Vec::new(),
        period: Period { start: subscription.period().map_or(at.now, |period| period.start), end: at.now },
        cycle: None,
        auto_advance,
        currency: subscription.currency,
        include_pending_items: true,
    };
    let pending = pending_items(books, &bill);
    if pending.is_empty() { Ok(None) } else { draft_with(books, &bill, pending, at).map(Some) }
}

/// The customer's items that wait for this invoice: of no subscription, of this one, or of one that has
/// ended and has no further invoice of its own. Newest first.
pub fn pending_items(books: &Books, bill: &Bill<'_>) -> Vec<InvoiceItem> {
    let subscription = bill.subscription.map(|subscription| &subscription.id);
    let mut items: Vec<InvoiceItem> = books
        .all::<InvoiceItem>()
        .filter(|item| item.invoice.is_none() && item.currency == bill.currency)
        .filter(|item| match item.subscription() {
            None => true,
            // What was given back at the end of another subscription counts for any.
            Some(of) => Some(of) == subscription || item.proration && has_ended(books, of),
        })
        .cloned()
        .collect();
    items.reverse();
    items
}

/// Subscriptions that have ended leave the books, or are about to.
pub fn has_ended(books: &Books, id: &Id<Subscription>) -> bool {
    books.get(id).is_none_or(|subscription| subscription.status.is_terminal())
}

/// Those of the subscription, or else of the customer.
fn custom_fields(own: Option<&InvoiceSettings>, customer: &Customer) -> Option<Vec<CustomField>> {
    own.and_then(|own| own.custom_fields.clone()).or_else(|| customer.invoice_settings.custom_fields.clone())
}

/// That of the subscription, or else of the customer.
fn footer(own: Option<&InvoiceSettings>, customer: &Customer) -> Option<String> {
    own.and_then(|own| own.footer.clone()).or_else(|| customer.invoice_settings.footer.clone())
}

/// The customer's tax IDs, as its invoices show them.
pub fn tax_ids(customer: &Customer) -> Vec<CustomerTaxId> {
    customer.internal.tax_ids.iter().map(|tax_id| CustomerTaxId { id: None, ..tax_id.clone() }).collect()
}

/// A draft with these lines.
pub fn blank(
    id: Id<Invoice>,
    customer: &Customer,
    bill: &Bill<'_>,
    lines: Vec<Line>,
    settings: &Invoicing,
    at: &Moment,
) -> Result<Invoice, Refusal> {
    let total = Amount::sum(lines.iter().map(|line| line.amount))?;
    let due = due_after_balance(total, customer.balance)?.due;
    let finalizes_at = bill.auto_advance.then(|| at.now.plus_seconds(bill.finalize_after(settings)));
    // What a caller makes has terms of its own.
    let terms = bill.subscription.filter(|_| bill.reason != BillingReason::Manual);
    let own = terms.map(|subscription| &subscription.invoice_settings);
    let collection_method =
        terms.map_or(CollectionMethod::ChargeAutomatically, |subscription| subscription.collection_method);
    let due_date = terms.and_then(|subscription| subscription.days_until_due).map(|days| at.now.plus_days(days));
    let parent = bill.subscription.map(|subscription| Parent {
        quote_details: Null,
        subscription_details: Some(SubscriptionDetails {
            metadata: subscription.metadata.clone(),
            subscription: subscription.id.clone(),
            subscription_proration_date: None,
        }),
        kind: ParentType::SubscriptionDetails,
    });
    Ok(Invoice {
        object: Tag::Invoice,
        account_country: "US".to_owned(),
        account_name: Null,
        account_tax_ids: Null,
        amount_due: due,
        amount_overpaid: Amount::ZERO,
        amount_paid: Amount::ZERO,
        amount_paid_off_stripe: None,
        amount_remaining: due,
        amount_shipping: Amount::ZERO,
        application: Null,
        attempt_count: 0,
        attempted: false,
        auto_advance: bill.auto_advance,
        automatic_tax: AutomaticTax::default(),
        automatically_finalizes_at: finalizes_at,
        billing_reason: bill.reason,
        collection_method,
        created: at.now,
        currency: bill.currency,
        custom_fields: custom_fields(own, customer),
        customer: customer.id.clone(),
        customer_account: Null,
        customer_address: customer.address.clone(),
        customer_email: customer.email.clone(),
        customer_name: customer.name.clone(),
        customer_phone: customer.phone.clone(),
        customer_shipping: customer.shipping.clone(),
        customer_tax_exempt: customer.tax_exempt,
        customer_tax_ids: tax_ids(customer),
        default_payment_method: None,
        default_source: None,
        default_tax_rates: Nothing,
        description: own.and_then(|own| own.description.clone()),
        discounts: Nothing,
        due_date,
        effective_at: None,
        ending_balance: None,
        footer: footer(own, customer),
        from_invoice: None,
        hosted_invoice_url: Null,
        invoice_pdf: Null,
        issuer: Issuer::default(),
        last_finalization_error: None,
        latest_revision: None,
        lines: Inlined::new(format!("/v1/invoices/{id}/lines"), lines),
        livemode: customer.livemode,
        metadata: Metadata::new(),
        next_payment_attempt: finalizes_at.filter(|_| collection_method == CollectionMethod::ChargeAutomatically),
        number: None,
        on_behalf_of: Null,
        parent,
        payment_settings: payment_settings(terms),
        period_end: bill.period.end,
        period_start: bill.period.start,
        post_payment_credit_notes_amount: Amount::ZERO,
        pre_payment_credit_notes_amount: Amount::ZERO,
        receipt_number: Null,
        rendering: Null,
        shipping_cost: Null,
        shipping_details: Null,
        starting_balance: customer.balance,
        statement_descriptor: settings.statement_descriptor_after_trial.clone().filter(|_| bill.follows_trial(at.now)),
        status: Status::Draft,
        status_details: None,
        status_transitions: StatusTransitions::default(),
        subtotal: total,
        subtotal_excluding_tax: total,
        test_clock: customer.test_clock.clone(),
        total,
        total_discount_amounts: Nothing,
        total_excluding_tax: total,
        total_pretax_credit_amounts: Nothing,
        total_taxes: Nothing,
        webhooks_delivered_at: Some(at.now),
        internal: Internal { cycle: bill.cycle, ..Internal::default() },
        id,
    })
}

/// Adds a line for an invoice item to a draft, after those it was made with.
pub fn add_to_draft(books: &mut Books, id: &Id<Invoice>, item: &InvoiceItem, at: &mut Moment) -> Result<(), Refusal> {
    let mut invoice = books.find(id, "invoice")?.clone().editable()?;
    push_line(&mut invoice, item, at)?;
    keep_draft(books, invoice, at)
}

/// How many lines an invoice can have.
pub const MAXIMUM_LINES: usize = 250;

/// Adds a line for an invoice item to a draft that is yet to be kept.
pub fn push_line(invoice: &mut Invoice, item: &InvoiceItem, at: &mut Moment) -> Result<(), Refusal> {
    if invoice.currency != item.currency {
        let message =
            format!("The currency of the item ({}) is not that of the invoice ({}).", item.currency, invoice.currency);
        return Err(Refusal::invalid(message).param("currency"));
    }
    if invoice.lines.data.len() >= MAXIMUM_LINES {
        return Err(Refusal::invalid(format!("An invoice can have at most {MAXIMUM_LINES} lines.")).param("invoice"));
    }
    invoice.lines.data.push(line::of_invoice_item(item, &invoice.id, at));
    Ok(())
}

/// Takes the line of an invoice item off a draft.
pub fn take_from_draft(
    books: &mut Books,
    id: &Id<Invoice>,
    item: &Id<InvoiceItem>,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let mut invoice = books.find(id, "invoice")?.clone();
    invoice.lines.data.retain(|line| line.invoice_item() != Some(item));
    keep_draft(books, invoice, at)
}

/// A draft whose lines have changed, with its amounts made true again.
pub fn keep_draft(books: &mut Books, invoice: Invoice, at: &mut Moment) -> Result<(), Refusal> {
    let total = Amount::sum(invoice.lines.data.iter().map(|line| line.amount))?;
    let balance = revise::starting_balance(books, &invoice)?;
    let due = due_after_balance(total, balance)?.due;
    // What could not be finalised as it was is tried again as it is now.
    let after = books.settings(invoice.livemode).invoice.finalize_after;
    let again = invoice.auto_advance.then(|| invoice.finalizes_at(after, at.now));
    books
        .put(Invoice {
            amount_due: due,
            amount_remaining: due,
            automatically_finalizes_at: invoice.automatically_finalizes_at.or(again),
            starting_balance: balance,
            subtotal: total,
            subtotal_excluding_tax: total,
            total,
            total_excluding_tax: total,
            ..invoice
        })
        .tell("invoice.updated", at);
    Ok(())
}

/// A total, after the customer's balance has been applied to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AfterBalance {
    pub due: Amount,
    pub ending_balance: Amount,
}

/// The balance is applied in full: credit lowers what is due, debt raises it, and a total below zero
/// becomes credit (amounts of an invoice, special totals).
pub fn due_after_balance(total: Amount, balance: Amount) -> Result<AfterBalance, Refusal> {
    let owed = total.plus(balance)?;
    Ok(if owed.is_negative() {
        AfterBalance { due: Amount::ZERO, ending_balance: owed }
    } else {
        AfterBalance { due: owed, ending_balance: Amount::ZERO }
    })
}

/// What the payment is held to: what a subscription says of all of them.
fn payment_settings(terms: Option<&Subscription>) -> PaymentSettings {
    let Some(said) = terms.map(|subscription| &subscription.payment_settings) else {
        return PaymentSettings::default();
    };
    PaymentSettings {
        payment_method_options: said.payment_method_options.as_ref().map(OptionsOf::of),
        payment_method_types: said.payment_method_types.clone(),
        ..PaymentSettings::default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The special totals of finalisation.
    #[test]
    fn the_balance_is_applied_in_full() {
        for (total, balance, due, ending) in [
            (4080, -1000, 3080, 0),
            (520, -500, 20, 0),
            (2000, 20, 2020, 0),
            (-2100, 0, 0, -2100),
            (1900, -2100, 0, -200),
        ] {
            let after = due_after_balance(Amount::new(total), Amount::new(balance)).unwrap();
            assert_eq!(after, AfterBalance { due: Amount::new(due), ending_balance: Amount::new(ending) });
        }
    }

    proptest! {
        #[test]
        fn money_neither_appears_nor_vanishes(total in -1_000_000_i64..1_000_000, balance in -1_000_000_i64..1_000_000) {
            let after = due_after_balance(Amount::new(total), Amount::new(balance)).unwrap();
            prop_assert_eq!(after.due.minor_units() + after.ending_balance.minor_units(), total + balance);
            prop_assert!(!after.due.is_negative());
        }
    }
}
