//! Topics grow (kafka.md A03), and in-sync sets change.

use super::*;
use crate::command::{AlterPartition, CreatePartitions, ManualAssignment, MorePartitions};
use flumen_log::{LeaderEpoch, PartitionIndex, TopicPartition};

/// A topic, its new number of partitions, and where the new ones go.
type Growth<'a> = (&'a str, i32, Option<&'a [&'a [i32]]>);

fn grow(machine: &mut StateMachine, topics: &[Growth<'_>]) -> (Vec<Result<(), Refusal>>, Delta) {
    let brokers = |list: &&[i32]| list.iter().copied().map(BrokerId).collect();
    let more = |(name, count, assignments): &Growth<'_>| MorePartitions {
        name: (*name).into(),
        count: *count,
        assignments: assignments.map(|lists| lists.iter().map(brokers).collect()),
    };
    let request = CreatePartitions { topics: topics.iter().map(more).collect(), validate_only: false };
    let (response, delta) = machine.apply(Command::CreatePartitions(request));
    let CommandResponse::PartitionsCreated(outcomes) = response else { panic!("another command's answer") };
    (outcomes.into_iter().map(|topic| topic.outcome).collect(), delta)
}

#[test]
fn topics_only_grow() {
    let mut machine = cluster(2);
    create_one(&mut machine, new_topic("t", 1, 3, 2)).expect("created");
    let before = topic(&machine, "t");
    let (outcomes, delta) = grow(&mut machine, &[("t", 5, None), ("none", 2, None)]);
    assert_eq!(outcomes[0], Ok(()));
    assert_eq!(reason(outcomes[1].clone()).0, 3);
    let after = topic(&machine, "t");
    assert_eq!(after.partitions[..3], before.partitions[..], "what was there stays as it was");
    assert!(after.partitions[3..].iter().all(|partition| partition.replicas.len() == 2 && partition.leader.is_some()));
    let created: Vec<_> = delta.partitions_created.iter().map(|id| id.partition).collect();
    assert_eq!(created, [PartitionIndex(3), PartitionIndex(4)]);
    let cases = [
        (4, "The topic t currently has 5 partition(s); 4 would not be an increase."),
        (5, "Topic already has 5 partition(s)."),
        (-1, "The topic t currently has 5 partition(s); -1 would not be an increase."),
    ];
    for (count, message) in cases {
        assert_eq!(reason(grow(&mut machine, &[("t", count, None)]).0.remove(0)), (37, message.into()));
    }
    assert_eq!(reason(grow(&mut machine, &[("t", 10_006, None)]).0.remove(0)).0, 44);
    assert_eq!(reason(grow(&mut machine, &[("t", 6, None), ("t", 7, None)]).0.remove(0)).0, 42);
    assert_eq!(topic(&machine, "t"), after);
}

#[test]
fn partitions_placed_by_hand_match_those_there_are() {
    let mut machine = cluster(3);
    create_one(&mut machine, new_topic("t", 1, 1, 2)).expect("created");
    let refused: [&[&[i32]]; 4] = [&[&[1, 2], &[2, 3]], &[&[1]], &[&[1, 9]], &[&[2, 2]]];
    for assignments in refused {
        assert_eq!(reason(grow(&mut machine, &[("t", 2, Some(assignments))]).0.remove(0)).0, 39, "{assignments:?}");
    }
    assert_eq!(grow(&mut machine, &[("t", 2, Some(&[&[3, 1]]))]).0, [Ok(())]);
    assert_eq!(topic(&machine, "t").partitions[1].replicas, [BrokerId(3), BrokerId(1)]);
}

/// A partition on brokers 1 (the leader), 2 and 3, and the change that takes 3 out.
fn shrinkable() -> (StateMachine, AlterPartition) {
    let mut machine = cluster(4);
    let assignments = Vec::from([ManualAssignment { partition: 0, brokers: Vec::from([1, 2, 3].map(BrokerId)) }]);
    create_one(&mut machine, NewTopic { assignments, ..new_topic("t", 1, -1, -1) }).expect("created");
    let shrink = AlterPartition {
        broker: BrokerId(1),
        broker_epoch: machine.image().brokers[&BrokerId(1)].epoch,
        partition: TopicPartition { topic: topic_id(1), partition: PartitionIndex(0) },
        leader_epoch: LeaderEpoch(0),
        partition_epoch: 0,
        new_isr: Vec::from([BrokerId(2), BrokerId(1)]),
    };
    (machine, shrink)
}

#[test]
fn the_leader_changes_the_in_sync_set_record_by_record() {
    let (mut machine, shrink) = shrinkable();
    let (response, delta) = machine.apply(Command::AlterPartition(shrink.clone()));
    let CommandResponse::PartitionAltered(partition) = response else { panic!("refused: {response:?}") };
    assert_eq!(partition.isr, [BrokerId(1), BrokerId(2)]);
    assert_eq!((partition.leader_epoch, partition.partition_epoch), (LeaderEpoch(0), 1));
    assert!(delta.partitions_changed.contains(&shrink.partition));
    let (response, _) = machine.apply(Command::AlterPartition(shrink));
    assert!(matches!(response, CommandResponse::Refused(Refusal { reason: Reason::InvalidUpdateVersion, .. })));
}

#[test]
fn changes_that_the_leader_may_not_make_are_refused() {
    let (mut machine, shrink) = shrinkable();
    let two = machine.image().brokers[&BrokerId(2)].epoch;
    let mut fenced_too = shrink.clone();
    fenced_too.new_isr = Vec::from([1, 2, 3].map(BrokerId));
    let broker_epoch = machine.image().brokers[&BrokerId(3)].epoch;
    machine.apply(Command::FenceBroker { broker: BrokerId(3), broker_epoch });
    fenced_too.partition_epoch = 1;
    let now = AlterPartition { partition_epoch: 1, ..shrink };
    let missing = TopicPartition { partition: PartitionIndex(1), ..now.partition };
    let nowhere = TopicPartition { topic: topic_id(9), ..now.partition };
    let cases = [
        (fenced_too, 107),
        (AlterPartition { broker_epoch: 99, ..now.clone() }, 77),
        (AlterPartition { broker: BrokerId(8), ..now.clone() }, 102),
        (AlterPartition { broker: BrokerId(2), broker_epoch: two, ..now.clone() }, 42),
        (AlterPartition { leader_epoch: LeaderEpoch(-1), ..now.clone() }, 74),
        (AlterPartition { leader_epoch: LeaderEpoch(1), ..now.clone() }, 42),
        (AlterPartition { new_isr: Vec::from([BrokerId(2)]), ..now.clone() }, 42),
        (AlterPartition { new_isr: Vec::from([1, 4].map(BrokerId)), ..now.clone() }, 42),
        (AlterPartition { partition: missing, ..now.clone() }, 3),
        (AlterPartition { partition: nowhere, ..now.clone() }, 100),
    ];
    let before = machine.image().clone();
    for (asked, code) in cases {
        let (response, delta) = machine.apply(Command::AlterPartition(asked.clone()));
        let CommandResponse::Refused(refusal) = response else { panic!("{asked:?} passed") };
        assert_eq!(refusal.reason.code() as i16, code, "{asked:?}");
        assert!(delta.is_empty());
    }
    assert_eq!(*machine.image(), before);
}
