//! Kafka's wire protocol: messages and frames, decoded and encoded, bounded.
//!
//! A frame is four bytes of size, a header and a body. [`decode_request`] and [`Response::encode`] are the broker's side of
//! it, [`Request::encode`] and [`decode_response`] the client's. [`Request`] and [`Response`] have a variant per API;
//! what is inside lies in the module of the API, such as [`fetch`], under the names of Kafka's schemas. [`ApiKey`] says which
//! versions there are; they are those of Kafka 4.4.
//!
//! ```
//! use flumen_protocol::find_coordinator::FindCoordinatorRequest;
//! use flumen_protocol::{ApiKey, Request, decode_request};
//!
//! let request = Request::from(FindCoordinatorRequest { coordinator_keys: vec!["group".into()], ..Default::default() });
//! let frame = request.encode(4, 17, Some("example"))?;
//! let (header, decoded) = decode_request(frame.slice(4..))?;
//! assert_eq!((header.api_key, header.version, header.correlation_id), (ApiKey::FindCoordinator, 4, 17));
//! assert_eq!(decoded, request);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How a message is declared
//!
//! A message is a struct with public fields in the order of the wire, each with its documentation and a `#[field(…)]` that
//! says what Kafka's schema says of it. `#[derive(Message)]` makes the codec, and `Default` with the schema's defaults.
//!
//! ```text
//! /// The answer to [`ProduceRequest`].
//! #[derive(Message, Clone, Debug, PartialEq)]
//! #[message(versions = "3-13", flexible = "9+")]        // a request, a response or a record; parts of one go without
//! pub struct ProduceResponse {
//!     /// Each produce response.
//!     #[field(versions = "0+")]                         // in every version
//!     pub responses: Vec<TopicProduceResponse>,
//!     /// How long the request was throttled.
//!     #[field(versions = "1+", ignorable)]              // a writer of version 0 drops it in silence
//!     pub throttle_time_ms: i32,
//!     /// Where the current leaders are.
//!     #[field(versions = "10+", tag = 0)]               // a tagged field, written only where it differs from its default
//!     pub node_endpoints: Vec<NodeEndpoint>,
//! }
//! ```
//!
//! Further words are `nullable = "7+"` (the field is then an `Option`, and null in other versions is refused) and
//! `default = -1` (any expression). A field may be a number, a `bool`, [`Text`], [`Uuid`], [`Records`], [`ErrorCode`],
//! another such struct, or a `Vec` of these. An API is such a module and its line in the table of `api.rs`.
//!
//! # What holds
//!
//! * Decoding copies nothing: strings and records are slices of the frame. A [`Text`] that is kept for long is
//!   [detached](Text::detached) first, or it keeps the frame.
//! * No input makes decoding panic, and none makes it allocate more than three bytes for each byte of a request and 1 MiB:
//!   counts are held against the bytes that remain before memory is reserved, and all of it is charged to a budget.
//! * As in Kafka: arrays of more than 1 000 000 elements, structs with more than 10 000 tagged fields and strings of more
//!   than 32 767 bytes are refused; unknown tagged fields are passed over and not kept; bytes behind a complete body are
//!   ignored; text that is not UTF-8 gets replacement characters.
//! * Encoding fills one buffer, reserved once. [`Records::Remote`] leaves records out for `sendfile`, and [`Encoded`] says
//!   where they go.
//!
//! Not here: sockets, the order of answers on a connection, what a request means, and record batches, which pass as bytes.
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
