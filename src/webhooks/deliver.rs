//! The dispatcher: lease, send, record.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream};
use reqwest::{Client, redirect::Policy};
use tokio::sync::{Semaphore, watch};

use super::sign;
use crate::{
    billing::webhook_endpoint::{Status, WebhookEndpoint},
    engine::Engine,
    store::{
        Fault,
        delivery::{self, Lease, Outcome},
    },
};

const POLL: Duration = Duration::from_secs(1);
const BATCH: i64 = 200;
/// How many deliveries are under way at a time, in all and to one endpoint: a hanging sink takes its
/// own share, not everybody's.
const CONCURRENCY: usize = 64;
const CONCURRENCY_PER_ENDPOINT: usize = 16;
/// How long an endpoint may take to answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// Longer than a batch can take at worst: each endpoint's share, one patience after the other.
const LEASE_SECONDS: i64 = 300;
/// How long an event is tried before it is given up.
const GIVE_UP_SECONDS: i64 = 3 * 86_400;

/// Sends events.
#[derive(Clone)]
pub struct Dispatcher {
    engine: Engine,
    client: Client,
}

impl Dispatcher {
    pub fn new(engine: Engine) -> Result<Dispatcher, reqwest::Error> {
        // Refused when the process has chosen one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Redirects count as failures: they could lead anywhere.
        let client = Client::builder()
            .redirect(Policy::none())
            .timeout(PATIENCE)
            .pool_max_idle_per_host(CONCURRENCY_PER_ENDPOINT)
            .user_agent("Stripe/1.0 (+https://stripe.com/docs/webhooks)")
            .build()?;
        Ok(Dispatcher { engine, client })
    }

    /// Dispatches until told to stop.
    pub async fn run(self, mut stopping: watch::Receiver<bool>) {
        while !*stopping.borrow() {
            let more = match self.dispatch().await {
                Ok(sent) => sent > 0,
                Err(fault) => {
                    self.engine.metrics.faults.inc();
                    tracing::error!(error = &fault as &dyn std::error::Error, "dispatching webhooks failed");
                    false
                }
            };
            if !more {
                tokio::select! {
                    () = self.engine.told.notified() => {}
                    () = tokio::time::sleep(POLL) => {}
                    _ = stopping.changed() => {}
                }
            }
        }
    }

    /// One batch. Returns how many were tried.
    pub async fn dispatch(&self) -> Result<usize, Fault> {
        let now = self.engine.clock.now().unix_seconds();
        let mut reader = self.engine.store.reader().await?;
        let leases = delivery::lease(&mut reader, now, now + LEASE_SECONDS, BATCH).await?;
        drop(reader);
        let count = leases.len();
        if count == 0 {
            return Ok(0);
        }
        let shares: HashMap<String, Arc<Semaphore>> = leases
            .iter()
            .map(|lease| (lease.endpoint.clone(), Arc::new(Semaphore::new(CONCURRENCY_PER_ENDPOINT))))
            .collect();
        let outcomes: Vec<(Lease, Outcome)> = stream::iter(leases)
            .map(|lease| {
                let share = shares.get(&lease.endpoint).cloned();
                async move {
                    let _turn = match &share {
                        Some(share) => share.acquire().await.ok(),
                        None => None,
                    };
                    let outcome = self.send(&lease).await;
                    (lease, outcome)
                }
            })
            .buffer_unordered(CONCURRENCY)
            .collect()
            .await;
        let mut reader = self.engine.store.reader().await?;
        delivery::record(&mut reader, &outcomes).await?;
        Ok(count)
    }

    async fn send(&self, lease: &Lease) -> Outcome {
        let now = self.engine.clock.now();
        let Ok(endpoint) = serde_json::from_str::<WebhookEndpoint>(&lease.endpoint_body) else {
            tracing::error!(endpoint.id = lease.endpoint, "a stored webhook endpoint cannot be read");
            return next(lease, now.unix_seconds());
        };
        // A disabled endpoint that is enabled again in time gets what it missed.
        if endpoint.status == Status::Disabled {
            return next(lease, now.unix_seconds());
        }
        let sent = self
            .client
            .post(&endpoint.url)
            .header("content-type", "application/json; charset=utf-8")
            .header("stripe-signature", sign::header(&endpoint.internal.secret, now, &lease.body))
            .body(lease.body.clone())
            .send()
            .await;
        let (label, outcome) = match &sent {
            Ok(response) if response.status().is_success() => ("delivered", Outcome::Delivered),
            _ => match next(lease, now.unix_seconds()) {
                Outcome::GivenUp => ("given_up", Outcome::GivenUp),
                other => ("failed", other),
            },
        };
        self.engine.metrics.deliveries.with_label_values(&[label]).inc();
        match sent {
            Ok(response) => tracing::debug!(
                event.id = lease.event,
                endpoint.id = lease.endpoint,
                http.status = response.status().as_u16(),
                "webhook"
            ),
            Err(error) => tracing::debug!(
                event.id = lease.event,
                endpoint.id = lease.endpoint,
                error = &error as &dyn std::error::Error,
                "webhook"
            ),
        }
        outcome
    }
}

/// After a failure: due again after a while that doubles, up to three days in all.
fn next(lease: &Lease, now: i64) -> Outcome {
    if now - lease.created >= GIVE_UP_SECONDS {
        return Outcome::GivenUp;
    }
    Outcome::Again(now + back_off_seconds(lease.attempt, &lease.event))
}

/// 5 s, 10 s, 20 s … to 12 h, and up to a fifth more, so that events that failed together do not come
/// back together. The jitter follows from the event, so it needs no chance.
fn back_off_seconds(attempt: i32, event: &str) -> i64 {
    let doublings = u32::try_from(attempt.clamp(1, 14) - 1).unwrap_or(0);
    let base = (5_i64 << doublings).min(43_200);
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
}
