//! What the controller says about a partition, and what the log on this broker holds of it.

use alloc::vec::Vec;
use flumen_log::store::LogView;
use flumen_log::{BrokerId, LeaderEpoch, Offset};

/// One record of a partition in the metadata image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reign {
    /// Who leads, if anybody.
    pub leader: Option<BrokerId>,
    /// Rises with every leader and every start of the leader.
    pub leader_epoch: LeaderEpoch,
    /// Rises with every change of the record.
    pub partition_epoch: i32,
    /// Who holds the partition.
    pub replicas: Vec<BrokerId>,
    /// Who of them is in sync.
    pub isr: Vec<BrokerId>,
}

/// The log on this broker, as recovery or the last completion left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalLog {
    /// The offset that the next append will get.
    pub next_offset: Offset,
    /// The offset after the last record written.
    pub log_end: Offset,
    /// Everything before this offset is synced.
    pub durable: Offset,
    /// The last high watermark on record; anything at or below the true one is safe.
    pub high_watermark: Offset,
}

impl LocalLog {
    /// The log as the store has it, with what is known of its high watermark.
    #[must_use]
    pub fn of(view: &LogView<'_>, high_watermark: Offset) -> Self {
        Self { next_offset: view.next_offset(), log_end: view.log_end(), durable: view.durable().get(), high_watermark }
    }
}
