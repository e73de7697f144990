//! Taking back a part of a finalised invoice, by a credit note: of an open invoice what is still due,
//! of a paid one what was paid.

use super::{
    Amount, Books, Id, Metadata, MetadataPatch, Moment, Refusal, Timestamp, amount,
    balance::{self, Entry},
    balance_transaction::Kind as EntryKind,
    cancel::busy,
    collect::intent_of,
    credit_note::{CreditNote, Kind, Line, LineKind, LineTag, NOUN, NoteRefund, Reason, RefundType, Status, Tag},
    decimal::Decimal,
    follow,
    invoice::{Internal, Invoice, Status as InvoiceStatus},
    invoice_line,
    invoice_payment::{InvoicePayment, Status as PaymentStatus},
    payment_intent::PaymentIntent,
    prorate::Ratio,
    receive::follow_remaining,
    refund::Refund,
    repay::{self, NewRefund},
    shape::{Inlined, Nothing, Null, Patch},
};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct NewCreditNote {
    pub invoice: Id<Invoice>,
    pub amount: Option<Amount>,
    pub credit_amount: Option<Amount>,
    pub effective_at: Option<Timestamp>,
    pub lines: Vec<NewLine>,
    pub memo: Option<String>,
    pub metadata: Metadata,
    pub out_of_band_amount: Option<Amount>,
    pub reason: Option<Reason>,
    /// What is refunded anew.
    pub refund_amount: Option<Amount>,
    /// What was refunded already, in whole or in part.
    pub refunds: Vec<(Id<Refund>, Option<Amount>)>,
}

/// A line that is credited: a part of one of the invoice's, or anything else.
#[derive(Clone, Debug)]
pub enum NewLine {
    Invoice { line: Id<invoice_line::Line>, share: Share, metadata: Metadata },
    Custom { description: Option<String>, quantity: i64, unit_amount: Decimal, metadata: Metadata },
}

/// How much of an invoice's line.
#[derive(Clone, Copy, Debug)]
pub enum Share {
    Amount(Amount),
    Quantity(i64),
}

/// Issues a credit note.
pub fn issue(books: &mut Books, new: NewCreditNote, at: &mut Moment) -> Result<Id<CreditNote>, Refusal> {
    let invoice = books.find(&new.invoice, "invoice")?.clone();
    check_creditable(books, &invoice)?;
    let id: Id<CreditNote> = Id::new(&mut at.ids, invoice.id.bucket());
    let mut invoice = invoice;
    let lines = lines_of(&new, &mut invoice, at)?;
    let amount = Amount::sum(lines.iter().map(|line| line.amount))?;
    let refunds = linked(books, &new, &invoice)?;
    let parts = parts_of(&new, &refunds, &invoice, amount)?;
    let refunds = refunds.into_iter().chain(refund(books, &new, &invoice, at)?).collect();
    let entry = Entry { credit_note: Some(id.clone()), ..Entry::about(EntryKind::CreditNote, &invoice.id) };
    let transaction = balance::change(books, parts.credit.negated()?, entry, at)?;
    let note = blank(new, &id, &invoice, lines, &parts, at);
    let note = CreditNote { customer_balance_transaction: transaction, refunds, ..note };
    books.put(note).tell("credit_note.created", at);
    lower(books, invoice, &parts, at)?;
    let customer = books.customer()?.id.clone();
    books.tell(&customer, "customer.updated", at);
    Ok(id)
}

/// Only open and paid invoices are credited, and not while somebody is being asked for the money.
fn check_creditable(books: &Books, invoice: &Invoice) -> Result<(), Refusal> {
    match invoice.status {
        InvoiceStatus::Open => match intent_of(books, &invoice.id) {
            Some(intent) if intent.internal.attempt.is_some() => Err(busy()),
            _ => Ok(()),
        },
        InvoiceStatus::Paid => Ok(()),
        InvoiceStatus::Draft | InvoiceStatus::Uncollectible | InvoiceStatus::Void => {
            let message =
                format!("Credit notes can only be issued for open or paid invoices; this one is {}.", invoice.status);
            Err(Refusal::invalid(message).code("status_transition_invalid").param("invoice"))
        }
    }
}

