//! Moving the known-durable point D: sync what was written, then record it.
//!
//! Invariants: a partition has at most one checkpoint at a time; what it claims is what had completed before its syncs were asked
//! for; nothing is touched, answered or used again before the state that says so is synced.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;

use super::operations::Then;
use super::script::{Step, write_file};
use super::{DeleteRecords, Durability, LookupId, Output, PartitionSlot, Pending, Store};
use crate::Offset;
use crate::epoch::LeaderEpochs;
use crate::io::{FileOperation, Io, OpenMode, SyncScope};
use crate::mutants::{self, Mutant};
use crate::partition::truncation::Truncation;
use crate::partition::{Checkpoint, Life, PartitionLog, Wants};
use crate::segment::SUFFIXES;
use crate::state::{DurablePoint, STATE_FILE_NAME};

impl Store {
    /// Move the log's start to `offset` (D04).
    pub fn delete_records(&mut self, slot: PartitionSlot, offset: Offset) -> DeleteRecords {
        let Some(log) = self.log(slot).filter(|log| log.is_ready()) else { return DeleteRecords::Failed };
        if offset > log.high_watermark {
            return DeleteRecords::OutOfRange;
        }
        if offset <= log.log_start {
            return DeleteRecords::Done { log_start: log.log_start };
        }
        self.want_log_start(slot, offset);
        DeleteRecords::Pending
    }

    pub(super) fn want_log_start(&mut self, slot: PartitionSlot, offset: Offset) {
        if let Some(log) = self.log_mut(slot) {
            log.start_wanted = log.start_wanted.max(Some(offset));
            self.starts_wanted.insert(slot);
        }
    }

    /// Let logs start where they are wanted to start, as soon as what is known of their producers outlives what goes.
    pub(super) fn release_starts(&mut self, io: &mut Io) {
        for slot in core::mem::take(&mut self.starts_wanted) {
            let Some(log) = self.log_mut(slot) else { continue };
            let Some(start) = log.start_wanted else { continue };
            // One that has not begun waits for this, and not the other way round.
            if log.truncation.as_ref().is_some_and(|truncation| !truncation.is_waiting()) {
                self.starts_wanted.insert(slot);
                continue;
            }
            if log.is_ready() && !log.keeps_producers(start) {
                self.starts_wanted.insert(slot);
                self.write_caches(slot, io);
                continue;
            }
            log.start_wanted = None;
            log.wants.log_start = log.wants.log_start.max(Some(start));
            self.checkpoints_due.insert(slot);
        }
    }

    /// Move the D of partitions for whose sake the journal cannot go on.
    pub(super) fn press(&mut self) {
        // What is due and does not run waits for something that may itself wait for the journal.
        if self.checkpoints_due.is_empty() || self.checkpoints_running == 0 {
            for slot in self.journal.pressing() {
                if self.log(slot).is_some_and(|log| log.checkpoint.is_none()) {
                    self.checkpoints_due.insert(slot);
                }
            }
        }
    }

    pub(super) fn start_checkpoints(&mut self, io: &mut Io) {
        let mut postponed = Vec::new();
        while self.checkpoints_running < self.settings.checkpoints_in_flight
            && let Some(slot) = self.checkpoints_due.pop_first()
        {
            if !self.start_checkpoint(slot, io) {
                postponed.push(slot);
            }
        }
        self.checkpoints_due.extend(postponed);
    }

