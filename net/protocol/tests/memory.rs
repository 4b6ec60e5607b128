//! What a frame can make the decoder allocate, counted: at most three bytes for each of its own, and 1 MiB (with the frame
//! itself, four). The common codec crate reserves what the sender claims, so that one small frame ends the process.

use std::alloc::System;

use bytes::Bytes;
use flumen_protocol::fetch::{FetchPartition, FetchRequest, FetchTopic};
use flumen_protocol::metadata::{MetadataRequest, MetadataRequestTopic};
use flumen_protocol::{ApiKey, DecodeError, Malformed, Request, decode_request};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const FLOOR_BYTES: usize = 1 << 20;

/// Outcomes over all frames, to show that the frames were hostile enough.
#[derive(Default)]
struct Outcomes {
    read: usize,
    over_budget: usize,
    too_long: usize,
}

impl Outcomes {
    /// Decodes a frame and holds what it cost against the bound.
    fn measure(&mut self, header: &[u8], body: &[u8]) {
        let frame = Bytes::from([header, body].concat());
        let length = frame.len();
        let region = Region::new(ALLOCATOR);
        let decoded = decode_request(frame);
        let allocated = region.change().bytes_allocated;
        assert!(allocated <= 3 * length + FLOOR_BYTES, "{allocated} bytes for a frame of {length}: {header:?}");
        if length < 1024 {
            assert!(allocated <= 128 * length, "{allocated} bytes for a small frame of {length}: {header:?}");
        }
        match decoded {
            Ok(_) => self.read += 1,
            Err(DecodeError::Malformed { reason: Malformed::OverBudget, .. }) => self.over_budget += 1,
            Err(DecodeError::Malformed { reason: Malformed::ArrayTooLong, .. }) => self.too_long += 1,
            Err(_) => {}
        }
    }
}

/// A header without client id.
fn header(api_key: ApiKey, version: i16) -> Vec<u8> {
    let mut header = [api_key.code().to_be_bytes(), version.to_be_bytes()].concat();
    header.extend([0, 0, 0, 9, 0xff, 0xff]);
    if api_key.is_flexible(version) {
        header.push(0);
    }
    header
}

/// Counts that claim much: as big-endian numbers and as varints.
const COUNTS: [&[u8]; 8] = [
    &[0x7f, 0xff, 0xff, 0xff],
    &[0x00, 0x0f, 0x42, 0x40],
    &[0x00, 0x01, 0x00, 0x00],
    &[0x00, 0x00, 0x01, 0x00],
    &[0xff, 0xff, 0xff, 0xff, 0x07],
    &[0xc1, 0x84, 0x3d],
    &[0x81, 0x80, 0x04],
    &[0x81, 0x02],
];

#[test]
fn no_frame_costs_more_memory_than_its_size_allows() {
    let mut outcomes = Outcomes::default();
    for api_key in ApiKey::ALL {
        for version in api_key.versions() {
            let header = header(*api_key, version);
            // Any count at any early place of a body, among bytes that are lengths of nothing or of little.
            for fill in [0x00, 0x01, 0x02, 0x7f, 0xff] {
                for length in [16, 200, 3_000, 300_000] {
                    let mut body = vec![fill; length];
                    outcomes.measure(&header, &body);
                    for count in COUNTS {
                        for at in (0..length - count.len()).take(34) {
                            let saved = body[at..at + count.len()].to_vec();
                            body[at..at + count.len()].copy_from_slice(count);
                            outcomes.measure(&header, &body);
                            body[at..at + count.len()].copy_from_slice(&saved);
                        }
                    }
                }
            }
        }
    }
    assert!(outcomes.read > 1_000, "some of it is read: {}", outcomes.read);
    assert!(outcomes.too_long > 1_000, "counts are refused before memory is reserved: {}", outcomes.too_long);
    assert!(outcomes.over_budget > 100, "what fits in its frame is refused for its memory: {}", outcomes.over_budget);
    honest_requests_are_within_the_budget();
}

/// More than any client sends, in the forms that take the most memory for their bytes. In the same test, because
/// allocations are counted for the whole process.
fn honest_requests_are_within_the_budget() {
    let fetch_topic = |number: usize| FetchTopic {
        topic: format!("topic-{number}").as_str().into(),
        partitions: vec![FetchPartition::default(); 25],
        ..FetchTopic::default()
    };
    let fetch = FetchRequest { topics: (0..4_000).map(fetch_topic).collect(), ..FetchRequest::default() };
    let metadata_topic = |number: usize| MetadataRequestTopic {
        name: Some(format!("topic-{number}").as_str().into()),
        ..MetadataRequestTopic::default()
    };
    let metadata = MetadataRequest { topics: Some((0..50_000).map(metadata_topic).collect()), ..MetadataRequest::default() };
    for request in [Request::from(fetch), Request::from(metadata)] {
        for version in request.api_key().versions() {
            // Some versions have ids in place of names; they are smaller for their bytes.
            let Ok(frame) = request.encode(version, 1, None) else { continue };
            assert!(decode_request(frame.slice(4..)).is_ok(), "{} {version}", request.api_key().name());
        }
    }
}
