//! The in-sync set as the leader sees it: what the controller has committed, and what it has been asked for.
//!
//! The *maximal* set (committed ∪ asked for) governs the high watermark: whichever of the two the controller ends up with,
//! each of its members has everything below the watermark.

use alloc::collections::BTreeSet;
use flumen_log::{BrokerId, LeaderEpoch};

/// The in-sync set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InSync {
    committed: BTreeSet<BrokerId>,
    pending: Option<BTreeSet<BrokerId>>,
}

/// What the leader asks of the controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsrChange {
    /// The asker's reign.
    pub leader_epoch: LeaderEpoch,
    /// The record that the change builds on.
    pub partition_epoch: i32,
    /// The set it asks for.
    pub new_isr: BTreeSet<BrokerId>,
}

impl InSync {
    /// The set that the controller has committed, with nothing asked for.
    #[must_use]
    pub fn committed_as(members: impl IntoIterator<Item = BrokerId>) -> Self {
        Self { committed: members.into_iter().collect(), pending: None }
    }

    /// What the controller has committed.
    #[must_use]
    pub fn committed(&self) -> &BTreeSet<BrokerId> {
        &self.committed
    }

    /// Whether the controller still owes an answer.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Everybody who is in the set, or may already be without this leader knowing.
    pub fn maximal(&self) -> impl Iterator<Item = BrokerId> + '_ {
        let asked = self.pending.iter().flatten().filter(|member| !self.committed.contains(member));
        self.committed.iter().chain(asked).copied()
    }

    /// Whether `broker` counts for the high watermark.
    #[must_use]
    pub fn maximal_contains(&self, broker: BrokerId) -> bool {
        self.maximal().any(|member| member == broker)
    }

    pub(crate) fn ask(&mut self, wanted: BTreeSet<BrokerId>) {
        self.pending = Some(wanted);
    }

    pub(crate) fn withdraw(&mut self) {
        self.pending = None;
    }
}
