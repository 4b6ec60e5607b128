//! What a shard is told once, before it starts.

use flumen_log::{BrokerId, ShardId, store::StoreSettings};

use crate::{admin::BrokerSettings, limits::Limits};

/// A shard's settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which shard.
    pub shard: ShardId,
    /// How many there are.
    pub shards: u16,
    /// Which broker.
    pub broker: BrokerId,
    /// Random, different at every start and for every shard: session numbers, topic ids, jitter.
    pub seed: u64,
    /// What is counted and how far.
    pub limits: Limits,
    /// The log's own settings.
    pub store: StoreSettings,
    /// What the admin requests need to know.
    pub admin: BrokerSettings,
    /// How commits are kept.
    pub offsets: OffsetSettings,
    /// Where the log directories are, by their numbers, as DescribeLogDirs shows them.
    pub log_directories: alloc::vec::Vec<alloc::string::String>,
    /// Log directories that could not be used at start.
    pub log_directories_offline: alloc::vec::Vec<alloc::string::String>,
}

/// How commits of offsets are kept.
#[derive(Clone, Copy, Debug)]
pub struct OffsetSettings {
    /// `offset.metadata.max.bytes`
    pub metadata_max_bytes: usize,
    /// `offsets.commit.timeout.ms`
    pub commit_timeout_ms: u64,
    /// `offsets.retention.minutes`, in milliseconds
    pub retention_ms: i64,
    /// `offsets.retention.check.interval.ms`
    pub retention_check_interval_ms: u64,
}
