//! When a compacted log is cleaned: its records may be too young for it, and may have waited too long.

use flumen_log::batch::{BatchBuilder, ProducerInfo, StoredRead, ValidatedBatch, read_stored};
use flumen_log::compression::Codec;
use flumen_log::io::{Disk, FileOperation};
use flumen_log::store::{Located, LogConfig, Output, PartitionSlot};
use flumen_log::{Offset, Timestamp};

use crate::bench::{Bench, config, partition};

const LAG_MS: i64 = 60_000;
/// Where the clock of a bench starts.
const START_MS: i64 = 1_000_000;
const KEYS: i64 = 10;

/// A log that is never dirty enough.
fn never_dirty_enough() -> LogConfig {
    LogConfig {
        cleanup_delete: false,
        cleanup_compact: true,
        min_cleanable_dirty_ppm: 1_000_000,
        max_compaction_lag_ms: LAG_MS,
        segment_ms: LAG_MS,
        ..config()
    }
}

/// A log of which whatever is dirty is cleaned.
fn always_dirty_enough() -> LogConfig {
    LogConfig { min_cleanable_dirty_ppm: 0, segment_ms: i64::MAX, ..never_dirty_enough() }
}

/// A record of the key that the offset asks for.
fn of_key(offset: i64, timestamp: i64) -> ValidatedBatch {
    let mut builder = BatchBuilder::new();
    builder.append(Timestamp(timestamp), Some(&(offset % KEYS).to_be_bytes()), Some(&[7; 300]), &[]);
    builder.build_validated(Codec::None, None, ProducerInfo::NONE).expect("no codec").expect("one record")
}

/// Append up to `end`, with these timestamps.
fn fill(bench: &mut Bench, slot: PartitionSlot, end: i64, timestamp: impl Fn(i64) -> i64) {
    let from = bench.store.view(slot).expect("there").log_end().0;
    for offset in from..end {
        bench.append(slot, of_key(offset, timestamp(offset)));
    }
    bench.store.set_high_watermark(slot, Offset(end));
}

/// Let so much time pass, in steps in which the cleaner comes to an end.
fn pass(bench: &mut Bench, ms: i64) {
    for _ in 0..ms / 100 {
        bench.tick_after(100);
    }
}

/// The offsets of the records that are there.
fn offsets(bench: &mut Bench, slot: PartitionSlot) -> Vec<i64> {
    let bytes = bench.read_all(slot);
    let (mut rest, mut offsets) = (bytes.as_slice(), Vec::new());
    while let StoredRead::Batch(batch) = read_stored(rest) {
        if batch.header.record_count > 0 {
            offsets.push(batch.header.base_offset.0);
        }
        rest = &rest[batch.bytes.len()..];
    }
    offsets
}

fn all(end: i64) -> Vec<i64> {
    (0..end).collect()
}

/// Where the segments of the first partition start.
fn segments(bench: &Bench) -> Vec<i64> {
    bench.bases(".log")
}

/// `min.compaction.lag.ms`: only the segments whose records are all old enough are cleaned, however dirty the log is.
#[test]
fn records_stay_until_they_are_old_enough() {
    let mut bench = Bench::new();
    let compacted = LogConfig {
        min_cleanable_dirty_ppm: 0,
        max_compaction_lag_ms: i64::MAX,
        min_compaction_lag_ms: LAG_MS,
        ..never_dirty_enough()
    };
    let slot = bench.create(0, LogConfig { segment_ms: i64::MAX, ..compacted });
    fill(&mut bench, slot, 200, |_| START_MS);
    pass(&mut bench, LAG_MS - 20_000);
    assert_eq!(offsets(&mut bench, slot), all(200), "all of them are too young");
    fill(&mut bench, slot, 400, |_| START_MS + LAG_MS - 20_000);
    let bases = segments(&bench);
    pass(&mut bench, 40_000);
    // The segment in which the young ones begin is too young as a whole, and so are those behind it.
    let young = *bases.iter().rfind(|base| **base < 200).expect("there are several");
    let left = offsets(&mut bench, slot);
    assert!(left.ends_with(&(young..400).collect::<Vec<_>>()), "{left:?}");
    assert_eq!(left.len() as i64, 400 - young + KEYS, "of the older ones one of each key is left: {left:?}");
    pass(&mut bench, LAG_MS);
    let last = *bases.last().expect("several");
    let left = offsets(&mut bench, slot);
    assert_eq!(left.len() as i64, 400 - last + KEYS, "only what the last segment has stays as it is: {left:?}");
}

