//! The bug bank: known bugs, put back on purpose, that the simulation must find (`cargo xtask bug-bank`).
//!
//! They exist only in a build with `--cfg mutants`, which is never a release: without it [`is`] is false when it is compiled and
//! nothing of a mutant is left. One such build holds them all; [`choose`] says, before a run, which one is alive. A brain asks
//! `mutants::is(Mutant::B28)` at the place where the bug would have been made, and nowhere else.

macro_rules! bank {
    ($($name:ident $breaks:literal),* $(,)?) => {
        /// A bug that somebody made, here or elsewhere.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        #[repr(u8)]
        pub enum Mutant {
            $(#[doc = $breaks] $name,)*
        }

        impl Mutant {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// What is wrong with it.
            #[must_use]
            pub const fn breaks(self) -> &'static str {
                match self {
                    $(Self::$name => $breaks,)*
                }
            }

            /// Its name in the bank.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }
        }
    };
}

bank! {
    B10 "duplicates are recognised among the last four batches only",
    B11 "producer states are lost on recovery",
    B14 "an append counts as durable once it is written, synced or not",
    B15 "recovery truncates at the first bad batch",
    B16 "a partition of which the metadata knows nothing is deleted",
    B17 "an error of a write or a sync is ignored",
    B18 "a sync that failed is tried again",
    B19 "the rest of a short write is sent after later writes",
    B26 "durable moves over a gap of journal frames",
    B27 "the log end offset moves over a gap of segment writes",
    B28 "a journal file is used again before its segments are synced",
    B29 "a journal file is used again before a new segment's name is synced",
    B30 "an index is trusted without a check",
    B31 "a duplicate of a batch in flight is answered at once",
    B32 "a producer id is given out again after a restart",
    B33 "the leader epoch is not raised at a start",
    B34 "a frame of an older round of a journal file is replayed",
    B35 "files are touched before the new start of a log is recorded",
    B36 "recovery reads the journals of today's shards only",
    B37 "D is not lowered by a cut",
    B38 "entries before D's position are replayed",
    B39 "a switch of durability has no barrier",
    B40 "replay stops at an acknowledged bad frame",
    B41 "a journal file is used again before D past it is recorded",
    B42 "a sync counts writes that were begun after it was asked for",
    B43 "replay skips bytes that read back equal",
    B44 "a producer snapshot from before a cut is used",
    B45 "replay rolls segments elsewhere than the run did",
    B46 "compaction goes above the recorded D",
}

/// Whether this bug is alive.
#[cfg(not(mutants))]
#[inline]
#[must_use]
pub const fn is(_mutant: Mutant) -> bool {
    false
}

#[cfg(mutants)]
mod alive {
    use super::Mutant;
    use core::sync::atomic::{AtomicU8, Ordering};

    const NONE: u8 = u8::MAX;
    static CHOSEN: AtomicU8 = AtomicU8::new(NONE);

    /// Let this bug, or none, be alive in the runs that follow.
    pub fn choose(mutant: Option<Mutant>) {
        CHOSEN.store(mutant.map_or(NONE, |mutant| mutant as u8), Ordering::Relaxed);
    }

    /// Whether this bug is alive.
    #[must_use]
    pub fn is(mutant: Mutant) -> bool {
        CHOSEN.load(Ordering::Relaxed) == mutant as u8
    }
}

#[cfg(mutants)]
pub use alive::{choose, is};
