//! People whose renewal was declined, and what they do then. All of it follows from a seed, and nothing of
//! it is known to who asks them for money.

use crate::billing::{
    Timestamp,
    chance::circumstance::{Country, LAST_DAY, Local},
    seed::mixed,
};

/// A mixture of troubles, in percent.
#[derive(Debug)]
pub struct Population {
    pub name: &'static str,
    pub about: &'static str,
    mixture: &'static [(Trouble, u64)],
}

/// Why a renewal was declined, and when that changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// The money is there from the payday on, for three to eight days.
    Payday,
    /// It comes every Friday at noon, and is there for one to three days.
    Friday,
    /// The issuer says no: often in the day, nearly always at night, less often in the evening.
    Evening,
    /// Any attempt may succeed, whenever it is made.
    Luck,
    /// Something was out of order for two to forty hours.
    Outage,
    /// The card is lost or has expired; of ten people six replace it, within three weeks of the mail.
    Replaced,
    /// They will never pay.
    Gone,
}

pub const POPULATIONS: &[Population] = &[
    Population {
        name: "salaried",
        about: "money from a payday on: the 1st, 15th, 25th or last day of a month",
        mixture: &[(Trouble::Payday, 70), (Trouble::Outage, 5), (Trouble::Replaced, 10), (Trouble::Gone, 15)],
    },
    Population {
        name: "weekly",
        about: "money from Friday noon on, which nobody has told us",
        mixture: &[(Trouble::Friday, 70), (Trouble::Outage, 5), (Trouble::Replaced, 10), (Trouble::Gone, 15)],
    },
    Population {
        name: "evening",
        about: "issuers that accept in the evening",
        mixture: &[(Trouble::Evening, 70), (Trouble::Outage, 5), (Trouble::Replaced, 10), (Trouble::Gone, 15)],
    },
    Population {
        name: "mixed",
        about: "some of each",
        mixture: &[
            (Trouble::Payday, 30),
            (Trouble::Friday, 10),
            (Trouble::Evening, 20),
            (Trouble::Luck, 10),
            (Trouble::Outage, 5),
            (Trouble::Replaced, 10),
            (Trouble::Gone, 15),
        ],
    },
    Population {
        name: "level",
        about: "no pattern: one attempt is as good as another",
        mixture: &[(Trouble::Luck, 85), (Trouble::Gone, 15)],
    },
];

const DAY: i64 = 86_400;
const HOUR: i64 = 3600;

/// Somebody who subscribes.
#[derive(Clone, Debug)]
pub struct Payer {
    pub seed: u64,
    /// What each renewal costs, in cents.
    pub cents: i64,
    pub funding: &'static str,
    pub brand: &'static str,
    pub country: &'static str,
    trouble: Trouble,
}

/// What each draw is for: draws for different things have nothing to do with each other.
#[derive(Clone, Copy)]
enum Draw {
    Trouble,
    Amount,
    Funding,
    Brand,
    Country,
    Payday,
    Lasts,
    Outage,
    Replaces,
    Decline,
    Attempt,
}

impl Population {
    pub fn named(name: &str) -> Option<&'static Population> {
        POPULATIONS.iter().find(|population| population.name == name)
    }

    /// The payer of a seed.
    pub fn payer(&self, seed: u64) -> Payer {
        let draw = |what: Draw| drawn(seed, what, 0);
        let trouble = one_of(self.mixture, draw(Draw::Trouble));
        let of_wages = matches!(trouble, Trouble::Payday | Trouble::Friday);
        let debit = if of_wages { 70 } else { 40 };
        Payer {
            seed,
            cents: one_of(&[(900, 20), (1900, 30), (2900, 25), (4900, 15), (9900, 10)], draw(Draw::Amount)),
            funding: one_of(&[("debit", debit), ("credit", 95 - debit), ("prepaid", 5)], draw(Draw::Funding)),
            brand: one_of(&[("visa", 60), ("mastercard", 35), ("amex", 5)], draw(Draw::Brand)),
            country: one_of(&[("US", 50), ("DE", 25), ("GB", 15), ("JP", 10)], draw(Draw::Country)),
            trouble,
        }
    }
}

