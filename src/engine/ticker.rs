//! What is due at wall time, done by as many workers and processes as there are: the agenda is a
//! column, and locked rows are skipped.

use std::{
    collections::HashSet,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{
    Engine,
    work::{Horizon, Round, Stuck, Whose, Work, round},
};
use crate::{
    billing::Timestamp,
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
        // However much is due of customers.
        if self.guests_done_at.swap(now.unix_seconds(), Ordering::Relaxed) != now.unix_seconds() {
            self.finish_guests(now).await?;
            self.expire_sessions(now).await?;
        }
        let mut tx = self.store.begin().await?;
        let claim = due::claim(&mut tx, now.unix_seconds(), watermark, BATCH).await?;
        let mut ticked = Ticked { customers: claim.customers.len(), more: None, refused: 0 };
        if claim.customers.is_empty() {
            tx.commit().await?;
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
        let mut stuck = HashSet::new();
        for round in rounds {
            stuck.extend(self.follow(round, Some(horizon)).await?);
        }
        ticked.refused = stuck.len();
        // So many in a row: what has been done in between begins anew.
        let forgiven: Vec<&str> =
            claim.refused.iter().map(String::as_str).filter(|one| !stuck.contains(*one)).collect();
        if !forgiven.is_empty() {
            let mut reader = self.store.reader().await?;
            due::forgive(&mut reader, &forgiven).await?;
            reader.give_back();
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

    /// What comes after a round was committed: what is stuck is pushed back, the processor is asked, its
    /// answers are settled the same way, until nothing is open. Who was pushed back.
    pub async fn follow(&self, round: Round, horizon: Option<Horizon>) -> Result<HashSet<String>, Fault> {
        let mut pushed_back = HashSet::new();
        let mut rounds = vec![round];
        while let Some(round) = rounds.pop() {
            for stuck in &round.stuck {
                // However many rounds it is in the way of, it counts once.
                if pushed_back.insert(stuck.whose.to_string()) {
                    self.push_back(stuck).await?;
                }
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
        Ok(pushed_back)
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
        if is_everybodys(&fault) {
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
                    Err(fault) if is_everybodys(&fault) => return Err(fault),
                    Err(fault) => {
                        let reason = chain(&fault);
                        let excused = fault.is_slow();
                        let stuck = one.whose().map(|whose| Stuck { whose, reason, excused });
                        rounds.push(Round { stuck: stuck.into_iter().collect(), ..Round::default() });
                    }
                }
                continue;
            }
            let (left, right) = part.split_at(part.len() / 2);
            for half in [left, right].into_iter().filter(|half| !half.is_empty()) {
                match self.try_round(half, horizon).await {
                    Ok(round) => rounds.push(round),
                    Err(fault) if is_everybodys(&fault) => return Err(fault),
                    Err(_) => pending.push(half),
                }
            }
        }
        Ok(rounds)
    }

    /// What is due waits; after too many times in a row it waits for a person.
    async fn push_back(&self, Stuck { whose, reason, excused }: &Stuck) -> Result<(), Fault> {
        let now = self.clock.now();
        let until = now.plus_seconds(PUSH_BACK_SECONDS).unix_seconds();
        let mut tx = self.store.begin().await?;
        let parked = match whose {
            Whose::Customer(customer) => {
                let counted = (!excused).then_some(reason.as_str());
                due::push_back(&mut tx, customer, now.unix_seconds(), until, counted).await?
            }
            Whose::Guest(intent) => {
                due::push_back_guest(&mut tx, intent, until).await?;
                false
            }
            Whose::Visitor(session) => {
                due::push_back_visitor(&mut tx, session, until).await?;
                false
            }
        };
        tx.commit().await?;
        self.metrics.ticked.with_label_values(&[if parked { "parked" } else { "refused" }]).inc();
        tracing::error!(%whose, reason, parked, "what was due was refused");
        Ok(())
    }

    /// Payments of nobody that are due: their attempts were left alone, or their outcome is awaited.
    async fn finish_guests(&self, now: Timestamp) -> Result<(), Fault> {
        let mut reader = self.store.reader().await?;
        let intents = due::lost_guests(&mut reader, now.unix_seconds(), BATCH).await?;
        reader.give_back();
        let work: Vec<Work> = intents.into_iter().map(Work::of_guest).collect();
        if work.is_empty() {
            return Ok(());
        }
        let horizon = Some(Horizon { time: now, stepping: false });
        for round in self.commit_round(&work, horizon).await? {
            self.follow(round, horizon).await?;
        }
        Ok(())
    }

    /// Sessions that have come to their end. Of each customer one at a time, so that its books are opened once.
    async fn expire_sessions(&self, now: Timestamp) -> Result<(), Fault> {
        let mut reader = self.store.reader().await?;
        let mut sessions = due::sessions(&mut reader, now.unix_seconds(), BATCH).await?;
        reader.give_back();
        let mut seen = HashSet::new();
        sessions.retain(|session| session.customer.clone().is_none_or(|customer| seen.insert(customer)));
        let work: Vec<Work> = sessions.iter().map(Work::of_session).collect();
        if work.is_empty() {
            return Ok(());
        }
        let horizon = Some(Horizon { time: now, stepping: false });
        for round in self.commit_round(&work, horizon).await? {
            self.follow(round, horizon).await?;
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

/// A fault that is not of the work at hand: whatever is tried next would meet it, too.
fn is_everybodys(fault: &Fault) -> bool {
    !fault.is_slow() && (fault.is_passing() || fault.is_uncertain())
}

/// A fault and what it came from, in words.
fn chain(fault: &Fault) -> String {
    let causes = std::iter::successors(Some(fault as &dyn std::error::Error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
