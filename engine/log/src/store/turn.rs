//! The end of a turn: everything appended leaves, and what had to wait for room is tried again. And what time brings.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;

use super::operations::Then;
use super::script::{Step, write_file};
use super::{Output, PartitionSlot, Pending, Store};
use crate::io::{BLOCK_BYTES, FileOperation, Io, OpenMode, SyncScope};
use crate::journal::JOURNAL_DIRECTORY;
use crate::partition::Life;
use crate::producer::ProducerSnapshot;
use crate::segment::Segment;
use crate::{Monotonic, Now, Offset};

/// How often free space is asked for.
const FREE_SPACE_EVERY_MS: u64 = 1000;
/// A journal file is filled with zeros in pieces of this size.
const ZEROS_BYTES: usize = 1 << 20;

impl Store {
    /// Write out what the turn appended: one journal write for all partitions, one write for each segment.
    pub fn end_turn(&mut self, now: Now, io: &mut Io, outputs: &mut Vec<Output>) {
        if self.failed.is_none() {
            self.open_journal_files(io);
            self.pump_journal(io);
            for slot in core::mem::take(&mut self.turn) {
                self.write_log(slot, io);
            }
            self.refuse_creations(outputs);
            self.advance_removals(io, outputs);
            self.advance_truncations(now, io, outputs);
            self.release_starts(io);
            self.press();
            self.start_checkpoints(io);
            self.grow_journal(io);
            self.close_idle_files(io);
            self.compact(now, io);
            self.tell_uncleanable(outputs);
        } else if !self.removing.is_empty() || !self.refused.is_empty() {
            self.fail_changes(outputs);
        }
        self.advance_stop(now, io);
        self.tell_failure(outputs);
    }

    /// Do what time brings: retention, expiry, deferred deletion. To be called once [`Store::next_deadline`] has passed.
    pub fn tick(&mut self, now: Now, io: &mut Io, outputs: &mut Vec<Output>) {
        if self.failed.is_none() && !self.is_stopping() {
            if now.monotonic >= self.next_free_space {
                self.next_free_space = now.monotonic.after_ms(FREE_SPACE_EVERY_MS);
                self.look_at_space(io);
            }
            if now.monotonic >= self.next_retention {
                self.next_retention = now.monotonic.after_ms(self.settings.retention_check_ms);
                self.retain(now, io);
            }
            self.advance_graves(now, io);
            self.scripts.resume(io);
            self.scrub(now, io);
        }
        self.end_turn(now, io, outputs);
    }

