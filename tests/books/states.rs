//! The states of a subscription, and how it follows its invoices: rule by rule, in memory.

use dunlin::billing::{
    Books, Id, Moment, Timestamp, advance, cancel,
    collect::{Collection, collect, intent_of},
    dunning::{self, FinalAction},
    follow,
    id::{Ids, TICKS_PER_MILLISECOND},
    invoice::{Invoice, Status as InvoiceStatus},
    payment_intent::Status as IntentStatus,
    settings::{Settings, Window},
    subscription::{CollectionMethod, Status, Subscription},
};

use crate::{at, open_with, settle_all, subscribe};

const START: i64 = 1_793_491_200;
const MONTH: i64 = 31 * 86_400;

/// A monthly subscription with a paid first invoice, and what happens to it.
pub struct Life {
    pub books: Books,
    pub at: Moment,
    pub id: Id<Subscription>,
}

impl Life {
    pub fn begin() -> Life {
        let (mut books, mut at) = (open_with(("month", 1), 2000, patient()), at(START));
        let id = subscribe(&mut books, &mut at);
        settle_all(&mut books, 0, &mut at);
        Life { books, at, id }
    }

    /// Some seconds pass. Cards are accepted or declined.
    pub fn pass(&mut self, seconds: i64, declining: bool) {
        let horizon = self.at.now.plus_seconds(seconds);
        loop {
            advance::advance(&mut self.books, horizon, true, &mut self.at).unwrap();
            if !settle_all(&mut self.books, if declining { 8 } else { 0 }, &mut self.at) {
                break;
            }
        }
        self.at.now = horizon;
    }

    pub fn subscription(&self) -> &Subscription {
        self.books.get(&self.id).unwrap()
    }

    pub fn status(&self) -> Status {
        self.subscription().status
    }

    /// Its invoices, oldest first.
    pub fn invoices(&self) -> Vec<Id<Invoice>> {
        self.books.all::<Invoice>().map(|invoice| invoice.id.clone()).collect()
    }

    pub fn invoice(&self, place: usize) -> &Invoice {
        self.books.get(&self.invoices()[place]).unwrap()
    }

    /// The types told since the last time.
    pub fn told(&mut self) -> Vec<String> {
        let (_, told) = self.books.clone().into_changes().unwrap();
        told.into_iter().map(|told| told.kind.to_owned()).collect()
    }
}

/// Settings by which a debt is tried for long, and its subscription stays past due in the end.
fn patient() -> Settings {
    let mut settings = Settings::default();
    settings.collection.retries.window = Window::TwoMonths;
    settings.collection.final_action.subscription = FinalAction::PastDue;
    settings
}

/// How the open invoices of a subscription stand, oldest first, after the first one was paid.
#[derive(Clone, Copy)]
enum Debt {
    /// It failed, and will be tried again.
    Failed,
    /// It failed for the last time, with this outcome.
    GivenUp(FinalAction),
    Overdue,
    Sent,
    Draft,
    Settled(InvoiceStatus),
}

/// Lives through as many renewals as there are debts, and leaves the subscription in this status.
fn owing(status: Status, debts: &[Debt]) -> Life {
    let mut life = Life::begin();
    for _ in debts {
        life.pass(MONTH, true);
    }
    let invoices = life.invoices();
    for (id, debt) in invoices[1..].iter().zip(debts) {
        let mut invoice = life.books.get(id).unwrap().clone();
        invoice.internal.given_up = None;
        match debt {
            Debt::Failed => {}
            Debt::GivenUp(action) => invoice.internal.given_up = Some(*action),
            Debt::Overdue | Debt::Sent => {
                invoice.collection_method = CollectionMethod::SendInvoice;
                let days = i64::from(matches!(debt, Debt::Sent));
                invoice.due_date = Some(life.at.now.plus_seconds(days * 86_400));
            }
            Debt::Draft => invoice.status = InvoiceStatus::Draft,
            Debt::Settled(InvoiceStatus::Paid) => invoice = invoice.paid(life.at.now),
            Debt::Settled(status) => invoice.status = *status,
        }
        life.books.put(invoice);
    }
    let subscription = Subscription { status, ..life.subscription().clone() };
    life.books.put(subscription);
    life
}

