//! What the amounts of invoices and the balance of their customer owe each other, in any history.

use dunlin::billing::{
    Amount, Books, Currency, Id, Moment, Refusal, Resource as _, Timestamp, advance, balance,
    balance_transaction::{BalanceTransaction, Kind},
    cancel,
    collect::{self, Collection},
    credit::{self, NewCreditNote},
    credit_note::{CreditNote, Status as NoteStatus},
    draft::{self, Details, NewInvoice, PendingItems},
    finalize,
    invoice::{Invoice, Status},
    itemize::{self, CostParams, Edit, NewItem},
};
use proptest::prelude::*;

use crate::{CUSTOMER, at, open, settle_all, subscribe};

/// What may happen to a customer. Places name one of its invoices.
#[derive(Clone, Copy, Debug)]
enum Step {
    SetBalance(i64),
    Item(i64),
    /// A draft of all that waits, finalised.
    Bill,
    Finalize(usize),
    Pay(usize, u8),
    OutOfBand(usize),
    Void(usize),
    GiveUp(usize),
    Delete(usize),
    /// A credit note; what was paid of it becomes credit.
    Credit(usize, i64),
    VoidNote(usize),
    Wait(i64),
}

fn any_step() -> impl Strategy<Value = Step> {
    let place = 0_usize..6;
    prop_oneof![
        (-3000_i64..3000).prop_map(Step::SetBalance),
        (-2000_i64..6000).prop_map(Step::Item),
        (-60_i64..60).prop_map(Step::Item),
        Just(Step::Bill),
        Just(Step::Bill),
        place.clone().prop_map(Step::Finalize),
        (place.clone(), 0_u8..9).prop_map(|(place, declining)| Step::Pay(place, declining)),
        place.clone().prop_map(Step::OutOfBand),
        place.clone().prop_map(Step::Void),
        place.clone().prop_map(Step::GiveUp),
        place.clone().prop_map(Step::Delete),
        (place.clone(), 1_i64..3000).prop_map(|(place, amount)| Step::Credit(place, amount)),
        place.prop_map(Step::VoidNote),
        (0_i64..40 * 86_400).prop_map(Step::Wait),
    ]
}

fn invoice(books: &Books, place: usize) -> Result<Id<Invoice>, Refusal> {
    let newest_first: Vec<&Invoice> = books.all::<Invoice>().collect();
    let found = newest_first.into_iter().rev().nth(place);
    found.map(|invoice| invoice.id.clone()).ok_or_else(|| Refusal::invalid("There are not so many."))
}

fn take(books: &mut Books, step: Step, currency: Currency, at: &mut Moment) -> Result<(), Refusal> {
    let customer = Id::given(CUSTOMER);
    match step {
        Step::SetBalance(amount) => balance::set(books, Amount::new(amount * currency.step()), Kind::Adjustment, at),
        Step::Item(amount) => {
            let cost = CostParams {
                amount: Some(Amount::new(amount * currency.step())),
                currency: Some(currency),
                ..CostParams::default()
            };
            let new = NewItem { customer, edit: Edit { cost, ..Edit::default() }, invoice: None, subscription: None };
            itemize::make(books, new, at).map(drop)
        }
        Step::Bill => {
            let new = NewInvoice {
                customer,
                currency: Some(currency),
                details: Details::default(),
                pending_items: PendingItems::Include,
                subscription: None,
            };
            let id = draft::create(books, new, at)?;
            finalize::finalize(books, &id, at)
        }
        Step::Finalize(place) => finalize::try_finalize(books, &invoice(books, place)?, at).map(drop),
        Step::Pay(place, declining) => {
            let id = invoice(books, place)?;
            let by_hand = Collection { automatic: false, off_session: true, payment_method: None };
            collect::collect(books, &id, &by_hand, at)?;
            settle_all(books, declining, at);
            Ok(())
        }
        Step::OutOfBand(place) => cancel::pay_out_of_band(books, &invoice(books, place)?, at),
        Step::Void(place) => cancel::void(books, &invoice(books, place)?, at),
        Step::GiveUp(place) => cancel::mark_uncollectible(books, &invoice(books, place)?, at),
        Step::Delete(place) => cancel::delete_draft(books, &invoice(books, place)?, at),
        Step::Credit(place, amount) => {
            let id = invoice(books, place)?;
            let (amount, remaining) = (Amount::new(amount * currency.step()), books.get(&id).unwrap().amount_remaining);
            let new = NewCreditNote {
                invoice: id,
                amount: Some(amount),
                credit_amount: Some(amount.minus(amount.min(remaining))?),
                effective_at: None,
                lines: Vec::new(),
                memo: None,
                metadata: [].into(),
                out_of_band_amount: None,
                reason: None,
                refund_amount: None,
                refunds: Vec::new(),
            };
            credit::issue(books, new, at).map(drop)
        }
        Step::VoidNote(place) => {
            let note = books.all::<CreditNote>().nth(place).map(|note| note.id.clone());
            credit::void(books, &note.ok_or_else(|| Refusal::invalid("There are not so many."))?, at)
        }
        Step::Wait(seconds) => {
            let horizon = at.now.plus_seconds(seconds);
            loop {
                advance::advance(books, horizon, true, at)?;
                if !settle_all(books, 0, at) {
                    break;
                }
            }
            at.now = horizon;
            Ok(())
        }
    }
}

