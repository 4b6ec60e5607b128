//! What a completion means.

use alloc::vec::Vec;

use super::operations::Then;
use super::script::{Ended, Step};
use super::unreadable::Stretch;
use super::{Output, PartitionSlot, Pending, Store};
use crate::Now;
use crate::io::{AlignedBuffer, Completion, FileHandle, Io, IoError, OpenMode, Outcome};
use crate::journal::{JournalFileName, JournalProgress};
use crate::mutants::{self, Mutant};

impl Store {
    /// Take the end of an operation of this store's.
    pub fn complete(&mut self, completion: Completion, now: Now, io: &mut Io, outputs: &mut Vec<Output>) {
        let Completion { id, result, buffer } = completion;
        if self.scripts.owns(id.sequence) {
            if let Some(ended) = self.scripts.complete(id.sequence, result, io) {
                self.script_ended(ended, now, io, outputs);
            }
        } else if let Some(pending) = self.operations.take(id.sequence) {
            self.judge(pending, result, buffer, io, outputs);
        }
        self.tell_failure(outputs);
    }

    fn judge(
        &mut self,
        pending: Pending,
        result: Result<Outcome, IoError>,
        buffer: Option<AlignedBuffer>,
        io: &mut Io,
        outputs: &mut Vec<Output>,
    ) {
        // A failed log directory acknowledges nothing more.
        if self.failed.is_some() {
            return;
        }
        match (pending, result) {
            (Pending::Advice, _) => {}
            (Pending::Trimmed { slot }, _) => self.script_of_log_ended(slot),
            (Pending::Compaction, result) => self.compaction_completed(result),
            (Pending::Truncation { slot }, result) => self.truncation_completed(slot, result),
            (Pending::SegmentRead { lookup, base, position, length }, Err(_)) => {
                self.lookup_unreadable(lookup, Stretch { segment: base, position, length }, io, outputs);
            }
            (Pending::SidecarRead { lookup, base, handle }, Err(_)) => {
                self.close(handle, io);
                self.sidecar_read(lookup, base, None, io, outputs);
            }
            (Pending::SidecarOpened { lookup, base }, Err(_)) => self.sidecar_read(lookup, base, None, io, outputs),
            (Pending::FreeSpace, Err(_)) => {}
            (Pending::SegmentOpened { slot, base }, Err(error)) => self.segment_not_opened(slot, base, error, outputs),
            (pending, Err(error)) if self.hold_back(&pending, error) => {}
            (Pending::Synced { slot }, Err(_)) if mutants::is(Mutant::B17) => self.synced(slot, io),
            (Pending::SegmentWrite { slot, write }, Err(_)) if mutants::is(Mutant::B17) => {
                self.segment_written(slot, write, u64::MAX, io, outputs);
            }
            (Pending::Synced { slot }, Err(_)) if mutants::is(Mutant::B18) => self.sync_again(slot, io),
            (_, Err(error)) => self.fail(error),
            (Pending::SegmentOpened { slot, base }, Ok(Outcome::Opened { file, .. })) => {
                self.segment_opened(slot, base, file, io, outputs);
            }
            (Pending::SegmentWrite { slot, write }, Ok(Outcome::Written { bytes })) => {
                self.segment_written(slot, write, bytes, io, outputs);
            }
            (Pending::SegmentRead { lookup, base, position, .. }, Ok(Outcome::Read { data })) => {
                self.lookup_read(lookup, (base, position, data), io, outputs);
            }
            (Pending::SidecarOpened { lookup, base }, Ok(Outcome::Opened { file, length })) => {
                self.read_sidecar(lookup, base, file, length, io);
            }
            (Pending::SidecarRead { lookup, base, handle }, Ok(Outcome::Read { data })) => {
                self.close(handle, io);
                self.sidecar_read(lookup, base, Some(data), io, outputs);
            }
            (Pending::Synced { slot }, Ok(_)) => {
                self.synced(slot, io);
                self.report(slot, outputs);
            }
            (Pending::Journal { sequence }, Ok(outcome)) => self.journal_done(sequence, &outcome, buffer, io, outputs),
            (Pending::JournalHeader { number }, Ok(outcome)) => self.journal_header_done(number, &outcome, io),
            (Pending::FreeSpace, Ok(Outcome::Free { bytes, total_bytes })) => {
                self.space_is(bytes, total_bytes, io);
            }
            // The hands answered with an outcome of another operation.
            (_, Ok(_)) => self.fail(IoError::INVALID),
        }
    }

