//! Damage: before the durable point nothing is touched, past it what was torn is cut.

use flumen_log::Offset;
use flumen_log::compression::Codec;
use flumen_log::io::Disk;
use flumen_log::recovery::Damage;

use crate::bench::{Bench, batch_of, config, partition};

const LOG: &str = "topic-0/00000000000000000000.log";

fn flip(bench: &mut Bench, path: &str, at: u64) {
    let byte = bench.disk.read(path, at, 1).expect("there")[0];
    bench.disk.write(path, at, &[byte ^ 0x40]).expect("there");
    bench.disk.sync(path).expect("there");
}

/// Two partitions, the first with D in the middle of its log.
fn filled() -> Bench {
    let mut bench = Bench::new();
    let first = bench.create(0, config());
    let second = bench.create(1, config());
    bench.fill(first, 20);
    bench.store.set_high_watermark(first, Offset(20));
    bench.store.delete_records(first, Offset(1));
    bench.settle();
    bench.fill(first, 10);
    bench.fill(second, 10);
    bench
}

#[test]
fn damage_before_the_durable_point_takes_the_partition_offline_untouched() {
    let mut bench = filled();
    flip(&mut bench, LOG, 1000);
    let before = bench.file(LOG);
    let mut bench = bench.after_power_loss();
    assert!(matches!(bench.report.offline[..], [(found, Damage::Bytes { .. })] if found == partition(0)), "{:?}", bench.report);
    assert!(bench.report.unclaimed_entries > 0, "what the journal has of it is kept");
    assert_eq!(bench.file(LOG)[..5000], before[..5000], "nothing is cut or mended");
    let slot = bench.store.slot_of(partition(0)).expect("there");
    assert!(bench.store.view(slot).expect("there").is_offline());
    assert!(bench.try_append(slot, batch_of(&[(1, 1)], Codec::None)).is_err());
    let other = bench.slot(1);
    assert_eq!(bench.store.view(other).expect("there").log_end(), Offset(10), "the others go on");
    bench.fill(other, 50);
    // Mended by hand, it takes up what was kept for it, though the journal is long overwritten.
    flip(&mut bench, LOG, 1000);
    let mut bench = bench.after_power_loss();
    let slot = bench.slot(0);
    assert_eq!(bench.store.view(slot).expect("there").log_end(), Offset(30));
    assert_eq!(bench.report.unclaimed_entries, 0);
}

#[test]
fn damage_past_the_durable_point_is_repaired_from_the_journal() {
    let mut bench = filled();
    let slot = bench.slot(0);
    let whole = bench.read_all(slot);
    let length = bench.file(LOG).len() as u64;
    flip(&mut bench, LOG, length - 100);
    let mut bench = bench.after_kill();
    let slot = bench.slot(0);
    assert!(bench.read_all(slot) == whole);
    assert!(bench.report.offline.is_empty());
}

/// D07: a torn tail that nobody was promised is cut, kept in quarantine, and never served.
#[test]
fn a_torn_tail_is_cut_and_kept_aside() {
    let mut bench = filled();
    let length = bench.file(LOG).len() as u64;
    bench.disk.write(LOG, length, &[1, 2, 3, 4, 5]).expect("there");
    bench.disk.sync(LOG).expect("there");
    let bench = bench.after_kill();
    assert_eq!(bench.file(LOG).len() as u64, length);
    assert_eq!((bench.report.cut_bytes, bench.report.quarantined_bytes), (5, 5));
    assert!(bench.names().iter().any(|name| name.starts_with("quarantine/topic-0-0-")));
}

/// A frame that had been written and is bad: reported, and the segment has what it held.
#[test]
fn a_bad_frame_in_the_middle_of_the_journal_is_reported_and_made_good() {
    let mut bench = filled();
    let slot = bench.slot(0);
    let whole = bench.read_all(slot);
    // The frame of an append past D that is not the last.
    let journal = bench.file("journal/00000-00000.journal");
    let frames: Vec<usize> = (4096..journal.len()).step_by(4096).filter(|at| journal[*at..].starts_with(b"flumenJF")).collect();
    let bad = frames[frames.len() - 15] as u64;
    flip(&mut bench, "journal/00000-00000.journal", bad + 80);
    let mut bench = bench.after_kill();
    assert_eq!(bench.report.corrupt_frames, 1);
    let slot = bench.slot(0);
    assert!(bench.read_all(slot) == whole, "taken from the segment");
    assert!(bench.report.suspect_tails.is_empty());
}

#[test]
fn a_gap_that_nothing_fills_is_a_suspect_tail() {
    let mut bench = filled();
    let journal = bench.file("journal/00000-00000.journal");
    let frames: Vec<usize> = (4096..journal.len()).step_by(4096).filter(|at| journal[*at..].starts_with(b"flumenJF")).collect();
    // The appends to the first partition past D; the segment loses them too.
    flip(&mut bench, "journal/00000-00000.journal", frames[frames.len() - 15] as u64 + 80);
    let length = bench.file(LOG).len() as u64;
    bench.disk.truncate(LOG, length * 21 / 30).expect("there");
    bench.disk.sync(LOG).expect("there");
    let mut bench = bench.after_kill();
    assert_eq!(bench.report.suspect_tails, [partition(0)]);
    let slot = bench.slot(0);
    assert_eq!(bench.store.view(slot).expect("there").log_end(), Offset(25), "up to the gap it serves");
}

#[test]
fn one_bad_copy_of_the_state_is_nothing_and_two_are_rebuilt() {
    let bench = filled();
    let mut bench = bench.after_stop();
    let state = "topic-0/partition.state";
    flip(&mut bench, state, 100);
    let mut bench = bench.after_kill();
    assert!(bench.report.states_rebuilt.is_empty());
    flip(&mut bench, state, 100 + 4096);
    flip(&mut bench, state, 100);
    flip(&mut bench, state, 200);
    let mut bench = bench.after_kill();
    assert_eq!(bench.report.states_rebuilt, [partition(0)]);
    let slot = bench.slot(0);
    assert_eq!(bench.store.view(slot).expect("there").log_end(), Offset(30));
    bench.fill(slot, 1);
    let mut bench = bench.after_power_loss();
    assert!(bench.report.states_rebuilt.is_empty(), "it was recorded anew");
    let slot = bench.slot(0);
    assert_eq!(bench.store.view(slot).expect("there").log_end(), Offset(31));
}

#[test]
fn a_directory_that_does_not_say_whose_it_is_is_left_alone() {
    let mut bench = filled();
    for file in ["topic-0/partition.state", "topic-0/partition.metadata"] {
        bench.disk.unlink(file).expect("there");
    }
    bench.disk.sync_directory("topic-0").expect("there");
    let before = bench.file(LOG);
    let mut bench = bench.after_kill();
    assert_eq!(bench.report.unknown_directories, ["topic-0"]);
    assert!(bench.report.unclaimed_entries > 0);
    bench.store.create(partition(0), "topic", config(), &mut bench.io);
    bench.settle();
    assert!(bench.store.slot_of(partition(0)).is_none(), "its name is taken");
    assert_eq!(bench.file(LOG), before);
}

#[test]
fn recovery_twice_is_recovery_once() {
    let bench = filled().after_kill();
    let once = bench.disk.contents("topic-0");
    let bench = bench.after_kill();
    let logs = |contents: Vec<(String, Vec<u8>)>| -> Vec<_> {
        contents.into_iter().filter(|(name, _)| name.ends_with(".log")).collect()
    };
    assert_eq!(logs(once), logs(bench.disk.contents("topic-0")));
}
