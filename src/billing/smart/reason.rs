//! Why a retry is made when it is made: what was considered, and what decided.

use serde::{Deserialize, Serialize};

use super::{Ahead, Slot};
use crate::{
    billing::{
        Timestamp,
        chance::{
            Chance, Circumstance, Estimates, Facet, LogOdds,
            circumstance::{LAST_DAY, SINCE},
        },
    },
    words,
};

/// The reason of a choice, as it is kept with the invoice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// The time that was chosen and the best others, the best first.
    pub candidates: Vec<Candidate>,
    /// How many times were considered.
    pub considered: usize,
    /// What set the chosen time apart from all that were considered, the strongest first.
    pub decisive: Vec<Decisive>,
    /// How many retries of this installation the estimates were learned from.
    pub learned_from: u64,
}

/// A time at which the retry could be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    pub at: Timestamp,
    /// How likely it is to succeed then.
    pub chance: Chance,
    /// How likely it or one of those planned after it is to succeed.
    pub in_all: Chance,
}

/// Something that spoke for a time, or against it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decisive {
    pub side: Side,
    /// What it is like at the chosen time: `18`, `Friday`, `3 days`.
    pub is: String,
    /// What that multiplies the odds by, compared with the average of what was considered.
    pub log_odds: LogOdds,
}

words!(
    /// What can be decisive.
    Side {
        DayOfMonth = "day_of_month",
        /// Little is known yet, and this invoice tries it out.
        Exploration = "exploration",
        Hour = "hour",
        /// Whether a usual payday lies between the failure and the retry.
        PaydayBetween = "payday_between",
        SinceFailure = "since_failure",
        Weekday = "weekday",
    }
);

/// How many candidates are kept.
const CANDIDATES: usize = 4;
/// What changes odds by less than a twentieth decides nothing.
const NEGLIGIBLE: i32 = 50;
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

impl Side {
    const ALL: [Side; 6] =
        [Side::DayOfMonth, Side::Exploration, Side::Hour, Side::PaydayBetween, Side::SinceFailure, Side::Weekday];

    /// What comes before what it is like.
    const fn phrase(self) -> &'static str {
        match self {
            Side::DayOfMonth => "day of the month",
            Side::Exploration => "trying what little is known of, by the invoice's own",
            Side::Hour => "hour",
            Side::PaydayBetween => "a payday in between:",
            Side::SinceFailure => "time since the failure:",
            Side::Weekday => "weekday",
        }
    }

    const fn facets(self) -> &'static [Facet] {
        match self {
            Side::DayOfMonth => &[Facet::PartOfMonth, Facet::Day, Facet::DeclineDay],
            Side::Exploration => &[],
            Side::Hour => &[Facet::PartOfDay, Facet::Hour, Facet::DeclinePartOfDay],
            Side::PaydayBetween => &[Facet::Payday, Facet::DeclinePayday],
            Side::SinceFailure => &[Facet::Since, Facet::DeclineSince],
            Side::Weekday => &[Facet::Weekday, Facet::DeclineWeekday],
        }
    }

    fn effect(self, slot: &Slot, estimates: &Estimates) -> LogOdds {
        match self {
            Side::Exploration => slot.leaning,
            _ => estimates.sum(self.facets(), &slot.circumstance),
        }
    }

    fn of(self, circumstance: &Circumstance) -> String {
        match self {
            Side::DayOfMonth if circumstance.day == LAST_DAY => "last".to_owned(),
            Side::DayOfMonth => circumstance.day.to_string(),
            Side::Exploration => "seed".to_owned(),
            Side::Hour => circumstance.hour.to_string(),
            Side::PaydayBetween => if circumstance.payday { "yes" } else { "no" }.to_owned(),
            Side::SinceFailure => SINCE[usize::from(circumstance.since)].1.to_owned(),
            Side::Weekday => WEEKDAYS[usize::from(circumstance.weekday)].to_owned(),
        }
    }
}

impl Reason {
    pub(super) fn of(estimates: &Estimates, slots: &[Slot], ahead: &Ahead<'_>, chosen: usize) -> Reason {
        let mut by_worth: Vec<(i64, usize)> =
            (0..slots.len()).filter_map(|slot| Some((ahead.worth(0, None, slot)?, slot))).collect();
        by_worth.sort_by_key(|(worth, slot)| (-worth, *slot));
        let candidate = |(_, slot): &(i64, usize)| Candidate {
            at: slots[*slot].time,
            chance: ahead.log_odds(0, None, *slot).chance(),
            in_all: ahead.chance_of(&ahead.best_chain(Some(*slot))),
        };
        let others: Vec<&Slot> = by_worth.iter().map(|(_, slot)| &slots[*slot]).collect();
        Reason {
            candidates: by_worth.iter().take(CANDIDATES).map(candidate).collect(),
            considered: others.len(),
            decisive: decisive(estimates, &slots[chosen], &others),
            learned_from: estimates.learned_from,
        }
    }

    pub fn chosen(&self) -> Option<&Candidate> {
        self.candidates.first()
    }

    /// The reason in a sentence or two.
    pub fn summary(&self) -> String {
        let Some(chosen) = self.chosen() else { return String::new() };
        let (chance, in_all) = (chosen.chance.percent(), chosen.in_all.percent());
        let mut parts = vec![format!("{chance} % likely to succeed then, {in_all} % with those after it")];
        let (for_it, against_it): (Vec<&Decisive>, Vec<&Decisive>) =
            self.decisive.iter().partition(|one| one.log_odds > LogOdds::default());
        for (label, found) in [("for it", for_it), ("against it", against_it)] {
            let said: Vec<String> = found.into_iter().map(Decisive::phrase).collect();
            if !said.is_empty() {
                parts.push(format!("{label}: {}", said.join(", ")));
            }
        }
        let learned = match self.learned_from {
            0 => "Nothing has been learned yet: this is what is known of payments in general.".to_owned(),
            retries => format!("Learned from {retries} retries."),
        };
        format!("{}. {learned}", parts.join("; "))
    }
}

impl Decisive {
    fn phrase(&self) -> String {
        format!("{} {} (odds × {})", self.side.phrase(), self.is, self.log_odds.factor())
    }
}

fn decisive(estimates: &Estimates, chosen: &Slot, considered: &[&Slot]) -> Vec<Decisive> {
    let count = i64::try_from(considered.len()).unwrap_or(i64::MAX).max(1);
    let mut found: Vec<Decisive> = Vec::new();
    for side in Side::ALL {
        let sum: i64 = considered.iter().map(|slot| i64::from(side.effect(slot, estimates).as_thousandths())).sum();
        let average = LogOdds::thousandths(i32::try_from(sum / count).unwrap_or(0));
        let log_odds = side.effect(chosen, estimates) - average;
        if log_odds.as_thousandths().abs() >= NEGLIGIBLE {
            found.push(Decisive { side, is: side.of(&chosen.circumstance), log_odds });
        }
    }
    found.sort_by_key(|one| -one.log_odds.as_thousandths().abs());
    found
}
