//! What is in force for one topic, as types the log and the broker work with.
//!
//! Invariant: every field is within its setting's rule. Settings without effect in this version have no field.

use super::definition::Definition;
use super::layers::{BrokerLayers, topic_value};
use super::value::Value;
use super::{ConfigMap, topic};
use alloc::string::String;
use alloc::vec::Vec;

/// What becomes of old records. Neither: everything is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CleanupPolicy {
    /// Keep the last record of each key; records without a key are refused.
    pub compact: bool,
    /// Delete whole segments by age and size.
    pub delete: bool,
}

/// Where a record's timestamp comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimestampType {
    /// The producer.
    CreateTime,
    /// The broker, at arrival.
    LogAppendTime,
}

/// The codec batches are stored in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CompressionType {
    /// What the producer chose.
    Producer,
    /// None.
    Uncompressed,
    /// gzip at a level, -1 for the codec's own default.
    Gzip(i32),
    /// lz4; the codec has one level.
    Lz4,
    /// snappy.
    Snappy,
    /// zstd at a level.
    Zstd(i32),
}

/// What `acks=all` promises.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// On disk at every in-sync replica.
    Synced,
    /// In the memory of every in-sync replica.
    Replicated,
}

/// The settings of one topic that are in force.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EffectiveTopicConfig {
    /// `cleanup.policy`.
    pub cleanup: CleanupPolicy,
    /// `compression.type` with its level.
    pub compression: CompressionType,
    /// `flumen.durability`.
    pub durability: Durability,
    /// `flumen.validate.compressed`.
    pub validate_compressed: bool,
    /// `delete.retention.ms`.
    pub delete_retention_ms: i64,
    /// `file.delete.delay.ms`.
    pub file_delete_delay_ms: u64,
    /// `index.interval.bytes`.
    pub index_interval_bytes: u32,
    /// `max.compaction.lag.ms`.
    pub max_compaction_lag_ms: i64,
    /// `max.decompressed.message.bytes`.
    pub max_decompressed_message_bytes: u32,
    /// `max.message.bytes`.
    pub max_message_bytes: u32,
    /// `message.timestamp.after.max.ms`.
    pub timestamp_after_max_ms: i64,
    /// `message.timestamp.before.max.ms`.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `min.cleanable.dirty.ratio`, in parts of a million.
    pub min_cleanable_dirty_ppm: u32,
    /// `min.compaction.lag.ms`.
    pub min_compaction_lag_ms: i64,
    /// `min.insync.replicas`.
    pub min_insync_replicas: u32,
    /// `retention.bytes`; none is without limit.
    pub retention_bytes: Option<u64>,
    /// `retention.ms`; none is without limit.
    pub retention_ms: Option<u64>,
    /// `segment.bytes`.
    pub segment_bytes: u32,
    /// `segment.index.bytes`.
    pub segment_index_bytes: u32,
    /// `segment.jitter.ms`.
    pub segment_jitter_ms: u64,
    /// `segment.ms`.
    pub segment_ms: u64,
}

