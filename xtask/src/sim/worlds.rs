//! What the worlds have in common, as far as it is told of their runs.

use flumen_sim::verdict::Verdict;
use flumen_sim::{compaction, log, shard};
use std::fmt::Debug;

/// Who is told each line.
pub(super) type Listener = Box<dyn FnMut(&str)>;

/// What runs have done.
pub(super) trait Work: Clone + PartialEq + Debug + Default + Send {
    /// Whether a run proves anything.
    fn is_enough(&self) -> bool;
    fn add(&mut self, other: &Self);
    fn events(&self) -> u64;
    fn acknowledged_records(&self) -> u64;
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

/// A world.
pub(super) trait Simulated {
    type Work: Work;
    /// As it is asked for.
    const NAME: &str;
    /// What is wrong on purpose in runs of the control; so many runs, more than so many of which must notice.
    const CONTROL: (&str, u64, usize);
    /// Of so many runs one may do too little.
    const RUNS_PER_INVALID: u64;
    fn run(seed: u64, listener: Option<Listener>) -> Verdict<Self::Work>;
    fn control(seed: u64) -> Verdict<Self::Work>;
}

pub(super) struct Log;
pub(super) struct Shard;
pub(super) struct Compaction;

impl Simulated for Log {
    type Work = log::Work;
    const NAME: &str = "log";
    const CONTROL: (&str, u64, usize) = ("an acknowledgement that comes too early", 50, 5);
    const RUNS_PER_INVALID: u64 = 20;

    fn run(seed: u64, listener: Option<Listener>) -> log::Verdict {
        log::run_told(seed, log::Control::None, listener)
    }

    fn control(seed: u64) -> log::Verdict {
        log::run(seed, log::Control::EarlyAck)
    }
}

impl Simulated for Shard {
    type Work = shard::Work;
    const NAME: &str = "shard";
    const CONTROL: (&str, u64, usize) = ("a disk that lies about its syncs", 50, 5);
    const RUNS_PER_INVALID: u64 = 10;

    fn run(seed: u64, listener: Option<Listener>) -> shard::Verdict {
        shard::run_told(seed, shard::Control::None, listener)
    }

    fn control(seed: u64) -> shard::Verdict {
        shard::run(seed, shard::Control::LyingDisk)
    }
}

impl Simulated for Compaction {
    type Work = compaction::Work;
    const NAME: &str = "compaction";
    const CONTROL: (&str, u64, usize) = ("tombstones that go at once", 20, 2);
    const RUNS_PER_INVALID: u64 = 10;

    fn run(seed: u64, listener: Option<Listener>) -> compaction::Verdict {
        compaction::run_told(seed, compaction::Control::None, listener)
    }

    fn control(seed: u64) -> compaction::Verdict {
        compaction::run(seed, compaction::Control::TombstonesGoAtOnce)
    }
}

impl Work for log::Work {
    fn is_enough(&self) -> bool {
        self.is_enough()
    }

    fn add(&mut self, other: &Self) {
        self.add(other);
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

impl Work for shard::Work {
    fn is_enough(&self) -> bool {
        self.is_enough()
    }

    fn add(&mut self, other: &Self) {
        self.add(other);
    }

    fn events(&self) -> u64 {
        self.events
    }

    fn acknowledged_records(&self) -> u64 {
        self.acked_records
    }

    fn crashes(&self) -> u64 {
        self.kills + self.power_failures
    }

    fn interrupted(&self) -> u64 {
        self.interrupted
    }
}

impl Work for compaction::Work {
    fn is_enough(&self) -> bool {
        self.is_enough()
    }

    fn add(&mut self, other: &Self) {
        self.add(other);
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
}
