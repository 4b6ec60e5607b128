//! What comes of a run, in any world.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

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
