//! Where a measurement takes place: servers on one core, loads on another, files on a real disk.

use super::series::Report;
use crate::broker::{Broker, Flumen};
use crate::tally::Outcome;
use crate::workspace;
use flumen_reactor::cores;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// No load runs longer.
const LIMIT: Duration = Duration::from_secs(300);

pub(super) struct Ground {
    directory: PathBuf,
    binaries: PathBuf,
    pub(super) server_core: usize,
    pub(super) load_core: usize,
}

/// A server of `flumen-bench`; it ends with this.
pub(super) struct Yardstick {
    child: Child,
    pub(super) address: String,
    file: PathBuf,
}

impl Yardstick {
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Yardstick {
    fn drop(&mut self) {
        // Nothing more can be done about a child that cannot be killed, or a file that is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.file);
    }
}

impl Ground {
    /// The first two cores there are; with one alone server and load share it.
    pub(super) fn new(directory: &Path, release: bool) -> Outcome<Self> {
        let cores = cores::available()?;
        let server_core = *cores.first().ok_or("no core to run on")?;
        let load_core = *cores.get(1).unwrap_or(&server_core);
        let binaries = workspace::target().join(if release { "release" } else { "debug" });
        Ok(Self { directory: directory.to_owned(), binaries, server_core, load_core })
    }

    fn bench(&self, core: usize) -> Command {
        let mut command = workspace::command(self.binaries.join("flumen-bench"));
        command.args(["--core", &core.to_string()]);
        command
    }

    /// Have the host give its memory back before something is measured.
    pub(super) fn prefault(&self, mebibytes: u32) -> Outcome<()> {
        let mut command = self.bench(self.server_core);
        workspace::succeed(command.args(["prefault", "--mebibytes", &mebibytes.to_string()]), LIMIT).map(drop)
    }

    /// A yardstick, ready for its load.
    pub(super) fn yardstick(&self, name: &str, arguments: &[String]) -> Outcome<Yardstick> {
        let file = self.directory.join(name);
        let mut command = self.bench(self.server_core);
        command.arg(name).arg("--file").arg(&file).args(arguments).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let stdout = child.stdout.take().expect("piped above");
        let mut yardstick = Yardstick { child, address: String::new(), file };
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        yardstick.address = line.trim().strip_prefix("listening on ").ok_or("the yardstick does not listen")?.to_owned();
        Ok(yardstick)
    }

    /// A broker on an empty directory, all its threads on the server's core, with the topic of the loads.
    pub(super) fn broker(&self, partitions: u32, durability: &str, more: &[(&str, &str)]) -> Outcome<Broker> {
        let mut settings = vec![("FLUMEN_CORES".to_owned(), self.server_core.to_string())];
        settings.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let flumen = Flumen {
            binary: self.binaries.join("flumen"),
            data: self.directory.join("data"),
            beside: Vec::new(),
            port: 0,
            shards: None,
            settings,
        };
        // Threads and processes inherit the core of the thread that starts them.
        let start = || {
            cores::pin(self.server_core)?;
            flumen.start()
        };
        let broker = std::thread::scope(|scope| scope.spawn(start).join().map_err(|_| "the starting thread panicked"))??;
        self.topic(&broker, "bench", partitions, &[&format!("flumen.durability={durability}")])?;
        Ok(broker)
    }

    /// Make a topic.
    pub(super) fn topic(&self, broker: &Broker, name: &str, partitions: u32, settings: &[&str]) -> Outcome<()> {
        let mut command = self.bench(self.load_core);
        command.args(["topic", "--address", &broker.address, "--topic", name, "--partitions", &partitions.to_string()]);
        command.args(settings.iter().map(|setting| format!("--set={setting}")));
        workspace::succeed(&mut command, LIMIT).map(drop)
    }

    /// Bytes in the segments of a topic.
    pub(super) fn stored_bytes(&self, topic: &str) -> Outcome<u64> {
        let mut bytes = 0;
        for directory in std::fs::read_dir(self.directory.join("data"))? {
            let directory = directory?;
            if directory.file_name().to_string_lossy().starts_with(&format!("{topic}-")) {
                for file in std::fs::read_dir(directory.path())? {
                    let file = file?;
                    let is_segment = file.path().extension().is_some_and(|extension| extension == "log");
                    // One may go while it is looked at.
                    bytes += if is_segment { file.metadata().map_or(0, |metadata| metadata.len()) } else { 0 };
                }
            }
        }
        Ok(bytes)
    }

    /// End a broker and remove what it wrote.
    pub(super) fn stop(&self, broker: Broker) -> Outcome<()> {
        broker.stop()?;
        Ok(std::fs::remove_dir_all(self.directory.join("data"))?)
    }

    /// Run a load to its end.
    pub(super) fn load(&self, address: &str, server: u32, arguments: &[String]) -> Outcome<Report> {
        let mut command = self.bench(self.load_core);
        command.args(arguments).args(["--address", address, "--server", &server.to_string()]);
        let text = workspace::succeed(&mut command, LIMIT)?;
        let line = text.lines().find(|line| line.starts_with('{')).ok_or("a load without a report")?;
        Ok(serde_json::from_str(line)?)
    }
}
