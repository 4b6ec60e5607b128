//! What a coordinator knows: the last commit of every group and partition, in one partition of `__consumer_offsets`.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::String,
    vec::Vec,
};
use flumen_log::{Offset, SteadyWall, TopicPartition, io::OperationId};
use flumen_protocol::ErrorCode;

use crate::{hash::Map, mail::CommittedOffset};

/// Whose commit it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct CommitKey {
    pub(crate) group: String,
    pub(crate) topic: String,
    pub(crate) partition: i32,
}

/// A commit as it was recorded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Commit {
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: String,
    pub(crate) committed_at_ms: i64,
    /// Set where the client asked for its own retention (versions 2 to 4).
    pub(crate) expires_at_ms: Option<i64>,
}

/// How far a coordinator's replay has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Replay {
    /// Records from here up to the bound are still to be read.
    At { next: Offset, end: Offset },
    /// All is known.
    Done,
    /// The partition could not be read.
    Failed,
}

/// The coordinator of the groups of one partition.
#[derive(Debug)]
pub(crate) struct Coordinator {
    pub(crate) replay: Replay,
    pub(crate) commits: BTreeMap<CommitKey, Commit>,
    /// Topics deleted while the partition is being read: what is read of them is to be removed afterwards.
    pub(crate) gone_topics: BTreeSet<String>,
}

/// Records appended for a question, to be taken up once they are committed.
pub(crate) type Uncommitted = (TopicPartition, Vec<(CommitKey, Option<Commit>)>);

/// The coordinators of one shard.
#[derive(Debug, Default)]
pub(crate) struct Coordinators {
    pub(crate) of: Map<TopicPartition, Coordinator>,
    /// Reads of a replay: the partition, and the offset after what is being read.
    pub(crate) reads: Map<OperationId, Reading>,
    /// By question group and place.
    pub(crate) uncommitted: Map<(u64, u32), Uncommitted>,
    /// Removals of expired commits name themselves with numbers of this count.
    pub(crate) expiries: u32,
    pub(crate) expiry_armed: bool,
    /// What expiry goes by.
    pub(crate) steady_wall: SteadyWall,
}

/// A read of a replay.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) partition: TopicPartition,
    pub(crate) next: Offset,
    /// Keeps the segment's file open meanwhile.
    pub(crate) lease: flumen_log::io::FileSlice,
}

impl Coordinators {
    pub(crate) fn forget(&mut self, partition: TopicPartition) {
        self.of.remove(&partition);
        self.uncommitted.retain(|_, (other, _)| *other != partition);
    }

    /// The coordinator, if it is here and has read all it has to (G17).
    pub(crate) fn ready(&self, partition: TopicPartition) -> Result<&Coordinator, ErrorCode> {
        match self.of.get(&partition) {
            None => Err(ErrorCode::NotCoordinator),
            Some(coordinator) => match coordinator.replay {
                Replay::Done => Ok(coordinator),
                Replay::At { .. } => Err(ErrorCode::CoordinatorLoadInProgress),
                Replay::Failed => Err(ErrorCode::NotCoordinator),
            },
        }
    }

    /// The coordinators that have read all they have to: only of these is known which commit is the last.
    pub(crate) fn loaded(&self) -> impl Iterator<Item = (TopicPartition, &Coordinator)> {
        let coordinators = self.of.iter().map(|(partition, coordinator)| (*partition, coordinator));
        coordinators.filter(|(_, coordinator)| coordinator.replay == Replay::Done)
    }

    /// Keys of records that are appended to this partition and not committed yet.
    pub(crate) fn keys_under_way(&self, partition: TopicPartition) -> BTreeSet<&CommitKey> {
        let here = self.uncommitted.values().filter(|(other, _)| *other == partition);
        here.flat_map(|(_, records)| records.iter().map(|(key, _)| key)).collect()
    }

    /// Take up what was recorded.
    pub(crate) fn take_up(&mut self, (partition, records): Uncommitted) {
        if let Some(coordinator) = self.of.get_mut(&partition) {
            for (key, commit) in records {
                coordinator.take_up(key, commit);
            }
        }
    }
}

impl Coordinator {
    /// One that has its partition still to read.
    pub(crate) const fn reading(next: Offset, end: Offset) -> Self {
        Self { replay: Replay::At { next, end }, commits: BTreeMap::new(), gone_topics: BTreeSet::new() }
    }

    pub(crate) fn take_up(&mut self, key: CommitKey, commit: Option<Commit>) {
        match commit {
            Some(commit) => self.commits.insert(key, commit),
            None => self.commits.remove(&key),
        };
    }

    /// Whether the group has ever committed anything that is still kept.
    pub(crate) fn knows(&self, group: &str) -> bool {
        self.of_group(group).next().is_some()
    }

    /// Everything a group has committed.
    pub(crate) fn of_group<'a>(&'a self, group: &'a str) -> impl Iterator<Item = (&'a CommitKey, &'a Commit)> + 'a {
        let first = CommitKey { group: group.into(), topic: String::new(), partition: i32::MIN };
        self.commits.range(first..).take_while(move |(key, _)| key.group == group)
    }
}

impl Commit {
    pub(crate) fn answer(&self, key: &CommitKey) -> CommittedOffset {
        CommittedOffset {
            topic: key.topic.clone(),
            partition: key.partition,
            offset: self.offset,
            leader_epoch: self.leader_epoch,
            metadata: self.metadata.clone(),
        }
    }
}
