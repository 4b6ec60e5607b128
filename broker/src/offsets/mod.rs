//! Committed offsets of standalone consumers: OffsetCommit and OffsetFetch over Kafka's own records in `__consumer_offsets`.
//!
//! The coordinator of a group lives on the shard that owns the group's partition of that topic. What it knows is a replay of
//! the partition's records; a commit is an ordinary append there, answered when the high watermark has passed it. Groups with
//! members come later: until then every group is one that nobody has joined.

mod commit;
mod coordinator;
mod fetch;
mod records;
mod replay;

pub(crate) use commit::{CommitAsked, commit_response};
pub(crate) use coordinator::Coordinators;

/// The topic that holds the commits.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";
