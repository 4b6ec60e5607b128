//! Any sequence of commands: the image stays whole, epochs only rise, the delta tells all, and replay gives the same.

use super::*;
use crate::command::{AlterPartition, CreatePartitions, DeleteTopics, MorePartitions, TopicReference};
use crate::image::{ConfigResource, PartitionImage};
use crate::snapshot::ImageSnapshot;
use alloc::collections::BTreeSet;
use flumen_log::{LeaderEpoch, PartitionIndex, TopicPartition};
use proptest::prelude::*;

fn commands() -> impl Strategy<Value = Command> {
    let name = || (0_u8..5).prop_map(|number| format!("t{number}"));
    let broker = || 1..5_i32;
    prop_oneof![
        (broker(), "[ab]", any::<bool>()).prop_map(|(id, boot, clean)| registration(id, &boot, clean)),
        (broker(), 0..12_i64).prop_map(|(id, broker_epoch)| Command::FenceBroker { broker: BrokerId(id), broker_epoch }),
        (name(), 1..8_u8, 0..4_i32, 1..4_i16, any::<bool>()).prop_map(|(name, id, partitions, factor, only)| {
            let configs = Vec::from([("flumen.durability".into(), Some("replicated".into()))]);
            creation(Vec::from([NewTopic { configs, ..new_topic(&name, id, partitions, factor) }]), only)
        }),
        name().prop_map(|name| Command::DeleteTopics(DeleteTopics { topics: [TopicReference::Name(name)].into() })),
        (broker(), 0..12_i64, 1..8_u8).prop_map(|(id, broker_epoch, topic)| Command::ForgetTopics {
            broker: BrokerId(id),
            broker_epoch,
            topics: Vec::from([topic_id(topic)]),
        }),
        (name(), 0..6_i32, any::<bool>()).prop_map(|(name, count, validate_only)| {
            let topics = Vec::from([MorePartitions { name, count, assignments: None }]);
            Command::CreatePartitions(CreatePartitions { topics, validate_only })
        }),
        (broker(), 0..12_i64, 1..8_u8, 0..4_i32, 0..5_i32, proptest::collection::vec(broker(), 0..4)).prop_map(
            |(id, broker_epoch, topic, leader_epoch, partition_epoch, isr)| {
                Command::AlterPartition(AlterPartition {
                    broker: BrokerId(id),
                    broker_epoch,
                    partition: TopicPartition { topic: topic_id(topic), partition: PartitionIndex(0) },
                    leader_epoch: LeaderEpoch(leader_epoch),
                    partition_epoch,
                    new_isr: isr.into_iter().map(BrokerId).collect(),
                })
            }
        ),
    ]
}

fn partitions(image: &MetadataImage) -> BTreeMap<TopicPartition, &PartitionImage> {
    let numbered = image.topics.values().flat_map(|topic| topic.numbered().map(|(index, record)| (topic.id, index, record)));
    numbered.map(|(topic, partition, record)| (TopicPartition { topic, partition }, record)).collect()
}

fn assert_whole(image: &MetadataImage) {
    assert_eq!(image.topics.len(), image.topics_by_name.len());
    for (name, id) in &image.topics_by_name {
        assert_eq!(image.topics[id].name, *name);
    }
    for (id, topic) in &image.topics_leaving {
        assert!(!image.topics.contains_key(id), "a topic is deleted and is not");
        assert!(topic.partitions.iter().any(|record| !record.replicas.is_empty()), "nobody has it any more");
    }
    for resource in image.configs.keys() {
        let ConfigResource::Topic(name) = resource else { continue };
        assert!(image.topic(name).is_some(), "a topic that is gone has configuration");
    }
    for (id, record) in partitions(image) {
        assert!(!record.isr.is_empty(), "{id:?} has nobody in sync");
        assert!(record.isr.iter().all(|member| record.replicas.contains(member)));
        if let Some(leader) = record.leader {
            assert!(record.isr.contains(&leader), "{id:?} is led by somebody out of sync");
            assert!(!image.brokers[&leader].fenced, "{id:?} is led by a fenced broker");
        } else {
            assert!(record.isr.iter().all(|member| image.brokers[member].fenced), "{id:?} could have a leader");
        }
    }
}

fn assert_told(before: &MetadataImage, after: &MetadataImage, delta: &Delta) {
    let created: BTreeSet<_> = delta.topics_created.iter().map(|topic| topic.id).collect();
    let deleted: BTreeSet<_> = delta.deleted_ids().collect();
    let (old, new) = (partitions(before), partitions(after));
    for (id, record) in &new {
        match old.get(id) {
            Some(earlier) if earlier == record => assert!(!delta.partitions_changed.contains(id)),
            Some(earlier) => {
                assert!(delta.partitions_changed.contains(id));
                assert!(record.partition_epoch == earlier.partition_epoch + 1);
                let led_anew = record.leader_epoch > earlier.leader_epoch;
                assert!(led_anew || (record.leader_epoch, record.leader) == (earlier.leader_epoch, earlier.leader));
            }
            None => assert!(created.contains(&id.topic) || delta.partitions_created.contains(id)),
        }
    }
    assert!(deleted.iter().all(|id| after.topics_leaving.contains_key(id)));
    assert!(old.keys().all(|id| new.contains_key(id) || deleted.contains(&id.topic)));
}

proptest! {
    #[test]
    fn images_stay_whole(sequence in proptest::collection::vec(commands(), 1..60)) {
        let mut machine = cluster(3);
        let mut replay = cluster(3);
        for command in sequence {
            // Held, so that the next command must copy what it changes.
            let before = machine.image().clone();
            let kept = (*before).clone();
            let (response, delta) = machine.apply(command.clone());
            prop_assert_eq!(&*before, &kept, "a shared image changed");
            assert_whole(machine.image());
            assert_told(&before, machine.image(), &delta);
            let written = serde_json::to_string(&command).expect("commands can be written");
            let read = serde_json::from_str(&written).expect("what was written can be read");
            prop_assert_eq!(replay.apply(read), (response, delta));
        }
        prop_assert_eq!(machine.image(), replay.image());
        let written = serde_json::to_string(&ImageSnapshot::from(&**machine.image())).expect("images can be written");
        let snapshot: ImageSnapshot = serde_json::from_str(&written).expect("what was written can be read");
        let restored = MetadataImage::try_from(snapshot).expect("an image");
        prop_assert_eq!(&restored, &**machine.image());
    }
}

#[test]
fn a_snapshot_with_two_topics_of_one_name_is_no_image() {
    let mut machine = cluster(1);
    create_one(&mut machine, new_topic("t", 1, 1, 1)).expect("created");
    let mut snapshot = ImageSnapshot::from(&**machine.image());
    let mut twin = snapshot.topics[0].clone();
    twin.id = topic_id(2);
    snapshot.topics.push(twin);
    assert!(MetadataImage::try_from(snapshot).is_err());
}
