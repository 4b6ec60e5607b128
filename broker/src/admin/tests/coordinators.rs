//! FindCoordinator and InitProducerId.

use super::{INNER, World, owned, texts};
use crate::admin::{coordinator_partition, refuse_producer_id};
use flumen_log::PartitionIndex;
use flumen_protocol::ErrorCode;
use flumen_protocol::find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};
use flumen_protocol::init_producer_id::InitProducerIdRequest;

fn batched(key_type: i8, keys: &[&str]) -> FindCoordinatorRequest {
    FindCoordinatorRequest { key_type, coordinator_keys: texts(keys), ..Default::default() }
}

#[test]
fn g17_the_first_search_makes_the_topic_of_offsets_and_is_told_to_come_again() {
    let mut world = World::with(&[("offsets.topic.num.partitions", "7")]);
    let response: FindCoordinatorResponse = world.ask(batched(0, &["g"]), 6);
    let coordinator = &response.coordinators[0];
    assert_eq!((coordinator.error_code, coordinator.node_id, coordinator.port), (ErrorCode::CoordinatorNotAvailable, -1, -1));
    let topic = world.image().topic("__consumer_offsets").expect("made");
    assert_eq!((topic.partitions.len(), topic.partitions[0].replicas.len()), (7, 1), "no more replicas than brokers");
    let set = world.image().topic_configs("__consumer_offsets").expect("its settings");
    assert_eq!(set["cleanup.policy"], "compact");
    assert_eq!(set["segment.bytes"], "104857600");
    let response: FindCoordinatorResponse = world.ask(batched(0, &["g"]), 6);
    let coordinator = &response.coordinators[0];
    assert_eq!((coordinator.error_code, coordinator.node_id, coordinator.host.as_str()), (ErrorCode::None, 1, "host1"));
    assert_eq!(world.proposed, 1);
}

#[test]
fn g17_several_groups_are_asked_for_at_once_since_version_4() {
    let mut world = World::new();
    world.create("__consumer_offsets", 3);
    let response: FindCoordinatorResponse = world.ask(batched(0, &["b", "a", "b", ""]), 4);
    let keys: alloc::vec::Vec<_> = response.coordinators.iter().map(|coordinator| coordinator.key.as_str()).collect();
    assert_eq!(keys, ["", "a", "b"]);
    assert!(response.coordinators.iter().all(|coordinator| coordinator.error_code.is_none()));
    let response: FindCoordinatorResponse = world.ask(batched(0, &[]), 6);
    assert!(response.coordinators.is_empty());
}

#[test]
fn g17_one_group_is_asked_for_before_version_4() {
    let mut world = World::new();
    world.create("__consumer_offsets", 3);
    for version in 0..=3 {
        let request = FindCoordinatorRequest { key: "g".into(), ..Default::default() };
        let response: FindCoordinatorResponse = world.ask(request, version);
        assert_eq!((response.error_code, response.node_id, response.port), (ErrorCode::None, 1, 9092));
        assert!(response.coordinators.is_empty());
    }
}

#[test]
fn g17_a_coordinator_that_cannot_be_reached_is_not_available() {
    let mut world = World::new();
    world.create("__consumer_offsets", 3);
    world.register(1, &["PLAINTEXT"]);
    let response: FindCoordinatorResponse = world.ask_on(INNER, batched(0, &["g"]), 6);
    assert_eq!(response.coordinators[0].error_code, ErrorCode::CoordinatorNotAvailable);
    assert_eq!(world.proposed, 1, "only the creation at the beginning");
}

#[test]
fn transactions_are_refused_with_an_error_nobody_retries_and_a_sentence() {
    let mut world = World::new();
    let response: FindCoordinatorResponse = world.ask(batched(1, &["t"]), 6);
    let error = response.coordinators[0].error_code;
    assert_eq!(error, ErrorCode::TransactionalIdAuthorizationFailed);
    assert!(!error.is_retriable());
    assert!(owned(&response.coordinators[0].error_message).contains("no transactions"));
    let single = FindCoordinatorRequest { key: "t".into(), key_type: 1, ..Default::default() };
    let response: FindCoordinatorResponse = world.ask(single, 3);
    assert_eq!(response.error_code, ErrorCode::TransactionalIdAuthorizationFailed);
    assert!(owned(&response.error_message).contains("no transactions"));
    assert_eq!(world.proposed, 0);
}

#[test]
fn other_kinds_of_coordinators_are_refused() {
    let mut world = World::new();
    for key_type in [2, 5, -1] {
        let response: FindCoordinatorResponse = world.ask(batched(key_type, &["g"]), 6);
        assert_eq!(response.coordinators[0].error_code, ErrorCode::InvalidRequest);
    }
}

#[test]
fn a_group_belongs_to_the_partition_java_computes() {
    // Computed by Kafka's own code. The hash of "my-group" is negative, that of "polygenelubricants" the lowest there is.
    for (group, partition) in
        [("g1", 42), ("console-consumer-1", 24), ("my-group", 12), ("ä", 28), ("𝄞", 44), ("", 0), ("polygenelubricants", 0)]
    {
        assert_eq!(coordinator_partition(group, 50), Some(PartitionIndex(partition)), "{group}");
    }
    assert_eq!(coordinator_partition("g", 0), None);
}

fn refused(transactional_id: Option<&str>, timeout_ms: i32, producer_id: i64, producer_epoch: i16) -> Option<ErrorCode> {
    let world = World::new();
    let request = InitProducerIdRequest {
        transactional_id: transactional_id.map(Into::into),
        transaction_timeout_ms: timeout_ms,
        producer_id,
        producer_epoch,
    };
    refuse_producer_id(&request, &world.settings, world.image()).map(|response| {
        assert_eq!((response.producer_id, response.producer_epoch), (-1, -1));
        response.error_code
    })
}

#[test]
fn t01_without_a_transactional_id_there_is_a_fresh_producer_id() {
    for timeout_ms in [0, -1, 60_000, i32::MAX] {
        assert_eq!(refused(None, timeout_ms, -1, -1), None, "the timeout means nothing here");
    }
    assert_eq!(refused(None, 0, 5, 5), None);
}

#[test]
fn t01_half_a_producer_or_an_empty_transactional_id_is_refused() {
    assert_eq!(refused(None, 0, 5, -1), Some(ErrorCode::InvalidRequest));
    assert_eq!(refused(None, 0, -1, 5), Some(ErrorCode::InvalidRequest));
    assert_eq!(refused(None, 0, -5, -1), Some(ErrorCode::InvalidRequest));
    assert_eq!(refused(Some(""), 60_000, -1, -1), Some(ErrorCode::InvalidRequest));
}

#[test]
fn t01_a_transactional_id_is_refused_for_good() {
    assert_eq!(refused(Some("t"), 0, -1, -1), Some(ErrorCode::InvalidTransactionTimeout));
    assert_eq!(refused(Some("t"), 900_001, -1, -1), Some(ErrorCode::InvalidTransactionTimeout));
    let error = refused(Some("t"), 60_000, -1, -1).expect("a refusal");
    assert_eq!(error, ErrorCode::TransactionalIdAuthorizationFailed);
    assert!(!error.is_retriable());
}

#[test]
fn g18_the_hash_is_javas() {
    // "polygenelubricants".hashCode() is Integer.MIN_VALUE.
    assert_eq!(coordinator_partition("polygenelubricants", 50), Some(PartitionIndex(0)));
    // "hello".hashCode() is 99162322.
    assert_eq!(coordinator_partition("hello", 50), Some(PartitionIndex(22)));
    assert_eq!(coordinator_partition("", 50), Some(PartitionIndex(0)));
}
