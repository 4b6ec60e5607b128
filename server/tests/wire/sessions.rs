//! Fetch sessions (KIP-227): S01–S06.

use crate::harness::batch::Batch;
use crate::harness::broker::Broker;
use crate::harness::client::{Client, FETCH, Topic, batches, fetch_request, record_bytes};
use flumen_protocol::ErrorCode;
use flumen_protocol::fetch::{FetchRequest, FetchResponse, ForgottenTopic};

/// A session as its client knows it.
struct Session {
    client: Client,
    id: i32,
    epoch: i32,
}

impl Session {
    /// Opens a session over these partitions.
    fn open(mut client: Client, topic: &Topic, partitions: &[(i32, i64)]) -> (Self, FetchResponse) {
        let response = client.ask(FETCH, FetchRequest { session_epoch: 0, ..fetch_request(&topic.name, partitions) });
        assert_eq!(response.error_code, ErrorCode::None);
        assert_ne!(response.session_id, 0, "a session was made");
        (Self { client, id: response.session_id, epoch: 1 }, response)
    }

    /// The next fetch of the session, of what changed only.
    fn next(&mut self, change: impl FnOnce(&mut FetchRequest)) -> FetchResponse {
        let mut request = FetchRequest { session_id: self.id, session_epoch: self.epoch, ..fetch_request(&"".into(), &[]) };
        request.topics.clear();
        change(&mut request);
        self.epoch += 1;
        self.client.ask(FETCH, request)
    }
}

/// Partitions in an answer.
fn indexes(response: &FetchResponse) -> Vec<i32> {
    response.responses.iter().flat_map(|topic| topic.partitions.iter().map(|data| data.partition_index)).collect()
}

#[test]
fn s01_a_full_fetch_opens_a_session_and_a_final_one_closes_it() {
    let mut client = Client::shared();
    let topic = client.topic("session");
    let sessionless = client.ask(FETCH, fetch_request(&topic.name, &[(0, 0)]));
    assert_eq!(sessionless.session_id, 0, "epoch -1 wants none");
    let (mut session, opened) = Session::open(client, &topic, &[(0, 0)]);
    assert_eq!(indexes(&opened), [0]);
    session.epoch = -1;
    let last = session.next(|request| request.topics = fetch_request(&topic.name, &[(0, 0)]).topics);
    assert_eq!((last.error_code, last.session_id), (ErrorCode::None, 0));
    session.epoch = 1;
    assert_eq!(session.next(|_| ()).error_code, ErrorCode::FetchSessionIdNotFound);
}

#[test]
fn s01_epoch_0_with_an_id_replaces_the_session() {
    let mut client = Client::shared();
    let topic = client.topic("replaced");
    let (mut session, _) = Session::open(client, &topic, &[(0, 0)]);
    let old = session.id;
    session.epoch = 0;
    let response = session.next(|request| request.topics = fetch_request(&topic.name, &[(0, 0)]).topics);
    assert_eq!(response.error_code, ErrorCode::None);
    assert!(response.session_id != 0 && response.session_id != old);
    session.epoch = 1;
    assert_eq!(session.next(|_| ()).error_code, ErrorCode::FetchSessionIdNotFound);
}

#[test]
fn s02_an_unknown_session_or_a_wrong_epoch_is_refused_as_a_whole() {
    let mut client = Client::shared();
    let topic = client.topic("refused");
    let (mut session, _) = Session::open(client, &topic, &[(0, 0)]);
    for epoch in [2, 17] {
        session.epoch = epoch;
        let response = session.next(|_| ());
        assert_eq!(response.error_code, ErrorCode::InvalidFetchSessionEpoch);
        assert!(response.responses.is_empty());
    }
    session.epoch = 1;
    session.id ^= 0x0555_5555;
    let response = session.next(|_| ());
    assert_eq!((response.error_code, response.session_id), (ErrorCode::FetchSessionIdNotFound, 0));
    assert!(response.responses.is_empty());
}

#[test]
fn s03_the_epoch_goes_up_by_one() {
    let mut client = Client::shared();
    let topic = client.topic("steps");
    let (mut session, _) = Session::open(client, &topic, &[(0, 0)]);
    for _ in 0..5 {
        assert_eq!(session.next(|_| ()).error_code, ErrorCode::None);
    }
    session.epoch -= 1;
    assert_eq!(session.next(|_| ()).error_code, ErrorCode::InvalidFetchSessionEpoch);
}

