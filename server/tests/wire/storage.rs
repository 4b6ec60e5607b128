//! Rules of storage that clients see: D01, D03–D08.

use crate::configs::replace;
use crate::harness::batch::{Batch, Record, now_ms};
use crate::harness::broker::{Broker, files_ending};
use crate::harness::client::{Client, FETCH, PRODUCE, Topic, batches, fetch_request, only_data, produce_request, until};
use flumen_protocol::delete_records::{DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic};
use flumen_protocol::produce::ProduceRequest;
use flumen_protocol::{ApiKey, ErrorCode, Response, decode_response};
use std::io::Write;

const DAY_MS: i64 = 86_400_000;

/// A broker that looks for old segments often.
fn sweeping() -> Option<Broker> {
    Broker::own(&[("log.retention.check.interval.ms", "50"), ("log.segment.delete.delay.ms", "0")])
}

#[test]
fn d01_offsets_rise_and_are_not_used_again() {
    let Some(mut broker) = Broker::own(&[]) else { return };
    let topic = Client::to(&broker).topic("rising");
    let mut next = 0;
    for round in 0..4 {
        let mut client = Client::to(&broker);
        for _ in 0..5 {
            assert_eq!(client.append(&topic, 0, &Batch::of(&["one", "two"])), next, "round {round}");
            next += 2;
        }
        broker = if round % 2 == 0 { broker.kill().start() } else { broker.stop().0.start() };
    }
    let batches = Client::to(&broker).read(&topic, 0, 0);
    assert!(batches.windows(2).all(|pair| pair[0].last_offset() + 1 == pair[1].base_offset));
    assert!(batches.windows(2).all(|pair| pair[0].leader_epoch <= pair[1].leader_epoch));
}

#[test]
fn d01_a_clean_stop_keeps_what_it_acknowledged_and_nothing_else() {
    let Some(broker) = Broker::own(&[]) else { return };
    let mut client = Client::to(&broker);
    let topic = client.topic("stopped");
    let batch = Batch::sized(100_000).encode();
    let sent: Vec<i32> = (0..60).map(|_| client.send(PRODUCE, produce_request(&topic.name, &[(0, &batch)]))).collect();
    let (stopped, status) = broker.stop();
    assert!(status.success());
    let mut acknowledged = 0;
    for number in sent {
        let Some(frame) = client.frame() else { break };
        let (answered, response) = decode_response(ApiKey::Produce, PRODUCE, frame).unwrap();
        let Response::Produce(response) = response else { panic!("{response:?}") };
        let result = &response.responses[0].partition_responses[0];
        assert_eq!((answered, result.error_code, result.base_offset), (number, ErrorCode::None, acknowledged));
        acknowledged += 1;
    }
    let broker = stopped.start();
    assert_eq!(Client::to(&broker).list_offset(&topic, 0, -1).offset, acknowledged);
}

#[test]
fn d03_retention_goes_by_the_records_time() {
    let Some(broker) = sweeping() else { return };
    let mut client = Client::to(&broker);
    let topic = client.topic_with("old", 1, &[("retention.ms", "3600000")]);
    client.append(&topic, 0, &Batch::of(&["old"]).at(now_ms() - DAY_MS));
    until("the old segment is gone", || (client.list_offset(&topic, 0, -2).offset == 1).then_some(()));
    client.append(&topic, 0, &Batch::of(&["new"]));
    let control = client.topic_with("new", 1, &[("retention.ms", "3600000")]);
    client.append(&control, 0, &Batch::of(&["young"]));
    let swept = client.topic_with("swept", 1, &[("retention.ms", "3600000")]);
    client.append(&swept, 0, &Batch::of(&["old"]).at(now_ms() - DAY_MS));
    until("a later sweep", || (client.list_offset(&swept, 0, -2).offset == 1).then_some(()));
    assert_eq!(client.read_values(&control, 0), ["young"]);
    assert_eq!(client.read_values(&topic, 0), ["new"]);
}

