//! A broker process: started, stopped, killed, started again on the same directory.
//!
//! Readiness is read from what it says, never waited for by time. A broker is ended when the last test that uses it is done.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What a broker says once clients may connect.
const READY: &str = "listening for Kafka on ";
/// How long a start may take on a loaded machine.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long a clean stop may take.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// Settings by Kafka's dotted names.
pub type Settings<'a> = &'a [(&'a str, &'a str)];

/// A broker that tests can reach.
pub struct Broker {
    child: Option<Child>,
    address: SocketAddr,
    directory: Option<Arc<TempDir>>,
    settings: Vec<(String, String)>,
    log_directories: usize,
    /// Lines said so far, and those to come.
    said: Mutex<(String, Option<Receiver<String>>)>,
}

/// The broker given by the environment, if one is.
pub fn external() -> Option<SocketAddr> {
    use std::net::ToSocketAddrs;
    let address = std::env::var("FLUMEN_TEST_KAFKA").ok()?;
    Some(address.to_socket_addrs().expect("FLUMEN_TEST_KAFKA is host:port").next().expect("FLUMEN_TEST_KAFKA resolves"))
}

/// One broker with default settings for all tests that run at the time; gone when none of them does.
pub fn shared() -> Arc<Broker> {
    static SHARED: Mutex<Weak<Broker>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(broker) = shared.upgrade() {
        return broker;
    }
    let broker = Arc::new(match external() {
        Some(address) => {
            Broker { child: None, address, directory: None, settings: Vec::new(), log_directories: 1, said: Mutex::default() }
        }
        None => Broker::start(&[]),
    });
    *shared = Arc::downgrade(&broker);
    broker
}

impl Broker {
    /// A fresh broker with these settings, on a directory of its own.
    pub fn start(settings: Settings<'_>) -> Self {
        Self::start_with(1, settings)
    }

    /// As above, with so many log directories.
    fn start_with(log_directories: usize, settings: Settings<'_>) -> Self {
        let directory = Arc::new(tempfile::tempdir().expect("a temporary directory"));
        let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Self::start_in(directory, log_directories, settings).unwrap_or_else(|said| panic!("the broker did not start:\n{said}"))
    }

    /// A broker of ours whatever the environment says; `None` where the tests are to run against another broker, which cannot be
    /// restarted or set up.
    pub fn own(settings: Settings<'_>) -> Option<Self> {
        Self::own_with(1, settings)
    }

    /// As above, with so many log directories.
    pub fn own_with(log_directories: usize, settings: Settings<'_>) -> Option<Self> {
        if external().is_some() {
            println!("needs a broker of its own: not run against FLUMEN_TEST_KAFKA");
            return None;
        }
        Some(Self::start_with(log_directories, settings))
    }

