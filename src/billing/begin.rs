//! When a subscription begins: its start, its trial, its anchor, and what its first invoice bills.

use super::{
    Refusal, Timestamp,
    anchor::{AnchorConfig, Grid, Terms, terms},
    period::{Cycle, Interval, OutOfCalendar, Period},
    prorate::Ratio,
};

/// What is asked for about time.
#[derive(Clone, Debug, Default)]
pub struct When {
    /// In the past: billed from then on.
    pub backdated_to: Option<Timestamp>,
    pub anchor: Option<Timestamp>,
    pub anchor_config: Option<AnchorConfig>,
    pub trial_end: Option<Timestamp>,
    pub cancel_at: Option<Timestamp>,
    /// What has passed, or is no whole period, is free.
    pub free_of_prorations: bool,
    /// One line for each elapsed period, rather than one for all that has elapsed.
    pub line_per_period: bool,
}

/// How it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Beginning {
    pub start_date: Timestamp,
    pub anchor: Timestamp,
    pub anchor_config: Option<AnchorConfig>,
    pub trial: Option<Period>,
    /// For each item, in their order.
    pub items: Vec<First>,
}

/// The first period of an item, and what is billed for it and before it.
#[derive(Clone, Debug, PartialEq)]
pub struct First {
    pub period: Period,
    pub billed: Vec<(Period, Terms)>,
}

/// More lines than an invoice has.
const MAXIMUM_LINES: usize = 250;
/// The end of 9999.
pub const LATEST_END: Timestamp = Timestamp::new(253_402_300_799);
const LONGEST_TRIAL: Cycle = Cycle { interval: Interval::Year, count: 2 };

fn outside(error: OutOfCalendar) -> Refusal {
    Refusal::invalid(error.to_string())
}

/// Decides when a subscription with items of these cycles begins (start, anchor and end parameters).
pub fn begin(when: &When, cycles: &[Cycle], now: Timestamp) -> Result<Beginning, Refusal> {
    check(when, now)?;
    let start_date = when.backdated_to.unwrap_or(now);
    let trial = when.trial_end.map(|end| Period { start: now, end });
    let (anchor, anchor_config) = anchor(when, cycles, now)?;
    let grid = Grid { anchor, config: anchor_config };
    let items = cycles.iter().map(|cycle| first(when, grid, *cycle, start_date, now));
    let items = items.collect::<Result<Vec<First>, Refusal>>()?;
    if items.iter().map(|item| item.billed.len()).sum::<usize>() > MAXIMUM_LINES {
        return Err(too_long_ago());
    }
    Ok(Beginning { start_date, anchor, anchor_config, trial, items })
}

fn check(when: &When, now: Timestamp) -> Result<(), Refusal> {
    let refusal = |param: &str, message: &str| Err(Refusal::invalid(message).param(param));
    if when.backdated_to.is_some_and(|start| start >= now || start < Timestamp::new(0)) {
        return refusal("backdate_start_date", "Invalid timestamp: the backdate_start_date must be in the past.");
    }
    if when.cancel_at.is_some_and(|end| end <= now || end > LATEST_END) {
        return refusal("cancel_at", "Invalid timestamp: it must be in the future, and before the year 10000.");
    }
    check_trial_end(when.trial_end, now)?;
    match (when.anchor, when.anchor_config) {
        (Some(_), Some(_)) => refusal(
            "billing_cycle_anchor_config",
            "You may only specify one of these parameters: billing_cycle_anchor, billing_cycle_anchor_config.",
        ),
        (None, Some(_)) if when.backdated_to.is_some() => refusal(
            "billing_cycle_anchor_config",
            "The billing_cycle_anchor_config cannot be combined with backdate_start_date.",
        ),
        _ => Ok(()),
    }
}

/// A trial ends in the future, and at most two years ahead.
pub fn check_trial_end(trial_end: Option<Timestamp>, now: Timestamp) -> Result<(), Refusal> {
    let Some(end) = trial_end else { return Ok(()) };
    if end <= now {
        let message = "Invalid timestamp: can be no earlier than the current time; use 'now' to end a trial at once.";
        return Err(Refusal::invalid(message).param("trial_end"));
    }
    if end > LONGEST_TRIAL.boundary(now, 1).map_err(outside)? {
        return Err(Refusal::invalid("Invalid timestamp: a trial can be at most two years long.").param("trial_end"));
    }
    Ok(())
}

