//! An index made again from its segment.

use super::{Chunk, Need, header_at};
use crate::Offset;
use crate::segment::index::SegmentIndex;

/// Bytes read at once.
const CHUNK_BYTES: usize = 1 << 20;

/// How far it is.
#[derive(Debug)]
pub(crate) struct Rebuild {
    base: Offset,
    position: u64,
    index: SegmentIndex,
}

/// What a step came to.
pub(crate) enum RebuildStep {
    /// The index is complete.
    Done(SegmentIndex),
    /// The segment is not what it should be.
    Damaged,
}

impl Rebuild {
    pub(crate) const fn new(base: Offset, interval_bytes: u32) -> Self {
        Self { base, position: 0, index: SegmentIndex::new(base, interval_bytes) }
    }

    /// Note what the chunk holds, of a segment of `length` bytes.
    pub(crate) fn advance(mut self, chunk: Option<&Chunk>, length: u64) -> Result<RebuildStep, Self> {
        while self.position < length {
            match header_at(chunk, self.base, self.position, length) {
                Some(Ok(header)) => {
                    self.index.note(&header, self.position);
                    self.position += header.total_bytes() as u64;
                }
                Some(Err(_)) => return Err(self),
                None => return Ok(RebuildStep::Damaged),
            }
        }
        self.index.seal();
        Ok(RebuildStep::Done(self.index))
    }

    /// What to read next.
    pub(crate) fn need(&self, length: u64) -> Need {
        let left = usize::try_from(length.saturating_sub(self.position)).unwrap_or(usize::MAX);
        Need::Read { base: self.base, position: self.position, length: left.min(CHUNK_BYTES) }
    }

    /// Which segment it is about.
    pub(crate) const fn base(&self) -> Offset {
        self.base
    }
}
