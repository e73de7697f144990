//! The dispatcher: lease, send, record, in a steady flow.
//!
//! Deliveries go out in *lanes*: the due events of one object to one endpoint, one after the other; or,
//! where no order is wanted, each alone. A lane that ends makes room at once, so a slow endpoint holds
//! nothing but its own share, and one that is down only a probe (see `circuit`).

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{circuit::Circuit, retry, send::Sender};
use crate::{
    billing::webhook_endpoint::WebhookEndpoint,
    dialect::versions,
    engine::Engine,
    store::{
        Fault,
        delivery::{self, Done, Exchange, Lease, Leased, Outcome, Room},
    },
};

const POLL: Duration = Duration::from_secs(1);
/// How many deliveries are under way at a time, and how many of them to endpoints that have not answered
/// yet or are failing: who answers always finds room.
const MOST_UNDER_WAY: usize = 512;
const MOST_DOUBTFUL: usize = 256;
/// A lane begins no further delivery after this time; what is left is due again.
const LANE_PATIENCE: Duration = Duration::from_mins(1);
/// Longer than a lane can take: its patience, and the one delivery that it began last.
const LEASE_SECONDS: i64 = 120;

/// Sends events.
#[derive(Clone)]
pub struct Dispatcher {
    engine: Engine,
    sender: Sender,
    known: Arc<Mutex<Known>>,
}

/// What this process knows of the endpoints.
#[derive(Default)]
struct Known {
    circuits: HashMap<String, Circuit>,
    under_way: usize,
    doubtful: usize,
    /// Which endpoint was served last: the next look begins behind it, so that each has its turn.
    served: String,
}

type Lanes = JoinSet<Vec<Done>>;

impl Dispatcher {
    pub fn new(engine: Engine) -> Result<Dispatcher, reqwest::Error> {
        let sender = Sender::new(engine.webhooks.allow_private)?;
        Ok(Dispatcher { engine, sender, known: Arc::default() })
    }

    /// Dispatches until told to stop; then what is under way comes to its end, and the rest is due again.
    pub async fn run(self, mut stopping: watch::Receiver<bool>) {
        let (mut lanes, mut done, mut look) = (Lanes::new(), Vec::new(), true);
        while !*stopping.borrow() {
            gather(&mut lanes, &mut done);
            let step = async {
                if !done.is_empty() {
                    self.record(&done).await?;
                    done.clear();
                    look = true;
                }
                if look { self.begin(&mut lanes, Some(&stopping)).await } else { Ok(0) }
            };
            match step.await {
                Ok(due) => look = due > 0,
                Err(fault) => {
                    // What has ended is kept, and recorded when the database is back.
                    self.report(&fault);
                    sleep(POLL).await;
                }
            }
            if look {
                continue;
            }
            tokio::select! {
                Some(ended) = lanes.join_next() => done.extend(ended.unwrap_or_default()),
                () = self.engine.told.notified() => look = true,
                () = sleep(POLL) => look = true,
                _ = stopping.changed() => {}
            }
        }
        done.extend(lanes.join_all().await.into_iter().flatten());
        if let Err(fault) = self.record(&done).await {
            self.report(&fault);
        }
    }

    fn report(&self, fault: &Fault) {
        self.engine.metrics.faults.inc();
        tracing::error!(error = fault as &dyn std::error::Error, "dispatching webhooks failed");
    }

    /// Sends what is due now and waits for it. Returns how much was due.
    pub async fn dispatch(&self) -> Result<usize, Fault> {
        let mut lanes = Lanes::new();
        let due = self.begin(&mut lanes, None).await?;
        let done: Vec<Done> = lanes.join_all().await.into_iter().flatten().collect();
        self.record(&done).await?;
        Ok(due)
    }

