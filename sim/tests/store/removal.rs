//! Partitions that go, and their names used again.

use flumen_log::compression::Codec;
use flumen_log::io::{Disk, FileOperation, IoError};
use flumen_log::recovery::{RecoverySettings, recover};
use flumen_log::store::Output;
use flumen_log::{Monotonic, Now, Offset, Timestamp, TopicId, TopicPartition};
use flumen_sim::random::Random;

use crate::bench::{Bench, JOURNAL_FILE_BYTES, batch_of, config, partition};
use crate::damage::flip;

/// What the directory of the first partition is called once that is removed.
fn renamed() -> String {
    format!("topic-0.{}-delete", "05".repeat(16))
}

#[test]
fn a_removed_partition_is_renamed_at_once_and_emptied_later() {
    let mut bench = Bench::new();
    let slot = bench.create(0, config());
    bench.fill(slot, 100);
    bench.store.remove(slot);
    bench.settle();
    assert!(bench.outputs.iter().any(|output| matches!(output, Output::Removed { partition: gone } if *gone == partition(0))));
    let renamed = format!("{}/", renamed());
    assert!(bench.names().iter().all(|name| !name.starts_with("topic-0/")));
    assert!(bench.names().iter().any(|name| name.starts_with(&renamed) && name.ends_with(".log")));
    bench.tick_after(61_000);
    let left: Vec<_> = bench.names().into_iter().filter(|name| name.starts_with(&renamed)).collect();
    assert_eq!(left, [format!("{renamed}partition.state")], "the state stays while the journal has entries");
    // The journal goes round.
    let other = bench.create(1, config());
    for number in 0..JOURNAL_FILE_BYTES * 4 / 3000 {
        bench.append(other, batch_of(&[(number as i64, 3000)], Codec::None));
    }
    bench.tick_after(2000);
    assert!(bench.names().iter().all(|name| !name.starts_with(&renamed)), "{:?}", bench.names());
}

#[test]
fn entries_of_a_removed_partition_do_not_come_back_nor_are_they_kept() {
    let mut bench = Bench::new();
    let slot = bench.create(0, config());
    bench.fill(slot, 10);
    bench.store.remove(slot);
    bench.settle();
    let bench = bench.after_power_loss();
    assert!(bench.store.slot_of(partition(0)).is_none());
    assert_eq!(bench.report.unclaimed_entries, 0);
    assert!(bench.names().iter().all(|name| !name.contains("-delete")), "start-up buries what is left");
}

#[test]
fn the_name_of_a_removed_partition_can_be_used_again_at_once() {
    let mut bench = Bench::new();
    let slot = bench.create(0, config());
    bench.fill(slot, 10);
    bench.store.remove(slot);
    let successor = TopicPartition { topic: TopicId([6; 16]), ..partition(0) };
    let slot = bench.store.create(successor, "topic", config(), &mut bench.io);
    bench.settle();
    let view = bench.store.view(slot).expect("made");
    assert!(view.is_ready());
    assert_eq!(view.next_offset(), Offset(0));
    bench.append(slot, batch_of(&[(1, 10)], Codec::None));
    let bench = bench.after_power_loss();
    let slot = bench.store.slot_of(successor).expect("there");
    assert_eq!(bench.store.view(slot).expect("there").log_end(), Offset(1));
}

#[test]
fn a_failed_store_says_at_once_that_nothing_is_made_or_removed_any_more() {
    let mut bench = Bench::new();
    let slot = bench.create(0, config());
    let removed = bench.create(1, config());
    bench.fill(slot, 1);
    // Both are under way when the disk breaks.
    bench.store.remove(removed);
    let under_way = bench.store.create(partition(2), "topic", config(), &mut bench.io);
    bench.disk.faults.broken = true;
    bench.try_append(slot, batch_of(&[(1, 100)], Codec::None)).expect("taken");
    bench.settle();
    let late = bench.store.create(partition(3), "topic", config(), &mut bench.io);
    bench.store.remove(slot);
    bench.end_turn();
    let created = |slot| move |output: &&Output| matches!(output, Output::Created { slot: of, result: Err(_) } if *of == slot);
    for slot in [under_way, late] {
        assert_eq!(bench.outputs.iter().filter(created(slot)).count(), 1, "{:?}", bench.outputs);
    }
    for number in [0, 1] {
        let gone = |output: &&Output| matches!(output, Output::Removed { partition: gone } if *gone == partition(number));
        assert_eq!(bench.outputs.iter().filter(gone).count(), 1, "{:?}", bench.outputs);
    }
    // What was told stays told once.
    bench.outputs.clear();
    bench.settle();
    assert!(bench.outputs.is_empty(), "{:?}", bench.outputs);
}

#[test]
fn a_name_held_by_a_log_of_an_unknown_topic_is_refused_and_not_waited_for() {
    let mut bench = Bench::new();
    let slot = bench.create(0, config());
    bench.fill(slot, 3);
    let mut bench = bench.after_power_loss();
    let successor = TopicPartition { topic: TopicId([6; 16]), ..partition(0) };
    let slot = bench.store.create(successor, "topic", config(), &mut bench.io);
    bench.settle();
    assert!(matches!(bench.outputs[..], [Output::Created { slot: of, result: Err(_) }] if of == slot), "{:?}", bench.outputs);
    let old = bench.slot(0);
    assert_eq!(bench.store.view(old).expect("untouched").log_end(), Offset(3));
}

