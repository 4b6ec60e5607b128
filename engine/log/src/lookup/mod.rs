//! Lookups by offset and by timestamp: one step at a time, each answering or saying what it needs to go on.
//!
//! A step looks at the log as it is now, and at the bytes read last; what it needs (a file opened, an index loaded, some bytes
//! read) is had by the store, which then takes the step again. So a lookup holds no position that a deleted segment could make
//! wrong. Does no I/O.

mod locate;
mod scrub;
mod timestamp;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use bytes::Bytes;

pub(crate) use locate::{LocateRequest, locate};
pub(crate) use scrub::{ScrubRequest, scrub};
pub(crate) use timestamp::{TimestampRequest, find_timestamp};

use crate::Offset;
use crate::batch::{BATCH_OVERHEAD_BYTES, BatchHeader};
use crate::partition::PartitionLog;
use crate::partition::faults::FaultyRange;
use crate::segment::check::Part;
use crate::segment::scan::Scan;
use crate::store::{Located, LookupId, Output, PartitionSlot, Stretch, TimestampLookup};

/// Bytes read at once where headers are looked for.
const HEADERS_BYTES: usize = 64 << 10;

/// Bytes read for a lookup: of which segment, from where, what.
pub(crate) type Chunk = (Offset, u64, Bytes);

/// What a step came to.
pub(crate) enum Step<T> {
    /// The answer.
    Done(T),
    /// Something must be had first.
    Need(Need),
    /// What was read is not what was written there: damage, or the disk gave something else.
    Doubt(Stretch),
}

impl<T> Step<T> {
    /// With another answer.
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Step<U> {
        match self {
            Self::Done(answer) => Step::Done(change(answer)),
            Self::Need(need) => Step::Need(need),
            Self::Doubt(stretch) => Step::Doubt(stretch),
        }
    }

    /// About what was read as the header that lies there.
    pub(crate) const fn doubt(segment: Offset, position: u64) -> Self {
        Self::Doubt(Stretch { segment, position, length: BATCH_OVERHEAD_BYTES })
    }
}

/// What a lookup needs to go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Need {
    /// The segment's file open.
    Open(Offset),
    /// The segment's index in memory.
    Index(Offset),
    /// Bytes of the segment.
    Read { base: Offset, position: u64, length: usize },
    /// A part of the segment held against its checksums.
    Check(Part),
}

/// What is looked for.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    Locate(LocateRequest),
    Timestamp(TimestampRequest),
    Scrub(ScrubRequest),
    /// Nothing but what is in doubt.
    Doubt,
}

/// Bytes of a segment that could not be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Doubt {
    pub(crate) segment: Offset,
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// The segment knows that they are to be checked.
    pub(crate) noted: bool,
}

impl Doubt {
    pub(crate) const fn about(stretch: Stretch) -> Self {
        let Stretch { segment, position, length } = stretch;
        Self { segment, from: position, to: position.saturating_add(length as u64), noted: false }
    }

    pub(crate) fn is_about(&self, stretch: Stretch) -> bool {
        (self.segment, self.from) == (stretch.segment, stretch.position)
    }
}

/// A lookup that is not done.
#[derive(Debug)]
pub(crate) struct Lookup {
    pub(crate) slot: PartitionSlot,
    pub(crate) request: Request,
    /// The bytes read last.
    pub(crate) chunk: Option<Chunk>,
    /// An index that is being made from its segment, because its sidecar is not to be used.
    pub(crate) rebuild: Option<Scan>,
    /// The damage that was found when this was read the last time.
    pub(crate) suspected: Vec<FaultyRange>,
    /// A part that is being checked before it is believed.
    pub(crate) check: Option<Part>,
    /// What could not be read last. It is checked before the lookup goes on, and not read in vain again.
    pub(crate) doubt: Option<Doubt>,
    /// What is being read for it is of a file that was replaced meanwhile.
    pub(crate) outdated: bool,
}

impl Lookup {
    pub(crate) const fn new(slot: PartitionSlot, request: Request) -> Self {
        Self { slot, request, chunk: None, rebuild: None, suspected: Vec::new(), check: None, doubt: None, outdated: false }
    }

    /// The log's start may have moved past what is being read for it: nobody opens that file any more, and nothing is left to wait for.
    pub(crate) fn let_go_of_deleted(&mut self, log: &PartitionLog) {
        let is_there = |base: Offset| log.segments.contains_key(&base);
        self.rebuild = self.rebuild.take().filter(|scan| is_there(scan.base()));
        self.check = self.check.filter(|part| is_there(part.segment));
    }

