//! What one command changed, so that a shard can bring what it has in line with what it should have.
//!
//! A shard acts on a partition only if the (topic id, leader epoch, partition epoch) it is told are not older than what it
//! has; applying a delta twice, or one that a later one has overtaken, then does nothing.

use crate::image::{ConfigResource, MetadataImage, TopicImage};
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use flumen_log::{BrokerId, TopicId, TopicPartition};

/// The difference between two images.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// Topics that did not exist before. Their partitions are not repeated in `partitions_changed`.
    pub topics_created: Vec<Arc<TopicImage>>,
    /// Topics that exist no longer, as they last were.
    pub topics_deleted: Vec<Arc<TopicImage>>,
    /// Partitions that a topic of before has gained.
    pub partitions_created: BTreeSet<TopicPartition>,
    /// Partitions of before whose record changed.
    pub partitions_changed: BTreeSet<TopicPartition>,
    /// Resources whose dynamic configuration changed, those of created and deleted topics included.
    pub configs_changed: BTreeSet<ConfigResource>,
    /// Brokers that registered, or were fenced.
    pub brokers_changed: BTreeSet<BrokerId>,
}

impl Delta {
    /// What was deleted and may still be on somebody's disk: for a shard that starts, before [`Delta::from_nothing`]. The name
    /// of a topic that is leaving may belong to another by now, whose logs are made once the old ones are gone.
    #[must_use]
    pub fn leaving(image: &MetadataImage) -> Self {
        Self { topics_deleted: image.topics_leaving.values().cloned().collect(), ..Self::default() }
    }

    /// Everything that `image` holds, as if it had come to be at once: for a shard that starts from nothing.
    #[must_use]
    pub fn from_nothing(image: &MetadataImage) -> Self {
        Self {
            topics_created: image.topics.values().cloned().collect(),
            configs_changed: image.configs.keys().cloned().collect(),
            brokers_changed: image.brokers.keys().copied().collect(),
            ..Self::default()
        }
    }

    /// Whether nothing changed that a shard has to act on.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The identities of the topics that exist no longer.
    pub fn deleted_ids(&self) -> impl Iterator<Item = TopicId> + '_ {
        self.topics_deleted.iter().map(|topic| topic.id)
    }
}
