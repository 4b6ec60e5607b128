//! The log's promise under crashes: whole runs of stores over a disk that forgets.
//!
//! A run has several lives. In each the stores that ship append to several partitions, move watermarks, shorten logs, roll,
//! switch durability, stop cleanly or crash at any moment; the next life recovers, perhaps with another number of shards, perhaps
//! crashing in the middle. The oracle: whatever was called durable is there, byte for byte, at its offset; whatever is there was
//! appended there; offsets have no gap; recovery done twice changes nothing.

mod model;
mod world;

use alloc::string::String;
use alloc::vec::Vec;

use crate::random::Random;
use world::World;

/// What a run believes or leaves out on purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Control {
    /// Nothing: the run must hold.
    #[default]
    None,
    /// An append counts as durable as soon as it was taken: the run must report loss.
    EarlyAck,
    /// The journal is gone before recovery: the run must report loss.
    NoReplay,
}

/// What a run did. One that did too little proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Work {
    /// Batches appended.
    pub appends: u64,
    /// Offsets that were called durable.
    pub durable: u64,
    /// Power failures and process deaths.
    pub crashes: u64,
    /// Clean stops.
    pub stops: u64,
    /// Recoveries that went through.
    pub recoveries: u64,
    /// Recoveries that were cut off in the middle.
    pub interrupted: u64,
    /// Batches that came back from the journal.
    pub replayed: u64,
    /// Slices read back and compared.
    pub slices: u64,
    /// Partitions removed.
    pub removed: u64,
    /// Log starts moved.
    pub starts_moved: u64,
}

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// What should not have happened, in words; empty is good.
    pub violations: Vec<String>,
    /// What was done.
    pub work: Work,
}

/// One run.
#[must_use]
pub fn run(seed: u64, control: Control) -> Verdict {
    let mut random = Random::new(seed);
    let lives = 2 + random.below(3);
    let mut world = World::new(random, control);
    for life in 0..lives {
        world.live();
        if !world.violations().is_empty() {
            break;
        }
        world.end_life(life + 1 == lives);
    }
    world.into_verdict()
}
