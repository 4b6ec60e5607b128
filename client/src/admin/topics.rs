//! Topics made, enlarged and removed.

use flumen_protocol::create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic};
use flumen_protocol::create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use flumen_protocol::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use flumen_protocol::{Text, Uuid};

use super::{Admin, Outcomes, in_order, retriable};
use crate::Error;

/// A topic to be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions, −1 for the cluster's default.
    pub partitions: i32,
    /// How many replicas of each, −1 for the cluster's default.
    pub replication_factor: i16,
    /// Its configuration, where it is not the default.
    pub configs: Vec<(String, String)>,
}

/// A topic that was made, or would have been.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CreatedTopic {
    /// Its id, zero from brokers that do not say.
    pub id: Uuid,
    /// How many partitions, −1 from brokers that do not say.
    pub partitions: i32,
    /// How many replicas of each, −1 from brokers that do not say.
    pub replication_factor: i16,
}

/// The first version that deletes topics by name or id in one list.
const DELETE_VERSION_WITH_STATES: i16 = 6;

impl Admin {
    /// Makes topics, or with `validate_only` says whether they could be made.
    pub async fn create_topics(&self, topics: &[NewTopic], validate_only: bool) -> Result<Outcomes<CreatedTopic>, Error> {
        let config = |(name, value): &(String, String)| CreatableTopicConfig {
            name: Text::from(name.as_str()),
            value: Some(Text::from(value.as_str())),
        };
        let wanted = topics.iter().map(|topic| CreatableTopic {
            name: Text::from(topic.name.as_str()),
            num_partitions: topic.partitions,
            replication_factor: topic.replication_factor,
            configs: topic.configs.iter().map(config).collect(),
            ..Default::default()
        });
        let request = CreateTopicsRequest { topics: wanted.collect(), timeout_ms: self.timeout_ms(), validate_only };
        let names: Vec<String> = topics.iter().map(|topic| topic.name.clone()).collect();
        self.cluster
            .retrying(|| async {
                let answer = self.cluster.controller().await?.call(request.clone()).await?;
                let outcomes = answer.topics.iter().map(|topic| {
                    let made = CreatedTopic {
                        id: topic.topic_id,
                        partitions: topic.num_partitions,
                        replication_factor: topic.replication_factor,
                    };
                    let checked = Error::check(topic.error_code, topic.error_message.as_deref());
                    (topic.name.to_string(), checked.map(|()| made))
                });
                settled(&names, outcomes.collect())
            })
            .await
    }

    /// Removes topics and all they hold.
    pub async fn delete_topics(&self, names: &[String]) -> Result<Outcomes<()>, Error> {
        self.cluster
            .retrying(|| async {
                let connection = self.cluster.controller().await?;
                let mut request = DeleteTopicsRequest { timeout_ms: self.timeout_ms(), ..Default::default() };
                if connection.version_of::<DeleteTopicsRequest>(i16::MAX)? >= DELETE_VERSION_WITH_STATES {
                    let state = |name: &String| DeleteTopicState { name: Some(Text::from(name.as_str())), ..Default::default() };
                    request.topics = names.iter().map(state).collect();
                } else {
                    request.topic_names = names.iter().map(|name| Text::from(name.as_str())).collect();
                }
                let answer = connection.call(request).await?;
                let outcomes = answer.responses.iter().map(|topic| {
                    let name = topic.name.as_ref().map(ToString::to_string).unwrap_or_default();
                    (name, Error::check(topic.error_code, topic.error_message.as_deref()))
                });
                settled(names, outcomes.collect())
            })
            .await
    }

    /// Raises the number of partitions of each topic to a total.
    pub async fn create_partitions(&self, totals: &[(String, i32)], validate_only: bool) -> Result<Outcomes<()>, Error> {
        let topic = |(name, count): &(String, i32)| CreatePartitionsTopic {
            name: Text::from(name.as_str()),
            count: *count,
            assignments: None,
        };
        let request =
            CreatePartitionsRequest { topics: totals.iter().map(topic).collect(), timeout_ms: self.timeout_ms(), validate_only };
        let names: Vec<String> = totals.iter().map(|(name, _)| name.clone()).collect();
        self.cluster
            .retrying(|| async {
                let answer = self.cluster.controller().await?.call(request.clone()).await?;
                let outcomes = answer
                    .results
                    .iter()
                    .map(|topic| (topic.name.to_string(), Error::check(topic.error_code, topic.error_message.as_deref())));
                settled(&names, outcomes.collect())
            })
            .await
    }
}

fn settled<T>(names: &[String], answers: Vec<(String, Result<T, Error>)>) -> Result<Outcomes<T>, Error> {
    match retriable(&answers) {
        Some(problem) => Err(problem),
        None => Ok(in_order(names, answers)),
    }
}
