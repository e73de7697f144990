//! The embedded default: a private Postgres cluster that Dunlin runs for itself.
//!
//! Who may call it: `main`, when no `DATABASE_URL` is given, and tests through
//! [`test_cluster_url`]. It hands out a URL and knows nothing of what is stored.
//!
//! | file | what it knows |
//! |---|---|
//! | `binaries` | where an installed Postgres may be, and which one fits |
//! | `fetch` | how to get one where none is installed |
//! | `account` | which unix user Postgres runs as, and how a child becomes it |
//! | `folder` | the data folder: its lock, its log, its sockets |
//! | `leftover` | what to do with a postmaster that outlived us |
//! | `cluster` | initdb, start, ready, stop |
//! | `throwaway` | the cluster that all tests of a unix user share |
//!
//! What lies in the data folder: `postgres/` (Postgres's own, 0700, with the socket in it),
//! `postgres.log` and `lock`. What it never does: listen on the network, run Postgres as root,
//! start on a data folder of another major version, or stop a postmaster of someone else.

mod account;
mod binaries;
mod cluster;
mod error;
mod fetch;
mod folder;
mod leftover;
mod throwaway;

use std::env;
use std::path::PathBuf;

pub use account::become_postgres;
pub use cluster::{Cluster, running_url};
pub use error::ClusterError;
pub use throwaway::{serve_test_cluster, test_cluster_url};

/// The hidden verb through which every Postgres program is started.
pub const CHILD_VERB: &str = "postgres-child";
/// The hidden verb that runs the cluster shared by all tests.
pub const TEST_CLUSTER_VERB: &str = "test-cluster";

/// How and where the embedded Postgres runs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the data lies. `None`: `/var/lib/dunlin` as root, else `$XDG_DATA_HOME/dunlin` or
    /// `~/.local/share/dunlin`.
    pub data_dir: Option<PathBuf>,
    /// False only for throw-away test clusters, whose data a crash may take.
    pub durable: bool,
    /// May binaries be fetched when none is installed?
    pub fetch: bool,
    /// `DUNLIN_PG_BIN`: the only folder to look for binaries in.
    pub binaries: Option<PathBuf>,
}

impl Settings {
    /// The data folder, given or by default.
    fn home(&self) -> Result<PathBuf, ClusterError> {
        match &self.data_dir {
            Some(given) => {
                std::path::absolute(given).map_err(|source| ClusterError::io("find the data folder", given, source))
            }
            None => own_folder("/var/lib/dunlin", "XDG_DATA_HOME", ".local/share"),
        }
    }
}

/// A folder of ours: one place for root, else below the user's own as the XDG rules have it.
fn own_folder(of_root: &str, variable: &str, below_home: &str) -> Result<PathBuf, ClusterError> {
    if nix::unistd::geteuid().is_root() {
        // Below /root nothing can be reached by the unprivileged user Postgres runs as.
        return Ok(PathBuf::from(of_root));
    }
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    absolute(variable)
        .or_else(|| absolute("HOME").map(|home| home.join(below_home)))
        .map(|folder| folder.join("dunlin"))
        .ok_or(ClusterError::NoHome)
}
