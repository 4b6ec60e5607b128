//! A log made to end earlier while it runs (KIP-101).

use flumen_log::batch::{BatchBuilder, BatchHeader, ProducerInfo};
use flumen_log::compression::Codec;
use flumen_log::io::{Disk, FileOperation, OpenMode};
use flumen_log::state::{COPY_BYTES, PartitionState};
use flumen_log::store::{DeleteRecords, Durability, Located, LogConfig, Output, PartitionSlot, TruncateError};
use flumen_log::{Offset, Timestamp};

use crate::bench::{Bench, STATE, batch_from, batch_of, config};
use crate::space::settle_without_space;

/// Ask for it and wait for the answer.
pub(crate) fn truncate(bench: &mut Bench, slot: PartitionSlot, offset: i64) -> Result<Offset, TruncateError> {
    bench.store.truncate_to(slot, Offset(offset))?;
    bench.settle();
    answer(bench).expect("it is answered")
}

fn answer(bench: &mut Bench) -> Option<Result<Offset, TruncateError>> {
    let told = bench.outputs.iter().position(|output| matches!(output, Output::Truncated { .. }))?;
    match bench.outputs.remove(told) {
        Output::Truncated { result, .. } => Some(result),
        _ => None,
    }
}

fn end(bench: &Bench, slot: PartitionSlot) -> i64 {
    bench.store.view(slot).expect("there").log_end().0
}

/// A log of 100 batches in several segments, of either durability.
fn filled(durability: Durability) -> (Bench, PartitionSlot, Vec<u8>) {
    let mut bench = Bench::new();
    let slot = bench.create(0, LogConfig { durability, ..config() });
    bench.fill(slot, 100);
    let whole = bench.read_all(slot);
    (bench, slot, whole)
}

#[test]
fn a_log_ends_where_it_was_cut_whatever_happens_next() {
    for durability in [Durability::Journaled, Durability::Replicated] {
        for to in [99, 98, 60, 41, 1, 0] {
            for restart in [Bench::after_stop, Bench::after_kill, Bench::after_power_loss] {
                let (mut bench, slot, whole) = filled(durability);
                assert_eq!(truncate(&mut bench, slot, to), Ok(Offset(to)));
                let kept = bench.read_all(slot);
                assert!(whole.starts_with(&kept) && end(&bench, slot) == to, "{to}");
                let mut bench = restart(bench);
                let slot = bench.slot(0);
                assert_eq!((end(&bench, slot), bench.read_all(slot)), (to, kept), "{to}: what was cut stays away");
                assert_eq!(bench.append(slot, batch_of(&[(7, 9)], Codec::None)).base_offset, Offset(to));
                bench.fill(slot, 60);
                let again = bench.read_all(slot);
                // Not outside the journal: there the page cache was all that was promised.
                let mut bench = if durability == Durability::Journaled { restart(bench) } else { bench.after_stop() };
                let slot = bench.slot(0);
                assert_eq!((end(&bench, slot), bench.read_all(slot)), (to + 61, again), "{to}: what came after it is there");
            }
        }
    }
}

#[test]
fn a_batch_is_cut_whole() {
    let mut bench = Bench::new();
    let slot = bench.create(0, config());
    for _ in 0..3 {
        bench.append(slot, batch_of(&[(1, 10), (1, 10), (1, 10), (1, 10)], Codec::None));
    }
    assert_eq!(truncate(&mut bench, slot, 12), Ok(Offset(12)), "there is nothing behind it");
    assert_eq!(truncate(&mut bench, slot, 9), Ok(Offset(8)), "it begins at 8");
    assert_eq!(truncate(&mut bench, slot, 4), Ok(Offset(4)));
}

#[test]
fn what_cannot_be_cut_is_left_alone() {
    let (mut bench, slot, _) = filled(Durability::Journaled);
    bench.delete_before(slot, Offset(10));
    assert_eq!(truncate(&mut bench, slot, 9), Err(TruncateError::BelowStart { log_start: Offset(10) }));
    assert_eq!(bench.store.truncate_to(slot, Offset(50)), Ok(()));
    assert_eq!(bench.store.truncate_to(slot, Offset(40)), Err(TruncateError::UnderWay));
    assert!(bench.try_append(slot, batch_of(&[(1, 1)], Codec::None)).is_err(), "it takes nothing meanwhile");
    bench.settle();
    assert_eq!(answer(&mut bench), Some(Ok(Offset(50))));
    assert_eq!(end(&bench, slot), 50);
    assert_eq!(bench.append(slot, batch_of(&[(1, 1)], Codec::None)).base_offset, Offset(50));
}

