//! DescribeProducers (API key 61): active idempotent producers of partitions (KIP-664).
//!
//! Fields and versions as in the schemas of Kafka 4.4.

use alloc::vec::Vec;

use flumen_protocol_derive::Message;

use crate::{ErrorCode, Text};

/// Asks a broker: active idempotent producers of partitions (KIP-664).
#[derive(Message, Clone, Debug, PartialEq)]
#[message(versions = "0", flexible = "0+")]
pub struct DescribeProducersRequest {
    /// The topics to list producers for.
    #[field(versions = "0+")]
    pub topics: Vec<TopicRequest>,
}

/// The topics to list producers for.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct TopicRequest {
    /// The topic name.
    #[field(versions = "0+")]
    pub name: Text,
    /// The indexes of the partitions to list producers for.
    #[field(versions = "0+")]
    pub partition_indexes: Vec<i32>,
}

/// The answer to [`DescribeProducersRequest`].
#[derive(Message, Clone, Debug, PartialEq)]
#[message(versions = "0", flexible = "0+")]
pub struct DescribeProducersResponse {
    /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero if the request
    /// did not violate any quota.
    #[field(versions = "0+")]
    pub throttle_time_ms: i32,
    /// Each topic in the response.
    #[field(versions = "0+")]
    pub topics: Vec<TopicResponse>,
}

/// Each topic in the response.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct TopicResponse {
    /// The topic name.
    #[field(versions = "0+")]
    pub name: Text,
    /// Each partition in the response.
    #[field(versions = "0+")]
    pub partitions: Vec<PartitionResponse>,
}

/// Each partition in the response.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct PartitionResponse {
    /// The partition index.
    #[field(versions = "0+")]
    pub partition_index: i32,
    /// The partition error code, or 0 if there was no error.
    #[field(versions = "0+")]
    pub error_code: ErrorCode,
    /// The partition error message, which may be null if no additional details are available.
    #[field(versions = "0+", nullable = "0+")]
    pub error_message: Option<Text>,
    /// The active producers for the partition.
    #[field(versions = "0+")]
    pub active_producers: Vec<ProducerState>,
}

/// The active producers for the partition.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct ProducerState {
    /// The producer id.
    #[field(versions = "0+")]
    pub producer_id: i64,
    /// The producer epoch.
    #[field(versions = "0+")]
    pub producer_epoch: i32,
    /// The last sequence number sent by the producer.
    #[field(versions = "0+", default = -1)]
    pub last_sequence: i32,
    /// The last timestamp sent by the producer.
    #[field(versions = "0+", default = -1)]
    pub last_timestamp: i64,
    /// The current epoch of the producer group.
    #[field(versions = "0+")]
    pub coordinator_epoch: i32,
    /// The current transaction start offset of the producer.
    #[field(versions = "0+", default = -1)]
    pub current_txn_start_offset: i64,
}
