//! The hash that decides where a key lives: murmur2 as Kafka's Java client computes it.
//!
//! Invariant: for every key, [`murmur2`] equals `org.apache.kafka.common.utils.Utils.murmur2`; a producer of another
//! language that hashes the same key finds the same partition. The vectors in `tests/vectors/murmur2.txt` were written by
//! the Java client itself.

const SEED: u32 = 0x9747_b28c;
const MULTIPLIER: u32 = 0x5bd1_e995;

/// The hash of `key`, as a Java `int`.
#[must_use]
pub fn murmur2(key: &[u8]) -> i32 {
    // Java hashes with a 32-bit length too; a key longer than that does not fit a record.
    let length = u32::try_from(key.len()).unwrap_or(u32::MAX);
    let mut hash = SEED ^ length;
    let (words, tail) = key.as_chunks::<4>();
    for word in words {
        let mut mixed = u32::from_le_bytes(*word).wrapping_mul(MULTIPLIER);
        mixed ^= mixed >> 24;
        hash = hash.wrapping_mul(MULTIPLIER) ^ mixed.wrapping_mul(MULTIPLIER);
    }
    if !tail.is_empty() {
        for (place, byte) in tail.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * place);
        }
        hash = hash.wrapping_mul(MULTIPLIER);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(MULTIPLIER);
    hash ^= hash >> 15;
    hash.cast_signed()
}

/// The partition of a keyed record among `partitions`, as Kafka's Java client and librdkafka's `murmur2_random` choose it.
///
/// `None` where a topic has no partitions.
#[must_use]
pub fn partition_of(key: &[u8], partitions: i32) -> Option<i32> {
    // Java clears the sign bit; it does not take the absolute value.
    (murmur2(key) & i32::MAX).checked_rem(partitions)
}
