//! An endpoint for tests that answers as it is told and remembers what it has heard.

use std::{
    collections::HashMap,
    future::IntoFuture as _,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use crate::support::id;

/// Something that arrived.
#[derive(Clone, Debug)]
pub struct Heard {
    pub headers: HeaderMap,
    pub body: String,
    pub event: Value,
}

impl Heard {
    pub fn header(&self, name: &str) -> String {
        self.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    }

    pub fn object(&self) -> String {
        id(&self.event["data"]["object"])
    }

    pub fn sequence(&self) -> i64 {
        self.header("dunlin-sequence").parse().unwrap()
    }
}

/// What it answers.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
    pub after: Duration,
}

impl Answer {
    pub fn status(status: u16) -> Answer {
        Answer { status, headers: Vec::new(), body: String::new(), after: Duration::ZERO }
    }

    pub fn ok() -> Answer {
        Answer::status(200)
    }

    /// Longer than anybody waits.
    pub fn never() -> Answer {
        Answer { after: Duration::from_hours(1), ..Answer::ok() }
    }
}

type Behaviour = Box<dyn FnMut(&Heard) -> Answer + Send>;

struct Inside {
    heard: Mutex<Vec<Heard>>,
    /// What was answered with success.
    taken: Mutex<Vec<Heard>>,
    behaviour: Mutex<Behaviour>,
    failing: AtomicUsize,
}

#[derive(Clone)]
pub struct Sink {
    pub url: String,
    address: SocketAddr,
    inside: Arc<Inside>,
}

impl Sink {
    pub async fn open() -> Sink {
        let inside = Arc::new(Inside {
            heard: Mutex::default(),
            taken: Mutex::default(),
            behaviour: Mutex::new(Box::new(|_| Answer::ok())),
            failing: AtomicUsize::new(0),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let sink = Sink { url: format!("http://{address}/hook"), address, inside };
        tokio::spawn(axum::serve(listener, sink.router()).into_future());
        sink
    }

    /// One that does not live yet: nobody listens there.
    pub async fn unborn() -> Sink {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        Sink { url: format!("http://{address}/hook"), address, ..Sink::open().await }
    }

    /// Listens from now on, with all that it has heard before. It dies, in the middle of whatever it is
    /// doing, with the runtime.
    pub async fn live(&self) -> Runtime {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (router, address) = (self.router(), self.address);
        let serving = runtime.spawn(async move { tokio::net::TcpListener::bind(address).await.unwrap() });
        runtime.spawn(axum::serve(serving.await.unwrap(), router).into_future());
        runtime
    }

    fn router(&self) -> Router {
        Router::new().fallback(hear).with_state(Arc::clone(&self.inside))
    }

    pub fn answer(&self, behaviour: impl FnMut(&Heard) -> Answer + Send + 'static) {
        *self.inside.behaviour.lock().unwrap() = Box::new(behaviour);
    }

    /// So many deliveries are answered with an error.
    pub fn fail_next(&self, deliveries: usize) {
        self.inside.failing.store(deliveries, Ordering::SeqCst);
    }

    pub fn heard(&self) -> Vec<Heard> {
        self.inside.heard.lock().unwrap().clone()
    }

    pub fn taken(&self) -> Vec<Heard> {
        self.inside.taken.lock().unwrap().clone()
    }

    /// The numbers that arrived about an object, in the order of their arrival.
    pub fn sequences_of(&self, object: &str) -> Vec<i64> {
        self.heard().iter().filter(|heard| heard.object() == object).map(Heard::sequence).collect()
    }

    /// What a receiver believes that keeps the highest number of each object.
    pub fn believed(&self) -> HashMap<String, Value> {
        let mut believed: HashMap<String, (i64, Value)> = HashMap::new();
        for heard in self.taken() {
            let known = believed.get(&heard.object()).map_or(0, |(sequence, _)| *sequence);
            if heard.sequence() > known {
                let object = heard.event["data"]["object"].clone();
                believed.insert(heard.object(), (heard.sequence(), object));
            }
        }
        believed.into_iter().map(|(object, (_, document))| (object, document)).collect()
    }
}

async fn hear(State(inside): State<Arc<Inside>>, headers: HeaderMap, body: Bytes) -> Response {
    let body = String::from_utf8(body.to_vec()).unwrap();
    let heard = Heard { headers, event: serde_json::from_str(&body).unwrap(), body };
    inside.heard.lock().unwrap().push(heard.clone());
    let fails = inside.failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
    let answer = if fails { Answer::status(500) } else { inside.behaviour.lock().unwrap()(&heard) };
    tokio::time::sleep(answer.after).await;
    if answer.status < 300 {
        inside.taken.lock().unwrap().push(heard);
    }
    let status = StatusCode::from_u16(answer.status).unwrap();
    let mut response = (status, answer.body).into_response();
    for (name, value) in answer.headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}
