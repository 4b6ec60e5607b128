//! One seeded script of file operations and of recovery's calls, on the simulated disk and on the real one: every outcome and, after
//! every part, every file must be the same. What the simulator proves about the log holds for real files as far as this does.
//!
//! The script is made while it runs on the simulated disk, so that it can use what was opened; then it is repeated on the reactor
//! and on [`flumen_reactor::BlockingDisk`]. Operations outstanding together do not touch one another's files, for what the kernel
//! would make of that is not promised by either.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../harness/mod.rs"]
mod harness;
mod make;
mod real;
mod script;

use flumen_sim::{disk::SimDisk, random::Random};
use script::{Part, contents};

const SEEDS: u64 = 60;
const PARTS: u64 = 4;

#[test]
fn the_simulated_disk_and_the_real_one_answer_alike() {
    let mut counts = std::collections::BTreeMap::new();
    for seed in 0..SEEDS {
        // Beside the build, where the file system takes direct writes.
        let home = tempfile::Builder::new().tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut random = Random::new(seed);
        let mut disk = SimDisk::new();
        for part in 0..PARTS {
            let part_made =
                if part % 2 == 0 { make::rounds(&mut disk, &mut random) } else { make::calls(&mut disk, &mut random) };
            for (name, told) in part_made.kinds() {
                *counts.entry((name, told)).or_insert(0) += 1;
            }
            let place = format!("seed {seed}, part {part}");
            match part_made {
                Part::Rounds(rounds) => real::rounds(home.path(), rounds, &place),
                Part::Calls(calls) => real::calls(home.path(), &calls, &place),
            }
            let simulated = contents(&mut disk, "");
            assert_eq!(real::contents(home.path()), simulated, "{place}: the files differ");
            assert!(!simulated.is_empty(), "{place}: nothing was written");
        }
    }
    println!("{counts:#?}");
    for kind in script::KINDS {
        assert!(counts.get(&(kind, true)).is_some_and(|count| *count > 20), "too little of {kind}: {counts:#?}");
    }
    let refused: usize = counts.iter().filter(|((_, done), _)| !done).map(|(_, count)| count).sum();
    assert!(refused > 200, "too few operations were refused: {counts:#?}");
}
