//! Fetch: F01–F05, F07–F11, F13, F15.

use crate::harness::batch::Batch;
use crate::harness::broker::{Broker, external};
use crate::harness::client::{Client, FETCH, Topic, batches, fetch_request, fresh, only_data, record_bytes, until};
use crate::metadata::damaged_partition;
use flumen_log::compression::Codec;
use flumen_protocol::create_topics::{CreatableTopic, CreateTopicsRequest};
use flumen_protocol::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use flumen_protocol::fetch::{FetchRequest, PartitionData};
use flumen_protocol::{ErrorCode, Records, Uuid};

/// Fetch of one partition with its request changed.
fn changed(client: &mut Client, topic: &Topic, offset: i64, change: impl FnOnce(&mut FetchRequest)) -> PartitionData {
    let mut request = fetch_request(&topic.name, &[(0, offset)]);
    change(&mut request);
    only_data(client.ask(FETCH, request))
}

/// The partition's data of every partition asked about, in the order of the answer.
fn several(client: &mut Client, request: FetchRequest) -> Vec<PartitionData> {
    client.ask(FETCH, request).responses.into_iter().flat_map(|topic| topic.partitions).collect()
}

#[test]
fn f01_an_offset_within_a_batch_gets_the_whole_batch() {
    let mut client = Client::shared();
    let topic = client.topic("within");
    for codec in [Codec::None, Codec::Gzip, Codec::Lz4, Codec::Zstd] {
        let start = client.append(&topic, 0, &Batch::of(&["0", "1", "2", "3", "4"]).compressed(codec));
        let read = client.read(&topic, 0, start + 3);
        assert_eq!((read[0].base_offset, read[0].records.len()), (start, 5));
    }
}

#[test]
fn f02_the_first_batch_comes_whole_whatever_the_limits() {
    let mut client = Client::shared();
    let topic = client.topic_with("first", 2, &[]);
    for partition in 0..2 {
        client.append(&topic, partition, &Batch::sized(10_000));
        client.append(&topic, partition, &Batch::sized(10_000));
    }
    let mut request = fetch_request(&topic.name, &[(0, 0), (1, 0)]);
    for partition in &mut request.topics[0].partitions {
        partition.partition_max_bytes = 1;
    }
    let data = several(&mut client, FetchRequest { max_bytes: 1, ..request.clone() });
    let sizes: Vec<usize> = data.iter().map(|data| batches(data).len()).collect();
    assert_eq!(sizes, [1, 0], "the limit counts after the first batch");
    assert!(data.iter().all(|data| data.error_code == ErrorCode::None && data.high_watermark == 2));
    // An empty partition before it does not use up the exception.
    let empty = client.topic("empty");
    let mut empty_first = fetch_request(&empty.name, &[(0, 0)]);
    empty_first.topics.extend(request.topics);
    let data = several(&mut client, FetchRequest { max_bytes: 1, ..empty_first });
    assert_eq!(data.iter().map(|data| batches(data).len()).collect::<Vec<_>>(), [0, 1, 0]);
}

#[test]
fn f03_the_first_partition_never_gets_a_partial_batch_only() {
    let mut client = Client::shared();
    let topic = client.topic("partial");
    client.append(&topic, 0, &Batch::sized(1000));
    let size = record_bytes(&client.fetch(&topic, 0, 0));
    client.append(&topic, 0, &Batch::sized(1000));
    for limit in [1, size - 1, size, size + 1, 2 * size - 1] {
        let data = changed(&mut client, &topic, 0, |request| {
            request.topics[0].partitions[0].partition_max_bytes = i32::try_from(limit).unwrap();
        });
        assert_eq!(batches(&data).len(), 1, "limit {limit}: one whole batch, perhaps part of the next");
        assert!(record_bytes(&data) <= limit.max(size));
    }
}

