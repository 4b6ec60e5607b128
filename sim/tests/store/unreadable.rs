//! Reads that fail: the reader is told so, what is around is served, and the directory stays online.

use core::ops::Range;

use flumen_log::Offset;
use flumen_log::compression::Codec;
use flumen_log::io::Disk;
use flumen_log::store::{Located, LogConfig, Output, PartitionSlot, Stretch, TimestampLookup, TruncateError};

use crate::bench::{Bench, batch_of, config};
use crate::damage::{LOG, batch_at, compact, of_ten_keys, ranges, read_around, stopped};
use crate::truncation::truncate;

const LOG_NAME: &str = "00000000000000000000.log";
/// Batches that may go with one whose bytes cannot be read: those up to the next marks.
const AROUND: usize = 5;

/// Some bytes within the batch of this offset.
fn within(whole: &[u8], offset: i64) -> Range<u64> {
    let (from, _) = batch_at(whole, offset);
    (from + 100) as u64..(from + 110) as u64
}

/// The log takes appends, and says so of nothing but the range.
fn goes_on(bench: &mut Bench, slot: PartitionSlot, end: i64) {
    assert!(!bench.store.has_failed());
    assert_eq!(bench.append(slot, batch_of(&[(1, 1)], Codec::None)).base_offset, Offset(end));
}

fn ranges_told(bench: &Bench) -> usize {
    bench.outputs.iter().filter(|output| matches!(output, Output::RangeFaulty { .. })).count()
}

/// What is found at start is checked before it is served: in parts that become smaller where one cannot be read.
#[test]
fn bytes_that_cannot_be_read_cost_the_batches_around_them_alone() {
    let (bench, whole) = stopped(100);
    let mut bench = bench.after_kill();
    bench.disk.faults.bad_bytes = Some((LOG_NAME, within(&whole, 7)));
    let slot = bench.slot(0);
    let (read, passed) = read_around(&mut bench, slot);
    assert!(passed.contains(&7) && passed.len() <= AROUND, "{passed:?}");
    let (first, last) = (passed[0], passed[passed.len() - 1]);
    assert!(read == [&whole[..batch_at(&whole, first).0], &whole[batch_at(&whole, last).1..]].concat());
    assert_eq!((ranges(&bench, slot), ranges_told(&bench)), (vec![(first, last + 1)], 1));
    goes_on(&mut bench, slot, 100);
    bench.disk.faults.bad_bytes = None;
    let mut bench = bench.after_stop();
    let slot = bench.slot(0);
    assert!(bench.read_all(slot).starts_with(&whole), "nothing of it was written down");
}

/// Where nothing is left but the segment itself, its index is made of what can be read.
#[test]
fn an_index_is_made_around_what_cannot_be_read() {
    for bad in [7, 0, 53] {
        let (bench, whole) = stopped(100);
        let mut bench = bench.after_kill();
        bench.disk.unlink("topic-0/00000000000000000000.checks").expect("there");
        bench.disk.faults.bad_bytes = Some((LOG_NAME, within(&whole, bad)));
        let slot = bench.slot(0);
        let (read, passed) = read_around(&mut bench, slot);
        // Up to the end of the page, and the batch that reaches into the next.
        assert!(passed.contains(&bad) && passed.len() <= 14, "{bad}: {passed:?}");
        let left = (0..100).filter(|offset| !passed.contains(offset)).map(|offset| batch_at(&whole, offset));
        assert!(read == left.flat_map(|(from, to)| whole[from..to].to_vec()).collect::<Vec<u8>>());
        goes_on(&mut bench, slot, 100);
    }
}

#[test]
fn a_sidecar_that_cannot_be_read_is_like_one_that_is_not_there() {
    let (bench, whole) = stopped(100);
    let mut bench = bench.after_kill();
    bench.disk.faults.bad_bytes = Some(("00000000000000000000.checks", 0..1));
    let slot = bench.slot(0);
    assert!(bench.read_all(slot) == whole);
    assert_eq!(bench.disk.failed_reads().len(), 1);
}

