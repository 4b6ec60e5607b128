//! The brains that ship, on a simulated disk and clock, one thread, one seed.
//!
//! Three worlds: [`log`] runs stores over a disk, [`shard`] whole shards, with clients, a network and the control thread's part,
//! [`compaction`] one compacted partition with its cleaner.
//! Everything random comes from [`random::Random`], so a seed is a run. Links brains only. A safety run has a control, an oracle
//! told to believe too early or a recovery robbed of its journal, that must report loss; otherwise the run proves nothing.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

pub mod compaction;
pub mod disk;
pub mod log;
mod places;
pub mod random;
pub mod shard;
mod trace;
pub mod verdict;
mod watched;
