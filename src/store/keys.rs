//! API keys: only their hashes are kept.

use sqlx::Row as _;

use super::{Connection, Fault};

/// A key, as far as it is known.
#[derive(Clone, Debug)]
pub struct Key {
    pub id: String,
    pub kind: String,
    pub livemode: bool,
    pub hint: String,
    pub created: i64,
    pub revoked_at: Option<i64>,
    /// Of a restricted key: `customers=read,invoices=write`.
    pub permissions: Option<String>,
}

const COLUMNS: &str = "id, kind, livemode, hint, created, revoked_at, permissions";

fn key(row: &sqlx::postgres::PgRow) -> Key {
    Key {
        id: row.get("id"),
        kind: row.get("kind"),
        livemode: row.get("livemode"),
        hint: row.get("hint"),
        created: row.get("created"),
        revoked_at: row.get("revoked_at"),
        permissions: row.get("permissions"),
    }
}

pub async fn find(connection: &mut Connection, hash: &[u8]) -> Result<Option<Key>, Fault> {
    let sql = sqlx::AssertSqlSafe(format!("select {COLUMNS} from api_keys where hash = $1"));
    Ok(sqlx::query(sql).bind(hash).fetch_optional(connection).await?.as_ref().map(key))
}

pub async fn list(connection: &mut Connection) -> Result<Vec<Key>, Fault> {
    let sql = sqlx::AssertSqlSafe(format!("select {COLUMNS} from api_keys order by id"));
    Ok(sqlx::query(sql).fetch_all(connection).await?.iter().map(key).collect())
}

/// Keeps a key by its hash; a key that is known already stays as it is, unless it was revoked.
pub async fn add(connection: &mut Connection, new: &Key, hash: &[u8]) -> Result<(), Fault> {
    sqlx::query(
        "insert into api_keys (id, kind, livemode, hash, hint, created, permissions) values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (hash) do nothing",
    )
    .bind(&new.id)
    .bind(&new.kind)
    .bind(new.livemode)
    .bind(hash)
    .bind(&new.hint)
    .bind(new.created)
    .bind(&new.permissions)
    .execute(connection)
    .await?;
    Ok(())
}

/// Revokes a key. False: there is no such key, or it was revoked before.
pub async fn revoke(connection: &mut Connection, id: &str, now: i64) -> Result<bool, Fault> {
    let done = sqlx::query("update api_keys set revoked_at = $2 where id = $1 and revoked_at is null")
        .bind(id)
        .bind(now)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}
