//! Holding a batch against the rules of its topic (kafka.md P03–P11, P25, P26).
//!
//! First the envelope: one batch, its size, its CRC; then what the header alone shows; then the records, where they must be seen.
//! Records of an uncompressed batch always are. Those of a compressed one only where something asks for it: a compacted topic
//! wants keys, the topic wants another codec, the configuration wants everything walked, or the header's timestamps are outside
//! the window and it must be said which records are.
//!
//! A good batch passes with one pass of CRC over its bytes, without an allocation and without a copy. A header that must change
//! (max timestamp, clock) is changed in the parsed copy, with its CRC; only records that must change are encoded anew.

use alloc::{format, string::String, vec::Vec};
use bytes::Bytes;

use super::builder::{crc_of, encode_body, write_record};
use super::header::{BATCH_OVERHEAD_BYTES, BatchHeader, CRC_START_BYTES, HeaderError, TimestampType};
use super::record::{RecordView, RecordWalk};
use super::rules::{Origin, RecordError, TargetCompression};
use super::{BatchError, BatchErrorKind, RecordBatch, ValidatedBatch, ValidationRules};
use crate::checksum::{self, COMBINE_BYTES_MIN};
use crate::compression::{self, Codec, CompressionError};
use crate::{Offset, Timestamp};

impl RecordBatch {
    /// Check the one batch that `bytes` must be, and bring it into the form it is stored in.
    ///
    /// # Errors
    /// The batch is refused, as [`BatchErrorKind`] says.
    pub fn validate(bytes: Bytes, rules: &ValidationRules) -> Result<ValidatedBatch, BatchError> {
        let header = open_envelope(&bytes, rules)?;
        let codec = check_header(&header, rules)?;
        let body = bytes.slice(BATCH_OVERHEAD_BYTES..);
        let target = target_codec(&header, codec, rules);
        let walks = codec == Codec::None
            || target != codec
            || rules.key_required
            || rules.validate_compressed
            || timestamps_suspicious(&header, rules);
        let batch = if walks { walk_and_fit(header, body, codec, target, rules)? } else { fit(header, body, rules) };
        check_size(batch.total_bytes(), rules.max_message_bytes, BatchErrorKind::MessageTooLarge)?;
        check_size(batch.total_bytes(), rules.segment_bytes, BatchErrorKind::RecordListTooLarge)?;
        Ok(batch)
    }
}

fn invalid(message: impl Into<String>) -> BatchError {
    BatchError::new(BatchErrorKind::InvalidRecord, message)
}

fn check_size(size_bytes: usize, limit_bytes: usize, kind: BatchErrorKind) -> Result<(), BatchError> {
    if size_bytes <= limit_bytes {
        return Ok(());
    }
    let limit = if kind == BatchErrorKind::RecordListTooLarge { "a segment" } else { "max.message.bytes" };
    Err(BatchError::new(kind, format!("the batch has {size_bytes} bytes, {limit} allows {limit_bytes}")))
}

/// One whole batch, small enough, and the bytes its producer summed up.
fn open_envelope(bytes: &Bytes, rules: &ValidationRules) -> Result<BatchHeader, BatchError> {
    if bytes.is_empty() {
        return Err(invalid("there is no batch where there must be exactly one"));
    }
    let header = BatchHeader::parse(bytes).map_err(|error| match error {
        HeaderError::Length(_) => BatchError::new(BatchErrorKind::Corrupt, format!("{error}")),
        HeaderError::TooShort { .. } | HeaderError::Magic(_) => invalid(format!("{error}")),
    })?;
    let (claimed, have) = (header.total_bytes(), bytes.len());
    if claimed > have {
        return Err(invalid(format!("the batch says it has {claimed} bytes and only {have} came")));
    }
    if claimed < have {
        return Err(invalid("bytes follow the batch, there must be exactly one"));
    }
    check_size(claimed, rules.max_message_bytes, BatchErrorKind::MessageTooLarge)?;
    let computed = crc32c::crc32c(&bytes[CRC_START_BYTES..]);
    if computed != header.crc {
        let message = format!("the batch has CRC {:#010x} and its bytes give {computed:#010x}", header.crc);
        return Err(BatchError::new(BatchErrorKind::Corrupt, message));
    }
    Ok(header)
}

