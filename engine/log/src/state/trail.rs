//! The trail: what is known of D's segment up to D, so that a start reads only what lies past D.
//!
//! Behind the two copies of the state, in the same file and made stable by the same sync, lie steps: each says what the log passed
//! since the one before it, up to a D that was recorded with it. Together they are the index of D's segment up to D and the states
//! of the producers. A trail is a cache: each step has a checksum and must take up where the one before it ends, in file position,
//! offset and chain value; what the trail does not tell is read from the segment. Written down in `docs/on-disk.md`.

use alloc::vec::Vec;
use bytes::Bytes;

use super::DurablePoint;
use crate::codec::{Fields, begin_sealed, seal};
use crate::journal::JournalPosition;
use crate::segment::index::{IndexEntry, SegmentIndex, Summary, TIME_ENTRY_BYTES, TimeEntry};
use crate::segment::sidecar::ENTRY_BYTES;
use crate::segment::tail::Boundary;
use crate::{Offset, Timestamp};

/// Where the trail begins in the file of the state.
pub(crate) const TRAIL_AT: u64 = 2 * super::COPY_BYTES as u64;

const MAGIC: [u8; 8] = *b"flumenTR";
/// Bytes of a step before its entries.
const STEP_BYTES: usize = 96;
/// The file grows by so much at once: where its size does not change, a sync is one flush.
const GROWTH_BYTES: u64 = 16 << 10;
/// Producer states up to this size go with every step.
const PRODUCERS_BYTES: u64 = 512;
/// Larger ones when the log has grown by so many times their size.
const PRODUCERS_SHARE: u64 = 64;

/// How far the trail has got.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct TrailEnd {
    segment: Offset,
    position: u64,
    chain: u32,
    entries: usize,
    times: usize,
    /// Where in the file the next step goes.
    at: u64,
    /// How far that has been filled.
    filled: u64,
    /// Where in the segment the producers were last written down.
    producers_at: Option<u64>,
}

/// A step that is to be written.
pub(crate) struct Step {
    pub(crate) at: u64,
    pub(crate) bytes: Vec<u8>,
}

/// What a trail tells of a log up to D.
#[derive(Debug)]
pub(crate) struct Trail {
    pub(crate) index: SegmentIndex,
    /// How far it tells it: D, or a place before.
    pub(crate) reached: Boundary,
    /// Producer snapshots, newest last.
    pub(crate) producers: Vec<Bytes>,
    pub(crate) end: TrailEnd,
}

