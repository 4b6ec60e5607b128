//! Segments: one file of a partition's log, with its indexes.
//!
//! Invariants: a segment holds whole batches, contiguous from its base offset up to where the next segment starts, except that one
//! compaction wrote may have holes before any of them; only the last segment of a log grows; positions and relative offsets fit
//! 32 bits, because a segment rolls before they do not.

pub(crate) mod check;
pub mod index;
pub(crate) mod scan;
pub mod sidecar;
pub mod tail;

use alloc::{format, string::String, sync::Arc, vec::Vec};

use crate::batch::{BatchHeader, StampedBatch};
use crate::io::SegmentFile;
use crate::store::{LogConfig, LookupId};
use crate::{Offset, Timestamp};
use check::{Part, Unchecked};
use index::{Mark, SegmentIndex};
use tail::{Boundary, Tail};

/// What a segment's files end with: the log itself, Kafka's two indexes, our sidecar.
pub const SUFFIXES: [&str; 4] = ["log", "index", "timeindex", "checks"];

/// Bytes in a segment from which space is reserved ahead: small logs stay small.
const ALLOCATE_FROM_BYTES: u64 = 64 << 10;
const ALLOCATE_FIRST_BYTES: u64 = 256 << 10;
const ALLOCATE_MOST_BYTES: u64 = 4 << 20;

/// The name of one of a segment's files.
#[must_use]
pub fn file_name(base: Offset, suffix: &str) -> String {
    format!("{:020}.{suffix}", base.0)
}

/// The base offset in the name of a file with this suffix.
#[must_use]
pub fn parse_file_name(name: &str, suffix: &str) -> Option<Offset> {
    let (digits, found) = name.split_once('.')?;
    if found != suffix || digits.len() != 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().map(Offset)
}

/// The files that are made from a segment's index: suffix and content.
pub(crate) fn cache_files(index: &SegmentIndex, bytes: u64, next_offset: Offset) -> [(&'static str, Vec<u8>); 3] {
    let checks = sidecar::encode(index, bytes, next_offset);
    [("index", index.encode_offsets()), ("timeindex", index.encode_times()), ("checks", checks)]
}

/// A segment's file, as far as it is open.
#[derive(Debug)]
pub(crate) enum SegmentHandle {
    Closed,
    Opening,
    Open(Arc<SegmentFile>),
}

/// How far a segment is from being written for good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    /// The last one; it grows.
    Active,
    /// It grows no more; writes may be outstanding.
    Sealing,
    /// All its bytes and its caches are written.
    Sealed,
}

/// One segment.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) base: Offset,
    pub(crate) next_offset: Offset,
    /// Bytes given out to batches, written or not.
    pub(crate) bytes: u64,
    pub(crate) max_timestamp: Timestamp,
    /// The first batch's greatest timestamp, from which `segment.ms` counts.
    pub(crate) first_timestamp: Option<Timestamp>,
    pub(crate) stage: Stage,
    /// Of a sealed segment the chain value at its end, by which its index and whoever writes it again know that it is whole.
    pub(crate) chain: u32,
    /// Compaction wrote it: offsets rise from batch to batch, and some are missing.
    pub(crate) sparse: bool,
    /// Damage was found in it where no checksums were left to say what had been there: those that could be made of what is left would
    /// call what a repair brings back unsound.
    pub(crate) unsound: bool,
    /// Always there unless sealed; of a sealed segment a cache.
    pub(crate) index: Option<SegmentIndex>,
    /// Of an active segment.
    pub(crate) tail: Option<Tail>,
    pub(crate) handle: SegmentHandle,
    /// Whether the file exists.
    pub(crate) made: bool,
    /// Completed writes that no sync covers yet.
    pub(crate) dirty: bool,
    /// Batches with a place that no write was asked for yet.
    pub(crate) unsubmitted: Vec<StampedBatch>,
    /// Where the first of them goes.
    pub(crate) submitted_bytes: u64,
    /// Write-back was started up to here.
    pub(crate) written_out_bytes: u64,
    allocated_bytes: u64,
    /// Lookups that wait for the file to be open.
    pub(crate) waiters: Vec<LookupId>,
    /// Looked at since the search for files to close last came by.
    pub(crate) used: bool,
    /// What was found at start and is trusted by its checksums alone until it is read.
    pub(crate) unchecked: Option<Unchecked>,
}

