//! Metadata.

use super::{CLIENTS, INNER, World, texts};
use crate::admin::Step;
use alloc::vec::Vec;
use flumen_controller::command::Command;
use flumen_log::TopicId;
use flumen_protocol::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use flumen_protocol::{ErrorCode, Request, Uuid};

fn named(names: &[&str]) -> MetadataRequest {
    let topics = texts(names).into_iter().map(|name| MetadataRequestTopic { name: Some(name), ..Default::default() });
    MetadataRequest { topics: Some(topics.collect()), allow_auto_topic_creation: false, ..Default::default() }
}

fn by_id(id: [u8; 16]) -> MetadataRequest {
    let topic = MetadataRequestTopic { name: None, topic_id: Uuid(id) };
    MetadataRequest { topics: Some(Vec::from([topic])), ..MetadataRequest::default() }
}

fn all() -> MetadataRequest {
    MetadataRequest { topics: None, ..MetadataRequest::default() }
}

#[test]
fn m01_null_is_all_and_an_empty_list_is_none_but_in_version_0() {
    let mut world = World::new();
    world.create("a", 1);
    let response: MetadataResponse = world.ask(all(), 13);
    assert_eq!(response.topics.len(), 1);
    let response: MetadataResponse = world.ask(named(&[]), 1);
    assert!(response.topics.is_empty());
    let response: MetadataResponse = world.ask(named(&[]), 0);
    assert_eq!(response.topics.len(), 1);
}

#[test]
fn m02_unknown_names_illegal_names_and_unknown_ids_have_their_errors() {
    let mut world = World::new();
    let response: MetadataResponse = world.ask(named(&["nono", "a b", ""]), 13);
    let errors: Vec<_> = response.topics.iter().map(|topic| topic.error_code).collect();
    assert_eq!(errors, [ErrorCode::UnknownTopicOrPartition, ErrorCode::InvalidTopicException, ErrorCode::InvalidTopicException]);
    assert_eq!(response.topics[0].name.as_deref(), Some("nono"));
    let response: MetadataResponse = world.ask(by_id([9; 16]), 12);
    let topic = &response.topics[0];
    assert_eq!((topic.error_code, &topic.name, topic.topic_id), (ErrorCode::UnknownTopicId, &None, Uuid([9; 16])));
}

#[test]
fn m02_a_topic_is_found_by_its_id() {
    let mut world = World::new();
    world.create("a", 2);
    let response: MetadataResponse = world.ask(by_id([1; 16]), 12);
    assert_eq!(response.topics[0].name.as_deref(), Some("a"));
    assert_eq!(response.topics[0].partitions.len(), 2);
}

#[test]
fn m03_an_unknown_topic_is_created_behind_an_answer_that_still_says_unknown() {
    let mut world = World::with(&[("num.partitions", "4")]);
    let request = MetadataRequest { allow_auto_topic_creation: true, ..named(&["new", "a b"]) };
    let response: MetadataResponse = world.ask(request.clone(), 12);
    assert_eq!(response.topics[0].error_code, ErrorCode::UnknownTopicOrPartition);
    assert_eq!(world.proposed, 1);
    let response: MetadataResponse = world.ask(request, 12);
    assert_eq!((response.topics[0].error_code, response.topics[0].partitions.len()), (ErrorCode::None, 4));
    assert_eq!(world.proposed, 1, "nothing is left to create");
}

#[test]
fn m03_nothing_is_created_where_broker_or_client_forbid_it_or_all_are_asked_for() {
    let mut world = World::with(&[("auto.create.topics.enable", "false")]);
    let _: MetadataResponse = world.ask(MetadataRequest { allow_auto_topic_creation: true, ..named(&["new"]) }, 12);
    assert_eq!(world.proposed, 0);
    let mut world = World::new();
    let _: MetadataResponse = world.ask(named(&["new"]), 12);
    let _: MetadataResponse = world.ask(all(), 12);
    let _: MetadataResponse = world.ask(MetadataRequest { allow_auto_topic_creation: true, ..by_id([9; 16]) }, 12);
    assert_eq!(world.proposed, 0);
}

#[test]
fn m03_the_topic_of_offsets_is_created_with_its_own_settings() {
    let mut world = World::new();
    let request = MetadataRequest { allow_auto_topic_creation: true, ..named(&["__consumer_offsets", "__transaction_state"]) };
    let response: MetadataResponse = world.ask(request, 12);
    assert!(response.topics.iter().all(|topic| topic.is_internal));
    assert_eq!(world.image().topic("__consumer_offsets").map(|topic| topic.partitions.len()), Some(50));
    assert!(world.image().topic("__transaction_state").is_none());
}

#[test]
fn m05_names_are_required_before_version_12_and_one_of_both_since() {
    let mut world = World::new();
    let nameless =
        MetadataRequest { topics: Some(Vec::from([MetadataRequestTopic { name: None, topic_id: Uuid([0; 16]) }])), ..all() };
    for (request, version) in [(by_id([9; 16]), 11), (nameless.clone(), 11), (nameless, 12)] {
        let response: MetadataResponse = world.ask(request, version);
        assert_eq!(response.topics[0].error_code, ErrorCode::InvalidRequest, "version {version}");
        assert!(response.brokers.is_empty());
    }
}

