//! What becomes of records: the defaults that topics follow, segments, retention, compaction.

use crate::configs::definition::{Allowed, Definition, boolean, double, int, list, long, string};
use crate::configs::topic::{CLEANUP_POLICIES, COMPRESSION_TYPES, LARGEST_ARRAY, TIMESTAMP_TYPES};

#[rustfmt::skip]
pub(super) static DEFINITIONS: &[Definition] = &[
    boolean("auto.create.topics.enable").or("true").high().in_force()
        .doc("Whether a metadata request for an unknown topic creates it."),
    int("background.threads").or("10").at_least(1).cluster_wide().high()
        .doc("How many threads do background work."),
    int("compression.gzip.level").or("-1").allow(Allowed::OneOrBetween(-1, 1, 9)).cluster_wide().in_force()
        .doc("The default of a topic's `compression.gzip.level`."),
    int("compression.lz4.level").or("9").between(1, 17).cluster_wide()
        .doc("The default of a topic's `compression.lz4.level`."),
    string("compression.type").or("producer").one_of(COMPRESSION_TYPES).cluster_wide().high().in_force()
        .doc("The default of a topic's `compression.type`."),
    int("compression.zstd.level").or("3").between(-131_072, 22).cluster_wide().in_force()
        .doc("The default of a topic's `compression.zstd.level`."),
    list("cordoned.log.dirs").or("").per_broker()
        .doc("Log directories that receive no new partitions; * for all."),
    int("default.replication.factor").or("1").in_force()
        .doc("How many replicas a topic gets that is created without saying so."),
    boolean("delete.topic.enable").or("true").high().in_force()
        .doc("Whether topics can be deleted."),
    boolean("errors.deadletterqueue.auto.create.topics.enable").or("false").cluster_wide()
        .doc("Whether dead letter queue topics are created when needed."),
    string("errors.deadletterqueue.topic.name.prefix").or("dlq.").cluster_wide()
        .doc("What the name of a dead letter queue topic begins with."),
    long("log.cleaner.backoff.ms").or("15000").at_least(0).cluster_wide().in_force()
        .doc("How long compaction rests when nothing is to be cleaned."),
    long("log.cleaner.dedupe.buffer.size").or("134217728").cluster_wide().in_force()
        .doc("How much memory compaction uses to find repeated keys, over all shards."),
    long("log.cleaner.delete.retention.ms").or("86400000").at_least(0).cluster_wide().in_force()
        .doc("The default of a topic's `delete.retention.ms`."),
    boolean("log.cleaner.enable").or("true").in_force()
        .doc("Whether compaction runs."),
    double("log.cleaner.io.buffer.load.factor").or("0.9").cluster_wide().in_force()
        .doc("How full the key map of compaction may become."),
    int("log.cleaner.io.buffer.size").or("524288").at_least(0).cluster_wide().in_force()
        .doc("How much memory compaction uses to read and write, over all shards."),
    double("log.cleaner.io.max.bytes.per.second").or("1.7976931348623157E308").cluster_wide().in_force()
        .doc("How many bytes a second compaction may read and write, over all shards."),
    long("log.cleaner.max.compaction.lag.ms").or("9223372036854775807").at_least(1).cluster_wide().in_force()
        .doc("The default of a topic's `max.compaction.lag.ms`."),
    double("log.cleaner.min.cleanable.ratio").or("0.5").allow(Allowed::Fraction(0.0, 1.0)).cluster_wide().in_force()
        .doc("The default of a topic's `min.cleanable.dirty.ratio`."),
    long("log.cleaner.min.compaction.lag.ms").or("0").at_least(0).cluster_wide().in_force()
        .doc("The default of a topic's `min.compaction.lag.ms`."),
    int("log.cleaner.threads").or("1").at_least(0).cluster_wide()
        .doc("How many threads compact. Every shard compacts its own logs, one at a time."),
    list("log.cleanup.policy").or("delete").allow(Allowed::ListOf(CLEANUP_POLICIES)).cluster_wide().in_force()
        .doc("The default of a topic's `cleanup.policy`."),
    list("log.dir").or("/tmp/kafka-logs").non_empty().high().in_force()
        .doc("Where the log is kept, if `log.dirs` does not say so."),
    long("log.dir.failure.timeout.ms").or("30000").at_least(1).low()
        .doc("How long a broker may go on after it could not tell the controller of a failed log directory."),
    list("log.dirs").non_empty().high().in_force()
        .doc("Where the log is kept. This version takes exactly one directory."),
    long("log.flush.interval.messages").or("9223372036854775807").at_least(1).cluster_wide().high()
        .doc("The default of a topic's `flush.messages`."),
    long("log.flush.interval.ms").cluster_wide().high()
        .doc("The default of a topic's `flush.ms`."),
    int("log.flush.offset.checkpoint.interval.ms").or("60000").at_least(0).high()
        .doc("How often Kafka writes down how far a log is synced. Flumen does so whenever its journal moves on."),
    long("log.flush.scheduler.interval.ms").or("9223372036854775807").high()
        .doc("How often Kafka looks for logs that are due for a sync."),
    int("log.flush.start.offset.checkpoint.interval.ms").or("60000").at_least(0).high()
        .doc("How often Kafka writes down where its logs start. Flumen does so with every change."),
    int("log.index.interval.bytes").or("4096").at_least(0).cluster_wide().in_force()
        .doc("The default of a topic's `index.interval.bytes`."),
    int("log.index.size.max.bytes").or("10485760").at_least(4).cluster_wide().in_force()
        .doc("The default of a topic's `segment.index.bytes`."),
    long("log.initial.task.delay.ms").or("30000").at_least(0).low().internal()
        .doc("How long after the start the first background work on logs begins."),
    long("log.local.retention.bytes").or("-2").at_least(-2).cluster_wide()
        .doc("The default of a topic's `local.retention.bytes`."),
    long("log.local.retention.ms").or("-2").at_least(-2).cluster_wide()
        .doc("The default of a topic's `local.retention.ms`."),
    long("log.message.timestamp.after.max.ms").or("3600000").at_least(0).cluster_wide().in_force()
        .doc("The default of a topic's `message.timestamp.after.max.ms`."),
    long("log.message.timestamp.before.max.ms").or("9223372036854775807").at_least(0).cluster_wide().in_force()
        .doc("The default of a topic's `message.timestamp.before.max.ms`."),
    string("log.message.timestamp.type").or("CreateTime").one_of(TIMESTAMP_TYPES).cluster_wide().in_force()
        .doc("The default of a topic's `message.timestamp.type`."),
    boolean("log.preallocate").or("false").cluster_wide()
        .doc("The default of a topic's `preallocate`."),
    long("log.remote.copy.lag.bytes").or("-1").at_least(-1).cluster_wide()
        .doc("The default of a topic's `remote.copy.lag.bytes`."),
    long("log.remote.copy.lag.ms").or("0").at_least(-1).cluster_wide()
        .doc("The default of a topic's `remote.copy.lag.ms`."),
    long("log.retention.bytes").or("-1").cluster_wide().high().in_force()
        .doc("The default of a topic's `retention.bytes`."),
    long("log.retention.check.interval.ms").or("300000").at_least(1).in_force()
        .doc("How often segments are looked over for deletion."),
    int("log.retention.hours").or("168").high().in_force()
        .doc("The default of a topic's `retention.ms`, in hours; `log.retention.minutes` and `log.retention.ms` go before it."),
    int("log.retention.minutes").high().in_force()
        .doc("The default of a topic's `retention.ms`, in minutes; `log.retention.ms` goes before it."),
    long("log.retention.ms").cluster_wide().high().in_force()
        .doc("The default of a topic's `retention.ms`; unset, `log.retention.minutes` holds."),
    int("log.roll.hours").or("168").at_least(1).high().in_force()
        .doc("The default of a topic's `segment.ms`, in hours; `log.roll.ms` goes before it."),
    int("log.roll.jitter.hours").or("0").at_least(0).high().in_force()
        .doc("The default of a topic's `segment.jitter.ms`, in hours; `log.roll.jitter.ms` goes before it."),
    long("log.roll.jitter.ms").cluster_wide().high().in_force()
        .doc("The default of a topic's `segment.jitter.ms`; unset, `log.roll.jitter.hours` holds."),
    long("log.roll.ms").cluster_wide().high().in_force()
        .doc("The default of a topic's `segment.ms`; unset, `log.roll.hours` holds."),
    int("log.segment.bytes").or("1073741824").at_least(1_048_576).cluster_wide().high().in_force()
        .doc("The default of a topic's `segment.bytes`."),
    long("log.segment.delete.delay.ms").or("60000").at_least(0).cluster_wide().high().in_force()
        .doc("The default of a topic's `file.delete.delay.ms`."),
    int("max.decompressed.message.bytes").or("2147483639").between(1, LARGEST_ARRAY).cluster_wide().in_force()
        .doc("The default of a topic's `max.decompressed.message.bytes`."),
    int("message.max.bytes").or("1048588").at_least(0).cluster_wide().high().in_force()
        .doc("The default of a topic's `max.message.bytes`."),
    int("min.insync.replicas").or("1").at_least(1).cluster_wide().high().in_force()
        .doc("The default of a topic's `min.insync.replicas`."),
    int("num.partitions").or("1").at_least(1).in_force()
        .doc("How many partitions a topic gets that is created without saying so."),
    int("num.recovery.threads.per.data.dir").or("2").at_least(1).cluster_wide().high()
        .doc("How many threads recover a log directory at the start."),
    int("producer.id.expiration.check.interval.ms").or("600000").at_least(1).low().internal()
        .doc("How often idle producers are looked for."),
    int("producer.id.expiration.ms").or("86400000").at_least(1).cluster_wide().low().in_force()
        .doc("How long an idle idempotent producer is remembered."),
    boolean("unclean.leader.election.enable").or("false").cluster_wide().high()
        .doc("The default of a topic's `unclean.leader.election.enable`."),
    long("unclean.leader.election.interval.ms").or("300000").at_least(1).internal()
        .doc("How often the controller looks for partitions that need an unclean election."),
];
