//! CreateTopics, DeleteTopics, CreatePartitions.

use super::{World, new_topic, owned, texts};
use crate::admin::{Step, finish};
use alloc::string::String;
use alloc::vec::Vec;
use flumen_protocol::create_partitions::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic,
};
use flumen_protocol::create_topics::{CreatableReplicaAssignment, CreatableTopic, CreateTopicsRequest, CreateTopicsResponse};
use flumen_protocol::delete_topics::{DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse};
use flumen_protocol::{ErrorCode, Request, Response, Uuid};

fn create(topics: Vec<CreatableTopic>) -> CreateTopicsRequest {
    CreateTopicsRequest { topics, ..CreateTopicsRequest::default() }
}

fn error(world: &mut World, topic: CreatableTopic) -> ErrorCode {
    let response: CreateTopicsResponse = world.ask(create(Vec::from([topic])), 7);
    let [result] = &response.topics[..] else { panic!("one answer: {response:?}") };
    assert_eq!(result.error_code.is_none(), result.error_message.is_none(), "{result:?}");
    result.error_code
}

fn by_hand(assignments: &[(i32, &[i32])]) -> CreatableTopic {
    let assignment = |(partition_index, brokers): &(i32, &[i32])| CreatableReplicaAssignment {
        partition_index: *partition_index,
        broker_ids: brokers.to_vec(),
    };
    CreatableTopic { assignments: assignments.iter().map(assignment).collect(), ..new_topic("m", -1, -1, &[]) }
}

#[test]
fn a01_names_and_numbers_are_checked() {
    let mut world = World::new();
    world.create("x.y", 1);
    let long = "a".repeat(250);
    for (name, partitions, factor, expected) in [
        ("x.y", 1, 1, ErrorCode::TopicAlreadyExists),
        ("x_y", 1, 1, ErrorCode::InvalidTopicException),
        ("a b", 1, 1, ErrorCode::InvalidTopicException),
        ("", 1, 1, ErrorCode::InvalidTopicException),
        (".", 1, 1, ErrorCode::InvalidTopicException),
        (long.as_str(), 1, 1, ErrorCode::InvalidTopicException),
        ("p", 0, 1, ErrorCode::InvalidPartitions),
        ("p", -2, 1, ErrorCode::InvalidPartitions),
        ("p", 1, 0, ErrorCode::InvalidReplicationFactor),
        ("p", 1, -2, ErrorCode::InvalidReplicationFactor),
        ("p", 1, 2, ErrorCode::InvalidReplicationFactor),
        ("p", 100_001, 1, ErrorCode::PolicyViolation),
        ("__cluster_metadata", 1, 1, ErrorCode::InvalidRequest),
        ("p", 1, 1, ErrorCode::None),
    ] {
        assert_eq!(error(&mut world, new_topic(name, partitions, factor, &[])), expected, "{name} {partitions} {factor}");
    }
}

#[test]
fn a01_replicas_placed_by_hand_are_checked() {
    let mut world = World::new();
    for (assignments, expected) in [
        (&[(0, &[1][..])][..], ErrorCode::None),
        (&[(1, &[1])], ErrorCode::InvalidReplicaAssignment),
        (&[(0, &[1]), (0, &[1])], ErrorCode::InvalidReplicaAssignment),
        (&[(0, &[1, 1])], ErrorCode::InvalidReplicaAssignment),
        (&[(0, &[9])], ErrorCode::InvalidReplicaAssignment),
        (&[(0, &[])], ErrorCode::InvalidReplicaAssignment),
        (&[(-1, &[1])], ErrorCode::InvalidReplicaAssignment),
    ] {
        let topic = CreatableTopic { name: if expected.is_none() { "ok".into() } else { "m".into() }, ..by_hand(assignments) };
        assert_eq!(error(&mut world, topic), expected, "{assignments:?}");
    }
    let counted = CreatableTopic { num_partitions: 1, ..by_hand(&[(0, &[1])]) };
    assert_eq!(error(&mut world, counted), ErrorCode::InvalidRequest);
    let replicated = CreatableTopic { replication_factor: 1, ..by_hand(&[(0, &[1])]) };
    assert_eq!(error(&mut world, replicated), ErrorCode::InvalidRequest);
}

#[test]
fn a01_settings_are_checked() {
    let mut world = World::new();
    for (name, value) in
        [("nope", Some("1")), ("retention.ms", Some("abc")), ("retention.ms", None), ("log.retention.ms", Some("1"))]
    {
        assert_eq!(error(&mut world, new_topic("k", 1, 1, &[(name, value)])), ErrorCode::InvalidConfig, "{name} {value:?}");
    }
    let contradiction = [("min.compaction.lag.ms", Some("10")), ("max.compaction.lag.ms", Some("5"))];
    assert_eq!(error(&mut world, new_topic("k", 1, 1, &contradiction)), ErrorCode::InvalidConfig);
    assert_eq!(error(&mut world, new_topic("k", 1, 1, &[("flumen.durability", Some("replicated"))])), ErrorCode::None);
}