    /// When [`Store::tick`] is due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Monotonic> {
        if self.failed.is_some() || self.is_stopping() {
            return None;
        }
        let graves = self.graves.iter().filter_map(|grave| grave.deadline()).min();
        let regular = self.next_free_space.min(self.next_retention);
        [graves, self.compactor.deadline(), self.scrub.deadline()]
            .into_iter()
            .flatten()
            .min()
            .map_or(Some(regular), |due| Some(due.min(regular)))
    }

    /// Retention, and forgetting producers that have gone silent.
    fn retain(&mut self, now: Now, io: &mut Io) {
        let wall = self.steady_wall.observe(now);
        self.record_clock(wall, io);
        let expiration_ms = self.settings.producer_expiration_ms;
        for slot in self.slots() {
            let Some(log) = self.log_mut(slot).filter(|log| log.truncation.is_none()) else { continue };
            log.producers.expire(wall, expiration_ms);
            let Some(log_start) = crate::retention::new_log_start(log, wall) else { continue };
            if log.active().is_some_and(|active| active.bytes > 0 && active.next_offset <= log_start) {
                log.roll();
                self.mark_for_turn(slot);
            }
            self.want_log_start(slot, log_start);
        }
    }

    pub(super) fn pump_journal(&mut self, io: &mut Io) {
        let owner = self.operations.owner;
        for (operation, sequence) in self.journal.pump(owner, io) {
            self.operations.expect(operation, Pending::Journal { sequence });
        }
        for (operation, number) in self.journal.clear_idle(owner, io) {
            self.operations.expect(operation, Pending::JournalHeader { number });
        }
    }

    /// Ask for the writes of a partition, and whatever they call for.
    fn write_log(&mut self, slot: PartitionSlot, io: &mut Io) {
        let Some(log) = self.log_mut(slot) else { return };
        log.in_turn = false;
        for base in log.unsubmitted() {
            self.submit_writes(slot, base, io);
        }
        self.seal_written(slot, io);
        self.write_caches(slot, io);
    }

    /// Ask for the writes of a segment, or for its file to be opened first.
    pub(super) fn submit_writes(&mut self, slot: PartitionSlot, base: Offset, io: &mut Io) {
        let Some(log) = self.partitions.get_mut(slot.0 as usize).and_then(Option::as_mut) else { return };
        let segment_bytes = log.config.segment_bytes;
        let Some(segment) = log.segments.get_mut(&base) else { return };
        let Some(file) = segment.file().cloned() else { return self.open_segment(slot, base, io) };
        segment.used = true;
        if let Some((offset, length)) = segment.allocation(segment_bytes) {
            let allocate = FileOperation::Allocate { file: file.handle, offset, length };
            self.operations.ask_on(Arc::clone(&file), allocate, Pending::Advice, io);
        }
        for (operation, write, file) in log.take_writes(base) {
            self.operations.ask_on(file, operation, Pending::SegmentWrite { slot, write }, io);
        }
    }

    /// Give back what was reserved for segments that are complete, and have their caches written.
    pub(super) fn seal_written(&mut self, slot: PartitionSlot, io: &mut Io) {
        let log = self.partitions.get_mut(slot.0 as usize).and_then(Option::as_mut);
        // One that is to be removed has segments that lack what was given up: nothing vouches for them any more.
        let Some(log) = log.filter(|log| log.life == Life::Ready) else { return };
        for base in log.sealable() {
            let Some(segment) = log.segments.get_mut(&base) else { continue };
            segment.seal();
            log.sealing -= 1;
            // Its checksums are written once it is synced; and start-up should not have to read more than a segment.
            self.checkpoints_due.insert(slot);
            log.footers_due.push(base);
            if let Some(file) = segment.file().cloned() {
                let truncate = FileOperation::Truncate { file: file.handle, length: segment.bytes };
                log.scripts += 1;
                self.operations.ask_on(file, truncate, Pending::Trimmed { slot }, io);
            }
            let caches = index_files(segment);
            log.caches.extend(caches);
        }
        self.write_caches(slot, io);
    }

    /// Write the caches that wait for it. They are not synced, but for snapshots: each says itself whether it is whole.
    pub(super) fn write_caches(&mut self, slot: PartitionSlot, io: &mut Io) {
        let Some(log) = self.partitions.get_mut(slot.0 as usize).and_then(Option::as_mut) else { return };
        for (name, content) in core::mem::take(&mut log.caches) {
            log.scripts += 1;
            let path = log.path(&name);
            self.scripts.start(write_file(path, OpenMode::CreateEmpty, 0, content, false), Then::CacheWritten { slot }, io);
        }
        for (offset, content) in log.snapshots.take_due() {
            log.scripts += 1;
            let path = log.path(&ProducerSnapshot::file_name(offset));
            // This one is more than a cache once the batches are deleted that it was made from. Where nobody is known it says nothing.
            let matters = !log.producers.is_empty();
            let steps = write_file(path, OpenMode::CreateEmpty, 0, content, matters);
            let name = matters.then(|| Step::SyncDirectory(log.directory.clone()));
            self.scripts.start(steps.chain(name), Then::SnapshotWritten { slot, offset }, io);
        }
        while let Some(old) = log.snapshots.pop_superseded(log.durable.get()) {
            let path = log.path(&ProducerSnapshot::file_name(old));
            log.scripts += 1;
            self.scripts.start([Step::Unlink(path)], Then::CacheWritten { slot }, io);
        }
    }

    /// Open the files that recovery left, once.
    fn open_journal_files(&mut self, io: &mut Io) {
        while let Some(name) = self.journal_files.pop_front() {
            let step = Step::Open(name.path(), OpenMode::DirectDurable);
            self.scripts.start_first([step], Then::JournalFileOpened { name, direct: true }, io);
        }
    }

    /// Make another journal file if the ring needs one: filled with zeros, synced, its name too, before its first frame.
    fn grow_journal(&mut self, io: &mut Io) {
        if self.journal_file_coming || (self.is_stopping() && self.journal.queue_bytes() == 0) {
            return;
        }
        // The first one is needed to work at all, and what a stop has to bring to its end may use what is kept in reserve.
        if !self.has_space_for_journal() && self.journal.has_files() && !self.is_stopping() {
            return;
        }
        let Some((name, file_bytes)) = self.journal.next_file(self.settings.journal_bytes_at_start) else { return };
        self.journal_file_coming = true;
        let zeros = Bytes::from(alloc::vec![0; ZEROS_BYTES]);
        let header = self.journal.file_header(name);
        let pieces = (BLOCK_BYTES as u64..file_bytes).step_by(ZEROS_BYTES).map(move |offset| {
            let length = (file_bytes - offset).min(ZEROS_BYTES as u64);
            Step::Write(offset, zeros.slice(..usize::try_from(length).unwrap_or(ZEROS_BYTES)))
        });
        let directory = String::from(JOURNAL_DIRECTORY);
        let begin =
            [Step::CreateDirectory(directory.clone()), Step::Open(name.path(), OpenMode::CreateEmpty), Step::Write(0, header)];
        let parent = String::new();
        let end = [Step::Sync(SyncScope::All), Step::Close, Step::SyncDirectory(directory), Step::SyncDirectory(parent)];
        self.scripts.start_first(begin.into_iter().chain(pieces).chain(end), Then::JournalFileMade { name }, io);
    }
}

/// Kafka's index files of a segment.
pub(super) fn index_files(segment: &Segment) -> Vec<(String, Bytes)> {
    let Some(index) = &segment.index else { return Vec::new() };
    let name = |suffix| crate::segment::file_name(segment.base, suffix);
    [("index", index.encode_offsets()), ("timeindex", index.encode_times())]
        .map(|(suffix, content)| (name(suffix), Bytes::from(content)))
        .into()
}

/// The sidecar of a segment, if it may have one.
pub(super) fn checks_file(segment: &Segment) -> Option<(String, Bytes)> {
    let index = segment.index.as_ref().filter(|_| !segment.unsound)?;
    let checks = crate::segment::sidecar::encode(index, segment.bytes, segment.next_offset);
    Some((crate::segment::file_name(segment.base, "checks"), Bytes::from(checks)))
}
