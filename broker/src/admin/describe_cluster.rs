//! DescribeCluster: the brokers and the cluster's name.

use super::AdminContext;
use super::cluster_view::{CLUSTER_OPERATIONS, ClusterView};
use alloc::format;
use flumen_protocol::describe_cluster::{DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse};
use flumen_protocol::{ErrorCode, Text};

/// An endpoint of a broker.
const BROKERS: i8 = 1;
/// An endpoint of a controller.
const CONTROLLERS: i8 = 2;
/// The first version that says which kind of endpoint it expects.
const ENDPOINT_TYPE_FROM: i16 = 1;

pub(super) fn answer(request: &DescribeClusterRequest, version: i16, context: &AdminContext<'_>) -> DescribeClusterResponse {
    let expected = if version < ENDPOINT_TYPE_FROM { BROKERS } else { request.endpoint_type };
    match expected {
        BROKERS => describe(request, context),
        CONTROLLERS => {
            refuse(ErrorCode::MismatchedEndpointType, "This is an endpoint of type BROKER, not of type CONTROLLER.".into())
        }
        other => refuse(ErrorCode::UnsupportedEndpointType, format!("Unsupported endpoint type {other}").into()),
    }
}

fn refuse(error_code: ErrorCode, message: Text) -> DescribeClusterResponse {
    DescribeClusterResponse { error_code, error_message: Some(message), ..DescribeClusterResponse::default() }
}

fn describe(request: &DescribeClusterRequest, context: &AdminContext<'_>) -> DescribeClusterResponse {
    let view = ClusterView { image: context.image, listener: context.settings.listener(context.listener) };
    let shown = view.known_brokers().filter(|(broker, _)| request.include_fenced_brokers || !broker.fenced);
    let brokers = shown.map(|(broker, endpoint)| DescribeClusterBroker {
        broker_id: broker.id.0,
        host: endpoint.host.as_str().into(),
        port: endpoint.port.into(),
        rack: broker.rack.as_deref().map(Text::from),
        is_fenced: broker.fenced,
    });
    let operations = request.include_cluster_authorized_operations;
    DescribeClusterResponse {
        endpoint_type: BROKERS,
        cluster_id: Text::from(&*context.image.cluster_id),
        controller_id: context.settings.broker.0,
        brokers: brokers.collect(),
        cluster_authorized_operations: if operations { CLUSTER_OPERATIONS } else { i32::MIN },
        ..DescribeClusterResponse::default()
    }
}
