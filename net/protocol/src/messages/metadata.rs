//! Metadata (API key 3): brokers, topics and partition leaders.
//!
//! Fields and versions as in the schemas of Kafka 4.4.

use alloc::vec::Vec;

use flumen_protocol_derive::Message;

use crate::{ErrorCode, Text, Uuid};

/// Asks a broker: brokers, topics and partition leaders.
#[derive(Message, Clone, Debug, PartialEq)]
#[message(versions = "0-13", flexible = "9+")]
pub struct MetadataRequest {
    /// The topics to fetch metadata for.
    #[field(versions = "0+", nullable = "1+", default = Some(Vec::new()))]
    pub topics: Option<Vec<MetadataRequestTopic>>,
    /// If this is true, the broker may auto-create topics that we requested which do not already exist, if it is
    /// configured to do so.
    #[field(versions = "4+", default = true)]
    pub allow_auto_topic_creation: bool,
    /// Whether to include cluster authorized operations.
    #[field(versions = "8-10")]
    pub include_cluster_authorized_operations: bool,
    /// Whether to include topic authorized operations.
    #[field(versions = "8+")]
    pub include_topic_authorized_operations: bool,
}

/// The topics to fetch metadata for.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct MetadataRequestTopic {
    /// The topic id.
    #[field(versions = "10+", ignorable)]
    pub topic_id: Uuid,
    /// The topic name.
    #[field(versions = "0+", nullable = "10+", default = Some(Text::default()))]
    pub name: Option<Text>,
}

/// The answer to [`MetadataRequest`].
#[derive(Message, Clone, Debug, PartialEq)]
#[message(versions = "0-13", flexible = "9+")]
pub struct MetadataResponse {
    /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero if the request
    /// did not violate any quota.
    #[field(versions = "3+", ignorable)]
    pub throttle_time_ms: i32,
    /// A list of brokers present in the cluster.
    #[field(versions = "0+")]
    pub brokers: Vec<MetadataResponseBroker>,
    /// The cluster ID that responding broker belongs to.
    #[field(versions = "2+", nullable = "2+", ignorable)]
    pub cluster_id: Option<Text>,
    /// The ID of the controller broker.
    #[field(versions = "1+", default = -1, ignorable)]
    pub controller_id: i32,
    /// Each topic in the response.
    #[field(versions = "0+")]
    pub topics: Vec<MetadataResponseTopic>,
    /// 32-bit bitfield to represent authorized operations for this cluster.
    #[field(versions = "8-10", default = i32::MIN)]
    pub cluster_authorized_operations: i32,
    /// The top-level error code, or 0 if there was no error.
    #[field(versions = "13+", ignorable)]
    pub error_code: ErrorCode,
}

/// A list of brokers present in the cluster.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct MetadataResponseBroker {
    /// The broker ID.
    #[field(versions = "0+")]
    pub node_id: i32,
    /// The broker hostname.
    #[field(versions = "0+")]
    pub host: Text,
    /// The broker port.
    #[field(versions = "0+")]
    pub port: i32,
    /// The rack of the broker, or null if it has not been assigned to a rack.
    #[field(versions = "1+", nullable = "1+", ignorable)]
    pub rack: Option<Text>,
}

/// Each topic in the response.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct MetadataResponseTopic {
    /// The topic error, or 0 if there was no error.
    #[field(versions = "0+")]
    pub error_code: ErrorCode,
    /// The topic name. Null for non-existing topics queried by ID. This is never null when ErrorCode is zero. One of Name
    /// and TopicId is always populated.
    #[field(versions = "0+", nullable = "12+", default = Some(Text::default()))]
    pub name: Option<Text>,
    /// The topic id. Zero for non-existing topics queried by name. This is never zero when ErrorCode is zero. One of Name
    /// and TopicId is always populated.
    #[field(versions = "10+", ignorable)]
    pub topic_id: Uuid,
    /// True if the topic is internal.
    #[field(versions = "1+", ignorable)]
    pub is_internal: bool,
    /// Each partition in the topic.
    #[field(versions = "0+")]
    pub partitions: Vec<MetadataResponsePartition>,
    /// 32-bit bitfield to represent authorized operations for this topic.
    #[field(versions = "8+", default = i32::MIN)]
    pub topic_authorized_operations: i32,
}

/// Each partition in the topic.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct MetadataResponsePartition {
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
    #[field(versions = "7+", default = -1, ignorable)]
    pub leader_epoch: i32,
    /// The set of all nodes that host this partition.
    #[field(versions = "0+")]
    pub replica_nodes: Vec<i32>,
    /// The set of nodes that are in sync with the leader for this partition.
    #[field(versions = "0+")]
    pub isr_nodes: Vec<i32>,
    /// The set of offline replicas of this partition.
    #[field(versions = "5+", ignorable)]
    pub offline_replicas: Vec<i32>,
}
