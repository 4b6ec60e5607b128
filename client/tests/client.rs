//! Producer and consumer against a broker in memory that fails on demand.

mod fake;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fake::{Fault, Shared, State, TOPIC};
use flumen_client::{
    Acks, Cluster, ClusterOptions, Codec, Consumer, ConsumerOptions, Error, ErrorCode, Header, Isolation, Position, Producer,
    ProducerOptions, ProducerRecord,
};

fn options() -> ProducerOptions {
    ProducerOptions { batch_bytes: 200, linger: Duration::from_millis(1), ..ProducerOptions::default() }
}

async fn cluster(partitions: i32, faults: &[Fault]) -> (Cluster, Shared) {
    let state: Shared = Arc::new(Mutex::new(State { faults: faults.iter().copied().collect(), ..State::default() }));
    let address = fake::start(partitions, &state).await;
    let mut options = ClusterOptions::new([address]);
    options.retry_timeout = Duration::from_secs(10);
    (Cluster::connect(options).await.expect("a cluster"), state)
}

/// Sends numbered records and waits for all of them.
async fn produce(producer: &Producer, count: u32, partition: i32) -> Vec<Result<i64, Error>> {
    let mut deliveries = Vec::new();
    for number in 0..count {
        let record = ProducerRecord::new(TOPIC, format!("{number}")).to_partition(partition);
        deliveries.push(producer.send(&record).await.expect("taken"));
    }
    let mut offsets = Vec::new();
    for delivery in deliveries {
        offsets.push(delivery.acknowledged().await.map(|acknowledged| acknowledged.offset));
    }
    offsets
}

/// All values of a partition, read by a consumer.
async fn read(cluster: &Cluster, partition: i32, count: usize) -> Vec<String> {
    let mut consumer = Consumer::new(cluster.clone(), ConsumerOptions::default());
    consumer.assign([((Arc::from(TOPIC), partition), Position::Earliest)]).await.expect("assigned");
    let mut values = Vec::new();
    while values.len() < count {
        let fetched = consumer.next().await.expect("a fetch");
        for record in fetched.records {
            values.push(String::from_utf8(record.value.expect("a value").to_vec()).expect("text"));
        }
    }
    values
}

fn numbers(count: u32) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

#[tokio::test]
async fn what_is_produced_is_consumed_in_every_codec() {
    for codec in Codec::ALL {
        let (cluster, _) = cluster(2, &[]).await;
        let producer = Producer::new(cluster.clone(), ProducerOptions { codec, ..options() }).unwrap();
        let offsets: Vec<i64> = produce(&producer, 50, 1).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(offsets, (0..50).collect::<Vec<i64>>());
        assert_eq!(read(&cluster, 1, 50).await, numbers(50), "{codec:?}");
        producer.close().await;
    }
}

#[tokio::test]
async fn an_idempotent_producer_writes_once_whatever_breaks() {
    let faults = [
        Fault::WriteThenBreak,
        Fault::Refuse(ErrorCode::NotLeaderOrFollower),
        Fault::Break,
        Fault::WriteThenBreak,
        Fault::Refuse(ErrorCode::NotEnoughReplicas),
    ];
    let (cluster, state) = cluster(1, &faults).await;
    let producer = Producer::new(cluster.clone(), options()).unwrap();
    for (number, outcome) in produce(&producer, 100, 0).await.into_iter().enumerate() {
        let offset = outcome.unwrap_or_else(|problem| panic!("record {number}: {problem}"));
        assert!(offset == -1 || offset == i64::try_from(number).unwrap(), "record {number} at {offset}");
    }
    assert_eq!(read(&cluster, 0, 100).await, numbers(100));
    let state = state.lock().unwrap();
    assert!(state.duplicates > 0 && state.connections > 2, "the faults did not happen");
    assert_eq!(state.end(0), 100);
}

#[tokio::test]
async fn without_idempotence_order_holds_through_retries() {
    let faults = [Fault::Refuse(ErrorCode::NotLeaderOrFollower), Fault::Refuse(ErrorCode::LeaderNotAvailable)];
    let (cluster, _) = cluster(1, &faults).await;
    let plain = ProducerOptions { acks: Acks::Leader, idempotent: false, ..options() };
    let producer = Producer::new(cluster.clone(), plain).unwrap();
    assert!(produce(&producer, 40, 0).await.iter().all(Result::is_ok));
    assert_eq!(read(&cluster, 0, 40).await, numbers(40));
}

#[tokio::test]
async fn a_rejected_batch_fails_alone_and_the_rest_goes_on() {
    let (cluster, state) = cluster(1, &[Fault::Refuse(ErrorCode::MessageTooLarge)]).await;
    let producer = Producer::new(cluster.clone(), options()).unwrap();
    let outcomes = produce(&producer, 60, 0).await;
    let failed = outcomes.iter().filter(|outcome| outcome.is_err()).count();
    assert!(failed > 0 && failed < 60, "{failed}");
    for outcome in &outcomes[..failed] {
        assert_eq!(outcome.as_ref().unwrap_err().code(), Some(ErrorCode::MessageTooLarge));
    }
    assert_eq!(read(&cluster, 0, 60 - failed).await, numbers(60)[failed..]);
    assert_eq!(state.lock().unwrap().producers, 2, "a lost sequence needs a new id");
}

