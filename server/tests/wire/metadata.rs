//! Metadata and DescribeCluster: M01–M13.

use crate::harness::batch::Batch;
use crate::harness::broker::{Broker, files_ending};
use crate::harness::client::{Client, FETCH, fetch_request, fresh, produce_request, until};
use flumen_protocol::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use flumen_protocol::fetch::FetchRequest;
use flumen_protocol::find_coordinator::FindCoordinatorRequest;
use flumen_protocol::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use flumen_protocol::{ErrorCode, Text, Uuid};
use std::net::ToSocketAddrs;

fn of(topics: Option<&[&Text]>) -> MetadataRequest {
    let topic = |name: &&Text| MetadataRequestTopic { name: Some((*name).clone()), ..Default::default() };
    MetadataRequest {
        topics: topics.map(|topics| topics.iter().map(topic).collect()),
        allow_auto_topic_creation: false,
        ..Default::default()
    }
}

/// The same as versions below 4 say it: they cannot say that nothing is to be created.
fn old(topics: Option<&[&Text]>) -> MetadataRequest {
    MetadataRequest { allow_auto_topic_creation: true, ..of(topics) }
}

fn names(response: &MetadataResponse) -> Vec<&str> {
    response.topics.iter().filter_map(|topic| topic.name.as_deref()).collect()
}

#[test]
fn m01_null_means_all_topics_and_an_empty_list_none() {
    let mut client = Client::shared();
    let topic = client.topic("all");
    assert!(names(&client.ask(12, of(None))).contains(&topic.name.as_str()));
    assert!(names(&client.ask(1, old(None))).contains(&topic.name.as_str()));
    assert!(client.ask(12, of(Some(&[]))).topics.is_empty());
    assert!(client.ask(1, old(Some(&[]))).topics.is_empty());
    assert!(names(&client.ask(0, old(Some(&[])))).contains(&topic.name.as_str()), "version 0 has no null");
}

#[test]
fn m02_what_is_unknown_or_no_name_is_said() {
    let mut client = Client::shared();
    let response = client.ask(12, of(Some(&[&fresh("unknown"), &"no/name".into()])));
    let codes: Vec<ErrorCode> = response.topics.iter().map(|topic| topic.error_code).collect();
    assert_eq!(codes.len(), 2);
    assert!(
        codes.contains(&ErrorCode::UnknownTopicOrPartition) && codes.contains(&ErrorCode::InvalidTopicException),
        "{codes:?}"
    );
    let topics = vec![MetadataRequestTopic { topic_id: Uuid([9; 16]), name: None }];
    let response = client.ask(12, MetadataRequest { topics: Some(topics), ..of(None) });
    assert_eq!(response.topics[0].error_code, ErrorCode::UnknownTopicId);
    assert_eq!(response.topics[0].name, None);
}

#[test]
fn m03_a_topic_is_created_by_asking_and_found_on_asking_again() {
    let mut client = Client::shared();
    let name = fresh("auto");
    let request = MetadataRequest { allow_auto_topic_creation: true, ..of(Some(&[&name])) };
    assert_eq!(client.ask(12, request.clone()).topics[0].error_code, ErrorCode::UnknownTopicOrPartition);
    let response = client.ask_until(12, &request, |response| response.topics[0].error_code == ErrorCode::None);
    assert_eq!(response.topics[0].partitions.len(), 1, "num.partitions");
}

#[test]
fn m03_a_topic_is_not_created_where_that_is_not_allowed() {
    let mut client = Client::shared();
    let name = fresh("not-auto");
    for _ in 0..3 {
        assert_eq!(client.ask(12, of(Some(&[&name]))).topics[0].error_code, ErrorCode::UnknownTopicOrPartition);
    }
    let illegal = MetadataRequest { allow_auto_topic_creation: true, ..of(Some(&[&"no/name".into()])) };
    assert_eq!(client.ask(12, illegal).topics[0].error_code, ErrorCode::InvalidTopicException);
    if let Some(broker) = Broker::own(&[("auto.create.topics.enable", "false")]) {
        let mut client = Client::to(&broker);
        let request = MetadataRequest { allow_auto_topic_creation: true, ..of(Some(&[&name])) };
        for _ in 0..3 {
            assert_eq!(client.ask(12, request.clone()).topics[0].error_code, ErrorCode::UnknownTopicOrPartition);
        }
    }
}

