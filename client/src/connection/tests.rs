//! Connections against a broker that the test plays.

use std::time::Duration;

use flumen_protocol::api_versions::{ApiVersion, ApiVersionsResponse};
use flumen_protocol::metadata::{MetadataRequest, MetadataResponse};
use flumen_protocol::produce::ProduceRequest;
use flumen_protocol::{ErrorCode, Request, decode_request};
use tokio::io::{AsyncReadExt, DuplexStream, duplex};

use super::*;

/// The far end of a connection, played by a test.
struct Broker(DuplexStream);

impl Broker {
    async fn hears(&mut self) -> (flumen_protocol::RequestHeader, Request) {
        let frame = frame::read(&mut self.0, 1 << 20).await.expect("a frame");
        decode_request(frame).expect("a request")
    }

    async fn hears_raw(&mut self) -> (i16, i16, i32) {
        let frame = frame::read(&mut self.0, 1 << 20).await.expect("a frame");
        let number = |at: usize| i16::from_be_bytes([frame[at], frame[at + 1]]);
        (number(0), number(2), i32::from_be_bytes([frame[4], frame[5], frame[6], frame[7]]))
    }

    async fn says(&mut self, response: impl Into<Response>, version: i16, correlation_id: i32) {
        let encoded = response.into().encode(version, correlation_id);
        self.0.write_all(&encoded.bytes).await.expect("a reader");
    }
}

fn versions(code: ErrorCode, keys: &[(ApiKey, i16, i16)]) -> ApiVersionsResponse {
    let key = |(key, min_version, max_version): &(ApiKey, i16, i16)| ApiVersion {
        api_key: key.code(),
        min_version: *min_version,
        max_version: *max_version,
    };
    ApiVersionsResponse { error_code: code, api_keys: keys.iter().map(key).collect(), ..Default::default() }
}

const SERVED: [(ApiKey, i16, i16); 2] = [(ApiKey::Metadata, 0, 5), (ApiKey::Produce, 3, 9)];

async fn connected() -> (Connection, Broker) {
    let (near, far) = duplex(64 << 10);
    let mut broker = Broker(far);
    let options = ConnectionOptions { request_timeout: Duration::from_secs(30), ..Default::default() };
    let connecting = Connection::over(near, "broker:9092", options);
    let answering = async {
        let (header, request) = broker.hears().await;
        assert!(matches!(request, Request::ApiVersions(_)));
        assert_eq!(header.client_id.as_deref(), Some("flumen"));
        broker.says(versions(ErrorCode::None, &SERVED), header.version, header.correlation_id).await;
    };
    let (connection, ()) = tokio::join!(connecting, answering);
    (connection.expect("a connection"), broker)
}

fn answer(controller_id: i32) -> MetadataResponse {
    MetadataResponse { controller_id, ..Default::default() }
}

#[tokio::test]
async fn an_old_broker_is_asked_again_in_a_version_it_has() {
    for (offered, then) in [(&[(ApiKey::ApiVersions, 0i16, 2i16)][..], 2), (&[][..], 0)] {
        let (near, far) = duplex(64 << 10);
        let mut broker = Broker(far);
        let answering = async {
            let (key, version, correlation_id) = broker.hears_raw().await;
            assert_eq!((key, version), (18, *ApiKey::ApiVersions.versions().end()));
            broker.says(versions(ErrorCode::UnsupportedVersion, offered), 0, correlation_id).await;
            let (header, _) = broker.hears().await;
            assert_eq!(header.version, then);
            broker.says(versions(ErrorCode::None, &SERVED), then, header.correlation_id).await;
        };
        let (connection, ()) = tokio::join!(Connection::over(near, "old", ConnectionOptions::default()), answering);
        let connection = connection.expect("agreement");
        assert_eq!(connection.version_of::<MetadataRequest>(i16::MAX).unwrap(), 5);
        assert_eq!(connection.version_of::<MetadataRequest>(3).unwrap(), 3);
        let missing = connection.version_of::<flumen_protocol::fetch::FetchRequest>(i16::MAX);
        assert!(matches!(missing, Err(Error::Unsupported { request: "Fetch", .. })));
    }
}

