//! Lookups by offset and by timestamp, retention, leases.

use flumen_log::batch::BatchHeader;
use flumen_log::compression::Codec;
use flumen_log::io::{Disk, FileOperation};
use flumen_log::store::{DeleteRecords, Located, LogConfig, Output, TimestampLookup, TimestampOffset};
use flumen_log::{LeaderEpoch, Offset, Timestamp};

use crate::bench::{Bench, batch_of, config};

fn slice_bounds(located: &Located) -> (i64, i64, u32) {
    match located {
        Located::Slice { slice, base_offset, next_offset } => (base_offset.0, next_offset.0, slice.length),
        other => panic!("{other:?}"),
    }
}

/// F01, F02: whole batches from the one that holds the offset; at least one if asked for.
#[test]
fn a_slice_starts_with_the_batch_that_holds_the_offset() {
    let mut bench = Bench::new();
    let slot = bench.create(0, config());
    for _ in 0..10 {
        bench.append(slot, batch_of(&[(1, 50), (2, 50), (3, 50)], Codec::None));
    }
    let (base, next, length) = slice_bounds(&bench.locate(slot, 4, 1, true));
    assert_eq!((base, next), (3, 6));
    assert!(matches!(bench.locate(slot, 4, 1, false), Located::Empty));
    let (base, next, two) = slice_bounds(&bench.locate(slot, 4, length * 2 + 1, false));
    assert_eq!((base, next, two), (3, 9, length * 2));
    assert!(matches!(bench.locate(slot, 30, 100, true), Located::Empty));
    assert!(matches!(bench.locate(slot, 31, 100, true), Located::OutOfRange));
}

#[test]
fn nothing_at_or_behind_the_bound_is_located() {
    let mut bench = Bench::new();
    let slot = bench.create(0, config());
    bench.fill(slot, 10);
    let located = bench.store.locate(slot, Offset(2), Offset(4), 1 << 20, true, &mut bench.io);
    assert_eq!(slice_bounds(&located).1, 4);
    assert!(matches!(bench.store.locate(slot, Offset(4), Offset(4), 1 << 20, true, &mut bench.io), Located::Empty));
}

#[test]
fn old_segments_are_found_again_after_a_stop_whatever_became_of_their_indexes() {
    let mut bench = Bench::new();
    let slot = bench.create(0, config());
    bench.fill(slot, 200);
    let whole = bench.read_all(slot);
    for ruin in [None, Some(&b"not a sidecar"[..]), Some(&[][..])] {
        bench = bench.after_stop();
        for name in bench.names().into_iter().filter(|name| name.ends_with(".checks")) {
            if let Some(ruin) = ruin {
                bench.disk.truncate(&name, 0).expect("there");
                bench.disk.write(&name, 0, ruin).expect("there");
            }
        }
        let slot = bench.slot(0);
        assert!(bench.read_all(slot) == whole);
        for from in [0, 1, 63, 64, 100, 199] {
            let (base, next, _) = slice_bounds(&bench.locate(slot, from, 1, true));
            assert_eq!((base, next), (from, from + 1));
        }
    }
}

/// L02, L03: exact to the record, also inside compressed batches; the first of several.
#[test]
fn timestamps_are_found_to_the_record() {
    for codec in [Codec::None, Codec::Zstd] {
        let mut bench = Bench::new();
        let slot = bench.create(0, config());
        assert_eq!(bench.timestamp(slot, None), TimestampLookup::None, "an empty log has no greatest timestamp");
        for number in 0..150 {
            let at = number * 10;
            bench.append(slot, batch_of(&[(at, 200), (at + 2, 200), (at + 1, 200)], codec));
        }
        let expect = |offset: i64, timestamp: i64| {
            let (offset, timestamp) = (Offset(offset), Timestamp(timestamp));
            TimestampLookup::Found(TimestampOffset { timestamp, offset, epoch: LeaderEpoch(1) })
        };
        for again in 0..2 {
            let slot = if again == 0 { slot } else { bench.slot(0) };
            assert_eq!(bench.timestamp(slot, Some(0)), expect(0, 0));
            assert_eq!(bench.timestamp(slot, Some(1)), expect(1, 2), "the first that is late enough, not the nearest");
            assert_eq!(bench.timestamp(slot, Some(703)), expect(213, 710));
            assert_eq!(bench.timestamp(slot, Some(1492)), expect(448, 1492));
            assert_eq!(bench.timestamp(slot, Some(1493)), TimestampLookup::None);
            assert_eq!(bench.timestamp(slot, None), expect(448, 1492));
            if again == 0 {
                bench = bench.after_stop();
            }
        }
    }
}

/// D05: a timestamp far ahead neither hides what follows nor stops retention of the rest.
#[test]
fn a_timestamp_from_the_future_disturbs_nobody() {
    let mut bench = Bench::new();
    let slot = bench.create(0, LogConfig { retention_ms: 1000, segment_ms: i64::MAX, ..config() });
    bench.append(slot, batch_of(&[(i64::MAX / 2, 10)], Codec::None));
    bench.fill(slot, 100);
    let found = bench.timestamp(slot, Some(5000));
    assert!(matches!(found, TimestampLookup::Found(TimestampOffset { offset: Offset(0), .. })), "{found:?}");
    bench.store.set_high_watermark(slot, Offset(101));
    bench.tick_after(2000);
    assert_eq!(bench.store.view(slot).expect("there").log_start(), Offset(0), "its segment is not old");
}

