//! The three things a pure rule cannot know: what time it is, what the next new id shall be, and where
//! the server is reached.

use std::{fmt, sync::Arc};

use chrono::{DateTime, Datelike as _};
use serde::{Deserialize, Serialize};

use super::{Refusal, id::Ids};

/// Unix seconds, UTC. There is no `now()` here: time is always an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl Timestamp {
    pub const fn new(unix_seconds: i64) -> Self {
        Timestamp(unix_seconds)
    }

    pub const fn unix_seconds(self) -> i64 {
        self.0
    }

    /// The day it falls on in UTC, as descriptions say it: `05 Nov 2026`.
    pub fn day(self) -> Result<String, Refusal> {
        let time = DateTime::from_timestamp(self.0, 0);
        let time = time.ok_or_else(|| Refusal::invalid("A time lies outside the calendar."))?;
        let month = MONTHS[usize::try_from(time.month0()).unwrap_or(0) % 12];
        Ok(format!("{:02} {month} {}", time.day(), time.year()))
    }

    /// Later by some seconds; stops at the end of time rather than wrapping.
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Timestamp(self.0.saturating_add(seconds))
    }

    /// The same for days of 24 hours.
    pub const fn plus_days(self, days: i64) -> Self {
        self.plus_seconds(days.saturating_mul(86_400))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The moment at which a rule decides. Live customers live at wall time, customers on a test clock
/// at its frozen time.
#[derive(Debug)]
pub struct Moment {
    pub now: Timestamp,
    pub ids: Ids,
    /// Where people reach this server: the start of the links in documents, without a slash at its end.
    pub address: Arc<str>,
}

impl Moment {
    pub fn new(now: Timestamp, ids: Ids) -> Self {
        Moment { now, ids, address: Arc::from("http://localhost") }
    }
}
