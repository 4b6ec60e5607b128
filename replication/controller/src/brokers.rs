//! Brokers come and go, and leaderships with them.
//!
//! Invariants: a start of a broker gives each partition that it leads a higher leader epoch, all in one command; a new leader
//! comes from the in-sync set; the last member of an in-sync set is never dropped from it.

use crate::command::RegisterBroker;
use crate::image::{BrokerImage, ConfigResource, MetadataImage, PartitionImage, TopicImage};
use crate::refusal::Refusal;
use crate::response::CommandResponse;
use crate::rules::{ConfigRules, ConfigScope};
use crate::state_machine::Draft;
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use flumen_log::mutants::{self, Mutant};
use flumen_log::{BrokerId, LeaderEpoch, PartitionIndex, TopicId, TopicPartition};

/// The topic setting that says what a confirmed record has survived.
const DURABILITY: &str = "flumen.durability";
/// Its value for page-cache durability.
const IN_MEMORY: &str = "replicated";

impl Draft<'_> {
    /// A broker has started: it may lead from now on, under epochs that nobody has used.
    pub(crate) fn register_broker(&mut self, registration: RegisterBroker) -> CommandResponse {
        let RegisterBroker { broker, endpoints, rack, boot_id, clean_stop, offline } = registration;
        let before = self.image.brokers.get(&broker);
        // Another boot of the machine, with no stop in order before it: what was only in its memory is gone.
        let lost_memory = !clean_stop && before.is_some_and(|before| before.boot_id != boot_id);
        let broker_epoch = self.image.next_broker_epoch;
        self.image.next_broker_epoch += 1;
        let image = BrokerImage { id: broker, endpoints, rack, epoch: broker_epoch, boot_id, fenced: false };
        self.image.brokers.insert(broker, Arc::new(image));
        self.delta.brokers_changed.insert(broker);
        let offline: BTreeSet<TopicPartition> = offline.into_iter().collect();
        let damaged = |topic: &TopicImage, index| offline.contains(&TopicPartition { topic: topic.id, partition: index });
        self.change_partitions(|image, rules, topic, index, partition| {
            if damaged(topic, index) {
                give_up(image, partition, broker)
            } else if lost_memory && partition.isr.contains(&broker) && is_replicated(image, rules, topic) {
                leave_in_sync_set(image, partition, broker)
            } else {
                take_up(partition, broker)
            }
        });
        CommandResponse::Registered { broker_epoch }
    }

    /// A broker leads nothing from now on, and leaves every in-sync set that has another member.
    pub(crate) fn fence_broker(&mut self, broker: BrokerId, broker_epoch: i64) -> Result<CommandResponse, Refusal> {
        self.check_registration(broker, broker_epoch)?;
        if let Some(known) = self.image.brokers.get_mut(&broker) {
            Arc::make_mut(known).fenced = true;
        }
        self.delta.brokers_changed.insert(broker);
        self.change_partitions(|image, _, _, _, partition| give_up(image, partition, broker));
        Ok(CommandResponse::Done)
    }

    /// A broker leads some of its partitions no more, and leaves their in-sync sets where another member is left.
    pub(crate) fn give_up_partitions(
        &mut self,
        broker: BrokerId,
        broker_epoch: i64,
        partitions: &[TopicPartition],
    ) -> Result<CommandResponse, Refusal> {
        self.check_registration(broker, broker_epoch)?;
        let given_up: BTreeSet<TopicPartition> = partitions.iter().copied().collect();
        self.change_partitions(|image, _, topic, index, partition| {
            let given_up = given_up.contains(&TopicPartition { topic: topic.id, partition: index });
            given_up.then(|| give_up(image, partition, broker)).flatten()
        });
        Ok(CommandResponse::Done)
    }

    /// Asks of every partition what becomes of it, and puts down those that change.
    fn change_partitions(
        &mut self,
        mut change: impl FnMut(
            &MetadataImage,
            &dyn ConfigRules,
            &TopicImage,
            PartitionIndex,
            &PartitionImage,
        ) -> Option<PartitionImage>,
    ) {
        let mut changed: Vec<(TopicId, PartitionIndex, PartitionImage)> = Vec::new();
        for topic in self.image.topics.values() {
            for (index, partition) in topic.numbered() {
                changed.extend(change(self.image, self.rules, topic, index, partition).map(|next| (topic.id, index, next)));
            }
        }
        for (topic, partition, next) in changed {
            self.put_partition(TopicPartition { topic, partition }, next);
        }
    }

    /// Puts down the next record of a partition; its partition epoch rises.
    pub(crate) fn put_partition(&mut self, id: TopicPartition, mut next: PartitionImage) {
        let Some(topic) = self.image.topics.get_mut(&id.topic) else { return };
        let slot = usize::try_from(id.partition.0).ok().and_then(|index| Arc::make_mut(topic).partitions.get_mut(index));
        let Some(slot) = slot else { return };
        next.partition_epoch = slot.partition_epoch + 1;
        *slot = next;
        self.delta.partitions_changed.insert(id);
    }
}

/// What the start of a broker means for a partition that did not lose anything by it.
fn take_up(partition: &PartitionImage, broker: BrokerId) -> Option<PartitionImage> {
    let leads = partition.leader == Some(broker) && !mutants::is(Mutant::B33);
    let can_lead = partition.leader.is_none() && partition.isr.contains(&broker);
    (leads || can_lead).then(|| led_by(partition, Some(broker)))
}

/// What is left when `broker` can serve the partition no more: the others lead it, or nobody.
fn give_up(image: &MetadataImage, partition: &PartitionImage, broker: BrokerId) -> Option<PartitionImage> {
    if !partition.isr.contains(&broker) {
        return None;
    }
    if partition.isr.len() > 1 {
        return leave_in_sync_set(image, partition, broker);
    }
    (partition.leader == Some(broker)).then(|| led_by(partition, None))
}

/// The partition without `broker` in its in-sync set; with it, as leader of the next epoch, if it is the last one.
fn leave_in_sync_set(image: &MetadataImage, partition: &PartitionImage, broker: BrokerId) -> Option<PartitionImage> {
    if partition.isr.len() == 1 {
        return take_up(partition, broker);
    }
    let mut next = partition.clone();
    next.isr.retain(|member| *member != broker);
    if partition.leader == Some(broker) || partition.leader.is_none() {
        let leader = elect(image, &next);
        return Some(led_by(&next, leader));
    }
    Some(next)
}

/// The first replica, in order of preference, that is in sync and alive.
pub(crate) fn elect(image: &MetadataImage, partition: &PartitionImage) -> Option<BrokerId> {
    let alive = |broker: &BrokerId| image.brokers.get(broker).is_some_and(|known| !known.fenced);
    partition.replicas.iter().copied().find(|replica| partition.isr.contains(replica) && alive(replica))
}

fn led_by(partition: &PartitionImage, leader: Option<BrokerId>) -> PartitionImage {
    PartitionImage { leader, leader_epoch: LeaderEpoch(partition.leader_epoch.0 + 1), ..partition.clone() }
}

/// Whether the topic's records count once they are in memory.
fn is_replicated(image: &MetadataImage, rules: &dyn ConfigRules, topic: &TopicImage) -> bool {
    let set = image.topic_configs(&topic.name).and_then(|values| values.get(DURABILITY));
    let cluster = || image.configs.get(&ConfigResource::Broker(None)).and_then(|values| values.get(DURABILITY));
    match set.or_else(cluster) {
        Some(value) => value == IN_MEMORY,
        None => rules.default_value(ConfigScope::Topic, DURABILITY).as_deref() == Some(IN_MEMORY),
    }
}
