//! Produce: P01–P15, P24–P27.

use crate::harness::batch::{Batch, CONTROL, LOG_APPEND_TIME, Record, TRANSACTIONAL, now_ms};
use crate::harness::broker::external;
use crate::harness::client::{
    Client, FETCH, PRODUCE, Topic, batches, fetch_request, fresh, only_data, only_partition, produce_request, until,
};
use crate::harness::connection::Connection;
use flumen_log::compression::Codec;
use flumen_protocol::ErrorCode;
use flumen_protocol::find_coordinator::FindCoordinatorRequest;
use flumen_protocol::metadata::MetadataRequest;
use flumen_protocol::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use std::time::Duration;

const HOUR_MS: i64 = 3_600_000;

/// A batch of 30 like records, worth compressing.
fn compressible() -> Batch {
    Batch::of(&["the same value over and over"; 30])
}

#[test]
fn p01_acks_0_is_not_answered() {
    let mut client = Client::shared();
    let topic = client.topic("acks0");
    let batch = Batch::of(&["silent"]).encode();
    client.send(PRODUCE, ProduceRequest { acks: 0, ..produce_request(&topic.name, &[(0, &batch)]) });
    let asked = client.send(12, MetadataRequest::default());
    client.answer::<MetadataRequest>(12, asked);
    until("the record is there", || (client.read_values(&topic, 0) == ["silent"]).then_some(()));
}

#[test]
fn p01_acks_0_with_an_error_closes_the_connection() {
    let mut client = Client::shared();
    let batch = Batch::of(&["lost"]).encode();
    client.send(PRODUCE, ProduceRequest { acks: 0, ..produce_request(&fresh("unknown"), &[(0, &batch)]) });
    client.expect_closed();
}

#[test]
fn p02_other_acks_are_refused() {
    let mut client = Client::shared();
    let topic = client.topic("acks");
    let batch = Batch::of(&["value"]).encode();
    for acks in [2, -2] {
        let result = only_partition(client.ask(PRODUCE, ProduceRequest { acks, ..produce_request(&topic.name, &[(0, &batch)]) }));
        assert_eq!((result.error_code, result.base_offset), (ErrorCode::InvalidRequiredAcks, -1));
    }
    assert!(client.read_values(&topic, 0).is_empty());
}

#[test]
fn p03_there_is_exactly_one_batch_of_magic_2() {
    let mut client = Client::shared();
    let topic = client.topic("one-batch");
    let one = Batch::of(&["value"]).encode();
    let two = [&one[..], &one[..]].concat();
    let old = Batch { magic: 1, ..Batch::of(&["value"]) }.encode();
    for bytes in [&[][..], &two, &old] {
        assert_eq!(client.produce_bytes(&topic, 0, bytes).error_code, ErrorCode::InvalidRecord, "{} bytes", bytes.len());
    }
}

/// Apache Kafka never answers this one.
#[test]
fn p03_records_that_are_null_are_none() {
    if external().is_some() {
        return;
    }
    let mut client = Client::shared();
    let topic = client.topic("null");
    let null = TopicProduceData {
        name: topic.name.clone(),
        partition_data: vec![PartitionProduceData { index: 0, records: None }],
        ..Default::default()
    };
    let result =
        only_partition(client.ask(PRODUCE, ProduceRequest { topic_data: vec![null], ..produce_request(&topic.name, &[]) }));
    assert_eq!(result.error_code, ErrorCode::InvalidRecord);
}

#[test]
fn p03_zstd_needs_version_7() {
    let mut client = Client::shared();
    let topic = client.topic("zstd");
    let batch = compressible().compressed(Codec::Zstd).encode();
    let mut produce = |version| only_partition(client.ask(version, produce_request(&topic.name, &[(0, &batch)]))).error_code;
    assert_eq!(produce(6), ErrorCode::UnsupportedCompressionType);
    assert_eq!(produce(7), ErrorCode::None);
}

#[test]
fn p04_a_wrong_checksum_is_found() {
    let mut client = Client::shared();
    let topic = client.topic("checksum");
    let batch = Batch { wrong_crc: true, ..Batch::of(&["value"]) };
    assert_eq!(client.produce(&topic, 0, &batch).error_code, ErrorCode::CorruptMessage);
    let mut damaged = Batch::of(&["value"]).encode().to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(client.produce_bytes(&topic, 0, &damaged).error_code, ErrorCode::CorruptMessage);
    assert!(client.read_values(&topic, 0).is_empty());
}

