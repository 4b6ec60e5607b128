//! Produce (API key 0): append record batches to partitions.
//!
//! Fields and versions as in the schemas of Kafka 4.4.

use alloc::vec::Vec;

use flumen_protocol_derive::Message;

use crate::{ErrorCode, Records, Text, Uuid};

/// Asks a broker: append record batches to partitions.
#[derive(Message, Clone, Debug, PartialEq)]
#[message(versions = "3-13", flexible = "9+")]
pub struct ProduceRequest {
    /// The transactional ID, or null if the producer is not transactional.
    #[field(versions = "3+", nullable = "3+")]
    pub transactional_id: Option<Text>,
    /// The number of acknowledgments the producer requires the leader to have received before considering a request
    /// complete. Allowed values: 0 for no acknowledgments, 1 for only the leader and -1 for the full ISR.
    #[field(versions = "0+")]
    pub acks: i16,
    /// The timeout to await a response in milliseconds.
    #[field(versions = "0+")]
    pub timeout_ms: i32,
    /// Each topic to produce to.
    #[field(versions = "0+")]
    pub topic_data: Vec<TopicProduceData>,
}

/// Each topic to produce to.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct TopicProduceData {
    /// The topic name.
    #[field(versions = "0-12", ignorable)]
    pub name: Text,
    /// The unique topic ID.
    #[field(versions = "13+", ignorable)]
    pub topic_id: Uuid,
    /// Each partition to produce to.
    #[field(versions = "0+")]
    pub partition_data: Vec<PartitionProduceData>,
}

/// Each partition to produce to.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct PartitionProduceData {
    /// The partition index.
    #[field(versions = "0+")]
    pub index: i32,
    /// The record data to be produced.
    #[field(versions = "0+", nullable = "0+")]
    pub records: Option<Records>,
}

/// The answer to [`ProduceRequest`].
#[derive(Message, Clone, Debug, PartialEq)]
#[message(versions = "3-13", flexible = "9+")]
pub struct ProduceResponse {
    /// Each produce response.
    #[field(versions = "0+")]
    pub responses: Vec<TopicProduceResponse>,
    /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero if the request
    /// did not violate any quota.
    #[field(versions = "1+", ignorable)]
    pub throttle_time_ms: i32,
    /// Endpoints for all current-leaders enumerated in PartitionProduceResponses, with errors NOT_LEADER_OR_FOLLOWER.
    #[field(versions = "10+", tag = 0)]
    pub node_endpoints: Vec<NodeEndpoint>,
}

/// Each produce response.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct TopicProduceResponse {
    /// The topic name.
    #[field(versions = "0-12", ignorable)]
    pub name: Text,
    /// The unique topic ID.
    #[field(versions = "13+", ignorable)]
    pub topic_id: Uuid,
    /// Each partition that we produced to within the topic.
    #[field(versions = "0+")]
    pub partition_responses: Vec<PartitionProduceResponse>,
}

/// Each partition that we produced to within the topic.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct PartitionProduceResponse {
    /// The partition index.
    #[field(versions = "0+")]
    pub index: i32,
    /// The error code, or 0 if there was no error.
    #[field(versions = "0+")]
    pub error_code: ErrorCode,
    /// The base offset.
    #[field(versions = "0+")]
    pub base_offset: i64,
    /// The timestamp returned by broker after appending the messages. If CreateTime is used for the topic, the timestamp
    /// will be -1. If LogAppendTime is used for the topic, the timestamp will be the broker local time when the messages
    /// are appended.
    #[field(versions = "2+", default = -1, ignorable)]
    pub log_append_time_ms: i64,
    /// The log start offset.
    #[field(versions = "5+", default = -1, ignorable)]
    pub log_start_offset: i64,
    /// The batch indices of records that caused the batch to be dropped.
    #[field(versions = "8+", ignorable)]
    pub record_errors: Vec<BatchIndexAndErrorMessage>,
    /// The global error message summarizing the common root cause of the records that caused the batch to be dropped.
    #[field(versions = "8+", nullable = "8+", ignorable)]
    pub error_message: Option<Text>,
    /// The leader broker that the producer should use for future requests.
    #[field(versions = "10+", tag = 0)]
    pub current_leader: LeaderIdAndEpoch,
}

/// The batch indices of records that caused the batch to be dropped.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct BatchIndexAndErrorMessage {
    /// The batch index of the record that caused the batch to be dropped.
    #[field(versions = "8+")]
    pub batch_index: i32,
    /// The error message of the record that caused the batch to be dropped.
    #[field(versions = "8+", nullable = "8+")]
    pub batch_index_error_message: Option<Text>,
}

/// The leader broker that the producer should use for future requests.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct LeaderIdAndEpoch {
    /// The ID of the current leader or -1 if the leader is unknown.
    #[field(versions = "10+", default = -1)]
    pub leader_id: i32,
    /// The latest known leader epoch.
    #[field(versions = "10+", default = -1)]
    pub leader_epoch: i32,
}

/// Endpoints for all current-leaders enumerated in PartitionProduceResponses, with errors NOT_LEADER_OR_FOLLOWER.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct NodeEndpoint {
    /// The ID of the associated node.
    #[field(versions = "10+")]
    pub node_id: i32,
    /// The node's hostname.
    #[field(versions = "10+")]
    pub host: Text,
    /// The node's port.
    #[field(versions = "10+")]
    pub port: i32,
    /// The rack of the node, or null if it has not been assigned to a rack.
    #[field(versions = "10+", nullable = "10+")]
    pub rack: Option<Text>,
}
