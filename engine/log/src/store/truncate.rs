//! A log made to end earlier (KIP-101): what a follower does with batches that its leader does not have.
//!
//! The order is what makes it safe to crash anywhere in between. First everything under way in the log ends, so that the journal
//! has no frame of it to come. Then the new end is found. Then D is recorded there, with a place in the journal from which on no
//! entry of before counts: whoever starts now may still find the batches in the files and take them back, but never on top of
//! others. Only then files are cut and removed, synced, their names too; and only then appends go on, in a new segment, for the
//! bytes of the old one may still be on their way to a reader.

use alloc::vec::Vec;
use bytes::Bytes;

use super::operations::Then;
use super::script::{Step as ScriptStep, replace_file};
use super::{Output, PartitionSlot, Pending, Store};
use crate::compaction::{MANIFEST_FILE_NAME, MANIFEST_PARTIAL_NAME};
use crate::io::{Io, IoError, OpenMode, Outcome, SyncScope};
use crate::partition::truncation::{Step, Truncation};
use crate::partition::{Gone, Life};
use crate::producer::ProducerSnapshot;
use crate::segment::SUFFIXES;
use crate::{Now, Offset};

/// Why a log was not truncated. Nothing was touched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TruncateError {
    /// The partition or its log directory is offline, or on its way in or out, or the store stops.
    NotReady,
    /// Another truncation is under way.
    UnderWay,
    /// The log starts behind that offset.
    BelowStart {
        /// Where it starts.
        log_start: Offset,
    },
    /// What stays of the segment cannot be read, or is not what was written: it has to be repaired, or cut further back.
    Damaged,
}

impl Store {
    /// Let a log end at `offset`, or where the batch begins that holds it. It takes no appends until [`Output::Truncated`] follows.
    ///
    /// # Errors
    /// It was not begun.
    pub fn truncate_to(&mut self, slot: PartitionSlot, offset: Offset) -> Result<(), TruncateError> {
        let ends = self.is_stopping() || self.failed.is_some();
        let log = self.log_mut(slot).filter(|log| log.is_ready() && !ends).ok_or(TruncateError::NotReady)?;
        if log.truncation.is_some() {
            return Err(TruncateError::UnderWay);
        }
        if offset < log.log_start {
            return Err(TruncateError::BelowStart { log_start: log.log_start });
        }
        log.truncation = Some(Truncation::to(offset));
        self.truncations.push(slot);
        Ok(())
    }

    /// Go on with what was begun.
    pub(super) fn advance_truncations(&mut self, now: Now, io: &mut Io, outputs: &mut Vec<Output>) {
        for slot in core::mem::take(&mut self.truncations) {
            if self.advance_truncation(slot, now, io, outputs) {
                self.truncations.push(slot);
            }
        }
    }

    /// Whether it is still to be gone on with here.
    fn advance_truncation(&mut self, slot: PartitionSlot, now: Now, io: &mut Io, outputs: &mut Vec<Output>) -> bool {
        let Some(log) = self.partitions.get_mut(slot.0 as usize).and_then(Option::as_mut) else { return false };
        let Some(mut truncation) = log.truncation.take() else { return false };
        if truncation.is_asking() {
            log.truncation = Some(truncation);
            return true;
        }
        if truncation.is_recorded() {
            // Who opens one of the files must have it first: it would be taken for the one that comes in its place.
            let base = truncation.cut().map_or(Offset::ZERO, |cut| cut.segment_base);
            let waits = log.segments.range(base..).any(|(_, segment)| segment.is_opening());
            log.truncation = Some(truncation);
            if !waits {
                self.cut_files(slot, io, outputs);
            }
            return waits;
        }
        let gives_up = log.life != Life::Ready || log.offline || self.stop != super::Stop::Running;
        if gives_up {
            let told = Err(TruncateError::NotReady);
            return self.give_up_truncation(slot, truncation, told, io, outputs);
        }
        if truncation.is_waiting() {
            // Also entries of a log that has left the journal meanwhile: what they say must be said before the cut.
            if !log.is_quiet() || self.journal.is_writing(slot) {
                log.truncation = Some(truncation);
                return true;
            }
            if truncation.offset() < log.log_start {
                // It moved meanwhile.
                let error = TruncateError::BelowStart { log_start: log.log_start };
                return self.give_up_truncation(slot, truncation, Err(error), io, outputs);
            }
            if truncation.offset() >= log.next_offset {
                let end = log.next_offset;
                return self.give_up_truncation(slot, truncation, Ok(end), io, outputs);
            }
            truncation.begin(log);
        }
        let step = truncation.step(log, now.wall);
        while let Some(file) = truncation.take_handle(false) {
            self.operations.ask(crate::io::FileOperation::Close { file }, Pending::Advice, io);
        }
        match step {
            Step::Ask(operation) => {
                self.operations.ask(operation, Pending::Truncation { slot }, io);
                log.truncation = Some(truncation);
                true
            }
            Step::Found if truncation.cut().is_some_and(|cut| cut.offset < log.log_start) => {
                let error = TruncateError::BelowStart { log_start: log.log_start };
                self.give_up_truncation(slot, truncation, Err(error), io, outputs)
            }
            Step::Found => {
                log.truncation = Some(truncation);
                log.wants.truncates = true;
                self.checkpoints_due.insert(slot);
                false
            }
            Step::Damaged => self.give_up_truncation(slot, truncation, Err(TruncateError::Damaged), io, outputs),
        }
    }

