//! DescribeConfigs (API key 32): read the settings of topics and brokers.
//!
//! Fields and versions as in the schemas of Kafka 4.4.

use alloc::vec::Vec;

use flumen_protocol_derive::Message;

use crate::{ErrorCode, Text};

/// Asks a broker: read the settings of topics and brokers.
#[derive(Message, Clone, Debug, PartialEq)]
#[message(versions = "1-4", flexible = "4+")]
pub struct DescribeConfigsRequest {
    /// The resources whose configurations we want to describe.
    #[field(versions = "0+")]
    pub resources: Vec<DescribeConfigsResource>,
    /// True if we should include all synonyms.
    #[field(versions = "1+")]
    pub include_synonyms: bool,
    /// True if we should include configuration documentation.
    #[field(versions = "3+")]
    pub include_documentation: bool,
}

/// The resources whose configurations we want to describe.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct DescribeConfigsResource {
    /// The resource type.
    #[field(versions = "0+")]
    pub resource_type: i8,
    /// The resource name.
    #[field(versions = "0+")]
    pub resource_name: Text,
    /// The configuration keys to list, or null to list all configuration keys.
    #[field(versions = "0+", nullable = "0+", default = Some(Vec::new()))]
    pub configuration_keys: Option<Vec<Text>>,
}

/// The answer to [`DescribeConfigsRequest`].
#[derive(Message, Clone, Debug, PartialEq)]
#[message(versions = "1-4", flexible = "4+")]
pub struct DescribeConfigsResponse {
    /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero if the request
    /// did not violate any quota.
    #[field(versions = "0+")]
    pub throttle_time_ms: i32,
    /// The results for each resource.
    #[field(versions = "0+")]
    pub results: Vec<DescribeConfigsResult>,
}

/// The results for each resource.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct DescribeConfigsResult {
    /// The error code, or 0 if we were able to successfully describe the configurations.
    #[field(versions = "0+")]
    pub error_code: ErrorCode,
    /// The error message, or null if we were able to successfully describe the configurations.
    #[field(versions = "0+", nullable = "0+", default = Some(Text::default()))]
    pub error_message: Option<Text>,
    /// The resource type.
    #[field(versions = "0+")]
    pub resource_type: i8,
    /// The resource name.
    #[field(versions = "0+")]
    pub resource_name: Text,
    /// Each listed configuration.
    #[field(versions = "0+")]
    pub configs: Vec<DescribeConfigsResourceResult>,
}

/// Each listed configuration.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct DescribeConfigsResourceResult {
    /// The configuration name.
    #[field(versions = "0+")]
    pub name: Text,
    /// The configuration value.
    #[field(versions = "0+", nullable = "0+", default = Some(Text::default()))]
    pub value: Option<Text>,
    /// True if the configuration is read-only.
    #[field(versions = "0+")]
    pub read_only: bool,
    /// The configuration source.
    #[field(versions = "1+", default = -1, ignorable)]
    pub config_source: i8,
    /// True if this configuration is sensitive.
    #[field(versions = "0+")]
    pub is_sensitive: bool,
    /// The synonyms for this configuration key.
    #[field(versions = "1+", ignorable)]
    pub synonyms: Vec<DescribeConfigsSynonym>,
    /// The configuration data type. Type can be one of the following values - BOOLEAN, STRING, INT, SHORT, LONG, DOUBLE,
    /// LIST, CLASS, PASSWORD.
    #[field(versions = "3+", ignorable)]
    pub config_type: i8,
    /// The configuration documentation.
    #[field(versions = "3+", nullable = "3+", default = Some(Text::default()), ignorable)]
    pub documentation: Option<Text>,
}

/// The synonyms for this configuration key.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct DescribeConfigsSynonym {
    /// The synonym name.
    #[field(versions = "1+")]
    pub name: Text,
    /// The synonym value.
    #[field(versions = "1+", nullable = "1+", default = Some(Text::default()))]
    pub value: Option<Text>,
    /// The synonym source.
    #[field(versions = "1+")]
    pub source: i8,
}
