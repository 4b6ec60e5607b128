//! DescribeLogDirs (API key 35): log directories and the partitions in them.
//!
//! Fields and versions as in the schemas of Kafka 4.4.

use alloc::vec::Vec;

use flumen_protocol_derive::Message;

use crate::{ErrorCode, Text};

/// Asks a broker: log directories and the partitions in them.
#[derive(Message, Clone, Debug, PartialEq)]
#[message(versions = "1-5", flexible = "2+")]
pub struct DescribeLogDirsRequest {
    /// Each topic that we want to describe log directories for, or null for all topics.
    #[field(versions = "0+", nullable = "0+", default = Some(Vec::new()))]
    pub topics: Option<Vec<DescribableLogDirTopic>>,
}

/// Each topic that we want to describe log directories for, or null for all topics.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct DescribableLogDirTopic {
    /// The topic name.
    #[field(versions = "0+")]
    pub topic: Text,
    /// The partition indexes.
    #[field(versions = "0+")]
    pub partitions: Vec<i32>,
}

/// The answer to [`DescribeLogDirsRequest`].
#[derive(Message, Clone, Debug, PartialEq)]
#[message(versions = "1-5", flexible = "2+")]
pub struct DescribeLogDirsResponse {
    /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero if the request
    /// did not violate any quota.
    #[field(versions = "0+")]
    pub throttle_time_ms: i32,
    /// The error code, or 0 if there was no error.
    #[field(versions = "3+", ignorable)]
    pub error_code: ErrorCode,
    /// The log directories.
    #[field(versions = "0+")]
    pub results: Vec<DescribeLogDirsResult>,
}

/// The log directories.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct DescribeLogDirsResult {
    /// The error code, or 0 if there was no error.
    #[field(versions = "0+")]
    pub error_code: ErrorCode,
    /// The absolute log directory path.
    #[field(versions = "0+")]
    pub log_dir: Text,
    /// The topics.
    #[field(versions = "0+")]
    pub topics: Vec<DescribeLogDirsTopic>,
    /// The total size in bytes of the volume the log directory is in. This value does not include the size of data stored
    /// in remote storage.
    #[field(versions = "4+", default = -1, ignorable)]
    pub total_bytes: i64,
    /// The usable size in bytes of the volume the log directory is in. This value does not include the size of data
    /// stored in remote storage.
    #[field(versions = "4+", default = -1, ignorable)]
    pub usable_bytes: i64,
    /// True if this log directory is cordoned.
    #[field(versions = "5+", ignorable)]
    pub is_cordoned: bool,
}

/// The topics.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct DescribeLogDirsTopic {
    /// The topic name.
    #[field(versions = "0+")]
    pub name: Text,
    /// The partitions.
    #[field(versions = "0+")]
    pub partitions: Vec<DescribeLogDirsPartition>,
}

/// The partitions.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct DescribeLogDirsPartition {
    /// The partition index.
    #[field(versions = "0+")]
    pub partition_index: i32,
    /// The size of the log segments in this partition in bytes.
    #[field(versions = "0+")]
    pub partition_size: i64,
    /// The lag of the log's LEO w.r.t. partition's HW (if it is the current log for the partition) or current replica's
    /// LEO (if it is the future log for the partition).
    #[field(versions = "0+")]
    pub offset_lag: i64,
    /// True if this log is created by AlterReplicaLogDirsRequest and will replace the current log of the replica in the
    /// future.
    #[field(versions = "0+")]
    pub is_future_key: bool,
}
