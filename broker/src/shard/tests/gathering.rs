//! One connection reaches the partitions of both shards, and the mail between them.

use alloc::vec::Vec;
use flumen_log::ShardId;
use flumen_protocol::{ErrorCode, fetch::FetchResponse};

use super::{
    World,
    client::{FETCH, PRODUCE, fetch, produce},
};

/// Bytes of records, by partition.
fn bytes(response: &FetchResponse) -> Vec<(i32, usize)> {
    let partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
    let bytes = |data: &flumen_protocol::fetch::PartitionData| data.records.as_ref().map_or(0, flumen_protocol::Records::len);
    partitions.map(|data| (data.partition_index, bytes(data))).collect()
}

#[test]
fn produce_and_fetch_reach_both_shards_with_one_piece_of_mail_for_each_owner() {
    let mut world = World::new();
    let topic = world.topic("topic", 4);
    let there: Vec<i32> = (0..4).filter(|partition| world.owner(topic, *partition) == ShardId(1)).collect();
    assert_eq!(there.len(), 2, "consecutive partitions lie on consecutive shards");
    let line = world.connect(0);
    world.send(line, PRODUCE, produce("topic", &[0, 1, 2, 3], 100));
    world.settle();
    let response = world.produced(line).expect("answered");
    let codes: Vec<(i32, ErrorCode, i64)> =
        response.responses[0].partition_responses.iter().map(|data| (data.index, data.error_code, data.base_offset)).collect();
    assert_eq!(codes, [0, 1, 2, 3].map(|partition| (partition, ErrorCode::None, 0)));
    assert_eq!((world.carried(0, 1, "Produce"), world.carried(1, 0, "Produced")), (1, 1), "two partitions, one piece of mail");
    world.send(line, FETCH, fetch("topic", &[(0, 0), (1, 0), (2, 0), (3, 0)], 1, 1000));
    world.settle();
    let response = world.fetched(line).expect("answered");
    let found = bytes(&response);
    assert!(found.len() == 4 && found.iter().all(|(_, bytes)| *bytes > 100), "{found:?}");
    assert_eq!((world.carried(0, 1, "Fetch"), world.carried(1, 0, "Fetched")), (1, 1));
}

#[test]
fn f06_a_fetch_parked_on_both_shards_is_woken_by_either_and_collects_from_the_other() {
    let mut world = World::new();
    let topic = world.topic("topic", 2);
    let there = (0..2).find(|partition| world.owner(topic, *partition) == ShardId(1)).expect("one of them");
    let (reader, writer) = (world.connect(0), world.connect(1));
    world.send(reader, FETCH, fetch("topic", &[(0, 0), (1, 0)], 200, 10_000));
    world.settle();
    assert!(world.is_silent(reader));
    assert_eq!(world.carried(1, 0, "FetchParked"), 1);
    world.append(writer, "topic", &[there], 50);
    assert!(world.is_silent(reader), "not enough yet");
    assert_eq!((world.carried(1, 0, "FetchReady"), world.carried(0, 1, "FetchWait")), (1, 1));
    world.append(writer, "topic", &[1 - there], 50);
    let response = world.fetched(reader).expect("both together are enough");
    assert!(bytes(&response).iter().all(|(_, bytes)| *bytes > 50), "{response:?}");
    assert_eq!((world.carried(0, 1, "FetchCollect"), world.carried(1, 0, "Fetched")), (1, 1));
}

#[test]
fn a_client_that_goes_away_ends_its_wait_at_the_other_shard() {
    let mut world = World::new();
    world.topic("topic", 2);
    let (reader, writer) = (world.connect(0), world.connect(1));
    world.send(reader, FETCH, fetch("topic", &[(0, 0), (1, 0)], 1, 10_000));
    world.settle();
    world.hang_up(reader);
    world.settle();
    assert_eq!(world.carried(0, 1, "FetchCancel"), 1);
    world.append(writer, "topic", &[0, 1], 10);
    assert_eq!(world.carried(1, 0, "FetchReady") + world.carried(1, 0, "Fetched"), 0, "nobody waits any more");
}

#[test]
fn f06_no_more_is_waited_for_than_may_be_sent() {
    let mut world = World::new();
    world.topic("topic", 2);
    let (reader, writer) = (world.connect(0), world.connect(1));
    world.send(reader, FETCH, flumen_protocol::fetch::FetchRequest { max_bytes: 300, ..fetch("topic", &[(0, 0)], 5000, 10_000) });
    world.settle();
    world.append(writer, "topic", &[0], 50);
    assert!(world.is_silent(reader), "less than 300 bytes");
    world.append(writer, "topic", &[0], 200);
    assert!(world.fetched(reader).is_some(), "5000 could never be sent");
}
