//! What retries have taught: known when the books are opened, added to when they are closed.

use std::sync::{Arc, LazyLock};

use super::{Books, Catalogue};
use crate::billing::{
    Id,
    chance::{Estimates, Outcome},
    invoice::Invoice,
};

/// What is estimated in each mode.
#[derive(Clone, Debug, Default)]
pub struct Experience {
    pub test: Arc<Estimates>,
    pub live: Arc<Estimates>,
}

/// How a retry ended, to be learned from.
#[derive(Clone, Debug)]
pub struct Learned {
    pub invoice: Id<Invoice>,
    /// Which attempt to collect the invoice it was.
    pub attempt: i64,
    pub livemode: bool,
    pub outcome: Outcome,
}

impl Books {
    /// From now on chances are estimated so.
    pub fn know(&mut self, experience: Arc<Experience>) {
        self.experience = Some(experience);
    }

    /// What is estimated in a mode; before anybody said what is known, the prior.
    pub fn estimates(&self, livemode: bool) -> &Estimates {
        static PRIOR: LazyLock<Estimates> = LazyLock::new(Estimates::default);
        match &self.experience {
            None => &PRIOR,
            Some(experience) if livemode => &experience.live,
            Some(experience) => &experience.test,
        }
    }

    /// A retry has ended.
    pub fn learn(&mut self, learned: Learned) {
        self.learned.push(learned);
    }

    /// The retries that have ended since the last time this was asked.
    pub fn take_learned(&mut self) -> Vec<Learned> {
        std::mem::take(&mut self.learned)
    }

    /// Goes on by another catalogue.
    pub fn consult(&mut self, catalogue: Arc<Catalogue>) {
        self.catalogue = catalogue;
    }
}