    fn segment_written(&mut self, slot: PartitionSlot, write: u64, bytes: u64, io: &mut Io, outputs: &mut Vec<Output>) {
        match self.log_written(slot, |log| log.complete_write(write, bytes)) {
            None => return,
            Some(Err(())) => return self.fail(IoError::INPUT_OUTPUT),
            Some(Ok(Some(rest))) => {
                self.operations.ask_on(rest.file, rest.operation, Pending::SegmentWrite { slot, write: rest.write }, io);
            }
            Some(Ok(None)) => {}
        }
        if let Some((file, offset, length)) = self.log_mut(slot).and_then(crate::partition::PartitionLog::write_out) {
            let handle = file.handle;
            let operation = crate::io::FileOperation::WriteOut { file: handle, offset, length };
            self.operations.ask_on(file, operation, Pending::Advice, io);
        }
        self.seal_written(slot, io);
        self.report(slot, outputs);
    }

    fn journal_done(
        &mut self,
        sequence: u64,
        outcome: &Outcome,
        buffer: Option<AlignedBuffer>,
        io: &mut Io,
        outputs: &mut Vec<Output>,
    ) {
        let bytes = if let Outcome::Written { bytes } = outcome { Some(*bytes) } else { None };
        if bytes == Some(0) {
            return self.fail(IoError::INPUT_OUTPUT);
        }
        match self.journal.complete(sequence, bytes, buffer, self.operations.owner, io) {
            JournalProgress::Continued(operation) => self.operations.expect(operation, Pending::Journal { sequence }),
            JournalProgress::Journaled(ends) => {
                for (slot, end) in ends {
                    if let Some(log) = self.log_mut(slot) {
                        log.note_journaled(end);
                        self.report(slot, outputs);
                    }
                }
            }
        }
    }

    fn journal_header_done(&mut self, number: u32, outcome: &Outcome, io: &mut Io) {
        let bytes = if let Outcome::Written { bytes } = outcome { Some(*bytes) } else { None };
        if bytes == Some(0) {
            return self.fail(IoError::INPUT_OUTPUT);
        }
        if let Some(operation) = self.journal.cleared(number, bytes, self.operations.owner, io) {
            self.operations.expect(operation, Pending::JournalHeader { number });
        }
    }

    /// Say that a log's ends moved, if they did.
    pub(super) fn report(&mut self, slot: PartitionSlot, outputs: &mut Vec<Output>) {
        if let Some(log) = self.log_mut(slot)
            && core::mem::take(&mut log.advanced)
        {
            outputs.push(Output::Advanced { slot });
        }
    }

    fn script_of_log_ended(&mut self, slot: PartitionSlot) {
        if let Some(log) = self.log_mut(slot) {
            log.scripts -= 1;
        }
    }