#[test]
fn a01_the_answer_tells_id_numbers_and_settings_in_force() {
    let mut world = World::with(&[("num.partitions", "3"), ("log.segment.bytes", "2000000")]);
    let topic = new_topic("a", -1, -1, &[("retention.ms", Some("5"))]);
    let response: CreateTopicsResponse = world.ask(create(Vec::from([topic])), 7);
    let result = &response.topics[0];
    assert_ne!(result.topic_id, Uuid::default());
    assert_eq!((result.num_partitions, result.replication_factor), (3, 1));
    let configs = result.configs.as_ref().expect("told");
    let told = |name: &str| {
        let config = configs.iter().find(|config| config.name == name).expect("told");
        (owned(&config.value), config.config_source)
    };
    assert_eq!(told("retention.ms"), ("5".into(), 1));
    assert_eq!(told("segment.bytes"), ("2000000".into(), 4));
    assert_eq!(told("segment.ms"), ("604800000".into(), 5));
}

#[test]
fn a01_asking_only_whether_it_would_work_changes_nothing() {
    let mut world = World::new();
    let request = CreateTopicsRequest { validate_only: true, ..create(Vec::from([new_topic("a", 3, 1, &[])])) };
    let response: CreateTopicsResponse = world.ask(request, 7);
    assert_eq!((response.topics[0].error_code, response.topics[0].num_partitions), (ErrorCode::None, 3));
    assert!(world.image().topics.is_empty());
}

#[test]
fn a01_a_name_twice_in_one_request_is_refused_and_others_are_made() {
    let mut world = World::new();
    let topics = ["d", "d", "e"].map(|name| new_topic(name, 1, 1, &[]));
    let response: CreateTopicsResponse = world.ask(create(Vec::from(topics)), 7);
    let mut told: Vec<_> = response.topics.iter().map(|topic| (topic.name.as_str(), topic.error_code)).collect();
    told.sort();
    assert_eq!(told, [("d", ErrorCode::InvalidRequest), ("e", ErrorCode::None)]);
    assert!(world.image().topic("d").is_none());
}

#[test]
fn a01_a_controller_that_does_not_decide_is_a_timeout() {
    let mut world = World::new();
    let Step::Propose { then, .. } = world.step(&Request::from(create(Vec::from([new_topic("a", 1, 1, &[])]))), 7, 0) else {
        panic!("a proposal");
    };
    let response = finish(then, Err(String::from("no quorum")), world.image(), &world.settings);
    let Response::CreateTopics(response) = response else { panic!("{response:?}") };
    assert_eq!((response.topics[0].name.as_str(), response.topics[0].error_code), ("a", ErrorCode::RequestTimedOut));
}

fn delete(world: &mut World, version: i16, states: &[(Option<&str>, [u8; 16])]) -> Vec<(String, Uuid, ErrorCode)> {
    let state = |(name, id): &(Option<&str>, [u8; 16])| DeleteTopicState { name: name.map(Into::into), topic_id: Uuid(*id) };
    let request = if version >= 6 {
        DeleteTopicsRequest { topics: states.iter().map(state).collect(), ..Default::default() }
    } else {
        let names: Vec<_> = states.iter().filter_map(|(name, _)| *name).collect();
        DeleteTopicsRequest { topic_names: texts(&names), ..Default::default() }
    };
    let response: DeleteTopicsResponse = world.ask(request, version);
    response.responses.into_iter().map(|topic| (owned(&topic.name), topic.topic_id, topic.error_code)).collect()
}

const NONE: [u8; 16] = [0; 16];

#[test]
fn a02_topics_are_deleted_by_name_or_by_id() {
    let mut world = World::new();
    world.create("a", 1);
    world.create("b", 1);
    assert_eq!(delete(&mut world, 5, &[(Some("a"), NONE)])[0].2, ErrorCode::None);
    let told = delete(&mut world, 6, &[(None, [2; 16])]);
    assert_eq!(told, [("b".into(), Uuid([2; 16]), ErrorCode::None)]);
    assert!(world.image().topics.is_empty());
}

