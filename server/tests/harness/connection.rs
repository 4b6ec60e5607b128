//! One TCP connection that speaks frames: asks typed questions, or sends any bytes at all.
//!
//! Reading has a limit in time, so that a test that waits for an answer that never comes fails instead of hanging.

use super::broker::Broker;
use bytes::Bytes;
use flumen_protocol as protocol;
use flumen_protocol::{ApiKey, Request, Response};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// Longest wait for bytes.
const READ_LIMIT: Duration = Duration::from_secs(30);

/// A request with the answer it gets.
pub trait Ask {
    type Answer;
    const KEY: ApiKey;
    fn request(self) -> Request;
    fn answer(response: Response) -> Self::Answer;
}

macro_rules! asks {
    ($($name:ident: $module:ident::$request:ident => $response:ident;)*) => {
        $(
            impl Ask for protocol::$module::$request {
                type Answer = protocol::$module::$response;
                const KEY: ApiKey = ApiKey::$name;

                fn request(self) -> Request {
                    Request::$name(self)
                }

                fn answer(response: Response) -> Self::Answer {
                    match response {
                        Response::$name(answer) => answer,
                        other => panic!("an answer to another question: {other:?}"),
                    }
                }
            }
        )*
    };
}

asks! {
    Produce: produce::ProduceRequest => ProduceResponse;
    Fetch: fetch::FetchRequest => FetchResponse;
    ListOffsets: list_offsets::ListOffsetsRequest => ListOffsetsResponse;
    Metadata: metadata::MetadataRequest => MetadataResponse;
    OffsetCommit: offset_commit::OffsetCommitRequest => OffsetCommitResponse;
    OffsetFetch: offset_fetch::OffsetFetchRequest => OffsetFetchResponse;
    FindCoordinator: find_coordinator::FindCoordinatorRequest => FindCoordinatorResponse;
    ApiVersions: api_versions::ApiVersionsRequest => ApiVersionsResponse;
    CreateTopics: create_topics::CreateTopicsRequest => CreateTopicsResponse;
    DeleteTopics: delete_topics::DeleteTopicsRequest => DeleteTopicsResponse;
    DeleteRecords: delete_records::DeleteRecordsRequest => DeleteRecordsResponse;
    InitProducerId: init_producer_id::InitProducerIdRequest => InitProducerIdResponse;
    OffsetForLeaderEpoch: offset_for_leader_epoch::OffsetForLeaderEpochRequest => OffsetForLeaderEpochResponse;
    DescribeConfigs: describe_configs::DescribeConfigsRequest => DescribeConfigsResponse;
    AlterConfigs: alter_configs::AlterConfigsRequest => AlterConfigsResponse;
    DescribeLogDirs: describe_log_dirs::DescribeLogDirsRequest => DescribeLogDirsResponse;
    CreatePartitions: create_partitions::CreatePartitionsRequest => CreatePartitionsResponse;
    IncrementalAlterConfigs: incremental_alter_configs::IncrementalAlterConfigsRequest => IncrementalAlterConfigsResponse;
    DescribeCluster: describe_cluster::DescribeClusterRequest => DescribeClusterResponse;
    DescribeProducers: describe_producers::DescribeProducersRequest => DescribeProducersResponse;
    DescribeTopicPartitions: describe_topic_partitions::DescribeTopicPartitionsRequest => DescribeTopicPartitionsResponse;
}

/// A connection, with the number of its next request.
pub struct Connection {
    stream: TcpStream,
    next: i32,
    client_id: Option<String>,
}

impl Connection {
    pub fn open(broker: &Broker) -> Self {
        let stream = TcpStream::connect(broker.address()).expect("the broker listens");
        stream.set_nodelay(true).expect("a socket option");
        stream.set_read_timeout(Some(READ_LIMIT)).expect("a socket option");
        Self { stream, next: 0, client_id: Some("flumen-test".to_owned()) }
    }

    /// The same under another client id, or none.
    pub fn calling_itself(mut self, client_id: Option<&str>) -> Self {
        self.client_id = client_id.map(ToOwned::to_owned);
        self
    }

