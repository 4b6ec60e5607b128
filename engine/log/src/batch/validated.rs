//! A batch that passed, before and after it has its offsets.
//!
//! A [`ValidatedBatch`] is proof: only [`super::RecordBatch::validate`] and [`super::BatchBuilder::build_validated`] make one.
//! It keeps the header apart from the body, so that giving offsets, fixing a timestamp or stamping an epoch never writes to the
//! frame the body is shared with.

use bytes::Bytes;

use super::header::{BATCH_OVERHEAD_BYTES, BatchHeader};
use crate::{LeaderEpoch, Offset, Timestamp};

/// A batch fit to be appended. Its offsets count from zero.
#[derive(Clone, Debug)]
pub struct ValidatedBatch {
    header: BatchHeader,
    body: Bytes,
    unpacked_bytes: usize,
}

impl ValidatedBatch {
    /// The caller vouches for both; the header's length is that of the body.
    pub(super) fn vouched(header: BatchHeader, body: Bytes) -> Self {
        debug_assert_eq!(header.total_bytes(), BATCH_OVERHEAD_BYTES + body.len());
        Self { header, body, unpacked_bytes: 0 }
    }

    /// To find it valid, records had to be decompressed to so many bytes.
    pub(super) const fn unpacked(mut self, bytes: usize) -> Self {
        self.unpacked_bytes = bytes;
        self
    }

    /// What its records came to when they were decompressed to be validated; zero if they were not.
    #[must_use]
    pub const fn unpacked_bytes(&self) -> usize {
        self.unpacked_bytes
    }

    /// The header, patched where the rules asked for it.
    #[must_use]
    pub const fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The records as they will be stored, without the header.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// Bytes of header and records together.
    #[must_use]
    pub fn total_bytes(&self) -> usize {
        BATCH_OVERHEAD_BYTES + self.body.len()
    }

    /// How many records; at least one.
    #[must_use]
    pub const fn record_count(&self) -> i32 {
        self.header.record_count
    }

    /// The greatest timestamp.
    #[must_use]
    pub const fn max_timestamp(&self) -> Timestamp {
        self.header.max_timestamp
    }

    /// Give the batch its place: copies the header with base offset and leader epoch set; the CRC covers neither.
    #[must_use]
    pub fn stamp(self, base_offset: Offset, leader_epoch: LeaderEpoch) -> StampedBatch {
        let header = BatchHeader { base_offset, partition_leader_epoch: leader_epoch, ..self.header };
        StampedBatch { header, encoded: header.encode(), body: self.body }
    }
}

/// A batch with its place in a log: exactly the bytes that go to disk, in two pieces.
#[derive(Clone, Debug)]
pub struct StampedBatch {
    header: BatchHeader,
    encoded: [u8; BATCH_OVERHEAD_BYTES],
    body: Bytes,
}

impl StampedBatch {
    /// The header, offsets and epoch included.
    #[must_use]
    pub const fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The header as it is written.
    #[must_use]
    pub const fn header_bytes(&self) -> &[u8; BATCH_OVERHEAD_BYTES] {
        &self.encoded
    }

    /// The records as they are written; shared with the frame they came in.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// Both pieces in order, for a gathering write or a copy.
    #[must_use]
    pub fn pieces(&self) -> [&[u8]; 2] {
        [&self.encoded, &self.body]
    }

    /// Bytes of both pieces.
    #[must_use]
    pub fn total_bytes(&self) -> usize {
        BATCH_OVERHEAD_BYTES + self.body.len()
    }

    /// Offset of the first record.
    #[must_use]
    pub const fn base_offset(&self) -> Offset {
        self.header.base_offset
    }

    /// Offset of the last record.
    #[must_use]
    pub const fn last_offset(&self) -> Offset {
        self.header.last_offset()
    }
}
