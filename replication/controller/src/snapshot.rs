//! A whole image as it is written down.
//!
//! Like commands, fields are never removed or given another meaning; a new one has `#[serde(default)]`.

use crate::image::{BrokerImage, ConfigResource, MetadataImage, TopicImage};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use flumen_log::ProducerId;
use flumen_log::mutants::{self, Mutant};
use serde::{Deserialize, Serialize};

/// A written image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageSnapshot {
    /// The cluster's name.
    pub cluster_id: String,
    /// Every broker.
    pub brokers: Vec<BrokerImage>,
    /// Every topic.
    pub topics: Vec<TopicImage>,
    /// See [`MetadataImage::topics_leaving`].
    #[serde(default)]
    pub topics_leaving: Vec<TopicImage>,
    /// All dynamic configuration.
    pub configs: Vec<(ConfigResource, BTreeMap<String, String>)>,
    /// See [`MetadataImage::next_producer_id`].
    pub next_producer_id: ProducerId,
    /// See [`MetadataImage::next_broker_epoch`].
    pub next_broker_epoch: i64,
}

/// A snapshot that cannot be an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotFault(String);

impl fmt::Display for SnapshotFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl core::error::Error for SnapshotFault {}

impl From<&MetadataImage> for ImageSnapshot {
    fn from(image: &MetadataImage) -> Self {
        Self {
            cluster_id: String::from(&*image.cluster_id),
            brokers: image.brokers.values().map(|broker| (**broker).clone()).collect(),
            topics: image.topics.values().map(|topic| (**topic).clone()).collect(),
            topics_leaving: image.topics_leaving.values().map(|topic| (**topic).clone()).collect(),
            configs: image.configs.iter().map(|(resource, values)| (resource.clone(), (**values).clone())).collect(),
            next_producer_id: image.next_producer_id,
            next_broker_epoch: image.next_broker_epoch,
        }
    }
}

impl TryFrom<ImageSnapshot> for MetadataImage {
    type Error = SnapshotFault;

    fn try_from(snapshot: ImageSnapshot) -> Result<Self, SnapshotFault> {
        let mut image = Self {
            cluster_id: Arc::from(snapshot.cluster_id),
            next_producer_id: if mutants::is(Mutant::B32) { ProducerId(0) } else { snapshot.next_producer_id },
            next_broker_epoch: snapshot.next_broker_epoch,
            ..Self::default()
        };
        for broker in snapshot.brokers {
            image.brokers.insert(broker.id, Arc::new(broker));
        }
        for topic in snapshot.topics {
            if image.topics_by_name.insert(topic.name.clone(), topic.id).is_some() {
                return Err(SnapshotFault(format!("two topics are called '{}'", topic.name)));
            }
            if let Some(other) = image.topics.insert(topic.id, Arc::new(topic)) {
                return Err(SnapshotFault(format!("two topics have the id {}", other.id)));
            }
        }
        for topic in snapshot.topics_leaving {
            if image.topics.contains_key(&topic.id) {
                return Err(SnapshotFault(format!("topic id {} is deleted and is not", topic.id)));
            }
            image.topics_leaving.insert(topic.id, Arc::new(topic));
        }
        for (resource, values) in snapshot.configs {
            image.configs.insert(resource, Arc::new(values));
        }
        Ok(image)
    }
}
