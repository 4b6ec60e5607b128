//! Responses as frames: header and body, with the four bytes of size before them when encoding, without them when decoding.
//!
//! The header of a response is flexible with its body, but for ApiVersions, whose header is version 0 for ever: a client
//! reads it before it knows what the broker speaks.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::codec::limits::{REQUEST_BUDGET_FLOOR_BYTES, RESPONSE_BUDGET_PER_BYTE};
use crate::codec::{EncodeError, Malformed, Reader, VARINT_BOUND, Value, Writer};
use crate::request::malformed;
use crate::{ApiKey, DecodeError, ErrorCode, Response};

/// A response as it leaves, but for the records that others put in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The frame, its size included. The size counts the bytes that are put in.
    pub bytes: Bytes,
    /// Where records are put in, first place first.
    pub splits: Vec<Split>,
}

/// A place in a frame where records go that are sent from elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// How many bytes of [`Encoded::bytes`] come before the records.
    pub at: usize,
    /// The slot of the [`Records::Remote`](crate::Records::Remote) that stood here.
    pub slot: usize,
}

impl Response {
    /// Encodes the response as a frame.
    ///
    /// What the version cannot carry is left out, written empty where it is null, or cut to 32767 bytes where it is a longer
    /// string: an answer that says a little less is of more use to a client than a closed connection.
    #[must_use]
    pub fn encode(&self, version: i16, correlation_id: i32) -> Encoded {
        self.encode_noting(version, correlation_id).0
    }

    /// Encodes the response as [`Response::encode`] does, unless its size is beyond what a frame can say.
    #[must_use]
    pub fn encode_if_it_fits(&self, version: i16, correlation_id: i32) -> Option<Encoded> {
        let (encoded, _) = self.encode_noting(version, correlation_id);
        (encoded.bytes.len() <= i32::MAX as usize).then_some(encoded)
    }

    /// Encodes the response as a frame, if the version can carry all that it says.
    ///
    /// # Errors
    ///
    /// Names the first field that would be lost.
    pub fn encode_strictly(&self, version: i16, correlation_id: i32) -> Result<Encoded, EncodeError> {
        match self.encode_noting(version, correlation_id) {
            (_, Some(refusal)) => Err(refusal),
            (encoded, None) => Ok(encoded),
        }
    }

    fn encode_noting(&self, version: i16, correlation_id: i32) -> (Encoded, Option<EncodeError>) {
        let api_key = self.api_key();
        let mut writer = Writer::frame(version, has_flexible_header(api_key, version), 4 + VARINT_BOUND + self.size_bound());
        correlation_id.write(&mut writer);
        writer.tagged_field_count(0);
        writer.switch(version, api_key.is_flexible(version));
        self.write(&mut writer);
        let frame = writer.finish_frame();
        (Encoded { bytes: Bytes::from(frame.bytes), splits: frame.splits }, frame.refusal)
    }
}

/// Decodes a response to a request of `api_key` at `version`. `frame` is what follows the four bytes of size; the response's
/// strings and records are slices of it. Answers the correlation id and the body.
///
/// A broker that does not have the version of an ApiVersions request answers at version 0 (KIP-511); such an answer is
/// understood.
///
/// # Errors
///
/// See [`DecodeError`].
pub fn decode_response(api_key: ApiKey, version: i16, frame: Bytes) -> Result<(i32, Response), DecodeError> {
    let refused = api_key == ApiKey::ApiVersions && refuses_version(&frame);
    match decode(api_key, version, frame.clone()) {
        Err(_) if refused => decode(api_key, 0, frame),
        decoded => decoded,
    }
}

