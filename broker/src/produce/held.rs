//! Appends that wait until the disk has caught up with those before them.
//!
//! A request that waits here has not been answered, so its bytes still count against its connection and its shard: clients that
//! send more than the disk takes are read no further, and nothing piles up. Invariant: what is held for one log directory is
//! appended in the order in which it came, and nothing overtakes it.

use alloc::collections::{BTreeMap, BTreeSet};
use flumen_log::{
    TopicPartition,
    batch::{Origin, ValidatedBatch},
};

use crate::{mail::Acks, partition::Waiter};

/// The place of an append that waits: its log directory, and a number that rises.
pub(super) type HeldKey = (u32, u64);

/// An append that waits.
#[derive(Debug)]
pub(super) struct HeldAppend {
    pub(super) waiter: Waiter,
    pub(super) partition: TopicPartition,
    pub(super) batch: ValidatedBatch,
    pub(super) acks: Acks,
    pub(super) origin: Origin,
}

/// All that wait, by directory and in their order.
#[derive(Debug, Default)]
pub(super) struct Held {
    appends: BTreeMap<HeldKey, HeldAppend>,
    next: u64,
}

impl Held {
    /// The directories for which any waits.
    pub(super) fn directories(&self) -> BTreeSet<u32> {
        let mut directories = BTreeSet::new();
        let mut rest = self.appends.range(..);
        while let Some(((directory, _), _)) = rest.next() {
            directories.insert(*directory);
            rest = self.appends.range((*directory, u64::MAX)..);
        }
        directories
    }

    /// Whether any waits for this directory.
    pub(super) fn has(&self, directory: u32) -> bool {
        self.first(directory).is_some()
    }

    /// Let one wait, behind all others of its directory.
    pub(super) fn put(&mut self, directory: u32, append: HeldAppend) -> HeldKey {
        self.next += 1;
        let key = (directory, self.next);
        self.appends.insert(key, append);
        key
    }

    /// The next of a directory.
    pub(super) fn take_first(&mut self, directory: u32) -> Option<HeldAppend> {
        self.first(directory).and_then(|key| self.appends.remove(&key))
    }

    /// One that need not be appended any more.
    pub(super) fn forget(&mut self, key: HeldKey) {
        self.appends.remove(&key);
    }

    fn first(&self, directory: u32) -> Option<HeldKey> {
        self.appends.range((directory, 0)..=(directory, u64::MAX)).next().map(|(key, _)| *key)
    }
}
