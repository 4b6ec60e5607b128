//! Topics, partitions, the cluster: A01–A03, A09, A10.

use crate::harness::batch::Batch;
use crate::harness::broker::{Broker, external};
use crate::harness::client::{Client, TIMEOUT_MS, fresh, until};
use flumen_protocol::create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic};
use flumen_protocol::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreatableTopicResult, CreateTopicsRequest,
};
use flumen_protocol::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use flumen_protocol::describe_cluster::DescribeClusterRequest;
use flumen_protocol::describe_log_dirs::{DescribableLogDirTopic, DescribeLogDirsRequest};
use flumen_protocol::describe_topic_partitions::{Cursor, DescribeTopicPartitionsRequest, TopicRequest};
use flumen_protocol::{ErrorCode, Text, Uuid};

fn plain(name: &Text) -> CreatableTopic {
    CreatableTopic { name: name.clone(), num_partitions: 1, replication_factor: 1, ..Default::default() }
}

fn create(client: &mut Client, topics: Vec<CreatableTopic>, validate_only: bool) -> Vec<CreatableTopicResult> {
    client.ask(7, CreateTopicsRequest { topics, timeout_ms: TIMEOUT_MS, validate_only }).topics
}

/// The code for one topic to be made.
fn code(client: &mut Client, topic: CreatableTopic) -> ErrorCode {
    create(client, vec![topic], false).remove(0).error_code
}

fn assignment(partition_index: i32, broker_ids: &[i32]) -> CreatableReplicaAssignment {
    CreatableReplicaAssignment { partition_index, broker_ids: broker_ids.to_vec() }
}

fn config(name: &str, value: Option<&str>) -> Vec<CreatableTopicConfig> {
    vec![CreatableTopicConfig { name: name.into(), value: value.map(Into::into) }]
}

/// The id of the only broker.
fn node(client: &mut Client) -> i32 {
    client.ask(0, DescribeClusterRequest::default()).brokers[0].broker_id
}

#[test]
fn a01_names_are_checked() {
    let mut client = Client::shared();
    let name = fresh("named");
    assert_eq!(code(&mut client, plain(&name)), ErrorCode::None);
    assert_eq!(code(&mut client, plain(&name)), ErrorCode::TopicAlreadyExists);
    for bad in ["", ".", "..", "a/b", "a b", "ä", &"x".repeat(250)] {
        assert_eq!(code(&mut client, plain(&bad.into())), ErrorCode::InvalidTopicException, "{bad:?}");
    }
    let dotted = Text::from(format!("{}.collides", name.as_str()));
    let lined = Text::from(format!("{}_collides", name.as_str()));
    assert_eq!(code(&mut client, plain(&dotted)), ErrorCode::None);
    assert_eq!(code(&mut client, plain(&lined)), ErrorCode::InvalidTopicException);
    let twice = fresh("twice");
    let results = create(&mut client, vec![plain(&twice), plain(&twice), plain(&fresh("once"))], false);
    for result in results {
        let expected = if result.name == twice { ErrorCode::InvalidRequest } else { ErrorCode::None };
        assert_eq!(result.error_code, expected);
    }
}

#[test]
fn a01_numbers_are_checked() {
    let mut client = Client::shared();
    let with =
        |num_partitions, replication_factor| CreatableTopic { num_partitions, replication_factor, ..plain(&fresh("numbers")) };
    assert_eq!(code(&mut client, with(0, 1)), ErrorCode::InvalidPartitions);
    assert_eq!(code(&mut client, with(-2, 1)), ErrorCode::InvalidPartitions);
    assert_eq!(code(&mut client, with(1, 0)), ErrorCode::InvalidReplicationFactor);
    assert_eq!(code(&mut client, with(1, -2)), ErrorCode::InvalidReplicationFactor);
    assert_eq!(code(&mut client, with(1, 2)), ErrorCode::InvalidReplicationFactor, "one broker only");
    let result = create(&mut client, vec![with(-1, -1)], false).remove(0);
    assert_eq!((result.error_code, result.num_partitions, result.replication_factor), (ErrorCode::None, 1, 1));
}

#[test]
fn a01_assignments_are_checked() {
    let mut client = Client::shared();
    let node = node(&mut client);
    let with = |assignments: Vec<CreatableReplicaAssignment>| CreatableTopic {
        num_partitions: -1,
        replication_factor: -1,
        assignments,
        ..plain(&fresh("assigned"))
    };
    assert_eq!(code(&mut client, with(vec![assignment(0, &[node]), assignment(1, &[node])])), ErrorCode::None);
    for num_partitions in [1, 2] {
        let both = CreatableTopic { num_partitions, ..with(vec![assignment(0, &[node])]) };
        assert_eq!(code(&mut client, both), ErrorCode::InvalidRequest);
    }
    let bad = [
        vec![assignment(0, &[node + 100])],
        vec![assignment(0, &[node, node])],
        vec![assignment(1, &[node])],
        vec![assignment(0, &[node]), assignment(2, &[node])],
        vec![assignment(0, &[])],
    ];
    for assignments in bad {
        assert_eq!(code(&mut client, with(assignments.clone())), ErrorCode::InvalidReplicaAssignment, "{assignments:?}");
    }
}

