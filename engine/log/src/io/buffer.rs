//! Memory aligned for direct I/O.

use alloc::vec::Vec;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// Alignment and granularity of direct I/O, in bytes.
pub const BLOCK_BYTES: usize = 4096;

#[derive(Clone, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(4096))]
struct Block([u8; BLOCK_BYTES]);

/// A growable byte buffer whose start is aligned to, and whose capacity counts in, [`BLOCK_BYTES`].
///
/// Invariant: what it shows was put, or is the zeros of [`AlignedBuffer::pad`]. Memory behind that keeps what it held before, so
/// that a buffer used again is not cleared first.
#[derive(Clone, Default)]
pub struct AlignedBuffer {
    blocks: Vec<Block>,
    len: usize,
}

impl AlignedBuffer {
    /// Bytes put so far.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was put.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forget the content; the memory stays.
    pub const fn clear(&mut self) {
        self.len = 0;
    }

    /// Append bytes.
    pub fn put(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        let blocks = end.div_ceil(BLOCK_BYTES);
        if blocks > self.blocks.len() {
            self.blocks.resize_with(blocks, Block::new_zeroed);
        }
        self.blocks.as_mut_slice().as_mut_bytes()[self.len..end].copy_from_slice(bytes);
        self.len = end;
    }

    /// Fill up with zeros to a whole number of blocks.
    pub fn pad(&mut self) {
        let end = self.len.next_multiple_of(BLOCK_BYTES);
        self.blocks.as_mut_slice().as_mut_bytes()[self.len..end].fill(0);
        self.len = end;
    }

    /// What was put.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.blocks.as_slice().as_bytes()[..self.len]
    }

    /// What was put, to be patched.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.blocks.as_mut_slice().as_mut_bytes()[..self.len]
    }
}

impl core::fmt::Debug for AlignedBuffer {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "AlignedBuffer({} bytes)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::{AlignedBuffer, BLOCK_BYTES};

    #[test]
    fn a_buffer_used_again_shows_nothing_of_before() {
        let mut buffer = AlignedBuffer::default();
        buffer.put(&[7; 3 * BLOCK_BYTES]);
        buffer.clear();
        buffer.put(&[1, 2]);
        assert_eq!(buffer.as_slice(), [1, 2]);
        buffer.pad();
        assert_eq!(buffer.len(), BLOCK_BYTES);
        assert!(buffer.as_slice()[2..].iter().all(|byte| *byte == 0));
        buffer.put(&[3]);
        assert_eq!(buffer.len(), BLOCK_BYTES + 1);
    }
}
