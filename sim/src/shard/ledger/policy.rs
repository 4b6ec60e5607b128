//! What a topic was made to keep, and what of it may therefore go.

use alloc::{string::String, string::ToString, vec::Vec};
use flumen_log::Timestamp;

use super::Ledger;
use crate::{random::Random, shard::swarm::Swarm};

/// A topic's settings, besides what `acks=all` means.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Policy {
    /// `retention.ms`
    retention_ms: Option<i64>,
    /// `retention.bytes`
    retention_bytes: Option<u64>,
    /// `segment.ms`
    segment_ms: Option<u64>,
}

impl Policy {
    /// For the next topic.
    pub(crate) fn draw(swarm: &Swarm, random: &mut Random) -> Self {
        let mut policy = Self::default();
        if swarm.retains && random.one_in(2) {
            policy.segment_ms = Some(1 + random.below(60));
            let kind = random.below(4);
            if kind < 2 {
                // An hour never passes here: only a clock that is believed too soon ends it.
                let ms = if random.one_in(3) { 3_600_000 } else { 200 + random.below(5000) };
                policy.retention_ms = i64::try_from(ms).ok();
            }
            if kind > 0 {
                policy.retention_bytes = Some(random.below(20_000));
            }
        }
        policy
    }

    /// As CreateTopics is told.
    pub(crate) fn configs(&self) -> Vec<(&'static str, String)> {
        let mut configs = Vec::new();
        let mut set = |name, value: Option<String>| configs.extend(value.map(|value| (name, value)));
        set("retention.ms", self.retention_ms.map(|ms| ms.to_string()));
        set("retention.bytes", self.retention_bytes.map(|bytes| bytes.to_string()));
        set("segment.ms", self.segment_ms.map(|ms| ms.to_string()));
        configs
    }
}

/// Where a log was seen to start, and what the shard says of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewStart {
    pub(super) start: i64,
    pub(super) size_bytes: u64,
    /// Nothing was seen of the log in this life before: it may have been longer when segments went.
    pub(super) is_first_look: bool,
}

impl Ledger {
    /// A log starts later than anybody asked for. Whether retention may have done it; then it may start there from now on.
    pub(super) fn may_be_retention(&mut self, topic: usize, index: usize, seen: NewStart) -> bool {
        let facts = &self.topics[topic].partitions[index];
        let Policy { retention_ms, retention_bytes, .. } = self.topics[topic].policy;
        let gone = facts.truth.range(facts.deletable..seen.start).map(|(_, record)| *record);
        let is_expired = |ms: i64| {
            let sent_at = |record| self.batch_of(record).map_or(Timestamp::NONE, |sent| sent.at);
            gone.clone().all(|record| sent_at(record).0.saturating_add(ms) < self.believed.0)
        };
        let is_surplus = |bytes| seen.is_first_look || seen.size_bytes >= bytes;
        let lawful = retention_ms.is_some_and(is_expired) || retention_bytes.is_some_and(is_surplus);
        if lawful {
            self.starts_retained += 1;
            self.topics[topic].partitions[index].deletable = seen.start;
        }
        lawful
    }
}