/// An explicit anchor; else the end of the trial; else the start.
fn anchor(when: &When, cycles: &[Cycle], now: Timestamp) -> Result<(Timestamp, Option<AnchorConfig>), Refusal> {
    let base = when.trial_end.unwrap_or(now);
    if let Some(config) = when.anchor_config {
        config.check()?;
        check_config(config, cycles)?;
        return Ok((config.next(base, now)?, Some(config)));
    }
    let Some(anchor) = when.anchor else {
        return Ok((when.trial_end.or(when.backdated_to).unwrap_or(now), None));
    };
    if anchor < now {
        let message = "Invalid timestamp: the billing_cycle_anchor must be in the future.";
        return Err(Refusal::invalid(message).param("billing_cycle_anchor"));
    }
    for cycle in cycles {
        if anchor > cycle.boundary(base, 1).map_err(outside)? {
            let message = "The billing_cycle_anchor cannot be later than the next natural billing date.";
            return Err(Refusal::invalid(message).param("billing_cycle_anchor"));
        }
    }
    Ok((anchor, None))
}

fn check_config(config: AnchorConfig, cycles: &[Cycle]) -> Result<(), Refusal> {
    if cycles.iter().any(|cycle| matches!(cycle.interval, Interval::Day | Interval::Week)) {
        let message = "The billing_cycle_anchor_config is only for monthly and yearly prices.";
        return Err(Refusal::invalid(message).param("billing_cycle_anchor_config"));
    }
    if config.month.is_some() && cycles.iter().any(|cycle| cycle.interval != Interval::Year) {
        let message = "A month can only be given when all prices are yearly.";
        return Err(Refusal::invalid(message).param("billing_cycle_anchor_config[month]"));
    }
    Ok(())
}

fn first(when: &When, grid: Grid, cycle: Cycle, start: Timestamp, now: Timestamp) -> Result<First, Refusal> {
    if let Some(end) = when.trial_end {
        let mut billed = elapsed(when, grid, cycle, Period { start, end: now })?;
        let period = Period { start: now, end };
        billed.push((period, Terms::Trial));
        return Ok(First { period, billed });
    }
    let natural = grid.period_at(cycle, now)?;
    let begun = natural.start.max(start);
    let end = when.cancel_at.map_or(natural.end, |end| end.min(natural.end));
    let period = Period { start: begun, end };
    let mut billed = elapsed(when, grid, cycle, Period { start, end: begun })?;
    if !when.free_of_prorations {
        billed.push((period, terms(period, natural)));
    } else if natural.start == now {
        // Only a whole period that begins now is billed, in full even if the end will cut it short.
        billed.push((period, Terms::Whole));
    }
    Ok(First { period, billed })
}

/// What a backdated start bills of the time before the current period.
fn elapsed(when: &When, grid: Grid, cycle: Cycle, span: Period) -> Result<Vec<(Period, Terms)>, Refusal> {
    let mut parts = Vec::new();
    let mut time = span.start;
    while time < span.end && !when.free_of_prorations {
        let natural = grid.period_at(cycle, time)?;
        let part = Period { start: time, end: natural.end.min(span.end) };
        parts.push((part, natural));
        time = part.end;
        if when.line_per_period && parts.len() > MAXIMUM_LINES {
            return Err(too_long_ago());
        }
    }
    if when.line_per_period || parts.is_empty() {
        return Ok(parts.into_iter().map(|(part, natural)| (part, terms(part, natural))).collect());
    }
    let ratios = parts.iter().map(|(part, natural)| Ratio::of(part.seconds(), natural.seconds()));
    let ratio = ratios.reduce(Ratio::plus).unwrap_or(Ratio::ONE);
    Ok(vec![(span, Terms::Part(ratio))])
}

