//! ListOffsets and OffsetForLeaderEpoch: L01–L06, E01–E03.

use crate::harness::batch::{Batch, now_ms};
use crate::harness::broker::Broker;
use crate::harness::client::{Client, Topic, fresh};
use flumen_log::compression::Codec;
use flumen_protocol::ErrorCode;
use flumen_protocol::api_versions::ApiVersionsRequest;
use flumen_protocol::list_offsets::{ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsTopic};
use flumen_protocol::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};

/// ListOffsets with everything said.
fn list(
    client: &mut Client,
    version: i16,
    topic: &Topic,
    asked: &[(i32, i64)],
    isolation: i8,
    epoch: i32,
) -> Vec<ListOffsetsPartitionResponse> {
    let partition = |(partition_index, timestamp): &(i32, i64)| ListOffsetsPartition {
        partition_index: *partition_index,
        timestamp: *timestamp,
        current_leader_epoch: epoch,
    };
    let topics = vec![ListOffsetsTopic { name: topic.name.clone(), partitions: asked.iter().map(partition).collect() }];
    let request = ListOffsetsRequest { replica_id: -1, isolation_level: isolation, topics, timeout_ms: 30_000 };
    client.ask(version, request).topics.remove(0).partitions
}

fn one(client: &mut Client, version: i16, topic: &Topic, timestamp: i64) -> (ErrorCode, i64, i64) {
    let answer = list(client, version, topic, &[(0, timestamp)], 0, -1).remove(0);
    (answer.error_code, answer.offset, answer.timestamp)
}

/// OffsetForLeaderEpoch for the only partition.
fn epoch_end(client: &mut Client, topic: &Topic, leader_epoch: i32, current_leader_epoch: i32) -> EpochEndOffset {
    let partitions = vec![OffsetForLeaderPartition { partition: 0, current_leader_epoch, leader_epoch }];
    let topics = vec![OffsetForLeaderTopic { topic: topic.name.clone(), partitions }];
    client.ask(4, OffsetForLeaderEpochRequest { replica_id: -1, topics }).topics.remove(0).partitions.remove(0)
}

#[test]
fn l01_the_special_timestamps() {
    let mut client = Client::shared();
    let topic = client.topic("special");
    let now = now_ms();
    for (value, time) in [("0", now), ("1", now + 500), ("2", now + 100)] {
        client.append(&topic, 0, &Batch::of(&[value]).at(time));
    }
    client.delete_records(&topic, 0, 1);
    assert_eq!(one(&mut client, 1, &topic, -1), (ErrorCode::None, 3, -1));
    assert_eq!(one(&mut client, 1, &topic, -2), (ErrorCode::None, 1, -1));
    assert_eq!(one(&mut client, 7, &topic, -3), (ErrorCode::None, 1, now + 500));
    assert_eq!(one(&mut client, 8, &topic, -4), (ErrorCode::None, 1, -1));
    assert_eq!(one(&mut client, 9, &topic, -5), (ErrorCode::None, -1, -1), "nothing is tiered");
    assert_eq!(one(&mut client, 11, &topic, -6).0, ErrorCode::None);
    for version in 1..=11 {
        assert_eq!(one(&mut client, version, &topic, -1).1, 3, "version {version}");
    }
    let committed = list(&mut client, 8, &topic, &[(0, -1)], 1, -1).remove(0);
    assert_eq!(committed.offset, 3, "no transaction is open");
}

