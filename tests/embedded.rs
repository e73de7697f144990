//! The private Postgres, as a user meets it: the real program on real folders, started, killed, started again.
//!
//! Folders lie below `/tmp`, because as root Postgres runs as another user, who must be able to get there.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, geteuid},
};

const BINARY: &str = env!("CARGO_BIN_EXE_dunlin");
/// Longer than anything here takes, even on a machine that does much else.
const PATIENCE: Duration = Duration::from_mins(2);
/// The user with whom a machine has the least in common: it exists everywhere.
const NOBODY: u32 = 65_534;

/// A folder of a test's own, gone with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = PathBuf::from(format!("/tmp/dunlin-embedded-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).expect("a folder");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a folder that can be passed");
        Scratch(path)
    }

    fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Postgres may still be writing after a kill; what is left then is in /tmp.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Which program, as whom, on which data.
#[derive(Clone)]
struct House {
    program: PathBuf,
    /// As root: the user to run as.
    user: Option<u32>,
    data: PathBuf,
    /// Where the logs of its servers go.
    logs: PathBuf,
}

impl House {
    fn new(scratch: &Scratch, data: impl AsRef<Path>) -> House {
        House { program: BINARY.into(), user: None, data: scratch.join(data), logs: scratch.0.clone() }
    }

    fn command(&self) -> Command {
        let mut command = match self.user {
            Some(user) => {
                let mut command = Command::new("setpriv");
                command
                    .arg(format!("--reuid={user}"))
                    .arg(format!("--regid={user}"))
                    .arg("--clear-groups")
                    .arg(&self.program);
                command
            }
            None => Command::new(&self.program),
        };
        command.args(["--listen", "127.0.0.1:0", "--data-dir"]).arg(&self.data);
        // What is set around the tests is not meant for this server; nor is PGPORT.
        for name in ["DATABASE_URL", "DUNLIN_TEST_KEY", "DUNLIN_DATA_DIR"] {
            command.env_remove(name);
        }
        command.env("PGPORT", "1").current_dir("/").stdin(Stdio::null());
        command
    }

    /// Starts the server; when it does not come up, answers what it said.
    fn start(&self) -> Result<Server, String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        self.start_logging(&self.logs.join(format!("{}.log", NEXT.fetch_add(1, Ordering::Relaxed))))
    }

    fn start_logging(&self, log: &Path) -> Result<Server, String> {
        let errors = File::create(log).expect("a log");
        let mut child = self.command().stdout(Stdio::piped()).stderr(errors).spawn().expect("the program runs");
        let stdout = child.stdout.take().expect("its output");
        let (send, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = send.send(line);
            }
        });
        let mut server = Server { child, said: Vec::new(), address: String::new(), log: log.to_owned() };
        loop {
            match lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    if let Some(address) = line.strip_prefix("Dunlin listens on http://") {
                        address.clone_into(&mut server.address);
                        return Ok(server);
                    }
                    server.said.push(line);
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    let (status, log) = server.end();
                    assert!(!status.success(), "it ended well without having listened");
                    return Err(log);
                }
                Err(mpsc::RecvTimeoutError::Timeout) => panic!("the server neither starts nor ends: {:?}", server.said),
            }
        }
    }

    /// The process id of the Postgres on this data.
    fn postmaster(&self) -> Pid {
        let file = fs::read_to_string(self.data.join("postgres/postmaster.pid")).expect("postmaster.pid");
        Pid::from_raw(file.lines().next().and_then(|line| line.parse().ok()).expect("a process id"))
    }
}

/// A running server, killed if a test fails.
struct Server {
    child: Child,
    /// What it said before it listened.
    said: Vec<String>,
    address: String,
    log: PathBuf,
}

