//! The `dunlin` binary.

use std::{error::Error, ffi::OsString, io::IsTerminal as _, path::Path, process::ExitCode, sync::Arc, time::Duration};

use clap::Parser as _;
use dunlin::{
    api::{
        self,
        auth::{self, KeyKind},
        settings,
    },
    app::{App, Parts},
    billing::Id,
    clock::Clock,
    config::{Cli, Command, Config, Format, Keys, Parked, Settings, Simulate},
    engine::{Engine, Failure, Webhooks, simulate::Simulation},
    gateway::test_cards::{Faults, TestCards},
    metrics::Metrics,
    store::{Fault, Store, due, keys, postgres},
};
use tokio::{
    runtime::Runtime,
    signal::unix::{Signal, SignalKind, signal},
};

/// A third of a billing run's own time goes into small allocations.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    // The verbs through which Postgres's own programs are started, before anything else happens.
    match arguments.as_slice() {
        [verb, rest @ ..] if verb == postgres::CHILD_VERB => return failed(&postgres::become_postgres(rest)),
        [verb, folder] if verb == postgres::TEST_CLUSTER_VERB => {
            return postgres::serve_test_cluster(Path::new(folder))
                .map_or_else(|error| failed(&error), |()| ExitCode::SUCCESS);
        }
        _ => {}
    }
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        // What the fetching library says at length its error says in a line; notices of "already there" say nothing.
        .with_env_filter(tracing_subscriber::EnvFilter::new(format!(
            "reqwest_retry=error,sqlx::postgres::notice=warn,{}",
            cli.config.log
        )))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    if let Some(Command::Simulate { what }) = &cli.command {
        return simulate(what).unwrap_or_else(|error| failed(&error));
    }
    match run(&cli) {
        Ok(code) => code,
        Err(error) => failed(error.as_ref()),
    }
}

fn failed(error: &dyn Error) -> ExitCode {
    eprintln!("dunlin: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        eprintln!("  because: {cause}");
        source = cause.source();
    }
    ExitCode::FAILURE
}

fn run(cli: &Cli) -> Result<ExitCode, Box<dyn Error>> {
    // Both must be ready before anything opens a connection over TLS.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (mut cluster, url) = database(cli)?;
    let runtime = Runtime::new()?;
    let outcome = runtime.block_on(command(cli, &url, cluster.as_mut()));
    drop(runtime);
    if let Some(cluster) = cluster {
        cluster.stop()?;
    }
    Ok(outcome?)
}

/// What needs no database.
fn simulate(what: &Simulate) -> Result<ExitCode, Fault> {
    let Simulate::Collection { population, payers, seed, format } = what;
    let simulation = Simulation { population: population.clone(), payers: *payers, seed: *seed };
    let report = simulation.run().map_err(|refusal| Fault::Setup(refusal.to_string()))?;
    match format {
        Format::Table => print!("{}", report.table()),
        Format::Json => println!("{}", serde_json::to_string_pretty(&report)?),
    }
    Ok(ExitCode::SUCCESS)
}

/// The given database; or the private one, started on the main thread and before the runtime: the death
/// signal follows the spawning thread.
fn database(cli: &Cli) -> Result<(Option<postgres::Cluster>, String), postgres::ClusterError> {
    // What compose files and unit files leave empty counts as not given.
    if let Some(url) = cli.config.database_url.as_ref().filter(|url| !url.is_empty()) {
        return Ok((None, url.clone()));
    }
    let settings = postgres::Settings {
        data_dir: cli.config.data_dir.clone(),
        durable: true,
        fetch: !cli.config.no_download,
        binaries: cli.config.pg_bin.clone(),
    };
    match postgres::Cluster::start(&settings) {
        Ok(cluster) => {
            let url = cluster.url();
            Ok((Some(cluster), url))
        }
        // Keys, settings and parked customers can be managed while the server that uses the folder runs.
        Err(postgres::ClusterError::InUse(folder))
            if matches!(
                cli.command,
                Some(Command::Keys { .. } | Command::Parked { .. } | Command::Settings { .. })
            ) =>
        {
            let url = postgres::running_url(&settings).ok_or(postgres::ClusterError::InUse(folder))?;
            Ok((None, url))
        }
        Err(error) => Err(error),
    }
}

async fn command(cli: &Cli, url: &str, cluster: Option<&mut postgres::Cluster>) -> Result<ExitCode, Fault> {
    match cli.command.clone().unwrap_or(Command::Serve) {
        Command::Serve => serve(&cli.config, url, cluster).await,
        Command::Migrate => {
            Store::connect(url, 4).await?.migrate().await?;
            println!("The tables are up to date.");
            Ok(ExitCode::SUCCESS)
        }
        Command::Simulate { what } => simulate(&what),
        Command::Keys { action } => manage_keys(&cli.config, url, action).await,
        Command::Parked { action } => manage_parked(&cli.config, url, action).await,
        Command::Settings { action, live } => manage_settings(&cli.config, url, &action, live).await,
    }
}

