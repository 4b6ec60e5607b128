//! Appends and leader epochs.

use super::{AppendError, Appended, PartitionSlot, Store};
use crate::batch::{Origin, ValidatedBatch};
use crate::journal::QueuedAppend;
use crate::partition::AppendOutcome;
use crate::{LeaderEpoch, Monotonic, Now, Offset};

impl Store {
    /// Append a batch: it has its offsets at once, and is written by [`Store::end_turn`].
    ///
    /// # Errors
    /// Nothing was appended.
    pub fn append(
        &mut self,
        slot: PartitionSlot,
        batch: ValidatedBatch,
        epoch: LeaderEpoch,
        origin: Origin,
        now: Now,
    ) -> Result<Appended, AppendError> {
        if self.failed.is_some() {
            return Err(AppendError::DirectoryFailed);
        }
        let stopping = self.is_stopping();
        let (has_space, journal_takes_it) = (self.has_space(), self.journal.takes(batch.total_bytes()));
        let log = self.log_mut(slot).ok_or(AppendError::NotReady)?;
        if log.offline {
            return Err(AppendError::Offline);
        }
        if stopping || !log.is_ready() || log.truncation.is_some() {
            return Err(AppendError::NotReady);
        }
        if !has_space {
            return Err(AppendError::NoSpace);
        }
        if log.is_journaled() && !journal_takes_it {
            self.journal.want_file_for(batch.total_bytes());
            return Err(AppendError::JournalGrows);
        }
        let (appended, stamped, segment_base) = match log.append(batch, epoch, origin, now)? {
            AppendOutcome::Duplicate(appended) => return Ok(appended),
            AppendOutcome::Appended(appended, stamped, segment_base) => (appended, stamped, segment_base),
        };
        let bytes = stamped.total_bytes();
        let queued = log.is_journaled().then(|| QueuedAppend { slot, partition: log.identity, segment_base, batch: stamped });
        self.unwritten_bytes += bytes;
        if self.room.take(bytes) {
            // More may be free by now.
            self.next_free_space = Monotonic(0);
        }
        self.mark_for_turn(slot);
        if let Some(queued) = queued {
            self.journal.queue(queued);
        }
        Ok(appended)
    }

    /// This broker leads the partition in `epoch` from the next offset on.
    pub fn begin_epoch(&mut self, slot: PartitionSlot, epoch: LeaderEpoch) {
        if let Some(log) = self.log_mut(slot) {
            log.begin_epoch(epoch);
        }
    }

    /// How far the log is replicated: retention and DeleteRecords stay below it.
    pub fn set_high_watermark(&mut self, slot: PartitionSlot, high_watermark: Offset) {
        if let Some(log) = self.log_mut(slot) {
            log.high_watermark = high_watermark.min(log.log_end);
        }
    }

    /// The partition has something to write when the turn ends.
    pub(super) fn mark_for_turn(&mut self, slot: PartitionSlot) {
        if let Some(log) = self.log_mut(slot)
            && !log.in_turn
        {
            log.in_turn = true;
            self.turn.push(slot);
        }
    }
}
