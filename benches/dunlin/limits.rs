//! What the same Postgres takes for the same rows: an outside program writes them into a database of its
//! own in the bench's cluster, so that both live under the same settings.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{
    Outcome,
    place::{Place, execute, runtime},
};

const DATABASE: &str = "limits";
/// How many rows the scripts for `pgbench` were written for.
const WRITTEN_FOR: &str = "1000000";

pub struct Limits {
    program: PathBuf,
    folder: PathBuf,
    host: String,
    user: String,
    rows: usize,
}

impl Limits {
    /// Nothing if the program is not at hand. `rows`: how many customers and subscriptions it has.
    pub fn prepare(place: &Place, rows: usize) -> Outcome<Option<Limits>> {
        let (Some(program), Some(folder)) = (env::var_os("LIMITS_BIN"), env::var_os("LIMITS_DIR")) else {
            return Ok(None);
        };
        let limits = Limits {
            program: program.into(),
            folder: folder.into(),
            host: place.socket_dir().display().to_string(),
            user: place.user().to_owned(),
            rows,
        };
        runtime()?
            .block_on(async { execute(&mut place.admin().await?, &format!("create database {DATABASE}")).await })?;
        let mut psql = limits.tool("psql");
        psql.args(["-q", "-d", DATABASE, "-v", &format!("n={rows}"), "-v", "ON_ERROR_STOP=1", "-f"]);
        output(psql.arg(limits.folder.join("schema_base.sql")))?;
        let mut psql = limits.tool("psql");
        output(psql.args(["-q", "-d", DATABASE, "-c", "create sequence if not exists limits_seq cache 100"]))?;
        Ok(Some(limits))
    }

    /// Renewals a second, in transactions of `batch`, into the tables as they are.
    pub fn renewals(&self, batch: usize, workers: usize, seconds: u64) -> Outcome<f64> {
        let dsn = format!("host={} port=5432 user={} dbname={DATABASE}", self.host, self.user);
        let said = output(
            Command::new(&self.program)
                .args(["renew", "--reset", "0", "--store", "textlz4", "--method", "unnest", "--dsn", &dsn, "--dir"])
                .arg(&self.folder)
                .args([
                    "--batch",
                    &batch.to_string(),
                    "--workers",
                    &workers.to_string(),
                    "--secs",
                    &seconds.to_string(),
                ]),
        )?;
        let said: Value = serde_json::from_str(said.lines().last().unwrap_or_default())?;
        Ok(said["per_s"].as_f64().ok_or("the limits program said no rate")?)
    }

    /// Fresh tables to write to, and a checkpoint: from then on each page is written whole once.
    pub fn reset(&self) -> Outcome<()> {
        let dsn = format!("host={} port=5432 user={} dbname={DATABASE}", self.host, self.user);
        output(
            Command::new(&self.program).args(["reset", "--store", "textlz4", "--dsn", &dsn, "--dir"]).arg(&self.folder),
        )?;
        Ok(())
    }

    /// Transactions a second of a script.
    pub fn script(&self, name: &str, clients: usize, seconds: u64) -> Outcome<f64> {
        let script = fs::read_to_string(self.folder.join("pgbench").join(name).with_extension("sql"))?;
        let path = env::temp_dir().join(format!("dunlin-bench-{}.sql", std::process::id()));
        fs::write(&path, script.replace(WRITTEN_FOR, &self.rows.to_string()))?;
        let mut pgbench = self.tool("pgbench");
        pgbench.args(["-n", "-M", "prepared", "-j", "1", "-c", &clients.to_string(), "-T", &seconds.to_string(), "-f"]);
        let said = output(pgbench.arg(&path).arg(DATABASE));
        fs::remove_file(&path)?;
        let said = said?;
        let rate = said.lines().find_map(|line| line.strip_prefix("tps = ")).and_then(|rest| rest.split(' ').next());
        Ok(rate.ok_or("pgbench said no rate")?.parse()?)
    }

    /// One of Postgres's own programs, from the folder that is set or from the path.
    fn tool(&self, name: &str) -> Command {
        let program =
            env::var_os("DUNLIN_PG_BIN").map(|folder| Path::new(&folder).join(name)).filter(|path| path.exists());
        let mut command = Command::new(program.unwrap_or_else(|| PathBuf::from(name)));
        command.args(["-h", &self.host, "-p", "5432", "-U", &self.user]);
        command
    }
}

fn output(command: &mut Command) -> Outcome<String> {
    let output = command.output()?;
    if !output.status.success() {
        let program = command.get_program().display();
        return Err(format!("{program} failed: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}
