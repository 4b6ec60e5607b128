//! One shard's journal and every partition log it owns, as one machine.

mod durable;
mod output;
mod settings;
mod view;

pub use durable::Durable;
pub use output::{
    AppendError, Appended, DeleteRecords, Located, LookupId, Output, PartitionSlot, TimestampLookup, TimestampOffset,
};
pub use settings::{Durability, LogConfig, StoreSettings};
pub use view::LogView;

use alloc::vec::Vec;

use crate::batch::{Origin, ValidatedBatch};
use crate::io::{Completion, Io, Owner};
use crate::recovery::ShardRecovery;
use crate::{LeaderEpoch, Monotonic, Now, Offset, ShardId, Timestamp, TopicPartition};

/// The shard that owns a partition: consecutive partitions of a topic land on consecutive shards.
#[must_use]
pub fn owner_of(partition: TopicPartition, shards: u16) -> ShardId {
    let hash = u64::from(crc32c::crc32c(&partition.topic.0));
    let index = u64::from(partition.partition.0.unsigned_abs());
    let shard = (hash + index) % u64::from(shards.max(1));
    ShardId(u16::try_from(shard).expect("less than the number of shards"))
}

/// One shard's logs.
#[derive(Debug)]
pub struct Store {}

#[allow(unused_variables, clippy::missing_const_for_fn, clippy::unimplemented)]
impl Store {
    /// A store over what recovery left. `owner` names its operations; completions with that owner go to [`Store::complete`].
    #[must_use]
    pub fn new(settings: StoreSettings, recovered: ShardRecovery, owner: Owner) -> Self {
        unimplemented!()
    }
    /// The partitions here, recovered or created since.
    pub fn partitions(&self) -> impl Iterator<Item = (PartitionSlot, LogView<'_>)> {
        core::iter::empty()
    }
    /// Where a partition is, if it is here.
    #[must_use]
    pub fn slot_of(&self, partition: TopicPartition) -> Option<PartitionSlot> {
        unimplemented!()
    }
    /// A partition's log as it is now. `None` once it was removed.
    #[must_use]
    pub fn view(&self, slot: PartitionSlot) -> Option<LogView<'_>> {
        unimplemented!()
    }
    /// Make a partition's directory and state; [`Output::Created`] follows.
    pub fn create(
        &mut self,
        partition: TopicPartition,
        topic_name: &str,
        config: LogConfig,
        now: Now,
        io: &mut Io,
    ) -> PartitionSlot {
        unimplemented!()
    }
    /// Give a partition its configuration. A recovered partition must get one before its retention runs.
    pub fn configure(&mut self, slot: PartitionSlot, config: LogConfig, io: &mut Io) {
        unimplemented!()
    }
    /// Remove a partition; [`Output::Removed`] follows.
    pub fn remove(&mut self, slot: PartitionSlot, now: Now, io: &mut Io) {
        unimplemented!()
    }
    /// This broker leads the partition in `epoch` from the next offset on.
    pub fn begin_epoch(&mut self, slot: PartitionSlot, epoch: LeaderEpoch) {
        unimplemented!()
    }
    /// How far the log is replicated: retention and DeleteRecords stay below it.
    pub fn set_high_watermark(&mut self, slot: PartitionSlot, high_watermark: Offset) {
        unimplemented!()
    }
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
        unimplemented!()
    }
    /// Write out what the turn appended: one journal write for all partitions, one write for each segment.
    pub fn end_turn(&mut self, now: Now, io: &mut Io, outputs: &mut Vec<Output>) {
        unimplemented!()
    }
    /// Take the end of an operation of this store's.
    pub fn complete(&mut self, completion: Completion, now: Now, io: &mut Io, outputs: &mut Vec<Output>) {
        unimplemented!()
    }
    /// Do what time brings: retention, expiry, deferred deletion. To be called once [`Store::next_deadline`] has passed.
    pub fn tick(&mut self, now: Now, io: &mut Io, outputs: &mut Vec<Output>) {
        unimplemented!()
    }
    /// When [`Store::tick`] is due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Monotonic> {
        unimplemented!()
    }
    /// Find the bytes from `from` on and below `below` (the high watermark or the last stable offset), whole batches, at most
    /// `max_bytes` of them, but at least one batch if `at_least_one`. One call answers with bytes of one segment.
    pub fn locate(
        &mut self,
        slot: PartitionSlot,
        from: Offset,
        below: Offset,
        max_bytes: u32,
        at_least_one: bool,
        io: &mut Io,
    ) -> Located {
        unimplemented!()
    }
    /// The first record below `below` whose timestamp is `timestamp` or later (L02).
    pub fn offset_for_timestamp(
        &mut self,
        slot: PartitionSlot,
        timestamp: Timestamp,
        below: Offset,
        io: &mut Io,
    ) -> TimestampLookup {
        unimplemented!()
    }
    /// The first record below `below` that has the greatest timestamp (L03).
    pub fn max_timestamp(&mut self, slot: PartitionSlot, below: Offset, io: &mut Io) -> TimestampLookup {
        unimplemented!()
    }
    /// Forget a lookup that nobody waits for any more.
    pub fn cancel(&mut self, lookup: LookupId) {
        unimplemented!()
    }
    /// Move the log's start to `offset` (D04).
    pub fn delete_records(&mut self, slot: PartitionSlot, offset: Offset, io: &mut Io) -> DeleteRecords {
        unimplemented!()
    }
    /// Whether the journal is behind: stop taking appends for a while.
    #[must_use]
    pub fn is_congested(&self) -> bool {
        unimplemented!()
    }
    /// Whether free space is over its floor.
    #[must_use]
    pub fn has_space(&self) -> bool {
        unimplemented!()
    }
    /// Take no more appends, make everything durable and leave the mark of a clean stop.
    pub fn stop(&mut self, now: Now, io: &mut Io) {
        unimplemented!()
    }
    /// After [`Store::stop`]: whether all is done and nothing is outstanding.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        unimplemented!()
    }
}
