//! Long polls: F06.

use crate::harness::batch::Batch;
use crate::harness::broker::{Broker, external};
use crate::harness::client::{Client, FETCH, Topic, fetch_request, only_data, record_bytes};
use flumen_protocol::ErrorCode;
use flumen_protocol::fetch::FetchRequest;
use std::time::{Duration, Instant};

/// Long enough that a test that waits for it has failed.
const LONG_MS: i32 = 25_000;
/// What "at once" may take on a loaded machine.
const SOON: Duration = Duration::from_secs(15);

fn waiting(topic: &Topic, partitions: &[(i32, i64)], min_bytes: i32) -> FetchRequest {
    FetchRequest { max_wait_ms: LONG_MS, min_bytes, ..fetch_request(&topic.name, partitions) }
}

#[test]
fn f06_a_fetch_waits_for_data_and_is_woken_by_it() {
    let mut client = Client::shared();
    let topic = client.topic_with("woken", 4, &[]);
    let mut reader = client.another();
    let sent = reader.send(FETCH, waiting(&topic, &[(0, 0), (1, 0), (2, 0), (3, 0)], 1));
    assert!(reader.is_silent_for(Duration::from_millis(100)));
    let started = Instant::now();
    client.append(&topic, 2, &Batch::of(&["value"]));
    let response = reader.answer::<FetchRequest>(FETCH, sent);
    assert!(started.elapsed() < SOON);
    let filled: Vec<i32> =
        response.responses[0].partitions.iter().filter(|data| record_bytes(data) > 0).map(|data| data.partition_index).collect();
    assert_eq!(filled, [2]);
}

#[test]
fn f06_a_fetch_waits_no_longer_than_it_says() {
    let mut client = Client::shared();
    let topic = client.topic("max-wait");
    let started = Instant::now();
    let data = only_data(client.ask(FETCH, FetchRequest { max_wait_ms: 300, ..waiting(&topic, &[(0, 0)], 1) }));
    assert!((Duration::from_millis(290)..SOON).contains(&started.elapsed()), "{:?}", started.elapsed());
    assert_eq!((data.error_code, record_bytes(&data)), (ErrorCode::None, 0));
}

#[test]
fn f06_min_bytes_is_a_sum_over_partitions() {
    let mut client = Client::shared();
    let topic = client.topic_with("sum", 2, &[]);
    let size = i32::try_from(Batch::sized(1000).encode().len()).unwrap();
    let mut reader = client.another();
    let sent = reader.send(FETCH, waiting(&topic, &[(0, 0), (1, 0)], 2 * size));
    client.append(&topic, 0, &Batch::sized(1000));
    assert!(reader.is_silent_for(Duration::from_millis(200)), "half of it is there");
    client.append(&topic, 1, &Batch::sized(1000));
    let response = reader.answer::<FetchRequest>(FETCH, sent);
    assert!(response.responses[0].partitions.iter().all(|data| record_bytes(data) > 0));
}

#[test]
fn f06_an_error_is_answered_at_once() {
    let mut client = Client::shared();
    let topic = client.topic_with("error", 2, &[]);
    let started = Instant::now();
    let response = client.ask(FETCH, waiting(&topic, &[(0, 0), (1, 99)], 1));
    assert_eq!(response.responses[0].partitions[1].error_code, ErrorCode::OffsetOutOfRange);
    if external().is_none() {
        // Kafka lets the partitions it knows wait all the same.
        let unknown = client.ask(FETCH, waiting(&topic, &[(0, 0), (7, 0)], 1));
        let code =
            |index: i32| unknown.responses[0].partitions.iter().find(|data| data.partition_index == index).unwrap().error_code;
        assert_eq!((code(0), code(7)), (ErrorCode::None, ErrorCode::UnknownTopicOrPartition));
    }
    assert!(started.elapsed() < SOON);
}

#[test]
fn f06_nothing_to_wait_for_is_answered_at_once() {
    let mut client = Client::shared();
    let topic = client.topic("nothing");
    let started = Instant::now();
    client.ask(FETCH, waiting(&topic, &[(0, 0)], 0));
    client.ask(FETCH, FetchRequest { max_wait_ms: 0, ..waiting(&topic, &[(0, 0)], 1) });
    client.ask(FETCH, FetchRequest { topics: Vec::new(), ..waiting(&topic, &[], 1) });
    assert!(started.elapsed() < SOON);
}

#[test]
fn f06_only_what_a_partition_may_send_counts() {
    let mut client = Client::shared();
    let topic = client.topic("capped");
    for _ in 0..4 {
        client.append(&topic, 0, &Batch::sized(1000));
    }
    // Plenty is there, but no more than 1500 bytes of it may be sent: 4000 are never reached, and the wait ends by time.
    let mut request = FetchRequest { max_wait_ms: 300, ..waiting(&topic, &[(0, 0)], 4000) };
    request.topics[0].partitions[0].partition_max_bytes = 1500;
    let started = Instant::now();
    let data = only_data(client.ask(FETCH, request));
    assert!(started.elapsed() >= Duration::from_millis(290), "{:?}", started.elapsed());
    assert!(record_bytes(&data) > 0);
}

#[test]
fn f06_no_more_is_waited_for_than_the_answer_may_hold() {
    let mut client = Client::shared();
    let topic = client.topic("bounded");
    client.append(&topic, 0, &Batch::sized(1000));
    let started = Instant::now();
    let data = only_data(client.ask(FETCH, FetchRequest { max_bytes: 500, ..waiting(&topic, &[(0, 0)], 1 << 20) }));
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    assert!(record_bytes(&data) > 0);
}

#[test]
fn f06_a_clean_stop_ends_the_wait() {
    let Some(broker) = Broker::own(&[]) else { return };
    let mut client = Client::to(&broker);
    let topic = client.topic("stopped");
    let mut reader = Client::to(&broker);
    let sent = reader.send(FETCH, waiting(&topic, &[(0, 0)], 1));
    assert!(reader.is_silent_for(Duration::from_millis(100)));
    let (_, status) = broker.stop();
    assert!(status.success());
    let data = only_data(reader.answer::<FetchRequest>(FETCH, sent));
    assert_eq!((data.error_code, record_bytes(&data)), (ErrorCode::None, 0));
    reader.expect_closed();
}

#[test]
fn f06_a_deleted_topic_ends_the_wait() {
    use flumen_protocol::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
    let mut client = Client::shared();
    let topic = client.topic("deleted");
    let mut reader = client.another();
    let sent = reader.send(FETCH, waiting(&topic, &[(0, 0)], 1));
    assert!(reader.is_silent_for(Duration::from_millis(50)));
    let topics = vec![DeleteTopicState { name: Some(topic.name.clone()), ..Default::default() }];
    let started = Instant::now();
    client.ask(6, DeleteTopicsRequest { topics, timeout_ms: 30_000, ..Default::default() });
    let data = only_data(reader.answer::<FetchRequest>(FETCH, sent));
    assert!(started.elapsed() < SOON, "it was the deletion that ended the wait");
    let gone = [ErrorCode::UnknownTopicOrPartition, ErrorCode::NotLeaderOrFollower];
    assert!(gone.contains(&data.error_code), "{data:?}");
}