/// Voiding: the walk from the newest to the oldest invoice.
#[test]
fn after_a_void_the_remaining_invoices_decide() {
    use Debt::{Draft, Failed, GivenUp, Overdue, Sent, Settled};
    use FinalAction::{Cancel, PastDue, Unpaid};
    for (what, debts, expected) in [
        ("only the paid first one is left", vec![Failed], Status::Active),
        ("the example: retries of the older one are exhausted", vec![GivenUp(Unpaid), Failed], Status::Unpaid),
        ("the example: it has retries left, and is passed over", vec![Failed, Failed], Status::Active),
        ("exhausted, and the setting cancels", vec![GivenUp(Cancel), Failed], Status::Canceled),
        ("exhausted, and the setting leaves it", vec![GivenUp(PastDue), Failed], Status::PastDue),
        ("a later one is settled", vec![GivenUp(Unpaid), Settled(InvoiceStatus::Paid), Failed], Status::Active),
        (
            "uncollectible counts as settled",
            vec![GivenUp(Unpaid), Settled(InvoiceStatus::Uncollectible), Failed],
            Status::Active,
        ),
        ("void is invisible", vec![GivenUp(Unpaid), Settled(InvoiceStatus::Void), Failed], Status::Unpaid),
        ("a draft says nothing", vec![GivenUp(Unpaid), Draft, Failed], Status::Unpaid),
        ("sent and overdue", vec![Overdue, Failed], Status::PastDue),
        ("sent and not yet due", vec![Sent, Failed], Status::Active),
    ] {
        let mut life = owing(Status::PastDue, &debts);
        let newest = life.invoices().pop().unwrap();
        cancel::void(&mut life.books, &newest, &mut life.at).unwrap();
        assert_eq!(life.status(), expected, "{what}");
    }
}

/// Voiding what is not the latest has no effect on the status.
#[test]
fn voiding_an_older_invoice_leaves_the_status() {
    let mut life = owing(Status::PastDue, &[Debt::Failed, Debt::Failed]);
    let older = life.invoices()[1].clone();
    cancel::void(&mut life.books, &older, &mut life.at).unwrap();
    assert_eq!(life.status(), Status::PastDue);
}

/// Paying, or marking uncollectible: the latest finalised invoice recovers, an older one does not,
/// and what has ended stays so.
#[test]
fn settling_the_latest_invoice_recovers() {
    use Debt::{Draft, Failed, Settled};
    for (status, debts, place, expected) in [
        (Status::PastDue, vec![Failed], 1, Status::Active),
        (Status::Unpaid, vec![Failed], 1, Status::Active),
        (Status::PastDue, vec![Failed, Failed], 1, Status::PastDue),
        (Status::PastDue, vec![Failed, Failed], 2, Status::Active),
        // Drafts never change the status, and never stand in the way.
        (Status::Unpaid, vec![Failed, Draft], 1, Status::Active),
        // Nor does what was voided since.
        (Status::PastDue, vec![Failed, Settled(InvoiceStatus::Void)], 1, Status::Active),
        (Status::Trialing, vec![Failed], 1, Status::Trialing),
        (Status::Paused, vec![Failed], 1, Status::Paused),
    ] {
        type Settle = fn(&mut Books, &Id<Invoice>, &mut Moment) -> Result<(), dunlin::billing::Refusal>;
        for settle in [cancel::mark_uncollectible as Settle, cancel::pay_out_of_band] {
            let mut life = owing(status, &debts);
            let invoice = life.invoices()[place].clone();
            settle(&mut life.books, &invoice, &mut life.at).unwrap();
            assert_eq!(life.status(), expected, "{status}, invoice {place}");
        }
    }
}

/// After the last attempt: the three settings.
#[test]
fn giving_up_comes_to_the_final_state() {
    for (action, expected, events) in [
        (FinalAction::Unpaid, Status::Unpaid, vec!["invoice.updated", "customer.subscription.updated"]),
        (
            FinalAction::Cancel,
            Status::Canceled,
            vec!["invoice.updated", "customer.subscription.deleted", "invoice.updated"],
        ),
        (FinalAction::PastDue, Status::PastDue, vec!["invoice.updated"]),
    ] {
        let mut life = Life::begin();
        life.pass(MONTH, true);
        assert_eq!(life.status(), Status::PastDue);
        let (invoice, before) = (life.invoices()[1].clone(), life.told().len());
        dunning::give_up(&mut life.books, &invoice, action, &mut life.at).unwrap();
        assert_eq!(life.status(), expected);
        assert_eq!(life.told()[before..], events[..]);
        assert_eq!(life.invoice(1).status, InvoiceStatus::Open);
        assert_eq!(life.invoice(1).next_payment_attempt, None);
        assert_eq!(life.invoice(1).auto_advance, action != FinalAction::Cancel);
    }
}

