//! A house full of customers. One is made through the API, with a card and a subscription; the others
//! are copies of its rows under their own ids, in their own buckets, at their own times. So what is
//! stored is always what the server stores. A copy has no past: its first invoice is missing.

use std::net::SocketAddr;

use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::{
    Outcome,
    http::{Client, text},
    place::execute,
};

/// 2027-01-01 and 2027-02-01: the first period of the customer that the others are copies of.
pub const START: i64 = 1_798_761_600;
const END: i64 = 1_801_440_000;
/// Periods are moved by less than this, to days that every month has.
const SPREAD_SECONDS: i64 = 27 * 86_400;
const EMAIL: &str = "original@example.com";
/// Nobody answers there; the deliveries are only written.
const ENDPOINT: &str = "http://127.0.0.1:9/webhooks";

/// The one that was made through the API.
pub struct Original {
    pub price: String,
    customer: Value,
    method: String,
    subscription: Option<Value>,
}

/// Makes it: an endpoint that listens to everything, a monthly price, a customer with a working card
/// and, if wanted, a subscription.
pub fn original(address: SocketAddr, subscribed: bool) -> Outcome<Original> {
    let mut client = Client::connect(address)?;
    client.make("/v1/webhook_endpoints", &format!("url={ENDPOINT}&enabled_events[]=*"))?;
    let price = price(&mut client)?;
    let (id, method) = customer(&mut client, &format!("email={EMAIL}&name=Original"))?;
    let subscription = if subscribed {
        Some(client.post("/v1/subscriptions", &format!("customer={id}&items[0][price]={price}"))?)
    } else {
        None
    };
    let customer = client.get(&format!("/v1/customers/{id}"))?;
    Ok(Original { price, customer, method, subscription })
}

pub fn price(client: &mut Client) -> Outcome<String> {
    let product = client.make("/v1/products", "name=Basic")?;
    client.make("/v1/prices", &format!("product={product}&currency=usd&unit_amount=2000&recurring[interval]=month"))
}

/// A customer whose default card works, and the card.
pub fn customer(client: &mut Client, form: &str) -> Outcome<(String, String)> {
    let id = client.make("/v1/customers", form)?;
    let method = client.make("/v1/payment_methods/pm_card_visa/attach", &format!("customer={id}"))?;
    client.post(&format!("/v1/customers/{id}"), &format!("invoice_settings[default_payment_method]={method}"))?;
    Ok((id, method))
}

/// Copies the original `count` times. The copies' periods end at `groups` times, one after the other;
/// the original's subscription goes, so that each group is as large as the others.
pub async fn copy(connection: &mut PgConnection, original: &Original, count: usize, groups: usize) -> Outcome<()> {
    let subscribed = original.subscription.is_some();
    execute(connection, &seeds(original, count, groups)?).await?;
    copy_table(connection, "customers", "id = o.customer", "n.customer", "").await?;
    copy_table(connection, "payment_methods", "id = o.method", "n.method", "'customer', n.customer").await?;
    if subscribed {
        let columns = "'customer', n.customer, 'due_at', t.due_at + n.later,
            'current_period_start', t.current_period_start + n.later, 'current_period_end', t.current_period_end + n.later";
        copy_table(connection, "subscriptions", "id = o.subscription", "n.subscription", columns).await?;
        execute(
            connection,
            "insert into subscription_items select r.* from original o join subscription_items t on t.id = o.item
             cross join seeds n cross join lateral jsonb_populate_record(t, jsonb_build_object(
                 'id', n.item, 'bucket', n.bucket, 'subscription', n.subscription, 'customer', n.customer)) r",
        )
        .await?;
        execute(connection, "delete from subscription_items where subscription in (select subscription from original)")
            .await?;
        execute(connection, "delete from subscriptions where id in (select subscription from original)").await?;
    }
    execute(connection, "drop table seeds, original").await?;
    execute(connection, "vacuum analyze").await
}

/// The rows of one table; the ids and times in the body are replaced wherever they stand.
async fn copy_table(connection: &mut PgConnection, table: &str, which: &str, id: &str, columns: &str) -> Outcome<()> {
    let replaced = [
        ("o.customer", "n.customer"),
        ("o.method", "n.method"),
        ("o.subscription", "n.subscription"),
        ("o.item", "n.item"),
        ("o.invoice", "n.invoice"),
        ("o.prefix", "n.prefix"),
        ("o.email", "n.email"),
        ("o.starts", "n.starts"),
        ("o.ends", "n.ends"),
    ];
    let body = replaced.iter().fold("t.body".to_owned(), |body, (old, new)| format!("replace({body}, {old}, {new})"));
    let own = if table == "customers" { "'email', n.email, 'email_folded', n.email" } else { columns };
    let own = if own.is_empty() { String::new() } else { format!(", {own}") };
    let sql = format!(
        "insert into {table} select r.* from original o join {table} t on t.{which} cross join seeds n
         cross join lateral jsonb_populate_record(t, jsonb_build_object(
             'id', {id}, 'bucket', n.bucket, 'created', t.created + n.later, 'body', {body}{own})) r"
    );
    sqlx::query(AssertSqlSafe(sql)).execute(connection).await?;
    Ok(())
}

/// What identifies the original, and what identifies each copy: ids that sort as if the copies had been
/// made one after the other, and end in the two characters of their bucket.
fn seeds(original: &Original, count: usize, groups: usize) -> Outcome<String> {
    let customer = text(&original.customer, "id")?;
    let prefix = text(&original.customer, "invoice_prefix")?;
    let absent = Value::Null;
    let subscription = original.subscription.as_ref().unwrap_or(&absent);
    // Where there is none, a text that stands in no body.
    let part = |pointer: &str| subscription.pointer(pointer).and_then(Value::as_str).unwrap_or("(none)").to_owned();
    let (id, item, invoice) = (part("/id"), part("/items/data/0/id"), part("/latest_invoice"));
    let method = &original.method;
    let time = customer.get(4..12).ok_or("an id is too short")?;
    let step = SPREAD_SECONDS / i64::try_from(groups.max(1))?;
    let base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    Ok(format!(
        "create unlogged table original as select '{customer}' as customer, '{method}' as method, '{id}' as subscription,
             '{item}' as item, '{invoice}' as invoice, '{prefix}' as prefix, '{EMAIL}' as email,
             '{START}' as starts, '{END}' as ends;
         create unlogged table seeds as
         select 'cus_' || head || substr(chance, 1, 6) || tail as customer, 'pm_' || head || substr(chance, 7, 6) || tail as method,
             'sub_' || head || substr(chance, 13, 6) || tail as subscription, 'si_' || head || substr(chance, 19, 6) || tail as item,
             'in_' || head || substr(chance, 25, 6) || tail as invoice, upper(substr(chance, 1, 8)) as prefix,
             'user' || number || '@example.com' as email, bucket, later, ({START} + later)::text as starts, ({END} + later)::text as ends
         from (
             select number, bucket, '{time}' || lpad(number::text, 8, '0') as head, md5(number::text) as chance,
                 substr('{base62}', 1 + bucket / 62, 1) || substr('{base62}', 1 + bucket % 62, 1) as tail,
                 (number % {groups}) * {step}::bigint as later
             from (select number, ((number::bigint * 7919) % 3844)::int as bucket from generate_series(1, {count}) number) numbered
         ) made;
         analyze seeds"
    ))
}
