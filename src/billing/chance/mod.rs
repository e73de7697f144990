//! How likely a retry is to succeed at some time: estimated from what this installation has seen.
//!
//! The log-odds of success are a sum of effects, one for each [`Facet`] of the [`Circumstance`]: the
//! decline group, the card's funding, brand and country, hour, weekday, day of the month, the time since
//! the failure, the number of the retry; and for each decline group what of these is different for it.
//! The effects are fitted to all outcomes together, so that what comes with something else is not counted
//! twice, and each is held back to what was believed before ([`prior`]) by a weight: few outcomes hardly
//! move it, many overrule it. A narrow facet's prior is that it adds nothing to its wider one, so a cell
//! with few outcomes leans on the next wider cell (an hour on its part of the day, one decline group's
//! day on the day of all), and where that knows little, too, on the prior.
//!
//! | file | what |
//! |---|---|
//! | `log_odds` | chances and log-odds, in whole numbers |
//! | `circumstance` | what is known about a retry before it is made |
//! | `place` | which hour it is where a card comes from |
//! | `facet` | the sides from which it is looked at |
//! | `prior` | what is believed before anything was seen |
//! | `statistics` | what was seen |
//!
//! All of it is a pure function of the statistics, in integers: any machine estimates the same.

pub mod circumstance;
pub mod facet;
pub mod log_odds;
mod place;
pub mod prior;
pub mod statistics;

pub use circumstance::{Circumstance, Failure, Group};
pub use facet::Facet;
pub use log_odds::{Chance, LogOdds};
pub use statistics::{Count, Outcome, Statistics};

/// The effects that the statistics bear out.
#[derive(Clone, Debug)]
pub struct Estimates {
    /// By facet, in the order of [`Facet::ALL`], and cell.
    effects: Vec<Vec<Effect>>,
    /// How many retries were learned from.
    pub learned_from: u64,
}

/// What one cell adds to the log-odds.
#[derive(Clone, Copy, Debug)]
pub struct Effect {
    pub log_odds: LogOdds,
    /// What it was fitted to, the prior included, in thousandths of an observation: how sure it is.
    pub weight: i64,
}

/// How often all effects are gone through. Each round brings them much nearer to what fits best.
const ROUNDS: usize = 8;
/// The farthest an effect moves at a time.
const STRIDE: i64 = 1000;

/// A circumstance by its cells, and what was seen of it.
struct Row {
    cells: [usize; Facet::ALL.len()],
    count: Count,
}

impl Default for Estimates {
    /// What is believed before anything was seen.
    fn default() -> Estimates {
        let believed = |facet: &Facet| {
            let cell = |cell| Effect { log_odds: prior::belief(*facet, cell), weight: prior::weight(*facet) };
            (0..facet.cells()).map(cell).collect()
        };
        Estimates { effects: Facet::ALL.iter().map(believed).collect(), learned_from: 0 }
    }
}

impl Estimates {
    /// Fits the effects to what was seen: a penalised logistic regression, by Newton's method one facet
    /// at a time (the cells of a facet share no outcome, so each has its own step).
    pub fn from_statistics(statistics: &Statistics) -> Estimates {
        let mut estimates = Estimates { learned_from: statistics.attempts(), ..Estimates::default() };
        let row = |(circumstance, count): (&Circumstance, &Count)| Row {
            cells: Facet::ALL.map(|facet| facet.cell(circumstance)),
            count: *count,
        };
        let rows: Vec<Row> = statistics.iter().map(row).collect();
        if rows.is_empty() {
            return estimates;
        }
        for _ in 0..ROUNDS {
            for place in 0..Facet::ALL.len() {
                estimates.improve(place, &rows);
            }
        }
        estimates
    }