/// `max.compaction.lag.ms`: what has waited too long is cleaned, however clean the log is; counted from a segment's first batch, in
/// this run and in the next.
#[test]
fn records_do_not_stay_for_longer_than_the_most() {
    for restarted in [false, true] {
        let mut bench = Bench::new();
        let mut slot = bench.create(0, LogConfig { segment_ms: i64::MAX, ..never_dirty_enough() });
        fill(&mut bench, slot, 200, |offset| if offset == 0 { START_MS - LAG_MS / 2 } else { START_MS });
        if restarted {
            bench = bench.after_stop();
            slot = bench.slot(0);
            bench.store.configure(slot, LogConfig { segment_ms: i64::MAX, ..never_dirty_enough() });
            bench.begin_epoch(slot, 2);
            bench.store.set_high_watermark(slot, Offset(200));
        }
        pass(&mut bench, LAG_MS / 2 - 1000);
        assert_eq!(offsets(&mut bench, slot), all(200), "restarted: {restarted}");
        pass(&mut bench, 20_000);
        let last = *segments(&bench).last().expect("there are several");
        let left = offsets(&mut bench, slot);
        assert_eq!(left.len() as i64, 200 - last + KEYS, "restarted: {restarted}: {left:?}");
    }
}

/// Without its manifest a log is served as before, and says so: in the next run, in the one behind it, and when it was cleaned in
/// part since.
#[test]
fn a_lost_manifest_costs_no_record() {
    const MANIFEST: &str = "topic-0/compaction.manifest";
    /// Not in its place yet; perhaps what it replaces is gone.
    const WAITING: &str = "00000000000000000000.log.9.cleaned";
    for gone in [false, true] {
        let mut bench = Bench::new();
        let compacted = always_dirty_enough();
        let slot = bench.create(0, compacted.clone());
        fill(&mut bench, slot, 300, |_| START_MS);
        pass(&mut bench, 20_000);
        let left = offsets(&mut bench, slot);
        assert!(left.len() < 100, "{left:?}");
        let mut bench = bench.after_stop();
        if gone {
            bench.disk.unlink(MANIFEST).expect("there");
            bench.disk.sync_directory("topic-0").expect("there");
        } else {
            bench.disk.write(MANIFEST, 20, &[0xff]).expect("there");
            bench.disk.sync(MANIFEST).expect("there");
        }
        let waiting = format!("topic-0/{WAITING}");
        bench.disk.write(&waiting, 0, b"records").expect("no such file yet");
        bench.disk.sync(&waiting).expect("there");
        bench.disk.sync_directory("topic-0").expect("there");
        for _ in 0..2 {
            bench = bench.after_power_loss();
            assert_eq!(bench.file(&format!("quarantine/topic-0-{WAITING}.aside")), b"records", "it is kept");
            assert_eq!(bench.report.manifests_lost, [partition(0)], "gone: {gone}");
            let slot = bench.slot(0);
            for from in 0..300 {
                let located = bench.locate(slot, from, 1, true);
                let Located::Slice { next_offset, .. } = located else { panic!("{from}: {located:?}, gone: {gone}") };
                assert!(next_offset.0 > from);
            }
            assert_eq!(offsets(&mut bench, slot), left, "gone: {gone}");
        }
        let slot = bench.slot(0);
        bench.store.configure(slot, compacted);
        bench.begin_epoch(slot, 3);
        bench.store.set_high_watermark(slot, Offset(300));
        let before = bench.file(MANIFEST);
        let mut ticks = 0;
        while bench.file(MANIFEST) == before {
            bench.tick_after(100);
            ticks += 1;
            assert!(ticks < 1000, "it is cleaned again");
        }
        let mut bench = bench.after_power_loss();
        let slot = bench.slot(0);
        assert_eq!(offsets(&mut bench, slot), left, "gone: {gone}");
    }
}

