//! The command line: what `flumen` does besides being a broker.
//!
//! Results go to standard output, everything else to standard error. Exit codes: 0 all went well, 1 something failed, 2 it was
//! not understood. A reader that goes away (`| head`) ends a command in silence.

pub mod cluster;
pub mod connect;
pub mod consume;
pub mod failure;
pub mod input;
pub mod json;
pub mod moment;
pub mod offset;
pub mod output;
pub mod produce;
pub mod progress;
pub mod table;
pub mod template;
pub mod topic;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

pub use failure::Failure;

use crate::start::{self, StartArguments};

/// A log broker that speaks Kafka's protocol, and a client for any Kafka cluster.
#[derive(Parser, Debug)]
#[command(name = "flumen", version, propagate_version = true, arg_required_else_help = true)]
pub struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Start a broker.
    Start(StartArguments),
    /// Create, list, describe, configure and delete topics.
    Topic(topic::TopicArguments),
    /// Write records to a topic, read from standard input.
    Produce(produce::ProduceArguments),
    /// Read records from topics to standard output.
    Consume(consume::ConsumeArguments),
    /// Ask a cluster about itself.
    Cluster(cluster::ClusterArguments),
}

/// Does what the program's arguments say.
pub fn main() -> ExitCode {
    let command = CommandLine::parse().command;
    let outcome = match command {
        Command::Start(arguments) => return start::run(arguments),
        Command::Topic(arguments) => in_runtime(arguments.connection().verbose, topic::run(arguments)),
        Command::Produce(arguments) => in_runtime(arguments.connection.verbose, produce::run(arguments)),
        Command::Consume(arguments) => in_runtime(arguments.connection.verbose, consume::run(arguments)),
        Command::Cluster(arguments) => in_runtime(arguments.connection().verbose, cluster::run(arguments)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn in_runtime(verbose: bool, command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    if verbose {
        let filter = EnvFilter::new("warn,flumen_client=debug,flumen_server=debug");
        // A second subscriber could only mean a second call, which there is not.
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|problem| Failure::failed(format!("no event loop could be made: {problem}")))?;
    let outcome = runtime.block_on(command);
    // A thread that waits for standard input must not be waited for.
    runtime.shutdown_background();
    outcome
}

#[cfg(test)]
mod tests;
