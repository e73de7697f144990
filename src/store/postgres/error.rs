//! What can go wrong with the embedded Postgres, said so that an operator can act on it.

use std::io;
use std::path::{Path, PathBuf};

/// Why the embedded Postgres does not run.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The system refused something about a file or folder.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, as in "create the folder".
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Neither a data folder is set nor a home to put one in.
    #[error("no folder to keep data in: set a data folder, or HOME, or DATABASE_URL")]
    NoHome,
    /// There is no usable Postgres here.
    #[error(
        "{found}, and Dunlin needs version {oldest} or newer; {hint}, or set DUNLIN_PG_BIN to the folder of its programs, or DATABASE_URL to a running server",
        oldest = super::binaries::OLDEST_MAJOR
    )]
    NotInstalled {
        /// What the search came to.
        found: String,
        /// What to type on this platform.
        hint: &'static str,
    },
    /// The data was written by another major version than any found here.
    #[error("the data in {} was written by Postgres {wanted}, but {found}; install Postgres {wanted} or set DUNLIN_PG_BIN", data.display())]
    OtherMajor {
        /// The data folder.
        data: PathBuf,
        /// Its major version.
        wanted: u32,
        /// What the search came to.
        found: String,
    },
    /// Binaries could not be fetched.
    #[error(
        "no Postgres is installed and fetching one failed ({reason}); {hint}, or set DATABASE_URL to a running server"
    )]
    Fetch {
        /// What the download said.
        reason: String,
        /// What to type on this platform.
        hint: &'static str,
    },
    /// Another Dunlin has the data folder.
    #[error("the data folder {} is used by another Dunlin that is running", .0.display())]
    InUse(PathBuf),
    /// Root's Postgres runs as another user, who cannot get there.
    #[error("the user {user}, as which Postgres runs, cannot reach {}: {} does not let it pass; run `chmod o+x` on it, or choose another folder", goal.display(), barrier.display())]
    Unreachable {
        /// The unprivileged user.
        user: String,
        /// Where it should get.
        goal: PathBuf,
        /// The folder that stops it.
        barrier: PathBuf,
    },
    /// A folder that should be ours belongs to someone else.
    #[error("{} belongs to another user (uid {owner}); run as that user, or choose another folder", path.display())]
    NotOurs {
        /// The folder.
        path: PathBuf,
        /// Who owns it.
        owner: u32,
    },
    /// One of Postgres's programs failed.
    #[error("{program} failed:\n{output}")]
    Program {
        /// Its name.
        program: &'static str,
        /// What it wrote last.
        output: String,
    },
    /// Postgres did not become ready.
    #[error("Postgres did not start ({reason}); its log {} ends in:\n{tail}", log.display())]
    Start {
        /// It ended, or it took too long.
        reason: String,
        /// The log file.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// Postgres, ours or a left-over one, did not end when told to.
    #[error("Postgres (process {0}) does not stop")]
    StillRunning(i32),
    /// The hidden verb could not become Postgres.
    #[error("cannot run Postgres's program: {0}")]
    Child(String),
    /// No unprivileged user exists to run Postgres as.
    #[error("Postgres never runs as root, and there is no user `postgres`, `dunlin` or `nobody` to run it as")]
    NoUser,
    /// The tests' cluster did not come up.
    #[error("the test cluster did not start; {} ends in:\n{tail}", log.display())]
    TestCluster {
        /// The log file.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
}

impl ClusterError {
    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        Self::Io { action, path, source }
    }
}
