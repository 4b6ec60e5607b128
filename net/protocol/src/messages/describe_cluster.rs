//! DescribeCluster (API key 60): brokers and identity of the cluster (KIP-700).
//!
//! Fields and versions as in the schemas of Kafka 4.4.

use alloc::vec::Vec;

use flumen_protocol_derive::Message;

use crate::{ErrorCode, Text};

/// Asks a broker: brokers and identity of the cluster (KIP-700).
#[derive(Message, Clone, Debug, PartialEq)]
#[message(versions = "0-2", flexible = "0+")]
pub struct DescribeClusterRequest {
    /// Whether to include cluster authorized operations.
    #[field(versions = "0+")]
    pub include_cluster_authorized_operations: bool,
    /// The endpoint type to describe. 1=brokers, 2=controllers.
    #[field(versions = "1+", default = 1)]
    pub endpoint_type: i8,
    /// Whether to include fenced brokers when listing brokers.
    #[field(versions = "2+")]
    pub include_fenced_brokers: bool,
}

/// The answer to [`DescribeClusterRequest`].
#[derive(Message, Clone, Debug, PartialEq)]
#[message(versions = "0-2", flexible = "0+")]
pub struct DescribeClusterResponse {
    /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero if the request
    /// did not violate any quota.
    #[field(versions = "0+")]
    pub throttle_time_ms: i32,
    /// The top-level error code, or 0 if there was no error.
    #[field(versions = "0+")]
    pub error_code: ErrorCode,
    /// The top-level error message, or null if there was no error.
    #[field(versions = "0+", nullable = "0+")]
    pub error_message: Option<Text>,
    /// The endpoint type that was described. 1=brokers, 2=controllers.
    #[field(versions = "1+", default = 1)]
    pub endpoint_type: i8,
    /// The cluster ID that responding broker belongs to.
    #[field(versions = "0+")]
    pub cluster_id: Text,
    /// The ID of the controller. When handled by a controller, returns the current voter leader ID. When handled by a
    /// broker, returns a random alive broker ID as a fallback.
    #[field(versions = "0+", default = -1)]
    pub controller_id: i32,
    /// Each broker in the response.
    #[field(versions = "0+")]
    pub brokers: Vec<DescribeClusterBroker>,
    /// 32-bit bitfield to represent authorized operations for this cluster.
    #[field(versions = "0+", default = i32::MIN)]
    pub cluster_authorized_operations: i32,
}

/// Each broker in the response.
#[derive(Message, Clone, Debug, PartialEq)]
pub struct DescribeClusterBroker {
    /// The broker ID.
    #[field(versions = "0+")]
    pub broker_id: i32,
    /// The broker hostname.
    #[field(versions = "0+")]
    pub host: Text,
    /// The broker port.
    #[field(versions = "0+")]
    pub port: i32,
    /// The rack of the broker, or null if it has not been assigned to a rack.
    #[field(versions = "0+", nullable = "0+")]
    pub rack: Option<Text>,
    /// Whether the broker is fenced.
    #[field(versions = "2+")]
    pub is_fenced: bool,
}
