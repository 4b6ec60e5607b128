//! Runs of a world: one that is shown, or many that are counted.

use super::worlds::Simulated;
use crate::tally::{Outcome, Tally};
use flumen_sim::verdict::{Verdict, Work};
use std::collections::BTreeMap;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Of so many seeds one is run twice.
const RUNS_PER_REPEAT: u64 = 100;

/// What many runs came to.
struct Totals<W> {
    valid: u64,
    invalid: u64,
    work: W,
    faults: BTreeMap<&'static str, u64>,
    failures: Vec<(u64, String)>,
}

fn again<S: Simulated>(seed: u64) -> String {
    format!("cargo xtask sim --world {} {seed}", S::NAME)
}

/// Shows a run line by line.
pub(super) fn show<S: Simulated>(seed: u64) -> Outcome<Tally> {
    let mut tally = Tally::default();
    let mut step = 0_u64;
    let mut output = std::io::stdout();
    let listener = move |line: &str| {
        step += 1;
        // A reader who has seen enough closes the pipe.
        let _ = writeln!(output, "{step:6} {line}");
    };
    let verdict = S::run(seed, Some(Box::new(listener)));
    println!("{:#?}", verdict.work);
    println!("faults: {:?}", verdict.faults);
    println!("trace {:016x}; again: {}", verdict.trace, again::<S>(seed));
    for violation in &verdict.violations {
        tally.fail(format_args!("sim: seed {seed}: {violation}"));
    }
    if verdict.violations.is_empty() {
        if verdict.work.is_enough() { tally.pass() } else { tally.fail(format_args!("sim: seed {seed} did too little")) }
    }
    Ok(tally)
}

/// Runs many, and those of the control; the totals come last.
pub(super) fn run<S: Simulated>(from: u64, seeds: u64, jobs: u64) -> Outcome<Tally> {
    let world = S::NAME;
    println!("sim: {world}: {seeds} seeds from {from}");
    let mut tally = Tally::default();
    let started = Instant::now();
    let totals = run_many::<S>(from, seeds, jobs.max(1));
    let took = started.elapsed();
    (0..totals.valid.saturating_sub(totals.failures.len() as u64)).for_each(|_| tally.pass());
    for (seed, failure) in &totals.failures {
        tally.fail(format_args!("sim: seed {seed}: {failure} ({})", again::<S>(*seed)));
    }
    if totals.valid < seeds {
        tally.fail(format_args!("sim: {} runs did too little, against {} that count", totals.invalid, totals.valid));
    }
    let (wrong, runs, least) = S::CONTROL;
    tally.check(&format!("sim: {world}: {wrong} is noticed"), || {
        let noticed = (from..from + runs).filter(|seed| !S::control(*seed).violations.is_empty()).count();
        if noticed > least { Ok(()) } else { Err(format!("only in {noticed} of {runs} runs").into()) }
    });
    print_totals(world, &totals, took);
    Ok(tally)
}

/// Runs seeds from `from` on until so many count.
fn run_many<S: Simulated>(from: u64, seeds: u64, jobs: u64) -> Totals<S::Work> {
    let next = AtomicU64::new(from);
    let (work, faults, failures) = (S::Work::default(), BTreeMap::new(), Vec::new());
    let totals = Mutex::new(Totals { valid: 0, invalid: 0, work, faults, failures });
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + seeds + seeds.div_ceil(S::RUNS_PER_INVALID) {
                        break;
                    }
                    let result = catch_unwind(AssertUnwindSafe(|| judge::<S>(seed)));
                    let Ok(mut totals) = totals.lock() else { break };
                    if totals.valid >= seeds {
                        break;
                    }
                    totals.count(seed, result.unwrap_or_else(|_| Err("a machine panicked".to_owned())));
                }
            });
        }
    });
    totals.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// One run, and sometimes another to compare.
fn judge<S: Simulated>(seed: u64) -> Result<Verdict<S::Work>, String> {
    let verdict = S::run(seed, None);
    if seed.is_multiple_of(RUNS_PER_REPEAT) && S::run(seed, None) != verdict {
        return Err("run twice, it was not the same".to_owned());
    }
    match verdict.violations.first() {
        Some(first) => Err(first.clone()),
        None => Ok(verdict),
    }
}

impl<W: Work> Totals<W> {
    fn count(&mut self, seed: u64, result: Result<Verdict<W>, String>) {
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

fn print_totals<W: Work>(world: &str, totals: &Totals<W>, took: Duration) {
    let Totals { valid, invalid, work, faults, failures } = totals;
    println!("sim: {world}: {invalid} runs did too little and do not count; work: {work:?}");
    let faults: Vec<String> = faults.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    println!(
        "sim: {world}: {valid} seeds, {} events, {} acknowledged records, {} crashes, {} recoveries cut off, faults: {}; {} losses \
         reported of rotten frames, {} losses; {:.0} s",
        work.events(),
        work.acknowledged_records(),
        work.crashes(),
        work.interrupted(),
        faults.join(", "),
        work.reported_losses(),
        failures.len(),
        took.as_secs_f64()
    );
}
