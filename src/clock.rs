//! The only file that asks the time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use crate::billing::Timestamp;

/// What time it is: the wall's, or whatever a test says.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    /// Wall time and an offset in seconds.
    Wall(i64),
    Manual(Arc<AtomicI64>),
}

impl Clock {
    pub const fn wall() -> Clock {
        Clock(Source::Wall(0))
    }

    /// Wall time moved by some seconds: for tests that need a later day in another process.
    pub const fn shifted(seconds: i64) -> Clock {
        Clock(Source::Wall(seconds))
    }

    /// A clock that stands still until it is [set](Clock::set).
    pub fn manual(now: Timestamp) -> Clock {
        Clock(Source::Manual(Arc::new(AtomicI64::new(now.unix_seconds()))))
    }

    /// Moves a manual clock; the wall's cannot be moved.
    pub fn set(&self, now: Timestamp) {
        if let Source::Manual(time) = &self.0 {
            time.store(now.unix_seconds(), Ordering::SeqCst);
        }
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::new(i64::try_from(self.milliseconds() / 1000).unwrap_or(i64::MAX))
    }

    /// Unix milliseconds; ids sort by them.
    pub fn milliseconds(&self) -> u64 {
        match &self.0 {
            Source::Wall(offset) => {
                let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let milliseconds = u64::try_from(wall.as_millis()).unwrap_or(0);
                milliseconds.saturating_add_signed(offset.saturating_mul(1000))
            }
            Source::Manual(time) => u64::try_from(time.load(Ordering::SeqCst)).unwrap_or(0).saturating_mul(1000),
        }
    }
}
