//! Receipts of idempotency keys: found while the books are opened, written while they are closed.

use futures_util::future::join_all;

use crate::support::{House, execute, id};

/// R9, where no lock makes twins wait for each other: the receipt alone decides who was first.
#[tokio::test(flavor = "multi_thread")]
async fn fifty_twins_that_make_something_new_have_one_effect() {
    let house = House::open().await;
    let answers = join_all((0..50).map(|_| house.post_keyed("twin", "/v1/customers", &[("name", "Ada")]))).await;
    let mut bodies: Vec<String> = Vec::new();
    for answer in answers {
        assert_eq!(answer.status, 200, "{:#}", answer.body);
        bodies.push(answer.text);
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "the same bytes for everybody");
    assert_eq!(house.count("select count(*) from customers").await, 1);
    assert_eq!(house.count("select count(*) from events where type = 'customer.created'").await, 1);
    assert_eq!(house.count("select count(*) from idempotency_keys").await, 1);
}

/// What can be put into words only once it is written, too, is answered by the same bytes again.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_shows_more_than_its_subject_is_remembered_too() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let customer = house.customer("pm_card_visa", None).await;
    let form = [
        ("customer", &*customer),
        ("items[0][price]", &*price),
        ("expand[]", "latest_invoice.payments"),
        ("expand[]", "customer"),
    ];
    let first = house.post_keyed("shown", "/v1/subscriptions", &form).await;
    let again = house.post_keyed("shown", "/v1/subscriptions", &form).await;
    assert_eq!((first.status, &first.text), (200, &again.text));
    assert_eq!(first.body["latest_invoice"]["status"], "paid");
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_eq!(house.count("select count(*) from subscriptions").await, 1);
}

/// The answer that is shown before it is written is the one that is read afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_is_what_is_kept() {
    let house = House::open().await;
    let price = house.monthly_price(2000).await;
    let customer = house.customer("pm_card_visa", None).await;
    let subscription = [("customer", &*customer), ("items[0][price]", &*price)];
    for (path, form) in [("/v1/subscriptions", &subscription[..]), ("/v1/customers", &[("name", "Ada")])] {
        for made in [house.post(path, form).await, house.post_keyed(path, path, form).await] {
            let kept = house.get(&format!("{path}/{}", id(&made.body))).await;
            assert_eq!(made.text, kept.text);
        }
    }
}

/// A key can be used anew once its receipt has lapsed, whether or not somebody has swept it away.
#[tokio::test(flavor = "multi_thread")]
async fn a_lapsed_key_is_as_good_as_new() {
    let house = House::open().await;
    house.post_keyed("k", "/v1/customers", &[("name", "Ada")]).await.ok();
    house.post_keyed("k", "/v1/customers", &[("name", "Eve")]).await.error(400);
    execute(&house.database_url, "update idempotency_keys set created = created - 48 * 3600").await;
    let eve = house.post_keyed("k", "/v1/customers", &[("name", "Eve")]).await;
    assert_eq!((eve.status, &eve.body["name"]), (200, &"Eve".into()));
    assert_eq!(eve.text, house.post_keyed("k", "/v1/customers", &[("name", "Eve")]).await.text);
    assert_eq!(house.count("select count(*) from customers").await, 2);
}
