//! The ranges of a log below D that are known to be damaged.
//!
//! A faulty range is never cut and never served: whoever asks for an offset in it is told so, everything else is read as ever, and
//! a replica that has the bytes can put them back ([`crate::store::Store::repair`]). Invariant: ranges are kept in order and do not
//! overlap; neighbours of one segment are one range.

use alloc::vec::Vec;

use crate::Offset;
use crate::segment::index::Mark;
use crate::segment::tail::Boundary;

/// A run of batches that are not on disk as they were written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FaultyRange {
    /// The base offset of the segment's file.
    pub segment: Offset,
    /// The first offset, and where in the file.
    pub from: Offset,
    /// Where it begins.
    pub position: u64,
    /// The offset behind the last.
    pub to: Offset,
    /// Where it ends. No further than where it begins if that is not known: the file is missing, or cut short.
    pub end_position: u64,
    /// The chain values before and behind, where a checksum sidecar tells them.
    pub chain: Option<(u32, u32)>,
}

impl FaultyRange {
    /// What lies between two marks.
    pub(crate) const fn between(segment: Offset, from: Mark, to: Mark) -> Self {
        let chain = Some((from.chain, to.chain));
        Self { segment, from: from.offset, position: from.position, to: to.offset, end_position: to.position, chain }
    }

    /// Offsets that no file holds.
    pub(crate) const fn missing(segment: Offset, from: Offset, to: Offset, position: u64) -> Self {
        Self { segment, from, position, to, end_position: position, chain: None }
    }

    /// Whether this byte of this file is part of it.
    pub(crate) fn holds(&self, segment: Offset, position: u64) -> bool {
        self.segment == segment && self.position <= position && position < self.end_position
    }

    fn touches(&self, next: &Self) -> bool {
        self.segment == next.segment && self.to >= next.from && self.end_position >= next.position
    }
}

/// The faulty ranges of one log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    ranges: Vec<FaultyRange>,
}

impl Faults {
    /// All of them, in order.
    pub(crate) fn ranges(&self) -> &[FaultyRange] {
        &self.ranges
    }

    /// The first range that ends behind `offset`.
    pub(crate) fn at_or_after(&self, offset: Offset) -> Option<&FaultyRange> {
        let index = self.ranges.partition_point(|range| range.to <= offset);
        self.ranges.get(index)
    }

    /// Where in this file the last range ends that lies before `offset`, and what it reaches to.
    pub(crate) fn last_end(&self, segment: Offset, offset: Offset) -> Option<Boundary> {
        let after = self.ranges.partition_point(|range| range.to <= offset);
        let before = self.ranges[..after].last().filter(|range| range.segment == segment);
        before.map(|range| Boundary { offset: range.to, position: range.end_position })
    }

    /// Note a range. Whether anything of it is new.
    pub(crate) fn insert(&mut self, mut range: FaultyRange) -> bool {
        let apart = |known: &FaultyRange| known.to < range.from || (known.to == range.from && !known.touches(&range));
        let index = self.ranges.partition_point(apart);
        let mut merged = index;
        let mut known_already = false;
        while let Some(known) = self.ranges.get(merged) {
            let (first, second) = if known.from <= range.from { (*known, range) } else { (range, *known) };
            if second.from > first.to || (!first.touches(&second) && second.from == first.to) {
                break;
            }
            known_already |= known.from <= range.from && range.to <= known.to;
            range = join(&first, &second);
            merged += 1;
        }
        self.ranges.splice(index..merged, [range]);
        !known_already
    }

    /// `[from, to)` is as it was written again. Whether a range went by that.
    pub(crate) fn remove(&mut self, from: Offset, to: Offset) -> bool {
        let before = self.ranges.len();
        self.ranges.retain(|range| range.from < from || range.to > to);
        self.ranges.len() < before
    }

    /// These segments gave way to another, of which all was read.
    pub(crate) fn forget_segments(&mut self, replaced: &[Offset]) {
        self.ranges.retain(|range| !replaced.contains(&range.segment));
    }

    /// The log ends at `end` now. A cut lies in nothing that is damaged.
    pub(crate) fn truncate_from_end(&mut self, end: Offset) {
        self.ranges.retain(|range| range.to <= end);
    }

    /// The log starts at `log_start` now, in the segment `first`. What is damaged in that segment stays known even where nobody may
    /// read it any more: who looks for a batch behind it must not walk through it.
    pub(crate) fn truncate_from_start(&mut self, log_start: Offset, first: Offset) {
        self.ranges.retain(|range| range.to > log_start || range.segment == first);
    }
}

/// Two ranges that overlap or touch, `first` the one that begins earlier.
fn join(first: &FaultyRange, second: &FaultyRange) -> FaultyRange {
    let last = if first.to >= second.to { first } else { second };
    let chain = first.chain.zip(last.chain).map(|((before, _), (_, behind))| (before, behind));
    FaultyRange { to: last.to, end_position: last.end_position, chain, ..*first }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use alloc::vec::Vec;

    use super::*;

    fn range(from: i64, to: i64) -> FaultyRange {
        let mark = |offset: i64| Mark {
            offset: Offset(offset),
            position: u64::try_from(offset * 10).unwrap_or_default(),
            chain: u32::try_from(offset).unwrap_or_default(),
        };
        FaultyRange::between(Offset(0), mark(from), mark(to))
    }

    fn pairs(faults: &Faults) -> Vec<(i64, i64)> {
        faults.ranges().iter().map(|range| (range.from.0, range.to.0)).collect()
    }

    #[test]
    fn neighbours_and_overlaps_become_one() {
        let mut faults = Faults::default();
        assert!(faults.insert(range(10, 20)));
        assert!(faults.insert(range(30, 40)));
        assert!(!faults.insert(range(12, 18)), "known already");
        assert_eq!(pairs(&faults), [(10, 20), (30, 40)]);
        assert!(faults.insert(range(20, 25)));
        assert_eq!(pairs(&faults), [(10, 25), (30, 40)]);
        assert!(faults.insert(range(24, 31)));
        assert_eq!(pairs(&faults), [(10, 40)]);
        assert_eq!(faults.ranges()[0], range(10, 40), "with the places and the chain values of its ends");
    }

    #[test]
    fn ranges_of_different_files_stay_apart() {
        let mut faults = Faults::default();
        faults.insert(range(10, 20));
        faults.insert(FaultyRange { segment: Offset(20), position: 0, ..range(20, 30) });
        assert_eq!(pairs(&faults), [(10, 20), (20, 30)]);
    }

    #[test]
    fn what_is_asked_of_them() {
        let mut faults = Faults::default();
        faults.insert(range(10, 20));
        faults.insert(range(30, 40));
        assert_eq!(faults.at_or_after(Offset(10)), Some(&range(10, 20)));
        assert_eq!(faults.at_or_after(Offset(20)), Some(&range(30, 40)));
        let end = Some(Boundary { offset: Offset(20), position: 200 });
        assert_eq!(faults.last_end(Offset(0), Offset(19)), None);
        assert_eq!(faults.last_end(Offset(0), Offset(20)), end);
        faults.truncate_from_start(Offset(20), Offset(0));
        assert_eq!(faults.last_end(Offset(0), Offset(25)), end, "its segment is still there");
        faults.truncate_from_start(Offset(20), Offset(20));
        assert_eq!(pairs(&faults), [(30, 40)]);
        assert!(faults.remove(Offset(30), Offset(40)));
        assert!(faults.ranges().is_empty());
    }
}
