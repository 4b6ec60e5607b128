//! Topics are made and removed (kafka.md A01, A02, M11).

use super::*;
use crate::ConfigResource;
use crate::command::{DeleteTopics, ManualAssignment, TopicReference};
use flumen_log::{LeaderEpoch, PartitionIndex};

/// A partition and its brokers.
type Placed<'a> = (i32, &'a [i32]);
/// What came of each deletion.
type Deleted = Vec<Result<(String, TopicId), Refusal>>;

fn by_hand(partitions: &[Placed<'_>]) -> Vec<ManualAssignment> {
    let assignment = |(partition, brokers): &Placed<'_>| ManualAssignment {
        partition: *partition,
        brokers: brokers.iter().copied().map(BrokerId).collect(),
    };
    partitions.iter().map(assignment).collect()
}

fn delete(machine: &mut StateMachine, topics: Vec<TopicReference>) -> (Deleted, Delta) {
    let (response, delta) = machine.apply(Command::DeleteTopics(DeleteTopics { topics }));
    let CommandResponse::TopicsDeleted(outcomes) = response else { panic!("another command's answer: {response:?}") };
    (outcomes.into_iter().map(|topic| topic.outcome).collect(), delta)
}

#[test]
fn a_new_topic_has_leaders_at_epoch_zero_and_is_in_the_delta() {
    let mut machine = cluster(3);
    let mut asked = new_topic("t", 7, 4, 2);
    asked.configs = Vec::from([("retention.ms".into(), Some("5".into()))]);
    let (outcomes, delta) = create(&mut machine, Vec::from([asked]));
    let created = outcomes[0].1.clone().expect("created");
    assert_eq!((created.id, created.partitions, created.replication_factor), (topic_id(7), 4, 2));
    assert_eq!(created.configs["retention.ms"], "5");
    let made = topic(&machine, "t");
    assert_eq!(delta.topics_created, core::slice::from_ref(&made));
    assert!(delta.configs_changed.contains(&ConfigResource::Topic("t".into())));
    for partition in &made.partitions {
        assert_eq!(partition.leader, Some(partition.replicas[0]));
        assert_eq!(partition.isr, partition.replicas);
        assert_eq!((partition.leader_epoch, partition.partition_epoch), (LeaderEpoch(0), 0));
    }
    assert_eq!(made.numbered().map(|(index, _)| index).last(), Some(PartitionIndex(3)));
}

#[test]
fn minus_one_means_the_brokers_defaults() {
    let mut machine = cluster(3);
    let defaults = TopicDefaults { partitions: 5, replication_factor: 3 };
    let request = CreateTopics { topics: Vec::from([new_topic("t", 1, -1, -1)]), defaults, validate_only: false };
    machine.apply(Command::CreateTopics(request));
    let made = topic(&machine, "t");
    assert_eq!((made.partitions.len(), made.partitions[0].replicas.len()), (5, 3));
}

#[test]
fn faults_are_refused_in_kafkas_words_and_change_nothing() {
    let mut machine = cluster(1);
    create_one(&mut machine, new_topic("my.topic", 1, 1, 1)).expect("created");
    let before = machine.image().clone();
    let cases = [
        (new_topic("my.topic", 2, 1, 1), 36, "Topic 'my.topic' already exists."),
        (new_topic("my_topic", 2, 1, 1), 17, "Topic 'my_topic' collides with existing topic: my.topic"),
        (
            new_topic("a b", 2, 1, 1),
            17,
            "Topic name is invalid: 'a b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
        ),
        (new_topic("t", 2, 0, 1), 37, "Number of partitions was set to an invalid non-positive value."),
        (new_topic("t", 2, -2, 1), 37, "Number of partitions was set to an invalid non-positive value."),
        (new_topic("t", 2, 1, 0), 38, "Replication factor must be larger than 0, or -1 to use the default value."),
        (new_topic("t", 2, 1, -2), 38, "Replication factor must be larger than 0, or -1 to use the default value."),
        (
            new_topic("t", 2, 1, 2),
            38,
            "Unable to replicate the partition 2 time(s): The target replication factor of 2 cannot be reached because only 1 broker(s) are registered.",
        ),
        (new_topic("t", 2, 10_001, 1), 44, "Excessively large number of partitions per request."),
    ];
    for (asked, code, message) in cases {
        assert_eq!(reason(create_one(&mut machine, asked)), (code, message.into()));
    }
    for (value, code) in [(None, 40), (Some("x".into()), 40)] {
        let mut asked = new_topic("t", 2, 1, 1);
        asked.configs = Vec::from([("retention.ms".into(), value)]);
        assert_eq!(reason(create_one(&mut machine, asked)).0, code);
    }
    let mut asked = new_topic("t", 2, 1, 1);
    asked.configs = Vec::from([("no.such.key".into(), Some("1".into()))]);
    assert_eq!(reason(create_one(&mut machine, asked)), (40, "Unknown topic config name: no.such.key".into()));
    assert_eq!(*machine.image(), before);
}

