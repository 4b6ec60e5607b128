//! The second world of `cargo xtask sim`: whole shards, with clients, a network and a control thread.
//!
//! One seed is shown with a line for everything that happens. Of many, one in a hundred runs twice and must leave the same trace;
//! the totals come last. A control, a disk that lies about its syncs, must lose.

use crate::tally::{Outcome, Tally};
use flumen_sim::shard::{Control, Verdict, Work, run as simulate, run_aloud};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Of so many runs one may be invalid.
const RUNS_PER_INVALID: u64 = 10;
/// Of so many runs one is run twice.
const RUNS_PER_REPEAT: u64 = 100;
/// Seeds given to the control, and how many of them must lose.
const CONTROL_SEEDS: u64 = 50;
const CONTROL_LOSSES: usize = 5;

/// Show one seed.
pub(crate) fn show(seed: u64) -> Outcome<Tally> {
    let mut tally = Tally::default();
    let mut output = std::io::stdout().lock();
    let verdict = run_aloud(seed, Control::None, &mut |line| {
        // A reader who has seen enough closes the pipe.
        let _ = writeln!(output, "{line}");
    });
    println!("seed {seed}: trace {:016x}, {:#?}", verdict.trace_hash, verdict.work);
    if !judge(seed, &verdict, &mut tally) {
        tally.fail(format_args!("sim: seed {seed} did too little"));
    }
    Ok(tally)
}

/// Run many.
pub(crate) fn run(from: u64, seeds: u64) -> Outcome<Tally> {
    let mut tally = Tally::default();
    let mut total = Work::default();
    let (mut valid, mut invalid) = (0, 0);
    for seed in from.. {
        if valid == seeds {
            break;
        }
        let ran = catch_unwind(AssertUnwindSafe(|| simulate(seed, Control::None)));
        let Ok(verdict) = ran else {
            tally.fail(format_args!("sim: seed {seed} of the shards' world panicked: cargo xtask sim --world shard {seed}"));
            valid += 1;
            continue;
        };
        total.add(&verdict.work);
        if judge(seed, &verdict, &mut tally) {
            valid += 1;
        } else {
            invalid += 1;
        }
        if seed.is_multiple_of(RUNS_PER_REPEAT) && simulate(seed, Control::None).trace_hash != verdict.trace_hash {
            tally.fail(format_args!("sim: seed {seed} of the shards' world is not the same twice"));
        }
        if invalid > seeds.div_ceil(RUNS_PER_INVALID) {
            tally.fail(format_args!("sim: {invalid} runs did too little, against {valid} that count"));
            break;
        }
    }
    println!("sim: shards: {valid} seeds from {from}, {invalid} more did too little and do not count");
    println!("sim: shards: {total:?}");
    tally.check("sim: shards: the control loses", || {
        let loses = |seed: &u64| !simulate(*seed, Control::LyingDisk).violations.is_empty();
        let lost = (from..from + CONTROL_SEEDS).filter(loses).count();
        if lost > CONTROL_LOSSES {
            Ok(())
        } else {
            Err(format!("{lost} of {CONTROL_SEEDS} runs on a disk that lies about its syncs lost something").into())
        }
    });
    Ok(tally)
}

/// Counts a run, unless it is invalid.
fn judge(seed: u64, verdict: &Verdict, tally: &mut Tally) -> bool {
    if let Some(first) = verdict.violations.first() {
        tally.fail(format_args!("sim: seed {seed}: {first}: cargo xtask sim --world shard {seed}"));
        for violation in &verdict.violations {
            println!("  {violation}");
        }
    } else if !verdict.work.counts() {
        return false;
    } else {
        tally.pass();
    }
    true
}
