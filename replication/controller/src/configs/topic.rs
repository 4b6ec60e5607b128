//! The settings a topic has: every one of Kafka 4.4, and ours under `flumen.`.
//!
//! A setting without [`Definition::in_force`] is checked, stored and described so that tools which set it work, and its
//! documentation says that it has no effect. Topics keep what was set for them only; defaults come from the broker
//! ([`Definition::synonyms`]) at the time of use.

use super::definition::{Allowed, Definition, Synonym, boolean, double, int, list, long, string};
use super::error::{ConfigError, Problem};
use super::nearest;
use super::value::{Value, parse};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

/// The compression codecs a topic may ask for.
pub(super) const COMPRESSION_TYPES: &[&str] = &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];
/// What may become of old records.
pub(super) const CLEANUP_POLICIES: &[&str] = &["compact", "delete"];
/// Where a record's timestamp comes from.
pub(super) const TIMESTAMP_TYPES: &[&str] = &["CreateTime", "LogAppendTime"];
/// What `acks=all` promises.
pub(super) const DURABILITIES: &[&str] = &["synced", "replicated"];
/// The largest array a Java broker can hold, which Kafka's limits end at.
pub(super) const LARGEST_ARRAY: i64 = 2_147_483_639;

#[rustfmt::skip]
static DEFINITIONS: &[Definition] = &[
    list("cleanup.policy").or("delete").allow(Allowed::SetOf(CLEANUP_POLICIES)).follows(&[Synonym::same("log.cleanup.policy")]).in_force()
        .doc("What becomes of old records: `delete` drops whole segments by age and size, `compact` keeps the last record of each key, both do both, and an empty list keeps everything. Compacted topics refuse records without a key."),
    int("compression.gzip.level").or("-1").allow(Allowed::OneOrBetween(-1, 1, 9)).follows(&[Synonym::same("compression.gzip.level")]).in_force()
        .doc("The level used when the broker compresses with gzip; -1 is the codec's own default."),
    int("compression.lz4.level").or("9").between(1, 17).follows(&[Synonym::same("compression.lz4.level")])
        .doc("The level used when the broker compresses with lz4."),
    string("compression.type").or("producer").one_of(COMPRESSION_TYPES).follows(&[Synonym::same("compression.type")]).in_force()
        .doc("The codec record batches are stored in. `producer` keeps what the producer chose; with any other, batches that come in another codec are encoded again."),
    int("compression.zstd.level").or("3").between(-131_072, 22).follows(&[Synonym::same("compression.zstd.level")]).in_force()
        .doc("The level used when the broker compresses with zstd."),
    long("delete.retention.ms").or("86400000").at_least(0).follows(&[Synonym::same("log.cleaner.delete.retention.ms")]).in_force()
        .doc("How long a compacted topic keeps the marker of a deleted key, a record without a value, after the first cleaning that could have removed it."),
    boolean("errors.deadletterqueue.group.enable").or("false")
        .doc("Whether share groups may use this topic as their dead letter queue."),
    long("file.delete.delay.ms").or("60000").at_least(0).follows(&[Synonym::same("log.segment.delete.delay.ms")]).in_force()
        .doc("How long the file of a deleted segment stays on disk."),
    string("flumen.durability").or("synced").one_of(DURABILITIES).follows(&[Synonym::same("flumen.durability")]).in_force()
        .doc("What `acks=all` means: `synced` is on disk at every in-sync replica, `replicated` is in the memory of every in-sync replica, as in Kafka."),
    boolean("flumen.validate.compressed").or("false").follows(&[Synonym::same("flumen.validate.compressed")]).in_force()
        .doc("Whether compressed batches are decompressed and checked record by record even where nothing else requires it."),
    long("flush.messages").or("9223372036854775807").at_least(1).follows(&[Synonym::same("log.flush.interval.messages")])
        .doc("After how many records a sync is forced. With `flumen.durability=synced` every append is synced before it is acknowledged, whatever this says."),
    long("flush.ms").or("9223372036854775807").at_least(0).follows(&[Synonym::same("log.flush.interval.ms"), Synonym::same("log.flush.scheduler.interval.ms")])
        .doc("After how much time a sync is forced. With `flumen.durability=synced` every append is synced before it is acknowledged, whatever this says."),
    list("follower.replication.throttled.replicas").or("").allow(Allowed::ThrottledReplicas)
        .doc("The replicas whose fetching as followers is throttled: partition:broker pairs, or * for all."),
    int("index.interval.bytes").or("4096").at_least(0).follows(&[Synonym::same("log.index.interval.bytes")]).in_force()
        .doc("About how many bytes of log lie between two entries of the offset index."),
    int("internal.segment.bytes").internal()
        .doc("A segment size below the usual minimum, for Kafka's own tests."),
    list("leader.replication.throttled.replicas").or("").allow(Allowed::ThrottledReplicas)
        .doc("The replicas that are throttled when they serve followers as leaders: partition:broker pairs, or * for all."),
    long("local.retention.bytes").or("-2").at_least(-2).follows(&[Synonym::same("log.local.retention.bytes")])
        .doc("With tiered storage, how many bytes of a partition stay on the broker's disk; -2 means as `retention.bytes`."),
    long("local.retention.ms").or("-2").at_least(-2).follows(&[Synonym::same("log.local.retention.ms")])
        .doc("With tiered storage, how long a segment stays on the broker's disk; -2 means as `retention.ms`."),
    long("max.compaction.lag.ms").or("9223372036854775807").at_least(1).follows(&[Synonym::same("log.cleaner.max.compaction.lag.ms")]).in_force()
        .doc("The longest a record of a compacted topic may stay uncompacted; a segment is also sealed that early."),
    int("max.decompressed.message.bytes").or("2147483639").between(1, LARGEST_ARRAY).follows(&[Synonym::same("max.decompressed.message.bytes")]).in_force()
        .doc("The largest size a batch may have once decompressed; larger ones are refused where the broker decompresses."),
    int("max.message.bytes").or("1048588").at_least(0).follows(&[Synonym::same("message.max.bytes")]).in_force()
        .doc("The largest record batch a producer may send, compressed as it comes."),
    long("message.timestamp.after.max.ms").or("3600000").at_least(0).follows(&[Synonym::same("log.message.timestamp.after.max.ms")]).in_force()
        .doc("How far a record's timestamp may lie ahead of the broker's clock; records beyond are refused. Ignored with LogAppendTime."),
    long("message.timestamp.before.max.ms").or("9223372036854775807").at_least(0).follows(&[Synonym::same("log.message.timestamp.before.max.ms")]).in_force()
        .doc("How far a record's timestamp may lie behind the broker's clock; records beyond are refused. Ignored with LogAppendTime."),
    string("message.timestamp.type").or("CreateTime").one_of(TIMESTAMP_TYPES).follows(&[Synonym::same("log.message.timestamp.type")]).in_force()
        .doc("Whether a record's timestamp is the producer's (CreateTime) or that of its arrival (LogAppendTime)."),
    double("min.cleanable.dirty.ratio").or("0.5").allow(Allowed::Fraction(0.0, 1.0)).follows(&[Synonym::same("log.cleaner.min.cleanable.ratio")]).in_force()
        .doc("The share of bytes not compacted yet above which a compacted log is cleaned."),
    long("min.compaction.lag.ms").or("0").at_least(0).follows(&[Synonym::same("log.cleaner.min.compaction.lag.ms")]).in_force()
        .doc("The shortest time a record of a compacted topic stays uncompacted."),
    int("min.insync.replicas").or("1").at_least(1).follows(&[Synonym::same("min.insync.replicas")]).in_force()
        .doc("How many in-sync replicas a partition needs to accept records with `acks=all`."),
    boolean("preallocate").or("false").follows(&[Synonym::same("log.preallocate")])
        .doc("Whether a segment's file is given its full size when made. Flumen preallocates ahead of the tail in chunks instead."),
    long("remote.copy.lag.bytes").or("-1").at_least(-1).follows(&[Synonym::same("log.remote.copy.lag.bytes")])
        .doc("With tiered storage, how many bytes of sealed segments may wait before they are copied out."),
    long("remote.copy.lag.ms").or("0").at_least(-1).follows(&[Synonym::same("log.remote.copy.lag.ms")])
        .doc("With tiered storage, how long a sealed segment may wait before it is copied out."),
    boolean("remote.log.copy.disable").or("false")
        .doc("With tiered storage, whether copying new segments out has ended."),
    boolean("remote.log.delete.on.disable").or("false")
        .doc("With tiered storage, whether turning it off for the topic deletes what was copied out."),
    boolean("remote.storage.enable").or("false")
        .doc("Whether the topic uses tiered storage, which this broker does not have: only false is accepted."),
    long("retention.bytes").or("-1").follows(&[Synonym::same("log.retention.bytes")]).in_force()
        .doc("How large a partition may grow before its oldest segments are deleted (`cleanup.policy` with delete); -1 is without limit."),
    long("retention.ms").or("604800000").at_least(-1).follows(&[Synonym::same("log.retention.ms"), Synonym::minutes("log.retention.minutes"), Synonym::hours("log.retention.hours")]).in_force()
        .doc("How old the newest record of a segment may grow before the segment is deleted (`cleanup.policy` with delete); -1 is without limit."),
    int("segment.bytes").or("1073741824").at_least(1_048_576).follows(&[Synonym::same("log.segment.bytes")]).in_force()
        .doc("The size at which a segment is sealed and the next begun; retention deletes whole segments."),
    int("segment.index.bytes").or("10485760").at_least(4).follows(&[Synonym::same("log.index.size.max.bytes")]).in_force()
        .doc("The largest size of an index file of a segment."),
    long("segment.jitter.ms").or("0").at_least(0).follows(&[Synonym::same("log.roll.jitter.ms"), Synonym::hours("log.roll.jitter.hours")]).in_force()
        .doc("Up to how much earlier, at random, a segment is sealed than `segment.ms` says, so that not all roll at once."),
    long("segment.ms").or("604800000").at_least(1).follows(&[Synonym::same("log.roll.ms"), Synonym::hours("log.roll.hours")]).in_force()
        .doc("The age at which a segment is sealed even if it is not full, so that retention can reach it."),
    boolean("unclean.leader.election.enable").or("false").follows(&[Synonym::same("unclean.leader.election.enable")])
        .doc("Whether a replica out of sync may become leader as a last resort, at the price of lost records."),
];

