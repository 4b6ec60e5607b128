//! Test builds only: the codec against independent ones, and against hostile bytes.
//!
//! * `golden`: frames that Kafka's own classes encoded, of every API and version.
//! * `oracle`: generated values through the crate `kafka-protocol`, of every API and version that it has.
//! * `hostile`: damaged and made-up frames.
//!
//! A codec that reads two fields in the wrong order writes them in the wrong order too, and round trips prove nothing
//! about it. Both comparisons are therefore by field name, over [`tree::Tree`].

mod golden;
mod hostile;
mod oracle;
mod tree;

use core::ops::RangeInclusive;

use crate::generate::{Generate, Source};
use crate::{ApiKey, Request, Response};

/// A request that `version` can carry.
fn generate_request(api_key: ApiKey, version: i16, seed: u64) -> Request {
    generate_both(api_key, version, seed).0
}

/// A response that `version` can carry.
fn generate_response(api_key: ApiKey, version: i16, seed: u64) -> Response {
    generate_both(api_key, version, seed).1
}

fn generate_both(api_key: ApiKey, version: i16, seed: u64) -> (Request, Response) {
    let mut source = Source::new(seed, version);
    macro_rules! generate {
        ($($name:ident),*) => {
            match api_key {
                $(ApiKey::$name => (
                    Request::$name(Generate::generate(&mut source)),
                    Response::$name(Generate::generate(&mut source)),
                ),)*
            }
        };
    }
    generate!(
        Produce,
        Fetch,
        ListOffsets,
        Metadata,
        OffsetCommit,
        OffsetFetch,
        FindCoordinator,
        ApiVersions,
        CreateTopics,
        DeleteTopics,
        DeleteRecords,
        InitProducerId,
        OffsetForLeaderEpoch,
        DescribeConfigs,
        AlterConfigs,
        DescribeLogDirs,
        CreatePartitions,
        IncrementalAlterConfigs,
        DescribeCluster,
        DescribeProducers,
        DescribeTopicPartitions
    )
}

/// Every API with every version that is decoded.
fn every_version() -> impl Iterator<Item = (ApiKey, i16)> {
    ApiKey::ALL.iter().flat_map(|api_key| RangeInclusive::into_iter(api_key.versions()).map(|version| (*api_key, version)))
}

#[test]
fn no_frame_outgrows_the_buffer_that_was_reserved_for_it() {
    let longest_header = 4 + 8 + 2 + "client".len() + 1;
    for (api_key, version) in every_version() {
        for seed in 0..16 {
            let (request, response) = generate_both(api_key, version, seed);
            let frame = request.encode(version, 1, Some("client")).unwrap();
            assert!(frame.len() <= longest_header + request.size_bound(), "{api_key:?} {version} request, seed {seed}");
            let frame = response.encode(version, 1).bytes;
            assert!(frame.len() <= 4 + 4 + 1 + response.size_bound(), "{api_key:?} {version} response, seed {seed}");
        }
    }
}

#[test]
fn api_versions_names_every_api_once() {
    let table: std::vec::Vec<_> = ApiKey::table().map(|api| (api.api_key, api.min_version, api.max_version)).collect();
    assert_eq!(table.len(), ApiKey::ALL.len());
    assert!(table.is_sorted_by(|one, next| one.0 < next.0));
    assert_eq!(table[0], (0, 0, 13));
    assert!(table.contains(&(18, 0, 5)) && table.contains(&(22, 0, 5)) && table.contains(&(75, 0, 0)));
}
