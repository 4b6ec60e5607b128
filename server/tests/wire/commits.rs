//! Offsets committed by standalone consumers: O01–O03, O05, O06, G01, G17.

use crate::harness::broker::{Broker, external};
use crate::harness::client::{Client, Topic, fresh, until};
use flumen_protocol::find_coordinator::FindCoordinatorRequest;
use flumen_protocol::offset_commit::{OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use flumen_protocol::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics, OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions,
};
use flumen_protocol::{ErrorCode, Text, Uuid};

fn commit_of(group: &Text, topic: &Topic, offset: i64) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition {
        partition_index: 0,
        committed_offset: offset,
        committed_leader_epoch: 3,
        committed_metadata: Some("a note".into()),
    };
    let topics = vec![OffsetCommitRequestTopic { name: topic.name.clone(), topic_id: topic.id, partitions: vec![partition] }];
    OffsetCommitRequest { group_id: group.clone(), topics, ..Default::default() }
}

/// Commits, with the coordinator's loading waited for; what the only partition says.
fn commit(client: &mut Client, version: i16, request: &OffsetCommitRequest) -> ErrorCode {
    let code = |response: &flumen_protocol::offset_commit::OffsetCommitResponse| response.topics[0].partitions[0].error_code;
    code(&client.ask_until(version, request, |response| !is_loading(code(response))))
}

fn is_loading(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::CoordinatorLoadInProgress | ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable)
}

/// What is committed for the only partition, at version 7.
fn committed(client: &mut Client, group: &Text, topic: &Topic) -> OffsetFetchResponsePartition {
    let topics = vec![OffsetFetchRequestTopic { name: topic.name.clone(), partition_indexes: vec![0] }];
    let request = OffsetFetchRequest { group_id: group.clone(), topics: Some(topics), ..Default::default() };
    let mut response = client.ask_until(7, &request, |response| !is_loading(response.error_code));
    assert_eq!(response.error_code, ErrorCode::None);
    response.topics.remove(0).partitions.remove(0)
}

/// A group whose coordinator is ready.
fn group(client: &mut Client) -> Text {
    let group = fresh("group");
    let request = FindCoordinatorRequest { key: group.clone(), ..Default::default() };
    client.ask_until(3, &request, |response| response.error_code == ErrorCode::None);
    group
}

#[test]
fn o01_a_standalone_consumer_commits_without_a_generation() {
    let mut client = Client::shared();
    let (topic, group) = (client.topic("simple"), group(&mut client));
    for (offset, version) in (10..).zip(2..=9) {
        let mut request = commit_of(&group, &topic, offset);
        if version < 6 {
            request.topics[0].partitions[0].committed_leader_epoch = -1;
        }
        assert_eq!(commit(&mut client, version, &request), ErrorCode::None, "version {version}");
        assert_eq!(committed(&mut client, &group, &topic).committed_offset, offset);
    }
}

#[test]
fn o01_a_generation_needs_a_group_that_has_it() {
    let mut client = Client::shared();
    let topic = client.topic("generation");
    let group = group(&mut client);
    let request =
        OffsetCommitRequest { generation_id_or_member_epoch: 4, member_id: "member".into(), ..commit_of(&group, &topic, 1) };
    assert_eq!(commit(&mut client, 9, &request), ErrorCode::GroupIdNotFound);
    assert_eq!(commit(&mut client, 8, &request), ErrorCode::IllegalGeneration);
}

#[test]
fn o02_unknown_partitions_and_overlong_notes_are_refused() {
    let mut client = Client::shared();
    let (topic, group) = (client.topic("notes"), group(&mut client));
    let unknown = Topic { name: fresh("unknown"), id: Uuid::ZERO };
    assert_eq!(commit(&mut client, 9, &commit_of(&group, &unknown, 1)), ErrorCode::UnknownTopicOrPartition);
    let mut request = commit_of(&group, &topic, 1);
    request.topics[0].partitions[0].partition_index = 9;
    assert_eq!(commit(&mut client, 9, &request), ErrorCode::UnknownTopicOrPartition);
    let mut with_note = |length: usize| {
        let mut request = commit_of(&group, &topic, 1);
        request.topics[0].partitions[0].committed_metadata = Some("n".repeat(length).into());
        commit(&mut client, 9, &request)
    };
    assert_eq!(with_note(4096), ErrorCode::None);
    assert_eq!(with_note(4097), ErrorCode::OffsetMetadataTooLarge);
}

