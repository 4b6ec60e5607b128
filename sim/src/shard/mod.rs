//! The broker's promise, whole: shards, the mail between them, the control thread, connections and clients, over a disk that
//! forgets and a network that breaks.
//!
//! A run has several lives of one broker. In each the machines that ship, constructors included, serve clients that speak Kafka's
//! protocol through streams of bytes; it ends with a crash (of the process or the power) or in order, and the next begins with
//! another number of shards. That is the safety phase. Then everything heals, and what is open must come to its end in bounded
//! time: the liveness phase. What clients were told is held against what is there all along; see [`ledger`].

mod client;
mod clock;
mod control;
mod finish;
mod ledger;
mod network;
mod process;
mod rings;
mod start;
mod swarm;
mod trace;
mod world;

pub use crate::trace::Listener;
pub use rings::{Crowd, crowd};
use world::World;

/// What a run leaves out on purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Control {
    /// Nothing: the run must hold.
    #[default]
    None,
    /// The disk says that it has synced when it has not: the run must report loss.
    LyingDisk,
}

/// What a run did. One that did too little proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Work {
    /// Things that happened.
    pub events: u64,
    /// Requests that clients sent.
    pub requests: u64,
    /// Answers that reached them.
    pub answers: u64,
    /// Batches acknowledged.
    pub acked_batches: u64,
    /// Records acknowledged.
    pub acked_records: u64,
    /// Batches sent again.
    pub resent: u64,
    /// Batches refused, for a time or for good.
    pub refused: u64,
    /// Fetches answered.
    pub fetches: u64,
    /// Records fetched.
    pub fetched_records: u64,
    /// Offsets committed.
    pub commits: u64,
    /// Committed offsets read back.
    pub commits_read: u64,
    /// Topics made.
    pub topics_made: u64,
    /// Topics removed.
    pub topics_removed: u64,
    /// Log starts moved.
    pub starts_moved: u64,
    /// Log starts that retention moved.
    pub starts_retained: u64,
    /// Times the disk was full for a while.
    pub fills: u64,
    /// Starts for which there was no room.
    pub cramped: u64,
    /// Times the broker's clock was set.
    pub clock_sets: u64,
    /// Requests given up.
    pub timeouts: u64,
    /// Connections that ended.
    pub disconnects: u64,
    /// Processes killed.
    pub kills: u64,
    /// Power failures.
    pub power_failures: u64,
    /// Clean stops.
    pub stops: u64,
    /// Starts that were cut off.
    pub interrupted: u64,
    /// Log directories that failed.
    pub storage_failures: u64,
    /// Starts without the metadata.
    pub amnesias: u64,
}

impl crate::verdict::Work for Work {
    fn is_enough(&self) -> bool {
        self.acked_records >= 20 && self.fetches >= 5 && self.kills + self.power_failures >= 1
    }

    fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.requests += other.requests;
        self.answers += other.answers;
        self.acked_batches += other.acked_batches;
        self.acked_records += other.acked_records;
        self.resent += other.resent;
        self.refused += other.refused;
        self.fetches += other.fetches;
        self.fetched_records += other.fetched_records;
        self.commits += other.commits;
        self.commits_read += other.commits_read;
        self.topics_made += other.topics_made;
        self.topics_removed += other.topics_removed;
        self.starts_moved += other.starts_moved;
        self.starts_retained += other.starts_retained;
        self.clock_sets += other.clock_sets;
        self.fills += other.fills;
        self.cramped += other.cramped;
        self.timeouts += other.timeouts;
        self.disconnects += other.disconnects;
        self.kills += other.kills;
        self.power_failures += other.power_failures;
        self.stops += other.stops;
        self.interrupted += other.interrupted;
        self.storage_failures += other.storage_failures;
        self.amnesias += other.amnesias;
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
    match listener {
        Some(mut listener) => World::new(seed, control, Some(&mut |line| listener(line))).run(),
        None => World::new(seed, control, None).run(),
    }
}
