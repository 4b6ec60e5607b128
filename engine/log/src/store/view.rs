//! What the broker may see of a partition's log.

use super::{Durability, Durable, FaultyRange, LogConfig};
use crate::epoch::LeaderEpochs;
use crate::partition::PartitionLog;
use crate::producer::ProducerStates;
use crate::{LeaderEpoch, Offset, TopicPartition};

/// A partition's log as it is now.
#[derive(Clone, Copy, Debug)]
pub struct LogView<'a> {
    pub(crate) log: &'a PartitionLog,
}

impl<'a> LogView<'a> {
    /// Whose log it is.
    #[must_use]
    pub const fn partition(&self) -> TopicPartition {
        self.log.identity
    }

    /// The topic's name, as its directory has it.
    #[must_use]
    pub fn topic_name(&self) -> &'a str {
        &self.log.topic_name
    }

    /// The first offset that may be read.
    #[must_use]
    pub const fn log_start(&self) -> Offset {
        self.log.log_start
    }

    /// The log end offset: everything below it is in its segments.
    #[must_use]
    pub const fn log_end(&self) -> Offset {
        self.log.log_end
    }

    /// What the next append will get.
    #[must_use]
    pub const fn next_offset(&self) -> Offset {
        self.log.next_offset
    }

    /// Everything below it is on stable storage. Never past the log end. Of a replicated topic it moves with checkpoints only.
    #[must_use]
    pub const fn durable(&self) -> Durable<Offset> {
        self.log.durable
    }

    /// Which of the two the high watermark may follow. A change of configuration shows here when it is in force.
    #[must_use]
    pub const fn durability(&self) -> Durability {
        self.log.durability
    }

    /// Bytes of the segments, written or about to be.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.log.size_bytes()
    }

    /// Segments, the active one included.
    #[must_use]
    pub fn segment_count(&self) -> usize {
        self.log.segments.len()
    }

    /// Leader epochs; with [`LeaderEpochs::end_offset_for`] and [`LogView::log_end`] for OffsetForLeaderEpoch.
    #[must_use]
    pub const fn epochs(&self) -> &'a LeaderEpochs {
        &self.log.epochs
    }

    /// E01: the largest epoch up to the one asked for and where it ends.
    #[must_use]
    pub fn end_offset_for(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        self.log.epochs.end_offset_for(epoch, self.log.log_end)
    }

    /// The idempotent producers, for DescribeProducers.
    #[must_use]
    pub const fn producers(&self) -> &'a ProducerStates {
        &self.log.producers
    }

    /// What of the log is known to be damaged.
    #[must_use]
    pub fn faulty_ranges(&self) -> &'a [FaultyRange] {
        self.log.faults.ranges()
    }

    /// Whether the log takes neither appends nor reads: damaged, or its directory failed.
    #[must_use]
    pub const fn is_offline(&self) -> bool {
        self.log.offline
    }

    /// Whether it takes appends.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        self.log.is_ready()
    }

    /// The configuration last given.
    #[must_use]
    pub const fn config(&self) -> &'a LogConfig {
        &self.log.config
    }
}
