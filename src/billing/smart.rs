//! When a failed payment is tried again in smart mode: at the times at which it is likeliest to succeed.
//!
//! Each day of the window offers its best hours. Of these the remaining retries take those that together
//! are likeliest to bring the money, found by going through the retries from the last to the first: a
//! good time is not spent on a retry that would leave only bad ones to the next. Where little is known
//! yet, the invoice's own seed tips the scales a little (Thompson sampling): some try what others do not,
//! and so all learn. After each failure the rest is planned anew.

mod reason;

use super::{
    Timestamp,
    chance::{Chance, Circumstance, Estimates, Facet, Failure, Group, LogOdds, circumstance::Local},
    network,
    seed::{self, bell, mixed},
};

pub use reason::{Candidate, Decisive, Reason, Side};

/// What is to be planned.
#[derive(Clone, Debug)]
pub struct Task<'a> {
    /// The attempt that failed last.
    pub failure: Failure,
    pub now: Timestamp,
    /// The end of the window.
    pub until: Timestamp,
    /// The number of the next retry: 1 for the first.
    pub retry: usize,
    /// How many there may still be.
    pub remaining: usize,
    /// When the card was charged with this before.
    pub charged: &'a [Timestamp],
    /// The same for the same retry of the same invoice.
    pub seed: u64,
}

/// When the remaining retries are to be made, and why the next one is made then.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// In order; none where no time is left that is allowed.
    pub times: Vec<Timestamp>,
    pub reason: Option<Reason>,
}

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
/// Retries are at least so far apart where the window has room for it, and never closer than an hour.
const REST: i64 = 20 * HOUR;
/// What failed on the way may work soon.
const REST_WHEN_TECHNICAL: i64 = 3 * HOUR;
/// How many times each day offers at least.
const TIMES_PER_DAY: usize = 2;
/// What a day of waiting costs, in parts per million of what is recovered: between equals the earlier.
const DELAY_COST: i64 = 1_000;
const MILLION: i64 = 1_000_000;
/// How much of what is not known the seed may put in the scales, in percent.
const BOLDNESS: i64 = 50;

/// A time at which a retry could be made.
#[derive(Clone, Debug)]
struct Slot {
    time: Timestamp,
    /// Days since 1970, where the card comes from.
    date: i64,
    latest_payday: i64,
    /// As the first of the remaining retries.
    circumstance: Circumstance,
    /// What the calendar says of it, and what the seed adds.
    calendar: LogOdds,
    leaning: LogOdds,
}

/// Chooses the times of the remaining retries.
pub fn plan(task: &Task<'_>, estimates: &Estimates) -> Plan {
    let slots = slots(task, estimates);
    let ahead = Ahead::of(task, estimates, &slots);
    let chain = ahead.best_chain(None);
    let reason = chain.first().map(|first| Reason::of(estimates, &slots, &ahead, *first));
    Plan { times: chain.into_iter().map(|slot| slots[slot].time).collect(), reason }
}

/// The least distance between two retries.
fn rest(task: &Task<'_>) -> i64 {
    let left = task.until.unix_seconds() - task.now.unix_seconds();
    let parts = i64::try_from(task.remaining).unwrap_or(i64::MAX).saturating_add(1);
    let most = if task.failure.decline == Group::Technical { REST_WHEN_TECHNICAL } else { REST };
    (left / parts).clamp(HOUR, most)
}

/// The best times of each day, in order.
fn slots(task: &Task<'_>, estimates: &Estimates) -> Vec<Slot> {
    let from = task.now.unix_seconds() + rest(task);
    if from > task.until.unix_seconds() {
        return Vec::new();
    }
    // Not everybody's retries at the full hour.
    let minute = i64::try_from(mixed(task.seed) % 3600).unwrap_or(0);
    let first = from.div_euclid(HOUR) * HOUR + minute;
    let hours = (first..=task.until.unix_seconds()).step_by(usize::try_from(HOUR).unwrap_or(1));
    let mut times: Vec<Timestamp> = hours.filter(|time| *time >= from).map(Timestamp::new).collect();
    // A window too short for the minute has its end.
    if times.is_empty() {
        times.push(task.until);
    }
    let mut by_day: Vec<Vec<Slot>> = Vec::new();
    for time in times {
        let slot = slot(task, estimates, time);
        match by_day.last_mut() {
            Some(day) if day[0].date == slot.date => day.push(slot),
            _ => by_day.push(vec![slot]),
        }
    }
    let most = (3 * task.remaining / by_day.len().max(1)).max(TIMES_PER_DAY);
    for day in &mut by_day {
        day.sort_by_key(|slot| (-(slot.calendar + slot.leaning), slot.time));
        day.truncate(most);
        day.sort_by_key(|slot| slot.time);
    }
    by_day.into_iter().flatten().collect()
}

