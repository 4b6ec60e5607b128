//! Idempotent producers: P16–P21, T01.

use crate::harness::batch::Batch;
use crate::harness::broker::{Broker, external};
use crate::harness::client::{Client, Topic};
use flumen_protocol::ErrorCode;
use flumen_protocol::describe_producers::{DescribeProducersRequest, TopicRequest};
use flumen_protocol::init_producer_id::InitProducerIdRequest;

/// One record of a producer.
fn numbered(producer: (i64, i16), sequence: i32) -> Batch {
    Batch::of(&[&format!("sequence {sequence}")]).by_producer(producer.0, producer.1, sequence)
}

fn code(client: &mut Client, topic: &Topic, batch: &Batch) -> ErrorCode {
    client.produce(topic, 0, batch).error_code
}

#[test]
fn p16_a_duplicate_of_the_last_five_batches_gets_its_offset_again() {
    let mut client = Client::shared();
    let topic = client.topic("duplicates");
    let producer = client.producer_id();
    for sequence in 0..7 {
        assert_eq!(client.append(&topic, 0, &numbered(producer, sequence)), i64::from(sequence));
    }
    for sequence in [6, 2, 4, 3, 5] {
        assert_eq!(client.append(&topic, 0, &numbered(producer, sequence)), i64::from(sequence));
    }
    assert_eq!(client.list_offset(&topic, 0, -1).offset, 7, "nothing was appended again");
}

#[test]
fn p17_a_gap_and_a_duplicate_too_old_are_out_of_order() {
    let mut client = Client::shared();
    let topic = client.topic("gaps");
    let producer = client.producer_id();
    for sequence in 0..7 {
        client.append(&topic, 0, &numbered(producer, sequence));
    }
    for sequence in [8, 100, 1, 0] {
        assert_eq!(code(&mut client, &topic, &numbered(producer, sequence)), ErrorCode::OutOfOrderSequenceNumber, "{sequence}");
    }
    // The same first sequence, but another last: not a duplicate.
    let longer = Batch::of(&["a", "b"]).by_producer(producer.0, producer.1, 6);
    assert_eq!(code(&mut client, &topic, &longer), ErrorCode::OutOfOrderSequenceNumber);
    client.append(&topic, 0, &numbered(producer, 7));
}

#[test]
fn p18_a_new_epoch_starts_at_zero_and_fences_the_old() {
    let mut client = Client::shared();
    let topic = client.topic("epochs");
    let (producer_id, epoch) = client.producer_id();
    client.append(&topic, 0, &numbered((producer_id, epoch), 0));
    let next = (producer_id, epoch + 1);
    assert_eq!(code(&mut client, &topic, &numbered(next, 1)), ErrorCode::OutOfOrderSequenceNumber);
    client.append(&topic, 0, &numbered(next, 0));
    assert_eq!(code(&mut client, &topic, &numbered((producer_id, epoch), 1)), ErrorCode::InvalidProducerEpoch);
}

#[test]
fn p19_an_unknown_producer_may_start_anywhere() {
    let mut client = Client::shared();
    let topic = client.topic("anywhere");
    let producer = client.producer_id();
    assert_eq!(client.append(&topic, 0, &numbered(producer, 17)), 0);
    assert_eq!(client.append(&topic, 0, &numbered(producer, 18)), 1);
    assert_eq!(code(&mut client, &topic, &numbered(producer, 20)), ErrorCode::OutOfOrderSequenceNumber);
}

#[test]
fn p20_sequences_wrap_to_zero() {
    let mut client = Client::shared();
    let topic = client.topic("wrap");
    let (producer_id, epoch) = client.producer_id();
    let batch = |sequence| Batch::of(&["one", "two"]).by_producer(producer_id, epoch, sequence);
    client.append(&topic, 0, &batch(i32::MAX - 3));
    client.append(&topic, 0, &batch(i32::MAX - 1));
    assert_eq!(client.append(&topic, 0, &batch(0)), 4);
    assert_eq!(client.append(&topic, 0, &batch(i32::MAX - 1)), 2, "a duplicate from before the wrap");
    let topic = client.topic("wrap-within");
    client.append(&topic, 0, &batch(i32::MAX));
    assert_eq!(client.append(&topic, 0, &batch(1)), 2, "the wrap lay within the batch");
}

