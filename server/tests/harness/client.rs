//! A tester's client: the few questions most tests ask, each in one line.
//!
//! It retries only what a fresh topic may legitimately say (3 and 5 until its leader is known); everything else is the test's.

use super::batch::Batch;
use super::broker::{Broker, shared};
use super::connection::{Ask, Connection};
use flumen_protocol::create_topics::{CreatableTopic, CreatableTopicConfig, CreatableTopicResult, CreateTopicsRequest};
use flumen_protocol::delete_records::{
    DeleteRecordsPartition, DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsTopic,
};
use flumen_protocol::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData};
use flumen_protocol::init_producer_id::InitProducerIdRequest;
use flumen_protocol::list_offsets::{ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsTopic};
use flumen_protocol::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponseTopic};
use flumen_protocol::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceData,
};
use flumen_protocol::{ErrorCode, Records, Text, Uuid};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Version of Produce that most tests use: the last with topic names.
pub const PRODUCE: i16 = 12;
/// Version of Fetch that most tests use: the last with topic names.
pub const FETCH: i16 = 12;
/// How long an answer to a produce may take on a loaded machine.
pub const TIMEOUT_MS: i32 = 30_000;

/// A connection with the broker it belongs to, kept alive.
pub struct Client {
    pub connection: Connection,
    broker: Option<Arc<Broker>>,
}

impl Deref for Client {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl DerefMut for Client {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

/// A topic made for one test.
#[derive(Clone, Debug)]
pub struct Topic {
    pub name: Text,
    pub id: Uuid,
}

/// A name no other test uses, on this broker or the last.
pub fn fresh(name: &str) -> Text {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    Text::from(format!("{name}-{}-{number}", std::process::id()))
}

impl Client {
    /// A connection to the broker all tests share.
    pub fn shared() -> Self {
        let broker = shared();
        Self { connection: Connection::open(&broker), broker: Some(broker) }
    }

    /// A connection to a broker of the test's own.
    pub fn to(broker: &Broker) -> Self {
        Self { connection: Connection::open(broker), broker: None }
    }

    /// Another connection to the shared broker.
    pub fn another(&self) -> Self {
        let broker = self.broker.clone().expect("a client of the shared broker");
        Self { connection: Connection::open(&broker), broker: Some(broker) }
    }

    /// The shared broker.
    pub fn broker(&self) -> &Broker {
        self.broker.as_deref().expect("a client of the shared broker")
    }

    pub fn topic(&mut self, name: &str) -> Topic {
        self.topic_with(name, 1, &[])
    }

    pub fn topic_with(&mut self, name: &str, partitions: i32, configs: &[(&str, &str)]) -> Topic {
        let name = fresh(name);
        let result = self.create(&name, partitions, configs);
        assert_eq!(result.error_code, ErrorCode::None, "{:?}", result.error_message);
        let topic = Topic { name, id: result.topic_id };
        self.await_leaders(&topic, partitions);
        topic
    }

    /// CreateTopics for one topic.
    pub fn create(&mut self, name: &Text, partitions: i32, configs: &[(&str, &str)]) -> CreatableTopicResult {
        let config = |(name, value): &(&str, &str)| CreatableTopicConfig { name: (*name).into(), value: Some((*value).into()) };
        let topic = CreatableTopic {
            name: name.clone(),
            num_partitions: partitions,
            replication_factor: 1,
            configs: configs.iter().map(config).collect(),
            ..CreatableTopic::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: TIMEOUT_MS, validate_only: false };
        self.ask(7, request).topics.remove(0)
    }

    /// Kafka answers a creation before every partition has its leader; ours after.
    fn await_leaders(&mut self, topic: &Topic, partitions: i32) {
        until("every partition has a leader", || {
            let described = self.describe(&topic.name);
            let led = described.partitions.iter().filter(|partition| partition.error_code == ErrorCode::None).count();
            let led = i32::try_from(led).expect("a small topic");
            let last = partitions - 1;
            (led == partitions && self.list_offset(topic, last, -1).error_code == ErrorCode::None).then_some(())
        });
    }

    /// What Metadata says of one topic, without creating it.
    pub fn describe(&mut self, name: &Text) -> MetadataResponseTopic {
        let topic = MetadataRequestTopic { name: Some(name.clone()), ..MetadataRequestTopic::default() };
        let request =
            MetadataRequest { topics: Some(vec![topic]), allow_auto_topic_creation: false, ..MetadataRequest::default() };
        self.ask(12, request).topics.remove(0)
    }

    /// Appends with acks=all, and expects it to work; the base offset.
    pub fn append(&mut self, topic: &Topic, partition: i32, batch: &Batch) -> i64 {
        let result = self.produce(topic, partition, batch);
        assert_eq!(result.error_code, ErrorCode::None, "{:?}", result.error_message);
        result.base_offset
    }

    /// Produce of one batch with acks=all.
    pub fn produce(&mut self, topic: &Topic, partition: i32, batch: &Batch) -> PartitionProduceResponse {
        self.produce_bytes(topic, partition, &batch.encode())
    }

    /// Produce of any bytes with acks=all.
    pub fn produce_bytes(&mut self, topic: &Topic, partition: i32, bytes: &[u8]) -> PartitionProduceResponse {
        let request = produce_request(&topic.name, &[(partition, bytes)]);
        only_partition(self.ask(PRODUCE, request))
    }

    /// What there is from an offset on, up to the high watermark, without waiting.
    pub fn fetch(&mut self, topic: &Topic, partition: i32, offset: i64) -> PartitionData {
        only_data(self.ask(FETCH, fetch_request(&topic.name, &[(partition, offset)])))
    }

