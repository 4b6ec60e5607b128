//! Topics grow, and leaders change their in-sync sets.
//!
//! Invariants: a topic's number of partitions only grows; an in-sync set is changed only by the leader of the current epoch,
//! building on the current record, and consists of live replicas, the leader among them.

use crate::command::{AlterPartition, CreatePartitions, MorePartitions};
use crate::image::{PartitionImage, TopicImage};
use crate::placement;
use crate::refusal::{Reason, Refusal};
use crate::response::{CommandResponse, TopicOutcome};
use crate::state_machine::{Draft, duplicate};
use crate::topics::{MAX_PARTITIONS_PER_REQUEST, assigned_by_hand, excessive, fresh_partition, once_each, unknown_topic};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use flumen_log::{BrokerId, PartitionIndex, TopicPartition};

impl Draft<'_> {
    pub(crate) fn create_partitions(&mut self, request: CreatePartitions) -> CommandResponse {
        let too_many = self.additional_partitions(&request) > MAX_PARTITIONS_PER_REQUEST;
        let (topics, repeated) = once_each(request.topics, |topic| &topic.name);
        let mut outcomes = Vec::with_capacity(topics.len());
        for topic in topics {
            let outcome = if too_many {
                Err(excessive("Excessively large number of additional partitions per request."))
            } else if repeated.contains(&topic.name) {
                Err(duplicate("topic name"))
            } else {
                self.grow(&topic)
            };
            outcomes.push(TopicOutcome { name: topic.name, outcome });
        }
        CommandResponse::PartitionsCreated(outcomes)
    }

    fn additional_partitions(&self, request: &CreatePartitions) -> u64 {
        let additional = |asked: &MorePartitions| {
            let present = self.image.topic(&asked.name).map_or(0, |topic| topic.partitions.len());
            u64::try_from(asked.count).unwrap_or(0).saturating_sub(u64::try_from(present).unwrap_or(u64::MAX))
        };
        request.topics.iter().map(additional).fold(0, u64::saturating_add)
    }

    fn grow(&mut self, asked: &MorePartitions) -> Result<(), Refusal> {
        let topic = self.image.topic(&asked.name).ok_or_else(unknown_topic)?.clone();
        let present = topic.partitions.len();
        let count = usize::try_from(asked.count).unwrap_or(0);
        if count == present {
            let message = format!("Topic already has {present} partition(s).");
            return Err(Refusal::new(Reason::InvalidPartitions, message));
        }
        if count < present {
            let message = format!(
                "The topic {} currently has {present} partition(s); {} would not be an increase.",
                asked.name, asked.count
            );
            return Err(Refusal::new(Reason::InvalidPartitions, message));
        }
        let more = match &asked.assignments {
            Some(assignments) => self.more_by_hand(&topic, assignments, count - present)?,
            None => {
                let factor = topic.partitions.first().map_or(1, |partition| partition.replicas.len());
                let placed = placement::place(self.image, topic.id, present, count - present, factor)?;
                placed.into_iter().map(|replicas| fresh_partition(self.image, replicas)).collect()
            }
        };
        let first = i32::try_from(present).unwrap_or(i32::MAX);
        for (index, _) in (first..).zip(&more) {
            let id = TopicPartition { topic: topic.id, partition: PartitionIndex(index) };
            self.delta.partitions_created.insert(id);
        }
        if let Some(slot) = self.image.topics.get_mut(&topic.id) {
            Arc::make_mut(slot).partitions.extend(more);
        }
        Ok(())
    }

    fn more_by_hand(
        &self,
        topic: &TopicImage,
        assignments: &[Vec<BrokerId>],
        additional: usize,
    ) -> Result<Vec<PartitionImage>, Refusal> {
        if assignments.len() != additional {
            let message = format!(
                "Attempted to add {additional} additional partition(s), but only {} assignment(s) were specified.",
                assignments.len()
            );
            return Err(Refusal::new(Reason::InvalidReplicaAssignment, message));
        }
        let factor = topic.partitions.first().map(|partition| partition.replicas.len());
        let first = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        let numbered = (first..).zip(assignments);
        numbered.map(|(index, brokers)| assigned_by_hand(self.image, index, brokers, factor)).collect()
    }

    pub(crate) fn alter_partition(&mut self, asked: AlterPartition) -> Result<CommandResponse, Refusal> {
        self.check_registration(asked.broker, asked.broker_epoch)?;
        let topic = self.image.topics.get(&asked.partition.topic);
        let topic = topic.ok_or_else(|| Refusal::new(Reason::UnknownTopicId, "This server does not host this topic ID."))?;
        let present = topic.partition(asked.partition.partition).ok_or_else(unknown_topic)?;
        self.check_alteration(present, &asked)?;
        let mut next = present.clone();
        next.isr = present.replicas.iter().copied().filter(|replica| asked.new_isr.contains(replica)).collect();
        self.put_partition(asked.partition, next);
        let altered = self.image.partition(asked.partition).ok_or_else(unknown_topic)?;
        Ok(CommandResponse::PartitionAltered(altered.clone()))
    }

    fn check_alteration(&self, present: &PartitionImage, asked: &AlterPartition) -> Result<(), Refusal> {
        if asked.leader_epoch < present.leader_epoch {
            let message = format!("The leader epoch is {}, not {}.", present.leader_epoch, asked.leader_epoch);
            return Err(Refusal::new(Reason::FencedLeaderEpoch, message));
        }
        if asked.leader_epoch > present.leader_epoch || present.leader != Some(asked.broker) {
            let message = format!("Broker {} does not lead in epoch {}.", asked.broker, asked.leader_epoch);
            return Err(Refusal::new(Reason::InvalidRequest, message));
        }
        if asked.partition_epoch != present.partition_epoch {
            let message = format!("The partition epoch is {}, not {}.", present.partition_epoch, asked.partition_epoch);
            return Err(Refusal::new(Reason::InvalidUpdateVersion, message));
        }
        let outsider = asked.new_isr.iter().find(|member| !present.replicas.contains(member));
        if outsider.is_some() || !asked.new_isr.contains(&asked.broker) {
            let message = "The in-sync set must consist of replicas, the leader among them.";
            return Err(Refusal::new(Reason::InvalidRequest, message));
        }
        let alive = |broker: &BrokerId| self.image.brokers.get(broker).is_some_and(|known| !known.fenced);
        if let Some(dead) = asked.new_isr.iter().find(|member| !alive(member)) {
            let message = format!("Broker {dead} is not eligible to be in sync.");
            return Err(Refusal::new(Reason::IneligibleReplica, message));
        }
        Ok(())
    }
}
