//! Connections, frames, ApiVersions: C01–C15, Q06, Q07.

use crate::harness::batch::Batch;
use crate::harness::broker::{Broker, external};
use crate::harness::client::{Client, FETCH, PRODUCE, fetch_request, fresh, only_data, only_partition, produce_request};
use crate::harness::connection::Connection;
use bytes::{BufMut, Bytes, BytesMut};
use flumen_protocol::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use flumen_protocol::fetch::FetchRequest;
use flumen_protocol::metadata::MetadataRequest;
use flumen_protocol::produce::ProduceRequest;
use flumen_protocol::{ApiKey, ErrorCode, Response, decode_response};
use std::time::Duration;

fn api_versions(client: &mut Connection, version: i16) -> ApiVersionsResponse {
    client.ask(
        version,
        ApiVersionsRequest { client_software_name: "test".into(), client_software_version: "1.0".into(), ..Default::default() },
    )
}

/// The range of an API in an answer.
fn range(response: &ApiVersionsResponse, api: ApiKey) -> Option<(i16, i16)> {
    let found = response.api_keys.iter().find(|entry| entry.api_key == api as i16)?;
    Some((found.min_version, found.max_version))
}

/// A request header of any kind, without client id.
fn header(api_key: i16, version: i16, correlation_id: i32) -> BytesMut {
    let mut bytes = BytesMut::new();
    bytes.put_i16(api_key);
    bytes.put_i16(version);
    bytes.put_i32(correlation_id);
    bytes.put_i16(-1);
    bytes
}

#[test]
fn c01_pipelined_requests_are_answered_in_order() {
    let mut client = Client::shared();
    let topic = client.topic("order");
    let waiting = FetchRequest { max_wait_ms: 300, min_bytes: 1, ..fetch_request(&topic.name, &[(0, 0)]) };
    let fetch = client.send(FETCH, waiting);
    let metadata = client.send(12, MetadataRequest::default());
    client.answer::<FetchRequest>(FETCH, fetch);
    client.answer::<MetadataRequest>(12, metadata);
}

#[test]
fn c01_pipelined_produces_keep_their_order_and_a_fetch_behind_sees_them() {
    let mut client = Client::shared();
    let topic = client.topic("pipeline");
    let numbers: Vec<i32> = (0..5)
        .map(|number| {
            let batch = Batch::of(&[&format!("value {number}")]).encode();
            client.send(PRODUCE, produce_request(&topic.name, &[(0, &batch)]))
        })
        .collect();
    let fetch = client.send(FETCH, fetch_request(&topic.name, &[(0, 0)]));
    for (offset, number) in (0..).zip(numbers) {
        assert_eq!(only_partition(client.answer::<ProduceRequest>(PRODUCE, number)).base_offset, offset);
    }
    assert_eq!(only_data(client.answer::<FetchRequest>(FETCH, fetch)).high_watermark, 5);
}

#[test]
fn c02_a_frame_of_impossible_size_closes_the_connection() {
    for size in [-1, i32::MIN, 100 * 1024 * 1024 + 1, i32::MAX] {
        let mut client = Client::shared();
        client.send_bytes(&size.to_be_bytes());
        client.expect_closed();
    }
}

#[test]
fn c03_the_answer_to_api_versions_has_the_old_header_and_others_the_new() {
    let mut client = Client::shared();
    client.send(
        3,
        ApiVersionsRequest { client_software_name: "a".into(), client_software_version: "1".into(), ..Default::default() },
    );
    let frame = client.frame().unwrap();
    // Correlation id, error code, then at once the compact array of APIs.
    assert_eq!(&frame[4..6], [0, 0]);
    let (count, first_key) = (usize::from(frame[6]) - 1, i16::from_be_bytes([frame[7], frame[8]]));
    assert!(count > 15, "{count} APIs");
    assert_eq!(first_key, 0, "Produce comes first");
    client.send(9, MetadataRequest { topics: Some(vec![]), ..Default::default() });
    let frame = client.frame().unwrap();
    // Correlation id, no tagged fields, throttle time, brokers as a compact array.
    assert_eq!(&frame[4..9], [0, 0, 0, 0, 0]);
}