/// A log whose start is to move first, and one whose start is to move last: both are done.
#[test]
fn a_cut_and_a_new_start_do_not_wait_for_each_other() {
    for start_first in [true, false] {
        let (mut bench, slot, _) = filled(Durability::Journaled);
        bench.store.set_high_watermark(slot, Offset(100));
        if start_first {
            assert_eq!(bench.store.delete_records(slot, Offset(10)), DeleteRecords::Pending);
        }
        bench.store.truncate_to(slot, Offset(50)).expect("it is begun");
        if !start_first {
            assert_eq!(bench.store.delete_records(slot, Offset(10)), DeleteRecords::Pending);
        }
        bench.settle();
        assert_eq!(answer(&mut bench), Some(Ok(Offset(50))), "{start_first}");
        assert_eq!((bench.store.view(slot).expect("there").log_start(), end(&bench, slot)), (Offset(10), 50));
    }
}

/// What the trail said before the cut is gone, though a step of it found no room in between and the newest state is lost.
#[test]
fn no_trail_outlives_a_cut() {
    let mut bench = Bench::new();
    let slot = bench.create(0, config());
    bench.fill(slot, 10);
    bench.delete_before(slot, Offset(1));
    bench.fill(slot, 40);
    bench.store.set_high_watermark(slot, Offset(50));
    bench.store.delete_records(slot, Offset(2));
    assert!(settle_without_space(&mut bench) > 0, "a step found no room");
    assert_eq!(truncate(&mut bench, slot, 5), Ok(Offset(5)));
    bench.fill(slot, 2);
    let whole = bench.read_all(slot);
    bench.disk.rot(STATE, bench.newest_copy() as u64 + 200, 0);
    let mut bench = bench.after_kill();
    let slot = bench.slot(0);
    assert_eq!(end(&bench, slot), 7, "{:?}", bench.report);
    assert!(bench.read_all(slot) == whole);
}

/// Where no state is left, the journal itself tells that a log was cut: a later entry begins below the end of an earlier one.
#[test]
fn entries_of_before_a_cut_are_not_replayed_though_no_state_is_left() {
    let mut bench = Bench::new();
    let slot = bench.create(0, config());
    bench.fill(slot, 20);
    assert_eq!(truncate(&mut bench, slot, 5), Ok(Offset(5)));
    for number in 0..4 {
        bench.append(slot, batch_of(&[(number, 50)], Codec::None));
    }
    let whole = bench.read_all(slot);
    for copy in [0, COPY_BYTES] {
        bench.disk.rot(STATE, copy as u64 + 200, 0);
    }
    let mut bench = bench.after_kill();
    let slot = bench.slot(0);
    assert_eq!(bench.report.states_rebuilt.len(), 1);
    assert_eq!(end(&bench, slot), 9, "{:?}", bench.report);
    assert!(bench.read_all(slot) == whole);
}

/// What a producer wrote behind the cut was never written: the same sequence is taken again, and is no duplicate.
#[test]
fn producers_are_as_they_were_at_the_cut() {
    let power_loss: fn(Bench) -> Bench = Bench::after_power_loss;
    for restart in [None, Some(power_loss)] {
        let mut bench = Bench::new();
        let slot = bench.create(0, config());
        for sequence in 0..6 {
            bench.append(slot, batch_from(9, sequence));
        }
        assert_eq!(truncate(&mut bench, slot, 4), Ok(Offset(4)));
        let mut bench = if let Some(restart) = restart { restart(bench) } else { bench };
        let slot = bench.slot(0);
        assert_eq!(bench.append(slot, batch_from(9, 3)).base_offset, Offset(3), "a duplicate of what is still there");
        assert!(bench.try_append(slot, batch_from(9, 5)).is_err(), "4 is missing");
        assert_eq!(bench.append(slot, batch_from(9, 4)).base_offset, Offset(4));
    }
}

