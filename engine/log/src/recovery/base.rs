//! A log up to D: what its segments, their sidecars and the trail say, without reading what they vouch for.
//!
//! Nothing here is changed but caches. What is believed for its checksums' sake is checked when it is first read, or by the
//! scrubber; where there are none to believe, the segment is read through. Damage and gaps become faulty ranges and are reported:
//! they are never a reason to cut, nor to keep the rest of the log from its readers.

use alloc::{format, vec::Vec};

use super::directory::Directory;
use super::partition::{Context, path, rewrite};
use super::reader::SegmentReader;
use super::{Damage, RecoveryReport};
use crate::Offset;
use crate::epoch::LeaderEpochs;
use crate::io::{Disk, IoError};
use crate::partition::faults::{Faults, FaultyRange};
use crate::segment::check::{Part, Unchecked};
use crate::segment::index::{Mark, SegmentIndex};
use crate::segment::scan::{Scan, Scanned};
use crate::segment::sidecar::{self, Footer};
use crate::segment::tail::Boundary;
use crate::segment::{Segment, cache_files};
use crate::state::trail::{TRAIL_AT, Trail};
use crate::state::{DurablePoint, PartitionState, STATE_FILE_NAME};

/// A sidecar or trail is never longer.
pub(super) const CACHE_BYTES_MAX: usize = 256 << 20;

/// The log up to D.
pub(super) struct Base {
    pub(super) sealed: Vec<Segment>,
    /// Of D's segment.
    pub(super) index: SegmentIndex,
    /// How far D's segment is believed without having been read.
    pub(super) found_end: Option<Mark>,
    pub(super) trail: Trail,
    pub(super) faults: Faults,
    /// D's segment is damaged where it had to be read: see [`Segment::unsound`].
    pub(super) unsound: bool,
}

/// Read it.
pub(super) fn read(
    disk: &mut dyn Disk,
    context: &Context<'_>,
    found: &Directory,
    state: &PartitionState,
    report: &mut RecoveryReport,
) -> Result<Base, IoError> {
    let point = state.point;
    let mut reading = Reading { found, context, epochs: state.leader_epochs(), faults: Faults::default(), report };
    let before: Vec<(Offset, u64)> = found.logs.iter().copied().filter(|(base, _)| *base < point.segment_base).collect();
    let mut sealed: Vec<Segment> = Vec::new();
    let mut reached = state.log_start;
    for (number, (base, length)) in before.iter().enumerate() {
        let next = before.get(number + 1).map_or(point.segment_base, |(base, _)| *base);
        if next <= state.log_start {
            // Removed before, and its name has come back.
            continue;
        }
        reading.miss(reached, *base);
        let segment = reading.read_sealed(disk, *base, *length, next)?;
        reached = segment.next_offset;
        sealed.push(segment);
    }
    reading.miss(reached, point.segment_base);
    let trail = read_trail(disk, context, found, &point);
    let (index, found_end, unsound) = reading.read_active(disk, &point, &trail)?;
    Ok(Base { sealed, index, found_end, trail, faults: reading.faults, unsound })
}

struct Reading<'a> {
    found: &'a Directory,
    context: &'a Context<'a>,
    /// As the state has them: nothing else that tells of epochs is guarded by a checksum.
    epochs: LeaderEpochs,
    faults: Faults,
    report: &'a mut RecoveryReport,
}

