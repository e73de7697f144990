//! What this installation has seen of retries.

use std::collections::BTreeMap;

use super::circumstance::Circumstance;
use crate::billing::Timestamp;

/// A retry and how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub at: Timestamp,
    pub circumstance: Circumstance,
    pub recovered: bool,
}

/// How often retries were made under a circumstance, and how often the money came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub attempts: u32,
    pub recovered: u32,
}

/// Counts by circumstance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics(BTreeMap<Circumstance, Count>);

impl Statistics {
    pub fn add(&mut self, circumstance: Circumstance, count: Count) {
        let sum = self.0.entry(circumstance).or_default();
        sum.attempts = sum.attempts.saturating_add(count.attempts);
        sum.recovered = sum.recovered.saturating_add(count.recovered.min(count.attempts));
    }

    pub fn record(&mut self, outcome: &Outcome) {
        self.add(outcome.circumstance, Count { attempts: 1, recovered: u32::from(outcome.recovered) });
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Circumstance, &Count)> {
        self.0.iter()
    }

    pub fn attempts(&self) -> u64 {
        self.0.values().map(|count| u64::from(count.attempts)).sum()
    }
}
