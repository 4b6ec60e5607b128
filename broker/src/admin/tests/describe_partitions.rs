//! DescribeTopicPartitions.

use super::{World, texts};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use flumen_protocol::ErrorCode;
use flumen_protocol::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, TopicRequest,
};

fn request(names: &[&str], limit: i32, cursor: Option<(&str, i32)>) -> DescribeTopicPartitionsRequest {
    DescribeTopicPartitionsRequest {
        topics: texts(names).into_iter().map(|name| TopicRequest { name }).collect(),
        response_partition_limit: limit,
        cursor: cursor.map(|(name, partition_index)| Cursor { topic_name: name.into(), partition_index }),
    }
}

fn world() -> World {
    let mut world = World::new();
    for (name, partitions) in [("a", 3), ("b", 1), ("c", 2)] {
        world.create(name, partitions);
    }
    world
}

/// `topic:first-last` per topic, and the cursor.
fn told(response: &DescribeTopicPartitionsResponse) -> (Vec<String>, Option<(String, i32)>) {
    let topics = response.topics.iter().map(|topic| {
        let numbers: Vec<_> = topic.partitions.iter().map(|partition| partition.partition_index.to_string()).collect();
        alloc::format!("{}:{}", super::owned(&topic.name), numbers.join(","))
    });
    let cursor = response.next_cursor.as_ref().map(|cursor| (cursor.topic_name.to_string(), cursor.partition_index));
    (topics.collect(), cursor)
}

#[test]
fn a10_pages_follow_one_another_without_gap_or_repetition() {
    let mut world = world();
    let mut cursor: Option<(String, i32)> = None;
    let mut pages = Vec::new();
    loop {
        let from = cursor.as_ref().map(|(name, index)| (name.as_str(), *index));
        let response: DescribeTopicPartitionsResponse = world.ask(request(&[], 2, from), 0);
        let (topics, next) = told(&response);
        pages.push(topics);
        match next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    assert_eq!(pages, [Vec::from(["a:0,1"]), Vec::from(["a:2", "b:0"]), Vec::from(["c:0,1"])]);
}

#[test]
fn a10_topics_come_by_name_whatever_the_order_asked_for() {
    let response: DescribeTopicPartitionsResponse = world().ask(request(&["c", "nono", "a"], 2000, None), 0);
    let (topics, cursor) = told(&response);
    assert_eq!((topics, cursor), (Vec::from(["a:0,1,2".into(), "c:0,1".into(), "nono:".into()]), None));
    assert_eq!(response.topics[2].error_code, ErrorCode::UnknownTopicOrPartition);
    assert_eq!(response.topics[0].topic_authorized_operations, 3576);
}

#[test]
fn a10_a_page_has_at_least_one_partition_and_no_more_than_the_broker_allows() {
    let mut world = World::with(&[("max.request.partition.size.limit", "2")]);
    world.create("a", 3);
    for (limit, partitions) in [(0, "a:0"), (-1, "a:0"), (100, "a:0,1")] {
        let response: DescribeTopicPartitionsResponse = world.ask(request(&["a"], limit, None), 0);
        assert_eq!(told(&response).0, [partitions]);
    }
}

#[test]
fn a10_a_cursor_must_lie_in_a_topic_asked_for() {
    let mut world = world();
    for cursor in [("a", -2), ("nono", 0)] {
        let response: DescribeTopicPartitionsResponse = world.ask(request(&["a"], 10, Some(cursor)), 0);
        assert_eq!(response.topics[0].error_code, ErrorCode::InvalidRequest, "{cursor:?}");
    }
    let response: DescribeTopicPartitionsResponse = world.ask(request(&[], 10, Some(("aa", 2))), 0);
    assert_eq!(told(&response).0, ["b:0", "c:0,1"], "a topic that is gone is passed over");
    let response: DescribeTopicPartitionsResponse = world.ask(request(&["a"], 10, Some(("a", 50))), 0);
    assert_eq!(told(&response).0, ["a:"]);
}
