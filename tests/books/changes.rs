//! What a change costs, when it is charged, and what an unpaid invoice means for it: in memory, rule by
//! rule, with the worked examples of proration.

use dunlin::billing::{
    Books, Id, MetadataPatch, Moment, Timestamp,
    change::{self, Act, Change, ItemChange},
    invoice::{Invoice, Status as InvoiceStatus},
    invoice_item::InvoiceItem,
    payment_intent::PaymentIntent,
    prorate::ProrationBehavior::{self, AlwaysInvoice, CreateProrations, None as NoProrations},
    subscribe::{self, NewItem, NewSubscription, PaymentBehavior},
    subscription::{BillingMode, Status, Subscription},
    trial::{TrialEnd, TrialWanted},
};

use crate::{CUSTOMER, at, previews::go_on, settle_all, shop};

/// 1 November 2026; the month has 2,592,000 seconds.
const START: i64 = 1_793_491_200;
/// 15 November 12:00: 1,339,200 seconds are left.
const MIDDLE: i64 = 1_794_744_000;
const END: i64 = 1_796_083_200;

/// Amounts in cents, of months but for the year.
const SHOP: &[(&str, &str, i64, i64)] = &[
    ("free", "month", 1, 0),
    ("basic", "month", 1, 1000),
    ("pro", "month", 1, 2000),
    ("seat", "month", 1, 999),
    ("yearly", "year", 1, 10_000),
];

/// A subscription in the middle of its first month.
struct Scene {
    books: Books,
    at: Moment,
    id: Id<Subscription>,
}

impl Scene {
    fn of(mode: BillingMode, items: &[(&str, i64)]) -> Scene {
        Scene::with(mode, items, TrialWanted::default())
    }

    fn with(mode: BillingMode, items: &[(&str, i64)], trial: TrialWanted) -> Scene {
        let (mut books, mut at) = (shop(SHOP), at(START));
        let item = |(price, quantity): &(&str, i64)| NewItem {
            metadata: [].into(),
            price: Id::given(*price),
            quantity: *quantity,
        };
        let items = items.iter().map(item).collect();
        let wanted = NewSubscription { billing_mode: mode, trial, ..NewSubscription::of(Id::given(CUSTOMER), items) };
        let id = subscribe::subscribe(&mut books, &wanted, &mut at).unwrap();
        settle_all(&mut books, 0, &mut at);
        go_on(&mut books, Timestamp::new(MIDDLE), &mut at);
        Scene { books, at, id }
    }

    fn subscription(&self) -> &Subscription {
        self.books.get(&self.id).unwrap()
    }

    fn edit(&self, price: Option<&str>, quantity: Option<i64>) -> Act {
        let id = self.subscription().items.data[0].id.clone();
        Act::Edit { id, price: price.map(Id::given), quantity, metadata: MetadataPatch::Keep }
    }

    /// Makes a change; the processor declines or not.
    fn change(&mut self, act: Option<Act>, declining: u8, more: Change) {
        let items = act.into_iter().map(|act| ItemChange { param: "items[0]".into(), act }).collect();
        let before = change::open(&mut self.books, &self.id, &mut self.at).unwrap();
        let wanted = Change { items, ..more };
        change::change(&mut self.books, &self.id, &before, &wanted, &mut self.at).unwrap();
        settle_all(&mut self.books, declining, &mut self.at);
        self.at.now = Timestamp::new(MIDDLE);
    }

    /// Amounts that wait for an invoice, oldest first.
    fn pending(&self) -> Vec<i64> {
        let items = self.books.all::<InvoiceItem>().filter(|item| item.invoice.is_none());
        items.map(|item| item.amount.minor_units()).collect()
    }

    fn invoices(&self) -> Vec<&Invoice> {
        self.books.all::<Invoice>().collect()
    }

    /// The amounts of the lines of the newest invoice, if it is not the first.
    fn billed(&self) -> Option<Vec<i64>> {
        let invoice = self.invoices().into_iter().skip(1).last()?;
        Some(invoice.lines.data.iter().map(|line| line.amount.minor_units()).collect())
    }

