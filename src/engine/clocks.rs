//! Test clocks that advance: the customers on them live through the time up to the target, each thing
//! at its own second, by the same rounds as everybody else.

use std::time::Duration;

use tokio::sync::watch;

use super::{
    Engine, Failure,
    close::{Cause, close},
    work::{Horizon, Work},
};
use crate::{
    billing::{
        Books, Id, Moment, Refusal, Timestamp, cancel,
        test_clock::{Status, StatusDetails, TestClock},
    },
    store::{
        Fault,
        books::{self, Needs, Opening},
        due::{self, Place},
        read,
    },
};

const POLL: Duration = Duration::from_secs(1);
const BATCH: i64 = 100;
/// How often a processor that does not answer is asked before the clock waits for the next poll.
const STALLS: usize = 20;

impl Engine {
    /// Advances clocks until told to stop.
    pub async fn run_clocks(self, mut stopping: watch::Receiver<bool>) {
        while !*stopping.borrow() {
            if let Err(fault) = self.advance_clocks().await {
                self.metrics.faults.inc();
                tracing::error!(error = &fault as &dyn std::error::Error, "advancing a test clock failed");
            }
            tokio::select! {
                () = self.clock_moved.notified() => {}
                () = tokio::time::sleep(POLL) => {}
                _ = stopping.changed() => {}
            }
        }
    }

    /// Brings every clock that advances to its target, and finishes what is due on ready ones.
    pub async fn advance_clocks(&self) -> Result<(), Fault> {
        let mut reader = self.store.reader().await?;
        let clocks = due::busy_clocks(&mut reader, self.clock.now().unix_seconds()).await?;
        drop(reader);
        // One that breaks does not hold up the others.
        let mut outcome = Ok(());
        for clock in clocks {
            let advanced = self.advance_clock(&Id::given(clock)).await;
            outcome = outcome.and(advanced);
        }
        outcome
    }