async fn serve(config: &Config, url: &str, cluster: Option<&mut postgres::Cluster>) -> Result<ExitCode, Fault> {
    // First of all: a signal during the start must be heard, too.
    let mut signals = StopSignals::listen().map_err(|error| Fault::Setup(error.to_string()))?;
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let faults = Faults {
        latency: Duration::from_millis(config.testing.gateway_latency_ms),
        lose_one_in: config.testing.gateway_loses,
        ledger: config.testing.gateway_ledger.clone(),
    };
    let app = App::start(Parts {
        database_url: url.to_owned(),
        connections: config.connections,
        listen: config.listen,
        public_url: config.public_url.clone(),
        // While one waits for its commit, another decides; half of the connections are for those who call.
        workers: config.workers.unwrap_or((2 * cores).min(config.connections as usize / 2)).max(1),
        clock: Clock::shifted(config.testing.clock_offset),
        gateway: Arc::new(TestCards::new(faults)),
        webhooks: Webhooks { allow_private: config.allow_private_webhooks, log_days: config.delivery_log_days },
        migrate: true,
        test_key: config.test_key.clone().filter(|key| !key.is_empty()),
    })
    .await?;
    let address = app.address();
    if let Some(keys) = &app.first_keys {
        println!(
            "Your test keys, shown this once:\n\n  secret       {}\n  publishable  {}\n",
            keys.secret, keys.publishable
        );
        println!("Try it:\n\n  curl http://{address}/v1/customers -u {}: -d email=ada@example.com\n", keys.secret);
    }
    println!("Dunlin listens on http://{address}");
    let stopped_by_database = tokio::select! {
        () = signals.asked() => false,
        () = ended(cluster) => true,
    };
    app.stop().await;
    if stopped_by_database {
        return Err(Fault::Setup("Postgres has ended".to_owned()));
    }
    Ok(ExitCode::SUCCESS)
}

/// The signals that ask the server to stop. Heard from the moment this is made.
struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    fn listen() -> std::io::Result<StopSignals> {
        Ok(StopSignals { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Returns when the private Postgres has ended by itself.
async fn ended(cluster: Option<&mut postgres::Cluster>) {
    let Some(cluster) = cluster else { return std::future::pending().await };
    while !cluster.has_exited() {
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

async fn manage_keys(config: &Config, url: &str, action: Keys) -> Result<ExitCode, Fault> {
    let store = Store::connect(url, 4).await?;
    store.migrate().await?;
    let clock = Clock::shifted(config.testing.clock_offset);
    let now = clock.now().unix_seconds();
    let mut reader = store.reader().await?;
    match action {
        Keys::Create { publishable, restricted } => {
            let mut ids = dunlin::engine::new_ids(&clock)?;
            let kind = match restricted {
                Some(permissions) => KeyKind::Restricted(api::known_permissions(&permissions).map_err(Fault::Setup)?),
                None if publishable => KeyKind::Publishable,
                None => KeyKind::Secret,
            };
            let key = auth::create(&mut reader, &kind, &mut ids, now).await?;
            println!("{}\n{}", key.id, key.text);
        }
        Keys::List => {
            for key in keys::list(&mut reader).await? {
                let state = if key.revoked_at.is_some() { "revoked" } else { "active" };
                let permissions = key.permissions.unwrap_or_default();
                println!("{}  {:<11}  {:<7}  {}  {permissions}", key.id, key.kind, state, key.hint);
            }
        }
        Keys::Revoke { id } => {
            if !keys::revoke(&mut reader, &id, now).await? {
                eprintln!("dunlin: there is no active key {id}");
                return Ok(ExitCode::FAILURE);
            }
            println!("Revoked {id}.");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// An engine for what is done once, with no server around it.
async fn engine(config: &Config, url: &str) -> Result<Engine, Fault> {
    let store = Store::connect(url, 4).await?;
    store.migrate().await?;
    let metrics = Metrics::new().map_err(|error| Fault::Setup(error.to_string()))?;
    let clock = Clock::shifted(config.testing.clock_offset);
    Ok(Engine::new(store, Arc::new(TestCards::default()), clock, metrics))
}

async fn manage_parked(config: &Config, url: &str, action: Parked) -> Result<ExitCode, Fault> {
    let engine = engine(config, url).await?;
    match action {
        Parked::List => {
            for parked in due::parked(&mut *engine.store.reader().await?).await? {
                println!("{}  {}", parked.customer, parked.reason);
            }
        }
        Parked::Release { customers } => {
            for customer in customers {
                if !engine.take_up_again(&Id::given(customer.clone())).await? {
                    eprintln!("dunlin: nothing of {customer} was refused");
                    return Ok(ExitCode::FAILURE);
                }
                println!("Released {customer}.");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn manage_settings(config: &Config, url: &str, action: &Settings, live: bool) -> Result<ExitCode, Fault> {
    let engine = engine(config, url).await?;
    let outcome = match action {
        Settings::Get => Ok(()),
        Settings::Set { assignments } => settings::set_from_command_line(&engine, live, assignments).await,
    };
    let shown = match outcome {
        Ok(()) => settings::get_from_command_line(&engine, live).await,
        Err(failure) => Err(failure),
    };
    match shown {
        Ok(settings) => {
            println!("{settings:#}");
            Ok(ExitCode::SUCCESS)
        }
        Err(Failure::Refused(refusal)) => {
            let param = refusal.param.map(|param| format!("{param}: ")).unwrap_or_default();
            eprintln!("dunlin: {param}{}", refusal.message);
            Ok(ExitCode::FAILURE)
        }
        Err(Failure::Broken(fault)) => Err(fault),
    }
}