#[test]
fn d03_retention_by_size_leaves_whole_segments() {
    let Some(broker) = sweeping() else { return };
    let mut client = Client::to(&broker);
    let topic = client.topic_with("sized", 1, &[("retention.bytes", "2000000"), ("segment.bytes", "1048576")]);
    for _ in 0..10 {
        client.append(&topic, 0, &Batch::sized(500_000));
    }
    // Two batches a segment: without the first three the log is as large as it has to be. A sweep may come between two appends
    // and take fewer at first.
    until("old segments are gone", || (client.list_offset(&topic, 0, -2).offset >= 6).then_some(()));
    assert_eq!(client.list_offset(&topic, 0, -2).offset, 6, "never below the size");
    assert_eq!(client.read_values(&topic, 0).len(), 4);
}

#[test]
fn d04_records_are_deleted_up_to_an_offset() {
    let mut client = Client::shared();
    let topic = client.topic("deleted");
    for _ in 0..5 {
        client.append(&topic, 0, &Batch::of(&["0", "1"]));
    }
    let result = client.delete_records(&topic, 0, 3);
    assert_eq!((result.error_code, result.low_watermark), (ErrorCode::None, 3));
    assert_eq!(client.list_offset(&topic, 0, -2).offset, 3);
    assert_eq!(client.read(&topic, 0, 3)[0].base_offset, 2, "the batch that holds it");
    let lower = client.delete_records(&topic, 0, 1);
    assert_eq!((lower.error_code, lower.low_watermark), (ErrorCode::None, 3), "it never goes back");
    assert_eq!(client.delete_records(&topic, 0, 11).error_code, ErrorCode::OffsetOutOfRange);
    assert_eq!(client.delete_records(&topic, 0, -2).error_code, ErrorCode::OffsetOutOfRange);
    let all = client.delete_records(&topic, 0, -1);
    assert_eq!((all.error_code, all.low_watermark), (ErrorCode::None, 10), "-1 is the high watermark");
    assert_eq!(client.append(&topic, 0, &Batch::of(&["next"])), 10);
    assert_eq!(client.delete_records(&topic, 7, 0).error_code, ErrorCode::UnknownTopicOrPartition);
}

/// The time a request gives is meant for replicas, of which there are none here.
#[test]
fn d04_without_time_to_wait_it_is_done_all_the_same() {
    let mut client = Client::shared();
    let topic = client.topic("hurried");
    for (offset, timeout_ms) in (0..).zip([0, -1, 1]) {
        client.append(&topic, 0, &Batch::of(&["value"]));
        let partitions = vec![DeleteRecordsPartition { partition_index: 0, offset: -1 }];
        let topics = vec![DeleteRecordsTopic { name: topic.name.clone(), partitions }];
        let deleted = client.ask(2, DeleteRecordsRequest { topics, timeout_ms }).topics.remove(0).partitions.remove(0);
        assert_eq!((deleted.error_code, deleted.low_watermark), (ErrorCode::None, offset + 1));
    }
}

#[test]
fn d04_a_compacted_topic_keeps_its_records() {
    let mut client = Client::shared();
    let topic = client.topic_with("compacted", 1, &[("cleanup.policy", "compact")]);
    client.append(&topic, 0, &Batch::with(vec![Record::new(Some("key"), Some("value"))]));
    assert_eq!(client.delete_records(&topic, 0, 1).error_code, ErrorCode::PolicyViolation);
}

#[test]
fn d04_a_deletion_survives() {
    let Some(broker) = Broker::own(&[]) else { return };
    let mut client = Client::to(&broker);
    let topic = client.topic("survives");
    for _ in 0..5 {
        client.append(&topic, 0, &Batch::of(&["0", "1"]));
    }
    client.delete_records(&topic, 0, 5);
    let broker = broker.kill().start();
    let mut client = Client::to(&broker);
    assert_eq!(client.list_offset(&topic, 0, -2).offset, 5);
    assert_eq!(client.fetch(&topic, 0, 4).error_code, ErrorCode::OffsetOutOfRange);
}

#[test]
fn d05_a_time_in_the_future_confuses_nothing() {
    let mut client = Client::shared();
    let topic = client.topic("future");
    let now = now_ms();
    client.append(&topic, 0, &Batch::of(&["future"]).at(now + 1_800_000));
    client.append(&topic, 0, &Batch::of(&["present"]).at(now));
    client.append(&topic, 0, &Batch::of(&["farther"]).at(now + 2_400_000));
    let mut find = |time: i64| client.list_offset(&topic, 0, time).offset;
    assert_eq!(find(now), 0);
    assert_eq!(find(now + 1_800_001), 2);
    assert_eq!(find(-3), 2);
    assert_eq!(client.read_values(&topic, 0), ["future", "present", "farther"]);
}

