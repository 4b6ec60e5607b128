//! DeleteRecords (API key 21): move the log start offset forward.
//!
//! Fields and versions as in the schemas of Kafka 4.4.

use alloc::vec::Vec;

use flumen_protocol_derive::Message;

use crate::{ErrorCode, Text};

/// Asks a broker: move the log start offset forward.
#[derive(Message, Clone, Debug, PartialEq)]
#[message(versions = "0-2", flexible = "2+")]
pub struct DeleteRecordsRequest {
    /// Each topic that we want to delete records from.
    #[field(versions = "0+")]
    pub topics: Vec<DeleteRecordsTopic>,
    /// How long to wait for the deletion to complete, in milliseconds.
    #[field(versions = "0+")]
    pub timeout_ms: i32,
}

/// Each topic that we want to delete records from.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct DeleteRecordsTopic {
    /// The topic name.
    #[field(versions = "0+")]
    pub name: Text,
    /// Each partition that we want to delete records from.
    #[field(versions = "0+")]
    pub partitions: Vec<DeleteRecordsPartition>,
}

/// Each partition that we want to delete records from.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct DeleteRecordsPartition {
    /// The partition index.
    #[field(versions = "0+")]
    pub partition_index: i32,
    /// The deletion offset. -1 means that records should be truncated to the high watermark.
    #[field(versions = "0+")]
    pub offset: i64,
}

/// The answer to [`DeleteRecordsRequest`].
#[derive(Message, Clone, Debug, PartialEq)]
#[message(versions = "0-2", flexible = "2+")]
pub struct DeleteRecordsResponse {
    /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero if the request
    /// did not violate any quota.
    #[field(versions = "0+")]
    pub throttle_time_ms: i32,
    /// Each topic that we wanted to delete records from.
    #[field(versions = "0+")]
    pub topics: Vec<DeleteRecordsTopicResult>,
}

/// Each topic that we wanted to delete records from.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct DeleteRecordsTopicResult {
    /// The topic name.
    #[field(versions = "0+")]
    pub name: Text,
    /// Each partition that we wanted to delete records from.
    #[field(versions = "0+")]
    pub partitions: Vec<DeleteRecordsPartitionResult>,
}

/// Each partition that we wanted to delete records from.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct DeleteRecordsPartitionResult {
    /// The partition index.
    #[field(versions = "0+")]
    pub partition_index: i32,
    /// The partition low water mark.
    #[field(versions = "0+")]
    pub low_watermark: i64,
    /// The deletion error code, or 0 if the deletion succeeded.
    #[field(versions = "0+")]
    pub error_code: ErrorCode,
}
