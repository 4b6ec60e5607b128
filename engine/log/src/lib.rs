//! The log core: what a partition's bytes mean, and the order in which they become visible and durable.
//!
//! This crate is a brain: it has no files, clocks, threads or sockets. It asks for I/O as data ([`io`]) and is told the
//! outcome. The one exception to `no_std` is [`compression`], whose codecs insist on `std::io`.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

pub mod batch;
mod checksum;
mod codec;
pub mod compaction;
pub mod compression;
pub mod directories;
pub mod epoch;
pub mod fuzz;
#[cfg(test)]
mod golden;
pub mod identity;
#[cfg(test)]
mod impossible;
pub mod io;
pub mod journal;
mod lookup;
pub mod mutants;
pub mod partition;
pub mod producer;
pub mod recovery;
mod retention;
pub mod segment;
pub mod state;
pub mod store;
pub mod time;

pub use identity::*;
pub use time::{Monotonic, Now, SteadyWall, Timestamp};
