//! A broker of one topic, in memory, that fails on demand: what a real one does too rarely to be tested.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use flumen_log::batch::BatchHeader;
use flumen_protocol::api_versions::{ApiVersion, ApiVersionsResponse};
use flumen_protocol::fetch::{FetchRequest, FetchResponse, FetchableTopicResponse, PartitionData};
use flumen_protocol::init_producer_id::InitProducerIdResponse;
use flumen_protocol::list_offsets::{
    ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use flumen_protocol::metadata::{MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic};
use flumen_protocol::produce::{PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceResponse};
use flumen_protocol::{ApiKey, ErrorCode, Records, Request, Response, Text, Uuid, decode_request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const TOPIC: &str = "topic";
const TOPIC_ID: Uuid = Uuid([9; 16]);

/// What happens to the next produce request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// It is refused; the client should ask again.
    Refuse(ErrorCode),
    /// It is written and the connection breaks before the answer.
    WriteThenBreak,
    /// The connection breaks before it is written.
    Break,
}

/// The broker's state, to be looked at by tests.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) faults: VecDeque<Fault>,
    /// Each partition's batches as a fetch returns them.
    pub(crate) logs: BTreeMap<i32, Vec<Bytes>>,
    pub(crate) sequences: BTreeMap<(i64, i32), i32>,
    pub(crate) producers: i64,
    pub(crate) connections: usize,
    pub(crate) duplicates: usize,
}

impl State {
    pub(crate) fn end(&self, partition: i32) -> i64 {
        let last = self.logs.get(&partition).and_then(|log| log.last());
        last.map_or(0, |batch| {
            let header = BatchHeader::parse(batch).expect("a batch");
            header.base_offset.0 + i64::from(header.last_offset_delta) + 1
        })
    }

    fn write(&mut self, partition: i32, records: &Bytes) -> Result<i64, ErrorCode> {
        let header = BatchHeader::parse(records).expect("a batch");
        let base_offset = self.end(partition);
        if header.producer_id.0 >= 0 {
            let next = self.sequences.entry((header.producer_id.0, partition)).or_default();
            if header.base_sequence < *next {
                self.duplicates += 1;
                return Err(ErrorCode::DuplicateSequenceNumber);
            }
            if header.base_sequence > *next {
                return Err(ErrorCode::OutOfOrderSequenceNumber);
            }
            *next += header.record_count;
        }
        let mut batch = records.to_vec();
        batch[..8].copy_from_slice(&base_offset.to_be_bytes());
        self.logs.entry(partition).or_default().push(batch.into());
        Ok(base_offset)
    }
}

pub(crate) type Shared = Arc<Mutex<State>>;

/// Starts a broker of a topic with so many partitions; answers its address.
pub(crate) async fn start(partitions: i32, state: &Shared) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = i32::from(listener.local_addr().expect("an address").port());
    let state = Arc::clone(state);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            state.lock().expect("no test panics while it holds it").connections += 1;
            tokio::spawn(serve(stream, Broker { port, partitions, state: Arc::clone(&state) }));
        }
    });
    format!("127.0.0.1:{port}")
}

struct Broker {
    port: i32,
    partitions: i32,
    state: Shared,
}

