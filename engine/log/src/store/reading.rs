//! Lookups: had at once where memory suffices, else over as many steps as they need.

use alloc::vec::Vec;
use bytes::Bytes;

use super::{Located, LookupId, Output, PartitionSlot, Pending, Store, TimestampLookup};
use crate::io::{FileHandle, FileOperation, Io, OpenMode};
use crate::lookup::{
    Chunk, LocateRequest, Lookup, Need, Rebuild, RebuildStep, Request, Step, TimestampRequest, find_timestamp, locate,
};
use crate::partition::PartitionLog;
use crate::segment::SegmentHandle;
use crate::{Offset, Timestamp};

/// A sidecar larger than any segment can have is not read.
const SIDECAR_BYTES_MAX: u64 = 256 << 20;

/// What a step of a lookup came to.
enum Turn {
    Located(Located),
    Timestamp(TimestampLookup),
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
        let request = Request::Locate(LocateRequest { from, below, max_bytes, at_least_one });
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
        let request = TimestampRequest { timestamp, below, segment_from: Offset::ZERO, position: None };
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
        let mut lookup = Lookup { slot, request, chunk: None, rebuild: None, outdated: false };
        match self.step(&mut lookup) {
            Turn::Need(need) => {
                let id = self.lookups.insert(lookup);
                self.supply(id, slot, need, io);
                Err(id)
            }
            done => Ok(done),
        }
    }

    /// Take steps until the lookup ends or has to wait.
    pub(super) fn advance_lookup(&mut self, id: LookupId, io: &mut Io, outputs: &mut Vec<Output>) {
        let Some(mut lookup) = self.lookups.take(id) else { return };
        match self.step(&mut lookup) {
            Turn::Located(result) => outputs.push(Output::Located { lookup: id, result }),
            Turn::Timestamp(result) => outputs.push(Output::Timestamp { lookup: id, result }),
            Turn::Need(need) => {
                let slot = lookup.slot;
                self.lookups.put_back(id, lookup);
                self.supply(id, slot, need, io);
            }
        }
    }

    fn step(&mut self, lookup: &mut Lookup) -> Turn {
        let Some(log) = self.partitions.get_mut(lookup.slot.0 as usize).and_then(Option::as_mut) else {
            return failed(&lookup.request);
        };
        if let Some(rebuild) = lookup.rebuild.take() {
            let base = rebuild.base();
            let length = log.segments.get(&base).map_or(0, |segment| segment.bytes);
            match rebuild.advance(lookup.chunk.as_ref(), length) {
                Err(rebuild) => {
                    let need = rebuild.need(length);
                    lookup.rebuild = Some(rebuild);
                    return Turn::Need(need_file(log, need));
                }
                Ok(RebuildStep::Damaged) => return failed(&lookup.request),
                Ok(RebuildStep::Done(index)) => {
                    let bytes = index.memory_bytes();
                    if let Some(segment) = log.segments.get_mut(&base) {
                        segment.index = Some(index);
                        self.lookups.loaded(lookup.slot, base, bytes);
                    }
                    lookup.chunk = None;
                }
            }
        }
        match &mut lookup.request {
            Request::Locate(request) => match locate(log, request, lookup.chunk.as_ref()) {
                Step::Done(located) => Turn::Located(located),
                Step::Need(need) => Turn::Need(need),
            },
            Request::Timestamp(request) => match find_timestamp(log, request, lookup.chunk.as_ref()) {
                Step::Done(found) => Turn::Timestamp(found),
                Step::Need(need) => Turn::Need(need),
            },
        }
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
            Need::Read { base, position, length } => {
                let Some(file) = log.segments.get(&base).and_then(|segment| segment.file()).cloned() else { return };
                let read = FileOperation::Read { file: file.handle, offset: position, length };
                self.operations.ask_on(file, read, Pending::SegmentRead { lookup: id, base, position }, io);
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
                    None => lookup.rebuild = Some(Rebuild::new(base, interval_bytes)),
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

/// Before bytes can be read, the file must be open.
fn need_file(log: &PartitionLog, need: Need) -> Need {
    match need {
        Need::Read { base, .. } => {
            let open = log.segments.get(&base).is_some_and(|segment| matches!(segment.handle, SegmentHandle::Open(_)));
            if open { need } else { Need::Open(base) }
        }
        other => other,
    }
}

fn failed(request: &Request) -> Turn {
    match request {
        Request::Locate(_) => Turn::Located(Located::Failed),
        Request::Timestamp(_) => Turn::Timestamp(TimestampLookup::Failed),
    }
}