#[test]
fn p21_what_is_known_of_producers_survives() {
    let Some(mut broker) = Broker::own(&[]) else { return };
    let mut client = Client::to(&broker);
    let topic = client.topic("survives");
    let producer = client.producer_id();
    for sequence in 0..3 {
        client.append(&topic, 0, &numbered(producer, sequence));
    }
    for clean in [false, true, false] {
        broker = if clean { broker.stop().0.start() } else { broker.kill().start() };
        let mut client = Client::to(&broker);
        assert_eq!(client.append(&topic, 0, &numbered(producer, 2)), 2, "a duplicate (clean: {clean})");
        assert_eq!(code(&mut client, &topic, &numbered(producer, 9)), ErrorCode::OutOfOrderSequenceNumber);
        assert_ne!(client.producer_id().0, producer.0, "ids are never given twice");
    }
    assert_eq!(Client::to(&broker).append(&topic, 0, &numbered(producer, 3)), 3);
}

#[test]
fn p21_a_producer_can_be_described() {
    let mut client = Client::shared();
    let topic = client.topic("described");
    let producer = client.producer_id();
    client.append(&topic, 0, &numbered(producer, 0));
    client.append(&topic, 0, &numbered(producer, 1).at(1_700_000_000_000));
    let topics = vec![TopicRequest { name: topic.name, partition_indexes: vec![0] }];
    let response = client.ask(0, DescribeProducersRequest { topics });
    let partition = &response.topics[0].partitions[0];
    assert_eq!(partition.error_code, ErrorCode::None);
    let found = &partition.active_producers[0];
    assert_eq!((found.producer_id, found.producer_epoch, found.last_sequence), (producer.0, i32::from(producer.1), 1));
    assert_eq!(found.last_timestamp, 1_700_000_000_000, "the last batch's, not when it came");
    let topics = vec![TopicRequest { name: "no/name".into(), partition_indexes: vec![0] }];
    let illegal = client.ask(0, DescribeProducersRequest { topics });
    assert_eq!(illegal.topics[0].partitions[0].error_code, ErrorCode::InvalidTopicException);
}

#[test]
fn t01_producer_ids_are_fresh() {
    let mut client = Client::shared();
    let (first, epoch) = client.producer_id();
    assert_eq!(epoch, 0);
    let (second, _) = client.another().producer_id();
    assert_ne!(first, second);
    assert!(first >= 0 && second >= 0);
}

#[test]
fn t01_requests_that_make_no_sense_are_refused() {
    let mut client = Client::shared();
    let request = InitProducerIdRequest { transactional_id: None, transaction_timeout_ms: 60_000, ..Default::default() };
    let mut ask = |request: InitProducerIdRequest| client.ask(4, request).error_code;
    let empty = InitProducerIdRequest { transactional_id: Some("".into()), ..request.clone() };
    assert_eq!(ask(empty), ErrorCode::InvalidRequest);
    assert_eq!(ask(InitProducerIdRequest { producer_id: 5, ..request.clone() }), ErrorCode::InvalidRequest);
    assert_eq!(ask(InitProducerIdRequest { producer_epoch: 5, ..request.clone() }), ErrorCode::InvalidRequest);
}

/// Flumen has no transactions yet, and says so for good: never an error that a client would retry.
#[test]
fn t01_a_transactional_id_is_refused_for_good() {
    if external().is_some() {
        return;
    }
    let request =
        InitProducerIdRequest { transactional_id: Some("id".into()), transaction_timeout_ms: 60_000, ..Default::default() };
    assert_eq!(Client::shared().ask(4, request).error_code, ErrorCode::TransactionalIdAuthorizationFailed);
}
