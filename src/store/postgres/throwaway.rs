//! The throw-away cluster that all test processes of a unix user share.
//!
//! The first test process starts it through a hidden verb; it ends ten seconds after the last one
//! has ended. Two locks say all there is to say, and the system drops both at a kill -9:
//!
//! - `users`: every test process holds it shared for its life. The server holds it alone only
//!   while it removes everything, so that whoever holds it shared knows the folder stays.
//! - `server`: taken by the test process that starts the server and handed to it as standard
//!   input. Whoever can take it knows that there is no server.

use std::env;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command};
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::unistd::{close, geteuid, setsid};

use super::cluster::Cluster;
use super::error::ClusterError;
use super::folder::{SOCKET, last_lines};
use super::{Settings, TEST_CLUSTER_VERB, binaries, leftover};

/// How long the server outlives the last test process, so that the next `cargo test` finds it.
const LINGER: Duration = Duration::from_secs(10);
/// How long a test process waits for the server: initdb on a busy machine, and the end of an
/// earlier server.
const PATIENCE: Duration = Duration::from_mins(2);
/// Where a test process finds the programs; handed on, so that the server finds the same.
const PROGRAMS: &str = "DUNLIN_PG_BIN";

/// What this process holds for its life: the shared lock, and the server if it is our child.
struct Held {
    url: String,
    _users: File,
    _server: Option<Child>,
}

static HELD: Mutex<Option<Held>> = Mutex::new(None);

/// The URL of the shared test cluster, which is started when this process is the first to ask.
/// `binary` is the `dunlin` program, in a test `env!("CARGO_BIN_EXE_dunlin")`.
pub fn test_cluster_url(binary: &Path) -> Result<String, ClusterError> {
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(held) = &*held {
        return Ok(held.url.clone());
    }
    let found = binaries::find(&settings(None), None, Path::new(""))?;
    let dir = PathBuf::from(format!("/tmp/dunlin-test-{}-{}", geteuid(), found.major));
    let users = join(&dir)?;
    let (url, server) = wait_for_server(&dir, binary, &found.folder)?;
    *held = Some(Held { url: url.clone(), _users: users, _server: server });
    Ok(url)
}

fn settings(data_dir: Option<PathBuf>) -> Settings {
    let binaries = env::var_os(PROGRAMS).map(PathBuf::from);
    Settings { data_dir, durable: false, fetch: true, binaries }
}

