//! The frames of the journal: what one write holds.
//!
//! A frame is a header of [`FRAME_HEADER_BYTES`], then entries, then zeros up to a whole block. Its checksum covers header and
//! entries. Invariant: [`Frame::parse`] accepts only what [`FrameBuilder`] made under the same journal id, whole. The layout is
//! written down in `docs/on-disk.md`.

use alloc::vec::Vec;
use bytes::Bytes;

use super::JournalPosition;
use crate::batch::StampedBatch;
use crate::batch::header::CRC_START_BYTES;
use crate::checksum::{self, COMBINE_BYTES_MIN};
use crate::codec::Fields;
use crate::io::{AlignedBuffer, BLOCK_BYTES};
use crate::{LeaderEpoch, Offset, PartitionIndex, TopicId, TopicPartition};

/// Bytes of a frame before its entries.
pub(super) const FRAME_HEADER_BYTES: usize = 64;
/// Bytes of an entry before its batches.
pub(super) const ENTRY_HEADER_BYTES: usize = 48;
/// What every frame starts with.
pub(super) const FRAME_MAGIC: [u8; 8] = *b"flumenJF";

const CHECKSUM_AT: usize = 8;
const LENGTH_AT: usize = 12;

/// The journal's random id: frames of another life of the same file do not carry it.
pub type JournalId = [u8; 16];

/// One append, as the journal holds it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JournalEntry {
    /// Whose.
    pub partition: TopicPartition,
    /// The leader epoch of its batches.
    pub epoch: LeaderEpoch,
    /// The base offset of the segment it was written to.
    pub segment_base: Offset,
    /// The first batch's base offset.
    pub base_offset: Offset,
    /// Batches as stored.
    pub batches: Bytes,
}

/// A frame read back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// Its place.
    pub position: JournalPosition,
    /// All frames of its generation below this sequence had been written when it was built.
    pub completed_through: u64,
    /// What it holds.
    pub entries: Vec<JournalEntry>,
    /// What it takes on disk, padding included.
    pub padded_bytes: usize,
}

/// Fills a buffer with one frame.
///
/// A large batch was summed up when it came in, and its CRC is part of the frame's: its bytes are copied and not looked at again.
#[derive(Debug)]
pub struct FrameBuilder {
    buffer: AlignedBuffer,
    entries: u32,
    /// The CRC of the entries so far up to `summed_bytes`.
    sum: u32,
    summed_bytes: usize,
}

impl FrameBuilder {
    /// Start a frame in a buffer, whose content is forgotten.
    #[must_use]
    pub fn new(mut buffer: AlignedBuffer) -> Self {
        buffer.clear();
        buffer.put(&[0; FRAME_HEADER_BYTES]);
        Self { buffer, entries: 0, sum: 0, summed_bytes: FRAME_HEADER_BYTES }
    }

    /// Add an append.
    pub fn put_batch(&mut self, partition: TopicPartition, segment_base: Offset, batch: &StampedBatch) {
        let header = batch.header();
        self.put(partition, header.partition_leader_epoch, segment_base, header.base_offset, &batch.pieces());
        if batch.total_bytes() >= COMBINE_BYTES_MIN {
            let summed = batch.total_bytes() - CRC_START_BYTES;
            self.sum_up_to(self.buffer.len() - summed);
            self.sum = checksum::combine(self.sum, header.crc, summed);
            self.summed_bytes = self.buffer.len();
        }
    }

    fn sum_up_to(&mut self, end: usize) {
        self.sum = crc32c::crc32c_append(self.sum, &self.buffer.as_slice()[self.summed_bytes..end]);
        self.summed_bytes = end;
    }

    /// Add an append whose batches lie in `pieces`.
    pub fn put(&mut self, partition: TopicPartition, epoch: LeaderEpoch, segment_base: Offset, base: Offset, pieces: &[&[u8]]) {
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        let mut header = [0; ENTRY_HEADER_BYTES];
        header[..16].copy_from_slice(&partition.topic.0);
        header[16..20].copy_from_slice(&partition.partition.0.to_be_bytes());
        header[20..24].copy_from_slice(&epoch.0.to_be_bytes());
        header[24..32].copy_from_slice(&segment_base.0.to_be_bytes());
        header[32..40].copy_from_slice(&base.0.to_be_bytes());
        header[40..44].copy_from_slice(&frame_length(length).to_be_bytes());
        self.buffer.put(&header);
        for piece in pieces {
            self.buffer.put(piece);
        }
        self.entries += 1;
    }

    /// What the frame would take on disk if it ended here.
    #[must_use]
    pub const fn padded_bytes(&self) -> usize {
        self.buffer.len().next_multiple_of(BLOCK_BYTES)
    }

