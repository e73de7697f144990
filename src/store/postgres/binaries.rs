//! Where an installed Postgres may be, and which one fits.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, iter};

use super::error::ClusterError;
use super::{Settings, fetch};

/// The oldest major version whose SQL we write.
pub(super) const OLDEST_MAJOR: u32 = 15;

/// A folder of Postgres programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binaries {
    pub(super) folder: PathBuf,
    pub(super) major: u32,
}

impl Binaries {
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Finds programs of the major version the data was written by, or, for new data, any we can use.
pub(super) fn find(settings: &Settings, wanted: Option<u32>, data: &Path) -> Result<Binaries, ClusterError> {
    let fits = |major: u32| wanted.map_or(major >= OLDEST_MAJOR, |wanted| major == wanted);
    let mut others = Vec::new();
    let candidates: Box<dyn Iterator<Item = PathBuf>> = match &settings.binaries {
        Some(given) => Box::new([given.clone(), given.join("bin")].into_iter()),
        None => Box::new(installed()),
    };
    for candidate in candidates {
        match inspect(&candidate) {
            Some(binaries) if fits(binaries.major) => return Ok(binaries),
            Some(binaries) if !others.contains(&binaries) => others.push(binaries),
            _ => {}
        }
    }
    let may_fetch = settings.fetch && settings.binaries.is_none() && fits(fetch::MAJOR);
    if may_fetch && let Some(binaries) = inspect(&fetch::fetch()?) {
        return Ok(binaries);
    }
    let found = describe(settings.binaries.as_deref(), &others);
    Err(match wanted {
        Some(wanted) => ClusterError::OtherMajor { data: data.to_owned(), wanted, found },
        None => ClusterError::NotInstalled { found, hint: fetch::INSTALL_HINT },
    })
}

/// The search in words, for an error.
fn describe(given: Option<&Path>, others: &[Binaries]) -> String {
    let list: Vec<String> = others.iter().map(|b| format!("{} in {}", b.major, b.folder.display())).collect();
    match (list.is_empty(), given) {
        (false, _) => format!("only Postgres {} was found", list.join(", ")),
        (true, Some(given)) => format!("no Postgres programs were found in {}", given.display()),
        (true, None) => "no installed Postgres was found".to_owned(),
    }
}

/// Every folder that may hold programs, best first. Lazy: later places are looked at only if
/// earlier ones hold nothing that fits.
fn installed() -> impl Iterator<Item = PathBuf> {
    iter::once_with(on_path)
        .chain(iter::once_with(|| pg_config_folder().into_iter().collect()))
        .chain(iter::once_with(|| {
            let patterns = [
                "/usr/lib/postgresql/*/bin", // Debian, Ubuntu, SUSE
                "/usr/pgsql-*/bin",          // Fedora, Red Hat, from postgresql.org
                "/usr/libexec/postgresql*",  // Alpine
                "/opt/homebrew/opt/postgresql@*/bin",
                "/usr/local/opt/postgresql@*/bin",
                "/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",
                "/Applications/Postgres.app/Contents/Versions/*/bin",
            ];
            patterns.iter().flat_map(|pattern| expand(Path::new(pattern))).collect()
        }))
        .chain(iter::once_with(|| fetch::folder().map(|f| f.join("bin")).into_iter().collect()))
        .flatten()
}

/// Folders on PATH that hold `postgres`, where links lead to.
fn on_path() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .filter_map(|folder| folder.join("postgres").canonicalize().ok())
        .filter_map(|program| program.parent().map(Path::to_owned))
        .collect()
}

fn pg_config_folder() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").stderr(Stdio::null()).output().ok()?;
    Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim_end()))
}

/// Expands the one component of `pattern` that has a star, highest version first.
fn expand(pattern: &Path) -> Vec<PathBuf> {
    let text = pattern.to_string_lossy();
    let Some((before, after)) = text.split_once('*') else {
        return Vec::new();
    };
    let Some((parent, prefix)) = before.rsplit_once('/') else {
        return Vec::new();
    };
    let after = after.trim_start_matches('/');
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = leading_number(entry.file_name().to_str()?.strip_prefix(prefix)?)?;
            Some((version, entry.path().join(after)))
        })
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, folder)| folder).collect()
}

/// What is in this folder, if it holds all the programs we need.
fn inspect(folder: &Path) -> Option<Binaries> {
    let folder = folder.join("postgres").canonicalize().ok()?.parent()?.to_owned();
    if !folder.join("initdb").is_file() {
        return None; // a client-only package
    }
    let output = Command::new(folder.join("postgres")).arg("--version").stderr(Stdio::null()).output().ok()?;
    let major = major_of(&String::from_utf8_lossy(&output.stdout))?;
    Some(Binaries { folder, major })
}

/// The major version in `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`.
fn major_of(version: &str) -> Option<u32> {
    leading_number(version.split_once("(PostgreSQL)")?.1.trim_start())
}

/// The number a text starts with: `17beta1` is 17.
pub(super) fn leading_number(text: &str) -> Option<u32> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read() {
        assert_eq!(major_of("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"), Some(15));
        assert_eq!(major_of("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(major_of("something else"), None);
    }

    #[test]
    fn a_star_puts_the_highest_version_first() {
        let root = env::temp_dir().join(format!("dunlin-expand-{}", std::process::id()));
        for name in ["pg-9/bin", "pg-17/bin", "pg-x/bin", "other/bin"] {
            fs::create_dir_all(root.join(name)).expect("create a folder");
        }
        let found = expand(&root.join("pg-*/bin"));
        fs::remove_dir_all(&root).expect("remove the folder");
        assert_eq!(found, [root.join("pg-17/bin"), root.join("pg-9/bin")]);
    }

    #[test]
    fn an_empty_folder_is_named_in_the_error() {
        let settings = Settings { data_dir: None, durable: true, fetch: false, binaries: Some("/nowhere".into()) };
        let error = find(&settings, None, Path::new("/data")).expect_err("nothing is there").to_string();
        assert!(error.contains("/nowhere") && error.contains("DUNLIN_PG_BIN"), "{error}");
        let error = find(&settings, Some(14), Path::new("/data")).expect_err("nothing is there").to_string();
        assert!(error.contains("written by Postgres 14"), "{error}");
    }
}