    fn period_end(&self) -> i64 {
        self.subscription().items.data[0].current_period_end.unix_seconds()
    }
}

fn with(prorations: ProrationBehavior) -> Change {
    Change { proration_behavior: prorations, ..Change::default() }
}

/// Proration behaviour × billing mode × same or another interval: what waits, what is billed now, where
/// the period ends, and what the next month costs.
#[test]
fn what_a_swap_costs() {
    let (classic, flexible) = (BillingMode::classic(), BillingMode::flexible());
    let december_15 = END + 1_252_800;
    let november_2027 = START + 365 * 86_400;
    let reset = MIDDLE + 365 * 86_400;
    for (mode, from, to, prorations, pending, billed, end) in [
        // The same interval: row 1 of the examples.
        (&classic, "basic", "pro", CreateProrations, &[1033, -517][..], None, END),
        (&flexible, "basic", "pro", CreateProrations, &[1033, -517], None, END),
        (&classic, "basic", "pro", AlwaysInvoice, &[], Some(vec![-517, 1033]), END),
        (&flexible, "basic", "pro", AlwaysInvoice, &[], Some(vec![-517, 1033]), END),
        (&classic, "basic", "pro", NoProrations, &[], None, END),
        (&flexible, "basic", "pro", NoProrations, &[], None, END),
        // Another interval: classic begins anew whatever is said (row 13), without prorations too.
        (&classic, "basic", "yearly", CreateProrations, &[], Some(vec![-517, 10_000]), reset),
        (&classic, "basic", "yearly", AlwaysInvoice, &[], Some(vec![-517, 10_000]), reset),
        (&classic, "basic", "yearly", NoProrations, &[], Some(vec![10_000]), reset),
        // Flexible stays on its grid.
        (&flexible, "basic", "yearly", CreateProrations, &[9603, -517], None, november_2027),
        (&flexible, "basic", "yearly", AlwaysInvoice, &[], Some(vec![-517, 9603]), november_2027),
        (&flexible, "basic", "yearly", NoProrations, &[], None, november_2027),
        // From free to paid, and back: rows 8 and 7.
        (&classic, "free", "basic", CreateProrations, &[], Some(vec![0, 1000]), december_15),
        (&flexible, "free", "basic", CreateProrations, &[517, 0], None, END),
        (&classic, "basic", "free", CreateProrations, &[0, -517], None, END),
        (&flexible, "basic", "free", CreateProrations, &[0, -517], None, END),
    ] {
        let what = format!("{} {from} to {to}, {prorations}", mode.kind);
        let mut scene = Scene::of(mode.clone(), &[(from, 1)]);
        let swap = scene.edit(Some(to), None);
        scene.change(Some(swap), 0, with(prorations));
        assert_eq!(scene.pending(), pending, "{what}");
        assert_eq!(scene.billed(), billed, "{what}");
        assert_eq!(scene.period_end(), end, "{what}");
        let anchor = scene.subscription().billing_cycle_anchor.unix_seconds();
        assert_eq!(anchor, if end == reset || end == december_15 { MIDDLE } else { START }, "{what}");
        // Nothing else is charged before the period ends; then all that waits, and the price.
        let known = scene.invoices().len();
        go_on(&mut scene.books, Timestamp::new(end + 7200), &mut scene.at);
        let next: Vec<i64> = scene.invoices()[known].lines.data.iter().map(|line| line.amount.minor_units()).collect();
        let cost = SHOP.iter().find(|(id, ..)| *id == to).unwrap().3;
        let waiting: Vec<i64> = pending.iter().rev().copied().chain([cost]).collect();
        assert_eq!(next, waiting, "{what}");
    }
}

