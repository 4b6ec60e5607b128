//! The log under crashes and a failing disk: many seeds that must hold, seeds that once found something, and controls that must
//! not hold.

use flumen_sim::log::{Control, Work, run};
use flumen_sim::verdict::Work as _;

const SEEDS: u64 = 1000;
/// Seeds past those that once found something.
const FOUND: [u64; 22] = [
    1_108, 7_865, 9_671, 14_447, 14_617, 15_124, 17_231, 25_434, 27_773, 33_743, 52_695, 55_605, 81_156, 85_791, 97_696, 99_896,
    110_381, 111_866, 135_402, 1_075_821, 1_083_209, 2_068_382,
];

/// D07: nothing durable is lost, nothing torn is served, whatever fails and whatever the moment of the crash.
#[test]
fn what_was_called_durable_survives_any_crash() {
    let mut total = Work::default();
    let (mut valid, mut invalid) = (0, 0);
    for seed in 0.. {
        let verdict = run(seed, Control::None);
        assert!(verdict.violations.is_empty(), "seed {seed}: {:#?}", verdict.violations);
        // A run that did too little proves nothing: the next seed takes its place.
        if !verdict.work.is_enough() {
            invalid += 1;
            continue;
        }
        total.add(&verdict.work);
        valid += 1;
        if valid == SEEDS {
            break;
        }
    }
    println!("{total:?}");
    // A directory that fails early ends a run: a sync that finds no room and a creation that meets a bad disk fail it, too.
    assert!(invalid < SEEDS / 50, "{invalid} runs did too little");
    assert!(total.replayed > SEEDS, "{total:?}");
    assert!(total.interrupted > SEEDS / 10 && total.stops > SEEDS / 10, "{total:?}");
    assert!(total.removed > SEEDS / 4, "{total:?}");
    assert!(total.starts_moved > SEEDS / 4, "{total:?}");
    assert!(total.failed_directories > SEEDS / 4, "{total:?}");
    assert!(total.duplicates > SEEDS, "{total:?}");
}

/// Each of these once showed something: a fault of the machines, or of what is expected of them.
#[test]
fn seeds_that_once_found_something() {
    for seed in FOUND {
        let verdict = run(seed, Control::None);
        assert!(verdict.violations.is_empty(), "seed {seed}: {:#?}", verdict.violations);
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..20 {
        assert_eq!(run(seed, Control::None), run(seed, Control::None));
    }
    assert_ne!(run(1, Control::None).trace, run(2, Control::None).trace);
}

#[test]
fn an_early_acknowledgement_is_found_out() {
    noticed(Control::EarlyAck, 200, 50);
}

#[test]
fn a_recovery_without_the_journal_is_found_out() {
    noticed(Control::NoReplay, 200, 50);
}

/// A process that starts before all writes of a dead one are done finds them among its own.
#[test]
fn a_start_that_waits_for_no_lock_is_found_out() {
    noticed(Control::IgnoredLock, 400, 4);
}

fn noticed(control: Control, runs: u64, least: usize) {
    let count = (0..runs).filter(|seed| !run(*seed, control).violations.is_empty()).count();
    assert!(count > least, "only {count} of {runs} runs noticed {control:?}");
}