/// The lines of the note. The invoice remembers what was credited of each of its own.
fn lines_of(new: &NewCreditNote, invoice: &mut Invoice, at: &mut Moment) -> Result<Vec<Line>, Refusal> {
    if new.lines.is_empty() {
        let amount = new.amount.ok_or_else(|| {
            Refusal::invalid("One of 'amount' or 'lines' must be provided.").code("parameter_missing").param("amount")
        })?;
        let line = NewLine::Custom {
            description: None,
            quantity: 1,
            unit_amount: Decimal::from_amount(amount),
            metadata: Metadata::new(),
        };
        return Ok(vec![line_of(&line, invoice, at)?]);
    }
    let mut lines = Vec::with_capacity(new.lines.len());
    for (place, line) in new.lines.iter().enumerate() {
        let line = line_of(line, invoice, at).map_err(|refusal| match &refusal.param {
            Some(param) => {
                let param = format!("lines[{place}][{param}]");
                refusal.param(param)
            }
            None => refusal,
        })?;
        if let Some(credited) = &line.invoice_line_item {
            let so_far = invoice.internal.credited.entry(credited.clone()).or_default();
            *so_far = so_far.plus(line.amount)?;
        }
        lines.push(line);
    }
    let sum = Amount::sum(lines.iter().map(|line| line.amount))?;
    if new.amount.is_some_and(|amount| amount != sum) {
        let message = format!("The sum of the lines ({sum}) must equal the amount of the credit note.");
        return Err(Refusal::invalid(message).param("amount"));
    }
    Ok(lines)
}

fn line_of(new: &NewLine, invoice: &Invoice, at: &mut Moment) -> Result<Line, Refusal> {
    let id = Id::given(at.ids.next(super::credit_note::LINE_NOUN.prefix, invoice.id.bucket()));
    let blank = Line {
        id,
        object: LineTag::Line,
        amount: Amount::ZERO,
        description: None,
        discount_amount: Amount::ZERO,
        discount_amounts: Nothing,
        invoice_line_item: None,
        livemode: invoice.livemode,
        metadata: Metadata::new(),
        pretax_credit_amounts: Nothing,
        quantity: None,
        tax_rates: Nothing,
        taxes: Nothing,
        kind: LineKind::CustomLineItem,
        unit_amount: None,
        unit_amount_decimal: None,
    };
    match new {
        NewLine::Custom { description, quantity, unit_amount, metadata } => {
            if *quantity < 1 {
                return Err(Refusal::below(1).param("quantity"));
            }
            let amount = unit_amount.times(*quantity)?;
            invoice.currency.check(amount, "unit_amount")?;
            Ok(Line {
                amount,
                description: description.clone(),
                metadata: metadata.clone(),
                quantity: Some(*quantity),
                unit_amount: unit_amount.whole(),
                unit_amount_decimal: Some(*unit_amount),
                ..blank
            })
        }
        NewLine::Invoice { line, share, metadata } => {
            let found = invoice.lines.data.iter().find(|one| one.id == *line);
            let found = found
                .ok_or_else(|| Refusal::no_such(invoice_line::NOUN.name, line.as_str()).param("invoice_line_item"))?;
            let (amount, quantity) = match share {
                Share::Amount(amount) => (*amount, None),
                Share::Quantity(quantity) => (part_of(found, *quantity)?, Some(*quantity)),
            };
            // A part of the line has its sign, and is no more than what earlier notes have left of it.
            let left = found.amount.minus(invoice.internal.credited.get(line).copied().unwrap_or_default())?;
            let part = if found.amount.is_negative() { left..=Amount::ZERO } else { Amount::ZERO..=left };
            if amount.is_zero() || !part.contains(&amount) {
                let message = format!("The line has {} to credit.", invoice.currency.readable(left));
                return Err(Refusal::invalid(message).param("amount"));
            }
            Ok(Line {
                amount,
                description: found.description.clone(),
                invoice_line_item: Some(line.clone()),
                kind: LineKind::InvoiceLineItem,
                metadata: metadata.clone(),
                quantity,
                ..blank
            })
        }
    }
}