#[test]
fn a01_configurations_are_checked() {
    let mut client = Client::shared();
    let with = |configs| CreatableTopic { configs, ..plain(&fresh("configured")) };
    for (name, value) in
        [("no.such.key", Some("1")), ("retention.ms", Some("soon")), ("retention.ms", None), ("segment.bytes", Some("1"))]
    {
        assert_eq!(code(&mut client, with(config(name, value))), ErrorCode::InvalidConfig, "{name}={value:?}");
    }
    let result = create(&mut client, vec![with(config("retention.ms", Some("5000")))], false).remove(0);
    assert_eq!(result.error_code, ErrorCode::None);
    assert_ne!(result.topic_id, Uuid::ZERO);
    let configs = result.configs.unwrap();
    let retention = configs.iter().find(|config| config.name.as_str() == "retention.ms").unwrap();
    assert_eq!((retention.value.as_deref(), retention.config_source), (Some("5000"), 1));
    assert!(configs.len() > 20, "all of them are said: {}", configs.len());
}

#[test]
fn a01_a_creation_that_takes_too_long_is_answered_and_goes_on() {
    let mut client = Client::shared();
    let name = fresh("hurried");
    let request = CreateTopicsRequest { topics: vec![plain(&name)], timeout_ms: 0, validate_only: false };
    assert_eq!(client.ask(7, request).topics[0].error_code, ErrorCode::RequestTimedOut);
    if external().is_none() {
        // Kafka's controller does not begin with what is late already.
        until("the topic is there", || (client.describe(&name).error_code == ErrorCode::None).then_some(()));
        let topics = vec![by_name(&name)];
        assert_eq!(
            client.ask(6, DeleteTopicsRequest { topics, timeout_ms: 0, ..Default::default() }).responses[0].error_code,
            ErrorCode::RequestTimedOut
        );
        until("it is gone", || (client.describe(&name).error_code == ErrorCode::UnknownTopicOrPartition).then_some(()));
    }
}

#[test]
fn a01_validate_only_makes_nothing() {
    let mut client = Client::shared();
    let name = fresh("validated");
    assert_eq!(create(&mut client, vec![plain(&name)], true)[0].error_code, ErrorCode::None);
    assert_eq!(client.describe(&name).error_code, ErrorCode::UnknownTopicOrPartition);
    let bad = CreatableTopic { num_partitions: 0, ..plain(&name) };
    assert_eq!(create(&mut client, vec![bad], true)[0].error_code, ErrorCode::InvalidPartitions);
}

fn delete(client: &mut Client, topics: Vec<DeleteTopicState>) -> Vec<ErrorCode> {
    let request = DeleteTopicsRequest { topics, timeout_ms: TIMEOUT_MS, ..Default::default() };
    client.ask(6, request).responses.iter().map(|result| result.error_code).collect()
}

fn by_name(name: &Text) -> DeleteTopicState {
    DeleteTopicState { name: Some(name.clone()), ..Default::default() }
}

#[test]
fn a02_topics_are_deleted_by_name_or_id() {
    let mut client = Client::shared();
    let (first, second, third) = (client.topic("by-name"), client.topic("by-id"), client.topic("old-style"));
    assert_eq!(delete(&mut client, vec![by_name(&first.name)]), [ErrorCode::None]);
    assert_eq!(delete(&mut client, vec![DeleteTopicState { name: None, topic_id: second.id }]), [ErrorCode::None]);
    let old = DeleteTopicsRequest { topic_names: vec![third.name.clone()], timeout_ms: TIMEOUT_MS, ..Default::default() };
    assert_eq!(client.ask(1, old).responses[0].error_code, ErrorCode::None);
    for topic in [first, second, third] {
        until("the topic is gone", || {
            (client.describe(&topic.name).error_code == ErrorCode::UnknownTopicOrPartition).then_some(())
        });
    }
    assert_eq!(delete(&mut client, vec![by_name(&fresh("unknown"))]), [ErrorCode::UnknownTopicOrPartition]);
    assert_eq!(delete(&mut client, vec![DeleteTopicState { name: None, topic_id: Uuid([8; 16]) }]), [ErrorCode::UnknownTopicId]);
}

#[test]
fn a02_deletion_may_be_disabled() {
    let Some(broker) = Broker::own(&[("delete.topic.enable", "false")]) else { return };
    let mut client = Client::to(&broker);
    let topic = client.topic("kept");
    assert_eq!(delete(&mut client, vec![by_name(&topic.name)]), [ErrorCode::TopicDeletionDisabled]);
    let old = DeleteTopicsRequest { topic_names: vec![topic.name.clone()], timeout_ms: TIMEOUT_MS, ..Default::default() };
    assert_eq!(client.ask(2, old.clone()).responses[0].error_code, ErrorCode::InvalidRequest);
    assert_eq!(client.ask(3, old).responses[0].error_code, ErrorCode::TopicDeletionDisabled);
    assert_eq!(client.describe(&topic.name).error_code, ErrorCode::None);
}

