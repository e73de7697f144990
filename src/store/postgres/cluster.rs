//! initdb, start, ready, stop.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::account::Account;
use super::binaries::{self, Binaries, leading_number};
use super::error::ClusterError;
use super::folder::{Folder, Log, last_lines};
use super::{Settings, leftover};

/// The superuser of the cluster and the database in it.
const NAME: &str = "dunlin";
/// How long recovery after a crash may take before we give up.
const RECOVERY: Duration = Duration::from_mins(10);
/// How long the backends of a killed postmaster may take to notice.
const ORPHANS: Duration = Duration::from_secs(15);
/// Between two looks at a file or a process.
const PAUSE: Duration = Duration::from_millis(10);

/// A running Postgres of our own. Dropping it stops it.
#[derive(Debug)]
pub struct Cluster {
    child: Child,
    socket_dir: PathBuf,
    folder: Folder,
}

fn url(socket_dir: &Path) -> String {
    let host = percent_encode(socket_dir.as_os_str().as_bytes());
    format!("postgres://{NAME}@{host}:5432/{NAME}?sslmode=disable")
}

/// The URL of the cluster that another process runs in this data folder, if it is ready.
pub fn running_url(settings: &Settings) -> Option<String> {
    let data = settings.home().ok()?.join("postgres");
    let file = fs::read_to_string(leftover::pid_file(&data)).ok()?;
    // Lines of postmaster.pid: the fifth is the socket's folder, the last says how far it is.
    let lines: Vec<&str> = file.lines().collect();
    let ready = lines.last().is_some_and(|line| line.trim() == "ready");
    lines.get(4).filter(|_| ready).map(|folder| url(Path::new(folder)))
}

impl Cluster {
    /// Starts Postgres and waits until it takes connections, creating the data where there is none.
    ///
    /// Blocking; call it from the main thread before the async runtime starts: Postgres is told
    /// to stop when the *thread* that spawned it ends.
    pub fn start(settings: &Settings) -> Result<Cluster, ClusterError> {
        let folder = Folder::open(&settings.home()?)?;
        let data = folder.data();
        let account = Account::choose(&data)?;
        account.check_reach(&data)?;
        let major = data_major(&data)?;
        let binaries = binaries::find(settings, major, &data)?;
        account.check_reach(&binaries.program("postgres"))?;
        leftover::stop(&data)?;
        folder.remove_unfinished()?;
        if major.is_none() {
            initialise(&folder, &account, &binaries, settings.durable)?;
        }
        let socket_dir = folder.socket_dir(&account)?;
        let log = folder.log()?;
        let start = || spawn(&account, &binaries, &data, &socket_dir, &log, settings.durable);
        // From here on an early return stops Postgres: the value's drop does.
        let mut cluster = Cluster { child: start()?, socket_dir: socket_dir.clone(), folder };
        let since = Instant::now();
        loop {
            match cluster.wait_until_ready(&log) {
                Err(error) if orphans_hold(&error) && since.elapsed() < ORPHANS => {
                    sleep(Duration::from_millis(200));
                    cluster.child = start()?;
                }
                other => return other.map(|()| cluster),
            }
        }
    }

    /// The folder of the unix socket.
    pub fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    /// The role to connect as, a superuser of this cluster.
    pub fn user(&self) -> &str {
        NAME
    }

    /// The database to connect to.
    pub fn database(&self) -> &str {
        NAME
    }

    /// The URL to connect with. Port and sslmode are spelt out, so that PGPORT and PGSSLMODE in
    /// the environment do not lead elsewhere.
    pub fn url(&self) -> String {
        url(&self.socket_dir)
    }

