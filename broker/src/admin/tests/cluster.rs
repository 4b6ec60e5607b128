//! DescribeCluster.

use super::World;
use flumen_protocol::ErrorCode;
use flumen_protocol::describe_cluster::{DescribeClusterRequest, DescribeClusterResponse};

#[test]
fn a09_brokers_the_clusters_name_and_a_controller() {
    let mut world = World::new();
    let request = DescribeClusterRequest { include_cluster_authorized_operations: true, ..Default::default() };
    let response: DescribeClusterResponse = world.ask(request, 2);
    assert_eq!((response.cluster_id.as_str(), response.controller_id), ("cluster", 1));
    assert_eq!((response.brokers[0].host.as_str(), response.brokers[0].port), ("host1", 9092));
    assert_eq!(response.cluster_authorized_operations, 8096);
}

#[test]
fn a09_an_endpoint_of_another_type_is_refused_since_version_1() {
    let mut world = World::new();
    for (endpoint_type, version, error) in [
        (2, 1, ErrorCode::MismatchedEndpointType),
        (3, 2, ErrorCode::UnsupportedEndpointType),
        (1, 1, ErrorCode::None),
        (2, 0, ErrorCode::None),
    ] {
        let request = DescribeClusterRequest { endpoint_type, ..Default::default() };
        let response: DescribeClusterResponse = world.ask(request, version);
        assert_eq!(response.error_code, error);
        assert_eq!(response.brokers.is_empty(), !error.is_none());
    }
}

#[test]
fn a09_fenced_brokers_are_told_to_those_who_ask() {
    let mut world = World::new();
    world.register(2, &["PLAINTEXT"]);
    world.fence(2);
    let response: DescribeClusterResponse = world.ask(DescribeClusterRequest::default(), 2);
    assert_eq!(response.brokers.len(), 1);
    let request = DescribeClusterRequest { include_fenced_brokers: true, ..Default::default() };
    let response: DescribeClusterResponse = world.ask(request, 2);
    assert!(response.brokers.iter().any(|broker| broker.broker_id == 2 && broker.is_fenced));
}
