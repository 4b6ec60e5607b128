//! What a partition remembers of its idempotent producers (KIP-98), so that a batch sent twice is stored once.
//!
//! A producer numbers its records; the partition keeps, for each producer id, the epoch and its last five batches. A batch is
//! looked up with [`ProducerStates::check`] before the append and noted with [`ProducerStates::record`] once it has its offsets,
//! in the same turn: an append cannot fail alone, a failed write takes the whole log directory offline. So a duplicate may be
//! found while its original is still on its way to the disk, and the answer to it waits for the watermark like the original's.
//!
//! Invariants: the batches of an entry are of its epoch, oldest first, their offsets rise; there are never more producers than
//! the limit given. Does not: read the clock, verify transactions, write files ([`snapshot`] gives and takes bytes).

mod entry;
pub mod snapshot;

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};

pub use entry::{AppendedBatch, BATCHES_REMEMBERED, ProducerEntry};
pub use snapshot::{ProducerSnapshot, SnapshotError, SnapshotStamp};

use crate::batch::BatchHeader;
use crate::batch::rules::Origin;
use crate::{Offset, ProducerEpoch, ProducerId, Timestamp};

/// Most producers one partition remembers before the longest silent are forgotten.
pub const PRODUCERS_LIMIT: usize = 100_000;

/// What to do with a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProducerVerdict {
    /// Append it. Also the verdict on every batch without a producer id.
    Append,
    /// Append nothing and answer with where the original is (P16).
    Duplicate(AppendedBatch),
}

/// Why a batch is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ProducerError {
    /// 45 `OUT_OF_ORDER_SEQUENCE_NUMBER`: a gap, a duplicate older than the window, or a new epoch not at zero (P17, P18).
    OutOfOrderSequence(String),
    /// 47 `INVALID_PRODUCER_EPOCH`: a newer incarnation has written (P18).
    InvalidProducerEpoch(String),
}

/// The producers of one partition.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ProducerStates {
    producers: BTreeMap<ProducerId, ProducerEntry>,
}

impl ProducerStates {
    /// States with nobody in them.
    #[must_use]
    pub const fn new() -> Self {
        Self { producers: BTreeMap::new() }
    }

    /// Producers remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.producers.len()
    }

    /// Whether nobody is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.producers.is_empty()
    }

    /// The producers by id, for DescribeProducers.
    pub fn iter(&self) -> impl Iterator<Item = (ProducerId, &ProducerEntry)> {
        self.producers.iter().map(|(id, entry)| (*id, entry))
    }

    /// Whether the batch is one of those by which its producer's duplicates are known.
    #[must_use]
    pub fn remembers(&self, header: &BatchHeader) -> bool {
        let entry = self.producers.get(&header.producer_id).filter(|_| header.has_producer());
        entry.is_some_and(|entry| entry.batches().iter().any(|batch| batch.last_offset == header.last_offset()))
    }

    /// Judge a batch before it is appended. Its offsets do not matter.
    ///
    /// # Errors
    /// Sequence or epoch do not follow what was appended before.
    pub fn check(&self, header: &BatchHeader, origin: Origin) -> Result<ProducerVerdict, ProducerError> {
        if !header.has_producer() {
            return Ok(ProducerVerdict::Append);
        }
        // P19: whoever is not known may start anywhere.
        let Some(entry) = self.producers.get(&header.producer_id) else { return Ok(ProducerVerdict::Append) };
        let from_client = origin == Origin::Client;
        if from_client && let Some(original) = entry.duplicate_of(header) {
            return Ok(ProducerVerdict::Duplicate(original));
        }
        if header.producer_epoch < entry.epoch() {
            return Err(ProducerError::InvalidProducerEpoch(format!(
                "epoch of producer {} is {}, and {} has written already",
                header.producer_id,
                header.producer_epoch,
                entry.epoch()
            )));
        }
        if from_client && !entry.accepts_sequence(header) {
            return Err(ProducerError::OutOfOrderSequence(format!(
                "producer {} in epoch {} sent sequence {} after {} of epoch {}",
                header.producer_id,
                header.producer_epoch,
                header.base_sequence,
                entry.last_sequence(),
                entry.epoch()
            )));
        }
        Ok(ProducerVerdict::Append)
    }

    /// Note a batch that has its offsets: at an append, and when a log is read back. `now` is when that happens, not what the
    /// batch says; a producer that writes old timestamps is no older for it.
    pub fn record(&mut self, header: &BatchHeader, now: Timestamp) {
        if !header.has_producer() {
            return;
        }
        if self.producers.len() >= PRODUCERS_LIMIT && !self.producers.contains_key(&header.producer_id) {
            self.forget_longest_silent();
        }
        let entry = self.producers.entry(header.producer_id).or_insert_with(|| ProducerEntry::new(header.producer_epoch));
        entry.record(header, now);
    }

    /// Forget whom nothing was heard of for `expiration_ms` (P21), and say whether there was one.
    pub fn expire(&mut self, now: Timestamp, expiration_ms: i64) -> bool {
        let before = self.producers.len();
        self.producers.retain(|_, entry| {
            entry.current_transaction_start().is_some() || now.0.saturating_sub(entry.last_timestamp().0) < expiration_ms
        });
        self.producers.len() < before
    }

    /// The log ends at `end_offset` now; `found` is what its batches tell, and snapshots of before. Nobody knows the last batch of a
    /// producer better than who took it, as long as it stays: of those that were deleted since, nothing else may tell.
    pub fn truncate_to(&mut self, end_offset: Offset, found: Self) {
        self.producers.retain(|_, entry| entry.truncate_to(end_offset));
        for (id, found) in found.producers {
            match self.producers.get_mut(&id) {
                None => drop(self.producers.insert(id, found)),
                Some(entry) if entry.batches().len() < found.batches().len() && found.ends_like(entry) => entry.remember(&found),
                Some(_) => {}
            }
        }
    }

    /// Make room for an eighth of the limit at once, so that a flood of new producers costs each little.
    fn forget_longest_silent(&mut self) {
        let mut heard: Vec<(Timestamp, ProducerId)> =
            self.producers.iter().map(|(id, entry)| (entry.last_timestamp(), *id)).collect();
        let count = (heard.len() / 8).max(1);
        if count < heard.len() {
            heard.select_nth_unstable(count);
            heard.truncate(count);
        }
        for (_, id) in heard {
            self.producers.remove(&id);
        }
    }

    fn insert(&mut self, id: ProducerId, epoch: ProducerEpoch) -> &mut ProducerEntry {
        self.producers.entry(id).or_insert_with(|| ProducerEntry::new(epoch))
    }
}

#[cfg(test)]
mod tests;