    /// Has Postgres ended by itself?
    pub fn has_exited(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Stops Postgres: ends its connections, writes a checkpoint, and waits for it.
    pub fn stop(mut self) -> Result<(), ClusterError> {
        self.halt()
    }

    fn halt(&mut self) -> Result<(), ClusterError> {
        let pid = i32::try_from(self.child.id()).unwrap_or_default();
        for (signal, patience) in [(Signal::SIGINT, leftover::FAST_STOP), (Signal::SIGQUIT, leftover::IMMEDIATE_STOP)] {
            let since = Instant::now();
            while !self.has_exited() && since.elapsed() < patience {
                if since.elapsed() < PAUSE {
                    let _ = kill(Pid::from_raw(pid), signal); // gone meanwhile: seen in has_exited
                }
                sleep(PAUSE);
            }
        }
        if !self.has_exited() {
            return Err(ClusterError::StillRunning(pid));
        }
        if self.socket_dir != self.folder.data() {
            let _ = fs::remove_dir(&self.socket_dir); // not empty: someone else's file, leave it
        }
        Ok(())
    }

    fn wait_until_ready(&mut self, log: &Log) -> Result<(), ClusterError> {
        let file = leftover::pid_file(&self.folder.data());
        let failed = |reason: String| ClusterError::Start { reason, log: log.path.clone(), tail: log.tail() };
        let since = Instant::now();
        let mut said = 0;
        while since.elapsed() < RECOVERY {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(failed(status.to_string()));
            }
            // The file of an earlier run may still be there: only our child's counts.
            let text = fs::read_to_string(&file).unwrap_or_default();
            if let Some((pid, "ready")) = leftover::parse(&text)
                && u32::try_from(pid) == Ok(self.child.id())
            {
                return Ok(());
            }
            if since.elapsed().as_secs() / 10 > said {
                said = since.elapsed().as_secs() / 10;
                tracing::info!(log = %log.path.display(), "Postgres is still starting");
            }
            sleep(PAUSE);
        }
        Err(failed(format!("not ready after {} s", RECOVERY.as_secs())))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Err(error) = self.halt() {
            tracing::error!(%error, "could not stop the embedded Postgres");
        }
    }
}

/// The major version of the data, if there is any.
fn data_major(data: &Path) -> Result<Option<u32>, ClusterError> {
    if !data.exists() {
        return Ok(None);
    }
    let file = data.join("PG_VERSION");
    let text = fs::read_to_string(&file).map_err(|e| ClusterError::io("read", &file, e))?;
    Ok(leading_number(&text))
}

/// Creates the data beside its place and renames it, so that a kill leaves nothing half-made.
fn initialise(folder: &Folder, account: &Account, binaries: &Binaries, durable: bool) -> Result<(), ClusterError> {
    let (data, unfinished) = (folder.data(), folder.unfinished());
    tracing::info!(data = %data.display(), postgres = binaries.major, "creating a new Postgres cluster");
    fs::DirBuilder::new()
        .mode(0o700)
        .create(&unfinished)
        .and_then(|()| fs::set_permissions(&unfinished, Permissions::from_mode(0o700)))
        .map_err(|e| ClusterError::io("create the folder", &unfinished, e))?;
    account.give(&unfinished)?;
    let mut initdb = account.command(&binaries.program("initdb"))?;
    initdb
        .arg("-D")
        .arg(&unfinished)
        .args(["-U", NAME, "--auth-local=trust", "--auth-host=reject", "--encoding=UTF8", "--locale=C"])
        .args(["--data-checksums", "--no-instructions"])
        .args((!durable).then_some("--no-sync"));
    run(initdb, "initdb", "")?;
    // Without a client at hand, the database is made by Postgres's single-user mode.
    let mut single = account.command(&binaries.program("postgres"))?;
    single.arg("--single").arg("-D").arg(&unfinished).args(configuration(durable)).arg("template1");
    let output = run(single, "postgres --single", &format!("create database {NAME};\n"))?;
    if output.contains("ERROR:") {
        return Err(ClusterError::Program { program: "postgres --single", output: last_lines(&output) });
    }
    fs::rename(&unfinished, &data).map_err(|e| ClusterError::io("rename", &unfinished, e))?;
    folder.sync()
}