/// Quantities, items that come and go, and a cycle that begins anew (rows 2, 5, 6, 15, 16).
#[test]
fn what_other_changes_cost() {
    for mode in [BillingMode::classic(), BillingMode::flexible()] {
        let mut scene = Scene::of(mode.clone(), &[("seat", 3)]);
        let more = scene.edit(None, Some(5));
        scene.change(Some(more), 0, with(CreateProrations));
        assert_eq!(scene.pending(), [2581, -1548]);
        // Each change makes its own pair; what waits is not reckoned again.
        let fewer = scene.edit(None, Some(3));
        scene.change(Some(fewer), 0, with(CreateProrations));
        assert_eq!(scene.pending(), [2581, -1548, 1548, -2581]);

        let mut scene = Scene::of(mode.clone(), &[("pro", 1)]);
        let add = Act::Add { price: Id::given("basic"), quantity: None, metadata: [].into() };
        scene.change(Some(add), 0, with(CreateProrations));
        assert_eq!(scene.pending(), [517]);
        let remove = Act::Remove { id: scene.subscription().items.data[1].id.clone() };
        scene.change(Some(remove), 0, with(CreateProrations));
        assert_eq!(scene.pending(), [517, -517]);
        assert_eq!(scene.subscription().items.data.len(), 1);

        let mut scene = Scene::of(mode, &[("pro", 1)]);
        scene.change(None, 0, Change { restart: true, ..with(CreateProrations) });
        assert_eq!(scene.billed(), Some(vec![-1033, 2000]));
        assert_eq!(scene.period_end(), END + 1_252_800);
        assert_eq!(scene.invoices()[1].status, InvoiceStatus::Paid);
    }
}

/// Classic credits what the item costs now, flexible what was billed for it.
#[test]
fn what_was_billed_and_what_it_costs_now() {
    for (mode, credit) in [(BillingMode::classic(), -1033), (BillingMode::flexible(), -517)] {
        let mut scene = Scene::of(mode, &[("basic", 1)]);
        let silent = scene.edit(Some("pro"), None);
        scene.change(Some(silent), 0, with(NoProrations));
        let back = scene.edit(Some("basic"), None);
        scene.change(Some(back), 0, with(CreateProrations));
        assert_eq!(scene.pending(), [517, credit]);
    }
}

/// What becomes of a change whose invoice is not paid (`payment_behavior` on update).
#[test]
fn what_an_unpaid_invoice_means() {
    use PaymentBehavior::{AllowIncomplete, DefaultIncomplete, ErrorIfIncomplete, PendingIfIncomplete};
    for mode in [BillingMode::classic(), BillingMode::flexible()] {
        for (behavior, status, price, waits, invoice) in [
            (AllowIncomplete, Status::PastDue, "pro", false, Some((InvoiceStatus::Open, 1, true))),
            (DefaultIncomplete, Status::PastDue, "pro", false, Some((InvoiceStatus::Open, 0, false))),
            (ErrorIfIncomplete, Status::Active, "basic", false, None),
            (PendingIfIncomplete, Status::Active, "basic", true, Some((InvoiceStatus::Open, 1, false))),
        ] {
            let mut scene = Scene::of(mode.clone(), &[("basic", 1)]);
            let number = scene.books.customer().unwrap().next_invoice_sequence;
            let swap = scene.edit(Some("pro"), None);
            scene.change(Some(swap), 8, Change { payment_behavior: behavior, ..with(AlwaysInvoice) });
            let after = scene.subscription();
            assert_eq!((after.status, after.items.data[0].price.as_str()), (status, price), "{behavior}");
            assert_eq!(after.pending_update.is_some(), waits, "{behavior}");
            let made = scene.invoices().get(1).map(|made| (made.status, made.attempt_count, made.auto_advance));
            assert_eq!(made, invoice, "{behavior}");
            assert_eq!(scene.pending(), [0; 0], "{behavior}");
            let customer = scene.books.customer().unwrap();
            let taken = i64::from(invoice.is_some());
            assert_eq!(customer.next_invoice_sequence, number + taken, "{behavior}: numbers have no gaps");
            assert_eq!(customer.delinquent, behavior == AllowIncomplete, "{behavior}");
            let intents = scene.books.all::<PaymentIntent>().count();
            assert_eq!(intents, 2, "{behavior}: what has happened at the processor stays");
        }
    }
}

