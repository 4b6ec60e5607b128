//! Producer states as a file: Kafka's producer snapshot, version 1, which Kafka's dump tool reads.
//!
//! Layout, big-endian: version i16 = 1; CRC-32C u32 of all that follows; number of entries i32; entries of 46 bytes (producer id
//! i64, epoch i16, last sequence i32, last offset i64, offset delta i32, timestamp i64, coordinator epoch i32, first offset of
//! the open transaction i64, −1 for none). Two things go beyond what Kafka writes and are passed over by its readers:
//!
//! - a producer has one entry for each batch remembered, oldest first, so that the window survives a restart (Kafka takes the
//!   last entry of a producer, and writes only that);
//! - behind the entries stands a stamp: the four bytes `FLPS`, the offset up to which the states are those of the log (i64), and
//!   the leader epoch of the last record before it (i32).
//!
//! A snapshot is a cache: one that is damaged, or whose stamp the epoch list contradicts, is thrown away and the log replayed.

use alloc::{string::String, vec::Vec};
use core::fmt::Write;
use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    big_endian::{I16, I32, I64, U32},
};

use super::{AppendedBatch, PRODUCERS_LIMIT, ProducerStates};
use crate::epoch::LeaderEpochs;
use crate::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Timestamp};

const VERSION: i16 = 1;
const STAMP_MAGIC: [u8; 4] = *b"FLPS";

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct PrefixLayout {
    version: I16,
    crc: U32,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct EntryLayout {
    producer_id: I64,
    epoch: I16,
    last_sequence: I32,
    last_offset: I64,
    offset_delta: I32,
    timestamp: I64,
    coordinator_epoch: I32,
    transaction_start: I64,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct StampLayout {
    magic: [u8; 4],
    offset: I64,
    leader_epoch: I32,
}

/// Up to where a snapshot holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SnapshotStamp {
    /// The states are those after the last record before this offset.
    pub offset: Offset,
    /// The epoch that wrote that record; [`LeaderEpoch::NONE`] when there is none.
    pub leader_epoch: LeaderEpoch,
}

impl SnapshotStamp {
    /// The stamp for states that go up to `offset` of a log with these epochs.
    #[must_use]
    pub fn at(offset: Offset, epochs: &LeaderEpochs) -> Self {
        let last = Offset(offset.0.saturating_sub(1));
        Self { offset, leader_epoch: epochs.epoch_for_offset(last).unwrap_or(LeaderEpoch::NONE) }
    }

    /// Whether the records the snapshot goes up to are those of a log that starts at `log_start` and has these epochs.
    ///
    /// The list tells nothing of what lies before the log's start. Nothing there was ever cut, for a log starts no later than what
    /// was committed: what a snapshot from there says of its producers holds, and often is all that is left of them.
    #[must_use]
    pub fn agrees_with(&self, epochs: &LeaderEpochs, log_start: Offset) -> bool {
        if self.offset <= log_start {
            return epochs.entries().first().is_none_or(|first| self.leader_epoch <= first.epoch);
        }
        *self == Self::at(self.offset, epochs)
    }
}

/// What a snapshot file holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProducerSnapshot {
    /// The producers.
    pub states: ProducerStates,
    /// Absent in a file of Kafka's own.
    pub stamp: Option<SnapshotStamp>,
}

/// Why a snapshot is not to be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SnapshotError {
    /// Fewer bytes than it says.
    TooShort,
    /// Another version.
    Version(i16),
    /// The CRC does not hold.
    Crc,
    /// More entries than there may be, a negative count, or bytes behind the entries that are no stamp.
    Layout,
}

impl ProducerSnapshot {
    /// About how many bytes the snapshot of these states takes.
    #[must_use]
    pub fn estimate_bytes(states: &ProducerStates) -> usize {
        // Most producers have more than one batch remembered, few the most there can be.
        64 + states.len() * 3 * size_of::<EntryLayout>()
    }

    /// Kafka's name of the snapshot up to `offset`.
    #[must_use]
    pub fn file_name(offset: Offset) -> String {
        let mut name = String::new();
        let _ = write!(name, "{:020}.snapshot", offset.0);
        name
    }

