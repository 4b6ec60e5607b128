//! When something is durable, visible, refused.

use flumen_log::Offset;
use flumen_log::compression::Codec;
use flumen_log::io::{FileOperation, IoError, Operation};
use flumen_log::recovery::{RecoverySettings, recover};
use flumen_log::store::{AppendError, Durability, LogConfig, Output};
use flumen_sim::random::Random;

use crate::bench::{Bench, JOURNAL_FILE_BYTES, STATE, batch_from, batch_of, config, is_journal_write, partition};

#[test]
fn an_append_is_durable_when_its_journal_write_completes_and_not_before() {
    let mut bench = Bench::new();
    let slot = bench.create(0, config());
    bench.fill(slot, 1);
    let appended = bench.try_append(slot, batch_of(&[(1, 100)], Codec::None)).expect("taken");
    assert_eq!(appended.base_offset, Offset(1));
    bench.end_turn();
    bench.complete_if(|operation| !is_journal_write(operation));
    let view = bench.store.view(slot).expect("there");
    assert_eq!((view.log_end(), view.durable().get()), (Offset(2), Offset(1)), "visible, not durable");
    bench.outputs.clear();
    bench.complete_if(is_journal_write);
    assert_eq!(bench.store.view(slot).expect("there").durable().get(), Offset(2));
    assert!(matches!(bench.outputs[..], [Output::Advanced { slot: moved }] if moved == slot), "{:?}", bench.outputs);
}

#[test]
fn durable_never_passes_the_log_end() {
    let mut bench = Bench::new();
    let slot = bench.create(0, config());
    bench.try_append(slot, batch_of(&[(1, 100)], Codec::None)).expect("taken");
    bench.end_turn();
    bench.complete_if(is_journal_write);
    let view = bench.store.view(slot).expect("there");
    assert_eq!((view.log_end(), view.durable().get()), (Offset(0), Offset(0)), "the segment is not even open");
    bench.settle();
    assert_eq!(bench.store.view(slot).expect("there").durable().get(), Offset(1));
}

#[test]
fn a_turn_of_many_partitions_is_one_journal_write() {
    let mut bench = Bench::new();
    let slots: Vec<_> = (0..20).map(|number| bench.create(number, config())).collect();
    for slot in &slots {
        bench.append(*slot, batch_of(&[(1, 100)], Codec::None));
    }
    for slot in &slots {
        bench.try_append(*slot, batch_of(&[(1, 100)], Codec::None)).expect("taken");
    }
    let mut writes = 0;
    bench.store.end_turn(bench.now, &mut bench.io, &mut bench.outputs);
    for operation in bench.io.drain() {
        writes += usize::from(is_journal_write(&operation.kind));
        bench.disk.submit(operation, &mut bench.random);
    }
    assert_eq!(writes, 1);
    bench.settle();
    assert!(slots.iter().all(|slot| bench.store.view(*slot).expect("there").durable().get() == Offset(2)));
}

#[test]
fn a_failed_write_fails_the_directory_and_nothing_is_retried() {
    let mut bench = Bench::new();
    let slot = bench.create(0, config());
    bench.fill(slot, 1);
    bench.disk.faults.broken = true;
    bench.try_append(slot, batch_of(&[(1, 100)], Codec::None)).expect("taken");
    bench.settle();
    let told = bench.outputs.iter().filter(|output| matches!(output, Output::DirectoryFailed { .. })).count();
    assert_eq!(told, 1);
    bench.disk.faults.broken = false;
    bench.settle();
    let view = bench.store.view(slot).expect("there");
    assert!(view.is_offline() && view.durable().get() == Offset(1));
    assert_eq!(bench.try_append(slot, batch_of(&[(1, 1)], Codec::None)), Err(AppendError::DirectoryFailed));
}

#[test]
fn no_append_is_taken_below_the_free_space_floor() {
    let mut bench = Bench::new();
    let slot = bench.create(0, config());
    bench.disk.faults.free_bytes = Some(1000);
    bench.tick_after(2000);
    assert_eq!(bench.try_append(slot, batch_of(&[(1, 1)], Codec::None)), Err(AppendError::NoSpace));
    bench.disk.faults.free_bytes = None;
    bench.tick_after(2000);
    bench.append(slot, batch_of(&[(1, 1)], Codec::None));
}

