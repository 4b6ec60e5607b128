//! What is remembered of producers outlives the records it was learned from: their log may be deleted and the power fail, and a
//! batch that was sent once is not taken a second time.

use flumen_log::Offset;
use flumen_log::batch::ValidatedBatch;
use flumen_log::compression::Codec;
use flumen_log::io::Disk;
use flumen_log::store::{AppendError, DeleteRecords, LogConfig, PartitionSlot};
use flumen_sim::random::Random;

use crate::bench::{Bench, batch_from, batch_of, config};
use crate::truncation::truncate;

const PRODUCER: i64 = 9;
const SENT: i32 = 5;

fn numbered(sequence: i32) -> ValidatedBatch {
    batch_from(PRODUCER, sequence)
}

/// A log that has what the producer sent; the chances of its disk.
fn sent(seed: u64, config: LogConfig) -> (Bench, PartitionSlot) {
    let mut bench = Bench::new();
    bench.random = Random::new(seed);
    let slot = bench.create(0, config);
    for sequence in 0..SENT {
        bench.append(slot, numbered(sequence));
    }
    (bench, slot)
}

/// Every batch is known where it was, and one that leaves a gap is refused.
fn assert_known(bench: &mut Bench, slot: PartitionSlot, case: &str) {
    for sequence in 0..SENT {
        let again = bench.try_append(slot, numbered(sequence)).unwrap_or_else(|error| panic!("{case}: {sequence}: {error:?}"));
        assert!(again.duplicate && again.base_offset == Offset(i64::from(sequence)), "{case}: {again:?}");
    }
    assert!(matches!(bench.try_append(slot, numbered(SENT + 1)), Err(AppendError::Sequence(_))), "{case}: a gap");
}

#[test]
fn of_a_log_that_was_deleted_to_its_end() {
    let (mut bench, slot) = sent(1, config());
    bench.delete_before(slot, Offset(i64::from(SENT)));
    for clean in [false, false, true, true, false] {
        bench = if clean { bench.after_stop() } else { bench.after_power_loss() };
        let slot = bench.slot(0);
        assert_known(&mut bench, slot, if clean { "after a stop" } else { "after a power failure" });
    }
}

#[test]
fn of_segments_that_are_gone() {
    for seed in 0..40 {
        let (mut bench, slot) = sent(seed, config());
        // So many that the segments with the producer's batches are long complete.
        bench.fill(slot, 200);
        let end = bench.store.view(slot).expect("there").log_end();
        bench.delete_before(slot, end);
        assert!(!bench.names().contains(&"topic-0/00000000000000000000.log".to_owned()), "the first segment is gone");
        let mut bench = bench.after_power_loss();
        let slot = bench.slot(0);
        assert_known(&mut bench, slot, &format!("seed {seed}"));
    }
}

#[test]
fn of_a_log_that_retention_has_emptied() {
    for seed in 0..40 {
        let (mut bench, slot) = sent(seed, LogConfig { retention_ms: 1000, ..config() });
        let end = bench.store.view(slot).expect("there").log_end();
        bench.store.set_high_watermark(slot, end);
        bench.tick_after(2000);
        assert_eq!(bench.store.view(slot).expect("there").log_start(), end);
        assert!(!bench.names().contains(&"topic-0/00000000000000000000.log".to_owned()), "the segment is gone");
        let mut bench = bench.after_power_loss();
        let slot = bench.slot(0);
        assert_known(&mut bench, slot, &format!("seed {seed}"));
    }
}

/// A new start of the log is recorded when `batch` was taken and written nowhere yet, and the power fails.
fn without_the_last(mut bench: Bench, slot: PartitionSlot, start: i64, batch: ValidatedBatch) -> Bench {
    let end = bench.store.view(slot).expect("there").log_end();
    bench.store.set_high_watermark(slot, Offset(start));
    assert_eq!(bench.store.delete_records(slot, Offset(start)), DeleteRecords::Pending);
    bench.end_turn();
    bench.try_append(slot, batch).expect("it is taken");
    bench.complete_if(|_| true);
    assert_eq!(bench.store.view(slot).expect("there").log_start(), Offset(start));
    let mut bench = bench.after_power_loss();
    let slot = bench.slot(0);
    assert_eq!(bench.store.view(slot).expect("there").log_end(), end, "the batch is lost");
    bench
}

/// Of a batch that the power failure took, the trail knows: the batch is taken again, wherever the log starts by then.
#[test]
fn of_a_batch_that_was_lost_nothing_is_remembered() {
    let (bench, slot) = sent(1, config());
    let mut bench = without_the_last(bench, slot, 1, numbered(SENT));
    let slot = bench.slot(0);
    bench.begin_epoch(slot, 2);
    for _ in 0..4 {
        bench.append(slot, batch_of(&[(1, 10)], Codec::None));
    }
    // The newest step is of no use either: it tells of what was lost with the second failure.
    let mut bench = without_the_last(bench, slot, i64::from(SENT) + 2, batch_from(PRODUCER + 1, 0));
    let slot = bench.slot(0);
    bench.begin_epoch(slot, 3);
    let again = bench.append(slot, numbered(SENT));
    assert_eq!((again.duplicate, again.base_offset), (false, Offset(i64::from(SENT) + 4)));
}

/// Where what a snapshot does not know was deleted, a cut does not begin with it: nobody is held to what was true once.
#[test]
fn a_cut_does_not_begin_with_a_snapshot_of_before_what_was_deleted() {
    let mut bench = Bench::new();
    let slot = bench.create(0, config());
    bench.append(slot, numbered(0));
    bench.fill(slot, 60);
    for sequence in 1..SENT {
        bench.append(slot, numbered(sequence));
    }
    bench.fill(slot, 60);
    let segments = bench.bases(".log");
    assert_eq!((segments.len(), bench.bases(".snapshot")), (3, segments[1..].to_vec()));
    let mut disk = bench.disk;
    disk.crash_process(&mut Random::new(1));
    disk.unlink(&format!("topic-0/{:020}.snapshot", segments[2])).expect("it is there");
    let mut bench = Bench::over(disk);
    let slot = bench.slot(0);
    bench.begin_epoch(slot, 2);
    bench.fill(slot, 4);
    bench.delete_before(slot, Offset(segments[2] + 1));
    assert_eq!(bench.bases(".log"), segments[2..]);
    let to = bench.store.view(slot).expect("there").log_end().0 - 2;
    assert_eq!(truncate(&mut bench, slot, to), Ok(Offset(to)));
    let next = bench.append(slot, numbered(SENT));
    assert_eq!((next.base_offset, next.duplicate), (Offset(to), false));
}
