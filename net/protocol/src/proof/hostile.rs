//! Frames that nobody honest sends: cut, damaged, made up. None may panic, and what is read can be written again.

use std::format;
use std::vec::Vec;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::{every_version, generate_request, generate_response};
use crate::{ApiKey, DecodeError, Malformed, decode_request, decode_response};

/// Header and body of a valid request.
fn valid_request(api_key: ApiKey, version: i16, seed: u64) -> Bytes {
    generate_request(api_key, version, seed).encode(version, 5, Some("client")).unwrap().slice(4..)
}

/// Header and body of a valid response.
fn valid_response(api_key: ApiKey, version: i16, seed: u64) -> Bytes {
    generate_response(api_key, version, seed).encode_strictly(version, 5).unwrap().bytes.slice(4..)
}

/// Reads a request; if there is one, it is the same after another round.
fn probe_request(frame: Bytes) {
    let Ok((header, request)) = decode_request(frame) else { return };
    let again = request.encode(header.version, header.correlation_id, header.client_id.as_deref()).unwrap();
    assert_eq!(decode_request(again.slice(4..)).unwrap(), (header, request));
}

/// Reads a response; if there is one, it is the same after another round.
fn probe_response(api_key: ApiKey, version: i16, frame: Bytes) {
    let Ok((correlation_id, response)) = decode_response(api_key, version, frame) else { return };
    // An ApiVersions response that refuses the version has been read at version 0.
    let Ok(again) = response.encode_strictly(version, correlation_id) else { return };
    if let Ok(decoded) = decode_response(api_key, version, again.bytes.slice(4..)) {
        assert_eq!(decoded, (correlation_id, response));
    }
}

#[test]
fn no_prefix_of_a_message_is_a_message() {
    for (api_key, version) in every_version() {
        for seed in 0..4 {
            let frame = valid_request(api_key, version, seed);
            for length in (0..frame.len()).rev().take(600) {
                assert!(decode_request(frame.slice(..length)).is_err(), "{api_key:?} {version} cut at {length}");
            }
            let frame = valid_response(api_key, version, seed);
            for length in (0..frame.len()).rev().take(600) {
                let decoded = decode_response(api_key, version, frame.slice(..length));
                assert!(decoded.is_err(), "{api_key:?} {version} response cut at {length}");
            }
        }
    }
}

#[test]
fn bytes_behind_a_request_are_ignored() {
    for (api_key, version) in every_version() {
        let frame = valid_request(api_key, version, 1);
        let longer = [&frame[..], b"behind"].concat();
        assert_eq!(decode_request(Bytes::from(longer)), decode_request(frame));
    }
}

/// A Metadata request of version 0: header without client id, then the count of topics.
fn metadata_with_count(count: i32, rest: &[u8]) -> Bytes {
    let header = [0, 3, 0, 0, 0, 0, 0, 9, 0xff, 0xff];
    Bytes::from([&header[..], &count.to_be_bytes(), rest].concat())
}

