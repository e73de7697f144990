//! Schedules in memory: how phases are laid out, what each makes of the items, and laws of whole histories.

use dunlin::billing::{
    Books, Currency, Id, Metadata, Moment, Refusal, Resource as _, Timestamp,
    invoice::Invoice,
    invoice_item::InvoiceItem,
    period::{Cycle, Interval},
    phases::{self, Ends, Layout, NewPhase},
    prorate::ProrationBehavior,
    schedule::{self, NewSchedule},
    subscription::{BillingMode, BillingModeType, Subscription},
    subscription_schedule::{
        DefaultSettings, EndBehavior, Phase, PhaseAnchor, PhaseItem, Status, SubscriptionSchedule,
    },
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{at, facts, go_on, settle_all, shop};

const SHOP: &[(&str, &str, i64, i64)] = &[
    ("ten", "month", 1, 1000),
    ("twenty", "month", 1, 2000),
    ("third", "month", 1, 333),
    ("quarterly", "month", 3, 2500),
    ("yearly", "year", 1, 10_000),
];

fn time(text: &str) -> Timestamp {
    Timestamp::new(format!("{text}T00:00:00Z").parse::<chrono::DateTime<chrono::Utc>>().unwrap().timestamp())
}

fn usd() -> Currency {
    Currency::parse("usd").unwrap()
}

fn phase(items: &[(&str, i64)], end: Ends) -> NewPhase {
    let item = |(price, quantity): &(&str, i64)| PhaseItem::new(Id::given(*price), *quantity, Metadata::new());
    let nowhere = Timestamp::new(0);
    let phase = Phase::of(items.iter().map(item).collect(), usd(), nowhere, nowhere);
    NewPhase { phase, currency: None, start: None, end }
}

const fn months(count: i64) -> Ends {
    Ends::After(Cycle { interval: Interval::Month, count })
}

fn lay(new: Vec<NewPhase>, start: &str, defaults: &DefaultSettings) -> Result<Vec<Timestamp>, Refusal> {
    let start = time(start);
    let mode = BillingModeType::Flexible;
    let layout = Layout { start, anchor: start, currency: None, mode, defaults, agreed: &[] };
    Ok(phases::lay(&shop(SHOP), new, &layout)?.iter().map(|phase| phase.end_date).collect())
}

/// Schedule phases: a date, a duration or iterations; the last may leave its end open, and then runs one
/// interval of its price.
#[test]
fn phases_are_laid_out() {
    let (ten, defaults) = (&[("ten", 1)][..], DefaultSettings::default());
    for (start, ends, laid) in [
        ("2026-11-01", vec![(ten, months(2)), (&[("twenty", 1)], months(1))], vec!["2027-01-01", "2027-02-01"]),
        ("2026-11-01", vec![(ten, Ends::At(time("2026-11-16"))), (ten, Ends::Open)], vec!["2026-11-16", "2026-12-16"]),
        ("2026-11-01", vec![(ten, Ends::Open)], vec!["2026-12-01"]),
        ("2026-11-01", vec![(&[("quarterly", 1), ("ten", 1)][..], Ends::Intervals(2))], vec!["2027-05-01"]),
        ("2026-11-01", vec![(&[("yearly", 1)][..], Ends::Open)], vec!["2027-11-01"]),
        // The day of the month does not decay.
        (
            "2027-01-31",
            vec![(ten, months(1)), (ten, months(1)), (ten, months(2))],
            vec!["2027-02-28", "2027-03-31", "2027-05-31"],
        ),
        // What begins off the grid is counted from where it begins.
        ("2027-01-31", vec![(ten, Ends::At(time("2027-02-10"))), (ten, months(1))], vec!["2027-02-10", "2027-03-10"]),
    ] {
        let new = ends.into_iter().map(|(items, end)| phase(items, end)).collect();
        assert_eq!(lay(new, start, &defaults).unwrap(), laid.into_iter().map(time).collect::<Vec<_>>());
    }
    // An anchor at the start of a phase is counted from after it.
    let anchored = DefaultSettings { billing_cycle_anchor: PhaseAnchor::PhaseStart, ..DefaultSettings::default() };
    let new = || vec![phase(ten, months(1)), phase(ten, months(1)), phase(ten, months(1))];
    let ends = |laid: [&str; 3]| laid.map(time).to_vec();
    assert_eq!(lay(new(), "2027-01-31", &anchored).unwrap(), ends(["2027-02-28", "2027-03-28", "2027-04-28"]));
    assert_eq!(lay(new(), "2027-01-31", &defaults).unwrap(), ends(["2027-02-28", "2027-03-31", "2027-04-30"]));
}

/// A gap, an end before its start, and one that is left open too early are refused, with the place of the phase.
#[test]
fn phases_that_cannot_be_are_refused() {
    let (ten, defaults) = (&[("ten", 1)][..], DefaultSettings::default());
    let gap = NewPhase { start: Some(time("2027-02-01")), ..phase(ten, months(1)) };
    for (new, param) in [
        (vec![phase(ten, Ends::Open), phase(ten, Ends::Open)], "phases[0][end_date]"),
        (vec![phase(ten, months(1)), phase(ten, Ends::At(time("2026-11-30")))], "phases[1][end_date]"),
        (vec![phase(ten, months(1)), gap], "phases[1][start_date]"),
        (vec![phase(&[("ten", 1), ("ten", 2)], months(1))], "phases[0][items][1][price]"),
        (vec![phase(ten, Ends::Intervals(0))], "phases[0][iterations]"),
        (vec![phase(ten, months(i64::MAX))], "phases[0][end_date]"),
        (vec![], "phases"),
    ] {
        assert_eq!(lay(new, "2026-11-01", &defaults).unwrap_err().param.as_deref(), Some(param));
    }
}

fn create(books: &mut Books, phases: Vec<NewPhase>, mode: BillingMode, at: &mut Moment) -> Id<SubscriptionSchedule> {
    let wanted = NewSchedule {
        phases,
        start: at.now,
        billing_mode: mode,
        default_settings: DefaultSettings::default(),
        end_behavior: EndBehavior::Release,
        metadata: Metadata::new(),
    };
    schedule::create(books, wanted, at).unwrap()
}

/// The items of a phase: the same price keeps its item, another takes the place of one that goes, and what is
/// left is added or removed.
#[test]
fn a_phase_makes_the_items_its_own() {
    for (before, after, kept) in [
        (&[("ten", 1)][..], &[("twenty", 1)][..], &[Some(0)][..]),
        (&[("ten", 1)], &[("twenty", 1), ("ten", 3)], &[Some(0), None]),
        (&[("ten", 1), ("twenty", 2)], &[("twenty", 2)], &[Some(1)]),
        (&[("ten", 1), ("twenty", 2)], &[("third", 1), ("twenty", 5)], &[Some(0), Some(1)]),
        (&[("ten", 1)], &[("ten", 1), ("quarterly", 1)], &[Some(0), None]),
    ] {
        let mut books = shop(SHOP);
        let mut at = at(time("2026-11-01").unix_seconds());
        let id = create(
            &mut books,
            vec![phase(before, months(1)), phase(after, months(1))],
            BillingMode::flexible(),
            &mut at,
        );
        let subscription = books.get(&id).unwrap().subscription.clone().unwrap();
        let items = |books: &Books| books.get(&subscription).unwrap().items.data.clone();
        let old: Vec<_> = items(&books).into_iter().map(|item| item.id).collect();
        go_on(&mut books, 0, &[time("2026-12-01").unix_seconds()], &mut at);
        let new = items(&books);
        assert_eq!(
            new.iter().map(|item| old.iter().position(|old| *old == item.id)).collect::<Vec<_>>(),
            kept,
            "{after:?}"
        );
        let mut said: Vec<(&str, i64)> = new.iter().map(|item| (item.price.as_str(), item.quantity)).collect();
        let mut expected = after.to_vec();
        said.sort_unstable();
        expected.sort_unstable();
        assert_eq!(said, expected);
        assert_eq!(books.all::<InvoiceItem>().count(), 0, "a boundary of the cycle has nothing to prorate");
        let lines = books.all::<Invoice>().last().unwrap().lines.data.len();
        assert_eq!(lines, after.len());
    }
}

fn any_phases() -> impl Strategy<Value = Vec<NewPhase>> {
    let price = prop_oneof![Just("ten"), Just("twenty"), Just("third"), Just("yearly")];
    let interval = prop_oneof![Just(Interval::Day), Just(Interval::Week), Just(Interval::Month)];
    let prorations = prop_oneof![
        Just(ProrationBehavior::CreateProrations),
        Just(ProrationBehavior::AlwaysInvoice),
        Just(ProrationBehavior::None),
    ];
    let phase = (price, 1_i64..4, interval, 1_i64..5, prorations, any::<bool>(), prop::bool::weighted(0.2)).prop_map(
        |(price, quantity, interval, count, prorations, anchored, trial)| {
            let mut new = phase(&[(price, quantity)], Ends::After(Cycle { interval, count }));
            new.phase.proration_behavior = prorations;
            new.phase.trial = trial;
            new.phase.billing_cycle_anchor = (anchored && !trial).then_some(PhaseAnchor::PhaseStart);
            new
        },
    );
    prop::collection::vec(phase, 1..6)
}

/// What a subscription has been billed for, without the times at which that was collected.
fn lines(books: &Books) -> Vec<Value> {
    books.all::<Invoice>().map(|invoice| json!([invoice.total, crate::lines(invoice)])).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever the phases are: one leap is many steps, nothing is refused, and at the end the subscription is
    /// what the last phase says.
    #[test]
    fn every_history_of_phases_is_one_leap(
        start in 1_500_000_000_i64..1_900_000_000,
        new in any_phases(),
        classic: bool,
        declining in 0_u8..3,
        mut steps in prop::collection::vec(0_i64..700 * 86_400, 0..8),
    ) {
        let end = start + 700 * 86_400;
        steps.sort_unstable();
        let mut stops: Vec<i64> = steps.into_iter().map(|step| start + step).collect();
        stops.push(end);
        let live = |stops: &[i64]| {
            let (mut books, mut at) = (shop(SHOP), at(start));
            let mode = if classic { BillingMode::classic() } else { BillingMode::flexible() };
            let id = create(&mut books, new.clone(), mode, &mut at);
            settle_all(&mut books, 0, &mut at);
            go_on(&mut books, declining, stops, &mut at);
            (books, id)
        };
        let (books, id) = live(&[end]);
        prop_assert!(books.soundness().is_ok());
        prop_assert!(books.all::<Invoice>().all(|invoice| invoice.check().is_ok()));
        let schedule = books.get(&id).unwrap().clone();
        let subscription: &Subscription = books.get(schedule.subscription.as_ref().unwrap()).unwrap();
        if !subscription.status.is_terminal() {
            prop_assert_eq!(schedule.status, Status::Completed);
            prop_assert_eq!(&subscription.schedule, &None);
            let last = &new.last().unwrap().phase.items[0];
            let item = &subscription.items.data[0];
            prop_assert_eq!((&item.price, item.quantity), (&last.price, last.quantity));
        }
        let (stepped, _) = live(&stops);
        prop_assert_eq!(lines(&books), lines(&stepped));
        prop_assert_eq!(facts(books), facts(stepped));
    }
}
