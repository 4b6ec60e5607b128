//! The journal while it runs: appends wait in a queue, leave as frames, and become durable in order.
//!
//! Invariants: frames are numbered without a gap; at most a few are in flight; durable moves over a contiguous prefix of
//! completed frames only. When no file can take the next frame the queue waits, and the store is congested.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use bytes::Bytes;

use super::ring::{Place, Ring};
use super::{FileHeader, FrameBuilder, JournalFileName, JournalId, JournalPosition};
use crate::batch::StampedBatch;
use crate::io::{AlignedBuffer, BLOCK_BYTES, FileHandle, FileOperation, Io, OperationId, Owner, SyncScope, WriteData, WriteMode};
use crate::mutants::{self, Mutant};
use crate::store::{PartitionSlot, StoreSettings};
use crate::{Offset, ShardId, TopicPartition};

/// Buffers kept for the next frames.
const SPARE_BUFFERS: usize = 8;

/// What recovery hands over.
#[derive(Debug)]
pub(crate) struct JournalSetup {
    /// The random id of this start.
    pub(crate) id: JournalId,
    /// A generation above any found.
    pub(crate) generation: u64,
    /// Files that are there, of the right size, under the new id.
    pub(crate) files: Vec<u32>,
}

/// An append on its way into a frame.
#[derive(Debug)]
pub(crate) struct QueuedAppend {
    pub(crate) slot: PartitionSlot,
    pub(crate) partition: TopicPartition,
    pub(crate) segment_base: Offset,
    pub(crate) batch: StampedBatch,
}

#[derive(Debug)]
struct Flight {
    sequence: u64,
    place: Place,
    written: u64,
    length: u64,
    done: bool,
    ends: Vec<(PartitionSlot, Offset)>,
}

/// An end of a partition's entries in a frame.
#[derive(Clone, Copy, Debug)]
struct Mark {
    sequence: u64,
    end: Offset,
}

/// What a completed journal operation calls for.
#[derive(Debug)]
pub(crate) enum JournalProgress {
    /// These partitions are journaled up to these offsets now.
    Journaled(Vec<(PartitionSlot, Offset)>),
    /// Another operation was asked for, for the same frame.
    Continued(OperationId),
}

/// The journal of a shard.
#[derive(Debug)]
pub(crate) struct Journal {
    shard: ShardId,
    id: JournalId,
    generation: u64,
    frame_bytes: u64,
    writes_in_flight_max: usize,
    bytes_max: u64,
    ring: Ring,
    next_sequence: u64,
    completed: u64,
    queue: VecDeque<QueuedAppend>,
    queue_bytes: usize,
    flights: VecDeque<Flight>,
    marks: BTreeMap<PartitionSlot, VecDeque<Mark>>,
    spare: Vec<AlignedBuffer>,
    clearing: Vec<(Place, u64)>,
    /// Files that recovery left and that are not open yet.
    unopened: usize,
    file_bytes: u64,
    /// What a file must have for the largest batch that found none; the next one made is that large.
    wanted_bytes: u64,
    next_file: u32,
    can_grow: bool,
}

impl Journal {
    pub(crate) fn new(settings: &StoreSettings, setup: &JournalSetup) -> Self {
        Self {
            shard: settings.shard,
            id: setup.id,
            generation: setup.generation,
            frame_bytes: settings.journal_frame_bytes as u64,
            writes_in_flight_max: settings.journal_writes_in_flight,
            bytes_max: settings.journal_bytes,
            ring: Ring::new(),
            next_sequence: 0,
            completed: 0,
            queue: VecDeque::new(),
            queue_bytes: 0,
            flights: VecDeque::new(),
            marks: BTreeMap::new(),
            spare: Vec::new(),
            clearing: Vec::new(),
            unopened: setup.files.len(),
            file_bytes: settings.journal_file_bytes,
            wanted_bytes: 0,
            next_file: setup.files.iter().max().map_or(0, |number| number + 1),
            can_grow: true,
        }
    }

    /// The position of the next frame.
    pub(crate) const fn next_position(&self) -> JournalPosition {
        JournalPosition { generation: self.generation, sequence: self.next_sequence }
    }

    /// Whether a batch of so many bytes fits a file that is there, or one of the usual size, which can always be made.
    pub(crate) fn takes(&self, batch_bytes: usize) -> bool {
        file_bytes_for(batch_bytes) <= self.ring.largest_bytes().max(self.file_bytes)
    }

