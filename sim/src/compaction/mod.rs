//! Compaction against a model of what each key should be, crashes at any step included.
//!
//! Keys, tombstones, codecs, idempotent producers, segments of a few batches, a key map that is often too small. The oracle, of
//! every log at any time: a record that is there was appended there; the last of a key that is there is the last that was
//! appended, so nothing is lost and nothing comes back; only a tombstone may be missing, and only after its horizon, which never
//! moves; batches are in order; a producer that sends its last batch again is told where it is. What rots: see [`rot`].

mod errors;
mod model;
mod oracle;
mod rot;
mod world;

use crate::random::Random;
pub use crate::trace::Listener;
use world::World;

/// What is wrong with a run on purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Control {
    /// Nothing: the run must hold.
    #[default]
    None,
    /// Nothing, and no operation fails: the runs that seeds were before some did.
    NoErrors,
    /// Nothing, and nothing rots, either: the runs that seeds were before something did.
    NoRot,
    /// The store lets tombstones go at once: the run must report it.
    TombstonesGoAtOnce,
    /// The manifest is gone before recovery: a crash in the middle of a swap must be reported.
    NoManifest,
}

/// What a run did. One that did too little proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Work {
    /// Operations, completions and everything else that is told.
    pub events: u64,
    /// Offsets that were called durable: acknowledged records.
    pub durable: u64,
    /// Records appended.
    pub appended: u64,
    /// Records that were there when the logs were read.
    pub read: u64,
    /// Manifests that were recorded.
    pub manifests: u64,
    /// Tombstones that were let go.
    pub tombstones_gone: u64,
    /// Batches without records.
    pub empty_batches: u64,
    /// Power failures and process deaths.
    pub crashes: u64,
    /// Crashes that left a cleaned segment out of its place.
    pub unfinished: u64,
    /// Operations completed.
    pub operations: u64,
    /// Offsets that were kept from readers, because they were damaged.
    pub kept_back: u64,
    /// Times the cleaner stopped at a segment that was not as it was sealed.
    pub stopped: u64,
    /// Times the log directory went offline for an operation that failed.
    pub failed_directories: u64,
}

impl Work {
    /// Records appended below which a run proves nothing, and manifests.
    pub const FLOOR: (u64, u64) = (100, 5);
}

impl crate::verdict::Work for Work {
    fn is_enough(&self) -> bool {
        self.appended >= Self::FLOOR.0 && self.manifests >= Self::FLOOR.1 && self.crashes >= 2
    }

    fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.durable += other.durable;
        self.appended += other.appended;
        self.read += other.read;
        self.manifests += other.manifests;
        self.tombstones_gone += other.tombstones_gone;
        self.empty_batches += other.empty_batches;
        self.crashes += other.crashes;
        self.unfinished += other.unfinished;
        self.operations += other.operations;
        self.kept_back += other.kept_back;
        self.stopped += other.stopped;
        self.failed_directories += other.failed_directories;
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

/// What came of a run.
pub type Verdict = crate::verdict::Verdict<Work>;

/// How often a run waits for tombstones to go.
const LATER_PASSES: u32 = 4;

/// One run of several lives, each ended by a crash.
#[must_use]
pub fn run(seed: u64, control: Control) -> Verdict {
    run_told(seed, control, None)
}

/// One run, each of its steps told.
#[must_use]
pub fn run_told(seed: u64, control: Control, listener: Option<Listener>) -> Verdict {
    let mut random = Random::new(seed);
    let lives = 2 + random.below(3);
    // Only the cleaner goes on before some of the crashes, be D recorded or not.
    let alone = random.below(2) * 600;
    let mut world = World::new(random, control, listener);
    if control != Control::NoRot {
        world.begin_to_rot(Random::new(!seed));
    }
    if control == Control::None {
        world.begin_to_fail(Random::new(seed.rotate_left(32)));
    }
    for _ in 0..lives {
        world.let_rot(false);
        world.start();
        world.live(300);
        world.compact_until(alone);
        world.crash();
    }
    world.let_rot(true);
    world.fail_no_more();
    world.start();
    world.live_without_room();
    world.settle();
    world.check_cleaned();
    // Later passes find tombstones that have been kept long enough, those of keys that were not given a value since.
    for _ in 0..LATER_PASSES {
        world.rest();
        world.live(60);
        world.settle();
    }
    world.into_verdict()
}

/// The same load for each `operations`: so many operations go through, then the power fails. What is left is recovered, checked,
/// cleaned to the end and checked again.
#[must_use]
pub fn crash_after(seed: u64, operations: u64, control: Control) -> Verdict {
    let mut world = World::new(Random::new(seed), control, None);
    world.start();
    world.live(500);
    world.compact_until(operations);
    world.crash();
    world.start();
    world.settle();
    world.into_verdict()
}
