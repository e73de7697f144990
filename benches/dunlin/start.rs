//! Start: how long the server's own program takes to be ready with a Postgres of its own, the first time
//! (which makes the data) and the second, and how much memory it holds idle.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    Outcome,
    measure::{median, memory},
    place::{Folder, setting},
    report::Table,
};

/// What it says once it can be called.
const READY: &str = "Dunlin listens";
const IDLE: Duration = Duration::from_secs(2);

pub fn run() -> Outcome<()> {
    let rounds: usize = setting("BENCH_ROUNDS", 3);
    let (mut first, mut second, mut idle) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let folder = Folder::new("start");
        first.push(started(&folder.0)?.0);
        let (time, resident) = started(&folder.0)?;
        second.push(time);
        idle.push(resident);
    }
    let mut table = Table::new(&["first start, ms", "second start, ms", "idle memory, MB"]);
    table.row([first, second, idle].map(|values| format!("{:.0}", median(values))).to_vec());
    table.print("Start-up, with Postgres");
    Ok(())
}

/// Milliseconds until it is ready, and its memory when idle.
fn started(folder: &Path) -> Outcome<(f64, f64)> {
    let since = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_dunlin"))
        .args(["--listen", "127.0.0.1:0", "--log", "warn", "--data-dir"])
        .arg(folder)
        .env_remove("DATABASE_URL")
        .stdout(Stdio::piped())
        .spawn()?;
    let ready = wait(&mut child);
    let elapsed = since.elapsed().as_secs_f64() * 1000.0;
    sleep(IDLE);
    let resident = memory(child.id()).0;
    kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGTERM)?;
    child.wait()?;
    ready.map(|()| (elapsed, resident))
}

fn wait(child: &mut Child) -> Outcome<()> {
    let output = BufReader::new(child.stdout.take().ok_or("no output")?);
    for line in output.lines() {
        if line?.starts_with(READY) {
            return Ok(());
        }
    }
    Err("the server ended before it was ready".into())
}
