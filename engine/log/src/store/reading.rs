//! Lookups: had at once where memory suffices, else over as many steps as they need.

use alloc::vec::Vec;
use bytes::Bytes;

use super::{Located, LookupId, Output, PartitionSlot, Pending, Store, TimestampLookup};
use crate::io::{FileHandle, FileOperation, Io, OpenMode};
use crate::lookup::{
    Chunk, Doubt, LocateRequest, Lookup, Need, Request, ScrubRequest, Step, TimestampRequest, check_doubt, find_timestamp,
    locate, scrub,
};
use crate::partition::PartitionLog;
use crate::partition::faults::FaultyRange;
use crate::segment::check::Part;
use crate::segment::scan::{Scan, Scanned};
use crate::segment::tail::Boundary;
use crate::segment::{Segment, SegmentHandle, Stage};
use crate::state::EPOCHS_KEPT;
use crate::{Offset, Timestamp};

/// A sidecar larger than any segment can have is not read.
const SIDECAR_BYTES_MAX: u64 = 256 << 20;

/// What a step of a lookup came to.
enum Turn {
    Located(Located),
    Timestamp(TimestampLookup),
    Checked,
    Need(Need),
}

impl Store {
    /// Find the bytes from `from` on and below `below` (the high watermark or the last stable offset): whole batches, at most
    /// `max_bytes` of them, but at least one batch if `at_least_one`. One call answers with bytes of one segment.
    pub fn locate(
        &mut self,
        slot: PartitionSlot,
        from: Offset,
        below: Offset,
        max_bytes: u32,
        at_least_one: bool,
        io: &mut Io,
    ) -> Located {
        let request = Request::Locate(LocateRequest { from, below, max_bytes, at_least_one, walk: None });
        match self.begin_lookup(slot, request, io) {
            Ok(Turn::Located(located)) => located,
            Ok(_) => Located::Failed,
            Err(lookup) => Located::Pending(lookup),
        }
    }

    /// The first record below `below` whose timestamp is `timestamp` or later (L02).
    pub fn offset_for_timestamp(
        &mut self,
        slot: PartitionSlot,
        timestamp: Timestamp,
        below: Offset,
        io: &mut Io,
    ) -> TimestampLookup {
        let request = TimestampRequest { timestamp, below, segment_from: Offset::ZERO, walk: None };
        match self.begin_lookup(slot, Request::Timestamp(request), io) {
            Ok(Turn::Timestamp(found)) => found,
            Ok(_) => TimestampLookup::Failed,
            Err(lookup) => TimestampLookup::Pending(lookup),
        }
    }

    /// The first record below `below` that has the greatest timestamp (L03).
    pub fn max_timestamp(&mut self, slot: PartitionSlot, below: Offset, io: &mut Io) -> TimestampLookup {
        let live = self
            .log(slot)
            .into_iter()
            .flat_map(|log| log.segments.values().filter(|segment| segment.bytes > 0 && segment.next_offset > log.log_start));
        match live.map(|segment| segment.max_timestamp).max() {
            None => TimestampLookup::None,
            Some(timestamp) => self.offset_for_timestamp(slot, timestamp, below, io),
        }
    }

    /// Forget a lookup that nobody waits for any more.
    pub fn cancel(&mut self, lookup: LookupId) {
        self.lookups.take(lookup);
    }

    fn begin_lookup(&mut self, slot: PartitionSlot, request: Request, io: &mut Io) -> Result<Turn, LookupId> {
        self.begin(Lookup::new(slot, request), io)
    }

    /// Check what this lookup is in doubt about.
    pub(super) fn check_stretch(&mut self, lookup: Lookup, io: &mut Io) {
        // Nobody waits for it.
        drop(self.begin(lookup, io));
    }

    fn begin(&mut self, mut lookup: Lookup, io: &mut Io) -> Result<Turn, LookupId> {
        let slot = lookup.slot;
        match self.step(&mut lookup, &mut Vec::new()) {
            Turn::Need(need) => {
                let id = self.lookups.insert(lookup);
                self.supply(id, slot, need, io);
                Err(id)
            }
            done => Ok(done),
        }
    }

    /// Read a part for the scrubber.
    pub(super) fn begin_scrub(&mut self, slot: PartitionSlot, request: ScrubRequest, io: &mut Io) -> Option<LookupId> {
        self.begin_lookup(slot, Request::Scrub(request), io).err()
    }

    /// Take steps until the lookup ends or has to wait.
    pub(super) fn advance_lookup(&mut self, id: LookupId, io: &mut Io, outputs: &mut Vec<Output>) {
        let Some(mut lookup) = self.lookups.take(id) else { return };
        match self.step(&mut lookup, outputs) {
            Turn::Located(result) => outputs.push(Output::Located { lookup: id, result }),
            Turn::Timestamp(result) => outputs.push(Output::Timestamp { lookup: id, result }),
            Turn::Checked => {
                if let Request::Scrub(request) = &lookup.request {
                    self.scrub.done(request);
                }
            }
            Turn::Need(need) => {
                let slot = lookup.slot;
                self.lookups.put_back(id, lookup);
                self.supply(id, slot, need, io);
            }
        }
    }