    /// Whether the checkpoint was started, or is not needed.
    fn start_checkpoint(&mut self, slot: PartitionSlot, io: &mut Io) -> bool {
        let Some(log) = self.partitions.get_mut(slot.0 as usize).and_then(Option::as_mut) else { return true };
        if log.life == Life::Removed {
            return true;
        }
        if log.checkpoint.is_some() || matches!(log.life, Life::Creating | Life::Blocked) {
            return false;
        }
        let is_being_cut = log.truncation.as_ref().is_some_and(Truncation::is_recorded);
        if is_being_cut && !log.wants.removed && !log.offline {
            // Until its files are cut, only the state that says where stands for them.
            return false;
        }
        let joins_journal = log.wants.durability == Some(Durability::Journaled);
        if joins_journal && log.settled.offset < log.journal_from {
            return false;
        }
        let wants = core::mem::take(&mut log.wants);
        let frozen = wants.removed || log.offline;
        let cut = log.truncation.as_ref().and_then(Truncation::cut).filter(|_| wants.truncates && !mutants::is(Mutant::B37));
        let (point, summary) = match cut {
            _ if frozen => (log.point, log.settled.summary),
            Some(cut) => (log.point_at(cut, self.journal.next_position()), cut.index.summary()),
            None => (log.current_point(self.journal.position_for(slot, log.settled.offset)), log.settled.summary),
        };
        let mut syncs = Vec::new();
        if !frozen {
            for segment in log.segments.values_mut().filter(|segment| segment.dirty) {
                segment.dirty = false;
                // The mutant takes them for synced: were they dirty for good, they would stay open for good.
                let Some(file) = segment.file().filter(|_| !mutants::is(Mutant::B28)).cloned() else { continue };
                syncs.push((FileOperation::Sync { file: file.handle, scope: SyncScope::Data }, Some(file)));
            }
            if core::mem::take(&mut log.names_dirty) && !mutants::is(Mutant::B29) {
                syncs.push((FileOperation::SyncDirectory { path: log.directory.clone() }, None));
            }
        }
        let mut footers = Vec::new();
        for base in core::mem::take(&mut log.footers_due) {
            let Some(segment) = log.segments.get(&base).filter(|_| !frozen) else { continue };
            footers.extend(super::turn::checks_file(segment));
            self.lookups.loaded(slot, base, segment.index.as_ref().map_or(0, |index| index.memory_bytes()));
        }
        log.checkpoint = Some(Checkpoint { point, wants, syncs: syncs.len(), summary, with_trail: false, footers });
        self.checkpoints_running += 1;
        let nothing_to_sync = syncs.is_empty();
        for (operation, file) in syncs {
            match file {
                Some(file) => self.operations.ask_on(file, operation, Pending::Synced { slot }, io),
                None => self.operations.ask(operation, Pending::Synced { slot }, io),
            }
        }
        if nothing_to_sync {
            self.write_footers(slot, io);
        }
        true
    }

    /// One of a checkpoint's syncs is done.
    pub(super) fn synced(&mut self, slot: PartitionSlot, io: &mut Io) {
        if mutants::is(Mutant::B42)
            && let Some(log) = self.partitions.get_mut(slot.0 as usize).and_then(Option::as_mut)
        {
            let point = log.current_point(self.journal.position_for(slot, log.log_end));
            if let Some(checkpoint) = &mut log.checkpoint {
                checkpoint.point = point;
            }
        }
        let Some(log) = self.log_mut(slot) else { return };
        let Some(checkpoint) = &mut log.checkpoint else { return };
        checkpoint.syncs = checkpoint.syncs.saturating_sub(1);
        if checkpoint.syncs == 0 {
            let offset = checkpoint.point.offset;
            log.settle_durable(offset);
            self.write_footers(slot, io);
        }
    }

    /// Segments were synced: their sidecars may say so. They are stable before D lies behind their segments, of which the trail
    /// tells nothing from then on.
    fn write_footers(&mut self, slot: PartitionSlot, io: &mut Io) {
        let Some(log) = self.partitions.get(slot.0 as usize).and_then(Option::as_ref) else { return };
        let footers = log.checkpoint.iter().flat_map(|checkpoint| &checkpoint.footers);
        let write =
            |(name, content): &(String, Bytes)| write_file(log.path(name), OpenMode::CreateEmpty, 0, content.clone(), true);
        let mut steps: Vec<Step> = footers.flat_map(write).collect();
        if steps.is_empty() {
            return self.record_state(slot, io);
        }
        steps.push(Step::SyncDirectory(log.directory.clone()));
        self.scripts.start_first(steps, Then::FootersWritten { slot }, io);
    }

