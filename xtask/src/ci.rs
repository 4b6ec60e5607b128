//! `cargo xtask ci`: everything a change must pass beyond `cargo test`, cheapest first.
//!
//! Locally and on the build machine it is the same command. It never writes to the sources. Every step is counted; none is skipped.

use crate::interop;
use crate::sim::World;
use crate::tally::{Outcome, Tally, libtest_counts};
use crate::{bug_bank, crash, fs_shutdown, full_disk, fuzz, images, perf, sim, tidy, workspace};
use clap::Args;
use std::process::Command;
use std::time::{Duration, Instant};

/// No step takes longer than the whole is allowed to.
const LIMIT: Duration = Duration::from_secs(3600);

/// A run of that world takes longer than one of the others.
const COMPACTION_SEEDS: u64 = 100;

#[derive(Args)]
pub(crate) struct Options {}

pub(crate) fn run(_options: &Options) -> Outcome<Tally> {
    let started = Instant::now();
    let mut tally = Tally::default();
    let cargo = |arguments: &[&str]| {
        let mut command = workspace::cargo();
        command.args(arguments);
        command
    };
    step(&mut tally, "formatting", cargo(&["fmt", "--all", "--check"]));
    step(&mut tally, "clippy", cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]));
    section(&mut tally, "tidy", tidy::run);
    section(&mut tally, "loom", || loom(cargo(&["test", "--package", "flumen-loom-tests", "--release"])));
    for (world, seeds) in [(World::Log, 1000), (World::Shard, 1000), (World::Compaction, COMPACTION_SEEDS)] {
        section(&mut tally, "simulation, fresh seeds", || sim::run(&sim::Options::of(world, None, seeds, 2)));
    }
    section(&mut tally, "simulation of compaction, seeds from zero", || {
        sim::run(&sim::Options::of(World::Compaction, Some(0), COMPACTION_SEEDS, 2))
    });
    section(&mut tally, "bug bank", || bug_bank::run(&bug_bank::Options::of_the_found(2)));
    // Of the whole workspace, though they are one crate's: as they were built for its tests, which with one crate's features they are not.
    let on_a_bad_device = ["test", "--workspace", "--test", "unreadable", "--", "--ignored"];
    section(&mut tally, "a device that cannot be read", || libtest("a device that cannot be read", &mut cargo(&on_a_bad_device)));
    section(&mut tally, "crash images", || images::run(&images::Options::of(4000, false)));
    section(&mut tally, "crash images, control", || images::run(&images::Options::of(0, true)));
    section(&mut tally, "mutated files", || images::mutated::run(&images::mutated::Options::of(20_000)));
    section(&mut tally, "fuzz", || fuzz::run(&fuzz::Options::smoke(20)));
    let through_the_wire = ["test", "--workspace", "--test", "wire", "--test", "librdkafka", "--no-fail-fast"];
    section(&mut tally, "through the wire, two shards", || {
        libtest("through the wire", cargo(&through_the_wire).env("FLUMEN_TEST_SHARDS", "2"))
    });
    section(&mut tally, "perf, smoke", || perf::run(&perf::Options::smoke()));
    for shards in [1, 2] {
        section(&mut tally, &format!("interop, shards: {shards}"), || interop::run(&interop::Options::with_shards(shards)));
        section(&mut tally, &format!("crash, shards: {shards}"), || crash::run(&crash::Options::of(4, shards, false)));
    }
    section(&mut tally, "power loss on ext4 and xfs", || fs_shutdown::run(&fs_shutdown::Options::of(3)));
    section(&mut tally, "full disk on ext4 and xfs", || full_disk::run(&full_disk::Options::of(4)));
    section(&mut tally, "crash, control", || crash::run(&crash::Options::of(5, 1, true)));
    println!("ci took {:.0} s", started.elapsed().as_secs_f64());
    Ok(tally)
}

/// One command that passes or fails.
fn step(tally: &mut Tally, name: &str, mut command: Command) {
    println!("\n== {name}");
    tally.check(name, || workspace::succeed(&mut command, LIMIT).map(drop));
}

/// A part with counts of its own; an error in it is a failure, and the parts after it still run.
fn section(tally: &mut Tally, name: &str, run: impl FnOnce() -> Outcome<Tally>) {
    println!("\n== {name}");
    let started = Instant::now();
    match run() {
        Ok(part) => tally.add(part),
        Err(error) => tally.fail(format_args!("{name}: {error}")),
    }
    println!("{name}: {:.0} s", started.elapsed().as_secs_f64());
}

/// The models of the lock-free structures, in a target directory of their own: the cfg rebuilds everything below them.
fn loom(mut command: Command) -> Outcome<Tally> {
    command
        .env("RUSTFLAGS", "--cfg loom")
        .env("CARGO_TARGET_DIR", workspace::target().join("loom"))
        .env("LOOM_MAX_PREEMPTIONS", "3");
    libtest("loom", &mut command)
}

/// Runs a command that ends in libtest's summaries, and counts its tests.
fn libtest(name: &str, command: &mut Command) -> Outcome<Tally> {
    let (success, text) = workspace::stream(command, LIMIT)?;
    let (passed, failed) = libtest_counts(&text);
    let mut tally = Tally::default();
    tally.count(name, passed, failed);
    if passed == 0 {
        tally.fail(format_args!("{name}: no test ran"));
    } else if !success && failed == 0 {
        tally.fail(format_args!("{name}: ended with an error"));
    }
    Ok(tally)
}
