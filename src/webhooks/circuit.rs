//! How much goes out to one endpoint at a time. Who answers well gets much, who has not answered yet
//! little; who failed several times in a row gets one attempt every now and then, until one succeeds.

use crate::billing::Timestamp;

/// How many deliveries are under way to an endpoint that answers, to one of which nothing is known yet,
/// and to one that has begun to fail.
const PROVEN: usize = 64;
const UNKNOWN: usize = 1;
const FAILING: usize = 4;
/// So many failures in a row open the circuit.
const OPENS_AFTER: u32 = 5;
/// The first pause of an open circuit, which doubles with every probe in vain, and the longest.
const FIRST_PAUSE_SECONDS: i64 = 5;
const LONGEST_PAUSE_SECONDS: i64 = 300;

/// What one process knows of an endpoint. Forgetting it costs a few attempts and nothing else.
#[derive(Clone, Debug, Default)]
pub struct Circuit {
    under_way: usize,
    answered: bool,
    failures_in_a_row: u32,
    probe_at: Option<Timestamp>,
}

impl Circuit {
    /// How many more deliveries may be begun.
    pub fn room(&self, now: Timestamp) -> usize {
        let most = match (self.probe_at, self.failures_in_a_row) {
            (Some(probe_at), _) => usize::from(probe_at <= now),
            (None, 0) if self.answered => PROVEN,
            (None, 0) => UNKNOWN,
            (None, _) => FAILING,
        };
        most.saturating_sub(self.under_way)
    }

    pub const fn is_open(&self) -> bool {
        self.probe_at.is_some()
    }

    /// Its last answer was a good one.
    pub const fn is_proven(&self) -> bool {
        self.answered && self.failures_in_a_row == 0
    }

    pub fn begun(&mut self, deliveries: usize) {
        self.under_way += deliveries;
    }

    pub fn ended(&mut self, deliveries: usize) {
        self.under_way = self.under_way.saturating_sub(deliveries);
    }

    pub fn succeeded(&mut self) {
        *self = Circuit { under_way: self.under_way, answered: true, ..Circuit::default() };
    }

    pub fn failed(&mut self, now: Timestamp) {
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        // What was under way when it opened ends now and then; only probes prolong the pause.
        if self.failures_in_a_row >= OPENS_AFTER && self.probe_at.is_none_or(|probe_at| probe_at <= now) {
            let doublings = (self.failures_in_a_row - OPENS_AFTER).min(6);
            let pause = (FIRST_PAUSE_SECONDS << doublings).min(LONGEST_PAUSE_SECONDS);
            self.probe_at = Some(now.plus_seconds(pause));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::new(1_000_000 + seconds)
    }

    #[test]
    fn opens_after_failures_in_a_row_and_closes_with_a_success() {
        let mut circuit = Circuit::default();
        assert_eq!(circuit.room(at(0)), UNKNOWN);
        circuit.succeeded();
        assert_eq!(circuit.room(at(0)), PROVEN);
        for _ in 1..OPENS_AFTER {
            circuit.failed(at(0));
            assert_eq!((circuit.room(at(0)), circuit.is_open()), (FAILING, false));
        }
        circuit.failed(at(0));
        assert_eq!((circuit.room(at(0)), circuit.room(at(4)), circuit.room(at(5))), (0, 0, 1));
        circuit.begun(1);
        assert_eq!(circuit.room(at(5)), 0, "one probe at a time");
        circuit.ended(1);
        circuit.failed(at(5));
        assert_eq!((circuit.room(at(14)), circuit.room(at(15))), (0, 1), "the pause doubles");
        circuit.succeeded();
        assert_eq!((circuit.room(at(15)), circuit.is_open()), (PROVEN, false));
    }

    #[test]
    fn a_pause_is_five_minutes_at_most() {
        let mut circuit = Circuit::default();
        let mut now = 0;
        for _ in 0..100 {
            circuit.failed(at(now));
            assert!(circuit.room(at(now + LONGEST_PAUSE_SECONDS)) > 0);
            now += LONGEST_PAUSE_SECONDS;
        }
    }

    #[test]
    fn what_ends_in_vain_while_it_is_open_does_not_prolong_the_pause() {
        let mut circuit = Circuit::default();
        for _ in 0..PROVEN {
            circuit.failed(at(0));
        }
        assert_eq!(circuit.room(at(5)), 1);
    }

    #[test]
    fn holds_no_more_than_its_share() {
        let mut circuit = Circuit::default();
        circuit.succeeded();
        circuit.begun(PROVEN);
        assert_eq!(circuit.room(at(0)), 0);
        circuit.ended(3);
        assert_eq!(circuit.room(at(0)), 3);
    }
}
