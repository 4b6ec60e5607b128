//! Quotas, metrics, telemetry and policies.

use crate::configs::definition::{Definition, class, int, list, long, string};

#[rustfmt::skip]
pub(super) static DEFINITIONS: &[Definition] = &[
    class("alter.config.policy.class.name").low()
        .doc("The class that may veto changes of configuration."),
    int("alter.log.dirs.replication.quota.window.num").or("11").at_least(1).low()
        .doc("How many samples the quota of moves between log directories keeps."),
    int("alter.log.dirs.replication.quota.window.size.seconds").or("1").at_least(1).low()
        .doc("How long one of those samples is."),
    class("client.quota.callback.class").low()
        .doc("The class that decides clients' quotas."),
    list("config.providers").or("").cluster_wide().low()
        .doc("Classes that resolve references in the configuration."),
    int("controller.quota.window.num").or("11").at_least(1).low()
        .doc("How many samples the quota of changes to metadata keeps."),
    int("controller.quota.window.size.seconds").or("1").at_least(1).low()
        .doc("How long one of those samples is."),
    class("create.topic.policy.class.name").low()
        .doc("The class that may veto new topics."),
    long("follower.replication.throttled.rate").or("9223372036854775807").at_least(0).cluster_wide().internal()
        .doc("How many bytes a second throttled replicas fetch as followers."),
    long("leader.replication.throttled.rate").or("9223372036854775807").at_least(0).cluster_wide().internal()
        .doc("How many bytes a second throttled replicas serve as leaders."),
    list("metric.reporters").or("org.apache.kafka.common.metrics.JmxReporter").cluster_wide().low()
        .doc("Classes that report metrics."),
    int("metrics.num.samples").or("2").at_least(1).low()
        .doc("How many samples a metric keeps."),
    string("metrics.recording.level").or("INFO").low()
        .doc("How much is recorded."),
    long("metrics.sample.window.ms").or("30000").at_least(1).low()
        .doc("How long one sample of a metric is."),
    int("quota.window.num").or("11").at_least(1).low()
        .doc("How many samples a client quota keeps."),
    int("quota.window.size.seconds").or("1").at_least(1).low()
        .doc("How long one of those samples is."),
    long("replica.alter.log.dirs.io.max.bytes.per.second").or("9223372036854775807").at_least(0).cluster_wide().internal()
        .doc("How many bytes a second are moved between log directories."),
    int("replication.quota.window.num").or("11").at_least(1).low()
        .doc("How many samples the replication quota keeps."),
    int("replication.quota.window.size.seconds").or("1").at_least(1).low()
        .doc("How long one of those samples is."),
    int("telemetry.max.bytes").or("1048576").at_least(1).low()
        .doc("The largest batch of metrics a client may push."),
];
