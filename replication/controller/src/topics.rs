//! Topics are made and removed.
//!
//! Invariants: a name is legal, taken once, and distinguishable from all others; a topic that is made starts at leader epoch
//! zero with every live replica in sync, because all of them are empty; one that is removed is remembered until every broker
//! with a replica has removed it from its disk.

use crate::brokers::elect;
use crate::command::{CreateTopics, DeleteTopics, ManualAssignment, NewTopic, TopicDefaults, TopicReference};
use crate::image::{ConfigResource, MetadataImage, PartitionImage, TopicImage};
use crate::names;
use crate::placement;
use crate::refusal::{Reason, Refusal};
use crate::response::{CommandResponse, CreatedTopic, DeletedTopic, TopicOutcome};
use crate::rules::ConfigScope;
use crate::state_machine::{Draft, duplicate};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use flumen_log::{BrokerId, LeaderEpoch, TopicId};

/// No request makes more partitions than this.
pub const MAX_PARTITIONS_PER_REQUEST: u64 = 10_000;

impl Draft<'_> {
    pub(crate) fn create_topics(&mut self, request: CreateTopics) -> CommandResponse {
        let CreateTopics { topics, defaults, validate_only } = request;
        let too_many = total_partitions(&topics, defaults) > MAX_PARTITIONS_PER_REQUEST;
        let (topics, repeated) = once_each(topics, |topic| &topic.name);
        let mut outcomes = Vec::with_capacity(topics.len());
        for topic in topics {
            let name = topic.name.clone();
            let outcome = if too_many {
                Err(excessive("Excessively large number of partitions per request."))
            } else if repeated.contains(&name) {
                Err(duplicate("topic name"))
            } else {
                self.create_topic(topic, defaults)
            };
            let hide_id = |created| if validate_only { CreatedTopic { id: TopicId::ZERO, ..created } } else { created };
            outcomes.push(TopicOutcome { name, outcome: outcome.map(hide_id) });
        }
        CommandResponse::TopicsCreated(outcomes)
    }

    fn create_topic(&mut self, asked: NewTopic, defaults: TopicDefaults) -> Result<CreatedTopic, Refusal> {
        self.check_new_name(&asked)?;
        let configs = new_configs(&asked.configs)?;
        self.rules.check(ConfigScope::Topic, &configs)?;
        let partitions = if asked.assignments.is_empty() {
            placed_for(self.image, &asked, defaults)?
        } else {
            placed_by_hand(self.image, &asked)?
        };
        let created = CreatedTopic {
            id: asked.id,
            partitions: i32::try_from(partitions.len()).unwrap_or(i32::MAX),
            replication_factor: partitions
                .first()
                .map_or(0, |partition| i16::try_from(partition.replicas.len()).unwrap_or(i16::MAX)),
            configs: configs.clone(),
        };
        let name: Arc<str> = Arc::from(asked.name.as_str());
        let topic = Arc::new(TopicImage { id: asked.id, name: name.clone(), partitions });
        if !configs.is_empty() {
            let resource = ConfigResource::Topic(asked.name);
            self.delta.configs_changed.insert(resource.clone());
            self.image.configs.insert(resource, Arc::new(configs));
        }
        self.image.topics.insert(asked.id, topic.clone());
        self.image.topics_by_name.insert(name, asked.id);
        self.delta.topics_created.push(topic);
        Ok(created)
    }

    fn check_new_name(&self, asked: &NewTopic) -> Result<(), Refusal> {
        let name = &asked.name;
        names::check(name)?;
        if self.image.topics_by_name.contains_key(name.as_str()) {
            return Err(Refusal::new(Reason::TopicAlreadyExists, format!("Topic '{name}' already exists.")));
        }
        if let Some(other) = names::collision(name, self.image.topics_by_name.keys().map(|other| &**other)) {
            let message = format!("Topic '{name}' collides with existing topic: {other}");
            return Err(Refusal::new(Reason::InvalidTopic, message));
        }
        let is_known = self.image.topics.contains_key(&asked.id) || self.image.topics_leaving.contains_key(&asked.id);
        if asked.id == TopicId::ZERO || is_known {
            return Err(Refusal::new(Reason::InvalidRequest, format!("Topic id {} cannot be given.", asked.id)));
        }
        Ok(())
    }

    pub(crate) fn delete_topics(&mut self, request: DeleteTopics) -> CommandResponse {
        let (topics, repeated) = once_each(request.topics, |topic| topic);
        // One topic under both its names is asked for twice, too.
        let mut by_id: BTreeMap<TopicId, usize> = BTreeMap::new();
        for topic in &topics {
            if let Ok(id) = self.find(topic) {
                *by_id.entry(id).or_default() += 1;
            }
        }
        let mut outcomes = Vec::with_capacity(topics.len());
        for asked in topics {
            let outcome = if repeated.contains(&asked) {
                Err(duplicate(match asked {
                    TopicReference::Name(_) => "topic name",
                    TopicReference::Id(_) => "topic id",
                }))
            } else {
                self.find(&asked).and_then(|id| {
                    if by_id.get(&id).is_some_and(|times| *times > 1) {
                        let message = "The provided topic name maps to an ID that was already supplied.";
                        return Err(Refusal::new(Reason::InvalidRequest, message));
                    }
                    self.delete_topic(id)
                })
            };
            outcomes.push(DeletedTopic { asked, outcome });
        }
        CommandResponse::TopicsDeleted(outcomes)
    }

    fn find(&self, topic: &TopicReference) -> Result<TopicId, Refusal> {
        match topic {
            TopicReference::Name(name) => self.image.topics_by_name.get(name.as_str()).copied().ok_or_else(unknown_topic),
            TopicReference::Id(id) if self.image.topics.contains_key(id) => Ok(*id),
            TopicReference::Id(_) => Err(Refusal::new(Reason::UnknownTopicId, "This server does not host this topic ID.")),
        }
    }

    fn delete_topic(&mut self, id: TopicId) -> Result<(String, TopicId), Refusal> {
        let topic = self.image.topics.remove(&id).ok_or_else(unknown_topic)?;
        let name = String::from(&*topic.name);
        self.image.topics_by_name.remove(&*topic.name);
        let resource = ConfigResource::Topic(name.clone());
        if self.image.configs.remove(&resource).is_some() {
            self.delta.configs_changed.insert(resource);
        }
        self.image.topics_leaving.insert(id, Arc::clone(&topic));
        self.delta.topics_deleted.push(topic);
        Ok((name, id))
    }

    /// A broker has removed its logs of deleted topics. A topic is forgotten when no replica of it is left.
    pub(crate) fn forget_topics(
        &mut self,
        broker: BrokerId,
        broker_epoch: i64,
        topics: &[TopicId],
    ) -> Result<CommandResponse, Refusal> {
        self.check_registration(broker, broker_epoch)?;
        for id in topics {
            let Some(topic) = self.image.topics_leaving.get_mut(id) else { continue };
            let topic = Arc::make_mut(topic);
            for partition in &mut topic.partitions {
                partition.replicas.retain(|replica| *replica != broker);
            }
            if topic.partitions.iter().all(|partition| partition.replicas.is_empty()) {
                self.image.topics_leaving.remove(id);
            }
        }
        Ok(CommandResponse::Done)
    }
}