/// While unpaid each cycle adds a draft that stays one; leaving it needs the latest to be paid.
#[test]
fn unpaid_keeps_its_drafts_until_they_are_collected() {
    let mut life = Life::begin();
    life.pass(MONTH, true);
    // A draft of the next cycle, made before the retries were exhausted, is kept as well.
    life.pass(30 * 86_400, true);
    let (invoice, drafted) = (life.invoices()[1].clone(), life.invoices().len());
    dunning::give_up(&mut life.books, &invoice, FinalAction::Unpaid, &mut life.at).unwrap();
    let before = life.told().len();
    life.pass(2 * MONTH, false);
    assert_eq!(life.invoices().len(), drafted + 2);
    for draft in life.books.all::<Invoice>().skip(drafted) {
        assert_eq!((draft.status, draft.auto_advance), (InvoiceStatus::Draft, false));
        assert_eq!((draft.automatically_finalizes_at, draft.next_payment_attempt), (None, None));
    }
    // Retries exhausted: each later cycle tells these two and nothing else.
    let cycle = ["invoice.created", "customer.subscription.updated"];
    assert_eq!(life.told()[before..], [cycle, cycle].concat());
    assert_eq!(life.status(), Status::Unpaid);
}

/// A send-invoice subscription falls behind at the due date, not before, and recovers when paid.
#[test]
fn an_overdue_invoice_makes_it_past_due() {
    let mut life = Life::begin();
    life.pass(MONTH, false);
    let due = life.at.now.plus_seconds(86_400);
    let invoice = Invoice {
        status: InvoiceStatus::Open,
        collection_method: CollectionMethod::SendInvoice,
        amount_paid: dunlin::billing::Amount::ZERO,
        amount_remaining: life.invoice(1).amount_due,
        due_date: Some(due),
        ..life.invoice(1).clone()
    };
    let id = invoice.id.clone();
    life.books.put(invoice);
    life.pass(86_399, false);
    assert_eq!(life.status(), Status::Active);
    life.pass(1, false);
    assert_eq!(life.status(), Status::PastDue);
    assert!(life.books.customer().unwrap().delinquent);
    let told = life.told();
    assert_eq!(told[told.len() - 2..], ["customer.subscription.updated", "customer.updated"]);
    life.pass(86_400, false);
    assert_eq!(life.told().len(), told.len(), "once");
    follow::settled(&mut life.books, &id, None, &mut life.at).unwrap();
    assert_eq!(life.status(), Status::Active);
    assert!(!life.books.customer().unwrap().delinquent);
    assert!(life.subscription().ended_at.is_none() && life.at.now > Timestamp::new(START));
}

/// Servers whose clocks are an hour apart bill the same subscription: the latest invoice is the one that was
/// made last.
#[test]
fn the_latest_invoice_is_the_latest_on_any_clock() {
    let mut life = Life::begin();
    life.at.ids = Ids::new(u64::try_from(START - 3600).unwrap() * 1000 * TICKS_PER_MILLISECOND, [2; 32]);
    life.pass(MONTH, true);
    assert_eq!(life.status(), Status::PastDue);
    assert_eq!(life.subscription().latest_invoice.as_ref(), life.invoices().last());
    let id = life.invoices().remove(1);
    cancel::pay_out_of_band(&mut life.books, &id, &mut life.at).unwrap();
    assert_eq!(life.status(), Status::Active);
}

/// An intent that has come to its end takes no more money, whatever its invoice still asks for.
#[test]
fn what_is_left_of_an_invoice_gets_an_intent_of_its_own() {
    let mut life = Life::begin();
    life.pass(MONTH, true);
    let id = life.invoices().remove(1);
    let ended = intent_of(&life.books, &id).unwrap().clone().cancel(None, life.at.now).unwrap();
    life.books.put(ended.clone());
    let by_hand = Collection { automatic: false, off_session: true, payment_method: None };
    collect(&mut life.books, &id, &by_hand, &mut life.at).unwrap();
    let own = intent_of(&life.books, &id).unwrap();
    assert_ne!(own.id, ended.id);
    settle_all(&mut life.books, 0, &mut life.at);
    assert_eq!(life.invoice(1).status, InvoiceStatus::Paid);
    assert_eq!(life.books.get(&ended.id).unwrap().status, IntentStatus::Canceled);
}