    /// The batches from an offset on.
    pub fn read(&mut self, topic: &Topic, partition: i32, offset: i64) -> Vec<Batch> {
        let data = self.fetch(topic, partition, offset);
        assert_eq!(data.error_code, ErrorCode::None);
        batches(&data)
    }

    /// Every value of a partition, read to its end.
    pub fn read_values(&mut self, topic: &Topic, partition: i32) -> Vec<String> {
        let mut values = Vec::new();
        let mut offset = self.list_offset(topic, partition, -2).offset;
        let end = self.list_offset(topic, partition, -1).offset;
        while offset < end {
            let batches = self.read(topic, partition, offset);
            assert!(!batches.is_empty(), "nothing at {offset}, and the end is {end}");
            for batch in batches {
                values.extend(batch.values());
                offset = batch.last_offset() + 1;
            }
        }
        values
    }

    /// ListOffsets for one partition.
    pub fn list_offset(&mut self, topic: &Topic, partition: i32, timestamp: i64) -> ListOffsetsPartitionResponse {
        let partition = ListOffsetsPartition { partition_index: partition, timestamp, ..ListOffsetsPartition::default() };
        let topics = vec![ListOffsetsTopic { name: topic.name.clone(), partitions: vec![partition] }];
        let request = ListOffsetsRequest { replica_id: -1, topics, ..ListOffsetsRequest::default() };
        self.ask(7, request).topics.remove(0).partitions.remove(0)
    }

    /// A fresh idempotent producer.
    pub fn producer_id(&mut self) -> (i64, i16) {
        let request =
            InitProducerIdRequest { transactional_id: None, transaction_timeout_ms: 0, ..InitProducerIdRequest::default() };
        let mut answer = None;
        until("a producer id", || {
            let response = self.ask(4, request.clone());
            (response.error_code == ErrorCode::None).then(|| answer = Some((response.producer_id, response.producer_epoch)))
        });
        answer.expect("until it has one")
    }

    pub fn delete_records(&mut self, topic: &Topic, partition: i32, offset: i64) -> DeleteRecordsPartitionResult {
        let partitions = vec![DeleteRecordsPartition { partition_index: partition, offset }];
        let topics = vec![DeleteRecordsTopic { name: topic.name.clone(), partitions }];
        self.ask(2, DeleteRecordsRequest { topics, timeout_ms: TIMEOUT_MS }).topics.remove(0).partitions.remove(0)
    }

    /// Asks until the answer is the one hoped for: for what takes effect later in Kafka.
    pub fn ask_until<A: Ask + Clone>(&mut self, version: i16, request: &A, hoped: impl Fn(&A::Answer) -> bool) -> A::Answer {
        let mut last = None;
        until("the answer hoped for", || {
            let answer = self.ask(version, request.clone());
            hoped(&answer).then(|| last = Some(answer))
        });
        last.expect("until it has one")
    }
}

/// Tries again and again, for as long as a loaded machine may need.
pub fn until<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(result) = attempt() {
            return result;
        }
        assert!(Instant::now() < deadline, "too late: {what}");
        std::thread::yield_now();
    }
}

/// Produce with acks=all for partitions of one topic.
pub fn produce_request(topic: &Text, partitions: &[(i32, &[u8])]) -> ProduceRequest {
    let partition = |(index, bytes): &(i32, &[u8])| PartitionProduceData {
        index: *index,
        records: Some(Records::Inline(bytes::Bytes::copy_from_slice(bytes))),
    };
    let data = TopicProduceData {
        name: topic.clone(),
        partition_data: partitions.iter().map(partition).collect(),
        ..TopicProduceData::default()
    };
    ProduceRequest { transactional_id: None, acks: -1, timeout_ms: TIMEOUT_MS, topic_data: vec![data] }
}

/// Fetch without session and without waiting, for partitions of one topic.
pub fn fetch_request(topic: &Text, partitions: &[(i32, i64)]) -> FetchRequest {
    let partition = |(partition, fetch_offset): &(i32, i64)| FetchPartition {
        partition: *partition,
        fetch_offset: *fetch_offset,
        partition_max_bytes: 1 << 20,
        ..FetchPartition::default()
    };
    let topic =
        FetchTopic { topic: topic.clone(), partitions: partitions.iter().map(partition).collect(), ..FetchTopic::default() };
    FetchRequest { max_wait_ms: 0, min_bytes: 0, max_bytes: 50 << 20, topics: vec![topic], ..FetchRequest::default() }
}

/// The answer for the one partition asked about.
pub fn only_partition(mut response: ProduceResponse) -> PartitionProduceResponse {
    assert_eq!(response.responses.len(), 1);
    assert_eq!(response.responses[0].partition_responses.len(), 1);
    response.responses.remove(0).partition_responses.remove(0)
}

/// The data of the one partition asked about.
pub fn only_data(mut response: FetchResponse) -> PartitionData {
    assert_eq!(response.error_code, ErrorCode::None);
    assert_eq!(response.responses.len(), 1);
    assert_eq!(response.responses[0].partitions.len(), 1);
    response.responses.remove(0).partitions.remove(0)
}

/// The complete batches of a partition's data.
pub fn batches(data: &PartitionData) -> Vec<Batch> {
    data.records.as_ref().and_then(Records::inline).map(|bytes| Batch::read_all(bytes)).unwrap_or_default()
}

/// How many record bytes there are.
pub fn record_bytes(data: &PartitionData) -> usize {
    data.records.as_ref().map_or(0, Records::len)
}
