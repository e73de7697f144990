//! The grid that a billing cycle anchor lays over time, and the stretches of it that items are billed for.

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, Timelike, Utc};
use serde::{Deserialize, Serialize};

use super::{
    Books, Id, Refusal, Timestamp,
    period::{Cycle, Interval, OutOfCalendar, Period},
    prorate::{Ratio, price_of},
    subscription::{Item, Subscription},
};

/// `billing_cycle_anchor_config`: where in the month or year the anchor lies. What is not given comes
/// from the time of creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnchorConfig {
    /// 1 to 31; the last of a shorter month stands for what it does not have.
    pub day_of_month: u32,
    #[serde(default)]
    pub hour: Option<u32>,
    #[serde(default)]
    pub minute: Option<u32>,
    #[serde(default)]
    pub month: Option<u32>,
    #[serde(default)]
    pub second: Option<u32>,
}

/// A stretch of time that an item is billed for.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    pub item: Id<Item>,
    pub period: Period,
    pub terms: Terms,
}

/// What a stretch of time costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terms {
    /// The price.
    Whole,
    /// A part of it.
    Part(Ratio),
    /// Nothing: a trial.
    Trial,
}

/// Where the boundaries of all items lie.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    pub anchor: Timestamp,
    pub config: Option<AnchorConfig>,
}

fn outside(_: OutOfCalendar) -> Refusal {
    Refusal::invalid(OutOfCalendar.to_string())
}

fn utc(time: Timestamp) -> Result<DateTime<Utc>, Refusal> {
    DateTime::from_timestamp(time.unix_seconds(), 0).ok_or_else(|| outside(OutOfCalendar))
}

fn days_in_month(year: i32, month: u32) -> u32 {
    let next =
        if month == 12 { NaiveDate::from_ymd_opt(year + 1, 1, 1) } else { NaiveDate::from_ymd_opt(year, month + 1, 1) };
    next.and_then(|first| first.pred_opt()).map_or(28, |last| last.day())
}

impl Grid {
    /// The period of the grid that a time lies in.
    pub fn period_at(self, cycle: Cycle, time: Timestamp) -> Result<Period, Refusal> {
        cycle.period_at(self.origin(cycle)?, time).map_err(outside)
    }

    /// The boundary that the others are counted from. An anchor that was clamped to the end of its month
    /// (the 30th for the 31st) would pull all later ones down with it: a month that has the day stands in.
    fn origin(self, cycle: Cycle) -> Result<Timestamp, Refusal> {
        let Some(config) = self.config else { return Ok(self.anchor) };
        let anchor = utc(self.anchor)?;
        let clamped =
            anchor.day() < config.day_of_month && anchor.day() == days_in_month(anchor.year(), anchor.month());
        if !clamped || !matches!(cycle.interval, Interval::Month | Interval::Year) {
            return Ok(self.anchor);
        }
        // Four years of months see the longest February that there is.
        let mut best = anchor;
        for place in 1..=48 {
            let boundary = utc(cycle.boundary(self.anchor, place).map_err(outside)?)?;
            let day = config.day_of_month.min(days_in_month(boundary.year(), boundary.month()));
            if day > best.day() {
                best = boundary.with_day(day).unwrap_or(best);
            }
        }
        Ok(Timestamp::new(best.timestamp()))
    }
}

impl AnchorConfig {
    pub fn check(&self) -> Result<(), Refusal> {
        for (name, value, range) in [
            ("day_of_month", Some(self.day_of_month), 1..=31),
            ("hour", self.hour, 0..=23),
            ("minute", self.minute, 0..=59),
            ("month", self.month, 1..=12),
            ("second", self.second, 0..=59),
        ] {
            if value.is_some_and(|value| !range.contains(&value)) {
                let message = format!("Invalid {name}: it must be between {} and {}.", range.start(), range.end());
                return Err(Refusal::invalid(message).param(format!("billing_cycle_anchor_config[{name}]")));
            }
        }
        Ok(())
    }

    /// The first time at or after `from` that it names; the time of day, where it is left open, is that
    /// of `created`.
    pub fn next(&self, from: Timestamp, created: Timestamp) -> Result<Timestamp, Refusal> {
        let (from, created) = (utc(from)?, utc(created)?);
        let time = NaiveTime::from_hms_opt(
            self.hour.unwrap_or(created.hour()),
            self.minute.unwrap_or(created.minute()),
            self.second.unwrap_or(created.second()),
        );
        let first = from.year() * 12 + i32::try_from(from.month0()).unwrap_or(0);
        // Some month of the year after next is always late enough.
        for months in first..first + 25 {
            let (year, month) = (months.div_euclid(12), u32::try_from(months.rem_euclid(12)).unwrap_or(0) + 1);
            if self.month.is_some_and(|only| only != month) {
                continue;
            }
            let day = self.day_of_month.min(days_in_month(year, month));
            let found =
                NaiveDate::from_ymd_opt(year, month, day).zip(time).map(|(day, time)| day.and_time(time).and_utc());
            if let Some(found) = found.filter(|found| *found >= from) {
                return Ok(Timestamp::new(found.timestamp()));
            }
        }
        Err(outside(OutOfCalendar))
    }
}