    /// It is over, and nothing was touched.
    fn give_up_truncation(
        &mut self,
        slot: PartitionSlot,
        mut truncation: Truncation,
        result: Result<Offset, TruncateError>,
        io: &mut Io,
        outputs: &mut Vec<Output>,
    ) -> bool {
        while let Some(file) = truncation.take_handle(true) {
            self.close(file, io);
        }
        outputs.push(Output::Truncated { slot, result });
        self.drop_segments(slot, io, outputs);
        false
    }

    /// An operation of a truncation completed.
    pub(super) fn truncation_completed(&mut self, slot: PartitionSlot, result: Result<Outcome, IoError>) {
        if let Some(truncation) = self.log_mut(slot).and_then(|log| log.truncation.as_mut()) {
            truncation.complete(result);
        }
    }

    /// D is recorded where the log will end: the files follow.
    pub(super) fn cut_files(&mut self, slot: PartitionSlot, io: &mut Io, outputs: &mut Vec<Output>) {
        // No entry of before counts any more.
        self.journal.release(slot, Offset(i64::MAX), self.journal.next_position());
        let Some(log) = self.partitions.get_mut(slot.0 as usize).and_then(Option::as_mut) else { return };
        let Some(cut) = log.truncation.as_mut().and_then(Truncation::take_cut) else { return };
        let (base, position) = (cut.segment_base, cut.position);
        let Gone { segments, snapshots, manifest_changes } = log.truncate(cut);
        let mut steps = Vec::new();
        if manifest_changes {
            log.manifest.generation += 1;
            let content = Bytes::from(log.manifest.encode(log.identity));
            let (partial, path) = (log.path(MANIFEST_PARTIAL_NAME), log.path(MANIFEST_FILE_NAME));
            steps.extend(replace_file(partial, path, log.directory.clone(), content));
        }
        if position > 0 {
            steps.extend([
                ScriptStep::Open(log.segment_path(base, "log"), OpenMode::ReadWrite),
                ScriptStep::Truncate(position),
                ScriptStep::Sync(SyncScope::All),
                ScriptStep::Close,
            ]);
            // They say what was so before.
            let caches = SUFFIXES.into_iter().filter(|suffix| *suffix != "log");
            steps.extend(caches.map(|suffix| ScriptStep::Unlink(log.segment_path(base, suffix))));
        }
        for segment in &segments {
            steps.extend(SUFFIXES.map(|suffix| ScriptStep::Unlink(log.segment_path(segment.base, suffix))));
        }
        steps.extend(snapshots.iter().map(|offset| ScriptStep::Unlink(log.path(&ProducerSnapshot::file_name(*offset)))));
        steps.push(ScriptStep::SyncDirectory(log.directory.clone()));
        let waiting: Vec<_> = log.segments.values().flat_map(|segment| segment.waiters.iter().copied()).collect();
        self.lookups.unloaded(slot, base);
        let mut orphaned = Vec::new();
        for mut segment in segments {
            self.lookups.unloaded(slot, segment.base);
            orphaned.append(&mut segment.waiters);
            self.doomed.extend(segment.file().cloned());
        }
        self.lookups.restart(slot, &[&waiting[..], &orphaned[..]].concat());
        self.scripts.start_first(steps, Then::Truncated { slot }, io);
        for lookup in orphaned {
            self.advance_lookup(lookup, io, outputs);
        }
    }

    /// The files are as the log is.
    pub(super) fn truncated(&mut self, slot: PartitionSlot, io: &mut Io, outputs: &mut Vec<Output>) {
        let Some(log) = self.log_mut(slot) else { return };
        log.truncation = None;
        let end = log.next_offset;
        if log.active().is_some_and(|active| active.bytes > 0) {
            log.roll();
        }
        log.wants.truncated = true;
        self.checkpoints_due.insert(slot);
        self.mark_for_turn(slot);
        outputs.push(Output::Truncated { slot, result: Ok(end) });
        self.drop_segments(slot, io, outputs);
    }
}
