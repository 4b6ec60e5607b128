//! Fetches that wait at the partitions' owner for more bytes.
//!
//! They are woken by the high watermark, never by polling. One fetch waits at most once per owner, and a connection has at
//! most one fetch, so no more can wait than there are connections.

use alloc::{collections::BTreeSet, vec::Vec};
use flumen_log::{ShardId, TopicPartition};

use crate::{
    hash::Map,
    mail::{FetchMail, Ticket},
};

/// A fetch as its owner knows it: tickets are unique only within the shard that gave them out.
pub(crate) type FetchKey = (ShardId, Ticket);

/// One fetch that waits.
#[derive(Debug)]
pub(crate) struct Parked {
    pub(crate) mail: FetchMail,
    /// Bytes were reported, and no word came back: say nothing until then.
    pub(crate) reported: Option<u64>,
}

/// All fetches that wait at this shard.
#[derive(Debug, Default)]
pub(crate) struct Purgatory {
    parked: Map<FetchKey, Parked>,
    watchers: Map<TopicPartition, BTreeSet<FetchKey>>,
}

impl Purgatory {
    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.parked.len()
    }

    /// Let a fetch wait.
    pub(crate) fn park(&mut self, key: FetchKey, parked: Parked) {
        for entry in &parked.mail.entries {
            self.watchers.entry(entry.partition).or_default().insert(key);
        }
        self.parked.insert(key, parked);
    }

    /// A fetch that waits.
    pub(crate) fn get_mut(&mut self, key: &FetchKey) -> Option<&mut Parked> {
        self.parked.get_mut(key)
    }

    /// End a wait.
    pub(crate) fn take(&mut self, key: &FetchKey) -> Option<Parked> {
        let parked = self.parked.remove(key)?;
        for entry in &parked.mail.entries {
            if let Some(watchers) = self.watchers.get_mut(&entry.partition) {
                watchers.remove(key);
                if watchers.is_empty() {
                    self.watchers.remove(&entry.partition);
                }
            }
        }
        Some(parked)
    }

    /// The fetches that wait for a partition.
    pub(crate) fn watching(&self, partition: TopicPartition) -> Vec<FetchKey> {
        self.watchers.get(&partition).map(|keys| keys.iter().copied().collect()).unwrap_or_default()
    }
}
