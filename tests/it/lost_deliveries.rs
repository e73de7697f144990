//! No event is lost, whoever dies in the middle: every event arrives at least once, and those of one
//! object arrive in their order.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use reqwest::Client;

use crate::{
    crashes::{get, post},
    sinks::{Answer, Sink},
    support::{House, Process, count, id, new_database},
    webhooks::endpoint,
};

/// How many customers are made and changed in each round.
const CUSTOMERS: usize = 60;

/// Makes customers, and changes each twice.
async fn tell_much(client: &Client, url: &str) {
    for _ in 0..CUSTOMERS {
        let customer = id(&post(client, url, "/v1/customers", "name=Ada").await);
        for name in ["Grace", "Mary"] {
            post(client, url, &format!("/v1/customers/{customer}"), &format!("name={name}")).await;
        }
    }
}

async fn until_taken(sink: &Sink, wanted: usize) {
    for _ in 0..6000 {
        if sink.taken().len() >= wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{} of {wanted}", sink.taken().len());
}

/// Everything that was told has been taken, and for each object in the order in which it was told.
async fn audit(sink: &Sink, client: &Client, url: &str, database_url: &str) {
    for _ in 0..6000 {
        if count(database_url, "select count(*) from deliveries").await == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(count(database_url, "select count(*) from deliveries").await, 0);
    let taken = sink.taken();
    let events: HashSet<String> = taken.iter().map(|heard| id(&heard.event)).collect();
    let told = count(database_url, "select count(*) from events").await;
    assert_eq!(events.len(), usize::try_from(told).unwrap(), "every event arrived");
    let mut highest: HashMap<String, i64> = HashMap::new();
    for heard in &taken {
        let known = highest.entry(heard.object()).or_insert(0);
        assert!(heard.sequence() <= *known + 1, "{} came before those before it", heard.body);
        *known = heard.sequence().max(*known);
    }
    let failed = get(client, url, "/v1/dunlin/deliveries?status=failed").await;
    assert_eq!(failed["data"].as_array().map(Vec::len), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_of_the_server_loses_no_event() {
    let (database_url, client, sink) = (new_database().await, Client::new(), Sink::open().await);
    // Slow enough that some are always under way.
    sink.answer(|_| Answer { after: Duration::from_millis(20), ..Answer::ok() });
    let mut taken = 0;
    for round in 0..4 {
        // A server of a later time: what the killed one had leased is due again.
        let offset = (round * 200).to_string();
        let process = Process::start(&[("DATABASE_URL", &database_url), ("DUNLIN_CLOCK_OFFSET", &offset)]).await;
        if round == 0 {
            post(&client, &process.url, "/v1/webhook_endpoints", &format!("url={}&enabled_events[]=*", sink.url)).await;
        }
        let url = process.url.clone();
        let telling = tokio::spawn({
            let client = client.clone();
            async move { tell_much(&client, &url).await }
        });
        if round == 3 {
            telling.await.unwrap();
            audit(&sink, &client, &process.url, &database_url).await;
        } else {
            taken += 40 + round * 11;
            until_taken(&sink, taken.max(sink.taken().len() + 20)).await;
            process.kill();
            telling.abort();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_dies_gets_everything_when_it_lives_again() {
    let (database_url, client, sink) = (new_database().await, Client::new(), Sink::unborn().await);
    sink.answer(|_| Answer { after: Duration::from_millis(5), ..Answer::ok() });
    let mut wanted = 0;
    for round in 0..4 {
        let offset = (round * 900).to_string();
        let process = Process::start(&[("DATABASE_URL", &database_url), ("DUNLIN_CLOCK_OFFSET", &offset)]).await;
        if round == 0 {
            post(&client, &process.url, "/v1/webhook_endpoints", &format!("url={}&enabled_events[]=*", sink.url)).await;
        }
        let life = sink.live().await;
        if round == 3 {
            audit(&sink, &client, &process.url, &database_url).await;
            life.shutdown_background();
            return;
        }
        let url = process.url.clone();
        let telling = tokio::spawn({
            let client = client.clone();
            async move { tell_much(&client, &url).await }
        });
        wanted += 30;
        until_taken(&sink, wanted.max(sink.taken().len() + 10)).await;
        life.shutdown_background();
        telling.await.unwrap();
        // Nobody listens for a while, and the server tries in vain.
        tokio::time::sleep(Duration::from_millis(200)).await;
        process.kill();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_leaves_nothing_leased() {
    let gateway = std::sync::Arc::new(dunlin::gateway::test_cards::TestCards::default());
    let house = House::open_with(gateway, 1).await;
    let sink = Sink::open().await;
    sink.answer(|_| Answer { after: Duration::from_millis(100), ..Answer::ok() });
    endpoint(&house, &sink.url, &["*"]).await;
    tell_much(&house.client, &house.url).await;
    until_taken(&sink, 1).await;
    house.app.stop().await;
    assert_eq!(count(&house.database_url, "select count(*) from deliveries where leased").await, 0);
    let (taken, heard) = (sink.taken(), sink.heard());
    assert_eq!(taken.len(), heard.len(), "what had gone out came to its end");
    let left = count(&house.database_url, "select count(*) from deliveries where due_at is not null").await;
    let told = count(&house.database_url, "select count(*) from events").await;
    assert_eq!(taken.len() + usize::try_from(left).unwrap(), usize::try_from(told).unwrap());
}