#[tokio::test]
async fn pipelined_requests_get_their_own_answers() {
    let (connection, mut broker) = connected().await;
    let first = connection.begin(MetadataRequest::default(), i16::MAX).unwrap();
    let second = connection.begin(MetadataRequest::default(), i16::MAX).unwrap();
    let (one, _) = broker.hears().await;
    let (two, _) = broker.hears().await;
    assert!(one.correlation_id != two.correlation_id);
    // Kafka answers in order; the client does not depend on it.
    broker.says(answer(2), two.version, two.correlation_id).await;
    broker.says(answer(1), one.version, one.correlation_id).await;
    assert_eq!(first.await.unwrap().controller_id, 1);
    assert_eq!(second.await.unwrap().controller_id, 2);
}

#[tokio::test]
async fn a_produce_without_acknowledgement_ends_when_it_is_written() {
    let (connection, mut broker) = connected().await;
    let silent = connection.begin(ProduceRequest { acks: 0, ..Default::default() }, i16::MAX).unwrap();
    assert_eq!(silent.await.unwrap().responses.len(), 0);
    assert!(matches!(broker.hears().await.1, Request::Produce(request) if request.acks == 0));
    assert!(!connection.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_ends_the_connection() {
    let (connection, mut broker) = connected().await;
    let late = connection.begin(MetadataRequest::default(), i16::MAX).unwrap();
    let other = connection.begin(MetadataRequest::default(), i16::MAX).unwrap();
    let (late, other) = tokio::join!(late, other);
    assert!(matches!(late, Err(Error::TimedOut { request: "Metadata", .. })), "{late:?}");
    assert!(other.is_err_and(|problem| problem.is_retriable()));
    assert!(connection.is_closed());
    assert!(connection.call(MetadataRequest::default()).await.is_err());
    let (header, _) = broker.hears().await;
    assert_eq!(header.api_key, ApiKey::Metadata);
}

#[tokio::test]
async fn what_nobody_asked_for_ends_the_connection() {
    let (connection, mut broker) = connected().await;
    let waiting = connection.begin(MetadataRequest::default(), i16::MAX).unwrap();
    broker.says(answer(1), 5, 4711).await;
    let problem = waiting.await.unwrap_err();
    assert!(matches!(&problem, Error::Disconnected { reason, .. } if reason.contains("4711")), "{problem}");
    assert!(connection.is_closed());
}

#[tokio::test]
async fn an_answer_that_is_cut_short_is_malformed() {
    let (connection, mut broker) = connected().await;
    let waiting = connection.begin(MetadataRequest::default(), i16::MAX).unwrap();
    let (header, _) = broker.hears().await;
    let mut frame = vec![0, 0, 0, 6];
    frame.extend_from_slice(&header.correlation_id.to_be_bytes());
    frame.extend_from_slice(&[0, 0]);
    broker.0.write_all(&frame).await.unwrap();
    assert!(matches!(waiting.await, Err(Error::Malformed { .. })));
    assert!(connection.is_closed());
}

#[tokio::test]
async fn a_broker_that_goes_away_is_told_to_all_who_wait() {
    let (connection, mut broker) = connected().await;
    let waiting = connection.begin(MetadataRequest::default(), i16::MAX).unwrap();
    broker.hears().await;
    drop(broker);
    assert!(matches!(waiting.await, Err(Error::Disconnected { .. })));
}

#[tokio::test]
async fn a_dropped_connection_closes_the_stream() {
    let (connection, mut broker) = connected().await;
    let waiting = connection.begin(MetadataRequest::default(), i16::MAX).unwrap();
    drop(connection);
    assert!(waiting.await.is_err());
    let mut rest = Vec::new();
    broker.0.read_to_end(&mut rest).await.expect("an end");
}