#[test]
fn m04_produce_fetch_and_list_offsets_create_nothing() {
    let mut client = Client::shared();
    let name = fresh("never");
    let batch = Batch::of(&["value"]).encode();
    let produced = client.ask(12, produce_request(&name, &[(0, &batch)]));
    assert_eq!(produced.responses[0].partition_responses[0].error_code, ErrorCode::UnknownTopicOrPartition);
    let fetched = client.ask(FETCH, FetchRequest { ..fetch_request(&name, &[(0, 0)]) });
    assert_eq!(fetched.responses[0].partitions[0].error_code, ErrorCode::UnknownTopicOrPartition);
    let topic = crate::harness::client::Topic { name: name.clone(), id: Uuid::ZERO };
    assert_eq!(client.list_offset(&topic, 0, -1).error_code, ErrorCode::UnknownTopicOrPartition);
    assert_eq!(client.describe(&name).error_code, ErrorCode::UnknownTopicOrPartition);
}

#[test]
fn m05_ids_and_null_names_need_version_12() {
    let mut client = Client::shared();
    let topic = client.topic("by-id");
    for (version, topic_id, name) in [(10, topic.id, None), (11, Uuid::ZERO, None), (11, topic.id, Some(topic.name.clone()))] {
        let topics = vec![MetadataRequestTopic { topic_id, name: name.clone() }];
        // A null name cannot be answered before version 12: Kafka closes the connection, or answers 42 for every topic.
        let mut other = Client::shared();
        other.send(version, MetadataRequest { topics: Some(topics), ..of(None) });
        if let Some(frame) = other.frame() {
            let (_, response) = flumen_protocol::decode_response(flumen_protocol::ApiKey::Metadata, version, frame).unwrap();
            let flumen_protocol::Response::Metadata(response) = response else { panic!("{response:?}") };
            assert_eq!(response.topics[0].error_code, ErrorCode::InvalidRequest);
        }
    }
    let topics = vec![MetadataRequestTopic { topic_id: topic.id, name: None }];
    let response = client.ask(12, MetadataRequest { topics: Some(topics), ..of(None) });
    assert_eq!((response.topics[0].error_code, &response.topics[0].name), (ErrorCode::None, &Some(topic.name)));
}

/// A partition whose directory does not say any more whose it is is offline: it has no leader, and is listed all the same.
#[test]
fn m06_a_partition_without_leader_is_listed() {
    let Some((mut client, topic, _broker)) = damaged_partition() else { return };
    let described = client.describe(&topic);
    assert_eq!(described.error_code, ErrorCode::None);
    let partition = &described.partitions[0];
    assert_eq!(partition.error_code, ErrorCode::LeaderNotAvailable);
    assert_eq!(partition.leader_id, -1);
    assert_eq!(partition.replica_nodes.len(), 1);
    assert_eq!(partition.offline_replicas, partition.replica_nodes);
}

/// A broker whose topic's only partition has a directory that does not say whose it is.
pub(crate) fn damaged_partition() -> Option<(Client, Text, Broker)> {
    let broker = Broker::own(&[])?;
    let mut client = Client::to(&broker);
    let topic = client.topic("damaged");
    for _ in 0..20 {
        client.append(&topic, 0, &Batch::sized(1000));
    }
    let (stopped, status) = broker.stop();
    assert!(status.success());
    for name in ["partition.state", "partition.metadata"] {
        let files = files_ending(&stopped.data(), name);
        let file = files.iter().find(|path| path.to_string_lossy().contains(topic.name.as_str())).unwrap();
        std::fs::write(file, "nothing of ours").unwrap();
    }
    let broker = stopped.start();
    Some((Client::to(&broker), topic.name, broker))
}

