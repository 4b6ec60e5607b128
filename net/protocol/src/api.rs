//! The table of APIs: key, request and response of each, and what follows from them.

use core::ops::RangeInclusive;

use crate::codec::{Malformed, Message, Reader, Value, Writer};
use crate::messages::api_versions::ApiVersion;
use crate::messages::*;

macro_rules! apis {
    ($($name:ident = $key:literal, $module:ident::$request:ident, $module_again:ident::$response:ident;)*) => {
        /// An API that Flumen speaks, as server and as client.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        pub enum ApiKey {
            $(
                #[doc = concat!("See [`", stringify!($module), "`](crate::", stringify!($module), ").")]
                $name = $key,
            )*
        }

        impl ApiKey {
            /// Every API, lowest key first.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The API of a key on the wire.
            #[must_use]
            pub const fn from_code(code: i16) -> Option<Self> {
                match code {
                    $($key => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// Kafka's name of the API.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// The versions that are decoded and answered.
            #[must_use]
            pub const fn versions(self) -> RangeInclusive<i16> {
                match self {
                    $(Self::$name => $module::$request::VERSIONS,)*
                }
            }

            /// The first version with compact lengths and tagged fields.
            const fn flexible_from(self) -> i16 {
                match self {
                    $(Self::$name => $module::$request::FLEXIBLE_FROM,)*
                }
            }
        }

        /// The body of a request.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Request {
            $(
                #[doc = concat!("A request of [`ApiKey::", stringify!($name), "`].")]
                $name($module::$request),
            )*
        }

        impl Request {
            /// The API it asks.
            #[must_use]
            pub const fn api_key(&self) -> ApiKey {
                match self {
                    $(Self::$name(_) => ApiKey::$name,)*
                }
            }

            pub(crate) fn read(api_key: ApiKey, reader: &mut Reader) -> Result<Self, Malformed> {
                match api_key {
                    $(ApiKey::$name => Value::read(reader).map(Self::$name),)*
                }
            }

            pub(crate) fn write(&self, writer: &mut Writer) {
                match self {
                    $(Self::$name(body) => body.write(writer),)*
                }
            }

            pub(crate) fn size_bound(&self) -> usize {
                match self {
                    $(Self::$name(body) => body.size_bound(),)*
                }
            }
        }

        /// The body of a response.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Response {
            $(
                #[doc = concat!("A response of [`ApiKey::", stringify!($name), "`].")]
                $name($module::$response),
            )*
        }

        impl Response {
            /// The API that answers.
            #[must_use]
            pub const fn api_key(&self) -> ApiKey {
                match self {
                    $(Self::$name(_) => ApiKey::$name,)*
                }
            }

            pub(crate) fn read(api_key: ApiKey, reader: &mut Reader) -> Result<Self, Malformed> {
                match api_key {
                    $(ApiKey::$name => Value::read(reader).map(Self::$name),)*
                }
            }

            pub(crate) fn write(&self, writer: &mut Writer) {
                match self {
                    $(Self::$name(body) => body.write(writer),)*
                }
            }

            pub(crate) fn size_bound(&self) -> usize {
                match self {
                    $(Self::$name(body) => body.size_bound(),)*
                }
            }
        }

        $(
            impl From<$module::$request> for Request {
                fn from(body: $module::$request) -> Self {
                    Self::$name(body)
                }
            }

            impl From<$module::$response> for Response {
                fn from(body: $module::$response) -> Self {
                    Self::$name(body)
                }
            }
        )*
    };
}

apis! {
    Produce = 0, produce::ProduceRequest, produce::ProduceResponse;
    Fetch = 1, fetch::FetchRequest, fetch::FetchResponse;
    ListOffsets = 2, list_offsets::ListOffsetsRequest, list_offsets::ListOffsetsResponse;
    Metadata = 3, metadata::MetadataRequest, metadata::MetadataResponse;
    OffsetCommit = 8, offset_commit::OffsetCommitRequest, offset_commit::OffsetCommitResponse;
    OffsetFetch = 9, offset_fetch::OffsetFetchRequest, offset_fetch::OffsetFetchResponse;
    FindCoordinator = 10, find_coordinator::FindCoordinatorRequest, find_coordinator::FindCoordinatorResponse;
    ApiVersions = 18, api_versions::ApiVersionsRequest, api_versions::ApiVersionsResponse;
    CreateTopics = 19, create_topics::CreateTopicsRequest, create_topics::CreateTopicsResponse;
    DeleteTopics = 20, delete_topics::DeleteTopicsRequest, delete_topics::DeleteTopicsResponse;
    DeleteRecords = 21, delete_records::DeleteRecordsRequest, delete_records::DeleteRecordsResponse;
    InitProducerId = 22, init_producer_id::InitProducerIdRequest, init_producer_id::InitProducerIdResponse;
    OffsetForLeaderEpoch = 23, offset_for_leader_epoch::OffsetForLeaderEpochRequest, offset_for_leader_epoch::OffsetForLeaderEpochResponse;
    DescribeConfigs = 32, describe_configs::DescribeConfigsRequest, describe_configs::DescribeConfigsResponse;
    AlterConfigs = 33, alter_configs::AlterConfigsRequest, alter_configs::AlterConfigsResponse;
    DescribeLogDirs = 35, describe_log_dirs::DescribeLogDirsRequest, describe_log_dirs::DescribeLogDirsResponse;
    CreatePartitions = 37, create_partitions::CreatePartitionsRequest, create_partitions::CreatePartitionsResponse;
    IncrementalAlterConfigs = 44, incremental_alter_configs::IncrementalAlterConfigsRequest, incremental_alter_configs::IncrementalAlterConfigsResponse;
    DescribeCluster = 60, describe_cluster::DescribeClusterRequest, describe_cluster::DescribeClusterResponse;
    DescribeProducers = 61, describe_producers::DescribeProducersRequest, describe_producers::DescribeProducersResponse;
    DescribeTopicPartitions = 75, describe_topic_partitions::DescribeTopicPartitionsRequest, describe_topic_partitions::DescribeTopicPartitionsResponse;
}

impl ApiKey {
    /// The key on the wire.
    #[must_use]
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// The versions that ApiVersions names.
    ///
    /// Produce names 0 to 2 though they are refused: librdkafka takes their absence for a broker without compression
    /// (KAFKA-18659).
    #[must_use]
    pub const fn advertised_versions(self) -> RangeInclusive<i16> {
        match self {
            Self::Produce => 0..=*self.versions().end(),
            _ => self.versions(),
        }
    }

    /// What ApiVersions answers: every API with its advertised versions.
    pub fn table() -> impl Iterator<Item = ApiVersion> {
        Self::ALL.iter().map(|api_key| {
            let versions = api_key.advertised_versions();
            ApiVersion { api_key: api_key.code(), min_version: *versions.start(), max_version: *versions.end() }
        })
    }

    /// Whether requests and responses of `version` have compact lengths and tagged fields.
    #[must_use]
    pub const fn is_flexible(self, version: i16) -> bool {
        version >= self.flexible_from()
    }
}
