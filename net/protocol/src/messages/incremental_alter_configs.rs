//! IncrementalAlterConfigs (API key 44): change single settings (KIP-339).
//!
//! Fields and versions as in the schemas of Kafka 4.4.

use alloc::vec::Vec;

use flumen_protocol_derive::Message;

use crate::{ErrorCode, Text};

/// Asks a broker: change single settings (KIP-339).
#[derive(Message, Clone, Debug, PartialEq)]
#[message(versions = "0-1", flexible = "1+")]
pub struct IncrementalAlterConfigsRequest {
    /// The incremental updates for each resource.
    #[field(versions = "0+")]
    pub resources: Vec<AlterConfigsResource>,
    /// True if we should validate the request, but not change the configurations.
    #[field(versions = "0+")]
    pub validate_only: bool,
}

/// The incremental updates for each resource.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct AlterConfigsResource {
    /// The resource type.
    #[field(versions = "0+")]
    pub resource_type: i8,
    /// The resource name.
    #[field(versions = "0+")]
    pub resource_name: Text,
    /// The configurations.
    #[field(versions = "0+")]
    pub configs: Vec<AlterableConfig>,
}

/// The configurations.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct AlterableConfig {
    /// The configuration key name.
    #[field(versions = "0+")]
    pub name: Text,
    /// The type (Set, Delete, Append, Subtract) of operation.
    #[field(versions = "0+")]
    pub config_operation: i8,
    /// The value to set for the configuration key.
    #[field(versions = "0+", nullable = "0+", default = Some(Text::default()))]
    pub value: Option<Text>,
}

/// The answer to [`IncrementalAlterConfigsRequest`].
#[derive(Message, Clone, Debug, PartialEq)]
#[message(versions = "0-1", flexible = "1+")]
pub struct IncrementalAlterConfigsResponse {
    /// Duration in milliseconds for which the request was throttled due to a quota violation, or zero if the request did
    /// not violate any quota.
    #[field(versions = "0+")]
    pub throttle_time_ms: i32,
    /// The responses for each resource.
    #[field(versions = "0+")]
    pub responses: Vec<AlterConfigsResourceResponse>,
}

/// The responses for each resource.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct AlterConfigsResourceResponse {
    /// The resource error code.
    #[field(versions = "0+")]
    pub error_code: ErrorCode,
    /// The resource error message, or null if there was no error.
    #[field(versions = "0+", nullable = "0+", default = Some(Text::default()))]
    pub error_message: Option<Text>,
    /// The resource type.
    #[field(versions = "0+")]
    pub resource_type: i8,
    /// The resource name.
    #[field(versions = "0+")]
    pub resource_name: Text,
}
