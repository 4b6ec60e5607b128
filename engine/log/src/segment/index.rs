//! A segment's sparse indexes: by offset and by timestamp.
//!
//! One entry about every `index.interval.bytes`, taken at the same batches as Kafka takes them, so that its tools find what they
//! expect in `.index` and `.timeindex`. Invariants: positions and offsets rise; the index can be rebuilt from the segment by
//! noting its batches in order. What a batch's own CRC leaves out (17 header bytes) and the batches' order are summed up in a
//! chain value ([`chain`]).

use alloc::vec::Vec;

use super::tail::Boundary;
use crate::batch::BatchHeader;
use crate::codec::Fields;
use crate::{Offset, Timestamp};

/// Bytes of an entry of Kafka's `.index`.
pub const OFFSET_ENTRY_BYTES: usize = 8;
/// Bytes of an entry of Kafka's `.timeindex`.
pub const TIME_ENTRY_BYTES: usize = 12;

/// A batch the index knows, offsets relative to the segment's base.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IndexEntry {
    /// Its first offset.
    pub relative_base: u32,
    /// Its last offset, which is what Kafka's index holds.
    pub relative_last: u32,
    /// Where it starts in the file.
    pub position: u32,
    /// The chain value of all batches before it.
    pub chain: u32,
}

impl IndexEntry {
    /// Write it down as sidecars and trails have it.
    pub(crate) fn put(&self, bytes: &mut Vec<u8>) {
        for field in [self.relative_base, self.relative_last, self.position, self.chain] {
            bytes.extend_from_slice(&field.to_be_bytes());
        }
    }

    /// Read what [`IndexEntry::put`] wrote.
    pub(crate) fn take(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self { relative_base: fields.u32()?, relative_last: fields.u32()?, position: fields.u32()?, chain: fields.u32()? })
    }
}

/// The greatest timestamp up to a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimeEntry {
    /// The timestamp.
    pub timestamp: Timestamp,
    /// The last offset of the batch that has it, relative to the segment's base.
    pub relative_offset: u32,
}

impl TimeEntry {
    /// Write it down as Kafka does.
    pub(crate) fn put(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.timestamp.0.to_be_bytes());
        bytes.extend_from_slice(&self.relative_offset.to_be_bytes());
    }

    /// Read what [`TimeEntry::put`] wrote.
    pub(crate) fn take(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self { timestamp: Timestamp(fields.i64()?), relative_offset: fields.u32()? })
    }
}

/// A place between two batches, and the chain value of all batches before it: what lies between two marks can be checked whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mark {
    /// The offset that follows.
    pub offset: Offset,
    /// Where in the file.
    pub position: u64,
    /// The chain value.
    pub chain: u32,
}

/// What is summed up about the batches of a segment up to some place, and is needed to go on from there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Summary {
    /// The chain value.
    pub chain: u32,
    /// The greatest timestamp.
    pub max_timestamp: Timestamp,
    /// The last offset of the first batch that has it, relative.
    pub max_timestamp_at: u32,
    /// Bytes of batches since the last entry.
    pub bytes_since_entry: u64,
}

/// The indexes of one segment, and what is summed up about its batches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SegmentIndex {
    base: Offset,
    interval_bytes: u32,
    /// By offset.
    pub entries: Vec<IndexEntry>,
    /// By timestamp.
    pub times: Vec<TimeEntry>,
    /// The first batch's greatest timestamp.
    pub first_timestamp: Option<Timestamp>,
    /// The greatest timestamp of all batches.
    pub max_timestamp: Timestamp,
    /// The last offset of the first batch that has it, relative.
    pub max_timestamp_at: u32,
    /// The chain value of all batches.
    pub chain: u32,
    bytes_since_entry: u64,
}

/// Fold a batch into the chain value of those before it: its 17 header bytes outside the CRC, and the CRC.
#[must_use]
pub fn chain(before: u32, header: &BatchHeader) -> u32 {
    crc32c::crc32c_append(before, &header.encode()[..21])
}

impl SegmentIndex {
    /// Of an empty segment.
    #[must_use]
    pub const fn new(base: Offset, interval_bytes: u32) -> Self {
        Self {
            base,
            interval_bytes,
            entries: Vec::new(),
            times: Vec::new(),
            first_timestamp: None,
            max_timestamp: Timestamp::NONE,
            max_timestamp_at: 0,
            chain: 0,
            bytes_since_entry: 0,
        }
    }

