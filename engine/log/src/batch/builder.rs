//! Making batches: for the client's producer, for the coordinators' own records, and for a batch encoded anew.

use alloc::vec::Vec;
use bytes::Bytes;

use super::header::{Attributes, BATCH_OVERHEAD_BYTES, BatchHeader, CRC_START_BYTES, LENGTH_OVERHEAD_BYTES, TimestampType};
use super::validated::ValidatedBatch;
use super::varint::{varlong_bytes, write_varlong};
use crate::compression::{self, Codec, CompressionError};
use crate::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Timestamp};

/// Which producer a batch is from, and where it stands in that producer's count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProducerInfo {
    /// The producer.
    pub id: ProducerId,
    /// Its incarnation.
    pub epoch: ProducerEpoch,
    /// Sequence number of the batch's first record.
    pub base_sequence: i32,
    /// Whether the batch is part of a transaction.
    pub is_transactional: bool,
}

impl ProducerInfo {
    /// A producer without idempotence.
    pub const NONE: Self = Self { id: ProducerId::NONE, epoch: ProducerEpoch(-1), base_sequence: -1, is_transactional: false };
}

/// A batch in the making. Its offsets count from zero.
#[derive(Clone, Debug, Default)]
pub struct BatchBuilder {
    payload: Vec<u8>,
    record_count: i32,
    base_timestamp: Timestamp,
    max_timestamp: Timestamp,
}

impl BatchBuilder {
    /// A batch without records.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes of the batch if it were built now without compression.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        BATCH_OVERHEAD_BYTES + self.payload.len()
    }

    /// Records so far.
    #[must_use]
    pub const fn record_count(&self) -> i32 {
        self.record_count
    }

    /// Whether there are no records.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.record_count == 0
    }

    /// An upper bound of the bytes one more record takes, whatever its place and timestamp.
    #[must_use]
    pub fn record_bytes_max(key: Option<&[u8]>, value: Option<&[u8]>, headers: &[(&[u8], Option<&[u8]>)]) -> usize {
        // Length, attributes, timestamp delta and offset delta at their longest.
        const FRAME_BYTES_MAX: usize = 5 + 1 + 10 + 5;
        FRAME_BYTES_MAX + content_bytes(key, value, headers)
    }

    /// Add a record. Absent and empty keys and values differ.
    pub fn append(&mut self, timestamp: Timestamp, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[(&[u8], Option<&[u8]>)]) {
        let delta = self.start_record(timestamp);
        write_frame(&mut self.payload, 0, delta, self.record_count, content_bytes(key, value, headers));
        write_nullable(&mut self.payload, key);
        write_nullable(&mut self.payload, value);
        write_varlong(&mut self.payload, length_of(headers.len()));
        for (header_key, header_value) in headers {
            write_nullable(&mut self.payload, Some(header_key));
            write_nullable(&mut self.payload, *header_value);
        }
        self.record_count += 1;
    }

    fn start_record(&mut self, timestamp: Timestamp) -> i64 {
        if self.record_count == 0 {
            self.base_timestamp = timestamp;
            self.max_timestamp = Timestamp::NONE;
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);
        timestamp.0.wrapping_sub(self.base_timestamp.0)
    }

    /// The batch's bytes.
    ///
    /// # Errors
    /// The codec gave up.
    pub fn build(self, codec: Codec, level: Option<i32>, producer: ProducerInfo) -> Result<Bytes, CompressionError> {
        let (header, body) = self.into_parts(codec, level, producer)?;
        let mut bytes = Vec::with_capacity(header.total_bytes());
        bytes.extend_from_slice(&header.encode());
        bytes.extend_from_slice(&body);
        Ok(bytes.into())
    }

    /// A batch of the broker's own, which needs no check. `None` for one without records.
    ///
    /// # Errors
    /// The codec gave up.
    pub fn build_validated(
        self,
        codec: Codec,
        level: Option<i32>,
        producer: ProducerInfo,
    ) -> Result<Option<ValidatedBatch>, CompressionError> {
        if self.is_empty() {
            return Ok(None);
        }
        let (header, body) = self.into_parts(codec, level, producer)?;
        Ok(Some(ValidatedBatch::vouched(header, body)))
    }

    fn into_parts(
        self,
        codec: Codec,
        level: Option<i32>,
        producer: ProducerInfo,
    ) -> Result<(BatchHeader, Bytes), CompressionError> {
        let header = BatchHeader {
            base_offset: Offset::ZERO,
            length: 0,
            partition_leader_epoch: LeaderEpoch::NONE,
            crc: 0,
            attributes: Attributes::default()
                .with_timestamp_type(TimestampType::CreateTime)
                .with_transactional(producer.is_transactional),
            last_offset_delta: self.record_count - 1,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            base_sequence: producer.base_sequence,
            record_count: self.record_count,
        };
        encode_body(header, self.payload.into(), codec, level)
    }
}

