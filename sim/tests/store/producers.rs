//! What is remembered of producers outlives the records it was learned from: their log may be deleted and the power fail, and a
//! batch that was sent once is not taken a second time.

use flumen_log::Offset;
use flumen_log::batch::ValidatedBatch;
use flumen_log::store::{AppendError, LogConfig, PartitionSlot};
use flumen_sim::random::Random;

use crate::bench::{Bench, batch_from, config};

const PRODUCER: i64 = 9;
const SENT: i32 = 5;

fn numbered(sequence: i32) -> ValidatedBatch {
    batch_from(PRODUCER, sequence)
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
    let mut bench = Bench::new();
    let slot = bench.create(0, config());
    for sequence in 0..SENT {
        bench.append(slot, numbered(sequence));
    }
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
        let mut bench = Bench::new();
        bench.random = Random::new(seed);
        let slot = bench.create(0, config());
        for sequence in 0..SENT {
            bench.append(slot, numbered(sequence));
        }
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
        let mut bench = Bench::new();
        bench.random = Random::new(seed);
        let slot = bench.create(0, LogConfig { retention_ms: 1000, ..config() });
        for sequence in 0..SENT {
            bench.append(slot, numbered(sequence));
        }
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