    /// Of the first part of a segment: the entries of that part, its first batch's greatest timestamp, and what is summed up about it.
    #[must_use]
    pub const fn resumed(
        base: Offset,
        interval_bytes: u32,
        entries: Vec<IndexEntry>,
        times: Vec<TimeEntry>,
        first_timestamp: Option<Timestamp>,
        summary: Summary,
    ) -> Self {
        let Summary { chain, max_timestamp, max_timestamp_at, bytes_since_entry } = summary;
        Self { base, interval_bytes, entries, times, first_timestamp, max_timestamp, max_timestamp_at, chain, bytes_since_entry }
    }

    /// What is summed up about all batches noted.
    #[must_use]
    pub const fn summary(&self) -> Summary {
        Summary {
            chain: self.chain,
            max_timestamp: self.max_timestamp,
            max_timestamp_at: self.max_timestamp_at,
            bytes_since_entry: self.bytes_since_entry,
        }
    }

    /// The segment's base offset.
    #[must_use]
    pub const fn base(&self) -> Offset {
        self.base
    }

    /// How far apart entries are, at least.
    pub(crate) const fn interval_bytes(&self) -> u32 {
        self.interval_bytes
    }

    /// The last place known at or before `position`: an entry's, or the segment's start.
    #[must_use]
    pub fn mark_before(&self, position: u64) -> Mark {
        let after = self.entries.partition_point(|entry| u64::from(entry.position) <= position);
        let start = Mark { offset: self.base, position: 0, chain: 0 };
        after.checked_sub(1).map_or(start, |index| self.mark(&self.entries[index]))
    }