    /// Whether this damage is there: it is if it was found twice in a row. Once, and the disk may have given something else than lies there.
    pub(crate) fn confirms(&mut self, faults: &[FaultyRange]) -> bool {
        let is_confirmed = faults == self.suspected;
        self.suspected = if is_confirmed { Vec::new() } else { Vec::from(faults) };
        is_confirmed || faults.is_empty()
    }

    fn begin_anew(&mut self) {
        self.chunk = None;
        self.rebuild = None;
        self.suspected.clear();
        self.check = None;
        self.doubt = None;
        if let Request::Timestamp(request) = &mut self.request {
            request.segment_from = Offset::ZERO;
            request.walk = None;
        }
        if let Request::Scrub(request) = &mut self.request {
            request.asked = false;
        }
    }
}

/// The lookups that are not done, and which indexes of sealed segments are in memory.
#[derive(Debug)]
pub(crate) struct Lookups {
    next: u64,
    running: BTreeMap<LookupId, Lookup>,
    cached: VecDeque<(PartitionSlot, Offset, usize)>,
    cached_bytes: usize,
    cache_bytes_max: usize,
}

impl Lookups {
    pub(crate) const fn new(cache_bytes_max: usize) -> Self {
        Self { next: 0, running: BTreeMap::new(), cached: VecDeque::new(), cached_bytes: 0, cache_bytes_max }
    }

    /// Keep a lookup until it is done.
    pub(crate) fn insert(&mut self, lookup: Lookup) -> LookupId {
        let id = LookupId(self.next);
        self.next += 1;
        self.running.insert(id, lookup);
        id
    }

    /// Whether it is not done yet.
    pub(crate) fn is_running(&self, id: LookupId) -> bool {
        self.running.contains_key(&id)
    }

    pub(crate) fn get_mut(&mut self, id: LookupId) -> Option<&mut Lookup> {
        self.running.get_mut(&id)
    }

    /// Take a lookup out, to step it or to end it.
    pub(crate) fn take(&mut self, id: LookupId) -> Option<Lookup> {
        self.running.remove(&id)
    }

    /// Put one back that is not done.
    pub(crate) fn put_back(&mut self, id: LookupId, lookup: Lookup) {
        self.running.insert(id, lookup);
    }

    /// A lookup cannot be answered.
    pub(crate) fn fail(&mut self, id: LookupId, outputs: &mut Vec<Output>) {
        if let Some(lookup) = self.running.remove(&id) {
            outputs.extend(failure(id, &lookup.request));
        }
    }

    /// None of this partition's can be answered.
    pub(crate) fn fail_of(&mut self, slot: PartitionSlot, outputs: &mut Vec<Output>) {
        self.running.retain(|id, lookup| {
            let ends = lookup.slot == slot;
            if ends {
                outputs.extend(failure(*id, &lookup.request));
            }
            !ends
        });
    }

    /// The partition's segments were replaced: what its lookups know of positions holds no more. All but those named wait for
    /// something that is being read, perhaps from a file of before.
    pub(crate) fn restart(&mut self, slot: PartitionSlot, waiting_for_a_file: &[LookupId]) {
        for (id, lookup) in self.running.iter_mut().filter(|(_, lookup)| lookup.slot == slot) {
            lookup.begin_anew();
            lookup.outdated = !waiting_for_a_file.contains(id);
        }
    }

    /// None can be answered.
    pub(crate) fn fail_all(&mut self, outputs: &mut Vec<Output>) {
        outputs.extend(core::mem::take(&mut self.running).into_iter().filter_map(|(id, lookup)| failure(id, &lookup.request)));
    }

    /// The index of a sealed segment is in memory now.
    pub(crate) fn loaded(&mut self, slot: PartitionSlot, base: Offset, bytes: usize) {
        // Noted twice, it would be dropped for its own sake.
        self.unloaded(slot, base);
        self.cached.push_back((slot, base, bytes));
        self.cached_bytes += bytes;
    }

    /// The segment has no index in memory any more.
    pub(crate) fn unloaded(&mut self, slot: PartitionSlot, base: Offset) {
        let cached_bytes = &mut self.cached_bytes;
        self.cached.retain(|(other_slot, other_base, bytes)| {
            let same = *other_slot == slot && *other_base == base;
            *cached_bytes -= if same { *bytes } else { 0 };
            !same
        });
    }

