//! DeleteTopics (API key 20): delete topics, by name or by id.
//!
//! Fields and versions as in the schemas of Kafka 4.4.

use alloc::vec::Vec;

use flumen_protocol_derive::Message;

use crate::{ErrorCode, Text, Uuid};

/// Asks a broker: delete topics, by name or by id.
#[derive(Message, Clone, Debug, PartialEq)]
#[message(versions = "1-6", flexible = "4+")]
pub struct DeleteTopicsRequest {
    /// The name or topic ID of the topic.
    #[field(versions = "6+")]
    pub topics: Vec<DeleteTopicState>,
    /// The names of the topics to delete.
    #[field(versions = "0-5", ignorable)]
    pub topic_names: Vec<Text>,
    /// The length of time in milliseconds to wait for the deletions to complete.
    #[field(versions = "0+")]
    pub timeout_ms: i32,
}

/// The name or topic ID of the topic.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct DeleteTopicState {
    /// The topic name.
    #[field(versions = "6+", nullable = "6+")]
    pub name: Option<Text>,
    /// The unique topic ID.
    #[field(versions = "6+")]
    pub topic_id: Uuid,
}

/// The answer to [`DeleteTopicsRequest`].
#[derive(Message, Clone, Debug, PartialEq)]
#[message(versions = "1-6", flexible = "4+")]
pub struct DeleteTopicsResponse {
    /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero if the request
    /// did not violate any quota.
    #[field(versions = "1+", ignorable)]
    pub throttle_time_ms: i32,
    /// The results for each topic we tried to delete.
    #[field(versions = "0+")]
    pub responses: Vec<DeletableTopicResult>,
}

/// The results for each topic we tried to delete.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct DeletableTopicResult {
    /// The topic name.
    #[field(versions = "0+", nullable = "6+", default = Some(Text::default()))]
    pub name: Option<Text>,
    /// The unique topic ID.
    #[field(versions = "6+", ignorable)]
    pub topic_id: Uuid,
    /// The deletion error, or 0 if the deletion succeeded.
    #[field(versions = "0+")]
    pub error_code: ErrorCode,
    /// The error message, or null if there was no error.
    #[field(versions = "5+", nullable = "5+", ignorable)]
    pub error_message: Option<Text>,
}
