//! Why a request was refused: Kafka's error, and a sentence for the person who reads it.

use alloc::string::String;
use core::fmt;
use flumen_protocol::ErrorCode;
use serde::{Deserialize, Serialize};

/// A refusal with its sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The kind.
    pub reason: Reason,
    /// What to tell the client, in Kafka's words where it has them.
    pub message: String,
}

/// The kinds of refusal, each one of Kafka's errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// No such topic, or no such partition.
    UnknownTopicOrPartition,
    /// The name is not a topic's.
    InvalidTopic,
    /// There is a topic of that name.
    TopicAlreadyExists,
    /// The number of partitions makes no sense.
    InvalidPartitions,
    /// The replication factor cannot be had.
    InvalidReplicationFactor,
    /// The replicas placed by hand cannot be.
    InvalidReplicaAssignment,
    /// An unknown key, or a bad value.
    InvalidConfig,
    /// The request contradicts itself.
    InvalidRequest,
    /// A policy of this cluster forbids it.
    PolicyViolation,
    /// The leader epoch is over.
    FencedLeaderEpoch,
    /// The registration is over.
    StaleBrokerEpoch,
    /// The partition has changed since.
    InvalidUpdateVersion,
    /// No topic of that identity.
    UnknownTopicId,
    /// A broker that may not be in sync.
    IneligibleReplica,
    /// No such broker.
    BrokerIdNotRegistered,
}

impl Reason {
    /// Kafka's error for it.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::UnknownTopicOrPartition => ErrorCode::UnknownTopicOrPartition,
            Self::InvalidTopic => ErrorCode::InvalidTopicException,
            Self::TopicAlreadyExists => ErrorCode::TopicAlreadyExists,
            Self::InvalidPartitions => ErrorCode::InvalidPartitions,
            Self::InvalidReplicationFactor => ErrorCode::InvalidReplicationFactor,
            Self::InvalidReplicaAssignment => ErrorCode::InvalidReplicaAssignment,
            Self::InvalidConfig => ErrorCode::InvalidConfig,
            Self::InvalidRequest => ErrorCode::InvalidRequest,
            Self::PolicyViolation => ErrorCode::PolicyViolation,
            Self::FencedLeaderEpoch => ErrorCode::FencedLeaderEpoch,
            Self::StaleBrokerEpoch => ErrorCode::StaleBrokerEpoch,
            Self::InvalidUpdateVersion => ErrorCode::InvalidUpdateVersion,
            Self::UnknownTopicId => ErrorCode::UnknownTopicId,
            Self::BrokerIdNotRegistered => ErrorCode::BrokerIdNotRegistered,
            Self::IneligibleReplica => ErrorCode::IneligibleReplica,
        }
    }
}

impl Refusal {
    /// A refusal for this reason.
    #[must_use]
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl core::error::Error for Refusal {}