/// What a quantity of an invoice's line had cost.
fn part_of(line: &invoice_line::Line, quantity: i64) -> Result<Amount, Refusal> {
    if quantity < 1 || quantity > line.quantity {
        let message = format!("The quantity must be between 1 and {}.", line.quantity);
        return Err(Refusal::invalid(message).code("parameter_invalid_integer").param("quantity"));
    }
    let (part, whole) = line.quantity_decimal.fraction()?;
    let quantity = quantity.checked_mul(whole).ok_or(amount::Overflow)?;
    Ok(Ratio::of(quantity, part).of_amount(line.amount, line.currency)?)
}

/// The refunds that a caller names. Each must have given back a payment of this invoice, and what of it
/// belongs to a note belongs to no other.
fn linked(books: &mut Books, new: &NewCreditNote, invoice: &Invoice) -> Result<Vec<NoteRefund>, Refusal> {
    let mut linked = Vec::with_capacity(new.refunds.len());
    for (place, (id, amount)) in new.refunds.iter().enumerate() {
        let param = |name: &str| format!("refunds[{place}][{name}]");
        let of_invoice = |refund: &&Refund| {
            books
                .all::<InvoicePayment>()
                .any(|payment| payment.invoice == invoice.id && payment.payment.payment_intent == refund.intent())
        };
        let refund = books.get(id).filter(of_invoice);
        let refund =
            refund.ok_or_else(|| Refusal::no_such(super::refund::NOUN.name, id.as_str()).param(param("refund")))?;
        let left = refund.amount.minus(refund.internal.credited.unwrap_or_default())?;
        let amount = amount.unwrap_or(left);
        if amount <= Amount::ZERO || amount > left || !refund.status.counts() {
            let left = refund.currency.readable(left);
            let message = format!("The refund {id} has {left} that belongs to no credit note yet.");
            return Err(Refusal::invalid(message).param(param("amount_refunded")));
        }
        linked.push(part_of_refund(books, id, amount)?);
    }
    Ok(linked)
}

fn part_of_refund(books: &mut Books, id: &Id<Refund>, amount: Amount) -> Result<NoteRefund, Refusal> {
    let mut refund = books.find(id, "refund")?.clone();
    refund.internal.credited = Some(refund.internal.credited.unwrap_or_default().plus(amount)?);
    books.put(refund);
    Ok(NoteRefund {
        amount_refunded: amount,
        payment_record_refund: Null,
        refund: id.clone(),
        kind: RefundType::Refund,
    })
}

/// Opens a new refund of the payment of the invoice that has enough left to give back.
fn refund(
    books: &mut Books,
    new: &NewCreditNote,
    invoice: &Invoice,
    at: &mut Moment,
) -> Result<Option<NoteRefund>, Refusal> {
    let Some(amount) = new.refund_amount.filter(|amount| !amount.is_zero()) else { return Ok(None) };
    let left = |id: &Id<PaymentIntent>| {
        let charge = books.get(books.get(id)?.latest_charge.as_ref()?)?;
        charge.amount.minus(charge.amount_refunded).ok()
    };
    let payment = books
        .all::<InvoicePayment>()
        .filter(|payment| payment.invoice == invoice.id && payment.status == PaymentStatus::Paid)
        .map(|payment| payment.payment.payment_intent.clone())
        .max_by_key(left);
    let payment_intent = payment
        .ok_or_else(|| Refusal::invalid("The invoice has no payment that could be refunded.").param("refund_amount"))?;
    let wanted = NewRefund { amount: Some(amount), ..NewRefund::of(payment_intent) };
    let id = repay::refund(books, wanted, at).map_err(|refusal| refusal.param("refund_amount"))?;
    part_of_refund(books, &id, amount).map(Some)
}

