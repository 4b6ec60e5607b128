//! The log under crashes: many seeds that must hold, and controls that must not.

use flumen_sim::log::{Control, Work, run};

const SEEDS: u64 = 1000;

fn add(total: &mut Work, work: Work) {
    total.appends += work.appends;
    total.durable += work.durable;
    total.crashes += work.crashes;
    total.stops += work.stops;
    total.recoveries += work.recoveries;
    total.interrupted += work.interrupted;
    total.replayed += work.replayed;
    total.slices += work.slices;
    total.removed += work.removed;
    total.starts_moved += work.starts_moved;
}

/// D07: nothing durable is lost, nothing torn is served, whatever the moment of the crash.
#[test]
fn what_was_called_durable_survives_any_crash() {
    let mut total = Work::default();
    let (mut valid, mut invalid) = (0, 0);
    for seed in 0.. {
        let verdict = run(seed, Control::None);
        assert!(verdict.violations.is_empty(), "seed {seed}: {:#?}", verdict.violations);
        // A run that did too little proves nothing: the next seed takes its place.
        if verdict.work.appends < 20 {
            invalid += 1;
            continue;
        }
        add(&mut total, verdict.work);
        valid += 1;
        if valid == SEEDS {
            break;
        }
    }
    assert!(invalid < SEEDS / 100, "{invalid} runs did too little");
    println!("{total:?}");
    assert!(total.replayed > SEEDS, "{total:?}");
    assert!(total.interrupted > SEEDS / 10 && total.stops > SEEDS / 10, "{total:?}");
    assert!(total.removed > SEEDS / 4, "{total:?}");
    assert!(total.starts_moved > SEEDS / 4, "{total:?}");
}

#[test]
fn an_early_acknowledgement_is_found_out() {
    let lost = (0..200).filter(|seed| !run(*seed, Control::EarlyAck).violations.is_empty()).count();
    assert!(lost > 50, "only {lost} of 200 runs lost something");
}

#[test]
fn a_recovery_without_the_journal_is_found_out() {
    let lost = (0..200).filter(|seed| !run(*seed, Control::NoReplay).violations.is_empty()).count();
    assert!(lost > 50, "only {lost} of 200 runs lost something");
}