    /// The index to be dropped next, if there are more than there may be. The one loaded last stays.
    pub(crate) fn evict(&mut self) -> Option<(PartitionSlot, Offset)> {
        if self.cached_bytes <= self.cache_bytes_max || self.cached.len() <= 1 {
            return None;
        }
        let (slot, base, bytes) = self.cached.pop_front()?;
        self.cached_bytes -= bytes;
        Some((slot, base))
    }
}

/// What somebody is told whose lookup failed. Nobody waits for the scrubber's: it sees that it is gone. Nor for what is in doubt.
fn failure(lookup: LookupId, request: &Request) -> Option<Output> {
    match request {
        Request::Locate(_) => Some(Output::Located { lookup, result: Located::Failed }),
        Request::Timestamp(_) => Some(Output::Timestamp { lookup, result: TimestampLookup::Failed }),
        Request::Scrub(_) | Request::Doubt => None,
    }
}

/// What is needed to check what is in doubt, as long as something of it is not.
pub(crate) fn check_doubt(log: &mut PartitionLog, doubt: &mut Doubt) -> Option<Need> {
    let written = readable_bytes(log, doubt.segment);
    let segment = log.segments.get_mut(&doubt.segment)?;
    if segment.index.is_none() {
        return Some(Need::Index(doubt.segment));
    }
    if !core::mem::replace(&mut doubt.noted, true) {
        segment.doubt_between(doubt.from, doubt.to, written);
    }
    segment.part_to_check(doubt.from, doubt.to).map(Need::Check)
}

/// How far headers have been walked through.
///
/// A disk may give what was there before, or what lies elsewhere: nothing that was read is believed to be where it should be unless
/// its offset says so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Walk {
    /// Where the next batch lies.
    pub(crate) position: u64,
    /// Its base offset, or that of the hole before it; `None` where nobody knows it.
    pub(crate) offset: Option<Offset>,
}

impl Walk {
    /// Whether this can be the batch that lies there.
    pub(crate) fn meets(&self, header: &BatchHeader, sparse: bool) -> bool {
        let fits = |offset: Offset| header.base_offset == offset || (sparse && header.base_offset > offset);
        header.last_offset_delta >= 0 && self.offset.is_none_or(fits)
    }

    /// Behind this batch.
    pub(crate) fn past(&self, header: &BatchHeader) -> Self {
        Self { position: self.position + header.total_bytes() as u64, offset: Some(header.next_offset()) }
    }
}

/// The header of the batch at `position`, if the chunk has it; else what to read. `None` if there cannot be one.
fn header_at(chunk: Option<&Chunk>, base: Offset, position: u64, end: u64) -> Option<Result<BatchHeader, Need>> {
    if position + BATCH_OVERHEAD_BYTES as u64 > end {
        return None;
    }
    let length = usize::try_from(end - position).unwrap_or(usize::MAX).min(HEADERS_BYTES);
    let Some(bytes) = chunk_at(chunk, base, position).filter(|bytes| bytes.len() >= BATCH_OVERHEAD_BYTES) else {
        // What was just read from here and is too short will not get longer.
        let read = chunk.is_some_and(|(chunk_base, from, _)| *chunk_base == base && *from == position);
        return if read { None } else { Some(Err(Need::Read { base, position, length })) };
    };
    let header = BatchHeader::parse(&bytes).ok()?;
    (position + header.total_bytes() as u64 <= end).then_some(Ok(header))
}

/// The chunk's bytes from `position` on.
fn chunk_at(chunk: Option<&Chunk>, base: Offset, position: u64) -> Option<Bytes> {
    let (_, from, data) = chunk.filter(|(chunk_base, from, _)| *chunk_base == base && *from <= position)?;
    let skip = usize::try_from(position - from).ok()?;
    (skip < data.len()).then(|| data.slice(skip..))
}

/// Bytes of a segment that are written for good.
fn readable_bytes(log: &PartitionLog, base: Offset) -> u64 {
    match log.segments.get(&base) {
        Some(_) if log.log_end_at.0 == base => log.log_end_at.1,
        Some(segment) if log.log_end_at.0 > base => segment.bytes,
        _ => 0,
    }
}
