//! Which log is worth cleaning, how much of it may be, and in which groups its segments are written again.
//!
//! Kafka's rules: the share of dirty bytes (`min.cleanable.dirty.ratio`), the time that dirty records may wait at most and at least
//! (`max.compaction.lag.ms`, `min.compaction.lag.ms`), groups of neighbours that fit one segment. And one of ours: nothing at or
//! above the recorded durable point is touched, for what lies there may be written again when the journal is replayed.

use alloc::vec::Vec;

use crate::mutants::{self, Mutant};
use crate::partition::{Life, PartitionLog};
use crate::segment::{Segment, Stage};
use crate::{Offset, Timestamp};

/// A segment that is to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SourceSegment {
    pub(crate) base: Offset,
    pub(crate) next_offset: Offset,
    pub(crate) bytes: u64,
    /// The chain value at its end.
    pub(crate) chain: u32,
}

/// What is to be cleaned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Plan {
    /// Where the part begins that no pass has seen.
    pub(crate) first_dirty: Offset,
    /// From the log's first one; the dirty ones come last.
    pub(crate) segments: Vec<SourceSegment>,
    /// A new segment for each.
    pub(crate) groups: Vec<Vec<SourceSegment>>,
}

impl Plan {
    /// Room for the largest of the new segments, as if nothing were left out of it.
    pub(crate) fn room_bytes(&self) -> u64 {
        let bytes = |group: &Vec<SourceSegment>| group.iter().map(|segment| segment.bytes).sum();
        self.groups.iter().map(bytes).max().unwrap_or(0)
    }
}

/// What there is to say about a log.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Judgement {
    /// Dirty bytes among those that may be cleaned, in parts of a million.
    pub(crate) dirty_ppm: u64,
    /// What to do, if it is dirty enough or has waited too long.
    pub(crate) plan: Option<Plan>,
    /// There would be something to do if the durable point were recorded.
    pub(crate) wants_point: bool,
}

/// Judge a log.
pub(crate) fn judge(log: &PartitionLog, now: Timestamp) -> Judgement {
    let usable = log.life == Life::Ready && !log.offline && log.configured && log.config.cleanup_compact;
    if !usable || log.uncleanable || log.cleaning || log.truncation.is_some() {
        return Judgement::default();
    }
    let first = log.segments.keys().next().copied().unwrap_or(Offset::ZERO);
    let first_dirty = log.manifest.cleaned_to.max(log.log_start).max(first);
    let (mut segments, mut bytes, mut dirty_bytes, mut waits) = (Vec::new(), 0, 0, false);
    let (mut behind_bytes, mut behind_dirty) = (0, 0);
    for segment in log.segments.values() {
        let dirty = segment.next_offset > first_dirty;
        if !is_settled(log, segment) || (dirty && is_too_young(log, segment, now)) {
            break;
        }
        let counted = if dirty { segment.bytes } else { 0 };
        behind_bytes += segment.bytes;
        behind_dirty += counted;
        if !is_below_point(log, segment) || behind_bytes > bytes + segment.bytes {
            continue;
        }
        bytes += segment.bytes;
        dirty_bytes += counted;
        waits |= dirty && has_waited_too_long(log, segment, now);
        let Segment { base, next_offset, bytes, chain, .. } = *segment;
        segments.push(SourceSegment { base, next_offset, bytes, chain });
    }
    let min_ppm = u64::from(log.config.min_cleanable_dirty_ppm);
    let ppm = |part: u64, whole: u64| part.saturating_mul(1_000_000).checked_div(whole).unwrap_or(0);
    let dirty_ppm = ppm(dirty_bytes, bytes);
    let goes = dirty_bytes > 0 && (waits || dirty_ppm > min_ppm);
    let plan = goes.then(|| Plan { first_dirty, groups: group(log, &segments), segments });
    let wants_point = behind_dirty > dirty_bytes && ppm(behind_dirty, behind_bytes) > min_ppm;
    Judgement { dirty_ppm, plan, wants_point }
}

/// Whether the segment grows no more, is replicated, is not where the log ends, and nothing of it is known to be damaged: what is
/// faulty stays as it is until it is repaired.
fn is_settled(log: &PartitionLog, segment: &Segment) -> bool {
    let grows = segment.stage != Stage::Sealed || segment.base == log.log_end_at.0;
    let faulty = log.faults.at_or_after(segment.base).is_some_and(|range| range.from < segment.next_offset);
    !grows && !faulty && segment.next_offset <= log.high_watermark
}

fn is_below_point(log: &PartitionLog, segment: &Segment) -> bool {
    mutants::is(Mutant::B46) || (segment.base < log.point.segment_base && segment.next_offset <= log.point.offset)
}

fn is_too_young(log: &PartitionLog, segment: &Segment, now: Timestamp) -> bool {
    let lag_ms = log.config.min_compaction_lag_ms;
    lag_ms > 0 && segment.max_timestamp.0 > now.0.saturating_sub(lag_ms)
}

fn has_waited_too_long(log: &PartitionLog, segment: &Segment, now: Timestamp) -> bool {
    let first = segment.first_timestamp.unwrap_or(segment.max_timestamp);
    first.0 >= 0 && now.0.saturating_sub(first.0) > log.config.max_compaction_lag_ms
}

/// Neighbours that, as they are, fit one segment: its size and its offsets.
fn group(log: &PartitionLog, segments: &[SourceSegment]) -> Vec<Vec<SourceSegment>> {
    let segment_bytes = u64::from(log.config.segment_bytes).min(i32::MAX as u64);
    let mut groups: Vec<Vec<SourceSegment>> = Vec::new();
    let mut bytes = 0;
    for segment in segments {
        let fits = |group: &Vec<SourceSegment>| {
            let span = group.first().map_or(0, |first| segment.next_offset.0 - first.base.0);
            bytes + segment.bytes <= segment_bytes && span <= i64::from(i32::MAX)
        };
        match groups.last_mut().filter(|group| fits(group)) {
            Some(group) => {
                group.push(*segment);
                bytes += segment.bytes;
            }
            None => {
                groups.push(Vec::from([*segment]));
                bytes = segment.bytes;
            }
        }
    }
    groups
}