/// What the header alone shows. Gives the codec of the body.
fn check_header(header: &BatchHeader, rules: &ValidationRules) -> Result<Codec, BatchError> {
    if header.base_offset != Offset::ZERO {
        return Err(invalid(format!("the base offset of a new batch must be 0, not {}", header.base_offset)));
    }
    let (count, delta) = (header.record_count, header.last_offset_delta);
    if count <= 0 || i64::from(count) != i64::from(delta) + 1 {
        return Err(invalid(format!("a record count of {count} does not go with a last offset delta of {delta}")));
    }
    if rules.origin == Origin::Client {
        if header.attributes.is_control() {
            return Err(invalid("clients may not write control batches"));
        }
        if header.has_producer() && header.base_sequence < 0 {
            let message = format!("producer {} sent the sequence number {}", header.producer_id, header.base_sequence);
            return Err(invalid(message));
        }
    }
    if rules.timestamp_type == TimestampType::CreateTime && header.attributes.timestamp_type() == TimestampType::LogAppendTime {
        let message = "the topic takes the producer's timestamps, and the batch claims the broker's";
        return Err(BatchError::new(BatchErrorKind::InvalidTimestamp, message));
    }
    let unsupported = |message| BatchError::new(BatchErrorKind::UnsupportedCompression, message);
    match header.attributes.compression() {
        None => Err(unsupported("the codec of the batch is not known")),
        Some(Codec::Zstd) if !rules.zstd_allowed => Err(unsupported("zstd needs version 7 of Produce or later")),
        Some(codec) => Ok(codec),
    }
}

/// The codec to store the batch with. Control batches stay as the coordinator wrote them.
fn target_codec(header: &BatchHeader, codec: Codec, rules: &ValidationRules) -> Codec {
    match rules.compression {
        TargetCompression::Codec { codec: wanted, .. } if !header.attributes.is_control() => wanted,
        TargetCompression::Codec { .. } | TargetCompression::Producer => codec,
    }
}

/// Whether a timestamp lies outside the topic's window. Having none is allowed (P08).
fn out_of_window(timestamp: Timestamp, rules: &ValidationRules) -> bool {
    let age_ms = rules.now.0.saturating_sub(timestamp.0);
    timestamp != Timestamp::NONE
        && (age_ms > rules.timestamp_before_max_ms || age_ms.saturating_neg() > rules.timestamp_after_max_ms)
}

/// Whether the header shows that some record's timestamp must lie outside the window.
fn timestamps_suspicious(header: &BatchHeader, rules: &ValidationRules) -> bool {
    rules.timestamp_type == TimestampType::CreateTime
        && (out_of_window(header.max_timestamp, rules) || out_of_window(header.base_timestamp, rules))
}

/// What a walk over the records found besides faults.
struct Walked {
    max_timestamp: Timestamp,
    /// Whether offset deltas count up from zero.
    consecutive: bool,
}

fn walk_and_fit(
    mut header: BatchHeader,
    body: Bytes,
    codec: Codec,
    target: Codec,
    rules: &ValidationRules,
) -> Result<ValidatedBatch, BatchError> {
    let payload = if codec == Codec::None { body.clone() } else { decompress(codec, &body, rules)? };
    let unpacked_bytes = if codec == Codec::None { 0 } else { payload.len() };
    let walked = walk(&header, &payload, rules).map_err(|error| BatchError { unpacked_bytes, ..error })?;
    if walked.consecutive && target == codec {
        let batch = match rules.timestamp_type {
            TimestampType::CreateTime => patch(header, body, header.attributes.timestamp_type(), walked.max_timestamp),
            TimestampType::LogAppendTime => fit(header, body, rules),
        };
        return Ok(batch.unpacked(unpacked_bytes));
    }
    header.attributes = header.attributes.with_timestamp_type(rules.timestamp_type);
    header.max_timestamp = match rules.timestamp_type {
        TimestampType::CreateTime => walked.max_timestamp,
        TimestampType::LogAppendTime => rules.now,
    };
    let payload = if walked.consecutive { payload } else { renumber(&header, &payload)?.into() };
    let level = match rules.compression {
        TargetCompression::Codec { level, .. } => level,
        TargetCompression::Producer => None,
    };
    let (header, body) = encode_body(header, payload, target, level)
        .map_err(|error| BatchError::new(BatchErrorKind::MessageTooLarge, format!("the batch cannot be encoded: {error}")))?;
    Ok(ValidatedBatch::vouched(header, body).unpacked(unpacked_bytes))
}

fn decompress(codec: Codec, body: &[u8], rules: &ValidationRules) -> Result<Bytes, BatchError> {
    compression::decompress(codec, body, rules.decompressed_limit_bytes).map(Bytes::from).map_err(|error| {
        let (kind, unpacked_bytes) = match error {
            CompressionError::TooLarge { limit_bytes } => (BatchErrorKind::MessageTooLarge, limit_bytes),
            CompressionError::Invalid => (BatchErrorKind::InvalidRecord, body.len()),
        };
        BatchError { unpacked_bytes, ..BatchError::new(kind, format!("the batch cannot be decompressed: {error}")) }
    })
}

