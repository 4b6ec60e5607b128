//! What the brokers last said of themselves, the topics and the leaders.
//!
//! Invariant: for one topic id, a partition's leader epoch never goes back.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use flumen_protocol::Uuid;
use flumen_protocol::metadata::{MetadataResponse, MetadataResponseTopic};

use crate::{Error, ErrorCode};

/// A broker's place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broker {
    /// Its id.
    pub id: i32,
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: i32,
    /// Its rack.
    pub rack: Option<String>,
}

impl Broker {
    /// Host and port.
    #[must_use]
    pub fn address(&self) -> String {
        if self.host.contains(':') { format!("[{}]:{}", self.host, self.port) } else { format!("{}:{}", self.host, self.port) }
    }
}

/// Who leads a partition, and since which epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leader {
    /// The broker.
    pub broker: i32,
    /// Its epoch, −1 where the broker does not say.
    pub epoch: i32,
}

/// A partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PartitionMetadata {
    /// Its leader, if it has one.
    pub leader: Option<Leader>,
}

/// A topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopicMetadata {
    /// Its name.
    pub name: Arc<str>,
    /// Its id, zero from a broker that has none.
    pub id: Uuid,
    partitions: BTreeMap<i32, PartitionMetadata>,
    available: Vec<i32>,
}

impl TopicMetadata {
    /// How many partitions it has.
    #[must_use]
    pub fn partition_count(&self) -> i32 {
        i32::try_from(self.partitions.len()).unwrap_or(i32::MAX)
    }

    /// Those with a leader, ascending.
    #[must_use]
    pub fn available(&self) -> &[i32] {
        &self.available
    }

    fn find_available(&mut self) {
        let led = self.partitions.iter().filter(|(_, partition)| partition.leader.is_some());
        self.available = led.map(|(index, _)| *index).collect();
    }
}

/// All that is known.
#[derive(Debug, Default)]
pub struct MetadataCache {
    brokers: BTreeMap<i32, Broker>,
    controller: Option<i32>,
    topics: HashMap<Arc<str>, Arc<TopicMetadata>>,
    names: HashMap<[u8; 16], Arc<str>>,
    /// What the last answer said of topics it did not describe.
    refusals: HashMap<String, ErrorCode>,
}

impl MetadataCache {
    /// All brokers, by id.
    #[must_use]
    pub fn brokers(&self) -> Vec<Broker> {
        self.brokers.values().cloned().collect()
    }

    /// One broker.
    #[must_use]
    pub fn broker(&self, id: i32) -> Option<&Broker> {
        self.brokers.get(&id)
    }

    /// The broker that administration goes to.
    #[must_use]
    pub fn controller(&self) -> Option<i32> {
        self.controller.filter(|id| self.brokers.contains_key(id))
    }

    /// A topic.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<Arc<TopicMetadata>> {
        self.topics.get(name).cloned()
    }

    /// The names of all topics asked about.
    #[must_use]
    pub fn topic_names(&self) -> Vec<Arc<str>> {
        self.topics.keys().cloned().collect()
    }

    /// The name that goes with an id.
    #[must_use]
    pub fn name_of(&self, id: Uuid) -> Option<Arc<str>> {
        self.names.get(&id.0).cloned()
    }

    /// Why the last answer did not describe a topic.
    #[must_use]
    pub fn refusal(&self, name: &str) -> Option<Error> {
        let code = *self.refusals.get(name)?;
        Some(match code {
            ErrorCode::UnknownTopicOrPartition => Error::UnknownTopic(name.to_owned()),
            code => Error::Broker { code, message: None },
        })
    }

    /// A partition's leader.
    #[must_use]
    pub fn leader(&self, topic: &str, partition: i32) -> Option<Leader> {
        self.topics.get(topic)?.partitions.get(&partition)?.leader
    }

    /// Takes up an answer.
    pub fn take_up(&mut self, response: &MetadataResponse) {
        if !response.brokers.is_empty() {
            self.brokers = response.brokers.iter().map(|broker| (broker.node_id, broker.into())).collect();
        }
        self.controller = Some(response.controller_id).filter(|id| *id >= 0);
        for topic in &response.topics {
            let Some(name) = topic.name.as_deref() else { continue };
            if topic.error_code == ErrorCode::None {
                self.refusals.remove(name);
                self.take_up_topic(name, topic);
            } else {
                self.refusals.insert(name.to_owned(), topic.error_code);
                if topic.error_code == ErrorCode::UnknownTopicOrPartition
                    && let Some(gone) = self.topics.remove(name)
                {
                    self.names.remove(&gone.id.0);
                }
            }
        }
    }

    fn take_up_topic(&mut self, name: &str, topic: &MetadataResponseTopic) {
        let known = self.topics.get(name).filter(|known| known.id == topic.topic_id);
        let mut partitions = BTreeMap::new();
        for partition in &topic.partitions {
            let leader = Leader { broker: partition.leader_id, epoch: partition.leader_epoch };
            let before = known.and_then(|known| known.partitions.get(&partition.partition_index)?.leader);
            let leader = match before {
                // A broker that lags behind may answer with an older reign.
                Some(before) if before.epoch > leader.epoch => Some(before),
                _ => Some(leader).filter(|leader| leader.broker >= 0),
            };
            partitions.insert(partition.partition_index, PartitionMetadata { leader });
        }
        let name: Arc<str> = Arc::from(name);
        let mut found = TopicMetadata { name: Arc::clone(&name), id: topic.topic_id, partitions, available: Vec::new() };
        found.find_available();
        if topic.topic_id != Uuid::default() {
            self.names.insert(topic.topic_id.0, Arc::clone(&name));
        }
        if let Some(before) = self.topics.insert(name, Arc::new(found))
            && before.id != topic.topic_id
        {
            self.names.remove(&before.id.0);
        }
    }

    /// Takes up a leader that a broker named in passing (KIP-951).
    pub fn learn_leader(&mut self, topic: &str, partition: i32, leader: Leader, endpoints: &[Broker]) {
        for broker in endpoints {
            self.brokers.insert(broker.id, broker.clone());
        }
        if !self.brokers.contains_key(&leader.broker) {
            return;
        }
        let Some(known) = self.topics.get_mut(topic) else { return };
        let known = Arc::make_mut(known);
        let Some(place) = known.partitions.get_mut(&partition) else { return };
        if place.leader.is_none_or(|before| before.epoch < leader.epoch) {
            place.leader = Some(leader);
            known.find_available();
        }
    }
}