impl Subscription {
    pub fn grid(&self) -> Grid {
        Grid { anchor: self.billing_cycle_anchor, config: self.billing_cycle_anchor_config }
    }

    /// What an item is billed for from a time on: up to the next boundary, or to the end of the
    /// subscription if that comes first. What is shorter than a whole period costs its part of it.
    pub fn span_from(&self, books: &Books, item: &Item, from: Timestamp) -> Result<Span, Refusal> {
        let natural = self.grid().period_at(cycle_of(books, item)?, from)?;
        let end = self.cancel_at.filter(|end| *end > from).map_or(natural.end, |end| end.min(natural.end));
        let period = Period { start: from, end };
        Ok(Span { item: item.id.clone(), period, terms: terms(period, natural) })
    }
}

/// What a part of a natural period costs.
pub fn terms(period: Period, natural: Period) -> Terms {
    if period == natural { Terms::Whole } else { Terms::Part(Ratio::of(period.seconds(), natural.seconds())) }
}

/// How often an item recurs.
pub fn cycle_of(books: &Books, item: &Item) -> Result<Cycle, Refusal> {
    let recurs = price_of(books, item)?.cycle();
    recurs.ok_or_else(|| Refusal::internal(format!("The price {} of {} does not recur.", item.price, item.id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::new(text.parse::<DateTime<Utc>>().unwrap().timestamp())
    }

    fn day(day_of_month: u32) -> AnchorConfig {
        AnchorConfig { day_of_month, hour: None, minute: None, month: None, second: None }
    }

    /// `billing_cycle_anchor_config`: 29 to 31 are clamped to the end of the month, and the time of day
    /// defaults to that of creation.
    #[test]
    fn the_next_anchor_of_a_config() {
        let created = "2026-11-17T15:00:00Z";
        for (config, from, anchor) in [
            (day(31), created, "2026-11-30T15:00:00Z"),
            (day(1), created, "2026-12-01T15:00:00Z"),
            (day(17), created, created),
            (AnchorConfig { hour: Some(14), ..day(17) }, created, "2026-12-17T14:00:00Z"),
            (
                AnchorConfig { hour: Some(0), minute: Some(0), second: Some(0), ..day(1) },
                created,
                "2026-12-01T00:00:00Z",
            ),
            (AnchorConfig { month: Some(2), ..day(31) }, created, "2027-02-28T15:00:00Z"),
            (AnchorConfig { month: Some(2), ..day(31) }, "2027-03-01T00:00:00Z", "2028-02-29T15:00:00Z"),
            (day(5), "2026-12-31T23:59:59Z", "2027-01-05T15:00:00Z"),
        ] {
            assert_eq!(config.next(at(from), at(created)).unwrap(), at(anchor), "{config:?} from {from}");
        }
    }

    /// A clamped first boundary does not pull the later ones down.
    #[test]
    fn the_grid_keeps_the_day_that_was_asked_for() {
        let month = |count| Cycle { interval: Interval::Month, count };
        for (config, anchor, cycle, boundaries) in [
            (31, "2026-11-30T15:00:00Z", month(1), ["2026-12-31", "2027-01-31", "2027-02-28", "2027-03-31"]),
            (30, "2027-02-28T15:00:00Z", month(1), ["2027-03-30", "2027-04-30", "2027-05-30", "2027-06-30"]),
            (31, "2026-11-30T15:00:00Z", month(2), ["2027-01-31", "2027-03-31", "2027-05-31", "2027-07-31"]),
            (31, "2026-11-30T15:00:00Z", month(12), ["2027-11-30", "2028-11-30", "2029-11-30", "2030-11-30"]),
            (31, "2027-02-28T15:00:00Z", month(12), ["2028-02-29", "2029-02-28", "2030-02-28", "2031-02-28"]),
            (15, "2027-02-15T15:00:00Z", month(1), ["2027-03-15", "2027-04-15", "2027-05-15", "2027-06-15"]),
        ] {
            let grid = Grid { anchor: at(anchor), config: Some(day(config)) };
            let mut time = at(anchor);
            for boundary in boundaries {
                let period = grid.period_at(cycle, time).unwrap();
                assert_eq!((period.start, period.end), (time, at(&format!("{boundary}T15:00:00Z"))), "{anchor}");
                time = period.end;
            }
        }
    }

    #[test]
    fn a_config_out_of_range_is_refused() {
        for (config, param) in [
            (day(0), "day_of_month"),
            (day(32), "day_of_month"),
            (AnchorConfig { hour: Some(24), ..day(1) }, "hour"),
            (AnchorConfig { month: Some(13), ..day(1) }, "month"),
        ] {
            let param = format!("billing_cycle_anchor_config[{param}]");
            assert_eq!(config.check().unwrap_err().param, Some(param));
        }
    }
}