    /// Leases as much as there is room for, and sends it on its way. Returns how much was due.
    async fn begin(&self, lanes: &mut Lanes, stopping: Option<&watch::Receiver<bool>>) -> Result<usize, Fault> {
        let now = self.engine.clock.now();
        let mut reader = self.engine.store.reader().await?;
        let mut endpoints: HashMap<String, Arc<WebhookEndpoint>> = HashMap::new();
        for body in delivery::endpoints(&mut reader).await? {
            match serde_json::from_str::<WebhookEndpoint>(&body) {
                Ok(endpoint) => drop(endpoints.insert(endpoint.id.to_string(), Arc::new(endpoint))),
                Err(error) => tracing::error!(%error, "a stored webhook endpoint cannot be read"),
            }
        }
        let mut due = 0;
        for proven in [true, false] {
            let (rooms, limit) = self.rooms(&endpoints, proven);
            if rooms.is_empty() || limit == 0 {
                continue;
            }
            let now = now.unix_seconds();
            let Leased { leases, due: found } =
                delivery::lease(&mut reader, &rooms, now, now + LEASE_SECONDS, limit).await?;
            due += found;
            self.remember_served(&rooms, &leases);
            for lane in lanes_of(leases, &endpoints) {
                let Some(endpoint) = lane.first().and_then(|lease| endpoints.get(&lease.endpoint)) else { continue };
                let seat = self.seat(&lane, !proven);
                let (dispatcher, endpoint) = (self.clone(), Arc::clone(endpoint));
                let stopping = stopping.cloned();
                lanes.spawn(async move {
                    let _seat = seat;
                    dispatcher.walk(lane, &endpoint, stopping).await
                });
            }
        }
        Ok(due)
    }

    /// What may be leased of the endpoints that are proven, or of the others, and how much in all.
    fn rooms(&self, endpoints: &HashMap<String, Arc<WebhookEndpoint>>, proven: bool) -> (Vec<Room>, usize) {
        let now = self.engine.clock.now();
        let known = self.known();
        let mut rooms = Vec::new();
        for (id, endpoint) in endpoints {
            let circuit = known.circuits.get(id).cloned().unwrap_or_default();
            let room = circuit.room(now);
            if circuit.is_proven() == proven && room > 0 {
                let deliveries = i32::try_from(room).unwrap_or(i32::MAX);
                rooms.push(Room { endpoint: id.clone(), deliveries, ordered: endpoint.internal.ordered });
            }
        }
        rooms.sort_unstable_by(|one, other| one.endpoint.cmp(&other.endpoint));
        let next = rooms.partition_point(|room| room.endpoint <= known.served);
        rooms.rotate_left(next);
        let limit = MOST_UNDER_WAY.saturating_sub(known.under_way);
        let limit = if proven { limit } else { limit.min(MOST_DOUBTFUL.saturating_sub(known.doubtful)) };
        (rooms, limit)
    }

