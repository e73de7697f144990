//! What is due at wall time, done by as many workers and processes as there are: the agenda is a
//! column, and locked rows are skipped.

use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::{
    Engine,
    work::{Horizon, Round, Work, round},
};
use crate::{
    billing::{Id, customer::Customer, payment_intent},
    store::{
        Fault, delivery,
        due::{self, Place},
        events, idempotency,
    },
};

/// How many customers are claimed at a time.
pub const BATCH: i64 = 500;
const POLL: Duration = Duration::from_secs(1);
const MAINTENANCE: Duration = Duration::from_mins(10);
/// A refusal pushes its customer back by this much.
const PUSH_BACK_SECONDS: i64 = 300;

/// What a tick did.
#[derive(Clone, Debug, Default)]
pub struct Ticked {
    pub customers: usize,
    pub refused: usize,
    /// Where the next tick starts to look, if there is more to do.
    pub more: Option<Place>,
}

impl Engine {
    /// Ticks until told to stop.
    pub async fn run_ticker(self, mut stopping: watch::Receiver<bool>) {
        let mut watermark = Place::default();
        while !*stopping.borrow() {
            let more = match self.tick(&watermark).await {
                Ok(ticked) => ticked.more,
                Err(fault) => {
                    self.metrics.faults.inc();
                    tracing::error!(error = &fault as &dyn std::error::Error, "a tick failed");
                    None
                }
            };
            let again = more.is_some();
            // When all is done the next look starts over: what was pushed back may lie below the mark.
            watermark = more.unwrap_or_default();
            if !again {
                tokio::select! {
                    () = tokio::time::sleep(POLL) => {}
                    _ = stopping.changed() => {}
                }
            }
        }
    }

    /// Claims a batch of customers of whom something is due, and does it.
    pub async fn tick(&self, watermark: &Place) -> Result<Ticked, Fault> {
        let started = Instant::now();
        let now = self.clock.now();
        let horizon = Horizon { time: now, stepping: false };
        let mut tx = self.store.begin().await?;
        let claim = due::claim(&mut tx, now.unix_seconds(), watermark, BATCH).await?;
        let mut ticked = Ticked { customers: claim.customers.len(), more: None, refused: 0 };
        if claim.customers.is_empty() {
            tx.commit().await?;
            self.finish_guests(now.unix_seconds()).await?;
            return Ok(ticked);
        }
        ticked.more = claim.earliest;
        let work: Vec<Work> = claim.customers.iter().map(|customer| Work::of(customer)).collect();
        let rounds = match round(self, &mut tx, &work, Some(horizon)).await {
            Ok(round) => {
                tx.commit().await?;
                vec![round]
            }
            Err(fault) => {
                // Where that fails the halves will tell.
                let _ = tx.roll_back().await;
                self.in_halves(&work, Some(horizon), fault).await?
            }
        };
        for round in rounds {
            ticked.refused += self.follow(round, Some(horizon)).await?;
        }
        let seconds = started.elapsed();
        self.metrics.tick_seconds.observe(seconds.as_secs_f64());
        let decided = u64::try_from(ticked.customers - ticked.refused.min(ticked.customers)).unwrap_or(0);
        self.metrics.ticked.with_label_values(&["decided"]).inc_by(decided);
        tracing::info!(
            tick.customers = ticked.customers,
            tick.refused = ticked.refused,
            tick.ms = u64::try_from(seconds.as_millis()).unwrap_or(u64::MAX),
            "tick"
        );
        Ok(ticked)
    }

    /// What comes after a round was committed: refused customers are pushed back, the processor is
    /// asked, its answers are settled the same way, until nothing is open.
    pub async fn follow(&self, round: Round, horizon: Option<Horizon>) -> Result<usize, Fault> {
        let mut refused = 0;
        let mut rounds = vec![round];
        while let Some(round) = rounds.pop() {
            refused += round.refused.len();
            for (customer, refusal) in round.refused {
                self.push_back(&customer, &refusal.to_string()).await?;
            }
            if round.closed.deliveries > 0 {
                self.told.notify_one();
            }
            if round.open.is_empty() {
                continue;
            }
            let answers = self.ask(round.open).await;
            if answers.is_empty() {
                continue;
            }
            let work = Work::from_answers(answers);
            rounds.extend(self.commit_round(&work, horizon).await?);
        }
        Ok(refused)
    }

