//! A segment's file read batch by batch, by a handle of its own, one operation at a time.
//!
//! Invariants: only whole batches are given out, their CRC checked, in the order of their offsets; the end comes only where the
//! chain value over all of them is the one that the segment was sealed with. Anything else is damage, and is never passed over.

use bytes::Bytes;

use super::plan::SourceSegment;
use crate::Offset;
use crate::batch::{BATCH_OVERHEAD_BYTES, BatchHeader, StoredRead, read_stored};
use crate::io::{FileHandle, FileOperation, FilePath, OpenMode, Outcome};
use crate::segment::index::chain;

/// Reads one file.
#[derive(Debug)]
pub(crate) struct Source {
    path: FilePath,
    segment: SourceSegment,
    /// Behind the last batch: its offset, and the chain value.
    reached: (Offset, u32),
    read_bytes: usize,
    handle: Option<FileHandle>,
    position: u64,
    /// The bytes from `position` on that were read, as far as they are not used up.
    rest: Bytes,
    /// The file has no more than it gave.
    exhausted: bool,
}

/// What comes next.
#[derive(Debug)]
pub(crate) enum Next {
    Batch(BatchHeader, Bytes),
    /// This must be done first.
    Ask(FileOperation),
    End,
    Damaged,
}

impl Source {
    pub(crate) const fn new(path: FilePath, segment: SourceSegment, read_bytes: usize) -> Self {
        let reached = (segment.base, 0);
        Self { path, segment, reached, read_bytes, handle: None, position: 0, rest: Bytes::new(), exhausted: false }
    }

    /// Which it reads.
    pub(crate) const fn segment(&self) -> SourceSegment {
        self.segment
    }

    pub(crate) fn next(&mut self) -> Next {
        let left = self.segment.bytes - self.position;
        if left == 0 {
            return if self.reached.1 == self.segment.chain { Next::End } else { Next::Damaged };
        }
        let Some(file) = self.handle else {
            return Next::Ask(FileOperation::Open { path: self.path.clone(), mode: OpenMode::Read });
        };
        let mut wanted = self.read_bytes.max(BATCH_OVERHEAD_BYTES);
        if self.rest.len() >= BATCH_OVERHEAD_BYTES || self.exhausted {
            match read_stored(&self.rest) {
                StoredRead::Batch(batch) => {
                    let (header, length) = (batch.header, batch.bytes.len());
                    let (offset, before) = self.reached;
                    if header.base_offset < offset || header.next_offset() > self.segment.next_offset {
                        return Next::Damaged;
                    }
                    self.reached = (header.next_offset(), chain(before, &header));
                    self.position += length as u64;
                    return Next::Batch(header, self.rest.split_to(length));
                }
                StoredRead::Incomplete { needed_bytes } if !self.exhausted && needed_bytes as u64 <= left => {
                    wanted = wanted.max(needed_bytes);
                }
                StoredRead::Incomplete { .. } | StoredRead::End | StoredRead::Corrupt(_) => return Next::Damaged,
            }
        }
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(wanted);
        Next::Ask(FileOperation::Read { file, offset: self.position, length })
    }

    /// Take what came of the operation asked for last. Whether it is what was asked for.
    pub(crate) fn take(&mut self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Opened { file, .. } => self.handle = Some(file),
            Outcome::Read { data } => {
                // What could be had before is had again, or the file became shorter.
                self.exhausted = data.len() <= self.rest.len() || self.position + data.len() as u64 >= self.segment.bytes;
                self.rest = data;
            }
            _ => return false,
        }
        true
    }

    /// The handle, to be closed.
    pub(crate) const fn close(&mut self) -> Option<FileHandle> {
        self.handle.take()
    }
}
