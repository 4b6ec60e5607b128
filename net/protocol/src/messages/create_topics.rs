//! CreateTopics (API key 19): create topics.
//!
//! Fields and versions as in the schemas of Kafka 4.4.

use alloc::vec::Vec;

use flumen_protocol_derive::Message;

use crate::{ErrorCode, Text, Uuid};

/// Asks a broker: create topics.
#[derive(Message, Clone, Debug, PartialEq)]
#[message(versions = "2-7", flexible = "5+")]
pub struct CreateTopicsRequest {
    /// The topics to create.
    #[field(versions = "0+")]
    pub topics: Vec<CreatableTopic>,
    /// How long to wait in milliseconds before timing out the request.
    #[field(versions = "0+", default = 60000)]
    pub timeout_ms: i32,
    /// If true, check that the topics can be created as specified, but don't create anything.
    #[field(versions = "1+")]
    pub validate_only: bool,
}

/// The topics to create.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct CreatableTopic {
    /// The topic name.
    #[field(versions = "0+")]
    pub name: Text,
    /// The number of partitions to create in the topic, or -1 if we are either specifying a manual partition assignment
    /// or using the default partitions.
    #[field(versions = "0+")]
    pub num_partitions: i32,
    /// The number of replicas to create for each partition in the topic, or -1 if we are either specifying a manual
    /// partition assignment or using the default replication factor.
    #[field(versions = "0+")]
    pub replication_factor: i16,
    /// The manual partition assignment, or the empty array if we are using automatic assignment.
    #[field(versions = "0+")]
    pub assignments: Vec<CreatableReplicaAssignment>,
    /// The custom topic configurations to set.
    #[field(versions = "0+")]
    pub configs: Vec<CreatableTopicConfig>,
}

/// The manual partition assignment, or the empty array if we are using automatic assignment.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct CreatableReplicaAssignment {
    /// The partition index.
    #[field(versions = "0+")]
    pub partition_index: i32,
    /// The brokers to place the partition on.
    #[field(versions = "0+")]
    pub broker_ids: Vec<i32>,
}

/// The custom topic configurations to set.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct CreatableTopicConfig {
    /// The configuration name.
    #[field(versions = "0+")]
    pub name: Text,
    /// The configuration value.
    #[field(versions = "0+", nullable = "0+", default = Some(Text::default()))]
    pub value: Option<Text>,
}

/// The answer to [`CreateTopicsRequest`].
#[derive(Message, Clone, Debug, PartialEq)]
#[message(versions = "2-7", flexible = "5+")]
pub struct CreateTopicsResponse {
    /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero if the request
    /// did not violate any quota.
    #[field(versions = "2+", ignorable)]
    pub throttle_time_ms: i32,
    /// Results for each topic we tried to create.
    #[field(versions = "0+")]
    pub topics: Vec<CreatableTopicResult>,
}

/// Results for each topic we tried to create.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct CreatableTopicResult {
    /// The topic name.
    #[field(versions = "0+")]
    pub name: Text,
    /// The unique topic ID.
    #[field(versions = "7+", ignorable)]
    pub topic_id: Uuid,
    /// The error code, or 0 if there was no error.
    #[field(versions = "0+")]
    pub error_code: ErrorCode,
    /// The error message, or null if there was no error.
    #[field(versions = "1+", nullable = "1+", default = Some(Text::default()), ignorable)]
    pub error_message: Option<Text>,
    /// Optional topic config error returned if configs are not returned in the response.
    #[field(versions = "5+", tag = 0, ignorable)]
    pub topic_config_error_code: ErrorCode,
    /// Number of partitions of the topic.
    #[field(versions = "5+", default = -1, ignorable)]
    pub num_partitions: i32,
    /// Replication factor of the topic.
    #[field(versions = "5+", default = -1, ignorable)]
    pub replication_factor: i16,
    /// Configuration of the topic.
    #[field(versions = "5+", nullable = "5+", default = Some(Vec::new()), ignorable)]
    pub configs: Option<Vec<CreatableTopicConfigs>>,
}

/// Configuration of the topic.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct CreatableTopicConfigs {
    /// The configuration name.
    #[field(versions = "5+")]
    pub name: Text,
    /// The configuration value.
    #[field(versions = "5+", nullable = "5+", default = Some(Text::default()))]
    pub value: Option<Text>,
    /// True if the configuration is read-only.
    #[field(versions = "5+")]
    pub read_only: bool,
    /// The configuration source.
    #[field(versions = "5+", default = -1, ignorable)]
    pub config_source: i8,
    /// True if this configuration is sensitive.
    #[field(versions = "5+")]
    pub is_sensitive: bool,
}
