//! Callers who write at the same time: together where that goes smoothly, and never to another's cost.

use std::time::Duration;

use futures_util::future::join_all;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::support::{House, id};

/// A transaction of somebody else.
struct Other(PgConnection);

impl Other {
    async fn holds(house: &House, sql: &str) -> Other {
        let mut connection = PgConnection::connect(&house.database_url).await.expect("a connection");
        connection.execute("begin").await.expect("a transaction");
        connection.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await.expect(sql);
        Other(connection)
    }

    /// Ends once so many wait for what it has locked.
    async fn ends_at_last(self, house: &House, count: i64) {
        held_up(house, count).await;
        self.ends().await;
    }

    async fn ends(mut self) {
        self.0.execute("rollback").await.expect("its end");
    }
}

/// Until so many wait for locks.
async fn held_up(house: &House, count: i64) {
    let sql = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    while house.count(sql).await < count {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn no_group_failed(house: &House) {
    let metrics = house.get("/metrics").await.text;
    assert!(metrics.contains("dunlin_groups_failed_total 0"), "{metrics}");
}

/// Every insertion of an event waits.
const NO_EVENTS: &str = "lock table events in share mode";

/// A request of which nobody knows yet whether it commits.
const UNKNOWN_TWIN: &str = "insert into idempotency_keys (livemode, key, fingerprint, request, created)
                            values (false, 'twin', '', 'req_1', 1)";

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_is_written_with_others() {
    let house = House::open().await;
    house.post("/v1/customers", &[]).await.ok();
    let other = Other::holds(&house, NO_EVENTS).await;
    let creations = join_all((0..50).map(|_| house.post("/v1/customers", &[("name", "Ada")])));
    let release = other.ends_at_last(&house, 2);
    let (answers, ()) = tokio::join!(creations, release);
    let mut ids: Vec<String> = answers.into_iter().map(|answer| id(&answer.ok())).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 50);
    let of_ada = "from customers where name_folded = 'ada'";
    assert_eq!(house.count(&format!("select count(*) {of_ada}")).await, 50);
    assert!(house.count(&format!("select count(distinct xmin::text) {of_ada}")).await < 50, "some share a transaction");
    assert_eq!(house.count("select count(*) from events where type = 'customer.created'").await, 51);
    no_group_failed(&house).await;
}

/// Each pays its own, gets its own answer as it asked for it, and gets it again.
#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_that_begin_together() {
    let house = House::open().await;
    let price = house.monthly_price(1000).await;
    let cards = ["pm_card_visa", "pm_card_chargeCustomerFail"];
    let customers = join_all((0..20).map(|number| house.customer(cards[number % 2], None))).await;
    let subscribe = async |number: usize| {
        let mut form = vec![("customer", customers[number].as_str()), ("items[0][price]", &price)];
        if number % 4 > 1 {
            form.push(("expand[]", "latest_invoice.lines"));
        }
        house.post_keyed(&format!("key-{number}"), "/v1/subscriptions", &form).await
    };
    let other = Other::holds(&house, NO_EVENTS).await;
    let release = other.ends_at_last(&house, 2);
    let (answers, ()) = tokio::join!(join_all((0..20).map(subscribe)), release);
    for (number, (answer, customer)) in answers.iter().zip(&customers).enumerate() {
        let subscription = answer.clone().ok();
        assert_eq!(subscription["customer"], **customer);
        assert_eq!(subscription["status"], if number % 2 == 0 { "active" } else { "incomplete" });
        assert_eq!(subscription["latest_invoice"].is_object(), number % 4 > 1, "{subscription:#}");
        assert_eq!(house.list(&format!("/v1/invoices?customer={customer}")).await.len(), 1);
        assert_eq!(house.list(&format!("/v1/charges?customer={customer}")).await.len(), 1);
        assert_eq!(subscribe(number).await.text, answer.text, "the same again");
    }
    assert_eq!(house.count("select count(*) from events where type = 'customer.subscription.created'").await, 20);
    let shared = "select count(distinct xmin::text) from invoices where status = 'paid'";
    assert!(house.count(shared).await < 10, "some share a transaction");
    no_group_failed(&house).await;
    let together = join_all((0..20).map(subscribe)).await;
    for (again, answer) in together.iter().zip(&answers) {
        assert_eq!(again.text, answer.text);
    }
    assert_eq!(house.count("select count(*) from subscriptions").await, 20);
}

