//! Connections, lent and given back.

use dunlin::store::{Connection, Store};
use sqlx::Row as _;

use crate::support::new_database;

async fn process(connection: &mut Connection) -> i32 {
    sqlx::query("select pg_backend_pid()").fetch_one(connection).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_back_is_lent_again() {
    let store = Store::connect(&new_database().await, 2).await.unwrap();
    let mut one = store.reader().await.unwrap();
    let known = process(&mut one).await;
    one.give_back();
    let mut tx = store.begin().await.unwrap();
    assert_eq!(process(&mut tx).await, known);
    tx.commit().await.unwrap();
    let mut tx = store.begin().await.unwrap();
    assert_eq!(process(&mut tx).await, known);
    tx.roll_back().await.unwrap();
    let (mut one, mut other) = (store.reader().await.unwrap(), store.reader().await.unwrap());
    assert_eq!(process(&mut one).await, known);
    assert_ne!(process(&mut other).await, known);
    drop((one, other));
    store.close().await;
    assert!(store.reader().await.is_err());
}

/// A transaction that nobody ended holds no lock and leaves no trace, and its connection is no one's.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_dropped_within_a_transaction_is_rolled_back() {
    let store = Store::connect(&new_database().await, 1).await.unwrap();
    let mut tx = store.begin().await.unwrap();
    let lost = process(&mut tx).await;
    sqlx::query("insert into accounts (id, created) values ('acct_lost', 1)").execute(&mut *tx).await.unwrap();
    drop(tx);
    let mut next = store.begin().await.unwrap();
    assert_ne!(process(&mut next).await, lost);
    let found = sqlx::query("select from accounts where id = 'acct_lost'").fetch_optional(&mut *next).await.unwrap();
    assert!(found.is_none());
    next.commit().await.unwrap();
    store.close().await;
}

/// One who waits is served by whoever gives back next.
#[tokio::test(flavor = "multi_thread")]
async fn who_waits_is_served() {
    let store = Store::connect(&new_database().await, 1).await.unwrap();
    let one = store.reader().await.unwrap();
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { process(&mut store.reader().await.unwrap()).await }
    });
    tokio::task::yield_now().await;
    one.give_back();
    assert!(waiting.await.unwrap() > 0);
    store.close().await;
}
