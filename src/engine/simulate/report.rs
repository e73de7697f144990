//! What each way of retrying came to, and how it compares with smart retries.

use std::fmt::Write as _;

use serde::Serialize;

use super::{Contest, Simulation, Way, life::Ending, population::Population};
use crate::billing::Refusal;

/// All that was measured. Shares are in thousandths of what was owed.
#[derive(Debug, Serialize)]
pub struct Report {
    pub seed: u64,
    pub payers: u32,
    pub contests: Vec<Measured>,
}

/// A population, and the ways of retrying it.
#[derive(Debug, Serialize)]
pub struct Measured {
    pub population: &'static str,
    pub about: &'static str,
    pub retries: String,
    /// Smart first, then the even spread, then the schedules, the best first.
    pub ways: Vec<Line>,
}

/// What a way of retrying came to.
#[derive(Debug, Serialize)]
pub struct Line {
    pub way: String,
    /// Of what was owed, in thousandths.
    pub recovered: i64,
    pub recovered_cents: i64,
    pub recovered_invoices: usize,
    /// All attempts, the first included, for each invoice that was recovered, in hundredths.
    pub attempts_per_recovered: i64,
    /// Days from the first failure to the money, on average over what was recovered, in tenths.
    pub days_to_recover: i64,
    /// How much more smart retries recovered; none for themselves.
    pub smart_is_ahead: Option<Interval>,
}

/// A difference, paired by payer, with its 95 % confidence interval, in thousandths of what was owed.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Interval {
    pub mean: i64,
    pub low: i64,
    pub high: i64,
}

/// How many schedules of the grid the table shows.
const SHOWN: usize = 3;

impl Report {
    pub(super) fn new(simulation: &Simulation) -> Report {
        Report { seed: simulation.seed, payers: simulation.payers, contests: Vec::new() }
    }

    pub(super) fn add(&mut self, population: &Population, contest: &Contest, cents: &[i64]) -> Result<(), Refusal> {
        let mut ways = vec![line(&contest.smart, None, cents)?];
        for way in &contest.others {
            ways.push(line(way, Some(&contest.smart), cents)?);
        }
        // The grid's best stand first.
        let grid = ways.get_mut(2..).unwrap_or_default();
        grid.sort_by_key(|line| -line.recovered_cents);
        self.contests.push(Measured {
            population: population.name,
            about: population.about,
            retries: contest.about.clone(),
            ways,
        });
        Ok(())
    }

    /// A table in Markdown.
    pub fn table(&self) -> String {
        let mut table = String::from(
            "| population | retries | | recovered | attempts per recovered | days to recover | smart is ahead by |\n\
             |---|---|---|---:|---:|---:|---:|\n",
        );
        for measured in &self.contests {
            for (place, line) in measured.ways.iter().take(2 + SHOWN).enumerate() {
                let (population, retries) =
                    if place == 0 { (measured.population, measured.retries.as_str()) } else { ("", "") };
                let ahead = line.smart_is_ahead.map_or_else(String::new, |ahead| {
                    format!("{} ({} to {})", points(ahead.mean), points(ahead.low), points(ahead.high))
                });
                // Writing to a string cannot fail.
                let _ = writeln!(
                    table,
                    "| {population} | {retries} | {} | {} % | {} | {} | {ahead} |",
                    line.way,
                    decimal(line.recovered, 1),
                    decimal(line.attempts_per_recovered, 2),
                    decimal(line.days_to_recover, 1),
                );
            }
        }
        table
    }
}

fn line(way: &Way, smart: Option<&Way>, cents: &[i64]) -> Result<Line, Refusal> {
    let owed: i64 = cents.iter().sum();
    let recovered: Vec<&Ending> = way.endings.iter().filter(|ending| ending.recovered_after.is_some()).collect();
    let count = i64::try_from(recovered.len()).unwrap_or(0).max(1);
    let attempts: i64 = way.endings.iter().map(|ending| ending.attempts).sum();
    let seconds: i64 = recovered.iter().filter_map(|ending| ending.recovered_after).sum();
    let recovered_cents: i64 = collected(way, cents).sum();
    Ok(Line {
        way: way.name.clone(),
        recovered: rounded(recovered_cents.into(), 1000, owed)?,
        recovered_cents,
        recovered_invoices: recovered.len(),
        attempts_per_recovered: rounded(attempts.into(), 100, count)?,
        days_to_recover: rounded(seconds.into(), 10, count * 86_400)?,
        smart_is_ahead: smart.map(|smart| ahead(smart, way, cents, owed)).transpose()?,
    })
}