    /// The places known behind `position`, in order.
    pub fn marks_after(&self, position: u64) -> impl Iterator<Item = Mark> + '_ {
        let after = self.entries.partition_point(|entry| u64::from(entry.position) <= position);
        self.entries[after..].iter().map(|entry| self.mark(entry))
    }

    fn mark(&self, entry: &IndexEntry) -> Mark {
        Mark { offset: self.absolute(entry.relative_base), position: u64::from(entry.position), chain: entry.chain }
    }

    /// Note the next batch of the segment, at `position`. The segment rolls before an offset or a position outgrows 32 bits.
    pub fn note(&mut self, header: &BatchHeader, position: u64) {
        let relative_last = self.relative(header.last_offset());
        if position == 0 {
            self.first_timestamp = Some(header.max_timestamp);
        }
        // A batch that compaction emptied keeps its time, which is no record's any more.
        if header.record_count > 0 && header.max_timestamp > self.max_timestamp {
            self.max_timestamp = header.max_timestamp;
            self.max_timestamp_at = relative_last;
        }
        if self.bytes_since_entry > u64::from(self.interval_bytes) {
            self.entries.push(IndexEntry {
                relative_base: self.relative(header.base_offset),
                relative_last,
                position: u32::try_from(position).unwrap_or(u32::MAX),
                chain: self.chain,
            });
            self.note_time();
            self.bytes_since_entry = 0;
        }
        self.chain = chain(self.chain, header);
        self.bytes_since_entry += header.total_bytes() as u64;
    }

    /// The segment is complete: Kafka ends a time index with the greatest timestamp.
    pub fn seal(&mut self) {
        self.note_time();
    }

    fn note_time(&mut self) {
        if self.max_timestamp.0 >= 0 && self.times.last().is_none_or(|last| last.timestamp < self.max_timestamp) {
            self.times.push(TimeEntry { timestamp: self.max_timestamp, relative_offset: self.max_timestamp_at });
        }
    }

    fn relative(&self, offset: Offset) -> u32 {
        u32::try_from(offset.0.saturating_sub(self.base.0)).unwrap_or(u32::MAX)
    }

    /// The offset an entry's relative one stands for.
    #[must_use]
    pub fn absolute(&self, relative: u32) -> Offset {
        self.base.plus(i64::from(relative))
    }

    /// The last entry that starts at or before `offset`.
    #[must_use]
    pub fn floor(&self, offset: Offset) -> Option<&IndexEntry> {
        if offset < self.base {
            return None;
        }
        let relative = self.relative(offset);
        let after = self.entries.partition_point(|entry| entry.relative_base <= relative);
        after.checked_sub(1).map(|index| &self.entries[index])
    }

    /// The last entry at or before `position` whose batch starts at or before `below`.
    #[must_use]
    pub fn floor_position(&self, position: u64, below: Offset) -> Option<&IndexEntry> {
        if below < self.base {
            return None;
        }
        let relative = self.relative(below);
        let fits = |entry: &IndexEntry| u64::from(entry.position) <= position && entry.relative_base <= relative;
        let after = self.entries.partition_point(fits);
        after.checked_sub(1).map(|index| &self.entries[index])
    }

    /// An offset up to which, itself left out, no record has a timestamp of `timestamp` or later.
    #[must_use]
    pub fn search_from(&self, timestamp: Timestamp) -> Offset {
        let after = self.times.partition_point(|entry| entry.timestamp <= timestamp);
        after.checked_sub(1).map_or(self.base, |index| self.absolute(self.times[index].relative_offset))
    }

    /// Whether all that it tells lies in a segment that ends so, one behind another. What a checksum holds together may be nonsense all
    /// the same, and whoever goes by it would look where nothing is.
    pub(crate) fn is_possible(&self, end: Boundary) -> bool {
        let Some(span) = end.offset.0.checked_sub(self.base.0).filter(|span| *span >= 0 && self.base.0 >= 0) else {
            return false;
        };
        let is_within = |relative: u32| i64::from(relative) < span;
        let lies_within = |entry: &IndexEntry| {
            entry.relative_base <= entry.relative_last
                && is_within(entry.relative_last)
                && u64::from(entry.position) < end.position
        };
        let follows = |pair: &[IndexEntry]| pair[0].relative_last < pair[1].relative_base && pair[0].position < pair[1].position;
        let times_follow =
            |pair: &[TimeEntry]| pair[0].timestamp < pair[1].timestamp && pair[0].relative_offset < pair[1].relative_offset;
        self.entries.iter().all(lies_within)
            && self.entries.windows(2).all(follows)
            && self.times.iter().all(|time| is_within(time.relative_offset))
            && self.times.windows(2).all(times_follow)
            && (self.max_timestamp_at == 0 || is_within(self.max_timestamp_at))
    }

    /// Whether this one, of a part of a segment that begins at `position`, goes on where that of the part before it ends.
    pub(crate) fn follows(&self, before: &Self, position: u64) -> bool {
        let entry_follows = |first: &IndexEntry| {
            let is_behind = before.entries.last().is_none_or(|last| last.relative_last < first.relative_base);
            is_behind && u64::from(first.position) >= position
        };
        let time_follows = |first: &TimeEntry| {
            let last = before.times.last();
            last.is_none_or(|last| last.timestamp < first.timestamp && last.relative_offset < first.relative_offset)
        };
        self.entries.first().is_none_or(entry_follows) && self.times.first().is_none_or(time_follows)
    }

    /// The part before it is known, too.
    pub(crate) fn go_behind(&mut self, mut before: Self) {
        before.entries.append(&mut self.entries);
        before.times.append(&mut self.times);
        self.entries = before.entries;
        self.times = before.times;
    }

    /// Bytes the indexes would take in `.index` and in `.timeindex`, whichever is more.
    #[must_use]
    pub fn file_bytes(&self) -> usize {
        (self.entries.len() * OFFSET_ENTRY_BYTES).max(self.times.len() * TIME_ENTRY_BYTES)
    }

    /// Memory taken.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.entries.len() * size_of::<IndexEntry>() + self.times.len() * size_of::<TimeEntry>() + size_of::<Self>()
    }

    /// Kafka's `.index`.
    #[must_use]
    pub fn encode_offsets(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.entries.len() * OFFSET_ENTRY_BYTES);
        for entry in &self.entries {
            bytes.extend_from_slice(&entry.relative_last.to_be_bytes());
            bytes.extend_from_slice(&entry.position.to_be_bytes());
        }
        bytes
    }

    /// Kafka's `.timeindex`.
    #[must_use]
    pub fn encode_times(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.times.len() * TIME_ENTRY_BYTES);
        for entry in &self.times {
            entry.put(&mut bytes);
        }
        bytes
    }
}

/// Entries of a `.timeindex`; `None` if the bytes are none.
pub(super) fn decode_times(bytes: &[u8]) -> Option<Vec<TimeEntry>> {
    let mut fields = Fields::new(bytes);
    let mut times = Vec::with_capacity(bytes.len() / TIME_ENTRY_BYTES);
    while !fields.is_empty() {
        times.push(TimeEntry::take(&mut fields)?);
    }
    Some(times)
}
