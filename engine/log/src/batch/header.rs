//! The 61 bytes in front of every batch.
//!
//! Invariant: [`BatchHeader::encode`] gives back exactly the bytes that [`BatchHeader::parse`] read. Parsing looks at the length
//! and the magic byte only; whether a batch is sound is for [`super::validate`] and [`super::stored`] to say.

use core::fmt;
use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    big_endian::{I16, I32, I64, U32},
};

use crate::compression::Codec;
use crate::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Timestamp};

/// Bytes of a batch before its records.
pub const BATCH_OVERHEAD_BYTES: usize = 61;
/// Bytes that the length field does not count: base offset and the length itself.
pub const LENGTH_OVERHEAD_BYTES: usize = 12;
/// Bytes before the part that the CRC covers.
pub const CRC_START_BYTES: usize = 21;
/// The one message format there is.
pub const MAGIC: i8 = 2;

const MAGIC_POSITION: usize = 16;

/// A batch's 61 bytes as they lie on the wire and on disk.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
struct HeaderLayout {
    base_offset: I64,
    length: I32,
    partition_leader_epoch: I32,
    magic: i8,
    crc: U32,
    attributes: I16,
    last_offset_delta: I32,
    base_timestamp: I64,
    max_timestamp: I64,
    producer_id: I64,
    producer_epoch: I16,
    base_sequence: I32,
    record_count: I32,
}

const _: () = assert!(size_of::<HeaderLayout>() == BATCH_OVERHEAD_BYTES);

/// Whose clock the timestamps of a batch are from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TimestampType {
    /// The producer's, record by record.
    #[default]
    CreateTime,
    /// The broker's at the append; one for the whole batch, in the header's max timestamp.
    LogAppendTime,
}

/// The attribute bits of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Attributes(pub i16);

impl Attributes {
    const CODEC_MASK: i16 = 0x07;
    const LOG_APPEND_TIME: i16 = 1 << 3;
    const TRANSACTIONAL: i16 = 1 << 4;
    const CONTROL: i16 = 1 << 5;
    const DELETE_HORIZON: i16 = 1 << 6;

    /// The codec of the body; none of the known ones is `None`.
    #[must_use]
    pub const fn compression(self) -> Option<Codec> {
        Codec::from_id(self.0 & Self::CODEC_MASK)
    }

    /// Whose clock the timestamps are from.
    #[must_use]
    pub const fn timestamp_type(self) -> TimestampType {
        if self.0 & Self::LOG_APPEND_TIME == 0 { TimestampType::CreateTime } else { TimestampType::LogAppendTime }
    }

    /// Whether the batch belongs to a transaction.
    #[must_use]
    pub const fn is_transactional(self) -> bool {
        self.0 & Self::TRANSACTIONAL != 0
    }

    /// Whether the batch holds markers of the broker's and no data.
    #[must_use]
    pub const fn is_control(self) -> bool {
        self.0 & Self::CONTROL != 0
    }

    /// Whether the base timestamp is the time from which tombstones may go (D02).
    #[must_use]
    pub const fn has_delete_horizon(self) -> bool {
        self.0 & Self::DELETE_HORIZON != 0
    }

    /// These of a batch whose base timestamp is a delete horizon.
    #[must_use]
    pub const fn with_delete_horizon(self) -> Self {
        Self(self.0 | Self::DELETE_HORIZON)
    }

    /// These of a batch whose base timestamp is one.
    #[must_use]
    pub const fn without_delete_horizon(self) -> Self {
        Self(self.0 & !Self::DELETE_HORIZON)
    }

    /// These with another codec.
    #[must_use]
    pub const fn with_compression(self, codec: Codec) -> Self {
        Self((self.0 & !Self::CODEC_MASK) | codec.id())
    }

    /// These with another clock.
    #[must_use]
    pub const fn with_timestamp_type(self, timestamp_type: TimestampType) -> Self {
        match timestamp_type {
            TimestampType::CreateTime => Self(self.0 & !Self::LOG_APPEND_TIME),
            TimestampType::LogAppendTime => Self(self.0 | Self::LOG_APPEND_TIME),
        }
    }

    /// These with the transactional bit as given.
    #[must_use]
    pub const fn with_transactional(self, transactional: bool) -> Self {
        if transactional { Self(self.0 | Self::TRANSACTIONAL) } else { Self(self.0 & !Self::TRANSACTIONAL) }
    }
}

/// A parsed copy of a batch's header. The magic is not kept: there is one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchHeader {
    /// Offset of the first record.
    pub base_offset: Offset,
    /// Bytes after the length field; at least 49 in a parsed header.
    pub length: i32,
    /// The epoch of the leader that appended the batch.
    pub partition_leader_epoch: LeaderEpoch,
    /// CRC-32C from the attributes to the end.
    pub crc: u32,
    /// Codec, clock and kind.
    pub attributes: Attributes,
    /// Last offset minus base offset. Compaction keeps it when it removes the last record.
    pub last_offset_delta: i32,
    /// What the records' timestamp deltas count from, or the delete horizon.
    pub base_timestamp: Timestamp,
    /// The greatest timestamp of the batch, or the append time.
    pub max_timestamp: Timestamp,
    /// [`ProducerId::NONE`] without idempotence.
    pub producer_id: ProducerId,
    /// The producer's incarnation.
    pub producer_epoch: ProducerEpoch,
    /// Sequence number of the first record, −1 without idempotence.
    pub base_sequence: i32,
    /// Records in the body.
    pub record_count: i32,
}