impl EffectiveTopicConfig {
    /// What is in force for a topic that sets `overrides` on a broker with these layers.
    #[must_use]
    pub fn resolve(overrides: Option<&ConfigMap>, layers: &BrokerLayers<'_>) -> Self {
        let values = Values { overrides, layers };
        let policies = values.list("cleanup.policy");
        let has = |policy: &str| policies.iter().any(|one| one == policy);
        Self {
            cleanup: CleanupPolicy { compact: has("compact"), delete: has("delete") },
            compression: values.compression(),
            durability: if values.text("flumen.durability") == "replicated" {
                Durability::Replicated
            } else {
                Durability::Synced
            },
            validate_compressed: values.get("flumen.validate.compressed") == Some(Value::Boolean(true)),
            delete_retention_ms: values.number("delete.retention.ms"),
            file_delete_delay_ms: u64::try_from(values.number("file.delete.delay.ms")).unwrap_or(0),
            index_interval_bytes: values.positive_int("index.interval.bytes"),
            max_compaction_lag_ms: values.number("max.compaction.lag.ms"),
            max_decompressed_message_bytes: values.positive_int("max.decompressed.message.bytes"),
            max_message_bytes: values.positive_int("max.message.bytes"),
            timestamp_after_max_ms: values.number("message.timestamp.after.max.ms"),
            timestamp_before_max_ms: values.number("message.timestamp.before.max.ms"),
            timestamp_type: match values.text("message.timestamp.type").as_str() {
                "LogAppendTime" => TimestampType::LogAppendTime,
                _ => TimestampType::CreateTime,
            },
            min_cleanable_dirty_ppm: values.fraction_ppm("min.cleanable.dirty.ratio"),
            min_compaction_lag_ms: values.number("min.compaction.lag.ms"),
            min_insync_replicas: values.positive_int("min.insync.replicas"),
            retention_bytes: u64::try_from(values.number("retention.bytes")).ok(),
            retention_ms: u64::try_from(values.number("retention.ms")).ok(),
            segment_bytes: values.positive_int("segment.bytes"),
            segment_index_bytes: values.positive_int("segment.index.bytes"),
            segment_jitter_ms: u64::try_from(values.number("segment.jitter.ms")).unwrap_or(0),
            // `log.roll.ms` has no rule of its own: a negative age never comes, and none is shorter than a topic may ask for.
            segment_ms: u64::try_from(values.number("segment.ms")).unwrap_or(u64::MAX).max(1),
        }
    }

    /// How old a segment may grow before it is sealed: in a compacted topic no older than its records may stay uncompacted, for
    /// the active segment is never cleaned.
    #[must_use]
    pub fn longest_segment_ms(&self) -> u64 {
        let lag_ms = u64::try_from(self.max_compaction_lag_ms).unwrap_or(u64::MAX);
        if self.cleanup.compact { self.segment_ms.min(lag_ms) } else { self.segment_ms }
    }
}

/// A topic's values in force, by name.
struct Values<'a> {
    overrides: Option<&'a ConfigMap>,
    layers: &'a BrokerLayers<'a>,
}

