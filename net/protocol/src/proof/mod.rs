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
