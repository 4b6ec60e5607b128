//! Brokers start and are fenced; producer ids are handed out.

use super::*;
use crate::PartitionImage;
use crate::command::{AlterConfigs, ConfigChange, ConfigOperation, ResourceChange};
use crate::image::ConfigResource;
use flumen_log::{LeaderEpoch, ProducerId};

fn first_partition(machine: &StateMachine, name: &str) -> PartitionImage {
    topic(machine, name).partitions[0].clone()
}

fn epoch_of(machine: &StateMachine, broker: i32) -> i64 {
    machine.image().brokers[&BrokerId(broker)].epoch
}

fn fence(machine: &mut StateMachine, broker: i32) -> (CommandResponse, Delta) {
    let broker_epoch = epoch_of(machine, broker);
    machine.apply(Command::FenceBroker { broker: BrokerId(broker), broker_epoch })
}

/// A topic of one partition on brokers 1 (the leader), 2 and 3.
fn three_replicas(durability: Option<&str>) -> StateMachine {
    let mut machine = cluster(3);
    let brokers = Vec::from([1, 2, 3].map(BrokerId));
    let assignments = Vec::from([crate::command::ManualAssignment { partition: 0, brokers }]);
    let configs = durability.map(|value| ("flumen.durability".into(), Some(value.into()))).into_iter().collect();
    let asked = NewTopic { assignments, configs, ..new_topic("t", 1, -1, -1) };
    create_one(&mut machine, asked).expect("created");
    machine
}

#[test]
fn each_start_of_a_broker_raises_the_epoch_of_all_it_leads() {
    let mut machine = cluster(1);
    create(&mut machine, Vec::from([new_topic("a", 1, 3, 1), new_topic("b", 2, 1, 1)]));
    for start in 1..4 {
        let (response, delta) = machine.apply(registration(1, "a", start % 2 == 0));
        let CommandResponse::Registered { broker_epoch } = response else { panic!("not registered: {response:?}") };
        assert_eq!(broker_epoch, i64::from(start), "each registration has its own epoch");
        assert_eq!(delta.partitions_changed.len(), 4);
        for image in machine.image().topics.values() {
            for partition in &image.partitions {
                assert_eq!(partition.leader, Some(BrokerId(1)));
                assert_eq!((partition.leader_epoch, partition.partition_epoch), (LeaderEpoch(start), start));
            }
        }
    }
}

#[test]
fn a_start_leaves_the_partitions_of_others_alone() {
    let mut machine = three_replicas(None);
    let before = first_partition(&machine, "t");
    let (_, delta) = machine.apply(registration(2, "b", false));
    assert_eq!(first_partition(&machine, "t"), before);
    assert!(delta.partitions_changed.is_empty());
}

#[test]
fn a_broker_that_lost_its_memory_leaves_the_in_sync_sets_of_replicated_topics() {
    let mut machine = three_replicas(Some("replicated"));
    machine.apply(registration(2, "b", false));
    assert_eq!(first_partition(&machine, "t").isr, [BrokerId(1), BrokerId(3)]);
    assert_eq!(first_partition(&machine, "t").leader_epoch, LeaderEpoch(0));
    machine.apply(registration(1, "b", false));
    let after = first_partition(&machine, "t");
    assert_eq!((after.isr.clone(), after.leader), (Vec::from([BrokerId(3)]), Some(BrokerId(3))));
    assert_eq!(after.leader_epoch, LeaderEpoch(1));
    machine.apply(registration(3, "b", false));
    let after = first_partition(&machine, "t");
    assert_eq!((after.isr, after.leader), (Vec::from([BrokerId(3)]), Some(BrokerId(3))), "the last member stays");
}

#[test]
fn a_stop_in_order_or_a_synced_topic_keeps_the_in_sync_set() {
    for (durability, clean) in [(Some("replicated"), true), (Some("synced"), false), (None, false)] {
        let mut machine = three_replicas(durability);
        machine.apply(registration(2, "b", clean));
        assert_eq!(first_partition(&machine, "t").isr.len(), 3, "{durability:?} {clean}");
    }
    let mut same_boot = three_replicas(Some("replicated"));
    same_boot.apply(registration(2, "a", false));
    assert_eq!(first_partition(&same_boot, "t").isr.len(), 3, "the page cache survives a process");
}

