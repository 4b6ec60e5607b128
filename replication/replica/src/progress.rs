//! How far one replica has come, as the leader of this reign knows it.

use flumen_log::Offset;
use flumen_log::store::Durability;

/// What a replica has confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The offset after the last record in its log.
    pub log_end: Offset,
    /// Everything before this offset is synced on its disk.
    pub durable: Offset,
}

impl Progress {
    /// Everything before this offset is held in the way `durability` asks.
    #[must_use]
    pub fn confirmed(&self, durability: Durability) -> Offset {
        match durability {
            // A sync that ran ahead of a truncation says nothing about records that are gone.
            Durability::Journaled => self.durable.min(self.log_end),
            Durability::Replicated => self.log_end,
        }
    }
}
