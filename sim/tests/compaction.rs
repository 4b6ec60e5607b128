//! Compaction under crashes: many seeds that must hold, every step of one cleaning, and controls that must not hold.

use flumen_sim::compaction::{Control, Work, crash_after, run};
use flumen_sim::verdict::Work as _;

const SEEDS: u64 = 200;

/// D02, T11: the last record of each key stays, tombstones as long as they should, producers' last batches.
#[test]
fn the_last_of_each_key_survives_whatever_happens() {
    let mut total = Work::default();
    let mut counted = 0;
    for seed in 0..SEEDS {
        let verdict = run(seed, Control::None);
        assert!(verdict.violations.is_empty(), "seed {seed}: {:#?}", verdict.violations);
        counted += u64::from(verdict.work.is_enough());
        total.add(&verdict.work);
    }
    println!("{counted} runs did enough: {total:?}");
    assert!(counted > SEEDS * 9 / 10, "only {counted} of {SEEDS} runs did enough");
    assert!(total.manifests > SEEDS * 5 && total.unfinished > SEEDS / 10, "{total:?}");
    assert!(total.tombstones_gone > SEEDS / 4 && total.empty_batches > SEEDS, "{total:?}");
    assert!(total.kept_back > SEEDS && total.stopped > SEEDS / 20, "{total:?}");
}

/// Each of these once showed something: what is damaged was less than was said, or what an unfinished cleaning left was not known.
#[test]
fn seeds_that_once_found_something() {
    for seed in [156, 953, 1_409, 1_664, 1_683, 2_691, 4_544, 6_670, 7_066] {
        let verdict = run(seed, Control::NoErrors);
        assert!(verdict.violations.is_empty(), "seed {seed}: {:#?}", verdict.violations);
    }
}

/// A run that found it: the sidecar of a segment was written, late, over that of the one that had taken its place.
#[test]
fn a_late_sidecar_does_not_take_the_place_of_a_cleaned_segments() {
    let verdict = run(492, Control::NoRot);
    assert!(verdict.violations.is_empty(), "{:#?}", verdict.violations);
}

/// The power fails after each operation of a cleaning in turn.
#[test]
fn every_step_of_a_cleaning_can_be_the_last() {
    let mut total = Work::default();
    for seed in 0..2 {
        for operations in 0..300 {
            let verdict = crash_after(seed, operations, Control::None);
            assert!(verdict.violations.is_empty(), "seed {seed}, {operations}: {:#?}", verdict.violations);
            total.add(&verdict.work);
        }
    }
    println!("{total:?}");
    assert!(total.unfinished > 100, "{total:?}");
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..10 {
        assert_eq!(run(seed, Control::None), run(seed, Control::None));
    }
    assert_ne!(run(1, Control::None).trace, run(2, Control::None).trace);
}

#[test]
fn tombstones_that_go_at_once_are_found_out() {
    let found = (0..100).filter(|seed| !run(*seed, Control::TombstonesGoAtOnce).violations.is_empty()).count();
    assert!(found > 30, "only {found} of 100 runs noticed");
}

#[test]
fn a_swap_without_its_manifest_is_found_out() {
    let found = (0..400).filter(|after| !crash_after(1, *after, Control::NoManifest).violations.is_empty()).count();
    assert!(found > 5, "only {found} of 400 runs noticed");
}
