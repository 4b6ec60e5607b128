//! A topic's settings in the words of the log.

use flumen_controller::configs::{CompressionType, Durability, EffectiveTopicConfig, TimestampType};
use flumen_log::{
    Timestamp,
    batch::{self, Origin, TargetCompression, ValidationRules},
    compression::Codec,
    store::{self, LogConfig},
};

use crate::limits::Limits;

/// No limit, in the log's settings.
const UNLIMITED: i64 = -1;

/// What a produced batch is held against (P02–P11, P25).
pub(crate) fn validation_rules(
    config: &EffectiveTopicConfig,
    limits: &Limits,
    now: Timestamp,
    zstd_allowed: bool,
) -> ValidationRules {
    ValidationRules {
        now,
        timestamp_type: match config.timestamp_type {
            TimestampType::CreateTime => batch::TimestampType::CreateTime,
            TimestampType::LogAppendTime => batch::TimestampType::LogAppendTime,
        },
        timestamp_before_max_ms: config.timestamp_before_max_ms,
        timestamp_after_max_ms: config.timestamp_after_max_ms,
        max_message_bytes: config.max_message_bytes as usize,
        segment_bytes: config.segment_bytes as usize,
        key_required: config.cleanup.compact,
        compression: target_compression(config.compression),
        validate_compressed: config.validate_compressed,
        decompressed_limit_bytes: limits.decompressed_bytes.min(config.max_decompressed_message_bytes as usize),
        zstd_allowed,
        origin: Origin::Client,
    }
}

const fn target_compression(compression: CompressionType) -> TargetCompression {
    let (codec, level) = match compression {
        CompressionType::Producer => return TargetCompression::Producer,
        CompressionType::Uncompressed => (Codec::None, None),
        CompressionType::Gzip(level) => (Codec::Gzip, Some(level)),
        CompressionType::Lz4 => (Codec::Lz4, None),
        CompressionType::Snappy => (Codec::Snappy, None),
        CompressionType::Zstd(level) => (Codec::Zstd, Some(level)),
    };
    TargetCompression::Codec { codec, level }
}

/// The settings of a topic's logs. `random` draws the jitter, so that logs made together do not roll together.
pub(crate) fn log_config(config: &EffectiveTopicConfig, random: u64) -> LogConfig {
    let jitter_ms = if config.segment_jitter_ms == 0 { 0 } else { random % config.segment_jitter_ms };
    LogConfig {
        segment_bytes: config.segment_bytes,
        segment_ms: i64::try_from(config.longest_segment_ms()).unwrap_or(i64::MAX),
        segment_jitter_ms: i64::try_from(jitter_ms).unwrap_or_default(),
        segment_index_bytes: config.segment_index_bytes,
        index_interval_bytes: config.index_interval_bytes,
        retention_ms: config.retention_ms.map_or(UNLIMITED, |ms| i64::try_from(ms).unwrap_or(i64::MAX)),
        retention_bytes: config.retention_bytes.map_or(UNLIMITED, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX)),
        cleanup_delete: config.cleanup.delete,
        cleanup_compact: config.cleanup.compact,
        min_cleanable_dirty_ppm: config.min_cleanable_dirty_ppm,
        min_compaction_lag_ms: config.min_compaction_lag_ms,
        max_compaction_lag_ms: config.max_compaction_lag_ms,
        delete_retention_ms: config.delete_retention_ms,
        file_delete_delay_ms: config.file_delete_delay_ms,
        durability: match config.durability {
            Durability::Synced => store::Durability::Journaled,
            Durability::Replicated => store::Durability::Replicated,
        },
    }
}