/// D03: by the greatest record timestamp, below the high watermark, the active segment rolled when all is expired.
#[test]
fn expired_segments_go_and_the_active_one_rolls_for_it() {
    let mut bench = Bench::new();
    let slot = bench.create(0, LogConfig { retention_ms: 1000, ..config() });
    bench.fill(slot, 150);
    let segments = bench.store.view(slot).expect("there").segment_count();
    assert!(segments > 2);
    bench.tick_after(2000);
    assert_eq!(bench.store.view(slot).expect("there").log_start(), Offset(0), "the high watermark is not known yet");
    bench.store.set_high_watermark(slot, Offset(150));
    bench.tick_after(2000);
    let view = bench.store.view(slot).expect("there");
    assert_eq!((view.log_start(), view.log_end(), view.segment_count()), (Offset(150), Offset(150), 1));
    let logs: Vec<_> = bench.names().into_iter().filter(|name| name.starts_with("topic-0/0") && name.ends_with(".log")).collect();
    assert!(logs.len() <= 1, "{logs:?}");
    let mut bench = bench.after_power_loss();
    let slot = bench.slot(0);
    assert_eq!(bench.store.view(slot).expect("there").log_start(), Offset(150));
    assert_eq!(bench.append(slot, batch_of(&[(1, 1)], Codec::None)).base_offset, Offset(150), "offsets go on (D01)");
}

#[test]
fn retention_by_size_keeps_what_was_asked_for() {
    let mut bench = Bench::new();
    let slot = bench.create(0, LogConfig { retention_bytes: 50_000, ..config() });
    bench.fill(slot, 400);
    bench.store.set_high_watermark(slot, Offset(400));
    bench.tick_after(2000);
    let size = bench.store.view(slot).expect("there").size_bytes();
    assert!((50_000..70_001).contains(&size), "{size}");
}

/// D04, E02: nothing is answered before the new start is on stable storage, and it survives.
#[test]
fn deleted_records_stay_deleted() {
    let mut bench = Bench::new();
    let slot = bench.create(0, config());
    bench.fill(slot, 100);
    bench.store.set_high_watermark(slot, Offset(80));
    assert_eq!(bench.store.delete_records(slot, Offset(81)), DeleteRecords::OutOfRange);
    assert_eq!(bench.store.delete_records(slot, Offset(70)), DeleteRecords::Pending);
    assert_eq!(bench.store.view(slot).expect("there").log_start(), Offset(0));
    bench.settle();
    let view = bench.store.view(slot).expect("there");
    assert_eq!(view.log_start(), Offset(70));
    assert_eq!(view.epochs().entries()[0].start_offset, Offset(70));
    assert_eq!(bench.store.delete_records(slot, Offset(5)), DeleteRecords::Done { log_start: Offset(70) });
    assert!(matches!(bench.locate(slot, 69, 100, true), Located::OutOfRange));
    let mut bench = bench.after_power_loss();
    let slot = bench.slot(0);
    assert_eq!(bench.store.view(slot).expect("there").log_start(), Offset(70));
    assert_eq!(slice_bounds(&bench.locate(slot, 70, 1, true)).0, 70);
}

#[test]
fn a_leased_file_stays_open_until_its_reader_is_done() {
    let mut bench = Bench::new();
    let slot = bench.create(0, config());
    bench.fill(slot, 150);
    let Located::Slice { slice, .. } = bench.locate(slot, 0, 1000, true) else { panic!("there is something") };
    let before = bench.disk.read_handle(slice.file.handle, slice.position, 61).expect("open");
    bench.store.set_high_watermark(slot, Offset(150));
    bench.store.delete_records(slot, Offset(149));
    bench.settle();
    assert!(!bench.names().contains(&String::from("topic-0/00000000000000000000.log")));
    let after = bench.disk.read_handle(slice.file.handle, slice.position, 61).expect("still open");
    assert_eq!(before, after);
    assert_eq!(BatchHeader::parse(&after).expect("a batch").base_offset, Offset(0));
    let handle = slice.file.handle;
    drop(slice);
    bench.settle();
    assert!(bench.disk.read_handle(handle, 0, 1).is_none(), "closed once nobody reads it");
}

/// What was to be checked before it is believed can be deleted while its file is being opened: then the lookup sees that it is gone.
#[test]
fn a_lookup_that_waits_for_a_segment_ends_when_that_is_deleted() {
    let mut bench = Bench::new();
    let slot = bench.create(0, config());
    bench.fill(slot, 150);
    let mut bench = bench.after_stop();
    let slot = bench.slot(0);
    let opens_first = |operation: &FileOperation| matches!(operation, FileOperation::Open { path, .. } if path == "topic-0/00000000000000000000.log");
    let located = bench.store.locate(slot, Offset(0), Offset(150), 1000, true, &mut bench.io);
    let Located::Pending(waiting) = located else { panic!("nothing is open yet: {located:?}") };
    bench.end_turn();
    bench.complete_if(|operation| !opens_first(operation));
    bench.store.set_high_watermark(slot, Offset(150));
    assert_eq!(bench.store.delete_records(slot, Offset(149)), DeleteRecords::Pending);
    for _ in 0..10 {
        bench.end_turn();
        bench.complete_if(|operation| !opens_first(operation));
    }
    assert_eq!(bench.store.view(slot).expect("there").log_start(), Offset(149));
    bench.settle();
    let answers = bench.outputs.iter().filter_map(|output| match output {
        Output::Located { lookup, result } if *lookup == waiting => Some(result),
        _ => None,
    });
    let answers: Vec<_> = answers.collect();
    assert!(matches!(answers[..], [Located::OutOfRange]), "{answers:?}");
}
