//! `cargo xtask sim`: simulated runs of the log that ships, over a disk that forgets and fails; and the other worlds.
//!
//! `--seeds N [--from S]` runs many and ends with a line of totals; `SEED` shows one, a line for each of its steps, and says how to
//! have it again. A run that violates a promise has failed; its seed repeats it. One seed in a hundred is run twice and must give
//! the same trace. A run that did too little work is invalid: it is not counted, another seed takes its place, and where too many
//! are invalid the whole has failed.

mod runs;
mod worlds;

use crate::tally::{Outcome, Tally};
use clap::{Args, ValueEnum};

/// What is simulated.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum World {
    /// Stores over a disk.
    Log,
    /// Whole shards, with clients.
    Shard,
    /// One compacted partition with its cleaner.
    Compaction,
}

#[derive(Args)]
pub(crate) struct Options {
    /// What is simulated; one after the other when not given.
    #[arg(long)]
    world: Option<World>,
    /// One seed, shown step by step.
    seed: Option<u64>,
    /// How many seeds.
    #[arg(long, default_value_t = 1000, conflicts_with = "seed")]
    seeds: u64,
    /// The first of them; shown when not given.
    #[arg(long)]
    from: Option<u64>,
    /// Threads that run them.
    #[arg(long, default_value_t = 1)]
    jobs: u64,
}

impl Options {
    /// So many seeds of a world, from this one on, or such that nobody chose.
    pub(crate) const fn of(world: World, from: Option<u64>, seeds: u64, jobs: u64) -> Self {
        Self { world: Some(world), seed: None, seeds, from, jobs }
    }
}

pub(crate) fn run(options: &Options) -> Outcome<Tally> {
    let from = options.from.unwrap_or_else(|| crate::crash::fresh_seed() >> 16);
    let seed = options.seed;
    match options.world {
        Some(world) => run_world(world, seed, from, options),
        None if seed.is_some() => run_world(World::Log, seed, from, options),
        None => {
            let mut tally = Tally::default();
            for world in [World::Shard, World::Compaction, World::Log] {
                tally.add(run_world(world, None, from, options)?);
            }
            Ok(tally)
        }
    }
}

fn run_world(world: World, seed: Option<u64>, from: u64, options: &Options) -> Outcome<Tally> {
    match world {
        World::Log => show_or_run::<worlds::Log>(seed, from, options),
        World::Shard => show_or_run::<worlds::Shard>(seed, from, options),
        World::Compaction => show_or_run::<worlds::Compaction>(seed, from, options),
    }
}

fn show_or_run<S: worlds::Simulated>(seed: Option<u64>, from: u64, options: &Options) -> Outcome<Tally> {
    seed.map_or_else(|| runs::run::<S>(from, options.seeds, options.jobs), runs::show::<S>)
}
