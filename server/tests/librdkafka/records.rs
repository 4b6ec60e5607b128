//! Records: every compression, headers, nulls, order, size, time, partitions.

use crate::harness::batch::now_ms;
use crate::harness::client::Client;
use crate::{LIMIT, config, flushed, producer, read, send, topic};
use flumen_client::murmur2::partition_of;
use rdkafka::Timestamp;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode;

#[test]
fn every_compression_comes_back_as_it_was() {
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let (broker, topic) = topic(codec, 1, &[]);
        let (producer, reports) =
            producer(&broker.bootstrap(), &[("compression.codec", codec), ("linger.ms", "20"), ("acks", "all")]);
        let values: Vec<String> = (0..500).map(|number| format!("{number} {}", "of many like values ".repeat(5))).collect();
        for value in &values {
            send(&producer, BaseRecord::to(&topic.name).payload(value.as_bytes()).key(b"key".as_slice()));
        }
        assert_eq!(flushed(&producer, &reports).len(), 500);
        let read = read(&broker.bootstrap(), &topic, 0, Offset::Beginning, 500);
        for (offset, (message, value)) in (0..).zip(read.iter().zip(&values)) {
            assert_eq!((message.offset(), message.payload()), (offset, Some(value.as_bytes())), "{codec}");
        }
        let stored = Client::shared().read(&topic, 0, 0);
        assert_eq!(stored[0].attributes & 7 == 0, codec == "none", "{codec} arrives compressed and stays so");
    }
}

#[test]
fn headers_nulls_and_empties_come_back_as_they_were() {
    let (broker, topic) = topic("exact", 1, &[]);
    let (producer, reports) = producer(&broker.bootstrap(), &[]);
    let headers = || {
        OwnedHeaders::new()
            .insert(Header { key: "one", value: Some(&[0u8, 255][..]) })
            .insert(Header { key: "none", value: None::<&[u8]> })
            .insert(Header { key: "empty", value: Some(&[][..]) })
            .insert(Header { key: "one", value: Some(&b"again"[..]) })
    };
    let to = || BaseRecord::<[u8], [u8]>::to(&topic.name);
    send(&producer, to());
    send(&producer, to().key(&[]).payload(&[]));
    send(&producer, to().key(b"key"));
    send(&producer, to().payload(b"value").headers(headers()));
    assert_eq!(flushed(&producer, &reports).len(), 4);
    let read = read(&broker.bootstrap(), &topic, 0, Offset::Beginning, 4);
    assert_eq!((read[0].key(), read[0].payload()), (None, None));
    assert_eq!((read[1].key(), read[1].payload()), (Some(&[][..]), Some(&[][..])));
    assert_eq!((read[2].key(), read[2].payload()), (Some(&b"key"[..]), None));
    let found = read[3].headers().expect("headers");
    let pairs: Vec<(&str, Option<&[u8]>)> = found.iter().map(|header| (header.key, header.value)).collect();
    let wanted: [(&str, Option<&[u8]>); 4] =
        [("one", Some(&[0, 255])), ("none", None), ("empty", Some(&[])), ("one", Some(b"again"))];
    assert_eq!(pairs, wanted);
}

#[test]
fn order_holds_within_every_partition() {
    let (broker, topic) = topic("order", 4, &[]);
    let (producer, reports) = producer(&broker.bootstrap(), &[("acks", "all"), ("batch.num.messages", "50")]);
    for number in 0u32..2000 {
        let partition = i32::try_from(number % 4).unwrap();
        send(&producer, BaseRecord::to(&topic.name).partition(partition).payload(&number.to_be_bytes()).key(&[]));
    }
    assert_eq!(flushed(&producer, &reports).len(), 2000);
    for partition in 0..4u32 {
        let read = read(&broker.bootstrap(), &topic, i32::try_from(partition).unwrap(), Offset::Beginning, 500);
        let numbers: Vec<u32> =
            read.iter().map(|message| u32::from_be_bytes(message.payload().unwrap().try_into().unwrap())).collect();
        let wanted: Vec<u32> = (0..500).map(|number| number * 4 + partition).collect();
        assert_eq!(numbers, wanted);
    }
}