impl Reading<'_> {
    fn report(&mut self, damage: Damage) {
        self.report.damaged.push((self.found.identity, damage));
    }

    /// No file holds `[from, to)`, if that is anything.
    fn miss(&mut self, from: Offset, to: Offset) {
        if from < to {
            self.faults.insert(FaultyRange::missing(from, from, to, 0));
            self.report(Damage::Missing { segment: from });
        }
    }

    /// A segment wholly before D: by its sidecar, or batch by batch.
    fn read_sealed(&mut self, disk: &mut dyn Disk, base: Offset, length: u64, next: Offset) -> Result<Segment, IoError> {
        let found = self.found;
        let sparse = found.is_sparse(base);
        // A sidecar that a stop left and that the segment has outgrown says nothing.
        let holds = |footer: &Footer| footer.next_offset == next || (footer.next_offset < next && footer.length >= length);
        let footer = read_footer(disk, found, base).filter(|footer| footer.base == base && holds(footer));
        if let Some(footer) = footer {
            let mut segment =
                Segment::found(base, footer.next_offset, footer.length, footer.max_timestamp, footer.chain).with_holes(sparse);
            let end = Mark { offset: footer.next_offset, position: footer.length, chain: footer.chain };
            segment.first_timestamp = footer.first_timestamp;
            segment.unchecked = Some(Unchecked::up_to(end));
            if length < footer.length {
                self.cut_short(disk, &segment, end, length);
            }
            return Ok(segment);
        }
        let interval_bytes = self.context.settings.index_interval_bytes;
        let scan = Scan::new(base, interval_bytes, Boundary { offset: next, position: length }).with_holes(sparse);
        let scan = scan.with_epochs(self.epochs.clone());
        let mut scanned = SegmentReader::new(path(found, base, "log"), length).scan(disk, scan);
        // Where offsets may be missing, only the chain value in the manifest tells whether one is.
        let cleaned = found.manifest.segments.get(&base).filter(|cleaned| cleaned.end == next && cleaned.length == length);
        if let Some(cleaned) = cleaned {
            scanned.hold_against(Mark { offset: next, position: length, chain: cleaned.chain });
        }
        let Scanned { mut index, faults, .. } = scanned;
        index.seal();
        let mut segment = Segment::found(base, next, length, index.max_timestamp, index.chain).with_holes(sparse);
        segment.first_timestamp = index.first_timestamp;
        if faults.is_empty() {
            for (suffix, content) in cache_files(&index, length, next) {
                rewrite(disk, &path(found, base, suffix), &content)?;
            }
        } else {
            // What is damaged gets no checksums that would call it sound, nor keeps any that tell of other places than were found.
            disk.unlink(&path(found, base, "checks"))?;
            segment.index = Some(index);
            segment.unsound = true;
        }
        self.take(faults);
        Ok(segment)
    }

    /// The file ends before it should: what is missing is known to be.
    fn cut_short(&mut self, disk: &mut dyn Disk, segment: &Segment, end: Mark, length: u64) {
        self.report(Damage::Bytes { segment: segment.base, position: length });
        let Some(index) = read_index(disk, self.context, self.found, segment.base, segment.bytes) else { return };
        let mut position = length;
        while position < end.position {
            let part = Part::of(&index, position, end);
            self.check(disk, &index, &part, length);
            position = part.to.position;
        }
    }

    fn check(&mut self, disk: &mut dyn Disk, index: &SegmentIndex, part: &Part, file_length: u64) {
        let wanted = part.to.position.min(file_length).saturating_sub(part.from.position);
        let length = usize::try_from(wanted).unwrap_or_default();
        let bytes = if length == 0 {
            bytes::Bytes::new()
        } else {
            disk.read(&path(self.found, part.segment, "log"), part.from.position, length).unwrap_or_default()
        };
        for range in part.check(index, &bytes) {
            self.faults.insert(range);
        }
    }

    fn take(&mut self, faults: Vec<FaultyRange>) {
        for range in faults {
            self.report(Damage::Bytes { segment: range.segment, position: range.position });
            self.faults.insert(range);
        }
    }

    /// D's segment: as far as trail or sidecar tell, and from there on read through.
    fn read_active(
        &mut self,
        disk: &mut dyn Disk,
        point: &DurablePoint,
        trail: &Trail,
    ) -> Result<(SegmentIndex, Option<Mark>, bool), IoError> {
        let found = self.found;
        let length = found.logs.iter().find(|(base, _)| *base == point.segment_base).map(|(_, length)| *length);
        let mut known = (trail.index.clone(), trail.reached);
        let end = Boundary { offset: point.offset, position: point.segment_bytes };
        if known.1 != end
            && let Some(footer) = read_footer(disk, found, point.segment_base)
            && footer.next_offset == point.offset
            && let Some(index) = read_index(disk, self.context, found, point.segment_base, point.segment_bytes)
        {
            known = (index, end);
        }
        let (mut index, reached) = known;
        let found_end = Mark { offset: reached.offset, position: reached.position, chain: index.chain };
        let mut unsound = false;
        if reached != end {
            self.report.scanned_bytes += end.position - reached.position;
            let scan = Scan::resumed(index, reached, end).with_holes(found.is_sparse(point.segment_base));
            let scan = scan.with_epochs(self.epochs.clone());
            let mut reader = SegmentReader::new(path(found, point.segment_base, "log"), length.unwrap_or_default());
            let scanned = reader.scan(disk, scan);
            index = scanned.index;
            unsound = !scanned.faults.is_empty();
            if unsound {
                disk.unlink(&path(found, point.segment_base, "checks"))?;
            }
            self.take(scanned.faults);
        }
        let file_length = length.unwrap_or_default();
        if file_length < reached.position {
            self.report(match length {
                None => Damage::Missing { segment: point.segment_base },
                Some(position) => Damage::Bytes { segment: point.segment_base, position },
            });
            let mut position = file_length;
            while position < found_end.position {
                let part = Part::of(&index, position, found_end);
                self.check(disk, &index, &part, file_length);
                position = part.to.position;
            }
        }
        Ok((index, (reached.position > 0).then_some(found_end), unsound))
    }
}

fn read_trail(disk: &mut dyn Disk, context: &Context<'_>, found: &Directory, point: &DurablePoint) -> Trail {
    let interval_bytes = context.settings.index_interval_bytes;
    let path = format!("{}/{STATE_FILE_NAME}", found.name);
    match disk.read(&path, TRAIL_AT, CACHE_BYTES_MAX) {
        Ok(bytes) => Trail::read(&bytes, point, interval_bytes),
        // One that cannot be read says nothing, like one that is not there: so with every cache.
        Err(_) => Trail::unknown(point, interval_bytes),
    }
}

/// Whether the indexes of D's segment are on disk as a clean stop leaves them.
pub(super) fn has_caches(disk: &mut dyn Disk, found: &Directory, point: &DurablePoint) -> bool {
    let footer = read_footer(disk, found, point.segment_base);
    footer.is_some_and(|footer| footer.length == point.segment_bytes && footer.next_offset == point.offset)
}

/// The header of a segment's sidecar.
pub(super) fn read_footer(disk: &mut dyn Disk, found: &Directory, base: Offset) -> Option<Footer> {
    let bytes = disk.read(&path(found, base, "checks"), 0, sidecar::HEADER_BYTES).ok()?;
    Footer::parse(&bytes)
}

/// The index in a segment's sidecar, if the segment has the length.
pub(super) fn read_index(
    disk: &mut dyn Disk,
    context: &Context<'_>,
    found: &Directory,
    base: Offset,
    length: u64,
) -> Option<SegmentIndex> {
    let bytes = disk.read(&path(found, base, "checks"), 0, CACHE_BYTES_MAX).ok()?;
    sidecar::decode(&bytes, base, length, context.settings.index_interval_bytes).map(|(_, index)| index)
}
