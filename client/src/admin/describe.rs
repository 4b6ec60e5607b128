//! The cluster, its topics and its disks, as brokers describe them.

use flumen_protocol::describe_cluster::DescribeClusterRequest;
use flumen_protocol::describe_log_dirs::{DescribeLogDirsRequest, DescribeLogDirsResult};
use flumen_protocol::metadata::MetadataResponseTopic;
use flumen_protocol::{ErrorCode, Uuid};

use super::{Admin, Outcomes, in_order};
use crate::Error;

/// A cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClusterDescription {
    /// Its id.
    pub id: String,
    /// The broker that administration goes to, if one is known.
    pub controller: Option<i32>,
    /// All brokers, by id.
    pub brokers: Vec<DescribedBroker>,
}

/// A broker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DescribedBroker {
    /// Its id.
    pub id: i32,
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: i32,
    /// Its rack.
    pub rack: Option<String>,
}

/// A topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DescribedTopic {
    /// Its name.
    pub name: String,
    /// Its id, zero from a broker that has none.
    pub id: Uuid,
    /// Whether it is the cluster's own.
    pub is_internal: bool,
    /// Its partitions, ascending.
    pub partitions: Vec<DescribedPartition>,
}

/// A partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DescribedPartition {
    /// Its index.
    pub index: i32,
    /// Its leader, if it has one.
    pub leader: Option<i32>,
    /// The leader's epoch.
    pub leader_epoch: i32,
    /// The brokers that hold it.
    pub replicas: Vec<i32>,
    /// Those of them in sync.
    pub in_sync: Vec<i32>,
    /// Those of them that are down.
    pub offline: Vec<i32>,
    /// What is wrong with it, if anything.
    pub problem: Option<ErrorCode>,
}

/// A directory in which a broker keeps logs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogDirectory {
    /// The broker.
    pub broker: i32,
    /// The directory.
    pub path: String,
    /// What is wrong with it, if anything.
    pub problem: Option<ErrorCode>,
    /// Size of its file system, −1 where unknown.
    pub total_bytes: i64,
    /// Of which free, −1 where unknown.
    pub usable_bytes: i64,
    /// What is in it.
    pub replicas: Vec<ReplicaSize>,
}

/// A replica's size.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReplicaSize {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Bytes of its log.
    pub bytes: i64,
}

impl Admin {
    /// Describes the cluster.
    pub async fn describe_cluster(&self) -> Result<ClusterDescription, Error> {
        let answer = self.cluster.call_any(DescribeClusterRequest::default()).await?;
        Error::check(answer.error_code, answer.error_message.as_deref())?;
        let broker = |broker: &flumen_protocol::describe_cluster::DescribeClusterBroker| DescribedBroker {
            id: broker.broker_id,
            host: broker.host.to_string(),
            port: broker.port,
            rack: broker.rack.as_ref().map(ToString::to_string),
        };
        let mut brokers: Vec<DescribedBroker> = answer.brokers.iter().map(broker).collect();
        brokers.sort_by_key(|broker| broker.id);
        let controller = Some(answer.controller_id).filter(|id| *id >= 0);
        Ok(ClusterDescription { id: answer.cluster_id.to_string(), controller, brokers })
    }

    /// Describes all topics, by name.
    pub async fn list_topics(&self) -> Result<Vec<DescribedTopic>, Error> {
        let answer = self.cluster.retrying(|| self.cluster.refresh_all()).await?;
        let mut topics = Vec::with_capacity(answer.topics.len());
        for topic in &answer.topics {
            Error::check(topic.error_code, None)?;
            topics.push(DescribedTopic::from(topic));
        }
        topics.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(topics)
    }

    /// Describes topics, in the order asked.
    pub async fn describe_topics(&self, names: &[String]) -> Result<Outcomes<DescribedTopic>, Error> {
        let wanted: Vec<&str> = names.iter().map(String::as_str).collect();
        let answer = self.cluster.retrying(|| self.cluster.refresh(&wanted, false)).await?;
        let found = answer.topics.iter().map(|topic| {
            let described = DescribedTopic::from(topic);
            let outcome = match topic.error_code {
                ErrorCode::UnknownTopicOrPartition => Err(Error::UnknownTopic(described.name.clone())),
                code => Error::check(code, None).map(|()| described.clone()),
            };
            (described.name, outcome)
        });
        Ok(in_order(names, found.collect()))
    }

    /// What one broker keeps, and where.
    pub async fn describe_log_dirs(&self, broker: i32) -> Result<Vec<LogDirectory>, Error> {
        let request = DescribeLogDirsRequest { topics: None };
        let ask = || async {
            let answer = self.cluster.broker(broker).await?.call(request.clone()).await?;
            Error::check(answer.error_code, None)?;
            Ok(answer)
        };
        let answer = self.cluster.retrying(ask).await?;
        Ok(answer.results.iter().map(|result| log_directory(broker, result)).collect())
    }
}

fn log_directory(broker: i32, result: &DescribeLogDirsResult) -> LogDirectory {
    let mut replicas = Vec::new();
    for topic in &result.topics {
        replicas.extend(topic.partitions.iter().map(|partition| ReplicaSize {
            topic: topic.name.to_string(),
            partition: partition.partition_index,
            bytes: partition.partition_size,
        }));
    }
    replicas.sort_by(|one, other| (&one.topic, one.partition).cmp(&(&other.topic, other.partition)));
    LogDirectory {
        broker,
        path: result.log_dir.to_string(),
        problem: Some(result.error_code).filter(|code| *code != ErrorCode::None),
        total_bytes: result.total_bytes,
        usable_bytes: result.usable_bytes,
        replicas,
    }
}

impl From<&MetadataResponseTopic> for DescribedTopic {
    fn from(topic: &MetadataResponseTopic) -> Self {
        let mut partitions: Vec<DescribedPartition> = topic
            .partitions
            .iter()
            .map(|partition| DescribedPartition {
                index: partition.partition_index,
                leader: Some(partition.leader_id).filter(|id| *id >= 0),
                leader_epoch: partition.leader_epoch,
                replicas: partition.replica_nodes.clone(),
                in_sync: partition.isr_nodes.clone(),
                offline: partition.offline_replicas.clone(),
                problem: Some(partition.error_code).filter(|code| *code != ErrorCode::None),
            })
            .collect();
        partitions.sort_by_key(|partition| partition.index);
        Self {
            name: topic.name.as_ref().map(ToString::to_string).unwrap_or_default(),
            id: topic.topic_id,
            is_internal: topic.is_internal,
            partitions,
        }
    }
}