#[test]
fn m06_a_partition_without_a_leader_is_told_with_an_error_and_its_replicas() {
    let mut world = World::new();
    world.create("a", 1);
    world.fence(1);
    let response: MetadataResponse = world.ask(named(&["a"]), 12);
    let partition = &response.topics[0].partitions[0];
    assert_eq!((partition.error_code, partition.leader_id), (ErrorCode::LeaderNotAvailable, -1));
    assert_eq!((&partition.replica_nodes[..], &partition.offline_replicas[..]), (&[1][..], &[1][..]));
    assert_eq!(response.topics[0].error_code, ErrorCode::None);
}

#[test]
fn m07_a_leader_without_the_clients_listener_is_told_since_version_6() {
    let mut world = World::new();
    world.create("a", 1);
    world.register(1, &["PLAINTEXT"]);
    let error = |world: &mut World, listener, version| {
        let response: MetadataResponse = world.ask_on(listener, named(&["a"]), version);
        response.topics[0].partitions[0].error_code
    };
    assert_eq!(error(&mut world, INNER, 6), ErrorCode::ListenerNotFound);
    assert_eq!(error(&mut world, INNER, 5), ErrorCode::LeaderNotAvailable);
    assert_eq!(error(&mut world, CLIENTS, 6), ErrorCode::None);
}

#[test]
fn m08_the_leader_epoch_never_falls() {
    let mut world = World::new();
    world.create("a", 1);
    let epoch = |world: &mut World| {
        let response: MetadataResponse = world.ask(named(&["a"]), 7);
        response.topics[0].partitions[0].leader_epoch
    };
    let before = epoch(&mut world);
    world.register(1, &["PLAINTEXT"]);
    assert!(epoch(&mut world) > before, "every start is a new epoch");
}

#[test]
fn m09_the_cluster_has_its_name_brokers_their_racks_and_topics_say_whether_they_are_internal() {
    let mut world = World::new();
    world.create("a", 1);
    world.create("__consumer_offsets", 1);
    let response: MetadataResponse = world.ask(named(&["a", "__consumer_offsets"]), 12);
    assert_eq!(response.cluster_id.as_deref(), Some("cluster"));
    assert_eq!(response.brokers[0].rack.as_deref(), Some("rack"));
    let internal: Vec<_> = response.topics.iter().map(|topic| topic.is_internal).collect();
    assert_eq!(internal, [false, true]);
}

#[test]
fn m10_authorized_operations_are_told_to_those_who_ask() {
    let mut world = World::new();
    world.create("a", 1);
    let response: MetadataResponse = world.ask(named(&["a"]), 10);
    assert_eq!((response.cluster_authorized_operations, response.topics[0].topic_authorized_operations), (i32::MIN, i32::MIN));
    let request = MetadataRequest {
        include_cluster_authorized_operations: true,
        include_topic_authorized_operations: true,
        ..named(&["a"])
    };
    let response: MetadataResponse = world.ask(request, 10);
    assert_eq!((response.cluster_authorized_operations, response.topics[0].topic_authorized_operations), (8096, 3576));
}

#[test]
fn m11_a_topic_made_again_has_another_id() {
    let mut world = World::new();
    let id = |world: &mut World| -> TopicId {
        world.create("a", 1);
        let id = world.image().topic("a").expect("made").id;
        let request = flumen_protocol::delete_topics::DeleteTopicsRequest { topic_names: texts(&["a"]), ..Default::default() };
        let _: flumen_protocol::delete_topics::DeleteTopicsResponse = world.ask(request, 1);
        id
    };
    let first = id(&mut world);
    assert_ne!(first, id(&mut world));
}

#[test]
fn m12_every_live_broker_is_listed_and_the_controller_is_one_of_them() {
    let mut world = World::new();
    world.register(2, &["PLAINTEXT"]);
    world.register(3, &["PLAINTEXT"]);
    world.fence(3);
    let response: MetadataResponse = world.ask(all(), 12);
    let nodes: Vec<_> = response.brokers.iter().map(|broker| broker.node_id).collect();
    assert_eq!(nodes, [1, 2]);
    assert_eq!(response.brokers[0].host, "host1");
    assert!(nodes.contains(&response.controller_id), "c15");
}

#[test]
fn m13_no_topic_is_told_without_partitions() {
    let mut world = World::new();
    world.create("a", 1);
    let response: MetadataResponse = world.ask(named(&["a", "nono"]), 12);
    for topic in response.topics {
        assert_eq!(topic.partitions.is_empty(), !topic.error_code.is_none());
    }
}

#[test]
fn a_topic_asked_for_twice_is_told_once_and_made_once() {
    let mut world = World::new();
    let request = MetadataRequest { allow_auto_topic_creation: true, ..named(&["new", "new"]) };
    match world.step(&Request::from(request), 12, CLIENTS) {
        Step::ReplyAndPropose { command: Command::CreateTopics(command), .. } => assert_eq!(command.topics.len(), 1),
        other => panic!("{other:?}"),
    }
}