impl Segment {
    /// A new active segment, without a file yet.
    pub(crate) fn new(base: Offset, index_interval_bytes: u32) -> Self {
        let mut segment = Self::found(base, base, 0, Timestamp::NONE, 0);
        segment.made = false;
        segment.activate(SegmentIndex::new(base, index_interval_bytes));
        segment
    }

    /// A sealed segment that is on disk.
    pub(crate) const fn found(base: Offset, next_offset: Offset, bytes: u64, max_timestamp: Timestamp, chain: u32) -> Self {
        Self {
            base,
            next_offset,
            bytes,
            max_timestamp,
            first_timestamp: None,
            stage: Stage::Sealed,
            chain,
            sparse: false,
            unsound: false,
            index: None,
            tail: None,
            handle: SegmentHandle::Closed,
            made: true,
            dirty: false,
            unsubmitted: Vec::new(),
            submitted_bytes: bytes,
            written_out_bytes: bytes,
            allocated_bytes: bytes,
            waiters: Vec::new(),
            used: false,
            unchecked: None,
        }
    }

    /// The part around the first byte of `[from, to)` that was found at start and not checked since.
    pub(crate) fn part_to_check(&self, from: u64, to: u64) -> Option<Part> {
        let unchecked = self.unchecked.as_ref()?;
        let position = unchecked.first(from, to)?;
        Some(Part::of(self.index.as_ref()?, position, unchecked.end))
    }

    /// The segment gets no more batches, and all it has are written.
    pub(crate) fn seal(&mut self) {
        self.stage = Stage::Sealed;
        self.chain = self.index.as_ref().map_or(self.chain, |index| index.chain);
        self.tail = None;
    }

    /// Where a sealed segment ends, and the chain value there.
    pub(crate) const fn sealed_end(&self) -> Mark {
        Mark { offset: self.next_offset, position: self.bytes, chain: self.chain }
    }

    /// Let it end earlier, and grow from there; `index` is that of what stays.
    pub(crate) fn cut(&mut self, next_offset: Offset, bytes: u64, index: SegmentIndex) {
        self.next_offset = next_offset;
        (self.bytes, self.submitted_bytes, self.written_out_bytes, self.allocated_bytes) = (bytes, bytes, bytes, bytes);
        // It was read from its start to here.
        self.unchecked = None;
        self.unsound = false;
        self.activate(index);
    }

    /// Something in it is not as it was written: all of it is to be checked, whoever reads it.
    pub(crate) fn doubt(&mut self) {
        if self.stage == Stage::Sealed {
            self.unchecked = Some(Unchecked::up_to(self.sealed_end()));
        }
    }

    /// Some of these bytes could not be read: they are to be checked, whoever reads them next, as far as marks reach. Those up to
    /// `written` are written for good.
    pub(crate) fn doubt_between(&mut self, from: u64, to: u64, written: u64) {
        let Some(index) = &self.index else { return };
        let known = if self.stage == Stage::Sealed { self.end_mark() } else { Some(index.mark_before(written)) };
        let ends = [known, self.unchecked.as_ref().map(|unchecked| unchecked.end)];
        let Some(end) = ends.into_iter().flatten().max_by_key(|end| end.position) else { return };
        let to = to.min(end.position);
        if from < to {
            self.unchecked.get_or_insert_with(|| Unchecked::none_up_to(end)).doubt(from, to, end);
        }
    }

    /// Up to where there is something that can be held against checksums, with the chain value there.
    pub(crate) fn end_mark(&self) -> Option<Mark> {
        let chain = self.index.as_ref()?.chain;
        let whole = Mark { offset: self.next_offset, position: self.bytes, chain };
        if self.stage == Stage::Sealed { Some(whole) } else { self.unchecked.as_ref().map(|unchecked| unchecked.end) }
    }

    /// How many bytes of it the scrubber looks at: all of a sealed segment, of one that grows what was found at start.
    pub(crate) fn scrubbable_bytes(&self) -> u64 {
        if self.stage == Stage::Sealed {
            self.bytes
        } else {
            self.unchecked.as_ref().map_or(0, |unchecked| unchecked.end.position)
        }
    }

    /// Whether a part is one of this segment as it is now, not of a file that it has taken the place of.
    pub(crate) fn has_part(&self, part: &Part) -> bool {
        let Some(index) = &self.index else { return false };
        let ends = [self.end_mark(), self.unchecked.as_ref().map(|unchecked| unchecked.end)];
        let ends_there = index.mark_before(part.to.position) == part.to || ends.contains(&Some(part.to));
        index.mark_before(part.from.position) == part.from && ends_there
    }