fn slot(task: &Task<'_>, estimates: &Estimates, time: Timestamp) -> Slot {
    let circumstance = task.failure.retried_at(time, task.retry);
    let local = Local::of(time, task.failure.country);
    Slot {
        time,
        date: local.date,
        latest_payday: local.latest_payday,
        circumstance,
        calendar: estimates.sum(&Facet::CALENDAR, &circumstance),
        leaning: leaning(task.seed, estimates, &circumstance),
    }
}

/// What the seed adds to a time: the less is known of its cells, the more.
fn leaning(seed: u64, estimates: &Estimates, circumstance: &Circumstance) -> LogOdds {
    let parts = Facet::CALENDAR.iter().map(|facet| {
        let cell = u64::try_from(facet.cell(circumstance)).unwrap_or(0);
        let spread = (1_000_000_000 / estimates.effect(*facet, circumstance).weight.max(1)).isqrt();
        let leaning = spread * bell(seed ^ mixed((*facet as u64) << 32 | cell)) / 1000 * BOLDNESS / 100;
        LogOdds::thousandths(i32::try_from(leaning).unwrap_or(0))
    });
    parts.fold(LogOdds::default(), |sum, part| sum + part)
}

/// The seed of a retry of an invoice.
pub fn seed(invoice: &str, retry: usize) -> u64 {
    mixed(seed::of_text(invoice) ^ mixed(u64::try_from(retry).unwrap_or(0)))
}

/// What is ahead: for each retry and each time of the one before it, the best time, and what it and those
/// after it are worth.
struct Ahead<'a> {
    task: &'a Task<'a>,
    slots: &'a [Slot],
    rest: i64,
    given: LogOdds,
    /// By retry from the next one on, and by the slot of the one before it plus one; 0: nothing before.
    best: Vec<Vec<Step>>,
    estimates: &'a Estimates,
}

/// A slot and what it is worth to take it, in parts per million of what is owed.
#[derive(Clone, Copy, Debug, Default)]
struct Step {
    slot: Option<usize>,
    worth: i64,
}