#[test]
fn f04_the_end_is_no_error_and_beyond_it_is_one() {
    let mut client = Client::shared();
    let topic = client.topic("end");
    client.append(&topic, 0, &Batch::of(&["0", "1", "2"]));
    let end = client.fetch(&topic, 0, 3);
    assert_eq!((end.error_code, record_bytes(&end)), (ErrorCode::None, 0));
    assert_eq!(client.fetch(&topic, 0, 4).error_code, ErrorCode::OffsetOutOfRange);
    assert_eq!(client.fetch(&topic, 0, -1).error_code, ErrorCode::OffsetOutOfRange);
    client.delete_records(&topic, 0, 2);
    assert_eq!(client.fetch(&topic, 0, 1).error_code, ErrorCode::OffsetOutOfRange);
    assert_eq!(client.fetch(&topic, 0, 2).error_code, ErrorCode::None);
}

#[test]
fn f05_consumers_see_what_is_committed() {
    let mut client = Client::shared();
    let topic = client.topic("visible");
    client.append(&topic, 0, &Batch::of(&["0", "1"]));
    for isolation_level in [0, 1] {
        let data = changed(&mut client, &topic, 0, |request| request.isolation_level = isolation_level);
        assert_eq!((data.high_watermark, data.last_stable_offset, data.log_start_offset), (2, 2, 0));
        assert_eq!(batches(&data).len(), 1);
    }
}

#[test]
fn f07_partitions_are_served_in_the_order_asked() {
    let mut client = Client::shared();
    let topic = client.topic_with("asked", 3, &[]);
    for partition in 0..3 {
        client.append(&topic, partition, &Batch::sized(10_000));
    }
    for order in [[2, 0, 1], [1, 2, 0]] {
        let request = FetchRequest { max_bytes: 1000, ..fetch_request(&topic.name, &order.map(|partition| (partition, 0))) };
        let data = several(&mut client, request);
        let filled: Vec<i32> = data.iter().filter(|data| record_bytes(data) > 0).map(|data| data.partition_index).collect();
        assert_eq!(filled, [order[0]]);
    }
}

#[test]
fn f07_the_broker_has_a_limit_of_its_own() {
    let Some(broker) = Broker::own(&[("fetch.max.bytes", "1024")]) else { return };
    let mut client = Client::to(&broker);
    let topic = client.topic("capped");
    for _ in 0..10 {
        client.append(&topic, 0, &Batch::sized(500));
    }
    assert!(record_bytes(&client.fetch(&topic, 0, 0)) <= 1024);
}

#[test]
fn f08_an_error_comes_with_empty_fields() {
    let mut client = Client::shared();
    let topic = client.topic("fields");
    let data = client.fetch(&topic, 0, 99);
    assert_eq!(data.error_code, ErrorCode::OffsetOutOfRange);
    assert_eq!((data.high_watermark, data.last_stable_offset, data.log_start_offset), (-1, -1, -1));
    assert_eq!(data.preferred_read_replica, -1);
    assert_eq!(data.records, Some(Records::default()), "empty, not null");
    let healthy = client.fetch(&topic, 0, 0);
    assert_eq!((healthy.aborted_transactions, healthy.preferred_read_replica), (None, -1));
    let committed = changed(&mut client, &topic, 0, |request| request.isolation_level = 1);
    assert_eq!(committed.aborted_transactions, Some(Vec::new()));
}

#[test]
fn f09_a_leader_epoch_is_checked_where_given() {
    let mut client = Client::shared();
    let topic = client.topic("leader-epoch");
    let epoch = client.describe(&topic.name).partitions[0].leader_epoch;
    let mut with = |epoch| {
        changed(&mut client, &topic, 0, |request| request.topics[0].partitions[0].current_leader_epoch = epoch).error_code
    };
    assert_eq!(with(-1), ErrorCode::None);
    assert_eq!(with(epoch), ErrorCode::None);
    assert_eq!(with(epoch + 1), ErrorCode::UnknownLeaderEpoch);
    let Some(broker) = Broker::own(&[]) else { return };
    let topic = Client::to(&broker).topic("leader-epoch");
    let old = Client::to(&broker).describe(&topic.name).partitions[0].leader_epoch;
    let broker = broker.kill().start();
    let mut client = Client::to(&broker);
    let fenced = changed(&mut client, &topic, 0, |request| request.topics[0].partitions[0].current_leader_epoch = old);
    assert_eq!(fenced.error_code, ErrorCode::FencedLeaderEpoch);
}