#[test]
fn o02_note_and_leader_epoch_come_back() {
    let mut client = Client::shared();
    let (topic, group) = (client.topic("round-trip"), group(&mut client));
    assert_eq!(commit(&mut client, 9, &commit_of(&group, &topic, 42)), ErrorCode::None);
    let found = committed(&mut client, &group, &topic);
    assert_eq!((found.committed_offset, found.committed_leader_epoch), (42, 3));
    assert_eq!(found.metadata.as_deref(), Some("a note"));
}

#[test]
fn o02_commits_survive_a_kill() {
    let Some(broker) = Broker::own(&[]) else { return };
    let mut client = Client::to(&broker);
    let (topic, group) = (client.topic("survives"), group(&mut client));
    for offset in 0..20 {
        assert_eq!(commit(&mut client, 9, &commit_of(&group, &topic, offset)), ErrorCode::None);
    }
    let broker = broker.kill().start();
    let mut client = Client::to(&broker);
    let found = committed(&mut client, &group, &topic);
    assert_eq!((found.committed_offset, found.metadata.as_deref()), (19, Some("a note")));
    let broker = broker.stop().0.start();
    assert_eq!(committed(&mut Client::to(&broker), &group, &topic).committed_offset, 19);
}

#[test]
fn o03_nothing_committed_is_no_error() {
    let mut client = Client::shared();
    let (topic, group) = (client.topic("nothing"), group(&mut client));
    for _ in 0..2 {
        let found = committed(&mut client, &group, &topic);
        assert_eq!((found.error_code, found.committed_offset, found.committed_leader_epoch), (ErrorCode::None, -1, -1));
        assert_eq!(found.metadata.as_deref(), Some(""));
    }
}

#[test]
fn o03_null_means_all_and_version_8_takes_several_groups() {
    let mut client = Client::shared();
    let (first, second) = (client.topic("first"), client.topic("second"));
    let (group_a, group_b) = (group(&mut client), group(&mut client));
    commit(&mut client, 9, &commit_of(&group_a, &first, 1));
    commit(&mut client, 9, &commit_of(&group_a, &second, 2));
    commit(&mut client, 9, &commit_of(&group_b, &first, 3));
    let all = OffsetFetchRequest { group_id: group_a.clone(), topics: None, ..Default::default() };
    assert_eq!(client.ask(2, all).topics.len(), 2);
    let asked = |group: &Text| OffsetFetchRequestGroup { group_id: group.clone(), topics: None, ..Default::default() };
    let response = client.ask(8, OffsetFetchRequest { groups: vec![asked(&group_a), asked(&group_b)], ..Default::default() });
    let found: Vec<(Text, usize)> = response.groups.iter().map(|group| (group.group_id.clone(), group.topics.len())).collect();
    assert_eq!(found, [(group_a, 2), (group_b, 1)]);
    assert!(response.groups.iter().all(|group| group.error_code == ErrorCode::None));
}

/// Versions 2 to 4 carry a retention of their own; the sweep runs often here.
#[test]
fn o05_a_commit_expires_when_its_time_is_over() {
    let settings = [("offsets.retention.check.interval.ms", "100")];
    let Some(broker) = Broker::own(&settings) else { return };
    let mut client = Client::to(&broker);
    let (topic, group) = (client.topic("expires"), group(&mut client));
    let mut brief = OffsetCommitRequest { retention_time_ms: 1, ..commit_of(&group, &topic, 5) };
    brief.topics[0].partitions[0].committed_leader_epoch = -1;
    assert_eq!(commit(&mut client, 4, &brief), ErrorCode::None);
    until("the commit is gone", || (committed(&mut client, &group, &topic).committed_offset == -1).then_some(()));
    assert_eq!(commit(&mut client, 9, &commit_of(&group, &topic, 6)), ErrorCode::None);
    let broker = broker.kill().start();
    assert_eq!(committed(&mut Client::to(&broker), &group, &topic).committed_offset, 6, "seven days are not over");
}

