//! ApiVersions: which requests this broker serves, and that a client found the cluster it meant.

use super::AdminContext;
use alloc::vec::Vec;
use flumen_protocol::api_versions::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse};
use flumen_protocol::{ApiKey, ErrorCode, Response, Text};

/// The first version that names the client's software.
const SOFTWARE_FROM: i16 = 3;
/// The first version that names the cluster and node the client expects.
const CLUSTER_FROM: i16 = 5;

/// No feature is named: this broker implements none of those Kafka's clients switch on, and finalizes none (C09).
pub(super) fn answer(request: &ApiVersionsRequest, version: i16, context: &AdminContext<'_>) -> ApiVersionsResponse {
    match fault(request, version, context) {
        Some(error_code) => ApiVersionsResponse { error_code, ..ApiVersionsResponse::default() },
        None => ApiVersionsResponse { api_keys: ApiKey::ALL.iter().map(served).collect(), ..ApiVersionsResponse::default() },
    }
}

fn served(key: &ApiKey) -> ApiVersion {
    let versions = key.advertised_versions();
    ApiVersion { api_key: key.code(), min_version: *versions.start(), max_version: *versions.end() }
}

fn fault(request: &ApiVersionsRequest, version: i16, context: &AdminContext<'_>) -> Option<ErrorCode> {
    let named = |text: &Text| is_software(text.as_bytes());
    if version >= SOFTWARE_FROM && !(named(&request.client_software_name) && named(&request.client_software_version)) {
        return Some(ErrorCode::InvalidRequest);
    }
    if version < CLUSTER_FROM {
        return None;
    }
    match (&request.cluster_id, request.node_id) {
        (None, -1) => None,
        // Both or none.
        (None, _) | (Some(_), -1) => Some(ErrorCode::InvalidRequest),
        (Some(cluster), node) if **cluster == *context.image.cluster_id && node == context.settings.broker.0 => None,
        (Some(_), _) => Some(ErrorCode::RebootstrapRequired),
    }
}

/// Letters, digits, dashes and dots, neither end a dash or a dot (C05).
fn is_software(text: &[u8]) -> bool {
    let inside = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    let ends = [text.first(), text.last()];
    text.iter().all(inside) && ends.iter().all(|end| end.is_some_and(u8::is_ascii_alphanumeric))
}

/// The answer to a version that is not served, and the version to encode it in. Only ApiVersions has one (C04): for all else
/// the connection is closed, as Kafka 4.4 does (C06).
#[must_use]
pub fn unsupported_version(api_key: ApiKey, version: i16) -> Option<(Response, i16)> {
    if api_key != ApiKey::ApiVersions || api_key.versions().contains(&version) {
        return None;
    }
    let response = ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion,
        api_keys: Vec::from([served(&ApiKey::ApiVersions)]),
        ..ApiVersionsResponse::default()
    };
    Some((response.into(), 0))
}