/// What Kafka says about a topic that is not there.
pub(crate) fn unknown_topic() -> Refusal {
    Refusal::new(Reason::UnknownTopicOrPartition, "This server does not host this topic-partition.")
}

/// What Kafka says to a request that would take too much room.
pub(crate) fn excessive(message: &str) -> Refusal {
    Refusal::new(Reason::PolicyViolation, message)
}

/// The items without repetition, in their order, and the keys that were repeated.
pub(crate) fn once_each<T, K: Ord + Clone>(items: Vec<T>, key: impl Fn(&T) -> &K) -> (Vec<T>, BTreeSet<K>) {
    let mut seen = BTreeSet::new();
    let mut repeated = BTreeSet::new();
    let mut kept = Vec::with_capacity(items.len());
    for item in items {
        if seen.insert(key(&item).clone()) {
            kept.push(item);
        } else {
            repeated.insert(key(&item).clone());
        }
    }
    (kept, repeated)
}

fn total_partitions(topics: &[NewTopic], defaults: TopicDefaults) -> u64 {
    let count = |topic: &NewTopic| {
        if !topic.assignments.is_empty() {
            return u64::try_from(topic.assignments.len()).unwrap_or(u64::MAX);
        }
        let asked = if topic.partitions == -1 { defaults.partitions } else { topic.partitions };
        u64::try_from(asked).unwrap_or(0)
    };
    topics.iter().map(count).fold(0, u64::saturating_add)
}

fn new_configs(asked: &[(String, Option<String>)]) -> Result<BTreeMap<String, String>, Refusal> {
    let mut configs = BTreeMap::new();
    for (key, value) in asked {
        let Some(value) = value else {
            let message = format!("Null value not supported for topic configs: {key}");
            return Err(Refusal::new(Reason::InvalidConfig, message));
        };
        configs.insert(key.clone(), value.clone());
    }
    Ok(configs)
}