    fn improve(&mut self, place: usize, rows: &[Row]) {
        let facet = Facet::ALL[place];
        // By cell: how many more successes there were than expected, and how much they say, both in
        // parts per million of an outcome.
        let mut sums = vec![(0_i64, 0_i64); facet.cells()];
        for row in rows {
            let chance = self.log_odds(&row.cells).chance().parts_per_million();
            let (attempts, recovered) = (i64::from(row.count.attempts), i64::from(row.count.recovered));
            let (surplus, information) = &mut sums[row.cells[place]];
            *surplus += recovered * 1_000_000 - attempts * chance;
            *information += attempts * (chance * (1_000_000 - chance) / 1_000_000);
        }
        for (cell, (surplus, information)) in sums.into_iter().enumerate().filter(|(_, sums)| *sums != (0, 0)) {
            let effect = &mut self.effects[place][cell];
            let off = i64::from((effect.log_odds - prior::belief(facet, cell)).as_thousandths());
            let (held, weight) = (prior::weight(facet) * 1000 * off, prior::weight(facet) * 1000);
            let step = (surplus.saturating_mul(1000) - held) / (information + weight);
            let step = i32::try_from(step.clamp(-STRIDE, STRIDE)).unwrap_or(0);
            effect.log_odds += LogOdds::thousandths(step);
            effect.weight = (information + weight) / 1000;
        }
    }

    fn log_odds(&self, cells: &[usize; Facet::ALL.len()]) -> LogOdds {
        let parts = self.effects.iter().zip(cells).map(|(effects, cell)| effects[*cell].log_odds);
        parts.fold(LogOdds::default(), |sum, part| sum + part)
    }

    pub fn effect(&self, facet: Facet, circumstance: &Circumstance) -> Effect {
        self.effects[facet as usize][facet.cell(circumstance)]
    }

    /// The sum of some facets' effects.
    pub fn sum(&self, facets: &[Facet], circumstance: &Circumstance) -> LogOdds {
        let parts = facets.iter().map(|facet| self.effect(*facet, circumstance).log_odds);
        parts.fold(LogOdds::default(), |sum, part| sum + part)
    }

    /// How likely a retry is to succeed.
    pub fn chance(&self, circumstance: &Circumstance) -> Chance {
        self.sum(&Facet::ALL, circumstance).chance()
    }
}

#[cfg(test)]
mod tests {
    use super::{
        circumstance::{Brand, Country, Funding, LAST_DAY},
        *,
    };

    const USUAL: Circumstance = Circumstance {
        decline: Group::Funds,
        funding: Funding::Debit,
        brand: Brand::Visa,
        country: Country::UNKNOWN,
        hour: 13,
        weekday: 2,
        day: 10,
        since: 3,
        payday: false,
        retry: 1,
    };

    fn chance(estimates: &Estimates, circumstance: Circumstance) -> i64 {
        estimates.chance(&circumstance).parts_per_million()
    }

    fn seen(counts: &[(Circumstance, u32, u32)]) -> Estimates {
        let mut statistics = Statistics::default();
        for (circumstance, attempts, recovered) in counts {
            statistics.add(*circumstance, Count { attempts: *attempts, recovered: *recovered });
        }
        Estimates::from_statistics(&statistics)
    }

    /// Before anything was seen, the likelier comes first.
    #[test]
    fn the_prior_is_sensible() {
        let prior = Estimates::default();
        for (what, likelier, than) in [
            ("a payday", Circumstance { day: 25, ..USUAL }, USUAL),
            ("the day after it", Circumstance { day: 26, ..USUAL }, USUAL),
            ("the last day of the month", Circumstance { day: LAST_DAY, ..USUAL }, USUAL),
            (
                "a payday helps most where money was missing",
                Circumstance { day: 1, ..USUAL },
                Circumstance { day: 1, decline: Group::Issuer, ..USUAL },
            ),
            ("the evening", Circumstance { hour: 18, ..USUAL }, Circumstance { hour: 3, ..USUAL }),
            ("a technical failure", Circumstance { decline: Group::Technical, ..USUAL }, USUAL),
            ("a soft decline", USUAL, Circumstance { decline: Group::Hard, ..USUAL }),
            ("not at once", USUAL, Circumstance { since: 0, ..USUAL }),
            ("the first retry", USUAL, Circumstance { retry: 5, ..USUAL }),
            (
                "time to replace a card",
                Circumstance { decline: Group::Hard, since: 7, ..USUAL },
                Circumstance { decline: Group::Hard, since: 2, ..USUAL },
            ),
        ] {
            assert!(chance(&prior, likelier) > chance(&prior, than), "{what}");
        }
        let (usual, technical) = (chance(&prior, USUAL), Circumstance { decline: Group::Technical, ..USUAL });
        assert!((150_000..250_000).contains(&usual), "{usual}");
        assert!((450_000..550_000).contains(&chance(&prior, technical)));
    }

