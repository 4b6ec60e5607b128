//! Which leader epoch wrote which offsets of a log (KIP-101).
//!
//! Invariant: epochs and their start offsets both rise strictly from entry to entry. The list can be rebuilt from the batches,
//! each of which carries its epoch; it is kept beside them in Kafka's `leader-epoch-checkpoint` text.

use alloc::{string::String, vec::Vec};
use core::fmt::Write;

use crate::{LeaderEpoch, Offset};

/// An epoch and the first offset written in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EpochEntry {
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// Its first offset.
    pub start_offset: Offset,
}

/// The epochs of one log.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LeaderEpochs {
    entries: Vec<EpochEntry>,
}

/// Why a checkpoint cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EpochCheckpointError {
    /// Another version than 0, or none.
    Version,
    /// The number of entries is missing or is not that of the lines that follow.
    Count,
    /// A line that is not an epoch and an offset.
    Line,
    /// Epochs or offsets that do not rise.
    Order,
}

impl LeaderEpochs {
    /// What Kafka calls the file.
    pub const FILE_NAME: &str = "leader-epoch-checkpoint";

    /// The entries, oldest first.
    #[must_use]
    pub fn entries(&self) -> &[EpochEntry] {
        &self.entries
    }

    /// The epoch of the last entry.
    #[must_use]
    pub fn latest(&self) -> Option<LeaderEpoch> {
        self.entries.last().map(|entry| entry.epoch)
    }

    /// Note that `epoch` writes from `start_offset` on. An epoch known already, or an older one, changes nothing; entries that
    /// would start at or behind it are dropped, for nothing was written in them that is still there. Whether the list changed.
    pub fn assign(&mut self, epoch: LeaderEpoch, start_offset: Offset) -> bool {
        if epoch.0 < 0 || start_offset.0 < 0 || self.latest().is_some_and(|latest| latest >= epoch) {
            return false;
        }
        self.truncate_from_end(start_offset);
        self.entries.push(EpochEntry { epoch, start_offset });
        true
    }

    /// The largest epoch up to `epoch` and the offset it ends at (E01): the start of the next one, or `log_end` for the current
    /// one. An epoch older than all known ends where the first known starts, so that who asks copies on from the log's start.
    /// `None` for an epoch newer than all known.
    #[must_use]
    pub fn end_offset_for(&self, epoch: LeaderEpoch, log_end: Offset) -> Option<(LeaderEpoch, Offset)> {
        if epoch.0 < 0 {
            return None;
        }
        if self.latest() == Some(epoch) {
            return Some((epoch, log_end));
        }
        let next = self.entries.partition_point(|entry| entry.epoch <= epoch);
        let end = self.entries.get(next)?.start_offset;
        let floor = next.checked_sub(1).map_or(epoch, |index| self.entries[index].epoch);
        Some((floor, end))
    }

    /// The epoch that wrote `offset`, as far as the list knows.
    #[must_use]
    pub fn epoch_for_offset(&self, offset: Offset) -> Option<LeaderEpoch> {
        let next = self.entries.partition_point(|entry| entry.start_offset <= offset);
        next.checked_sub(1).map(|index| self.entries[index].epoch)
    }

    /// The log now ends at `end_offset` (E02). Whether the list changed.
    pub fn truncate_from_end(&mut self, end_offset: Offset) -> bool {
        let keep = self.entries.partition_point(|entry| entry.start_offset < end_offset);
        let changed = keep < self.entries.len();
        self.entries.truncate(keep);
        changed
    }

    /// The log now starts at `start_offset` (E02). Whether the list changed.
    pub fn truncate_from_start(&mut self, start_offset: Offset) -> bool {
        let next = self.entries.partition_point(|entry| entry.start_offset <= start_offset);
        let Some(current) = next.checked_sub(1) else { return false };
        let changed = current > 0 || self.entries[current].start_offset != start_offset;
        self.entries[current].start_offset = start_offset;
        self.entries.drain(..current);
        changed
    }

    /// The checkpoint's text.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        let _ = writeln!(text, "0\n{}", self.entries.len());
        for entry in &self.entries {
            let _ = writeln!(text, "{} {}", entry.epoch, entry.start_offset);
        }
        text
    }

    /// Read a checkpoint's text.
    ///
    /// # Errors
    /// Anything but what [`LeaderEpochs::encode`] writes.
    pub fn decode(text: &str) -> Result<Self, EpochCheckpointError> {
        let mut lines = text.lines();
        if lines.next() != Some("0") {
            return Err(EpochCheckpointError::Version);
        }
        let count: usize = lines.next().and_then(|line| line.parse().ok()).ok_or(EpochCheckpointError::Count)?;
        let mut entries: Vec<EpochEntry> = Vec::new();
        for line in lines {
            let (epoch, start_offset) = line.split_once(' ').ok_or(EpochCheckpointError::Line)?;
            let epoch = LeaderEpoch(epoch.parse().map_err(|_| EpochCheckpointError::Line)?);
            let start_offset = Offset(start_offset.parse().map_err(|_| EpochCheckpointError::Line)?);
            let rises = entries.last().is_none_or(|last| last.epoch < epoch && last.start_offset < start_offset);
            if !rises || epoch.0 < 0 || start_offset.0 < 0 {
                return Err(EpochCheckpointError::Order);
            }
            entries.push(EpochEntry { epoch, start_offset });
        }
        if entries.len() == count { Ok(Self { entries }) } else { Err(EpochCheckpointError::Count) }
    }
}