fn too_long_ago() -> Refusal {
    let message = format!("So early a start would make an invoice of more than {MAXIMUM_LINES} lines.");
    Refusal::invalid(message).param("backdate_start_date")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MONTH: Cycle = Cycle { interval: Interval::Month, count: 1 };
    const YEAR: Cycle = Cycle { interval: Interval::Year, count: 1 };

    fn at(text: &str) -> Timestamp {
        let text = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
        Timestamp::new(text.parse::<chrono::DateTime<chrono::Utc>>().unwrap().timestamp())
    }

    fn span(start: &str, end: &str) -> Period {
        Period { start: at(start), end: at(end) }
    }

    fn part(part: i64, whole: i64) -> Terms {
        Terms::Part(Ratio::of(part, whole))
    }

    fn flexible() -> When {
        When { line_per_period: true, ..When::default() }
    }

    fn only(when: &When, cycle: Cycle, now: &str) -> (Timestamp, First) {
        let begun = begin(when, &[cycle], at(now)).unwrap();
        (begun.anchor, begun.items[0].clone())
    }

    #[test]
    fn without_a_wish_a_whole_period_begins_now() {
        let (anchor, first) = only(&flexible(), MONTH, "2026-11-17");
        assert_eq!(anchor, at("2026-11-17"));
        assert_eq!(first.period, span("2026-11-17", "2026-12-17"));
        assert_eq!(first.billed, [(first.period, Terms::Whole)]);
    }

    /// The stub examples: the part of the natural period that ends on the anchor.
    #[test]
    fn a_later_anchor_makes_a_prorated_stub() {
        let now = "2026-11-17T15:00:00Z";
        let when = When { anchor: Some(at("2026-12-01")), ..flexible() };
        let (anchor, first) = only(&when, MONTH, now);
        assert_eq!((anchor, first.period), (at("2026-12-01"), span(now, "2026-12-01")));
        assert_eq!(first.billed, [(first.period, part(1_155_600, 2_592_000))]);
        let config = AnchorConfig { day_of_month: 31, hour: None, minute: None, month: None, second: None };
        let (anchor, first) = only(&When { anchor_config: Some(config), ..flexible() }, MONTH, now);
        assert_eq!(anchor, at("2026-11-30T15:00:00Z"));
        assert_eq!(first.billed, [(span(now, "2026-11-30T15:00:00Z"), part(1_123_200, 2_592_000))]);
        // Free of prorations it costs nothing until the first full period.
        assert_eq!(only(&When { free_of_prorations: true, ..when }, MONTH, now).1.billed, []);
    }

    /// Backdating: a line for each elapsed period (flexible), or one for all of them (classic); nothing
    /// when prorations are off.
    #[test]
    fn a_backdated_start_bills_what_has_elapsed() {
        let when = When { backdated_to: Some(at("2026-11-10")), ..flexible() };
        let (anchor, first) = only(&when, MONTH, "2027-01-15");
        assert_eq!((anchor, first.period), (at("2026-11-10"), span("2027-01-10", "2027-02-10")));
        let whole = |start, end| (span(start, end), Terms::Whole);
        let elapsed = [whole("2026-11-10", "2026-12-10"), whole("2026-12-10", "2027-01-10")];
        assert_eq!(first.billed, [&elapsed[..], &[whole("2027-01-10", "2027-02-10")]].concat());
        let classic = When { line_per_period: false, ..when.clone() };
        let (_, first) = only(&classic, MONTH, "2027-01-15");
        assert_eq!(first.billed, [(span("2026-11-10", "2027-01-10"), part(2, 1)), whole("2027-01-10", "2027-02-10")]);
        assert_eq!(only(&When { free_of_prorations: true, ..when.clone() }, MONTH, "2027-01-15").1.billed, []);
        // With an anchor the grid is that of the anchor.
        let anchored = When { anchor: Some(at("2027-02-01")), ..when };
        let (_, first) = only(&anchored, MONTH, "2027-01-15");
        let stub = (span("2026-11-10", "2026-12-01"), part(21 * 86_400, 30 * 86_400));
        assert_eq!(first.billed, [stub, whole("2026-12-01", "2027-01-01"), whole("2027-01-01", "2027-02-01")]);
        let classic = When { line_per_period: false, ..anchored };
        let (_, first) = only(&classic, MONTH, "2027-01-15");
        assert_eq!(first.billed[0], (span("2026-11-10", "2027-01-01"), part(17, 10)));
    }

    #[test]
    fn a_trial_is_free_and_sets_the_anchor() {
        let when = When { trial_end: Some(at("2026-11-15T10:00:00Z")), ..flexible() };
        let begun = begin(&when, &[MONTH, YEAR], at("2026-11-01T10:00:00Z")).unwrap();
        let trial = span("2026-11-01T10:00:00Z", "2026-11-15T10:00:00Z");
        assert_eq!((begun.anchor, begun.trial), (trial.end, Some(trial)));
        assert!(begun.items.iter().all(|first| first.period == trial && first.billed == [(trial, Terms::Trial)]));
        // An explicit anchor later than the trial stays.
        let later = When { anchor: Some(at("2026-12-01")), ..when };
        assert_eq!(begin(&later, &[MONTH], trial.start).unwrap().anchor, at("2026-12-01"));
    }

    /// An end inside the first period shortens it: the worked example of `cancel_at`.
    #[test]
    fn an_end_inside_the_first_period_shortens_it() {
        let when = When { cancel_at: Some(at("2027-07-01")), ..flexible() };
        let (_, first) = only(&when, YEAR, "2027-01-01");
        assert_eq!(first.billed, [(span("2027-01-01", "2027-07-01"), part(15_638_400, 31_536_000))]);
        let (_, first) = only(&When { free_of_prorations: true, ..when.clone() }, YEAR, "2027-01-01");
        assert_eq!(first.billed, [(span("2027-01-01", "2027-07-01"), Terms::Whole)]);
        assert_eq!(only(&when, MONTH, "2027-01-01").1.period, span("2027-01-01", "2027-02-01"));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let now = at("2027-01-15");
        let config = AnchorConfig { day_of_month: 1, hour: None, minute: None, month: None, second: None };
        for (when, param) in [
            (When { backdated_to: Some(now), ..flexible() }, "backdate_start_date"),
            (When { backdated_to: Some(at("1990-01-01")), ..flexible() }, "backdate_start_date"),
            (When { cancel_at: Some(now), ..flexible() }, "cancel_at"),
            (When { trial_end: Some(now), ..flexible() }, "trial_end"),
            (When { trial_end: Some(at("2029-01-16")), ..flexible() }, "trial_end"),
            (When { anchor: Some(at("2027-01-14")), ..flexible() }, "billing_cycle_anchor"),
            (When { anchor: Some(at("2027-02-16")), ..flexible() }, "billing_cycle_anchor"),
            (
                When { anchor: Some(at("2027-02-01")), anchor_config: Some(config), ..flexible() },
                "billing_cycle_anchor_config",
            ),
            (
                When { backdated_to: Some(at("2027-01-01")), anchor_config: Some(config), ..flexible() },
                "billing_cycle_anchor_config",
            ),
            (
                When { anchor_config: Some(AnchorConfig { month: Some(1), ..config }), ..flexible() },
                "billing_cycle_anchor_config[month]",
            ),
        ] {
            assert_eq!(begin(&when, &[MONTH], now).unwrap_err().param.as_deref(), Some(param), "{when:?}");
        }
        let weekly = Cycle { interval: Interval::Week, count: 1 };
        assert!(begin(&When { anchor_config: Some(config), ..flexible() }, &[weekly], now).is_err());
    }

    proptest! {
        /// Whatever is asked for, what is billed has no gaps and ends with the current period.
        #[test]
        fn what_is_billed_has_no_gaps(
            now in 1_000_000_000_i64..2_000_000_000,
            back in 1_i64..86_400 * 300,
            ahead in 0_i64..86_400 * 28,
            line_per_period: bool,
        ) {
            let now = Timestamp::new(now);
            let start = now.plus_seconds(-back);
            let when = When { backdated_to: Some(start), anchor: Some(now.plus_seconds(ahead)), line_per_period, ..When::default() };
            let first = begin(&when, &[MONTH], now).unwrap().items.remove(0);
            prop_assert_eq!(first.billed[0].0.start, start);
            prop_assert!(first.billed.windows(2).all(|pair| pair[0].0.end == pair[1].0.start));
            prop_assert_eq!(first.billed.last().unwrap().0, first.period);
            prop_assert!(first.period.start <= now && now < first.period.end);
        }
    }
}