#[test]
fn a_file_system_without_a_size_is_not_taken_for_a_full_one() {
    let mut bench = Bench::new();
    let slot = bench.create(0, config());
    bench.disk.faults.sizeless = true;
    bench.tick_after(2000);
    bench.append(slot, batch_of(&[(1, 1)], Codec::None));
    assert_eq!(bench.store.space(), None);
}

#[test]
fn a_full_journal_holds_appends_back_until_the_segments_are_synced() {
    let mut bench = Bench::new();
    let slot = bench.create(0, LogConfig { segment_bytes: 1 << 20, ..config() });
    // Syncs do not complete: no journal file can be used again.
    let is_sync = |operation: &FileOperation| matches!(operation, FileOperation::Sync { .. });
    let mut appended = 0;
    while !bench.store.is_congested() {
        bench.try_append(slot, batch_of(&[(1, 4000)], Codec::None)).expect("taken");
        appended += 1;
        bench.end_turn();
        bench.complete_if(|operation| !is_sync(operation));
        assert!(appended < 1000, "the journal takes for ever");
    }
    assert!(bench.store.view(slot).expect("there").durable().get() < Offset(appended));
    bench.store.tick(bench.now, &mut bench.io, &mut bench.outputs);
    assert!(bench.store.next_deadline().is_some_and(|due| due > bench.now.monotonic), "nothing is to be done at once");
    bench.settle();
    assert!(!bench.store.is_congested());
    assert_eq!(bench.store.view(slot).expect("there").durable().get(), Offset(appended));
}

#[test]
fn the_journal_goes_round_many_times() {
    let mut bench = Bench::new();
    let slot = bench.create(0, config());
    for number in 0..600 {
        bench.append(slot, batch_of(&[(number, 3000)], Codec::None));
    }
    let journal = bench.names().into_iter().filter(|name| name.starts_with("journal/")).count();
    assert!(journal <= 3, "{journal} files");
    let whole = bench.read_all(slot);
    let mut bench = bench.after_power_loss();
    let slot = bench.slot(0);
    assert!(bench.read_all(slot) == whole);
    assert_eq!(bench.report.corrupt_frames, 0);
}

#[test]
fn what_was_promised_on_a_topic_outside_the_journal_is_the_page_cache() {
    let mut bench = Bench::new();
    let slot = bench.create(0, LogConfig { durability: Durability::Replicated, ..config() });
    bench.fill(slot, 5);
    let view = bench.store.view(slot).expect("there");
    assert_eq!((view.log_end(), view.durable().get()), (Offset(5), Offset(0)));
    let mut bench = bench.after_kill();
    let slot = bench.slot(0);
    assert_eq!(bench.store.view(slot).expect("there").log_end(), Offset(5), "it survives the process");
}

#[test]
fn a_change_of_durability_is_in_force_when_the_log_is_durable() {
    let mut bench = Bench::new();
    let slot = bench.create(0, LogConfig { durability: Durability::Replicated, ..config() });
    bench.fill(slot, 5);
    bench.store.configure(slot, config());
    assert_eq!(bench.store.view(slot).expect("there").durability(), Durability::Replicated);
    bench.settle();
    let view = bench.store.view(slot).expect("there");
    assert_eq!((view.durability(), view.durable().get()), (Durability::Journaled, Offset(5)));
    bench.fill(slot, 1);
    let bench = bench.after_power_loss();
    let slot = bench.store.slot_of(partition(0)).expect("there");
    assert_eq!(bench.store.view(slot).expect("there").log_end(), Offset(6));
}

#[test]
fn the_window_of_a_producer_survives_a_stop_and_a_crash() {
    let mut bench = Bench::new();
    let slot = bench.create(0, config());
    for sequence in 0..7 {
        bench.append(slot, batch_from(9, sequence));
    }
    for clean in [true, false, true] {
        bench = if clean { bench.after_stop() } else { bench.after_power_loss() };
        let slot = bench.slot(0);
        let again = bench.try_append(slot, batch_from(9, 3)).expect("within the window");
        assert!(again.duplicate && again.base_offset == Offset(3), "{again:?}");
        assert!(matches!(bench.try_append(slot, batch_from(9, 9)), Err(AppendError::Sequence(_))), "a gap");
    }
}

