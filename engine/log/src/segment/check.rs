//! Bytes of a segment held against its checksums: each batch's CRC, and the chain value from one mark of the index to the next,
//! which covers what the CRCs leave out and the batches' order.
//!
//! So a flipped offset or epoch, a batch that is stale, missing, or in another's place is found, not only a flipped record. Pure;
//! what was found at start is remembered here until it has been looked at ([`Unchecked`]).

use alloc::vec::Vec;

use super::index::{Mark, SegmentIndex, chain};
use crate::Offset;
use crate::batch::{BATCH_OVERHEAD_BYTES, BatchHeader, StoredRead, read_stored};
use crate::partition::faults::FaultyRange;

/// Bytes checked at once, unless two marks are farther apart.
pub(crate) const CHECK_BYTES: u64 = 1 << 20;

/// A part of a segment that is to be checked: between two marks, perhaps with others in between.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Part {
    pub(crate) segment: Offset,
    pub(crate) from: Mark,
    pub(crate) to: Mark,
}

impl Part {
    /// The part of a segment that holds `position`, as long as is good to read at once; `end` is the segment's last mark.
    pub(crate) fn of(index: &SegmentIndex, position: u64, end: Mark) -> Self {
        let from = index.mark_before(position);
        let limit = from.position + CHECK_BYTES;
        let mut marks = index.marks_after(from.position).filter(|mark| mark.position < end.position).chain([end]);
        let mut to = marks.next().unwrap_or(end);
        to = marks.take_while(|mark| mark.position <= limit).last().unwrap_or(to);
        Self { segment: index.base(), from, to }
    }

    /// The first half of it; `None` where no mark lies within.
    pub(crate) fn half(&self, index: &SegmentIndex) -> Option<Self> {
        let within = index.marks_after(self.from.position).take_while(|mark| mark.position < self.to.position);
        let within: Vec<Mark> = within.collect();
        within.get(within.len() / 2).map(|middle| Self { to: *middle, ..*self })
    }

    /// What of it is faulty, given its bytes; fewer than there should be, if the file has no more.
    pub(crate) fn check(&self, index: &SegmentIndex, bytes: &[u8]) -> Vec<FaultyRange> {
        let mut faults = Vec::new();
        let mut from = self.from;
        let between = index.marks_after(self.from.position).take_while(|mark| mark.position < self.to.position);
        for to in between.chain([self.to]) {
            let place = |position: u64| usize::try_from(position - self.from.position).unwrap_or(usize::MAX).min(bytes.len());
            check_unit(self.segment, from, to, &bytes[place(from.position)..place(to.position)], &mut faults);
            from = to;
        }
        faults
    }
}

/// Check what lies between two neighbouring marks. Where all headers hold together, a batch whose records do not is faulty alone;
/// else everything from the first bad place on is.
fn check_unit(segment: Offset, from: Mark, to: Mark, bytes: &[u8], faults: &mut Vec<FaultyRange>) {
    let mut bad: Vec<FaultyRange> = Vec::new();
    let mut at = from;
    // As far as offsets follow each other without a gap, which only compaction leaves.
    let mut contiguous = from;
    while at.position < to.position {
        let rest = usize::try_from(at.position - from.position).ok().and_then(|skip| bytes.get(skip..)).unwrap_or_default();
        let (header, whole) = match read_stored(rest) {
            StoredRead::Batch(batch) => (Some(batch.header), true),
            StoredRead::Corrupt(_) => (BatchHeader::parse(rest).ok(), false),
            StoredRead::Incomplete { .. } | StoredRead::End => (None, false),
        };
        let fits = |header: &BatchHeader| {
            header.base_offset >= at.offset
                && header.last_offset_delta >= 0
                && header.next_offset() <= to.offset
                && at.position + header.total_bytes() as u64 <= to.position
        };
        let Some(header) = header.filter(fits) else { break };
        end_at_next(&mut bad, at.position, header.base_offset);
        let position = at.position + header.total_bytes() as u64;
        let next = Mark { offset: header.next_offset(), position, chain: chain(at.chain, &header) };
        if !whole {
            bad.push(FaultyRange::between(segment, at, next));
        }
        if contiguous == at && header.base_offset == at.offset {
            contiguous = next;
        }
        at = next;
    }
    end_at_next(&mut bad, to.position, to.offset);
    if at.position == to.position && at.chain == to.chain {
        // Compaction leaves gaps between batches, also behind the last.
        faults.append(&mut bad);
        return;
    }
    if at.position == to.position {
        // Headers that do not add up where there is a batch everywhere: which of them it is, nobody can say.
        faults.push(FaultyRange::between(segment, from, to));
        return;
    }
    let first = bad.first().map(|range| Mark {
        offset: range.from,
        position: range.position,
        chain: range.chain.map_or(from.chain, |(before, _)| before),
    });
    let start = first.filter(|first| first.position < contiguous.position).unwrap_or(contiguous);
    faults.push(FaultyRange::between(segment, start, to));
}

