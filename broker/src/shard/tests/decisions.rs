//! Changes that need the controller, when it takes its time or the disk has failed.

use alloc::{vec, vec::Vec};
use flumen_protocol::{
    ApiKey, ErrorCode, Response, Text,
    create_topics::{CreatableTopic, CreateTopicsRequest},
    delete_topics::{DeleteTopicState, DeleteTopicsRequest},
    init_producer_id::InitProducerIdRequest,
    metadata::{MetadataRequest, MetadataRequestTopic},
};

use flumen_controller::{
    Command,
    command::{CreateTopics, DeleteTopics, NewTopic, TopicDefaults, TopicReference},
};
use flumen_log::TopicId;

use super::{World, client::Line, client::produce, unnamed};

const CREATE: i16 = 7;

fn create(name: &str, timeout_ms: i32) -> CreateTopicsRequest {
    let topic = CreatableTopic { name: Text::from(name), num_partitions: 2, replication_factor: 1, ..CreatableTopic::default() };
    CreateTopicsRequest { topics: vec![topic], timeout_ms, validate_only: false }
}

fn created(world: &mut World, line: Line) -> Option<ErrorCode> {
    match world.reply(line, ApiKey::CreateTopics, CREATE)? {
        Response::CreateTopics(response) => Some(response.topics[0].error_code),
        other => panic!("{other:?}"),
    }
}

