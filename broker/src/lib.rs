//! A whole shard as one machine, and everything it answers.
//!
//! This crate is a brain: it is told events and answers with effects. [`Shard`] is the machine that a core's loop runs;
//! [`mail`] is what the machines of several cores, and the control thread, write to one another; [`admin`] answers what the
//! metadata alone can answer.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod admin;
mod connection;
mod fetch;
mod hash;
pub mod homes;
pub mod limits;
pub mod mail;
mod metadata;
mod offsets;
mod partition;
mod produce;
mod producer_ids;
mod query;
mod shard;
mod topic_rules;

pub use homes::Homes;
pub use limits::Limits;
pub use mail::Mail;
pub use metadata::Random;
pub use shard::{Holdings, OffsetSettings, PartitionAudit, Settings, Shard};