#[test]
fn replicas_placed_by_hand_are_checked() {
    let mut machine = cluster(3);
    let cases: [(&[Placed<'_>], &str); 6] = [
        (&[(0, &[1]), (0, &[2])], "Found multiple manual partition assignments for partition 0"),
        (&[(0, &[1]), (2, &[2])], "partitions should be a consecutive 0-based integer sequence"),
        (&[(0, &[])], "The manual partition assignment includes an empty replica list."),
        (&[(0, &[9])], "The manual partition assignment includes broker 9, but no such broker is registered."),
        (&[(0, &[1, 1])], "The manual partition assignment includes the broker 1 more than once."),
        (
            &[(0, &[1, 2]), (1, &[3])],
            "The manual partition assignment includes a partition with 1 replica(s), but this is not consistent with \
             previous partitions, which have 2 replica(s).",
        ),
    ];
    for (assignments, message) in cases {
        let asked = NewTopic { assignments: by_hand(assignments), ..new_topic("t", 1, -1, -1) };
        assert_eq!(reason(create_one(&mut machine, asked)), (39, message.into()));
    }
    for (partitions, factor) in [(2, -1), (-1, 1)] {
        let asked = NewTopic { assignments: by_hand(&[(0, &[1])]), ..new_topic("t", 1, partitions, factor) };
        assert_eq!(reason(create_one(&mut machine, asked)).0, 42);
    }
    let asked = NewTopic { assignments: by_hand(&[(1, &[3, 1]), (0, &[2, 3])]), ..new_topic("t", 1, -1, -1) };
    create_one(&mut machine, asked).expect("created");
    assert_eq!(topic(&machine, "t").partitions[0].replicas, [BrokerId(2), BrokerId(3)]);
    assert_eq!(topic(&machine, "t").partitions[1].leader, Some(BrokerId(3)));
}

#[test]
fn a_name_asked_for_twice_is_refused_once_and_the_others_are_made() {
    let mut machine = cluster(1);
    let asked = Vec::from([new_topic("a", 1, 1, 1), new_topic("b", 2, 1, 1), new_topic("a", 3, 1, 1)]);
    let (outcomes, _) = create(&mut machine, asked);
    assert_eq!(outcomes.len(), 2);
    assert_eq!(reason(outcomes[0].1.clone()), (42, "Duplicate topic name.".into()));
    assert!(outcomes[1].1.is_ok());
    assert!(machine.image().topic("a").is_none());
}

#[test]
fn validation_only_changes_nothing_and_gives_no_id() {
    let mut machine = cluster(1);
    let before = machine.image().clone();
    let (response, delta) = machine.apply(creation(Vec::from([new_topic("t", 1, 3, 1)]), true));
    let CommandResponse::TopicsCreated(outcomes) = response else { panic!("another command's answer") };
    let would_be = outcomes[0].outcome.clone().expect("it would be made");
    assert_eq!((would_be.id, would_be.partitions), (TopicId::ZERO, 3));
    assert!(delta.is_empty());
    assert_eq!(*machine.image(), before);
}

#[test]
fn a_topic_made_again_has_another_id() {
    let mut machine = cluster(1);
    let mut asked = new_topic("t", 1, 1, 1);
    asked.configs = Vec::from([("retention.ms".into(), Some("5".into()))]);
    create_one(&mut machine, asked).expect("created");
    let (outcomes, delta) = delete(&mut machine, Vec::from([TopicReference::Name("t".into())]));
    assert_eq!(outcomes, [Ok(("t".into(), topic_id(1)))]);
    assert_eq!(delta.deleted_ids().collect::<Vec<_>>(), [topic_id(1)]);
    assert!(machine.image().configs.is_empty(), "its configuration goes with it");
    create_one(&mut machine, new_topic("t", 2, 1, 1)).expect("created again");
    assert_eq!(topic(&machine, "t").id, topic_id(2));
    let (outcomes, _) = delete(&mut machine, Vec::from([TopicReference::Id(topic_id(1))]));
    assert_eq!(reason(outcomes[0].clone()), (100, "This server does not host this topic ID.".into()));
}

#[test]
fn a_deleted_topic_is_remembered_until_every_replica_is_gone() {
    let mut machine = cluster(2);
    create_one(&mut machine, new_topic("t", 1, 3, 2)).expect("created");
    delete(&mut machine, Vec::from([TopicReference::Name("t".into())]));
    let leaving = |machine: &StateMachine| Delta::leaving(machine.image()).deleted_ids().collect::<Vec<_>>();
    assert_eq!(leaving(&machine), [topic_id(1)]);
    assert_eq!(reason(create_one(&mut machine, new_topic("other", 1, 1, 1))).0, 42, "nor is its id given again");
    create_one(&mut machine, new_topic("t", 2, 1, 1)).expect("its name is free");
    let epoch = |machine: &StateMachine, broker: i32| machine.image().brokers[&BrokerId(broker)].epoch;
    let mut forget = |broker: i32, stale: i64| {
        let broker_epoch = epoch(&machine, broker) - stale;
        let command = Command::ForgetTopics { broker: BrokerId(broker), broker_epoch, topics: Vec::from([topic_id(1)]) };
        let (response, delta) = machine.apply(command);
        assert!(delta.is_empty());
        (response, leaving(&machine))
    };
    assert!(matches!(forget(1, 1), (CommandResponse::Refused(_), left) if left == [topic_id(1)]), "an earlier life's word");
    assert_eq!(forget(1, 0), (CommandResponse::Done, Vec::from([topic_id(1)])), "the other broker has it still");
    assert_eq!(forget(2, 0), (CommandResponse::Done, Vec::new()));
    assert_eq!(topic(&machine, "t").id, topic_id(2));
}

#[test]
fn an_id_in_use_is_never_given_again() {
    let mut machine = cluster(1);
    create_one(&mut machine, new_topic("a", 1, 1, 1)).expect("created");
    assert_eq!(reason(create_one(&mut machine, new_topic("b", 1, 1, 1))).0, 42);
    assert_eq!(reason(create_one(&mut machine, new_topic("b", 0, 1, 1))).0, 42);
}

#[test]
fn deletions_of_unknown_and_repeated_topics_are_refused() {
    let mut machine = cluster(1);
    create_one(&mut machine, new_topic("t", 1, 1, 1)).expect("created");
    let name = || TopicReference::Name("t".into());
    let (outcomes, _) = delete(&mut machine, Vec::from([TopicReference::Name("none".into())]));
    assert_eq!(reason(outcomes[0].clone()).0, 3);
    let (outcomes, _) = delete(&mut machine, Vec::from([name(), name()]));
    assert_eq!(reason(outcomes[0].clone()), (42, "Duplicate topic name.".into()));
    let (outcomes, _) = delete(&mut machine, Vec::from([name(), TopicReference::Id(topic_id(1))]));
    assert_eq!(reason(outcomes[1].clone()).0, 42);
    assert!(machine.image().topic("t").is_some());
}