#[test]
fn f10_a_diverging_log_is_told_where() {
    let mut client = Client::shared();
    let topic = client.topic("diverging");
    client.append(&topic, 0, &Batch::of(&["0", "1", "2"]));
    let epoch = client.describe(&topic.name).partitions[0].leader_epoch;
    let data = changed(&mut client, &topic, 5, |request| {
        request.topics[0].partitions[0].last_fetched_epoch = epoch;
        request.max_wait_ms = 20_000;
        request.min_bytes = 1;
    });
    assert_eq!(data.error_code, ErrorCode::None);
    assert_eq!((data.diverging_epoch.epoch, data.diverging_epoch.end_offset), (epoch, 3));
    assert_eq!(record_bytes(&data), 0);
    let fits = changed(&mut client, &topic, 2, |request| request.topics[0].partitions[0].last_fetched_epoch = epoch);
    assert_eq!(fits.diverging_epoch.epoch, -1);
    assert_eq!(batches(&fits).len(), 1);
}

#[test]
fn f10_an_epoch_that_ended_earlier_diverges() {
    let Some(broker) = Broker::own(&[]) else { return };
    let mut client = Client::to(&broker);
    let topic = client.topic("ended");
    client.append(&topic, 0, &Batch::of(&["0", "1", "2"]));
    let epoch = client.describe(&topic.name).partitions[0].leader_epoch;
    let broker = broker.kill().start();
    let mut client = Client::to(&broker);
    client.append(&topic, 0, &Batch::of(&["3", "4", "5"]));
    let data = changed(&mut client, &topic, 5, |request| request.topics[0].partitions[0].last_fetched_epoch = epoch);
    assert_eq!((data.diverging_epoch.epoch, data.diverging_epoch.end_offset), (epoch, 3));
}

#[test]
fn f11_from_version_13_on_topics_have_ids() {
    let mut client = Client::shared();
    let topic = client.topic("ids");
    client.append(&topic, 0, &Batch::of(&["value"]));
    let mut request = fetch_request(&"".into(), &[(0, 0)]);
    request.topics[0].topic_id = topic.id;
    for version in [13, 18] {
        let response = client.ask(version, request.clone());
        assert_eq!(response.responses[0].topic_id, topic.id);
        assert_eq!(batches(&response.responses[0].partitions[0]).len(), 1);
    }
    request.topics[0].topic_id = Uuid([7; 16]);
    let response = client.ask(13, request.clone());
    assert_eq!(response.responses[0].partitions[0].error_code, ErrorCode::UnknownTopicId);
    assert_eq!(response.responses[0].topic_id, Uuid([7; 16]));
}

