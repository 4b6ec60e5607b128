//! The role that a broker plays in a partition, and how records of the metadata change it.

use crate::follower::Follower;
use crate::leader::Leader;
use crate::reign::{LocalLog, Reign};
use flumen_log::store::Durability;
use flumen_log::{BrokerId, LeaderEpoch, Offset};

/// One partition on this broker.
#[derive(Clone, Debug)]
pub enum Replica {
    /// This broker leads it.
    Leader(Leader),
    /// Another broker leads it, or nobody.
    Follower(Follower),
    /// The log cannot be used.
    Offline,
}

/// What a record of the metadata did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// Nothing: the record is not newer than what is known, or the log is offline.
    Stale,
    /// This broker leads from now on: the epoch must be in the log's epoch list before the first append.
    BecameLeader {
        /// The reign.
        leader_epoch: LeaderEpoch,
        /// The first offset it may write.
        epoch_start: Offset,
    },
    /// This broker follows a new reign.
    BecameFollower,
    /// The same reign, with a newer record. The high watermark may have risen.
    Renewed,
}

impl Replica {
    /// A partition of which nothing is known yet takes its first role.
    #[must_use]
    pub fn new(
        me: BrokerId,
        reign: &Reign,
        log: LocalLog,
        durability: Durability,
        min_insync_replicas: usize,
    ) -> (Self, Transition) {
        if reign.leader == Some(me) {
            let leader = Leader::take_up(me, reign, log, durability, min_insync_replicas);
            let transition = Transition::BecameLeader { leader_epoch: leader.leader_epoch(), epoch_start: leader.epoch_start() };
            (Self::Leader(leader), transition)
        } else {
            (Self::Follower(Follower::take_up(reign, log)), Transition::BecameFollower)
        }
    }

    /// Takes note of a record of the metadata, unless it is no newer than what is known.
    pub fn assign(
        &mut self,
        me: BrokerId,
        reign: &Reign,
        log: LocalLog,
        durability: Durability,
        min_insync_replicas: usize,
    ) -> Transition {
        let Some((leader_epoch, partition_epoch)) = self.epochs() else { return Transition::Stale };
        if reign.leader_epoch < leader_epoch || reign.partition_epoch <= partition_epoch {
            return Transition::Stale;
        }
        if reign.leader_epoch == leader_epoch {
            match self {
                Self::Leader(leader) => leader.renew(reign),
                Self::Follower(follower) => follower.renew(reign),
                Self::Offline => return Transition::Stale,
            }
            return Transition::Renewed;
        }
        // What this broker knew to be committed stays known, whatever the log's record of it says.
        let log = LocalLog { high_watermark: log.high_watermark.max(self.high_watermark()), ..log };
        let (replica, transition) = Self::new(me, reign, log, durability, min_insync_replicas);
        *self = replica;
        transition
    }

    /// The log cannot be used any more.
    pub fn take_offline(&mut self) {
        *self = Self::Offline;
    }

    /// The leader, if this broker is it.
    #[must_use]
    pub fn as_leader(&self) -> Option<&Leader> {
        if let Self::Leader(leader) = self { Some(leader) } else { None }
    }

    /// The leader, if this broker is it.
    #[must_use]
    pub fn as_leader_mut(&mut self) -> Option<&mut Leader> {
        if let Self::Leader(leader) = self { Some(leader) } else { None }
    }

    /// What is known to be committed.
    #[must_use]
    pub fn high_watermark(&self) -> Offset {
        match self {
            Self::Leader(leader) => leader.high_watermark(),
            Self::Follower(follower) => follower.high_watermark(),
            Self::Offline => Offset::ZERO,
        }
    }

    /// The (leader epoch, partition epoch) known, unless offline.
    #[must_use]
    pub fn epochs(&self) -> Option<(LeaderEpoch, i32)> {
        match self {
            Self::Leader(leader) => Some((leader.leader_epoch(), leader.partition_epoch())),
            Self::Follower(follower) => Some((follower.leader_epoch(), follower.partition_epoch())),
            Self::Offline => None,
        }
    }
}