/// Everything that must hold at any time.
fn check(books: &Books) -> Result<(), TestCaseError> {
    prop_assert_eq!(books.soundness().err(), None);
    let balance = books.customer().unwrap().balance;
    let history: Vec<&BalanceTransaction> = books.all().collect();
    prop_assert_eq!(Amount::sum(history.iter().map(|entry| entry.amount)), Ok(balance));
    prop_assert_eq!(history.last().map_or(Amount::ZERO, |entry| entry.ending_balance), balance);
    for pair in history.windows(2) {
        prop_assert_eq!(pair[0].ending_balance.plus(pair[1].amount), Ok(pair[1].ending_balance));
    }
    let invoices: Vec<&Invoice> = books.all::<Invoice>().collect();
    for invoice in &invoices {
        prop_assert_eq!(invoice.check(), Ok(()));
        // Lines, totals and what is due, once more and by other means.
        let lines: i64 = invoice.lines.data.iter().map(|line| line.amount.minor_units()).sum();
        prop_assert_eq!((lines, lines), (invoice.subtotal.minor_units(), invoice.total.minor_units()));
        prop_assert_eq!(invoice.amount_paid.plus(invoice.amount_remaining), Ok(invoice.amount_due));
        let open = invoice.status == Status::Open;
        let (before, after) = (invoice.pre_payment_credit_notes_amount, invoice.post_payment_credit_notes_amount);
        prop_assert!(!open || invoice.amount_due.plus(before).unwrap() >= invoice.currency.minimum_charge());
        let notes: Vec<&CreditNote> = books.all::<CreditNote>().filter(|note| note.invoice == invoice.id).collect();
        let issued: Vec<&&CreditNote> = notes.iter().filter(|note| note.status == NoteStatus::Issued).collect();
        prop_assert_eq!(Amount::sum(issued.iter().map(|note| note.pre_payment_amount)), Ok(before));
        prop_assert_eq!(Amount::sum(issued.iter().map(|note| note.post_payment_amount)), Ok(after));
        prop_assert!(before.plus(after).unwrap() <= invoice.total.max(Amount::ZERO));
        for (place, note) in notes.iter().enumerate() {
            let ending = format!("-CN-{:02}", place + 1);
            prop_assert!(note.number.ends_with(&ending));
        }
        prop_assert!(invoice.currency.holds(invoice.amount_due));
        // What it gave and took is in the history.
        let entries = history.iter().filter(|entry| entry.invoice.as_ref() == Some(&invoice.id));
        let entries = entries.filter(|entry| entry.credit_note.is_none());
        let moved = Amount::sum(entries.map(|entry| entry.amount)).unwrap().minor_units();
        let ending = invoice.ending_balance.map_or(0, Amount::minor_units);
        let took = if matches!(invoice.status, Status::Draft | Status::Void) {
            0
        } else {
            ending - invoice.starting_balance.minor_units()
        };
        prop_assert_eq!(moved, took);
    }
    // Numbers have no gaps, whatever failed, was deleted or voided in between.
    let mut numbers: Vec<String> = invoices.iter().filter_map(|invoice| invoice.number.clone()).collect();
    numbers.sort_unstable();
    let expected: Vec<String> = (1..=numbers.len()).map(|place| format!("BOOKS-{place:04}")).collect();
    prop_assert_eq!(numbers, expected);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn amounts_and_balances_agree_in_any_history(
        code in prop_oneof![Just("usd"), Just("jpy"), Just("kwd")],
        subscribes: bool,
        steps in prop::collection::vec(any_step(), 1..30),
    ) {
        let mut books = open("month", 1, 2000);
        let mut at = at(1_800_000_000);
        let currency = Currency::parse(code).unwrap();
        if subscribes && code == "usd" {
            subscribe(&mut books, &mut at);
            settle_all(&mut books, 0, &mut at);
        }
        for step in steps {
            // A refused decision is dropped, as the engine drops it.
            let mut attempt = books.clone();
            let mut now = Moment::new(at.now, crate::at(at.now.unix_seconds()).ids);
            std::mem::swap(&mut now.ids, &mut at.ids);
            let taken = take(&mut attempt, step, currency, &mut now);
            std::mem::swap(&mut now.ids, &mut at.ids);
            if taken.is_ok() {
                (books, at.now) = (attempt, now.now);
            }
            check(&books)?;
            at.now = Timestamp::new(at.now.unix_seconds() + 1);
        }
    }
}