    /// One round in a transaction of its own; when it breaks, in halves, down to one.
    pub async fn commit_round(&self, work: &[Work], horizon: Option<Horizon>) -> Result<Vec<Round>, Fault> {
        match self.try_round(work, horizon).await {
            Ok(round) => Ok(vec![round]),
            Err(fault) => self.in_halves(work, horizon, fault).await,
        }
    }

    async fn try_round(&self, work: &[Work], horizon: Option<Horizon>) -> Result<Round, Fault> {
        let mut tx = self.store.begin().await?;
        let round = round(self, &mut tx, work, horizon).await?;
        tx.commit().await?;
        Ok(round)
    }

    async fn in_halves(&self, work: &[Work], horizon: Option<Horizon>, fault: Fault) -> Result<Vec<Round>, Fault> {
        // The next tick looks again, and finds what is still due.
        if fault.is_passing() || fault.is_uncertain() {
            return Err(fault);
        }
        self.metrics.faults.inc();
        tracing::warn!(
            error = &fault as &dyn std::error::Error,
            customers = work.len(),
            "a batch broke: trying it in halves"
        );
        let mut pending = vec![work];
        let mut rounds = Vec::new();
        while let Some(part) = pending.pop() {
            if let [one] = part {
                match self.try_round(part, horizon).await {
                    Ok(round) => rounds.push(round),
                    Err(fault) if fault.is_passing() || fault.is_uncertain() => return Err(fault),
                    Err(fault) => {
                        if let Some(customer) = &one.opening.customer {
                            self.push_back(customer, &fault.to_string()).await?;
                        }
                    }
                }
                continue;
            }
            let (left, right) = part.split_at(part.len() / 2);
            for half in [left, right].into_iter().filter(|half| !half.is_empty()) {
                match self.try_round(half, horizon).await {
                    Ok(round) => rounds.push(round),
                    Err(fault) if fault.is_passing() || fault.is_uncertain() => return Err(fault),
                    Err(_) => pending.push(half),
                }
            }
        }
        Ok(rounds)
    }

    async fn push_back(&self, customer: &Id<Customer>, reason: &str) -> Result<(), Fault> {
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        let until = now.plus_seconds(PUSH_BACK_SECONDS).unix_seconds();
        let parked = due::push_back(&mut tx, customer, now.unix_seconds(), until).await?;
        tx.commit().await?;
        self.metrics.ticked.with_label_values(&[if parked { "parked" } else { "refused" }]).inc();
        tracing::error!(customer.id = customer.as_str(), reason, parked, "what was due was refused");
        Ok(())
    }

    /// Attempts on intents of no customer, left alone by a request that died.
    async fn finish_guests(&self, now: i64) -> Result<(), Fault> {
        let mut reader = self.store.reader().await?;
        let intents = due::lost_guests(&mut reader, now, BATCH).await?;
        drop(reader);
        for intent in intents {
            let mut work = Work::default();
            work.opening.needs.documents.push((&payment_intent::NOUN, intent));
            let horizon = Horizon { time: self.clock.now(), stepping: false };
            for round in self.commit_round(&[work], Some(horizon)).await? {
                self.follow(round, Some(horizon)).await?;
            }
        }
        Ok(())
    }

    /// Keeps the house: partitions ahead, old receipts away, gauges true.
    pub async fn run_maintenance(self, mut stopping: watch::Receiver<bool>) {
        while !*stopping.borrow() {
            if let Err(fault) = self.maintain().await {
                self.metrics.faults.inc();
                tracing::error!(error = &fault as &dyn std::error::Error, "maintenance failed");
            }
            tokio::select! {
                () = tokio::time::sleep(MAINTENANCE) => {}
                _ = stopping.changed() => {}
            }
        }
    }

    pub async fn maintain(&self) -> Result<(), Fault> {
        let now = self.clock.now().unix_seconds();
        let mut reader = self.store.reader().await?;
        // Replicas may race to make the same partition; the next round finds it made.
        if let Err(fault) = events::maintain(&mut reader, now, self.webhooks.log_days).await {
            tracing::warn!(error = &fault as &dyn std::error::Error, "the partitions of the events could not be made");
        }
        delivery::sweep(&mut reader, now).await?;
        idempotency::sweep(&mut reader, now).await?;
        drop(reader);
        self.learn().await?;
        Ok(())
    }
}
