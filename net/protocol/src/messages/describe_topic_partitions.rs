//! DescribeTopicPartitions (API key 75): partitions of topics, page by page (KIP-966).
//!
//! Fields and versions as in the schemas of Kafka 4.4.

use alloc::vec::Vec;

use flumen_protocol_derive::Message;

use crate::{ErrorCode, Text, Uuid};

/// Asks a broker: partitions of topics, page by page (KIP-966).
#[derive(Message, Clone, Debug, PartialEq)]
#[message(versions = "0", flexible = "0+")]
pub struct DescribeTopicPartitionsRequest {
    /// The topics to fetch details for.
    #[field(versions = "0+")]
    pub topics: Vec<TopicRequest>,
    /// The maximum number of partitions included in the response.
    #[field(versions = "0+", default = 2000)]
    pub response_partition_limit: i32,
    /// The first topic and partition index to fetch details for.
    #[field(versions = "0+", nullable = "0+")]
    pub cursor: Option<Cursor>,
}

/// The topics to fetch details for.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct TopicRequest {
    /// The topic name.
    #[field(versions = "0+")]
    pub name: Text,
}

/// The first topic and partition index to fetch details for.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct Cursor {
    /// The name for the first topic to process.
    #[field(versions = "0+")]
    pub topic_name: Text,
    /// The partition index to start with.
    #[field(versions = "0+")]
    pub partition_index: i32,
}

/// The answer to [`DescribeTopicPartitionsRequest`].
#[derive(Message, Clone, Debug, PartialEq)]
#[message(versions = "0", flexible = "0+")]
pub struct DescribeTopicPartitionsResponse {
    /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero if the request
    /// did not violate any quota.
    #[field(versions = "0+", ignorable)]
    pub throttle_time_ms: i32,
    /// Each topic in the response.
    #[field(versions = "0+")]
    pub topics: Vec<DescribeTopicPartitionsResponseTopic>,
    /// The next topic and partition index to fetch details for.
    #[field(versions = "0+", nullable = "0+")]
    pub next_cursor: Option<Cursor>,
}

/// Each topic in the response.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct DescribeTopicPartitionsResponseTopic {
    /// The topic error, or 0 if there was no error.
    #[field(versions = "0+")]
    pub error_code: ErrorCode,
    /// The topic name.
    #[field(versions = "0+", nullable = "0+", default = Some(Text::default()))]
    pub name: Option<Text>,
    /// The topic id.
    #[field(versions = "0+", ignorable)]
    pub topic_id: Uuid,
    /// True if the topic is internal.
    #[field(versions = "0+", ignorable)]
    pub is_internal: bool,
    /// Each partition in the topic.
    #[field(versions = "0+")]
    pub partitions: Vec<DescribeTopicPartitionsResponsePartition>,
    /// 32-bit bitfield to represent authorized operations for this topic.
    #[field(versions = "0+", default = i32::MIN)]
    pub topic_authorized_operations: i32,
}

/// Each partition in the topic.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct DescribeTopicPartitionsResponsePartition {
    /// The partition error, or 0 if there was no error.
    #[field(versions = "0+")]
    pub error_code: ErrorCode,
    /// The partition index.
    #[field(versions = "0+")]
    pub partition_index: i32,
    /// The ID of the leader broker.
    #[field(versions = "0+")]
    pub leader_id: i32,
    /// The leader epoch of this partition.
    #[field(versions = "0+", default = -1, ignorable)]
    pub leader_epoch: i32,
    /// The set of all nodes that host this partition.
    #[field(versions = "0+")]
    pub replica_nodes: Vec<i32>,
    /// The set of nodes that are in sync with the leader for this partition.
    #[field(versions = "0+")]
    pub isr_nodes: Vec<i32>,
    /// The new eligible leader replicas otherwise.
    #[field(versions = "0+", nullable = "0+")]
    pub eligible_leader_replicas: Option<Vec<i32>>,
    /// The last known ELR.
    #[field(versions = "0+", nullable = "0+")]
    pub last_known_elr: Option<Vec<i32>>,
    /// The set of offline replicas of this partition.
    #[field(versions = "0+", ignorable)]
    pub offline_replicas: Vec<i32>,
}
