//! A partition's state on disk: `partition.state`, two copies that are written in turn.
//!
//! It holds the known-durable point D, the log's start, the topic id and name, and the leader epochs. Each copy has a counter
//! and a checksum; the valid one with the higher counter counts. Invariant: a copy is written over only while the other one is
//! valid. What follows the copies in the file is the [`trail`]. Written down in `docs/on-disk.md`.

pub(crate) mod trail;

use alloc::{string::String, vec::Vec};

use crate::codec::{Fields, begin_sealed, seal};
use crate::epoch::LeaderEpochs;
use crate::journal::JournalPosition;
use crate::store::Durability;
use crate::{LeaderEpoch, Offset, PartitionIndex, TopicId, TopicPartition};

/// The file's name in the partition's directory.
pub const STATE_FILE_NAME: &str = "partition.state";
/// Each copy has so many bytes of the file.
pub const COPY_BYTES: usize = 4096;
/// Newest epochs kept in the state; older ones are in Kafka's `leader-epoch-checkpoint` beside it, or read from the batches.
pub const EPOCHS_KEPT: usize = 256;

const MAGIC: [u8; 8] = *b"flumenPS";
const REMOVED: u32 = 1;
const REPLICATED: u32 = 2;
const CUT: u32 = 4;
const CLEANED: u32 = 8;
const NAME_BYTES_MAX: usize = 255;
/// No segment is longer: positions in it have 32 bits, and the last batch begins at one.
const SEGMENT_BYTES_MAX: u64 = 1 << 33;

/// The known-durable point D: up to it everything is in the segments, synced with sizes and names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DurablePoint {
    /// All below this offset is durable.
    pub offset: Offset,
    /// All that the journal holds for the partition before this position is too.
    pub position: JournalPosition,
    /// The leader epoch of the last batch below the offset.
    pub epoch: LeaderEpoch,
    /// The segment in which the offset lies or would lie.
    pub segment_base: Offset,
    /// Where in that segment.
    pub segment_bytes: u64,
}

impl DurablePoint {
    /// Of a log that never held anything.
    #[must_use]
    pub const fn of_empty_log(position: JournalPosition) -> Self {
        Self { offset: Offset::ZERO, position, epoch: LeaderEpoch::NONE, segment_base: Offset::ZERO, segment_bytes: 0 }
    }
}

/// What the file says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartitionState {
    /// Counts the writes.
    pub counter: u64,
    /// Whose log it is.
    pub partition: TopicPartition,
    /// The topic's name when the partition was made.
    pub topic_name: String,
    /// The partition was removed; the state stays until no journal holds its entries.
    pub removed: bool,
    /// The log was made to end at D, and its files are about to follow: what they hold behind it may still go.
    pub cut: bool,
    /// Compaction was at work: there is a manifest, and one that is missing was lost.
    pub cleaned: bool,
    /// The durability in force.
    pub durability: Durability,
    /// D.
    pub point: DurablePoint,
    /// The first offset that may be read.
    pub log_start: Offset,
    /// The newest leader epochs.
    pub epochs: Vec<(LeaderEpoch, Offset)>,
    /// The checksum of those before, by which it is known whether `leader-epoch-checkpoint` has them as they were.
    pub older_epochs: u32,
}

impl PartitionState {
    /// Where in the file this copy goes.
    #[must_use]
    pub const fn copy_offset(&self) -> u64 {
        (self.counter % 2) * COPY_BYTES as u64
    }

    /// The newest epochs of a log, as the state keeps them.
    #[must_use]
    pub fn newest(epochs: &LeaderEpochs) -> Vec<(LeaderEpoch, Offset)> {
        epochs.newest(EPOCHS_KEPT).entries().iter().map(|entry| (entry.epoch, entry.start_offset)).collect()
    }

    /// The checksum of epochs that are older than the newest: of a log that starts at this offset. Zero where there are none.
    #[must_use]
    pub fn checksum_of_older(epochs: &LeaderEpochs, log_start: Offset) -> u32 {
        let older = epochs.older(EPOCHS_KEPT, log_start);
        if older.entries().is_empty() { 0 } else { crc32c::crc32c(older.encode().as_bytes()) }
    }

    /// The epochs as a list.
    #[must_use]
    pub fn leader_epochs(&self) -> LeaderEpochs {
        let mut epochs = LeaderEpochs::default();
        for (epoch, start) in &self.epochs {
            epochs.assign(*epoch, *start);
        }
        epochs
    }

