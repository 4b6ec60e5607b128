//! Memory aligned for direct I/O.

use alloc::vec::Vec;
use bytes::Bytes;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// Alignment and granularity of direct I/O, in bytes.
pub const BLOCK_BYTES: usize = 4096;
/// From here on bytes are worth a gap before them, so that their whole blocks need not be copied.
const SHARED_BYTES_MIN: usize = 64 << 10;

#[derive(Clone, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(4096))]
struct Block([u8; BLOCK_BYTES]);

/// Whole blocks of somebody else's memory.
#[derive(Clone)]
struct SharedBlocks {
    /// How many of the buffer's own bytes lie before them: whole blocks, too.
    after: usize,
    blocks: Bytes,
}

/// A growable buffer for direct I/O: its content lies in pieces that start at, and but for the last are, whole [`BLOCK_BYTES`] of
/// memory.
///
/// Most of it is copied into blocks of its own; where large shared bytes happen to lie right for it, their whole blocks are kept
/// by reference instead ([`AlignedBuffer::put_shared`]).
///
/// Invariant: what it shows was put, or is the zeros of [`AlignedBuffer::pad`]. Memory behind that keeps what it held before, so
/// that a buffer used again is not cleared first.
#[derive(Clone, Default)]
pub struct AlignedBuffer {
    own: Vec<Block>,
    own_bytes: usize,
    shared: Vec<SharedBlocks>,
    shared_bytes: usize,
}

impl AlignedBuffer {
    /// Bytes put so far.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.own_bytes + self.shared_bytes
    }

    /// Whether nothing was put.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forget the content; the memory stays, but for what was shared.
    pub fn clear(&mut self) {
        self.own_bytes = 0;
        self.shared.clear();
        self.shared_bytes = 0;
    }

    /// Append bytes.
    pub fn put(&mut self, bytes: &[u8]) {
        let end = self.own_bytes + bytes.len();
        let blocks = end.div_ceil(BLOCK_BYTES);
        if blocks > self.own.len() {
            self.own.resize_with(blocks, Block::new_zeroed);
        }
        self.own.as_mut_slice().as_mut_bytes()[self.own_bytes..end].copy_from_slice(bytes);
        self.own_bytes = end;
    }

    /// How much further on than at `position` of the content such bytes have to be put for [`AlignedBuffer::put_shared`] to copy
    /// little of them. Less than a block; none where it would not be worth it.
    #[must_use]
    pub fn gap_before(position: usize, bytes: &Bytes) -> usize {
        if bytes.len() < SHARED_BYTES_MIN {
            return 0;
        }
        (bytes.as_ptr().addr() % BLOCK_BYTES + BLOCK_BYTES - position % BLOCK_BYTES) % BLOCK_BYTES
    }

    /// Append bytes, their whole blocks by reference where they lie right for it.
    pub fn put_shared(&mut self, bytes: &Bytes) {
        // All shared pieces are whole blocks: the position within a block is that of the buffer's own bytes.
        let head = self.own_bytes.next_multiple_of(BLOCK_BYTES) - self.own_bytes;
        if bytes.len() < SHARED_BYTES_MIN || Self::gap_before(self.own_bytes, bytes) != 0 {
            return self.put(bytes);
        }
        let tail = head + (bytes.len() - head) / BLOCK_BYTES * BLOCK_BYTES;
        self.put(&bytes[..head]);
        self.shared.push(SharedBlocks { after: self.own_bytes, blocks: bytes.slice(head..tail) });
        self.shared_bytes += tail - head;
        self.put(&bytes[tail..]);
    }

    /// Fill up with zeros to a whole number of blocks.
    pub fn pad(&mut self) {
        let end = self.own_bytes.next_multiple_of(BLOCK_BYTES);
        self.own.as_mut_slice().as_mut_bytes()[self.own_bytes..end].fill(0);
        self.own_bytes = end;
    }

    /// What was copied, without what is shared.
    #[must_use]
    pub fn own(&self) -> &[u8] {
        &self.own.as_slice().as_bytes()[..self.own_bytes]
    }

    /// What was copied, to be patched.
    pub fn own_mut(&mut self) -> &mut [u8] {
        &mut self.own.as_mut_slice().as_mut_bytes()[..self.own_bytes]
    }

    /// The content, piece by piece.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let starts = core::iter::once(0).chain(self.shared.iter().map(|shared| shared.after));
        let ends = self.shared.iter().map(|shared| shared.after).chain([self.own_bytes]);
        let own = starts.zip(ends).map(|(start, end)| &self.own()[start..end]);
        let shared = self.shared.iter().map(|shared| &*shared.blocks).chain([&[][..]]);
        own.zip(shared).flat_map(|(own, shared)| [own, shared]).filter(|piece| !piece.is_empty())
    }

    /// The content from a position on, in one.
    #[must_use]
    pub fn copy_from(&self, position: usize) -> Vec<u8> {
        let mut skip = position;
        let mut bytes = Vec::with_capacity(self.len().saturating_sub(position));
        for piece in self.pieces() {
            bytes.extend_from_slice(piece.get(skip..).unwrap_or_default());
            skip = skip.saturating_sub(piece.len());
        }
        bytes
    }
}

