//! Which partition a record goes to.
//!
//! Invariants: a keyed record's partition depends only on its key and the number of partitions, never on which of them
//! are reachable; a keyless one goes to a partition that has a leader, if any has. A partitioner is asked once for each
//! record and told what became of it; it never sees retries.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use crate::murmur2::partition_of;

/// What a partitioner may know of the record it places.
#[derive(Clone, Copy, Debug)]
pub struct Placement<'a> {
    /// The record's topic.
    pub topic: &'a str,
    /// Its key, if it has one. An empty key is a key.
    pub key: Option<&'a [u8]>,
    /// Its value; absent in a tombstone.
    pub value: Option<&'a [u8]>,
    /// How many partitions the topic has, at least one.
    pub partitions: i32,
    /// Those that have a leader now, ascending; may be empty.
    pub available: &'a [i32],
}

/// Chooses partitions for a producer.
///
/// An answer outside `0..partitions` fails the record and nothing else.
pub trait Partitioner: Send {
    /// The partition of this record.
    fn place(&mut self, placement: &Placement<'_>) -> i32;

    /// Told after a record was taken up: `bytes` is its size in the batch, `batch_size` the producer's limit of one.
    fn taken(&mut self, _topic: &str, _partition: i32, _bytes: usize, _batch_size: usize) {}
}

/// Kafka's default: keyed records by murmur2, keyless ones stay on a partition for a batch, then move (KIP-794).
#[derive(Debug)]
pub struct DefaultPartitioner {
    topics: HashMap<String, Sticky>,
    random: Random,
}

/// Where the keyless records of one topic go at present.
#[derive(Clone, Copy, Debug)]
struct Sticky {
    partition: i32,
    bytes: usize,
}

impl DefaultPartitioner {
    /// Starts with a seed of the operating system's.
    #[must_use]
    pub fn new() -> Self {
        Self { topics: HashMap::new(), random: Random::new() }
    }

    /// Starts with a known seed, for a run that must repeat.
    #[must_use]
    pub fn with_seed(seed: u64) -> Self {
        Self { topics: HashMap::new(), random: Random::with_seed(seed) }
    }

    /// Uniform over the partitions that have a leader, else over all, so that no partition starves (KIP-794).
    fn draw(&mut self, placement: &Placement<'_>) -> i32 {
        if placement.available.is_empty() {
            let count = u64::try_from(placement.partitions).unwrap_or(1).max(1);
            i32::try_from(self.random.next() % count).unwrap_or(0)
        } else {
            let index = self.random.below(placement.available.len());
            placement.available[index]
        }
    }
}

impl Default for DefaultPartitioner {
    fn default() -> Self {
        Self::new()
    }
}

impl Partitioner for DefaultPartitioner {
    fn place(&mut self, placement: &Placement<'_>) -> i32 {
        if let Some(key) = placement.key {
            return partition_of(key, placement.partitions).unwrap_or(0);
        }
        if let Some(sticky) = self.topics.get(placement.topic) {
            let led = placement.available.is_empty() || placement.available.binary_search(&sticky.partition).is_ok();
            if led && sticky.partition < placement.partitions {
                return sticky.partition;
            }
        }
        let partition = self.draw(placement);
        self.topics.insert(placement.topic.to_owned(), Sticky { partition, bytes: 0 });
        partition
    }

