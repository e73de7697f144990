//! The events of one object arrive in order, and whoever keeps the highest number it has seen ends up
//! right whatever the network does.

use std::collections::HashMap;

use dunlin::{
    billing::Timestamp,
    store::{
        Store,
        delivery::{self, Done, Exchange, Lease, Outcome, Room},
    },
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::json;

use crate::{
    crashes::post,
    sinks::{Answer, Sink},
    support::{House, Process, at, count, execute, id, new_database},
    webhooks::{dispatch, endpoint},
};

/// How many objects change, and how often each.
const OBJECTS: usize = 10_000;
const EVENTS: i32 = 6;
const ENDPOINT: &str = "we_simulated";

/// What a receiver knows of an object: the number of the event that it believes, and what it said.
type Believed = HashMap<String, i32>;

/// A network with chance in it, and three receivers behind it.
struct Network {
    chance: StdRng,
    /// Copies under way: when they arrive, and of what.
    under_way: Vec<(i64, String, i32)>,
    /// Applies whatever comes, unless it knows a higher number.
    careful: Believed,
    /// Applies whatever comes.
    careless: Believed,
    duplicates: usize,
}

impl Network {
    fn one_in(&mut self, many: u32) -> bool {
        self.chance.next_u32().is_multiple_of(many)
    }

    /// Sends one event. One in ten fails, half of those after it has arrived; some arrive once more, much
    /// later. Returns whether the sender hears that it arrived.
    fn send(&mut self, lease: &Lease, now: i64) -> bool {
        let fails = self.one_in(10);
        let arrives = !fails || self.one_in(2);
        let copies = usize::from(arrives) + usize::from(arrives && self.one_in(20));
        for copy in 0..copies {
            let delay = if copy == 0 { 0 } else { i64::from(self.chance.next_u32() % 120) };
            self.duplicates += copy;
            self.under_way.push((now + delay, lease.object.clone(), lease.sequence));
        }
        if fails && arrives {
            self.duplicates += 1;
        }
        !fails
    }

    /// What has arrived by now, in the order of arrival.
    fn arrive(&mut self, now: i64) {
        self.under_way.sort_by_key(|(arrival, _, _)| *arrival);
        let later = self.under_way.partition_point(|(arrival, _, _)| *arrival <= now);
        for (_, object, sequence) in self.under_way.drain(..later) {
            self.careless.insert(object.clone(), sequence);
            let believed = self.careful.entry(object).or_insert(0);
            *believed = sequence.max(*believed);
        }
    }
}

/// The queue as it is, its clock and its network made up: 10,000 objects change six times each, in
/// 10,000 runs at once that have nothing in common but the table.
async fn run(ordered: bool, seed: u64) -> (usize, usize, usize) {
    let database_url = new_database().await;
    let insert = format!(
        "insert into deliveries (event, endpoint, bucket, object, sequence, created, due_at)
         select 'evt_' || lpad(n::text, 6, '0') || lpad(k::text, 2, '0'), '{ENDPOINT}', 0, 'sub_' || n, k, k * 7 + n % 5, k * 7 + n % 5
         from generate_series(1, {OBJECTS}) n, generate_series(1, {EVENTS}) k"
    );
    execute(&database_url, &insert).await;
    execute(&database_url, "analyze deliveries").await;
    let store = Store::connect(&database_url, 4).await.unwrap();
    let mut reader = store.reader().await.unwrap();
    let mut network = Network {
        chance: StdRng::seed_from_u64(seed),
        under_way: Vec::new(),
        careful: HashMap::new(),
        careless: HashMap::new(),
        duplicates: 0,
    };
    let rooms = [Room { endpoint: ENDPOINT.to_owned(), deliveries: 100_000, ordered }];
    let mut now = 0;
    while now < 20_000 {
        now += 5;
        let leased = delivery::lease(&mut reader, &rooms, now, now + 120, 100_000).await.unwrap();
        network.arrive(now);
        let mut done = Vec::new();
        let mut failed: HashMap<String, i64> = HashMap::new();
        // Lanes run side by side, each in its order; without order everything runs side by side.
        let mut leases = leased.leases;
        if !ordered {
            leases.sort_by_cached_key(|_| network.chance.next_u32());
        }
        for lease in leases {
            let outcome = match failed.get(&lease.object) {
                Some(due_at) if ordered => Outcome::Unsent(*due_at),
                _ if network.send(&lease, now) => Outcome::Delivered,
                _ => {
                    let due_at = now + (5 << lease.attempt.min(8)) + i64::from(network.chance.next_u32() % 3);
                    failed.insert(lease.object.clone(), due_at);
                    Outcome::Failed(due_at)
                }
            };
            done.push(Done { lease, outcome, exchange: Exchange::default() });
        }
        delivery::record(&mut reader, &done, now).await.unwrap();
        if now > 100 && count(&database_url, "select count(*) from deliveries").await == 0 {
            break;
        }
    }
    network.arrive(i64::MAX);
    assert_eq!(network.careful.len(), OBJECTS, "everything was delivered");
    let wrong = |believed: &Believed| believed.values().filter(|sequence| **sequence != EVENTS).count();
    let result = (wrong(&network.careful), wrong(&network.careless), network.duplicates);
    drop(reader);
    store.close().await;
    result
}

#[tokio::test(flavor = "multi_thread")]
async fn a_naive_receiver_ends_up_right_in_ten_thousand_runs() {
    let (wrong, careless_wrong, duplicates) = run(true, 7).await;
    assert_eq!(wrong, 0, "who keeps the highest number is right");
    assert!(duplicates > OBJECTS / 10, "there were duplicates: {duplicates}");
    let (wrong_unordered, careless_unordered, _) = run(false, 7).await;
    assert_eq!(wrong_unordered, 0, "the number alone is enough");
    // Who ignores the number is wrong where a copy comes late, and without order far more often.
    assert!(careless_wrong * 3 < careless_unordered, "{careless_wrong} and {careless_unordered}");
}

fn set(house: &House, unix_seconds: i64) {
    house.clock.set(Timestamp::new(unix_seconds));
}

/// Two processes look at the queue in turn: no two of them ever have events of one object at once.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_in_one_pair_of_hands() {
    let database_url = new_database().await;
    execute(
        &database_url,
        "insert into deliveries (event, endpoint, bucket, object, sequence, created, due_at)
         select 'evt_' || k || n, 'we_1', 0, 'sub_' || n, k, 0, 0 from generate_series(1, 50) n, generate_series(1, 4) k",
    )
    .await;
    let store = Store::connect(&database_url, 4).await.unwrap();
    let (mut one, mut other) = (store.reader().await.unwrap(), store.reader().await.unwrap());
    let rooms = [Room { endpoint: "we_1".to_owned(), deliveries: 30, ordered: true }];
    let mut held: HashMap<String, usize> = HashMap::new();
    for round in 0..40 {
        let reader = if round % 2 == 0 { &mut one } else { &mut other };
        for lease in delivery::lease(reader, &rooms, 10, 1000, 100).await.unwrap().leases {
            let holder = *held.entry(lease.object.clone()).or_insert(round);
            assert_eq!(holder, round, "{lease:?}");
        }
    }
    assert_eq!(held.len(), 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_holds_back_its_own_object_for_an_hour_at_most() {
    let house = House::open().await;
    let sink = Sink::open().await;
    endpoint(&house, &sink.url, &["*"]).await;
    let product = id(&house.post("/v1/products", &[("name", "A")]).await.ok());
    let other = id(&house.post("/v1/products", &[("name", "Other")]).await.ok());
    for name in ["B", "C"] {
        house.post(&format!("/v1/products/{product}"), &[("name", name)]).await.ok();
    }
    let refused = product.clone();
    sink.answer(move |heard| {
        let is_refused = heard.object() == refused && heard.event["type"] == "product.created";
        if is_refused { Answer::status(500) } else { Answer::ok() }
    });
    dispatch(&house).await;
    assert_eq!(sink.sequences_of(&other), [1], "others are not held back");
    assert_eq!(sink.sequences_of(&product), [1], "the first, in vain");
    let start = at("2027-01-01T00:00:00Z");
    set(&house, start + 3599);
    dispatch(&house).await;
    assert!(sink.sequences_of(&product).iter().all(|sequence| *sequence == 1), "later ones wait");
    set(&house, start + 3601);
    dispatch(&house).await;
    let heard = sink.sequences_of(&product);
    assert_eq!(heard[heard.len() - 2..], [2, 3], "and go when they have waited an hour");
    let flagged = "select count(*) from delivery_attempts where out_of_order and outcome = 'delivered'";
    assert_eq!(house.count(flagged).await, 2, "the log says so");
    sink.answer(|_| Answer::ok());
    set(&house, start + 20_000);
    dispatch(&house).await;
    assert_eq!(sink.sequences_of(&product).last(), Some(&1));
    assert_eq!(house.count("select count(*) from deliveries").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_had_to_wait_goes_as_soon_as_the_way_is_free() {
    let house = House::open().await;
    let sink = Sink::open().await;
    endpoint(&house, &sink.url, &["*"]).await;
    let product = id(&house.post("/v1/products", &[("name", "A")]).await.ok());
    for name in ["B", "C", "D"] {
        house.post(&format!("/v1/products/{product}"), &[("name", name)]).await.ok();
    }
    sink.fail_next(2);
    for seconds in [0, 7, 30] {
        set(&house, at("2027-01-01T00:00:00Z") + seconds);
        dispatch(&house).await;
    }
    assert_eq!(sink.sequences_of(&product), [1, 1, 1, 2, 3, 4]);
    // One that was told of while another was failing.
    sink.fail_next(1);
    house.post(&format!("/v1/products/{product}"), &[("name", "E")]).await.ok();
    dispatch(&house).await;
    house.post(&format!("/v1/products/{product}"), &[("name", "F")]).await.ok();
    dispatch(&house).await;
    assert_eq!(sink.sequences_of(&product)[6..], [5], "the sixth waits");
    set(&house, at("2027-01-01T00:01:00Z"));
    dispatch(&house).await;
    assert_eq!(sink.sequences_of(&product)[6..], [5, 5, 6]);
}

/// Two servers whose clocks lie an hour apart: ids and times go wrong, the numbers do not.
#[tokio::test(flavor = "multi_thread")]
async fn the_numbers_do_not_depend_on_any_clock() {
    let database_url = new_database().await;
    let client = reqwest::Client::new();
    let late = Process::start(&[("DATABASE_URL", &database_url), ("DUNLIN_CLOCK_OFFSET", "-3600")]).await;
    let early = Process::start(&[("DATABASE_URL", &database_url)]).await;
    let customer = id(&post(&client, &early.url, "/v1/customers", "name=0").await);
    for number in 1..=9 {
        let server = if number % 2 == 0 { &early } else { &late };
        post(&client, &server.url, &format!("/v1/customers/{customer}"), &format!("name={number}")).await;
    }
    let name = "body::json -> 'data' -> 'object' ->> 'name'";
    let in_order = format!("select count(*) from events where sequence = ({name})::int + 1");
    assert_eq!(count(&database_url, &in_order).await, 10);
    let by_id = format!(
        "select count(*) from (select {name} as name, row_number() over (order by id) as place from events) x where place = name::int + 1"
    );
    assert!(count(&database_url, &by_id).await < 10, "by their ids they are not in order");
}

/// Months of a subscription through a sink that fails, with a receiver that keeps the highest number.
#[tokio::test(flavor = "multi_thread")]
async fn a_flaky_sink_learns_the_state_of_everything() {
    let house = House::open().await;
    let sink = Sink::open().await;
    endpoint(&house, &sink.url, &["*"]).await;
    let mut chance = StdRng::seed_from_u64(5);
    sink.answer(move |_| if chance.next_u32().is_multiple_of(4) { Answer::status(503) } else { Answer::ok() });
    let customer = house.customer("pm_card_visa", None).await;
    let price = house.monthly_price(2000).await;
    let subscription = id(&house.subscribe(&customer, &price).await);
    for month in 1..=4 {
        for minute in (0..720).step_by(10) {
            let (hour, minute) = (minute / 60, minute % 60);
            house.advance_wall(&format!("2027-{month:02}-01T{hour:02}:{minute:02}:00Z")).await;
            dispatch(&house).await;
        }
    }
    assert_eq!(house.count("select count(*) from deliveries").await, 0);
    let believed = sink.believed();
    assert_eq!(believed[&subscription], house.get(&format!("/v1/subscriptions/{subscription}")).await.ok());
    // The customer's next invoice number is counted on without telling.
    let truth = house.get(&format!("/v1/customers/{customer}")).await.ok();
    assert_eq!(believed[&customer]["invoice_settings"], truth["invoice_settings"]);
    for invoice in house.list("/v1/invoices").await {
        assert_eq!(believed[&id(&invoice)]["status"], json!("paid"));
    }
    assert_eq!(house.count("select count(*) from events where sequence = 0 or object = ''").await, 0);
    let doubled = "select count(*) from (select object, sequence from events group by 1, 2 having count(*) > 1) x";
    assert_eq!(house.count(doubled).await, 0, "no number was given twice");
}
