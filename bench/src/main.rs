//! The load generator, and the yardsticks a run is held against: the binary `flumen-bench`.
//!
//! `ingest` keeps a fixed number of produce requests in flight (closed loop), `paced` sends on a schedule that nothing can slow
//! down (open loop), `read` fetches and throws away. `sink` and `sendfile` are servers that do the least there is to do for the
//! same bytes; `ingest` and `read` measure them as they measure a broker. Every measurement takes the server's processor time
//! from `/proc` around the measured part alone, and ends as one line of JSON; `cargo xtask perf` runs and compares them.
//!
//! Not here: starting brokers, rounds, medians, budgets (`cargo xtask perf`).

mod batch;
mod ingest;
mod lane;
mod latency;
mod paced;
mod processor_time;
mod read;
mod report;
mod sendfile;
mod sink;
mod topic;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Whatever went wrong, as a sentence for the person who reads it.
type Failure = Box<dyn std::error::Error + Send + Sync>;
type Outcome<T> = Result<T, Failure>;

#[derive(Parser)]
#[command(name = "flumen-bench", about = "Load and yardsticks for measuring a broker")]
struct Arguments {
    /// Stay on this core
    #[arg(long, global = true)]
    core: Option<usize>,
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Produce as fast as it goes, so many requests in flight.
    Ingest(ingest::Options),
    /// Produce records on a schedule, and take the time from it.
    Paced(paced::Options),
    /// Fetch, and throw away.
    Read(read::Options),
    /// Make a topic.
    Topic(topic::Options),
    /// A server that sums up frames, appends them to a file and acknowledges.
    Sink(sink::Options),
    /// A server that sends a file to whoever connects, over and over.
    Sendfile(sendfile::Options),
    /// Use so much memory for a moment, so that the next program does not pay for what a virtual machine's host took back.
    Prefault {
        /// How much, in MiB
        #[arg(long, default_value_t = 4096)]
        mebibytes: usize,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(core) = arguments.core
        && let Err(error) = flumen_reactor::cores::pin(core)
    {
        eprintln!("error: core {core}: {error}");
        return ExitCode::FAILURE;
    }
    let outcome = match arguments.command {
        Task::Ingest(options) => ingest::run(&options),
        Task::Paced(options) => paced::run(&options),
        Task::Read(options) => read::run(&options),
        Task::Topic(options) => topic::run(&options),
        Task::Sink(options) => sink::run(&options),
        Task::Sendfile(options) => sendfile::run(&options),
        Task::Prefault { mebibytes } => {
            prefault(mebibytes);
            Ok(())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Touch every page of so much memory, and give it back.
fn prefault(mebibytes: usize) {
    let chunks: Vec<Vec<u8>> = (0..mebibytes).map(|_| vec![1; 1 << 20]).collect();
    std::hint::black_box(&chunks);
}