    fn start_in(directory: Arc<TempDir>, log_directories: usize, settings: Vec<(String, String)>) -> Result<Self, String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flumen"));
        let paths = (0..log_directories).map(|number| log_directory(&directory, number).to_string_lossy().into_owned());
        command.arg("start").arg("--data").arg(paths.collect::<Vec<_>>().join(",")).args(["--listen", "127.0.0.1:0"]);
        if let Ok(shards) = std::env::var("FLUMEN_TEST_SHARDS") {
            command.args(["--shards", &shards]);
        }
        // What the caller's own settings are, and what configures these tests, is not for this broker.
        for (key, _) in std::env::vars_os().filter(|(key, _)| key.to_string_lossy().starts_with("FLUMEN_")) {
            command.env_remove(key);
        }
        for (key, value) in &settings {
            command.env(environment_name(key), value);
        }
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("flumen starts");
        let lines = lines_of(&mut child);
        let mut said = String::new();
        let deadline = Instant::now() + START_LIMIT;
        loop {
            match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    said.push_str(&line);
                    said.push('\n');
                    if let Some((_, address)) = line.split_once(READY) {
                        let address = address.trim().parse().map_err(|error| format!("{line}: {error}"))?;
                        let said = Mutex::new((said, Some(lines)));
                        return Ok(Self {
                            child: Some(child),
                            address,
                            directory: Some(directory),
                            settings,
                            log_directories,
                            said,
                        });
                    }
                }
                Err(ended) => {
                    let _ = child.kill();
                    let status = child.wait().expect("a child can be waited for");
                    let why = if ended == RecvTimeoutError::Timeout { "too late" } else { "ended" };
                    return Err(format!("{said}{why}: {status}"));
                }
            }
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `host:port` for clients that take text.
    pub fn bootstrap(&self) -> String {
        self.address.to_string()
    }

    /// Its data directory.
    pub fn data(&self) -> PathBuf {
        self.log_directory(0)
    }

    /// One of its log directories.
    pub fn log_directory(&self, number: usize) -> PathBuf {
        log_directory(self.directory.as_ref().expect("a broker of our own"), number)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("a broker of our own").id()
    }

    /// Everything it has said so far.
    pub fn said(&self) -> String {
        let mut said = self.said.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let new: Vec<String> = said.1.iter().flat_map(Receiver::try_iter).collect();
        for line in new {
            said.0.push_str(&line);
            said.0.push('\n');
        }
        said.0.clone()
    }

    /// SIGKILL: nothing is flushed, nothing is said.
    pub fn kill(mut self) -> Stopped {
        let mut child = self.child.take().expect("a broker of our own");
        child.kill().expect("a child can be killed");
        child.wait().expect("a child can be waited for");
        self.stopped()
    }

    /// SIGTERM, and the wait for a clean end.
    pub fn stop(mut self) -> (Stopped, ExitStatus) {
        let mut child = self.child.take().expect("a broker of our own");
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a child can be signalled");
        // Waiting for a child has no deadline of its own, so another thread watches the time.
        let (done, watched) = mpsc::channel::<()>();
        let watch = std::thread::spawn(move || {
            if watched.recv_timeout(STOP_LIMIT) == Err(RecvTimeoutError::Timeout) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        });
        let status = child.wait().expect("a child can be waited for");
        drop(done);
        watch.join().expect("the watch does not panic");
        (self.stopped(), status)
    }

    /// The wait for an end that comes by itself.
    pub fn ended(mut self) -> (Stopped, ExitStatus) {
        let mut child = self.child.take().expect("a broker of our own");
        let mut status = None;
        super::client::until("the broker ends", || {
            status = child.try_wait().expect("a child can be waited for");
            status.map(drop)
        });
        (self.stopped(), status.expect("it has ended"))
    }

    fn stopped(mut self) -> Stopped {
        let settings = std::mem::take(&mut self.settings);
        let directory = self.directory.take().expect("a broker of our own");
        Stopped { directory, settings, log_directories: self.log_directories }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What a broker leaves behind.
pub struct Stopped {
    directory: Arc<TempDir>,
    settings: Vec<(String, String)>,
    log_directories: usize,
}

impl Stopped {
    /// Its data directory.
    pub fn data(&self) -> PathBuf {
        self.log_directory(0)
    }

    /// One of its log directories.
    pub fn log_directory(&self, number: usize) -> PathBuf {
        log_directory(&self.directory, number)
    }

    /// With one more setting from now on.
    pub fn with_setting(mut self, key: &str, value: &str) -> Self {
        self.settings.push((key.to_owned(), value.to_owned()));
        self
    }

    /// A start that is refused, and what is said to it.
    pub fn refused(&self) -> String {
        let started = Broker::start_in(Arc::clone(&self.directory), self.log_directories, self.settings.clone());
        started.err().expect("the start is refused")
    }

    /// The next broker on the same data.
    pub fn start(self) -> Broker {
        Broker::start_in(self.directory, self.log_directories, self.settings)
            .unwrap_or_else(|said| panic!("the broker did not start again:\n{said}"))
    }
}

fn log_directory(home: &TempDir, number: usize) -> PathBuf {
    home.path().join(if number == 0 { "data".to_owned() } else { format!("data-{number}") })
}

/// `log.retention.ms` is `FLUMEN_LOG_RETENTION_MS`, and `flumen.durability` is `FLUMEN_DURABILITY`.
fn environment_name(key: &str) -> String {
    let key = key.strip_prefix("flumen.").unwrap_or(key);
    format!("FLUMEN_{}", key.to_ascii_uppercase().replace('.', "_"))
}

/// Both outputs of a child, line by line.
fn lines_of(child: &mut Child) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    let pipes: [Box<dyn std::io::Read + Send>; 2] =
        [Box::new(child.stdout.take().expect("piped")), Box::new(child.stderr.take().expect("piped"))];
    for pipe in pipes {
        let sender = sender.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
    }
    lines
}

/// Every file below a directory that ends so.
pub fn files_ending(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).expect("a directory of the broker") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files_ending(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}
