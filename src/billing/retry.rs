//! When a payment that failed is tried again. `custom` counts days from one attempt to the next; `smart`
//! has a window that begins with the first failure, and chooses the times in it ([`attempts::plan`]). Where
//! it has no failure to go by, they are spread evenly: each retry has a slot of the window.

use serde::{Deserialize, Serialize};

use super::{
    Books, Id, Timestamp, attempts,
    invoice::{Invoice, Status},
    payment_method::PaymentMethod,
    settings::{Retries, RetryMode},
    subscription::CollectionMethod,
};

const HOUR_SECONDS: i64 = 3600;
const DAY_SECONDS: i64 = 24 * HOUR_SECONDS;
/// Two attempts of the smart mode are never closer than this, however late the first one was made.
const PAUSE_SECONDS: i64 = 6 * HOUR_SECONDS;

/// How far the retries of an invoice have come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// When the payment failed first.
    pub since: Timestamp,
    /// How many retries were made.
    pub made: i64,
    /// Cards that were declined for good, or want their holder to authenticate: no use in charging
    /// them again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spent: Vec<Id<PaymentMethod>>,
}

/// An attempt to collect that came to nothing.
#[derive(Clone, Debug)]
pub struct Tried {
    /// Made by the billing cycle, not by a caller.
    pub automatic: bool,
    /// The card that is no use any more.
    pub spent: Option<Id<PaymentMethod>>,
}

/// When one smart retry may be made. The slots of a window do not overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// 1 for the first retry.
    pub number: i64,
    /// How many retries there are.
    pub of: i64,
    pub earliest: Timestamp,
    /// Its place in the even spread.
    pub even: Timestamp,
    pub latest: Timestamp,
}

/// The time of the next retry, if one is left.
pub fn next(retries: &Retries, progress: &Progress, now: Timestamp) -> Option<Timestamp> {
    match retries.mode {
        RetryMode::Custom => {
            let gap = retries.days.get(usize::try_from(progress.made).ok()?)?;
            Some(now.plus_days(*gap))
        }
        RetryMode::Off => None,
        RetryMode::Smart => Some(slot(retries, progress, now)?.even),
    }
}

/// The slot of the next smart retry. What was missed (a server that did not run, a window that was
/// shortened) is not made up for.
pub fn slot(retries: &Retries, progress: &Progress, now: Timestamp) -> Option<Slot> {
    let (of, days) = (retries.max_attempts, retries.window.days());
    let place = |number| progress.since.plus_seconds(spread(number, of, days));
    let middle =
        |one: Timestamp, other: Timestamp| Timestamp::new(i64::midpoint(one.unix_seconds(), other.unix_seconds()));
    let soonest = now.plus_seconds(PAUSE_SECONDS);
    let number = (progress.made + 1..=of).find(|number| place(*number) >= soonest)?;
    let even = place(number);
    let before = if number == 1 { progress.since } else { place(number - 1) };
    Some(Slot {
        number,
        of,
        earliest: middle(before, even).max(soonest),
        even,
        latest: if number == of { even } else { middle(even, place(number + 1)) },
    })
}

/// The even spread, in seconds after the first failure: the first retry after a day, the last at the end
/// of the window, whole days wherever there are enough of them.
fn spread(number: i64, of: i64, days: i64) -> i64 {
    let unit = if of > days { HOUR_SECONDS } else { DAY_SECONDS };
    let (whole, parts) = ((number - 1) * (days - 1) * DAY_SECONDS, (of - 1).max(1) * unit);
    DAY_SECONDS + (whole + parts - 1) / parts * unit
}

/// The even spread as days from one attempt to the next: what custom retries would have to be.
pub fn even_days(of: i64, window_days: i64) -> Vec<i64> {
    let day = |number| if number == 0 { 0 } else { spread(number, of, window_days) / DAY_SECONDS };
    (1..=of).map(|number| day(number) - day(number - 1)).collect()
}

impl Invoice {
    /// Whether it is tried again by itself until it is given up.
    pub fn is_retried(&self) -> bool {
        self.status == Status::Open
            && self.auto_advance
            && self.collection_method == CollectionMethod::ChargeAutomatically
            && self.internal.given_up.is_none()
    }

    /// The time of the next attempt by itself, unless one is under way.
    pub fn next_attempt(&self) -> Option<Timestamp> {
        self.next_payment_attempt.filter(|_| self.is_retried() && !self.internal.asked)
    }

    /// Whether charging this card again is no use.
    pub fn has_spent(&self, method: &Id<PaymentMethod>) -> bool {
        self.internal.retries.as_ref().is_some_and(|progress| progress.spent.contains(method))
    }

    /// The time of the next attempt after one that failed. Attempts outside the plan leave it alone.
    #[must_use]
    pub fn rescheduled(mut self, books: &Books, tried: Tried, now: Timestamp) -> Invoice {
        if !self.is_retried() {
            self.next_payment_attempt = None;
            return self;
        }
        let begins = self.internal.retries.is_none();
        let fresh = || Progress { since: now, made: 0, spent: Vec::new() };
        let progress = self.internal.retries.get_or_insert_with(fresh);
        progress.spent.extend(tried.spent);
        if tried.automatic || begins || self.next_payment_attempt.is_none() {
            let progress = progress.clone();
            return self.timed(books, &progress, now);
        }
        self
    }

