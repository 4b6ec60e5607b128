//! What a command answers. Answers to several items come in the order of the items asked.

use crate::command::TopicReference;
use crate::image::{ConfigResource, PartitionImage};
use crate::refusal::Refusal;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use flumen_log::{ProducerId, TopicId};
use serde::{Deserialize, Serialize};

/// The outcome of one command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CommandResponse {
    /// Nothing to say: the cluster is named, the broker is fenced, or the entry was the quorum's own.
    Done,
    /// The whole command was refused.
    Refused(Refusal),
    /// The broker is registered.
    Registered {
        /// Its registration from now on.
        broker_epoch: i64,
    },
    /// CreateTopics.
    TopicsCreated(Vec<TopicOutcome<CreatedTopic>>),
    /// DeleteTopics.
    TopicsDeleted(Vec<DeletedTopic>),
    /// CreatePartitions.
    PartitionsCreated(Vec<TopicOutcome<()>>),
    /// AlterConfigs.
    ConfigsAltered(Vec<ConfigOutcome>),
    /// A block of producer ids, the caller's alone.
    ProducerIds {
        /// The first.
        first: ProducerId,
        /// How many.
        count: u32,
    },
    /// AlterPartition: the partition as it is now.
    PartitionAltered(PartitionImage),
}

/// The outcome for one topic, by the name that was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicOutcome<T> {
    /// The name as asked.
    pub name: String,
    /// What came of it.
    pub outcome: Result<T, Refusal>,
}

/// A topic that was made (or would have been).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedTopic {
    /// Its identity; zero if only validated.
    pub id: TopicId,
    /// How many partitions.
    pub partitions: i32,
    /// How many replicas of the first partition.
    pub replication_factor: i16,
    /// Its dynamic configuration.
    pub configs: BTreeMap<String, String>,
}

/// The outcome of one deletion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedTopic {
    /// The topic as asked.
    pub asked: TopicReference,
    /// Its name and identity if it is gone.
    pub outcome: Result<(String, TopicId), Refusal>,
}

/// The outcome of one configuration change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigOutcome {
    /// Whose configuration.
    pub resource: ConfigResource,
    /// Whether it was changed.
    pub outcome: Result<(), Refusal>,
}