impl Server {
    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a process id");
        kill(Pid::from_raw(pid), signal).expect("the signal arrives");
    }

    /// How it ended, and its log.
    fn end(&mut self) -> (ExitStatus, String) {
        let mut status = None;
        wait_until("the server ends", || {
            status = self.child.try_wait().expect("its status");
            status.is_some()
        });
        (status.expect("its status"), fs::read_to_string(&self.log).expect("its log"))
    }

    /// What a line of the greeting holds, such as the secret key.
    fn said(&self, what: &str) -> Option<&str> {
        self.said.iter().find_map(|line| line.trim().strip_prefix(what)).map(str::trim)
    }

    fn stop(mut self) {
        self.signal(Signal::SIGTERM);
        let (status, log) = self.end();
        assert!(status.success(), "{status}: {log}");
    }

    /// One request: the status and the body.
    fn ask(&self, key: &str, method: &str, path: &str, form: &str) -> (String, String) {
        let mut stream = TcpStream::connect(&self.address).expect("the server is there");
        let head = format!(
            "{method} {path} HTTP/1.0\r\nauthorization: Bearer {key}\r\ncontent-length: {}\r\n\r\n",
            form.len()
        );
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(form.as_bytes())).expect("it listens");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        (head.split(' ').nth(1).expect("a status").to_owned(), body.to_owned())
    }

    /// How many customers there are.
    fn customers(&self, key: &str) -> usize {
        let (status, body) = self.ask(key, "GET", "/v1/customers?limit=100", "");
        assert_eq!(status, "200", "{body}");
        body.matches("\"cus_").count()
    }

    fn new_customer(&self, key: &str) {
        let (status, body) = self.ask(key, "POST", "/v1/customers", "email=ada%40example.com");
        assert_eq!(status, "200", "{body}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The curl line of the greeting, run as it stands by a shell; without curl, its words are looked at.
fn try_greeting(server: &Server, key: &str) {
    let line = server.said("curl ").expect("a curl line");
    assert_eq!(line, format!("http://{}/v1/customers -u {key}: -d email=ada@example.com", server.address));
    let curl = Command::new("sh").arg("-c").arg(format!("curl -sS {line}")).output().expect("a shell");
    if curl.status.code() == Some(127) {
        server.new_customer(key);
        return;
    }
    let answer = String::from_utf8_lossy(&curl.stdout);
    assert!(answer.contains("\"email\": \"ada@example.com\""), "{answer}{}", String::from_utf8_lossy(&curl.stderr));
}

/// The whole life of a data folder.
fn life(house: &House) {
    let mut server = house.start().expect("the first start");
    let key = server.said("secret ").expect("a secret key").to_owned();
    assert!(key.starts_with("sk_test_"), "{key}");
    let publishable = server.said("publishable ").expect("a publishable key").to_owned();
    assert!(publishable.starts_with("pk_test_"), "{publishable}");
    try_greeting(&server, &key);
    assert_eq!(server.customers(&key), 1);
    assert_eq!(server.ask("sk_test_wrong123", "GET", "/v1/customers", "").0, "401");
    let owner = fs::metadata(format!("/proc/{}", house.postmaster())).map(|process| process.uid());
    assert!(owner.is_ok_and(|uid| uid != 0), "Postgres never runs as root");

    // A second server on the same folder is refused in words, and the first does not mind.
    let refused = house.start().err().expect("a second server is refused");
    assert!(refused.contains("is used by another Dunlin that is running"), "{refused}");
    assert_eq!(server.customers(&key), 1);

    // Postgres is killed: the server notices, says so and ends.
    kill(house.postmaster(), Signal::SIGKILL).expect("Postgres is killed");
    let (status, log) = server.end();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("Postgres has ended"), "{log}");

    // The next start recovers all, and shows no keys again.
    let mut server = house.start().expect("a start after Postgres was killed");
    assert_eq!(server.said, [""; 0]);
    assert_eq!(server.customers(&key), 1);
    server.new_customer(&key);

    // The server is killed and started again at once: Postgres is another, the data the same.
    let before = house.postmaster();
    server.signal(Signal::SIGKILL);
    server.end();
    let mut server = house.start().expect("a start after the server was killed");
    assert_ne!(house.postmaster(), before);
    assert_eq!(server.customers(&key), 2);

    // A Postgres that hangs outlives a killed server; the next start waits for its end. Where the
    // server's death leaves Postgres's process group an orphan, the kernel wakes it: then it is
    // stopped anew, or has already ended and there is nothing to find.
    let hung = house.postmaster();
    kill(hung, Signal::SIGSTOP).expect("Postgres hangs");
    wait_until("Postgres hangs", || {
        fs::read_to_string(format!("/proc/{hung}/status")).is_ok_and(|status| status.contains("State:\tT"))
    });
    server.signal(Signal::SIGKILL);
    server.end();
    let _ = kill(hung, Signal::SIGSTOP);
    let log = house.logs.join("hung.log");
    let starting = thread::spawn({
        let (house, log) = (house.clone(), log.clone());
        move || house.start_logging(&log)
    });
    wait_until("the next start finds the hung Postgres", || {
        let log = fs::read_to_string(&log).unwrap_or_default();
        log.contains("stopping the Postgres that an earlier run left behind") || starting.is_finished()
    });
    let _ = kill(hung, Signal::SIGCONT);
    let server = starting.join().expect("the start").expect("a start over a left-over Postgres");
    assert_eq!(server.customers(&key), 2);

    // Told to end, it ends well and leaves no Postgres behind.
    server.stop();
    assert!(!house.data.join("postgres/postmaster.pid").exists());
    let server = house.start().expect("a start after a stop");
    assert_eq!(server.customers(&key), 2);
    server.stop();

    refuses_what_it_cannot_run(house);
}

fn refuses_what_it_cannot_run(house: &House) {
    let version = house.data.join("postgres/PG_VERSION");
    let real = fs::read_to_string(&version).expect("PG_VERSION");
    fs::write(&version, "99\n").expect("another major version");
    let refused = house.start().err().expect("another major version is refused");
    assert!(refused.contains("was written by Postgres 99"), "{refused}");
    fs::write(&version, real).expect("PG_VERSION");

    // A broken configuration shows the end of the log.
    fs::write(house.data.join("postgres/postgresql.conf"), "nonsense = 1\n").expect("a broken configuration");
    let refused = house.start().err().expect("a broken configuration is refused");
    assert!(refused.contains("nonsense"), "{refused}");
}

#[test]
fn a_data_folder_lives_through_kills() {
    let scratch = Scratch::new("life");
    life(&House::new(&scratch, "data"));
}

#[test]
fn a_normal_user_needs_nothing_else() {
    if !geteuid().is_root() {
        return; // the test above has been one
    }
    let scratch = Scratch::new("user");
    let program = scratch.join("dunlin");
    fs::copy(BINARY, &program).expect("a program that everybody can reach");
    let home = scratch.join("home");
    fs::create_dir(&home).expect("a home");
    chown(&home, Some(NOBODY), Some(NOBODY)).expect("a home of one's own");
    life(&House { program, user: Some(NOBODY), ..House::new(&scratch, "home/data") });
}

#[test]
fn long_and_odd_paths_work() {
    let scratch = Scratch::new("odd");
    for data in [format!("a, \"b\" ü/{}", "x".repeat(100)), "a, \"b\" ü/short".to_owned(), "y".repeat(200)] {
        let server = House::new(&scratch, &data).start().expect("a start");
        let key = server.said("secret ").expect("a secret key").to_owned();
        assert_eq!(server.customers(&key), 0, "{data}");
        server.stop();
    }
}

#[test]
fn a_folder_in_the_way_is_named() {
    if !geteuid().is_root() {
        return; // Postgres runs as ourselves: what we can reach, it can
    }
    let scratch = Scratch::new("closed");
    let closed = scratch.join("closed");
    fs::create_dir(&closed).expect("a folder");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).expect("a closed folder");
    let refused = House::new(&scratch, "closed/data").start().err().expect("it is refused");
    assert!(refused.contains("closed does not let it pass"), "{refused}");
}

#[test]
fn a_kill_in_the_first_start_leaves_nothing_half_made() {
    let scratch = Scratch::new("initdb");
    let house = House::new(&scratch, "data");
    let half_made = || {
        let names = fs::read_dir(&house.data).into_iter().flatten().flatten().map(|entry| entry.file_name());
        names.filter(|name| name.to_string_lossy().starts_with("postgres.new.")).count()
    };
    let errors = File::create(scratch.join("errors")).expect("a file");
    let mut child = house.command().stdout(Stdio::null()).stderr(errors).spawn().expect("the program runs");
    wait_until("initdb works", || half_made() == 1);
    child.kill().expect("it is killed");
    child.wait().expect("it has ended");
    assert!(!house.data.join("postgres").exists());

    let server = house.start().expect("a start");
    assert!(server.said("secret ").is_some(), "it is a first start");
    assert_eq!(half_made(), 0);
    server.stop();
}
