//! The partition of a key is a promise between languages: every vector here was computed by Kafka's Java client.

use flumen_client::murmur2::{murmur2, partition_of};

fn unhex(text: &str) -> Vec<u8> {
    if text == "-" {
        return Vec::new();
    }
    assert_eq!(text.len() % 2, 0, "{text}");
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
}

#[test]
fn equals_the_java_client_on_every_vector() {
    let mut seen = [0u32; 65];
    let mut negative = 0;
    for line in include_str!("vectors/murmur2.txt").lines().filter(|line| !line.starts_with('#')) {
        let (key, expected) = line.split_once(' ').expect("key and hash");
        let key = unhex(key);
        let expected: i32 = expected.parse().expect("a Java int");
        assert_eq!(murmur2(&key), expected, "key {key:02x?}");
        // 0x7fffffff, not abs: they differ for every negative hash.
        assert_eq!(partition_of(&key, 7), Some((expected & 0x7fff_ffff) % 7));
        negative += u32::from(expected < 0);
        if let Some(count) = seen.get_mut(key.len()) {
            *count += 1;
        }
    }
    assert!(seen.iter().all(|count| *count > 0), "a length from 0 to 64 is missing: {seen:?}");
    assert!(negative > 50, "too few hashes with the sign bit");
}

#[test]
fn a_topic_without_partitions_has_no_place() {
    assert_eq!(partition_of(b"key", 0), None);
}
