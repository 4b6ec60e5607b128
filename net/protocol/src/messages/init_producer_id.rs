//! InitProducerId (API key 22): hand out a producer id and epoch (KIP-98).
//!
//! Fields and versions as in the schemas of Kafka 4.4.

use flumen_protocol_derive::Message;

use crate::{ErrorCode, Text};

/// Asks a broker: hand out a producer id and epoch (KIP-98).
#[derive(Message, Clone, Debug, PartialEq)]
#[message(versions = "0-5", flexible = "2+")]
pub struct InitProducerIdRequest {
    /// The transactional id, or null if the producer is not transactional.
    #[field(versions = "0+", nullable = "0+", default = Some(Text::default()))]
    pub transactional_id: Option<Text>,
    /// The time in ms to wait before aborting idle transactions sent by this producer. This is only relevant if a
    /// TransactionalId has been defined.
    #[field(versions = "0+")]
    pub transaction_timeout_ms: i32,
    /// The producer id. This is used to disambiguate requests if a transactional id is reused following its expiration.
    #[field(versions = "3+", default = -1)]
    pub producer_id: i64,
    /// The producer's current epoch. This will be checked against the producer epoch on the broker, and the request will
    /// return an error if they do not match.
    #[field(versions = "3+", default = -1)]
    pub producer_epoch: i16,
}

/// The answer to [`InitProducerIdRequest`].
#[derive(Message, Clone, Debug, PartialEq)]
#[message(versions = "0-5", flexible = "2+")]
pub struct InitProducerIdResponse {
    /// The duration in milliseconds for which the request was throttled due to a quota violation, or zero if the request
    /// did not violate any quota.
    #[field(versions = "0+", ignorable)]
    pub throttle_time_ms: i32,
    /// The error code, or 0 if there was no error.
    #[field(versions = "0+")]
    pub error_code: ErrorCode,
    /// The current producer id.
    #[field(versions = "0+", default = -1)]
    pub producer_id: i64,
    /// The current epoch associated with the producer id.
    #[field(versions = "0+")]
    pub producer_epoch: i16,
}
