//! Segment files opened when they are needed and closed when they are not.
//!
//! Invariant: a file is closed only when the store holds the last reference to it, so that a slice on its way to a socket and an
//! operation outstanding keep it open.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Output, PartitionSlot, Pending, Store};
use crate::Offset;
use crate::io::{FileHandle, FileOperation, Io, IoError, OpenMode, SegmentFile};
use crate::partition::Life;
use crate::segment::SegmentHandle;

/// Files looked at in one turn when too many are open.
const LOOKS_PER_TURN: usize = 16;

impl Store {
    /// Ask for a segment's file to be opened, unless it is or was asked for.
    pub(super) fn open_segment(&mut self, slot: PartitionSlot, base: Offset, io: &mut Io) {
        let Some(log) = self.partitions.get_mut(slot.0 as usize).and_then(Option::as_mut) else { return };
        let path = log.segment_path(base, "log");
        let Some(segment) = log.segments.get_mut(&base) else { return };
        if !matches!(segment.handle, SegmentHandle::Closed) {
            return;
        }
        segment.handle = SegmentHandle::Opening;
        // A new segment's name may be left over from a tail that was cut off.
        let mode = if segment.made { OpenMode::ReadWrite } else { OpenMode::CreateEmpty };
        self.operations.ask(FileOperation::Open { path, mode }, Pending::SegmentOpened { slot, base }, io);
    }

    /// A segment's file is open.
    pub(super) fn segment_opened(
        &mut self,
        slot: PartitionSlot,
        base: Offset,
        handle: FileHandle,
        io: &mut Io,
        outputs: &mut Vec<Output>,
    ) {
        let log = self.partitions.get_mut(slot.0 as usize).and_then(Option::as_mut);
        let Some((log, made)) = log.and_then(|log| log.segments.get(&base).map(|segment| segment.made).map(|made| (log, made)))
        else {
            return self.operations.ask(FileOperation::Close { file: handle }, Pending::Advice, io);
        };
        log.names_dirty |= !made;
        let mut waiters = Vec::new();
        if let Some(segment) = log.segments.get_mut(&base) {
            segment.made = true;
            segment.used = true;
            segment.handle = SegmentHandle::Open(Arc::new(SegmentFile { handle, segment: (log.identity, base) }));
            waiters = core::mem::take(&mut segment.waiters);
        }
        self.open.push_back((slot, base));
        self.submit_writes(slot, base, io);
        for lookup in waiters {
            self.advance_lookup(lookup, io, outputs);
        }
    }

    /// A segment's file could not be opened. That fails the log directory only if there is something to write to it; one that was
    /// removed meanwhile is missed by nobody.
    pub(super) fn segment_not_opened(&mut self, slot: PartitionSlot, base: Offset, error: IoError, outputs: &mut Vec<Output>) {
        let Some(log) = self.partitions.get_mut(slot.0 as usize).and_then(Option::as_mut) else { return };
        let removing = matches!(log.life, Life::Removing | Life::Removed);
        let Some(segment) = log.segments.get_mut(&base) else { return };
        segment.handle = SegmentHandle::Closed;
        let waiters = core::mem::take(&mut segment.waiters);
        if !segment.unsubmitted.is_empty() && !removing && !self.hold_segment_back(slot, base, error) {
            self.fail(error);
        }
        for lookup in waiters {
            self.lookups.fail(lookup, outputs);
        }
    }

    /// Close files beyond the limit that nobody needs, those first that were not used lately; and those of segments that are gone.
    pub(super) fn close_idle_files(&mut self, io: &mut Io) {
        self.close_doomed(io);
        let mut looks = LOOKS_PER_TURN;
        while self.open.len() > self.settings.open_files_max && looks > 0 {
            looks -= 1;
            let Some((slot, base)) = self.open.pop_front() else { break };
            let Some(log) = self.partitions.get_mut(slot.0 as usize).and_then(Option::as_mut) else { continue };
            // One that was refused for want of space is asked for again, on the same file.
            let is_written = log.has_writes_to(base);
            let Some(segment) = log.segments.get_mut(&base) else { continue };
            if segment.dirty {
                // It cannot be closed before it is synced, which a checkpoint does.
                self.checkpoints_due.insert(slot);
            }
            let recently_used = core::mem::take(&mut segment.used);
            if recently_used || is_written || !segment.may_close() {
                self.open.push_back((slot, base));
                continue;
            }
            if let SegmentHandle::Open(file) = core::mem::replace(&mut segment.handle, SegmentHandle::Closed) {
                self.close(file.handle, io);
            }
        }
    }

    /// Close the files of removed segments, as far as nobody reads them any more.
    pub(super) fn close_doomed(&mut self, io: &mut Io) {
        let (done, leased) = core::mem::take(&mut self.doomed).into_iter().partition(|file| Arc::strong_count(file) == 1);
        self.doomed = leased;
        let done: Vec<Arc<SegmentFile>> = done;
        for file in done {
            self.close(file.handle, io);
        }
    }

    /// Give a handle back that nothing uses.
    pub(super) fn close(&mut self, file: FileHandle, io: &mut Io) {
        self.operations.ask(FileOperation::Close { file }, Pending::Advice, io);
    }
}
