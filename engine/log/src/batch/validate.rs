//! Holding a batch against the rules of its topic.

use alloc::format;
use bytes::Bytes;

use super::header::{BATCH_OVERHEAD_BYTES, BatchHeader, CRC_START_BYTES};
use super::{BatchError, BatchErrorKind, RecordBatch, ValidatedBatch, ValidationRules};

impl RecordBatch {
    /// Check the one batch that `bytes` must be, and bring it into the form it is stored in.
    ///
    /// # Errors
    /// The batch is refused.
    pub fn validate(bytes: Bytes, rules: &ValidationRules) -> Result<ValidatedBatch, BatchError> {
        let header =
            BatchHeader::parse(&bytes).map_err(|error| BatchError::new(BatchErrorKind::InvalidRecord, format!("{error}")))?;
        if header.total_bytes() != bytes.len() {
            return Err(BatchError::new(BatchErrorKind::InvalidRecord, "there must be exactly one batch"));
        }
        if header.total_bytes() > rules.max_message_bytes {
            return Err(BatchError::new(BatchErrorKind::MessageTooLarge, "the batch is too large"));
        }
        if crc32c::crc32c(&bytes[CRC_START_BYTES..]) != header.crc {
            return Err(BatchError::new(BatchErrorKind::Corrupt, "the CRC of the batch does not hold"));
        }
        Ok(ValidatedBatch::vouched(header, bytes.slice(BATCH_OVERHEAD_BYTES..)))
    }
}