#[test]
fn m07_the_address_given_is_that_of_the_listener_asked() {
    let mut client = Client::shared();
    let metadata = client.ask(12, of(Some(&[])));
    let (host, port) = (metadata.brokers[0].host.as_str(), u16::try_from(metadata.brokers[0].port).unwrap());
    let wanted = client.broker().address();
    assert!((host, port).to_socket_addrs().unwrap().any(|address| address == wanted), "{host}:{port}");
}

#[test]
fn m08_leader_epochs_never_fall() {
    let mut client = Client::shared();
    let topic = client.topic("epoch");
    assert!(client.describe(&topic.name).partitions[0].leader_epoch >= 0);
    let Some(broker) = Broker::own(&[]) else { return };
    let topic = Client::to(&broker).topic("epoch");
    let mut before = Client::to(&broker).describe(&topic.name).partitions[0].leader_epoch;
    let mut broker = broker;
    for round in 0..3 {
        broker = if round == 0 { broker.kill().start() } else { broker.stop().0.start() };
        let after = Client::to(&broker).describe(&topic.name).partitions[0].leader_epoch;
        assert!(after > before, "{before} then {after}: every start raises the epoch");
        before = after;
    }
}

#[test]
fn m09_the_cluster_has_an_id_and_internal_topics_say_so() {
    let mut client = Client::shared();
    let metadata = client.ask(2, old(Some(&[])));
    assert!(metadata.cluster_id.is_some_and(|id| !id.is_empty()));
    until("the offsets topic", || {
        client.ask(3, FindCoordinatorRequest { key: "group".into(), ..Default::default() });
        let offsets = client.describe(&"__consumer_offsets".into());
        (offsets.error_code == ErrorCode::None).then(|| assert!(offsets.is_internal && offsets.partitions.len() == 50))
    });
    let topic = client.topic("external");
    assert!(!client.describe(&topic.name).is_internal);
    let Some(broker) = Broker::own(&[]) else { return };
    let id = |broker: &Broker| Client::to(broker).ask(2, old(Some(&[]))).cluster_id;
    let before = id(&broker);
    assert_eq!(id(&broker.kill().start()), before, "the cluster keeps its id");
}

#[test]
fn m10_authorized_operations_are_given_on_request_only() {
    let mut client = Client::shared();
    let topic = client.topic("authorized");
    assert_eq!(client.describe(&topic.name).topic_authorized_operations, i32::MIN);
    let request = MetadataRequest { include_topic_authorized_operations: true, ..of(Some(&[&topic.name])) };
    assert_ne!(client.ask(12, request).topics[0].topic_authorized_operations, i32::MIN);
}

#[test]
fn m11_a_topic_made_again_has_a_new_id() {
    let mut client = Client::shared();
    let topic = client.topic("again");
    let topics = vec![DeleteTopicState { name: Some(topic.name.clone()), ..Default::default() }];
    let deleted = client.ask(6, DeleteTopicsRequest { topics, timeout_ms: 30_000, ..Default::default() });
    assert_eq!(deleted.responses[0].error_code, ErrorCode::None);
    assert_eq!(deleted.responses[0].topic_id, topic.id);
    let again = until("the name is free", || {
        let result = client.create(&topic.name, 1, &[]);
        (result.error_code == ErrorCode::None).then_some(result)
    });
    assert_ne!(again.topic_id, topic.id);
}

#[test]
fn m12_every_leader_is_a_listed_broker() {
    let mut client = Client::shared();
    let topic = client.topic_with("leaders", 4, &[]);
    let metadata = client.ask(12, of(Some(&[&topic.name])));
    assert!(!metadata.brokers.is_empty());
    for partition in &metadata.topics[0].partitions {
        assert!(metadata.brokers.iter().any(|broker| broker.node_id == partition.leader_id));
        assert_eq!(partition.isr_nodes, partition.replica_nodes);
    }
}

#[test]
fn m13_a_topic_is_never_shown_without_partitions() {
    let mut client = Client::shared();
    for _ in 0..5 {
        let name = fresh("visible");
        let request = MetadataRequest { allow_auto_topic_creation: true, ..of(Some(&[&name])) };
        let shown = client.ask_until(12, &request, |response| response.topics[0].error_code == ErrorCode::None);
        assert_eq!(shown.topics[0].partitions.len(), 1);
    }
}
