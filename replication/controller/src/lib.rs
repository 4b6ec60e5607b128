//! Cluster metadata: what the cluster is (the image), what may be asked of it (commands), and what an answer changed
//! (the delta).
//!
//! This crate is a brain: it has no files, clocks, threads, sockets or randomness. The quorum (`link`) puts commands in an
//! order and keeps them; [`StateMachine::apply`] turns each into the same answer and the same image on every member.
//!
//! Invariants: `apply` reads nothing but the image and the command (identities and random ids are made by whoever proposes);
//! a topic keeps its id for life and a new topic never gets an old one's; a partition's epochs only rise.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

mod alteration;
mod brokers;
pub mod command;
pub mod configs;
pub mod delta;
pub mod image;
pub mod names;
mod partitions;
mod placement;
pub mod refusal;
pub mod response;
pub mod rules;
pub mod snapshot;
pub mod state_machine;
#[cfg(test)]
mod tests;
mod topics;

pub use command::Command;
pub use delta::Delta;
pub use image::{BrokerImage, ConfigResource, Endpoint, MetadataImage, PartitionImage, TopicImage};
pub use refusal::{Reason, Refusal};
pub use response::CommandResponse;
pub use rules::{ConfigRules, ConfigScope};
pub use snapshot::ImageSnapshot;
pub use state_machine::StateMachine;
pub use topics::MAX_PARTITIONS_PER_REQUEST;
