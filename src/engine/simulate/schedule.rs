//! The ways of retrying that are compared, and what each comes to for each payer.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    sync::Arc,
};

use super::{
    life::{Ending, Life, catalogue},
    population::Payer,
};
use crate::billing::{
    Refusal, Timestamp,
    books::{Catalogue, Experience},
    chance::{Estimates, Statistics},
    settings::{Retries, RetryMode, Window},
};

/// A payer, and when they subscribe.
#[derive(Clone, Debug)]
pub struct Beginning {
    pub payer: Payer,
    pub start: Timestamp,
}

/// The distances that every schedule of three is made of, in days. Together they are never longer than
/// the month that smart retries have.
pub const GAPS: [i64; 5] = [1, 3, 5, 7, 10];
pub const GRID_RETRIES: usize = 3;
/// How often smart retries look at what was learned.
const REVIEW_SECONDS: i64 = 7 * 86_400;

pub fn smart(max_attempts: i64, window: Window) -> Retries {
    Retries { days: Vec::new(), max_attempts, mode: RetryMode::Smart, window }
}

pub fn custom(days: &[i64]) -> Retries {
    Retries { days: days.to_vec(), mode: RetryMode::Custom, ..Retries::default() }
}

/// Smart retries, which know at each moment how the retries before it ended, and nothing else.
pub fn learning(beginnings: &[Beginning], retries: &Retries) -> Result<Vec<Ending>, Refusal> {
    let catalogue = catalogue(retries.clone())?;
    let mut endings = vec![Ending::default(); beginnings.len()];
    let mut statistics = Statistics::default();
    let mut experience = Arc::new(Experience::default());
    let mut review_at = None;
    let mut agenda: BinaryHeap<Reverse<(Timestamp, usize)>> = BinaryHeap::new();
    let mut lives: HashMap<usize, Life> = HashMap::new();
    let mut waiting = beginnings.iter().enumerate().peekable();
    loop {
        // Lives begin when the agenda comes to them, so that few are led at a time.
        let next = agenda.peek().map(|Reverse((time, _))| *time);
        if let Some((place, beginning)) = waiting.next_if(|(_, one)| next.is_none_or(|next| one.renews_by() <= next)) {
            if let Some(life) = Life::begin(beginning.payer.clone(), beginning.start, &catalogue)? {
                agenda.push(Reverse((life.first, place)));
                lives.insert(place, life);
            }
            continue;
        }
        let Some(Reverse((time, place))) = agenda.pop() else { return Ok(endings) };
        if review_at.is_none_or(|review_at| time >= review_at) {
            let test = Arc::new(Estimates::from_statistics(&statistics));
            experience = Arc::new(Experience { test, ..Experience::default() });
            review_at = Some(time.plus_seconds(REVIEW_SECONDS));
        }
        let Some(mut life) = lives.remove(&place) else { continue };
        life.books().know(Arc::clone(&experience));
        life.attempt(time)?;
        life.books().take_learned().iter().for_each(|one| statistics.record(&one.outcome));
        match life.next_attempt() {
            Some(next) => {
                agenda.push(Reverse((next, place)));
                lives.insert(place, life);
            }
            None => endings[place] = life.ending(),
        }
    }
}

/// A schedule that is the same for everybody.
pub fn fixed(beginnings: &[Beginning], retries: &Retries) -> Result<Vec<Ending>, Refusal> {
    let catalogue = catalogue(retries.clone())?;
    beginnings.iter().map(|one| one.live(&catalogue)).collect()
}

impl Beginning {
    /// Before the renewal is charged: a year later, less a day.
    fn renews_by(&self) -> Timestamp {
        self.start.plus_seconds(364 * 86_400)
    }

    fn live(&self, catalogue: &Arc<Catalogue>) -> Result<Ending, Refusal> {
        let Some(mut life) = Life::begin(self.payer.clone(), self.start, catalogue)? else {
            return Ok(Ending::default());
        };
        life.attempt(life.first)?;
        while let Some(next) = life.next_attempt() {
            life.attempt(next)?;
        }
        Ok(life.ending())
    }
}

/// Every schedule of [`GRID_RETRIES`] distances. Those that begin alike are lived through together: the
/// settings are changed on the way, as an operator may change them, and each distance is asked for only
/// when it is needed.
pub fn grid(beginnings: &[Beginning]) -> Result<Vec<Vec<Ending>>, Refusal> {
    let mut grid = Grid { catalogues: HashMap::new() };
    beginnings.iter().map(|one| grid.of(one)).collect()
}

/// The schedules of the grid, in its order.
pub fn schedules() -> Vec<[i64; GRID_RETRIES]> {
    let days = |number: usize| [number / 25, number / 5 % 5, number % 5].map(|place| GAPS[place]);
    (0..GAPS.len().pow(3)).map(days).collect()
}

struct Grid {
    catalogues: HashMap<Vec<i64>, Arc<Catalogue>>,
}

impl Grid {
    fn of(&mut self, beginning: &Beginning) -> Result<Vec<Ending>, Refusal> {
        let mut endings = Vec::with_capacity(schedules().len());
        let none = self.catalogue(&[])?;
        match Life::begin(beginning.payer.clone(), beginning.start, &none)? {
            Some(life) => self.explore(&life, life.first, &[], &mut endings)?,
            None => endings.resize(schedules().len(), Ending::default()),
        }
        Ok(endings)
    }

    /// All schedules that begin with these distances, from the attempt at that time on.
    fn explore(
        &mut self,
        life: &Life,
        time: Timestamp,
        begun: &[i64],
        endings: &mut Vec<Ending>,
    ) -> Result<(), Refusal> {
        let open = GRID_RETRIES - begun.len();
        if open == 0 {
            let mut life = life.clone();
            life.consult(&self.catalogue(begun)?);
            life.attempt(time)?;
            endings.push(life.ending());
            return Ok(());
        }
        let below = GAPS.len().pow(u32::try_from(open - 1).unwrap_or(0));
        for gap in GAPS {
            let days = [begun, &[gap]].concat();
            let mut life = life.clone();
            life.consult(&self.catalogue(&days)?);
            life.attempt(time)?;
            match life.next_attempt() {
                Some(next) => self.explore(&life, next, &days, endings)?,
                // It ended before the distance mattered: so for all of them.
                None => {
                    endings.extend(std::iter::repeat_n(life.ending(), below * GAPS.len()));
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn catalogue(&mut self, days: &[i64]) -> Result<Arc<Catalogue>, Refusal> {
        if let Some(known) = self.catalogues.get(days) {
            return Ok(Arc::clone(known));
        }
        let made = catalogue(custom(days))?;
        self.catalogues.insert(days.to_vec(), Arc::clone(&made));
        Ok(made)
    }
}
