//! `cargo xtask perf`: the broker measured beside its yardsticks, in one run, in alternating rounds.
//!
//! The broker and each yardstick in turn have one core, the load another. Absolute figures of a shared machine mean nothing, so
//! what counts is a ratio of medians within the run, held against `perf/budgets.toml`; `--record` writes all of it to
//! `perf/runs/`. The loads are `flumen-bench`'s. The smoke of CI does the same with next to no work and claims nothing about time:
//! it shows that the harness works.

mod budgets;
mod ground;
mod record;
mod series;

use crate::broker::Broker;
use crate::tally::{Outcome, Tally};
use crate::{interop, workspace};
use budgets::Budget;
use clap::Args;
use ground::Ground;
use series::{Report, Series};
use std::time::Duration;

/// What a round measures, all of it or a part.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Part {
    Ingest,
    Fetch,
    Latency,
    Cleaning,
}

#[derive(Args)]
pub(crate) struct Options {
    /// Rounds; medians are taken over them.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Measure these parts only; their budgets alone are held.
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// Write the run to `perf/runs/`.
    #[arg(long)]
    record: bool,
    /// Next to no work, on the development build; no budget is held.
    #[arg(long)]
    smoke: bool,
}

impl Options {
    /// For CI.
    pub(crate) const fn smoke() -> Self {
        Self { rounds: 1, only: Vec::new(), record: false, smoke: true }
    }

    fn parts(&self) -> &[Part] {
        if self.only.is_empty() { &[Part::Ingest, Part::Fetch, Part::Latency, Part::Cleaning] } else { &self.only }
    }
}

/// How much work a measurement is.
struct Work {
    prefault_mebibytes: u32,
    /// Of the yardsticks' files.
    sink_mebibytes: u32,
    sendfile_mebibytes: u32,
    ingest: (u32, u32),
    /// What is in the log for the readers.
    stored_mebibytes: u32,
    fetch: (u32, u32),
    paced_seconds: (f64, f64),
    paced_partitions: &'static [u32],
    /// What the cleaner has to go through.
    dirty_mebibytes: u32,
}

const FULL: Work = Work {
    prefault_mebibytes: 6000,
    sink_mebibytes: 1024,
    sendfile_mebibytes: 256,
    ingest: (1024, 3072),
    stored_mebibytes: 1024,
    fetch: (1024, 8192),
    paced_seconds: (2.0, 8.0),
    paced_partitions: &[1, 100, 1000],
    dirty_mebibytes: 4096,
};

const SMOKE: Work = Work {
    prefault_mebibytes: 1,
    sink_mebibytes: 8,
    sendfile_mebibytes: 8,
    ingest: (4, 16),
    stored_mebibytes: 16,
    fetch: (4, 32),
    paced_seconds: (0.2, 0.5),
    paced_partitions: &[1, 10],
    dirty_mebibytes: 64,
};

pub(crate) fn run(options: &Options) -> Outcome<Tally> {
    let (work, release) = if options.smoke { (&SMOKE, false) } else { (&FULL, true) };
    build(release)?;
    let directory = tempfile::Builder::new().prefix("perf-").tempdir_in(workspace::target())?;
    let ground = Ground::new(directory.path(), release)?;
    let mut series = Series::default();
    for round in 1..=options.rounds {
        println!("round {round} of {}", options.rounds);
        for part in options.parts() {
            match part {
                Part::Ingest => ingest(&ground, work, &mut series)?,
                Part::Fetch => fetch(&ground, work, &mut series)?,
                Part::Latency => latency(&ground, work, &mut series)?,
                Part::Cleaning => cleaning(&ground, work, &mut series)?,
            }
        }
    }
    let mut tally = Tally::default();
    for (name, reports) in series.iter() {
        let moved = reports.iter().all(|report| report.payload_bytes > 0 && report.seconds > 0.0);
        tally.check(name, || if moved { Ok(()) } else { Err("nothing was moved".into()) });
    }
    if options.smoke {
        return Ok(tally);
    }
    let budgets = Budget::read(&std::fs::read_to_string(workspace::root().join("perf/budgets.toml"))?)?;
    let text = record::describe(&series, &budgets, &ground, options.rounds)?;
    print!("\n{text}");
    if options.record {
        println!("\nwritten to {}", record::write(&text)?.display());
    }
    for budget in &budgets {
        if let Some(ratio) = budget.ratio(&series) {
            tally.check(&budget.to_string(), || budget.hold(ratio));
        }
    }
    Ok(tally)
}

/// Both programs; the broker as everything else here builds it.
fn build(release: bool) -> Outcome<()> {
    interop::build(release)?;
    let mut command = workspace::cargo();
    command.args(["build", "--quiet", "--package", "flumen-bench", "--bin", "flumen-bench"]);
    if release {
        command.arg("--release");
    }
    workspace::succeed(&mut command, Duration::from_secs(3600)).map(drop)
}

