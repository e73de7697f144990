//! What is remembered, in Postgres. The only floor that names `sqlx`.
//!
//! `books` opens; `close` writes; `read` finds and lists; `due` claims what must be touched; the rest is
//! the server's own machinery. One statement per function, lower case, time always a parameter.

pub mod books;
pub mod close;
pub mod delivery;
pub mod delivery_log;
pub mod due;
pub mod events;
pub mod idempotency;
mod indexes;
pub mod keys;
pub mod list;
pub mod movements;
mod pool;
pub mod postgres;
pub mod read;
pub mod retries;
pub mod search;
mod span;

use std::{str::FromStr, sync::Arc};

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use pool::Pool;

pub use pool::Lent;
pub use sqlx::PgConnection as Connection;

/// We broke. Logged once, where it is answered.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// Nobody can say whether it happened: repeating is safe only for what finds out first.
    #[error("the connection was lost while committing")]
    Uncertain(#[source] Arc<sqlx::Error>),
    #[error("the migrations failed")]
    Migration(#[from] sqlx::migrate::MigrateError),
    #[error("a stored document cannot be read")]
    Unreadable(#[from] serde_json::Error),
    #[error("{0}")]
    Setup(String),
}

impl Fault {
    /// The constraint that a write ran into, if that is what happened.
    pub fn constraint(&self) -> Option<&str> {
        match self {
            Fault::Database(sqlx::Error::Database(error)) => error.constraint(),
            _ => None,
        }
    }

    /// What went wrong while committing.
    fn of_commit(error: sqlx::Error) -> Fault {
        match error {
            // The server answered, and said no.
            sqlx::Error::Database(_) => Fault::Database(error),
            lost => Fault::Uncertain(Arc::new(lost)),
        }
    }

    /// The commit may or may not have happened.
    pub const fn is_uncertain(&self) -> bool {
        matches!(self, Fault::Uncertain(_))
    }

    /// The same for another whose changes were in the commit, if nobody can say whether it happened.
    pub fn for_another(&self) -> Option<Fault> {
        match self {
            Fault::Uncertain(lost) => Some(Fault::Uncertain(Arc::clone(lost))),
            _ => None,
        }
    }

    /// Trying the same transaction again may well succeed: serialization failure, deadlock, a lock that was not
    /// to be had, a lost connection, a server that is going down or coming up, one that is read-only for now,
    /// one that has run out of space, memory or connections.
    pub fn is_passing(&self) -> bool {
        match self {
            Fault::Database(sqlx::Error::Database(error)) => error.code().is_some_and(|code| {
                matches!(code.as_ref(), "25006" | "25P03" | "40001" | "40P01" | "55P03")
                    || ["08", "53", "57P"].iter().any(|class| code.starts_with(class))
            }),
            Fault::Database(sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut) => true,
            _ => false,
        }
    }

    /// The database said no, and stays to hear what comes next.
    pub fn leaves_connected(&self) -> bool {
        match self {
            Fault::Database(sqlx::Error::Database(error)) => {
                error.code().is_none_or(|code| !["08", "57P"].iter().any(|class| code.starts_with(class)))
            }
            _ => false,
        }
    }

    /// A statement was broken off, because it took too long or somebody asked for that.
    pub fn is_slow(&self) -> bool {
        matches!(self, Fault::Database(sqlx::Error::Database(error)) if error.code().as_deref() == Some("57014"))
    }
}

/// The database.
#[derive(Clone, Debug)]
pub struct Store {
    pool: Arc<Pool>,
}

/// What a decision is read and written on: a transaction; or, while there is one statement for each, none.
/// Dropped within a transaction, it is rolled back, and the connection is lost with it.
pub struct Tx(Lent);

impl Store {
    /// Connects to a Postgres 15 or newer.
    pub async fn connect(url: &str, connections: u32) -> Result<Store, Fault> {
        // A generic plan of the claim is otherwise compiled for 30 ms each time; the arrays of a batch
        // otherwise spill to disk. Every statement finds its rows by a key, whatever is bound: so plans are
        // made once (making them was a quarter of what a call cost), and one that was made when a table
        // was empty must not be a scan when it has grown.
        let options = PgConnectOptions::from_str(url)?
            .options([
                ("jit", "off"),
                ("timezone", "UTC"),
                ("work_mem", "32MB"),
                ("plan_cache_mode", "force_generic_plan"),
                // A reading statement finds a few rows by their keys: starting helpers takes longer than that.
                ("max_parallel_workers_per_gather", "0"),
                ("enable_seqscan", "off"),
                ("enable_hashjoin", "off"),
                ("enable_mergejoin", "off"),
                ("enable_material", "off"),
                // Whoever asked for more than that has gone; it would be a connection less for the others.
                ("statement_timeout", "30s"),
            ])
            .application_name("dunlin");
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(pool::PATIENCE)
            .test_before_acquire(false)
            .connect_with(options)
            .await?;
        let store = Store { pool: Pool::new(pool) };
        store.check_version().await?;
        Ok(store)
    }

    async fn check_version(&self) -> Result<(), Fault> {
        let version: String = sqlx::query_scalar("show server_version_num").fetch_one(self.pool.opened()).await?;
        match version.parse::<u32>() {
            Ok(number) if number >= 150_000 => Ok(()),
            _ => Err(Fault::Setup(format!("Postgres 15 or newer is needed; this one is {version}"))),
        }
    }

    /// Brings the tables up to date. Several processes may start at once: one migrates, the others wait.
    pub async fn migrate(&self) -> Result<(), Fault> {
        let mut connection = self.pool.opened().acquire().await?;
        sqlx::query("set statement_timeout = 0").execute(&mut *connection).await?;
        sqlx::migrate!().run(&mut *connection).await?;
        indexes::prepare(&mut connection).await?;
        sqlx::query("reset statement_timeout").execute(&mut *connection).await?;
        Ok(())
    }

    pub async fn begin(&self) -> Result<Tx, Fault> {
        let mut tx = self.begin_later().await?;
        tx.begin().await?;
        Ok(tx)
    }

    /// For what locks nothing: its transaction begins when it turns out to need one.
    pub async fn begin_later(&self) -> Result<Tx, Fault> {
        Ok(Tx(self.pool.lend().await?))
    }

    /// A connection for reading. Whoever gives it back when all went well spares a round trip.
    pub async fn reader(&self) -> Result<Lent, Fault> {
        self.pool.lend().await
    }

    pub async fn is_ready(&self) -> bool {
        let Ok(mut reader) = self.reader().await else { return false };
        let is_ready = sqlx::query("select 1").execute(&mut *reader).await.is_ok();
        if is_ready {
            reader.give_back();
        }
        is_ready
    }

    pub async fn close(&self) {
        self.pool.close().await;
    }
}

impl Tx {
    /// From now on what is written holds together.
    pub async fn begin(&mut self) -> Result<(), Fault> {
        if self.0.is_begun() { Ok(()) } else { self.0.begin().await }
    }

    /// Begins what does not wait long for what others have locked. Nothing may have begun before.
    pub async fn begin_impatiently(&mut self) -> Result<(), Fault> {
        self.0.begin_with("begin; set local lock_timeout = '500ms'").await
    }

    pub async fn commit(self) -> Result<(), Fault> {
        self.0.commit().await.map_err(Fault::of_commit)
    }

    /// Whether a statement commits what it writes.
    const fn commits_each(&self) -> bool {
        !self.0.is_begun()
    }

    /// Nothing of it is kept, but the connection is.
    pub async fn roll_back(self) -> Result<(), Fault> {
        Ok(self.0.roll_back().await?)
    }
}

impl std::ops::Deref for Tx {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl std::ops::DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.0
    }
}
