//! Movements of the balance: those of charges, refunds and disputes in one order. Their ids sort by time behind
//! the prefix.

use sqlx::{Postgres, QueryBuilder, Row as _};

use super::{
    Connection, Fault,
    list::{Condition, Cursor, push_condition, push_span},
};
use crate::billing::{Noun, charge, dispute, movement, refund};

/// A page of movements: the id of each, and the body of what it is the other side of.
pub struct Page {
    pub found: Vec<(String, String)>,
    pub has_more: bool,
}

/// Where movements come from.
struct Source {
    noun: &'static Noun,
    /// The `type` of its movements.
    kind: &'static str,
    /// The column that has their ids, and the prefix of those.
    id: &'static str,
    prefix: &'static str,
    rows: &'static str,
    moved: &'static str,
}

const SOURCES: [Source; 4] = [
    Source {
        noun: &charge::NOUN,
        kind: "charge",
        id: "id",
        prefix: "ch_",
        rows: "charges",
        moved: "status = 'succeeded' and amount_captured > 0",
    },
    Source {
        noun: &refund::NOUN,
        kind: "refund",
        id: "id",
        prefix: "re_",
        rows: "refunds",
        moved: "status in ('pending', 'requires_action', 'succeeded') and amount > 0",
    },
    Source {
        noun: &dispute::NOUN,
        kind: "adjustment",
        id: "withdrawal",
        prefix: "txn_",
        rows: "(select id, livemode, withdrawn_at as created, currency, withdrawal, body from disputes)",
        moved: "withdrawal is not null",
    },
    Source {
        noun: &dispute::NOUN,
        kind: "adjustment",
        id: "reinstatement",
        prefix: "txn_",
        rows: "(select id, livemode, reinstated_at as created, currency, reinstatement, body from disputes)",
        moved: "reinstatement is not null",
    },
];

/// A page of what moved money. `kind` is the `type` of the movements, if only one is wanted.
pub async fn list(
    connection: &mut Connection,
    livemode: bool,
    conditions: &[Condition],
    kind: Option<&str>,
    cursor: Option<&Cursor>,
    limit: i64,
) -> Result<Page, Fault> {
    let backwards = matches!(cursor, Some(Cursor::Before(_)));
    let order = if backwards { "" } else { " desc" };
    let mut sql = QueryBuilder::<Postgres>::new("select place, body from (");
    for (place, source) in SOURCES.iter().enumerate() {
        let Source { noun, id, prefix, rows, moved, .. } = source;
        let join = if place == 0 { "" } else { " union all " };
        let skip = prefix.len() + 1;
        sql.push(format!(
            "{join}(select substr({id}, {skip}) collate \"C\" as place, body from {rows} t where {moved}"
        ));
        sql.push(" and livemode = ").push_bind(livemode);
        if kind.is_some_and(|kind| kind != source.kind) {
            sql.push(" and false");
        }
        for condition in conditions {
            push_condition(&mut sql, condition);
            if let (Condition::Compare("created", comparison, time), true) = (condition, livemode && *id == "id") {
                push_span(&mut sql, noun, livemode, comparison, *time);
            }
        }
        if let Some(Cursor::After(after) | Cursor::Before(after)) = cursor {
            let rest = after.strip_prefix(movement::NOUN.prefix).unwrap_or(after);
            sql.push(format!(" and {id} {} ", if backwards { ">" } else { "<" }));
            sql.push_bind(format!("{prefix}{rest}"));
        }
        sql.push(format!(" order by {id}{order} limit ")).push_bind(limit + 1).push(")");
    }
    sql.push(format!(") movements order by place{order} limit ")).push_bind(limit + 1);
    let rows = sql.build().fetch_all(connection).await?;
    let limit = usize::try_from(limit).unwrap_or(0);
    let has_more = rows.len() > limit;
    let named = |place: String| format!("{}{place}", movement::NOUN.prefix);
    let mut found: Vec<(String, String)> =
        rows.into_iter().take(limit).map(|row| (named(row.get("place")), row.get("body"))).collect();
    if backwards {
        found.reverse();
    }
    Ok(Page { found, has_more })
}

/// The body of the dispute that a movement is the other side of.
pub async fn dispute_of(connection: &mut Connection, id: &str, livemode: bool) -> Result<Option<String>, Fault> {
    let sql = "select body from disputes where (withdrawal = $1 or reinstatement = $1) and livemode = $2";
    Ok(sqlx::query_scalar(sql).bind(id).bind(livemode).fetch_optional(connection).await?)
}

/// What has come and not gone again, by currency.
pub async fn balance(connection: &mut Connection, livemode: bool) -> Result<Vec<(String, i64)>, Fault> {
    let rows = sqlx::query(
        "select currency, sum(amount)::bigint as amount from (
             select currency, amount_captured as amount from charges where livemode = $1 and status = 'succeeded'
             union all
             select currency, -amount from refunds where livemode = $1 and status in ('pending', 'succeeded')
             union all
             select currency, coalesce(reinstated, 0) - withdrawn from disputes
             where livemode = $1 and withdrawn is not null
         ) movements group by currency order by currency",
    )
    .bind(livemode)
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.get("currency"), row.get("amount"))).collect())
}
