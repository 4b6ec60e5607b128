//! Which partition of `__consumer_offsets` is a group's: Java's hash of the group id, as in Kafka (G18).

/// The partition of `partitions` that a group's commits are in.
pub(crate) fn partition_of(group: &str, partitions: i32) -> i32 {
    let hash = group.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    // Kafka's `Utils.abs`: the smallest number has no positive counterpart and counts as zero.
    let positive = if hash == i32::MIN { 0 } else { hash.abs() };
    positive % partitions.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g18_the_hash_is_javas() {
        // "polygenelubricants".hashCode() is Integer.MIN_VALUE.
        assert_eq!(partition_of("polygenelubricants", 50), 0);
        // "hello".hashCode() is 99162322.
        assert_eq!(partition_of("hello", 50), 22);
        assert_eq!(partition_of("", 50), 0);
    }
}