    fn taken(&mut self, topic: &str, partition: i32, bytes: usize, batch_size: usize) {
        let Some(sticky) = self.topics.get_mut(topic) else { return };
        if sticky.partition != partition {
            return;
        }
        // Keyed records count too: what matters is that each partition gets a batch's worth of bytes in its turn.
        sticky.bytes += bytes;
        if sticky.bytes >= batch_size {
            self.topics.remove(topic);
        }
    }
}

/// Every record to the next partition, whatever its key.
#[derive(Debug, Default)]
pub struct RoundRobin {
    next: HashMap<String, usize>,
}

impl RoundRobin {
    /// Starts each topic at its first partition.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Partitioner for RoundRobin {
    fn place(&mut self, placement: &Placement<'_>) -> i32 {
        if !self.next.contains_key(placement.topic) {
            self.next.insert(placement.topic.to_owned(), 0);
        }
        let next = self.next.get_mut(placement.topic).expect("inserted above");
        let turn = *next;
        *next = next.wrapping_add(1);
        if placement.available.is_empty() {
            let count = usize::try_from(placement.partitions).unwrap_or(1).max(1);
            i32::try_from(turn % count).unwrap_or(0)
        } else {
            placement.available[turn % placement.available.len()]
        }
    }
}

/// Every record to one given partition.
#[derive(Clone, Copy, Debug)]
pub struct Explicit(pub i32);

impl Partitioner for Explicit {
    fn place(&mut self, _: &Placement<'_>) -> i32 {
        self.0
    }
}

/// SplitMix64: small, fast, and good enough to spread load; never for secrets.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new() -> Self {
        // The standard hasher's keys are the operating system's randomness without a further dependency.
        Self(RandomState::new().hash_one(0u8))
    }

    pub(crate) fn with_seed(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % limit).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BATCH: usize = 1000;

    fn placement<'a>(key: Option<&'a [u8]>, partitions: i32, available: &'a [i32]) -> Placement<'a> {
        Placement { topic: "topic", key, value: None, partitions, available }
    }

    #[test]
    fn a_key_ignores_which_partitions_are_reachable() {
        let mut partitioner = DefaultPartitioner::with_seed(1);
        let all = partitioner.place(&placement(Some(b"key"), 7, &[0, 1, 2, 3, 4, 5, 6]));
        let one = partitioner.place(&placement(Some(b"key"), 7, &[(all + 1) % 7]));
        assert_eq!(all, one);
        // murmur2("abc") is 479470107 in Java.
        assert_eq!(partitioner.place(&placement(Some(b"abc"), 10, &[])), 7);
    }

    #[test]
    fn an_empty_key_is_a_key() {
        let mut partitioner = DefaultPartitioner::with_seed(1);
        let expected = partition_of(b"", 5).unwrap();
        for _ in 0..20 {
            assert_eq!(partitioner.place(&placement(Some(b""), 5, &[0, 1, 2, 3, 4])), expected);
        }
    }

    #[test]
    fn keyless_records_stay_for_a_batch_and_then_spread_evenly() {
        let available = [0, 1, 2, 3];
        let mut partitioner = DefaultPartitioner::with_seed(7);
        let mut batches = [0u32; 4];
        for _ in 0..4000 {
            let partition = partitioner.place(&placement(None, 4, &available));
            for _ in 0..10 {
                assert_eq!(partitioner.place(&placement(None, 4, &available)), partition);
                partitioner.taken("topic", partition, 100, BATCH);
            }
            batches[usize::try_from(partition).unwrap()] += 1;
        }
        assert!(batches.iter().all(|count| (800..1200).contains(count)), "{batches:?}");
    }

    #[test]
    fn keyless_records_leave_a_partition_without_leader() {
        let mut partitioner = DefaultPartitioner::with_seed(7);
        let first = partitioner.place(&placement(None, 3, &[0, 1, 2]));
        let others: Vec<i32> = (0..3).filter(|partition| *partition != first).collect();
        for _ in 0..20 {
            assert_ne!(partitioner.place(&placement(None, 3, &others)), first);
        }
        assert!((0..3).contains(&partitioner.place(&placement(None, 3, &[]))));
    }

    #[test]
    fn round_robin_takes_turns_over_those_with_leaders() {
        let mut partitioner = RoundRobin::new();
        let taken: Vec<i32> = (0..6).map(|_| partitioner.place(&placement(Some(b"k"), 3, &[0, 2]))).collect();
        assert_eq!(taken, [0, 2, 0, 2, 0, 2]);
        assert_eq!(partitioner.place(&Placement { topic: "other", ..placement(None, 3, &[]) }), 0);
        assert_eq!(Explicit(9).place(&placement(None, 3, &[0])), 9);
    }
}