/// A session by ids knows its topics' names, too: a topic that is made again under one of them is another.
#[test]
fn f11_a_session_notices_that_its_topic_was_made_again() {
    let mut client = Client::shared();
    let topic = client.topic_with("again", 2, &[]);
    let mut request = FetchRequest { session_epoch: 0, ..fetch_request(&"".into(), &[(0, 0), (1, 0)]) };
    request.topics[0].topic_id = topic.id;
    let session_id = client.ask(13, request.clone()).session_id;
    assert_ne!(session_id, 0);
    let mut epochs = 1..;
    // Kafka's brokers hear of a change some time after it was answered.
    let mut await_errors = |client: &mut Client, errors: [ErrorCode; 2]| {
        until(&format!("{errors:?}"), || {
            let session_epoch = epochs.next().expect("there is always another");
            let next = FetchRequest { session_id, session_epoch, topics: Vec::new(), ..request.clone() };
            let response = client.ask(13, next);
            let data: Vec<_> =
                response.responses.iter().flat_map(|topic| &topic.partitions).map(|data| data.error_code).collect();
            (data == errors).then_some(())
        });
    };
    let topics = vec![DeleteTopicState { name: None, topic_id: topic.id }];
    client.ask(6, DeleteTopicsRequest { topics, timeout_ms: 30_000, ..Default::default() });
    await_errors(&mut client, [ErrorCode::UnknownTopicOrPartition; 2]);
    client.ask_until(
        7,
        &CreateTopicsRequest {
            topics: vec![CreatableTopic {
                name: topic.name.clone(),
                num_partitions: 1,
                replication_factor: 1,
                ..Default::default()
            }],
            timeout_ms: 30_000,
            validate_only: false,
        },
        |response| response.topics[0].error_code == ErrorCode::None,
    );
    // The new one has a partition less.
    await_errors(&mut client, [ErrorCode::InconsistentTopicId, ErrorCode::UnknownTopicOrPartition]);
}

#[test]
fn f11_a_session_keeps_to_names_or_ids() {
    let mut client = Client::shared();
    let topic = client.topic("mixed");
    let opened = client.ask(FETCH, FetchRequest { session_epoch: 0, ..fetch_request(&topic.name, &[(0, 0)]) });
    assert_ne!(opened.session_id, 0);
    let mixed =
        FetchRequest { session_id: opened.session_id, session_epoch: 1, topics: Vec::new(), ..fetch_request(&topic.name, &[]) };
    assert_eq!(client.ask(13, mixed).error_code, ErrorCode::FetchSessionTopicIdError);
}

#[test]
fn f13_zstd_needs_version_10() {
    let mut client = Client::shared();
    let topic = client.topic_with("zstd", 1, &[("compression.type", "zstd")]);
    client.append(&topic, 0, &Batch::of(&["value"]).compressed(Codec::Zstd));
    let mut fetch = |version| only_data(client.ask(version, fetch_request(&topic.name, &[(0, 0)]))).error_code;
    if external().is_none() {
        // Kafka 4.4 no longer looks, and sends what such a client cannot read.
        assert_eq!(fetch(9), ErrorCode::UnsupportedCompressionType);
    }
    assert_eq!(fetch(10), ErrorCode::None);
}

#[test]
fn f15_a_storage_error_has_an_older_name() {
    let Some((mut client, topic, _broker)) = damaged_partition() else { return };
    let mut fetch = |version| only_data(client.ask(version, fetch_request(&topic, &[(0, 0)]))).error_code;
    assert_eq!(fetch(6), ErrorCode::KafkaStorageError);
    assert_eq!(fetch(5), ErrorCode::NotLeaderOrFollower);
}

/// Every version a client may speak gets the same records.
#[test]
fn f01_every_version_serves_the_same_records() {
    let mut client = Client::shared();
    let topic = client.topic("versions");
    client.append(&topic, 0, &Batch::of(&["0", "1"]));
    for version in 4..=12 {
        let data = only_data(client.ask(version, fetch_request(&topic.name, &[(0, 0)])));
        assert_eq!(batches(&data)[0].values(), ["0", "1"], "version {version}");
    }
}

/// A topic that is gone is unknown, and its data with it.
#[test]
fn f08_an_unknown_topic_is_answered_partition_by_partition() {
    let mut client = Client::shared();
    let data = several(&mut client, fetch_request(&fresh("gone"), &[(0, 0), (1, 0)]));
    assert_eq!(data.len(), 2);
    assert!(data.iter().all(|data| data.error_code == ErrorCode::UnknownTopicOrPartition));
}
