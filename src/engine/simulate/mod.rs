//! What smart retries are worth: the true rules, in memory, over people who behave as documented.
//!
//! | file | what |
//! |---|---|
//! | `population` | who they are, and when their payments succeed |
//! | `life` | one of them, from the subscription to the end of the collection |
//! | `schedule` | the ways of retrying that are compared |
//! | `report` | what each came to |
//!
//! Everybody is tried by every way at the same moments of the same life, so that ways are compared payer by
//! payer. All of it follows from the seed.

mod life;
mod population;
mod report;
mod schedule;

use std::thread;

use self::{
    life::{Ending, Life, catalogue},
    population::{POPULATIONS, Population},
    schedule::{Beginning, GRID_RETRIES, custom, smart},
};
use crate::billing::{
    Refusal, Timestamp,
    retry::even_days,
    seed::mixed,
    settings::{Retries, Window},
};

pub use report::Report;

/// What is simulated.
#[derive(Clone, Debug)]
pub struct Simulation {
    /// One population instead of all.
    pub population: Option<String>,
    /// How many payers of each, whose renewal was declined.
    pub payers: u32,
    pub seed: u64,
}

/// 1 January 2027.
const BEGINNING: i64 = 1_798_761_600;
/// The renewals of a population are spread over two years.
const SPAN_SECONDS: i64 = 2 * 365 * 86_400;

/// How a way of retrying went for everybody.
#[derive(Clone, Debug)]
struct Way {
    name: String,
    endings: Vec<Ending>,
}

/// Ways with equally many retries.
#[derive(Debug)]
struct Contest {
    about: String,
    smart: Way,
    others: Vec<Way>,
}

impl Simulation {
    pub fn run(&self) -> Result<Report, Refusal> {
        let populations: Vec<&Population> = match &self.population {
            None => POPULATIONS.iter().collect(),
            Some(name) => vec![Population::named(name).ok_or_else(|| unknown(name))?],
        };
        let mut report = Report::new(self);
        for population in populations {
            let beginnings = self.beginnings(population)?;
            let cents: Vec<i64> = beginnings.iter().map(|one| one.payer.cents).collect();
            report.add(population, &three_retries(&beginnings)?, &cents)?;
            let usual = against_even("8 retries within two weeks", &beginnings, &Retries::default())?;
            report.add(population, &usual, &cents)?;
        }
        Ok(report)
    }

    /// Payers whose renewal is declined, in the order of their renewals.
    fn beginnings(&self, population: &Population) -> Result<Vec<Beginning>, Refusal> {
        let none = catalogue(custom(&[]))?;
        let count = i64::from(self.payers).max(1);
        let find = |place: i64| {
            let start = Timestamp::new(BEGINNING + SPAN_SECONDS / count * place);
            let within = u64::try_from(SPAN_SECONDS / count).unwrap_or(1).max(1);
            let mut seed = mixed(self.seed ^ mixed(u64::try_from(place).unwrap_or(0)));
            loop {
                seed = mixed(seed);
                let start = start.plus_seconds(i64::try_from(mixed(seed ^ 1) % within).unwrap_or(0));
                let payer = population.payer(seed);
                if Life::begin(payer.clone(), start, &none)?.is_some() {
                    return Ok(Beginning { payer, start });
                }
            }
        };
        let places: Vec<i64> = (0..count).collect();
        in_parts(&places, |places| places.iter().map(|place| find(*place)).collect())
    }
}

fn unknown(name: &str) -> Refusal {
    let names: Vec<&str> = POPULATIONS.iter().map(|population| population.name).collect();
    Refusal::invalid(format!("There is no population {name}; there are {}.", names.join(", ")))
}

/// Three retries: smart within a month against the even spread and every schedule of the grid.
fn three_retries(beginnings: &[Beginning]) -> Result<Contest, Refusal> {
    let few = i64::try_from(GRID_RETRIES).unwrap_or(0);
    let mut contest = against_even("3 retries within a month", beginnings, &smart(few, Window::OneMonth))?;
    let grid = in_parts(beginnings, schedule::grid)?;
    for (place, days) in schedule::schedules().into_iter().enumerate() {
        let endings = grid.iter().map(|of_payer| of_payer[place]).collect();
        let days: Vec<String> = days.iter().map(ToString::to_string).collect();
        contest.others.push(Way { name: format!("after {} days", days.join(", ")), endings });
    }
    Ok(contest)
}