/// What goes by age, size or request while it is being cleaned is no damage: the log is cleaned the next time.
#[test]
fn a_segment_may_go_while_it_is_being_cleaned() {
    for steps in 0..40 {
        let mut bench = Bench::new();
        let slot = bench.create(0, LogConfig { cleanup_delete: true, ..always_dirty_enough() });
        fill(&mut bench, slot, 300, |_| START_MS);
        // The next look for something to clean is not far.
        pass(&mut bench, 14_000);
        for _ in 0..20 + steps {
            bench.tick_after(100);
        }
        bench.delete_before(slot, Offset(200));
        bench.store.set_high_watermark(slot, Offset(300));
        pass(&mut bench, 40_000);
        let given_up: Vec<_> = bench.outputs.iter().filter(|output| matches!(output, Output::Uncleanable { .. })).collect();
        assert!(given_up.is_empty(), "{steps}: {given_up:?}");
        let last = *segments(&bench).last().expect("there are several");
        let left = offsets(&mut bench, slot);
        assert!(left.len() as i64 <= 300 - last + KEYS, "{steps}: {left:?}");
    }
}

/// What goes bad when the cleaner has read it is whole again in what the cleaner makes of it.
#[test]
fn damage_goes_with_the_file_it_was_found_in() {
    let mut bench = Bench::new();
    let slot = bench.create(0, always_dirty_enough());
    fill(&mut bench, slot, 200, |_| START_MS);
    // All that the cleaner does, up to where the new segment is to count.
    let up_to_the_manifest = |bench: &mut Bench| {
        bench.end_turn();
        bench.complete_if(|operation| !matches!(operation, FileOperation::Rename { .. }));
    };
    for _ in 0..200 {
        bench.tick(100);
        up_to_the_manifest(&mut bench);
    }
    assert!(bench.names().iter().any(|name| name.ends_with(".cleaned")), "{:?}", bench.names());
    let faulty = |bench: &Bench| bench.store.view(slot).expect("there").faulty_ranges().len();
    bench.disk.write("topic-0/00000000000000000000.log", 0, &[0; 8192]).expect("there");
    bench.locate_later(slot, 1);
    for _ in 0..10 {
        up_to_the_manifest(&mut bench);
    }
    assert_eq!(faulty(&bench), 1);
    bench.settle();
    assert_eq!(faulty(&bench), 0);
    pass(&mut bench, 20_000);
    let last = *segments(&bench).last().expect("several");
    assert_eq!(offsets(&mut bench, slot).len() as i64, 200 - last + KEYS);
}

/// A cleaning that found no room is tried again when there is some: not before the files of the first one are gone, for those of the
/// second one have the same names, and would go with them.
#[test]
fn a_cleaning_waits_until_the_one_given_up_is_gone() {
    let mut bench = Bench::new();
    let slot = bench.create(0, always_dirty_enough());
    fill(&mut bench, slot, 200, |_| START_MS);
    let all_but = |bench: &mut Bench, is_late: fn(&FileOperation) -> bool| {
        for _ in 0..400 {
            bench.tick(100);
            bench.complete_if(|operation| !is_late(operation));
        }
    };
    let begins = |operation: &FileOperation| matches!(operation, FileOperation::Open { path, .. } if path.ends_with(".cleaned"));
    while bench.disk.outstanding() == 0 {
        bench.tick(100);
        bench.complete_if(|operation| !begins(operation));
    }
    bench.disk.faults.full = true;
    all_but(&mut bench, |operation| matches!(operation, FileOperation::Unlink { .. }));
    assert!(bench.disk.outstanding() > 0, "a cleaning was given up");
    bench.disk.faults.full = false;
    all_but(&mut bench, |operation| matches!(operation, FileOperation::Unlink { .. } | FileOperation::Rename { .. }));
    bench.settle();
    assert!(!bench.store.has_failed(), "{:?}", bench.store.failure());
    pass(&mut bench, 40_000);
    let last = *segments(&bench).last().expect("several");
    let left = offsets(&mut bench, slot);
    assert_eq!(left.len() as i64, 200 - last + KEYS, "it was cleaned: {left:?}");
    let mut bench = bench.after_power_loss();
    let slot = bench.slot(0);
    assert_eq!(offsets(&mut bench, slot), left);
}