    /// A batch of so many bytes found no file that could hold it: have one made.
    pub(crate) fn want_file_for(&mut self, batch_bytes: usize) {
        self.wanted_bytes = self.wanted_bytes.max(file_bytes_for(batch_bytes));
    }

    /// Let an append wait for the next frame.
    pub(crate) fn queue(&mut self, append: QueuedAppend) {
        self.queue_bytes += append.batch.total_bytes();
        self.queue.push_back(append);
    }

    /// A partition is being removed: what waits for it need not be journaled.
    pub(crate) fn forget(&mut self, slot: PartitionSlot) {
        let mut dropped = 0;
        self.queue.retain(|append| {
            let keep = append.slot != slot;
            dropped += if keep { 0 } else { append.batch.total_bytes() };
            keep
        });
        self.queue_bytes -= dropped;
    }

    /// Whether entries of this partition are on their way to the disk, or wait for it.
    pub(crate) fn is_writing(&self, slot: PartitionSlot) -> bool {
        let holds = |flight: &Flight| flight.ends.iter().any(|(other, _)| *other == slot);
        self.queue.iter().any(|append| append.slot == slot) || self.flights.iter().any(holds)
    }

    /// Bytes that wait for a frame.
    pub(crate) const fn queue_bytes(&self) -> usize {
        self.queue_bytes
    }