    /// The sidecars are stable; or there is no room for them, and a start will read the segments.
    pub(super) fn footers_written(&mut self, slot: PartitionSlot, io: &mut Io) {
        if let Some(checkpoint) = self.log_mut(slot).and_then(|log| log.checkpoint.as_mut()) {
            checkpoint.footers.clear();
            self.record_state(slot, io);
        }
    }

    /// What must never be done: the kernel has forgotten what the sync that failed was about. Only a mutant does it.
    pub(super) fn sync_again(&mut self, slot: PartitionSlot, io: &mut Io) {
        let Some(log) = self.partitions.get_mut(slot.0 as usize).and_then(Option::as_mut) else { return };
        let files: Vec<_> = log.segments.values().filter_map(|segment| segment.file().cloned()).collect();
        let Some(checkpoint) = &mut log.checkpoint else { return };
        checkpoint.syncs += files.len();
        for file in files {
            let sync = FileOperation::Sync { file: file.handle, scope: SyncScope::Data };
            self.operations.ask_on(file, sync, Pending::Synced { slot }, io);
        }
        self.synced(slot, io);
    }

    fn record_state(&mut self, slot: PartitionSlot, io: &mut Io) {
        let Some(log) = self.partitions.get_mut(slot.0 as usize).and_then(Option::as_mut) else { return };
        let Some(Checkpoint { point, wants, summary, .. }) = log.checkpoint else { return };
        if core::mem::take(&mut log.epochs_changed) {
            let text = Bytes::from(log.epochs.encode());
            log.caches.push((String::from(LeaderEpochs::FILE_NAME), text));
        }
        let (trail, is_step) = if wants.removed || log.offline {
            (None, false)
        } else if wants.truncates {
            // What it tells of producers may lie behind the new end.
            (log.trail.wipe(), false)
        } else {
            (log.trail_step(&point, &summary), true)
        };
        let trail = trail.map(|step| Step::Write(step.at, Bytes::from(step.bytes)));
        if let Some(checkpoint) = &mut log.checkpoint {
            checkpoint.with_trail = is_step && trail.is_some();
        }
        let open = Step::Open(log.path(STATE_FILE_NAME), OpenMode::ReadWrite);
        let end = copies(log, point, wants);
        self.scripts.start_first(
            [open].into_iter().chain(trail).chain(end).chain([Step::Close]),
            Then::StateRecorded { slot },
            io,
        );
        if mutants::is(Mutant::B41) && !wants.removed {
            self.journal.release(slot, point.offset, point.position);
        }
        if mutants::is(Mutant::B35) && !wants.removed {
            self.log_start_recorded(slot, wants, io, &mut Vec::new());
        }
        if !wants.removed {
            self.write_caches(slot, io);
        }
    }

    /// There was no room for a step of the trail, which is a cache: the state is written over its old copy, which needs none, and
    /// the trail begins anew another time. False if there was no step: then it was the state itself that found no room.
    pub(super) fn record_without_trail(&mut self, slot: PartitionSlot, io: &mut Io) -> bool {
        let Some(log) = self.partitions.get_mut(slot.0 as usize).and_then(Option::as_mut) else { return false };
        let Some(checkpoint) = &mut log.checkpoint else { return false };
        if !core::mem::take(&mut checkpoint.with_trail) {
            return false;
        }
        let (point, wants) = (checkpoint.point, checkpoint.wants);
        log.trail = log.trail.begun_anew();
        // In the place of what was not written: the copies that are there are all there is.
        log.state_counter -= wants.copies();
        let open = Step::Open(log.path(STATE_FILE_NAME), OpenMode::ReadWrite);
        let steps = [open].into_iter().chain(copies(log, point, wants)).chain([Step::Close]);
        self.scripts.start_first(steps, Then::StateRecorded { slot }, io);
        true
    }