impl Values<'_> {
    fn get(&self, name: &str) -> Option<Value> {
        let definition: &Definition = topic::lookup(name)?;
        topic_value(definition, self.overrides, self.layers).0
    }

    fn number(&self, name: &str) -> i64 {
        self.get(name).and_then(|value| value.number()).expect("a numeric setting of the table, with a default")
    }

    /// An int whose rule excludes negative numbers.
    fn positive_int(&self, name: &str) -> u32 {
        u32::try_from(self.number(name)).expect("the setting's rule keeps it from 0 to 2^31-1")
    }

    /// A double between 0 and 1.
    fn fraction_ppm(&self, name: &str) -> u32 {
        match self.get(name) {
            Some(Value::Fraction(fraction)) => (fraction.clamp(0.0, 1.0) * 1_000_000.0) as u32,
            _ => 0,
        }
    }

    fn text(&self, name: &str) -> String {
        self.get(name).map(|value| value.canonical()).unwrap_or_default()
    }

    fn list(&self, name: &str) -> Vec<String> {
        match self.get(name) {
            Some(Value::List(elements)) => elements,
            _ => Vec::new(),
        }
    }

    fn level(&self, name: &str) -> i32 {
        i32::try_from(self.number(name)).expect("an int")
    }

    fn compression(&self) -> CompressionType {
        match self.text("compression.type").as_str() {
            "uncompressed" => CompressionType::Uncompressed,
            "gzip" => CompressionType::Gzip(self.level("compression.gzip.level")),
            "lz4" => CompressionType::Lz4,
            "snappy" => CompressionType::Snappy,
            "zstd" => CompressionType::Zstd(self.level("compression.zstd.level")),
            _ => CompressionType::Producer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> ConfigMap {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    fn resolve(overrides: &[(&str, &str)], fixed: &[(&str, &str)]) -> EffectiveTopicConfig {
        let fixed = map(fixed);
        let layers = BrokerLayers { fixed: Some(&fixed), ..BrokerLayers::default() };
        EffectiveTopicConfig::resolve(Some(&map(overrides)), &layers)
    }

    #[test]
    fn nothing_set_gives_kafka_44_defaults_and_synced_durability() {
        let config = resolve(&[], &[]);
        assert_eq!(config.cleanup, CleanupPolicy { compact: false, delete: true });
        assert_eq!(config.compression, CompressionType::Producer);
        assert_eq!(config.durability, Durability::Synced);
        assert_eq!((config.retention_ms, config.retention_bytes), (Some(604_800_000), None));
        assert_eq!((config.segment_bytes, config.segment_ms), (1 << 30, 604_800_000));
        assert_eq!(config.max_message_bytes, 1_048_588);
        assert_eq!(config.timestamp_after_max_ms, 3_600_000);
        assert_eq!(config.min_insync_replicas, 1);
    }

    #[test]
    fn no_segment_of_a_compacted_topic_grows_older_than_its_records_may() {
        let compacted = ("cleanup.policy", "compact");
        let lag = ("max.compaction.lag.ms", "60000");
        assert_eq!(resolve(&[compacted, lag], &[]).longest_segment_ms(), 60_000);
        assert_eq!(resolve(&[("cleanup.policy", "compact,delete"), lag], &[]).longest_segment_ms(), 60_000);
        assert_eq!(resolve(&[compacted, lag, ("segment.ms", "5")], &[]).longest_segment_ms(), 5);
        assert_eq!(resolve(&[compacted], &[]).longest_segment_ms(), 604_800_000);
        assert_eq!(resolve(&[lag], &[]).longest_segment_ms(), 604_800_000, "nothing is cleaned");
    }

    #[test]
    fn milliseconds_go_before_minutes_before_hours() {
        assert_eq!(resolve(&[], &[("log.retention.hours", "2")]).retention_ms, Some(7_200_000));
        let both = [("log.retention.hours", "2"), ("log.retention.minutes", "3")];
        assert_eq!(resolve(&[], &both).retention_ms, Some(180_000));
        let all = [("log.retention.hours", "2"), ("log.retention.minutes", "3"), ("log.retention.ms", "4")];
        assert_eq!(resolve(&[], &all).retention_ms, Some(4));
        assert_eq!(resolve(&[("retention.ms", "5")], &all).retention_ms, Some(5));
        assert_eq!(resolve(&[], &[("log.retention.hours", "-1")]).retention_ms, None);
        assert_eq!(resolve(&[], &[("log.roll.hours", "1")]).segment_ms, 3_600_000);
        assert_eq!(resolve(&[], &[("log.roll.ms", "0")]).segment_ms, 1);
        assert_eq!(resolve(&[], &[("log.roll.ms", "-1")]).segment_ms, u64::MAX);
    }

    #[test]
    fn the_stronger_layer_wins() {
        let (broker, all, fixed) =
            (map(&[("log.retention.ms", "1")]), map(&[("log.retention.ms", "2")]), map(&[("log.retention.ms", "3")]));
        let mut layers = BrokerLayers { dynamic_broker: Some(&broker), dynamic_default: Some(&all), fixed: Some(&fixed) };
        assert_eq!(EffectiveTopicConfig::resolve(None, &layers).retention_ms, Some(1));
        layers.dynamic_broker = None;
        assert_eq!(EffectiveTopicConfig::resolve(None, &layers).retention_ms, Some(2));
        layers.dynamic_default = None;
        assert_eq!(EffectiveTopicConfig::resolve(None, &layers).retention_ms, Some(3));
    }

    #[test]
    fn texts_become_types() {
        let config = resolve(
            &[("cleanup.policy", "compact, delete"), ("compression.type", "zstd"), ("compression.zstd.level", "-7")],
            &[("flumen.durability", "replicated"), ("log.message.timestamp.type", "LogAppendTime")],
        );
        assert_eq!(config.cleanup, CleanupPolicy { compact: true, delete: true });
        assert_eq!(config.compression, CompressionType::Zstd(-7));
        assert_eq!(config.durability, Durability::Replicated);
        assert_eq!(config.timestamp_type, TimestampType::LogAppendTime);
        assert_eq!(resolve(&[("cleanup.policy", "")], &[]).cleanup, CleanupPolicy { compact: false, delete: false });
    }
}
