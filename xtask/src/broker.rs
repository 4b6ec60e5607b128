//! A running broker to aim clients at: ours, or a real Apache Kafka to compare with.
//!
//! A broker is ready when it says so (ours) or when its port answers (Kafka). It is ended by its own process id, politely first;
//! dropping one that was not stopped kills it.

use crate::tally::Outcome;
use crate::workspace;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a start may take: recovery on a slow disk included.
const START_LIMIT: Duration = Duration::from_secs(90);
/// How long a clean stop may take.
const STOP_LIMIT: Duration = Duration::from_secs(60);
/// What our broker says once clients may connect.
const READY: &str = "listening for Kafka on ";

/// A child process that serves Kafka's protocol.
pub(crate) struct Broker {
    child: Child,
    /// `host:port` as clients should name it.
    pub(crate) address: String,
    log: PathBuf,
    /// Length of the log before this start: what earlier starts said does not count.
    log_start: u64,
    stopped: bool,
}

/// How to start ours.
#[derive(Clone)]
pub(crate) struct Flumen {
    pub(crate) binary: PathBuf,
    pub(crate) data: PathBuf,
    /// Further log directories; the metadata is in the first.
    pub(crate) beside: Vec<PathBuf>,
    /// Port 0 lets the system choose.
    pub(crate) port: u16,
    pub(crate) shards: Option<u16>,
    /// Settings by their environment names.
    pub(crate) settings: Vec<(String, String)>,
}

impl Flumen {
    /// Starts it and waits until it listens.
    pub(crate) fn start(&self) -> Outcome<Broker> {
        let mut broker = self.launch()?;
        broker.address = broker.await_ready()?;
        Ok(broker)
    }

    /// Starts it and waits until it has said this, which it may before it listens.
    pub(crate) fn start_until(&self, words: &str) -> Outcome<Broker> {
        let mut broker = self.launch()?;
        broker.await_words(words)?;
        Ok(broker)
    }

    /// Starts it and waits for nothing.
    pub(crate) fn launch(&self) -> Outcome<Broker> {
        std::fs::create_dir_all(&self.data)?;
        let mut command = Command::new(&self.binary);
        let data = [&self.data].into_iter().chain(&self.beside).map(|path| path.to_string_lossy());
        command
            .arg("start")
            .arg("--data")
            .arg(data.collect::<Vec<_>>().join(","))
            .arg("--listen")
            .arg(format!("127.0.0.1:{}", self.port));
        // The name that clients are told; some of them look at it.
        command.arg("--set").arg(format!("advertised.listeners=PLAINTEXT://localhost:{}", self.port));
        if let Some(shards) = self.shards {
            command.args(["--shards", &shards.to_string()]);
        }
        command.envs(self.settings.iter().map(|(key, value)| (key, value)));
        let log = self.data.with_extension("log");
        Broker::spawn(&mut command, log)
    }
}

