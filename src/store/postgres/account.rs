//! Which unix user Postgres runs as, and how a child process becomes it.
//!
//! Postgres refuses to run as root. So each of its programs is started through a hidden verb of
//! our own binary, which gives up root, asks to be told when we die, and becomes the program.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, io, process};

use nix::unistd::{Gid, Pid, Uid, User, getegid, geteuid, getppid};

use super::CHILD_VERB;
use super::error::ClusterError;

/// The user Postgres runs as.
#[derive(Debug, Clone)]
pub(super) struct Account {
    name: String,
    pub(super) uid: Uid,
    gid: Gid,
}

impl Account {
    /// Whoever we are; as root, the owner of the data, or for new data the first unprivileged
    /// user there is.
    pub(super) fn choose(data: &Path) -> Result<Account, ClusterError> {
        let owner = match fs::symlink_metadata(data) {
            Ok(metadata) => Some(metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(ClusterError::io("look at", data, error)),
        };
        if !geteuid().is_root() {
            if let Some(owner) = owner.filter(|o| o.uid() != geteuid().as_raw()) {
                return Err(ClusterError::NotOurs { path: data.to_owned(), owner: owner.uid() });
            }
            return Ok(Account { name: geteuid().to_string(), uid: geteuid(), gid: getegid() });
        }
        if let Some(owner) = owner.filter(|o| o.uid() != 0) {
            let (uid, gid) = (Uid::from_raw(owner.uid()), Gid::from_raw(owner.gid()));
            let name = User::from_uid(uid).ok().flatten().map_or(uid.to_string(), |user| user.name);
            return Ok(Account { name, uid, gid });
        }
        ["postgres", "dunlin", "nobody"]
            .iter()
            .find_map(|name| User::from_name(name).ok().flatten().filter(|user| !user.uid.is_root()))
            .map(|user| Account { name: user.name, uid: user.uid, gid: user.gid })
            .ok_or(ClusterError::NoUser)
    }

    /// Gives a folder to the account, where that is another one than ours.
    pub(super) fn give(&self, folder: &Path) -> Result<(), ClusterError> {
        if self.uid == geteuid() {
            return Ok(());
        }
        std::os::unix::fs::lchown(folder, Some(self.uid.as_raw()), Some(self.gid.as_raw()))
            .map_err(|e| ClusterError::io("change the owner of", folder, e))
    }

    /// Can the account get to `goal`? Asked up front, because Postgres's own words for it name
    /// only the goal and not the folder in the way.
    pub(super) fn check_reach(&self, goal: &Path) -> Result<(), ClusterError> {
        let ancestors: Vec<&Path> = goal.ancestors().skip(1).collect();
        for folder in ancestors.into_iter().rev() {
            let metadata = fs::metadata(folder).map_err(|e| ClusterError::io("look at", folder, e))?;
            if !self.may_pass(&metadata) {
                return Err(ClusterError::Unreachable {
                    user: self.name.clone(),
                    goal: goal.to_owned(),
                    barrier: folder.to_owned(),
                });
            }
        }
        Ok(())
    }

    fn may_pass(&self, folder: &Metadata) -> bool {
        passes(folder.mode(), folder.uid() == self.uid.as_raw(), folder.gid() == self.gid.as_raw())
    }

    /// A command that runs one of Postgres's programs as this account and dies with us.
    pub(super) fn command(&self, program: &Path) -> Result<Command, ClusterError> {
        let mut command = Command::new(own_program()?);
        command
            .arg(CHILD_VERB)
            .arg("--")
            .args([self.uid.to_string(), self.gid.to_string(), process::id().to_string()])
            .arg(program)
            // Our own folder may be one the account cannot even look at.
            .current_dir("/")
            .env("LC_ALL", "C");
        // PGPORT, PGDATA and their like are meant for someone else's server.
        for (name, _) in env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"PG")) {
            command.env_remove(name);
        }
        Ok(command)
    }
}