    /// Whether nothing waits and nothing is in flight or about to be: files that nobody needs any more are yet to be told so.
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.flights.is_empty() && self.clearing.is_empty() && !self.ring.has_idle()
    }

    /// Write out what waits, as far as there is room. The operations asked for, with their frames.
    pub(crate) fn pump(&mut self, owner: Owner, io: &mut Io) -> Vec<(OperationId, u64)> {
        let mut operations = Vec::new();
        while self.flights.iter().filter(|flight| !flight.done).count() < self.writes_in_flight_max && self.find_room() {
            let (buffer, ends) = self.build_frame();
            let length = buffer.len() as u64;
            let sequence = self.next_sequence;
            let place = self.ring.take(sequence, length).expect("room was found in the current file");
            self.next_sequence += 1;
            let (file, offset) = (place.handle, place.offset);
            let write = FileOperation::Write { file, offset, data: WriteData::Aligned(buffer), mode: WriteMode::Queued };
            operations.push((io.ask(owner, write), sequence));
            self.flights.push_back(Flight { sequence, place, written: 0, length, done: false, ends });
        }
        operations
    }

    /// Whether there is an append waiting, and a place for it.
    fn find_room(&mut self) -> bool {
        let Some(first) = self.queue.front() else { return false };
        let needed = single_frame_bytes(first);
        loop {
            if self.ring.room().is_some_and(|room| room >= needed) {
                return true;
            }
            // A file that is too small for this batch is left empty: files are used strictly in their order.
            if !self.ring.advance(self.next_sequence) {
                self.ring.note_full();
                return false;
            }
        }
    }

    fn build_frame(&mut self) -> (AlignedBuffer, Vec<(PartitionSlot, Offset)>) {
        let room = self.ring.room().unwrap_or_default();
        let mut builder = FrameBuilder::new(self.spare.pop().unwrap_or_default());
        let mut ends = Vec::new();
        while let Some(append) = self.queue.front() {
            let with = builder.bytes_with(&append.batch) as u64;
            let full = with > self.frame_bytes || with.next_multiple_of(BLOCK_BYTES as u64) > room;
            if full && !ends.is_empty() {
                break;
            }
            let Some(append) = self.queue.pop_front() else { break };
            self.queue_bytes -= append.batch.total_bytes();
            let end = append.batch.header().next_offset();
            builder.put_batch(append.partition, append.segment_base, &append.batch);
            let mark = Mark { sequence: self.next_sequence, end };
            let marks = self.marks.entry(append.slot).or_default();
            match marks.back_mut() {
                Some(last) if last.sequence == mark.sequence => last.end = end,
                _ => marks.push_back(mark),
            }
            self.ring.hold(append.slot);
            ends.push((append.slot, end));
        }
        (builder.finish(&self.id, self.next_position(), self.completed), ends)
    }

    /// A write or sync for a frame has succeeded. `bytes` is what a write took, `None` after a sync.
    pub(crate) fn complete(
        &mut self,
        sequence: u64,
        bytes: Option<u64>,
        buffer: Option<AlignedBuffer>,
        owner: Owner,
        io: &mut Io,
    ) -> JournalProgress {
        let Some(flight) = self.flights.iter_mut().find(|flight| flight.sequence == sequence) else {
            return JournalProgress::Journaled(Vec::new());
        };
        if let Some(bytes) = bytes {
            // Direct writes go on at a block; what was taken of the block before is written again.
            let taken = if bytes >= flight.length - flight.written { bytes } else { bytes - bytes % BLOCK_BYTES as u64 };
            flight.written += taken;
            let file = flight.place.handle;
            if flight.written < flight.length {
                let skip = usize::try_from(taken).unwrap_or(usize::MAX);
                let mut data = AlignedBuffer::default();
                data.put(&buffer.map(|buffer| buffer.copy_from(skip)).unwrap_or_default());
                let offset = flight.place.offset + flight.written;
                let write = FileOperation::Write { file, offset, data: WriteData::Aligned(data), mode: WriteMode::Queued };
                flight.done = mutants::is(Mutant::B19);
                return JournalProgress::Continued(io.ask(owner, write));
            }
            if let Some(mut buffer) = buffer
                && self.spare.len() < SPARE_BUFFERS
            {
                // What it shares is given back at once.
                buffer.clear();
                self.spare.push(buffer);
            }
            if !flight.place.durable_writes {
                return JournalProgress::Continued(io.ask(owner, FileOperation::Sync { file, scope: SyncScope::Data }));
            }
        }
        flight.done = true;
        self.ring.written(flight.place.file);
        let mut journaled = self.pop_completed();
        if mutants::is(Mutant::B26) {
            journaled.extend(self.flights.iter().filter(|flight| flight.done).flat_map(|flight| flight.ends.iter().copied()));
        }
        JournalProgress::Journaled(journaled)
    }

    fn pop_completed(&mut self) -> Vec<(PartitionSlot, Offset)> {
        let mut journaled = Vec::new();
        while self.flights.front().is_some_and(|flight| flight.done) {
            if let Some(flight) = self.flights.pop_front() {
                self.completed = flight.sequence + 1;
                journaled.extend(flight.ends);
            }
        }
        self.ring.settle();
        journaled
    }

    /// Ask for the headers of idle files to be written, so that they can be used again. The operations, with their files.
    pub(crate) fn clear_idle(&mut self, owner: Owner, io: &mut Io) -> Vec<(OperationId, u32)> {
        let mut operations = Vec::new();
        while let Some((place, dead_below)) = self.ring.take_idle() {
            let operation = self.clear(place, dead_below);
            operations.push((io.ask(owner, operation), place.file));
            self.clearing.push((place, dead_below));
        }
        operations
    }

    fn clear(&self, place: Place, dead_below: u64) -> FileOperation {
        let name = JournalFileName { shard: self.shard, number: place.file };
        let mut data = AlignedBuffer::default();
        data.put(&name.header(&FileHeader { id: self.id, generation: self.generation, dead_below }));
        FileOperation::Write { file: place.handle, offset: 0, data: WriteData::Aligned(data), mode: WriteMode::Queued }
    }

    /// A write of a header or the sync behind it has succeeded. Another operation, if it takes one.
    pub(crate) fn cleared(&mut self, number: u32, bytes: Option<u64>, owner: Owner, io: &mut Io) -> Option<OperationId> {
        let at = self.clearing.iter().position(|(place, _)| place.file == number)?;
        let (place, dead_below) = self.clearing[at];
        match bytes {
            Some(bytes) if bytes < BLOCK_BYTES as u64 => Some(io.ask(owner, self.clear(place, dead_below))),
            Some(_) if !place.durable_writes => {
                Some(io.ask(owner, FileOperation::Sync { file: place.handle, scope: SyncScope::Data }))
            }
            _ => {
                self.clearing.swap_remove(at);
                self.ring.cleared(number);
                None
            }
        }
    }

    /// The position below which the journal holds nothing of this partition at or past `offset`.
    pub(crate) fn position_for(&self, slot: PartitionSlot, offset: Offset) -> JournalPosition {
        let marks = self.marks.get(&slot);
        let needed = marks.and_then(|marks| marks.get(marks.partition_point(|mark| mark.end <= offset)));
        let sequence = needed.map_or(self.next_sequence, |mark| mark.sequence);
        JournalPosition { generation: self.generation, sequence }
    }

    /// A durable point of this partition is recorded: `offset` at `position`.
    pub(crate) fn release(&mut self, slot: PartitionSlot, offset: Offset, position: JournalPosition) {
        if let Some(marks) = self.marks.get_mut(&slot) {
            while marks.front().is_some_and(|mark| mark.end <= offset) {
                marks.pop_front();
            }
            if marks.is_empty() {
                self.marks.remove(&slot);
            }
        }
        self.ring.release(slot, position.sequence);
    }

    /// Partitions whose durable point should move so that the journal does not fill up.
    pub(crate) fn pressing(&self) -> Vec<PartitionSlot> {
        let cornered = !self.ring.has_free() && self.clearing.is_empty() && !self.may_grow();
        let pressed = self.ring.used_bytes() * 2 > self.bytes_max || cornered;
        if pressed { self.ring.oldest_holders() } else { Vec::new() }
    }

    fn may_grow(&self) -> bool {
        self.can_grow && self.ring.total_bytes() + self.file_bytes <= self.bytes_max
    }

    /// The file to be made next and its size, if the journal should grow now. One that a large batch wants is made even past the
    /// bound of the whole.
    pub(crate) fn next_file(&mut self, at_least_bytes: u64) -> Option<(JournalFileName, u64)> {
        if self.unopened > 0 {
            return None;
        }
        let wanted_bytes = core::mem::take(&mut self.wanted_bytes);
        if wanted_bytes > self.ring.largest_bytes() {
            return Some((self.name_file(), wanted_bytes));
        }
        let wanted =
            self.ring.total_bytes() + self.file_bytes <= at_least_bytes || (!self.ring.has_free() && self.clearing.is_empty());
        if !wanted || !self.may_grow() {
            return None;
        }
        Some((self.name_file(), self.file_bytes))
    }

    fn name_file(&mut self) -> JournalFileName {
        let name = JournalFileName { shard: self.shard, number: self.next_file };
        self.next_file += 1;
        name
    }

    /// The first block of a file.
    pub(crate) fn file_header(&self, name: JournalFileName) -> Bytes {
        Bytes::from(name.header(&FileHeader { id: self.id, generation: self.generation, dead_below: 0 }))
    }

    /// A file of so many bytes is ready to be written.
    pub(crate) fn add_file(&mut self, name: JournalFileName, handle: FileHandle, bytes: u64, durable_writes: bool) {
        self.unopened = self.unopened.saturating_sub(1);
        self.ring.add(name.number, handle, bytes, durable_writes);
    }

    /// Whether there is any file, open or not yet.
    pub(crate) fn has_files(&self) -> bool {
        self.unopened > 0 || self.ring.total_bytes() > 0
    }

    /// Bytes of files with frames that may be needed.
    pub(crate) fn used_bytes(&self) -> u64 {
        self.ring.used_bytes()
    }

    /// A file could not be made; the journal stays as large as it is. Whether it can work at all.
    pub(crate) fn stop_growing(&mut self) -> bool {
        self.can_grow = false;
        self.ring.total_bytes() > 0
    }

    /// There may be room for another file now.
    pub(crate) fn grow_again(&mut self) {
        self.can_grow = true;
    }

    /// The oldest sequence of this generation that may be found on disk.
    pub(crate) fn oldest_on_disk(&self) -> u64 {
        self.ring.oldest_on_disk().unwrap_or(self.next_sequence)
    }

    /// Give the files up, to be closed.
    pub(crate) fn take_handles(&mut self) -> Vec<FileHandle> {
        self.ring.take_handles()
    }
}

/// What a file must have to hold a frame of one batch.
fn file_bytes_for(batch_bytes: usize) -> u64 {
    (super::FILE_OVERHEAD_BYTES + batch_bytes as u64).next_multiple_of(BLOCK_BYTES as u64)
}

/// What a frame with this append alone takes.
fn single_frame_bytes(append: &QueuedAppend) -> u64 {
    FrameBuilder::bytes_alone(&append.batch).next_multiple_of(BLOCK_BYTES) as u64
}