#[test]
fn a_clean_stop_is_known_at_the_next_start_and_only_then() {
    let mut bench = Bench::new();
    let slot = bench.create(0, config());
    bench.fill(slot, 100);
    let whole = bench.read_all(slot);
    let mut bench = bench.after_stop();
    assert!(bench.report.clean);
    let slot = bench.slot(0);
    assert!(bench.read_all(slot) == whole);
    let bench = bench.after_kill();
    assert!(!bench.report.clean, "the mark of the stop before does not count");
}

#[test]
fn what_a_failed_sync_left_clean_is_written_again_outside_the_journal_too() {
    for seed in 0..20 {
        let mut bench = Bench::new();
        bench.random = Random::new(seed);
        let slot = bench.create(0, LogConfig { durability: Durability::Replicated, ..config() });
        bench.fill(slot, 20);
        bench.store.set_high_watermark(slot, Offset(20));
        bench.disk.faults.rates.sync_error = 1;
        // A checkpoint: its sync fails, and the directory with it.
        bench.store.delete_records(slot, Offset(1));
        bench.settle();
        bench.disk.faults.rates.sync_error = 0;
        let mut bench = bench.after_kill();
        let slot = bench.store.slot_of(partition(0)).expect("there");
        let whole = bench.read_all(slot);
        let mut bench = bench.after_power_loss();
        assert!(bench.report.damaged.is_empty(), "seed {seed}: {:?}", bench.report);
        let slot = bench.store.slot_of(partition(0)).expect("there");
        assert!(bench.read_all(slot) == whole, "seed {seed}: what was recovered stays");
    }
}

#[test]
fn an_empty_partition_takes_little_room() {
    let mut bench = Bench::new();
    bench.create(0, config());
    let contents = bench.disk.contents("topic-0");
    assert!(contents.iter().map(|(_, content)| content.len()).sum::<usize>() < 64 << 10);
}

#[test]
fn a_batch_larger_than_a_journal_file_is_taken_when_a_file_for_it_is_made() {
    let mut bench = Bench::new();
    let slot = bench.create(0, LogConfig { segment_bytes: 4 << 20, ..config() });
    bench.fill(slot, 3);
    let large = || batch_of(&[(1, 2 * JOURNAL_FILE_BYTES as usize)], Codec::None);
    assert_eq!(bench.try_append(slot, large()), Err(AppendError::JournalGrows));
    bench.settle();
    bench.append(slot, large());
    let view = bench.store.view(slot).expect("there");
    assert_eq!(view.durable().get(), Offset(4));
    // Small ones and large ones, round and round: the files that are too small are passed over, and used again.
    for round in 0..30 {
        for _ in 0..round % 7 {
            bench.append(slot, batch_of(&[(1, 60_000)], Codec::None));
        }
        bench.append(slot, large());
        let view = bench.store.view(slot).expect("there");
        assert_eq!(view.durable().get(), view.log_end());
    }
    let journal: usize = bench.disk.contents("journal").iter().map(|(_, content)| content.len()).sum();
    assert!(journal < 6 * JOURNAL_FILE_BYTES as usize, "one file more than the journal may have: {journal}");
    let whole = bench.read_all(slot);
    let mut bench = bench.after_power_loss();
    assert_eq!((bench.report.corrupt_frames, bench.report.unclaimed_entries), (0, 0));
    let slot = bench.slot(0);
    assert!(bench.read_all(slot) == whole);
    // The next start has files of the usual size again, and makes a large one when it is wanted.
    bench.store.configure(slot, LogConfig { segment_bytes: 4 << 20, ..config() });
    assert_eq!(bench.try_append(slot, large()), Err(AppendError::JournalGrows));
    bench.settle();
    bench.append(slot, large());
}

#[test]
fn a_snapshot_is_not_removed_while_it_is_being_written() {
    let mut bench = Bench::new();
    let slot = bench.create(0, config());
    // One turn fills more segments than snapshots are kept.
    for number in 0..6 {
        bench.try_append(slot, batch_of(&[(number, 15_000)], Codec::None)).expect("taken");
    }
    bench.store.end_turn(bench.now, &mut bench.io, &mut bench.outputs);
    let operations: Vec<_> = bench.io.drain().collect();
    let is_snapshot = |path: &String| path.ends_with(".snapshot");
    let written: Vec<&String> = operations
        .iter()
        .filter_map(|operation| match &operation.kind {
            FileOperation::Open { path, .. } => Some(path).filter(|path| is_snapshot(path)),
            _ => None,
        })
        .collect();
    let removed = |operation: &Operation| matches!(&operation.kind, FileOperation::Unlink { path } if written.contains(&path));
    assert!(!operations.iter().any(removed), "which of the two came last nobody would know");
    assert!(!written.is_empty(), "there is something to remove");
    for operation in operations {
        bench.disk.submit(operation, &mut bench.random);
    }
    bench.settle();
    assert_eq!(bench.names().iter().filter(|name| is_snapshot(name)).count(), 2);
}

