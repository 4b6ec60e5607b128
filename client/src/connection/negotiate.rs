//! Which versions client and broker have in common: the first exchange on every connection.
//!
//! The newest version of ApiVersions is tried first. A broker that does not have it answers in version 0 and says which
//! it has (KIP-511); then that one is used, or 0.

use std::collections::BTreeMap;

use bytes::Bytes;
use flumen_protocol::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use flumen_protocol::{ApiKey, ErrorCode, Request, Response, Text, decode_response};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::{ConnectionOptions, frame};
use crate::Error;

/// What a broker serves: for each API key, the lowest and highest version.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ApiRanges(BTreeMap<i16, (i16, i16)>);

impl ApiRanges {
    /// The broker's range of an API.
    #[must_use]
    pub fn of(&self, api: ApiKey) -> Option<(i16, i16)> {
        self.0.get(&api.code()).copied()
    }

    /// The highest version of `api` that both have and that is not above `highest`.
    #[must_use]
    pub fn agreed(&self, api: ApiKey, highest: i16) -> Option<i16> {
        let (lowest, highest_there) = self.of(api)?;
        let ours = api.versions();
        let agreed = highest.min(highest_there).min(*ours.end());
        (agreed >= lowest.max(*ours.start())).then_some(agreed)
    }
}

impl From<&ApiVersionsResponse> for ApiRanges {
    fn from(response: &ApiVersionsResponse) -> Self {
        Self(response.api_keys.iter().map(|api| (api.api_key, (api.min_version, api.max_version))).collect())
    }
}

/// Agrees on versions; answers the ranges and the next free correlation id.
pub(super) async fn negotiate<R, W>(
    incoming: &mut R,
    outgoing: &mut W,
    address: &str,
    options: &ConnectionOptions,
) -> Result<(ApiRanges, i32), Error>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let lost = |reason: String| Error::Disconnected { address: address.to_owned(), reason };
    let malformed = |reason: String| Error::Malformed { address: address.to_owned(), reason };
    let mut version = *ApiKey::ApiVersions.versions().end();
    for correlation_id in 0.. {
        let request = ApiVersionsRequest {
            client_software_name: Text::from_static("flumen"),
            client_software_version: Text::from_static(env!("CARGO_PKG_VERSION")),
            ..Default::default()
        };
        let frame = Request::ApiVersions(request).encode(version, correlation_id, Some(&options.client_id));
        let frame = frame.map_err(|problem| malformed(problem.to_string()))?;
        outgoing.write_all(&frame).await.map_err(|problem| lost(problem.to_string()))?;
        outgoing.flush().await.map_err(|problem| lost(problem.to_string()))?;
        let frame = frame::read(incoming, options.frame_bytes_max).await.map_err(lost)?;
        let response = understand(version, correlation_id, frame).map_err(malformed)?;
        let ranges = ApiRanges::from(&response);
        match response.error_code {
            ErrorCode::None => return Ok((ranges, correlation_id + 1)),
            ErrorCode::UnsupportedVersion if version > 0 => {
                // Strictly lower, so that this ends.
                version = ranges.agreed(ApiKey::ApiVersions, version - 1).unwrap_or(0);
            }
            code => return Err(Error::Broker { code, message: None }),
        }
    }
    Err(malformed(String::from("no version of ApiVersions in common")))
}

fn understand(version: i16, correlation_id: i32, frame: Bytes) -> Result<ApiVersionsResponse, String> {
    match decode_response(ApiKey::ApiVersions, version, frame) {
        Ok((answered, Response::ApiVersions(response))) if answered == correlation_id => Ok(response),
        Ok((answered, _)) => Err(format!("an answer to request {answered}, not to {correlation_id}")),
        Err(problem) => Err(problem.to_string()),
    }
}
