//! Compaction as clients see it: D02.
//!
//! Against a broker that is not ours its own pauses between two cleanings apply.

use crate::harness::batch::{Batch, Record, now_ms};
use crate::harness::broker::{Broker, external};
use crate::harness::client::{Client, Topic, until};
use flumen_log::compression::Codec;

const DELETE_HORIZON: i16 = 1 << 6;
/// Every batch gets a segment of its own, and whatever is dirty is cleaned.
const EAGER: [(&str, &str); 3] = [("cleanup.policy", "compact"), ("segment.ms", "1"), ("min.cleanable.dirty.ratio", "0")];
const DAY_MS: i64 = 86_400_000;

/// A client of a broker that looks for dirty logs often; the broker, if it is ours.
fn compacting() -> (Option<Broker>, Client) {
    if external().is_some() {
        return (None, Client::shared());
    }
    let broker = Broker::start(&[("log.cleaner.backoff.ms", "20"), ("log.retention.check.interval.ms", "50")]);
    let client = Client::to(&broker);
    (Some(broker), client)
}

fn eager(client: &mut Client, name: &str, more: &[(&str, &str)]) -> Topic {
    client.topic_with(name, 1, &[&EAGER[..], more].concat())
}

/// A batch of keys with values, so far after the last one that a segment is full of time.
struct Writer {
    time: i64,
}

impl Writer {
    fn new() -> Self {
        Self { time: now_ms() - 100_000 }
    }

    fn batch(&mut self, records: &[(&str, Option<&str>)]) -> Batch {
        self.time += 10;
        let records = records.iter().map(|(key, value)| Record::new(Some(key), *value)).collect();
        Batch { base_timestamp: self.time, ..Batch::with(records) }
    }

    fn append(&mut self, client: &mut Client, topic: &Topic, records: &[(&str, Option<&str>)]) -> i64 {
        let batch = self.batch(records);
        client.append(topic, 0, &batch)
    }

    /// What was appended last stays in the active segment; with this behind it, it does not.
    fn seal(&mut self, client: &mut Client, topic: &Topic) -> i64 {
        self.append(client, topic, &[("the active segment", Some("x"))])
    }
}

/// Every batch, read to the end.
fn read_all(client: &mut Client, topic: &Topic) -> Vec<Batch> {
    let (mut offset, end) = (client.list_offset(topic, 0, -2).offset, client.list_offset(topic, 0, -1).offset);
    let mut batches: Vec<Batch> = Vec::new();
    while offset < end {
        let read = client.read(topic, 0, offset);
        assert!(!read.is_empty(), "nothing at {offset}, and the end is {end}");
        for batch in read {
            assert!(batches.last().is_none_or(|last| last.last_offset() < batch.base_offset), "batches in order");
            offset = batch.last_offset() + 1;
            batches.push(batch);
        }
    }
    assert_eq!(offset, end, "the last batch is where it was");
    batches
}

/// Offset, key and value of every record.
fn records(batches: &[Batch]) -> Vec<(i64, String, Option<String>)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let of = |batch: &Batch| {
        let base = batch.base_offset;
        batch
            .records
            .iter()
            .map(|record| {
                let key = text(record.key.as_deref().unwrap_or_default());
                (base + i64::from(record.offset_delta), key, record.value.as_deref().map(text))
            })
            .collect::<Vec<_>>()
    };
    batches.iter().flat_map(of).collect()
}

/// The records once there are none but these offsets.
fn until_left(client: &mut Client, topic: &Topic, offsets: &[i64]) -> Vec<Batch> {
    until("the log is compacted", || {
        let batches = read_all(client, topic);
        let left: Vec<i64> = records(&batches).iter().map(|(offset, _, _)| *offset).collect();
        (left == offsets).then_some(batches)
    })
}

