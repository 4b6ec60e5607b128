//! OffsetFetch (API key 9): read a group's positions.
//!
//! Fields and versions as in the schemas of Kafka 4.4.

use alloc::vec::Vec;

use flumen_protocol_derive::Message;

use crate::{ErrorCode, Text, Uuid};

/// Asks a broker: read a group's positions.
#[derive(Message, Clone, Debug, PartialEq)]
#[message(versions = "1-10", flexible = "6+")]
pub struct OffsetFetchRequest {
    /// The group to fetch offsets for.
    #[field(versions = "0-7")]
    pub group_id: Text,
    /// Each topic we would like to fetch offsets for, or null to fetch offsets for all topics.
    #[field(versions = "0-7", nullable = "2-7", default = Some(Vec::new()))]
    pub topics: Option<Vec<OffsetFetchRequestTopic>>,
    /// Each group we would like to fetch offsets for.
    #[field(versions = "8+")]
    pub groups: Vec<OffsetFetchRequestGroup>,
    /// Whether broker should hold on returning unstable offsets but set a retriable error code for the partitions.
    #[field(versions = "7+")]
    pub require_stable: bool,
}

/// Each topic we would like to fetch offsets for, or null to fetch offsets for all topics.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct OffsetFetchRequestTopic {
    /// The topic name.
    #[field(versions = "0-7")]
    pub name: Text,
    /// The partition indexes we would like to fetch offsets for.
    #[field(versions = "0-7")]
    pub partition_indexes: Vec<i32>,
}

/// Each group we would like to fetch offsets for.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct OffsetFetchRequestGroup {
    /// The group ID.
    #[field(versions = "8+")]
    pub group_id: Text,
    /// The member id.
    #[field(versions = "9+", nullable = "9+", ignorable)]
    pub member_id: Option<Text>,
    /// The member epoch if using the new consumer protocol (KIP-848).
    #[field(versions = "9+", default = -1, ignorable)]
    pub member_epoch: i32,
    /// Each topic we would like to fetch offsets for, or null to fetch offsets for all topics.
    #[field(versions = "8+", nullable = "8+", default = Some(Vec::new()))]
    pub topics: Option<Vec<OffsetFetchRequestTopics>>,
}

/// Each topic we would like to fetch offsets for, or null to fetch offsets for all topics.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct OffsetFetchRequestTopics {
    /// The topic name.
    #[field(versions = "8-9", ignorable)]
    pub name: Text,
    /// The topic ID.
    #[field(versions = "10+", ignorable)]
    pub topic_id: Uuid,
    /// The partition indexes we would like to fetch offsets for.
    #[field(versions = "8+")]
    pub partition_indexes: Vec<i32>,
}

/// The answer to [`OffsetFetchRequest`].
#[derive(Message, Clone, Debug, PartialEq)]
#[message(versions = "1-10", flexible = "6+")]
pub struct OffsetFetchResponse {
    /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero if the request
    /// did not violate any quota.
    #[field(versions = "3+", ignorable)]
    pub throttle_time_ms: i32,
    /// The responses per topic.
    #[field(versions = "0-7")]
    pub topics: Vec<OffsetFetchResponseTopic>,
    /// The top-level error code, or 0 if there was no error.
    #[field(versions = "2-7", ignorable)]
    pub error_code: ErrorCode,
    /// The responses per group id.
    #[field(versions = "8+")]
    pub groups: Vec<OffsetFetchResponseGroup>,
}

/// The responses per topic.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct OffsetFetchResponseTopic {
    /// The topic name.
    #[field(versions = "0-7")]
    pub name: Text,
    /// The responses per partition.
    #[field(versions = "0-7")]
    pub partitions: Vec<OffsetFetchResponsePartition>,
}

/// The responses per partition.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct OffsetFetchResponsePartition {
    /// The partition index.
    #[field(versions = "0-7")]
    pub partition_index: i32,
    /// The committed message offset.
    #[field(versions = "0-7")]
    pub committed_offset: i64,
    /// The leader epoch.
    #[field(versions = "5-7", default = -1, ignorable)]
    pub committed_leader_epoch: i32,
    /// The partition metadata.
    #[field(versions = "0-7", nullable = "0-7", default = Some(Text::default()))]
    pub metadata: Option<Text>,
    /// The error code, or 0 if there was no error.
    #[field(versions = "0-7")]
    pub error_code: ErrorCode,
}

/// The responses per group id.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct OffsetFetchResponseGroup {
    /// The group ID.
    #[field(versions = "8+")]
    pub group_id: Text,
    /// The responses per topic.
    #[field(versions = "8+")]
    pub topics: Vec<OffsetFetchResponseTopics>,
    /// The group-level error code, or 0 if there was no error.
    #[field(versions = "8+")]
    pub error_code: ErrorCode,
}

/// The responses per topic.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct OffsetFetchResponseTopics {
    /// The topic name.
    #[field(versions = "8-9", ignorable)]
    pub name: Text,
    /// The topic ID.
    #[field(versions = "10+", ignorable)]
    pub topic_id: Uuid,
    /// The responses per partition.
    #[field(versions = "8+")]
    pub partitions: Vec<OffsetFetchResponsePartitions>,
}

/// The responses per partition.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct OffsetFetchResponsePartitions {
    /// The partition index.
    #[field(versions = "8+")]
    pub partition_index: i32,
    /// The committed message offset.
    #[field(versions = "8+")]
    pub committed_offset: i64,
    /// The leader epoch.
    #[field(versions = "8+", default = -1, ignorable)]
    pub committed_leader_epoch: i32,
    /// The partition metadata.
    #[field(versions = "8+", nullable = "8+", default = Some(Text::default()))]
    pub metadata: Option<Text>,
    /// The partition-level error code, or 0 if there was no error.
    #[field(versions = "8+")]
    pub error_code: ErrorCode,
}
