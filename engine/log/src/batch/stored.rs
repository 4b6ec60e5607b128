//! Batches read back from a log or a journal.
//!
//! What a broker stored it had validated, so only what a disk can do to it is asked: is there a batch, is all of it there, does
//! its CRC hold. Continuity of offsets and epochs is the reader's to check.

use super::header::{BATCH_OVERHEAD_BYTES, BatchHeader, CRC_START_BYTES, HeaderError, LENGTH_OVERHEAD_BYTES};

/// A whole batch whose CRC holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StoredBatch<'a> {
    /// Its header.
    pub header: BatchHeader,
    /// All of it, header included, and nothing behind it.
    pub bytes: &'a [u8],
}

/// What is wrong with bytes that should be a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StoredFault {
    /// The header cannot be one.
    Header(HeaderError),
    /// A field of the header cannot be what it is.
    Count,
    /// The bytes are not those that were summed up.
    Crc {
        /// As the header has it.
        stored: u32,
        /// As the bytes give it.
        computed: u32,
    },
}

impl core::fmt::Display for StoredFault {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Header(error) => error.fmt(formatter),
            Self::Count => formatter.write_str("the record count or the last offset delta of the batch is negative"),
            Self::Crc { stored, computed } => {
                write!(formatter, "the batch has CRC {stored:#010x} and its bytes give {computed:#010x}")
            }
        }
    }
}

/// What lies in front of some bytes of a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StoredRead<'a> {
    /// A batch.
    Batch(StoredBatch<'a>),
    /// Nothing: no bytes, or a zero where the length would be (space reserved in advance).
    End,
    /// The start of what may be a batch; with this many bytes, counted from its first, more can be said.
    Incomplete {
        /// How many. Comes from the length field, so it may be as wrong as that.
        needed_bytes: usize,
    },
    /// No batch of ours.
    Corrupt(StoredFault),
}

/// Read the batch in front of `bytes`, which may go on beyond it.
#[must_use]
pub fn read_stored(bytes: &[u8]) -> StoredRead<'_> {
    let Some(length) = bytes.get(8..LENGTH_OVERHEAD_BYTES) else {
        let nothing = bytes.iter().all(|byte| *byte == 0);
        return if nothing { StoredRead::End } else { StoredRead::Incomplete { needed_bytes: BATCH_OVERHEAD_BYTES } };
    };
    if length == [0; 4] {
        return StoredRead::End;
    }
    let header = match BatchHeader::parse(bytes) {
        Ok(header) => header,
        Err(HeaderError::TooShort { .. }) => return StoredRead::Incomplete { needed_bytes: BATCH_OVERHEAD_BYTES },
        Err(error) => return StoredRead::Corrupt(StoredFault::Header(error)),
    };
    let needed_bytes = header.total_bytes();
    let Some(batch) = bytes.get(..needed_bytes) else {
        return StoredRead::Incomplete { needed_bytes };
    };
    let computed = crc32c::crc32c(&batch[CRC_START_BYTES..]);
    if computed != header.crc {
        return StoredRead::Corrupt(StoredFault::Crc { stored: header.crc, computed });
    }
    if header.record_count < 0 || header.last_offset_delta < 0 {
        return StoredRead::Corrupt(StoredFault::Count);
    }
    StoredRead::Batch(StoredBatch { header, bytes: batch })
}