#[test]
fn l02_a_time_finds_the_first_record_at_or_after_it() {
    let mut client = Client::shared();
    for codec in [Codec::None, Codec::Gzip] {
        let topic = client.topic("by-time");
        let start = now_ms() - 100_000;
        for batch in 0..5i64 {
            let mut records = Batch::of(&["a", "b", "c", "d"]).at(start + batch * 1000).compressed(codec);
            for (delta, record) in (0..).zip(&mut records.records) {
                record.timestamp_delta = delta * 100;
            }
            client.append(&topic, 0, &records);
        }
        let mut find = |time: i64| one(&mut client, 7, &topic, start + time);
        assert_eq!(find(-1), (ErrorCode::None, 0, start));
        assert_eq!(find(0), (ErrorCode::None, 0, start));
        assert_eq!(find(150), (ErrorCode::None, 2, start + 200), "within a batch");
        assert_eq!(find(2300), (ErrorCode::None, 11, start + 2300));
        assert_eq!(find(2301), (ErrorCode::None, 12, start + 3000), "the next batch");
        assert_eq!(find(4301), (ErrorCode::None, -1, -1), "none");
    }
}

#[test]
fn l02_times_out_of_order_find_the_first_record_in_the_log() {
    let mut client = Client::shared();
    let topic = client.topic("unordered");
    let now = now_ms();
    for time in [300, 100, 200, 400] {
        client.append(&topic, 0, &Batch::of(&["value"]).at(now + time));
    }
    assert_eq!(one(&mut client, 7, &topic, now + 150), (ErrorCode::None, 0, now + 300));
    assert_eq!(one(&mut client, 7, &topic, now + 301), (ErrorCode::None, 3, now + 400));
}

#[test]
fn l03_ends_have_no_timestamp_and_an_epoch() {
    let mut client = Client::shared();
    let topic = client.topic("ends");
    assert_eq!(one(&mut client, 7, &topic, -3), (ErrorCode::None, -1, -1), "an empty log has no greatest timestamp");
    assert_eq!(one(&mut client, 7, &topic, now_ms()), (ErrorCode::None, -1, -1));
    client.append(&topic, 0, &Batch::of(&["0", "1"]));
    let epoch = client.describe(&topic.name).partitions[0].leader_epoch;
    for timestamp in [-1, -2] {
        let answer = list(&mut client, 4, &topic, &[(0, timestamp)], 0, -1).remove(0);
        assert_eq!((answer.timestamp, answer.leader_epoch), (-1, epoch));
    }
    let mut batch = Batch::of(&["2", "3", "4"]);
    batch.records[1].timestamp_delta = 500;
    let time = batch.base_timestamp + 500;
    client.append(&topic, 0, &batch);
    assert_eq!(one(&mut client, 7, &topic, -3), (ErrorCode::None, 3, time), "the record's offset, not the batch's");
}

/// A lone broker knows its high watermark before it lets anybody in: it never has to say 78 (or 5), as the leader of several
/// replicas does until then (`l04_a_new_leader_says_that_it_does_not_know_yet` in `broker`).
#[test]
fn l04_a_new_leader_answers_when_it_knows() {
    let Some(broker) = Broker::own(&[]) else { return };
    let mut client = Client::to(&broker);
    let topic = client.topic("new-leader");
    client.append(&topic, 0, &Batch::of(&["0", "1"]));
    let broker = broker.kill().start();
    let mut client = Client::to(&broker);
    for _ in 0..10 {
        assert_eq!(one(&mut client, 7, &topic, -1), (ErrorCode::None, 2, -1));
        assert_eq!(one(&mut client, 4, &topic, -1), (ErrorCode::None, 2, -1));
    }
}

#[test]
fn l05_what_cannot_be_asked_is_refused_by_partition() {
    let mut client = Client::shared();
    let topic = client.topic_with("refused", 2, &[]);
    let answers = list(&mut client, 7, &topic, &[(0, -1), (1, -1), (0, -2)], 0, -1);
    assert!(answers.iter().any(|answer| answer.partition_index == 1 && answer.error_code == ErrorCode::None));
    let duplicated: Vec<_> = answers.iter().filter(|answer| answer.partition_index == 0).collect();
    assert!(
        !duplicated.is_empty() && duplicated.iter().all(|answer| answer.error_code == ErrorCode::InvalidRequest),
        "{answers:?}"
    );
    for (version, timestamp) in [(6, -3), (7, -4), (8, -5), (10, -6), (11, -7)] {
        assert_eq!(one(&mut client, version, &topic, timestamp).0, ErrorCode::UnsupportedVersion, "{timestamp} at {version}");
    }
}

