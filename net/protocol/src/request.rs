//! Requests as frames: header and body, without the four bytes of size before them when decoding, with them when encoding.
//!
//! As in Kafka, bytes behind a complete request body are ignored.

use core::fmt;

use bytes::Bytes;

use crate::codec::limits::{REQUEST_BUDGET_FLOOR_BYTES, REQUEST_BUDGET_PER_BYTE};
use crate::codec::{EncodeError, Malformed, Reader, VARINT_BOUND, Value, Writer};
use crate::{ApiKey, Request, Text};

/// What comes before the body of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// The API that is asked.
    pub api_key: ApiKey,
    /// The version of the body, and of its answer.
    pub version: i16,
    /// The sender's number for the request, sent back with the answer.
    pub correlation_id: i32,
    /// What the sender calls itself.
    pub client_id: Option<Text>,
}

/// Why a frame cannot be taken for a request, or for a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// No API that Flumen knows.
    UnknownApi {
        /// The key in the header.
        api_key: i16,
        /// The version in the header.
        version: i16,
        /// The correlation id in the header.
        correlation_id: i32,
    },
    /// A version that the API does not have. Nothing behind the correlation id was looked at.
    UnsupportedVersion {
        /// The API in the header.
        api_key: ApiKey,
        /// The version in the header.
        version: i16,
        /// The correlation id in the header.
        correlation_id: i32,
    },
    /// Not a message of the version that it says it is.
    Malformed {
        /// What is wrong.
        reason: Malformed,
        /// How many bytes of the frame had been read.
        at: usize,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownApi { api_key, version, .. } => write!(formatter, "no API has key {api_key} (version {version})"),
            Self::UnsupportedVersion { api_key, version, .. } => {
                write!(formatter, "{} has no version {version}", api_key.name())
            }
            Self::Malformed { reason, at } => write!(formatter, "{reason} (at byte {at})"),
        }
    }
}

impl core::error::Error for DecodeError {}

/// Decodes a request. `frame` is what follows the four bytes of size; the request's strings and records are slices of it.
///
/// # Errors
///
/// See [`DecodeError`]. A broker answers an unsupported version of ApiVersions (at version 0) and of Produce (at that
/// version), and closes the connection for everything else.
pub fn decode_request(frame: Bytes) -> Result<(RequestHeader, Request), DecodeError> {
    let budget_bytes = REQUEST_BUDGET_FLOOR_BYTES.saturating_add(frame.len().saturating_mul(REQUEST_BUDGET_PER_BYTE));
    let mut reader = Reader::new(frame, 0, false, budget_bytes);
    let numbers = read_numbers(&mut reader).map_err(|reason| malformed(reason, &reader))?;
    let (api_key, version, correlation_id) = numbers;
    let Some(api_key) = ApiKey::from_code(api_key) else {
        return Err(DecodeError::UnknownApi { api_key, version, correlation_id });
    };
    if !api_key.versions().contains(&version) {
        return Err(DecodeError::UnsupportedVersion { api_key, version, correlation_id });
    }
    reader.switch(version, api_key.is_flexible(version));
    let (client_id, request) = read_rest(api_key, &mut reader).map_err(|reason| malformed(reason, &reader))?;
    Ok((RequestHeader { api_key, version, correlation_id, client_id }, request))
}

/// The part of the header that is the same in every version.
fn read_numbers(reader: &mut Reader) -> Result<(i16, i16, i32), Malformed> {
    Ok((i16::read(reader)?, i16::read(reader)?, i32::read(reader)?))
}

/// The client id, the header's tagged fields (of which Kafka has none) and the body.
fn read_rest(api_key: ApiKey, reader: &mut Reader) -> Result<(Option<Text>, Request), Malformed> {
    let client_id = Text::read_short(reader)?;
    reader.tagged_fields(|_tag, _reader| Ok(false))?;
    Ok((client_id, Request::read(api_key, reader)?))
}

pub(crate) fn malformed(reason: Malformed, reader: &Reader) -> DecodeError {
    DecodeError::Malformed { reason, at: reader.position() }
}

impl Request {
    /// Encodes the request as a whole frame, its size included.
    ///
    /// # Errors
    ///
    /// Where the API has no such version, or the version cannot carry what the request says.
    pub fn encode(&self, version: i16, correlation_id: i32, client_id: Option<&str>) -> Result<Bytes, EncodeError> {
        let api_key = self.api_key();
        if !api_key.versions().contains(&version) {
            return Err(EncodeError::VersionNotInApi { version });
        }
        let flexible = api_key.is_flexible(version);
        let header_bound = 8 + 2 + client_id.map_or(0, str::len) + VARINT_BOUND;
        let mut writer = Writer::frame(version, flexible, header_bound + self.size_bound());
        api_key.code().write(&mut writer);
        version.write(&mut writer);
        correlation_id.write(&mut writer);
        writer.short_string(client_id);
        writer.tagged_field_count(0);
        self.write(&mut writer);
        let frame = writer.finish_frame();
        match frame.refusal {
            Some(refusal) => Err(refusal),
            None if !frame.splits.is_empty() => Err(EncodeError::RemoteRecords),
            None => Ok(Bytes::from(frame.bytes)),
        }
    }
}
