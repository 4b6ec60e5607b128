//! What can go wrong, said so that a person knows what to do.

use std::time::Duration;

use flumen_protocol::ErrorCode;

/// What can go wrong.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// No connection could be made.
    #[error("cannot reach a broker at {address}: {reason}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// What the operating system said.
        reason: String,
    },
    /// None of the addresses to start from answered.
    #[error("no broker is reachable: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    NoBroker(Vec<Self>),
    /// A connection broke while an answer was awaited, or before.
    #[error("the connection to {address} was lost: {reason}")]
    Disconnected {
        /// Host and port.
        address: String,
        /// What was seen.
        reason: String,
    },
    /// An answer did not come in time.
    #[error("{address} did not answer {request} within {waited:?}")]
    TimedOut {
        /// Host and port.
        address: String,
        /// What was asked.
        request: &'static str,
        /// How long it was waited for.
        waited: Duration,
    },
    /// Broker and client have no version of a request in common.
    #[error("{address} does not serve {request} in a version that this client speaks")]
    Unsupported {
        /// Host and port.
        address: String,
        /// What would be asked.
        request: &'static str,
    },
    /// The version in common cannot carry what is asked.
    #[error("version {version} of {request} cannot say this: {reason}")]
    Inexpressible {
        /// What would be asked.
        request: &'static str,
        /// The highest version in common.
        version: i16,
        /// Which field is too new.
        reason: String,
    },
    /// A broker answered with an error.
    #[error("{}", describe(*.code, .message.as_deref()))]
    Broker {
        /// Kafka's code.
        code: ErrorCode,
        /// What the broker says of it.
        message: Option<String>,
    },
    /// A broker sent what cannot be understood.
    #[error("{address} sent bytes that are no answer: {reason}")]
    Malformed {
        /// Host and port.
        address: String,
        /// What is wrong with them.
        reason: String,
    },
    /// A topic is not known to the cluster.
    #[error("topic {0:?} does not exist")]
    UnknownTopic(String),
    /// A partition is not known to the cluster.
    #[error("topic {topic:?} has no partition {partition}; it has {partitions}")]
    UnknownPartition {
        /// The topic.
        topic: String,
        /// What was asked for.
        partition: i32,
        /// How many there are.
        partitions: i32,
    },
    /// A partition has no leader at present.
    #[error("partition {partition} of topic {topic:?} has no leader at present")]
    NoLeader {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
    },
    /// A record is larger than a request may be.
    #[error("a record of {bytes} bytes is larger than the {limit} bytes that max_request_bytes allows")]
    RecordTooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A record was not acknowledged within its delivery timeout.
    #[error("not acknowledged within {timeout:?}{}", .last.as_ref().map(|last| format!("; last: {last}")).unwrap_or_default())]
    DeliveryTimedOut {
        /// The timeout.
        timeout: Duration,
        /// Why the last attempt failed.
        last: Option<Box<Self>>,
    },
    /// A batch that was read is damaged.
    #[error("partition {partition} of topic {topic:?}: the batch at offset {offset} is damaged: {reason}")]
    Damaged {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// Where.
        offset: i64,
        /// What is wrong.
        reason: String,
    },
    /// Options contradict each other.
    #[error("{0}")]
    Options(String),
    /// The producer was closed, or has ended.
    #[error("the producer is closed")]
    Closed,
}

impl Error {
    /// A broker's error code, as an error unless it is none.
    pub fn check(code: ErrorCode, message: Option<&str>) -> Result<(), Self> {
        if code == ErrorCode::None { Ok(()) } else { Err(Self::Broker { code, message: message.map(str::to_owned) }) }
    }

    /// The broker's code, if a broker said no.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Broker { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether the same may succeed later.
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::NoBroker(_) | Self::Disconnected { .. } | Self::TimedOut { .. } => true,
            Self::NoLeader { .. } => true,
            Self::Broker { code, .. } => code.is_retriable(),
            _ => false,
        }
    }

    /// Whether what the client knows of the cluster is out of date.
    #[must_use]
    pub fn wants_metadata(&self) -> bool {
        match self {
            Self::Broker { code, .. } => matches!(
                code,
                ErrorCode::NotLeaderOrFollower
                    | ErrorCode::UnknownTopicOrPartition
                    | ErrorCode::UnknownTopicId
                    | ErrorCode::InconsistentTopicId
                    | ErrorCode::LeaderNotAvailable
                    | ErrorCode::ReplicaNotAvailable
                    | ErrorCode::FencedLeaderEpoch
                    | ErrorCode::UnknownLeaderEpoch
                    | ErrorCode::NotController
                    | ErrorCode::KafkaStorageError
                    | ErrorCode::OffsetNotAvailable
            ),
            other => other.is_retriable(),
        }
    }
}

fn describe(code: ErrorCode, message: Option<&str>) -> String {
    match message {
        Some(message) if !message.is_empty() => format!("{message} ({})", code.name()),
        _ => code.to_string(),
    }
}
