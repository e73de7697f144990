//! Lists that something else than their own table leads: pages, in both directions, and what their words mean.

use serde_json::Value;

use crate::support::{House, at, id};

impl House {
    /// The ids of one page, and whether there are more.
    async fn page(&self, path: &str) -> (Vec<String>, bool) {
        let page: Value = self.get(path).await.ok();
        let ids = page["data"].as_array().expect("a list").iter().map(id).collect();
        (ids, page["has_more"] == true)
    }

    /// Walks a list in pages of two, down and up again.
    async fn walks(&self, path: &str, all: &[String]) {
        let mut cursor = String::new();
        for (place, page) in all.chunks(2).enumerate() {
            let has_more = all.len() > 2 * (place + 1);
            assert_eq!(
                self.page(&format!("{path}&limit=2{cursor}")).await,
                (page.to_vec(), has_more),
                "{path}{cursor}"
            );
            cursor = format!("&starting_after={}", page[page.len() - 1]);
        }
        let last = &all[all.len() - 1];
        let before = all[all.len() - 3..all.len() - 1].to_vec();
        let found = self.page(&format!("{path}&limit=2&ending_before={last}")).await;
        assert_eq!(found, (before, all.len() > 3), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_several_types_are_one_list() {
    let house = House::open().await;
    for name in ["a", "b", "c"] {
        let customer = id(&house.post("/v1/customers", &[]).await.ok());
        house.post(&format!("/v1/customers/{customer}"), &[("name", name)]).await.ok();
        house.post("/v1/products", &[("name", name)]).await.ok();
    }
    let events = house.list("/v1/events").await;
    let of = |types: &[&str]| -> Vec<String> {
        events.iter().filter(|event| types.iter().any(|kind| event["type"] == *kind)).map(id).collect()
    };
    let both = of(&["customer.updated", "product.created"]);
    assert_eq!(both.len(), 6);
    house.walks("/v1/events?types[]=product.created&types[]=customer.updated", &both).await;
    // Said twice, told once.
    house.walks("/v1/events?types[]=customer.updated&types[]=customer.updated&types[]=product.created", &both).await;
    house.walks("/v1/events?type=customer.*", &of(&["customer.created", "customer.updated"])).await;
    house.walks("/v1/events?type=*", &events.iter().map(id).collect::<Vec<_>>()).await;
    assert_eq!(house.page("/v1/events?type=no.such.*").await, (Vec::new(), false));
    assert_eq!(house.page("/v1/events?types[]=invoice.paid").await, (Vec::new(), false));
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_of_a_price_are_one_list() {
    let house = House::open().await;
    let (price, other) = (house.monthly_price(1000).await, house.monthly_price(2000).await);
    let customer = house.customer("pm_card_visa", None).await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(id(&house.subscribe(&customer, &price).await));
        house.subscribe(&customer, &other).await;
    }
    made.reverse();
    house.walks(&format!("/v1/subscriptions?price={price}"), &made).await;
    house.walks(&format!("/v1/subscriptions?plan={price}&status=active&customer={customer}"), &made).await;
    house.delete(&format!("/v1/subscriptions/{}", made[1])).await.ok();
    let canceled = house.page(&format!("/v1/subscriptions?price={price}&status=canceled")).await;
    assert_eq!(canceled, (vec![made[1].clone()], false));
    house.walks(&format!("/v1/subscriptions?price={price}&status=all"), &made).await;
    assert_eq!(house.page("/v1/subscriptions?price=price_none").await, (Vec::new(), false));
}

/// What is created when is found on and off test clocks, whatever the ids say.
#[tokio::test(flavor = "multi_thread")]
async fn ranges_of_creation_times() {
    let house = House::open().await;
    let wall = at("2027-01-01T00:00:00Z");
    let here = id(&house.post("/v1/customers", &[]).await.ok());
    let clock = house.test_clock("2030-06-01T00:00:00Z").await;
    let there = id(&house.post("/v1/customers", &[("test_clock", &clock)]).await.ok());
    for (query, found) in [
        (format!("created={wall}"), vec![&here]),
        (format!("created[gte]={wall}&created[lt]={}", wall + 1), vec![&here]),
        (format!("created[gt]={wall}"), vec![]),
        (format!("created[lt]={wall}"), vec![]),
        (format!("created[gt]={}&test_clock={clock}", wall + 1), vec![&there]),
        (format!("created[lte]={wall}&test_clock={clock}"), vec![]),
    ] {
        let ids = house.page(&format!("/v1/customers?{query}")).await.0;
        assert_eq!(ids.iter().collect::<Vec<_>>(), found, "{query}");
    }
    for (query, found) in [("created[gt]=9223372036854775807", 0), ("created[gt]=-9223372036854775808", 1)] {
        assert_eq!(house.page(&format!("/v1/customers?{query}")).await.0.len(), found, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_refused_or_mean_something() {
    let house = House::open().await;
    let price = house.monthly_price(1000).await;
    for (query, found) in [
        ("type=recurring", true),
        ("type=one_time", false),
        ("recurring[interval]=month", true),
        ("recurring[interval]=year", false),
        ("recurring[usage_type]=licensed", true),
        ("recurring[usage_type]=metered", false),
        ("active=true", true),
        ("active=false", false),
    ] {
        let ids = house.page(&format!("/v1/prices?{query}")).await.0;
        assert_eq!(ids, if found { vec![price.clone()] } else { Vec::new() }, "{query}");
    }
    for (path, param) in [
        ("/v1/prices?type=monthly", "type"),
        ("/v1/prices?recurring[interval]=decade", "recurring[interval]"),
        ("/v1/products?type=ware", "type"),
        ("/v1/payment_methods?allow_redisplay=never", "allow_redisplay"),
        ("/v1/invoice_payments?status=lost", "status"),
    ] {
        let error = house.get(path).await.error(400);
        assert_eq!(error["param"], param, "{path}");
        let message = error["message"].as_str().unwrap();
        assert!(message.starts_with(&format!("Invalid {param}: must be one of ")), "{message}");
    }
}
