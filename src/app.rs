//! Starts, wires, stops.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::watch, task::JoinSet};

use crate::{
    api::{
        self, House,
        account::Account,
        auth::{self, KeyKind, Keys},
    },
    clock::Clock,
    engine::{Engine, Webhooks},
    gateway::Gateway,
    metrics::Metrics,
    pages,
    store::{Fault, Store, read},
    webhooks::deliver::Dispatcher,
};

/// What an app is made of. Tests pass a clock and a gateway of their own.
pub struct Parts {
    pub database_url: String,
    pub connections: u32,
    pub listen: SocketAddr,
    /// Where people reach this server, if not where it listens.
    pub public_url: Option<String>,
    /// Workers that do what is due; 0 in tests that turn the cycle themselves.
    pub workers: usize,
    pub clock: Clock,
    pub gateway: Arc<dyn Gateway>,
    pub webhooks: Webhooks,
    /// Bring the tables up to date first.
    pub migrate: bool,
    /// A fixed secret key. Without one a pair is made where there are no keys at all.
    pub test_key: Option<String>,
}

/// A running server.
pub struct App {
    pub engine: Engine,
    pub dispatcher: Dispatcher,
    /// The keys of a first start, which are shown once.
    pub first_keys: Option<FirstKeys>,
    address: SocketAddr,
    stopping: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

/// How long requests under way may take to finish when the server stops.
const GRACE: Duration = Duration::from_secs(20);

impl App {
    pub async fn start(parts: Parts) -> Result<App, Fault> {
        let store = Store::connect(&parts.database_url, parts.connections).await?;
        if parts.migrate {
            store.migrate().await?;
        }
        let metrics = Metrics::new().map_err(|error| Fault::Setup(error.to_string()))?;
        let mut engine = Engine::new(store, parts.gateway, parts.clock, metrics);
        engine.webhooks = parts.webhooks;
        engine.maintain().await?;
        let account = account(&engine).await?;
        // Before anybody can call.
        let first_keys = first_keys(&engine, parts.test_key.as_deref()).await?;
        let listener = TcpListener::bind(parts.listen)
            .await
            .map_err(|error| Fault::Setup(format!("cannot listen on {}: {error}", parts.listen)))?;
        let address = listener.local_addr().map_err(|error| Fault::Setup(error.to_string()))?;
        engine.address = parts.public_url.unwrap_or_else(|| reachable(address)).trim_end_matches('/').into();
        let dispatcher = Dispatcher::new(engine.clone()).map_err(|error| Fault::Setup(error.to_string()))?;

        let (stopping, stop) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for _ in 0..parts.workers {
            tasks.spawn(engine.clone().run_ticker(stop.clone()));
        }
        if parts.workers > 0 {
            tasks.spawn(engine.clone().run_clocks(stop.clone()));
            tasks.spawn(engine.clone().run_maintenance(stop.clone()));
            tasks.spawn(dispatcher.clone().run(stop.clone()));
        }
        let house = Arc::new(House { engine: engine.clone(), keys: Keys::default(), account });
        let pages = pages::routes(engine.clone());
        let mut stopped = stop;
        tasks.spawn(async move {
            let served = axum::serve(listener, api::router(house, pages)).with_graceful_shutdown(async move {
                let _ = stopped.wait_for(|stopping| *stopping).await;
            });
            if let Err(error) = served.await {
                tracing::error!(%error, "the server ended");
            }
        });
        Ok(App { engine, dispatcher, first_keys, address, stopping, tasks })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no new work, finishes what is under way, closes.
    pub async fn stop(mut self) {
        let _ = self.stopping.send(true);
        let finished = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, finished).await.is_err() {
            tracing::warn!("some work did not finish in time; it is due and will be taken up again");
        }
        self.engine.store.close().await;
    }
}

/// The address for somebody on the same machine.
fn reachable(address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        format!("http://localhost:{}", address.port())
    } else {
        format!("http://{address}")
    }
}

async fn account(engine: &Engine) -> Result<Account, Fault> {
    let mut moment = engine.new_moment()?;
    let candidate = format!("acct_{}", moment.ids.secret(16));
    let mut reader = engine.store.reader().await?;
    let (id, created) = read::account(&mut reader, &candidate, moment.now.unix_seconds()).await?;
    Ok(Account { id, created })
}

/// The keys of a first start, if it is one.
#[derive(Debug)]
pub struct FirstKeys {
    pub secret: String,
    pub publishable: String,
}

/// Keeps the fixed test key, or makes a pair of keys if there are none at all.
async fn first_keys(engine: &Engine, fixed: Option<&str>) -> Result<Option<FirstKeys>, Fault> {
    let mut moment = engine.new_moment()?;
    let now = moment.now.unix_seconds();
    let mut reader = engine.store.reader().await?;
    if let Some(fixed) = fixed {
        auth::keep(&mut reader, fixed, &mut moment.ids, now).await?;
        return Ok(None);
    }
    if !crate::store::keys::list(&mut reader).await?.is_empty() {
        return Ok(None);
    }
    let secret = auth::create(&mut reader, &KeyKind::Secret, &mut moment.ids, now).await?.text;
    let publishable = auth::create(&mut reader, &KeyKind::Publishable, &mut moment.ids, now).await?.text;
    Ok(Some(FirstKeys { secret, publishable }))
}