/// Where the credited amount comes from, and where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Parts {
    /// Off what is due.
    pre_payment: Amount,
    /// Back from what was paid.
    post_payment: Amount,
    /// Of that: to the customer's balance.
    credit: Amount,
}

/// What remains due is lowered first; what was paid is given back exactly as it is said.
fn parts_of(new: &NewCreditNote, refunds: &[NoteRefund], invoice: &Invoice, amount: Amount) -> Result<Parts, Refusal> {
    invoice.currency.check(amount, "amount")?;
    if amount <= Amount::ZERO {
        return Err(Refusal::below(1).param("amount"));
    }
    let credited = invoice.pre_payment_credit_notes_amount.plus(invoice.post_payment_credit_notes_amount)?;
    let left = invoice.total.minus(credited)?;
    if amount > left {
        let message = format!(
            "The amount of the credit note ({}) is more than what is left of the invoice ({}).",
            invoice.currency.readable(amount),
            invoice.currency.readable(left)
        );
        return Err(Refusal::invalid(message).param("amount"));
    }
    let pre_payment = amount.min(invoice.amount_remaining);
    let post_payment = amount.minus(pre_payment)?;
    let ways = [
        ("credit_amount", new.credit_amount),
        ("out_of_band_amount", new.out_of_band_amount),
        ("refund_amount", new.refund_amount),
    ];
    for (param, way) in ways {
        if way.is_some_and(Amount::is_negative) {
            return Err(Refusal::below(0).param(param));
        }
    }
    let said = ways.into_iter().filter_map(|(_, way)| way);
    let given_back = Amount::sum(said.chain(refunds.iter().map(|refund| refund.amount_refunded)))?;
    if given_back != post_payment {
        let message = format!(
            "The sum of credit amount, refund amount and out of band amount ({}) must equal what the credit note gives back of \
             the payment ({}).",
            invoice.currency.readable(given_back),
            invoice.currency.readable(post_payment)
        );
        return Err(Refusal::invalid(message).param("credit_amount"));
    }
    Ok(Parts { pre_payment, post_payment, credit: new.credit_amount.unwrap_or_default() })
}

fn blank(
    new: NewCreditNote,
    id: &Id<CreditNote>,
    invoice: &Invoice,
    lines: Vec<Line>,
    parts: &Parts,
    at: &Moment,
) -> CreditNote {
    let amount = Amount::new(parts.pre_payment.minor_units().saturating_add(parts.post_payment.minor_units()));
    let number = invoice.number.as_deref().unwrap_or_default();
    CreditNote {
        id: id.clone(),
        object: Tag::CreditNote,
        amount,
        amount_shipping: Amount::ZERO,
        created: at.now,
        currency: invoice.currency,
        customer: invoice.customer.clone(),
        customer_account: Null,
        customer_balance_transaction: None,
        discount_amount: Amount::ZERO,
        discount_amounts: Nothing,
        effective_at: new.effective_at.or(Some(at.now)),
        invoice: invoice.id.clone(),
        lines: Inlined::new(format!("{}/{id}/lines", NOUN.url), lines),
        livemode: invoice.livemode,
        memo: new.memo,
        metadata: new.metadata,
        number: format!("{number}-CN-{:02}", invoice.internal.credit_notes.saturating_add(1)),
        out_of_band_amount: new.out_of_band_amount,
        pdf: String::new(),
        post_payment_amount: parts.post_payment,
        pre_payment_amount: parts.pre_payment,
        pretax_credit_amounts: Nothing,
        reason: new.reason,
        refunds: Vec::new(),
        shipping_cost: Null,
        status: Status::Issued,
        subtotal: amount,
        subtotal_excluding_tax: amount,
        total: amount,
        total_excluding_tax: amount,
        total_taxes: Nothing,
        kind: match (parts.pre_payment.is_zero(), parts.post_payment.is_zero()) {
            (false, false) => Kind::Mixed,
            (true, _) => Kind::PostPayment,
            (false, true) => Kind::PrePayment,
        },
        voided_at: None,
    }
}