/// A disk that gives what lies elsewhere in the file: nothing is served from where it is not, and nothing is marked for it.
#[test]
fn a_lookup_believes_nothing_that_is_not_where_it_should_be() {
    let mut bench = Bench::new();
    let slot = bench.create(0, config());
    bench.fill(slot, 100);
    let whole = bench.read_all(slot);
    bench.disk.faults.rates.misdirected_read = 20;
    let (mut refused, mut found) = (0, 0);
    for from in (0..100).cycle().take(1000) {
        match bench.locate(slot, from, 1, true) {
            Located::Slice { slice, base_offset, .. } => {
                let (_, Offset(segment)) = slice.file.segment;
                let position = batch_at(&whole, from).0 - batch_at(&whole, segment).0;
                assert_eq!((base_offset, slice.position), (Offset(from), position as u64));
                found += 1;
            }
            Located::Failed => refused += 1,
            other => panic!("{from}: {other:?}"),
        }
    }
    // What is checked and read again is nearly always what lies there.
    assert!(bench.disk.faults.counts["misdirected read"] > 20 && refused < 5, "{refused} refused, {found} found");
    bench.disk.faults.rates.misdirected_read = 0;
    assert!(bench.read_all(slot) == whole && ranges(&bench, slot).is_empty());
}

/// Damage that a check comes upon, or an index made again, is there if it is there twice.
#[test]
fn nothing_is_faulty_for_what_was_read_from_elsewhere() {
    let mut lies = 0;
    for seed in 0..60 {
        let (bench, whole) = stopped(100);
        let mut bench = bench.after_kill();
        if seed % 2 == 0 {
            bench.disk.unlink("topic-0/00000000000000000000.checks").expect("there");
        }
        bench.disk.seed(seed);
        bench.disk.faults.rates.misdirected_read = 20;
        let slot = bench.slot(0);
        for from in [50, 10, 90] {
            let _ = bench.locate(slot, from, 1, true);
        }
        bench.disk.faults.rates.misdirected_read = 0;
        lies += bench.disk.faults.counts.get("misdirected read").copied().unwrap_or_default();
        assert!(bench.read_all(slot) == whole && ranges(&bench, slot).is_empty(), "{seed}");
    }
    assert!(lies > 10, "{lies}");
}

/// What was written in this life is believed, until it cannot be read.
#[test]
fn a_lookup_finds_its_way_around_what_cannot_be_read() {
    let mut bench = Bench::new();
    let slot = bench.create(0, config());
    bench.fill(slot, 100);
    let whole = bench.read_all(slot);
    for bad in [7, 30, 51] {
        bench.disk.faults.bad_bytes = Some((LOG_NAME, within(&whole, bad)));
        let found: Vec<bool> = (0..100)
            .map(|from| match bench.locate(slot, from, 1, true) {
                Located::Slice { base_offset, .. } => base_offset == Offset(from),
                Located::Corrupt => false,
                other => panic!("{from}: {other:?}"),
            })
            .collect();
        let passed = (bad - 4..bad + 5).filter(|offset| !found[usize::try_from(*offset).expect("positive")]).count();
        assert!(!found[usize::try_from(bad).expect("positive")] && (1..=AROUND).contains(&passed), "{bad}: {found:?}");
    }
    assert!(ranges(&bench, slot).len() == 3 && ranges_told(&bench) == 3, "{:?}", ranges(&bench, slot));
    goes_on(&mut bench, slot, 100);
}