/// Takes the shared lock in a folder that is there to stay.
fn join(dir: &Path) -> Result<File, ClusterError> {
    let path = dir.join("users");
    loop {
        // As root, Postgres's user passes through to its own folder.
        let mode = if geteuid().is_root() { 0o711 } else { 0o700 };
        let created = DirBuilder::new().mode(mode).create(dir);
        // Once more for what the umask took away.
        match created.and_then(|()| fs::set_permissions(dir, Permissions::from_mode(mode))) {
            Err(error) if !matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound) => {
                return Err(ClusterError::io("create the folder", dir, error));
            }
            _ => {}
        }
        match fs::symlink_metadata(dir) {
            Ok(found) if !found.is_dir() || found.uid() != geteuid().as_raw() => {
                return Err(ClusterError::NotOurs { path: dir.to_owned(), owner: found.uid() });
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(ClusterError::io("look at", dir, error));
            }
            _ => {}
        }
        let file = match open(&path) {
            Ok(file) => file,
            // The folder was removed between the two steps.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(ClusterError::io("open", &path, error)),
        };
        file.lock_shared().map_err(|e| ClusterError::io("lock", &path, e))?;
        // A server that was ending may have removed the file while we waited for it.
        if is_same(&file, &path) {
            return Ok(file);
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NOFOLLOW.bits();
    OpenOptions::new().read(true).append(true).create(true).mode(0o600).custom_flags(flags).open(path)
}

fn is_same(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

/// Waits until the server answers, starting it if there is none.
fn wait_for_server(dir: &Path, binary: &Path, programs: &Path) -> Result<(String, Option<Child>), ClusterError> {
    let path = dir.join("server");
    let log = dir.join("server.log");
    let mut started: Option<Child> = None;
    let since = Instant::now();
    while since.elapsed() < PATIENCE {
        let lock = open(&path).map_err(|e| ClusterError::io("open", &path, e))?;
        match lock.try_lock() {
            Ok(()) if started.is_some() => break, // ours came and went
            Ok(()) => started = Some(start_server(dir, binary, programs, lock, &log)?),
            Err(TryLockError::WouldBlock) => {
                if let Some(url) = answering(dir) {
                    return Ok((url, started));
                }
            }
            Err(TryLockError::Error(error)) => return Err(ClusterError::io("lock", &path, error)),
        }
        sleep(Duration::from_millis(30));
    }
    let tail = last_lines(&fs::read_to_string(&log).unwrap_or_default());
    Err(ClusterError::TestCluster { log, tail })
}

fn start_server(dir: &Path, binary: &Path, programs: &Path, lock: File, log: &Path) -> Result<Child, ClusterError> {
    let _ = fs::remove_file(dir.join("url")); // of a server that was killed
    let output = open(log).map_err(|e| ClusterError::io("open", log, e))?;
    let errors = output.try_clone().map_err(|e| ClusterError::io("open", log, e))?;
    Command::new(binary)
        .arg(TEST_CLUSTER_VERB)
        .arg(dir)
        .env(PROGRAMS, programs)
        .current_dir("/") // not the one of whoever happened to be first
        .stdin(lock)
        .stdout(output)
        .stderr(errors)
        .spawn()
        .map_err(|e| ClusterError::io("run", binary, e))
}

/// The URL, if a server has written it and its Postgres takes connections.
fn answering(dir: &Path) -> Option<String> {
    let text = fs::read_to_string(dir.join("url")).ok()?;
    let (url, socket_dir) = text.split_once('\n')?;
    UnixStream::connect(Path::new(socket_dir.trim_end_matches('\n')).join(SOCKET)).ok()?;
    Some(url.to_owned())
}

/// What the hidden verb `test-cluster <dir>` does: runs the cluster in `dir` until ten seconds
/// after the last test process has ended, and removes the folder. Call it on the main thread.
pub fn serve_test_cluster(dir: &Path) -> Result<(), ClusterError> {
    // A session of its own: neither Ctrl-C nor the end of the terminal reaches it.
    let _ = setsid(); // already leads one: as good
    close_inherited();
    let home = dir.join("cluster");
    // What a killed server left has no durability to speak of, so it is not used again.
    leftover::stop(&home.join("postgres"))?;
    remove(&home)?;
    let mut cluster = Cluster::start(&settings(Some(home)))?;
    publish(dir, &cluster)?;
    let users = wait_for_the_end(dir, &mut cluster)?;
    cluster.stop()?;
    match users {
        Some(users) => clear(dir, users),
        None => Ok(()),
    }
}

/// Lets go of what the first test process was given besides: a script's lock or pipe must not stay held
/// for as long as the server lives.
fn close_inherited() {
    let open: Vec<i32> = fs::read_dir("/dev/fd")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2) {
        let _ = close(descriptor); // the listing's own is closed already
    }
}

/// Removes the folder, the lock on which newcomers wait last: what they then make is theirs. A database of
/// each test is many thousands of files: nobody waits while they are removed, beside the folder.
fn clear(dir: &Path, held_alone: File) -> Result<(), ClusterError> {
    let (home, aside) = (dir.join("cluster"), dir.with_extension(format!("old-{}", process::id())));
    fs::rename(&home, &aside).map_err(|e| ClusterError::io("rename", &home, e))?;
    for name in ["url", "server.log", "server", "users"] {
        let path = dir.join(name);
        fs::remove_file(&path).map_err(|e| ClusterError::io("remove", &path, e))?;
    }
    let _ = fs::remove_dir(dir); // not empty: a newcomer is there already
    drop(held_alone);
    // Those of servers that were killed meanwhile, too; another may be at the same.
    let prefix = format!("{}.old-", dir.display());
    let siblings = dir.parent().and_then(|parent| fs::read_dir(parent).ok()).into_iter().flatten().flatten();
    for sibling in siblings.map(|sibling| sibling.path()).filter(|path| path.display().to_string().starts_with(&prefix))
    {
        let _ = fs::remove_dir_all(sibling);
    }
    Ok(())
}

/// Writes the URL in one step, so that nobody reads half of it.
fn publish(dir: &Path, cluster: &Cluster) -> Result<(), ClusterError> {
    let (unfinished, path) = (dir.join("url.new"), dir.join("url"));
    let text = format!("{}\n{}\n", cluster.url(), cluster.socket_dir().display());
    fs::write(&unfinished, text)
        .and_then(|()| fs::rename(&unfinished, &path))
        .map_err(|e| ClusterError::io("write", &path, e))
}

/// Answers the lock, now held alone, once nobody has used the cluster for a while; `None` if
/// Postgres ended by itself and test processes still hold the folder.
fn wait_for_the_end(dir: &Path, cluster: &mut Cluster) -> Result<Option<File>, ClusterError> {
    let path = dir.join("users");
    let users = open(&path).map_err(|e| ClusterError::io("open", &path, e))?;
    let mut idle_since: Option<Instant> = None;
    while !cluster.has_exited() {
        match users.try_lock() {
            Ok(()) if idle_since.get_or_insert_with(Instant::now).elapsed() >= LINGER => {
                return Ok(Some(users));
            }
            Ok(()) => users.unlock().map_err(|e| ClusterError::io("unlock", &path, e))?,
            Err(TryLockError::WouldBlock) => idle_since = None,
            Err(TryLockError::Error(error)) => return Err(ClusterError::io("lock", &path, error)),
        }
        sleep(Duration::from_millis(250));
    }
    Ok(users.try_lock().is_ok().then_some(users))
}

/// Removes a folder, if it is there.
fn remove(folder: &Path) -> Result<(), ClusterError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(ClusterError::io("remove", folder, error)),
        _ => Ok(()),
    }
}