#[test]
fn d02_the_last_record_of_each_key_stays_at_its_offset() {
    let (broker, mut client) = compacting();
    let topic = eager(&mut client, "compacted", &[]);
    let mut writer = Writer::new();
    for round in 0..10 {
        let value = format!("round {round}");
        let all = [("a", Some(value.as_str())), ("b", Some(value.as_str())), ("only once", Some("0"))];
        writer.append(&mut client, &topic, if round == 0 { &all } else { &all[..2] });
    }
    let active = writer.seal(&mut client, &topic);
    let batches = until_left(&mut client, &topic, &[2, 19, 20, active]);
    let left = records(&batches);
    assert_eq!(left[0], (2, "only once".into(), Some("0".into())));
    assert_eq!(left[1], (19, "a".into(), Some("round 9".into())));
    assert_eq!(left[2], (20, "b".into(), Some("round 9".into())));
    assert_eq!((batches[0].base_offset, batches[0].last_offset()), (0, 2), "a batch keeps its offsets");
    let check = |client: &mut Client| {
        // In a hole, the next batch is served; timestamps find what is still there.
        assert_eq!(client.read(&topic, 0, 7)[0].base_offset, 19);
        assert_eq!(client.list_offset(&topic, 0, batches[0].base_timestamp + 1).offset, 19);
        assert_eq!(client.list_offset(&topic, 0, batches[0].base_timestamp).offset, 2);
        assert_eq!(client.list_offset(&topic, 0, -3).offset, active);
        assert_eq!(records(&read_all(client, &topic)), left);
    };
    check(&mut client);
    let Some(broker) = broker else { return };
    let broker = broker.kill().start();
    check(&mut Client::to(&broker));
    let broker = broker.stop().0.start();
    check(&mut Client::to(&broker));
}

#[test]
fn d02_a_tombstone_stays_until_the_horizon_that_its_batch_names() {
    let (_broker, mut client) = compacting();
    let topic = eager(&mut client, "tombstones", &[("delete.retention.ms", "86400000")]);
    let mut writer = Writer::new();
    writer.append(&mut client, &topic, &[("gone", Some("value"))]);
    let tombstone = writer.append(&mut client, &topic, &[("kept", Some("value")), ("gone", None)]);
    let time = writer.time;
    let active = writer.seal(&mut client, &topic);
    let batches = until_left(&mut client, &topic, &[tombstone, tombstone + 1, active]);
    let batch = batches.iter().find(|batch| batch.base_offset == tombstone).unwrap();
    assert_ne!(batch.attributes & DELETE_HORIZON, 0, "the bit that says so");
    let horizon = batch.base_timestamp;
    assert!((horizon - now_ms() - DAY_MS).abs() < 60_000, "a day from the cleaning: {horizon}");
    assert!(batch.records.iter().all(|record| horizon + record.timestamp_delta == time), "records keep their time");
    assert_eq!(batch.max_timestamp, Some(time));
    // More cleanings change neither. What sealed the log before stays: its successor is in the active segment, which no pass sees.
    let newer = writer.append(&mut client, &topic, &[("kept", Some("newer"))]);
    let (sealed, active) = (active, writer.seal(&mut client, &topic));
    let batches = until_left(&mut client, &topic, &[tombstone + 1, sealed, newer, active]);
    let batch = batches.iter().find(|batch| batch.base_offset == tombstone).unwrap();
    assert_eq!((batch.base_timestamp, batch.records[0].value.as_ref()), (horizon, None));
}

#[test]
fn d02_a_tombstone_goes_when_its_horizon_has_passed() {
    let (_broker, mut client) = compacting();
    let topic = eager(&mut client, "forgotten", &[("delete.retention.ms", "1")]);
    let mut writer = Writer::new();
    writer.append(&mut client, &topic, &[("gone", Some("value"))]);
    let tombstone = writer.append(&mut client, &topic, &[("gone", None)]);
    let sealed = writer.seal(&mut client, &topic);
    until_left(&mut client, &topic, &[tombstone, sealed]);
    // What sealed the log stays: its successor is in the active segment, which no pass sees.
    let active = writer.seal(&mut client, &topic);
    let batches = until_left(&mut client, &topic, &[sealed, active]);
    assert!(batches.iter().all(|batch| batch.base_offset > tombstone || batch.records.is_empty()));
}

#[test]
fn d02_the_active_segment_is_not_cleaned() {
    let (_broker, mut client) = compacting();
    let mut writer = Writer::new();
    let topic = client.topic_with("active", 1, &[("cleanup.policy", "compact"), ("min.cleanable.dirty.ratio", "0")]);
    for value in ["old", "new"] {
        writer.append(&mut client, &topic, &[("key", Some(value))]);
    }
    // Another log that is cleaned later shows that there was time for it.
    for name in ["witness one", "witness two"].map(|name| name.replace(' ', "-")) {
        let witness = eager(&mut client, &name, &[]);
        for value in ["old", "new"] {
            writer.append(&mut client, &witness, &[("key", Some(value))]);
        }
        let active = writer.seal(&mut client, &witness);
        until_left(&mut client, &witness, &[1, active]);
    }
    assert_eq!(records(&read_all(&mut client, &topic)).len(), 2);
}

