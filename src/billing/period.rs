//! Billing cycle arithmetic: boundaries are counted from the anchor, never from each other.
//!
//! Boundary k = anchor + k × interval, in UTC, the day clamped to the end of its month. Counting from
//! the previous boundary instead would let the 31st decay to the 28th for good.

use chrono::{DateTime, Months, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interval {
    Day,
    Week,
    Month,
    Year,
}

impl Interval {
    pub const fn word(self) -> &'static str {
        match self {
            Interval::Day => "day",
            Interval::Week => "week",
            Interval::Month => "month",
            Interval::Year => "year",
        }
    }

    /// The longest that a price may recur: three years.
    pub const fn maximum_count(self) -> i64 {
        match self {
            Interval::Day => 1095,
            Interval::Week => 156,
            Interval::Month => 36,
            Interval::Year => 3,
        }
    }
}

/// How often something recurs: every `count` intervals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cycle {
    pub interval: Interval,
    pub count: i64,
}

/// A span of time, `[start, end)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    pub end: Timestamp,
    pub start: Timestamp,
}

/// The calendar ends (about the year 262,000) before the boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a billing period lies outside the calendar")]
pub struct OutOfCalendar;

impl Cycle {
    /// Boundary `k` of the grid that `anchor` lays; `k` may be negative.
    pub fn boundary(self, anchor: Timestamp, k: i64) -> Result<Timestamp, OutOfCalendar> {
        let steps = k.checked_mul(self.count).ok_or(OutOfCalendar)?;
        let start = DateTime::<Utc>::from_timestamp(anchor.unix_seconds(), 0).ok_or(OutOfCalendar)?;
        let months = |months: i64| {
            let distance = u32::try_from(months.unsigned_abs()).ok().map(Months::new)?;
            if months < 0 { start.checked_sub_months(distance) } else { start.checked_add_months(distance) }
        };
        let boundary = match self.interval {
            Interval::Day => TimeDelta::try_days(steps).and_then(|delta| start.checked_add_signed(delta)),
            Interval::Week => TimeDelta::try_weeks(steps).and_then(|delta| start.checked_add_signed(delta)),
            Interval::Month => months(steps),
            Interval::Year => steps.checked_mul(12).and_then(months),
        };
        boundary.map(|time| Timestamp::new(time.timestamp())).ok_or(OutOfCalendar)
    }

    /// The period between two boundaries that `time` lies in.
    pub fn period_at(self, anchor: Timestamp, time: Timestamp) -> Result<Period, OutOfCalendar> {
        let next = self.next_place(anchor, time)?;
        let start = self.boundary(anchor, next.checked_sub(1).ok_or(OutOfCalendar)?)?;
        Ok(Period { start, end: self.boundary(anchor, next)? })
    }

    /// Where so much time ends that begins at `start`: counted from the anchor where that lies on its grid, so
    /// that what follows each other meets the boundaries of the same grid; else from the start itself.
    pub fn end_from(self, start: Timestamp, anchor: Timestamp) -> Result<Timestamp, OutOfCalendar> {
        let unit = Cycle { count: 1, ..self };
        let place = unit.next_place(anchor, start)?.checked_sub(1).ok_or(OutOfCalendar)?;
        if unit.boundary(anchor, place)? != start {
            return self.boundary(start, 1);
        }
        unit.boundary(anchor, place.checked_add(self.count).ok_or(OutOfCalendar)?)
    }

    /// Which boundary is the first strictly later than `time`.
    fn next_place(self, anchor: Timestamp, time: Timestamp) -> Result<i64, OutOfCalendar> {
        // Counting too long intervals forwards, and too short ones backwards, starts at or before the answer.
        let (shortest, longest) = match self.interval {
            Interval::Day => (86_400, 86_400),
            Interval::Week => (604_800, 604_800),
            Interval::Month => (28 * 86_400, 31 * 86_400),
            Interval::Year => (365 * 86_400, 366 * 86_400),
        };
        let distance = i128::from(time.unix_seconds()) - i128::from(anchor.unix_seconds());
        let stride = i128::from(if distance < 0 { shortest } else { longest }) * i128::from(self.count);
        let mut k = i64::try_from(distance.div_euclid(stride)).map_err(|_| OutOfCalendar)?;
        while self.boundary(anchor, k)? <= time {
            k += 1;
        }
        Ok(k)
    }

    /// Whether this is a whole number of the other: days and weeks, or months and years.
    pub fn is_multiple_of(self, other: Cycle) -> bool {
        let (this, that) = (self.in_units(), other.in_units());
        this.0 == that.0 && that.1 > 0 && this.1 % that.1 == 0
    }

    /// Its length in the smallest unit of its calendar: days, or months.
    fn in_units(self) -> (Interval, i64) {
        match self.interval {
            Interval::Day => (Interval::Day, self.count),
            Interval::Week => (Interval::Day, 7 * self.count),
            Interval::Month => (Interval::Month, self.count),
            Interval::Year => (Interval::Month, 12 * self.count),
        }
    }
}

impl Period {
    pub const fn seconds(self) -> i64 {
        self.end.unix_seconds() - self.start.unix_seconds()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::new(text.parse::<DateTime<Utc>>().unwrap().timestamp())
    }

