//! A disk that fills up: appends stop in time, what is refused all the same waits, and nobody has to help.

use crate::bench::{Bench, OPEN_FILES_MAX, batch_of, config, is_journal_write, partition};
use crate::damage::{compact, of_ten_keys};
use flumen_log::Offset;
use flumen_log::compression::Codec;
use flumen_log::io::{Completion, Disk, FileOperation, IoError, OpenMode, Operation};
use flumen_log::state::COPY_BYTES;
use flumen_log::store::{AppendError, DeleteRecords, LogConfig, Output, PartitionSlot};

/// Turn until nothing is outstanding; whatever takes room is refused.
pub(crate) fn settle_without_space(bench: &mut Bench) -> usize {
    let takes_room = |operation: &Operation| match &operation.kind {
        // A state is written over what is there.
        FileOperation::Write { data, .. } => !is_journal_write(&operation.kind) && data.len() != COPY_BYTES,
        FileOperation::Open { mode, .. } => *mode == OpenMode::CreateEmpty,
        FileOperation::Rename { .. } => true,
        _ => false,
    };
    settle_refusing(bench, IoError::NO_SPACE, takes_room)
}

/// Turn until nothing is outstanding; some operations are refused.
fn settle_refusing(bench: &mut Bench, error: IoError, is_refused: impl Fn(&Operation) -> bool) -> usize {
    let mut refused = 0;
    loop {
        bench.store.end_turn(bench.now, &mut bench.io, &mut bench.outputs);
        loop {
            let operations: Vec<Operation> = bench.io.drain().collect();
            for operation in operations {
                if is_refused(&operation) {
                    refused += 1;
                    let completion = Completion { id: operation.id, result: Err(error), buffer: None };
                    bench.store.complete(completion, bench.now, &mut bench.io, &mut bench.outputs);
                } else {
                    bench.disk.submit(operation, &mut bench.random);
                }
            }
            let Some(completion) = bench.disk.step_if(|_: &FileOperation| true, &mut bench.random) else { break };
            bench.store.complete(completion, bench.now, &mut bench.io, &mut bench.outputs);
        }
        if bench.io.is_empty() && bench.disk.outstanding() == 0 {
            return refused;
        }
    }
}

fn ends(bench: &Bench, slot: PartitionSlot) -> (i64, i64) {
    let view = bench.store.view(slot).expect("there");
    (view.log_end().0, view.durable().get().0)
}

#[test]
fn a_write_refused_for_want_of_space_is_done_when_there_is_some() {
    let mut bench = Bench::new();
    let slot = bench.create(0, config());
    bench.fill(slot, 2);
    bench.try_append(slot, batch_of(&[(1, 500)], Codec::None)).expect("taken");
    bench.try_append(slot, batch_of(&[(2, 500)], Codec::None)).expect("taken");
    assert!(settle_without_space(&mut bench) > 0, "something was refused");
    assert!(!bench.store.has_failed());
    assert_eq!(ends(&bench, slot), (2, 2), "what is not written is not there, journal or not");
    assert_eq!(bench.try_append(slot, batch_of(&[(3, 1)], Codec::None)), Err(AppendError::NoSpace));
    bench.tick_after(2000);
    assert_eq!(ends(&bench, slot), (4, 4));
    bench.fill(slot, 1);
    assert_eq!(ends(&bench, slot), (5, 5));
    assert!(!bench.read_all(slot).is_empty());
}

/// The steps of the trail make the state's file longer; the state itself does not.
#[test]
fn a_durable_point_is_recorded_where_its_trail_finds_no_room() {
    let mut bench = Bench::new();
    let slot = bench.create(0, config());
    bench.fill(slot, 3);
    bench.store.set_high_watermark(slot, Offset(3));
    assert_eq!(bench.store.delete_records(slot, Offset(2)), DeleteRecords::Pending);
    assert!(settle_without_space(&mut bench) > 0, "something was refused");
    assert!(!bench.store.has_failed());
    assert_eq!(bench.store.view(slot).map(|view| view.log_start()), Some(Offset(2)));
}

/// Nothing is in flight on a file whose write was refused; others are opened, and it must not be closed for them.
#[test]
fn a_file_with_a_refused_write_stays_open() {
    let mut bench = Bench::new();
    let slots: Vec<PartitionSlot> = (0..).take(2 * OPEN_FILES_MAX).map(|number| bench.create(number, config())).collect();
    for slot in &slots {
        bench.fill(*slot, 2);
    }
    bench.try_append(slots[0], batch_of(&[(1, 500)], Codec::None)).expect("taken");
    assert!(settle_without_space(&mut bench) > 0, "something was refused");
    for slot in &slots[1..] {
        bench.locate(*slot, 0, 1000, true);
        bench.end_turn();
    }
    bench.tick_after(2000);
    assert_eq!(ends(&bench, slots[0]), (3, 3));
}