/// Why bytes are no header of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeaderError {
    /// Fewer bytes than a header has.
    TooShort {
        /// How many there are.
        have_bytes: usize,
    },
    /// Another message format.
    Magic(i8),
    /// A length field below what the rest of the header takes.
    Length(i32),
}

impl fmt::Display for HeaderError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { have_bytes } => {
                write!(formatter, "{have_bytes} bytes are too few for a batch header of {BATCH_OVERHEAD_BYTES}")
            }
            Self::Magic(magic) => write!(formatter, "message format {magic} is not supported, only {MAGIC}"),
            Self::Length(length) => write!(formatter, "batch length {length} is smaller than the batch header"),
        }
    }
}

impl BatchHeader {
    /// Read the header in front of `bytes`, which may go on beyond it or stop short of the batch's end.
    ///
    /// # Errors
    /// Too few bytes, another magic, or a length field that cannot be.
    pub fn parse(bytes: &[u8]) -> Result<Self, HeaderError> {
        if let Some(magic) = bytes.get(MAGIC_POSITION).map(|byte| byte.cast_signed())
            && magic != MAGIC
        {
            return Err(HeaderError::Magic(magic));
        }
        let Ok((layout, _)) = HeaderLayout::ref_from_prefix(bytes) else {
            return Err(HeaderError::TooShort { have_bytes: bytes.len() });
        };
        let length = layout.length.get();
        if usize::try_from(length).unwrap_or_default() < BATCH_OVERHEAD_BYTES - LENGTH_OVERHEAD_BYTES {
            return Err(HeaderError::Length(length));
        }
        Ok(Self {
            base_offset: Offset(layout.base_offset.get()),
            length,
            partition_leader_epoch: LeaderEpoch(layout.partition_leader_epoch.get()),
            crc: layout.crc.get(),
            attributes: Attributes(layout.attributes.get()),
            last_offset_delta: layout.last_offset_delta.get(),
            base_timestamp: Timestamp(layout.base_timestamp.get()),
            max_timestamp: Timestamp(layout.max_timestamp.get()),
            producer_id: ProducerId(layout.producer_id.get()),
            producer_epoch: ProducerEpoch(layout.producer_epoch.get()),
            base_sequence: layout.base_sequence.get(),
            record_count: layout.record_count.get(),
        })
    }

    /// The 61 bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; BATCH_OVERHEAD_BYTES] {
        zerocopy::transmute!(HeaderLayout {
            base_offset: I64::new(self.base_offset.0),
            length: I32::new(self.length),
            partition_leader_epoch: I32::new(self.partition_leader_epoch.0),
            magic: MAGIC,
            crc: U32::new(self.crc),
            attributes: I16::new(self.attributes.0),
            last_offset_delta: I32::new(self.last_offset_delta),
            base_timestamp: I64::new(self.base_timestamp.0),
            max_timestamp: I64::new(self.max_timestamp.0),
            producer_id: I64::new(self.producer_id.0),
            producer_epoch: I16::new(self.producer_epoch.0),
            base_sequence: I32::new(self.base_sequence),
            record_count: I32::new(self.record_count),
        })
    }

    /// Bytes of header and records together.
    #[must_use]
    pub fn total_bytes(&self) -> usize {
        usize::try_from(self.length).unwrap_or_default() + LENGTH_OVERHEAD_BYTES
    }

    /// Offset of the last record.
    #[must_use]
    pub const fn last_offset(&self) -> Offset {
        Offset(self.base_offset.0.saturating_add(self.last_offset_delta as i64))
    }

    /// The offset that the batch after this one starts at or behind.
    #[must_use]
    pub const fn next_offset(&self) -> Offset {
        Offset(self.last_offset().0.saturating_add(1))
    }

    /// Whether an idempotent producer wrote the batch.
    #[must_use]
    pub const fn has_producer(&self) -> bool {
        self.producer_id.0 > ProducerId::NONE.0
    }

    /// Sequence number of the last record; sequences go on from zero after `i32::MAX` (P20).
    #[must_use]
    pub const fn last_sequence(&self) -> i32 {
        sequence_after(self.base_sequence, self.last_offset_delta)
    }
}

/// The sequence number `count` after `sequence`, which wraps to zero after `i32::MAX`.
#[must_use]
pub const fn sequence_after(sequence: i32, count: i32) -> i32 {
    let sum = sequence as i64 + count as i64;
    if sum > i32::MAX as i64 { (sum - i32::MAX as i64 - 1) as i32 } else { sum as i32 }
}