fn decode(api_key: ApiKey, version: i16, frame: Bytes) -> Result<(i32, Response), DecodeError> {
    let budget_bytes = REQUEST_BUDGET_FLOOR_BYTES.saturating_add(frame.len().saturating_mul(RESPONSE_BUDGET_PER_BYTE));
    let mut reader = Reader::new(frame, version, has_flexible_header(api_key, version), budget_bytes);
    let correlation_id = read_header(&mut reader).map_err(|reason| malformed(reason, &reader))?;
    if !api_key.versions().contains(&version) {
        return Err(DecodeError::UnsupportedVersion { api_key, version, correlation_id });
    }
    reader.switch(version, api_key.is_flexible(version));
    let response = Response::read(api_key, &mut reader).map_err(|reason| malformed(reason, &reader))?;
    Ok((correlation_id, response))
}

fn read_header(reader: &mut Reader) -> Result<i32, Malformed> {
    let correlation_id = i32::read(reader)?;
    reader.tagged_fields(|_tag, _reader| Ok(false))?;
    Ok(correlation_id)
}

fn has_flexible_header(api_key: ApiKey, version: i16) -> bool {
    api_key != ApiKey::ApiVersions && api_key.is_flexible(version)
}

/// The error code of ApiVersions stands right behind the correlation id in every version.
fn refuses_version(frame: &Bytes) -> bool {
    frame.get(4..6) == Some(ErrorCode::UnsupportedVersion.code().to_be_bytes().as_slice())
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec;

    use bytes::Bytes;

    use super::{Split, decode_response};
    use crate::api_versions::{ApiVersion, ApiVersionsResponse};
    use crate::create_topics::{CreatableTopicResult, CreateTopicsResponse};
    use crate::fetch::{FetchResponse, FetchableTopicResponse, PartitionData};
    use crate::metadata::{MetadataResponse, MetadataResponseTopic};
    use crate::produce::{PartitionProduceResponse, ProduceResponse, TopicProduceResponse};
    use crate::{ApiKey, EncodeError, ErrorCode, Records, Response, Text};

    #[test]
    fn remote_records_are_counted_and_left_out() {
        let partition =
            |records| PartitionData { aborted_transactions: None, records: Some(records), ..PartitionData::default() };
        let response = |records: [Records; 3]| {
            let partitions = records.into_iter().map(partition).collect();
            let topic = FetchableTopicResponse { topic: Text::from_static("t"), partitions, ..FetchableTopicResponse::default() };
            Response::Fetch(FetchResponse { responses: vec![topic], ..FetchResponse::default() })
        };
        let (first, second) = (Bytes::from(vec![1; 300]), Bytes::from_static(b"second"));
        let here = Records::Inline(Bytes::from_static(b"here"));
        for version in ApiKey::Fetch.versions() {
            let split =
                response([Records::Remote { length: 300, slot: 8 }, here.clone(), Records::Remote { length: 6, slot: 3 }])
                    .encode(version, 11);
            let whole = response([first.clone().into(), here.clone(), second.clone().into()]).encode(version, 11);
            assert!(whole.splits.is_empty());
            let [Split { at, slot: 8 }, Split { at: later, slot: 3 }] = split.splits[..] else { panic!("{:?}", split.splits) };
            let joined = [&split.bytes[..at], &first, &split.bytes[at..later], &second, &split.bytes[later..]].concat();
            assert_eq!(joined, whole.bytes, "version {version}");
        }
    }

    #[test]
    fn c06_a_produce_response_can_be_written_at_the_versions_that_are_refused() {
        let partition = PartitionProduceResponse { index: 1, error_code: ErrorCode::UnsupportedVersion, ..Default::default() };
        let topic = TopicProduceResponse {
            name: Text::from_static("t"),
            partition_responses: vec![partition],
            ..TopicProduceResponse::default()
        };
        let response = Response::Produce(ProduceResponse { responses: vec![topic], ..ProduceResponse::default() });
        let common = [0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, 0, 0, 0, 1, 0, 35, 0, 0, 0, 0, 0, 0, 0, 0];
        let (append_time, throttle) = ([0xff; 8], [0; 4]);
        assert_eq!(&response.encode(0, 5).bytes[8..], common);
        assert_eq!(&response.encode(1, 5).bytes[8..], [&common[..], &throttle].concat());
        assert_eq!(&response.encode(2, 5).bytes[8..], [&common[..], &append_time, &throttle].concat());
    }

    #[test]
    fn c03_the_header_of_api_versions_is_never_flexible() {
        let response = Response::ApiVersions(ApiVersionsResponse::default());
        assert_eq!(&response.encode(3, 7).bytes[..], [0, 0, 0, 12, 0, 0, 0, 7, 0, 0, 1, 0, 0, 0, 0, 0]);
        let response = Response::Metadata(MetadataResponse::default());
        assert_eq!(&response.encode(9, 7).bytes[4..9], [0, 0, 0, 7, 0]);
    }

    #[test]
    fn c04_an_answer_to_an_unknown_api_versions_version_is_understood() {
        let answer = ApiVersionsResponse {
            error_code: ErrorCode::UnsupportedVersion,
            api_keys: vec![ApiVersion { api_key: 18, min_version: 0, max_version: 2 }],
            ..ApiVersionsResponse::default()
        };
        let answer = Response::ApiVersions(answer);
        for version in ApiKey::ApiVersions.versions() {
            let frame = answer.encode(0, 7).bytes.slice(4..);
            assert_eq!(decode_response(ApiKey::ApiVersions, version, frame), Ok((7, answer.clone())));
        }
    }

    #[test]
    fn what_a_version_cannot_carry_is_left_out_and_can_be_asked_about() {
        let topic = MetadataResponseTopic { name: None, topic_authorized_operations: 8, ..MetadataResponseTopic::default() };
        let response = Response::Metadata(MetadataResponse { topics: vec![topic], ..MetadataResponse::default() });
        let field = "topic_authorized_operations";
        let refusals = [
            (1, Err(EncodeError::NullNotInVersion { field: "name", version: 1 })),
            (11, Err(EncodeError::NullNotInVersion { field: "name", version: 11 })),
            (12, Ok(())),
        ];
        for (version, expected) in refusals {
            assert_eq!(response.encode_strictly(version, 0).map(|_| ()), expected);
            let (_, decoded) = decode_response(ApiKey::Metadata, version, response.encode(version, 0).bytes.slice(4..)).unwrap();
            let Response::Metadata(decoded) = decoded else { panic!() };
            let expected = if version < 12 { Some(Text::default()) } else { None };
            assert_eq!(decoded.topics[0].name, expected);
        }
        let topic = MetadataResponseTopic { topic_authorized_operations: 8, name: Some(Text::default()), ..Default::default() };
        let response = Response::Metadata(MetadataResponse { topics: vec![topic], ..MetadataResponse::default() });
        assert_eq!(response.encode_strictly(7, 0), Err(EncodeError::FieldNotInVersion { field, version: 7 }));
        assert!(response.encode_strictly(8, 0).is_ok());
    }

    #[test]
    fn an_overlong_message_is_cut_between_characters() {
        let message = String::from_iter(core::iter::repeat_n('é', 20_000));
        let topic = CreatableTopicResult { error_message: Some(Text::from(message)), ..CreatableTopicResult::default() };
        let response = Response::CreateTopics(CreateTopicsResponse { topics: vec![topic], ..CreateTopicsResponse::default() });
        for version in ApiKey::CreateTopics.versions() {
            assert_eq!(response.encode_strictly(version, 0), Err(EncodeError::StringTooLong { bytes: 40_000 }));
            let frame = response.encode(version, 0).bytes.slice(4..);
            let Ok((_, Response::CreateTopics(decoded))) = decode_response(ApiKey::CreateTopics, version, frame) else {
                panic!()
            };
            assert_eq!(decoded.topics[0].error_message.as_ref().map(|text| text.len()), Some(32_766));
        }
    }
}