fn has_metadata(world: &mut World, line: Line, name: &str) -> ErrorCode {
    let topic = MetadataRequestTopic { name: Some(Text::from(name)), ..MetadataRequestTopic::default() };
    let request = MetadataRequest { topics: Some(vec![topic]), allow_auto_topic_creation: true, ..MetadataRequest::default() };
    world.send(line, 12, request);
    world.settle();
    match world.reply(line, ApiKey::Metadata, 12) {
        Some(Response::Metadata(response)) => response.topics[0].error_code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a01_a_creation_is_answered_when_its_time_is_up_and_goes_on_all_the_same() {
    let mut world = World::new();
    let line = world.connect(0);
    world.silent = true;
    world.send(line, CREATE, create("topic", 100));
    world.settle();
    world.pass(99);
    assert_eq!(created(&mut world, line), None);
    world.pass(1);
    assert_eq!(created(&mut world, line), Some(ErrorCode::RequestTimedOut));
    // The decision comes late and finds nobody; the next request gets its own answer.
    world.silent = false;
    world.settle();
    assert!(world.is_silent(line));
    assert_eq!(has_metadata(&mut world, line, "topic"), ErrorCode::None);
    world.send(line, CREATE, create("topic", 100));
    world.settle();
    assert_eq!(created(&mut world, line), Some(ErrorCode::TopicAlreadyExists));
}

#[test]
fn changes_that_find_no_room_wait_for_it_and_hold_up_nothing_else() {
    let mut world = World::with(|limits| limits.control_credits = 3);
    world.silent = true;
    let lines: Vec<Line> = (0..4).map(|_| world.connect(0)).collect();
    for (line, name) in lines.iter().zip(["a", "b", "c", "d"]) {
        world.send(*line, CREATE, create(name, 1000));
        world.settle();
    }
    assert_eq!(world.proposals.len(), 2, "one place is kept for producer ids");
    let other = world.connect(0);
    assert_eq!(has_metadata(&mut world, other, "e"), ErrorCode::UnknownTopicOrPartition, "it is answered all the same");
    world.send(
        other,
        4,
        InitProducerIdRequest { transactional_id: None, producer_id: -1, producer_epoch: -1, ..Default::default() },
    );
    world.settle();
    assert_eq!(world.proposals.len(), 3, "producer ids have their own place");
    // One gives up before it was asked for, and is never asked for; a decision makes room for the other.
    world.hang_up(lines[2]);
    world.settle();
    world.silent = false;
    world.settle();
    for line in [lines[0], lines[1], lines[3]] {
        assert_eq!(created(&mut world, line), Some(ErrorCode::None));
    }
    assert!(matches!(world.reply(other, ApiKey::InitProducerId, 4), Some(Response::InitProducerId(_))));
    assert_eq!(has_metadata(&mut world, other, "c"), ErrorCode::UnknownTopicOrPartition);
}

#[test]
fn late_decisions_give_their_room_back() {
    let mut world = World::with(|limits| limits.control_credits = 2);
    let line = world.connect(0);
    for round in 0..5 {
        world.silent = true;
        world.send(line, CREATE, create(["a", "b", "c", "d", "e"][round], 10));
        world.settle();
        world.pass(10);
        assert_eq!(created(&mut world, line), Some(ErrorCode::RequestTimedOut));
        world.silent = false;
        world.settle();
    }
    assert_eq!(has_metadata(&mut world, line, "e"), ErrorCode::None, "the fifth was asked for, too");
}

#[test]
fn a_shard_whose_disk_failed_still_applies_what_the_controller_decides() {
    let mut world = World::new();
    world.topic("before", 2);
    let line = world.connect(0);
    world.append(line, "before", &[0, 1], 10);
    world.files.broken = true;
    world.send(line, 12, produce("before", &[0, 1], 10));
    world.settle();
    let response = world.produced(line).expect("it is answered");
    let codes: Vec<ErrorCode> = response.responses[0].partition_responses.iter().map(|data| data.error_code).collect();
    assert_eq!(codes, [ErrorCode::KafkaStorageError; 2]);
    world.send(line, CREATE, create("after", 1000));
    world.settle();
    assert_eq!(created(&mut world, line), Some(ErrorCode::None), "the topic exists, its partitions are offline");
    world.send(line, 12, produce("after", &[0], 10));
    world.settle();
    let refused = world.produced(line).expect("it is answered").responses[0].partition_responses[0].error_code;
    assert_eq!(refused, ErrorCode::NotLeaderOrFollower, "no log directory is left to make it in");
    for name in ["before", "after"] {
        let topics = vec![DeleteTopicState { name: Some(Text::from(name)), ..DeleteTopicState::default() }];
        world.send(line, 6, DeleteTopicsRequest { topics, timeout_ms: 1000, ..DeleteTopicsRequest::default() });
        world.settle();
        match world.reply(line, ApiKey::DeleteTopics, 6) {
            Some(Response::DeleteTopics(response)) => assert_eq!(response.responses[0].error_code, ErrorCode::None),
            other => panic!("{other:?}"),
        }
    }
    let left = world.shards.iter().map(|shard| shard.partitions.iter().count()).sum::<usize>();
    assert_eq!(left, 0, "nothing of them is left");
}

#[test]
fn a_creation_under_way_when_the_disk_fails_is_answered() {
    let mut world = World::new();
    world.topic("before", 2);
    let line = world.connect(0);
    world.append(line, "before", &[0, 1], 10);
    world.holds = |operation| matches!(operation, flumen_log::io::FileOperation::CreateDirectory { .. });
    world.send(line, CREATE, create("topic", 1000));
    world.settle();
    assert_eq!(created(&mut world, line), None);
    world.files.broken = true;
    let other = world.connect(0);
    world.send(other, 12, produce("before", &[0, 1], 10));
    world.settle();
    assert_eq!(created(&mut world, line), Some(ErrorCode::None));
    world.release();
}

#[test]
fn a_deletion_that_no_shard_heard_of_is_carried_out_at_the_next_start() {
    let mut world = World::new();
    let old = world.topic("topic", 8);
    let line = world.connect(0);
    world.append(line, "topic", &[0, 1, 2, 3, 4, 5, 6, 7], 10);
    // The metadata have it; the process dies before anybody is told.
    let topics = Vec::from([TopicReference::Id(old)]);
    world.machine.apply(Command::DeleteTopics(DeleteTopics { topics }));
    let mut world = world.restarted();
    let line = world.connect(0);
    // Its name is free, whichever shards had its partitions.
    world.topic("topic", 8);
    world.append(line, "topic", &[0, 1, 2, 3, 4, 5, 6, 7], 10);
}

#[test]
fn what_was_deleted_goes_before_what_has_its_name_is_made() {
    let mut world = World::new();
    let old = world.topic("topic", 8);
    let defaults = TopicDefaults { partitions: 8, replication_factor: 1 };
    let again = NewTopic { name: "topic".into(), id: TopicId([77; 16]), ..unnamed() };
    world.machine.apply(Command::DeleteTopics(DeleteTopics { topics: Vec::from([TopicReference::Id(old)]) }));
    world.machine.apply(Command::CreateTopics(CreateTopics { topics: Vec::from([again]), defaults, validate_only: false }));
    let mut world = world.restarted();
    let line = world.connect(0);
    world.append(line, "topic", &[0, 1, 2, 3, 4, 5, 6, 7], 10);
    assert_ne!(world.image().topic("topic").map(|topic| topic.id), Some(old));
}