    /// One copy.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = begin_sealed(MAGIC, COPY_BYTES);
        let replicated = self.durability == Durability::Replicated;
        let flag = |holds: bool, flag: u32| if holds { flag } else { 0 };
        let flags =
            flag(self.removed, REMOVED) | flag(replicated, REPLICATED) | flag(self.cut, CUT) | flag(self.cleaned, CLEANED);
        bytes.extend_from_slice(&flags.to_be_bytes());
        bytes.extend_from_slice(&self.counter.to_be_bytes());
        bytes.extend_from_slice(&self.partition.topic.0);
        bytes.extend_from_slice(&self.partition.partition.0.to_be_bytes());
        bytes.extend_from_slice(&self.point.epoch.0.to_be_bytes());
        bytes.extend_from_slice(&self.point.offset.0.to_be_bytes());
        bytes.extend_from_slice(&self.point.position.generation.to_be_bytes());
        bytes.extend_from_slice(&self.point.position.sequence.to_be_bytes());
        bytes.extend_from_slice(&self.point.segment_base.0.to_be_bytes());
        bytes.extend_from_slice(&self.point.segment_bytes.to_be_bytes());
        bytes.extend_from_slice(&self.log_start.0.to_be_bytes());
        let name = &self.topic_name.as_bytes()[..self.topic_name.len().min(NAME_BYTES_MAX)];
        bytes.extend_from_slice(&length(name.len()).to_be_bytes());
        bytes.extend_from_slice(name);
        let skip = self.epochs.len().saturating_sub(EPOCHS_KEPT);
        bytes.extend_from_slice(&length(self.epochs.len() - skip).to_be_bytes());
        for (epoch, start) in &self.epochs[skip..] {
            bytes.extend_from_slice(&epoch.0.to_be_bytes());
            bytes.extend_from_slice(&start.0.to_be_bytes());
        }
        bytes.extend_from_slice(&self.older_epochs.to_be_bytes());
        bytes.resize(COPY_BYTES, 0);
        seal(&mut bytes);
        bytes
    }

    /// Read one copy.
    #[must_use]
    pub fn decode_copy(copy: &[u8]) -> Option<Self> {
        let mut fields = Fields::sealed(copy.get(..COPY_BYTES)?, MAGIC)?;
        let flags = fields.u32()?;
        let counter = fields.counted()?;
        let partition = TopicPartition { topic: TopicId(fields.array()?), partition: PartitionIndex(fields.i32()?) };
        let epoch = LeaderEpoch(fields.i32()?);
        let offset = Offset(fields.i64()?);
        let position = JournalPosition { generation: fields.counted()?, sequence: fields.counted()? };
        let segment_base = Offset(fields.i64()?);
        let segment_bytes = fields.u64()?;
        let log_start = Offset(fields.i64()?);
        // Its segment is made as long as D says: that must be a length that a segment can have.
        let is_possible = log_start >= Offset::ZERO && segment_base >= Offset::ZERO && segment_base <= offset;
        if !is_possible || segment_bytes > SEGMENT_BYTES_MAX {
            return None;
        }
        let name_bytes = usize::from(u16::from_be_bytes(fields.array()?));
        if name_bytes > NAME_BYTES_MAX {
            return None;
        }
        let topic_name = String::from(core::str::from_utf8(fields.take(name_bytes)?).ok()?);
        let count = u16::from_be_bytes(fields.array()?);
        if usize::from(count) > EPOCHS_KEPT {
            return None;
        }
        let epochs = (0..count).map(|_| Some((LeaderEpoch(fields.i32()?), Offset(fields.i64()?)))).collect::<Option<Vec<_>>>()?;
        let older_epochs = fields.u32()?;
        let durability = if flags & REPLICATED == 0 { Durability::Journaled } else { Durability::Replicated };
        let (removed, cut, cleaned) = (flags & REMOVED != 0, flags & CUT != 0, flags & CLEANED != 0);
        let point = DurablePoint { offset, position, epoch, segment_base, segment_bytes };
        Some(Self { counter, partition, topic_name, removed, cut, cleaned, durability, point, log_start, epochs, older_epochs })
    }

    /// The file's copies, in their places.
    fn copies(file: &[u8]) -> (Option<Self>, Option<Self>) {
        (Self::decode_copy(file), file.get(COPY_BYTES..).and_then(Self::decode_copy))
    }

    /// Whether both copies are whole and one follows the other. Otherwise a later one than [`PartitionState::decode`] gives may have
    /// been there, or is still to come.
    #[must_use]
    pub fn is_whole(file: &[u8]) -> bool {
        matches!(Self::copies(file), (Some(first), Some(second)) if first.counter.abs_diff(second.counter) == 1)
    }

    /// Whether a copy that was written is not whole: torn by a crash, or damaged.
    #[must_use]
    pub fn has_lost_copy(file: &[u8]) -> bool {
        let (first, second) = Self::copies(file);
        let torn = |copy: &[u8]| Self::decode_copy(copy).is_none() && copy.iter().any(|byte| *byte != 0);
        let missing = first.xor(second).is_some();
        missing || file.chunks(COPY_BYTES).take(2).any(torn)
    }

    /// Read the file: the newer of the valid copies.
    #[must_use]
    pub fn decode(file: &[u8]) -> Option<Self> {
        match Self::copies(file) {
            (Some(first), Some(second)) => Some(if first.counter > second.counter { first } else { second }),
            (first, second) => first.or(second),
        }
    }
}

fn length(length: usize) -> u16 {
    u16::try_from(length).expect("names have at most 255 bytes, epochs at most EPOCHS_KEPT entries")
}

/// Kafka's `partition.metadata`, by which its tools know the topic id.
pub(crate) fn partition_metadata(topic: TopicId) -> String {
    alloc::format!("version: 0\ntopic_id: {topic}")
}
