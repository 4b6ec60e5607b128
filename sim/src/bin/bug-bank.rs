//! Looks for one bug of the bank: `bug-bank NAME SEEDS [FROM]` runs seeds, from zero or FROM on, until one finds it.
//!
//! `bug-bank NAME show SEED` tells one run step by step.
//!
//! Prints `found SEEDS VIOLATION` and exits with 0, or `not found` and exits with 1. It is of use only in a build with
//! `--cfg mutants`; `cargo xtask bug-bank` makes it and asks it about each bug in turn. The name `none` stands for no bug: then
//! nothing must be found. Everything is decided by the runs; this is a loop around them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use flumen_log::mutants::Mutant;

/// What a seed's run complains about first.
type Run = fn(u64) -> Option<String>;

/// The runs that look for a bug: those over the store alone, those over a partition that is cleaned, or those over whole shards.
const fn run_for(mutant: Option<Mutant>) -> Run {
    match mutant {
        Some(Mutant::B10 | Mutant::B11 | Mutant::B16 | Mutant::B31 | Mutant::B32 | Mutant::B33) => shard_run,
        Some(Mutant::B46) => compaction_run,
        _ => log_run,
    }
}

fn shard_run(seed: u64) -> Option<String> {
    flumen_sim::shard::run(seed, flumen_sim::shard::Control::None).violations.into_iter().next()
}

fn log_run(seed: u64) -> Option<String> {
    flumen_sim::log::run(seed, flumen_sim::log::Control::None).violations.into_iter().next()
}

fn compaction_run(seed: u64) -> Option<String> {
    flumen_sim::compaction::run(seed, flumen_sim::compaction::Control::None).violations.into_iter().next()
}

#[cfg(mutants)]
fn choose(mutant: Option<Mutant>) -> bool {
    flumen_log::mutants::choose(mutant);
    true
}

#[cfg(not(mutants))]
const fn choose(_mutant: Option<Mutant>) -> bool {
    false
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let name = arguments.first().map(String::as_str).unwrap_or_default();
    let mutant = Mutant::ALL.iter().copied().find(|mutant| mutant.name() == name);
    let number = |at: usize| arguments.get(at).and_then(|text| text.parse::<u64>().ok());
    let show = arguments.get(1).is_some_and(|word| word == "show");
    let Some(seeds) = number(1).or_else(|| show.then_some(1)).filter(|_| mutant.is_some() || name == "none") else {
        eprintln!("usage: bug-bank NAME SEEDS [FROM]");
        return ExitCode::from(2);
    };
    if !choose(mutant) {
        eprintln!("this build has no bugs in it: it needs --cfg mutants");
        return ExitCode::from(2);
    }
    if show {
        let listener = Box::new(|line: &str| println!("{line}"));
        let _ = flumen_sim::log::run_told(number(2).unwrap_or_default(), flumen_sim::log::Control::None, Some(listener));
        return ExitCode::SUCCESS;
    }
    std::panic::set_hook(Box::new(|_| ()));
    let run = run_for(mutant);
    let from = number(2).unwrap_or_default();
    for seed in from..from + seeds {
        let found: Option<String> = catch_unwind(AssertUnwindSafe(|| run(seed))).unwrap_or_else(|panic| Some(describe(&*panic)));
        if let Some(violation) = found {
            println!("found {} {violation}", seed - from + 1);
            return ExitCode::SUCCESS;
        }
    }
    println!("not found");
    ExitCode::FAILURE
}

/// A brain that asserts has found the bug too.
fn describe(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string).or_else(|| panic.downcast_ref::<String>().cloned());
    format!("panic: {}", text.unwrap_or_default().replace('\n', " "))
}
