//! `cargo xtask sim`: simulated runs of the log that ships, over a disk that forgets.
//!
//! `--seeds N [--from S]` runs many and counts them; `SEED` shows one with all it did. A run that violates a promise has failed;
//! its seed repeats it. A run that did too little work is invalid: it is not counted, another seed takes its place, and where
//! too many are invalid the whole has failed.

use crate::sim_shard;
use crate::tally::{Outcome, Tally};
use clap::{Args, ValueEnum};
use flumen_sim::log::{Control, Verdict, run as simulate};

/// Appends below which a run proves nothing.
const WORK_FLOOR: u64 = 20;
/// Of so many runs one may be invalid.
const RUNS_PER_INVALID: u64 = 20;

/// What is simulated.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum World {
    /// Stores over a disk.
    Log,
    /// Whole shards, with clients.
    Shard,
}

#[derive(Args)]
pub(crate) struct Options {
    /// What is simulated; one after the other when not given.
    #[arg(long)]
    world: Option<World>,
    /// One seed, shown with all it did.
    seed: Option<u64>,
    /// How many seeds.
    #[arg(long, default_value_t = 1000, conflicts_with = "seed")]
    seeds: u64,
    /// The first of them; shown when not given.
    #[arg(long)]
    from: Option<u64>,
}

impl Options {
    /// So many seeds nobody chose.
    pub(crate) fn fresh(seeds: u64) -> Self {
        Self { world: None, seed: None, seeds, from: None }
    }
}

pub(crate) fn run(options: &Options) -> Outcome<Tally> {
    let mut tally = Tally::default();
    if options.world == Some(World::Shard) {
        let from = options.from.unwrap_or_else(|| crate::crash::fresh_seed() >> 16);
        return options.seed.map_or_else(|| sim_shard::run(from, options.seeds), sim_shard::show);
    }
    if let Some(seed) = options.seed {
        let verdict = simulate(seed, Control::None);
        println!("seed {seed}: {:#?}", verdict.work);
        if !judge(seed, &verdict, &mut tally) {
            tally.fail(format_args!("sim: seed {seed} did too little: {:?}", verdict.work));
        }
        return Ok(tally);
    }
    let from = options.from.unwrap_or_else(|| crate::crash::fresh_seed() >> 16);
    println!("sim: {} seeds from {from}", options.seeds);
    let (mut valid, mut invalid) = (0, 0);
    for seed in from.. {
        if valid == options.seeds {
            break;
        }
        if judge(seed, &simulate(seed, Control::None), &mut tally) {
            valid += 1;
        } else {
            invalid += 1;
        }
        if invalid > options.seeds.div_ceil(RUNS_PER_INVALID) {
            tally.fail(format_args!("sim: {invalid} runs did too little, against {valid} that count"));
            break;
        }
    }
    println!("sim: {invalid} runs did too little and do not count");
    tally.check("sim: the control loses", || {
        let lost = (from..from + 50).filter(|seed| !simulate(*seed, Control::EarlyAck).violations.is_empty()).count();
        if lost > 5 { Ok(()) } else { Err(format!("{lost} of 50 runs that acknowledge too early lost something").into()) }
    });
    if options.world.is_none() {
        tally.add(sim_shard::run(from, options.seeds)?);
    }
    Ok(tally)
}

/// Counts a run, unless it is invalid.
fn judge(seed: u64, verdict: &Verdict, tally: &mut Tally) -> bool {
    if let Some(first) = verdict.violations.first() {
        tally.fail(format_args!("sim: seed {seed}: {first}"));
        for violation in &verdict.violations {
            println!("  {violation}");
        }
    } else if verdict.work.appends < WORK_FLOOR {
        return false;
    } else {
        tally.pass();
    }
    true
}
