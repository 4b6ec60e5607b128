//! librdkafka, the client most languages build on, against a real broker process: what it produces it reads back unaltered.
//!
//! With `FLUMEN_TEST_KAFKA=host:port` the same tests run against Apache Kafka, except those that need a broker of their own.

#![allow(unreachable_pub, clippy::unwrap_used, reason = "a test is a crate of its own, and all of it is test")]

#[path = "../harness/mod.rs"]
mod harness;

mod admin;
mod records;
mod retries;

use crate::harness::broker::{Broker, shared};
use crate::harness::client::{Client, Topic};
use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, DeliveryResult, Message, OwnedMessage, ToBytes};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Longest wait for anything a healthy broker does at once.
const LIMIT: Duration = Duration::from_secs(60);

/// A topic on the shared broker, with that broker.
fn topic(name: &str, partitions: i32, configs: &[(&str, &str)]) -> (Arc<Broker>, Topic) {
    let broker = shared();
    let topic = Client::shared().topic_with(name, partitions, configs);
    (broker, topic)
}

fn config(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("message.timeout.ms", "60000");
    config
}

/// Where each record went, or why it did not, in the order of the reports.
#[derive(Default)]
struct Reports(Mutex<Vec<Result<(i32, i64), KafkaError>>>);

impl Reports {
    fn taken(&self) -> Vec<Result<(i32, i64), KafkaError>> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// Where each record went; all of them must have.
    fn places(&self) -> Vec<(i32, i64)> {
        self.taken().into_iter().map(|report| report.expect("a record that is delivered")).collect()
    }
}

#[derive(Clone, Default)]
struct Context(Arc<Reports>);

impl ClientContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, _: ()) {
        let report = match result {
            Ok(message) => Ok((message.partition(), message.offset())),
            Err((error, _)) => Err(error.clone()),
        };
        self.0.0.lock().unwrap().push(report);
    }
}

/// A producer with these settings, and its reports.
fn producer(bootstrap: &str, settings: &[(&str, &str)]) -> (ThreadedProducer<Context>, Arc<Reports>) {
    let mut config = config(bootstrap);
    for (key, value) in settings {
        config.set(*key, *value);
    }
    let context = Context::default();
    let reports = Arc::clone(&context.0);
    (config.create_with_context(context).expect("a producer"), reports)
}

/// Sends one record and hopes for room.
fn send<K: ToBytes + ?Sized, V: ToBytes + ?Sized>(producer: &ThreadedProducer<Context>, record: BaseRecord<'_, K, V>) {
    producer.send(record).map_err(|(error, _)| error).expect("room in the queue");
}

/// Sends what is queued and returns where it went.
fn flushed(producer: &ThreadedProducer<Context>, reports: &Reports) -> Vec<(i32, i64)> {
    producer.flush(LIMIT).expect("all is sent in time");
    reports.places()
}

/// Reads so many records of a partition, from an offset on, checksums verified.
fn read(bootstrap: &str, topic: &Topic, partition: i32, from: Offset, count: usize) -> Vec<OwnedMessage> {
    let consumer: BaseConsumer = config(bootstrap)
        .set("group.id", "none")
        .set("enable.auto.commit", "false")
        .set("check.crcs", "true")
        .create()
        .expect("a consumer");
    let mut assigned = TopicPartitionList::new();
    assigned.add_partition_offset(&topic.name, partition, from).expect("an offset");
    consumer.assign(&assigned).expect("an assignment");
    (0..count)
        .map(|number| {
            let message = consumer.poll(LIMIT).unwrap_or_else(|| panic!("record {number} of {count} does not come"));
            message.as_ref().map(BorrowedMessage::detach).expect("a record, not an error")
        })
        .collect()
}
