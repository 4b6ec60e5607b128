//! Kafka's behaviours that clients notice, asked for through the wire: one test a behaviour, its name beginning with the id of the
//! line in `xtask/checklist.toml`.
//!
//! Unless a test says otherwise, Apache Kafka 4.4.0 passes it too (`FLUMEN_TEST_KAFKA=host:port`). Tests that restart, damage or set
//! up a broker run against a Flumen of their own.

#![allow(unreachable_pub, clippy::unwrap_used, reason = "a test is a crate of its own, and all of it is test")]

#[path = "../harness/mod.rs"]
mod harness;

mod admin;
mod commits;
mod compaction;
mod configs;
mod connections;
mod directories;
mod fetches;
mod idempotence;
mod limits;
mod metadata;
mod offsets;
mod polls;
mod produce;
mod sessions;
mod storage;