#[test]
fn large_records_arrive_and_larger_ones_are_refused() {
    let (broker, roomy) = topic("large", 1, &[("max.message.bytes", "20000000")]);
    let (producer, reports) = producer(&broker.bootstrap(), &[("message.max.bytes", "15000000")]);
    let large: Vec<u8> = (0..12_000_000u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    send(&producer, BaseRecord::to(&roomy.name).payload(&large).key(&[]));
    assert_eq!(flushed(&producer, &reports).len(), 1);
    let read = read(&broker.bootstrap(), &roomy, 0, Offset::Beginning, 1);
    assert!(read[0].payload() == Some(&large[..]), "12 MB unaltered");
    let (_, small) = topic("small", 1, &[]);
    send(&producer, BaseRecord::to(&small.name).payload(&large).key(&[]));
    producer.flush(LIMIT).unwrap();
    let refused = reports.taken().remove(0).unwrap_err();
    assert_eq!(refused.rdkafka_error_code(), Some(RDKafkaErrorCode::MessageSizeTooLarge));
}

#[test]
fn timestamps_are_kept_or_made_and_found() {
    let (broker, created) = topic("created", 1, &[]);
    let (producer, reports) = producer(&broker.bootstrap(), &[]);
    let start = now_ms() - 10_000;
    for number in 0..10 {
        send(&producer, BaseRecord::to(&created.name).payload(b"value").key(&[]).timestamp(start + number * 100));
    }
    flushed(&producer, &reports);
    let read_back = read(&broker.bootstrap(), &created, 0, Offset::Beginning, 10);
    for (number, message) in (0..).zip(&read_back) {
        assert_eq!(message.timestamp(), Timestamp::CreateTime(start + number * 100));
    }
    let consumer: BaseConsumer = config(&broker.bootstrap()).set("group.id", "none").create().unwrap();
    let find = |time: i64| {
        let mut asked = TopicPartitionList::new();
        asked.add_partition_offset(&created.name, 0, Offset::Offset(time)).unwrap();
        consumer.offsets_for_times(asked, LIMIT).unwrap().find_partition(&created.name, 0).unwrap().offset()
    };
    assert_eq!(find(start + 250), Offset::Offset(3));
    assert_eq!(find(start - 1), Offset::Offset(0));
    assert_eq!(find(start + 901), Offset::End);
    assert_eq!(consumer.fetch_watermarks(&created.name, 0, LIMIT).unwrap(), (0, 10));
    let (_, appended) = topic("appended", 1, &[("message.timestamp.type", "LogAppendTime")]);
    let before = now_ms();
    send(&producer, BaseRecord::to(&appended.name).payload(b"value").key(&[]).timestamp(1000));
    flushed(&producer, &reports);
    match read(&broker.bootstrap(), &appended, 0, Offset::Beginning, 1)[0].timestamp() {
        Timestamp::LogAppendTime(time) => assert!((before..=now_ms()).contains(&time)),
        other => panic!("{other:?}"),
    }
}

/// The partition of a key is a promise between clients: librdkafka's `murmur2_random`, Java's and ours agree.
#[test]
fn keys_go_where_our_client_sends_them() {
    let (broker, topic) = topic("keys", 7, &[]);
    let (producer, reports) = producer(&broker.bootstrap(), &[("partitioner", "murmur2_random")]);
    let keys: Vec<Vec<u8>> =
        (0..200usize).map(|number| (0..number % 23 + 1).map(|at| ((number * 131 + at * 17) % 256) as u8).collect()).collect();
    for key in &keys {
        send(&producer, BaseRecord::to(&topic.name).payload(key).key(key));
    }
    assert_eq!(flushed(&producer, &reports).len(), keys.len());
    let mut seen = 0;
    for partition in 0..7 {
        let wanted: Vec<&[u8]> = keys.iter().filter(|key| partition_of(key, 7) == Some(partition)).map(Vec::as_slice).collect();
        let mut found = read(&broker.bootstrap(), &topic, partition, Offset::Beginning, wanted.len());
        found.sort_by_key(|message| keys.iter().position(|key| Some(&key[..]) == message.key()));
        assert_eq!(found.iter().map(|message| message.key().unwrap()).collect::<Vec<_>>(), wanted, "partition {partition}");
        seen += found.len();
    }
    assert_eq!(seen, keys.len());
}

#[test]
fn a_consumer_starts_where_it_is_told() {
    let (broker, topic) = topic("start", 1, &[]);
    let (producer, reports) = producer(&broker.bootstrap(), &[("linger.ms", "0")]);
    for number in 0..20u8 {
        send(&producer, BaseRecord::to(&topic.name).payload(&[number]).key(&[]));
    }
    flushed(&producer, &reports);
    let first = |from| read(&broker.bootstrap(), &topic, 0, from, 1)[0].offset();
    assert_eq!(first(Offset::Offset(7)), 7);
    assert_eq!(first(Offset::Beginning), 0);
    assert_eq!(first(Offset::OffsetTail(3)), 17);
}