#[test]
fn a02_unknown_names_and_ids_have_their_errors() {
    let mut world = World::new();
    assert_eq!(delete(&mut world, 6, &[(Some("nono"), NONE)])[0].2, ErrorCode::UnknownTopicOrPartition);
    assert_eq!(delete(&mut world, 1, &[(Some("a b"), NONE)])[0].2, ErrorCode::UnknownTopicOrPartition);
    let told = delete(&mut world, 6, &[(None, [7; 16])]);
    assert_eq!(told, [(String::new(), Uuid([7; 16]), ErrorCode::UnknownTopicId)]);
}

#[test]
fn a02_a_topic_is_asked_for_once_and_under_one_of_its_names() {
    let mut world = World::new();
    world.create("a", 1);
    for states in [
        &[(Some("a"), [1; 16])][..],
        &[(None, NONE)],
        &[(Some("a"), NONE), (Some("a"), NONE)],
        &[(None, [1; 16]), (None, [1; 16])],
        &[(Some("a"), NONE), (None, [1; 16])],
    ] {
        let told = delete(&mut world, 6, states);
        assert!(told.iter().all(|(.., error)| *error == ErrorCode::InvalidRequest), "{states:?} {told:?}");
        assert!(world.image().topic("a").is_some());
    }
}

#[test]
fn a02_deletion_may_be_disabled() {
    let mut world = World::with(&[("delete.topic.enable", "false")]);
    world.create("a", 1);
    for (version, expected) in
        [(2, ErrorCode::InvalidRequest), (3, ErrorCode::TopicDeletionDisabled), (6, ErrorCode::TopicDeletionDisabled)]
    {
        assert_eq!(delete(&mut world, version, &[(Some("a"), NONE)])[0].2, expected);
    }
    assert!(world.image().topic("a").is_some());
}

fn grow(world: &mut World, count: i32, assignments: Option<&[&[i32]]>, validate_only: bool) -> ErrorCode {
    let brokers = |brokers: &&[i32]| CreatePartitionsAssignment { broker_ids: brokers.to_vec() };
    let topic = CreatePartitionsTopic {
        name: "a".into(),
        count,
        assignments: assignments.map(|assignments| assignments.iter().map(brokers).collect()),
    };
    let request = CreatePartitionsRequest { topics: Vec::from([topic]), validate_only, ..Default::default() };
    let response: CreatePartitionsResponse = world.ask(request, 3);
    assert_eq!((response.results.len(), response.results[0].name.as_str()), (1, "a"));
    response.results[0].error_code
}

#[test]
fn a03_the_number_of_partitions_only_grows() {
    let mut world = World::new();
    world.create("a", 2);
    assert_eq!(grow(&mut world, 3, None, false), ErrorCode::None);
    for count in [3, 1, 0, -1] {
        assert_eq!(grow(&mut world, count, None, false), ErrorCode::InvalidPartitions, "{count}");
    }
    assert_eq!(grow(&mut world, 200_000, None, false), ErrorCode::PolicyViolation);
    assert_eq!(grow(&mut world, 9, None, true), ErrorCode::None);
    assert_eq!(world.image().topic("a").map(|topic| topic.partitions.len()), Some(3));
}

#[test]
fn a03_new_partitions_placed_by_hand_are_checked() {
    let mut world = World::new();
    world.create("a", 1);
    for (assignments, expected) in [
        (&[&[1][..]][..], ErrorCode::InvalidReplicaAssignment),
        (&[&[1], &[9]], ErrorCode::InvalidReplicaAssignment),
        (&[&[1], &[1, 1]], ErrorCode::InvalidReplicaAssignment),
        (&[&[1], &[]], ErrorCode::InvalidReplicaAssignment),
        (&[&[1], &[1]], ErrorCode::None),
    ] {
        assert_eq!(grow(&mut world, 3, Some(assignments), false), expected, "{assignments:?}");
    }
}

#[test]
fn a03_every_topic_asked_for_is_answered() {
    let mut world = World::new();
    world.create("a", 1);
    let topic = |name: &str, count| CreatePartitionsTopic { name: name.into(), count, assignments: None };
    let topics = Vec::from([topic("nono", 2), topic("a", 2), topic("b", 3), topic("b", 4)]);
    let request = CreatePartitionsRequest { topics, ..Default::default() };
    let response: CreatePartitionsResponse = world.ask(request, 0);
    let mut told: Vec<_> = response.results.iter().map(|result| (result.name.as_str(), result.error_code)).collect();
    told.sort();
    assert_eq!(told, [("a", ErrorCode::None), ("b", ErrorCode::InvalidRequest), ("nono", ErrorCode::UnknownTopicOrPartition)]);
    let response: CreatePartitionsResponse = world.ask(CreatePartitionsRequest::default(), 0);
    assert!(response.results.is_empty());
}
