//! A server in a process of its own, so that its processor time and memory are nobody else's.

use std::{
    ffi::OsString,
    io::{BufRead as _, BufReader, Read as _},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use dunlin::{
    app::{App, Parts},
    clock::Clock,
    engine::Webhooks,
    gateway::test_cards::{Faults, TestCards},
};

use crate::{Outcome, http::KEY, place::runtime};

/// By which this program starts itself as a server: `bench-server <url> <workers>`.
pub const VERB: &str = "bench-server";
/// As many as the server opens by default.
pub const CONNECTIONS: u32 = 20;

/// A running server; dropped, it is stopped.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
}

impl Server {
    /// Without workers nothing is done by itself and no webhook is sent: delivery rows stay.
    pub fn start(url: &str, workers: usize) -> Outcome<Server> {
        let mut child = Command::new(std::env::current_exe()?)
            .args([VERB, url, &workers.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        Ok(Server { address: line.trim().parse()?, child })
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take()); // the end of its input tells it to stop
        let _ = self.child.wait();
    }
}

/// An app with what benches have in common.
pub async fn app(url: &str, workers: usize, clock: Clock) -> Outcome<App> {
    Ok(App::start(Parts {
        database_url: url.to_owned(),
        connections: CONNECTIONS,
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        public_url: None,
        workers,
        clock,
        gateway: Arc::new(TestCards::new(Faults::default())),
        webhooks: Webhooks::default(),
        migrate: true,
        test_key: Some(KEY.to_owned()),
    })
    .await?)
}

/// What the started process does.
pub fn serve(arguments: &[OsString]) -> Outcome<()> {
    let [url, workers] = arguments else { return Err("this verb is for the bench itself".into()) };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (url, workers) = (url.to_string_lossy().into_owned(), workers.to_string_lossy().parse()?);
    runtime()?.block_on(async {
        let app = app(&url, workers, Clock::wall()).await?;
        println!("{}", app.address());
        tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
        app.stop().await;
        Ok(())
    })
}
