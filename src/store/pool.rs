//! Connections, lent and given back.
//!
//! sqlx's own pool asks a connection that comes back whether it is well: a round trip and a task, which is
//! half of what a short read costs. Here one with which all went well, as its borrower says by giving it
//! back, is lent again as it is. Any other goes through sqlx's hands, which part with what is broken.

use std::{
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sqlx::{PgPool, Postgres, pool::PoolConnection};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{Connection, Fault};

/// How long somebody waits for a connection.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// After so many loans a connection goes through sqlx's hands, however well it is: they know when it is too
/// old.
const UNTESTED_LOANS: u32 = 1000;

/// See the module's documentation.
#[derive(Debug)]
pub struct Pool {
    opened: PgPool,
    /// As many as there are connections, so that whoever has one never waits for sqlx's pool.
    seats: Arc<Semaphore>,
    /// The one that came back last is lent first. `None` once the pool is closed.
    at_hand: Mutex<Option<Vec<Held>>>,
    /// Where sqlx's hands work.
    runtime: Handle,
}

/// A connection, and whether a transaction is open on it. Dropped with one, it is closed, which rolls it
/// back whatever state the conversation is in.
#[derive(Debug)]
struct Held {
    connection: PoolConnection<Postgres>,
    begun: bool,
    loans: u32,
}

/// A connection on loan. Dropped, it is taken for one with which something went wrong.
#[derive(Debug)]
pub struct Lent {
    held: Held,
    pool: Arc<Pool>,
    seat: OwnedSemaphorePermit,
}

impl Pool {
    pub fn new(opened: PgPool) -> Arc<Pool> {
        let seats = opened.options().get_max_connections() as usize;
        let (seats, at_hand) = (Arc::new(Semaphore::new(seats)), Mutex::new(Some(Vec::new())));
        Arc::new(Pool { opened, seats, at_hand, runtime: Handle::current() })
    }

    /// sqlx's own, for what is done once.
    pub const fn opened(&self) -> &PgPool {
        &self.opened
    }

    pub async fn lend(self: &Arc<Pool>) -> Result<Lent, Fault> {
        let seat = if let Ok(seat) = Arc::clone(&self.seats).try_acquire_owned() {
            seat
        } else {
            let patient = timeout(PATIENCE, Arc::clone(&self.seats).acquire_owned()).await;
            patient.map_err(|_| sqlx::Error::PoolTimedOut)?.map_err(|_| sqlx::Error::PoolClosed)?
        };
        let at_hand = self.at_hand().as_mut().and_then(Vec::pop);
        let held = match at_hand {
            Some(mut held) => {
                held.loans += 1;
                held
            }
            None => Held { connection: self.opened.acquire().await?, begun: false, loans: 0 },
        };
        Ok(Lent { held, pool: Arc::clone(self), seat })
    }

    /// Waits for what is lent, and parts with all.
    pub async fn close(&self) {
        self.seats.close();
        drop(self.at_hand().take());
        self.opened.close().await;
    }

    fn at_hand(&self) -> MutexGuard<'_, Option<Vec<Held>>> {
        self.at_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let _inside = self.runtime.enter();
        drop(self.at_hand().take());
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.begun {
            self.connection.close_on_drop();
        }
    }
}

impl Lent {
    pub async fn begin(&mut self) -> Result<(), Fault> {
        self.begin_with("begin").await
    }

    /// Begins by a text that says what else holds in this transaction.
    pub async fn begin_with(&mut self, sql: &'static str) -> Result<(), Fault> {
        // Before it is so: nobody may be there any more when it is.
        self.held.begun = true;
        sqlx::raw_sql(sql).execute(&mut *self.held.connection).await?;
        Ok(())
    }

    /// Whether a transaction is open.
    pub const fn is_begun(&self) -> bool {
        self.held.begun
    }

    /// Ends the open transaction, if there is one, and gives the connection back.
    pub async fn commit(self) -> Result<(), sqlx::Error> {
        self.end("commit").await
    }

    /// The same without its changes.
    pub async fn roll_back(self) -> Result<(), sqlx::Error> {
        self.end("rollback").await
    }

    async fn end(mut self, how: &'static str) -> Result<(), sqlx::Error> {
        if self.held.begun {
            sqlx::raw_sql(how).execute(&mut *self.held.connection).await?;
            self.held.begun = false;
        }
        self.give_back();
        Ok(())
    }

    /// All went well, and no transaction is open: the next borrower may have it as it is.
    pub fn give_back(self) {
        let Lent { held, pool, seat } = self;
        if !held.begun
            && held.loans < UNTESTED_LOANS
            && let Some(at_hand) = pool.at_hand().as_mut()
        {
            at_hand.push(held);
        }
        // Only now: whoever takes the seat looks for the connection at hand.
        drop(seat);
    }
}

impl Deref for Lent {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.held.connection
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.held.connection
    }
}