#[test]
fn c04_an_unknown_version_of_api_versions_is_answered_at_version_0() {
    let mut client = Client::shared();
    let mut frame = header(18, 100, 77);
    frame.put_slice(b"a body nobody can read");
    client.send_frame(&frame);
    let answer = client.frame().unwrap();
    let (number, response) = decode_response(ApiKey::ApiVersions, 0, answer).unwrap();
    let Response::ApiVersions(response) = response else { panic!("{response:?}") };
    assert_eq!((number, response.error_code), (77, ErrorCode::UnsupportedVersion));
    assert_eq!(response.api_keys.len(), 1);
    assert_eq!(range(&response, ApiKey::ApiVersions), Some((0, 5)));
    assert_eq!(api_versions(&mut client, 4).error_code, ErrorCode::None, "the connection goes on");
}

#[test]
fn c05_a_software_name_must_be_well_formed() {
    for (name, version) in [("-bad", "1"), ("bad-", "1"), ("", "1"), ("two words", "1"), ("good", "")] {
        let mut client = Client::shared();
        let request = ApiVersionsRequest {
            client_software_name: name.into(),
            client_software_version: version.into(),
            ..Default::default()
        };
        let response = client.ask(3, request);
        assert_eq!(response.error_code, ErrorCode::InvalidRequest, "{name:?} {version:?}");
        assert!(response.api_keys.is_empty());
    }
}

#[test]
fn c06_an_unknown_api_or_version_closes_the_connection() {
    for (key, version) in [(999, 0), (-1, 0), (4, 0), (3, 99), (1, 3), (3, -1)] {
        let mut client = Client::shared();
        client.send_frame(&header(key, version, 1));
        client.expect_closed();
    }
}

/// Kafka advertises versions 0 to 2 of Produce for old clients' sake, and closes the connection when they are used.
#[test]
fn c06_a_produce_that_is_only_advertised_is_refused() {
    for version in 0..3 {
        let mut client = Client::shared();
        let mut frame = header(0, version, 9);
        frame.put_i16(-1);
        frame.put_i32(1000);
        frame.put_i32(0);
        client.send_frame(&frame);
        match client.frame() {
            None => {}
            Some(frame) => assert_eq!(frame.get(..4), Some(&9i32.to_be_bytes()[..])),
        }
    }
}

#[test]
fn c07_produce_is_advertised_from_version_0() {
    let response = api_versions(&mut Client::shared(), 0);
    assert_eq!(range(&response, ApiKey::Produce), Some((0, 13)));
}

#[test]
fn c08_the_overlaps_librdkafka_looks_for_are_there() {
    let response = api_versions(&mut Client::shared(), 3);
    let has = |api: ApiKey, version: i16| range(&response, api).is_some_and(|(low, high)| (low..=high).contains(&version));
    assert!(has(ApiKey::Produce, 3) && has(ApiKey::Fetch, 4), "magic 2");
    assert!(has(ApiKey::Produce, 7) && has(ApiKey::Fetch, 10), "zstd");
    assert!(has(ApiKey::FindCoordinator, 0), "lz4");
    assert!(has(ApiKey::OffsetCommit, 2) && has(ApiKey::OffsetFetch, 1), "commits");
    for version in 0..=5 {
        assert_eq!(api_versions(&mut Client::shared(), version).api_keys.len(), response.api_keys.len(), "the same at {version}");
    }
}

#[test]
fn c09_features_from_version_0_are_kept_from_old_clients() {
    let mut client = Client::shared();
    assert!(api_versions(&mut client, 3).supported_features.iter().all(|feature| feature.min_version > 0));
    let response = api_versions(&mut client, 4);
    if external().is_none() {
        // What is finalized switches clients to transactions v2 and the like: not before it is there.
        assert!(response.finalized_features.iter().all(|feature| feature.name.as_str() == "metadata.version"));
    }
}

#[test]
fn c11_a_connection_meant_for_another_broker_is_told_so() {
    let mut client = Client::shared();
    let metadata = client.ask(12, MetadataRequest { topics: Some(vec![]), ..Default::default() });
    let (cluster, node) = (metadata.cluster_id.unwrap(), metadata.brokers[0].node_id);
    let mut ask = |cluster_id, node_id| {
        let software = ("test".into(), "1".into());
        let request =
            ApiVersionsRequest { client_software_name: software.0, client_software_version: software.1, cluster_id, node_id };
        client.ask(5, request).error_code
    };
    assert_eq!(ask(Some(cluster.clone()), node), ErrorCode::None);
    assert_eq!(ask(None, -1), ErrorCode::None);
    assert_eq!(ask(Some("another".into()), node), ErrorCode::RebootstrapRequired);
    assert_eq!(ask(Some(cluster), node + 7), ErrorCode::RebootstrapRequired);
}

