//! Log compaction: of each key the last record stays, and of a deleted key its tombstone for a while (`cleanup.policy=compact`).
//!
//! A pass has two halves. First the dirty part of the log, what was appended since the last pass, is read into a [`key_map`] of
//! fixed size: for each key the offset of its last record. Then all segments from the log's start up to the map's end are read
//! in groups and written again without the records that a later one has made void; each group becomes one segment, which takes
//! its place by way of the [`manifest`]. A map that fills up ends the first half early, and another pass goes on from there.
//!
//! Invariants:
//! - only sealed segments below the recorded durable point and the high watermark are touched;
//! - offsets, base offset and last offset of a batch that stays are what they were; the last batch of a group stays, empty if need
//!   be, so a segment ends where the next one starts and has holes only between its batches;
//! - the batches that a producer's window remembers stay, empty if need be, so that its sequences can be read back;
//! - a tombstone stays for `delete.retention.ms` after the first pass that had every older record of its key removed before it;
//!   until when, its batch says (KIP-534);
//! - a crash leaves a group's old segments or its new one, never a mixture;
//! - one log of a store is cleaned at a time; a step does a bounded amount of work and has at most one operation outstanding.
//!
//! Does not: judge transactions. Control batches and those of transactions stay as they are until there is a coordinator that can
//! say what was aborted.

mod cleaning;
mod filter;
mod key_hash;
mod key_map;
mod manifest;
mod pace;
mod plan;
mod source;
mod target;

pub(crate) use cleaning::{Cleaning, Finished, Step};
pub(crate) use key_hash::HashKey;
pub(crate) use key_map::KeyMap;
pub(crate) use manifest::{
    CLEANED_SUFFIX, CleanedSegment, MANIFEST_FILE_NAME, MANIFEST_PARTIAL_NAME, Manifest, cleaned_file_name,
};
pub(crate) use pace::Pace;
pub(crate) use plan::{SourceSegment, judge};
pub(crate) use source::{Next, Source};

/// How a store compacts. Kafka's settings; those that are over all threads are this shard's share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CompactionSettings {
    /// `log.cleaner.enable`
    pub enabled: bool,
    /// `log.cleaner.dedupe.buffer.size`: bytes of the key map.
    pub key_map_bytes: usize,
    /// `log.cleaner.io.buffer.load.factor`, in parts of a million: how full the map may become.
    pub load_factor_ppm: u32,
    /// `log.cleaner.io.buffer.size`: bytes read at once, and written at once.
    pub buffer_bytes: usize,
    /// `log.cleaner.io.max.bytes.per.second`, read and written together; `u64::MAX` is without limit.
    pub io_bytes_per_second: u64,
    /// `log.cleaner.backoff.ms`: how long to rest when nothing is to be cleaned.
    pub backoff_ms: u64,
    /// Bytes of records looked at in one step.
    pub step_bytes: usize,
    /// The least time between two steps.
    pub step_interval_ns: u64,
}

impl CompactionSettings {
    /// Kafka's defaults, and steps that a shard's turn does not feel.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            enabled: true,
            key_map_bytes: 128 << 20,
            load_factor_ppm: 900_000,
            buffer_bytes: 512 << 10,
            io_bytes_per_second: u64::MAX,
            backoff_ms: 15_000,
            step_bytes: 64 << 10,
            step_interval_ns: 500_000,
        }
    }
}

impl Default for CompactionSettings {
    fn default() -> Self {
        Self::new()
    }
}