fn reason(frame: Bytes) -> Malformed {
    match decode_request(frame) {
        Err(DecodeError::Malformed { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn c14_counts_are_held_against_what_remains_and_against_kafkas_limit() {
    for count in [1, 2, 1_000_000, 1_000_001, i32::MAX] {
        assert_eq!(reason(metadata_with_count(count, &[0])), Malformed::ArrayTooLong, "{count}");
    }
    assert_eq!(reason(metadata_with_count(-2, &[])), Malformed::NegativeLength);
    assert_eq!(reason(metadata_with_count(-1, &[])), Malformed::UnexpectedNull);
    // Enough bytes for a million and one empty names, but Kafka takes a million elements at most.
    let names = std::vec![0; 2_000_002];
    assert_eq!(reason(metadata_with_count(1_000_001, &names)), Malformed::ArrayTooLong);
    // As many as one array may have are more than one request may have.
    assert_eq!(reason(metadata_with_count(1_000_000, &names)), Malformed::TooManyElements);
    assert_eq!(reason(metadata_with_count(131_073, &names)), Malformed::TooManyElements);
    // A name takes 48 bytes of memory, of which the budget gives three for each byte of the frame, and 1 MiB.
    assert_eq!(reason(metadata_with_count(131_072, &names[..262_144])), Malformed::OverBudget);
    assert!(decode_request(metadata_with_count(20_000, &names[..40_000])).is_ok());
}

/// ApiVersions 3 without client id, then these tagged fields of the header and an empty body.
fn with_header_tags(tags: &[u8]) -> Bytes {
    Bytes::from([&[0, 18, 0, 3, 0, 0, 0, 9, 0xff, 0xff], tags, &[1, 1, 0]].concat())
}

#[test]
fn c12_c14_unknown_tagged_fields_are_passed_over_within_limits() {
    assert!(decode_request(with_header_tags(&[0])).is_ok());
    assert!(decode_request(with_header_tags(&[2, 5, 1, 0xaa, 9, 0])).is_ok());
    assert_eq!(reason(with_header_tags(&[1, 5, 0x7f, 0xaa])), Malformed::Truncated);
    let count_of_10_000 = [0x90, 0x4e];
    let tags: Vec<u8> = count_of_10_000.into_iter().chain((0..10_000).flat_map(|_| [7, 0])).collect();
    assert!(decode_request(with_header_tags(&tags)).is_ok());
    let tags: Vec<u8> = [0x91, 0x4e].into_iter().chain((0..10_001).flat_map(|_| [7, 0])).collect();
    assert_eq!(reason(with_header_tags(&tags)), Malformed::TooManyTaggedFields);
    for overflow in [&[0xff, 0xff, 0xff, 0xff, 0x10][..], &[0x80, 0x80, 0x80, 0x80, 0x80, 0]] {
        assert_eq!(reason(with_header_tags(overflow)), Malformed::VarintOverflow);
    }
}

#[test]
fn a_known_tagged_field_fills_its_size() {
    // Fetch 12: the cluster id is tag 0.
    let body = |tags: &[u8]| {
        let header = [0, 1, 0, 12, 0, 0, 0, 9, 0xff, 0xff, 0];
        let numbers = [0; 4 * 4 + 1 + 2 * 4];
        Bytes::from([&header[..], &numbers, &[1, 1, 1], tags].concat())
    };
    assert!(decode_request(body(&[1, 0, 3, 3, b'i', b'd'])).is_ok());
    assert_eq!(reason(body(&[1, 0, 4, 3, b'i', b'd', 0])), Malformed::TaggedFieldSize);
    // The string would go on behind the field.
    assert_eq!(reason(body(&[1, 0, 2, 3, b'i', b'd'])), Malformed::Truncated);
}

#[test]
fn strings_are_as_long_as_kafka_has_them() {
    let find = |length_plus_one: [u8; 3], length: usize| {
        let header = [0, 10, 0, 3, 0, 0, 0, 9, 0xff, 0xff, 0];
        Bytes::from([&header[..], &length_plus_one, &std::vec![b'k'; length], &[0, 0]].concat())
    };
    assert!(decode_request(find([0x80, 0x80, 0x02], 32_767)).is_ok());
    assert_eq!(reason(find([0x81, 0x80, 0x02], 32_768)), Malformed::StringTooLong);
}

#[test]
fn what_is_not_utf_8_becomes_replacement_characters() {
    let frame = Bytes::from_static(&[0, 10, 0, 0, 0, 0, 0, 9, 0, 1, 0xe9, 0, 3, b'a', 0xff, b'b']);
    let (header, request) = decode_request(frame).unwrap();
    assert_eq!(header.client_id.as_deref(), Some("\u{fffd}"));
    let crate::Request::FindCoordinator(request) = request else { panic!() };
    assert_eq!(request.key, "a\u{fffd}b");
}

#[test]
fn decoded_strings_and_records_are_slices_of_the_frame() {
    let frame = valid_request(ApiKey::Produce, 9, 3);
    let range = frame.as_ptr_range();
    let (_, request) = decode_request(frame.clone()).unwrap();
    let crate::Request::Produce(request) = request else { panic!() };
    let mut seen = 0;
    for topic in &request.topic_data {
        assert!(topic.name.is_empty() || range.contains(&topic.name.as_ptr()));
        for records in topic.partition_data.iter().filter_map(|partition| partition.records.as_ref()) {
            let bytes = records.inline().unwrap();
            assert!(bytes.is_empty() || range.contains(&bytes.as_ptr()));
            seen += bytes.len();
        }
    }
    assert!(seen > 0);
}

/// An API, one of its versions, and a seed.
fn case() -> impl Strategy<Value = (ApiKey, i16, u64)> {
    let cases: Vec<_> = every_version().collect();
    (proptest::sample::select(cases), 0..64u64).prop_map(|((api_key, version), seed)| (api_key, version, seed))
}

/// Some bytes of a frame replaced, mostly by ones that say much as a length.
fn damage() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    let byte = prop_oneof![Just(0xff), Just(0x7f), Just(0x80), Just(0), Just(1), any::<u8>()];
    vec((any::<prop::sample::Index>(), byte), 1..6)
}

fn damaged(frame: &Bytes, from: usize, damage: &[(prop::sample::Index, u8)]) -> Bytes {
    let mut bytes = frame.to_vec();
    for (at, byte) in damage {
        let at = from + at.index(bytes.len() - from);
        bytes[at] = *byte;
    }
    Bytes::from(bytes)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_messages_do_no_harm((api_key, version, seed) in case(), damage in damage()) {
        // API and version stay, so that the damage is met by the body more often than not.
        probe_request(damaged(&valid_request(api_key, version, seed), 4, &damage));
        probe_response(api_key, version, damaged(&valid_response(api_key, version, seed), 0, &damage));
    }

    #[test]
    fn any_bytes_do_no_harm((api_key, version, _) in case(), bytes in vec(any::<u8>(), 0..400)) {
        probe_request(Bytes::from(bytes.clone()));
        let header = [api_key.code().to_be_bytes(), version.to_be_bytes()].concat();
        probe_request(Bytes::from([&header[..], &bytes].concat()));
        probe_response(api_key, version, Bytes::from(bytes));
    }
}

#[test]
fn a_damaged_message_is_often_still_read() {
    // Otherwise the properties above would say nothing about bodies.
    let read = every_version()
        .filter(|(api_key, version)| {
            let mut bytes = valid_request(*api_key, *version, 2).to_vec();
            let last = bytes.len() - 1;
            bytes[last.min(20)] ^= 1;
            decode_request(Bytes::from(bytes)).is_ok()
        })
        .count();
    let all = every_version().count();
    assert!(read * 4 > all, "{}", format!("{read} of {all}"));
}
