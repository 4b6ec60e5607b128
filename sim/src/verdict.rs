//! What comes of a run, in any world.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

/// What a run did, or several.
pub trait Work: Clone + PartialEq + core::fmt::Debug + Default + Send {
    /// Whether a run proves anything.
    fn is_enough(&self) -> bool;

    /// Add another run's.
    fn add(&mut self, other: &Self);

    /// Everything that is told of the run.
    fn events(&self) -> u64;

    /// Records that somebody was told are durable.
    fn acknowledged_records(&self) -> u64;

    /// Power failures and process deaths.
    fn crashes(&self) -> u64;

    /// Starts that were cut off by another crash, where they are counted.
    fn interrupted(&self) -> u64 {
        0
    }

    /// What is known to be lost and was said to be.
    fn reported_losses(&self) -> u64 {
        0
    }
}

/// What came of a run that did this work.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Verdict<Work> {
    /// What should not have happened, in words; empty is good.
    pub violations: Vec<String>,
    /// What was done.
    pub work: Work,
    /// Faults of the disk, by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// All that happened, as a hash: the same seed gives the same.
    pub trace: u64,
}
