//! Retention and the wall clock: a clock that is wrong for a while deletes nothing; and retention while others read and write.

use flumen_log::batch::{StoredRead, read_stored};
use flumen_log::compression::Codec;
use flumen_log::store::{Located, LogConfig, PartitionSlot};
use flumen_log::{Offset, SteadyWall, Timestamp};

use crate::bench::{Bench, batch_of, config};

const YEAR_MS: i64 = 365 * 86_400_000;

fn log_start(bench: &Bench, slot: PartitionSlot) -> Offset {
    bench.store.view(slot).expect("there").log_start()
}

/// A log that keeps its records for a day.
fn filled() -> (Bench, PartitionSlot) {
    let mut bench = Bench::new();
    let slot = bench.create(0, LogConfig { retention_ms: 3_600_000 * 24, ..config() });
    bench.fill(slot, 150);
    bench.store.set_high_watermark(slot, Offset(150));
    (bench, slot)
}

/// D03, D05: no leap of the clock deletes; staying there does, for then it is the time.
#[test]
fn a_leap_of_the_clock_deletes_nothing_at_once() {
    let (mut bench, slot) = filled();
    bench.tick_after(400_000);
    bench.now.wall = Timestamp(bench.now.wall.0 + YEAR_MS);
    for _ in 0..8 {
        bench.tick_after(SteadyWall::GRACE_MS / 10);
        assert_eq!(log_start(&bench, slot), Offset(0));
    }
    for _ in 0..4 {
        bench.tick_after(SteadyWall::GRACE_MS / 10);
    }
    assert_eq!(log_start(&bench, slot), Offset(150), "it has stayed there");
}

#[test]
fn a_leap_taken_back_deletes_nothing() {
    let (mut bench, slot) = filled();
    bench.tick_after(400_000);
    for _ in 0..5 {
        bench.now.wall = Timestamp(bench.now.wall.0 + YEAR_MS);
        bench.tick_after(SteadyWall::GRACE_MS / 2);
        bench.now.wall = Timestamp(bench.now.wall.0 - YEAR_MS);
        bench.tick_after(SteadyWall::GRACE_MS / 10);
        assert_eq!(log_start(&bench, slot), Offset(0));
    }
}

#[test]
fn a_clock_that_goes_back_deletes_nothing() {
    let (mut bench, slot) = filled();
    bench.now.wall = Timestamp(0);
    for _ in 0..30 {
        bench.tick_after(400_000);
    }
    assert_eq!(log_start(&bench, slot), Offset(0));
}

/// A slice that is on its way keeps its file; appends go on; the next fetch is told where the log starts.
#[test]
fn retention_disturbs_neither_readers_nor_writers() {
    let (mut bench, slot) = filled();
    let Located::Slice { slice, .. } = bench.locate(slot, 0, 10_000, true) else { panic!("there is something") };
    let before = bench.disk.read_handle(slice.file.handle, slice.position, slice.length as usize).expect("open");
    let hour_ms = 3_600_000;
    for hour in 0..30 {
        bench.append(slot, batch_of(&[(bench.now.wall.0, 10)], Codec::None));
        bench.tick_after(hour_ms);
        let end = bench.store.view(slot).expect("there").log_end();
        bench.store.set_high_watermark(slot, end);
        assert_eq!(end, Offset(151 + hour), "appends go on");
    }
    assert!(log_start(&bench, slot) > Offset(50), "whole old segments went");
    let after = bench.disk.read_handle(slice.file.handle, slice.position, slice.length as usize).expect("still open");
    assert_eq!(before, after);
    assert!(matches!(read_stored(&after), StoredRead::Batch(_)));
    assert!(matches!(bench.locate(slot, 0, 10_000, true), Located::OutOfRange));
}
