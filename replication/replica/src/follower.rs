//! The follower's side of a partition: whom to obey, and where to cut what the leader does not have.

use crate::epoch::{EpochEnd, EpochRefusal, check_epoch};
use crate::reign::{LocalLog, Reign};
use flumen_log::{BrokerId, LeaderEpoch, Offset};

/// A partition that another broker leads, or nobody.
#[derive(Clone, Debug)]
pub struct Follower {
    leader: Option<BrokerId>,
    leader_epoch: LeaderEpoch,
    partition_epoch: i32,
    high_watermark: Offset,
}

/// What a follower learns from the leader's answer about an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Divergence {
    /// The two logs agree before this offset; everything from it on goes.
    CutTo(Offset),
    /// Cut to this offset, then ask about this earlier epoch.
    AskAgain {
        /// Everything from here on goes.
        cut_to: Offset,
        /// The next epoch to ask about.
        epoch: LeaderEpoch,
    },
}

impl Follower {
    pub(crate) fn take_up(reign: &Reign, log: LocalLog) -> Self {
        Self {
            leader: reign.leader,
            leader_epoch: reign.leader_epoch,
            partition_epoch: reign.partition_epoch,
            high_watermark: log.high_watermark.min(log.log_end),
        }
    }

    pub(crate) fn renew(&mut self, reign: &Reign) {
        self.leader = reign.leader;
        self.partition_epoch = reign.partition_epoch;
    }

    /// Whom to obey.
    #[must_use]
    pub fn leader(&self) -> Option<BrokerId> {
        self.leader
    }

    /// The leader's reign.
    #[must_use]
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    /// The record of the partition that this follower knows.
    #[must_use]
    pub fn partition_epoch(&self) -> i32 {
        self.partition_epoch
    }

    /// The last high watermark heard, never beyond this log.
    #[must_use]
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// Checks the epoch of a leader's frame or a client's request.
    ///
    /// # Errors
    /// It is behind or ahead.
    pub fn check_epoch(&self, claimed: LeaderEpoch) -> Result<(), EpochRefusal> {
        check_epoch(self.leader_epoch, claimed)
    }

    /// The leader's frame carried this high watermark, and the log now ends at `log_end`.
    ///
    /// # Errors
    /// The frame belongs to another reign.
    pub fn learn_high_watermark(&mut self, claimed: LeaderEpoch, leaders: Offset, log_end: Offset) -> Result<(), EpochRefusal> {
        self.check_epoch(claimed)?;
        self.high_watermark = self.high_watermark.max(leaders.min(log_end));
        Ok(())
    }

    /// Where to cut, given what was asked of the leader, what it answered, and where the answered epoch ends here.
    ///
    /// `local` is this log's end of the largest epoch not above the one the leader named; `None` if it has none so old.
    #[must_use]
    pub fn diverge(asked: LeaderEpoch, answer: EpochEnd, local: Option<EpochEnd>, log_end: Offset) -> Divergence {
        if answer.epoch == asked {
            return Divergence::CutTo(answer.end.min(log_end));
        }
        match local {
            Some(own) if own.epoch == answer.epoch => Divergence::CutTo(own.end.min(answer.end)),
            Some(own) => Divergence::AskAgain { cut_to: own.end.min(log_end), epoch: own.epoch },
            None => Divergence::CutTo(answer.end.min(log_end)),
        }
    }
}