/// Without a journal nothing becomes durable, and there is none and no room for one: a stop ends all the same, and not in order.
#[test]
fn a_stop_ends_where_there_is_no_room_for_a_journal() {
    let mut bench = Bench::new();
    let makes_journal = |operation: &Operation| matches!(&operation.kind, FileOperation::Open { path, mode: OpenMode::CreateEmpty } if path.starts_with("journal/"));
    bench.store.create(partition(0), "topic", config(), &mut bench.io);
    assert!(settle_refusing(&mut bench, IoError::NO_SPACE, makes_journal) > 0, "something was refused");
    let slot = bench.store.slot_of(partition(0)).expect("there");
    bench.try_append(slot, batch_of(&[(1, 500)], Codec::None)).expect("taken");
    settle_refusing(&mut bench, IoError::NO_SPACE, makes_journal);
    assert_eq!(ends(&bench, slot), (1, 0));
    bench.store.stop(bench.now, &mut bench.io);
    settle_refusing(&mut bench, IoError::NO_SPACE, makes_journal);
    assert!(bench.store.is_stopped() && bench.store.has_failed());
}

#[test]
fn a_segment_that_cannot_be_made_is_made_later() {
    let mut bench = Bench::new();
    let slot = bench.create(0, config());
    bench.fill(slot, 2);
    // Larger than what is left of the segment.
    bench.try_append(slot, batch_of(&[(1, 19_500)], Codec::None)).expect("taken");
    assert!(settle_without_space(&mut bench) > 0);
    assert!(!bench.store.has_failed() && ends(&bench, slot).0 == 2);
    bench.tick_after(2000);
    assert_eq!(ends(&bench, slot), (3, 3));
    assert_eq!(bench.store.view(slot).expect("there").segment_count(), 2);
}

#[test]
fn a_segment_that_cannot_be_opened_for_too_many_files_is_opened_later() {
    for error in [IoError::TOO_MANY_FILES, IoError::TOO_MANY_FILES_IN_SYSTEM] {
        let mut bench = Bench::new();
        let slot = bench.create(0, config());
        bench.try_append(slot, batch_of(&[(1, 500)], Codec::None)).expect("taken");
        let opens = |operation: &Operation| matches!(&operation.kind, FileOperation::Open { path, .. } if path.ends_with(".log"));
        assert_eq!(settle_refusing(&mut bench, error, opens), 1);
        assert!(!bench.store.has_failed() && bench.store.has_space());
        bench.tick_after(2000);
        assert_eq!(ends(&bench, slot), (1, 1));
    }
}

/// Whatever a store opens for itself, a state or a cache, waits as well.
#[test]
fn nothing_fails_for_too_many_files() {
    let mut bench = Bench::new();
    let slot = bench.create(0, config());
    let any_open = |operation: &Operation| matches!(&operation.kind, FileOperation::Open { .. });
    bench.fill(slot, 70);
    bench.store.create(partition(1), "topic", config(), &mut bench.io);
    bench.store.set_high_watermark(slot, Offset(70));
    bench.store.delete_records(slot, Offset(60));
    bench.try_append(slot, batch_of(&[(1, 500)], Codec::None)).expect("taken");
    assert!(settle_refusing(&mut bench, IoError::TOO_MANY_FILES, any_open) > 0);
    assert!(!bench.store.has_failed());
    bench.tick_after(2000);
    bench.tick_after(2000);
    assert_eq!(ends(&bench, slot), (71, 71));
    assert_eq!(bench.store.view(slot).map(|view| view.log_start()), Some(Offset(60)));
    let made = bench.store.slot_of(partition(1)).and_then(|slot| bench.store.view(slot)).is_some_and(|view| view.is_ready());
    assert!(made);
}

/// That too many files are open says nothing of the log: it is cleaned later.
#[test]
fn a_cleaning_that_finds_too_many_files_open_is_done_later() {
    let compacted = LogConfig { cleanup_compact: true, ..config() };
    let mut bench = of_ten_keys(&compacted);
    let slot = bench.slot(0);
    let before = bench.read_all(slot).len();
    bench.store.configure(slot, compacted.clone());
    bench.store.set_high_watermark(slot, Offset(200));
    let reads = |operation: &Operation| matches!(&operation.kind, FileOperation::Open { mode: OpenMode::Read, .. });
    let mut refused = 0;
    for _ in 0..400 {
        bench.tick(100);
        refused += settle_refusing(&mut bench, IoError::TOO_MANY_FILES, reads);
    }
    assert!(refused > 0);
    assert!(!bench.outputs.iter().any(|output| matches!(output, Output::Uncleanable { .. })));
    compact(&mut bench, slot, &compacted);
    assert!(bench.read_all(slot).len() < before / 2);
}

#[test]
fn many_partitions_made_together_have_few_files_open() {
    const PARTITIONS: i32 = 1000;
    let mut bench = Bench::new();
    for number in 0..PARTITIONS {
        bench.store.create(partition(number), "topic", config(), &mut bench.io);
    }
    bench.end_turn();
    let mut most = 0;
    while let Some(completion) = bench.disk.step_if(|_: &FileOperation| true, &mut bench.random) {
        bench.store.complete(completion, bench.now, &mut bench.io, &mut bench.outputs);
        most = most.max(bench.disk.open_files());
        bench.end_turn();
    }
    assert!((10..100).contains(&most), "{most} files open together");
    let made = bench.store.partitions().filter(|(_, view)| view.is_ready()).count();
    assert_eq!(made, usize::try_from(PARTITIONS).expect("positive"));
}