    /// With the time of its next attempt, why it is made then, and what is planned after it.
    fn timed(mut self, books: &Books, progress: &Progress, now: Timestamp) -> Invoice {
        let retries = &books.settings(self.livemode).collection.retries;
        let plan = match retries.mode {
            RetryMode::Smart => attempts::plan(books, &self, progress, now),
            RetryMode::Custom | RetryMode::Off => None,
        };
        let chosen = plan.as_ref().map(|plan| plan.times.first().copied());
        self.next_payment_attempt = chosen.unwrap_or_else(|| next(retries, progress, now));
        if let Some(attempts) = &mut self.internal.attempts {
            attempts.follow(plan);
        }
        self
    }

    /// An open invoice that may advance again: it goes on where its plan stopped, and begins anew where
    /// that was over. What was never tried is tried at once.
    #[must_use]
    pub fn resumed(mut self, books: &Books, now: Timestamp) -> Invoice {
        self.internal.given_up = None;
        if !self.is_retried() || self.internal.asked || self.next_payment_attempt.is_some() {
            return self;
        }
        if !self.attempted {
            self.next_payment_attempt = Some(now);
            return self;
        }
        let spent = self.internal.retries.as_ref().map_or_else(Vec::new, |progress| progress.spent.clone());
        let anew = Progress { since: now, made: 0, spent };
        if let Some(progress) = self.internal.retries.clone() {
            self = self.timed(books, &progress, now);
        }
        if self.next_payment_attempt.is_none() {
            self = self.timed(books, &anew, now);
            self.internal.retries = Some(anew);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::billing::settings::Window;

    const DAY: i64 = DAY_SECONDS;

    fn smart(window: Window, max_attempts: i64) -> Retries {
        Retries { max_attempts, window, ..Retries::default() }
    }

    fn progress(made: i64) -> Progress {
        Progress { since: Timestamp::new(0), made, spent: Vec::new() }
    }

    /// The even spread: the first retry a day after the first failure, the last at the end of the window.
    #[test]
    fn smart_retries_are_spread_evenly() {
        for (window, max_attempts, days) in [
            (Window::TwoWeeks, 8, vec![1, 3, 5, 7, 9, 11, 13, 14]),
            (Window::OneWeek, 4, vec![1, 3, 5, 7]),
            (Window::TwoWeeks, 1, vec![1]),
            (Window::TwoWeeks, 2, vec![1, 14]),
            (Window::ThreeWeeks, 8, vec![1, 4, 7, 10, 13, 16, 19, 21]),
            (Window::OneMonth, 4, vec![1, 11, 21, 30]),
            (Window::TwoMonths, 8, vec![1, 10, 18, 27, 35, 44, 52, 60]),
        ] {
            let retries = smart(window, max_attempts);
            let (mut now, mut made) = (Timestamp::new(0), Vec::new());
            while let Some(time) = next(&retries, &progress(i64::try_from(made.len()).unwrap()), now) {
                now = time;
                made.push(time.unix_seconds() / DAY);
            }
            assert_eq!(made, days, "{window}, {max_attempts}");
        }
        // More retries than days are spread by the hour.
        let hours = (1..=8).map(|number| spread(number, 8, 7) / HOUR_SECONDS).collect::<Vec<_>>();
        assert_eq!(hours, [24, 45, 66, 86, 107, 127, 148, 168]);
    }

    /// Custom: so many days after the previous attempt, whenever that was.
    #[test]
    fn custom_retries_count_from_the_attempt_before() {
        let retries = Retries { mode: RetryMode::Custom, days: vec![3, 5, 7], ..Retries::default() };
        for (made, now, expected) in
            [(0, 0, Some(3)), (1, 3, Some(8)), (1, 10, Some(15)), (2, 8, Some(15)), (3, 15, None)]
        {
            let time = next(&retries, &progress(made), Timestamp::new(now * DAY));
            assert_eq!(time, expected.map(|day| Timestamp::new(day * DAY)), "{made} on day {now}");
        }
        let off = Retries { mode: RetryMode::Off, ..retries };
        assert_eq!(next(&off, &progress(0), Timestamp::new(0)), None);
    }

    #[test]
    fn what_was_missed_is_not_made_up_for() {
        let retries = smart(Window::TwoWeeks, 8);
        // The retry of day 1 was made on day 6; those of days 3 and 5 are lost.
        let later = slot(&retries, &progress(1), Timestamp::new(6 * DAY)).unwrap();
        assert_eq!((later.number, later.even), (4, Timestamp::new(7 * DAY)));
        // A minute before a place is too close to it.
        let later = slot(&retries, &progress(1), Timestamp::new(7 * DAY - 60)).unwrap();
        assert_eq!(later.even, Timestamp::new(9 * DAY));
        assert_eq!(slot(&retries, &progress(1), Timestamp::new(14 * DAY)), None);
    }

    #[test]
    fn slots_meet_and_do_not_overlap() {
        for window in [Window::OneWeek, Window::TwoWeeks, Window::ThreeWeeks, Window::OneMonth, Window::TwoMonths] {
            for of in 1..=8 {
                let retries = smart(window, of);
                let slots: Vec<Slot> =
                    (0..of).map(|made| slot(&retries, &progress(made), Timestamp::new(0)).unwrap()).collect();
                for slot in &slots {
                    assert!(slot.earliest <= slot.even && slot.even <= slot.latest, "{slot:?}");
                }
                for pair in slots.windows(2) {
                    assert_eq!(pair[0].latest, pair[1].earliest);
                    // However late in its slot a retry is made, the next is not lost.
                    assert!(pair[1].even.unix_seconds() - pair[0].latest.unix_seconds() >= PAUSE_SECONDS);
                }
                let last = slots.last().unwrap().latest;
                assert!(last.unix_seconds() <= window.days() * DAY);
            }
        }
    }
}