    /// Sends a request and reads its answer.
    pub fn ask<A: Ask>(&mut self, version: i16, request: A) -> A::Answer {
        let number = self.send(version, request);
        self.answer::<A>(version, number)
    }

    /// Sends a request; its number comes back with the answer.
    pub fn send<A: Ask>(&mut self, version: i16, request: A) -> i32 {
        let number = self.number();
        let frame = request.request().encode(version, number, self.client_id.as_deref()).expect("a request that can be said");
        self.send_bytes(&frame);
        number
    }

    /// A request as it goes over the wire, with a number of the caller's.
    pub fn encode<A: Ask>(version: i16, request: A, number: i32) -> Bytes {
        request.request().encode(version, number, Some("flumen-test")).expect("a request that can be said")
    }

    /// Reads the next answer, which must be the one to the request of that number.
    pub fn answer<A: Ask>(&mut self, version: i16, number: i32) -> A::Answer {
        let frame = self.frame().expect("an answer, not an end");
        let (correlation_id, response) = protocol::decode_response(A::KEY, version, frame).expect("an answer that can be read");
        assert_eq!(correlation_id, number, "answers come in the order of their requests");
        A::answer(response)
    }

    pub fn number(&mut self) -> i32 {
        self.next += 1;
        self.next
    }

    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the connection takes bytes");
    }

    /// Sends bytes that may meet a connection that is closed already.
    pub fn try_send_bytes(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Sends bytes for as long as the other side takes them; whether it took them all. A frame cut short ends the connection's use.
    pub fn push_bytes(&mut self, mut bytes: &[u8]) -> bool {
        self.stream.set_write_timeout(Some(Duration::from_millis(50))).expect("a socket option");
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(_) => return false,
            }
        }
        true
    }

    /// Reads up to so many bytes of whatever comes.
    pub fn read_some(&mut self, bytes: usize) {
        let mut buffer = vec![0; bytes];
        let count = self.stream.read(&mut buffer).expect("bytes come");
        assert!(count > 0, "the connection has ended");
    }

    /// A frame of one's own making: size, then these bytes.
    pub fn send_frame(&mut self, bytes: &[u8]) {
        let size = i32::try_from(bytes.len()).expect("a frame of a size");
        self.send_bytes(&[&size.to_be_bytes()[..], bytes].concat());
    }

    /// The next frame without its size; `None` when the broker has closed the connection.
    pub fn frame(&mut self) -> Option<Bytes> {
        let mut size = [0; 4];
        if !self.fill(&mut size) {
            return None;
        }
        let mut frame = vec![0; usize::try_from(i32::from_be_bytes(size)).expect("a size")];
        assert!(self.fill(&mut frame), "the connection ends within a frame");
        Some(frame.into())
    }

    /// Fills the buffer, or says that the connection is closed.
    fn fill(&mut self, mut buffer: &mut [u8]) -> bool {
        while !buffer.is_empty() {
            match self.stream.read(buffer) {
                Ok(0) => return false,
                Ok(count) => buffer = &mut buffer[count..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => return false,
                Err(error) => panic!("no answer: {error}"),
            }
        }
        true
    }

    /// Asserts that the broker closes the connection without another word.
    pub fn expect_closed(&mut self) {
        if let Some(frame) = self.frame() {
            panic!("an answer instead of an end: {frame:?}");
        }
    }

    /// Whether nothing arrives within this time.
    pub fn is_silent_for(&mut self, time: Duration) -> bool {
        self.stream.set_read_timeout(Some(time)).expect("a socket option");
        let mut byte = [0];
        let silent = match self.stream.peek(&mut byte) {
            Ok(_) => false,
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        };
        self.stream.set_read_timeout(Some(READ_LIMIT)).expect("a socket option");
        silent
    }

    /// No more requests will come.
    pub fn finish(&mut self) {
        self.stream.shutdown(Shutdown::Write).expect("a socket can be shut");
    }
}
