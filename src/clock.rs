//! The only file that asks the time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use crate::billing::{
    Timestamp,
    id::{TICKS_PER_DECISION, TICKS_PER_MILLISECOND},
};

/// What time it is: the wall's, or whatever a test says.
#[derive(Clone, Debug)]
pub struct Clock {
    source: Source,
    /// The last tick handed out: decisions of one process never share theirs.
    last_tick: Arc<AtomicU64>,
}

#[derive(Clone, Debug)]
enum Source {
    /// Wall time and an offset in seconds.
    Wall(i64),
    Manual(Arc<AtomicI64>),
}

impl Clock {
    pub fn wall() -> Clock {
        Clock::shifted(0)
    }

    /// Wall time moved by some seconds: for tests that need a later day in another process.
    pub fn shifted(seconds: i64) -> Clock {
        Clock { source: Source::Wall(seconds), last_tick: Arc::default() }
    }

    /// A clock that stands still until it is [set](Clock::set).
    pub fn manual(now: Timestamp) -> Clock {
        let source = Source::Manual(Arc::new(AtomicI64::new(now.unix_seconds())));
        Clock { source, last_tick: Arc::default() }
    }

    /// Moves a manual clock; the wall's cannot be moved.
    pub fn set(&self, now: Timestamp) {
        if let Source::Manual(time) = &self.source {
            time.store(now.unix_seconds(), Ordering::SeqCst);
        }
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::new(i64::try_from(self.milliseconds() / 1000).unwrap_or(i64::MAX))
    }

    /// A span of ticks for the ids of one decision: later than those of every decision before it in
    /// this process, so that what happened later sorts later even within a millisecond.
    pub fn ticks(&self) -> u64 {
        let now = self.milliseconds().saturating_mul(TICKS_PER_MILLISECOND);
        let next = |last: u64| last.max(now).saturating_add(TICKS_PER_DECISION);
        let taken = self.last_tick.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |last| Some(next(last)));
        taken.map_or(now, |last| last.max(now))
    }

    /// Unix milliseconds.
    fn milliseconds(&self) -> u64 {
        match &self.source {
            Source::Wall(offset) => {
                let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let milliseconds = u64::try_from(wall.as_millis()).unwrap_or(0);
                milliseconds.saturating_add_signed(offset.saturating_mul(1000))
            }
            Source::Manual(time) => u64::try_from(time.load(Ordering::SeqCst)).unwrap_or(0).saturating_mul(1000),
        }
    }
}