/// What came of each payer's debt.
fn collected<'a>(way: &'a Way, cents: &'a [i64]) -> impl Iterator<Item = i64> + 'a {
    way.endings.iter().zip(cents).map(|(ending, cents)| if ending.recovered_after.is_some() { *cents } else { 0 })
}

/// The mean difference and 1.96 times its standard error, payer by payer.
fn ahead(smart: &Way, other: &Way, cents: &[i64], owed: i64) -> Result<Interval, Refusal> {
    let differences: Vec<i128> =
        collected(smart, cents).zip(collected(other, cents)).map(|(a, b)| i128::from(a - b)).collect();
    let count = i128::try_from(differences.len()).unwrap_or(1);
    let sum: i128 = differences.iter().sum();
    let squares: i128 = differences.iter().map(|one| one * one).sum();
    // The sum of all differences varies by the square root of n² · variance / n.
    let spread = ((count * squares - sum * sum) / (count - 1).max(1)).isqrt();
    let half = 196 * spread / 100;
    let of_owed = |cents: i128| rounded(cents, 1000, owed);
    Ok(Interval { mean: of_owed(sum)?, low: of_owed(sum - half)?, high: of_owed(sum + half)? })
}

/// A part of a whole, in so many parts, rounded half away from zero.
fn rounded(part: i128, parts: i128, whole: i64) -> Result<i64, Refusal> {
    let whole = i128::from(whole.max(1));
    let half = if part < 0 { -whole } else { whole } / 2;
    i64::try_from((part * parts + half) / whole).map_err(|_| Refusal::internal("a share is beyond all bounds"))
}

/// `12.3` from 123 tenths.
fn decimal(number: i64, digits: u32) -> String {
    let unit = 10_i64.pow(digits);
    let width = usize::try_from(digits).unwrap_or(1);
    let sign = if number < 0 { "−" } else { "" };
    format!("{sign}{}.{:0width$}", number.abs() / unit, number.abs() % unit)
}

/// `+1.2`: percentage points.
fn points(thousandths: i64) -> String {
    let plus = if thousandths > 0 { "+" } else { "" };
    format!("{plus}{}", decimal(thousandths, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(recovered: &[bool]) -> Way {
        let ending = |recovered: &bool| Ending { recovered_after: recovered.then_some(2 * 86_400), attempts: 3 };
        Way { name: "a way".to_owned(), endings: recovered.iter().map(ending).collect() }
    }

    #[test]
    fn a_line_says_what_a_way_came_to() {
        let line = line(&way(&[true, false, true]), None, &[1000, 2000, 3000]).unwrap();
        assert_eq!((line.recovered, line.recovered_cents, line.recovered_invoices), (667, 4000, 2));
        assert_eq!((line.attempts_per_recovered, line.days_to_recover), (450, 20));
    }

    #[test]
    fn an_interval_is_paired_by_payer() {
        let always: Vec<bool> = vec![true; 100];
        let sometimes: Vec<bool> = (0..100).map(|payer| payer % 5 > 0).collect();
        let cents = [1000; 100];
        // A difference of 0.2 with a standard error of 0.0402.
        let interval = ahead(&way(&always), &way(&sometimes), &cents, 100_000).unwrap();
        assert_eq!((interval.mean, interval.low, interval.high), (200, 121, 279));
        let nothing = ahead(&way(&sometimes), &way(&sometimes), &cents, 100_000).unwrap();
        assert_eq!((nothing.mean, nothing.low, nothing.high), (0, 0, 0));
    }

    #[test]
    fn numbers_are_said_plainly() {
        assert_eq!(
            (decimal(123, 1), decimal(405, 2), points(-4), points(31)),
            ("12.3".into(), "4.05".into(), "−0.4".into(), "+3.1".into())
        );
        assert_eq!((rounded(1, 1000, 3).unwrap(), rounded(-2, 1000, 3).unwrap()), (333, -667));
    }
}