/// Runs a program to its end and answers what it wrote.
fn run(mut command: std::process::Command, program: &'static str, input: &str) -> Result<String, ClusterError> {
    let failed = |output: String| ClusterError::Program { program, output };
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| failed(e.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        let _ = stdin.write_all(input.as_bytes()); // ended early: its output says why
    }
    let output = child.wait_with_output().map_err(|e| failed(e.to_string()))?;
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(text.into_owned()) } else { Err(failed(last_lines(&text))) }
}

fn spawn(
    account: &Account,
    binaries: &Binaries,
    data: &Path,
    socket_dir: &Path,
    log: &Log,
    durable: bool,
) -> Result<Child, ClusterError> {
    let mut sockets = std::ffi::OsString::from("unix_socket_directories=");
    sockets.push(socket_dir);
    account
        .command(&binaries.program("postgres"))?
        .arg("-D")
        .arg(data)
        .arg("-c")
        .arg(sockets)
        .args(configuration(durable))
        .stdin(Stdio::null())
        .stdout(log.writer()?)
        .stderr(log.writer()?)
        .process_group(0) // Ctrl-C reaches only us, and we stop Postgres in order
        .spawn()
        .map_err(|e| ClusterError::Child(e.to_string()))
}

/// Postgres's settings, given at every start so that a new Dunlin brings its own.
fn configuration(durable: bool) -> Vec<String> {
    let always = [
        "listen_addresses=",
        "port=5432", // names the socket, and nothing else
        "unix_socket_permissions=0700",
        "logging_collector=off",
        "log_destination=stderr",
        "log_timezone=UTC",
        "timezone=UTC",
        "jit=off",
        "idle_in_transaction_session_timeout=60s",
        "max_wal_size=4GB",
        "checkpoint_timeout=15min",
        "wal_compression=lz4",
    ];
    let by_use: &[&str] = if durable {
        &["fsync=on", "synchronous_commit=on", "full_page_writes=on", "max_connections=100"]
    } else {
        &["fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=300"]
    };
    let shared_buffers =
        format!("shared_buffers={}MB", if durable { shared_megabytes(memory_megabytes()) } else { 128 });
    let settings = always.iter().chain(by_use).map(|setting| (*setting).to_owned()).chain([shared_buffers]);
    settings.flat_map(|setting| ["-c".to_owned(), setting]).collect()
}

/// An eighth of the memory, for we are not alone on the machine; what is not used is not taken.
fn shared_megabytes(memory: Option<u64>) -> u64 {
    memory.map_or(256, |memory| (memory / 8).clamp(128, 2048))
}

/// What Linux says that it has.
fn memory_megabytes() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = total.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes / 1024)
}

/// Backends of a killed postmaster hold the shared memory until they notice its death.
fn orphans_hold(error: &ClusterError) -> bool {
    matches!(error, ClusterError::Start { tail, .. } if tail.contains("pre-existing shared memory block"))
}

fn percent_encode(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, &byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}"); // a String takes everything
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_becomes_the_host_of_a_url() {
        assert_eq!(percent_encode(b"/var/lib/a b-1"), "%2Fvar%2Flib%2Fa%20b-1");
    }

    #[test]
    fn only_a_throw_away_cluster_skips_durability() {
        assert!(configuration(true).contains(&"fsync=on".to_owned()));
        assert!(!configuration(true).iter().any(|s| s.ends_with("commit=off") || s == "fsync=off"));
        assert!(configuration(false).contains(&"max_connections=300".to_owned()));
    }

    #[test]
    fn postgres_shares_an_eighth_of_the_memory() {
        for (memory, shared) in [(None, 256), (Some(512), 128), (Some(8192), 1024), (Some(1 << 20), 2048)] {
            assert_eq!(shared_megabytes(memory), shared);
        }
    }
}
