//! OffsetCommit (API key 8): store a group's positions.
//!
//! Fields and versions as in the schemas of Kafka 4.4.

use alloc::vec::Vec;

use flumen_protocol_derive::Message;

use crate::{ErrorCode, Text, Uuid};

/// Asks a broker: store a group's positions.
#[derive(Message, Clone, Debug, PartialEq)]
#[message(versions = "2-10", flexible = "8+")]
pub struct OffsetCommitRequest {
    /// The unique group identifier.
    #[field(versions = "0+")]
    pub group_id: Text,
    /// The generation of the group if using the classic group protocol or the member epoch if using the consumer
    /// protocol.
    #[field(versions = "1+", default = -1, ignorable)]
    pub generation_id_or_member_epoch: i32,
    /// The member ID assigned by the group coordinator.
    #[field(versions = "1+", ignorable)]
    pub member_id: Text,
    /// The unique identifier of the consumer instance provided by end user.
    #[field(versions = "7+", nullable = "7+")]
    pub group_instance_id: Option<Text>,
    /// The time period in ms to retain the offset.
    #[field(versions = "2-4", default = -1, ignorable)]
    pub retention_time_ms: i64,
    /// The topics to commit offsets for.
    #[field(versions = "0+")]
    pub topics: Vec<OffsetCommitRequestTopic>,
}

/// The topics to commit offsets for.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct OffsetCommitRequestTopic {
    /// The topic name.
    #[field(versions = "0-9", ignorable)]
    pub name: Text,
    /// The topic ID.
    #[field(versions = "10+", ignorable)]
    pub topic_id: Uuid,
    /// Each partition to commit offsets for.
    #[field(versions = "0+")]
    pub partitions: Vec<OffsetCommitRequestPartition>,
}

/// Each partition to commit offsets for.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct OffsetCommitRequestPartition {
    /// The partition index.
    #[field(versions = "0+")]
    pub partition_index: i32,
    /// The message offset to be committed.
    #[field(versions = "0+")]
    pub committed_offset: i64,
    /// The leader epoch of this partition.
    #[field(versions = "6+", default = -1, ignorable)]
    pub committed_leader_epoch: i32,
    /// Any associated metadata the client wants to keep.
    #[field(versions = "0+", nullable = "0+", default = Some(Text::default()))]
    pub committed_metadata: Option<Text>,
}

/// The answer to [`OffsetCommitRequest`].
#[derive(Message, Clone, Debug, PartialEq)]
#[message(versions = "2-10", flexible = "8+")]
pub struct OffsetCommitResponse {
    /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero if the request
    /// did not violate any quota.
    #[field(versions = "3+", ignorable)]
    pub throttle_time_ms: i32,
    /// The responses for each topic.
    #[field(versions = "0+")]
    pub topics: Vec<OffsetCommitResponseTopic>,
}

/// The responses for each topic.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct OffsetCommitResponseTopic {
    /// The topic name.
    #[field(versions = "0-9", ignorable)]
    pub name: Text,
    /// The topic ID.
    #[field(versions = "10+", ignorable)]
    pub topic_id: Uuid,
    /// The responses for each partition in the topic.
    #[field(versions = "0+")]
    pub partitions: Vec<OffsetCommitResponsePartition>,
}

/// The responses for each partition in the topic.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct OffsetCommitResponsePartition {
    /// The partition index.
    #[field(versions = "0+")]
    pub partition_index: i32,
    /// The error code, or 0 if there was no error.
    #[field(versions = "0+")]
    pub error_code: ErrorCode,
}
