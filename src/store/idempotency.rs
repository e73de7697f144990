//! Receipts of requests with an `Idempotency-Key`, written in the transaction of their effect: found while
//! the books are opened, written while they are closed.

use serde::Deserialize;

use super::{Connection, Fault};

/// A request's key, and a digest of the request.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    pub livemode: bool,
    pub text: &'a str,
    pub fingerprint: &'a [u8],
}

/// What is known about a key.
#[derive(Debug, Deserialize)]
pub struct Receipt {
    pub livemode: bool,
    pub key: String,
    /// It is for the same request.
    pub is_same: bool,
    /// The id of the request that first used the key.
    pub request: String,
    pub created: i64,
    /// What the answer will be about, while a payment is under way.
    pub subject: Option<String>,
    pub leased_until: Option<i64>,
    /// The answer, once there is one.
    pub status: Option<u16>,
    pub body: Option<String>,
}

impl Receipt {
    /// Whether it is what is known about that key.
    pub fn is_about(&self, key: Key<'_>) -> bool {
        self.livemode == key.livemode && self.key == key.text
    }

    /// Forgotten, but for its row.
    pub const fn has_lapsed(&self, now: i64) -> bool {
        self.created <= now - RETENTION_SECONDS
    }
}

/// How long a key is remembered.
const RETENTION_SECONDS: i64 = 48 * 3600;

/// What is known about the keys whose modes, texts and fingerprints are three parameters of a statement, the
/// first of them this one: rows among those of the statement, with the receipts as their bodies.
pub(super) fn found(first: usize) -> String {
    format!(
        "select '{OBJECT}' as object, '' as id, '' as owner, json_build_object(
             'livemode', k.livemode, 'key', k.key, 'is_same', k.fingerprint = asked.fingerprint, 'request', k.request,
             'created', k.created, 'subject', k.subject, 'leased_until', k.leased_until, 'status', k.status,
             'body', k.body)::text as body, 0 as told
         from unnest(${first}::boolean[], ${}::text[], ${}::bytea[]) asked (livemode, key, fingerprint)
         join idempotency_keys k on k.livemode = asked.livemode and k.key = asked.key",
        first + 1,
        first + 2
    )
}

/// What such a row calls itself.
pub(super) const OBJECT: &str = "dunlin.receipt";

/// The unique index that the second of two twins runs into.
pub const TWICE: &str = "idempotency_keys_pkey";

/// What to write about a key.
#[derive(Debug)]
pub struct Entry<'a> {
    pub key: Key<'a>,
    pub request: &'a str,
    pub now: i64,
    pub state: State<'a>,
}

/// How far its request has come.
#[derive(Debug)]
pub enum State<'a> {
    /// The effect has happened, and its payment is under way.
    UnderWay { subject: String, leased_until: i64 },
    /// It was answered at once.
    Answered { status: u16, body: &'a str },
    /// What was under way was answered. Where a repetition took over after the lease its answer, which is
    /// the same, stays.
    Settled { status: u16, body: &'a str },
}

impl<'a> State<'a> {
    pub const fn subject(&self) -> Option<&str> {
        match self {
            State::UnderWay { subject, .. } => Some(subject.as_str()),
            State::Answered { .. } | State::Settled { .. } => None,
        }
    }

    pub const fn leased_until(&self) -> Option<i64> {
        match self {
            State::UnderWay { leased_until, .. } => Some(*leased_until),
            State::Answered { .. } | State::Settled { .. } => None,
        }
    }

    /// The status and the body of the answer, once there is one.
    pub const fn answer(&self) -> Option<(u16, &'a str)> {
        match self {
            State::UnderWay { .. } => None,
            State::Answered { status, body } | State::Settled { status, body } => Some((*status, body)),
        }
    }
}

/// Forgets a receipt that has lapsed before the sweep came by.
pub async fn forget(connection: &mut Connection, key: Key<'_>, now: i64) -> Result<(), Fault> {
    sqlx::query("delete from idempotency_keys where livemode = $1 and key = $2 and created <= $3")
        .bind(key.livemode)
        .bind(key.text)
        .bind(now - RETENTION_SECONDS)
        .execute(connection)
        .await?;
    Ok(())
}

/// Takes over an unfinished request whose lease has run out. False: somebody else did.
pub async fn take_over(connection: &mut Connection, key: Key<'_>, now: i64, leased_until: i64) -> Result<bool, Fault> {
    let done = sqlx::query(
        "update idempotency_keys set leased_until = $4
         where livemode = $1 and key = $2 and status is null and leased_until <= $3",
    )
    .bind(key.livemode)
    .bind(key.text)
    .bind(now)
    .bind(leased_until)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// How many keys one statement forgets.
const SWEPT: u64 = 5000;

/// Forgets keys that have outlived their retention.
pub async fn sweep(connection: &mut Connection, now: i64) -> Result<(), Fault> {
    loop {
        let done = sqlx::query(
            "delete from idempotency_keys where (livemode, key) in
                 (select livemode, key from idempotency_keys where created <= $1 order by created limit $2)",
        )
        .bind(now - RETENTION_SECONDS)
        .bind(i64::try_from(SWEPT).unwrap_or(i64::MAX))
        .execute(&mut *connection)
        .await?;
        if done.rows_affected() < SWEPT {
            return Ok(());
        }
    }
}
