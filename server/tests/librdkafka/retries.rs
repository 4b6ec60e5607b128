//! Idempotence when answers are lost, and transactions that are not there yet.

use crate::harness::broker::Broker;
use crate::harness::client::Client;
use crate::harness::proxy::Proxy;
use crate::{LIMIT, config, flushed, producer, read, send};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::Offset;
use rdkafka::types::RDKafkaErrorCode;
use std::time::Instant;

/// Produces through a proxy that loses every third answer; what is in the log afterwards, in order.
fn produced_through_cuts(idempotent: bool) -> Option<(Vec<u32>, usize)> {
    let proxy = Proxy::listen(3);
    let advertised = format!("PLAINTEXT://{}", proxy.address());
    let broker = Broker::own(&[("advertised.listeners", &advertised)])?;
    proxy.forward_to(broker.address());
    let topic = Client::to(&broker).topic("cut");
    let idempotence = if idempotent { "true" } else { "false" };
    let settings = [
        ("enable.idempotence", idempotence),
        ("acks", "all"),
        ("batch.num.messages", "10"),
        ("linger.ms", "1"),
        ("retries", "1000"),
        ("retry.backoff.ms", "5"),
        ("reconnect.backoff.ms", "5"),
        ("reconnect.backoff.max.ms", "20"),
        ("max.in.flight.requests.per.connection", "5"),
    ];
    let (producer, reports) = producer(&proxy.address().to_string(), &settings);
    for number in 0u32..500 {
        send(&producer, BaseRecord::to(&topic.name).payload(&number.to_be_bytes()).key(&[]));
    }
    assert_eq!(flushed(&producer, &reports).len(), 500, "everything is acknowledged in the end");
    let end = Client::to(&broker).list_offset(&topic, 0, -1).offset;
    let read = read(&proxy.address().to_string(), &topic, 0, Offset::Beginning, usize::try_from(end).unwrap());
    let numbers = read.iter().map(|message| u32::from_be_bytes(message.payload().unwrap().try_into().unwrap())).collect();
    Some((numbers, proxy.cuts()))
}

#[test]
fn an_idempotent_producer_writes_once_though_answers_are_lost() {
    let Some((numbers, cuts)) = produced_through_cuts(true) else { return };
    assert!(cuts >= 5, "{cuts} answers were lost: too few to mean anything");
    assert_eq!(numbers, (0..500).collect::<Vec<u32>>(), "each once, in order");
}

/// The control: without idempotence the same cuts do leave duplicates, so the test above can fail.
#[test]
fn without_idempotence_lost_answers_leave_duplicates() {
    let Some((numbers, cuts)) = produced_through_cuts(false) else { return };
    assert!(cuts >= 5, "{cuts} answers were lost: too few to mean anything");
    assert!(numbers.len() > 500, "{} records after {cuts} cuts", numbers.len());
}

#[test]
fn transactions_are_refused_at_once_and_for_good() {
    let Some(broker) = Broker::own(&[]) else { return };
    let producer: BaseProducer = config(&broker.bootstrap()).set("transactional.id", "id").create().unwrap();
    let started = Instant::now();
    let KafkaError::Transaction(error) = producer.init_transactions(LIMIT).unwrap_err() else { panic!("another kind of error") };
    assert!(started.elapsed() < LIMIT, "not by running out of time");
    assert_eq!(error.code(), RDKafkaErrorCode::TransactionalIdAuthorizationFailed);
    assert!(!error.is_retriable());
}
