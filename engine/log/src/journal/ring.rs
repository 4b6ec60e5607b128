//! The journal's files as a ring: which is written, which may be used again.
//!
//! Invariants: files are filled one after another and used again strictly in that order, so that the frames on disk are always
//! one unbroken run of sequences; a file is used again only when it has no holder and no write in flight, and after its header
//! says, durably, that the frames it still has are dead: else what is half written over would look like damage.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use crate::io::{BLOCK_BYTES, FileHandle};
use crate::store::PartitionSlot;

/// One file that is open for writing.
#[derive(Debug)]
struct RingFile {
    handle: FileHandle,
    bytes: u64,
    /// Whether a completed write is on stable storage without a sync.
    durable_writes: bool,
    write_at: u64,
    end_sequence: u64,
    in_flight: u32,
    holders: BTreeSet<PartitionSlot>,
    /// The first sequence of its round; none if its header says that there is nothing in it.
    first_sequence: Option<u64>,
}

/// A place for a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) file: u32,
    pub(super) handle: FileHandle,
    pub(super) offset: u64,
    pub(super) durable_writes: bool,
}

/// The files.
#[derive(Debug)]
pub(super) struct Ring {
    files: BTreeMap<u32, RingFile>,
    /// Files with frames that may be needed, oldest first; the last is being written.
    used: VecDeque<u32>,
    /// Files nobody needs any more, whose headers do not say so yet.
    idle: VecDeque<u32>,
    free: VecDeque<u32>,
    /// The file being written has no room for what waits.
    is_full: bool,
}

impl Ring {
    pub(super) const fn new() -> Self {
        Self { files: BTreeMap::new(), used: VecDeque::new(), idle: VecDeque::new(), free: VecDeque::new(), is_full: false }
    }

    /// A file of so many bytes is made and open; it may be written.
    pub(super) fn add(&mut self, number: u32, handle: FileHandle, bytes: u64, durable_writes: bool) {
        let file = RingFile {
            handle,
            bytes,
            durable_writes,
            write_at: 0,
            end_sequence: 0,
            in_flight: 0,
            holders: BTreeSet::new(),
            first_sequence: None,
        };
        self.files.insert(number, file);
        self.free.push_back(number);
    }

    /// Bytes that a frame may take where the next one goes, if there is a place at all.
    pub(super) fn room(&self) -> Option<u64> {
        let current = self.used.back().and_then(|number| self.files.get(number))?;
        Some(current.bytes.saturating_sub(current.write_at))
    }

    /// Go on to the next file, though nothing was written to the current one. Whether there was one.
    pub(super) fn advance(&mut self, sequence: u64) -> bool {
        let Some(number) = self.free.pop_front() else { return false };
        if let Some(file) = self.files.get_mut(&number) {
            file.write_at = BLOCK_BYTES as u64;
            file.first_sequence = Some(sequence);
            file.end_sequence = sequence;
        }
        self.is_full = false;
        self.used.push_back(number);
        true
    }

    /// Take the place for a frame of `bytes` in the current file, which has room for it.
    pub(super) fn take(&mut self, sequence: u64, bytes: u64) -> Option<Place> {
        let number = *self.used.back()?;
        let file = self.files.get_mut(&number)?;
        let place = Place { file: number, handle: file.handle, offset: file.write_at, durable_writes: file.durable_writes };
        file.write_at += bytes;
        file.end_sequence = sequence + 1;
        file.in_flight += 1;
        Some(place)
    }

    /// A frame in the current file holds entries of this partition.
    pub(super) fn hold(&mut self, slot: PartitionSlot) {
        if let Some(file) = self.used.back().and_then(|number| self.files.get_mut(number)) {
            file.holders.insert(slot);
        }
    }

    /// A frame is written.
    pub(super) fn written(&mut self, number: u32) {
        if let Some(file) = self.files.get_mut(&number) {
            file.in_flight -= 1;
        }
    }

    /// The partition needs no frame below `sequence` any more.
    pub(super) fn release(&mut self, slot: PartitionSlot, sequence: u64) {
        for number in &self.used {
            if let Some(file) = self.files.get_mut(number)
                && file.end_sequence <= sequence
            {
                file.holders.remove(&slot);
            }
        }
        self.reap();
    }

    /// The oldest files, as far as nobody needs them, become idle. The file being written does only if there is no other place.
    fn reap(&mut self) {
        let last = if self.free.is_empty() && self.idle.is_empty() { 0 } else { 1 };
        while self.used.len() > 1 || (self.used.len() > last && self.is_full) {
            let Some(number) = self.used.front().copied() else { break };
            if !self.files.get(&number).is_some_and(|file| file.holders.is_empty() && file.in_flight == 0) {
                break;
            }
            self.used.pop_front();
            self.idle.push_back(number);
        }
    }

    /// Whether there are files whose headers are to be written.
    pub(super) fn has_idle(&self) -> bool {
        !self.idle.is_empty()
    }

    /// The next idle file, whose header is to be written, and the sequence below which nothing is needed.
    pub(super) fn take_idle(&mut self) -> Option<(Place, u64)> {
        let number = self.idle.pop_front()?;
        let file = self.files.get(&number)?;
        let place = Place { file: number, handle: file.handle, offset: 0, durable_writes: file.durable_writes };
        Some((place, file.end_sequence))
    }

    /// A file's header says that what is in it is dead: it may be written again.
    pub(super) fn cleared(&mut self, number: u32) {
        if let Some(file) = self.files.get_mut(&number) {
            file.first_sequence = None;
            self.free.push_back(number);
        }
    }

    /// Use again what can be, after writes completed.
    pub(super) fn settle(&mut self) {
        self.reap();
    }

    /// The current file has no room for the next frame.
    pub(super) fn note_full(&mut self) {
        self.is_full = true;
        self.reap();
    }

    /// The partitions that hold the oldest file in use.
    pub(super) fn oldest_holders(&self) -> Vec<PartitionSlot> {
        let oldest = self.used.front().and_then(|number| self.files.get(number));
        oldest.map(|file| file.holders.iter().copied().collect()).unwrap_or_default()
    }

    /// Bytes of the files in use.
    pub(super) fn used_bytes(&self) -> u64 {
        self.used.iter().filter_map(|number| self.files.get(number)).map(|file| file.bytes).sum()
    }

    /// Bytes of all files.
    pub(super) fn total_bytes(&self) -> u64 {
        self.files.values().map(|file| file.bytes).sum()
    }

    /// Bytes of the largest file.
    pub(super) fn largest_bytes(&self) -> u64 {
        self.files.values().map(|file| file.bytes).max().unwrap_or_default()
    }

    /// Whether a file is ready to follow the current one.
    pub(super) fn has_free(&self) -> bool {
        !self.free.is_empty() || !self.idle.is_empty()
    }

    /// The oldest sequence of this generation that may be found in any file.
    pub(super) fn oldest_on_disk(&self) -> Option<u64> {
        self.files.values().filter_map(|file| file.first_sequence).min()
    }

    /// All handles, to be closed; the ring is empty afterwards.
    pub(super) fn take_handles(&mut self) -> Vec<FileHandle> {
        self.used.clear();
        self.idle.clear();
        self.free.clear();
        core::mem::take(&mut self.files).into_values().map(|file| file.handle).collect()
    }
}
