//! What the clients know: everything they sent, everything they were told, and what must follow from it.
//!
//! The oracle of a run. It believes nothing but frames that reached a client, and the shards' own audits, which it holds against
//! one another. A request that was lost or timed out is unknown, never failed. Of a topic whose durability is `replicated`, or
//! changes, a record may go with a power failure until it was seen below the durable offset; nothing else ever goes.

mod audit;
mod partition;
pub(crate) mod payload;
mod policy;
mod sent;

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    vec::Vec,
};
use flumen_log::{PartitionIndex, Timestamp, TopicId, TopicPartition};

pub(crate) use partition::PartitionFacts;
pub(crate) use policy::Policy;
pub(crate) use sent::{Outcome, Sent};

/// How far a topic's life has come, as the clients know it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Life {
    /// To be made.
    Wanted,
    /// A creation was asked for; its outcome is not known.
    Asked,
    /// It is there, and its id is known.
    Made,
    /// A deletion was asked for; nothing is expected of it any more.
    Doomed,
    /// It is gone.
    Gone,
}

/// One incarnation of a topic.
#[derive(Debug)]
pub(crate) struct TopicFacts {
    pub(crate) name: String,
    pub(crate) id: TopicId,
    pub(crate) life: Life,
    /// Made with the default durability, and never asked to change it.
    pub(crate) always_synced: bool,
    pub(crate) policy: Policy,
    /// Its name must not be used again: a request that names it may still be on its way.
    pub(crate) tainted: bool,
    pub(crate) partitions: Vec<PartitionFacts>,
}

/// Everything known.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) topics: Vec<TopicFacts>,
    by_id: BTreeMap<TopicId, usize>,
    pub(crate) sent: Vec<Sent>,
    producer_ids: BTreeSet<i64>,
    /// The log directory has failed in this life: nothing is appended or read any more.
    pub(crate) storage_failed: bool,
    /// The disk may be full: where there is no room to write down what is known of producers, records go all the same, and what
    /// was known of their senders may go with them.
    pub(crate) forgets_deleted: bool,
    /// Partitions for which there was no room in this life.
    pub(crate) not_made: BTreeSet<TopicPartition>,
    /// Commits by group, topic and partition: the last that was acknowledged, and the highest that was sent.
    commits: BTreeMap<(String, String, i32), (i64, i64)>,
    /// No later than this may the broker think it is.
    pub(crate) believed: Timestamp,
    /// How often a log was seen to start later because of retention.
    pub(crate) starts_retained: u64,
    pub(crate) violations: Vec<String>,
}

impl Ledger {
    pub(crate) fn new(forgets_deleted: bool) -> Self {
        Self { forgets_deleted, ..Self::default() }
    }

    pub(crate) fn violation(&mut self, text: String) {
        // One is enough to fail, a few are enough to understand.
        if self.violations.len() < 20 {
            self.violations.push(text);
        }
    }

    /// A topic to be made.
    pub(crate) fn want_topic(&mut self, name: String, partitions: usize, always_synced: bool, policy: Policy) -> usize {
        let partitions = (0..partitions).map(|_| PartitionFacts::default()).collect();
        let id = TopicId::ZERO;
        self.topics.push(TopicFacts { name, id, life: Life::Wanted, always_synced, policy, tainted: false, partitions });
        self.topics.len() - 1
    }

    /// A topic is there.
    pub(crate) fn topic_made(&mut self, topic: usize, id: TopicId) {
        let facts = &mut self.topics[topic];
        if facts.life < Life::Made {
            facts.life = Life::Made;
            facts.id = id;
            self.by_id.insert(id, topic);
        } else if facts.id != id && facts.life == Life::Made {
            let name = facts.name.clone();
            self.violation(format!("topic {name} has another id all of a sudden"));
        }
    }

    /// Topics that are there and stay.
    pub(crate) fn living(&self) -> impl Iterator<Item = usize> + '_ {
        self.topics.iter().enumerate().filter(|(_, topic)| topic.life == Life::Made).map(|(index, _)| index)
    }

    pub(crate) fn is_living(&self, topic: usize) -> bool {
        self.topics[topic].life == Life::Made
    }

    /// A topic of this id, if it is one of the clients'.
    pub(crate) fn topic_of(&self, id: TopicId) -> Option<usize> {
        self.by_id.get(&id).copied()
    }

    fn find(&mut self, partition: TopicPartition) -> Option<(usize, usize)> {
        let topic = self.topic_of(partition.topic)?;
        let index = usize::try_from(partition.partition.0).ok()?;
        (index < self.topics[topic].partitions.len()).then_some((topic, index))
    }

    /// Partitions could not be made for want of room: they are offline until there is some.
    pub(crate) fn could_not_make(&mut self, partitions: BTreeSet<TopicPartition>) {
        self.not_made.extend(partitions);
    }

    /// Whether the partition could not be made at once in this life.
    pub(crate) fn is_not_made(&self, topic: usize, partition: i32) -> bool {
        let id = self.topics[topic].id;
        self.not_made.contains(&TopicPartition { topic: id, partition: PartitionIndex(partition) })
    }

    pub(crate) fn partition(&mut self, topic: usize, partition: i32) -> Option<&mut PartitionFacts> {
        self.topics.get_mut(topic)?.partitions.get_mut(usize::try_from(partition).ok()?)
    }

    /// A producer id was given out.
    pub(crate) fn producer_id(&mut self, id: i64) {
        if !self.producer_ids.insert(id) {
            self.violation(format!("producer id {id} was given out twice"));
        }
    }

    /// A commit is about to be sent.
    pub(crate) fn committing(&mut self, group: &str, topic: &str, partition: i32, offset: i64) {
        let (_, highest) = self.commits.entry((group.into(), topic.into(), partition)).or_insert((-1, -1));
        *highest = offset.max(*highest);
    }

    /// A commit was acknowledged.
    pub(crate) fn committed(&mut self, group: &str, topic: &str, partition: i32, offset: i64) {
        let (last, _) = self.commits.entry((group.into(), topic.into(), partition)).or_insert((-1, -1));
        *last = offset.max(*last);
    }

    /// What a coordinator says was committed; −1 is nothing.
    pub(crate) fn found_commit(&mut self, group: &str, topic: &str, partition: i32, offset: i64) {
        let known = self.commits.get(&(group.into(), topic.into(), partition)).copied();
        let (last, highest) = known.unwrap_or((-1, -1));
        if offset < last || offset > highest {
            self.violation(format!(
                "group {group} had committed {last} of {topic}-{partition}, at most {highest}, and is told {offset}"
            ));
        }
    }

    /// The broker died. Without power, what was not known to be durable may be gone.
    pub(crate) fn crashed(&mut self, power: bool) {
        for topic in &mut self.topics {
            for partition in &mut topic.partitions {
                partition.crashed(power);
            }
        }
    }
}