#[test]
fn s04_only_what_changed_is_sent() {
    let mut client = Client::shared();
    let topic = client.topic_with("changed", 3, &[]);
    let mut producer = client.another();
    let (mut session, opened) = Session::open(client, &topic, &[(0, 0), (1, 0), (2, 0)]);
    assert_eq!(indexes(&opened).len(), 3, "a full fetch is answered in full");
    assert!(indexes(&session.next(|_| ())).is_empty());
    producer.append(&topic, 1, &Batch::of(&["value"]));
    let response = session.next(|_| ());
    assert_eq!(indexes(&response), [1]);
    assert_eq!(batches(&response.responses[0].partitions[0]).len(), 1);
    let moved_on = session.next(|request| request.topics = fetch_request(&topic.name, &[(1, 1)]).topics);
    assert!(indexes(&moved_on).is_empty(), "{moved_on:?}");
    producer.delete_records(&topic, 1, 1);
    let response = session.next(|_| ());
    assert_eq!(response.responses[0].partitions[0].log_start_offset, 1);
    assert!(indexes(&session.next(|_| ())).is_empty());
}

#[test]
fn s04_an_error_is_repeated_until_it_is_gone() {
    let mut client = Client::shared();
    let topic = client.topic("erring");
    let mut producer = client.another();
    let (mut session, _) = Session::open(client, &topic, &[(0, 0)]);
    for _ in 0..2 {
        let response = session.next(|request| request.topics = fetch_request(&topic.name, &[(0, 1)]).topics);
        assert_eq!(response.responses[0].partitions[0].error_code, ErrorCode::OffsetOutOfRange);
    }
    producer.append(&topic, 0, &Batch::of(&["value"]));
    let response = session.next(|_| ());
    let data = &response.responses[0].partitions[0];
    assert_eq!((data.error_code, data.high_watermark), (ErrorCode::None, 1), "healthy again, and said so without data");
}

#[test]
fn s05_forgotten_partitions_are_left_and_an_empty_session_is_closed() {
    let mut client = Client::shared();
    let topic = client.topic_with("forgotten", 2, &[]);
    let mut producer = client.another();
    let (mut session, _) = Session::open(client, &topic, &[(0, 0), (1, 0)]);
    let forget =
        |partition: i32| vec![ForgottenTopic { topic: topic.name.clone(), partitions: vec![partition], ..Default::default() }];
    session.next(|request| request.forgotten_topics_data = forget(0));
    producer.append(&topic, 0, &Batch::of(&["unseen"]));
    producer.append(&topic, 1, &Batch::of(&["seen"]));
    assert_eq!(indexes(&session.next(|_| ())), [1]);
    let emptied = session.next(|request| request.forgotten_topics_data = forget(1));
    assert_eq!((emptied.error_code, emptied.session_id), (ErrorCode::None, 0));
    assert_eq!(session.next(|_| ()).error_code, ErrorCode::FetchSessionIdNotFound);
}

/// The limit is the broker's; how its shards divide it is theirs, so one connection may get less than all of it.
#[test]
fn s05_sessions_are_limited_in_number() {
    let Some(broker) = Broker::own(&[("max.incremental.fetch.session.cache.slots", "8")]) else { return };
    let mut client = Client::to(&broker);
    let topic = client.topic("slots");
    let ids: Vec<i32> = (0..12)
        .map(|_| client.ask(FETCH, FetchRequest { session_epoch: 0, ..fetch_request(&topic.name, &[(0, 0)]) }).session_id)
        .collect();
    let given = ids.iter().take_while(|id| **id != 0).count();
    assert!((1..=8).contains(&given), "{ids:?}");
    assert!(ids[given..].iter().all(|id| *id == 0), "sessions younger than two minutes are not pushed out: {ids:?}");
}

#[test]
fn s06_a_session_loses_no_data_to_a_limit() {
    let mut client = Client::shared();
    let topic = client.topic_with("fair", 3, &[]);
    for partition in 0..3 {
        client.append(&topic, partition, &Batch::sized(5_000));
        client.append(&topic, partition, &Batch::sized(5_000));
    }
    let (mut session, _) = Session::open(client, &topic, &[]);
    // Room for one batch at a time: partitions that sent data go to the back, so all have their turn.
    let mut order = Vec::new();
    let mut positions = [0i64; 3];
    let mut change = fetch_request(&topic.name, &[(0, 0), (1, 0), (2, 0)]).topics;
    for _ in 0..6 {
        let response = session.next(|request| {
            request.max_bytes = 1;
            request.topics = std::mem::take(&mut change);
        });
        let data: Vec<_> =
            response.responses.iter().flat_map(|topic| &topic.partitions).filter(|data| record_bytes(data) > 0).collect();
        assert_eq!(data.len(), 1, "{response:?}");
        let partition = data[0].partition_index;
        order.push(partition);
        positions[usize::try_from(partition).unwrap()] = batches(data[0])[0].last_offset() + 1;
        change = fetch_request(&topic.name, &[(partition, positions[usize::try_from(partition).unwrap()])]).topics;
    }
    assert_eq!(positions, [2, 2, 2]);
    assert_eq!(order, [0, 1, 2, 0, 1, 2]);
}