#[test]
fn a_search_by_time_does_not_go_past_what_cannot_be_read() {
    for restarts in [false, true] {
        let mut bench = Bench::new();
        let mut slot = bench.create(0, config());
        bench.fill(slot, 100);
        let whole = bench.read_all(slot);
        if restarts {
            bench = bench.after_stop();
            slot = bench.slot(0);
        }
        bench.disk.faults.bad_bytes = Some((LOG_NAME, within(&whole, 20)));
        assert_eq!(bench.timestamp(slot, Some(20)), TimestampLookup::Corrupt);
        for sound in [3, 30] {
            let found = bench.timestamp(slot, Some(sound));
            assert!(matches!(found, TimestampLookup::Found(found) if found.offset == Offset(sound)), "{sound}: {found:?}");
        }
        goes_on(&mut bench, slot, 100);
    }
}

#[test]
fn the_scrubber_finds_what_cannot_be_read() {
    let (bench, whole) = stopped(200);
    let mut bench = bench.after_kill();
    bench.disk.faults.bad_bytes = Some((LOG_NAME, within(&whole, 20)));
    let slot = bench.slot(0);
    for _ in 0..2000 {
        bench.tick_after(1);
    }
    assert_eq!(bench.store.scrubbed_bytes(), whole.len() as u64, "all of it, once");
    let found = ranges(&bench, slot);
    assert!(matches!(found[..], [(from, to)] if from <= 20 && 20 < to && to - from <= 5), "{found:?}");
    assert_eq!(ranges_told(&bench), 1);
    goes_on(&mut bench, slot, 200);
}

/// A reader whose file gave an error: the stretch it tells is checked without anybody asking for it.
#[test]
fn what_a_reader_could_not_read_is_checked_at_once() {
    for is_bad in [true, false] {
        let mut bench = Bench::new();
        let slot = bench.create(0, config());
        bench.fill(slot, 100);
        let whole = bench.read_all(slot);
        for offset in [7, 95] {
            let Range { start, end } = within(&whole, offset);
            // The second lies in the segment that grows.
            let (segment, name) = if offset < 54 { (0, LOG_NAME) } else { (54, "00000000000000000054.log") };
            let base = batch_at(&whole, segment).0 as u64;
            bench.disk.faults.bad_bytes = is_bad.then_some((name, start - base..end - base));
            bench.store.doubt(slot, Stretch { segment: Offset(segment), position: start - base, length: 2000 }, &mut bench.io);
            bench.settle();
        }
        let found = ranges(&bench, slot);
        assert_eq!((found.len(), ranges_told(&bench)), if is_bad { (2, 2) } else { (0, 0) }, "{found:?}");
        if is_bad {
            assert!(matches!(bench.locate(slot, 7, 1, true), Located::Corrupt));
        } else {
            assert!(bench.read_all(slot) == whole);
        }
        goes_on(&mut bench, slot, 100);
    }
}

#[test]
fn a_log_is_not_cut_where_what_stays_cannot_be_read() {
    let mut bench = Bench::new();
    let slot = bench.create(0, config());
    bench.fill(slot, 100);
    let whole = bench.read_all(slot);
    bench.disk.faults.bad_bytes = Some((LOG_NAME, within(&whole, 20)));
    assert_eq!(truncate(&mut bench, slot, 40), Err(TruncateError::Damaged));
    goes_on(&mut bench, slot, 100);
    bench.disk.faults.bad_bytes = None;
    assert_eq!(truncate(&mut bench, slot, 40), Ok(Offset(40)));
    assert!(whole.starts_with(&bench.read_all(slot)));
}

#[test]
fn the_cleaner_leaves_alone_what_it_cannot_read() {
    let compacted = LogConfig { cleanup_compact: true, ..config() };
    let mut bench = of_ten_keys(&compacted);
    let before = bench.file(LOG);
    bench.disk.faults.bad_bytes = Some((LOG_NAME, within(&before, 20)));
    let slot = bench.slot(0);
    compact(&mut bench, slot, &compacted);
    let told = |output: &&Output| matches!(output, Output::Uncleanable { slot: of, segment: Offset(0) } if *of == slot);
    assert_eq!(bench.outputs.iter().filter(told).count(), 1, "{:?}", bench.outputs);
    assert_eq!(bench.file(LOG), before);
    goes_on(&mut bench, slot, 200);
}
