//! Record batches of message format 2: reading, checking, stamping and making them.
//!
//! A batch is a 61-byte header and a body of records, the body perhaps compressed. The first 21 bytes of the header (base offset,
//! length, leader epoch, magic, CRC) lie outside the CRC-32C, the rest inside. Invariants: bytes from a network or a file never
//! panic and never make more be allocated than a limit that was handed in; the frame a batch came in is shared and never written
//! to. Older formats (magic 0 and 1) are refused, as Kafka 4 does.

pub mod builder;
pub mod header;
pub mod record;
pub mod rules;
pub mod stored;
pub mod validate;
pub mod validated;
mod varint;

#[cfg(test)]
mod oracle_tests;

pub use builder::{BatchBuilder, ProducerInfo};
pub use header::{Attributes, BATCH_OVERHEAD_BYTES, BatchHeader, HeaderError, TimestampType};
pub use record::{Record, RecordFault, RecordHeader, Records};
pub use rules::{BatchError, BatchErrorKind, Origin, RecordError, TargetCompression, ValidationRules};
pub use stored::{StoredBatch, StoredFault, StoredRead, read_stored};
pub use validated::{StampedBatch, ValidatedBatch};

/// What is done to a batch as a whole: see [`RecordBatch::validate`] and [`RecordBatch::records`].
#[derive(Debug)]
pub struct RecordBatch;