async fn serve(mut stream: TcpStream, broker: Broker) {
    while let Ok(size) = stream.read_u32().await {
        let mut frame = vec![0; size as usize];
        if stream.read_exact(&mut frame).await.is_err() {
            return;
        }
        let (header, request) = decode_request(frame.into()).expect("a request");
        let Some(response) = broker.answer(request) else { return };
        let encoded = response.encode(header.version, header.correlation_id);
        if stream.write_all(&encoded.bytes).await.is_err() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

impl Broker {
    fn answer(&self, request: Request) -> Option<Response> {
        Some(match request {
            Request::ApiVersions(_) => {
                let key = |key: &ApiKey| ApiVersion {
                    api_key: key.code(),
                    min_version: *key.versions().start(),
                    max_version: *key.versions().end(),
                };
                ApiVersionsResponse { api_keys: ApiKey::ALL.iter().map(key).collect(), ..Default::default() }.into()
            }
            Request::Metadata(_) => self.metadata().into(),
            Request::InitProducerId(_) => {
                let mut state = self.state.lock().expect("no test panics while it holds it");
                state.producers += 1;
                InitProducerIdResponse { producer_id: state.producers, ..Default::default() }.into()
            }
            Request::Produce(produce) => self.produce(&produce)?.into(),
            Request::Fetch(fetch) => self.fetch(&fetch).into(),
            Request::ListOffsets(list) => self.list_offsets(&list).into(),
            other => panic!("not asked of this broker: {other:?}"),
        })
    }

    fn metadata(&self) -> MetadataResponse {
        let partition = |partition_index| MetadataResponsePartition { partition_index, leader_id: 1, ..Default::default() };
        let topic = MetadataResponseTopic {
            name: Some(Text::from(TOPIC)),
            topic_id: TOPIC_ID,
            partitions: (0..self.partitions).map(partition).collect(),
            ..Default::default()
        };
        let host = Text::from("127.0.0.1");
        let broker = MetadataResponseBroker { node_id: 1, host, port: self.port, rack: None };
        MetadataResponse { brokers: vec![broker], controller_id: 1, topics: vec![topic], ..Default::default() }
    }

    fn produce(&self, request: &ProduceRequest) -> Option<ProduceResponse> {
        let mut state = self.state.lock().expect("no test panics while it holds it");
        let fault = state.faults.pop_front();
        if matches!(fault, Some(Fault::Break)) {
            return None;
        }
        let mut partition_responses = Vec::new();
        for data in &request.topic_data[0].partition_data {
            let outcome = match fault {
                Some(Fault::Refuse(code)) => Err(code),
                _ => state.write(data.index, data.records.as_ref().and_then(Records::inline).expect("records")),
            };
            partition_responses.push(PartitionProduceResponse {
                index: data.index,
                error_code: outcome.err().unwrap_or(ErrorCode::None),
                base_offset: outcome.unwrap_or(-1),
                ..Default::default()
            });
        }
        if matches!(fault, Some(Fault::WriteThenBreak)) || request.acks == 0 {
            return None;
        }
        let response = TopicProduceResponse { topic_id: TOPIC_ID, partition_responses, ..Default::default() };
        Some(ProduceResponse { responses: vec![response], ..Default::default() })
    }

    fn fetch(&self, request: &FetchRequest) -> FetchResponse {
        let state = self.state.lock().expect("no test panics while it holds it");
        let mut partitions = Vec::new();
        for wanted in &request.topics[0].partitions {
            let end = state.end(wanted.partition);
            let mut data = PartitionData {
                partition_index: wanted.partition,
                high_watermark: end,
                last_stable_offset: end,
                log_start_offset: 0,
                ..Default::default()
            };
            if wanted.fetch_offset > end {
                data.error_code = ErrorCode::OffsetOutOfRange;
            }
            let mut bytes = Vec::new();
            for batch in state.logs.get(&wanted.partition).into_iter().flatten() {
                let header = BatchHeader::parse(batch).expect("a batch");
                let last = header.base_offset.0 + i64::from(header.last_offset_delta);
                // Two batches at a time, so that reading takes several fetches.
                if last >= wanted.fetch_offset && bytes.len() < 2 * batch.len() {
                    bytes.extend_from_slice(batch);
                }
            }
            data.records = Some(Records::Inline(bytes.into()));
            partitions.push(data);
        }
        let response = FetchableTopicResponse { topic_id: TOPIC_ID, partitions, ..Default::default() };
        FetchResponse { responses: vec![response], ..Default::default() }
    }

    fn list_offsets(&self, request: &ListOffsetsRequest) -> ListOffsetsResponse {
        let state = self.state.lock().expect("no test panics while it holds it");
        let topic = &request.topics[0];
        let partition = |wanted: &flumen_protocol::list_offsets::ListOffsetsPartition| ListOffsetsPartitionResponse {
            partition_index: wanted.partition_index,
            offset: if wanted.timestamp == -2 { 0 } else { state.end(wanted.partition_index) },
            ..Default::default()
        };
        let partitions = topic.partitions.iter().map(partition).collect();
        let topics = vec![ListOffsetsTopicResponse { name: topic.name.clone(), partitions }];
        ListOffsetsResponse { topics, ..Default::default() }
    }
}
