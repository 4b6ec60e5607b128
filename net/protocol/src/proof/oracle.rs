//! Generated values through the crate `kafka-protocol`: what we encode it decodes, what it encodes we decode.

use std::fmt::Debug;
use std::format;
use std::ops::RangeInclusive;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages as theirs;
use kafka_protocol::messages::{RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Message};

use super::tree::{Tree, assert_contains};
use super::{generate_request, generate_response};
use crate::{ApiKey, decode_request, decode_response};

const SEEDS: u64 = 24;
const CORRELATION_ID: i32 = 77;

/// Their header and body of our frame, both ways.
fn exchange<H, B>(frame: &Bytes, header_version: i16, version: i16, path: &str) -> (Bytes, Tree)
where
    H: Decodable + Encodable + Debug,
    B: Decodable + Encodable + Debug,
{
    let mut rest = frame.slice(4..);
    let header = H::decode(&mut rest, header_version).unwrap_or_else(|error| panic!("{path}: header: {error}"));
    let body = B::decode(&mut rest, version).unwrap_or_else(|error| panic!("{path}: body: {error}"));
    assert!(rest.is_empty(), "{path}: {} bytes left over", rest.len());
    let mut again = BytesMut::new();
    header.encode(&mut again, header_version).unwrap();
    body.encode(&mut again, version).unwrap();
    (again.freeze(), Tree::from_debug(&format!("{body:?}")))
}

/// The versions that both codecs have.
fn shared(ours: RangeInclusive<i16>, theirs: kafka_protocol::protocol::VersionRange) -> RangeInclusive<i16> {
    *ours.start().max(&theirs.min)..=*ours.end().min(&theirs.max)
}

fn agree<Q, S>(api_key: ApiKey)
where
    Q: Decodable + Encodable + Debug + HeaderVersion + Message,
    S: Decodable + Encodable + Debug + HeaderVersion + Message,
{
    for version in shared(api_key.versions(), Q::VERSIONS) {
        for seed in 0..SEEDS {
            let path = format!("{} request {version} seed {seed}", api_key.name());
            let request = generate_request(api_key, version, seed);
            let client_id = ["flumen", ""][usize::from(seed % 2 == 1)];
            let frame = request.encode(version, CORRELATION_ID, Some(client_id)).unwrap();
            let (again, tree) = exchange::<RequestHeader, Q>(&frame, Q::header_version(version), version, &path);
            let (header, decoded) = decode_request(again).unwrap_or_else(|error| panic!("{path}: {error}"));
            assert_eq!(decoded, request, "{path}");
            assert_eq!((header.correlation_id, header.client_id.as_deref()), (CORRELATION_ID, Some(client_id)));
            same_names(api_key, &request, &tree, &path);
        }
    }
    for version in shared(api_key.versions(), S::VERSIONS) {
        for seed in 0..SEEDS {
            let path = format!("{} response {version} seed {seed}", api_key.name());
            let response = generate_response(api_key, version, seed);
            let encoded = response.encode_strictly(version, CORRELATION_ID).unwrap();
            let (again, tree) = exchange::<ResponseHeader, S>(&encoded.bytes, S::header_version(version), version, &path);
            let decoded = decode_response(api_key, version, again).unwrap_or_else(|error| panic!("{path}: {error}"));
            assert_eq!(decoded, (CORRELATION_ID, response.clone()), "{path}");
            same_names(api_key, &response, &tree, &path);
        }
    }
}

/// Every field of ours has the same value in the field of theirs that has its name.
fn same_names(api_key: ApiKey, ours: &impl Debug, theirs: &Tree, path: &str) {
    let ours = Tree::from_debug(&format!("{ours:?}")).without(newer_than_theirs(api_key));
    assert_contains(theirs, &ours, path);
}

/// Fields of versions that `kafka-protocol` does not have. The golden frames show that they are right.
fn newer_than_theirs(api_key: ApiKey) -> &'static [&'static str] {
    match api_key {
        ApiKey::ApiVersions => &["cluster_id", "node_id"],
        ApiKey::DescribeLogDirs => &["is_cordoned"],
        _ => &[],
    }
}

macro_rules! agree {
    ($($test:ident: $name:ident, $request:ident, $response:ident;)*) => {$(
        #[test]
        fn $test() {
            agree::<theirs::$request, theirs::$response>(ApiKey::$name);
        }
    )*};
}

agree! {
    produce: Produce, ProduceRequest, ProduceResponse;
    fetch: Fetch, FetchRequest, FetchResponse;
    list_offsets: ListOffsets, ListOffsetsRequest, ListOffsetsResponse;
    metadata: Metadata, MetadataRequest, MetadataResponse;
    offset_commit: OffsetCommit, OffsetCommitRequest, OffsetCommitResponse;
    offset_fetch: OffsetFetch, OffsetFetchRequest, OffsetFetchResponse;
    find_coordinator: FindCoordinator, FindCoordinatorRequest, FindCoordinatorResponse;
    api_versions: ApiVersions, ApiVersionsRequest, ApiVersionsResponse;
    create_topics: CreateTopics, CreateTopicsRequest, CreateTopicsResponse;
    delete_topics: DeleteTopics, DeleteTopicsRequest, DeleteTopicsResponse;
    delete_records: DeleteRecords, DeleteRecordsRequest, DeleteRecordsResponse;
    init_producer_id: InitProducerId, InitProducerIdRequest, InitProducerIdResponse;
    offset_for_leader_epoch: OffsetForLeaderEpoch, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse;
    describe_configs: DescribeConfigs, DescribeConfigsRequest, DescribeConfigsResponse;
    alter_configs: AlterConfigs, AlterConfigsRequest, AlterConfigsResponse;
    describe_log_dirs: DescribeLogDirs, DescribeLogDirsRequest, DescribeLogDirsResponse;
    create_partitions: CreatePartitions, CreatePartitionsRequest, CreatePartitionsResponse;
    incremental_alter_configs: IncrementalAlterConfigs, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse;
    describe_cluster: DescribeCluster, DescribeClusterRequest, DescribeClusterResponse;
    describe_producers: DescribeProducers, DescribeProducersRequest, DescribeProducersResponse;
    describe_topic_partitions: DescribeTopicPartitions, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse;
}
