//! OffsetForLeaderEpoch (API key 23): where a leader epoch ended (KIP-320).
//!
//! Fields and versions as in the schemas of Kafka 4.4.

use alloc::vec::Vec;

use flumen_protocol_derive::Message;

use crate::{ErrorCode, Text};

/// Asks a broker: where a leader epoch ended (KIP-320).
#[derive(Message, Clone, Debug, PartialEq)]
#[message(versions = "2-4", flexible = "4+")]
pub struct OffsetForLeaderEpochRequest {
    /// The broker ID of the follower, of -1 if this request is from a consumer.
    #[field(versions = "3+", default = -2, ignorable)]
    pub replica_id: i32,
    /// Each topic to get offsets for.
    #[field(versions = "0+")]
    pub topics: Vec<OffsetForLeaderTopic>,
}

/// Each topic to get offsets for.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct OffsetForLeaderTopic {
    /// The topic name.
    #[field(versions = "0+")]
    pub topic: Text,
    /// Each partition to get offsets for.
    #[field(versions = "0+")]
    pub partitions: Vec<OffsetForLeaderPartition>,
}

/// Each partition to get offsets for.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct OffsetForLeaderPartition {
    /// The partition index.
    #[field(versions = "0+")]
    pub partition: i32,
    /// An epoch used to fence consumers/replicas with old metadata. If the epoch provided by the client is larger than
    /// the current epoch known to the broker, then the UNKNOWN_LEADER_EPOCH error code will be returned. If the provided
    /// epoch is smaller, then the FENCED_LEADER_EPOCH error code will be returned.
    #[field(versions = "2+", default = -1, ignorable)]
    pub current_leader_epoch: i32,
    /// The epoch to look up an offset for.
    #[field(versions = "0+")]
    pub leader_epoch: i32,
}

/// The answer to [`OffsetForLeaderEpochRequest`].
#[derive(Message, Clone, Debug, PartialEq)]
#[message(versions = "2-4", flexible = "4+")]
pub struct OffsetForLeaderEpochResponse {
    /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero if the request
    /// did not violate any quota.
    #[field(versions = "2+", ignorable)]
    pub throttle_time_ms: i32,
    /// Each topic we fetched offsets for.
    #[field(versions = "0+")]
    pub topics: Vec<OffsetForLeaderTopicResult>,
}

/// Each topic we fetched offsets for.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct OffsetForLeaderTopicResult {
    /// The topic name.
    #[field(versions = "0+")]
    pub topic: Text,
    /// Each partition in the topic we fetched offsets for.
    #[field(versions = "0+")]
    pub partitions: Vec<EpochEndOffset>,
}

/// Each partition in the topic we fetched offsets for.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct EpochEndOffset {
    /// The error code 0, or if there was no error.
    #[field(versions = "0+")]
    pub error_code: ErrorCode,
    /// The partition index.
    #[field(versions = "0+")]
    pub partition: i32,
    /// The leader epoch of the partition.
    #[field(versions = "1+", default = -1, ignorable)]
    pub leader_epoch: i32,
    /// The end offset of the epoch.
    #[field(versions = "0+", default = -1)]
    pub end_offset: i64,
}
