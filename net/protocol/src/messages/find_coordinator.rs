//! FindCoordinator (API key 10): which broker coordinates a group or a transactional id.
//!
//! Fields and versions as in the schemas of Kafka 4.4.

use alloc::vec::Vec;

use flumen_protocol_derive::Message;

use crate::{ErrorCode, Text};

/// Asks a broker: which broker coordinates a group or a transactional id.
#[derive(Message, Clone, Debug, PartialEq)]
#[message(versions = "0-6", flexible = "3+")]
pub struct FindCoordinatorRequest {
    /// The coordinator key.
    #[field(versions = "0-3")]
    pub key: Text,
    /// The coordinator key type. (group, transaction, share).
    #[field(versions = "1+")]
    pub key_type: i8,
    /// The coordinator keys.
    #[field(versions = "4+")]
    pub coordinator_keys: Vec<Text>,
}

/// The answer to [`FindCoordinatorRequest`].
#[derive(Message, Clone, Debug, PartialEq)]
#[message(versions = "0-6", flexible = "3+")]
pub struct FindCoordinatorResponse {
    /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero if the request
    /// did not violate any quota.
    #[field(versions = "1+", ignorable)]
    pub throttle_time_ms: i32,
    /// The error code, or 0 if there was no error.
    #[field(versions = "0-3")]
    pub error_code: ErrorCode,
    /// The error message, or null if there was no error.
    #[field(versions = "1-3", nullable = "1-3", default = Some(Text::default()), ignorable)]
    pub error_message: Option<Text>,
    /// The node id.
    #[field(versions = "0-3")]
    pub node_id: i32,
    /// The host name.
    #[field(versions = "0-3")]
    pub host: Text,
    /// The port.
    #[field(versions = "0-3")]
    pub port: i32,
    /// Each coordinator result in the response.
    #[field(versions = "4+")]
    pub coordinators: Vec<Coordinator>,
}

/// Each coordinator result in the response.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct Coordinator {
    /// The coordinator key.
    #[field(versions = "4+")]
    pub key: Text,
    /// The node id.
    #[field(versions = "4+")]
    pub node_id: i32,
    /// The host name.
    #[field(versions = "4+")]
    pub host: Text,
    /// The port.
    #[field(versions = "4+")]
    pub port: i32,
    /// The error code, or 0 if there was no error.
    #[field(versions = "4+")]
    pub error_code: ErrorCode,
    /// The error message, or null if there was no error.
    #[field(versions = "4+", nullable = "4+", default = Some(Text::default()), ignorable)]
    pub error_message: Option<Text>,
}