fn placed_for(image: &MetadataImage, asked: &NewTopic, defaults: TopicDefaults) -> Result<Vec<PartitionImage>, Refusal> {
    let or_default = |asked: i32, default: i32| if asked == -1 { default } else { asked };
    let factor = or_default(asked.replication_factor.into(), defaults.replication_factor.into());
    let Some(factor) = usize::try_from(factor).ok().filter(|factor| *factor > 0) else {
        let message = "Replication factor must be larger than 0, or -1 to use the default value.";
        return Err(Refusal::new(Reason::InvalidReplicationFactor, message));
    };
    let count = or_default(asked.partitions, defaults.partitions);
    let Some(count) = usize::try_from(count).ok().filter(|count| *count > 0) else {
        let message = "Number of partitions was set to an invalid non-positive value.";
        return Err(Refusal::new(Reason::InvalidPartitions, message));
    };
    let placed = placement::place(image, asked.id, 0, count, factor)?;
    Ok(placed.into_iter().map(|replicas| fresh_partition(image, replicas)).collect())
}

fn placed_by_hand(image: &MetadataImage, asked: &NewTopic) -> Result<Vec<PartitionImage>, Refusal> {
    if asked.replication_factor != -1 {
        let message = "A manual partition assignment was specified, but replication factor was not set to -1.";
        return Err(Refusal::new(Reason::InvalidRequest, message));
    }
    if asked.partitions != -1 {
        let message = "A manual partition assignment was specified, but numPartitions was not set to -1.";
        return Err(Refusal::new(Reason::InvalidRequest, message));
    }
    let mut partitions: BTreeMap<i32, PartitionImage> = BTreeMap::new();
    let mut factor = None;
    for ManualAssignment { partition, brokers } in &asked.assignments {
        if partitions.contains_key(partition) {
            let message = format!("Found multiple manual partition assignments for partition {partition}");
            return Err(Refusal::new(Reason::InvalidReplicaAssignment, message));
        }
        let placed = assigned_by_hand(image, *partition, brokers, factor)?;
        partitions.insert(*partition, placed);
        factor = Some(brokers.len());
    }
    if !partitions.keys().copied().eq((0..).take(partitions.len())) {
        let message = "partitions should be a consecutive 0-based integer sequence";
        return Err(Refusal::new(Reason::InvalidReplicaAssignment, message));
    }
    Ok(partitions.into_values().collect())
}

/// Checks one partition's replicas as somebody placed them, and makes the partition.
pub(crate) fn assigned_by_hand(
    image: &MetadataImage,
    partition: i32,
    brokers: &[BrokerId],
    factor: Option<usize>,
) -> Result<PartitionImage, Refusal> {
    let refuse = |message: String| Err(Refusal::new(Reason::InvalidReplicaAssignment, message));
    if brokers.is_empty() {
        return refuse("The manual partition assignment includes an empty replica list.".into());
    }
    let mut seen = BTreeSet::new();
    for broker in brokers {
        if !image.brokers.contains_key(broker) {
            return refuse(format!(
                "The manual partition assignment includes broker {broker}, but no such broker is registered."
            ));
        }
        if !seen.insert(broker) {
            return refuse(format!("The manual partition assignment includes the broker {broker} more than once."));
        }
    }
    if let Some(factor) = factor.filter(|factor| *factor != brokers.len()) {
        return refuse(format!(
            "The manual partition assignment includes a partition with {} replica(s), but this is not consistent with \
             previous partitions, which have {factor} replica(s).",
            brokers.len()
        ));
    }
    let fresh = fresh_partition(image, brokers.to_vec());
    if fresh.isr.is_empty() {
        return refuse(format!(
            "All brokers specified in the manual partition assignment for partition {partition} are fenced or in \
             controlled shutdown."
        ));
    }
    Ok(fresh)
}

/// A partition that nobody has written to: all live replicas are in sync.
pub(crate) fn fresh_partition(image: &MetadataImage, replicas: Vec<BrokerId>) -> PartitionImage {
    let alive = |broker: &BrokerId| image.brokers.get(broker).is_some_and(|known| !known.fenced);
    let isr = replicas.iter().copied().filter(alive).collect();
    let fresh = PartitionImage { replicas, isr, leader: None, leader_epoch: LeaderEpoch(0), partition_epoch: 0 };
    PartitionImage { leader: elect(image, &fresh), ..fresh }
}
