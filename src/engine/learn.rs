//! Learning from retries: outcomes are gathered into counts, and estimates are made of all counts. Any
//! number of processes may gather; each estimates for itself.

use std::sync::{Arc, PoisonError};

use super::Engine;
use crate::{
    billing::{
        books::Experience,
        chance::{Estimates, Statistics},
    },
    store::{Fault, retries},
};

/// How many outcomes are gathered in a transaction.
const BATCH: i64 = 5000;

impl Engine {
    /// What is known of retries by now.
    pub fn experience(&self) -> Arc<Experience> {
        Arc::clone(&self.experience.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Gathers what was seen, and estimates anew if there is more or less of it than before.
    pub async fn learn(&self) -> Result<(), Fault> {
        let now = self.clock.now().unix_seconds();
        let mut reader = self.store.reader().await?;
        while retries::gather(&mut reader, BATCH).await? == BATCH.unsigned_abs() {}
        retries::forget(&mut reader, now).await?;
        // Other processes gather, too: what was gathered here says nothing.
        let extent = Some(retries::extent(&mut reader, now).await?);
        if *self.learned_from.lock().unwrap_or_else(PoisonError::into_inner) == extent {
            return Ok(());
        }
        let test = retries::statistics(&mut reader, false, now).await?;
        let live = retries::statistics(&mut reader, true, now).await?;
        drop(reader);
        let experience = Experience { test: estimates(test).await?, live: estimates(live).await? };
        *self.experience.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(experience);
        *self.learned_from.lock().unwrap_or_else(PoisonError::into_inner) = extent;
        Ok(())
    }
}

/// Estimating takes its time where much was seen: not on a thread that answers.
async fn estimates(statistics: Statistics) -> Result<Arc<Estimates>, Fault> {
    let made = tokio::task::spawn_blocking(move || Estimates::from_statistics(&statistics)).await;
    made.map(Arc::new).map_err(|error| Fault::Setup(format!("estimating broke off: {error}")))
}
