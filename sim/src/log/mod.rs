//! The log's promise under crashes and a failing disk: whole runs of the stores that ship.
//!
//! A run has several lives. In each the stores append to several partitions, move watermarks, shorten logs, roll, switch
//! durability, stop cleanly or crash at any moment, over a disk that fails in the ways this seed has drawn; the next life recovers,
//! perhaps with another number of shards, perhaps crashing in the middle. In the end all is healed, and everything must come to
//! rest. The oracle: whatever was called durable is there, byte for byte, at its offset; whatever is there was appended there;
//! offsets have no gap; a producer that sends a batch again is told where it is; recovery done twice changes nothing.

mod atlas;
mod model;
mod oracle;
mod start;
mod swarm;
mod work;
mod world;

use crate::random::Random;
pub use crate::trace::Listener;
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
    /// A process starts while writes of a dead one are still on their way: the run must report damage.
    IgnoredLock,
}

/// What a run did. One that did too little proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Work {
    /// Operations, completions, answers and everything else that is told.
    pub events: u64,
    /// Batches appended.
    pub appends: u64,
    /// Records in them.
    pub records: u64,
    /// Offsets that were called durable: acknowledged records.
    pub durable: u64,
    /// Power failures and process deaths.
    pub crashes: u64,
    /// Clean stops.
    pub stops: u64,
    /// Recoveries that went through.
    pub recoveries: u64,
    /// Recoveries that were cut off in the middle.
    pub interrupted: u64,
    /// Log directories that failed.
    pub failed_directories: u64,
    /// Batches that came back from the journal.
    pub replayed: u64,
    /// Slices read back and compared.
    pub slices: u64,
    /// Batches sent again and recognised.
    pub duplicates: u64,
    /// Partitions removed.
    pub removed: u64,
    /// Log starts moved.
    pub starts_moved: u64,
    /// Logs made to end earlier.
    pub truncations: u64,
    /// Logs that lost what a rotten frame held, and said so.
    pub losses: u64,
}

impl Work {
    /// Appends below which a run proves nothing.
    pub const FLOOR: u64 = 20;
}

impl crate::verdict::Work for Work {
    fn is_enough(&self) -> bool {
        self.appends >= Self::FLOOR && self.recoveries >= 2
    }

    fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.appends += other.appends;
        self.records += other.records;
        self.durable += other.durable;
        self.crashes += other.crashes;
        self.stops += other.stops;
        self.recoveries += other.recoveries;
        self.interrupted += other.interrupted;
        self.failed_directories += other.failed_directories;
        self.replayed += other.replayed;
        self.slices += other.slices;
        self.duplicates += other.duplicates;
        self.removed += other.removed;
        self.starts_moved += other.starts_moved;
        self.truncations += other.truncations;
        self.losses += other.losses;
    }

    fn events(&self) -> u64 {
        self.events
    }

    fn acknowledged_records(&self) -> u64 {
        self.durable
    }

    fn crashes(&self) -> u64 {
        self.crashes
    }

    fn interrupted(&self) -> u64 {
        self.interrupted
    }

    fn reported_losses(&self) -> u64 {
        self.losses
    }
}

/// What came of a run.
pub type Verdict = crate::verdict::Verdict<Work>;

/// One run.
#[must_use]
pub fn run(seed: u64, control: Control) -> Verdict {
    run_told(seed, control, None)
}

/// One run, each of its steps told.
#[must_use]
pub fn run_told(seed: u64, control: Control, listener: Option<Listener>) -> Verdict {
    let mut world = World::new(Random::new(seed), control, listener);
    for _ in 0..world.lives() {
        world.live();
        if !world.violations().is_empty() {
            return world.into_verdict();
        }
        world.end_life();
    }
    world.heal();
    world.into_verdict()
}