    fn step(&mut self, lookup: &mut Lookup, outputs: &mut Vec<Output>) -> Turn {
        let slot = lookup.slot;
        let Some(log) = self.partitions.get_mut(slot.0 as usize).and_then(Option::as_mut) else {
            return failed(&lookup.request);
        };
        lookup.let_go_of_deleted(log);
        if let Some(mut scan) = lookup.rebuild.take() {
            let base = scan.base();
            let read = lookup
                .chunk
                .take()
                .filter(|(of, position, _)| *of == base && scan.need().is_some_and(|need| need.0 == *position));
            if let Some((_, _, data)) = read {
                scan.advance(&data);
            }
            if let Some((position, length)) = scan.need() {
                lookup.rebuild = Some(scan);
                return Turn::Need(need_file(log, Need::Read { base, position, length }));
            }
            let scanned = held_against_the_end(log, scan);
            if !lookup.confirms(&scanned.faults) {
                lookup.rebuild = log.segments.get(&base).map(|segment| scan_of(segment, log));
                return self.step(lookup, outputs);
            }
            let bytes = take_scanned(log, slot, scanned, outputs);
            self.lookups.loaded(slot, base, bytes);
        }
        if let Some(part) = lookup.check.take() {
            let read = lookup.chunk.take().filter(|(of, at, _)| *of == part.segment && *at == part.from.position);
            let faults = read.map(|(_, _, data)| faults_of(log, &part, &data));
            match faults {
                Some(faults) if lookup.confirms(&faults) => note_checked(log, slot, &part, faults, outputs),
                _ => {
                    lookup.check = Some(part);
                    return Turn::Need(need_file(log, Need::Check(part)));
                }
            }
        }
        let doubt = lookup.doubt.as_mut().and_then(|doubt| check_doubt(log, doubt));
        let need = match doubt.map_or_else(|| take_step(log, lookup), Step::Need) {
            Step::Done(turn) => return turn,
            Step::Need(need) => need,
            Step::Doubt(stretch) => {
                // It is checked before it is read again; once.
                if lookup.doubt.is_some_and(|doubt| doubt.is_about(stretch)) {
                    return failed(&lookup.request);
                }
                (lookup.doubt, lookup.chunk) = (Some(Doubt::about(stretch)), None);
                return self.step(lookup, outputs);
            }
        };
        if let Need::Check(part) = need {
            lookup.check = Some(part);
            lookup.chunk = None;
        }
        Turn::Need(need_file(log, need))
    }

    /// Ask for what a lookup needs.
    fn supply(&mut self, id: LookupId, slot: PartitionSlot, need: Need, io: &mut Io) {
        let Some(log) = self.partitions.get_mut(slot.0 as usize).and_then(Option::as_mut) else { return };
        match need {
            Need::Open(base) => {
                if let Some(segment) = log.segments.get_mut(&base) {
                    segment.waiters.push(id);
                }
                self.open_segment(slot, base, io);
            }
            Need::Index(base) => {
                let path = log.segment_path(base, "checks");
                let open = FileOperation::Open { path, mode: OpenMode::Read };
                self.operations.ask(open, Pending::SidecarOpened { lookup: id, base }, io);
            }
            Need::Check(part) => {
                let (base, position) = (part.segment, part.from.position);
                let length = usize::try_from(part.to.position - position).unwrap_or(usize::MAX);
                self.supply(id, slot, Need::Read { base, position, length }, io);
            }
            Need::Read { base, position, length } => {
                let Some(file) = log.segments.get(&base).and_then(|segment| segment.file()).cloned() else { return };
                let read = FileOperation::Read { file: file.handle, offset: position, length };
                self.operations.ask_on(file, read, Pending::SegmentRead { lookup: id, base, position, length }, io);
            }
        }
    }

    /// Bytes asked for by a lookup are there.
    pub(super) fn lookup_read(&mut self, id: LookupId, chunk: Chunk, io: &mut Io, outputs: &mut Vec<Output>) {
        if let Some(lookup) = self.lookups.get_mut(id) {
            let outdated = core::mem::take(&mut lookup.outdated);
            lookup.chunk = Some(chunk).filter(|_| !outdated);
            self.advance_lookup(id, io, outputs);
        }
    }

    /// A sidecar is open; read it.
    pub(super) fn read_sidecar(&mut self, lookup: LookupId, base: Offset, handle: FileHandle, length: u64, io: &mut Io) {
        let length = usize::try_from(length.min(SIDECAR_BYTES_MAX)).unwrap_or_default();
        let read = FileOperation::Read { file: handle, offset: 0, length };
        self.operations.ask(read, Pending::SidecarRead { lookup, base, handle }, io);
    }

