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

    /// The last so many of them.
    pub(crate) fn newest(&self, count: usize) -> Self {
        Self { entries: self.entries[self.entries.len().saturating_sub(count)..].to_vec() }
    }

    /// All but the last so many, of a log that starts at this offset.
    pub(crate) fn older(&self, count: usize, log_start: Offset) -> Self {
        let mut older = Self { entries: self.entries[..self.entries.len().saturating_sub(count)].to_vec() };
        older.truncate_from_start(log_start);
        older
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

    /// Of the batches before `end_offset` the last is of `epoch`; of those behind it nothing is known. What was begun later goes,
    /// for nothing may have been written in it. An entry that the log's start was moved to stays, even if that is the end: where a
    /// log is empty it alone tells which epoch was the last.
    pub(crate) fn forget_unwritten(&mut self, end_offset: Offset, epoch: LeaderEpoch) {
        let keep = self.entries.partition_point(|entry| entry.start_offset < end_offset || entry.epoch <= epoch);
        self.entries.truncate(keep);
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    extern crate std;

    use alloc::{vec, vec::Vec};
    use proptest::prelude::*;

    use super::*;

    fn list(entries: &[(i32, i64)]) -> LeaderEpochs {
        let mut epochs = LeaderEpochs::default();
        for (epoch, start_offset) in entries {
            assert!(epochs.assign(LeaderEpoch(*epoch), Offset(*start_offset)));
        }
        epochs
    }

    fn pairs(epochs: &LeaderEpochs) -> Vec<(i32, i64)> {
        epochs.entries().iter().map(|entry| (entry.epoch.0, entry.start_offset.0)).collect()
    }

    #[test]
    fn e01_end_offsets() {
        let epochs = list(&[(2, 10), (4, 20), (5, 30)]);
        let end = |epoch| epochs.end_offset_for(LeaderEpoch(epoch), Offset(99)).map(|(epoch, end)| (epoch.0, end.0));
        assert_eq!(end(5), Some((5, 99)));
        assert_eq!(end(4), Some((4, 30)));
        assert_eq!(end(3), Some((2, 20)));
        assert_eq!(end(2), Some((2, 20)));
        assert_eq!(end(1), Some((1, 10)));
        assert_eq!(end(6), None);
        assert_eq!(end(-1), None);
        assert_eq!(LeaderEpochs::default().end_offset_for(LeaderEpoch(0), Offset(5)), None);
    }

    #[test]
    fn assigning() {
        let mut epochs = list(&[(2, 10), (4, 20)]);
        assert!(!epochs.assign(LeaderEpoch(4), Offset(25)));
        assert!(!epochs.assign(LeaderEpoch(3), Offset(25)));
        assert!(!epochs.assign(LeaderEpoch(-1), Offset(25)));
        // Nothing was written in epoch 4 if 6 starts where it did.
        assert!(epochs.assign(LeaderEpoch(6), Offset(20)));
        assert_eq!(pairs(&epochs), [(2, 10), (6, 20)]);
        assert_eq!(epochs.latest(), Some(LeaderEpoch(6)));
    }

    #[test]
    fn e02_truncation() {
        let full = list(&[(2, 10), (4, 20), (5, 30)]);
        let ends = [(31, 3), (30, 2), (21, 2), (20, 1), (10, 0), (0, 0)];
        for (end, left) in ends {
            let mut epochs = full.clone();
            assert_eq!(epochs.truncate_from_end(Offset(end)), left < 3);
            assert_eq!(epochs.entries(), &full.entries()[..left]);
        }
        let starts: [(i64, &[(i32, i64)]); 6] = [
            (9, &[(2, 10), (4, 20), (5, 30)]),
            (10, &[(2, 10), (4, 20), (5, 30)]),
            (11, &[(2, 11), (4, 20), (5, 30)]),
            (20, &[(4, 20), (5, 30)]),
            (29, &[(4, 29), (5, 30)]),
            (50, &[(5, 50)]),
        ];
        for (start, left) in starts {
            let mut epochs = full.clone();
            assert_eq!(epochs.truncate_from_start(Offset(start)), start > 10);
            assert_eq!(pairs(&epochs), left);
        }
    }

    #[test]
    fn what_was_begun_behind_the_end_is_forgotten_and_what_was_moved_there_is_not() {
        let mut epochs = list(&[(2, 10), (4, 20), (5, 30)]);
        epochs.forget_unwritten(Offset(30), LeaderEpoch(4));
        assert_eq!(pairs(&epochs), [(2, 10), (4, 20)], "nothing was written in epoch 5");
        epochs.truncate_from_start(Offset(30));
        for _ in 0..2 {
            epochs.forget_unwritten(Offset(30), LeaderEpoch(4));
            assert_eq!(pairs(&epochs), [(4, 30)], "the log is empty, and its last batch was of epoch 4");
        }
        epochs.forget_unwritten(Offset(30), LeaderEpoch::NONE);
        assert!(epochs.entries().is_empty(), "no batch was ever of it");
    }

    #[test]
    fn golden_text() {
        let epochs = list(&[(2, 10), (4, 20)]);
        assert_eq!(epochs.encode(), "0\n2\n2 10\n4 20\n");
        assert_eq!(LeaderEpochs::default().encode(), "0\n0\n");
        assert_eq!(LeaderEpochs::decode("0\n0\n"), Ok(LeaderEpochs::default()));
        let wrong = [
            ("", EpochCheckpointError::Version),
            ("1\n0\n", EpochCheckpointError::Version),
            ("0\n", EpochCheckpointError::Count),
            ("0\n2\n2 10\n", EpochCheckpointError::Count),
            ("0\n1\n2 10\n4 20\n", EpochCheckpointError::Count),
            ("0\n-1\n", EpochCheckpointError::Count),
            ("0\n1\n2\n", EpochCheckpointError::Line),
            ("0\n1\n2 x\n", EpochCheckpointError::Line),
            ("0\n1\n-1 0\n", EpochCheckpointError::Order),
            ("0\n2\n2 10\n2 20\n", EpochCheckpointError::Order),
            ("0\n2\n2 10\n3 10\n", EpochCheckpointError::Order),
        ];
        for (text, error) in wrong {
            assert_eq!(LeaderEpochs::decode(text), Err(error), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn as_one_epoch_per_offset(steps in prop::collection::vec((0..3u8, 1..4i32, 0..12i64), 1..40)) {
            // The model: the epoch of every offset from `start` on.
            let mut start = 0i64;
            let mut model: Vec<i32> = vec![];
            let mut epochs = LeaderEpochs::default();
            let mut latest = 0;
            for (kind, bump, count) in steps {
                match kind {
                    0 => {
                        latest += bump;
                        let end = start + model.len() as i64;
                        epochs.assign(LeaderEpoch(latest), Offset(end));
                        model.extend((0..count).map(|_| latest));
                    }
                    1 => {
                        model.truncate(model.len().saturating_sub(count as usize));
                        epochs.truncate_from_end(Offset(start + model.len() as i64));
                    }
                    _ => {
                        let cut = (count as usize).min(model.len());
                        model.drain(..cut);
                        start += cut as i64;
                        epochs.truncate_from_start(Offset(start));
                    }
                }
                for (offset, epoch) in (start..).zip(&model) {
                    prop_assert_eq!(epochs.epoch_for_offset(Offset(offset)), Some(LeaderEpoch(*epoch)));
                }
                let end = start + model.len() as i64;
                for epoch in model.iter().copied() {
                    let last = model.iter().rposition(|other| *other == epoch).unwrap() as i64;
                    let (found, found_end) = epochs.end_offset_for(LeaderEpoch(epoch), Offset(end)).unwrap();
                    prop_assert_eq!((found.0, found_end.0), (epoch, start + last + 1));
                }
                prop_assert_eq!(LeaderEpochs::decode(&epochs.encode()), Ok(epochs.clone()));
            }
        }

        #[test]
        fn noise_never_panics(text: String) {
            let _ = LeaderEpochs::decode(&text);
        }
    }
}
