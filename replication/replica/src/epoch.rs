//! Fencing by leader epoch (KIP-320).

use flumen_log::{LeaderEpoch, Offset};

/// Why a request that names a leader epoch is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EpochRefusal {
    /// The caller's epoch is over: it must refresh its metadata (74 FENCED_LEADER_EPOCH).
    Fenced,
    /// The caller has heard of an epoch that this broker has not yet (75 UNKNOWN_LEADER_EPOCH).
    Unknown,
}

/// Where an epoch ends in somebody's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    /// The largest epoch not above the one asked for.
    pub epoch: LeaderEpoch,
    /// The offset after its last record.
    pub end: Offset,
}

/// Compares the epoch a caller believes in with the one in force; a caller that names none is let through.
///
/// # Errors
/// The caller is behind or ahead.
pub fn check_epoch(current: LeaderEpoch, claimed: LeaderEpoch) -> Result<(), EpochRefusal> {
    if claimed == LeaderEpoch::NONE || claimed == current {
        Ok(())
    } else if claimed < current {
        Err(EpochRefusal::Fenced)
    } else {
        Err(EpochRefusal::Unknown)
    }
}
