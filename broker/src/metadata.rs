//! The metadata image as this shard sees it, with every topic's settings worked out.

use alloc::{collections::BTreeMap, sync::Arc};
use flumen_controller::{ConfigResource, Delta, Endpoint, MetadataImage, TopicImage, configs::EffectiveTopicConfig};
use flumen_log::{BrokerId, PartitionIndex, ShardId, TopicId, TopicPartition, store::owner_of};
use flumen_protocol::{ErrorCode, Text, Uuid};

use crate::{admin::BrokerSettings, fetch::TopicRef, shard::Settings};

/// A topic with its settings.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) image: Arc<TopicImage>,
    pub(crate) config: EffectiveTopicConfig,
}

impl Topic {
    pub(crate) fn id(&self) -> TopicId {
        self.image.id
    }

    pub(crate) fn name(&self) -> &str {
        &self.image.name
    }

    /// Kafka's own topics, which clients do not write (P12).
    pub(crate) fn is_internal(&self) -> bool {
        matches!(self.name(), "__consumer_offsets" | "__transaction_state" | "__share_group_state")
    }

    /// One of its partitions, if it has it.
    pub(crate) fn partition(&self, index: i32) -> Option<TopicPartition> {
        let partition = PartitionIndex(index);
        self.image.partition(partition).map(|_| TopicPartition { topic: self.image.id, partition })
    }
}

/// What a shard knows of the cluster.
#[derive(Debug)]
pub(crate) struct Metadata {
    pub(crate) image: Arc<MetadataImage>,
    pub(crate) topics: BTreeMap<TopicId, Arc<Topic>>,
    pub(crate) random: Random,
    broker: BrokerId,
    shards: u16,
}

impl Metadata {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            image: Arc::default(),
            topics: BTreeMap::new(),
            random: Random::seeded(settings.seed),
            broker: settings.broker,
            shards: settings.shards,
        }
    }

    /// Take a newer image; answers with the topics whose settings or partitions may have changed.
    pub(crate) fn apply(
        &mut self,
        image: Arc<MetadataImage>,
        delta: &Delta,
        settings: &BrokerSettings,
    ) -> alloc::vec::Vec<Arc<Topic>> {
        for id in delta.deleted_ids() {
            self.topics.remove(&id);
        }
        let all = delta.configs_changed.iter().any(|resource| matches!(resource, ConfigResource::Broker(_)));
        let mut changed = alloc::collections::BTreeSet::new();
        changed.extend(delta.topics_created.iter().map(|topic| topic.id));
        changed.extend(delta.partitions_created.iter().map(|partition| partition.topic));
        changed.extend(delta.partitions_changed.iter().map(|partition| partition.topic));
        for resource in &delta.configs_changed {
            if let ConfigResource::Topic(name) = resource {
                changed.extend(image.topic(name).map(|topic| topic.id));
            }
        }
        if all {
            changed.extend(image.topics.keys().copied());
        }
        self.image = image;
        let mut topics = alloc::vec::Vec::with_capacity(changed.len());
        for id in changed {
            let Some(topic) = self.image.topics.get(&id) else { continue };
            let config = settings.topic_config(&self.image, &topic.name);
            let topic = Arc::new(Topic { image: Arc::clone(topic), config });
            self.topics.insert(id, Arc::clone(&topic));
            topics.push(topic);
        }
        topics
    }

    /// The topic of that name.
    pub(crate) fn by_name(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(self.image.topics_by_name.get(name)?)
    }

    /// The topic a request means, by name or by id (P15, F11).
    pub(crate) fn resolve(&self, name: &str, id: Uuid, by_id: bool) -> Result<&Arc<Topic>, ErrorCode> {
        if by_id {
            self.topics.get(&TopicId(id.0)).ok_or(ErrorCode::UnknownTopicId)
        } else {
            self.by_name(name).ok_or(ErrorCode::UnknownTopicOrPartition)
        }
    }

    /// The topic a fetch means.
    pub(crate) fn resolve_ref(&self, topic: &TopicRef) -> Result<&Arc<Topic>, ErrorCode> {
        match topic {
            TopicRef::Id(id) => self.topics.get(id).ok_or(ErrorCode::UnknownTopicId),
            TopicRef::Name(name) => self.by_name(name).ok_or(ErrorCode::UnknownTopicOrPartition),
        }
    }

    /// A partition and the shard that owns it, if this broker leads it.
    pub(crate) fn led(&self, topic: &Topic, index: i32) -> Result<(TopicPartition, ShardId), ErrorCode> {
        let id = topic.partition(index).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let record = topic.image.partition(id.partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        match record.leader {
            Some(leader) if leader == self.broker => Ok((id, owner_of(id, self.shards))),
            // Nobody leads because the log here cannot be used.
            None if record.isr.contains(&self.broker) => Err(ErrorCode::KafkaStorageError),
            _ => Err(ErrorCode::NotLeaderOrFollower),
        }
    }

    /// Who leads a partition now, and under which epoch, where a request finds another broker than it looked for (KIP-951).
    pub(crate) fn leader_hint(topic: Option<&Arc<Topic>>, partition: i32) -> Option<(i32, i32)> {
        let record = topic?.image.partition(PartitionIndex(partition))?;
        Some((record.leader.map_or(-1, |leader| leader.0), record.leader_epoch.0))
    }

    /// Where every broker is: number and first endpoint, and rack (KIP-951).
    pub(crate) fn endpoints(&self) -> impl Iterator<Item = (i32, &Endpoint, Option<Text>)> {
        let brokers = self.image.brokers.values();
        brokers.filter_map(|broker| Some((broker.id.0, broker.endpoints.first()?, broker.rack.as_deref().map(Text::from))))
    }

    /// Whether this broker holds a replica of the partition on this shard.
    pub(crate) fn hosted_here(&self, topic: &TopicImage, index: PartitionIndex, shard: ShardId) -> bool {
        let holds = topic.partition(index).is_some_and(|partition| partition.replicas.contains(&self.broker));
        holds && owner_of(TopicPartition { topic: topic.id, partition: index }, self.shards) == shard
    }
}

/// Numbers that nobody can foresee who does not know the seed; the same seed gives the same numbers.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// Numbers that follow from a seed.
    #[must_use]
    pub const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A topic's identity: a version 4 UUID.
    pub fn topic_id(&mut self) -> TopicId {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.draw().to_be_bytes());
        bytes[8..].copy_from_slice(&self.draw().to_be_bytes());
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        TopicId(bytes)
    }
}
