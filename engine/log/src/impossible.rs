//! What a right checksum holds together may be nonsense all the same: it is refused before anybody goes by it.

use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;

use crate::journal::JournalPosition;
use crate::segment::index::{IndexEntry, SegmentIndex, Summary, TimeEntry};
use crate::segment::sidecar;
use crate::state::trail::{Trail, TrailEnd};
use crate::state::{DurablePoint, PartitionState};
use crate::store::Durability;
use crate::{LeaderEpoch, Offset, PartitionIndex, Timestamp, TopicId, TopicPartition};

const BASE: Offset = Offset(1000);
const END: Offset = Offset(1100);
const LENGTH: u64 = 9000;
const INTERVAL_BYTES: u32 = 1000;

fn entry(relative_base: u32, relative_last: u32, position: u32) -> IndexEntry {
    IndexEntry { relative_base, relative_last, position, chain: 0 }
}

fn time(timestamp: i64, relative_offset: u32) -> TimeEntry {
    TimeEntry { timestamp: Timestamp(timestamp), relative_offset }
}

fn index(entries: Vec<IndexEntry>, times: Vec<TimeEntry>, max_timestamp_at: u32) -> SegmentIndex {
    let summary = Summary { chain: 7, max_timestamp: Timestamp(90), max_timestamp_at, bytes_since_entry: 0 };
    SegmentIndex::resumed(BASE, INTERVAL_BYTES, entries, times, Some(Timestamp(1)), summary)
}

fn good() -> SegmentIndex {
    index(vec![entry(10, 19, 2000), entry(40, 41, 5000)], vec![time(50, 19), time(90, 41)], 41)
}

/// Each with one thing wrong.
fn impossible() -> Vec<(&'static str, SegmentIndex)> {
    let times = || vec![time(50, 19), time(90, 41)];
    vec![
        ("a batch that ends before it begins", index(vec![entry(10, 9, 2000)], times(), 41)),
        ("a batch behind the segment's end", index(vec![entry(10, 100, 2000)], times(), 41)),
        ("a batch within the one before it", index(vec![entry(10, 19, 2000), entry(19, 41, 5000)], times(), 41)),
        ("a position that falls back", index(vec![entry(10, 19, 5000), entry(40, 41, 2000)], times(), 41)),
        ("times that fall back", index(vec![], vec![time(90, 19), time(50, 41)], 41)),
        ("times at places that fall back", index(vec![], vec![time(50, 41), time(90, 19)], 41)),
        ("a greatest time behind the segment's end", index(vec![], vec![], 100)),
    ]
}

/// Likewise, of a whole segment. What lies behind the end of a step of the trail is no part of it.
fn behind_the_end() -> Vec<(&'static str, SegmentIndex)> {
    vec![
        ("a position", index(vec![entry(10, 19, 9000)], vec![time(50, 19), time(90, 41)], 41)),
        ("a time", index(vec![], vec![time(50, 100)], 41)),
    ]
}

fn is_read(index: &SegmentIndex, next_offset: Offset) -> bool {
    sidecar::decode(&sidecar::encode(index, LENGTH, next_offset), BASE, LENGTH, INTERVAL_BYTES).is_some()
}

#[test]
fn a_sidecar() {
    assert!(is_read(&good(), END));
    for (what, index) in impossible().into_iter().chain(behind_the_end()) {
        assert!(!is_read(&index, END), "{what}");
    }
    assert!(!is_read(&good(), Offset(BASE.0 - 1)), "it ends before it begins");
    assert!(!is_read(&good(), Offset(i64::MIN)), "and overflows nothing");
}

fn point(offset: Offset, segment_bytes: u64) -> DurablePoint {
    let position = JournalPosition { generation: 1, sequence: 2 };
    DurablePoint { offset, position, epoch: LeaderEpoch(1), segment_base: BASE, segment_bytes }
}

/// Steps up to each of these points, with what the index tells then, as they lie in the file. How far they are believed.
fn followed(steps: &[(DurablePoint, SegmentIndex)]) -> u64 {
    let (mut end, mut file) = (TrailEnd::default(), Vec::new());
    for (point, index) in steps {
        let step = end.step(point, index, &index.summary(), Some(Timestamp(1)), (0, Vec::new)).expect("it goes on");
        file.truncate(usize::try_from(step.at - crate::state::trail::TRAIL_AT).expect("small"));
        file.extend_from_slice(&step.bytes);
    }
    Trail::read(&Bytes::from(file), &point(Offset(i64::MAX), LENGTH), INTERVAL_BYTES).reached.position
}

#[test]
fn a_step_of_the_trail() {
    assert_eq!(followed(&[(point(END, LENGTH), good())]), LENGTH);
    for (what, index) in impossible() {
        assert_eq!(followed(&[(point(END, LENGTH), index)]), 0, "{what}");
    }
    assert_eq!(followed(&[(point(BASE, LENGTH), index(vec![], vec![], 0))]), 0, "bytes without offsets");
}

#[test]
fn a_step_that_does_not_follow() {
    let first = || (point(Offset(1030), 4000), index(vec![entry(10, 19, 2000)], vec![time(50, 19)], 19));
    let second = |entries, times| (point(END, LENGTH), index(entries, times, 41));
    let (entries, times) = (vec![entry(10, 19, 2000), entry(40, 41, 5000)], vec![time(50, 19), time(90, 41)]);
    assert_eq!(followed(&[first(), second(entries.clone(), times.clone())]), LENGTH);
    let wrong = [
        ("it begins within what the first told", second(vec![entry(10, 19, 2000), entry(19, 41, 5000)], times.clone())),
        ("its time was there before", second(entries.clone(), vec![time(50, 19), time(50, 41)])),
        ("its offsets fall back", (point(Offset(1030), LENGTH), index(entries, times, 19))),
    ];
    for (what, step) in wrong {
        assert_eq!(followed(&[first(), step]), 4000, "{what}");
    }
}

#[test]
fn a_state() {
    let good = || PartitionState {
        counter: 3,
        partition: TopicPartition { topic: TopicId([1; 16]), partition: PartitionIndex(0) },
        topic_name: "topic".into(),
        removed: false,
        cut: false,
        cleaned: false,
        durability: Durability::Journaled,
        point: point(END, LENGTH),
        log_start: BASE,
        epochs: vec![],
        older_epochs: 0,
    };
    let at = |point: DurablePoint| PartitionState { point, ..good() };
    let is_read = |state: &PartitionState| PartitionState::decode_copy(&state.encode()).is_some();
    assert!(is_read(&good()));
    let impossible = [
        ("a log that starts before zero", PartitionState { log_start: Offset(-1), ..good() }),
        ("a segment before zero", at(DurablePoint { segment_base: Offset(-1), ..point(END, LENGTH) })),
        ("D before its segment", at(point(Offset(999), LENGTH))),
        ("a segment longer than any", at(point(END, 1 << 40))),
        ("a counter that cannot be raised", PartitionState { counter: u64::MAX, ..good() }),
        (
            "a generation that cannot be raised",
            at(DurablePoint { position: JournalPosition { generation: u64::MAX, sequence: 0 }, ..point(END, LENGTH) }),
        ),
    ];
    for (what, state) in impossible {
        assert!(!is_read(&state), "{what}");
    }
}
