//! What can be set: every setting is a flag and an environment variable.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

/// A self-hosted billing server on Postgres that speaks Stripe's API.
#[derive(Debug, Parser)]
#[command(name = "dunlin", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub config: Config,
}

#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Serve the API, turn the billing cycle, send webhooks (the default).
    Serve,
    /// Bring the database's tables up to date, then exit.
    Migrate,
    /// Try out rules in memory.
    Simulate {
        #[command(subcommand)]
        what: Simulate,
    },
    /// API keys.
    Keys {
        #[command(subcommand)]
        action: Keys,
    },
    /// Customers to whom nothing happens by itself any longer, because what was due was refused too often.
    Parked {
        #[command(subcommand)]
        action: Parked,
    },
    /// How payments are collected: retries, reminders, what follows.
    Settings {
        #[command(subcommand)]
        action: Settings,
        /// Of live mode instead of test mode.
        #[arg(long, global = true)]
        live: bool,
    },
}

#[derive(Clone, Debug, Subcommand)]
pub enum Simulate {
    /// Compare smart retries with the even spread and with fixed schedules, over people who behave as
    /// documented. Needs no database and touches none.
    Collection {
        /// One population (salaried, weekly, evening, mixed, level) instead of all.
        #[arg(long)]
        population: Option<String>,
        /// How many payers of each whose renewal was declined.
        #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
        payers: u32,
        /// Other numbers, other people.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        #[arg(long, default_value = "table")]
        format: Format,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table in Markdown: of the fixed schedules the best few.
    Table,
    /// Everything.
    Json,
}

#[derive(Clone, Debug, Subcommand)]
pub enum Keys {
    /// Make a test key and print it: the only time it can be seen.
    Create {
        /// A publishable key (`pk_test_…`) instead of a secret one.
        #[arg(long)]
        publishable: bool,
        /// A restricted key (`rk_test_…`) that may do only this: `customers=read,invoices=write`.
        #[arg(long, value_name = "PERMISSIONS", conflicts_with = "publishable")]
        restricted: Option<String>,
    },
    /// List the keys, without their secrets.
    List,
    /// Revoke a key; it stops working within a second.
    Revoke {
        /// The key's id, as `keys list` shows it.
        id: String,
    },
}

#[derive(Clone, Debug, Subcommand)]
pub enum Parked {
    /// List them, and why what was due was refused the last time.
    List,
    /// Let them go on, once what was wrong has been put right.
    Release {
        /// The ids of the customers.
        #[arg(required = true)]
        customers: Vec<String>,
    },
}

#[derive(Clone, Debug, Subcommand)]
pub enum Settings {
    /// Print the settings.
    Get,
    /// Change settings and print them.
    Set {
        /// What to change: `collection.retries.mode=custom`, `collection.retries.days=3,5,7`.
        #[arg(required = true, value_name = "NAME=VALUE", allow_hyphen_values = true)]
        assignments: Vec<String>,
    },
}

#[derive(Clone, Debug, Args)]
pub struct Config {
    /// A Postgres 15 or newer. Without it, dunlin runs a private Postgres of its own in the data folder.
    #[arg(long, env = "DATABASE_URL", global = true, hide_env_values = true)]
    pub database_url: Option<String>,

    /// Where to listen.
    #[arg(long, env = "DUNLIN_LISTEN", default_value = "127.0.0.1:8420", global = true)]
    pub listen: SocketAddr,

    /// The address at which people reach this server, for links to its pages [default: where it listens].
    #[arg(long, env = "DUNLIN_PUBLIC_URL", global = true)]
    pub public_url: Option<String>,

    /// The data folder of the private Postgres [default: /var/lib/dunlin as root, else ~/.local/share/dunlin].
    #[arg(long, env = "DUNLIN_DATA_DIR", global = true)]
    pub data_dir: Option<PathBuf>,

    /// The only folder to look for Postgres's own programs in.
    #[arg(long, env = "DUNLIN_PG_BIN", global = true)]
    pub pg_bin: Option<PathBuf>,

    /// Never download Postgres, even if none is installed.
    #[arg(long, env = "DUNLIN_NO_DOWNLOAD", global = true, value_parser = clap::builder::FalseyValueParser::new())]
    pub no_download: bool,

    /// A fixed secret test key (`sk_test_…`), for containers and CI, instead of a generated one.
    #[arg(long, env = "DUNLIN_TEST_KEY", global = true, hide_env_values = true)]
    pub test_key: Option<String>,

    /// Log level: error, warn, info, debug, trace; or a filter such as `dunlin=debug`.
    #[arg(long, env = "DUNLIN_LOG", default_value = "info", global = true)]
    pub log: String,

    /// Connections to the database.
    #[arg(long, env = "DUNLIN_CONNECTIONS", default_value_t = 20, global = true, value_parser = clap::value_parser!(u32).range(4..=500))]
    pub connections: u32,

    /// Workers that do what is due [default: two for each core, for half of the connections at most].
    #[arg(long, env = "DUNLIN_WORKERS", global = true)]
    pub workers: Option<usize>,

    /// Live webhook endpoints may lie in private networks, too.
    #[arg(long, env = "DUNLIN_ALLOW_PRIVATE_WEBHOOKS", global = true, value_parser = clap::builder::FalseyValueParser::new())]
    pub allow_private_webhooks: bool,

    /// For how many days the log of webhook deliveries is kept.
    #[arg(long, env = "DUNLIN_DELIVERY_LOG_DAYS", default_value_t = 7, global = true, value_parser = clap::value_parser!(i64).range(1..=30))]
    pub delivery_log_days: i64,

    #[command(flatten)]
    pub testing: Testing,
}

/// For the project's own tests of crashes and faults.
#[derive(Clone, Debug, Default, Args)]
pub struct Testing {
    /// Wall time moved by so many seconds.
    #[arg(
        long,
        env = "DUNLIN_CLOCK_OFFSET",
        default_value_t = 0,
        global = true,
        hide = true,
        allow_negative_numbers = true
    )]
    pub clock_offset: i64,

    /// The test-card processor loses one answer in so many.
    #[arg(long, env = "DUNLIN_GATEWAY_LOSES", default_value_t = 0, global = true, hide = true)]
    pub gateway_loses: u64,

    /// The test-card processor takes so many milliseconds to answer.
    #[arg(long, env = "DUNLIN_GATEWAY_LATENCY_MS", default_value_t = 0, global = true, hide = true)]
    pub gateway_latency_ms: u64,

    /// The folder in which the test-card processor remembers what it has charged.
    #[arg(long, env = "DUNLIN_GATEWAY_LEDGER", global = true, hide = true)]
    pub gateway_ledger: Option<PathBuf>,
}