/// The execute bit that counts for a user: only the most specific of the three is looked at.
fn passes(mode: u32, is_owner: bool, is_group: bool) -> bool {
    let bit = match (is_owner, is_group) {
        (true, _) => 0o100,
        (false, true) => 0o010,
        (false, false) => 0o001,
    };
    mode & bit != 0
}

/// Our own program. The link in /proc holds even when the file was replaced by a newer build.
fn own_program() -> Result<PathBuf, ClusterError> {
    if cfg!(target_os = "linux") {
        return Ok(PathBuf::from("/proc/self/exe"));
    }
    env::current_exe().map_err(|e| ClusterError::Child(e.to_string()))
}

/// What the hidden verb `postgres-child -- <uid> <gid> <parent> <program> <args…>` does: gives up
/// root, asks for SIGINT when its parent dies, and becomes the program. Returns only on failure.
pub fn become_postgres(arguments: &[OsString]) -> ClusterError {
    match replace(arguments) {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

fn replace(arguments: &[OsString]) -> Result<Infallible, ClusterError> {
    let arguments = match arguments {
        [dashes, rest @ ..] if dashes == "--" => rest,
        all => all,
    };
    let [uid, gid, parent, program, rest @ ..] = arguments else {
        return Err(ClusterError::Child("this verb is for Dunlin itself".into()));
    };
    let (uid, gid, parent) = (number(uid)?, number(gid)?, number(parent)?);
    let mut command = Command::new(program);
    command.args(rest);
    give_up_root(&mut command, Uid::from_raw(uid), Gid::from_raw(gid))?;
    watch_parent(parent)?;
    Err(ClusterError::Child(format!("{}: {}", program.display(), command.exec())))
}

fn number(text: &OsString) -> Result<u32, ClusterError> {
    let parsed = text.to_str().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| ClusterError::Child(format!("{} is not a number", text.display())))
}

#[cfg(target_os = "linux")]
fn give_up_root(_: &mut Command, uid: Uid, gid: Gid) -> Result<(), ClusterError> {
    use nix::unistd::{setgid, setgroups, setuid};
    if !geteuid().is_root() {
        return Ok(());
    }
    // In this order: after setuid the other two are no longer allowed.
    setgroups(&[gid])
        .and_then(|()| setgid(gid))
        .and_then(|()| setuid(uid))
        .map_err(|e| ClusterError::Child(format!("giving up root: {e}")))
}

#[cfg(not(target_os = "linux"))]
fn give_up_root(command: &mut Command, uid: Uid, gid: Gid) -> Result<(), ClusterError> {
    if geteuid().is_root() {
        command.uid(uid.as_raw()).gid(gid.as_raw()); // also empties the list of groups
    }
    Ok(())
}

/// Comes after giving up root, because a change of user forgets the wish. Elsewhere than on Linux
/// there is no such signal, and the next start stops what was left over.
fn watch_parent(parent: u32) -> Result<(), ClusterError> {
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGINT)
        .map_err(|e| ClusterError::Child(format!("asking for the death signal: {e}")))?;
    if u32::try_from(Pid::as_raw(getppid())) != Ok(parent) {
        return Err(ClusterError::Child("Dunlin has ended meanwhile".into()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_most_specific_bit_counts() {
        assert!(passes(0o700, true, true));
        assert!(!passes(0o077, true, true));
        assert!(passes(0o010, false, true));
        assert!(!passes(0o701, false, true));
        assert!(passes(0o711, false, false));
        assert!(!passes(0o750, false, false));
    }

    #[test]
    fn a_malformed_verb_is_refused() {
        let call = |words: &[&str]| become_postgres(&words.iter().map(OsString::from).collect::<Vec<_>>());
        assert!(matches!(call(&[]), ClusterError::Child(_)));
        assert!(call(&["--", "x", "0", "1", "true"]).to_string().contains("x is not a number"));
    }
}
