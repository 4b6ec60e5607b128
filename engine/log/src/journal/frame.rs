//! The frames of the journal: what one write holds.
//!
//! A frame is a header of [`FRAME_HEADER_BYTES`], then entries, then zeros up to a whole block. Its checksum covers header and
//! entries. Invariant: [`Frame::parse`] accepts only what [`FrameBuilder`] made under the same journal id, whole. The layout is
//! written down in `docs/on-disk.md`.

use alloc::vec::Vec;
use bytes::Bytes;

use super::JournalPosition;
use crate::batch::StampedBatch;
use crate::batch::header::{BATCH_OVERHEAD_BYTES, CRC_START_BYTES};
use crate::checksum::{self, COMBINE_BYTES_MIN};
use crate::codec::Fields;
use crate::io::{AlignedBuffer, BLOCK_BYTES};
use crate::{LeaderEpoch, Offset, PartitionIndex, TopicId, TopicPartition};

/// Bytes of a frame before its entries.
pub(super) const FRAME_HEADER_BYTES: usize = 64;
/// Bytes of an entry before its batches.
pub(super) const ENTRY_HEADER_BYTES: usize = 48;
/// The most an entry takes besides its batches: they may lie less than a block behind its header.
pub(super) const ENTRY_OVERHEAD_BYTES: usize = ENTRY_HEADER_BYTES + BLOCK_BYTES - 1;
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
    /// Where in the frame they lie.
    pub at: usize,
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
/// A large batch was summed up when it came in, and its CRC is part of the frame's: its bytes are not looked at again, and not
/// copied either, but for what does not fill a block of the memory they lie in.
#[derive(Debug)]
pub struct FrameBuilder {
    buffer: AlignedBuffer,
    entries: u32,
    /// The CRC of the entries so far, as far as they are summed up.
    sum: u32,
    /// How many of the buffer's own bytes are part of it. What is shared is part of it from the start.
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
        let epoch = header.partition_leader_epoch;
        if batch.total_bytes() < COMBINE_BYTES_MIN {
            return self.put(partition, epoch, segment_base, header.base_offset, &batch.pieces());
        }
        let gap = gap_before(self.buffer.len(), batch);
        self.put_header(partition, epoch, segment_base, header.base_offset, batch.total_bytes(), gap);
        self.buffer.put(&[0; BLOCK_BYTES][..gap]);
        let (unsummed, summed) = batch.header_bytes().split_at(CRC_START_BYTES);
        self.buffer.put(unsummed);
        self.sum_up();
        self.buffer.put(summed);
        self.buffer.put_shared(batch.body());
        self.sum = checksum::combine(self.sum, header.crc, batch.total_bytes() - CRC_START_BYTES);
        self.summed_bytes = self.buffer.own().len();
    }

    /// What header and entries would take, without padding, if this batch were added.
    #[must_use]
    pub fn bytes_with(&self, batch: &StampedBatch) -> usize {
        end_with(self.buffer.len(), batch)
    }

    /// What header and entry would take, without padding, if this batch were the only one.
    #[must_use]
    pub fn bytes_alone(batch: &StampedBatch) -> usize {
        end_with(FRAME_HEADER_BYTES, batch)
    }

    /// Sum up what was put since.
    fn sum_up(&mut self) {
        let rest = &self.buffer.own()[self.summed_bytes..];
        self.sum = crc32c::crc32c_append(self.sum, rest);
        self.summed_bytes += rest.len();
    }

    /// Add an append whose batches lie in `pieces`.
    pub fn put(&mut self, partition: TopicPartition, epoch: LeaderEpoch, segment_base: Offset, base: Offset, pieces: &[&[u8]]) {
        self.put_header(partition, epoch, segment_base, base, pieces.iter().map(|piece| piece.len()).sum(), 0);
        for piece in pieces {
            self.buffer.put(piece);
        }
    }

    fn put_header(
        &mut self,
        partition: TopicPartition,
        epoch: LeaderEpoch,
        segment_base: Offset,
        base: Offset,
        length: usize,
        gap: usize,
    ) {
        let mut header = [0; ENTRY_HEADER_BYTES];
        header[..16].copy_from_slice(&partition.topic.0);
        header[16..20].copy_from_slice(&partition.partition.0.to_be_bytes());
        header[20..24].copy_from_slice(&epoch.0.to_be_bytes());
        header[24..32].copy_from_slice(&segment_base.0.to_be_bytes());
        header[32..40].copy_from_slice(&base.0.to_be_bytes());
        header[40..44].copy_from_slice(&frame_length(length).to_be_bytes());
        header[44..48].copy_from_slice(&frame_length(gap).to_be_bytes());
        self.buffer.put(&header);
        self.entries += 1;
    }

    /// Write the header and the padding; the buffer is ready to be written.
    #[must_use]
    pub fn finish(mut self, id: &JournalId, position: JournalPosition, completed_through: u64) -> AlignedBuffer {
        let length = self.buffer.len();
        let header = &mut self.buffer.own_mut()[..FRAME_HEADER_BYTES];
        header[..8].copy_from_slice(&FRAME_MAGIC);
        header[LENGTH_AT..16].copy_from_slice(&frame_length(length).to_be_bytes());
        header[16..32].copy_from_slice(id);
        header[32..40].copy_from_slice(&position.generation.to_be_bytes());
        header[40..48].copy_from_slice(&position.sequence.to_be_bytes());
        header[48..56].copy_from_slice(&completed_through.to_be_bytes());
        header[56..60].copy_from_slice(&self.entries.to_be_bytes());
        let checksum = if self.summed_bytes == FRAME_HEADER_BYTES {
            crc32c::crc32c(&self.buffer.own()[LENGTH_AT..])
        } else {
            self.sum_up();
            let header = crc32c::crc32c(&self.buffer.own()[LENGTH_AT..FRAME_HEADER_BYTES]);
            checksum::combine(header, self.sum, length - FRAME_HEADER_BYTES)
        };
        self.buffer.own_mut()[CHECKSUM_AT..LENGTH_AT].copy_from_slice(&checksum.to_be_bytes());
        self.buffer.pad();
        self.buffer
    }
}