/// Every setting a topic has, by name.
#[must_use]
pub fn definitions() -> &'static [Definition] {
    DEFINITIONS
}

/// The setting of that name.
#[must_use]
pub fn lookup(name: &str) -> Option<&'static Definition> {
    DEFINITIONS.binary_search_by(|definition| definition.name.cmp(name)).ok().map(|found| &DEFINITIONS[found])
}

/// Checks one value.
///
/// # Errors
/// The name is unknown or the value breaks its rule.
pub fn validate(name: &str, value: &str) -> Result<Value, ConfigError> {
    let definition =
        lookup(name).ok_or_else(|| ConfigError::new(name, Problem::Unknown { nearest: nearest(name, DEFINITIONS) }))?;
    parse(definition, value)
}

/// Checks all that a topic sets, one by one and together.
///
/// # Errors
/// An unknown name, a bad value, or values that contradict one another.
pub fn validate_all(values: &BTreeMap<String, String>) -> Result<(), ConfigError> {
    for (name, value) in values {
        validate(name, value)?;
    }
    let number = |name: &str| {
        let definition = lookup(name)?;
        let text = values.get(name).map(String::as_str).or(definition.default)?;
        parse(definition, text).ok()?.number()
    };
    let (least, most) = (number("min.compaction.lag.ms"), number("max.compaction.lag.ms"));
    if let (Some(least), Some(most)) = (least, most)
        && least > most
    {
        let why = format!("min.compaction.lag.ms ({least}) is above max.compaction.lag.ms ({most})");
        return Err(ConfigError::new("min.compaction.lag.ms", Problem::Conflict(why)));
    }
    if values.get("remote.storage.enable").is_some_and(|value| value.trim().eq_ignore_ascii_case("true")) {
        let why = "tiered storage is disabled in the broker, a topic cannot be configured with it";
        return Err(ConfigError::new("remote.storage.enable", Problem::Conflict(why.into())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn all_of_kafka_44_and_two_of_ours() {
        assert_eq!(DEFINITIONS.iter().filter(|definition| !definition.internal).count(), 37 + 2);
        assert!(DEFINITIONS.windows(2).all(|pair| pair[0].name < pair[1].name), "sorted, for the search");
    }

    #[test]
    fn settings_that_kafka_4_dropped_are_unknown() {
        for name in ["message.format.version", "message.downconversion.enable", "message.timestamp.difference.max.ms"] {
            assert!(matches!(validate(name, "1"), Err(ConfigError { problem: Problem::Unknown { .. }, .. })), "{name}");
        }
    }

    #[test]
    fn a_misspelt_name_is_answered_with_the_right_one() {
        let error = validate("retention.mss", "1").expect_err("unknown");
        assert_eq!(error.to_string(), "Unknown configuration retention.mss: did you mean retention.ms?");
    }

    #[test]
    fn settings_are_checked_together() {
        assert!(validate_all(&values(&[("min.compaction.lag.ms", "10"), ("max.compaction.lag.ms", "5")])).is_err());
        assert!(validate_all(&values(&[("min.compaction.lag.ms", "10"), ("max.compaction.lag.ms", "10")])).is_ok());
        assert!(validate_all(&values(&[("remote.storage.enable", "true")])).is_err());
        assert!(validate_all(&values(&[("remote.storage.enable", "false"), ("local.retention.ms", "99999999999")])).is_ok());
        assert!(validate_all(&values(&[("segment.bytes", "1048575")])).is_err());
        assert!(validate_all(&values(&[("cleanup.policy", ""), ("internal.segment.bytes", "100")])).is_ok());
    }

    #[test]
    fn what_is_only_stored_says_so() {
        let stored = lookup("preallocate").expect("known").documentation();
        assert!(stored.contains("without effect"), "{stored}");
        assert!(!lookup("retention.ms").expect("known").documentation().contains("without effect"));
    }
}