/// A partition's state was written, its sync failed, and the process died: the next one finds it in the page cache, builds on it,
/// and must have brought it to the disk before.
#[test]
fn a_state_whose_sync_failed_is_on_disk_after_the_next_start() {
    let mut bench = Bench::new();
    bench.store.create(partition(0), "topic", config(), &mut bench.io);
    bench.end_turn();
    let is_sync = |operation: &FileOperation| matches!(operation, FileOperation::Sync { .. });
    while !bench.names().iter().any(|name| name == "topic-0/partition.state") {
        bench.complete_if(is_sync);
        bench.complete_if(|operation| !is_sync(operation));
    }
    bench.disk.faults.broken = true;
    bench.settle();
    bench.disk.faults.broken = false;
    let mut bench = bench.after_kill();
    let slot = bench.slot(0);
    bench.fill(slot, 3);
    let mut bench = bench.after_power_loss();
    let slot = bench.slot(0);
    assert_eq!(bench.store.view(slot).expect("there").log_end(), Offset(3));
}

/// A start that cannot use the journal's files removes them one by one: if it dies between two, the next misses nothing.
#[test]
fn a_start_that_dies_while_it_removes_journal_files_is_no_corruption() {
    let mut refused = 0;
    for changes in 0.. {
        let mut bench = Bench::new();
        let slot = bench.create(0, config());
        for _ in 0..50 {
            bench.append(slot, batch_of(&[(1, 8000)], Codec::None));
        }
        let Bench { mut disk, mut random, now, .. } = bench;
        disk.crash_process(&mut random);
        let other_files = |number: u8| RecoverySettings {
            journal_id: [number; 16],
            journal_file_bytes: JOURNAL_FILE_BYTES * 2,
            quarantine_bytes: 1 << 20,
            index_interval_bytes: 1000,
        };
        disk.faults.changes_left = Some((changes, IoError::INPUT_OUTPUT));
        if recover(&mut disk, 1, &other_files(1), now).is_ok() {
            break;
        }
        refused += 1;
        disk.crash_process(&mut random);
        let report = recover(&mut disk, 1, &other_files(2), now).expect("the disk is whole").report;
        assert_eq!(report.corrupt_frames, 0, "after {changes} changes: {report:?}");
    }
    assert!(refused > 10, "{refused}");
}

/// A start after a clean stop that has changed something and then fails leaves no clean stop behind: what it wrote was perhaps never
/// on disk, and the next start must not believe it.
#[test]
fn a_start_that_fails_is_no_clean_stop() {
    let (mut changed, mut refused) = (0, 0);
    for changes in 0.. {
        let mut bench = Bench::new();
        let slot = bench.create(0, config());
        bench.fill(slot, 5);
        bench.store.stop(bench.now, &mut bench.io);
        bench.settle();
        let Bench { mut disk, now, .. } = bench;
        // A start after which the partition's state is not as it was: one copy is lost.
        disk.rot(STATE, 200, 0);
        let contents = disk.contents("");
        let before = contents.iter().find(|(name, _)| name == STATE).cloned();
        let settings = RecoverySettings {
            journal_id: [1; 16],
            journal_file_bytes: JOURNAL_FILE_BYTES,
            quarantine_bytes: 1 << 20,
            index_interval_bytes: 1000,
        };
        disk.faults.changes_left = Some((changes, IoError::NO_SPACE));
        if recover(&mut disk, 1, &settings, now).is_ok() {
            break;
        }
        refused += 1;
        let contents = disk.contents("");
        if contents.iter().find(|(name, _)| name == STATE).cloned() != before {
            changed += 1;
            assert!(!contents.iter().any(|(name, _)| name.starts_with("clean-stop")), "after {changes} changes");
        }
    }
    assert!(refused > 5 && changed > 0, "{refused} {changed}");
}