/// The mark of a removal whose sync failed reads back and is not on disk: a start that believes it writes it again before anything
/// goes, or a power failure would leave a log with holes.
#[test]
fn a_mark_whose_sync_failed_is_written_again_before_anything_goes() {
    for seed in 0..4 {
        for changes in 0..30 {
            let mut bench = Bench::new();
            let slot = bench.create(0, config());
            bench.fill(slot, 100);
            bench.random = Random::new(seed);
            bench.store.remove(slot);
            bench.end_turn();
            bench.complete_if(|operation| !matches!(operation, FileOperation::Sync { .. }));
            bench.disk.faults.rates.sync_error = 1;
            bench.complete_if(|_| true);
            bench.disk.faults.rates.sync_error = 0;
            assert!(bench.store.has_failed());
            let Bench { mut disk, mut random, .. } = bench;
            disk.crash_process(&mut random);
            disk.faults.changes_left = Some((changes, IoError::INPUT_OUTPUT));
            let settings = RecoverySettings {
                journal_id: [1; 16],
                journal_file_bytes: JOURNAL_FILE_BYTES,
                quarantine_bytes: 1 << 20,
                index_interval_bytes: 1000,
            };
            let now = Now { monotonic: Monotonic(1), wall: Timestamp(1_000_000) };
            let _ = recover(&mut disk, 1, &settings, now);
            disk.crash_power(&mut random);
            let bench = Bench::over(disk);
            assert!(bench.report.damaged.is_empty(), "seed {seed}, {changes} changes: {:?}", bench.report);
        }
    }
}

/// Only what the broker itself has removed is buried. What people call much the same is theirs.
#[test]
fn a_directory_that_was_set_aside_under_such_a_name_is_left_alone() {
    let renamed = renamed();
    for name in ["topic-0-delete", "keep.topic-0-delete", renamed.as_str()] {
        let mut bench = Bench::new();
        let slot = bench.create(0, config());
        bench.fill(slot, 10);
        let mut bench = bench.after_stop();
        bench.disk.rename("topic-0", name).expect("there");
        bench.disk.create_directory("other-delete").expect("room");
        bench.disk.create_directory("other-delete/inside").expect("room");
        let kept = bench.disk.contents(name);
        assert!(kept.iter().any(|(name, bytes)| name.ends_with(".log") && !bytes.is_empty()));
        let bench = bench.after_kill();
        assert!(bench.disk.contents(name) == kept, "{name}");
        let told: &[String] = if name == renamed { core::slice::from_ref(&renamed) } else { &[] };
        assert_eq!(bench.report.unknown_directories, told, "its state does not say that it was removed");
    }
}

/// Of a log that is lost with its directory and made anew nothing goes that was kept of it.
#[test]
fn entries_of_a_log_that_was_made_anew_stay_in_quarantine() {
    let mut bench = Bench::new();
    let slot = bench.create(0, config());
    bench.fill(slot, 10);
    for (name, _) in bench.disk.contents("topic-0") {
        bench.disk.unlink(&name).expect("there");
    }
    bench.disk.remove_directory("topic-0").expect("empty");
    bench.disk.sync_directory("").expect("there");
    let mut bench = bench.after_power_loss();
    let kept = bench.report.unclaimed_entries;
    assert!(kept > 0);
    let slot = bench.create(0, config());
    bench.begin_epoch(slot, 7);
    for batches in [1, 20] {
        let slot = bench.slot(0);
        bench.fill(slot, batches);
        let end = bench.store.view(slot).expect("there").log_end();
        for _ in 0..2 {
            bench = bench.after_power_loss();
            assert_eq!(bench.report.unclaimed_entries, kept, "{:?}", bench.report);
            let slot = bench.slot(0);
            assert_eq!(bench.store.view(slot).expect("there").log_end(), end);
        }
        bench.begin_epoch(slot, 8);
    }
}

/// A removed partition's directory in which something is left that the run did not know of goes at the next start, unless it is
/// somebody's own.
#[test]
fn what_a_burial_leaves_goes_at_the_next_start() {
    let renamed = renamed();
    for foreign in [false, true] {
        let mut bench = Bench::new();
        let slot = bench.create(0, config());
        bench.fill(slot, 10);
        bench.store.remove(slot);
        bench.settle();
        bench.disk.write(&format!("{renamed}/00000000000000000000.checks.7.cleaned"), 0, &[7; 10]).expect("room");
        if foreign {
            bench.disk.create_directory(&format!("{renamed}/mine")).expect("room");
        }
        bench.disk.unlink(&format!("{renamed}/partition.state")).expect("there");
        bench.disk.unlink(&format!("{renamed}/00000000000000000000.log")).expect("there");
        let bench = bench.after_kill();
        assert_eq!(bench.report.unknown_directories.len(), usize::from(foreign));
        assert_eq!(bench.names().iter().any(|name| name.starts_with(&renamed)), foreign);
    }
}

/// A partition has two copies of its state from the first moment on: either is enough to know whose the journal's entries are.
#[test]
fn a_young_partition_outlives_one_copy_of_its_state() {
    for copy in [0, 4096] {
        let mut bench = Bench::new();
        let slot = bench.create(0, config());
        bench.append(slot, batch_of(&[(1, 10)], Codec::None));
        flip(&mut bench, "topic-0/partition.state", copy + 100);
        let mut bench = bench.after_power_loss();
        let slot = bench.slot(0);
        assert_eq!(bench.store.view(slot).expect("there").log_end(), Offset(1), "without the copy at {copy}");
        assert_eq!(bench.report.unclaimed_entries, 0);
    }
}
