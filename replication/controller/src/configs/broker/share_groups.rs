//! Share groups and the coordinator of their state.

use crate::configs::definition::{Definition, boolean, int, list, short, string};

#[rustfmt::skip]
pub(super) static DEFINITIONS: &[Definition] = &[
    int("group.share.assignment.interval.ms").or("1000").at_least(0).cluster_wide()
        .doc("How often a share group's assignment is computed at most."),
    boolean("group.share.assignor.offload.enable").or("true").cluster_wide().internal()
        .doc("Whether assignments are computed away from the coordinator's thread."),
    list("group.share.assignors").or("simple").non_empty()
        .doc("The share group assignors on the broker."),
    int("group.share.delivery.count.limit").or("5").between(2, 10)
        .doc("How often a record is delivered before it is given up."),
    string("group.share.dlq.manager.class.name").or("org.apache.kafka.server.share.dlq.DefaultShareGroupDLQManager").internal()
        .doc("The class that keeps dead letter queues."),
    int("group.share.heartbeat.interval.ms").or("5000").at_least(1)
        .doc("How often members of share groups report."),
    int("group.share.initialize.retry.interval.ms").or("30000").at_least(1).low().internal()
        .doc("How long after a failure the state of a share group is initialized again."),
    int("group.share.max.assignment.interval.ms").or("15000").at_least(0)
        .doc("The largest assignment interval a share group may ask for."),
    int("group.share.max.delivery.count.limit").or("10").between(5, 25)
        .doc("The largest delivery count a share group may ask for."),
    int("group.share.max.heartbeat.interval.ms").or("15000").at_least(1)
        .doc("The largest heartbeat interval a share group may ask for."),
    int("group.share.max.partition.max.record.locks").or("4000").between(2000, 10_000)
        .doc("The most record locks per partition a share group may ask for."),
    int("group.share.max.record.lock.duration.ms").or("60000").between(30_000, 3_600_000)
        .doc("The longest record lock a share group may ask for."),
    int("group.share.max.session.timeout.ms").or("60000").at_least(1)
        .doc("The largest session timeout a share group may ask for."),
    int("group.share.max.share.sessions").or("2000").at_least(1)
        .doc("How many share sessions a broker keeps."),
    int("group.share.max.size").or("200").between(1, 1000)
        .doc("How many members a share group may have."),
    int("group.share.min.assignment.interval.ms").or("0").at_least(0)
        .doc("The smallest assignment interval a share group may ask for."),
    int("group.share.min.delivery.count.limit").or("2").between(2, 5)
        .doc("The smallest delivery count a share group may ask for."),
    int("group.share.min.heartbeat.interval.ms").or("5000").at_least(1)
        .doc("The smallest heartbeat interval a share group may ask for."),
    int("group.share.min.partition.max.record.locks").or("100").between(100, 2000)
        .doc("The fewest record locks per partition a share group may ask for."),
    int("group.share.min.record.lock.duration.ms").or("15000").between(1000, 30_000)
        .doc("The shortest record lock a share group may ask for."),
    int("group.share.min.session.timeout.ms").or("45000").at_least(1)
        .doc("The smallest session timeout a share group may ask for."),
    int("group.share.partition.max.record.locks").or("2000").between(100, 10_000)
        .doc("How many records of a partition may be locked at a time."),
    string("group.share.persister.class.name").or("org.apache.kafka.server.share.persister.DefaultStatePersister").internal()
        .doc("The class that keeps the state of share groups."),
    int("group.share.record.lock.duration.ms").or("30000").between(1000, 3_600_000)
        .doc("How long a record is locked for the member that acquired it."),
    int("group.share.session.timeout.ms").or("45000").at_least(1)
        .doc("How long a silent member of a share group is kept."),
    int("share.coordinator.append.linger.ms").or("-1").at_least(-1)
        .doc("How long the share coordinator gathers records before it appends them; -1 adapts to the load."),
    int("share.coordinator.cached.buffer.max.bytes").or("1048588").at_least(524_288).cluster_wide()
        .doc("The largest append buffer the share coordinator keeps."),
    int("share.coordinator.cold.partition.snapshot.interval.ms").or("300000").at_least(1).low().internal()
        .doc("How often the state of idle share partitions is written anew."),
    int("share.coordinator.load.buffer.size").or("5242880").at_least(1).high()
        .doc("How much is read at a time when the share coordinator loads its state."),
    int("share.coordinator.snapshot.update.records.per.snapshot").or("500").between(0, 500)
        .doc("How many updates are written between two full states."),
    int("share.coordinator.state.topic.compression.codec").or("0").high()
        .doc("The codec of the share state topic, by number; 0 is none."),
    short("share.coordinator.state.topic.min.isr").or("2").at_least(1).high()
        .doc("The `min.insync.replicas` the share state topic is made with."),
    int("share.coordinator.state.topic.num.partitions").or("50").at_least(1).high()
        .doc("How many partitions the share state topic is made with."),
    int("share.coordinator.state.topic.prune.interval.ms").or("300000").at_least(1).low().internal()
        .doc("How often the share state topic is cut where it is no longer needed."),
    short("share.coordinator.state.topic.replication.factor").or("3").at_least(1).high()
        .doc("How many replicas the share state topic is made with."),
    int("share.coordinator.state.topic.segment.bytes").or("104857600").at_least(1).high()
        .doc("The segment size the share state topic is made with."),
    int("share.coordinator.threads").or("1").at_least(1)
        .doc("How many threads coordinate share state."),
    int("share.coordinator.write.timeout.ms").or("5000").at_least(1).high()
        .doc("How long the share coordinator waits for its records to be replicated."),
    int("share.fetch.purgatory.purge.interval.requests").or("1000")
        .doc("After how many finished requests the waiting share fetches are swept."),
];
