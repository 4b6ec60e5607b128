//! `cargo xtask sim`: simulated runs of the log that ships, over a disk that forgets and fails; and the other worlds.
//!
//! `--seeds N [--from S]` runs many and ends with a line of totals; `SEED` shows one, a line for each of its steps, and says how to
//! have it again. A run that violates a promise has failed; its seed repeats it. One seed in a hundred is run twice and must give
//! the same trace. A run that did too little work is invalid: it is not counted, another seed takes its place, and where too many
//! are invalid the whole has failed.

use crate::tally::{Outcome, Tally};
use crate::{sim_compaction, sim_shard};
use clap::{Args, ValueEnum};
use flumen_sim::log::{Control, Verdict, Work, run as simulate, run_told};
use std::collections::BTreeMap;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Of so many runs one may be invalid.
const RUNS_PER_INVALID: u64 = 20;
/// Of so many seeds one is run twice.
const RUNS_PER_REPEAT: u64 = 100;
/// Runs of a control, and how many of them must notice.
const CONTROL_RUNS: u64 = 50;
const CONTROL_NOTICED: usize = 5;

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

/// What many runs came to.
#[derive(Default)]
struct Totals {
    valid: u64,
    invalid: u64,
    work: Work,
    faults: BTreeMap<&'static str, u64>,
    failures: Vec<(u64, String)>,
}

pub(crate) fn run(options: &Options) -> Outcome<Tally> {
    let from = options.from.unwrap_or_else(|| crate::crash::fresh_seed() >> 16);
    match options.world {
        Some(World::Shard) => options.seed.map_or_else(|| sim_shard::run(from, options.seeds), sim_shard::show),
        Some(World::Compaction) => options.seed.map_or_else(|| sim_compaction::run(from, options.seeds), sim_compaction::show),
        Some(World::Log) | None => run_log(options, from),
    }
}

/// The log's world, and the others behind it where none was asked for.
fn run_log(options: &Options, from: u64) -> Outcome<Tally> {
    let mut tally = Tally::default();
    if let Some(seed) = options.seed {
        show(seed, &mut tally);
        return Ok(tally);
    }
    println!("sim: {} seeds from {from}", options.seeds);
    let started = Instant::now();
    let totals = run_many(from, options.seeds, options.jobs.max(1));
    (0..totals.valid.saturating_sub(totals.failures.len() as u64)).for_each(|_| tally.pass());
    for (seed, failure) in &totals.failures {
        tally.fail(format_args!("sim: seed {seed}: {failure} (cargo xtask sim {seed})"));
    }
    if totals.invalid > options.seeds.div_ceil(RUNS_PER_INVALID) {
        tally.fail(format_args!("sim: {} runs did too little, against {} that count", totals.invalid, totals.valid));
    }
    println!("sim: {} runs did too little and do not count", totals.invalid);
    tally.check("sim: a control that acknowledges too early is noticed", || {
        let noticed = |seed: &u64| !simulate(*seed, Control::EarlyAck).violations.is_empty();
        let count = (from..from + CONTROL_RUNS).filter(noticed).count();
        let enough = count > CONTROL_NOTICED;
        if enough { Ok(()) } else { Err(format!("only in {count} of {CONTROL_RUNS} runs").into()) }
    });
    let took = started.elapsed();
    if options.world.is_none() {
        tally.add(sim_shard::run(from, options.seeds)?);
        tally.add(sim_compaction::run(from, options.seeds)?);
    }
    print_totals(&totals, took);
    Ok(tally)
}

/// Shows a run line by line.
fn show(seed: u64, tally: &mut Tally) {
    let mut step = 0_u64;
    let mut output = std::io::stdout();
    let listener = move |line: &str| {
        step += 1;
        // A reader who has seen enough closes the pipe.
        let _ = writeln!(output, "{step:6} {line}");
    };
    let verdict = run_told(seed, Control::None, Some(Box::new(listener)));
    println!("{:#?}", verdict.work);
    println!("faults: {:?}", verdict.faults);
    println!("trace {:016x}; again: cargo xtask sim {seed}", verdict.trace);
    for violation in &verdict.violations {
        tally.fail(format_args!("sim: seed {seed}: {violation}"));
    }
    if verdict.violations.is_empty() {
        if verdict.work.is_enough() { tally.pass() } else { tally.fail(format_args!("sim: seed {seed} did too little")) }
    }
}

/// Runs seeds from `from` on until so many count.
fn run_many(from: u64, seeds: u64, jobs: u64) -> Totals {
    let next = AtomicU64::new(from);
    let totals = Mutex::new(Totals::default());
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + seeds + seeds.div_ceil(RUNS_PER_INVALID) {
                        break;
                    }
                    let result = catch_unwind(AssertUnwindSafe(|| judge(seed)));
                    let Ok(mut totals) = totals.lock() else { break };
                    if totals.valid >= seeds {
                        break;
                    }
                    totals.count(seed, result.unwrap_or_else(|_| Err("a machine panicked".to_owned())));
                }
            });
        }
    });
    totals.into_inner().unwrap_or_default()
}

/// One run, and sometimes another to compare.
fn judge(seed: u64) -> Result<Verdict, String> {
    let verdict = simulate(seed, Control::None);
    if seed.is_multiple_of(RUNS_PER_REPEAT) && simulate(seed, Control::None) != verdict {
        return Err("run twice, it was not the same".to_owned());
    }
    match verdict.violations.first() {
        Some(first) => Err(first.clone()),
        None => Ok(verdict),
    }
}

impl Totals {
    fn count(&mut self, seed: u64, result: Result<Verdict, String>) {
        match result {
            Ok(verdict) => {
                if !verdict.work.is_enough() {
                    self.invalid += 1;
                    return;
                }
                self.work.add(&verdict.work);
                for (kind, count) in verdict.faults {
                    *self.faults.entry(kind).or_default() += count;
                }
            }
            Err(failure) => self.failures.push((seed, failure)),
        }
        self.valid += 1;
    }
}

fn print_totals(totals: &Totals, took: Duration) {
    let work = &totals.work;
    println!("sim: work: {work:?}");
    let faults: Vec<String> = totals.faults.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    println!(
        "sim: {} seeds, {} events, {} acknowledged records, {} crashes, {} recoveries cut off, faults: {}; {} losses reported of \
         rotten frames, {} losses; {:.0} s",
        totals.valid,
        work.events,
        work.durable,
        work.crashes,
        work.interrupted,
        faults.join(", "),
        work.losses,
        totals.failures.len(),
        took.as_secs_f64()
    );
}
