//! A durable Postgres for one bench, gone with it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    str::FromStr,
};

use dunlin::store::postgres::{Cluster, Settings};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, postgres::PgConnectOptions};

use crate::Outcome;

/// A setting of the bench, from the environment.
pub fn setting<T: FromStr>(name: &str, default: T) -> T {
    env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A folder that is removed with this value.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        let parent = env::var_os("BENCH_DATA").map_or_else(env::temp_dir, PathBuf::from);
        Folder(parent.join(format!("dunlin-bench-{}-{name}", std::process::id())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0); // what stays behind is only disk space
    }
}

/// The Postgres of a bench, with the settings that a server of ours gives its own. The cluster comes
/// first: it must have ended before its folder goes.
pub struct Place {
    cluster: Cluster,
    /// Whether Postgres counts statements.
    pub counts_statements: bool,
    folder: Folder,
}

impl Place {
    /// Postgres must be told about settings and about the extension that counts statements before it
    /// starts: it starts twice.
    pub fn start(name: &str) -> Outcome<Place> {
        let folder = Folder::new(name);
        let runtime = runtime()?;
        let place = Place { cluster: start(&folder.0)?, counts_statements: false, folder };
        let counts = runtime.block_on(async {
            let mut admin = place.admin().await?;
            let sql = "select exists (select from pg_available_extensions where name = 'pg_stat_statements')";
            let available: bool = sqlx::query_scalar(sql).fetch_one(&mut admin).await?;
            if available {
                execute(&mut admin, "alter system set shared_preload_libraries = 'pg_stat_statements'").await?;
            }
            let settings = setting("BENCH_SETTINGS", String::new());
            for (name, value) in settings.split(',').filter_map(|setting| setting.split_once('=')) {
                execute(&mut admin, &format!("alter system set {name} = '{value}'")).await?;
            }
            Outcome::Ok(available)
        })?;
        let Place { cluster, folder, .. } = place;
        cluster.stop()?;
        let place = Place { cluster: start(&folder.0)?, counts_statements: counts, folder };
        if counts {
            runtime
                .block_on(async { execute(&mut place.admin().await?, "create extension pg_stat_statements").await })?;
        }
        Ok(place)
    }

    /// Makes an empty database; answers its URL.
    pub async fn database(&self, name: &str) -> Outcome<String> {
        let mut admin = self.connect(self.cluster.database()).await?;
        execute(&mut admin, &format!("create database {name}")).await?;
        Ok(self.url(name))
    }

    pub fn url(&self, database: &str) -> String {
        self.cluster.url().replace("/dunlin?", &format!("/{database}?"))
    }

    pub async fn connect(&self, database: &str) -> Outcome<PgConnection> {
        Ok(PgConnection::connect_with(&PgConnectOptions::from_str(&self.url(database))?).await?)
    }

    /// The database in which statements are counted.
    pub async fn admin(&self) -> Outcome<PgConnection> {
        self.connect(self.cluster.database()).await
    }

    pub fn socket_dir(&self) -> &Path {
        self.cluster.socket_dir()
    }

    pub fn user(&self) -> &str {
        self.cluster.user()
    }

    /// The process that all of Postgres's are children of.
    pub fn postmaster(&self) -> Outcome<u32> {
        let text = fs::read_to_string(self.folder.0.join("postgres").join("postmaster.pid"))?;
        Ok(text.lines().next().unwrap_or_default().trim().parse()?)
    }
}

fn start(folder: &Path) -> Outcome<Cluster> {
    Ok(Cluster::start(&Settings {
        data_dir: Some(folder.to_owned()),
        durable: true,
        fetch: true,
        binaries: env::var_os("DUNLIN_PG_BIN").map(PathBuf::from),
    })?)
}

pub async fn execute(connection: &mut PgConnection, sql: &str) -> Outcome<()> {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await?;
    Ok(())
}

/// As the server has it: as many threads as cores.
pub fn runtime() -> Outcome<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Runtime::new()?)
}
