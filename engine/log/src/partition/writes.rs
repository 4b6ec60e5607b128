//! The writes of a turn: gathered by segment, small pieces copied together, large ones passed on as they are.
//!
//! Invariants: the writes outstanding are kept in the order of their offsets, in whatever order files opened and writes were asked
//! for; the log end moves only over completed ones that follow it without a gap.

use alloc::{sync::Arc, vec::Vec};
use bytes::Bytes;

use super::{PartitionLog, Settled};
use crate::Offset;
use crate::batch::StampedBatch;
use crate::io::{FileOperation, SegmentFile, WriteData, WriteMode};
use crate::mutants::{self, Mutant};
use crate::segment::Stage;
use crate::segment::index::{SegmentIndex, Summary};

/// Bodies below this are copied into the piece before them.
const COPY_BYTES_MAX: usize = 4096;
/// Pieces of one vectored write; the kernel takes 1024.
const PIECES_MAX: usize = 512;
/// A write is cut off from this size on, between batches.
const WRITE_BYTES_MAX: usize = 8 << 20;
/// Writes up to this size are done on the shard's thread.
const INLINE_BYTES_MAX: usize = 256 << 10;
/// Write-back starts whenever so much was written.
const WRITE_OUT_BYTES: u64 = 4 << 20;

/// A write that was asked for.
#[derive(Debug)]
pub(crate) struct Write {
    id: u64,
    segment_base: Offset,
    position: u64,
    pieces: Vec<Bytes>,
    left: usize,
    /// Nobody asks for what is left of it any more: the log does not get past it.
    abandoned: bool,
    start: Offset,
    end: Offset,
    end_position: u64,
    /// What the segment's index sums up to at its end, if it is the last of what was appended.
    summary: Option<Summary>,
}

/// What is left to do for a write that was short.
pub(crate) struct Rest {
    pub(crate) write: u64,
    pub(crate) operation: FileOperation,
    pub(crate) file: Arc<SegmentFile>,
}

/// Pieces gathered for one write.
#[derive(Default)]
struct Gathering {
    pieces: Vec<Bytes>,
    small: Vec<u8>,
    bytes: usize,
    start: Option<Offset>,
    end: Offset,
}

impl Gathering {
    fn put(&mut self, batch: &StampedBatch) {
        self.small.extend_from_slice(batch.header_bytes());
        if batch.body().len() < COPY_BYTES_MAX {
            self.small.extend_from_slice(batch.body());
        } else {
            self.flush();
            self.pieces.push(batch.body().clone());
        }
        self.bytes += batch.total_bytes();
        self.start.get_or_insert_with(|| batch.base_offset());
        self.end = batch.last_offset().next();
    }

    fn flush(&mut self) {
        if !self.small.is_empty() {
            self.pieces.push(Bytes::from(core::mem::take(&mut self.small)));
        }
    }

    fn is_full(&self) -> bool {
        self.pieces.len() + 2 > PIECES_MAX || self.bytes >= WRITE_BYTES_MAX
    }
}

impl PartitionLog {
    /// The writes for everything appended to a segment whose file is open, named by the second field.
    pub(crate) fn take_writes(&mut self, base: Offset) -> Vec<(FileOperation, u64, Arc<SegmentFile>)> {
        let mut operations = Vec::new();
        let Some(segment) = self.segments.get_mut(&base) else { return operations };
        let Some(file) = segment.file().cloned() else { return operations };
        let batches = core::mem::take(&mut segment.unsubmitted);
        let mut gathering = Gathering::default();
        let count = batches.len();
        for (index, batch) in batches.into_iter().enumerate() {
            gathering.put(&batch);
            if gathering.is_full() || index + 1 == count {
                let mut full = core::mem::take(&mut gathering);
                full.flush();
                let position = segment.submitted_bytes;
                let end_position = position + full.bytes as u64;
                segment.submitted_bytes = end_position;
                let id = self.next_write;
                self.next_write += 1;
                let pieces = full.pieces.clone();
                let (start, end) = (full.start.unwrap_or(full.end), full.end);
                let left = full.bytes;
                let is_last = index + 1 == count;
                let summary = segment.index.as_ref().filter(|_| is_last).map(SegmentIndex::summary);
                let write =
                    Write { id, segment_base: base, position, pieces, left, abandoned: false, start, end, end_position, summary };
                let place = self.writes.partition_point(|other| other.start < start);
                self.writes.insert(place, write);
                operations.push((write_operation(&file, position, full.pieces), id, Arc::clone(&file)));
            }
        }
        operations
    }