#[test]
fn p04_the_checksum_covers_neither_offset_nor_epoch() {
    let mut client = Client::shared();
    let topic = client.topic("patched");
    client.append(&topic, 0, &Batch::of(&["one", "two"]));
    client.append(&topic, 0, &Batch { leader_epoch: 99, ..Batch::of(&["three"]) });
    // Reading a batch asserts its checksum.
    let read = client.read(&topic, 0, 2);
    assert_eq!(read[0].base_offset, 2);
    assert_eq!(read[0].leader_epoch, client.describe(&topic.name).partitions[0].leader_epoch);
}

#[test]
fn p05_counts_that_do_not_fit_are_refused() {
    let mut client = Client::shared();
    let topic = client.topic("counts");
    let good = Batch::of(&["one", "two"]);
    let wrong = [
        Batch { base_offset: 5, ..good.clone() },
        Batch { record_count: Some(3), ..good.clone() },
        Batch { record_count: Some(1), ..good.clone() },
        Batch { last_offset_delta: Some(2), ..good.clone() },
        Batch { last_offset_delta: Some(2), record_count: Some(3), ..good.clone() },
        Batch { record_count: Some(0), last_offset_delta: Some(-1), ..good.clone() },
        Batch { record_count: Some(-1), ..good },
    ];
    for batch in wrong {
        assert_eq!(client.produce(&topic, 0, &batch).error_code, ErrorCode::InvalidRecord, "{batch:?}");
    }
    assert!(client.read_values(&topic, 0).is_empty());
}

#[test]
fn p05_records_out_of_step_are_numbered_anew() {
    let mut client = Client::shared();
    let topic = client.topic("deltas");
    let mut batch = Batch::of(&["one", "two"]);
    batch.records[1].offset_delta = 7;
    assert_eq!(client.append(&topic, 0, &batch), 0);
    assert_eq!(client.append(&topic, 0, &Batch::of(&["three"])), 2);
    if external().is_none() {
        // Kafka does this for compressed batches only, and stores the others as they are.
        assert_eq!(client.read(&topic, 0, 0)[0].records[1].offset_delta, 1);
    }
}

#[test]
fn p06_a_wrong_greatest_timestamp_is_put_right() {
    let mut client = Client::shared();
    let topic = client.topic("max-timestamp");
    let now = now_ms();
    let batch = Batch { max_timestamp: Some(now + 1000), ..Batch::of(&["value"]).at(now) };
    client.append(&topic, 0, &batch);
    let read = client.read(&topic, 0, 0);
    assert_eq!((read[0].base_timestamp, read[0].max_timestamp), (now, Some(now)));
}

#[test]
fn p07_log_append_time_is_the_brokers() {
    let mut client = Client::shared();
    let topic = client.topic_with("append-time", 1, &[("message.timestamp.type", "LogAppendTime")]);
    let before = now_ms();
    let mut batch = Batch::of(&["one", "two"]).at(1_000_000);
    batch.records[1].timestamp_delta = 17;
    let result = client.produce(&topic, 0, &batch);
    assert_eq!(result.error_code, ErrorCode::None);
    assert!((before..=now_ms()).contains(&result.log_append_time_ms), "{result:?}");
    let read = client.read(&topic, 0, 0);
    assert_eq!(read[0].attributes & LOG_APPEND_TIME, LOG_APPEND_TIME);
    assert_eq!(read[0].max_timestamp, Some(result.log_append_time_ms));
    assert_eq!(read[0].records, batch.records, "records stay as they are");
}

#[test]
fn p07_create_time_is_the_producers() {
    let mut client = Client::shared();
    let topic = client.topic("create-time");
    let result = client.produce(&topic, 0, &Batch::of(&["value"]));
    assert_eq!((result.error_code, result.log_append_time_ms), (ErrorCode::None, -1));
    let timeless = Batch { attributes: LOG_APPEND_TIME, ..Batch::of(&["value"]).at(-1) };
    assert_eq!(client.produce(&topic, 0, &timeless).error_code, ErrorCode::InvalidTimestamp);
    if external().is_none() {
        // Kafka lets this one pass by the nesting of two conditions.
        let timed = Batch { attributes: LOG_APPEND_TIME, ..Batch::of(&["value"]) };
        assert_eq!(client.produce(&topic, 0, &timed).error_code, ErrorCode::InvalidTimestamp);
    }
}