impl TrailEnd {
    /// Go on to `point`; `summary` is that of the index there. `producers` is about how large a producer snapshot
    /// is, and makes it if it is wanted.
    pub(crate) fn step(
        &mut self,
        point: &DurablePoint,
        index: &SegmentIndex,
        summary: &Summary,
        first_timestamp: Option<Timestamp>,
        producers: (usize, impl FnOnce() -> Vec<u8>),
    ) -> Option<Step> {
        if self.segment != point.segment_base || self.position > point.segment_bytes || self.at == 0 {
            *self = Self { segment: point.segment_base, at: TRAIL_AT, filled: self.filled.max(TRAIL_AT), ..Self::default() };
        }
        if self.position == point.segment_bytes {
            return None;
        }
        let relative = u32::try_from(point.offset.0 - point.segment_base.0).unwrap_or(u32::MAX);
        let entries_end = index.entries.partition_point(|entry| u64::from(entry.position) < point.segment_bytes);
        let times_end = index.times.partition_point(|time| time.relative_offset < relative);
        let entries = &index.entries[self.entries.min(entries_end)..entries_end];
        let times = &index.times[self.times.min(times_end)..times_end];
        let (snapshot_bytes, make_snapshot) = producers;
        let snapshot = if self.producers_due(point.segment_bytes, snapshot_bytes) { make_snapshot() } else { Vec::new() };
        let mut bytes = begin_sealed(MAGIC, STEP_BYTES + entries.len() * ENTRY_BYTES + snapshot.len());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&point.segment_base.0.to_be_bytes());
        bytes.extend_from_slice(&self.position.to_be_bytes());
        bytes.extend_from_slice(&point.segment_bytes.to_be_bytes());
        bytes.extend_from_slice(&point.offset.0.to_be_bytes());
        bytes.extend_from_slice(&self.chain.to_be_bytes());
        bytes.extend_from_slice(&summary.chain.to_be_bytes());
        bytes.extend_from_slice(&summary.max_timestamp.0.to_be_bytes());
        bytes.extend_from_slice(&summary.max_timestamp_at.to_be_bytes());
        bytes.extend_from_slice(&u32::try_from(summary.bytes_since_entry).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend_from_slice(&first_timestamp.unwrap_or(Timestamp::NONE).0.to_be_bytes());
        for count in [entries.len(), times.len(), snapshot.len(), 0] {
            bytes.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
        }
        debug_assert_eq!(bytes.len(), STEP_BYTES, "the header is as long as it is said to be");
        for entry in entries {
            entry.put(&mut bytes);
        }
        for time in times {
            time.put(&mut bytes);
        }
        bytes.extend_from_slice(&snapshot);
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        bytes[12..16].copy_from_slice(&length.to_be_bytes());
        seal(&mut bytes);
        let at = self.at;
        self.at += bytes.len() as u64;
        if self.at > self.filled {
            self.filled = self.at.next_multiple_of(GROWTH_BYTES);
            bytes.resize(usize::try_from(self.filled - at).unwrap_or(bytes.len()), 0);
        }
        self.position = point.segment_bytes;
        self.chain = summary.chain;
        self.entries = entries_end;
        self.times = times_end;
        Some(Step { at, bytes })
    }

    /// One that begins again, in a file as long as it is.
    pub(crate) fn begun_anew(&self) -> Self {
        Self { filled: self.filled, ..Self::default() }
    }

    /// Nothing that was written of the trail counts any more, not even a step behind others that are written again.
    pub(crate) fn wipe(&mut self) -> Option<Step> {
        *self = self.begun_anew();
        Self { at: TRAIL_AT, ..*self }.blank()
    }

    /// The trail ends here: what an earlier run may have left behind it is not taken for its next step. Over bytes that are there,
    /// which a full disk does not refuse.
    pub(crate) fn blank(&self) -> Option<Step> {
        let bytes = usize::try_from(self.filled.saturating_sub(self.at)).unwrap_or_default();
        (self.at > 0 && bytes > 0).then(|| Step { at: self.at, bytes: alloc::vec![0; bytes] })
    }

    /// Whether a snapshot is small beside what the log grew by.
    fn producers_due(&mut self, position: u64, bytes: usize) -> bool {
        let grown = position - self.producers_at.unwrap_or_default();
        let bytes = bytes as u64;
        let due = bytes <= PRODUCERS_BYTES || bytes.saturating_mul(PRODUCERS_SHARE) <= grown;
        if due {
            self.producers_at = Some(position);
        }
        due
    }
}

impl Trail {
    /// Nothing is known.
    pub(crate) fn unknown(point: &DurablePoint, interval_bytes: u32) -> Self {
        Self {
            index: SegmentIndex::new(point.segment_base, interval_bytes),
            reached: Boundary { offset: point.segment_base, position: 0 },
            producers: Vec::new(),
            end: TrailEnd { segment: point.segment_base, at: TRAIL_AT, ..TrailEnd::default() },
        }
    }

    /// The last D that a step in `bytes`, what the file has from [`TRAIL_AT`] on, was recorded with: the segment and where in it. A
    /// step is written when all before its D is durable, so this holds whatever became of the state beside it.
    pub(crate) fn newest(bytes: &Bytes) -> Option<(Offset, Boundary)> {
        let mut fields = Fields::new(bytes.get(MAGIC.len() + 8..)?);
        let segment_base = Offset(fields.i64()?);
        let everything = DurablePoint {
            offset: Offset(i64::MAX),
            segment_bytes: u64::MAX,
            segment_base,
            ..DurablePoint::of_empty_log(JournalPosition::default())
        };
        let reached = Self::read(bytes, &everything, u32::MAX).reached;
        (reached.position > 0).then_some((segment_base, reached))
    }