/// Smart retries against as many that are spread evenly over the same window.
fn against_even(about: &str, beginnings: &[Beginning], retries: &Retries) -> Result<Contest, Refusal> {
    let even = custom(&even_days(retries.max_attempts, retries.window.days()));
    let (learning, fixed) = thread::scope(|scope| {
        let learning = scope.spawn(|| schedule::learning(beginnings, retries));
        let fixed = scope.spawn(|| schedule::fixed(beginnings, &even));
        (joined(learning.join()), joined(fixed.join()))
    });
    Ok(Contest {
        about: about.to_owned(),
        smart: Way { name: "smart".to_owned(), endings: learning? },
        others: vec![Way { name: "even spread".to_owned(), endings: fixed? }],
    })
}

/// Does work on as many parts at a time as there are cores.
fn in_parts<T: Sync, R: Send>(
    all: &[T],
    work: impl Fn(&[T]) -> Result<Vec<R>, Refusal> + Sync,
) -> Result<Vec<R>, Refusal> {
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let size = all.len().div_ceil(cores).max(1);
    let done: Vec<Result<Vec<R>, Refusal>> = thread::scope(|scope| {
        let work = &work;
        let parts: Vec<_> = all.chunks(size).map(|part| scope.spawn(move || work(part))).collect();
        parts.into_iter().map(|part| joined(part.join())).collect()
    });
    let done: Result<Vec<Vec<R>>, Refusal> = done.into_iter().collect();
    Ok(done?.into_iter().flatten().collect())
}

fn joined<T>(outcome: thread::Result<Result<T, Refusal>>) -> Result<T, Refusal> {
    outcome.unwrap_or_else(|_| Err(Refusal::internal("a part of the simulation broke off")))
}

#[cfg(test)]
mod tests {
    use super::{report::Interval, *};

    /// How far smart retries are ahead of the even spread, and how often they tried at most.
    fn ahead(population: &str, payers: u32, retries: &Retries) -> (Interval, i64) {
        let simulation = Simulation { population: None, payers, seed: 1 };
        let population = Population::named(population).unwrap();
        let beginnings = simulation.beginnings(population).unwrap();
        let cents: Vec<i64> = beginnings.iter().map(|one| one.payer.cents).collect();
        let contest = against_even("", &beginnings, retries).unwrap();
        let most = contest.smart.endings.iter().map(|ending| ending.attempts).max().unwrap();
        let mut report = Report::new(&simulation);
        report.add(population, &contest, &cents).unwrap();
        (report.contests[0].ways[1].smart_is_ahead.unwrap(), most)
    }

    #[test]
    fn smart_retries_find_the_pattern() {
        let (ahead, most) = ahead("salaried", 80, &smart(3, Window::OneMonth));
        assert!(ahead.low > 0, "{ahead:?}");
        assert_eq!(most, 4);
    }

    #[test]
    fn without_a_pattern_they_lose_nothing() {
        let (ahead, most) = ahead("level", 40, &Retries::default());
        assert!(ahead.high >= 0, "{ahead:?}");
        assert_eq!(most, 9);
    }

    #[test]
    fn the_same_seed_gives_the_same_report() {
        let simulation = Simulation { population: Some("mixed".to_owned()), payers: 4, seed: 7 };
        let report = simulation.run().unwrap();
        assert_eq!(simulation.run().unwrap().table(), report.table());
        // Smart, the even spread, and every schedule of the grid.
        assert_eq!(report.contests[0].ways.len(), 2 + 125);
        let unknown = Simulation { population: Some("martians".to_owned()), ..simulation };
        assert!(unknown.run().unwrap_err().message.contains("salaried, weekly"));
    }

    /// Schedules that begin alike are lived through together, and end as if each were lived alone.
    #[test]
    fn a_schedule_of_the_grid_is_the_schedule_alone() {
        let simulation = Simulation { population: None, payers: 6, seed: 3 };
        let beginnings = simulation.beginnings(Population::named("mixed").unwrap()).unwrap();
        let grid = schedule::grid(&beginnings).unwrap();
        for (place, days) in schedule::schedules().into_iter().enumerate().step_by(31) {
            let alone = schedule::fixed(&beginnings, &custom(&days)).unwrap();
            let together: Vec<Ending> = grid.iter().map(|of_payer| of_payer[place]).collect();
            assert_eq!(together, alone, "{days:?}");
        }
    }
}
