//! The customer's balance: each change of it is written down, so that it is the sum of its history.

use super::{
    Amount, Books, Currency, Id, Metadata, Moment, Refusal,
    balance_transaction::{BalanceTransaction, Kind, Tag},
    bill::due_after_balance,
    credit_note::CreditNote,
    customer::Customer,
    invoice::{Invoice, Status},
    shape::Null,
};

/// What an entry says beside its amount.
#[derive(Clone, Debug)]
pub struct Entry {
    pub kind: Kind,
    pub credit_note: Option<Id<CreditNote>>,
    pub description: Option<String>,
    pub invoice: Option<Id<Invoice>>,
    pub metadata: Metadata,
}

impl Entry {
    pub fn of(kind: Kind) -> Entry {
        Entry { kind, credit_note: None, description: None, invoice: None, metadata: Metadata::new() }
    }

    pub fn about(kind: Kind, invoice: &Id<Invoice>) -> Entry {
        Entry { invoice: Some(invoice.clone()), ..Entry::of(kind) }
    }
}

/// Adds an amount to the balance (negative is credit) and writes it down. Nothing is no entry. The
/// caller tells of the customer, because more about it may change in the same breath.
pub fn change(
    books: &mut Books,
    amount: Amount,
    entry: Entry,
    at: &mut Moment,
) -> Result<Option<Id<BalanceTransaction>>, Refusal> {
    if amount.is_zero() {
        return Ok(None);
    }
    let customer = books.customer()?.clone();
    let balance = customer.balance.plus(amount)?;
    let id: Id<BalanceTransaction> = Id::new(&mut at.ids, customer.id.bucket());
    let transaction = BalanceTransaction {
        id: id.clone(),
        object: Tag::BalanceTransaction,
        amount,
        checkout_session: Null,
        created: at.now,
        credit_note: entry.credit_note,
        currency: currency(&customer)?,
        customer: customer.id.clone(),
        customer_account: Null,
        description: entry.description,
        ending_balance: balance,
        invoice: entry.invoice,
        livemode: customer.livemode,
        metadata: entry.metadata,
        kind: entry.kind,
    };
    let cause = transaction.invoice.clone();
    books.put(Customer { balance, ..customer });
    books.put(transaction);
    refresh_drafts(books, balance, cause.as_ref(), at)?;
    Ok(Some(id))
}

/// Drafts show what the balance would do to them now; but for the one that is just being finalised.
fn refresh_drafts(
    books: &mut Books,
    balance: Amount,
    except: Option<&Id<Invoice>>,
    at: &mut Moment,
) -> Result<(), Refusal> {
    let drafts: Vec<Invoice> = books
        .all::<Invoice>()
        .filter(|invoice| invoice.status == Status::Draft && Some(&invoice.id) != except)
        .cloned()
        .collect();
    for draft in drafts {
        let due = due_after_balance(draft.total, balance)?.due;
        books
            .put(Invoice { amount_due: due, amount_remaining: due, starting_balance: balance, ..draft })
            .tell("invoice.updated", at);
    }
    Ok(())
}

/// What the balance is in: until something fixes the customer's currency, that of the account.
fn currency(customer: &Customer) -> Result<Currency, Refusal> {
    let usual = customer.currency.or_else(|| Currency::parse("usd"));
    usual.ok_or_else(|| Refusal::internal("There is no currency."))
}

/// Sets the balance by a caller's wish. An amount is one of a currency: what changes it fixes the customer's.
pub fn set(books: &mut Books, balance: Amount, kind: Kind, at: &mut Moment) -> Result<(), Refusal> {
    let customer = books.customer()?.clone();
    let currency = currency(&customer)?;
    currency.check(balance, "balance")?;
    let amount = balance.minus(customer.balance)?;
    if !amount.is_zero() && customer.currency.is_none() {
        books.put(Customer { currency: Some(currency), ..customer });
    }
    change(books, amount, Entry::of(kind), at)?;
    Ok(())
}

/// An entry by a caller's wish. The first one fixes the customer's currency.
pub fn adjust(
    books: &mut Books,
    amount: Amount,
    given: Currency,
    entry: Entry,
    at: &mut Moment,
) -> Result<Id<BalanceTransaction>, Refusal> {
    let customer = books.customer()?.clone();
    if let Some(locked) = customer.currency.filter(|locked| *locked != given) {
        let message = format!("The balance of this customer is in {locked}, not in {given}.");
        return Err(Refusal::invalid(message).param("currency"));
    }
    given.check(amount, "amount")?;
    let id = customer.id.clone();
    books.put(Customer { currency: Some(given), ..customer });
    let transaction = change(books, amount, entry, at)?;
    let nothing = || Refusal::invalid("The amount must not be zero.").param("amount");
    let transaction = transaction.ok_or_else(nothing)?;
    books.tell(&id, "customer.updated", at);
    Ok(transaction)
}