/// The power fails after every single operation of a cut: the log is as before, or it ends at the cut.
#[test]
fn a_cut_is_safe_at_every_step() {
    let mut cut = 0;
    for steps in 0.. {
        let (mut bench, slot, whole) = filled(Durability::Journaled);
        bench.store.truncate_to(slot, Offset(37)).expect("it is begun");
        let done = bench.run_steps(steps);
        let told = answer(&mut bench);
        let mut bench = bench.after_power_loss();
        let slot = bench.slot(0);
        let kept = bench.read_all(slot);
        let end = end(&bench, slot);
        assert!(whole.starts_with(&kept) && (37..=100).contains(&end), "{steps}: {end}");
        assert!(told.is_none() || end == 37, "{steps}: it was said to end at 37, and ends at {end}");
        cut += usize::from(end == 37);
        bench.append(slot, batch_of(&[(1, 5)], Codec::None));
        let all = bench.read_all(slot);
        let mut bench = bench.after_power_loss();
        let slot = bench.slot(0);
        assert!(bench.read_all(slot) == all, "{steps}");
        if done {
            assert!(steps > 10 && cut > 1, "{steps} steps, {cut} times cut");
            return;
        }
    }
}

/// A file that is being opened is waited for before the files are cut: until then no state is recorded, for it would have the D of a
/// log that is not cut yet, and that D would outlive the cut.
#[test]
fn no_state_is_recorded_between_the_cut_and_its_files() {
    let (bench, _, _) = filled(Durability::Journaled);
    let mut bench = bench.after_stop();
    let slot = bench.slot(0);
    let last = bench.names().into_iter().rfind(|name| name.ends_with(".log")).expect("there is one");
    let is_held =
        |operation: &FileOperation| matches!(operation, FileOperation::Open { path, mode: OpenMode::ReadWrite } if *path == last);
    bench.store.truncate_to(slot, Offset(98)).expect("it is begun");
    bench.end_turn();
    bench.locate_later(slot, 97);
    for _ in 0..20 {
        bench.complete_if(|operation| !is_held(operation));
        bench.end_turn();
    }
    assert_eq!(answer(&mut bench), None, "the file is still being opened");
    bench.store.configure(slot, LogConfig { durability: Durability::Replicated, ..config() });
    for _ in 0..20 {
        bench.complete_if(|operation| !is_held(operation));
        bench.end_turn();
    }
    bench.settle();
    assert_eq!(answer(&mut bench), Some(Ok(Offset(98))));
    let state = bench.file(STATE);
    for copy in state.chunks(COPY_BYTES).take(2) {
        assert_eq!(PartitionState::decode_copy(copy).expect("whole").point.offset, Offset(98));
    }
    assert_eq!(bench.store.view(slot).expect("there").durability(), Durability::Replicated, "what was wanted meanwhile is done");
}

/// The epochs that began behind a cut never began: what is appended after it is of the epoch that is said to have written it, though
/// the power fails before the next state is recorded.
#[test]
fn epochs_behind_a_cut_never_began() {
    for to in [0, 4, 8] {
        let mut bench = Bench::new();
        let slot = bench.create(0, config());
        for epoch in 1..4 {
            bench.begin_epoch(slot, epoch);
            bench.fill(slot, 4);
        }
        assert_eq!(truncate(&mut bench, slot, to), Ok(Offset(to)));
        bench.fill(slot, 4);
        let mut bench = bench.after_power_loss();
        let slot = bench.slot(0);
        let epochs = bench.store.view(slot).expect("there").epochs().entries().to_vec();
        let starts: Vec<(i32, i64)> = epochs.iter().map(|entry| (entry.epoch.0, entry.start_offset.0)).collect();
        let expected: Vec<(i32, i64)> =
            (1..3).map(|epoch| (epoch, i64::from(epoch - 1) * 4)).filter(|(_, start)| *start < to).collect();
        assert_eq!(starts, [&expected[..], &[(3, to)]].concat(), "{to}");
        let again = bench.after_power_loss();
        assert!(again.report.damaged.is_empty(), "{:?}", again.report);
    }
}

fn compacting() -> LogConfig {
    LogConfig { cleanup_compact: true, cleanup_delete: false, min_cleanable_dirty_ppm: 0, segment_bytes: 2500, ..config() }
}

