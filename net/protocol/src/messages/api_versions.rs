//! ApiVersions (API key 18): which APIs and versions a broker serves.
//!
//! Fields and versions as in the schemas of Kafka 4.4.

use alloc::vec::Vec;

use flumen_protocol_derive::Message;

use crate::{ErrorCode, Text};

/// Asks a broker: which APIs and versions a broker serves.
#[derive(Message, Clone, Debug, PartialEq)]
#[message(versions = "0-5", flexible = "3+")]
pub struct ApiVersionsRequest {
    /// The name of the client.
    #[field(versions = "3+", ignorable)]
    pub client_software_name: Text,
    /// The version of the client.
    #[field(versions = "3+", ignorable)]
    pub client_software_version: Text,
    /// The cluster ID the client intends to connect to. Provide both ClusterId and NodeId, if known.
    #[field(versions = "5+", nullable = "5+", ignorable)]
    pub cluster_id: Option<Text>,
    /// The node ID the client intends to connect to. Provide both ClusterId and NodeId, if known.
    #[field(versions = "5+", default = -1, ignorable)]
    pub node_id: i32,
}

/// The answer to [`ApiVersionsRequest`].
#[derive(Message, Clone, Debug, PartialEq)]
#[message(versions = "0-5", flexible = "3+")]
pub struct ApiVersionsResponse {
    /// The top-level error code.
    #[field(versions = "0+")]
    pub error_code: ErrorCode,
    /// The APIs supported by the broker.
    #[field(versions = "0+")]
    pub api_keys: Vec<ApiVersion>,
    /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero if the request
    /// did not violate any quota.
    #[field(versions = "1+", ignorable)]
    pub throttle_time_ms: i32,
    /// Features supported by the broker. Note: in v0-v3, features with MinSupportedVersion = 0 are omitted.
    #[field(versions = "3+", tag = 0, ignorable)]
    pub supported_features: Vec<SupportedFeatureKey>,
    /// The monotonically increasing epoch for the finalized features information. Valid values are >= 0. A value of -1 is
    /// special and represents unknown epoch.
    #[field(versions = "3+", default = -1, tag = 1, ignorable)]
    pub finalized_features_epoch: i64,
    /// List of cluster-wide finalized features. The information is valid only if FinalizedFeaturesEpoch >= 0.
    #[field(versions = "3+", tag = 2, ignorable)]
    pub finalized_features: Vec<FinalizedFeatureKey>,
    /// Set by a KRaft controller if the required configurations for ZK migration are present.
    #[field(versions = "3+", tag = 3, ignorable)]
    pub zk_migration_ready: bool,
}

/// The APIs supported by the broker.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct ApiVersion {
    /// The API index.
    #[field(versions = "0+")]
    pub api_key: i16,
    /// The minimum supported version, inclusive.
    #[field(versions = "0+")]
    pub min_version: i16,
    /// The maximum supported version, inclusive.
    #[field(versions = "0+")]
    pub max_version: i16,
}

/// Features supported by the broker. Note: in v0-v3, features with MinSupportedVersion = 0 are omitted.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct SupportedFeatureKey {
    /// The name of the feature.
    #[field(versions = "3+")]
    pub name: Text,
    /// The minimum supported version for the feature.
    #[field(versions = "3+")]
    pub min_version: i16,
    /// The maximum supported version for the feature.
    #[field(versions = "3+")]
    pub max_version: i16,
}

/// List of cluster-wide finalized features. The information is valid only if FinalizedFeaturesEpoch >= 0.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct FinalizedFeatureKey {
    /// The name of the feature.
    #[field(versions = "3+")]
    pub name: Text,
    /// The cluster-wide finalized max version level for the feature.
    #[field(versions = "3+")]
    pub max_version_level: i16,
    /// The cluster-wide finalized min version level for the feature.
    #[field(versions = "3+")]
    pub min_version_level: i16,
}