#[test]
fn p08_timestamps_far_from_now_are_refused_record_by_record() {
    let mut client = Client::shared();
    let topic = client.topic_with("far", 1, &[("message.timestamp.before.max.ms", "3600000")]);
    let result = client.produce(&topic, 0, &Batch::of(&["value"]).at(now_ms() + 2 * HOUR_MS));
    assert_eq!(result.error_code, ErrorCode::InvalidTimestamp);
    assert_eq!(result.record_errors.len(), 1);
    assert_eq!(result.record_errors[0].batch_index, 0);
    assert!(result.error_message.is_some());
    let old = client.produce(&topic, 0, &Batch::of(&["value"]).at(now_ms() - 2 * HOUR_MS));
    assert_eq!(old.error_code, ErrorCode::InvalidTimestamp);
    assert_eq!(client.append(&topic, 0, &Batch::of(&["none at all"]).at(-1)), 0);
    assert_eq!(client.append(&topic, 0, &Batch::of(&["now"])), 1);
}

#[test]
fn p09_a_batch_larger_than_allowed_is_refused() {
    let mut client = Client::shared();
    let topic = client.topic_with("large", 1, &[("max.message.bytes", "2000")]);
    let exactly = |bytes: usize| {
        // The lengths before a value grow with it.
        let batch = (60..90).map(|overhead| Batch::sized(bytes - overhead)).find(|batch| batch.encode().len() == bytes);
        let batch = batch.expect("a value of the right size");
        assert_eq!(batch.encode().len(), bytes);
        batch
    };
    client.append(&topic, 0, &exactly(2000));
    assert_eq!(client.produce(&topic, 0, &exactly(2001)).error_code, ErrorCode::MessageTooLarge);
    let topic = client.topic("large-default");
    client.append(&topic, 0, &exactly(1_048_588));
    assert_eq!(client.produce(&topic, 0, &exactly(1_048_589)).error_code, ErrorCode::MessageTooLarge);
    let topic = client.topic_with("large-segment", 1, &[("segment.bytes", "1048576"), ("max.message.bytes", "4000000")]);
    assert_eq!(client.produce(&topic, 0, &Batch::sized(2_000_000)).error_code, ErrorCode::RecordListTooLarge);
}

#[test]
fn p10_a_compacted_topic_wants_keys() {
    let mut client = Client::shared();
    let topic = client.topic_with("keys", 1, &[("cleanup.policy", "compact")]);
    let batch = Batch::with(vec![Record::new(Some("key"), Some("1")), Record::new(None, Some("2"))]);
    for codec in [Codec::None, Codec::Gzip] {
        let result = client.produce(&topic, 0, &batch.clone().compressed(codec));
        assert_eq!(result.error_code, ErrorCode::InvalidRecord);
        assert_eq!(result.record_errors.iter().map(|error| error.batch_index).collect::<Vec<_>>(), [1]);
        assert!(result.record_errors[0].batch_index_error_message.is_some());
    }
    client.append(&topic, 0, &Batch::with(vec![Record::new(Some("key"), None)]));
}

#[test]
fn p11_clients_send_no_control_batches() {
    let mut client = Client::shared();
    let topic = client.topic("control");
    let (producer_id, epoch) = client.producer_id();
    let control = Batch { attributes: CONTROL, ..Batch::of(&["value"]) };
    assert_eq!(client.produce(&topic, 0, &control).error_code, ErrorCode::InvalidRecord);
    let unnumbered = Batch::of(&["value"]).by_producer(producer_id, epoch, -1);
    assert_eq!(client.produce(&topic, 0, &unnumbered).error_code, ErrorCode::InvalidRecord);
}

/// Not a line of its own: no transaction can be open yet, so its batches are refused.
#[test]
fn p11_transactional_batches_without_a_transaction_are_refused() {
    let mut client = Client::shared();
    let topic = client.topic("transactional");
    let (producer_id, epoch) = client.producer_id();
    let batch = Batch { attributes: TRANSACTIONAL, ..Batch::of(&["value"]).by_producer(producer_id, epoch, 0) };
    let request = ProduceRequest { transactional_id: Some("id".into()), ..produce_request(&topic.name, &[(0, &batch.encode())]) };
    assert_ne!(only_partition(client.ask(PRODUCE, request)).error_code, ErrorCode::None);
    assert!(client.read_values(&topic, 0).is_empty());
}