#[test]
fn the_cluster_wide_durability_counts_where_a_topic_has_none() {
    let mut machine = three_replicas(None);
    let operations = Vec::from([("flumen.durability".into(), ConfigOperation::Set("replicated".into()))]);
    let change = ConfigChange::Incremental(operations);
    let resources = Vec::from([ResourceChange { resource: ConfigResource::Broker(None), change }]);
    machine.apply(Command::AlterConfigs(AlterConfigs { resources, validate_only: false }));
    machine.apply(registration(2, "b", false));
    assert_eq!(first_partition(&machine, "t").isr, [BrokerId(1), BrokerId(3)]);
}

#[test]
fn leaderships_move_when_a_broker_is_fenced_and_come_back_only_to_the_in_sync() {
    let mut machine = three_replicas(None);
    let (_, delta) = fence(&mut machine, 1);
    assert_eq!(delta.partitions_changed.len(), 1);
    let after = first_partition(&machine, "t");
    assert_eq!((after.leader, after.leader_epoch), (Some(BrokerId(2)), LeaderEpoch(1)));
    assert_eq!(after.isr, [BrokerId(2), BrokerId(3)]);
    fence(&mut machine, 2);
    fence(&mut machine, 3);
    let after = first_partition(&machine, "t");
    assert_eq!((after.leader, after.isr.clone()), (None, Vec::from([BrokerId(3)])), "nobody leads, 3 has it all");
    machine.apply(registration(1, "a", true));
    assert_eq!(first_partition(&machine, "t").leader, None, "1 is not in sync");
    machine.apply(registration(3, "a", true));
    let after = first_partition(&machine, "t");
    assert_eq!((after.leader, after.leader_epoch), (Some(BrokerId(3)), LeaderEpoch(4)));
}

#[test]
fn fenced_brokers_get_no_replicas() {
    let mut machine = cluster(2);
    fence(&mut machine, 1);
    assert_eq!(reason(create_one(&mut machine, new_topic("t", 1, 1, 2))).0, 38);
    create_one(&mut machine, new_topic("t", 1, 4, 1)).expect("one is left");
    assert!(topic(&machine, "t").partitions.iter().all(|partition| partition.replicas == [BrokerId(2)]));
    fence(&mut machine, 2);
    let message = "Unable to replicate the partition 1 time(s): All brokers are currently fenced.";
    assert_eq!(reason(create_one(&mut machine, new_topic("u", 2, 1, 1))), (38, message.into()));
}

#[test]
fn an_earlier_registration_counts_no_more() {
    let mut machine = cluster(1);
    let stale = Command::FenceBroker { broker: BrokerId(1), broker_epoch: epoch_of(&machine, 1) };
    machine.apply(registration(1, "a", true));
    let (response, delta) = machine.apply(stale);
    assert!(matches!(response, CommandResponse::Refused(Refusal { reason: Reason::StaleBrokerEpoch, .. })));
    assert!(delta.is_empty());
    assert!(!machine.image().brokers[&BrokerId(1)].fenced);
}

#[test]
fn blocks_of_producer_ids_never_overlap() {
    let mut machine = cluster(2);
    let mut next = 0;
    for (broker, count) in [(1, 1000), (2, 1000), (1, 5), (2, 1)] {
        let command = Command::AllocateProducerIds { broker: BrokerId(broker), broker_epoch: epoch_of(&machine, broker), count };
        let (response, _) = machine.apply(command);
        assert_eq!(response, CommandResponse::ProducerIds { first: ProducerId(next), count });
        next += i64::from(count);
    }
    for (broker, broker_epoch, count) in [(3, 0, 1), (1, 99, 1), (1, epoch_of(&machine, 1), 0)] {
        let command = Command::AllocateProducerIds { broker: BrokerId(broker), broker_epoch, count };
        assert!(matches!(machine.apply(command).0, CommandResponse::Refused(_)));
    }
    assert_eq!(machine.image().next_producer_id, ProducerId(next));
}

#[test]
fn a_cluster_keeps_its_first_name() {
    let mut machine = cluster(0);
    for name in ["first", "second"] {
        machine.apply(Command::NameCluster { cluster_id: name.into() });
    }
    assert_eq!(&*machine.image().cluster_id, "first");
}