impl core::fmt::Debug for AlignedBuffer {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "AlignedBuffer({} bytes, {} of them shared)", self.len(), self.shared_bytes)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;
    use bytes::Bytes;

    use super::{AlignedBuffer, BLOCK_BYTES, SHARED_BYTES_MIN};

    #[test]
    fn a_buffer_used_again_shows_nothing_of_before() {
        let mut buffer = AlignedBuffer::default();
        buffer.put(&[7; 3 * BLOCK_BYTES]);
        buffer.clear();
        buffer.put(&[1, 2]);
        assert_eq!(buffer.own(), [1, 2]);
        buffer.pad();
        assert_eq!(buffer.len(), BLOCK_BYTES);
        assert!(buffer.own()[2..].iter().all(|byte| *byte == 0));
        buffer.put(&[3]);
        assert_eq!(buffer.len(), BLOCK_BYTES + 1);
    }

    #[test]
    fn whole_blocks_are_shared_where_they_lie_right_and_the_content_is_the_same_everywhere() {
        let memory: Vec<u8> = (0..2 * SHARED_BYTES_MIN + 2 * BLOCK_BYTES).map(|at| (at / 7 % 251) as u8).collect();
        let memory = Bytes::from(memory);
        for (from, to) in [(0, SHARED_BYTES_MIN), (1, SHARED_BYTES_MIN), (5000, 5000 + SHARED_BYTES_MIN), (4095, memory.len())] {
            for before in [0, 1, 60, BLOCK_BYTES - 1, BLOCK_BYTES] {
                let (mut buffer, mut expected) = (AlignedBuffer::default(), Vec::new());
                for _ in 0..2 {
                    let bytes = memory.slice(from..to);
                    buffer.put(&alloc::vec![9; before]);
                    let gap = AlignedBuffer::gap_before(buffer.len(), &bytes);
                    assert!(gap < BLOCK_BYTES);
                    buffer.put(&alloc::vec![0; gap]);
                    buffer.put_shared(&bytes);
                    expected.extend(core::iter::repeat_n(9, before).chain(core::iter::repeat_n(0, gap)));
                    expected.extend_from_slice(&bytes);
                }
                buffer.pad();
                expected.resize(expected.len().next_multiple_of(BLOCK_BYTES), 0);
                assert!(buffer.copy_from(0) == expected && buffer.len() == expected.len(), "{from} to {to} behind {before}");
                assert!(buffer.copy_from(70_001) == expected[70_001..]);
                assert!(buffer.pieces().all(|piece| piece.as_ptr().addr() % BLOCK_BYTES == 0 && piece.len() % BLOCK_BYTES == 0));
                let large = to - from >= SHARED_BYTES_MIN;
                assert_eq!(buffer.own().len() < 9 * BLOCK_BYTES, large, "{from} to {to} behind {before}");
                buffer.clear();
                assert!(buffer.is_empty() && buffer.pieces().next().is_none());
            }
        }
    }

    #[test]
    fn bytes_that_do_not_lie_right_are_copied() {
        let bytes = Bytes::from(alloc::vec![4; SHARED_BYTES_MIN]);
        let mut buffer = AlignedBuffer::default();
        buffer.put(&alloc::vec![0; AlignedBuffer::gap_before(0, &bytes) + 1]);
        let before = buffer.len();
        buffer.put_shared(&bytes);
        assert_eq!(buffer.own().len(), before + SHARED_BYTES_MIN);
        assert!(buffer.copy_from(before) == bytes);
    }
}