#[test]
fn a_partition_goes_though_the_disk_is_full() {
    let mut bench = Bench::new();
    let slot = bench.create(0, config());
    bench.fill(slot, 2);
    bench.try_append(slot, batch_of(&[(1, 500)], Codec::None)).expect("taken");
    settle_without_space(&mut bench);
    bench.store.remove(slot);
    settle_without_space(&mut bench);
    assert!(!bench.store.has_failed(), "the new name waits");
    bench.tick_after(2000);
    bench.tick_after(2000);
    let removed = |output: &Output| matches!(output, Output::Removed { partition: gone } if *gone == partition(0));
    assert!(bench.outputs.iter().any(removed));
    let again = bench.create(0, config());
    bench.fill(again, 1);
}

/// Of a partition that goes a refused write is not asked for again, nor is it done: the partition stays if its removal fails.
#[test]
fn what_is_not_written_any_more_of_a_partition_that_goes_does_not_count() {
    let mut bench = Bench::new();
    let slot = bench.create(0, config());
    bench.fill(slot, 2);
    let is_segment_write = |kind: &FileOperation| matches!(kind, FileOperation::Write { .. }) && !is_journal_write(kind);
    let mut asked = Vec::new();
    for number in 0..2 {
        bench.try_append(slot, batch_of(&[(number, 500)], Codec::None)).expect("taken");
        bench.store.end_turn(bench.now, &mut bench.io, &mut bench.outputs);
        asked.extend(bench.io.drain());
    }
    let first = asked.iter().find(|operation| is_segment_write(&operation.kind)).map(|operation| operation.id);
    for operation in asked {
        if Some(operation.id) == first {
            let completion = Completion { id: operation.id, result: Err(IoError::NO_SPACE), buffer: None };
            bench.store.complete(completion, bench.now, &mut bench.io, &mut bench.outputs);
        } else {
            bench.disk.submit(operation, &mut bench.random);
        }
    }
    assert_eq!(ends(&bench, slot).0, 2, "the first is refused, the second under way");
    bench.store.remove(slot);
    bench.complete_if(is_segment_write);
    assert_eq!(ends(&bench, slot).0, 2);
    bench.settle();
    assert!(bench.store.slot_of(partition(0)).is_none());
}

#[test]
fn no_more_is_taken_between_two_looks_than_the_last_one_left() {
    let mut bench = Bench::new();
    let slot = bench.create(0, config());
    bench.fill(slot, 1);
    let room_bytes = 2 << 20;
    bench.disk.faults.free_bytes = Some((1 << 20) + room_bytes);
    bench.tick_after(2000);
    let mut taken_bytes = 0;
    while bench.try_append(slot, batch_of(&[(1, 10_000)], Codec::None)).is_ok() {
        taken_bytes += 10_000;
    }
    assert!((1..=room_bytes).contains(&taken_bytes), "{taken_bytes}");
    assert_eq!(bench.store.next_deadline().map(|deadline| deadline <= bench.now.monotonic), Some(true), "it looks again at once");
    bench.disk.faults.free_bytes = None;
    bench.tick_after(1);
    bench.settle();
    bench.append(slot, batch_of(&[(1, 10)], Codec::None));
    assert_eq!(bench.store.view(slot).map(|view| view.log_end() > Offset(1)), Some(true));
}

/// Refused at any of its steps, a creation leaves nothing behind, and the name can be had once there is room.
#[test]
fn a_partition_for_which_there_was_no_room_can_be_made_later() {
    for step in 0.. {
        let mut bench = Bench::new();
        bench.settle();
        bench.outputs.clear();
        let slot = bench.store.create(partition(0), "topic", config(), &mut bench.io);
        let seen = core::cell::Cell::new(0);
        let takes_room = |operation: &Operation| {
            let makes = matches!(&operation.kind, FileOperation::CreateDirectory { path } if path == "topic-0");
            let fills = matches!(&operation.kind, FileOperation::Write { .. }) && !is_journal_write(&operation.kind);
            let opens =
                matches!(&operation.kind, FileOperation::Open { mode: OpenMode::CreateEmpty, path } if path.contains("topic-0"));
            let counts = makes || fills || opens;
            seen.set(seen.get() + u32::from(counts));
            counts && seen.get() == step + 1
        };
        if settle_refusing(&mut bench, IoError::NO_SPACE, takes_room) == 0 {
            assert_eq!(step, 5, "directory, two files made, two written");
            break;
        }
        let told =
            |output: &&Output| matches!(output, Output::Created { slot: of, result: Err(IoError::NO_SPACE) } if *of == slot);
        assert_eq!(bench.outputs.iter().filter(told).count(), 1, "{:?}", bench.outputs);
        assert!(!bench.store.has_failed());
        assert!(bench.disk.list("").expect("the root").iter().all(|entry| entry.name != "topic-0"), "step {step}");
        bench.tick_after(2000);
        let again = bench.create(0, config());
        bench.fill(again, 1);
    }
}