impl<'a> Ahead<'a> {
    fn of(task: &'a Task<'a>, estimates: &'a Estimates, slots: &'a [Slot]) -> Ahead<'a> {
        let given = slots.first().map_or(LogOdds::default(), |slot| estimates.sum(&Facet::GIVEN, &slot.circumstance));
        let mut ahead = Ahead { task, slots, rest: rest(task), given, best: Vec::new(), estimates };
        // More than one retry in each slot there cannot be.
        let retries = task.remaining.min(slots.len());
        ahead.best = vec![Vec::new(); retries];
        for place in (0..retries).rev() {
            let before = std::iter::once(None).chain((0..slots.len()).map(Some));
            // The next retry follows what has happened, the others follow a slot.
            let before = before.take(if place == 0 { 1 } else { slots.len() + 1 });
            ahead.best[place] = before.map(|before| ahead.step(place, before)).collect();
        }
        ahead
    }

    fn step(&self, place: usize, before: Option<usize>) -> Step {
        let from = before.map_or(0, |before| before + 1);
        let mut best = Step::default();
        for slot in from..self.slots.len() {
            if let Some(worth) = self.worth(place, before, slot).filter(|worth| *worth > best.worth) {
                best = Step { slot: Some(slot), worth };
            }
        }
        best
    }

    /// What it is worth to make this retry in that slot; nothing where it may not be made then.
    fn worth(&self, place: usize, before: Option<usize>, slot: usize) -> Option<i64> {
        let time = self.slots[slot].time;
        let since = time.unix_seconds() - self.time_before(before).unix_seconds();
        if since < self.rest || !network::allows(self.task.failure.brand, self.task.charged, place, time) {
            return None;
        }
        let chance = self.log_odds(place, before, slot) + self.slots[slot].leaning;
        let chance = chance.chance().parts_per_million();
        let days = (time.unix_seconds() - self.task.now.unix_seconds()) / DAY;
        let later = self.after(place, slot).worth;
        Some((chance * (MILLION - DELAY_COST * days) + (MILLION - chance) * later) / MILLION)
    }

    fn after(&self, place: usize, slot: usize) -> Step {
        self.best.get(place + 1).and_then(|steps| steps.get(slot + 1)).copied().unwrap_or_default()
    }

    fn time_before(&self, before: Option<usize>) -> Timestamp {
        before.map_or(self.task.failure.at, |before| self.slots[before].time)
    }

    /// The estimate, without what the seed adds.
    fn log_odds(&self, place: usize, before: Option<usize>, slot: usize) -> LogOdds {
        let circumstance = self.circumstance(place, before, slot);
        self.given + self.slots[slot].calendar + self.estimates.sum(&Facet::SEQUENCE, &circumstance)
    }

    fn circumstance(&self, place: usize, before: Option<usize>, slot: usize) -> Circumstance {
        let Some(before) = before else { return self.slots[slot].circumstance };
        let (before, slot) = (&self.slots[before], &self.slots[slot]);
        slot.circumstance.follows(
            before.time,
            slot.time,
            before.latest_payday < slot.latest_payday,
            self.task.retry + place,
        )
    }

    /// The best slots from the next retry on; or with the first of them given.
    fn best_chain(&self, first: Option<usize>) -> Vec<usize> {
        let mut chain: Vec<usize> = Vec::new();
        let mut next = first.or_else(|| self.best.first()?.first()?.slot);
        while let Some(slot) = next {
            next = self.after(chain.len(), slot).slot;
            chain.push(slot);
        }
        chain
    }

    /// How likely a chain of retries is to bring the money.
    fn chance_of(&self, chain: &[usize]) -> Chance {
        let mut before = None;
        let mut chance: Option<Chance> = None;
        for (place, slot) in chain.iter().enumerate() {
            let this = self.log_odds(place, before, *slot).chance();
            chance = Some(chance.map_or(this, |chance| chance.or_else(this)));
            before = Some(*slot);
        }
        chance.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::billing::chance::{
        Count, Group, Statistics,
        circumstance::{Brand, Country, Funding},
    };

    /// 4 January 2027, 09:00 UTC.
    const FAILED: i64 = 1_799_053_200;

    fn failure(decline: Group) -> Failure {
        let country = Country::UNKNOWN;
        Failure { decline, funding: Funding::Debit, brand: Brand::Visa, country, at: Timestamp::new(FAILED) }
    }

    fn task(decline: Group, remaining: usize, days: i64) -> Task<'static> {
        let now = Timestamp::new(FAILED);
        let until = now.plus_seconds(days * DAY);
        Task { failure: failure(decline), now, until, retry: 1, remaining, charged: &[], seed: seed("in_1", 1) }
    }

    /// Many outcomes, whenever the failure was: retries succeed at 21:00 on the 12th and the 16th, and hardly
    /// ever else.
    fn learned() -> Estimates {
        let mut statistics = Statistics::default();
        for hours in 0..24 * 31 {
            let time = Timestamp::new(FAILED + hours * HOUR);
            for days_before in [1, 4, 8] {
                let failure = Failure { at: time.plus_seconds(-days_before * DAY), ..failure(Group::Issuer) };
                let circumstance = failure.retried_at(time, 1);
                let good = circumstance.hour == 21 && matches!(circumstance.day, 12 | 16);
                statistics.add(circumstance, Count { attempts: 2000, recovered: if good { 1200 } else { 40 } });
            }
        }
        Estimates::from_statistics(&statistics)
    }

    #[test]
    fn the_best_time_that_was_learned_is_taken() {
        let plan = plan(&task(Group::Issuer, 1, 14), &learned());
        let local = Local::of(plan.times[0], Country::UNKNOWN);
        assert!(matches!((local.day, local.hour), (12 | 16, 21)), "{local:?}");
        assert_eq!(plan.times.len(), 1);
    }

    #[test]
    fn a_first_retry_leaves_the_good_times_to_those_after_it() {
        let plan = plan(&task(Group::Issuer, 2, 14), &learned());
        let days: Vec<u8> = plan.times.iter().map(|time| Local::of(*time, Country::UNKNOWN).day).collect();
        assert_eq!(days, [12, 16]);
    }

    #[test]
    fn on_day_one_missing_money_is_asked_for_when_wages_have_come() {
        let near_a_payday = (0..50).filter(|invoice| {
            let task = Task { seed: seed(&format!("in_{invoice}"), 1), ..task(Group::Funds, 1, 14) };
            let plan = plan(&task, &Estimates::default());
            (15..=17).contains(&Local::of(plan.times[0], Country::UNKNOWN).day)
        });
        assert!(near_a_payday.count() >= 35);
    }

    #[test]
    fn a_technical_failure_is_not_left_for_long() {
        let plan = plan(&task(Group::Technical, 8, 14), &Estimates::default());
        assert!(plan.times[0].unix_seconds() - FAILED <= 2 * DAY);
    }

    #[test]
    fn the_same_seed_chooses_the_same_times() {
        let estimates = learned();
        let first = plan(&task(Group::Funds, 4, 21), &estimates);
        assert_eq!(plan(&task(Group::Funds, 4, 21), &estimates), first);
        let others =
            (0..20).map(|invoice| Task { seed: seed(&format!("in_{invoice}"), 1), ..task(Group::Funds, 4, 21) });
        assert!(others.map(|task| plan(&task, &estimates)).any(|plan| plan != first));
    }

    #[test]
    fn a_reason_names_what_decided() {
        let plan = plan(&task(Group::Issuer, 1, 14), &learned());
        let reason = plan.reason.as_ref().unwrap();
        assert_eq!(reason.chosen().unwrap().at, plan.times[0]);
        assert!(reason.candidates.len() > 1 && reason.considered >= 14);
        let sides: Vec<(Side, &str)> = reason.decisive.iter().map(|one| (one.side, one.is.as_str())).collect();
        assert!(sides.contains(&(Side::Hour, "21")), "{sides:?}");
        assert!(sides.iter().any(|(side, day)| *side == Side::DayOfMonth && matches!(*day, "12" | "16")), "{sides:?}");
        assert!(reason.learned_from > 1_000_000);
        // It is kept with the invoice: a few hundred bytes.
        assert!(serde_json::to_string(reason).unwrap().len() < 1000);
    }

    #[test]
    fn the_networks_bounds_are_kept() {
        let charged: Vec<Timestamp> = (0..15).map(|hour| Timestamp::new(FAILED - hour * HOUR)).collect();
        let task = Task { charged: &charged, ..task(Group::Issuer, 8, 14) };
        assert_eq!(plan(&task, &Estimates::default()), Plan::default());
        let until = Timestamp::new(FAILED + 40 * DAY);
        let late = plan(&Task { until, ..task.clone() }, &Estimates::default());
        assert!(late.times[0].unix_seconds() >= FAILED + 30 * DAY - 15 * HOUR);
        let two_left = Task { charged: &charged[..13], ..task };
        assert_eq!(plan(&two_left, &Estimates::default()).times.len(), 2);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn times_lie_in_the_window_in_order_and_are_no_more_than_allowed(
            decline in prop::sample::select(Group::ALL.to_vec()),
            country in prop::sample::select(vec!["US", "DE", "JP", "IN", "--"]),
            failed in 1_700_000_000_i64..1_900_000_000,
            late in 0..5 * DAY,
            window in 0..61 * DAY,
            remaining in 0_usize..20,
            retry in 1_usize..9,
            seed in any::<u64>(),
        ) {
            let failure = Failure { country: Country::named(country), at: Timestamp::new(failed), ..failure(decline) };
            let now = Timestamp::new(failed + late);
            let until = Timestamp::new(failed + window);
            let task = Task { failure, now, until, retry, remaining, charged: &[], seed };
            let plan = plan(&task, &Estimates::default());
            if plan.times.is_empty() {
                prop_assert!(remaining == 0 || window < late + HOUR);
                return Ok(());
            }
            prop_assert!(plan.times.len() <= remaining && plan.times.len() <= 15);
            prop_assert!(plan.times.iter().all(|time| *time >= now.plus_seconds(HOUR) && *time <= until));
            prop_assert!(plan.times.windows(2).all(|pair| pair[0].plus_seconds(HOUR) <= pair[1]));
            // A window of a week has room for all; but good times that lie close together can be worth more.
            if window - late > 7 * DAY && remaining <= 8 {
                prop_assert!(plan.times.len() * 2 >= remaining);
            }
            prop_assert_eq!(plan.reason.unwrap().candidates[0].at, plan.times[0]);
        }
    }
}