/// A segment with a record of the future stays until that future is past, and those before it go by their own times.
#[test]
fn d05_a_time_in_the_future_does_not_break_retention() {
    let Some(broker) = sweeping() else { return };
    let mut client = Client::to(&broker);
    let (hour, now) = (3_600_000, now_ms());
    let kept = [("retention.ms", "-1"), ("segment.bytes", "1048576")];
    let topic = client.topic_with("future", 1, &kept);
    let farther = client.produce(&topic, 0, &Batch::of(&["too far"]).at(now + 2 * hour));
    assert_eq!(farther.error_code, ErrorCode::InvalidTimestamp, "message.timestamp.after.max.ms is an hour");
    // Two batches a segment.
    let batch = |time: i64| Batch::sized(500_000).at(time);
    for time in [now - DAY_MS, now - DAY_MS, now - DAY_MS, now + hour / 2, now - DAY_MS, now - DAY_MS, now] {
        client.append(&topic, 0, &batch(time));
    }
    let settings = [("retention.ms", "3600000"), ("segment.bytes", "1048576")];
    assert_eq!(replace(&mut client, &topic, &settings, false), ErrorCode::None);
    until("the old segment is gone", || (client.list_offset(&topic, 0, -2).offset == 2).then_some(()));
    let swept = client.topic_with("swept", 1, &settings);
    client.append(&swept, 0, &Batch::of(&["old"]).at(now - DAY_MS));
    until("a later sweep", || (client.list_offset(&swept, 0, -2).offset == 1).then_some(()));
    assert_eq!(client.list_offset(&topic, 0, -2).offset, 2, "what is not over keeps what came after it");
    let sized = client.topic_with("future-sized", 1, &kept);
    for time in [now + hour / 2, now, now, now, now] {
        client.append(&sized, 0, &batch(time));
    }
    let limits = [("retention.bytes", "1400000"), ("segment.bytes", "1048576")];
    assert_eq!(replace(&mut client, &sized, &limits, false), ErrorCode::None);
    until("it is large enough without", || (client.list_offset(&sized, 0, -2).offset == 2).then_some(()));
}

#[test]
fn d06_below_the_log_start_is_out_of_range() {
    let mut client = Client::shared();
    let topic = client.topic("below");
    client.append(&topic, 0, &Batch::of(&["0", "1", "2"]));
    client.delete_records(&topic, 0, 2);
    let data = client.fetch(&topic, 0, 0);
    assert_eq!(data.error_code, ErrorCode::OffsetOutOfRange);
    let waiting =
        flumen_protocol::fetch::FetchRequest { max_wait_ms: 20_000, min_bytes: 1, ..fetch_request(&topic.name, &[(0, 1)]) };
    assert_eq!(only_data(client.ask(FETCH, waiting)).error_code, ErrorCode::OffsetOutOfRange, "at once, whatever the wait");
}

/// The active segment of a topic's only partition.
fn segment(data: &std::path::Path, topic: &Topic) -> std::path::PathBuf {
    let mut segments = files_ending(data, ".log");
    segments.retain(|path| path.to_string_lossy().contains(topic.name.as_str()));
    segments.pop().unwrap()
}

/// Bytes of a batch that was being written when the power went are behind the last good one.
#[test]
fn d07_a_torn_tail_is_never_served() {
    let Some(mut broker) = Broker::own(&[]) else { return };
    let topic = Client::to(&broker).topic("torn");
    let torn = Batch { base_offset: 5, ..Batch::of(&["torn"; 50]) }.encode();
    for (round, tail) in (0..).zip([&torn[..torn.len() / 2], &torn[..30], &[0xff; 100][..]]) {
        let values: Vec<String> = (0..5).map(|number| format!("round {round}, value {number}")).collect();
        for value in &values {
            Client::to(&broker).append(&topic, 0, &Batch::of(&[value]));
        }
        let stopped = broker.kill();
        let path = segment(&stopped.data(), &topic);
        // Space given in advance may lie behind the last batch, so the tail goes right behind that.
        let bytes = std::fs::read(&path).unwrap();
        let end: usize = Batch::read_all(&bytes).iter().map(|batch| batch.encode().len()).sum();
        let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(u64::try_from(end).unwrap())).unwrap();
        file.write_all(tail).unwrap();
        drop(file);
        broker = stopped.start();
        let read = Client::to(&broker).read_values(&topic, 0);
        assert_eq!(read[read.len() - 5..], values);
        assert_eq!(read.len(), 5 * (round + 1));
    }
}

