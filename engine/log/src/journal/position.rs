//! Where in the journal: which start of the broker, and which frame since.

/// A frame's place in the order of all frames. Positions of one partition never go back: each start is a generation above any
/// that was found, and within a generation a partition belongs to one shard and so to one journal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct JournalPosition {
    /// Which start.
    pub generation: u64,
    /// Which frame of that start, counted from zero.
    pub sequence: u64,
}

impl core::fmt::Display for JournalPosition {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "{}/{}", self.generation, self.sequence)
    }
}
