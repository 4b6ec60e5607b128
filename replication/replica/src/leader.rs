//! The leader's side of a partition: everybody's progress, the high watermark, and changes of the in-sync set.
//!
//! Invariants: see the crate. The watermark is computed from what this reign has heard: a member that has not reported under
//! this leader epoch holds it where it was.
//!
//! What it does not do: it does not notice lag by itself (no clock); the caller says whom to drop.

use crate::epoch::{EpochRefusal, check_epoch};
use crate::isr::{InSync, IsrChange};
use crate::progress::Progress;
use crate::proof::Replicated;
use crate::reign::{LocalLog, Reign};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use flumen_log::batch::{Origin, ValidatedBatch};
use flumen_log::store::Durability;
use flumen_log::store::{AppendError, Appended, PartitionSlot, Store};
use flumen_log::{BrokerId, LeaderEpoch, Now, Offset};

/// A partition that this broker leads.
#[derive(Clone, Debug)]
pub struct Leader {
    me: BrokerId,
    leader_epoch: LeaderEpoch,
    partition_epoch: i32,
    replicas: Vec<BrokerId>,
    in_sync: InSync,
    progress: BTreeMap<BrokerId, Progress>,
    durability: Durability,
    min_insync_replicas: usize,
    epoch_start: Offset,
    high_watermark: Offset,
}

/// Too few members are in sync to promise anything (19 before an append, 20 after it).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotEnoughReplicas {
    /// Who is in sync.
    pub in_sync: Vec<BrokerId>,
    /// How many have to be.
    pub required: usize,
}

impl Leader {
    /// Takes up a reign. Only a change of role calls this.
    pub(crate) fn take_up(
        me: BrokerId,
        reign: &Reign,
        log: LocalLog,
        durability: Durability,
        min_insync_replicas: usize,
    ) -> Self {
        let mut leader = Self {
            me,
            leader_epoch: reign.leader_epoch,
            partition_epoch: reign.partition_epoch,
            replicas: reign.replicas.clone(),
            in_sync: InSync::committed_as(reign.isr.iter().copied()),
            progress: BTreeMap::new(),
            durability,
            min_insync_replicas,
            epoch_start: log.next_offset,
            high_watermark: log.high_watermark.min(log.log_end),
        };
        leader.local_progress(log.log_end, log.durable);
        leader
    }

    /// Goes on with a newer record of the same reign.
    pub(crate) fn renew(&mut self, reign: &Reign) {
        self.partition_epoch = reign.partition_epoch;
        self.replicas.clone_from(&reign.replicas);
        self.in_sync = InSync::committed_as(reign.isr.iter().copied());
        self.progress.retain(|member, _| reign.replicas.contains(member));
        self.raise();
    }

    /// This reign.
    #[must_use]
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    /// The record of the partition that this leader knows.
    #[must_use]
    pub fn partition_epoch(&self) -> i32 {
        self.partition_epoch
    }

    /// The offset at which this reign began.
    #[must_use]
    pub fn epoch_start(&self) -> Offset {
        self.epoch_start
    }

    /// Who holds the partition.
    #[must_use]
    pub fn replicas(&self) -> &[BrokerId] {
        &self.replicas
    }

    /// The in-sync set.
    #[must_use]
    pub fn in_sync(&self) -> &InSync {
        &self.in_sync
    }

    /// What a replica has confirmed under this reign.
    #[must_use]
    pub fn progress_of(&self, broker: BrokerId) -> Option<Progress> {
        self.progress.get(&broker).copied()
    }

    /// Everything before this offset is committed: consumers may see it, `acks=all` may be answered.
    #[must_use]
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// What a member must have done with a record before it counts.
    #[must_use]
    pub fn durability(&self) -> Durability {
        self.durability
    }

    /// The offset after the last record written here.
    #[must_use]
    pub fn log_end(&self) -> Offset {
        self.progress.get(&self.me).map_or(self.high_watermark, |mine| mine.log_end)
    }

    /// Appends a batch under this reign: it has its offsets at once, and counts once [`Leader::local_progress`] says so.
    ///
    /// Nothing else appends as leader. A batch that asks for all replicas must have passed [`Leader::enough_in_sync`].
    ///
    /// # Errors
    /// Nothing was appended.
    pub fn append(
        &mut self,
        store: &mut Store,
        slot: PartitionSlot,
        batch: ValidatedBatch,
        origin: Origin,
        now: Now,
    ) -> Result<Appended, AppendError> {
        store.append(slot, batch, self.leader_epoch, origin, now)
    }

    /// The log on this broker has come this far. Answers whether the high watermark rose.
    pub fn local_progress(&mut self, log_end: Offset, durable: Offset) -> bool {
        self.progress.insert(self.me, Progress { log_end, durable });
        self.raise()
    }

