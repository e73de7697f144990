//! The data folder: its lock, its log, and where its socket lies.

use std::collections::hash_map::DefaultHasher;
use std::env;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::unistd::geteuid;

use super::account::Account;
use super::error::ClusterError;

/// The file name of a socket, as Postgres makes it from the port.
pub(super) const SOCKET: &str = ".s.PGSQL.5432";
/// What fits into a socket address, without its closing zero.
const LONGEST_SOCKET_PATH: usize = if cfg!(target_os = "linux") { 107 } else { 103 };
/// A log larger than this is put aside at the next start.
const LARGE_LOG: u64 = 10 << 20;

/// The data folder, locked for as long as this value lives.
#[derive(Debug)]
pub(super) struct Folder {
    home: PathBuf,
    _lock: File,
}

impl Folder {
    /// Creates the folder where it is missing and locks it.
    pub(super) fn open(home: &Path) -> Result<Folder, ClusterError> {
        if !home.is_dir() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(home)
                .map_err(|e| ClusterError::io("create the folder", home, e))?;
            // As root the folder stays root's, and Postgres's user passes through to its own.
            let mode = if geteuid().is_root() { 0o711 } else { 0o700 };
            fs::set_permissions(home, Permissions::from_mode(mode))
                .map_err(|e| ClusterError::io("set the permissions of", home, e))?;
        }
        let home = home.canonicalize().map_err(|e| ClusterError::io("resolve", home, e))?;
        let path = home.join("lock");
        let lock = open_append(&path)?;
        match lock.try_lock() {
            Ok(()) => Ok(Folder { home, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(ClusterError::InUse(home)),
            Err(TryLockError::Error(error)) => Err(ClusterError::io("lock", &path, error)),
        }
    }

    /// Postgres's own folder, which nobody else may look into.
    pub(super) fn data(&self) -> PathBuf {
        self.home.join("postgres")
    }

    /// Where initdb works before the result is renamed. The name is new each time, so that an
    /// initdb still dying after a kill cannot meet its successor.
    pub(super) fn unfinished(&self) -> PathBuf {
        self.home.join(format!("postgres.new.{}", std::process::id()))
    }

    /// Removes what killed runs of initdb left.
    pub(super) fn remove_unfinished(&self) -> Result<(), ClusterError> {
        let list = fs::read_dir(&self.home).map_err(|e| ClusterError::io("list", &self.home, e))?;
        for entry in list.flatten() {
            if entry.file_name().as_bytes().starts_with(b"postgres.new.") {
                let path = entry.path();
                fs::remove_dir_all(&path).map_err(|e| ClusterError::io("remove", &path, e))?;
            }
        }
        Ok(())
    }

    /// The rename of the data is safe on disk once its parent is.
    pub(super) fn sync(&self) -> Result<(), ClusterError> {
        File::open(&self.home).and_then(|folder| folder.sync_all()).map_err(|e| ClusterError::io("sync", &self.home, e))
    }

    /// Postgres's log.
    pub(super) fn log(&self) -> Result<Log, ClusterError> {
        Log::open(self.home.join("postgres.log"))
    }

    /// Where the socket goes: into the data, or, where that path cannot be a socket
    /// address, into a short folder just as private.
    pub(super) fn socket_dir(&self, account: &Account) -> Result<PathBuf, ClusterError> {
        let data = self.data();
        if fits_socket(&data) {
            return Ok(data);
        }
        let short = short_folder(&data);
        match DirBuilder::new().mode(0o700).create(&short) {
            Ok(()) => account.give(&short)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(ClusterError::io("create the folder", &short, error)),
        }
        // /tmp is everybody's: never put a socket that trusts into a folder someone prepared.
        let found = fs::symlink_metadata(&short).map_err(|e| ClusterError::io("look at", &short, e))?;
        if !found.is_dir() || found.uid() != account.uid.as_raw() || found.mode() & 0o077 != 0 {
            return Err(ClusterError::NotOurs { path: short, owner: found.uid() });
        }
        Ok(short)
    }
}

/// Can a socket lie in this folder? Postgres and its clients part lists of folders at commas.
fn fits_socket(folder: &Path) -> bool {
    let is_plain = !folder.as_os_str().as_bytes().iter().any(|byte| b",\"".contains(byte));
    is_plain && folder.as_os_str().len() + 1 + SOCKET.len() <= LONGEST_SOCKET_PATH
}

/// A short folder for the sockets of this data, the same at every start.
fn short_folder(data: &Path) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    data.hash(&mut hasher);
    let name = format!("dunlin-{}-{:016x}", geteuid(), hasher.finish());
    env::var_os("XDG_RUNTIME_DIR")
        .filter(|_| !geteuid().is_root()) // root's is closed to Postgres's user
        .map(PathBuf::from)
        .filter(|folder| folder.is_dir())
        .map(|folder| folder.join(&name))
        .filter(|folder| fits_socket(folder))
        .unwrap_or_else(|| Path::new("/tmp").join(&name))
}

/// Opens a file for appending, never through a link, since others may write to the folder.
fn open_append(path: &Path) -> Result<File, ClusterError> {
    OpenOptions::new()
        .append(true)
        .read(true)
        .create(true)
        .mode(0o600)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(path)
        .map_err(|e| ClusterError::io("open", path, e))
}

/// Postgres's log, and from where on this run wrote it.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) path: PathBuf,
    pub(super) file: File,
    start: u64,
}

impl Log {
    fn open(path: PathBuf) -> Result<Log, ClusterError> {
        if fs::metadata(&path).is_ok_and(|log| log.len() > LARGE_LOG) {
            fs::rename(&path, path.with_extension("log.old")).map_err(|e| ClusterError::io("rename", &path, e))?;
        }
        let file = open_append(&path)?;
        let start = file.metadata().map_err(|e| ClusterError::io("look at", &path, e))?.len();
        Ok(Log { path, file, start })
    }

    /// A handle for a child to write to.
    pub(super) fn writer(&self) -> Result<File, ClusterError> {
        self.file.try_clone().map_err(|e| ClusterError::io("open", &self.path, e))
    }

    /// The last lines since the log was opened.
    pub(super) fn tail(&self) -> String {
        let mut bytes = Vec::new();
        let mut reader = &self.file;
        let read = reader.seek(SeekFrom::Start(self.start)).and_then(|_| reader.read_to_end(&mut bytes));
        match read {
            Ok(_) => last_lines(&String::from_utf8_lossy(&bytes)),
            Err(error) => format!("(unreadable: {error})"),
        }
    }
}

/// The last fifteen lines of a text.
pub(super) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_gets_a_short_socket_folder() {
        assert!(fits_socket(Path::new(&format!("/{}", "x".repeat(92)))));
        assert!(!fits_socket(Path::new(&format!("/{}", "x".repeat(93)))));
        assert!(!fits_socket(Path::new("/a,b")));
        let long = PathBuf::from(format!("/{}", "x".repeat(200)));
        assert!(fits_socket(&short_folder(&long)));
        assert_eq!(short_folder(&long), short_folder(&long));
    }

    #[test]
    fn the_end_of_a_log_is_kept() {
        let text = (1..=20).map(|n| n.to_string()).collect::<Vec<_>>().join("\n");
        assert!(last_lines(&text).starts_with("6\n") && last_lines(&text).ends_with("\n20"));
        assert_eq!(last_lines(""), "");
    }
}