/// Compress a payload and fit a header's codec, length and CRC to it.
pub(super) fn encode_body(
    mut header: BatchHeader,
    payload: Bytes,
    codec: Codec,
    level: Option<i32>,
) -> Result<(BatchHeader, Bytes), CompressionError> {
    let body = if codec == Codec::None { payload } else { compression::compress(codec, level, &payload)?.into() };
    header.attributes = header.attributes.with_compression(codec);
    let header = sealed(header, &body).ok_or(CompressionError::TooLarge { limit_bytes: i32::MAX as usize })?;
    Ok((header, body))
}

/// The header with the length and the CRC of this body. `None` if it is too long.
pub(crate) fn sealed(mut header: BatchHeader, body: &[u8]) -> Option<BatchHeader> {
    header.length = i32::try_from(BATCH_OVERHEAD_BYTES - LENGTH_OVERHEAD_BYTES + body.len()).ok()?;
    header.crc = crc_of(&header, body);
    Some(header)
}

/// The CRC of a batch with this header and body.
pub(super) fn crc_of(header: &BatchHeader, body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&header.encode()[CRC_START_BYTES..]), body)
}

/// Append a record that is encoded already, but for its place: content is key, value and headers.
pub(crate) fn write_record(payload: &mut Vec<u8>, attributes: u8, timestamp_delta: i64, offset_delta: i32, content: &[u8]) {
    write_frame(payload, attributes, timestamp_delta, offset_delta, content.len());
    payload.extend_from_slice(content);
}

fn write_frame(payload: &mut Vec<u8>, attributes: u8, timestamp_delta: i64, offset_delta: i32, content_bytes: usize) {
    let length = 1 + varlong_bytes(timestamp_delta) + varlong_bytes(i64::from(offset_delta)) + content_bytes;
    write_varlong(payload, length_of(length));
    payload.push(attributes);
    write_varlong(payload, timestamp_delta);
    write_varlong(payload, i64::from(offset_delta));
}

fn write_nullable(payload: &mut Vec<u8>, field: Option<&[u8]>) {
    let Some(field) = field else { return write_varlong(payload, -1) };
    write_varlong(payload, length_of(field.len()));
    payload.extend_from_slice(field);
}

fn content_bytes(key: Option<&[u8]>, value: Option<&[u8]>, headers: &[(&[u8], Option<&[u8]>)]) -> usize {
    let mut bytes = nullable_bytes(key) + nullable_bytes(value) + varlong_bytes(length_of(headers.len()));
    for (header_key, header_value) in headers {
        bytes += nullable_bytes(Some(header_key)) + nullable_bytes(*header_value);
    }
    bytes
}

fn nullable_bytes(field: Option<&[u8]>) -> usize {
    field.map_or(1, |field| varlong_bytes(length_of(field.len())) + field.len())
}

fn length_of(length: usize) -> i64 {
    i64::try_from(length).expect("no slice is longer than isize::MAX")
}