    /// A write took so many bytes. What is left of it, if it was short; `None` in `Err` if it took nothing at all.
    pub(crate) fn complete_write(&mut self, write: u64, bytes: u64) -> Result<Option<Rest>, ()> {
        let Some(found) = self.writes.iter_mut().find(|candidate| candidate.id == write) else { return Ok(None) };
        let taken = usize::try_from(bytes).unwrap_or(usize::MAX).min(found.left);
        if taken == 0 && found.left > 0 {
            return Err(());
        }
        found.left -= taken;
        self.unwritten_bytes -= taken;
        let base = found.segment_base;
        let mut rest = None;
        if found.left > 0 {
            found.position += taken as u64;
            found.pieces = skip_bytes(core::mem::take(&mut found.pieces), taken);
            let (position, pieces) = (found.position, found.pieces.clone());
            let file = self.segments.get(&base).and_then(|segment| segment.file()).cloned();
            rest = file.map(|file| Rest { write, operation: write_operation(&file, position, pieces), file });
        } else {
            found.pieces = Vec::new();
        }
        if let Some(segment) = self.segments.get_mut(&base) {
            segment.dirty = true;
        }
        self.settle_log_end();
        Ok(rest)
    }

    /// A write that was refused, to be asked for once more.
    pub(crate) fn write_again(&self, write: u64) -> Option<Rest> {
        let found = self.writes.iter().find(|candidate| candidate.id == write)?;
        let file = self.segments.get(&found.segment_base)?.file().cloned()?;
        Some(Rest { write, operation: write_operation(&file, found.position, found.pieces.clone()), file })
    }

    /// Whether a segment has writes that are not done.
    pub(crate) fn has_writes_to(&self, base: Offset) -> bool {
        self.writes.iter().any(|write| write.segment_base == base)
    }

    /// A write that was refused is not wanted any more.
    pub(crate) fn abandon_write(&mut self, write: u64) {
        if let Some(found) = self.writes.iter_mut().find(|candidate| candidate.id == write) {
            self.unwritten_bytes -= core::mem::take(&mut found.left);
            found.abandoned = true;
        }
    }

    /// Nothing is written any more of what no write was asked for yet.
    pub(crate) fn drop_unsubmitted(&mut self) {
        for segment in self.segments.values_mut() {
            let dropped: usize = core::mem::take(&mut segment.unsubmitted).iter().map(StampedBatch::total_bytes).sum();
            self.unwritten_bytes -= dropped;
        }
    }

    fn settle_log_end(&mut self) {
        if mutants::is(Mutant::B27) {
            self.writes.make_contiguous().sort_by_key(|write| (write.left > 0, write.start));
        }
        let follows = |write: &Write, end: Offset| write.start == end || mutants::is(Mutant::B27);
        let counts = |write: &Write| write.left == 0 && !write.abandoned;
        while self.writes.front().is_some_and(|write| counts(write) && follows(write, self.log_end)) {
            if let Some(write) = self.writes.pop_front() {
                self.log_end = write.end;
                self.log_end_at = (write.segment_base, write.end_position);
                if let Some(summary) = write.summary {
                    let (segment_base, position) = self.log_end_at;
                    self.settled = Settled { offset: write.end, segment_base, position, summary };
                }
                self.advanced = true;
            }
        }
        self.settle_durable(Offset::ZERO);
    }

    /// Whether no write is outstanding. Of a log that is being removed some may be done and yet not count, for what came before them
    /// was dropped.
    pub(crate) fn has_no_write_outstanding(&self) -> bool {
        self.writes.iter().all(|write| write.left == 0)
    }

    /// Sealing segments whose bytes are all written.
    pub(crate) fn sealable(&self) -> Vec<Offset> {
        if self.sealing == 0 {
            return Vec::new();
        }
        let written = |base: Offset| self.writes.iter().all(|write| write.segment_base != base);
        let sealing = self.segments.values().filter(|segment| segment.stage == Stage::Sealing);
        sealing.filter(|segment| segment.unsubmitted.is_empty() && written(segment.base)).map(|segment| segment.base).collect()
    }

    /// Ranges whose write-back should start: file and range.
    pub(crate) fn write_out(&mut self) -> Option<(Arc<SegmentFile>, u64, u64)> {
        let (base, end) = self.log_end_at;
        let segment = self.segments.get_mut(&base)?;
        let file = segment.file().cloned()?;
        let from = segment.written_out_bytes;
        if end < from + WRITE_OUT_BYTES {
            return None;
        }
        segment.written_out_bytes = end;
        Some((file, from, end - from))
    }
}

fn write_operation(file: &SegmentFile, position: u64, pieces: Vec<Bytes>) -> FileOperation {
    let data = WriteData::Gathered(pieces);
    let mode = if data.len() <= INLINE_BYTES_MAX { WriteMode::Inline } else { WriteMode::Queued };
    FileOperation::Write { file: file.handle, offset: position, data, mode }
}

/// The pieces without their first `skip` bytes.
fn skip_bytes(pieces: Vec<Bytes>, mut skip: usize) -> Vec<Bytes> {
    let mut rest = Vec::with_capacity(pieces.len());
    for mut piece in pieces {
        let cut = skip.min(piece.len());
        skip -= cut;
        bytes::Buf::advance(&mut piece, cut);
        if !piece.is_empty() {
            rest.push(piece);
        }
    }
    rest
}
