//! Which answer belongs to which request, so that a caller gets the type it asked for.

use flumen_protocol::{ApiKey, Request, Response};

/// A request that can be asked over a connection.
pub trait Api: Into<Request> + Send + 'static {
    /// Its key.
    const KEY: ApiKey;
    /// What answers it.
    type Answer: Into<Response> + Default + Send + 'static;

    /// The answer, if it is of this kind.
    fn from_response(response: Response) -> Option<Self::Answer>;

    /// Whether the broker answers at all.
    fn is_answered(&self) -> bool {
        true
    }
}

macro_rules! apis {
    ($($name:ident, $module:ident::$request:ident, $response:ident;)*) => {$(
        impl Api for flumen_protocol::$module::$request {
            const KEY: ApiKey = ApiKey::$name;
            type Answer = flumen_protocol::$module::$response;

            fn from_response(response: Response) -> Option<Self::Answer> {
                match response {
                    Response::$name(answer) => Some(answer),
                    _ => None,
                }
            }
        }
    )*};
}

apis! {
    Fetch, fetch::FetchRequest, FetchResponse;
    ListOffsets, list_offsets::ListOffsetsRequest, ListOffsetsResponse;
    Metadata, metadata::MetadataRequest, MetadataResponse;
    OffsetCommit, offset_commit::OffsetCommitRequest, OffsetCommitResponse;
    OffsetFetch, offset_fetch::OffsetFetchRequest, OffsetFetchResponse;
    FindCoordinator, find_coordinator::FindCoordinatorRequest, FindCoordinatorResponse;
    ApiVersions, api_versions::ApiVersionsRequest, ApiVersionsResponse;
    CreateTopics, create_topics::CreateTopicsRequest, CreateTopicsResponse;
    DeleteTopics, delete_topics::DeleteTopicsRequest, DeleteTopicsResponse;
    DeleteRecords, delete_records::DeleteRecordsRequest, DeleteRecordsResponse;
    InitProducerId, init_producer_id::InitProducerIdRequest, InitProducerIdResponse;
    OffsetForLeaderEpoch, offset_for_leader_epoch::OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse;
    DescribeConfigs, describe_configs::DescribeConfigsRequest, DescribeConfigsResponse;
    AlterConfigs, alter_configs::AlterConfigsRequest, AlterConfigsResponse;
    DescribeLogDirs, describe_log_dirs::DescribeLogDirsRequest, DescribeLogDirsResponse;
    CreatePartitions, create_partitions::CreatePartitionsRequest, CreatePartitionsResponse;
    IncrementalAlterConfigs, incremental_alter_configs::IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse;
    DescribeCluster, describe_cluster::DescribeClusterRequest, DescribeClusterResponse;
    DescribeProducers, describe_producers::DescribeProducersRequest, DescribeProducersResponse;
    DescribeTopicPartitions, describe_topic_partitions::DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse;
}

impl Api for flumen_protocol::produce::ProduceRequest {
    const KEY: ApiKey = ApiKey::Produce;
    type Answer = flumen_protocol::produce::ProduceResponse;

    fn from_response(response: Response) -> Option<Self::Answer> {
        match response {
            Response::Produce(answer) => Some(answer),
            _ => None,
        }
    }

    fn is_answered(&self) -> bool {
        self.acks != 0
    }
}