#[test]
fn o06_version_10_knows_topics_by_id() {
    let mut client = Client::shared();
    let (topic, group) = (client.topic("by-id"), group(&mut client));
    assert_eq!(commit(&mut client, 10, &commit_of(&group, &topic, 8)), ErrorCode::None);
    let unknown = Topic { name: topic.name.clone(), id: Uuid([5; 16]) };
    assert_eq!(commit(&mut client, 10, &commit_of(&group, &unknown, 8)), ErrorCode::UnknownTopicId);
    let mut fetch = |topic_id| {
        let topics = vec![OffsetFetchRequestTopics { name: Text::default(), topic_id, partition_indexes: vec![0] }];
        let groups = vec![OffsetFetchRequestGroup { group_id: group.clone(), topics: Some(topics), ..Default::default() }];
        let mut response = client.ask(10, OffsetFetchRequest { groups, ..Default::default() });
        let mut topic = response.groups.remove(0).topics.remove(0);
        (topic.topic_id, topic.partitions.remove(0))
    };
    let (id, found): (Uuid, OffsetFetchResponsePartitions) = fetch(topic.id);
    assert_eq!((id, found.committed_offset), (topic.id, 8));
    assert_eq!(fetch(Uuid([5; 16])).1.error_code, ErrorCode::UnknownTopicId);
}

#[test]
fn g01_an_empty_group_id_is_for_old_style_commits_only() {
    let mut client = Client::shared();
    let topic = client.topic("unnamed");
    group(&mut client);
    assert_eq!(commit(&mut client, 9, &commit_of(&"".into(), &topic, 7)), ErrorCode::None);
    assert_eq!(committed(&mut client, &"".into(), &topic).committed_offset, 7);
}

#[test]
fn g17_a_coordinator_is_found_once_its_topic_is_made() {
    let Some(broker) = Broker::own(&[]) else { return };
    let mut client = Client::to(&broker);
    let single = FindCoordinatorRequest { key: "group".into(), ..Default::default() };
    assert_eq!(client.ask(3, single.clone()).error_code, ErrorCode::CoordinatorNotAvailable, "it is being made");
    let found = client.ask_until(3, &single, |response| response.error_code == ErrorCode::None);
    assert_eq!(u16::try_from(found.port).unwrap(), broker.address().port());
}

#[test]
fn g17_coordinators_are_found_in_batches() {
    let mut client = Client::shared();
    group(&mut client);
    let keys = vec!["one".into(), "two".into()];
    let response = client.ask(6, FindCoordinatorRequest { coordinator_keys: keys, ..Default::default() });
    assert_eq!(response.coordinators.len(), 2);
    for coordinator in &response.coordinators {
        assert_eq!(coordinator.error_code, ErrorCode::None);
        assert!(coordinator.node_id >= 0 && coordinator.port > 0);
    }
    let unknown_kind = FindCoordinatorRequest { key_type: 17, coordinator_keys: vec!["one".into()], ..Default::default() };
    let response = client.ask(4, unknown_kind);
    assert_eq!(response.coordinators[0].error_code, ErrorCode::InvalidRequest);
}

/// Flumen has no transactions yet, and says so for good.
#[test]
fn g17_a_transaction_coordinator_is_refused_for_good() {
    if external().is_some() {
        return;
    }
    let request = FindCoordinatorRequest { key: "id".into(), key_type: 1, ..Default::default() };
    let response = Client::shared().ask(3, request);
    assert_eq!(response.error_code, ErrorCode::TransactionalIdAuthorizationFailed);
}

/// As Kafka: what one batch of the offsets topic cannot hold is refused, and a group named twice is told once.
#[test]
fn o02_a_commit_fits_a_batch_and_a_group_is_told_once() {
    let mut client = Client::shared();
    let group = group(&mut client);
    let topic = client.topic_with("noted", 300, &[]);
    let commit_all = |count: i32| {
        let partitions = (0..count).map(|partition_index| OffsetCommitRequestPartition {
            partition_index,
            committed_offset: 5,
            committed_leader_epoch: -1,
            committed_metadata: Some("x".repeat(4000).into()),
        });
        let topics =
            vec![OffsetCommitRequestTopic { partitions: partitions.collect(), ..commit_of(&group, &topic, 0).topics[0].clone() }];
        OffsetCommitRequest { topics, ..commit_of(&group, &topic, 0) }
    };
    assert_eq!(commit(&mut client, 8, &commit_all(300)), ErrorCode::UnknownServerError);
    assert_eq!(commit(&mut client, 8, &commit_all(200)), ErrorCode::None);
    if external().is_none() {
        let groups = vec![OffsetFetchRequestGroup { group_id: group.clone(), topics: None, ..Default::default() }; 1000];
        let request = OffsetFetchRequest { groups, ..Default::default() };
        let response = client.ask_until(8, &request, |response| !is_loading(response.groups[0].error_code));
        assert_eq!(response.groups[0].topics[0].partitions.len(), 200);
        assert!(
            response.groups[1..].iter().all(|group| group.error_code == ErrorCode::InvalidRequest && group.topics.is_empty())
        );
    }
}