/// Batches of a megabyte from four producers, two in flight each: the sink, then the broker in both durabilities.
fn ingest(ground: &Ground, work: &Work, series: &mut Series) -> Outcome<()> {
    let (warm_up, measured) = work.ingest;
    let amount = |load: &mut Vec<String>| load.extend([format!("--warm-up={warm_up}"), format!("--mebibytes={measured}")]);
    ground.prefault(work.prefault_mebibytes)?;
    let sink = ground.yardstick("sink", &[format!("--mebibytes={}", work.sink_mebibytes)])?;
    let mut load = vec!["ingest".to_owned(), "--peer=sink".to_owned()];
    amount(&mut load);
    series.add("sink", ground.load(&sink.address, sink.pid(), &load)?);
    drop(sink);
    for durability in ["replicated", "synced"] {
        ground.prefault(work.prefault_mebibytes)?;
        let broker = ground.broker(4, durability, &[])?;
        let mut load = vec!["ingest".to_owned()];
        amount(&mut load);
        series.add(&format!("ingest, {durability}"), ground.load(&broker.address, broker.pid(), &load)?);
        ground.stop(broker)?;
    }
    Ok(())
}

/// What is in memory, to readers that throw it away: a bare `sendfile`, then the broker, spinning and sleeping.
fn fetch(ground: &Ground, work: &Work, series: &mut Series) -> Outcome<()> {
    let (warm_up, measured) = work.fetch;
    let read = |more: &[&str]| {
        let mut load = vec!["read".to_owned(), format!("--warm-up={warm_up}"), format!("--mebibytes={measured}")];
        load.extend(more.iter().map(|word| (*word).to_owned()));
        load
    };
    ground.prefault(work.prefault_mebibytes)?;
    let bare = ground.yardstick("sendfile", &[format!("--mebibytes={}", work.sendfile_mebibytes)])?;
    let spinning = ground.load(&bare.address, bare.pid(), &read(&["--sender=sendfile"]))?;
    series.add("sendfile, spinning reader", spinning);
    series.add("sendfile, sleeping reader", ground.load(&bare.address, bare.pid(), &read(&["--sender=sendfile", "--sleep"]))?);
    drop(bare);
    ground.prefault(work.prefault_mebibytes)?;
    let broker = ground.broker(4, "synced", &[])?;
    let fill = ["ingest".to_owned(), "--warm-up=0".to_owned(), format!("--mebibytes={}", work.stored_mebibytes)];
    ground.load(&broker.address, broker.pid(), &fill)?;
    series.add("fetch, spinning reader", ground.load(&broker.address, broker.pid(), &read(&[]))?);
    series.add("fetch, sleeping reader", ground.load(&broker.address, broker.pid(), &read(&["--sleep"]))?);
    ground.stop(broker)
}

/// Single records on a schedule, over one partition and over many.
fn latency(ground: &Ground, work: &Work, series: &mut Series) -> Outcome<()> {
    for partitions in work.paced_partitions {
        let broker = ground.broker(*partitions, "synced", &[])?;
        series.add(&format!("paced, partitions: {partitions}"), paced(ground, work, &broker, *partitions)?);
        ground.stop(broker)?;
    }
    Ok(())
}

fn paced(ground: &Ground, work: &Work, broker: &Broker, partitions: u32) -> Outcome<Report> {
    let (warm_up, measured) = work.paced_seconds;
    let load = [
        "paced".to_owned(),
        format!("--partitions={partitions}"),
        format!("--warm-up={warm_up}"),
        format!("--seconds={measured}"),
    ];
    ground.load(&broker.address, broker.pid(), &load)
}

/// Single records on a schedule beside a topic full of old values: while nobody minds them, and while the cleaner, on the same core,
/// goes through them from before the first record to behind the last.
fn cleaning(ground: &Ground, work: &Work, series: &mut Series) -> Outcome<()> {
    for (name, enabled) in [("paced, cleaner off", "false"), ("paced beside a cleaning", "true")] {
        ground.prefault(work.prefault_mebibytes)?;
        let settings = [("FLUMEN_LOG_CLEANER_ENABLE", enabled), ("FLUMEN_LOG_CLEANER_BACKOFF_MS", "100")];
        let broker = ground.broker(1, "synced", &settings)?;
        let topic = "dirty";
        ground.topic(&broker, topic, 4, &["cleanup.policy=compact", "min.cleanable.dirty.ratio=0.9", "segment.bytes=8388608"])?;
        let mut load = vec!["ingest".to_owned(), format!("--topic={topic}"), "--keyed-batches=8".to_owned()];
        load.extend(["--warm-up=0".to_owned(), format!("--mebibytes={}", work.dirty_mebibytes)]);
        ground.load(&broker.address, broker.pid(), &load)?;
        let before = ground.stored_bytes(topic)?;
        series.add(name, paced(ground, work, &broker, 1)?);
        let after = ground.stored_bytes(topic)?;
        println!("{name}: {} MiB of {topic} before, {} MiB after", before >> 20, after >> 20);
        ground.stop(broker)?;
    }
    Ok(())
}