#[test]
fn c12_unknown_tagged_fields_and_a_null_client_id_are_fine() {
    let mut client = Client::shared();
    let mut frame = header(3, 12, 4711);
    frame.put_slice(&[1, 77, 3, b'a', b'b', b'c']);
    frame.put_slice(&[1, 0, 0]);
    frame.put_slice(&[2, 50, 0, 99, 2, 1, 2]);
    client.send_frame(&frame);
    let (number, _) = decode_response(ApiKey::Metadata, 12, client.frame().unwrap()).unwrap();
    assert_eq!(number, 4711);
}

#[test]
fn c13_an_idle_connection_is_closed_in_silence() {
    let Some(broker) = Broker::own(&[("connections.max.idle.ms", "300")]) else { return };
    let mut client = Client::to(&broker);
    api_versions(&mut client, 4);
    client.expect_closed();
}

#[test]
fn c14_oversized_collections_are_refused_before_they_cost_anything() {
    let elements = |count: usize| {
        let mut frame = header(3, 1, 1);
        frame.put_i32(i32::try_from(count).unwrap());
        frame.put_bytes(0, count * 2);
        frame
    };
    let claims_only = {
        let mut frame = header(3, 1, 1);
        frame.put_i32(i32::MAX);
        frame
    };
    let tags = {
        let mut frame = header(3, 12, 1);
        frame.put_slice(&[0, 1, 0, 0]);
        // 20 000 tagged fields.
        frame.put_slice(&[0xa0, 0x9c, 0x01]);
        for tag in 0..20_000u32 {
            let tag = tag + 128;
            frame.put_slice(&[(tag & 0x7f) as u8 | 0x80, (tag >> 7 & 0x7f) as u8 | 0x80, (tag >> 14) as u8, 0]);
        }
        frame
    };
    for frame in [elements(1_000_001), claims_only, tags] {
        let mut client = Client::shared();
        client.try_send_bytes(&i32::try_from(frame.len()).unwrap().to_be_bytes());
        client.try_send_bytes(&frame);
        client.expect_closed();
    }
}

#[test]
fn c15_the_controller_named_is_a_broker_that_takes_admin_requests() {
    let mut client = Client::shared();
    let metadata = client.ask(12, MetadataRequest { topics: Some(vec![]), ..Default::default() });
    assert!(metadata.brokers.iter().any(|broker| broker.node_id == metadata.controller_id));
    client.topic("controller");
}

#[test]
fn q06_an_unthrottled_answer_says_zero() {
    let mut client = Client::shared();
    let topic = client.topic("throttle");
    let batch = Batch::of(&["value"]).encode();
    assert_eq!(client.ask(PRODUCE, produce_request(&topic.name, &[(0, &batch)])).throttle_time_ms, 0);
    assert_eq!(client.ask(FETCH, fetch_request(&topic.name, &[(0, 0)])).throttle_time_ms, 0);
    assert_eq!(client.ask(12, MetadataRequest::default()).throttle_time_ms, 0);
    assert_eq!(api_versions(&mut client, 4).throttle_time_ms, 0);
}

#[test]
fn q07_a_tls_hello_costs_nothing() {
    let hello = Bytes::from_static(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03]);
    let Some(broker) = Broker::own(&[]) else {
        let mut client = Client::shared();
        client.send_bytes(&hello);
        return client.expect_closed();
    };
    let resident_kib = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", broker.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let before = resident_kib();
    for _ in 0..8 {
        let mut client = Client::to(&broker);
        client.send_bytes(&hello);
        client.expect_closed();
    }
    assert!(resident_kib() < before + 64 * 1024, "{} KiB before, {} after", before, resident_kib());
    assert!(Client::to(&broker).ask(12, MetadataRequest::default()).error_code == ErrorCode::None);
}

/// Nothing to do with sizes: a connection that says nothing is left alone for a while.
#[test]
fn a_silent_connection_is_not_answered() {
    let name = fresh("silent");
    let mut client = Client::shared();
    assert!(client.is_silent_for(Duration::from_millis(50)), "{name:?}");
}
