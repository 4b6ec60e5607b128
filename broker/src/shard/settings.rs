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
    /// Where this broker keeps its data, as DescribeLogDirs shows it.
    pub log_directory: alloc::string::String,
}
