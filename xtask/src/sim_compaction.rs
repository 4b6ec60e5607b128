//! The third world of `cargo xtask sim`: one compacted partition, its cleaner and recovery, over a disk that forgets and rots.
//!
//! One seed is shown with a line for everything that happens. Of many, one in a hundred runs twice and must be the same; the totals
//! come last. A control, tombstones that go at once, must be noticed.

use crate::tally::{Outcome, Tally};
use flumen_sim::compaction::{Control, Verdict, Work, run as simulate, run_told};
use std::collections::BTreeMap;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// Of so many runs one may be invalid.
const RUNS_PER_INVALID: u64 = 10;
/// Of so many runs one is run twice.
const RUNS_PER_REPEAT: u64 = 100;
/// Seeds given to the control, and how many of them must notice.
const CONTROL_SEEDS: u64 = 20;
const CONTROL_NOTICED: usize = 2;

/// Show one seed.
pub(crate) fn show(seed: u64) -> Outcome<Tally> {
    let mut tally = Tally::default();
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
    println!("trace {:016x}; again: cargo xtask sim --world compaction {seed}", verdict.trace);
    if !judge(seed, &verdict, &mut tally) {
        tally.fail(format_args!("sim: seed {seed} did too little"));
    }
    Ok(tally)
}

/// Run many.
pub(crate) fn run(from: u64, seeds: u64) -> Outcome<Tally> {
    let started = Instant::now();
    let mut tally = Tally::default();
    let mut total = Work::default();
    let mut faults: BTreeMap<&'static str, u64> = BTreeMap::new();
    let (mut valid, mut invalid) = (0, 0);
    for seed in from.. {
        if valid == seeds {
            break;
        }
        let Ok(verdict) = catch_unwind(AssertUnwindSafe(|| simulate(seed, Control::None))) else {
            tally.fail(format_args!("sim: a machine panicked: cargo xtask sim --world compaction {seed}"));
            valid += 1;
            continue;
        };
        if judge(seed, &verdict, &mut tally) {
            valid += 1;
        } else {
            invalid += 1;
        }
        if seed.is_multiple_of(RUNS_PER_REPEAT) && simulate(seed, Control::None) != verdict {
            tally.fail(format_args!("sim: run twice, it was not the same: cargo xtask sim --world compaction {seed}"));
        }
        total.add(&verdict.work);
        for (kind, count) in verdict.faults {
            *faults.entry(kind).or_default() += count;
        }
        if invalid > seeds.div_ceil(RUNS_PER_INVALID) {
            tally.fail(format_args!("sim: {invalid} runs did too little, against {valid} that count"));
            break;
        }
    }
    let losses = tally.failures();
    tally.check("sim: compaction: tombstones that go at once are noticed", || {
        let noticed = |seed: &u64| !simulate(*seed, Control::TombstonesGoAtOnce).violations.is_empty();
        let count = (from..from + CONTROL_SEEDS).filter(noticed).count();
        let enough = count > CONTROL_NOTICED;
        if enough { Ok(()) } else { Err(format!("only in {count} of {CONTROL_SEEDS} runs").into()) }
    });
    println!("sim: compaction: {total:?}");
    let faults: Vec<String> = faults.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    println!(
        "sim: compaction: {valid} seeds from {from} ({invalid} more did too little), {} events, {} acknowledged records, {} crashes, \
         faults: {}; {losses} losses; {:.0} s",
        total.events,
        total.durable,
        total.crashes,
        faults.join(", "),
        started.elapsed().as_secs_f64()
    );
    Ok(tally)
}

/// Counts a run, unless it is invalid.
fn judge(seed: u64, verdict: &Verdict, tally: &mut Tally) -> bool {
    if let Some(first) = verdict.violations.first() {
        tally.fail(format_args!("sim: seed {seed}: {first}: cargo xtask sim --world compaction {seed}"));
    } else if !verdict.work.is_enough() {
        return false;
    } else {
        tally.pass();
    }
    true
}
