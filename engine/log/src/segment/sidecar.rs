//! The checksum sidecar of a segment: `<base>.checks`.
//!
//! Written once, when the segment is sealed (or the broker stops cleanly): a header with the segment's length, end, greatest
//! and first timestamps and the chain value over all its batches, then the sparse index with the chain value at each entry, then the time
//! index. All of it is checksummed, so that what a crash left of the file is either whole or known not to be; it is a cache and
//! is rebuilt from the segment.

use alloc::vec::Vec;

use super::index::{IndexEntry, SegmentIndex, Summary, TIME_ENTRY_BYTES, decode_times};
use super::tail::Boundary;
use crate::codec::{Fields, begin_sealed, seal};
use crate::mutants::{self, Mutant};
use crate::{Offset, Timestamp};

/// Bytes of the header.
pub const HEADER_BYTES: usize = 72;
/// Bytes of an entry.
pub(crate) const ENTRY_BYTES: usize = 16;
const MAGIC: [u8; 8] = *b"flumenCK";

/// What a sidecar says about its segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Footer {
    /// The segment's base offset.
    pub base: Offset,
    /// Its length in bytes.
    pub length: u64,
    /// The offset after its last batch.
    pub next_offset: Offset,
    /// The greatest timestamp in it.
    pub max_timestamp: Timestamp,
    /// The first batch's greatest timestamp, where it was written down.
    pub first_timestamp: Option<Timestamp>,
    /// The chain value over all its batches.
    pub chain: u32,
    entries: u32,
    times: u32,
    body_checksum: u32,
    max_timestamp_at: u32,
}

impl Footer {
    /// Read the header of a sidecar.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields::sealed(bytes.get(..HEADER_BYTES)?, MAGIC)?;
        Some(Self {
            body_checksum: fields.u32()?,
            base: Offset(fields.i64()?),
            length: fields.u64()?,
            next_offset: Offset(fields.i64()?),
            max_timestamp: Timestamp(fields.i64()?),
            max_timestamp_at: fields.u32()?,
            chain: fields.u32()?,
            entries: fields.u32()?,
            times: fields.u32()?,
            first_timestamp: Some(Timestamp(fields.i64()?)).filter(|timestamp| timestamp.0 != 0),
        })
    }
}

/// The sidecar of a segment that holds `length` bytes and ends before `next_offset`.
#[must_use]
pub fn encode(index: &SegmentIndex, length: u64, next_offset: Offset) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + index.entries.len() * ENTRY_BYTES + index.times.len() * TIME_ENTRY_BYTES);
    bytes.resize(HEADER_BYTES, 0);
    for entry in &index.entries {
        entry.put(&mut bytes);
    }
    bytes.extend_from_slice(&index.encode_times());
    let body_checksum = crc32c::crc32c(&bytes[HEADER_BYTES..]);
    let mut header = begin_sealed(MAGIC, HEADER_BYTES);
    header.extend_from_slice(&body_checksum.to_be_bytes());
    header.extend_from_slice(&index.absolute(0).0.to_be_bytes());
    header.extend_from_slice(&length.to_be_bytes());
    header.extend_from_slice(&next_offset.0.to_be_bytes());
    header.extend_from_slice(&index.max_timestamp.0.to_be_bytes());
    for field in [index.max_timestamp_at, index.chain, count(index.entries.len()), count(index.times.len())] {
        header.extend_from_slice(&field.to_be_bytes());
    }
    header.extend_from_slice(&index.first_timestamp.unwrap_or(Timestamp(0)).0.to_be_bytes());
    seal(&mut header);
    bytes[..HEADER_BYTES].copy_from_slice(&header);
    bytes
}

fn count(length: usize) -> u32 {
    u32::try_from(length).expect("a segment has fewer than 2^32 bytes, so fewer entries")
}

/// Read a whole sidecar. `None` unless it is whole, belongs to a segment of that base and length, and tells of nothing outside it.
#[must_use]
pub fn decode(bytes: &[u8], base: Offset, length: u64, interval_bytes: u32) -> Option<(Footer, SegmentIndex)> {
    let footer = Footer::parse(bytes)?;
    let body = bytes.get(HEADER_BYTES..)?;
    let times_at = usize::try_from(footer.entries).ok()?.checked_mul(ENTRY_BYTES)?;
    let body_bytes = times_at.checked_add(usize::try_from(footer.times).ok()?.checked_mul(TIME_ENTRY_BYTES)?)?;
    let whole = body.len() == body_bytes && crc32c::crc32c(body) == footer.body_checksum;
    if !(whole || mutants::is(Mutant::B30) && body.len() >= body_bytes) || footer.base != base || footer.length != length {
        return None;
    }
    let mut entries = Vec::new();
    let mut fields = Fields::new(&body[..times_at]);
    while !fields.is_empty() {
        entries.push(IndexEntry::take(&mut fields)?);
    }
    let times = decode_times(&body[times_at..body_bytes])?;
    // Not written down, for the entries tell it. Where the segment goes on growing, the next one must lie where it would have.
    let last_entry = entries.last().map_or(0, |entry: &IndexEntry| u64::from(entry.position));
    let summary = Summary {
        chain: footer.chain,
        max_timestamp: footer.max_timestamp,
        max_timestamp_at: footer.max_timestamp_at,
        bytes_since_entry: length.saturating_sub(last_entry),
    };
    let index = SegmentIndex::resumed(base, interval_bytes, entries, times, footer.first_timestamp, summary);
    let end = Boundary { offset: footer.next_offset, position: length };
    index.is_possible(end).then_some((footer, index))
}
