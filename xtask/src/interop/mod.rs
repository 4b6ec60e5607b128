//! `cargo xtask interop`: real clients and tools against a running broker.
//!
//! Everything needed comes from package registries into `target/interop/`; what cannot be had fails the command. The broker listens
//! on localhost:9092, in a network namespace of its own where the system allows it, so that the port is free. Every check is
//! counted; a client that is left out by `--only` is left out by the caller, in as many words.

mod compacted;
mod install;
mod jvm;
mod kafka_go;
mod kcat;
mod namespace;
mod python;

use crate::broker::{Broker, Flumen};
use crate::tally::{Outcome, Tally};
use crate::workspace;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Args, Clone)]
pub(crate) struct Options {
    /// Shards of our broker.
    #[arg(long)]
    shards: Option<u16>,
    /// Only these clients.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Client>,
    /// Run kafka-go's suite test by test on Apache Kafka and on ours, and rewrite the list of tests that must pass. With
    /// `kafka`, ours is not asked and only what is about groups, transactions, ACLs, SCRAM or quotas is left out.
    #[arg(long, value_enum, num_args = 0..=1, default_missing_value = "both")]
    relist: Option<Relist>,
    /// Aim the clients at Apache Kafka instead, to check their expectations.
    #[arg(long)]
    against_kafka: bool,
    /// Use the release build of the broker.
    #[arg(long)]
    release: bool,
    /// Already inside a network namespace of our own.
    #[arg(long, hide = true)]
    isolated: bool,
}

impl Options {
    /// All clients against so many shards.
    pub(crate) fn with_shards(shards: u16) -> Self {
        Self { shards: Some(shards), only: Vec::new(), relist: None, against_kafka: false, release: false, isolated: false }
    }

    fn wants(&self, client: Client) -> bool {
        self.only.is_empty() || self.only.contains(&client)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Client {
    Kcat,
    Python,
    Jvm,
    KafkaGo,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Relist {
    Both,
    Kafka,
}

/// What the clients' checks work with.
struct Bench {
    /// `host:port` of the broker.
    address: String,
    /// Everything that was installed, and the logs.
    directory: PathBuf,
    /// The broker's data directory.
    data: PathBuf,
}

/// Where installed tools and logs live.
fn directory() -> PathBuf {
    workspace::target().join("interop")
}

pub(crate) fn run(options: &Options) -> Outcome<Tally> {
    if !options.isolated {
        install::install(options)?;
        if !(options.against_kafka || options.relist == Some(Relist::Kafka)) {
            build(options.release)?;
        }
        if namespace::available() {
            return namespace::run_again(options);
        }
        println!("no network namespace can be made here: using the machine's own port 9092");
    }
    if let Some(relist) = options.relist {
        return kafka_go::relist(&directory(), relist == Relist::Both, options);
    }
    let run = Run::start(options)?;
    let mut tally = Tally::default();
    if options.wants(Client::Kcat) {
        kcat::run(&run.bench, &mut tally);
    }
    if options.wants(Client::Python) {
        python::run(&run.bench, &mut tally);
    }
    if options.wants(Client::Jvm) {
        jvm::run(&run.bench, &mut tally);
        compacted::run(&run.bench, &mut tally);
    }
    if options.wants(Client::KafkaGo) {
        kafka_go::run(&run.bench, &mut tally)?;
    }
    tally.check("the broker stops cleanly", || run.finish());
    Ok(tally)
}

/// A broker and what the checks need to know about it; its data goes away with it.
struct Run {
    broker: Broker,
    bench: Bench,
    ours: bool,
    /// Held for its drop.
    _data: tempfile::TempDir,
}

impl Run {
    fn start(options: &Options) -> Outcome<Self> {
        let directory = directory();
        let data = tempfile::Builder::new().prefix("interop-").tempdir_in(workspace::target())?;
        let broker = if options.against_kafka {
            crate::broker::start_kafka(data.path(), &directory.join("kafka"))?
        } else {
            flumen(options, data.path().join("data")).start()?
        };
        println!("broker on {} (pid {})", broker.address, broker.pid());
        Ok(Self {
            bench: Bench { address: "localhost:9092".into(), directory, data: data.path().join("data") },
            broker,
            ours: !options.against_kafka,
            _data: data,
        })
    }

    fn finish(mut self) -> Outcome<()> {
        if !self.broker.is_running()? {
            return Err(format!("it ended by itself:\n{}", workspace::end_of(&self.broker.said()?, 20)).into());
        }
        let ours = self.ours;
        let status = self.broker.stop()?;
        // A JVM that ends by SIGTERM says 143.
        if ours && !status.success() { Err(format!("exit status {status}").into()) } else { Ok(()) }
    }
}

/// Our broker as the clients' suites expect it: on localhost:9092 by that name.
fn flumen(options: &Options, data: PathBuf) -> Flumen {
    let settings = [("FLUMEN_ADVERTISED_LISTENERS", "PLAINTEXT://localhost:9092"), ("FLUMEN_LOG_CLEANER_BACKOFF_MS", "500")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    Flumen { binary: binary(options.release), data, beside: Vec::new(), port: 9092, shards: options.shards, settings }
}

/// The broker's binary.
pub(crate) fn binary(release: bool) -> PathBuf {
    workspace::target().join(if release { "release" } else { "debug" }).join("flumen")
}

/// Builds the broker.
pub(crate) fn build(release: bool) -> Outcome<()> {
    let mut command = workspace::cargo();
    command.args(["build", "--quiet", "--package", "flumen-server", "--bin", "flumen"]);
    if release {
        command.arg("--release");
    }
    workspace::succeed(&mut command, Duration::from_secs(3600))?;
    Ok(())
}
