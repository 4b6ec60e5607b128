//! Tiered storage, which this broker does not have.

use crate::configs::definition::{Allowed, Definition, boolean, double, int, long, string};

#[rustfmt::skip]
pub(super) static DEFINITIONS: &[Definition] = &[
    boolean("follower.fetch.last.tiered.offset.enable").or("false").cluster_wide()
        .doc("Whether a new follower begins at the last tiered offset."),
    int("remote.fetch.max.wait.ms").or("500").at_least(1).cluster_wide()
        .doc("How long a fetch waits for tiered data."),
    long("remote.list.offsets.request.timeout.ms").or("30000").at_least(1).cluster_wide()
        .doc("How long a look-up of a tiered offset may take."),
    long("remote.log.index.file.cache.total.size.bytes").or("1073741824").at_least(1).cluster_wide().low()
        .doc("How much disk the cache of tiered indexes may use."),
    long("remote.log.index.file.cache.ttl.ms").or("900000").at_least(-1).low().internal()
        .doc("How long a tiered index stays in the cache; -1 is without limit."),
    int("remote.log.manager.copier.thread.pool.size").or("10").at_least(1).cluster_wide()
        .doc("How many threads copy segments out."),
    long("remote.log.manager.copy.max.bytes.per.second").or("9223372036854775807").at_least(1).cluster_wide()
        .doc("How many bytes a second are copied out."),
    int("remote.log.manager.copy.quota.window.num").or("11").at_least(1)
        .doc("How many samples the copy quota keeps."),
    int("remote.log.manager.copy.quota.window.size.seconds").or("1").at_least(1)
        .doc("How long one of those samples is."),
    int("remote.log.manager.expiration.thread.pool.size").or("10").at_least(1).cluster_wide()
        .doc("How many threads delete expired tiered segments."),
    long("remote.log.manager.fetch.max.bytes.per.second").or("9223372036854775807").at_least(1).cluster_wide()
        .doc("How many bytes a second are fetched back."),
    int("remote.log.manager.fetch.quota.window.num").or("11").at_least(1)
        .doc("How many samples the fetch quota keeps."),
    int("remote.log.manager.fetch.quota.window.size.seconds").or("1").at_least(1)
        .doc("How long one of those samples is."),
    int("remote.log.manager.follower.thread.pool.size").or("2").at_least(1).cluster_wide()
        .doc("How many threads work for followers."),
    long("remote.log.manager.task.interval.ms").or("30000").at_least(1).low()
        .doc("How often tiered work is scheduled."),
    long("remote.log.manager.task.retry.backoff.max.ms").or("30000").at_least(1).low().internal()
        .doc("The longest wait before failed tiered work is repeated."),
    long("remote.log.manager.task.retry.backoff.ms").or("500").at_least(1).low().internal()
        .doc("The first wait before failed tiered work is repeated."),
    double("remote.log.manager.task.retry.jitter").or("0.2").allow(Allowed::Fraction(0.0, 0.5)).low().internal()
        .doc("How much chance is added to that wait."),
    int("remote.log.manager.thread.pool.size").or("2").at_least(1)
        .doc("How many threads do tiered work."),
    int("remote.log.metadata.custom.metadata.max.bytes").or("128").at_least(0).low()
        .doc("The largest own metadata of a storage plugin."),
    string("remote.log.metadata.manager.class.name").or("org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager").non_empty()
        .doc("The class that keeps the metadata of tiered segments."),
    string("remote.log.metadata.manager.class.path")
        .doc("Where that class is."),
    string("remote.log.metadata.manager.impl.prefix").or("rlmm.config.").non_empty()
        .doc("What the names of that class's settings begin with."),
    string("remote.log.metadata.manager.listener.name").non_empty()
        .doc("The listener that class connects to."),
    int("remote.log.reader.max.pending.tasks").or("100").at_least(1)
        .doc("How many reads of tiered data may wait."),
    int("remote.log.reader.threads").or("10").at_least(1).cluster_wide()
        .doc("How many threads read tiered data."),
    string("remote.log.storage.manager.class.name").non_empty()
        .doc("The class that stores tiered segments."),
    string("remote.log.storage.manager.class.path")
        .doc("Where that class is."),
    string("remote.log.storage.manager.impl.prefix").or("rsm.config.").non_empty()
        .doc("What the names of that class's settings begin with."),
    boolean("remote.log.storage.system.enable").or("false")
        .doc("Whether topics may use tiered storage. Only false is accepted."),
];
