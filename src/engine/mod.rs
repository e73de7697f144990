//! Drives, decides nothing: open → decide → close → ask → settle.
//!
//! | file | what |
//! |---|---|
//! | `verb` | what can be asked of the books |
//! | `close` | turns decided books into rows, events and deliveries |
//! | `request` | one verb for one caller, with its idempotency receipt |
//! | `draft` | what was decided for a caller, and is to be written |
//! | `group` | callers who write together |
//! | `learn` | what retries have taught |
//! | `preview` | a decision that is not kept |
//! | `payment` | questions to the processor, and the settling of their answers |
//! | `work` | rounds of settling and advancing for many customers at once |
//! | `simulate` | what smart retries are worth |
//! | `ticker` | what is due at wall time |
//! | `parked` | customers whose due things were refused too often |
//! | `clocks` | test clocks that advance |
//! | `authenticate` | what an authentication comes to |
//! | `checkout` | the page of a session, filled in |
//!
//! A transaction is never open while the processor is being asked.

pub mod authenticate;
pub mod checkout;
pub mod clocks;
pub mod close;
mod draft;
mod group;
pub mod learn;
pub mod parked;
pub mod payment;
pub mod preview;
pub mod request;
pub mod simulate;
pub mod ticker;
pub mod verb;
pub mod work;

use std::sync::{Arc, Mutex, RwLock, atomic::AtomicI64};

use rand::{TryRng as _, rngs::SysRng};
use tokio::sync::Notify;

use crate::{
    billing::{Moment, Refusal, Timestamp, books::Experience, id::Ids},
    clock::Clock,
    gateway::Gateway,
    metrics::Metrics,
    store::{Fault, Store, books::Listening, retries},
};

use group::Gathering;

pub use close::{Cause, Closed};
pub use request::{Answered, Render, Request};
pub use verb::{Asked, Owner, Subject, Verb};

/// All that driving needs.
#[derive(Clone)]
pub struct Engine {
    pub store: Store,
    pub gateway: Arc<dyn Gateway>,
    pub clock: Clock,
    /// Where people reach this server, without a slash at its end.
    pub address: Arc<str>,
    pub metrics: Metrics,
    /// A test clock was told to advance: it starts at once instead of at the next poll.
    pub clock_moved: Arc<Notify>,
    /// New deliveries were written.
    pub told: Arc<Notify>,
    pub webhooks: Webhooks,
    /// What this process last learned of retries.
    pub experience: Arc<RwLock<Arc<Experience>>>,
    learned_from: Arc<Mutex<Option<retries::Extent>>>,
    /// The second in which this process last looked for payments of nobody that are due.
    guests_done_at: Arc<AtomicI64>,
    /// Who listened, and the settings, when this process last looked.
    listening: Arc<RwLock<Option<Listening>>>,
    gathering: Arc<Gathering>,
}

/// What whoever runs the server has said about webhooks.
#[derive(Clone, Copy, Debug)]
pub struct Webhooks {
    /// Live endpoints may lie in private networks.
    pub allow_private: bool,
    /// For how many days the log of deliveries is kept.
    pub log_days: i64,
}

impl Default for Webhooks {
    fn default() -> Self {
        Webhooks { allow_private: false, log_days: 7 }
    }
}

/// Why a verb was not done.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Broken(#[from] Fault),
}

impl Engine {
    pub fn new(store: Store, gateway: Arc<dyn Gateway>, clock: Clock, metrics: Metrics) -> Engine {
        let address = Arc::from("http://localhost");
        Engine {
            store,
            gateway,
            clock,
            address,
            metrics,
            clock_moved: Arc::new(Notify::new()),
            told: Arc::new(Notify::new()),
            webhooks: Webhooks::default(),
            experience: Arc::default(),
            learned_from: Arc::default(),
            guests_done_at: Arc::default(),
            listening: Arc::default(),
            gathering: Arc::default(),
        }
    }

    /// A moment at `now`, with ids that sort by wall time.
    pub fn moment(&self, now: Timestamp) -> Result<Moment, Fault> {
        Ok(Moment { address: Arc::clone(&self.address), ..Moment::new(now, new_ids(&self.clock)?) })
    }
}

/// Ids that sort by wall time, seeded by the operating system.
pub fn new_ids(clock: &Clock) -> Result<Ids, Fault> {
    let mut seed = [0; 32];
    SysRng.try_fill_bytes(&mut seed).map_err(|error| Fault::Setup(format!("no randomness to be had: {error}")))?;
    Ok(Ids::new(clock.ticks(), seed))
}
