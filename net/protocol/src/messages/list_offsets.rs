//! ListOffsets (API key 2): find offsets by timestamp.
//!
//! Fields and versions as in the schemas of Kafka 4.4.

use alloc::vec::Vec;

use flumen_protocol_derive::Message;

use crate::{ErrorCode, Text};

/// Asks a broker: find offsets by timestamp.
#[derive(Message, Clone, Debug, PartialEq)]
#[message(versions = "1-11", flexible = "6+")]
pub struct ListOffsetsRequest {
    /// The broker ID of the requester, or -1 if this request is being made by a normal consumer.
    #[field(versions = "0+")]
    pub replica_id: i32,
    /// This setting controls the visibility of transactional records. Using READ_UNCOMMITTED (isolation_level = 0) makes
    /// all records visible. With READ_COMMITTED (isolation_level = 1), non-transactional and COMMITTED transactional
    /// records are visible. To be more concrete, READ_COMMITTED returns all data from offsets smaller than the current
    /// LSO (last stable offset), and enables the inclusion of the list of aborted transactions in the result, which
    /// allows consumers to discard ABORTED transactional records.
    #[field(versions = "2+")]
    pub isolation_level: i8,
    /// Each topic in the request.
    #[field(versions = "0+")]
    pub topics: Vec<ListOffsetsTopic>,
    /// The timeout to await a response in milliseconds for requests that require reading from remote storage for topics
    /// enabled with tiered storage.
    #[field(versions = "10+", ignorable)]
    pub timeout_ms: i32,
}

/// Each topic in the request.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct ListOffsetsTopic {
    /// The topic name.
    #[field(versions = "0+")]
    pub name: Text,
    /// Each partition in the request.
    #[field(versions = "0+")]
    pub partitions: Vec<ListOffsetsPartition>,
}

/// Each partition in the request.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct ListOffsetsPartition {
    /// The partition index.
    #[field(versions = "0+")]
    pub partition_index: i32,
    /// The current leader epoch.
    #[field(versions = "4+", default = -1, ignorable)]
    pub current_leader_epoch: i32,
    /// The current timestamp.
    #[field(versions = "0+")]
    pub timestamp: i64,
}

/// The answer to [`ListOffsetsRequest`].
#[derive(Message, Clone, Debug, PartialEq)]
#[message(versions = "1-11", flexible = "6+")]
pub struct ListOffsetsResponse {
    /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero if the request
    /// did not violate any quota.
    #[field(versions = "2+", ignorable)]
    pub throttle_time_ms: i32,
    /// Each topic in the response.
    #[field(versions = "0+")]
    pub topics: Vec<ListOffsetsTopicResponse>,
}

/// Each topic in the response.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct ListOffsetsTopicResponse {
    /// The topic name.
    #[field(versions = "0+")]
    pub name: Text,
    /// Each partition in the response.
    #[field(versions = "0+")]
    pub partitions: Vec<ListOffsetsPartitionResponse>,
}

/// Each partition in the response.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct ListOffsetsPartitionResponse {
    /// The partition index.
    #[field(versions = "0+")]
    pub partition_index: i32,
    /// The partition error code, or 0 if there was no error.
    #[field(versions = "0+")]
    pub error_code: ErrorCode,
    /// The timestamp associated with the returned offset.
    #[field(versions = "1+", default = -1)]
    pub timestamp: i64,
    /// The returned offset.
    #[field(versions = "1+", default = -1)]
    pub offset: i64,
    /// The leader epoch associated with the returned offset.
    #[field(versions = "4+", default = -1)]
    pub leader_epoch: i32,
}