    fn walk(anchor: &str, interval: Interval, count: i64, expected: &[&str]) {
        let (cycle, anchor) = (Cycle { interval, count }, at(anchor));
        let mut time = anchor;
        for (k, text) in (1..).zip(expected) {
            time = cycle.period_at(anchor, time).unwrap().end;
            assert_eq!(time, at(text), "boundary {k}");
            assert_eq!(cycle.boundary(anchor, k).unwrap(), time);
        }
    }

    /// The table of boundaries in the rules of cycle arithmetic.
    #[test]
    fn boundaries_of_the_table() {
        walk(
            "2027-01-31T09:00:05Z",
            Interval::Month,
            1,
            &[
                "2027-02-28T09:00:05Z",
                "2027-03-31T09:00:05Z",
                "2027-04-30T09:00:05Z",
                "2027-05-31T09:00:05Z",
                "2027-06-30T09:00:05Z",
                "2027-07-31T09:00:05Z",
            ],
        );
        walk("2028-01-31T09:00:05Z", Interval::Month, 1, &["2028-02-29T09:00:05Z", "2028-03-31T09:00:05Z"]);
        walk(
            "2026-01-30T00:00:00Z",
            Interval::Month,
            3,
            &["2026-04-30T00:00:00Z", "2026-07-30T00:00:00Z", "2026-10-30T00:00:00Z", "2027-01-30T00:00:00Z"],
        );
        walk(
            "2026-08-31T00:00:00Z",
            Interval::Month,
            6,
            &["2027-02-28T00:00:00Z", "2027-08-31T00:00:00Z", "2028-02-29T00:00:00Z"],
        );
        walk(
            "2028-02-29T00:00:00Z",
            Interval::Year,
            1,
            &["2029-02-28T00:00:00Z", "2030-02-28T00:00:00Z", "2031-02-28T00:00:00Z", "2032-02-29T00:00:00Z"],
        );
        walk("2026-11-02T08:00:00Z", Interval::Week, 2, &["2026-11-16T08:00:00Z", "2026-11-30T08:00:00Z"]);
        walk("2026-12-31T23:59:59Z", Interval::Day, 1, &["2027-01-01T23:59:59Z", "2027-01-02T23:59:59Z"]);
    }

    /// Which intervals may be mixed: whole multiples of the shortest.
    #[test]
    fn intervals_of_one_calendar_divide_each_other() {
        use Interval::{Day, Month, Week, Year};
        for (longer, shorter, fits) in [
            ((Month, 3), (Month, 1), true),
            ((Year, 1), (Month, 1), true),
            ((Week, 1), (Day, 1), true),
            ((Week, 4), (Week, 2), true),
            ((Month, 6), (Month, 2), true),
            ((Month, 3), (Month, 2), false),
            ((Month, 6), (Month, 4), false),
            ((Month, 1), (Week, 1), false),
            ((Week, 1), (Day, 2), false),
            ((Year, 1), (Month, 5), false),
        ] {
            let of = |(interval, count)| Cycle { interval, count };
            assert_eq!(of(longer).is_multiple_of(of(shorter)), fits, "{longer:?} of {shorter:?}");
        }
    }

    #[test]
    fn the_calendar_ends_without_a_panic() {
        let cycle = Cycle { interval: Interval::Year, count: 3 };
        assert_eq!(cycle.boundary(at("2026-01-01T00:00:00Z"), i64::MAX), Err(OutOfCalendar));
        assert_eq!(cycle.boundary(Timestamp::new(i64::MAX), 1), Err(OutOfCalendar));
        assert_eq!(cycle.period_at(Timestamp::new(i64::MIN), Timestamp::new(i64::MAX)), Err(OutOfCalendar));
    }

    fn any_cycle() -> impl Strategy<Value = Cycle> {
        (prop_oneof![Just(Interval::Day), Just(Interval::Week), Just(Interval::Month), Just(Interval::Year)], 1_i64..=3)
            .prop_map(|(interval, count)| Cycle { interval, count })
    }

    // 1970 to 2100.
    const SPAN: std::ops::Range<i64> = 0..4_102_444_800;

    proptest! {
        #[test]
        fn boundaries_rise(anchor in SPAN, k in -50_i64..200, cycle in any_cycle()) {
            let anchor = Timestamp::new(anchor);
            prop_assert!(cycle.boundary(anchor, k).unwrap() < cycle.boundary(anchor, k + 1).unwrap());
        }

        #[test]
        fn a_time_lies_in_the_period_between_two_boundaries(anchor in SPAN, time in SPAN, cycle in any_cycle()) {
            let (anchor, time) = (Timestamp::new(anchor), Timestamp::new(time));
            let period = cycle.period_at(anchor, time).unwrap();
            prop_assert!(period.start <= time && time < period.end);
            prop_assert_eq!(cycle.period_at(anchor, period.start).unwrap(), period);
            // Both are boundaries, with none between them.
            let k = (-4000_i64..60_000).find(|k| cycle.boundary(anchor, *k).unwrap() == period.end);
            if let Some(k) = k {
                prop_assert_eq!(cycle.boundary(anchor, k - 1).unwrap(), period.start);
            }
        }

        #[test]
        fn the_time_of_day_never_moves(anchor in SPAN, k in 0_i64..240, cycle in any_cycle()) {
            let boundary = cycle.boundary(Timestamp::new(anchor), k).unwrap();
            prop_assert_eq!(boundary.unix_seconds().rem_euclid(86_400), anchor.rem_euclid(86_400));
        }
    }
}
