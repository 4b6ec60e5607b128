//! Requests as frames: header and body, without the four bytes of size before them when decoding, with them when encoding.
//!
//! As in Kafka, bytes behind a complete request body are ignored.

use core::fmt;

use bytes::Bytes;

use crate::codec::limits::{REQUEST_BUDGET_FLOOR_BYTES, REQUEST_BUDGET_PER_BYTE, REQUEST_ELEMENTS_MAX};
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
    let mut reader = Reader::new(frame, 0, false, budget_bytes).with_elements(REQUEST_ELEMENTS_MAX);
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

#[cfg(test)]
mod tests {
    use alloc::vec;

    use bytes::Bytes;

    use super::{DecodeError, decode_request};
    use crate::metadata::MetadataRequest;
    use crate::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
    use crate::{ApiKey, EncodeError, Malformed, Records, Request, Text};

    /// Key, version, correlation id 9, and then nothing that could be a body.
    fn bare(api_key: i16, version: i16) -> Bytes {
        Bytes::from([&api_key.to_be_bytes()[..], &version.to_be_bytes(), &[0, 0, 0, 9, 0xee]].concat())
    }

    #[test]
    fn c04_c06_what_is_unknown_is_told_apart_without_reading_on() {
        for (api_key, version) in [(ApiKey::ApiVersions, 6), (ApiKey::Produce, 2), (ApiKey::Produce, 14), (ApiKey::Fetch, -1)] {
            let expected = DecodeError::UnsupportedVersion { api_key, version, correlation_id: 9 };
            assert_eq!(decode_request(bare(api_key.code(), version)), Err(expected));
        }
        for api_key in [-1, 4, 7, 1000] {
            let expected = DecodeError::UnknownApi { api_key, version: 0, correlation_id: 9 };
            assert_eq!(decode_request(bare(api_key, 0)), Err(expected));
        }
        assert_eq!(decode_request(bare(18, 0).slice(..7)), Err(DecodeError::Malformed { reason: Malformed::Truncated, at: 4 }));
    }

    #[test]
    fn c07_produce_names_versions_that_it_refuses() {
        assert_eq!(ApiKey::Produce.versions(), 3..=13);
        assert_eq!(ApiKey::Produce.advertised_versions(), 0..=13);
        assert_eq!(ApiKey::InitProducerId.advertised_versions(), 0..=5);
    }

    #[test]
    fn a_request_says_what_its_version_cannot_carry() {
        let request = Request::Metadata(MetadataRequest { allow_auto_topic_creation: false, ..MetadataRequest::default() });
        let field = "allow_auto_topic_creation";
        assert_eq!(request.encode(3, 0, None), Err(EncodeError::FieldNotInVersion { field, version: 3 }));
        assert!(request.encode(4, 0, None).is_ok());
        let request = Request::Metadata(MetadataRequest { topics: None, ..MetadataRequest::default() });
        assert_eq!(request.encode(0, 0, None), Err(EncodeError::NullNotInVersion { field: "topics", version: 0 }));
        assert!(request.encode(1, 0, None).is_ok());
        assert_eq!(request.encode(14, 0, None), Err(EncodeError::VersionNotInApi { version: 14 }));
    }

    #[test]
    fn a_request_needs_its_records_at_hand() {
        let partition = PartitionProduceData { index: 0, records: Some(Records::Remote { length: 9, slot: 0 }) };
        let topic = TopicProduceData { name: Text::from_static("t"), partition_data: vec![partition], ..Default::default() };
        let request = Request::Produce(ProduceRequest { topic_data: vec![topic], ..ProduceRequest::default() });
        assert_eq!(request.encode(9, 0, None), Err(EncodeError::RemoteRecords));
    }
}
