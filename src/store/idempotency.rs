//! Receipts of requests with an `Idempotency-Key`, written in the transaction of their effect.

use sqlx::Row as _;

use super::{Connection, Fault};

/// What is known about a key.
#[derive(Debug)]
pub struct Receipt {
    pub fingerprint: Vec<u8>,
    /// The id of the request that first used the key.
    pub request: String,
    /// The answer, once there is one.
    pub answer: Option<(u16, String)>,
    /// What the answer will be about, while a payment is under way.
    pub subject: Option<String>,
    pub leased_until: Option<i64>,
}

/// How long a key is remembered.
pub const RETENTION_SECONDS: i64 = 48 * 3600;

pub async fn find(connection: &mut Connection, livemode: bool, key: &str, now: i64) -> Result<Option<Receipt>, Fault> {
    let row = sqlx::query(
        "select fingerprint, request, status, body, subject, leased_until from idempotency_keys
         where livemode = $1 and key = $2 and created > $3",
    )
    .bind(livemode)
    .bind(key)
    .bind(now - RETENTION_SECONDS)
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| Receipt {
        fingerprint: row.get("fingerprint"),
        request: row.get("request"),
        answer: row.get::<Option<i16>, _>("status").map(|status| (status.cast_unsigned(), row.get("body"))),
        subject: row.get("subject"),
        leased_until: row.get("leased_until"),
    }))
}

/// What to write about a key.
#[derive(Debug)]
pub struct Entry<'a> {
    pub livemode: bool,
    pub key: &'a str,
    pub fingerprint: &'a [u8],
    pub request: &'a str,
    pub now: i64,
}

/// Writes that the effect has happened and its payment is under way. False: a twin was first.
pub async fn begin(
    connection: &mut Connection,
    entry: &Entry<'_>,
    subject: &str,
    leased_until: i64,
) -> Result<bool, Fault> {
    let done = sqlx::query(
        "insert into idempotency_keys as k (livemode, key, fingerprint, request, created, subject, leased_until)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (livemode, key) do update
         set fingerprint = $3, request = $4, created = $5, subject = $6, leased_until = $7, status = null, body = null
         where k.created <= $8",
    )
    .bind(entry.livemode)
    .bind(entry.key)
    .bind(entry.fingerprint)
    .bind(entry.request)
    .bind(entry.now)
    .bind(subject)
    .bind(leased_until)
    .bind(entry.now - RETENTION_SECONDS)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Writes the answer. False: a twin was first.
pub async fn finish(connection: &mut Connection, entry: &Entry<'_>, status: u16, body: &str) -> Result<bool, Fault> {
    let done = sqlx::query(
        "insert into idempotency_keys as k (livemode, key, fingerprint, request, created, status, body)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (livemode, key) do update set status = $6, body = $7, leased_until = null
         where k.status is null and k.fingerprint = $3 and k.request = $4 or k.created <= $8",
    )
    .bind(entry.livemode)
    .bind(entry.key)
    .bind(entry.fingerprint)
    .bind(entry.request)
    .bind(entry.now)
    .bind(status.cast_signed())
    .bind(body)
    .bind(entry.now - RETENTION_SECONDS)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Takes over an unfinished request whose lease has run out. False: somebody else did.
pub async fn take_over(
    connection: &mut Connection,
    livemode: bool,
    key: &str,
    now: i64,
    leased_until: i64,
) -> Result<bool, Fault> {
    let done = sqlx::query(
        "update idempotency_keys set leased_until = $4
         where livemode = $1 and key = $2 and status is null and leased_until <= $3",
    )
    .bind(livemode)
    .bind(key)
    .bind(now)
    .bind(leased_until)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Forgets keys that have outlived their retention.
pub async fn sweep(connection: &mut Connection, now: i64) -> Result<u64, Fault> {
    let done = sqlx::query(
        "delete from idempotency_keys where (livemode, key) in
             (select livemode, key from idempotency_keys where created <= $1 order by created limit 5000)",
    )
    .bind(now - RETENTION_SECONDS)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}
