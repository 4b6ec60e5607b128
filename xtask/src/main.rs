//! The project's own automation:
//! `cargo xtask tidy|bug-bank|ci|crash|crash-images|fs-shutdown|full-disk|fuzz|mutated-files|interop|perf|sim`.
//!
//! Every command says what it did and ends with one line, `N passed, N failed`; it exits non-zero when anything failed, could not
//! be had, or did too little work to mean something. It does not change sources: only `interop --relist` and `perf --record` write,
//! and only their list and their runs.

mod broker;
mod bug_bank;
mod ci;
mod crash;
mod fs_shutdown;
mod full_disk;
mod fuzz;
mod images;
mod interop;
mod loop_disk;
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
    /// Put known bugs back, one at a time: the simulation must find each.
    BugBank(bug_bank::Options),
    /// Everything a change must pass, in the order that finds faults soonest.
    Ci(ci::Options),
    /// Kill the broker under load, again and again: nothing acknowledged may be lost.
    Crash(crash::Options),
    /// Cut the power under load, on real file systems: nothing acknowledged in the default durability may be lost.
    FsShutdown(fs_shutdown::Options),
    /// Fill the disk under load and free it again: nothing acknowledged may be lost, and nobody has to help.
    FullDisk(full_disk::Options),
    /// Every fuzz target for a little while.
    Fuzz(fuzz::Options),
    /// What a power failure could leave of real stores' files, recovered: nothing acknowledged may be lost.
    CrashImages(images::Options),
    /// Files of real stores damaged, one at a time: what is served must not change.
    MutatedFiles(images::mutated::Options),
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
        Task::BugBank(options) => bug_bank::run(&options),
        Task::Ci(options) => ci::run(&options),
        Task::Crash(options) => crash::run(&options),
        Task::FsShutdown(options) => fs_shutdown::run(&options),
        Task::FullDisk(options) => full_disk::run(&options),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::CrashImages(options) => images::run(&options),
        Task::MutatedFiles(options) => images::mutated::run(&options),
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
