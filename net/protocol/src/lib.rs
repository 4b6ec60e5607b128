//! Kafka's wire protocol: messages and frames, decoded and encoded, bounded.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]
extern crate alloc;
#[cfg(test)]
extern crate std;

mod api;
mod codec;
mod error_code;
#[cfg(test)]
mod generate;
mod messages;
pub mod offsets_topic;
#[cfg(test)]
mod proof;
mod records;
mod request;
mod response;
mod text;
mod uuid;

pub use api::{ApiKey, Request, Response};
pub use codec::{EncodeError, Malformed};
pub use error_code::ErrorCode;
pub use messages::*;
pub use records::Records;
pub use request::{DecodeError, RequestHeader, decode_request};
pub use response::{Encoded, Split, decode_response};
pub use text::Text;
pub use uuid::Uuid;
