//! Benchmarks of the whole house, on a durable Postgres of their own.
//!
//! ```text
//! cargo bench --bench dunlin -- month-end   # 100,000 subscriptions, 10,000 due at once
//! cargo bench --bench dunlin -- growth      # the same 10,000 among 10,000 and among 1,000,000
//! cargo bench --bench dunlin -- calls       # requests over HTTP at 1, 16 and 64 connections
//! cargo bench --bench dunlin -- clock       # a year on a test clock
//! cargo bench --bench dunlin -- start       # start-up time and memory
//! cargo bench --bench dunlin -- search      # searches among 1,000,000 customers, each kind over HTTP
//! ```
//!
//! Several names run one after the other; without a name all run but `growth`, which needs 10 GB of disk, and `search`, which needs 4.
//! Absolute figures say little about a shared machine. With these set, each is also given as a share of
//! what the same Postgres takes for the same rows, measured in between:
//!
//! | variable | what |
//! |---|---|
//! | `LIMITS_BIN` | the `limits` program |
//! | `LIMITS_DIR` | its folder, with `schema_base.sql`, `schema_write.sql` and `pgbench/`; needs `psql` and `pgbench` |
//! | `BENCH_ROUNDS` | rounds of each measurement, the median of which counts (3) |
//! | `BENCH_SUBSCRIPTIONS`, `BENCH_DUE` | of `month-end` and `growth` (100000, 10000) |
//! | `BENCH_WORKERS` | how many do what is due, in `month-end` and `growth` (4) |
//! | `BENCH_GROWN` | the larger house of `growth` (1000000) |
//! | `BENCH_CALL` | only the `calls`, or kinds of `search`, whose name begins so |
//! | `BENCH_SECONDS` | how long each of the `calls` is made, and each kind of `search` (3) |
//! | `BENCH_CUSTOMERS` | how many are searched (1000000) |
//! | `BENCH_DATA` | where the databases go (a folder below the system's temporary one) |
//! | `BENCH_STATEMENTS` | print so many of a month end's costliest statements (0) |
//! | `BENCH_SETTINGS` | settings of Postgres to try, as `name=value,name=value`; they cannot undo what the server sets |
//! | `BENCH_PAUSE` | wait so many seconds before the measured rounds, to attach a profiler (0) |
//! | `DUNLIN_PG_BIN` | the folder of Postgres's programs |

mod calls;
mod clock;
mod growth;
mod http;
mod limits;
mod measure;
mod month_end;
mod place;
mod report;
mod search;
mod seed;
mod server;
mod start;

use std::{error::Error, ffi::OsString, path::Path, process::ExitCode};

use dunlin::store::postgres;

/// The server's own, as engine and server run inside this program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a bench may fail with: it is printed and ends the run.
pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// In the order in which they run when none is named.
const USUAL: [&str; 4] = ["start", "clock", "calls", "month-end"];

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    // The verbs by which this program starts itself as something else: Postgres's programs, a server.
    match arguments.as_slice() {
        [verb, rest @ ..] if verb == postgres::CHILD_VERB => return failed(&postgres::become_postgres(rest)),
        [verb, folder] if verb == postgres::TEST_CLUSTER_VERB => {
            return postgres::serve_test_cluster(Path::new(folder))
                .map_or_else(|error| failed(&error), |()| ExitCode::SUCCESS);
        }
        [verb, rest @ ..] if verb == server::VERB => return ended(server::serve(rest)),
        _ => {}
    }
    // cargo adds a flag of its own to what is given.
    let names: Vec<&str> =
        arguments.iter().filter_map(|name| name.to_str()).filter(|name| !name.starts_with('-')).collect();
    ended(run(if names.is_empty() { &USUAL } else { &names }))
}

fn run(names: &[&str]) -> Outcome<()> {
    // One that already is installed is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    for name in names {
        match *name {
            "month-end" => month_end::run()?,
            "growth" => growth::run()?,
            "calls" => calls::run()?,
            "clock" => clock::run()?,
            "start" => start::run()?,
            "search" => search::run()?,
            other => return Err(format!("there is no bench {other}").into()),
        }
    }
    Ok(())
}

fn ended(outcome: Outcome<()>) -> ExitCode {
    outcome.map_or_else(|error| failed(error.as_ref()), |()| ExitCode::SUCCESS)
}

fn failed(error: &dyn Error) -> ExitCode {
    eprintln!("bench: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        eprintln!("  because: {cause}");
        source = cause.source();
    }
    ExitCode::FAILURE
}