    /// A follower's log has come this far. Answers whether the high watermark rose.
    ///
    /// # Errors
    /// The follower speaks of another reign; nothing it says counts.
    pub fn follower_progress(
        &mut self,
        broker: BrokerId,
        claimed: LeaderEpoch,
        log_end: Offset,
        durable: Offset,
    ) -> Result<bool, EpochRefusal> {
        check_epoch(self.leader_epoch, claimed)?;
        if broker == self.me || !self.replicas.contains(&broker) {
            return Ok(false);
        }
        self.progress.insert(broker, Progress { log_end, durable });
        Ok(self.raise())
    }

    /// The link to a follower broke: what it has must be heard from it again.
    pub fn follower_lost(&mut self, broker: BrokerId) {
        if broker != self.me {
            self.progress.remove(&broker);
        }
    }

    /// Proof that everything before `end` is committed, if it is.
    #[must_use]
    pub fn replicated(&self, end: Offset) -> Option<Replicated<Offset>> {
        (self.high_watermark >= end).then(|| Replicated::new(end))
    }

    /// Whether enough members are in sync to accept a batch that asks for all of them (`acks=all`), or to answer it.
    ///
    /// Kafka caps the minimum at the number of replicas: a partition of one replica needs one.
    ///
    /// # Errors
    /// There are too few.
    pub fn enough_in_sync(&self) -> Result<(), NotEnoughReplicas> {
        let required = self.min_insync_replicas.min(self.replicas.len());
        let in_sync = self.in_sync.committed();
        if in_sync.len() < required {
            return Err(NotEnoughReplicas { in_sync: in_sync.iter().copied().collect(), required });
        }
        Ok(())
    }

    /// Checks the epoch that a client believes this partition to be in.
    ///
    /// # Errors
    /// It is behind or ahead.
    pub fn check_epoch(&self, claimed: LeaderEpoch) -> Result<(), EpochRefusal> {
        check_epoch(self.leader_epoch, claimed)
    }

    /// The topic's settings are these from now on. Answers whether the high watermark rose; it never falls.
    pub fn configure(&mut self, durability: Durability, min_insync_replicas: usize) -> bool {
        self.durability = durability;
        self.min_insync_replicas = min_insync_replicas;
        self.raise()
    }

    /// Asks for a follower to be taken into the in-sync set, if it has all that is committed and nothing else is being asked.
    pub fn expand(&mut self, broker: BrokerId) -> Option<IsrChange> {
        if self.in_sync.is_pending() || self.in_sync.committed().contains(&broker) || !self.replicas.contains(&broker) {
            return None;
        }
        let confirmed = self.progress_of(broker)?.confirmed(self.durability);
        if confirmed < self.high_watermark || confirmed < self.epoch_start {
            return None;
        }
        let mut wanted = self.in_sync.committed().clone();
        wanted.insert(broker);
        Some(self.ask(wanted))
    }

    /// Asks for members to be dropped from the in-sync set, unless something else is being asked. The leader stays.
    pub fn shrink(&mut self, dropped: &BTreeSet<BrokerId>) -> Option<IsrChange> {
        let committed = self.in_sync.committed();
        let wanted: BTreeSet<_> =
            committed.iter().copied().filter(|member| *member == self.me || !dropped.contains(member)).collect();
        if self.in_sync.is_pending() || wanted.len() == committed.len() {
            return None;
        }
        Some(self.ask(wanted))
    }

    /// The controller looked at what was asked, on the record it builds on, and refused it (107 INELIGIBLE_REPLICA): the
    /// committed set stands. Answers whether the high watermark rose.
    ///
    /// Any other refusal leaves the request open, because the controller may have granted it before: a newer record says.
    pub fn isr_refused(&mut self, change: &IsrChange) -> bool {
        if (change.leader_epoch, change.partition_epoch) != (self.leader_epoch, self.partition_epoch) {
            return false;
        }
        self.in_sync.withdraw();
        self.raise()
    }

    fn ask(&mut self, wanted: BTreeSet<BrokerId>) -> IsrChange {
        self.in_sync.ask(wanted.clone());
        IsrChange { leader_epoch: self.leader_epoch, partition_epoch: self.partition_epoch, new_isr: wanted }
    }

    fn raise(&mut self) -> bool {
        if self.enough_in_sync().is_err() {
            return false;
        }
        let mut lowest: Option<Offset> = None;
        for member in self.in_sync.maximal() {
            let Some(progress) = self.progress.get(&member) else { return false };
            let confirmed = progress.confirmed(self.durability);
            lowest = Some(lowest.map_or(confirmed, |offset| offset.min(confirmed)));
        }
        let risen = lowest.is_some_and(|offset| offset > self.high_watermark);
        if let (true, Some(offset)) = (risen, lowest) {
            self.high_watermark = offset;
        }
        risen
    }
}