    /// The state is on stable storage: what it allows may be done now.
    pub(super) fn state_recorded(&mut self, slot: PartitionSlot, io: &mut Io, outputs: &mut Vec<Output>) {
        self.checkpoints_running -= 1;
        let Some(log) = self.partitions.get_mut(slot.0 as usize).and_then(Option::as_mut) else { return };
        let Some(Checkpoint { point, wants, .. }) = log.checkpoint.take() else { return };
        if wants.removed {
            return self.rename_removed(slot, io);
        }
        log.point = point;
        if !log.offline {
            log.settle_durable(point.offset);
        }
        let durability_before = log.durability;
        log.durability = wants.durability.unwrap_or(log.durability);
        if log.durability != durability_before {
            outputs.push(Output::DurabilityChanged { slot });
        }
        if log.durability != log.config.durability {
            log.wants.durability = Some(log.config.durability);
        }
        if wants.truncates
            && let Some(truncation) = &mut log.truncation
        {
            truncation.note_recorded();
            return self.truncations.push(slot);
        }
        if log.wants.any() {
            self.checkpoints_due.insert(slot);
        }
        self.journal.release(slot, point.offset, point.position);
        self.log_start_recorded(slot, wants, io, outputs);
    }

    /// The new log start is on stable storage: the segments before it go.
    fn log_start_recorded(&mut self, slot: PartitionSlot, wants: Wants, io: &mut Io, outputs: &mut Vec<Output>) {
        let Some(log) = self.partitions.get_mut(slot.0 as usize).and_then(Option::as_mut) else { return };
        if let Some(log_start) = wants.log_start.filter(|offset| *offset > log.log_start) {
            log.log_start = log_start;
            log.epochs_changed |= log.epochs.truncate_from_start(log_start);
            let first = log.segments.range(..=log_start).next_back().map_or(log_start, |(base, _)| *base);
            log.faults.truncate_from_start(log_start, first);
            outputs.push(Output::LogStartMoved { slot, log_start });
        }
        self.drop_segments(slot, io, outputs);
    }

    /// Remove the segments before the log's recorded start.
    pub(super) fn drop_segments(&mut self, slot: PartitionSlot, io: &mut Io, outputs: &mut Vec<Output>) {
        let log = self.partitions.get_mut(slot.0 as usize).and_then(Option::as_mut);
        // One that is to be cut perhaps ends in one of them, and loses them afterwards.
        let Some(log) = log.filter(|log| !log.swapping && log.truncation.is_none()) else { return };
        let waiters = drop_segments(log, slot, &mut self.doomed, &mut self.scripts, io);
        for lookup in waiters {
            self.advance_lookup(lookup, io, outputs);
        }
    }
}

/// Remove the segments that lie wholly before the log's recorded start. Files that are being read stay open until they are not.
/// The lookups that waited for one of them to be opened.
fn drop_segments(
    log: &mut PartitionLog,
    slot: PartitionSlot,
    doomed: &mut Vec<Arc<crate::io::SegmentFile>>,
    scripts: &mut super::Scripts<Then>,
    io: &mut Io,
) -> Vec<LookupId> {
    let mut waiters = Vec::new();
    while log.segments.len() > 1
        && let Some(first) = log.segments.first_entry()
        && first.get().next_offset <= log.log_start
        && first.get().stage == crate::segment::Stage::Sealed
    {
        let mut segment = first.remove();
        waiters.append(&mut segment.waiters);
        doomed.extend(segment.file().cloned());
        let steps = SUFFIXES.map(|suffix| Step::Unlink(log.segment_path(segment.base, suffix)));
        // Counted: the partition's directory keeps its name until these names are gone, or they would be taken from the next of its name.
        log.scripts += 1;
        scripts.start(steps, Then::SegmentDropped { slot }, io);
    }
    waiters
}

/// Record a state, in as many copies as it takes, one after the other: a copy is written over only while the other one is stable.
fn copies(log: &mut PartitionLog, point: DurablePoint, wants: Wants) -> Vec<Step> {
    let one = |_| {
        let state = log.next_state(point, wants);
        [Step::Write(state.copy_offset(), Bytes::from(state.encode())), Step::Sync(SyncScope::Data)]
    };
    (0..wants.copies()).flat_map(one).collect()
}