/// Keys of their own, and of a request before.
#[tokio::test(flavor = "multi_thread")]
async fn repetitions_among_others() {
    let house = House::open().await;
    let create = async |key: usize, name: &str| {
        house.post_keyed(&format!("key-{key}"), "/v1/customers", &[("name", name)]).await
    };
    let known = join_all((0..10).map(|key| create(key, "Ada"))).await;
    let other = Other::holds(&house, NO_EVENTS).await;
    let release = other.ends_at_last(&house, 2);
    let (answers, others, ()) = tokio::join!(
        join_all((0..40).map(|key| create(key, "Ada"))),
        join_all((0..3).map(|key| create(key, "Bea"))),
        release
    );
    let of_ada = "from customers where name_folded = 'ada'";
    assert_eq!(house.count(&format!("select count(*) {of_ada}")).await, 40);
    assert!(house.count(&format!("select count(distinct xmin::text) {of_ada}")).await < 40, "some share a transaction");
    for (again, before) in answers.iter().zip(&known) {
        assert_eq!((&again.text, again.status), (&before.text, 200));
    }
    for answer in &answers {
        answer.clone().ok();
    }
    for answer in others {
        assert_eq!(answer.error(400)["type"], "idempotency_error");
    }
    no_group_failed(&house).await;
}

/// One that is refused, one that clashes and twins: each gets what it would have got alone.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_spoils_what_others_asked_for() {
    let house = House::open().await;
    let price = house.monthly_price(1000).await;
    let customer = house.customer("pm_card_visa", None).await;
    let other = Other::holds(&house, NO_EVENTS).await;
    let good = join_all((0..10).map(|_| house.post("/v1/customers", &[("name", "Ada")])));
    let subscribed = house.subscribe_with(&customer, &price, &[]);
    let refused = house.subscribe_with(&customer, "price_of_nothing", &[]);
    let clashing = join_all((0..4).map(|_| house.post("/v1/products", &[("id", "gold"), ("name", "Gold")])));
    let twins = join_all((0..6).map(|_| house.post_keyed("once", "/v1/customers", &[("name", "Bea")])));
    let release = other.ends_at_last(&house, 2);
    let (good, subscribed, refused, clashing, twins, ()) =
        tokio::join!(good, subscribed, refused, clashing, twins, release);
    for answer in good {
        answer.ok();
    }
    assert_eq!(subscribed.ok()["status"], "active");
    assert_eq!(refused.error(400)["code"], "resource_missing");
    let (made, others): (Vec<_>, Vec<_>) = clashing.into_iter().partition(|answer| answer.status == 200);
    assert_eq!(made.len(), 1);
    for answer in others {
        assert_eq!(answer.error(400)["code"], "resource_already_exists");
    }
    let mut beas: Vec<String> = twins.into_iter().map(|answer| id(&answer.ok())).collect();
    beas.dedup();
    assert_eq!(beas.len(), 1, "twins are one");
    assert_eq!(house.count("select count(*) from customers where name_folded = 'bea'").await, 1);
    assert_eq!(house.count("select count(*) from products where id = 'gold'").await, 1);
    assert_eq!(house.count("select count(*) from customers where name_folded = 'ada'").await, 11);
}

