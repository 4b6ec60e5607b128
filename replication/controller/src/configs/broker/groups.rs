//! Consumer groups, their offsets, and streams groups.

use crate::configs::definition::{Allowed, Definition, boolean, class, int, list, long, short, string};

#[rustfmt::skip]
pub(super) static DEFINITIONS: &[Definition] = &[
    int("group.consumer.assignment.interval.ms").or("1000").at_least(0).cluster_wide()
        .doc("How often a consumer group's assignment is computed at most."),
    boolean("group.consumer.assignor.offload.enable").or("true").cluster_wide().internal()
        .doc("Whether assignments are computed away from the coordinator's thread."),
    list("group.consumer.assignors").or("uniform,range").non_empty()
        .doc("The assignors on the broker, the first one the default."),
    int("group.consumer.heartbeat.interval.ms").or("5000").at_least(1)
        .doc("How often members of consumer groups report."),
    int("group.consumer.max.assignment.interval.ms").or("15000").at_least(0)
        .doc("The largest assignment interval a group may ask for."),
    int("group.consumer.max.heartbeat.interval.ms").or("15000").at_least(1)
        .doc("The largest heartbeat interval a group may ask for."),
    int("group.consumer.max.session.timeout.ms").or("60000").at_least(1)
        .doc("The largest session timeout a group may ask for."),
    int("group.consumer.max.size").or("2147483647").at_least(1)
        .doc("How many members a consumer group may have."),
    string("group.consumer.migration.policy").or("bidirectional").allow(Allowed::OneOfAnyCase(&["DISABLED", "DOWNGRADE", "UPGRADE", "BIDIRECTIONAL"]))
        .doc("Whether groups may change between the classic and the consumer protocol."),
    int("group.consumer.min.assignment.interval.ms").or("0").at_least(0)
        .doc("The smallest assignment interval a group may ask for."),
    int("group.consumer.min.heartbeat.interval.ms").or("5000").at_least(1)
        .doc("The smallest heartbeat interval a group may ask for."),
    int("group.consumer.min.session.timeout.ms").or("45000").at_least(1)
        .doc("The smallest session timeout a group may ask for."),
    int("group.consumer.regex.refresh.interval.ms").or("600000").at_least(10_000).internal()
        .doc("How often subscriptions by pattern are resolved again."),
    int("group.consumer.session.timeout.ms").or("45000").at_least(1)
        .doc("How long a silent member of a consumer group is kept."),
    int("group.coordinator.append.linger.ms").or("-1").at_least(-1)
        .doc("How long the coordinator gathers records before it appends them; -1 adapts to the load."),
    int("group.coordinator.background.threads").or("2").at_least(1).high()
        .doc("How many threads do a coordinator's background work."),
    int("group.coordinator.cached.buffer.max.bytes").or("1048588").at_least(524_288).cluster_wide()
        .doc("The largest append buffer a coordinator keeps."),
    list("group.coordinator.rebalance.protocols").or("classic,consumer,streams").allow(Allowed::NonEmptyListOf(&["consumer", "classic", "share", "streams"]))
        .doc("The group protocols that are offered."),
    int("group.coordinator.threads").or("4").at_least(1).high()
        .doc("How many threads coordinate groups. In Flumen the core that owns the partition does."),
    int("group.initial.rebalance.delay.ms").or("3000")
        .doc("How long an empty classic group waits for more members before it first balances."),
    int("group.max.session.timeout.ms").or("1800000")
        .doc("The largest session timeout a classic member may ask for."),
    int("group.max.size").or("2147483647").at_least(1)
        .doc("How many members a classic group may have."),
    int("group.min.session.timeout.ms").or("6000")
        .doc("The smallest session timeout a classic member may ask for."),
    long("group.streams.acceptable.recovery.lag").or("10000").at_least(0).internal()
        .doc("How far behind a task's copy may be and still count as caught up."),
    int("group.streams.assignment.interval.ms").or("1000").at_least(0).cluster_wide()
        .doc("How often a streams group's assignment is computed at most."),
    boolean("group.streams.assignor.offload.enable").or("true").cluster_wide().internal()
        .doc("Whether assignments are computed away from the coordinator's thread."),
    list("group.streams.assignors").or("sticky").non_empty()
        .doc("The streams assignors on the broker, the first one the default."),
    int("group.streams.heartbeat.interval.ms").or("5000").at_least(1)
        .doc("How often members of streams groups report."),
    int("group.streams.initial.rebalance.delay.ms").or("3000").at_least(0)
        .doc("How long a new streams group waits for more members before it first balances."),
    int("group.streams.max.assignment.interval.ms").or("15000").at_least(0)
        .doc("The largest assignment interval a streams group may ask for."),
    int("group.streams.max.heartbeat.interval.ms").or("15000").at_least(1)
        .doc("The largest heartbeat interval a streams group may ask for."),
    int("group.streams.max.session.timeout.ms").or("60000").at_least(1)
        .doc("The largest session timeout a streams group may ask for."),
    int("group.streams.max.size").or("2147483647").at_least(1)
        .doc("How many members a streams group may have."),
    int("group.streams.max.standby.replicas").or("2").at_least(0)
        .doc("The most standby copies a streams group may ask for."),
    int("group.streams.max.warmup.replicas").or("20").at_least(0).internal()
        .doc("The most warm-up copies a streams group may ask for."),
    int("group.streams.min.assignment.interval.ms").or("0").at_least(0)
        .doc("The smallest assignment interval a streams group may ask for."),
    int("group.streams.min.heartbeat.interval.ms").or("5000").at_least(1)
        .doc("The smallest heartbeat interval a streams group may ask for."),
    int("group.streams.min.session.timeout.ms").or("45000").at_least(1)
        .doc("The smallest session timeout a streams group may ask for."),
    int("group.streams.min.task.offset.interval.ms").or("15000").at_least(1).internal()
        .doc("The smallest interval of task offsets a streams group may ask for."),
    int("group.streams.num.standby.replicas").or("0").at_least(0)
        .doc("How many standby copies of each task there are."),
    int("group.streams.num.warmup.replicas").or("2").at_least(0).internal()
        .doc("How many copies may warm up at a time."),
    list("group.streams.rack.aware.assignment.tags").or("").low()
        .doc("The client tags by which copies are spread."),
    int("group.streams.session.timeout.ms").or("45000").at_least(1)
        .doc("How long a silent member of a streams group is kept."),
    int("group.streams.task.offset.interval.ms").or("60000").at_least(1).internal()
        .doc("How often members report their tasks' offsets."),
    class("group.streams.topology.description.plugin.class")
        .doc("The class that keeps descriptions of topologies."),
    int("offset.metadata.max.bytes").or("4096").high().in_force()
        .doc("The longest text that may be kept beside a committed offset."),
    int("offsets.commit.timeout.ms").or("5000").at_least(1).high().in_force()
        .doc("How long a commit of offsets may wait to be replicated."),
    int("offsets.load.buffer.size").or("5242880").at_least(1).high()
        .doc("How much is read at a time when a coordinator loads its offsets."),
    long("offsets.retention.check.interval.ms").or("600000").at_least(1).high().in_force()
        .doc("How often expired offsets are looked for."),
    int("offsets.retention.minutes").or("10080").at_least(1).high().in_force()
        .doc("How long the offsets of a group are kept once it is empty, or once committed where there is no group."),
    int("offsets.topic.compression.codec").or("0").high()
        .doc("The codec of the topic of committed offsets, by number; 0 is none."),
    int("offsets.topic.num.partitions").or("50").at_least(1).high().in_force()
        .doc("How many partitions the topic of committed offsets is made with."),
    short("offsets.topic.replication.factor").or("3").at_least(1).high().in_force()
        .doc("How many replicas the topic of committed offsets is made with; no more than there are brokers."),
    int("offsets.topic.segment.bytes").or("104857600").at_least(1).high().in_force()
        .doc("The segment size the topic of committed offsets is made with."),
];
