//! One producer of one partition.

use crate::batch::BatchHeader;
use crate::batch::header::sequence_after;
use crate::mutants::{self, Mutant};
use crate::{Offset, ProducerEpoch, Timestamp};

/// How far back a duplicate is recognised; a producer has at most as many requests in flight.
pub const BATCHES_REMEMBERED: usize = 5;

/// A batch of a producer and where it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AppendedBatch {
    /// Sequence of its last record.
    pub last_sequence: i32,
    /// Offset of its last record.
    pub last_offset: Offset,
    /// Records but one.
    pub offset_delta: i32,
    /// Its max timestamp; for a topic with LogAppendTime, when it was appended.
    pub timestamp: Timestamp,
}

impl AppendedBatch {
    /// Offset of its first record.
    #[must_use]
    pub const fn base_offset(&self) -> Offset {
        Offset(self.last_offset.0.saturating_sub(self.offset_delta as i64))
    }

    /// Sequence of its first record; the count of sequences wraps (P20).
    #[must_use]
    pub const fn first_sequence(&self) -> i32 {
        let first = self.last_sequence as i64 - self.offset_delta as i64;
        if first < 0 { (first + i32::MAX as i64 + 1) as i32 } else { first as i32 }
    }
}

/// What is remembered of one producer.
#[derive(Clone, Debug)]
pub struct ProducerEntry {
    epoch: ProducerEpoch,
    /// The first `count` are in use, oldest first.
    batches: [AppendedBatch; BATCHES_REMEMBERED],
    count: usize,
    last_timestamp: Timestamp,
    coordinator_epoch: i32,
    current_transaction_start: Option<Offset>,
}

/// Places not in use do not count.
impl PartialEq for ProducerEntry {
    fn eq(&self, other: &Self) -> bool {
        let rest = |entry: &Self| (entry.epoch, entry.last_timestamp, entry.coordinator_epoch, entry.current_transaction_start);
        self.batches() == other.batches() && rest(self) == rest(other)
    }
}

impl Eq for ProducerEntry {}

impl ProducerEntry {
    pub(super) const fn new(epoch: ProducerEpoch) -> Self {
        Self {
            epoch,
            batches: [AppendedBatch { last_sequence: -1, last_offset: Offset(-1), offset_delta: 0, timestamp: Timestamp::NONE };
                BATCHES_REMEMBERED],
            count: 0,
            last_timestamp: Timestamp::NONE,
            coordinator_epoch: -1,
            current_transaction_start: None,
        }
    }

    /// Its incarnation.
    #[must_use]
    pub const fn epoch(&self) -> ProducerEpoch {
        self.epoch
    }

    /// The batches remembered, oldest first.
    #[must_use]
    pub fn batches(&self) -> &[AppendedBatch] {
        &self.batches[..self.count]
    }

    /// Sequence of its last record, −1 when no batch is remembered.
    #[must_use]
    pub fn last_sequence(&self) -> i32 {
        self.batches().last().map_or(-1, |batch| batch.last_sequence)
    }

    /// When it was last heard of.
    #[must_use]
    pub const fn last_timestamp(&self) -> Timestamp {
        self.last_timestamp
    }

    /// Epoch of the transaction coordinator that last wrote a marker, −1 when none did.
    #[must_use]
    pub const fn coordinator_epoch(&self) -> i32 {
        self.coordinator_epoch
    }

    /// Where its open transaction starts.
    #[must_use]
    pub const fn current_transaction_start(&self) -> Option<Offset> {
        self.current_transaction_start
    }

    pub(super) fn duplicate_of(&self, header: &BatchHeader) -> Option<AppendedBatch> {
        if header.producer_epoch != self.epoch {
            return None;
        }
        let is_same = |batch: &&AppendedBatch| {
            batch.first_sequence() == header.base_sequence && batch.last_sequence == header.last_sequence()
        };
        let skip = if mutants::is(Mutant::B10) { self.count.saturating_sub(BATCHES_REMEMBERED - 1) } else { 0 };
        self.batches().iter().skip(skip).find(is_same).copied()
    }

    pub(super) fn accepts_sequence(&self, header: &BatchHeader) -> bool {
        if header.producer_epoch != self.epoch {
            return header.base_sequence == 0;
        }
        header.base_sequence == sequence_after(self.last_sequence(), 1)
    }

    pub(super) fn record(&mut self, header: &BatchHeader, now: Timestamp) {
        self.last_timestamp = self.last_timestamp.max(now);
        if header.attributes.is_control() {
            // A marker speaks for the producer, in no sequence; one of a new epoch starts that epoch.
            return self.enter(header.producer_epoch);
        }
        let batch = AppendedBatch {
            last_sequence: header.last_sequence(),
            last_offset: header.last_offset(),
            offset_delta: header.last_offset_delta,
            timestamp: header.max_timestamp,
        };
        self.push(header.producer_epoch, batch);
    }

    /// Take up an epoch; batches of another are of no more use.
    fn enter(&mut self, epoch: ProducerEpoch) {
        if epoch != self.epoch {
            self.epoch = epoch;
            self.count = 0;
        }
    }

    /// Remember a batch.
    pub(super) fn push(&mut self, epoch: ProducerEpoch, batch: AppendedBatch) {
        self.enter(epoch);
        if self.count == BATCHES_REMEMBERED {
            self.batches.copy_within(1.., 0);
            self.count -= 1;
        }
        self.batches[self.count] = batch;
        self.count += 1;
    }

    /// What a snapshot knows beside the batches.
    pub(super) fn restore(&mut self, heard: Timestamp, coordinator_epoch: i32, transaction_start: Option<Offset>) {
        self.last_timestamp = heard;
        self.coordinator_epoch = coordinator_epoch;
        self.current_transaction_start = transaction_start;
    }

    /// Forget the batches from `end_offset` on. Whether any is left.
    pub(super) fn truncate_to(&mut self, end_offset: Offset) -> bool {
        self.count = self.batches().partition_point(|batch| batch.last_offset < end_offset);
        self.count > 0
    }

    /// Whether the other's last batch is the same one. A snapshot has another time for it: when its producer was heard of last.
    pub(super) fn ends_like(&self, other: &Self) -> bool {
        let last = |entry: &Self| entry.batches().last().map(|batch| (batch.last_offset, batch.last_sequence));
        self.epoch == other.epoch && last(self) == last(other)
    }

    /// Remember the batches that the other does.
    pub(super) const fn remember(&mut self, other: &Self) {
        (self.batches, self.count) = (other.batches, other.count);
    }
}