    /// Write the header and the padding; the buffer is ready to be written.
    #[must_use]
    pub fn finish(mut self, id: &JournalId, position: JournalPosition, completed_through: u64) -> AlignedBuffer {
        let length = self.buffer.len();
        let header = &mut self.buffer.as_mut_slice()[..FRAME_HEADER_BYTES];
        header[..8].copy_from_slice(&FRAME_MAGIC);
        header[LENGTH_AT..16].copy_from_slice(&frame_length(length).to_be_bytes());
        header[16..32].copy_from_slice(id);
        header[32..40].copy_from_slice(&position.generation.to_be_bytes());
        header[40..48].copy_from_slice(&position.sequence.to_be_bytes());
        header[48..56].copy_from_slice(&completed_through.to_be_bytes());
        header[56..60].copy_from_slice(&self.entries.to_be_bytes());
        let checksum = if self.summed_bytes == FRAME_HEADER_BYTES {
            crc32c::crc32c(&self.buffer.as_slice()[LENGTH_AT..])
        } else {
            self.sum_up_to(length);
            let header = crc32c::crc32c(&self.buffer.as_slice()[LENGTH_AT..FRAME_HEADER_BYTES]);
            checksum::combine(header, self.sum, length - FRAME_HEADER_BYTES)
        };
        self.buffer.as_mut_slice()[CHECKSUM_AT..LENGTH_AT].copy_from_slice(&checksum.to_be_bytes());
        self.buffer.pad();
        self.buffer
    }
}

/// A length that was checked when the append was taken.
fn frame_length(length: usize) -> u32 {
    u32::try_from(length).expect("a frame fits a journal file, whose size fits 32 bits")
}

impl Frame {
    /// How many bytes to read to parse the frame whose first block this is; `None` if it is none of this journal's.
    #[must_use]
    pub fn length_hint(block: &[u8], id: &JournalId) -> Option<usize> {
        let mut fields = Fields::new(block);
        let magic: [u8; 8] = fields.array()?;
        fields.u32()?;
        let length = usize::try_from(fields.u32()?).ok()?;
        (magic == FRAME_MAGIC && fields.array::<16>()? == *id && length >= FRAME_HEADER_BYTES).then_some(length)
    }

    /// The frame at the start of `bytes`, which may go on beyond it. `None` if there is none, or not all of it.
    #[must_use]
    pub fn parse(bytes: &Bytes, id: &JournalId) -> Option<Self> {
        let mut fields = Fields::new(bytes);
        if fields.array()? != FRAME_MAGIC {
            return None;
        }
        let checksum = fields.u32()?;
        let length = usize::try_from(fields.u32()?).ok()?;
        if fields.array::<16>()? != *id || length < FRAME_HEADER_BYTES {
            return None;
        }
        let position = JournalPosition { generation: fields.u64()?, sequence: fields.u64()? };
        let completed_through = fields.u64()?;
        let count = fields.u32()?;
        let body = bytes.get(..length)?;
        if crc32c::crc32c(&body[LENGTH_AT..]) != checksum {
            return None;
        }
        let entries = parse_entries(&bytes.slice(FRAME_HEADER_BYTES..length), count)?;
        Some(Self { position, completed_through, entries, padded_bytes: length.next_multiple_of(BLOCK_BYTES) })
    }
}

fn parse_entries(body: &Bytes, count: u32) -> Option<Vec<JournalEntry>> {
    let mut entries = Vec::new();
    let mut at = 0;
    for _ in 0..count {
        let mut fields = Fields::new(body.get(at..at + ENTRY_HEADER_BYTES)?);
        let partition = TopicPartition { topic: TopicId(fields.array()?), partition: PartitionIndex(fields.i32()?) };
        let epoch = LeaderEpoch(fields.i32()?);
        let segment_base = Offset(fields.i64()?);
        let base_offset = Offset(fields.i64()?);
        let start = at + ENTRY_HEADER_BYTES;
        let end = start.checked_add(usize::try_from(fields.u32()?).ok()?)?;
        body.get(start..end)?;
        entries.push(JournalEntry { partition, epoch, segment_base, base_offset, batches: body.slice(start..end) });
        at = end;
    }
    (at == body.len()).then_some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{BatchBuilder, ProducerInfo};
    use crate::compression::Codec;
    use crate::{PartitionIndex, Timestamp, TopicId};

    #[test]
    fn batches_that_are_not_summed_again_give_the_same_frame() {
        let batch = |bytes: usize| {
            let mut builder = BatchBuilder::new();
            builder.append(Timestamp(7), None, Some(&alloc::vec![bytes as u8; bytes]), &[]);
            let batch = builder.build_validated(Codec::None, None, ProducerInfo::NONE).unwrap().unwrap();
            batch.stamp(Offset(40), LeaderEpoch(3))
        };
        let partition = TopicPartition { topic: TopicId([9; 16]), partition: PartitionIndex(1) };
        for sizes in [&[10][..], &[10, 300_000], &[300_000, 10], &[400_000, 300_000, 10, 300_001]] {
            let (mut by_batch, mut by_bytes) =
                (FrameBuilder::new(AlignedBuffer::default()), FrameBuilder::new(AlignedBuffer::default()));
            for size in sizes {
                let batch = batch(*size);
                by_batch.put_batch(partition, Offset(5), &batch);
                by_bytes.put(partition, LeaderEpoch(3), Offset(5), Offset(40), &batch.pieces());
            }
            let position = JournalPosition { generation: 2, sequence: 8 };
            let by_batch = by_batch.finish(&[1; 16], position, 6);
            assert!(by_batch.as_slice() == by_bytes.finish(&[1; 16], position, 6).as_slice(), "{sizes:?}");
            assert!(Frame::parse(&Bytes::copy_from_slice(by_batch.as_slice()), &[1; 16]).is_some());
        }
    }
}
