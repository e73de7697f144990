//! Movements of the balance: charges and refunds in one order. Their ids sort by time behind the prefix.

use sqlx::{Postgres, QueryBuilder};

use super::{
    Connection, Fault,
    list::{Condition, Cursor, Page, push_condition, push_span},
};
use crate::billing::{charge, movement, refund};

/// A page of the bodies of what moved money. `kind` is that of the movement: `charge` or `refund`.
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
    let mut sql = QueryBuilder::<Postgres>::new("select body from (");
    for (noun, moved, join) in [
        (&charge::NOUN, "status = 'succeeded' and amount_captured > 0", ""),
        (&refund::NOUN, "status in ('pending', 'requires_action', 'succeeded')", " union all "),
    ] {
        let skip = noun.prefix.len() + 1;
        let table = noun.table;
        sql.push(format!("{join}(select substr(id, {skip}) collate \"C\" as place, body from {table} t where {moved}"));
        sql.push(" and livemode = ").push_bind(livemode);
        if kind.is_some_and(|kind| kind != noun.object) {
            sql.push(" and false");
        }
        for condition in conditions {
            push_condition(&mut sql, condition);
            if let (Condition::Compare("created", comparison, time), true) = (condition, livemode) {
                push_span(&mut sql, noun, comparison, *time);
            }
        }
        if let Some(Cursor::After(id) | Cursor::Before(id)) = cursor {
            let rest = id.strip_prefix(movement::NOUN.prefix).unwrap_or(id);
            sql.push(if backwards { " and id > " } else { " and id < " });
            sql.push_bind(format!("{}{rest}", noun.prefix));
        }
        sql.push(format!(" order by id{order} limit ")).push_bind(limit + 1).push(")");
    }
    sql.push(format!(") movements order by place{order} limit ")).push_bind(limit + 1);
    let bodies: Vec<String> = sql.build_query_scalar().fetch_all(connection).await?;
    Ok(Page::of(bodies, limit, backwards))
}
