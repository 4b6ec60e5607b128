//! The broker whole, under crashes and a bad network: many seeds that must hold, and a control that must not.

use flumen_sim::shard::{Control, run, run_aloud};

/// One seed with all it did, for whoever looks into it: `SEED=7 cargo test -p flumen-sim --test shard one -- --nocapture`.
#[test]
fn one_seed_shown() {
    let Some(seed) = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()) else { return };
    let verdict = run_aloud(seed, Control::None, &mut |line| println!("{line}"));
    println!("{verdict:#?}");
    assert!(verdict.violations.is_empty());
}

#[test]
fn many() {
    let from: u64 = std::env::var("FROM").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0);
    let seeds: u64 = std::env::var("SEEDS").ok().and_then(|seed| seed.parse().ok()).unwrap_or(50);
    let mut bad = 0;
    for seed in from..from + seeds {
        let verdict = std::panic::catch_unwind(|| run(seed, Control::None));
        match verdict {
            Err(_) => println!("seed {seed} panicked"),
            Ok(verdict) if !verdict.violations.is_empty() => { bad += 1; println!("seed {seed}: {}", verdict.violations[0].chars().take(500).collect::<String>()) }
            Ok(verdict) => println!("seed {seed} ok {} {:?}", verdict.work.counts(), verdict.work),
        }
    }
    println!("{bad} bad");
}