    /// A part was checked.
    pub(crate) fn note_checked(&mut self, part: &Part) {
        if let Some(unchecked) = &mut self.unchecked {
            unchecked.note(part.from.position, part.to.position);
            if unchecked.is_done() {
                self.unchecked = None;
            }
        }
    }

    /// Offsets may be missing in it.
    pub(crate) fn with_holes(self, sparse: bool) -> Self {
        Self { sparse, ..self }
    }

    /// Let it grow from where it ends.
    pub(crate) fn activate(&mut self, index: SegmentIndex) {
        self.stage = Stage::Active;
        self.max_timestamp = index.max_timestamp;
        self.first_timestamp = index.first_timestamp;
        self.index = Some(index);
        self.tail = Some(Tail::starting_at(Boundary { offset: self.next_offset, position: self.bytes }));
    }

    /// Give a batch its place at the end.
    pub(crate) fn append(&mut self, batch: StampedBatch) {
        self.note(batch.header());
        self.unsubmitted.push(batch);
    }

    fn note(&mut self, header: &BatchHeader) {
        if let Some(index) = &mut self.index {
            index.note(header, self.bytes);
        }
        self.max_timestamp = self.max_timestamp.max(header.max_timestamp);
        self.first_timestamp.get_or_insert(header.max_timestamp);
        self.bytes += header.total_bytes() as u64;
        self.next_offset = header.next_offset();
        if let Some(tail) = &mut self.tail {
            tail.extend(Boundary { offset: self.next_offset, position: self.bytes });
        }
    }

    /// Whether a batch of `bytes` that ends at `last_offset` must go into a new segment. Kafka's rules.
    pub(crate) fn must_roll(
        &self,
        config: &LogConfig,
        bytes: u64,
        last_offset: Offset,
        timestamp: Timestamp,
        now: Timestamp,
    ) -> bool {
        if self.bytes == 0 {
            return false;
        }
        let size_limit = u64::from(config.segment_bytes).min(i32::MAX as u64);
        let index_full = self.index.as_ref().is_some_and(|index| {
            index.file_bytes() + index::TIME_ENTRY_BYTES > usize::try_from(config.segment_index_bytes).unwrap_or(usize::MAX)
        });
        let offset_full = last_offset.0 - self.base.0 > i64::from(i32::MAX);
        // Time counts by the records where they have it, else by the clock.
        let waited_ms = self.first_timestamp.map_or(0, |first| {
            let reached = if timestamp.0 >= 0 { timestamp } else { now };
            reached.0.saturating_sub(first.0)
        });
        let time_full = waited_ms > config.segment_ms.saturating_sub(config.segment_jitter_ms);
        self.bytes + bytes > size_limit || index_full || offset_full || time_full
    }

    /// The range to reserve next, if the end has come near what is reserved.
    pub(crate) fn allocation(&mut self, segment_bytes: u32) -> Option<(u64, u64)> {
        if self.stage != Stage::Active || self.bytes < ALLOCATE_FROM_BYTES {
            return None;
        }
        // Grows with the segment, and so with the rate of writing.
        let chunk = self.bytes.next_power_of_two().clamp(ALLOCATE_FIRST_BYTES, ALLOCATE_MOST_BYTES);
        if self.bytes + chunk / 2 <= self.allocated_bytes {
            return None;
        }
        let from = self.allocated_bytes.max(self.bytes);
        let to = (from + chunk).min(u64::from(segment_bytes));
        self.allocated_bytes = to.max(self.allocated_bytes);
        (to > from).then(|| (from, to - from))
    }

    /// Its file is being opened.
    pub(crate) const fn is_opening(&self) -> bool {
        matches!(self.handle, SegmentHandle::Opening)
    }

    /// The open file.
    pub(crate) const fn file(&self) -> Option<&Arc<SegmentFile>> {
        match &self.handle {
            SegmentHandle::Open(file) => Some(file),
            SegmentHandle::Closed | SegmentHandle::Opening => None,
        }
    }

    /// Whether nothing needs the file to stay open.
    pub(crate) fn may_close(&self) -> bool {
        let unleased = self.file().is_some_and(|file| Arc::strong_count(file) == 1);
        unleased && !self.dirty && self.unsubmitted.is_empty() && self.stage != Stage::Sealing && self.waiters.is_empty()
    }
}