/// Starts a real Kafka of the version in `xtask/interop/kafka/pom.xml` on localhost:9092, one KRaft node.
pub(crate) fn start_kafka(directory: &Path, jars: &Path) -> Outcome<Broker> {
    std::fs::create_dir_all(directory)?;
    let properties = directory.join("server.properties");
    std::fs::write(&properties, kafka_properties(&directory.join("data")))?;
    let classes = format!("{}/*", jars.display());
    if !directory.join("data").exists() {
        let mut format = Command::new("java");
        format
            .args(["-cp", &classes, "kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAA", "-c"])
            .arg(&properties);
        workspace::succeed(&mut format, START_LIMIT)?;
    }
    let mut command = Command::new("java");
    command.args(["-Xmx1g", "-Xms1g", "-cp", &classes, "kafka.Kafka"]).arg(&properties);
    let mut broker = Broker::spawn(&mut command, directory.join("log"))?;
    broker.address = "localhost:9092".into();
    let deadline = Instant::now() + START_LIMIT;
    while TcpStream::connect("127.0.0.1:9092").is_err() {
        broker.fail_if_dead()?;
        if Instant::now() > deadline {
            return Err(format!("Kafka does not listen after {} s", START_LIMIT.as_secs()).into());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(broker)
}

fn kafka_properties(data: &Path) -> String {
    format!(
        "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:9093\n\
         listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093\nadvertised.listeners=PLAINTEXT://localhost:9092\n\
         controller.listener.names=CONTROLLER\nlistener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n\
         log.dirs={}\noffsets.topic.replication.factor=1\ntransaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\nshare.coordinator.state.topic.replication.factor=1\n\
         share.coordinator.state.topic.min.isr=1\n",
        data.display()
    )
}

impl Broker {
    fn spawn(command: &mut Command, log: PathBuf) -> Outcome<Self> {
        let append = |path: &Path| OpenOptions::new().create(true).append(true).open(path);
        let log_start = append(&log)?.metadata()?.len();
        let child = command
            .stdin(Stdio::null())
            .stdout(append(&log)?)
            .stderr(append(&log)?)
            .spawn()
            .map_err(|error| format!("{} cannot be started: {error}", command.get_program().to_string_lossy()))?;
        Ok(Self { child, address: String::new(), log, log_start, stopped: false })
    }

    /// Waits until it listens.
    pub(crate) fn ready(&mut self) -> Outcome<()> {
        self.address = self.await_ready()?;
        Ok(())
    }

    /// The address our broker says it listens on, once it says so.
    fn await_ready(&mut self) -> Outcome<String> {
        self.await_words(READY)
    }

    /// What follows these words on their line, once they are said.
    fn await_words(&mut self, words: &str) -> Outcome<String> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let said = self.said()?;
            if let Some((_, rest)) = said.split_once(words)
                && let Some((rest, _)) = rest.split_once('\n')
            {
                return Ok(rest.trim().to_owned());
            }
            self.fail_if_dead()?;
            if Instant::now() > deadline {
                return Err(format!("not ready after {} s:\n{}", START_LIMIT.as_secs(), workspace::end_of(&said, 20)).into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What it has said since this start.
    pub(crate) fn said(&self) -> Outcome<String> {
        let mut file = File::open(&self.log)?;
        file.seek(SeekFrom::Start(self.log_start))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        Ok(text)
    }

    /// Process id, for signals and for /proc.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn fail_if_dead(&mut self) -> Outcome<()> {
        let Some(status) = self.child.try_wait()? else { return Ok(()) };
        self.stopped = true;
        let text = self.said()?;
        Err(format!("the broker ended at start ({status}):\n{}", workspace::end_of(&text, 20)).into())
    }

    fn signal(&self, signal: Signal) -> Outcome<()> {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).ok_or("a process id beyond pid_t")?;
        Ok(kill_process(pid, signal)?)
    }

    /// SIGSTOP: it does nothing more until it is killed.
    pub(crate) fn pause(&self) -> Outcome<()> {
        self.signal(Signal::STOP)
    }

    /// SIGTERM, then the wait for a clean end.
    pub(crate) fn stop(mut self) -> Outcome<ExitStatus> {
        self.signal(Signal::TERM)?;
        let deadline = Instant::now() + STOP_LIMIT;
        loop {
            if let Some(status) = self.child.try_wait()? {
                self.stopped = true;
                return Ok(status);
            }
            if Instant::now() > deadline {
                return Err(format!("the broker does not stop within {} s of SIGTERM", STOP_LIMIT.as_secs()).into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// SIGKILL, and the wait until the process is gone.
    pub(crate) fn kill(mut self) -> Outcome<()> {
        self.child.kill()?;
        self.child.wait()?;
        self.stopped = true;
        Ok(())
    }

    /// Whether the process still runs; a broker that ended by itself has crashed.
    pub(crate) fn is_running(&mut self) -> Outcome<bool> {
        Ok(self.child.try_wait()?.is_none())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if !self.stopped {
            // Nothing more can be done about a child that cannot be killed.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