impl Payer {
    /// Why an attempt at that time would be declined, if it would be; `first` is when the renewal was
    /// charged, and `replaced` says whether there is another card by now.
    pub fn declines(&self, time: Timestamp, first: Timestamp, replaced: bool) -> Option<&'static str> {
        if replaced {
            return None;
        }
        let local = Local::of(time, Country::named(self.country));
        let (chance, why) = match self.trouble {
            Trouble::Payday => (if self.has_wages(time, local) { 92 } else { 3 }, "insufficient_funds"),
            Trouble::Friday => (if self.has_weekly_wages(local) { 92 } else { 3 }, "insufficient_funds"),
            Trouble::Evening => (evening(local.hour), "do_not_honor"),
            Trouble::Luck => (22, "generic_decline"),
            Trouble::Outage => {
                let over = first.plus_seconds(HOUR * self.between(Draw::Outage, 2, 40));
                (if time >= over { 98 } else { 0 }, "processing_error")
            }
            Trouble::Replaced => (0, one_of(&[("expired_card", 50), ("lost_card", 50)], self.draw(Draw::Decline))),
            Trouble::Gone => (0, "generic_decline"),
        };
        // Trying again within a few hours finds the same.
        let moment = u64::try_from(time.unix_seconds() / (4 * HOUR)).unwrap_or(0);
        (drawn(self.seed, Draw::Attempt, moment) % 100 >= chance).then_some(why)
    }

    /// When another card takes the place of the first.
    pub fn replaces_at(&self, first: Timestamp) -> Option<Timestamp> {
        let replaces = self.trouble == Trouble::Replaced && self.draw(Draw::Replaces) % 10 < 6;
        // Most within days: the least of two draws.
        let hours = |what| self.between(what, 12, 21 * 24);
        replaces.then(|| first.plus_seconds(HOUR * hours(Draw::Lasts).min(hours(Draw::Payday))))
    }

    fn has_wages(&self, time: Timestamp, local: Local) -> bool {
        let payday = one_of(&[(1, 35), (15, 25), (25, 20), (LAST_DAY, 20)], self.draw(Draw::Payday));
        let lasts = self.between(Draw::Lasts, 3, 8);
        // Wages are booked in the morning.
        (0..lasts).any(|days| {
            let day = Local::of(time.plus_seconds(-days * DAY), Country::named(self.country)).day;
            day == payday && (days > 0 || local.hour >= 8)
        })
    }

    fn has_weekly_wages(&self, local: Local) -> bool {
        let hours = i64::from(local.weekday) * 24 + i64::from(local.hour);
        let since = (hours - (4 * 24 + 12)).rem_euclid(7 * 24);
        since < 24 * self.between(Draw::Lasts, 1, 3)
    }

    fn between(&self, what: Draw, least: i64, most: i64) -> i64 {
        least + i64::try_from(self.draw(what) % u64::try_from(most - least + 1).unwrap_or(1)).unwrap_or(0)
    }

    fn draw(&self, what: Draw) -> u64 {
        drawn(self.seed, what, 0)
    }
}

const fn evening(hour: u8) -> u64 {
    match hour {
        18..=22 => 45,
        7..=17 => 12,
        _ => 3,
    }
}

const fn drawn(seed: u64, what: Draw, moment: u64) -> u64 {
    mixed(mixed(seed ^ mixed(what as u64 + 1)) ^ moment)
}

/// One of several, each as often as its share of a hundred.
fn one_of<T: Copy>(shares: &[(T, u64)], draw: u64) -> T {
    let mut left = draw % 100;
    for (one, share) in shares {
        if left < *share {
            return *one;
        }
        left -= share;
    }
    shares[0].0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixtures_are_whole() {
        for population in POPULATIONS {
            assert_eq!(population.mixture.iter().map(|(_, share)| share).sum::<u64>(), 100, "{}", population.name);
        }
    }

    /// Of many payers, how many in a thousand an attempt would succeed with at that time.
    fn accepts(population: &str, time: &str) -> usize {
        let time = Timestamp::new(chrono::DateTime::parse_from_rfc3339(time).unwrap().timestamp());
        let population = Population::named(population).unwrap();
        let accepts = |seed: &u64| population.payer(*seed).declines(time, time, false).is_none();
        (0..2000).filter(accepts).count() / 2
    }

    #[test]
    fn behaviour_is_as_documented() {
        for (population, likelier, than) in [
            ("salaried", "2027-01-03T18:00:00Z", "2027-01-13T18:00:00Z"),
            ("weekly", "2027-01-16T18:00:00Z", "2027-01-13T18:00:00Z"),
            ("evening", "2027-01-13T20:00:00Z", "2027-01-13T08:00:00Z"),
        ] {
            assert!(accepts(population, likelier) > accepts(population, than) + 50, "{population}");
        }
        let level =
            ["2027-01-03T18:00:00Z", "2027-01-13T04:00:00Z", "2027-01-16T13:00:00Z"].map(|at| accepts("level", at));
        assert!(level.iter().all(|accepted| (160..215).contains(accepted)), "{level:?}");
    }

    #[test]
    fn an_outage_passes_and_a_card_is_replaced() {
        let first = Timestamp::new(1_800_000_000);
        let payers = |trouble| (0..1000).map(move |seed| Payer { trouble, ..POPULATIONS[0].payer(seed) });
        let after = |payer: &Payer, hours| payer.declines(first.plus_seconds(hours * HOUR), first, false);
        assert!(payers(Trouble::Outage).all(|payer| after(&payer, 1) == Some("processing_error")));
        assert!(payers(Trouble::Outage).filter(|payer| after(payer, 41).is_none()).count() > 950);
        assert!(payers(Trouble::Replaced).all(|payer| after(&payer, 41).is_some()));
        let replaced = payers(Trouble::Replaced).filter(|payer| payer.replaces_at(first).is_some()).count();
        assert!((550..650).contains(&replaced));
    }
}