    #[test]
    fn few_outcomes_hardly_move_an_estimate() {
        let prior = chance(&Estimates::default(), USUAL);
        let once = chance(&seen(&[(USUAL, 1, 1)]), USUAL);
        assert!(once > prior && once < 2 * prior, "{prior} {once}");
        let never = chance(&seen(&[(USUAL, 3, 0)]), USUAL);
        assert!(never < prior && never > prior / 2, "{prior} {never}");
    }

    #[test]
    fn many_outcomes_overrule_the_prior() {
        let night = Circumstance { hour: 3, ..USUAL };
        let estimates = seen(&[(night, 20_000, 14_000), (USUAL, 20_000, 1_000)]);
        assert!((chance(&estimates, night) - 700_000).abs() < 15_000, "{}", chance(&estimates, night));
        assert!((chance(&estimates, USUAL) - 50_000).abs() < 5_000, "{}", chance(&estimates, USUAL));
    }

    /// One lucky outcome on a day nobody else was tried on does not beat a well-known good day.
    #[test]
    fn a_sparse_cell_does_not_mislead() {
        let (lucky, good) = (Circumstance { day: 8, ..USUAL }, Circumstance { day: 20, ..USUAL });
        let estimates = seen(&[(lucky, 1, 1), (good, 5000, 2500), (USUAL, 5000, 500)]);
        assert!(chance(&estimates, good) > chance(&estimates, lucky) + 200_000);
    }

    /// What is known of all declines is believed of one that was seen little of, until it says otherwise.
    #[test]
    fn a_narrow_cell_leans_on_the_wider_one() {
        let evening = |decline, hour| Circumstance { decline, hour, ..USUAL };
        let seen_of_one = [(evening(Group::Funds, 21), 5000, 2500), (evening(Group::Funds, 9), 5000, 500)];
        let estimates = seen(&seen_of_one);
        let difference = |estimates: &Estimates, decline| {
            chance(estimates, evening(decline, 21)) - chance(estimates, evening(decline, 9))
        };
        assert!(difference(&estimates, Group::Issuer) > 50_000);
        // The hour beside it was never tried: it leans on its part of the day.
        assert!(chance(&estimates, evening(Group::Funds, 22)) > chance(&estimates, evening(Group::Funds, 13)));
        let mut all = seen_of_one.to_vec();
        all.extend([(evening(Group::Issuer, 21), 5000, 500), (evening(Group::Issuer, 9), 5000, 500)]);
        assert!(difference(&seen(&all), Group::Issuer).abs() < 20_000);
    }

    /// What always comes with something else is not counted twice.
    #[test]
    fn effects_that_come_together_share_what_they_explain() {
        let weekend = Circumstance { weekday: 5, funding: Funding::Prepaid, ..USUAL };
        let estimates = seen(&[(USUAL, 10_000, 4000), (weekend, 10_000, 1000)]);
        assert!((chance(&estimates, weekend) - 100_000).abs() < 10_000);
        assert!((chance(&estimates, USUAL) - 400_000).abs() < 10_000);
    }

    #[test]
    fn the_same_statistics_give_the_same_estimates() {
        let counts =
            [(USUAL, 120, 30), (Circumstance { day: 1, ..USUAL }, 44, 20), (Circumstance { hour: 2, ..USUAL }, 9, 0)];
        let mut reversed = counts;
        reversed.reverse();
        let (one, other) = (seen(&counts), seen(&reversed));
        for day in 1..=LAST_DAY {
            let circumstance = Circumstance { day, ..USUAL };
            assert_eq!(one.chance(&circumstance), other.chance(&circumstance));
        }
        // Whole numbers: this holds on every machine.
        assert_eq!(chance(&one, USUAL), chance(&other, USUAL));
    }
}
