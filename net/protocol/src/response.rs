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
    let budget_bytes = REQUEST_BUDGET_FLOOR_BYTES.saturating_add(frame.len().saturating_mul(RESPONSE_BUDGET_PER_BYTE));
    let version = if is_refused_api_versions(api_key, &frame) { 0 } else { version };
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
fn is_refused_api_versions(api_key: ApiKey, frame: &Bytes) -> bool {
    api_key == ApiKey::ApiVersions && frame.get(4..6) == Some(ErrorCode::UnsupportedVersion.code().to_be_bytes().as_slice())
}