/// A change that is paid is made, whatever an unpaid one would have meant.
#[test]
fn a_paid_change_is_made() {
    use PaymentBehavior::{AllowIncomplete, ErrorIfIncomplete, PendingIfIncomplete};
    for behavior in [AllowIncomplete, ErrorIfIncomplete, PendingIfIncomplete] {
        let mut scene = Scene::of(BillingMode::flexible(), &[("basic", 1)]);
        let swap = scene.edit(Some("pro"), None);
        scene.change(Some(swap), 0, Change { payment_behavior: behavior, ..with(AlwaysInvoice) });
        let after = scene.subscription();
        assert_eq!((after.status, after.items.data[0].price.as_str()), (Status::Active, "pro"));
        assert!(after.pending_update.is_none() && after.internal.held.is_none());
        assert_eq!(scene.invoices()[1].status, InvoiceStatus::Paid);
        let told: Vec<&str> = scene
            .books
            .into_changes()
            .unwrap()
            .1
            .iter()
            .map(|told| told.kind)
            .filter(|kind| kind.starts_with("invoice."))
            .collect();
        let paid =
            ["created", "finalized", "updated", "paid", "payment_succeeded"].map(|kind| format!("invoice.{kind}"));
        assert_eq!(told[told.len() - 5..], paid, "{behavior}");
    }
}

/// How long a change waits: 23 hours, or until a period or a trial ends before that.
#[test]
fn how_long_a_change_waits() {
    const WINDOW: i64 = 23 * 3600;
    let pending = |prorations| Change { payment_behavior: PaymentBehavior::PendingIfIncomplete, ..with(prorations) };
    let mut scene = Scene::of(BillingMode::flexible(), &[("basic", 1)]);
    let swap = scene.edit(Some("pro"), None);
    scene.change(Some(swap), 8, pending(AlwaysInvoice));
    assert_eq!(scene.subscription().pending_update.as_ref().unwrap().expires_at.unix_seconds(), MIDDLE + WINDOW);
    // An hour before the period ends.
    let mut scene = Scene::of(BillingMode::flexible(), &[("basic", 1)]);
    go_on(&mut scene.books, Timestamp::new(END - 3600), &mut scene.at);
    let swap = scene.edit(Some("pro"), None);
    scene.change(Some(swap), 8, Change { restart: true, ..pending(CreateProrations) });
    assert_eq!(scene.subscription().pending_update.as_ref().unwrap().expires_at.unix_seconds(), END);

    // A trial that shall end now waits for its payment no longer than it lasts, and goes on until then.
    for (left, expires_at) in [(3600, MIDDLE + 3600), (5 * 86_400, MIDDLE + WINDOW)] {
        let end = Timestamp::new(MIDDLE + left);
        let trial = TrialWanted { end: Some(TrialEnd::At(end)), ..TrialWanted::default() };
        let mut scene = Scene::with(BillingMode::flexible(), &[("pro", 1)], trial);
        let over = TrialWanted { end: Some(TrialEnd::Now), ..TrialWanted::default() };
        scene.change(None, 8, Change { trial: over, ..pending(CreateProrations) });
        let waiting = scene.subscription();
        assert_eq!((waiting.status, waiting.trial_end), (Status::Trialing, Some(end)));
        let update = waiting.pending_update.as_ref().unwrap();
        assert_eq!(update.expires_at.unix_seconds(), expires_at);
        assert_eq!(update.trial_end.unwrap().unix_seconds(), MIDDLE, "it would be over");
        let invoice = scene.invoices()[1];
        assert_eq!((invoice.status, invoice.total.minor_units()), (InvoiceStatus::Open, 2000));
        // Nobody pays: it is dropped, and the trial ends when it was to end.
        go_on(&mut scene.books, Timestamp::new(expires_at), &mut scene.at);
        assert_eq!(scene.invoices()[1].status, InvoiceStatus::Void);
        assert!(scene.subscription().pending_update.is_none());
        go_on(&mut scene.books, end, &mut scene.at);
        assert_eq!(scene.subscription().status, Status::Active);
    }
}