/// The invoice after the note. When nothing remains it is paid, without a payment.
fn lower(books: &mut Books, invoice: Invoice, parts: &Parts, at: &mut Moment) -> Result<(), Refusal> {
    let id = invoice.id.clone();
    let was_open = invoice.status == InvoiceStatus::Open;
    let lowered = Invoice {
        amount_due: invoice.amount_due.minus(parts.pre_payment)?,
        amount_remaining: invoice.amount_remaining.minus(parts.pre_payment)?,
        pre_payment_credit_notes_amount: invoice.pre_payment_credit_notes_amount.plus(parts.pre_payment)?,
        post_payment_credit_notes_amount: invoice.post_payment_credit_notes_amount.plus(parts.post_payment)?,
        internal: Internal { credit_notes: invoice.internal.credit_notes.saturating_add(1), ..invoice.internal },
        ..invoice
    };
    let settled = was_open && lowered.amount_remaining.is_zero();
    let attempted = lowered.attempted;
    let lowered = if settled { Invoice { attempted, ..lowered.paid(at.now) } } else { lowered };
    books.put(lowered).tell("invoice.updated", at);
    if settled {
        books.tell(&id, "invoice.paid", at);
    }
    if was_open {
        follow_remaining(books, &id, at)?;
    }
    if settled { follow::settled(books, &id, None, at) } else { Ok(()) }
}

/// Takes a credit note back, as long as its invoice is open: what it had lowered is due again.
pub fn void(books: &mut Books, id: &Id<CreditNote>, at: &mut Moment) -> Result<(), Refusal> {
    let note = books.at_path(id)?.clone();
    let open = |invoice: &&Invoice| invoice.status == InvoiceStatus::Open;
    let Some(invoice) = books.get(&note.invoice).filter(open).cloned() else {
        let message = "A credit note can only be voided while its invoice is open.";
        return Err(Refusal::invalid(message).code("status_transition_invalid"));
    };
    if !note.post_payment_amount.is_zero() {
        let message = "A credit note that gave back a payment cannot be voided.";
        return Err(Refusal::invalid(message).code("status_transition_invalid"));
    }
    // What is being paid is what was due with the note.
    if intent_of(books, &invoice.id).is_some_and(PaymentIntent::is_under_way) {
        return Err(busy());
    }
    let part = note.pre_payment_amount;
    let mut internal = invoice.internal.clone();
    for line in &note.lines.data {
        let credited = line.invoice_line_item.as_ref().and_then(|line| internal.credited.get_mut(line));
        if let Some(credited) = credited {
            *credited = credited.minus(line.amount)?;
        }
    }
    books.put(note.void(at.now)?).tell("credit_note.voided", at);
    let raised = Invoice {
        amount_due: invoice.amount_due.plus(part)?,
        amount_remaining: invoice.amount_remaining.plus(part)?,
        pre_payment_credit_notes_amount: invoice.pre_payment_credit_notes_amount.minus(part)?,
        internal,
        ..invoice
    };
    let invoice = raised.id.clone();
    books.put(raised).tell("invoice.updated", at);
    follow_remaining(books, &invoice, at)
}

/// Only what is said of it can change.
pub fn update(
    books: &mut Books,
    id: &Id<CreditNote>,
    memo: Patch<String>,
    metadata: MetadataPatch,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let note = books.at_path(id)?.clone();
    let metadata = metadata.apply(note.metadata)?;
    books.put(CreditNote { memo: memo.over(note.memo), metadata, ..note }).tell("credit_note.updated", at);
    Ok(())
}