#[test]
fn d02_a_producers_last_batch_stays_even_if_it_is_empty() {
    let (broker, mut client) = compacting();
    let topic = eager(&mut client, "sequences", &[]);
    let mut writer = Writer::new();
    let (id, epoch) = client.producer_id();
    let sent = writer.batch(&[("key", Some("by the producer")), ("other", Some("by the producer"))]).by_producer(id, epoch, 0);
    client.append(&topic, 0, &sent);
    let first = writer.append(&mut client, &topic, &[("key", Some("by another")), ("other", Some("by another"))]);
    let active = writer.seal(&mut client, &topic);
    let batches = until_left(&mut client, &topic, &[first, first + 1, active]);
    let empty = &batches[0];
    assert_eq!((empty.base_offset, empty.last_offset(), empty.records.len()), (0, 1, 0));
    assert_eq!((empty.producer_id, empty.producer_epoch, empty.base_sequence), (id, epoch, 0));
    assert_eq!(empty.max_timestamp, sent.max_timestamp.or(Some(sent.base_timestamp)));
    assert_eq!(client.append(&topic, 0, &sent), 0, "a duplicate still");
    let next = writer.batch(&[("next", Some("value"))]).by_producer(id, epoch, 2);
    let Some(broker) = broker else { return };
    let stopped = broker.kill();
    // Even where the producers' states have to be read from the log.
    for snapshot in crate::harness::broker::files_ending(&stopped.data(), ".snapshot") {
        std::fs::remove_file(snapshot).unwrap();
    }
    let broker = stopped.start();
    let mut client = Client::to(&broker);
    assert_eq!(client.append(&topic, 0, &sent), 0, "a duplicate still");
    assert_eq!(client.append(&topic, 0, &next), active + 1);
}

#[test]
fn d02_a_compressed_batch_keeps_its_codec() {
    let (_broker, mut client) = compacting();
    let mut writer = Writer::new();
    for codec in Codec::ALL {
        let topic = eager(&mut client, "codecs", &[]);
        let batch = writer.batch(&[("a", Some("old")), ("b", Some("kept"))]).compressed(codec);
        client.append(&topic, 0, &batch);
        writer.append(&mut client, &topic, &[("a", Some("new"))]);
        let active = writer.seal(&mut client, &topic);
        let batches = until_left(&mut client, &topic, &[1, 2, active]);
        assert_eq!((batches[0].base_offset, batches[0].codec(), batches[0].last_offset()), (0, codec, 1));
    }
}

#[test]
fn d02_a_log_is_compacted_and_deleted_from() {
    let (broker, mut client) = compacting();
    let topic = eager(&mut client, "both", &[("cleanup.policy", "compact,delete"), ("retention.ms", "3600000")]);
    let mut writer = Writer::new();
    for value in ["old", "newer", "newest"] {
        writer.append(&mut client, &topic, &[("key", Some(value)), (value, Some(value))]);
    }
    let active = writer.seal(&mut client, &topic);
    until_left(&mut client, &topic, &[1, 3, 4, 5, active]);
    let deleted = client.delete_records(&topic, 0, 2);
    assert_eq!((deleted.error_code, deleted.low_watermark), (flumen_protocol::ErrorCode::None, 2));
    assert_eq!(read_all(&mut client, &topic)[0].last_offset(), 3, "the batch that follows");
    if broker.is_none() {
        // Its retention comes by every five minutes.
        return;
    }
    let dirty_enough = [("cleanup.policy", "compact,delete"), ("retention.ms", "3600000"), ("segment.ms", "1")];
    let topic = client.topic_with("aged", 1, &[&dirty_enough[..], &[("min.cleanable.dirty.ratio", "1")]].concat());
    let mut writer = Writer { time: now_ms() - DAY_MS };
    for value in ["old", "older than an hour"] {
        writer.append(&mut client, &topic, &[("key", Some(value))]);
    }
    writer.time = now_ms() - 100_000;
    let active = writer.seal(&mut client, &topic);
    until("retention", || (client.list_offset(&topic, 0, -2).offset == active).then_some(()));
    assert_eq!(records(&read_all(&mut client, &topic)).len(), 1);
}
