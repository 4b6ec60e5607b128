//! What a store answers: at once, or later among its outputs.

use crate::io::{FileSlice, IoError};
use crate::partition::faults::FaultyRange;
use crate::producer::ProducerError;
use crate::{LeaderEpoch, Offset, Timestamp, TopicPartition};

/// A partition within its store. Never reused while the process runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PartitionSlot(pub u32);

/// A lookup that has to read. Never reused while the process runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LookupId(pub u64);

/// An append that was taken: it has its offsets, and will be written at the end of the turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Appended {
    /// The first offset.
    pub base_offset: Offset,
    /// The last offset.
    pub last_offset: Offset,
    /// The broker's time, where the topic asks for `LogAppendTime`.
    pub append_time: Option<Timestamp>,
    /// Nothing was appended: an idempotent producer sent this batch before, and these are the offsets it got then.
    pub duplicate: bool,
}

/// Why an append was not taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AppendError {
    /// The partition is not created yet, is being removed, or the store is stopping.
    NotReady,
    /// The partition's log is offline: damaged before its durable point, left as it was found.
    Offline,
    /// The log directory failed.
    DirectoryFailed,
    /// Free space is under its floor. To be tried again later.
    NoSpace,
    /// No file of the journal can hold a batch of this size yet; one is being made. To be tried again later.
    JournalGrows,
    /// Larger than a segment of this partition.
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// The leader epoch is below one this log has seen.
    StaleEpoch,
    /// The producer's sequence or epoch does not follow.
    Sequence(ProducerError),
    /// The offsets of this log are used up.
    OffsetOverflow,
}

/// Where the bytes for a fetch are.
#[derive(Clone, Debug)]
pub enum Located {
    /// Nothing between the offset asked for and the bound.
    Empty,
    /// The offset lies before the log's start or after its end.
    OutOfRange,
    /// Whole batches, the first of which holds the offset asked for or, in a hole that compaction left, follows it.
    Slice {
        /// The bytes, with the lease on their file.
        slice: FileSlice,
        /// The first batch's base offset: at most the offset asked for, unless compaction left nothing there.
        base_offset: Offset,
        /// The offset after the last batch of the slice, where a next call goes on.
        next_offset: Offset,
    },
    /// It has to be read first: [`Output::Located`] follows. Never inside that output.
    Pending(LookupId),
    /// The offset lies in a range that is damaged on disk; the rest of the log can be read.
    Corrupt,
    /// The log is offline, the store failed, or the bytes cannot be read.
    Failed,
}

/// A record found by its timestamp.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimestampOffset {
    /// The record's timestamp.
    pub timestamp: Timestamp,
    /// The record's offset.
    pub offset: Offset,
    /// The leader epoch of its batch.
    pub epoch: LeaderEpoch,
}

/// The answer to a lookup by timestamp.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimestampLookup {
    /// This one.
    Found(TimestampOffset),
    /// No such record.
    None,
    /// [`Output::Timestamp`] follows. Never inside that output.
    Pending(LookupId),
    /// It may lie in a range that is damaged on disk.
    Corrupt,
    /// The log is offline, the store failed, or the bytes cannot be read.
    Failed,
}

/// The answer to DeleteRecords.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeleteRecords {
    /// The log already starts there or later.
    Done {
        /// Where it starts.
        log_start: Offset,
    },
    /// [`Output::LogStartMoved`] follows once the new start is on stable storage.
    Pending,
    /// The offset lies beyond the high watermark.
    OutOfRange,
    /// The log is offline or the store failed.
    Failed,
}

/// Something the broker must know.
#[derive(Debug)]
pub enum Output {
    /// The partition's directory and state are on stable storage (or not): it takes appends from now on.
    Created {
        /// Which.
        slot: PartitionSlot,
        /// What came of it.
        result: Result<(), IoError>,
    },
    /// The partition is marked as removed, on stable storage; its files go later.
    Removed {
        /// Which.
        partition: TopicPartition,
    },
    /// The log end offset or the durable offset moved.
    Advanced {
        /// Which.
        slot: PartitionSlot,
    },
    /// The end of a [`Located::Pending`].
    Located {
        /// Which.
        lookup: LookupId,
        /// The answer.
        result: Located,
    },
    /// The end of a [`TimestampLookup::Pending`].
    Timestamp {
        /// Which.
        lookup: LookupId,
        /// The answer.
        result: TimestampLookup,
    },
    /// The log's start moved, on stable storage: by retention or by DeleteRecords.
    LogStartMoved {
        /// Which.
        slot: PartitionSlot,
        /// To where.
        log_start: Offset,
    },
    /// The effective durability of a partition is now what was configured.
    DurabilityChanged {
        /// Which.
        slot: PartitionSlot,
    },
    /// A range below the durable point turned out to be damaged. It is not served any more, everything else is; a replica can put
    /// the bytes back through [`super::Store::repair`].
    RangeFaulty {
        /// Which.
        slot: PartitionSlot,
        /// The range.
        range: FaultyRange,
    },
    /// The log is not cleaned any more until the next start: what this segment holds cannot be read, or is not what was written. It is
    /// checked whenever it is read, and what is damaged in it is told then.
    Uncleanable {
        /// Which.
        slot: PartitionSlot,
        /// The segment's base offset.
        segment: Offset,
    },
    /// A log ends earlier now, or does not: where it ends.
    Truncated {
        /// Which.
        slot: PartitionSlot,
        /// The offset behind its last batch.
        result: Result<Offset, super::TruncateError>,
    },
    /// The bytes of a faulty range are back, on stable storage.
    RangeRepaired {
        /// Which.
        slot: PartitionSlot,
        /// The range.
        range: FaultyRange,
    },
    /// A write or sync failed: nothing is retried, every partition of the store is offline.
    DirectoryFailed {
        /// What the kernel said.
        error: IoError,
    },
}
