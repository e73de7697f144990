//! What to do with a postmaster that outlived us: stop it if it is ours, forget it if not.

use std::fs;
use std::io;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::error::ClusterError;

/// How long a fast stop may take: Postgres writes a checkpoint.
pub(super) const FAST_STOP: Duration = Duration::from_mins(1);
/// How long an immediate stop may take: it writes nothing, and the next start recovers.
pub(super) const IMMEDIATE_STOP: Duration = Duration::from_secs(10);

/// The file in which a postmaster says who it is and how far it is.
pub(super) fn pid_file(data: &Path) -> std::path::PathBuf {
    data.join("postmaster.pid")
}

/// The process id and, on the last line, the status of `postmaster.pid`.
pub(super) fn parse(text: &str) -> Option<(i32, &str)> {
    let pid = text.lines().next()?.trim().parse().ok()?;
    // The status is the eighth line; before it is written a shorter file means "starting".
    Some((pid, text.lines().nth(7).unwrap_or_default().trim()))
}

/// Makes sure that no postmaster of an earlier run has the data.
pub(super) fn stop(data: &Path) -> Result<(), ClusterError> {
    let file = pid_file(data);
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(ClusterError::io("read", &file, error)),
    };
    let Some((pid, _)) = parse(&text).filter(|(pid, _)| *pid > 0) else {
        return Ok(());
    };
    if !is_alive(pid) {
        return Ok(()); // Postgres itself cleans up after a dead one, with checks of its own
    }
    if !is_postmaster_of(pid, data) {
        tracing::info!(pid, "removing a stale postmaster.pid, its number is another program's now");
        return fs::remove_file(&file).map_err(|e| ClusterError::io("remove", &file, e));
    }
    tracing::info!(pid, "stopping the Postgres that an earlier run left behind");
    for (signal, patience) in [(Signal::SIGINT, FAST_STOP), (Signal::SIGQUIT, IMMEDIATE_STOP)] {
        let _ = kill(Pid::from_raw(pid), signal); // gone meanwhile: seen below
        let since = Instant::now();
        while since.elapsed() < patience {
            if !is_alive(pid) || !is_postmaster_of(pid, data) {
                return Ok(());
            }
            sleep(Duration::from_millis(20));
        }
    }
    Err(ClusterError::StillRunning(pid))
}

fn is_alive(pid: i32) -> bool {
    matches!(kill(Pid::from_raw(pid), None), Ok(()) | Err(Errno::EPERM))
}

/// A postmaster stands in its data folder, so another cluster's is never taken for ours.
/// The dead that nobody has waited for stand nowhere, and so are no postmasters any more.
#[cfg(target_os = "linux")]
fn is_postmaster_of(pid: i32, data: &Path) -> bool {
    let proc = Path::new("/proc").join(pid.to_string());
    let is_postgres = fs::read_to_string(proc.join("comm")).is_ok_and(|name| name.trim() == "postgres");
    let here = fs::read_link(proc.join("cwd"));
    is_postgres && here.is_ok_and(|here| data.canonicalize().is_ok_and(|data| data == here))
}

#[cfg(not(target_os = "linux"))]
fn is_postmaster_of(pid: i32, _: &Path) -> bool {
    let listed = std::process::Command::new("ps").args(["-o", "comm=", "-p", &pid.to_string()]).output();
    listed.is_ok_and(|o| String::from_utf8_lossy(&o.stdout).trim().ends_with("postgres"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_the_last_line() {
        let ready = "42\n/data\n1700000000\n5432\n/data\n\n  123  456\nready   \n";
        assert_eq!(parse(ready), Some((42, "ready")));
        assert_eq!(parse("42\n/data\n1700000000\n5432\n"), Some((42, "")));
        assert_eq!(parse(""), None);
        assert_eq!(parse("no number\n"), None);
    }

    #[test]
    fn another_program_with_the_same_number_is_left_alone() {
        let data = std::env::temp_dir().join(format!("dunlin-stale-{}", std::process::id()));
        fs::create_dir_all(&data).expect("create a folder");
        fs::write(pid_file(&data), format!("{}\n", std::process::id())).expect("write the file");
        stop(&data).expect("the stale file goes");
        assert!(!pid_file(&data).exists());
        fs::remove_dir_all(&data).expect("remove the folder");
    }
}