/// Give the batch its clock: nothing for the producer's, now for the broker's.
fn fit(header: BatchHeader, body: Bytes, rules: &ValidationRules) -> ValidatedBatch {
    match rules.timestamp_type {
        TimestampType::CreateTime => ValidatedBatch::vouched(header, body),
        TimestampType::LogAppendTime => patch(header, body, TimestampType::LogAppendTime, rules.now),
    }
}

/// The batch with this clock and max timestamp, and the CRC that goes with them.
fn patch(header: BatchHeader, body: Bytes, timestamp_type: TimestampType, max_timestamp: Timestamp) -> ValidatedBatch {
    let attributes = header.attributes.with_timestamp_type(timestamp_type);
    let mut patched = BatchHeader { attributes, max_timestamp, ..header };
    if patched != header {
        patched.crc = patched_crc(&header, &patched, &body);
    }
    ValidatedBatch::vouched(patched, body)
}

/// The CRC of a body under another header than the one its CRC is known for.
fn patched_crc(header: &BatchHeader, patched: &BatchHeader, body: &[u8]) -> u32 {
    if body.len() < COMBINE_BYTES_MIN {
        return crc_of(patched, body);
    }
    // A CRC is linear: what changes is the difference of the headers' own, moved past the body.
    let difference = crc32c::crc32c(&header.encode()[CRC_START_BYTES..]) ^ crc32c::crc32c(&patched.encode()[CRC_START_BYTES..]);
    header.crc ^ checksum::combine(difference, 0, body.len())
}

/// Look at every record.
fn walk(header: &BatchHeader, payload: &[u8], rules: &ValidationRules) -> Result<Walked, BatchError> {
    let mut walked = Walked { max_timestamp: Timestamp::NONE, consecutive: true };
    let mut faults = RecordFaults::default();
    for (index, record) in (0..).zip(RecordWalk::new(payload, header.record_count)) {
        let record = record.map_err(|fault| {
            let message = String::from(fault.as_str());
            let mut error = invalid(format!("record {index} of {} is invalid: {message}", header.record_count));
            error.record_errors.push(RecordError { batch_index: index, message });
            error
        })?;
        walked.consecutive &= record.offset_delta == index;
        if rules.key_required && record.key.is_none() {
            faults.add(index, BatchErrorKind::InvalidRecord, || "a compacted topic takes no record without a key".into());
        } else if rules.timestamp_type == TimestampType::CreateTime {
            check_timestamp(&record, index, header, rules, &mut faults);
            walked.max_timestamp = walked.max_timestamp.max(record.timestamp(header));
        }
    }
    faults.into_result()?;
    Ok(walked)
}

fn check_timestamp(
    record: &RecordView<'_>,
    index: i32,
    header: &BatchHeader,
    rules: &ValidationRules,
    faults: &mut RecordFaults,
) {
    let timestamp = record.timestamp(header);
    if out_of_window(timestamp, rules) {
        faults.add(index, BatchErrorKind::InvalidTimestamp, || {
            let earliest = rules.now.0.saturating_sub(rules.timestamp_before_max_ms);
            let latest = rules.now.0.saturating_add(rules.timestamp_after_max_ms);
            format!("timestamp {timestamp} is outside of {earliest} to {latest}")
        });
    }
}

/// The records found at fault.
#[derive(Default)]
struct RecordFaults {
    count: usize,
    timestamp: bool,
    errors: Vec<RecordError>,
}

impl RecordFaults {
    fn add(&mut self, batch_index: i32, kind: BatchErrorKind, message: impl FnOnce() -> String) {
        self.count += 1;
        self.timestamp |= kind == BatchErrorKind::InvalidTimestamp;
        if self.errors.len() < BatchError::RECORD_ERRORS_LIMIT {
            self.errors.push(RecordError { batch_index, message: message() });
        }
    }

    /// As in Kafka, a single timestamp at fault makes the whole about timestamps.
    fn into_result(self) -> Result<(), BatchError> {
        let Some(first) = self.errors.first() else { return Ok(()) };
        let kind = if self.timestamp { BatchErrorKind::InvalidTimestamp } else { BatchErrorKind::InvalidRecord };
        let message = format!("{} records are refused; record {}: {}", self.count, first.batch_index, first.message);
        Err(BatchError { kind, message, record_errors: self.errors, unpacked_bytes: 0 })
    }
}

/// The records with offset deltas counted up from zero.
fn renumber(header: &BatchHeader, payload: &[u8]) -> Result<Vec<u8>, BatchError> {
    let mut output = Vec::with_capacity(payload.len());
    for (index, record) in (0..).zip(RecordWalk::new(payload, header.record_count)) {
        let record = record.map_err(|fault| invalid(fault.as_str()))?;
        write_record(&mut output, record.attributes, record.timestamp_delta, index, record.content);
    }
    Ok(output)
}

#[cfg(test)]
mod tests;
