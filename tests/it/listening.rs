//! What a process remembers of who listens: a change by any other counts from the next decision on.

use crate::support::{House, execute, id};

#[tokio::test(flavor = "multi_thread")]
async fn what_another_process_changes_counts_at_once() {
    let house = House::open().await;
    let deliveries = || house.count("select count(*) from deliveries");
    let another = async |sql: &str| execute(&house.database_url, sql).await;
    let form = [("url", "http://127.0.0.1:9/hook"), ("enabled_events[]", "*")];
    house.post("/v1/webhook_endpoints", &form).await.ok();
    for expected in [1, 2] {
        house.post("/v1/customers", &[]).await.ok();
        assert_eq!(deliveries().await, expected);
    }
    another("update webhook_endpoints set enabled = false").await;
    house.post("/v1/customers", &[]).await.ok();
    assert_eq!(deliveries().await, 2, "it was disabled");
    another("update webhook_endpoints set enabled = true, body = replace(body, '\"*\"', '\"product.created\"')").await;
    house.post("/v1/customers", &[]).await.ok();
    assert_eq!(deliveries().await, 2, "it does not want to hear of customers");
    house.post("/v1/products", &[("name", "Gold")]).await.ok();
    assert_eq!(deliveries().await, 3);
    another("delete from webhook_endpoints").await;
    house.post("/v1/products", &[("name", "Silver")]).await.ok();
    assert_eq!(deliveries().await, 3, "it is gone");
}

/// Whoever decides by what is remembered has not read the key: it is found when the receipt is written.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_is_answered_again() {
    let house = House::open().await;
    house.post("/v1/customers", &[]).await.ok();
    let gold = [("name", "Gold"), ("id", "gold")];
    let first = house.post_keyed("key-1", "/v1/products", &gold).await.ok();
    assert_eq!(id(&first), "gold");
    // A decision would refuse it now: the product exists.
    assert_eq!(house.post_keyed("key-1", "/v1/products", &gold).await.ok(), first);
    let other = house.post_keyed("key-1", "/v1/products", &[("name", "Gold")]).await.error(400);
    assert_eq!(other["type"], "idempotency_error");
    let exists = house.post_keyed("key-2", "/v1/products", &gold).await.error(400);
    assert_eq!((&exists["code"], &exists["param"]), (&"resource_already_exists".into(), &"id".into()));
    let customer = house.post_keyed("key-3", "/v1/customers", &[("name", "Ada")]).await.ok();
    assert_eq!(house.post_keyed("key-3", "/v1/customers", &[("name", "Ada")]).await.ok(), customer);
    assert_eq!(house.count("select count(*) from customers where name_folded = 'ada'").await, 1);
}