#[tokio::test]
async fn keys_and_headers_arrive_and_keys_choose_partitions() {
    let (cluster, state) = cluster(7, &[]).await;
    let producer = Producer::new(cluster.clone(), options()).unwrap();
    let mut record = ProducerRecord::new(TOPIC, "value").keyed("abc");
    record.headers.push(Header::new("h", "1"));
    record.headers.push(Header { key: String::from("n"), value: None });
    record.timestamp = Some(42);
    let delivery = producer.send(&record).await.unwrap();
    producer.flush().await;
    let acknowledged = delivery.acknowledged().await.unwrap();
    let partition = flumen_client::murmur2::partition_of(b"abc", 7).unwrap();
    assert_eq!((acknowledged.partition, acknowledged.offset, acknowledged.timestamp), (partition, 0, 42));
    assert_eq!(state.lock().unwrap().logs.keys().copied().collect::<Vec<_>>(), [partition]);
    let mut consumer = Consumer::new(cluster, ConsumerOptions { isolation: Isolation::ReadCommitted, ..Default::default() });
    consumer.assign([((Arc::from(TOPIC), partition), Position::At(0))]).await.unwrap();
    let fetched = consumer.next().await.unwrap();
    assert_eq!(fetched.records[0].headers, record.headers);
    assert_eq!((fetched.next_offset, fetched.high_watermark), (1, 1));
}

#[tokio::test]
async fn keyless_records_reach_every_partition() {
    let (cluster, state) = cluster(4, &[]).await;
    let producer = Producer::new(cluster, options()).unwrap();
    for _ in 0..400 {
        producer.send(&ProducerRecord::new(TOPIC, "some value")).await.unwrap();
    }
    producer.close().await;
    let state = state.lock().unwrap();
    let counts: BTreeMap<i32, i64> = (0..4).map(|partition| (partition, state.end(partition))).collect();
    assert!(counts.values().all(|count| *count > 20) && counts.values().sum::<i64>() == 400, "{counts:?}");
}

#[tokio::test]
async fn without_acknowledgement_nothing_is_known_but_that_it_left() {
    let (cluster, state) = cluster(1, &[]).await;
    let silent = ProducerOptions { acks: Acks::None, idempotent: false, ..options() };
    let producer = Producer::new(cluster, silent).unwrap();
    let delivery = producer.send(&ProducerRecord::new(TOPIC, "x")).await.unwrap();
    assert_eq!(delivery.acknowledged().await.unwrap().offset, -1);
    producer.close().await;
    assert!(state.lock().unwrap().end(0) <= 1);
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_at_once() {
    let (cluster, _) = cluster(2, &[]).await;
    let small = ProducerOptions { request_bytes_max: 1024, ..options() };
    let producer = Producer::new(cluster.clone(), small).unwrap();
    let large = ProducerRecord::new(TOPIC, vec![0u8; 2000]);
    assert!(matches!(producer.send(&large).await, Err(Error::RecordTooLarge { limit: 1024, .. })));
    let nowhere = ProducerRecord::new(TOPIC, "x").to_partition(2);
    assert!(matches!(producer.send(&nowhere).await, Err(Error::UnknownPartition { partitions: 2, .. })));
    for wrong in [
        ProducerOptions { acks: Acks::Leader, ..options() },
        ProducerOptions { max_in_flight: 6, ..options() },
        ProducerOptions { max_in_flight: 0, idempotent: false, ..options() },
    ] {
        assert!(matches!(Producer::new(cluster.clone(), wrong), Err(Error::Options(_))));
    }
}

#[tokio::test]
async fn a_dropped_producer_leaves_nobody_waiting() {
    let (cluster, _) = cluster(1, &[]).await;
    let slow = ProducerOptions { linger: Duration::from_secs(3600), ..options() };
    let producer = Producer::new(cluster, slow).unwrap();
    let delivery = producer.send(&ProducerRecord::new(TOPIC, "x")).await.unwrap();
    drop(producer);
    assert!(matches!(delivery.acknowledged().await, Err(Error::Closed)));
}

#[tokio::test]
async fn reading_past_the_end_says_which_offsets_there_are() {
    let (cluster, _) = cluster(1, &[]).await;
    let mut consumer = Consumer::new(cluster, ConsumerOptions::default());
    consumer.assign([((Arc::from(TOPIC), 0), Position::At(5))]).await.unwrap();
    let problem = consumer.next().await.unwrap_err();
    assert_eq!(problem.code(), Some(ErrorCode::OffsetOutOfRange));
    assert!(problem.to_string().contains("0 to 0, not 5"), "{problem}");
}

#[tokio::test]
async fn nobody_there_is_said_at_once() {
    // A port that was just free: nothing listens on it.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let problem = Cluster::connect(ClusterOptions::new([address.as_str()])).await.unwrap_err();
    assert!(problem.to_string().contains(&address), "{problem}");
}
