//! The metadata quorum: openraft over a log of our own.
//!
//! Hands: it keeps the quorum's log and snapshots on disk (`<data>/metadata/`, docs/on-disk-metadata.md) and applies committed
//! commands to the controller's state machine. It decides nothing about metadata. With one voter there are no peers and no
//! network.
//!
//! Files are written and synced on the thread that runs the quorum: metadata changes are rare, and that thread serves no data.
//!
//! Invariants: nothing is acknowledged before it is synced; changes come out in the order of the log, each with the image it
//! led to; metadata that cannot be read stops the start, and nothing is deleted because of it.
#![forbid(unsafe_code)]

mod fault;
mod files;
mod frame;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod log_store;
mod machine;
mod opening;
mod quorum;
mod raft;
mod snapshot_file;
#[cfg(test)]
mod tests;

pub use fault::QuorumError;
pub use quorum::{Change, Changes, Quorum, QuorumOptions, Started};