    fn remember_served(&self, rooms: &[Room], leases: &[Lease]) {
        let served: HashSet<&str> = leases.iter().map(|lease| lease.endpoint.as_str()).collect();
        if let Some(last) = rooms.iter().rfind(|room| served.contains(room.endpoint.as_str())) {
            self.known().served.clone_from(&last.endpoint);
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seat(&self, lane: &[Lease], doubtful: bool) -> Seat {
        let endpoint = lane.first().map(|lease| lease.endpoint.clone()).unwrap_or_default();
        let mut known = self.known();
        known.under_way += lane.len();
        known.doubtful += if doubtful { lane.len() } else { 0 };
        known.circuits.entry(endpoint.clone()).or_default().begun(lane.len());
        Seat { dispatcher: self.clone(), endpoint, deliveries: lane.len(), doubtful }
    }

    /// Sends a lane, one after the other. What follows a failure waits for it, unless it has waited
    /// enough.
    async fn walk(
        &self,
        lane: Vec<Lease>,
        endpoint: &WebhookEndpoint,
        stopping: Option<watch::Receiver<bool>>,
    ) -> Vec<Done> {
        let begun = Instant::now();
        let mut done = Vec::with_capacity(lane.len());
        let mut behind: Option<i64> = None;
        for mut lease in lane {
            let now = self.engine.clock.now().unix_seconds();
            let is_late = stopping.as_ref().is_some_and(|stopping| *stopping.borrow());
            let unsent_until = match behind {
                Some(due_at) if lease.waits_until.is_none_or(|until| until > now) => {
                    Some(due_at.min(lease.waits_until.unwrap_or(i64::MAX)))
                }
                _ => (is_late || begun.elapsed() > LANE_PATIENCE).then_some(now),
            };
            if let Some(due_at) = unsent_until {
                behind = behind.or(Some(due_at));
                done.push(Done { lease, outcome: Outcome::Unsent(due_at), exchange: Exchange::default() });
                continue;
            }
            lease.out_of_order |= behind.is_some();
            let (outcome, exchange) = self.attempt(&lease, endpoint).await;
            if let Outcome::Failed(due_at) = outcome {
                behind = Some(behind.map_or(due_at, |other| other.max(due_at)));
            }
            done.push(Done { lease, outcome, exchange });
        }
        done
    }

    async fn attempt(&self, lease: &Lease, endpoint: &WebhookEndpoint) -> (Outcome, Exchange) {
        if lease.body.is_empty() {
            let error = Some("the event is no longer kept".to_owned());
            return (Outcome::GivenUp, Exchange { error, ..Exchange::default() });
        }
        let shaped = match self.shaped(lease, endpoint).await {
            Ok(shaped) => shaped,
            Err(fault) => {
                self.report(&fault);
                return (Outcome::Unsent(self.engine.clock.now().unix_seconds() + 1), Exchange::default());
            }
        };
        let lease = shaped.as_ref().unwrap_or(lease);
        let answer = self.sender.send(endpoint, lease, self.engine.clock.now()).await;
        let now = self.engine.clock.now();
        let outcome = if answer.acknowledged {
            Outcome::Delivered
        } else {
            retry::next(&lease.event, lease.attempt, lease.created, answer.retry_after, now)
                .map_or(Outcome::GivenUp, Outcome::Failed)
        };
        self.engine.metrics.deliveries.with_label_values(&[outcome.word()]).inc();
        {
            let mut known = self.known();
            let circuit = known.circuits.entry(lease.endpoint.clone()).or_default();
            let was_open = circuit.is_open();
            if answer.acknowledged {
                circuit.succeeded();
            } else {
                circuit.failed(now);
            }
            if was_open != circuit.is_open() {
                let state = if was_open { "closed" } else { "open" };
                tracing::warn!(endpoint.id = lease.endpoint, state, "the circuit to a webhook endpoint changed");
            }
        }
        tracing::debug!(
            event.id = lease.event,
            endpoint.id = lease.endpoint,
            http.status = answer.exchange.status,
            error = answer.exchange.error,
            "webhook"
        );
        (outcome, answer.exchange)
    }

    /// The event in the version that the endpoint wants, where that is not the one it is kept in.
    async fn shaped(&self, lease: &Lease, endpoint: &WebhookEndpoint) -> Result<Option<Lease>, Fault> {
        if !versions::is_shaped_for(endpoint, &lease.body) {
            return Ok(None);
        }
        let mut reader = self.engine.store.reader().await?;
        let body = versions::shape_for(&mut reader, endpoint, &lease.body).await?;
        Ok(Some(Lease { body, ..lease.clone() }))
    }

    async fn record(&self, done: &[Done]) -> Result<(), Fault> {
        if done.is_empty() {
            return Ok(());
        }
        let mut reader = self.engine.store.reader().await?;
        delivery::record(&mut reader, done, self.engine.clock.now().unix_seconds()).await?;
        drop(reader);
        let known = self.known();
        let open = known.circuits.values().filter(|circuit| circuit.is_open()).count();
        self.engine.metrics.circuits_open.set(i64::try_from(open).unwrap_or(i64::MAX));
        self.engine.metrics.deliveries_under_way.set(i64::try_from(known.under_way).unwrap_or(i64::MAX));
        Ok(())
    }
}

/// What a lane takes up, given back when it ends, however it does.
struct Seat {
    dispatcher: Dispatcher,
    endpoint: String,
    deliveries: usize,
    doubtful: bool,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut known = self.dispatcher.known();
        known.under_way = known.under_way.saturating_sub(self.deliveries);
        known.doubtful = known.doubtful.saturating_sub(if self.doubtful { self.deliveries } else { 0 });
        known.circuits.entry(self.endpoint.clone()).or_default().ended(self.deliveries);
    }
}

/// What has ended by now.
fn gather(lanes: &mut Lanes, done: &mut Vec<Done>) {
    while let Some(ended) = lanes.try_join_next() {
        done.extend(ended.unwrap_or_default());
    }
}

/// Leases, which come by endpoint and object, as lanes.
fn lanes_of(leases: Vec<Lease>, endpoints: &HashMap<String, Arc<WebhookEndpoint>>) -> Vec<Vec<Lease>> {
    let mut lanes: Vec<Vec<Lease>> = Vec::new();
    for lease in leases {
        let ordered = endpoints.get(&lease.endpoint).is_some_and(|endpoint| endpoint.internal.ordered);
        let follows = |before: &&mut Vec<Lease>| {
            ordered && before.last().is_some_and(|last| last.endpoint == lease.endpoint && last.object == lease.object)
        };
        match lanes.last_mut().filter(follows) {
            Some(lane) => lane.push(lease),
            None => lanes.push(vec![lease]),
        }
    }
    lanes
}