/// Bytes that a disk has changed below what was durable: the batch they are in is answered with 2, and nothing else suffers.
#[test]
fn d07_damage_costs_the_damaged_batch_alone() {
    let Some(broker) = Broker::own(&[]) else { return };
    let mut client = Client::to(&broker);
    let topic = client.topic("damaged");
    for _ in 0..30 {
        client.append(&topic, 0, &Batch::sized(1000));
    }
    let (stopped, status) = broker.stop();
    assert!(status.success());
    let path = segment(&stopped.data(), &topic);
    let mut bytes = std::fs::read(&path).unwrap();
    let batch = Batch::read_all(&bytes)[0].encode().len();
    bytes[7 * batch + 500] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let mut broker = stopped.start();
    for end in [30, 31] {
        let mut client = Client::to(&broker);
        for offset in 0..end {
            let data = client.fetch(&topic, 0, offset);
            if offset == 7 {
                assert_eq!(data.error_code, ErrorCode::CorruptMessage);
                continue;
            }
            assert_eq!((data.error_code, data.high_watermark), (ErrorCode::None, end), "offset {offset}");
            assert_eq!(batches(&data)[0].base_offset, offset);
            assert!(batches(&data).iter().all(|batch| batch.base_offset != 7));
        }
        if end == 30 {
            assert_eq!(client.append(&topic, 0, &Batch::sized(1000)), 30, "it is written on");
            until("the broker to say so", || broker.said().contains("offsets 7 to 7 are damaged").then_some(()));
            broker = broker.kill().start();
        }
    }
}

/// A segment that was cut short: what it has is read, what it lost is answered with 2, and new records follow the lost ones.
#[test]
fn d07_a_log_cut_short_keeps_its_offsets() {
    let Some(broker) = Broker::own(&[]) else { return };
    let mut client = Client::to(&broker);
    let topic = client.topic("short");
    for _ in 0..20 {
        client.append(&topic, 0, &Batch::sized(1000));
    }
    let (stopped, _) = broker.stop();
    let path = segment(&stopped.data(), &topic);
    let length = std::fs::metadata(&path).unwrap().len();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(length / 2).unwrap();
    let broker = stopped.start();
    assert!(broker.said().contains("is damaged below what was durable"), "{}", broker.said());
    let mut client = Client::to(&broker);
    assert_eq!(client.append(&topic, 0, &Batch::of(&["new"])), 20);
    assert_eq!(client.fetch(&topic, 0, 0).error_code, ErrorCode::None);
    assert_eq!(client.fetch(&topic, 0, 15).error_code, ErrorCode::CorruptMessage);
    assert_eq!(batches(&client.fetch(&topic, 0, 20))[0].values(), ["new"]);
}

#[test]
fn d08_the_high_watermark_does_not_go_back() {
    let Some(mut broker) = Broker::own(&[]) else { return };
    let topic = Client::to(&broker).topic("watermark");
    let mut acknowledged = 0;
    for round in 0..6 {
        let mut client = Client::to(&broker);
        for _ in 0..10 {
            acknowledged = client.append(&topic, 0, &Batch::of(&["value"])) + 1;
        }
        // Acknowledged by the leader alone, perhaps not yet committed: it may be kept, and what is acknowledged may not be lost.
        let one = Batch::of(&["acks=1"]).encode();
        let result = client.ask(12, ProduceRequest { acks: 1, ..produce_request(&topic.name, &[(0, &one)]) });
        acknowledged = acknowledged.max(result.responses[0].partition_responses[0].base_offset + 1);
        broker = if round % 3 == 2 { broker.stop().0.start() } else { broker.kill().start() };
        let data = Client::to(&broker).fetch(&topic, 0, 0);
        assert!(data.high_watermark >= acknowledged, "round {round}: {} < {acknowledged}", data.high_watermark);
    }
    assert_eq!(Client::to(&broker).read_values(&topic, 0).len(), usize::try_from(acknowledged).unwrap());
}