#[test]
fn p12_internal_topics_are_not_for_clients() {
    let mut client = Client::shared();
    let offsets = Topic { name: "__consumer_offsets".into(), id: Default::default() };
    until("the offsets topic", || {
        client.ask(3, FindCoordinatorRequest { key: "group".into(), ..Default::default() });
        (client.describe(&offsets.name).error_code == ErrorCode::None).then_some(())
    });
    let batch = Batch::with(vec![Record::new(Some("key"), Some("value"))]);
    assert_eq!(client.produce(&offsets, 0, &batch).error_code, ErrorCode::InvalidTopicException);
}

#[test]
fn p12_an_admin_client_may_write_internal_topics() {
    // Kafka's own tools do this; the record here is one that readers of the topic skip.
    let mut client = Client::shared();
    let offsets = Topic { name: "__consumer_offsets".into(), id: Default::default() };
    until("the offsets topic", || {
        client.ask(3, FindCoordinatorRequest { key: "group".into(), ..Default::default() });
        (client.describe(&offsets.name).error_code == ErrorCode::None).then_some(())
    });
    client.connection = Connection::open(client.broker()).calling_itself(Some("__admin_client"));
    let unknown_version = Record { key: Some(vec![0x7f, 0xff]), value: None, ..Record::default() };
    let batch = Batch::with(vec![unknown_version]);
    // A topic that has just been made may not be led on every shard yet; clients try again.
    until("the partition's leader", || {
        let error = client.produce(&offsets, 49, &batch).error_code;
        assert!(matches!(error, ErrorCode::None | ErrorCode::NotLeaderOrFollower), "{error:?}");
        (error == ErrorCode::None).then_some(())
    });
}

/// A lone broker cannot show 19: the minimum counts only as many replicas as the partition has. That holds in Kafka 4.4 too.
#[test]
fn p13_a_minimum_beyond_the_replicas_there_are_does_not_refuse() {
    let mut client = Client::shared();
    let topic = client.topic_with("min-isr", 1, &[("min.insync.replicas", "2")]);
    assert_eq!(client.append(&topic, 0, &Batch::of(&["all"])), 0);
    let batch = Batch::of(&["one"]).encode();
    let one = ProduceRequest { acks: 1, ..produce_request(&topic.name, &[(0, &batch)]) };
    let result = only_partition(client.ask(PRODUCE, one));
    assert_eq!((result.error_code, result.base_offset), (ErrorCode::None, 1));
    // What one replica has acknowledged from memory becomes visible when it is committed, here a moment later.
    until("the high watermark", || (client.fetch(&topic, 0, 0).high_watermark == 2).then_some(()));
}

#[test]
fn p14_what_is_acknowledged_is_below_the_high_watermark() {
    let mut client = Client::shared();
    let topic = client.topic("committed");
    let mut reader = client.another();
    for round in 0..20 {
        let offset = client.append(&topic, 0, &Batch::of(&["one", "two"]));
        assert_eq!(offset, round * 2);
        assert!(reader.fetch(&topic, 0, offset).high_watermark >= offset + 2);
    }
}

#[test]
fn p15_who_does_not_lead_says_so() {
    let mut client = Client::shared();
    let topic = client.topic("led");
    let batch = Batch::of(&["value"]).encode();
    let mut by_id = produce_request(&"".into(), &[(0, &batch), (1, &batch)]);
    by_id.topic_data[0].topic_id = topic.id;
    let answer = client.ask(13, by_id.clone());
    let codes: Vec<ErrorCode> = answer.responses[0].partition_responses.iter().map(|result| result.error_code).collect();
    assert_eq!(codes, [ErrorCode::None, ErrorCode::UnknownTopicOrPartition]);
    assert_eq!(answer.responses[0].topic_id, topic.id);
    by_id.topic_data[0].topic_id = flumen_protocol::Uuid([3; 16]);
    let answer = client.ask(13, by_id);
    assert_eq!(answer.responses[0].partition_responses[0].error_code, ErrorCode::UnknownTopicId);
    assert_eq!(client.produce(&topic, 7, &Batch::of(&["value"])).error_code, ErrorCode::UnknownTopicOrPartition);
}