/// Bytes between the header of a batch's entry, which starts at a position of its frame, and the batch.
fn gap_before(position: usize, batch: &StampedBatch) -> usize {
    AlignedBuffer::gap_before(position + ENTRY_HEADER_BYTES + BATCH_OVERHEAD_BYTES, batch.body())
}

/// Where a batch's entry ends that starts at a position of its frame.
fn end_with(position: usize, batch: &StampedBatch) -> usize {
    position + ENTRY_HEADER_BYTES + gap_before(position, batch) + batch.total_bytes()
}

/// A length that was checked when the append was taken.
fn frame_length(length: usize) -> u32 {
    u32::try_from(length).expect("a frame fits a journal file, whose size fits 32 bits")
}

impl Frame {
    /// The journal that a frame which starts with this block is of.
    #[must_use]
    pub fn id_hint(block: &[u8]) -> Option<JournalId> {
        block.starts_with(&FRAME_MAGIC).then(|| block.get(16..32)?.try_into().ok()).flatten()
    }

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
        let position = JournalPosition { generation: fields.counted()?, sequence: fields.counted()? };
        let completed_through = fields.counted()?;
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
        let length = usize::try_from(fields.u32()?).ok()?;
        let gap = usize::try_from(fields.u32()?).ok().filter(|gap| *gap < BLOCK_BYTES)?;
        let start = at + ENTRY_HEADER_BYTES + gap;
        let end = start.checked_add(length)?;
        body.get(start..end)?;
        let batches = body.slice(start..end);
        entries.push(JournalEntry { partition, epoch, segment_base, base_offset, batches, at: FRAME_HEADER_BYTES + start });
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
    fn batches_that_are_not_summed_again_nor_copied_give_the_same_entries() {
        let batch = |bytes: usize| {
            let mut builder = BatchBuilder::new();
            builder.append(Timestamp(7), None, Some(&alloc::vec![bytes as u8; bytes]), &[]);
            let batch = builder.build_validated(Codec::None, None, ProducerInfo::NONE).unwrap().unwrap();
            batch.stamp(Offset(40), LeaderEpoch(3))
        };
        let partition = TopicPartition { topic: TopicId([9; 16]), partition: PartitionIndex(1) };
        for sizes in [&[10][..], &[10, 300_000], &[300_000, 10], &[400_000, 40_000, 300_000, 10, 300_001]] {
            let (mut by_batch, mut by_bytes) =
                (FrameBuilder::new(AlignedBuffer::default()), FrameBuilder::new(AlignedBuffer::default()));
            for size in sizes {
                let batch = batch(*size);
                by_batch.put_batch(partition, Offset(5), &batch);
                by_bytes.put(partition, LeaderEpoch(3), Offset(5), Offset(40), &batch.pieces());
            }
            let position = JournalPosition { generation: 2, sequence: 8 };
            let [by_batch, by_bytes] = [by_batch, by_bytes].map(|builder| {
                let frame = builder.finish(&[1; 16], position, 6);
                assert_eq!(frame.len() % BLOCK_BYTES, 0);
                Frame::parse(&frame.copy_from(0).into(), &[1; 16]).expect("a whole frame")
            });
            let content = |frame: Frame| -> Vec<_> {
                let content =
                    |entry: JournalEntry| (entry.partition, entry.epoch, entry.segment_base, entry.base_offset, entry.batches);
                frame.entries.into_iter().map(content).collect()
            };
            assert!(content(by_batch) == content(by_bytes), "{sizes:?}");
        }
    }
}
