//! The metadata image: the cluster as of one entry of the quorum's log.
//!
//! An image is never changed once shared. Its parts sit behind `Arc`, so the next image shares all topics and brokers that the
//! command did not touch; the maps themselves are copied (about 24 bytes a topic), which at ten thousand topics is a fraction
//! of a millisecond per command, on the control thread.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use flumen_log::{BrokerId, LeaderEpoch, PartitionIndex, ProducerId, TopicId, TopicPartition};
use serde::{Deserialize, Serialize};

/// The cluster's metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataImage {
    /// The cluster's name for life; empty only before the first command.
    pub cluster_id: Arc<str>,
    /// Every broker that ever registered.
    pub brokers: BTreeMap<BrokerId, Arc<BrokerImage>>,
    /// Topics by their identity.
    pub topics: BTreeMap<TopicId, Arc<TopicImage>>,
    /// Topics by name: the same set as `topics`.
    pub topics_by_name: BTreeMap<Arc<str>, TopicId>,
    /// Deleted topics whose logs a broker may still have, with the replicas that have not said otherwise. Nothing is removed from
    /// a disk because metadata are missing, so what is to be removed is written down until it has been.
    pub topics_leaving: BTreeMap<TopicId, Arc<TopicImage>>,
    /// Dynamic configuration, by what it belongs to. A resource without any has no entry.
    pub configs: BTreeMap<ConfigResource, Arc<BTreeMap<String, String>>>,
    /// The first producer id that no block holds yet.
    pub next_producer_id: ProducerId,
    /// The broker epoch that the next registration gets.
    pub next_broker_epoch: i64,
}

/// One registered broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokerImage {
    /// Who.
    pub id: BrokerId,
    /// Where clients reach it, one per listener.
    pub endpoints: Vec<Endpoint>,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// The registration: it rises each time this or another broker registers.
    pub epoch: i64,
    /// The boot of the machine's kernel at registration: page cache of an earlier boot is gone.
    pub boot_id: String,
    /// Not to be given leaderships or replicas.
    pub fenced: bool,
}

/// A place where a broker listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The listener's name (`PLAINTEXT`, …).
    pub listener: String,
    /// The host that clients are told.
    pub host: String,
    /// The port that clients are told.
    pub port: u16,
}

/// One topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicImage {
    /// Its identity.
    pub id: TopicId,
    /// Its name.
    #[serde(with = "crate::image::name")]
    pub name: Arc<str>,
    /// Its partitions, by number.
    pub partitions: Vec<PartitionImage>,
}

/// One partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionImage {
    /// Who holds it, in order of preference.
    pub replicas: Vec<BrokerId>,
    /// Who of them is in sync.
    pub isr: Vec<BrokerId>,
    /// Who leads, if anybody can.
    pub leader: Option<BrokerId>,
    /// Rises with every leader and every start of the leader.
    pub leader_epoch: LeaderEpoch,
    /// Rises with every change of this record.
    pub partition_epoch: i32,
}

/// What a dynamic configuration belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ConfigResource {
    /// A topic, by name.
    Topic(String),
    /// One broker, or all of them (the cluster-wide default).
    Broker(Option<BrokerId>),
}

impl MetadataImage {
    /// The topic of that name.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<&Arc<TopicImage>> {
        self.topics.get(self.topics_by_name.get(name)?)
    }

    /// One partition.
    #[must_use]
    pub fn partition(&self, id: TopicPartition) -> Option<&PartitionImage> {
        self.topics.get(&id.topic)?.partition(id.partition)
    }

    /// The dynamic configuration of one resource; empty if it has none.
    #[must_use]
    pub fn configs_of(&self, resource: &ConfigResource) -> Option<&Arc<BTreeMap<String, String>>> {
        self.configs.get(resource)
    }

    /// The dynamic configuration of a topic.
    #[must_use]
    pub fn topic_configs(&self, name: &str) -> Option<&Arc<BTreeMap<String, String>>> {
        self.configs.get(&ConfigResource::Topic(name.into()))
    }
}

impl TopicImage {
    /// The partition of that number.
    #[must_use]
    pub fn partition(&self, index: PartitionIndex) -> Option<&PartitionImage> {
        self.partitions.get(usize::try_from(index.0).ok()?)
    }

    /// The partitions with their numbers.
    pub fn numbered(&self) -> impl Iterator<Item = (PartitionIndex, &PartitionImage)> {
        (0..).map(PartitionIndex).zip(&self.partitions)
    }
}

/// A shared name is written down as a plain string.
pub(crate) mod name {
    use alloc::string::String;
    use alloc::sync::Arc;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(name: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(name)
    }

    pub(crate) fn deserialize<'a, D: Deserializer<'a>>(deserializer: D) -> Result<Arc<str>, D::Error> {
        String::deserialize(deserializer).map(Arc::from)
    }
}
