//! From what is on disk to what a store starts with.

use alloc::vec::Vec;

use crate::io::{Disk, IoError};
use crate::journal::JournalId;
use crate::{Now, TopicPartition};

/// What recovery is told from outside.
#[derive(Clone, Debug)]
pub struct RecoverySettings {
    /// Random, new for each start: frames written under another id are void.
    pub journal_id: JournalId,
    /// Most bytes of torn tails kept in `quarantine/`.
    pub quarantine_bytes: u64,
    /// Entries of rebuilt indexes are at least this far apart.
    pub index_interval_bytes: u32,
}

/// What one shard's store starts with. Opaque; handed to [`crate::store::Store::new`].
#[derive(Debug)]
pub struct ShardRecovery {
    pub(crate) journal: crate::journal::JournalSetup,
    pub(crate) partitions: Vec<crate::partition::PartitionLog>,
    pub(crate) occupied: alloc::collections::BTreeSet<alloc::string::String>,
}

/// What was found and done, for the log and for operators.
#[derive(Clone, Debug, Default)]
pub struct RecoveryReport {
    /// Every shard of the last run had stopped cleanly.
    pub clean: bool,
    /// Partitions found.
    pub partitions: usize,
    /// Batches written from the journal into segments.
    pub replayed_batches: u64,
    /// Partitions left as found because of damage before their durable point.
    pub offline: Vec<TopicPartition>,
}

/// Everything recovered.
#[derive(Debug)]
pub struct Recovery {
    /// One for each shard, in order.
    pub shards: Vec<ShardRecovery>,
    /// What was done.
    pub report: RecoveryReport,
}

/// Why the log directory cannot be used now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RecoveryError {
    /// The kernel refused something.
    Io(IoError),
}

/// Recover a log directory. Doing it twice, or again after a crash in the middle, gives the same logs.
///
/// # Errors
/// The disk failed; nothing that is needed for another attempt was touched.
#[allow(unused_variables, clippy::unimplemented)]
pub fn recover(disk: &mut dyn Disk, shards: u16, settings: &RecoverySettings, now: Now) -> Result<Recovery, RecoveryError> {
    unimplemented!()
}