impl From<&flumen_protocol::metadata::MetadataResponseBroker> for Broker {
    fn from(broker: &flumen_protocol::metadata::MetadataResponseBroker) -> Self {
        Self {
            id: broker.node_id,
            host: broker.host.to_string(),
            port: broker.port,
            rack: broker.rack.as_ref().map(ToString::to_string),
        }
    }
}

#[cfg(test)]
mod tests {
    use flumen_protocol::Text;
    use flumen_protocol::metadata::{MetadataResponseBroker, MetadataResponsePartition};

    use super::*;

    fn answer(id: u8, leader_id: i32, leader_epoch: i32) -> MetadataResponse {
        let broker = |node_id| MetadataResponseBroker { node_id, host: Text::from("h"), port: 1, ..Default::default() };
        let partition = MetadataResponsePartition { leader_id, leader_epoch, ..Default::default() };
        let topic = MetadataResponseTopic {
            name: Some(Text::from("t")),
            topic_id: Uuid([id; 16]),
            partitions: vec![partition],
            ..Default::default()
        };
        MetadataResponse { brokers: vec![broker(1), broker(2)], topics: vec![topic], ..Default::default() }
    }

    #[test]
    fn a_leader_never_gives_way_to_an_older_one_of_the_same_topic() {
        let mut cache = MetadataCache::default();
        cache.take_up(&answer(1, 1, 5));
        cache.take_up(&answer(1, 2, 4));
        assert_eq!(cache.leader("t", 0), Some(Leader { broker: 1, epoch: 5 }));
        // Deleted and made again, epochs start anew.
        cache.take_up(&answer(2, 2, 0));
        assert_eq!(cache.leader("t", 0), Some(Leader { broker: 2, epoch: 0 }));
        assert_eq!(cache.name_of(Uuid([1; 16])), None);
        assert_eq!(cache.name_of(Uuid([2; 16])).as_deref(), Some("t"));
    }

    #[test]
    fn a_hint_counts_if_newer_and_its_broker_is_known() {
        let mut cache = MetadataCache::default();
        cache.take_up(&answer(1, 1, 5));
        cache.learn_leader("t", 0, Leader { broker: 2, epoch: 5 }, &[]);
        assert_eq!(cache.leader("t", 0).map(|leader| leader.broker), Some(1));
        cache.learn_leader("t", 0, Leader { broker: 9, epoch: 6 }, &[]);
        assert_eq!(cache.leader("t", 0).map(|leader| leader.broker), Some(1));
        let nine = Broker { id: 9, host: String::from("::1"), port: 9, rack: None };
        cache.learn_leader("t", 0, Leader { broker: 9, epoch: 6 }, &[nine]);
        assert_eq!(cache.leader("t", 0), Some(Leader { broker: 9, epoch: 6 }));
        assert_eq!(cache.broker(9).map(Broker::address).as_deref(), Some("[::1]:9"));
    }

    #[test]
    fn a_topic_that_is_gone_is_forgotten() {
        let mut cache = MetadataCache::default();
        cache.take_up(&answer(1, -1, 5));
        assert_eq!(cache.topic("t").map(|topic| topic.available().len()), Some(0));
        let mut gone = answer(1, 1, 1);
        gone.topics[0].error_code = ErrorCode::UnknownTopicOrPartition;
        cache.take_up(&gone);
        assert!(cache.topic("t").is_none());
        assert!(matches!(cache.refusal("t"), Some(Error::UnknownTopic(_))));
    }
}
