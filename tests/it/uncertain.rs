//! A commit of which nobody can say whether it happened: what is repeated then has one effect.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use dunlin::{
    billing::{Id, confirm, payment_intent},
    engine::{
        Answered, Closed, Engine, Failure, Owner, Render, Request, Subject, request::Idempotency, verb::Decision,
    },
    store::{
        Connection,
        books::Needs,
        delivery::{self, Done, Exchange, Outcome, Room},
    },
};
use futures_util::future::BoxFuture;
use serde_json::json;

use crate::catalogue::has;
use crate::silence::Silent;
use crate::support::{House, id};
use crate::webhooks::{Sink, endpoint};

/// Answers with the document as it rests.
struct Plainly;

impl Render for Plainly {
    fn render<'a>(
        &'a self,
        connection: &'a mut Connection,
        subject: &'a Subject,
        closed: &'a Closed,
    ) -> BoxFuture<'a, Result<Answered, Failure>> {
        Box::pin(async {
            let body = closed.find(connection, subject.noun, &subject.id, false).await?.unwrap_or_default();
            Ok(Answered { status: 200, body, repeats: None })
        })
    }
}

async fn confirm_as(engine: Engine, request: &str, intent: String) -> Result<Answered, Failure> {
    let idempotency = Some(Idempotency { key: "once".to_owned(), fingerprint: vec![1] });
    let request = Request { id: request.to_owned(), livemode: false, idempotency };
    let verb = Decision::new(Owner::Of(&payment_intent::NOUN, intent.clone()), Needs::default(), move |books, at| {
        let id = Id::given(intent);
        confirm::confirm(books, &id, confirm::Confirmation::default(), at)?;
        Ok(Subject::document(&id))
    });
    engine.perform(&request, verb, Plainly).await
}

/// A request that meets its own receipt, because its first commit had happened after all, goes on; another with
/// its key has to wait.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_goes_on_from_its_own_receipt() {
    let gateway = Arc::new(Silent::default());
    let house = House::open_with(Arc::<Silent>::clone(&gateway), 0).await;
    let customer = house.customer("pm_card_visa", None).await;
    let method = house.default_card(&customer, "pm_card_visa").await;
    let form = [("amount", "700"), ("currency", "usd"), ("customer", &*customer), ("payment_method", &*method)];
    let intent = id(&house.post("/v1/payment_intents", &form).await.ok());
    gateway.endless.store(true, Ordering::Relaxed);
    let engine = house.app.engine.clone();
    let lost = tokio::spawn(confirm_as(engine.clone(), "req_1", intent.clone()));
    while house.count("select count(*) from idempotency_keys").await == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    lost.abort();
    gateway.endless.store(false, Ordering::Relaxed);
    let Err(Failure::Refused(refusal)) = confirm_as(engine.clone(), "req_2", intent.clone()).await else {
        panic!("two at once")
    };
    assert_eq!(refusal.code.as_deref(), Some("idempotency_key_in_use"));
    let answered = confirm_as(engine.clone(), "req_1", intent.clone()).await.expect("an answer");
    assert!(answered.repeats.is_none() && answered.body.contains("\"status\":\"succeeded\""), "{}", answered.body);
    let again = confirm_as(engine, "req_2", intent).await.expect("the same answer");
    assert_eq!((again.body, again.repeats.as_deref()), (answered.body, Some("req_1")));
    assert_eq!(house.count("select count(*) from charges").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_is_recorded_twice_is_logged_once() {
    let house = House::open().await;
    let (_, url) = Sink::open(0).await;
    let listening = id(&endpoint(&house, &url, &["customer.created"]).await);
    house.post("/v1/customers", &[]).await.ok();
    let rooms = [Room { endpoint: listening, deliveries: 10, ordered: true }];
    let now = house.clock.now().unix_seconds();
    let mut reader = house.app.engine.store.reader().await.expect("a connection");
    let leased = delivery::lease(&mut reader, &rooms, now, now + 60, 10).await.expect("a lease");
    let exchange = Exchange { started: now, milliseconds: 5, status: Some(500), ..Exchange::default() };
    let ended = |lease| Done { lease, outcome: Outcome::Failed(now + 10), exchange: exchange.clone() };
    let done: Vec<Done> = leased.leases.into_iter().map(ended).collect();
    assert_eq!(done.len(), 1);
    for _ in 0..2 {
        delivery::record(&mut reader, &done, now).await.expect("it is recorded");
    }
    drop(reader);
    let deliveries = house.list("/v1/dunlin/deliveries").await;
    has(&deliveries[0], &json!({"status": "failed", "attempts": 1}));
    assert_eq!(house.count("select count(*) from delivery_attempts").await, 1);
}