#[test]
fn p24_one_partition_in_error_does_not_harm_the_others() {
    let mut client = Client::shared();
    let topic = client.topic_with("several", 4, &[]);
    let good = Batch::of(&["value"]).encode();
    let bad = Batch { wrong_crc: true, ..Batch::of(&["value"]) }.encode();
    let mut answer =
        client.ask(PRODUCE, produce_request(&topic.name, &[(0, &good), (1, &bad), (2, &good), (9, &good), (3, &good)]));
    let mut results = answer.responses.remove(0).partition_responses;
    results.sort_by_key(|result| result.index);
    let codes: Vec<(i32, ErrorCode, i64)> =
        results.iter().map(|result| (result.index, result.error_code, result.log_start_offset)).collect();
    let expected = [
        (0, ErrorCode::None, 0),
        (1, ErrorCode::CorruptMessage, -1),
        (2, ErrorCode::None, 0),
        (3, ErrorCode::None, 0),
        (9, ErrorCode::UnknownTopicOrPartition, -1),
    ];
    assert_eq!(
        codes.iter().map(|(index, code, _)| (*index, *code)).collect::<Vec<_>>(),
        expected.map(|(index, code, _)| (index, code))
    );
    assert!(codes.iter().filter(|(_, code, _)| *code == ErrorCode::None).all(|(_, _, start)| *start == 0));
}

#[test]
fn p25_a_topic_may_ask_for_a_codec() {
    let mut client = Client::shared();
    let topic = client.topic_with("recompress", 1, &[("compression.type", "gzip")]);
    client.append(&topic, 0, &compressible());
    client.append(&topic, 0, &compressible().compressed(Codec::Lz4));
    let plain = client.topic_with("decompress", 1, &[("compression.type", "uncompressed")]);
    client.append(&plain, 0, &compressible().compressed(Codec::Zstd));
    let kept = client.topic("kept");
    client.append(&kept, 0, &compressible().compressed(Codec::Zstd));
    for (topic, codec, count) in [(topic, Codec::Gzip, 2), (plain, Codec::None, 1), (kept, Codec::Zstd, 1)] {
        let read = client.read(&topic, 0, 0);
        assert_eq!(read.len(), count);
        for batch in read {
            assert_eq!(batch.codec(), codec);
            assert_eq!(batch.records, compressible().records);
        }
    }
}

#[test]
fn p26_nulls_empties_and_headers_come_back_as_they_were() {
    let mut client = Client::shared();
    let topic = client.topic("exact");
    let header = |key: &str, value: Option<&[u8]>| (key.to_owned(), value.map(<[u8]>::to_vec));
    let headers = vec![header("a", Some(&[0, 255])), header("", Some(&[])), header("null", None), header("a", Some(b"again"))];
    let records = vec![
        Record::new(None, None),
        Record::new(Some(""), Some("")),
        Record::new(None, Some("")),
        Record::new(Some("key"), None),
        Record { headers, ..Record::new(Some("key"), Some("value")) },
    ];
    for codec in [Codec::None, Codec::Gzip, Codec::Lz4, Codec::Zstd] {
        let batch = Batch::with(records.clone()).compressed(codec);
        let offset = client.append(&topic, 0, &batch);
        assert_eq!(client.read(&topic, 0, offset)[0].records, batch.records);
    }
}

/// The time a request gives is meant for replicas: where there are none, one that gives no time at all is done all the same.
/// What happens when it is over is seen where replicas can be silent, in the tests of a shard.
#[test]
fn p13_p27_without_replicas_there_is_nothing_to_wait_for() {
    let mut client = Client::shared();
    let topic = client.topic("timeout");
    let batch = Batch::of(&["value"]).encode();
    for (offset, timeout_ms) in (0..).zip([0, -1, 1]) {
        let request = ProduceRequest { timeout_ms, ..produce_request(&topic.name, &[(0, &batch)]) };
        let result = only_partition(client.ask(PRODUCE, request));
        assert_eq!((result.error_code, result.base_offset), (ErrorCode::None, offset), "{result:?}");
    }
    assert_eq!(client.read_values(&topic, 0), ["value"; 3]);
    assert!(client.is_silent_for(Duration::from_millis(20)), "one answer a request");
}

/// Data cannot be seen before it is committed, whatever its acks.
#[test]
fn p14_nothing_above_the_high_watermark_is_served() {
    let mut client = Client::shared();
    let topic = client.topic("acks1");
    let mut reader = client.another();
    let mut next = 0;
    for _ in 0..50 {
        let batch = Batch::of(&["value"]).encode();
        client.send(PRODUCE, ProduceRequest { acks: 1, ..produce_request(&topic.name, &[(0, &batch)]) });
        let data = only_data(reader.ask(FETCH, fetch_request(&topic.name, &[(0, next)])));
        assert_eq!(data.error_code, ErrorCode::None);
        for batch in batches(&data) {
            next = batch.last_offset() + 1;
            assert!(next <= data.high_watermark);
        }
    }
}
