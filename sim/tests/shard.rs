//! The broker whole, under crashes and a bad network: seeds that must hold, and a control that must not.

use flumen_sim::shard::{Control, Work, crowd, run};
use flumen_sim::verdict::Work as _;

const SEEDS: u64 = 150;
/// Seeds past those that once found something.
const FOUND: [u64; 1] = [27_401_273_430_425];

#[test]
fn what_clients_were_told_holds_whatever_fails() {
    let mut total = Work::default();
    let mut counted = 0;
    for seed in 0..SEEDS {
        let verdict = run(seed, Control::None);
        assert!(verdict.violations.is_empty(), "seed {seed}: {:#?}", verdict.violations);
        counted += u64::from(verdict.work.is_enough());
        total.add(&verdict.work);
    }
    println!("{total:?}");
    assert!(counted > SEEDS * 8 / 10, "only {counted} of {SEEDS} runs did enough");
    assert!(total.acked_records > SEEDS * 100 && total.fetched_records > SEEDS * 100, "{total:?}");
    assert!(total.resent > SEEDS && total.commits > SEEDS && total.commits_read > SEEDS, "{total:?}");
    assert!(total.topics_removed > SEEDS / 10 && total.starts_moved > SEEDS / 2, "{total:?}");
    assert!(total.kills > SEEDS / 4 && total.power_failures > SEEDS && total.stops > SEEDS, "{total:?}");
    assert!(total.interrupted > SEEDS / 10 && total.amnesias > SEEDS / 10, "{total:?}");
    assert!(total.starts_retained > SEEDS / 3 && total.clock_sets > SEEDS, "{total:?}");
    assert!(total.fills > SEEDS / 3 && total.cramped > SEEDS / 30, "{total:?}");
}

#[test]
fn seeds_that_once_found_something() {
    for seed in FOUND {
        let verdict = run(seed, Control::None);
        assert!(verdict.violations.is_empty(), "seed {seed}: {:#?}", verdict.violations);
    }
}

#[test]
fn a_seed_is_a_run() {
    for seed in 0..20 {
        assert_eq!(run(seed, Control::None), run(seed, Control::None), "seed {seed}");
    }
}

#[test]
fn a_disk_that_lies_about_its_syncs_is_found_out() {
    let lost = (0..60).filter(|seed| !run(*seed, Control::LyingDisk).violations.is_empty()).count();
    assert!(lost > 10, "only {lost} of 60 runs lost something");
}

#[test]
fn every_ring_full_of_parked_fetches_still_lets_a_produce_through() {
    for seed in 0..20 {
        let crowd = crowd(seed);
        assert!(crowd.violations.is_empty(), "seed {seed}: {:#?}", crowd.violations);
        assert_eq!(crowd.parked, crowd.expected, "seed {seed}: all of them still wait");
        assert!(crowd.acked_batches >= 30, "seed {seed}: {crowd:?}");
    }
}