/// A compacted log: every second record has the same key. Cleaned, so that offsets are missing below where it is to be cut.
fn compacted() -> (Bench, PartitionSlot) {
    let mut bench = Bench::new();
    let config =
        LogConfig { cleanup_compact: true, cleanup_delete: false, min_cleanable_dirty_ppm: 0, segment_bytes: 2500, ..config() };
    let slot = bench.create(0, config);
    for number in 0..100u8 {
        let key = [if number % 2 == 0 { 0 } else { number }];
        let mut builder = BatchBuilder::new();
        builder.append(Timestamp(1), Some(&key), Some(&[number; 90]), &[]);
        let batch = builder.build_validated(Codec::None, None, ProducerInfo::NONE).expect("no codec").expect("a record");
        bench.append(slot, batch);
    }
    bench.store.set_high_watermark(slot, Offset(100));
    for _ in 0..40 {
        bench.tick_after(20_000);
    }
    assert!(bench.names().iter().any(|name| name.ends_with("compaction.manifest")), "it was cleaned");
    (bench, slot)
}

/// The first offsets of what is read from a log.
fn offsets(bench: &mut Bench, slot: PartitionSlot) -> Vec<i64> {
    let bytes = bench.read_all(slot);
    let (mut at, mut offsets) = (0, Vec::new());
    while let Some(header) = bytes.get(at..).and_then(|bytes| BatchHeader::parse(bytes).ok()) {
        offsets.push(header.base_offset.0);
        at += header.total_bytes();
    }
    offsets
}

/// The power fails at any moment of the cut and of what follows it: the segment has holes, and none is taken for damage; nothing that
/// is appended later is taken for what compaction wrote.
#[test]
fn a_compacted_segment_is_cut_like_any_other() {
    for to in [31, 12, 3] {
        let mut finished = false;
        let mut steps = 0;
        while !finished {
            let (mut bench, slot) = compacted();
            let kept: Vec<i64> = offsets(&mut bench, slot).into_iter().filter(|offset| *offset < to).collect();
            assert!((kept.len() as i64) < to, "offsets are missing: {kept:?}");
            bench.store.truncate_to(slot, Offset(to)).expect("it is begun");
            for _ in 0..steps {
                if bench.run_steps(1) {
                    bench.tick(1000);
                }
            }
            steps += 3;
            let cut = answer(&mut bench);
            finished = cut.is_some();
            assert!(matches!(cut, None | Some(Ok(_))), "{cut:?}");
            let mut bench = if steps % 2 == 0 { bench.after_kill() } else { bench.after_power_loss() };
            for round in 0..2 {
                assert!(
                    bench.report.damaged.is_empty() && bench.report.cleanings_undone == 0,
                    "{to} {steps}: {:?}",
                    bench.report
                );
                let slot = bench.slot(0);
                let before = offsets(&mut bench, slot);
                assert!(before.starts_with(&kept), "{to} {steps}: {before:?}");
                if cut.is_some() && round == 0 {
                    assert_eq!((before.len(), end(&bench, slot)), (kept.len(), kept.last().map_or(0, |last| last + 1)));
                }
                for from in 0..end(&bench, slot) {
                    let found = bench.locate(slot, from, 100, true);
                    assert!(matches!(&found, Located::Slice { next_offset, .. } if next_offset.0 > from), "{from}: {found:?}");
                }
                bench.store.configure(slot, compacting());
                bench.fill(slot, 30);
                let after = offsets(&mut bench, slot);
                bench = bench.after_power_loss();
                let slot = bench.slot(0);
                assert_eq!(offsets(&mut bench, slot), after);
            }
        }
    }
}

/// What a cut forgets of producers is what it cut: a snapshot from anywhere before tells the rest, damage in a segment before refuses
/// nothing.
#[test]
fn producers_from_before_a_cut_are_known_though_an_earlier_segment_is_damaged() {
    let mut bench = Bench::new();
    let slot = bench.create(0, LogConfig { segment_bytes: 600, ..config() });
    for sequence in 0..40 {
        bench.append(slot, batch_from(1, sequence));
    }
    let mut bench = bench.after_stop();
    let slot = bench.slot(0);
    for sequence in 40..80 {
        bench.append(slot, batch_from(1, sequence));
    }
    bench.settle();
    bench.disk.write("topic-0/00000000000000000000.log", 70, &[0xff; 20]).expect("there");
    assert_eq!(truncate(&mut bench, slot, 60), Ok(Offset(60)));
    let again = bench.try_append(slot, batch_from(1, 59)).expect("it is known");
    assert!(again.duplicate && again.base_offset == Offset(59), "{again:?}");
    assert_eq!(bench.append(slot, batch_from(1, 60)).base_offset, Offset(60), "what was cut was never sent");
}