/// A bad batch does not tell where it ends, for that is under its CRC: it reaches to the offset of what lies behind it.
fn end_at_next(bad: &mut [FaultyRange], position: u64, offset: Offset) {
    if let Some(last) = bad.last_mut().filter(|last| last.end_position == position) {
        last.to = offset;
    }
}

/// Bytes of a segment that were found at start and have not been checked since, or that could not be read.
#[derive(Clone, Debug)]
pub(crate) struct Unchecked {
    /// How far what was found goes.
    pub(crate) end: Mark,
    /// What has been checked, in order, without overlaps.
    checked: Vec<(u64, u64)>,
}

impl Unchecked {
    /// All up to here.
    pub(crate) const fn up_to(end: Mark) -> Self {
        Self { end, checked: Vec::new() }
    }

    /// None up to here.
    pub(crate) fn none_up_to(end: Mark) -> Self {
        Self { end, checked: Vec::from([(0, end.position)]) }
    }

    /// `[from, to)` is to be looked at, again perhaps. There are marks up to `end`.
    pub(crate) fn doubt(&mut self, from: u64, to: u64, end: Mark) {
        if end.position > self.end.position {
            self.note(self.end.position, end.position);
            self.end = end;
        }
        let parts = core::mem::take(&mut self.checked).into_iter();
        let around = |(start, stop): (u64, u64)| [(start, stop.min(from)), (start.max(to), stop)];
        self.checked = parts.flat_map(around).filter(|(start, stop)| start < stop).collect();
    }

    /// The first position in `[from, to)` that nobody has looked at.
    pub(crate) fn first(&self, from: u64, to: u64) -> Option<u64> {
        let to = to.min(self.end.position);
        let mut at = from;
        for (start, end) in &self.checked {
            if *start <= at && at < *end {
                at = *end;
            }
        }
        (at < to).then_some(at)
    }

    /// `[from, to)` has been looked at.
    pub(crate) fn note(&mut self, from: u64, to: u64) {
        let index = self.checked.partition_point(|(_, end)| *end < from);
        let mut joined = (from, to);
        let mut after = index;
        while let Some((start, end)) = self.checked.get(after).filter(|(start, _)| *start <= joined.1) {
            joined = (joined.0.min(*start), joined.1.max(*end));
            after += 1;
        }
        self.checked.splice(index..after, [joined]);
    }

    /// Whether all of it has been looked at.
    pub(crate) fn is_done(&self) -> bool {
        self.first(0, self.end.position).is_none()
    }
}

/// Whether these bytes are what a faulty range should hold: whole batches that fill it, byte by byte as they were where the
/// sidecar's chain value says so; where there is none, without a gap between their offsets.
pub(crate) fn restores(range: &FaultyRange, bytes: &[u8]) -> bool {
    let mut at = Mark { offset: range.from, position: range.position, chain: range.chain.map_or(0, |(before, _)| before) };
    let mut rest = bytes;
    while rest.len() >= BATCH_OVERHEAD_BYTES {
        let StoredRead::Batch(batch) = read_stored(rest) else { return false };
        let follows =
            if range.chain.is_some() { batch.header.base_offset >= at.offset } else { batch.header.base_offset == at.offset };
        if !follows {
            return false;
        }
        let position = at.position + batch.bytes.len() as u64;
        at = Mark { offset: batch.header.next_offset(), position, chain: chain(at.chain, &batch.header) };
        rest = &rest[batch.bytes.len()..];
    }
    let fills = rest.is_empty() && at.position == range.end_position && at.offset <= range.to;
    fills && range.chain.map_or(at.offset == range.to, |(_, behind)| behind == at.chain)
}
