//! What a store is told from outside: its own limits, and each partition's configuration.

use alloc::string::String;

use crate::ShardId;
use crate::compaction::CompactionSettings;

/// Limits and identity of one shard's store. Nothing here changes while the store runs.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// Whose store it is.
    pub shard: ShardId,
    /// How many shards this process has; written in the clean-stop marker.
    pub shards: u16,
    /// The journal grows up to this many bytes (`flumen.journal.bytes`).
    pub journal_bytes: u64,
    /// What the journal takes at first.
    pub journal_bytes_at_start: u64,
    /// Size of one journal file. A batch that is larger gets a file of its own size made, and is taken when that is there.
    pub journal_file_bytes: u64,
    /// Entries are cut into frames of about this many bytes.
    pub journal_frame_bytes: usize,
    /// Journal writes in flight at once.
    pub journal_writes_in_flight: usize,
    /// Bytes waiting for the disk above which the store calls itself congested.
    pub waiting_bytes_max: usize,
    /// No append is taken while the file system has less free than this.
    pub free_space_floor_bytes: u64,
    /// Segment files kept open, as far as leases and writes in flight allow.
    pub open_files_max: usize,
    /// Bytes of indexes of sealed segments kept in memory.
    pub index_cache_bytes: usize,
    /// Partitions whose durable point is being moved at the same time.
    pub checkpoints_in_flight: usize,
    /// How often retention looks at a partition (`log.retention.check.interval.ms`).
    pub retention_check_ms: u64,
    /// How many bytes the scrubber checks in a second (`flumen.scrub.bytes.per.second`); zero, and there is none.
    pub scrub_bytes_per_second: u64,
    /// It begins a new pass not earlier than this after the one before.
    pub scrub_pass_ms: u64,
    /// After how long without a batch a producer is forgotten (`producer.id.expiration.ms`).
    pub producer_expiration_ms: i64,
    /// `log.cleaner.*`
    pub compaction: CompactionSettings,
}

impl StoreSettings {
    /// The defaults for a shard.
    #[must_use]
    pub const fn of_shard(shard: ShardId, shards: u16) -> Self {
        Self {
            shard,
            shards,
            journal_bytes: 256 << 20,
            journal_bytes_at_start: 64 << 20,
            journal_file_bytes: 32 << 20,
            journal_frame_bytes: 4 << 20,
            journal_writes_in_flight: 4,
            waiting_bytes_max: 32 << 20,
            free_space_floor_bytes: 512 << 20,
            open_files_max: 4096,
            index_cache_bytes: 32 << 20,
            checkpoints_in_flight: 16,
            retention_check_ms: 300_000,
            scrub_bytes_per_second: 8 << 20,
            scrub_pass_ms: 86_400_000,
            producer_expiration_ms: 86_400_000,
            compaction: CompactionSettings::new(),
        }
    }
}

/// What an acknowledgement of a partition promises (`flumen.durability`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Durability {
    /// Every append goes through the journal: durable means on stable storage.
    #[default]
    Journaled,
    /// The page cache of every in-sync replica; the journal is bypassed.
    Replicated,
}

/// A partition's configuration, as far as its log is concerned. Names and meanings are Kafka's; `-1` is "no limit".
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogConfig {
    /// `segment.bytes`
    pub segment_bytes: u32,
    /// `segment.ms`
    pub segment_ms: i64,
    /// `segment.jitter.ms`, already drawn at random by the caller: subtracted from `segment_ms`.
    pub segment_jitter_ms: i64,
    /// `segment.index.bytes`
    pub segment_index_bytes: u32,
    /// `index.interval.bytes`
    pub index_interval_bytes: u32,
    /// `retention.ms`
    pub retention_ms: i64,
    /// `retention.bytes`
    pub retention_bytes: i64,
    /// Whether `cleanup.policy` holds `delete`.
    pub cleanup_delete: bool,
    /// Whether `cleanup.policy` holds `compact`.
    pub cleanup_compact: bool,
    /// `min.cleanable.dirty.ratio`, in parts of a million.
    pub min_cleanable_dirty_ppm: u32,
    /// `min.compaction.lag.ms`
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`
    pub max_compaction_lag_ms: i64,
    /// `delete.retention.ms`
    pub delete_retention_ms: i64,
    /// `file.delete.delay.ms`
    pub file_delete_delay_ms: u64,
    /// `flumen.durability`
    pub durability: Durability,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 1 << 30,
            segment_ms: 604_800_000,
            segment_jitter_ms: 0,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            retention_ms: 604_800_000,
            retention_bytes: -1,
            cleanup_delete: true,
            cleanup_compact: false,
            min_cleanable_dirty_ppm: 500_000,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            delete_retention_ms: 86_400_000,
            file_delete_delay_ms: 60_000,
            durability: Durability::Journaled,
        }
    }
}

/// A partition's directory: `<topic>-<partition>`.
pub(crate) fn directory_name(topic: &str, partition: crate::PartitionIndex) -> String {
    alloc::format!("{topic}-{partition}")
}
