//! When an attempt in vain is repeated, and when no more.

use crate::{billing::Timestamp, store::delivery::GIVE_UP_SECONDS};

const LONGEST_SECONDS: i64 = 43_200;

/// When to try again after this attempt (from 1) of a delivery that was first due at `created`; `None`
/// when it is given up. An endpoint that says how long to stay away is heard.
pub fn next(event: &str, attempt: i32, created: i64, retry_after: Option<i64>, now: Timestamp) -> Option<i64> {
    let now = now.unix_seconds();
    if now - created >= GIVE_UP_SECONDS {
        return None;
    }
    let asked = retry_after.unwrap_or(0).clamp(0, LONGEST_SECONDS);
    Some(now + back_off_seconds(attempt, event).max(asked))
}

/// 5 s, 10 s, 20 s … to 12 h, and up to a fifth more, so that events that failed together do not come
/// back together. The jitter follows from the event, so it needs no chance.
fn back_off_seconds(attempt: i32, event: &str) -> i64 {
    let doublings = u32::try_from(attempt.clamp(1, 14) - 1).unwrap_or(0);
    let base = (5_i64 << doublings).min(LONGEST_SECONDS);
    let hash = event.bytes().fold(0_i64, |hash, byte| (hash * 31 + i64::from(byte)) % 1_000);
    base + base * hash / 5_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backs_off_up_to_half_a_day() {
        for (attempt, least) in [(1, 5), (2, 10), (5, 80), (14, 40_960), (1000, 40_960)] {
            let seconds = back_off_seconds(attempt, "evt_1");
            assert!((least..=least + least / 5 + 1).contains(&seconds), "{attempt}: {seconds}");
        }
        assert_ne!(back_off_seconds(10, "evt_1"), back_off_seconds(10, "evt_2"));
    }

    #[test]
    fn tries_for_three_days_and_stays_away_when_asked() {
        let now = Timestamp::new(GIVE_UP_SECONDS);
        assert_eq!(next("evt_1", 9, 0, None, now), None);
        assert!(next("evt_1", 9, 1, None, now).is_some());
        assert_eq!(next("evt_1", 1, 1, Some(600), now), Some(GIVE_UP_SECONDS + 600));
        assert!(next("evt_1", 1, 1, Some(-5), now).is_some_and(|due| due >= GIVE_UP_SECONDS + 5));
        assert_eq!(next("evt_1", 1, 1, Some(i64::MAX), now), Some(GIVE_UP_SECONDS + LONGEST_SECONDS));
    }
}