#[test]
fn l06_leaders_and_epochs_are_checked() {
    let mut client = Client::shared();
    let topic = client.topic("checked");
    let epoch = client.describe(&topic.name).partitions[0].leader_epoch;
    let mut with = |epoch| list(&mut client, 7, &topic, &[(0, -1)], 0, epoch).remove(0).error_code;
    assert_eq!(with(epoch), ErrorCode::None);
    assert_eq!(with(epoch + 1), ErrorCode::UnknownLeaderEpoch);
    let unknown = Topic { name: fresh("unknown"), id: Default::default() };
    assert_eq!(one(&mut client, 7, &unknown, -1), (ErrorCode::UnknownTopicOrPartition, -1, -1));
    let Some(broker) = Broker::own(&[]) else { return };
    let topic = Client::to(&broker).topic("checked");
    let old = Client::to(&broker).describe(&topic.name).partitions[0].leader_epoch;
    let broker = broker.kill().start();
    let fenced = list(&mut Client::to(&broker), 7, &topic, &[(0, -1)], 0, old).remove(0).error_code;
    assert_eq!(fenced, ErrorCode::FencedLeaderEpoch);
}

#[test]
fn e01_an_epoch_ends_where_the_next_begins() {
    let mut client = Client::shared();
    let topic = client.topic("epoch-ends");
    client.append(&topic, 0, &Batch::of(&["0", "1"]));
    let epoch = client.describe(&topic.name).partitions[0].leader_epoch;
    let end = epoch_end(&mut client, &topic, epoch, epoch);
    assert_eq!((end.error_code, end.leader_epoch, end.end_offset), (ErrorCode::None, epoch, 2));
    let unknown = epoch_end(&mut client, &topic, epoch + 1, -1);
    assert_eq!((unknown.error_code, unknown.leader_epoch, unknown.end_offset), (ErrorCode::None, -1, -1));
    assert_eq!(epoch_end(&mut client, &topic, epoch, epoch + 1).error_code, ErrorCode::UnknownLeaderEpoch);
    let missing = Topic { name: fresh("missing"), id: Default::default() };
    assert_eq!(epoch_end(&mut client, &missing, 0, -1).error_code, ErrorCode::UnknownTopicOrPartition);
}

#[test]
fn e01_e02_epochs_of_earlier_starts_are_remembered_as_far_as_the_log_goes() {
    let Some(broker) = Broker::own(&[]) else { return };
    let mut client = Client::to(&broker);
    let topic = client.topic("starts");
    client.append(&topic, 0, &Batch::of(&["0", "1", "2"]));
    let first = client.describe(&topic.name).partitions[0].leader_epoch;
    let broker = broker.kill().start();
    let mut client = Client::to(&broker);
    client.append(&topic, 0, &Batch::of(&["3", "4", "5"]));
    let second = client.describe(&topic.name).partitions[0].leader_epoch;
    let end = epoch_end(&mut client, &topic, first, -1);
    assert_eq!((end.leader_epoch, end.end_offset), (first, 3));
    assert_eq!(epoch_end(&mut client, &topic, second, -1).end_offset, 6);
    assert_eq!(epoch_end(&mut client, &topic, second, first).error_code, ErrorCode::FencedLeaderEpoch);
    client.delete_records(&topic, 0, 4);
    let gone = epoch_end(&mut client, &topic, first, -1);
    assert_eq!((gone.leader_epoch, gone.end_offset), (first, 4), "the log now begins with a later epoch");
}

#[test]
fn e03_offset_for_leader_epoch_is_offered() {
    let mut client = Client::shared();
    let response = client.ask(0, ApiVersionsRequest::default());
    let entry = response.api_keys.iter().find(|entry| entry.api_key == 23).unwrap();
    assert_eq!((entry.min_version, entry.max_version), (2, 4));
}
