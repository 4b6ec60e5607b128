//! The metadata quorum: openraft over a log of our own.
//!
//! Hands: it keeps the quorum's log and snapshots on disk (`<data>/metadata/`) and applies committed commands to the
//! controller's state machine. It decides nothing about metadata. With one voter there are no peers and no network.
//!
//! Invariants: nothing is acknowledged before it is synced; changes come out in the order of the log, each with the image it
//! led to; metadata that cannot be read stops the start, and nothing is deleted because of it.
#![forbid(unsafe_code)]

mod quorum;

pub use quorum::{Change, Changes, Quorum, QuorumError, QuorumOptions, Started};