/// The segment that grows is not cleaned: it makes way for another when its first record has waited for the most.
#[test]
fn the_active_segment_makes_way_in_time() {
    let mut bench = Bench::new();
    let slot = bench.create(0, never_dirty_enough());
    fill(&mut bench, slot, 30, |_| START_MS);
    pass(&mut bench, LAG_MS + 20_000);
    assert_eq!(offsets(&mut bench, slot), all(30), "there is nothing but the active segment");
    fill(&mut bench, slot, 31, |_| START_MS + LAG_MS + 20_000);
    assert_eq!(segments(&bench), [0, 30]);
    pass(&mut bench, 20_000);
    assert_eq!(offsets(&mut bench, slot), (20..31).collect::<Vec<_>>());
}

/// The new segment takes its room before the old ones give theirs: it is not begun where it would take what is kept in reserve.
#[test]
fn a_cleaning_waits_for_room_above_the_floor() {
    let mut bench = Bench::new();
    bench.disk.faults.free_bytes = Some((1 << 20) + 5000);
    bench.tick_after(2000);
    let slot = bench.create(0, always_dirty_enough());
    bench.disk.faults.free_bytes = None;
    bench.tick_after(2000);
    fill(&mut bench, slot, 200, |_| START_MS);
    for free_bytes in [(1 << 20) + 1000, 1 << 20, 0] {
        bench.disk.faults.free_bytes = Some(free_bytes);
        for _ in 0..200 {
            bench.tick_after(100);
            assert!(bench.names().iter().all(|name| !name.ends_with(".cleaned")), "with {free_bytes} bytes free");
        }
    }
    assert_eq!(offsets(&mut bench, slot), all(200));
    bench.disk.faults.free_bytes = None;
    pass(&mut bench, 20_000);
    let last = *segments(&bench).last().expect("several");
    assert_eq!(offsets(&mut bench, slot).len() as i64, 200 - last + KEYS);
}

/// A tombstone stays for its time, counted by the latest clock that was believed (KIP-534): one that is wrong for a while, and earlier,
/// takes nothing of it.
#[test]
fn a_tombstone_outlives_a_clock_that_went_back_and_was_set_right() {
    const DAY_MS: i64 = 86_400_000;
    let mut bench = Bench::new();
    let compacted = LogConfig { max_compaction_lag_ms: i64::MAX, ..always_dirty_enough() };
    let hours = |bench: &mut Bench, hours: i64| (0..hours * 60).for_each(|_| bench.tick_after(60_000));
    bench.now.wall = Timestamp(START_MS + 40 * DAY_MS);
    hours(&mut bench, 2);
    let slot = bench.create(0, compacted);
    let mut builder = BatchBuilder::new();
    builder.append(Timestamp(START_MS), Some(b"gone"), None, &[]);
    bench.append(slot, builder.build_validated(Codec::None, None, ProducerInfo::NONE).expect("no codec").expect("one record"));
    bench.now.wall = Timestamp(START_MS + 10 * DAY_MS);
    fill(&mut bench, slot, 200, |_| START_MS);
    pass(&mut bench, 40_000);
    let cleaned = offsets(&mut bench, slot);
    assert!(cleaned[0] == 0 && cleaned.len() < 100, "{cleaned:?}");
    bench.now.wall = Timestamp(bench.now.wall.0 + 30 * DAY_MS);
    hours(&mut bench, 2);
    fill(&mut bench, slot, 400, |_| START_MS);
    pass(&mut bench, 40_000);
    let left = offsets(&mut bench, slot);
    assert!(left[0] == 0 && left.len() < 200, "{left:?}");
    hours(&mut bench, 24);
    fill(&mut bench, slot, 600, |_| START_MS);
    pass(&mut bench, 40_000);
    assert_ne!(offsets(&mut bench, slot)[0], 0, "its time is over");
}
