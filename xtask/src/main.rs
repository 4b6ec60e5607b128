//! The project's own automation: `cargo xtask tidy|ci|crash|interop|perf|sim`.
//!
//! Every command says what it did and ends with one line, `N passed, N failed`; it exits non-zero when anything failed, could not
//! be had, or did too little work to mean something. It does not change sources: only `interop --relist` and `perf --record` write, and only their list and runs.

mod broker;
mod ci;
mod crash;
mod fuzz;
mod interop;
mod perf;
mod sim;
mod tally;
mod tidy;
mod workspace;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Flumen's own automation")]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Check the house rules: arrows, no_std, unsafe, sizes, names, leftovers, the checklist of behaviours.
    Tidy,
    /// Everything a change must pass, in the order that finds faults soonest.
    Ci(ci::Options),
    /// Kill the broker under load, again and again: nothing acknowledged may be lost.
    Crash(crash::Options),
    /// Real clients and tools against the running broker.
    Interop(interop::Options),
    /// The broker measured beside its yardsticks.
    Perf(perf::Options),
    /// Simulated runs: many seeds, or one shown step by step.
    Sim(sim::Options),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Task::Tidy => tidy::run(),
        Task::Ci(options) => ci::run(&options),
        Task::Crash(options) => crash::run(&options),
        Task::Interop(options) => interop::run(&options),
        Task::Perf(options) => perf::run(&options),
        Task::Sim(options) => sim::run(&options),
    };
    match outcome {
        Ok(tally) => {
            tally.print();
            if tally.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("error: {error}");
            println!("0 passed, 1 failed");
            ExitCode::FAILURE
        }
    }
}
