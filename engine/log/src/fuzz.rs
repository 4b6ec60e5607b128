//! The files that nobody but this crate reads, as the fuzz targets see them: what bytes are taken for, written again.
//!
//! `None` is a refusal. Always built, because the corpora are replayed by tests of another crate.

use alloc::vec::Vec;
use bytes::Bytes;

use crate::compaction::Manifest;
use crate::journal::JournalPosition;
use crate::producer::ProducerSnapshot;
use crate::state::trail::{Trail, TrailEnd};
use crate::state::{self, DurablePoint};
use crate::store::{CleanMark, ClockRecord};
use crate::{PartitionIndex, TopicId, TopicPartition};

/// `compaction.manifest`, of whichever partition it says it is.
#[must_use]
pub fn manifest(bytes: &[u8]) -> Option<Vec<u8>> {
    let topic = TopicId(bytes.get(16..32)?.try_into().ok()?);
    let partition = PartitionIndex(i32::from_be_bytes(bytes.get(32..36)?.try_into().ok()?));
    let partition = TopicPartition { topic, partition };
    Manifest::decode(bytes, partition).map(|manifest| manifest.encode(partition))
}

/// `clean-stop.<shard>`.
#[must_use]
pub fn clean_stop(bytes: &[u8]) -> Option<Vec<u8>> {
    CleanMark::decode(bytes).map(|mark| mark.encode())
}

/// `steady-clock.<shard>`.
#[must_use]
pub fn steady_clock(bytes: &[u8]) -> Option<Vec<u8>> {
    ClockRecord::decode(bytes).map(ClockRecord::encode)
}

/// `partition.metadata`.
#[must_use]
pub fn partition_metadata(bytes: &[u8]) -> Option<Vec<u8>> {
    crate::codec::decode_topic_id(bytes).map(|topic| state::partition_metadata(topic).into_bytes())
}

/// The trail, from where it begins: all that it tells, as one step.
#[must_use]
pub fn trail(bytes: &[u8]) -> Option<Vec<u8>> {
    let bytes = Bytes::copy_from_slice(bytes);
    let (segment_base, reached) = Trail::newest(&bytes)?;
    let (offset, segment_bytes) = (reached.offset, reached.position);
    let empty = DurablePoint::of_empty_log(JournalPosition::default());
    let point = DurablePoint { offset, segment_base, segment_bytes, ..empty };
    let Trail { index, reached: again, producers, .. } = Trail::read(&bytes, &point, u32::MAX);
    assert_eq!(again, reached, "a trail that is followed to an end is followed to there by whoever looks for that end");
    for snapshot in &producers {
        let _ = ProducerSnapshot::decode(snapshot);
    }
    let mut end = TrailEnd::default();
    let snapshot = producers.last().map(|bytes| bytes.to_vec()).unwrap_or_default();
    let step = end.step(&point, &index, &index.summary(), index.first_timestamp, (0, || snapshot))?;
    let length = usize::try_from(u32::from_be_bytes(step.bytes.get(12..16)?.try_into().ok()?)).ok()?;
    Some(step.bytes.get(..length)?.to_vec())
}
