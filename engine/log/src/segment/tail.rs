//! The last batches of an active segment, exactly: what readers at the end of the log ask for needs no reading.

use alloc::collections::VecDeque;

use crate::Offset;

/// Batches remembered.
pub const TAIL_BATCHES: usize = 512;

/// Where a batch starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Boundary {
    /// Its first offset.
    pub offset: Offset,
    /// Its position in the file.
    pub position: u64,
}

/// The starts of the last batches appended, and the end of the last one.
///
/// Invariant: offsets and positions rise; there is always at least the end.
#[derive(Clone, Debug)]
pub struct Tail {
    boundaries: VecDeque<Boundary>,
}

impl Tail {
    /// Nothing is known before this boundary, the end of the segment.
    #[must_use]
    pub fn starting_at(end: Boundary) -> Self {
        Self { boundaries: VecDeque::from([end]) }
    }

    /// The segment's end moved: a batch was appended.
    pub fn extend(&mut self, end: Boundary) {
        if self.boundaries.len() > TAIL_BATCHES {
            self.boundaries.pop_front();
        }
        self.boundaries.push_back(end);
    }

    /// The batch that holds `offset`: its start and its end. `None` if it is not among those remembered.
    #[must_use]
    pub fn batch_at(&self, offset: Offset) -> Option<(Boundary, Boundary)> {
        let after = self.boundaries.partition_point(|boundary| boundary.offset <= offset);
        let start = *self.boundaries.get(after.checked_sub(1)?)?;
        Some((start, *self.boundaries.get(after)?))
    }

    /// The last boundary at or before `position` and `below`. `None` if none of those remembered is.
    #[must_use]
    pub fn floor(&self, position: u64, below: Offset) -> Option<Boundary> {
        let fits = |boundary: &Boundary| boundary.position <= position && boundary.offset <= below;
        let after = self.boundaries.partition_point(fits);
        self.boundaries.get(after.checked_sub(1)?).copied()
    }
}