    /// The file's bytes.
    #[must_use]
    pub fn encode(states: &ProducerStates, stamp: SnapshotStamp) -> Vec<u8> {
        let count: usize = states.iter().map(|(_, entry)| entry.batches().len().max(1)).sum();
        let mut bytes = Vec::with_capacity(10 + count * size_of::<EntryLayout>() + size_of::<StampLayout>());
        bytes.extend_from_slice(PrefixLayout { version: I16::new(VERSION), crc: U32::new(0) }.as_bytes());
        bytes.extend_from_slice(&i32::try_from(count).expect("bounded by PRODUCERS_LIMIT").to_be_bytes());
        // What stands for a producer of whom no batch is left.
        let nothing = AppendedBatch { last_sequence: -1, last_offset: Offset(-1), offset_delta: 0, timestamp: Timestamp::NONE };
        for (id, entry) in states.iter() {
            let batches = if entry.batches().is_empty() { core::slice::from_ref(&nothing) } else { entry.batches() };
            for (index, batch) in batches.iter().enumerate() {
                // Who reads it takes the last entry's for when the producer was last heard of.
                let is_last = index + 1 == batches.len();
                let timestamp = if is_last { entry.last_timestamp() } else { batch.timestamp };
                let layout = EntryLayout {
                    producer_id: I64::new(id.0),
                    epoch: I16::new(entry.epoch().0),
                    last_sequence: I32::new(batch.last_sequence),
                    last_offset: I64::new(batch.last_offset.0),
                    offset_delta: I32::new(batch.offset_delta),
                    timestamp: I64::new(timestamp.0),
                    coordinator_epoch: I32::new(entry.coordinator_epoch()),
                    transaction_start: I64::new(entry.current_transaction_start().map_or(-1, |offset| offset.0)),
                };
                bytes.extend_from_slice(layout.as_bytes());
            }
        }
        let stamp =
            StampLayout { magic: STAMP_MAGIC, offset: I64::new(stamp.offset.0), leader_epoch: I32::new(stamp.leader_epoch.0) };
        bytes.extend_from_slice(stamp.as_bytes());
        let prefix_bytes = size_of::<PrefixLayout>();
        let crc = crc32c::crc32c(&bytes[prefix_bytes..]);
        bytes[2..prefix_bytes].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    /// Read a file's bytes.
    ///
    /// # Errors
    /// The bytes are no snapshot, or a damaged one.
    pub fn decode(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let (prefix, rest) = PrefixLayout::ref_from_prefix(bytes).map_err(|_| SnapshotError::TooShort)?;
        if prefix.version.get() != VERSION {
            return Err(SnapshotError::Version(prefix.version.get()));
        }
        if crc32c::crc32c(rest) != prefix.crc.get() {
            return Err(SnapshotError::Crc);
        }
        let (count, rest) = I32::ref_from_prefix(rest).map_err(|_| SnapshotError::TooShort)?;
        let count = usize::try_from(count.get()).map_err(|_| SnapshotError::Layout)?;
        let (entries, rest) = <[EntryLayout]>::ref_from_prefix_with_elems(rest, count).map_err(|_| SnapshotError::TooShort)?;
        let mut states = ProducerStates::new();
        for layout in entries {
            restore(&mut states, layout);
            if states.len() > PRODUCERS_LIMIT {
                return Err(SnapshotError::Layout);
            }
        }
        let stamp = match rest {
            [] => None,
            _ => match StampLayout::ref_from_bytes(rest) {
                Ok(stamp) if stamp.magic == STAMP_MAGIC => Some(SnapshotStamp {
                    offset: Offset(stamp.offset.get()),
                    leader_epoch: LeaderEpoch(stamp.leader_epoch.get()),
                }),
                _ => return Err(SnapshotError::Layout),
            },
        };
        Ok(Self { states, stamp })
    }
}

fn restore(states: &mut ProducerStates, layout: &EntryLayout) {
    let epoch = ProducerEpoch(layout.epoch.get());
    let entry = states.insert(ProducerId(layout.producer_id.get()), epoch);
    let timestamp = Timestamp(layout.timestamp.get());
    if layout.last_offset.get() >= 0 {
        let batch = AppendedBatch {
            last_sequence: layout.last_sequence.get(),
            last_offset: Offset(layout.last_offset.get()),
            offset_delta: layout.offset_delta.get(),
            timestamp,
        };
        entry.push(epoch, batch);
    }
    let transaction_start = Some(Offset(layout.transaction_start.get())).filter(|offset| offset.0 >= 0);
    entry.restore(timestamp, layout.coordinator_epoch.get(), transaction_start);
}
