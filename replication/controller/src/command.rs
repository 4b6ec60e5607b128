//! What may be asked of the cluster's metadata.
//!
//! A command carries everything its outcome depends on that is not in the image: random topic ids, the proposer's defaults.
//! Commands are written to the quorum's log as they are, so a field is never removed or given a new meaning; a new one has
//! `#[serde(default)]`, and a command whose meaning changes raises [`Command::VERSION`].

use crate::image::{ConfigResource, Endpoint};
use alloc::string::String;
use alloc::vec::Vec;
use flumen_log::{BrokerId, LeaderEpoch, TopicId, TopicPartition};
use serde::{Deserialize, Serialize};

/// One change to the metadata.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Give the cluster its name. The first of these counts; later ones change nothing.
    NameCluster {
        /// The name, random.
        cluster_id: String,
    },
    /// A broker has started.
    RegisterBroker(RegisterBroker),
    /// A broker is to lead nothing and receive nothing until it registers again.
    FenceBroker {
        /// Who.
        broker: BrokerId,
        /// Which of its registrations.
        broker_epoch: i64,
    },
    /// Make topics.
    CreateTopics(CreateTopics),
    /// Remove topics.
    DeleteTopics(DeleteTopics),
    /// Give topics more partitions.
    CreatePartitions(CreatePartitions),
    /// Change dynamic configuration.
    AlterConfigs(AlterConfigs),
    /// Take a block of producer ids out of the pool.
    AllocateProducerIds {
        /// For whom.
        broker: BrokerId,
        /// Which of its registrations.
        broker_epoch: i64,
        /// How many.
        count: u32,
    },
    /// A leader asks for another in-sync set.
    AlterPartition(AlterPartition),
    /// A broker can serve these partitions no more until it registers again: their log directory has failed.
    GiveUpPartitions {
        /// Who.
        broker: BrokerId,
        /// Which of its registrations.
        broker_epoch: i64,
        /// Which.
        partitions: Vec<TopicPartition>,
    },
    /// A broker holds nothing of these deleted topics any more.
    ForgetTopics {
        /// Who.
        broker: BrokerId,
        /// Which of its registrations.
        broker_epoch: i64,
        /// Which.
        topics: Vec<TopicId>,
    },
}

impl Command {
    /// The version of the commands that this code writes, and the highest it understands.
    pub const VERSION: u16 = 2;
}

/// A broker's registration, proposed once per start, before its first append.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterBroker {
    /// Who.
    pub broker: BrokerId,
    /// Where clients reach it.
    pub endpoints: Vec<Endpoint>,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// The running kernel's boot id.
    pub boot_id: String,
    /// The broker stopped in order last time: everything it held is on disk.
    pub clean_stop: bool,
    /// Partitions whose logs it found damaged, or not at all while a log directory is missing: it cannot lead them.
    #[serde(default)]
    pub offline: Vec<TopicPartition>,
}

/// CreateTopics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateTopics {
    /// The topics, in the order of the request.
    pub topics: Vec<NewTopic>,
    /// What −1 means (`num.partitions`, `default.replication.factor`).
    pub defaults: TopicDefaults,
    /// Only say what would happen.
    pub validate_only: bool,
}

/// What −1 means in a CreateTopics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicDefaults {
    /// `num.partitions`.
    pub partitions: i32,
    /// `default.replication.factor`.
    pub replication_factor: i16,
}

/// One topic to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewTopic {
    /// Its name, unchecked.
    pub name: String,
    /// A random id, used if the topic comes to be.
    pub id: TopicId,
    /// How many partitions; −1 is the default.
    pub partitions: i32,
    /// How many replicas of each; −1 is the default.
    pub replication_factor: i16,
    /// Replicas placed by hand; empty lets the controller place them.
    pub assignments: Vec<ManualAssignment>,
    /// Its configuration. A value of `None` is refused (40).
    pub configs: Vec<(String, Option<String>)>,
}

/// Replicas of one partition, placed by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManualAssignment {
    /// Which partition.
    pub partition: i32,
    /// On which brokers, preferred leader first.
    pub brokers: Vec<BrokerId>,
}

/// DeleteTopics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteTopics {
    /// Which, in the order of the request.
    pub topics: Vec<TopicReference>,
}

/// A topic by one of its two names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TopicReference {
    /// By name.
    Name(String),
    /// By identity.
    Id(TopicId),
}

/// CreatePartitions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatePartitions {
    /// The topics, in the order of the request.
    pub topics: Vec<MorePartitions>,
    /// Only say what would happen.
    pub validate_only: bool,
}

/// The new size of one topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MorePartitions {
    /// Which topic.
    pub name: String,
    /// How many partitions it is to have in all.
    pub count: i32,
    /// Replicas of each new partition, placed by hand; `None` lets the controller place them.
    pub assignments: Option<Vec<Vec<BrokerId>>>,
}

/// AlterConfigs and IncrementalAlterConfigs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlterConfigs {
    /// The resources, in the order of the request.
    pub resources: Vec<ResourceChange>,
    /// Only say what would happen.
    pub validate_only: bool,
}

/// The change to one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceChange {
    /// Whose configuration.
    pub resource: ConfigResource,
    /// What becomes of it.
    pub change: ConfigChange,
}

/// The two ways Kafka changes configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConfigChange {
    /// AlterConfigs (33): these are all the dynamic values from now on. A value of `None` is refused (40).
    Replace(Vec<(String, Option<String>)>),
    /// IncrementalAlterConfigs (44): key by key.
    Incremental(Vec<(String, ConfigOperation)>),
}

/// What becomes of one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConfigOperation {
    /// It gets this value.
    Set(String),
    /// It goes back to its default.
    Delete,
    /// These items join its list.
    Append(String),
    /// These items leave its list.
    Subtract(String),
}

/// AlterPartition, for one partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlterPartition {
    /// The leader that asks.
    pub broker: BrokerId,
    /// Which of its registrations.
    pub broker_epoch: i64,
    /// Which partition.
    pub partition: TopicPartition,
    /// The leader's epoch.
    pub leader_epoch: LeaderEpoch,
    /// The partition epoch that the change builds on.
    pub partition_epoch: i32,
    /// The set it asks for.
    pub new_isr: Vec<BrokerId>,
}