    /// A sidecar is read, or there is none; where it is not to be used, the index is made again from the segment.
    pub(super) fn sidecar_read(
        &mut self,
        id: LookupId,
        base: Offset,
        data: Option<Bytes>,
        io: &mut Io,
        outputs: &mut Vec<Output>,
    ) {
        let Some(lookup) = self.lookups.get_mut(id) else { return };
        if core::mem::take(&mut lookup.outdated) {
            return self.advance_lookup(id, io, outputs);
        }
        let slot = lookup.slot;
        let log = self.partitions.get_mut(slot.0 as usize).and_then(Option::as_mut);
        if let Some(log) = log {
            let interval_bytes = log.config.index_interval_bytes;
            if let Some(segment) = log.segments.get_mut(&base)
                && segment.index.is_none()
            {
                let decoded = data.and_then(|data| {
                    crate::segment::sidecar::decode(&data, base, segment.bytes, interval_bytes).map(|(_, index)| index)
                });
                match decoded {
                    Some(index) => {
                        self.lookups.loaded(slot, base, index.memory_bytes());
                        segment.index = Some(index);
                    }
                    None => lookup.rebuild = log.segments.get(&base).map(|segment| scan_of(segment, log)),
                }
            }
        }
        self.advance_lookup(id, io, outputs);
        self.evict_indexes();
    }

    fn evict_indexes(&mut self) {
        while let Some((slot, base)) = self.lookups.evict() {
            let log = self.partitions.get_mut(slot.0 as usize).and_then(Option::as_mut);
            if let Some(segment) = log.and_then(|log| log.segments.get_mut(&base)) {
                segment.index = None;
            }
        }
    }
}

/// What a lookup's own step comes to, or needs.
fn take_step(log: &PartitionLog, lookup: &mut Lookup) -> Step<Turn> {
    let chunk = lookup.chunk.as_ref();
    match &mut lookup.request {
        Request::Locate(request) => locate(log, request, chunk).map(Turn::Located),
        Request::Timestamp(request) => find_timestamp(log, request, chunk).map(Turn::Timestamp),
        Request::Scrub(request) => scrub(log, request).map(|()| Turn::Checked),
        Request::Doubt => Step::Done(Turn::Checked),
    }
}

/// Before bytes can be read, the file must be open.
fn need_file(log: &PartitionLog, need: Need) -> Need {
    match need {
        Need::Read { base, .. } | Need::Check(Part { segment: base, .. }) => {
            let open = log.segments.get(&base).is_some_and(|segment| matches!(segment.handle, SegmentHandle::Open(_)));
            if open { need } else { Need::Open(base) }
        }
        other => other,
    }
}

/// What of a part of a segment is not as it was written. Nothing, if it has become part of another.
fn faults_of(log: &PartitionLog, part: &Part, data: &[u8]) -> Vec<FaultyRange> {
    let segment = log.segments.get(&part.segment).filter(|segment| segment.has_part(part));
    let index = segment.and_then(|segment| segment.index.as_ref());
    index.map_or_else(Vec::new, |index| part.check(index, data))
}

/// A part of a segment was checked: what of it is faulty is not served any more.
fn note_checked(log: &mut PartitionLog, slot: PartitionSlot, part: &Part, faults: Vec<FaultyRange>, outputs: &mut Vec<Output>) {
    let segment = log.segments.get_mut(&part.segment).filter(|segment| segment.has_part(part) && segment.index.is_some());
    let Some(segment) = segment else { return };
    segment.note_checked(part);
    note_faults(log, slot, faults, outputs);
}

/// What is faulty is told, if it is new.
fn note_faults(log: &mut PartitionLog, slot: PartitionSlot, faults: Vec<FaultyRange>, outputs: &mut Vec<Output>) {
    for range in faults {
        if log.faults.insert(range) && range.to > log.log_start {
            outputs.push(Output::RangeFaulty { slot, range });
        }
    }
}

/// What makes an index of a segment.
fn scan_of(segment: &Segment, log: &PartitionLog) -> Scan {
    let end = Boundary { offset: segment.next_offset, position: segment.bytes };
    let scan = Scan::new(segment.base, log.config.index_interval_bytes, end).with_holes(segment.sparse);
    scan.with_epochs(log.epochs.newest(EPOCHS_KEPT))
}

/// A segment was read from one end to the other.
fn held_against_the_end(log: &PartitionLog, scan: Scan) -> Scanned {
    let sealed = log.segments.get(&scan.base()).filter(|segment| segment.stage == Stage::Sealed && !segment.unsound);
    let mut scanned = scan.into_result();
    if let Some(segment) = sealed {
        scanned.hold_against(segment.sealed_end());
    }
    scanned
}

/// The index is used, and what is damaged is not. The memory that the index takes.
fn take_scanned(log: &mut PartitionLog, slot: PartitionSlot, scanned: Scanned, outputs: &mut Vec<Output>) -> usize {
    let bytes = scanned.index.memory_bytes();
    if let Some(segment) = log.segments.get_mut(&scanned.index.base()) {
        segment.index = Some(scanned.index);
        segment.unchecked = None;
    }
    note_faults(log, slot, scanned.faults, outputs);
    bytes
}

fn failed(request: &Request) -> Turn {
    match request {
        Request::Locate(_) => Turn::Located(Located::Failed),
        Request::Timestamp(_) => Turn::Timestamp(TimestampLookup::Failed),
        Request::Scrub(_) | Request::Doubt => Turn::Checked,
    }
}