/// A database that hangs up on groups takes nothing from anybody.
#[tokio::test(flavor = "multi_thread")]
async fn connections_of_groups_are_lost() {
    let house = House::open().await;
    house.post("/v1/customers", &[]).await.ok();
    let other = Other::holds(&house, NO_EVENTS).await;
    let creations = join_all((0..20).map(|_| house.post("/v1/customers", &[("name", "Ada")])));
    let hang_up = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                   where datname = current_database() and wait_event_type = 'Lock'";
    let release = async {
        for _ in 0..2 {
            held_up(&house, 2).await;
            house.count(hang_up).await;
        }
        other.ends().await;
    };
    let (answers, ()) = tokio::join!(creations, release);
    for answer in answers {
        answer.ok();
    }
    assert_eq!(house.count("select count(*) from customers where name_folded = 'ada'").await, 20);
    assert_eq!(house.count("select count(*) from events").await, 21);
}

/// A customer that is locked holds up who asks about that customer, and nobody else.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_the_lock_of_another() {
    let house = House::open().await;
    let price = house.monthly_price(1000).await;
    let customers = join_all((0..8).map(|_| house.customer("pm_card_visa", None))).await;
    let locking = format!("select from customers where id = '{}' for update", customers[0]);
    let other = Other::holds(&house, &locking).await;
    let held = house.subscribe(&customers[0], &price);
    let free = async {
        let subscriptions = join_all(customers[1..].iter().map(|customer| house.subscribe(customer, &price))).await;
        other.ends_at_last(&house, 1).await;
        subscriptions
    };
    let (held, free) = tokio::join!(held, free);
    assert_eq!(held["status"], "active");
    assert_eq!(free.len(), 7);
    for subscription in free {
        assert_eq!(subscription["status"], "active");
    }
}

/// Nor does a group wait for a twin of one of its members.
#[tokio::test(flavor = "multi_thread")]
async fn a_twin_holds_up_nobody_else() {
    let house = House::open().await;
    house.post("/v1/customers", &[]).await.ok();
    let other = Other::holds(&house, UNKNOWN_TWIN).await;
    let create = async |name: &str, key: &str| house.post_keyed(key, "/v1/customers", &[("name", name)]).await;
    let twins = join_all((0..6).map(|_| create("Ada", "twin")));
    let free = async {
        let keys: Vec<String> = (0..12).map(|number| format!("key-{number}")).collect();
        let made = join_all(keys.iter().map(|key| create("Bea", key))).await;
        other.ends().await;
        made
    };
    let (twins, free) = tokio::join!(twins, free);
    for answer in twins {
        assert_eq!(answer.ok()["name"], "Ada");
    }
    for answer in free {
        assert_eq!(answer.ok()["name"], "Bea");
    }
    assert_eq!(house.count("select count(*) from customers where name_folded = 'ada'").await, 1);
    assert_eq!(house.count("select count(*) from customers where name_folded = 'bea'").await, 12);
}

/// Groups that cannot go on stop nobody else.
#[tokio::test(flavor = "multi_thread")]
async fn who_has_waited_for_too_long_goes_alone() {
    let house = House::open().await;
    house.post("/v1/customers", &[]).await.ok();
    let other = Other::holds(&house, UNKNOWN_TWIN).await;
    let held = join_all((0..4).map(|_| house.post_keyed("twin", "/v1/customers", &[("name", "Ada")])));
    let free = async {
        held_up(&house, 2).await;
        let made = join_all((0..4).map(|_| house.post("/v1/customers", &[("name", "Bea")]))).await;
        other.ends_at_last(&house, 2).await;
        made
    };
    let (held, free) = tokio::join!(held, free);
    let mut held: Vec<String> = held.into_iter().map(|answer| id(&answer.ok())).collect();
    held.dedup();
    assert_eq!(held.len(), 1, "twins are one");
    for customer in free {
        assert_eq!(customer.ok()["name"], "Bea");
    }
    assert_eq!(house.count("select count(*) from customers where name_folded = 'ada'").await, 1);
}