    fn script_ended(&mut self, ended: Ended<Then>, now: Now, io: &mut Io, outputs: &mut Vec<Output>) {
        let Ended { then, result, refused_for_space, steps_done } = ended;
        if self.failed.is_some() {
            // Whoever waits for a creation or a removal was told when the store failed.
            return;
        }
        match (then, result) {
            (Then::Created { slot }, Ok(_)) => self.created(slot, Ok(()), outputs),
            (Then::Created { slot }, Err(_)) if refused_for_space => self.undo_creation(slot, steps_done, io),
            // A name that cannot be, or is somebody else's, is this partition's trouble alone.
            (Then::Created { slot }, Err(error)) if error != IoError::INPUT_OUTPUT && !error.is_no_space() => {
                self.created(slot, Err(error), outputs);
            }
            (Then::CreationUndone { slot }, Ok(_)) => self.created(slot, Err(IoError::NO_SPACE), outputs),
            (Then::JournalFileMade { name }, Ok(_)) => {
                let step = Step::Open(name.path(), OpenMode::DirectDurable);
                self.scripts.start_first([step], Then::JournalFileOpened { name, direct: true }, io);
            }
            (Then::JournalFileMade { name }, Err(error)) => {
                self.journal_file_coming = false;
                if !self.journal_file_not_made(name, refused_for_space, io) {
                    self.fail(error);
                }
            }
            (Then::JournalFileOpened { name, direct }, result) => self.journal_file_opened(name, direct, result, io),
            (Then::Unlinked, _) => {}
            // Without room for it, the one before stays.
            (Then::ClockRecorded, result) if result.is_ok() || refused_for_space => {}
            (Then::Repaired { slot, range }, result) => self.repaired(slot, range, result.map(|_| ()), outputs),
            (Then::ManifestWritten, Ok(_)) => self.manifest_written(io),
            (Then::ManifestWritten, Err(_)) if refused_for_space => self.manifest_not_written(now, io),
            (Then::SegmentDropped { slot }, _) => self.script_of_log_ended(slot),
            // A cache is whole, or is known not to be.
            (Then::CacheWritten { slot }, result) if result.is_ok() || refused_for_space => self.script_of_log_ended(slot),
            (Then::CleaningUndone { slot }, result) if result.is_ok() || refused_for_space => self.cleaning_undone(slot),
            (Then::FootersWritten { slot }, result) if result.is_ok() || refused_for_space => self.footers_written(slot, io),
            (Then::SnapshotWritten { slot, offset }, result) if result.is_ok() || refused_for_space => {
                if let Some(log) = self.log_mut(slot) {
                    log.scripts -= 1;
                    match result {
                        Ok(_) => log.snapshots.written(offset),
                        Err(_) => log.snapshots.found_no_room(offset, log.start_wanted.is_some()),
                    }
                }
            }
            (Then::Renamed { slot, .. }, Err(_)) if refused_for_space && self.hold_rename_back(slot) => {}
            (Then::StateRecorded { slot }, Err(_)) if refused_for_space && self.record_without_trail(slot, io) => {}
            (_, Err(error)) => self.fail(error),
            (Then::StateRecorded { slot }, Ok(_)) => {
                self.state_recorded(slot, io, outputs);
                self.report(slot, outputs);
            }
            (Then::Renamed { slot, to }, Ok(_)) => self.renamed(slot, to, now, outputs),
            (
                Then::CacheWritten { .. }
                | Then::CleaningUndone { .. }
                | Then::FootersWritten { .. }
                | Then::SnapshotWritten { .. }
                | Then::ClockRecorded,
                Ok(_),
            ) => {}
            (Then::Truncated { slot }, Ok(_)) => self.truncated(slot, io, outputs),
            (Then::Marked, Ok(_)) => self.marked(),
            (Then::ManifestRecorded, Ok(_)) => self.manifest_recorded(io),
            (Then::Replaced, Ok(_)) => self.replaced(io, outputs),
        }
    }

    /// A journal file is open; or the file system takes no direct writes, and it is opened as any other.
    fn journal_file_opened(
        &mut self,
        name: JournalFileName,
        direct: bool,
        result: Result<Option<(FileHandle, u64)>, IoError>,
        io: &mut Io,
    ) {
        match result {
            Ok(Some((handle, file_bytes))) => {
                self.journal_file_coming = false;
                self.direct_journal &= direct;
                self.journal.add_file(name, handle, file_bytes, direct);
                self.pump_journal(io);
            }
            Err(_) if direct => {
                let step = Step::Open(name.path(), OpenMode::ReadWrite);
                self.scripts.start_first([step], Then::JournalFileOpened { name, direct: false }, io);
            }
            Err(error) => self.fail(error),
            Ok(None) => self.fail(IoError::INVALID),
        }
    }

    /// Whether the journal is written past the page cache; where the file system refuses that, it is written buffered and synced.
    #[must_use]
    pub const fn has_direct_journal(&self) -> bool {
        self.direct_journal
    }
}
