//! What a batch is held against, and what it is refused with.

use alloc::{string::String, vec::Vec};

use super::header::TimestampType;
use crate::Timestamp;
use crate::compression::Codec;

/// Who wrote a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A client, through Produce.
    Client,
    /// A coordinator of this broker.
    Coordinator,
}

/// How a topic wants its batches compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TargetCompression {
    /// As the producer sent them.
    Producer,
    /// Like this, whatever the producer did. A batch that has the codec already is kept as it is.
    Codec {
        /// The codec.
        codec: Codec,
        /// Its level; the codec's own default when absent.
        level: Option<i32>,
    },
}

/// What a batch is held against: settings of its topic and of the request it came in.
#[derive(Clone, Debug)]
pub struct ValidationRules {
    /// The time of the append.
    pub now: Timestamp,
    /// `message.timestamp.type`
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`
    pub timestamp_after_max_ms: i64,
    /// `max.message.bytes`, header included.
    pub max_message_bytes: usize,
    /// `segment.bytes`
    pub segment_bytes: usize,
    /// Whether records without a key are refused: the topic is compacted.
    pub key_required: bool,
    /// `compression.type` and the codec's level.
    pub compression: TargetCompression,
    /// `flumen.validate.compressed`: walk the records of compressed batches too.
    pub validate_compressed: bool,
    /// Most bytes a compressed body may become.
    pub decompressed_limit_bytes: usize,
    /// Whether the request's version may carry zstd (Produce 7 and later).
    pub zstd_allowed: bool,
    /// Who wrote the batch.
    pub origin: Origin,
}

/// Why a batch is refused. Each kind is one Kafka error code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BatchErrorKind {
    /// 2 `CORRUPT_MESSAGE`: the CRC does not hold, or the length cannot be that of a batch.
    Corrupt,
    /// 10 `MESSAGE_TOO_LARGE`
    MessageTooLarge,
    /// 18 `RECORD_LIST_TOO_LARGE`
    RecordListTooLarge,
    /// 32 `INVALID_TIMESTAMP`
    InvalidTimestamp,
    /// 76 `UNSUPPORTED_COMPRESSION_TYPE`
    UnsupportedCompression,
    /// 87 `INVALID_RECORD`
    InvalidRecord,
}

/// One record that is refused, for Produce 8 and later.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordError {
    /// Which, counted from zero within the batch.
    pub batch_index: i32,
    /// Why.
    pub message: String,
}

/// A batch refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BatchError {
    /// Why, for the code.
    pub kind: BatchErrorKind,
    /// Why, for people.
    pub message: String,
    /// The records at fault, where it is about records; at most [`BatchError::RECORD_ERRORS_LIMIT`].
    pub record_errors: Vec<RecordError>,
    /// What was decompressed to find out, in bytes.
    pub unpacked_bytes: usize,
}

impl BatchError {
    /// Most records named in one refusal: a reply must not outgrow the request it answers.
    pub const RECORD_ERRORS_LIMIT: usize = 1000;

    /// A refusal of the batch as a whole.
    pub(crate) fn new(kind: BatchErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), record_errors: Vec::new(), unpacked_bytes: 0 }
    }
}

impl core::fmt::Display for BatchError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl core::error::Error for BatchError {}