#[test]
fn a03_partitions_only_grow_and_every_topic_is_answered() {
    let mut client = Client::shared();
    let topic = client.topic_with("grows", 2, &[]);
    client.append(&topic, 1, &Batch::of(&["before"]));
    let unknown = fresh("unknown");
    let mut grow = |asked: &[(&Text, i32)], validate_only| {
        let topic =
            |(name, count): &(&Text, i32)| CreatePartitionsTopic { name: (*name).clone(), count: *count, assignments: None };
        let topics = asked.iter().map(topic).collect();
        let mut results = client.ask(3, CreatePartitionsRequest { topics, timeout_ms: TIMEOUT_MS, validate_only }).results;
        results.sort_by(|one, other| one.name.cmp(&other.name));
        results.into_iter().map(|result| result.error_code).collect::<Vec<_>>()
    };
    for count in [2, 1, 0, -1] {
        assert_eq!(grow(&[(&topic.name, count)], false), [ErrorCode::InvalidPartitions], "{count}");
    }
    assert_eq!(grow(&[(&topic.name, 9)], true), [ErrorCode::None]);
    let both = grow(&[(&topic.name, 5), (&unknown, 5)], false);
    assert_eq!(both, [ErrorCode::None, ErrorCode::UnknownTopicOrPartition]);
    until("five partitions", || (client.describe(&topic.name).partitions.len() == 5).then_some(()));
    until("the new one leads", || (client.list_offset(&topic, 4, -1).error_code == ErrorCode::None).then_some(()));
    client.append(&topic, 4, &Batch::of(&["after"]));
    assert_eq!(client.read_values(&topic, 1), ["before"]);
}

#[test]
fn a09_the_cluster_is_described() {
    let mut client = Client::shared();
    for version in 0..=2 {
        let cluster = client.ask(version, DescribeClusterRequest::default());
        assert_eq!(cluster.error_code, ErrorCode::None);
        assert!(!cluster.cluster_id.is_empty());
        assert_eq!(cluster.brokers.len(), 1);
        assert_eq!(cluster.cluster_authorized_operations, i32::MIN);
        assert!(!cluster.brokers[0].is_fenced);
    }
    let controllers = DescribeClusterRequest { endpoint_type: 2, ..Default::default() };
    assert_eq!(client.ask(1, controllers).error_code, ErrorCode::MismatchedEndpointType);
    let neither = DescribeClusterRequest { endpoint_type: 3, ..Default::default() };
    assert_eq!(client.ask(1, neither).error_code, ErrorCode::UnsupportedEndpointType);
}

#[test]
fn a10_partitions_are_described_page_by_page() {
    let mut client = Client::shared();
    let (first, second) = (client.topic_with("page-a", 3, &[]), client.topic_with("page-b", 3, &[]));
    let topics: Vec<TopicRequest> = [&first, &second].map(|topic| TopicRequest { name: topic.name.clone() }).into();
    let mut cursor: Option<Cursor> = None;
    let mut seen = Vec::new();
    for page in 0.. {
        assert!(page < 10, "the pages end");
        let request = DescribeTopicPartitionsRequest { topics: topics.clone(), response_partition_limit: 2, cursor };
        let response = client.ask(0, request);
        let mut count = 0;
        for topic in &response.topics {
            assert_eq!(topic.error_code, ErrorCode::None);
            count += topic.partitions.len();
            seen.extend(topic.partitions.iter().map(|partition| (topic.name.clone().unwrap(), partition.partition_index)));
        }
        assert!(count <= 2);
        cursor = response.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    let expected: Vec<(Text, i32)> =
        [&first, &second].into_iter().flat_map(|topic| (0..3).map(|partition| (topic.name.clone(), partition))).collect();
    assert_eq!(seen, expected);
    let unknown = vec![TopicRequest { name: fresh("unknown") }];
    let response = client.ask(0, DescribeTopicPartitionsRequest { topics: unknown, ..Default::default() });
    assert_eq!(response.topics[0].error_code, ErrorCode::UnknownTopicOrPartition);
}

/// Not a line of the checklist, but an API: sizes are those on disk.
#[test]
fn log_directories_are_described() {
    let mut client = Client::shared();
    let topic = client.topic_with("sized", 2, &[]);
    client.append(&topic, 1, &Batch::sized(5000));
    let topics = vec![DescribableLogDirTopic { topic: topic.name.clone(), partitions: vec![0, 1] }];
    let response = client.ask(4, DescribeLogDirsRequest { topics: Some(topics) });
    assert_eq!(response.error_code, ErrorCode::None);
    let directory = &response.results[0];
    assert!(directory.total_bytes > 0 && directory.usable_bytes > 0 && !directory.log_dir.is_empty());
    let mut sizes: Vec<(i32, i64)> =
        directory.topics[0].partitions.iter().map(|partition| (partition.partition_index, partition.partition_size)).collect();
    sizes.sort_unstable();
    assert_eq!(sizes[0], (0, 0));
    assert!((5000..6000).contains(&sizes[1].1), "{sizes:?}");
}
