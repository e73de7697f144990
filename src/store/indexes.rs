//! The indexes that are made beside running servers: of tables that may be large already, which must not be
//! locked for as long as that takes, and of an extension that not every Postgres has.
//!
//! Searches are right without them, and slow where there is much to read. They are looked after at every
//! start, so that an extension which is installed later is used from then on.

use sqlx::{AssertSqlSafe, Row as _};

use super::{Connection, Fault};

struct Index {
    name: &'static str,
    of: &'static str,
}

const INDEXES: &[Index] = &[
    Index { name: "customers_email_folded", of: "customers (email_folded, id)" },
    Index { name: "customers_name_folded", of: "customers (name_folded, id)" },
    Index { name: "customers_phone_folded", of: "customers (phone_folded, id)" },
    Index { name: "invoice_items_standing", of: "invoice_items (customer) where standing" },
    Index { name: "invoices_due_date", of: "invoices (due_date, id) where due_date is not null" },
    Index { name: "invoices_written_off", of: "invoices (status, id) where status in ('uncollectible', 'void')" },
    Index { name: "prices_active", of: "prices (created, id) where active" },
    // What is renewed is active, so that a renewal does not pay for it.
    Index { name: "subscriptions_not_active", of: "subscriptions (status, id) where status <> 'active'" },
    Index { name: "tax_ids_own", of: "tax_ids (id) where customer is null" },
    // Empty while all is well.
    Index { name: "customers_refused", of: "customers (id) where refusals > 0" },
    Index {
        name: "payment_intents_due_of_nobody",
        of: "payment_intents (due_at) where due_at is not null and test_clock is null and customer is null",
    },
];

/// They need `pg_trgm`. The list of what waits to be merged into such an index is read by every search: it
/// is kept short.
const PARTS: &[Index] = &[
    Index {
        name: "customers_parts",
        of: "customers using gin (email_folded gin_trgm_ops, name_folded gin_trgm_ops, phone_folded gin_trgm_ops)
             with (gin_pending_list_limit = 512)",
    },
    Index {
        name: "products_parts",
        of: "products using gin (name_folded gin_trgm_ops, description_folded gin_trgm_ops)
             with (gin_pending_list_limit = 512)",
    },
];

/// Says who makes indexes: one server at a time.
const LOCK: i64 = 0x6475_6e6c_696e;

/// Makes what is missing. If another server is at it, that is left to it: waiting for it inside the database
/// would hold it up.
pub async fn prepare(connection: &mut Connection) -> Result<(), Fault> {
    let mine: bool =
        sqlx::query_scalar("select pg_try_advisory_lock($1)").bind(LOCK).fetch_one(&mut *connection).await?;
    if !mine {
        return Ok(());
    }
    let made = make_all(connection).await;
    sqlx::query("select pg_advisory_unlock($1)").bind(LOCK).execute(connection).await?;
    made
}

async fn make_all(connection: &mut Connection) -> Result<(), Fault> {
    for index in INDEXES {
        make(connection, index).await?;
    }
    if let Err(error) = sqlx::raw_sql("create extension if not exists pg_trgm").execute(&mut *connection).await {
        tracing::warn!(%error, "without the extension pg_trgm a search for a part of a text reads the whole table");
        return Ok(());
    }
    for index in PARTS {
        make(connection, index).await?;
    }
    Ok(())
}

async fn make(connection: &mut Connection, index: &Index) -> Result<(), Fault> {
    let Index { name, of } = index;
    let found = sqlx::query("select indisvalid from pg_index where indexrelid = to_regclass($1)")
        .bind(name)
        .fetch_optional(&mut *connection)
        .await?;
    match found.map(|row| row.get("indisvalid")) {
        Some(true) => return Ok(()),
        // Somebody broke off.
        Some(false) => {
            let sql = format!("drop index concurrently {name}");
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *connection).await?;
        }
        None => {}
    }
    tracing::info!(name, "making an index");
    let sql = format!("create index concurrently {name} on {of}");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await?;
    Ok(())
}
