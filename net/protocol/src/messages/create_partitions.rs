//! CreatePartitions (API key 37): add partitions to topics.
//!
//! Fields and versions as in the schemas of Kafka 4.4.

use alloc::vec::Vec;

use flumen_protocol_derive::Message;

use crate::{ErrorCode, Text};

/// Asks a broker: add partitions to topics.
#[derive(Message, Clone, Debug, PartialEq)]
#[message(versions = "0-3", flexible = "2+")]
pub struct CreatePartitionsRequest {
    /// Each topic that we want to create new partitions inside.
    #[field(versions = "0+")]
    pub topics: Vec<CreatePartitionsTopic>,
    /// The time in ms to wait for the partitions to be created.
    #[field(versions = "0+")]
    pub timeout_ms: i32,
    /// If true, then validate the request, but don't actually increase the number of partitions.
    #[field(versions = "0+")]
    pub validate_only: bool,
}

/// Each topic that we want to create new partitions inside.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct CreatePartitionsTopic {
    /// The topic name.
    #[field(versions = "0+")]
    pub name: Text,
    /// The new partition count.
    #[field(versions = "0+")]
    pub count: i32,
    /// The new partition assignments.
    #[field(versions = "0+", nullable = "0+", default = Some(Vec::new()))]
    pub assignments: Option<Vec<CreatePartitionsAssignment>>,
}

/// The new partition assignments.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct CreatePartitionsAssignment {
    /// The assigned broker IDs.
    #[field(versions = "0+")]
    pub broker_ids: Vec<i32>,
}

/// The answer to [`CreatePartitionsRequest`].
#[derive(Message, Clone, Debug, PartialEq)]
#[message(versions = "0-3", flexible = "2+")]
pub struct CreatePartitionsResponse {
    /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero if the request
    /// did not violate any quota.
    #[field(versions = "0+")]
    pub throttle_time_ms: i32,
    /// The partition creation results for each topic.
    #[field(versions = "0+")]
    pub results: Vec<CreatePartitionsTopicResult>,
}

/// The partition creation results for each topic.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct CreatePartitionsTopicResult {
    /// The topic name.
    #[field(versions = "0+")]
    pub name: Text,
    /// The result error, or zero if there was no error.
    #[field(versions = "0+")]
    pub error_code: ErrorCode,
    /// The result message, or null if there was no error.
    #[field(versions = "0+", nullable = "0+")]
    pub error_message: Option<Text>,
}
