//! What a simulation may see of a shard, to hold its invariants against it. It changes nothing.

use flumen_log::{LeaderEpoch, Offset, TopicPartition, store::Durability};

use super::Shard;

/// One partition that this shard leads.
#[derive(Clone, Copy, Debug)]
pub struct PartitionAudit {
    /// Which.
    pub partition: TopicPartition,
    /// The reign.
    pub leader_epoch: LeaderEpoch,
    /// The first offset that may be read.
    pub log_start: Offset,
    /// Everything below it is committed.
    pub high_watermark: Offset,
    /// Everything below it is on stable storage.
    pub durable: Offset,
    /// Everything below it is in the segments.
    pub log_end: Offset,
    /// What the next append will get.
    pub next_offset: Offset,
    /// Which of the two the high watermark follows.
    pub durability: Durability,
    /// Bytes of the segments.
    pub size_bytes: u64,
}

/// What a shard holds that must be gone when nobody wants anything of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Holdings {
    /// Bytes charged to the budget.
    pub in_flight_bytes: usize,
    /// Connections.
    pub connections: usize,
    /// Requests that have started and have no result.
    pub running: usize,
    /// Fetches parked here, or being read for.
    pub fetches: usize,
    /// Appends and questions that wait here.
    pub waiting: usize,
    /// Credits that are not home, proposals included.
    pub credits_away: u32,
}

impl Shard {
    /// Every partition that is led here.
    pub fn partitions(&self) -> impl Iterator<Item = PartitionAudit> + '_ {
        self.partitions.iter().filter_map(|(partition, hosted)| {
            let (leader, view) = (hosted.leader().ok()?, self.directories.view(hosted.place)?);
            Some(PartitionAudit {
                partition: *partition,
                leader_epoch: leader.leader_epoch(),
                log_start: view.log_start(),
                high_watermark: leader.high_watermark(),
                durable: view.durable().get(),
                log_end: view.log_end(),
                next_offset: view.next_offset(),
                durability: view.durability(),
                size_bytes: view.size_bytes(),
            })
        })
    }

    /// What is held for clients.
    #[must_use]
    pub fn holdings(&self) -> Holdings {
        Holdings {
            in_flight_bytes: self.budget.used(),
            connections: self.connections.len(),
            running: self.running.len(),
            fetches: self.purgatory.len() + self.collecting.len(),
            waiting: self.appends.len() + self.questions.len(),
            credits_away: self.credits.away(&self.settings.limits) + self.proposals.away(&self.settings.limits),
        }
    }
}