    async fn advance_clock(&self, id: &Id<TestClock>) -> Result<(), Fault> {
        let Some(clock) = self.clock_now(id).await? else { return Ok(()) };
        if clock.deletes_after <= self.clock.now() {
            return self.delete_clock(id).await;
        }
        let horizon = Horizon { time: clock.horizon(), stepping: true };
        let mut stalls = 0;
        loop {
            let mut tx = self.store.begin().await?;
            let customers = due::claim_on_clock(&mut tx, id.as_str(), horizon.time.unix_seconds(), BATCH).await?;
            tx.commit().await?;
            if customers.is_empty() {
                break;
            }
            let mut work: Vec<Work> =
                customers.iter().map(|one| Work::on_clock(&one.customer, &one.sessions)).collect();
            while !work.is_empty() {
                let mut open = Vec::new();
                for mut round in self.commit_round(&work, Some(horizon)).await? {
                    open.append(&mut round.open);
                    if let Some(stuck) = round.stuck.first() {
                        return self.fail_clock(id, horizon, &stuck.reason).await;
                    }
                    if round.closed.deliveries > 0 {
                        self.told.notify_one();
                    }
                }
                let asked = open.len();
                work = Work::from_answers(self.ask(open).await);
                if asked > 0 && work.is_empty() {
                    stalls += 1;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
            if stalls > STALLS {
                // Still advancing, so still due: the next poll goes on.
                return Ok(());
            }
        }
        if clock.status == Status::Advancing { self.finish_clock(id, horizon).await } else { Ok(()) }
    }

    /// Deletes a clock and the customers on it, as far as nothing stands against it.
    async fn delete_clock(&self, id: &Id<TestClock>) -> Result<(), Fault> {
        let mut needs = Needs::default();
        needs.document(id);
        let delete = |books: &mut Books, at: &mut Moment| {
            TestClock::delete(books, id, at);
            Ok(())
        };
        let cause = Cause::default();
        let deleted = match self.empty_clock(id, &cause).await {
            Ok(()) => self.decide_about_clock(Opening { customer: None, needs }, &cause, delete).await,
            Err(failure) => Err(failure),
        };
        match deleted {
            Err(Failure::Refused(refusal)) => {
                tracing::warn!(clock.id = id.as_str(), reason = %refusal, "a test clock cannot be deleted yet");
                Ok(())
            }
            Err(Failure::Broken(fault)) => Err(fault),
            Ok(()) => Ok(()),
        }
    }

    /// Deletes the customers on a clock, in whatever state it is. After a crash it goes on where it stopped.
    pub async fn empty_clock(&self, id: &Id<TestClock>, cause: &Cause) -> Result<(), Failure> {
        let mut reader = self.store.reader().await?;
        let customers = read::customers_on_clock(&mut reader, id.as_str()).await?;
        reader.give_back();
        for customer in customers {
            let customer = Id::given(customer);
            let opening = Opening { customer: Some(customer.clone()), needs: Needs::default() };
            let delete = |books: &mut Books, at: &mut Moment| match books.get(&customer) {
                Some(_) => cancel::delete_customer(books, at),
                None => Ok(()),
            };
            self.decide_about_clock(opening, cause, delete).await?;
        }
        Ok(())
    }

    async fn decide_about_clock(
        &self,
        opening: Opening,
        cause: &Cause,
        decide: impl Fn(&mut Books, &mut Moment) -> Result<(), Refusal>,
    ) -> Result<(), Failure> {
        let wall = self.clock.now();
        let mut tx = self.store.begin().await?;
        let mut opened = books::open(&mut tx, &[opening]).await?;
        for books in &mut opened.books {
            let mut at = self.moment(books.test_clock().map_or(wall, |clock| clock.frozen_time))?;
            decide(books, &mut at)?;
            books.soundness()?;
        }
        close(&mut tx, opened.books, &opened.endpoints, cause, wall).await?;
        tx.commit().await?;
        self.told.notify_one();
        Ok(())
    }

    async fn clock_now(&self, id: &Id<TestClock>) -> Result<Option<TestClock>, Fault> {
        let mut reader = self.store.reader().await?;
        let body = crate::store::read::find(&mut reader, &crate::billing::test_clock::NOUN, id.as_str(), false).await?;
        Ok(body.map(|body| serde_json::from_str(&body)).transpose()?)
    }

    /// A clock has reached its target.
    pub async fn finish_clock(&self, id: &Id<TestClock>, horizon: Horizon) -> Result<(), Fault> {
        self.change_clock(id, horizon, |clock| reached(clock, horizon.time), "test_helpers.test_clock.ready").await
    }

    async fn fail_clock(&self, id: &Id<TestClock>, horizon: Horizon, reason: &str) -> Result<(), Fault> {
        tracing::error!(clock.id = id.as_str(), reason, "a test clock cannot go on");
        let failed = |clock: TestClock| TestClock {
            status: Status::InternalFailure,
            status_details: StatusDetails::default(),
            ..clock
        };
        self.change_clock(id, horizon, failed, "test_helpers.test_clock.internal_failure").await
    }

    /// Ends an advance, unless somebody else has, and whoever owns the clock has gone on to another target.
    async fn change_clock(
        &self,
        id: &Id<TestClock>,
        horizon: Horizon,
        change: impl Fn(TestClock) -> TestClock,
        event: &'static str,
    ) -> Result<(), Fault> {
        let wall = self.clock.now();
        let mut needs = Needs::default();
        needs.document(id);
        let mut tx = self.store.begin().await?;
        let opened = books::open(&mut tx, &[Opening { customer: None, needs }]).await?;
        let mut at = self.moment(wall)?;
        let mut decided: Vec<Books> = opened.books;
        for books in &mut decided {
            let is_meant = |clock: &&TestClock| clock.status == Status::Advancing && clock.horizon() == horizon.time;
            let Some(clock) = books.get(id).filter(is_meant).cloned() else { return Ok(()) };
            books.put(change(clock)).tell(event, &mut at);
        }
        close(&mut tx, decided, &opened.endpoints, &Cause::default(), wall).await?;
        tx.commit().await?;
        self.told.notify_one();
        Ok(())
    }
}

fn reached(clock: TestClock, time: Timestamp) -> TestClock {
    TestClock { frozen_time: time, status: Status::Ready, status_details: StatusDetails::default(), ..clock }
}

/// Used by tests and tools: does everything that is due, until nothing is.
impl Engine {
    pub async fn settle_down(&self) -> Result<(), Failure> {
        while self.tick(&Place::default()).await?.more.is_some() {}
        self.advance_clocks().await?;
        Ok(())
    }

    pub fn new_moment(&self) -> Result<Moment, Fault> {
        self.moment(self.clock.now())
    }
}