    /// Follow the steps in `bytes`, what the file has from [`TRAIL_AT`] on, up to D.
    pub(crate) fn read(bytes: &Bytes, point: &DurablePoint, interval_bytes: u32) -> Self {
        let mut trail = Self::unknown(point, interval_bytes);
        trail.end.filled = TRAIL_AT + bytes.len() as u64;
        let mut at = 0;
        while trail.reached.position < point.segment_bytes
            && let Some(length) = trail.follow(bytes, at, point)
        {
            at += length;
            trail.end.at = TRAIL_AT + at as u64;
        }
        trail
    }

    /// Take the step at `at`. Its length, or `None` if it does not follow.
    fn follow(&mut self, file: &Bytes, at: usize, point: &DurablePoint) -> Option<usize> {
        let mut fields = Fields::new(file.get(at..)?);
        let magic: [u8; 8] = fields.array()?;
        let checksum = fields.u32()?;
        let length = usize::try_from(fields.u32()?).ok()?;
        let step = file.get(at..at.checked_add(length)?)?;
        if magic != MAGIC || length < STEP_BYTES || crc32c::crc32c(&step[12..]) != checksum {
            return None;
        }
        let (segment, from) = (Offset(fields.i64()?), fields.u64()?);
        let reached = Boundary { position: fields.u64()?, offset: Offset(fields.i64()?) };
        let chain_before = fields.u32()?;
        let chain = fields.u32()?;
        let summary = Summary {
            chain,
            max_timestamp: Timestamp(fields.i64()?),
            max_timestamp_at: fields.u32()?,
            bytes_since_entry: u64::from(fields.u32()?),
        };
        let in_step = Some(Timestamp(fields.i64()?)).filter(|timestamp| *timestamp != Timestamp::NONE);
        let first_timestamp = self.index.first_timestamp.or(in_step);
        let (entry_count, time_count, snapshot_bytes) = (fields.u32()?, fields.u32()?, fields.u32()?);
        fields.u32()?;
        let follows = segment == self.end.segment && from == self.end.position && chain_before == self.end.chain;
        let goes_on = reached.position > self.reached.position && reached.offset > self.reached.offset;
        if !follows || !goes_on || reached.position > point.segment_bytes || reached.offset > point.offset {
            return None;
        }
        let entries = fields_of(&mut fields, entry_count, IndexEntry::take)?;
        let times = fields_of(&mut fields, time_count, TimeEntry::take)?;
        let snapshot_at = at + STEP_BYTES + entries.len() * ENTRY_BYTES + times.len() * TIME_ENTRY_BYTES;
        let snapshot = file.slice_ref(file.get(snapshot_at..snapshot_at + usize::try_from(snapshot_bytes).ok()?)?);
        let interval_bytes = self.index.interval_bytes();
        let of_step = SegmentIndex::resumed(segment, interval_bytes, entries, times, first_timestamp, summary);
        if !of_step.is_possible(reached) || !of_step.follows(&self.index, from) {
            return None;
        }
        if !snapshot.is_empty() {
            self.producers.push(snapshot);
            self.end.producers_at = Some(reached.position);
        }
        let before = core::mem::replace(&mut self.index, of_step);
        self.index.go_behind(before);
        let (entries, times) = (self.index.entries.len(), self.index.times.len());
        self.end = TrailEnd { position: reached.position, chain, entries, times, ..self.end };
        self.reached = reached;
        Some(length)
    }
}

fn fields_of<T>(fields: &mut Fields<'_>, count: u32, take: impl Fn(&mut Fields<'_>) -> Option<T>) -> Option<Vec<T>> {
    (0..count).map(|_| take(fields)).collect()
}
