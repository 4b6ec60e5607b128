//! What the worlds have in common, as far as it is told of their runs.

use flumen_sim::log::Listener;
use flumen_sim::verdict::{Verdict, Work};
use flumen_sim::{compaction, log, shard};

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
