//! ApiVersions.

use super::World;
use crate::admin::unsupported_version;
use alloc::vec::Vec;
use flumen_protocol::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use flumen_protocol::{ApiKey, ErrorCode, Response, Text};

fn request(software: &str, cluster: Option<&str>, node_id: i32) -> ApiVersionsRequest {
    ApiVersionsRequest {
        client_software_name: software.into(),
        client_software_version: "1.0".into(),
        cluster_id: cluster.map(Text::from),
        node_id,
    }
}

#[test]
fn c04_an_unknown_version_is_answered_in_version_0_with_the_versions_of_this_api_alone() {
    let (response, version) = unsupported_version(ApiKey::ApiVersions, 99).expect("an answer");
    assert_eq!(version, 0);
    let encoded = response.encode(version, 5);
    // The size, the correlation id, error 35, one key: ApiVersions, 0 to 5.
    assert_eq!(&encoded.bytes[..], b"\0\0\0\x10\0\0\0\x05\0\x23\0\0\0\x01\0\x12\0\0\0\x05");
}

#[test]
fn c06_other_unknown_versions_have_no_answer() {
    assert!(unsupported_version(ApiKey::Produce, 0).is_none());
    assert!(unsupported_version(ApiKey::Metadata, 99).is_none());
    assert!(unsupported_version(ApiKey::ApiVersions, 3).is_none(), "a served version");
}

#[test]
fn c05_software_names_are_checked_since_version_3() {
    let mut world = World::new();
    let long = "a-b.c".repeat(20) + "d";
    for good in ["a", "librdkafka", "apache-kafka-java", "kgo.1", long.as_str()] {
        let response: ApiVersionsResponse = world.ask(request(good, None, -1), 3);
        assert_eq!(response.error_code, ErrorCode::None, "{good}");
    }
    for bad in ["", "-a", "a-", ".a", "a.", "a b", "a_b", "ä"] {
        let response: ApiVersionsResponse = world.ask(request(bad, None, -1), 4);
        assert_eq!(response.error_code, ErrorCode::InvalidRequest, "{bad}");
        assert!(response.api_keys.is_empty());
        let older: ApiVersionsResponse = world.ask(ApiVersionsRequest::default(), 2);
        assert_eq!(older.error_code, ErrorCode::None);
    }
}

#[test]
fn c07_produce_names_version_0_for_librdkafka() {
    let response: ApiVersionsResponse = World::new().ask(request("a", None, -1), 4);
    let produce = response.api_keys.iter().find(|key| key.api_key == 0).expect("Produce");
    assert_eq!((produce.min_version, produce.max_version), (0, 13));
}

#[test]
fn c08_every_api_that_is_decoded_is_named_once() {
    let response: ApiVersionsResponse = World::new().ask(request("a", None, -1), 4);
    let named: Vec<i16> = response.api_keys.iter().map(|key| key.api_key).collect();
    let served: Vec<i16> = ApiKey::ALL.iter().map(|key| key.code()).collect();
    assert_eq!(named, served);
}

#[test]
fn c09_no_feature_is_finalized_that_is_not_there() {
    let response: ApiVersionsResponse = World::new().ask(request("a", None, -1), 4);
    assert!(response.finalized_features.is_empty() && response.supported_features.is_empty());
    assert_eq!(response.finalized_features_epoch, -1);
}

#[test]
fn c11_another_cluster_or_node_sends_the_client_back_to_its_bootstrap_servers() {
    let mut world = World::new();
    for (cluster, node, error) in [
        (Some("cluster"), 1, ErrorCode::None),
        (None, -1, ErrorCode::None),
        (Some("other"), 1, ErrorCode::RebootstrapRequired),
        (Some("cluster"), 7, ErrorCode::RebootstrapRequired),
        (None, 1, ErrorCode::InvalidRequest),
        (Some("cluster"), -1, ErrorCode::InvalidRequest),
    ] {
        let response: ApiVersionsResponse = world.ask(request("a", cluster, node), 5);
        assert_eq!(response.error_code, error, "{cluster:?} {node}");
        assert_eq!(response.api_keys.is_empty(), !error.is_none());
    }
    let older: ApiVersionsResponse = world.ask(request("a", Some("other"), 9), 4);
    assert_eq!(older.error_code, ErrorCode::None, "older versions do not have the fields");
}

#[test]
fn q06_no_answer_is_throttled() {
    let Some((Response::ApiVersions(response), _)) = unsupported_version(ApiKey::ApiVersions, 99) else {
        panic!("an ApiVersions response");
    };
    assert_eq!(response.throttle_time_ms, 0);
}
