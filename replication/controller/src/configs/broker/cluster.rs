//! Who the broker is, the controller's quorum, its metadata, and replication between brokers.

use crate::configs::definition::{Allowed, Definition, boolean, int, list, long, string};

#[rustfmt::skip]
pub(super) static DEFINITIONS: &[Definition] = &[
    boolean("auto.leader.rebalance.enable").or("true").high()
        .doc("Whether leadership goes back to the preferred replicas by itself."),
    int("broker.heartbeat.interval.ms").or("2000")
        .doc("How often a broker reports to the controller."),
    int("broker.id").or("-1").high().in_force()
        .doc("The older name of `node.id`."),
    string("broker.rack").in_force()
        .doc("The rack the broker stands in; clients are told."),
    int("broker.session.timeout.ms").or("9000")
        .doc("How long a silent broker is kept."),
    boolean("controlled.shutdown.enable").or("true")
        .doc("Whether a stopping broker hands over its leaderships first."),
    list("controller.listener.names").non_empty().high()
        .doc("The names of the listeners the controller uses."),
    long("controller.performance.always.log.threshold.ms").or("2000").at_least(0).internal()
        .doc("Controller work that takes longer than this is always logged."),
    long("controller.performance.sample.period.ms").or("60000").at_least(100).internal()
        .doc("How often the controller's performance is sampled."),
    int("controller.quorum.append.linger.ms").or("25").at_least(0)
        .doc("How long the quorum's leader gathers records before it writes them."),
    boolean("controller.quorum.auto.join.enable").or("false").low()
        .doc("Whether a controller joins the quorum by itself."),
    list("controller.quorum.bootstrap.servers").or("").allow(Allowed::HostPorts).high()
        .doc("Where to find the quorum."),
    int("controller.quorum.election.backoff.max.ms").or("1000").at_least(0).high()
        .doc("The longest wait after an election without result."),
    int("controller.quorum.election.timeout.ms").or("1000").at_least(0).high()
        .doc("How long a voter waits for an election before it begins another."),
    int("controller.quorum.fetch.max.bytes").or("1048576").at_least(1).low()
        .doc("The most bytes a quorum fetch asks for."),
    int("controller.quorum.fetch.snapshot.max.bytes").or("1048576").at_least(1).low()
        .doc("The most bytes a quorum snapshot fetch asks for."),
    int("controller.quorum.fetch.timeout.ms").or("2000").at_least(0).high()
        .doc("How long a voter goes without its leader before it stands for election."),
    int("controller.quorum.request.timeout.ms").or("2000").at_least(0)
        .doc("How long a quorum request waits for its answer."),
    int("controller.quorum.retry.backoff.ms").or("20").at_least(0).low()
        .doc("How long to wait before a quorum request is repeated."),
    list("controller.quorum.voters").or("").allow(Allowed::QuorumVoters).high()
        .doc("The voters, as id@host:port."),
    int("controller.socket.timeout.ms").or("30000")
        .doc("How long the controller waits on its own connections."),
    int("initial.broker.registration.timeout.ms").or("60000")
        .doc("How long the first registration may take before the broker gives up."),
    string("inter.broker.listener.name")
        .doc("The listener other brokers connect to."),
    long("internal.metadata.delete.delay.millis").or("60000").low().internal()
        .doc("How long removed metadata files stay."),
    int("internal.metadata.log.segment.bytes").low().internal()
        .doc("A metadata segment size for Kafka's own tests."),
    int("internal.metadata.max.batch.size.in.bytes").or("8388608").low().internal()
        .doc("The largest batch of the metadata log."),
    long("leader.imbalance.check.interval.seconds").or("300").at_least(1).high()
        .doc("How often leadership is compared with the preferred replicas."),
    string("metadata.log.dir").high().in_force()
        .doc("Where the metadata log is kept; unset, in the first log directory."),
    long("metadata.log.max.record.bytes.between.snapshots").or("20971520").at_least(1).high()
        .doc("After how many bytes of metadata records a snapshot is made."),
    long("metadata.log.max.snapshot.interval.ms").or("3600000").at_least(0).high()
        .doc("The longest time between two snapshots of the metadata."),
    int("metadata.log.segment.bytes").or("1073741824").at_least(8_388_608).high()
        .doc("The segment size of the metadata log."),
    long("metadata.log.segment.ms").or("604800000").high()
        .doc("The age at which a metadata segment is sealed."),
    int("metadata.max.idle.interval.ms").or("500").at_least(0).low()
        .doc("How often an idle controller writes a record of no effect."),
    long("metadata.max.retention.bytes").or("104857600").high()
        .doc("How large the metadata log may grow before old parts go."),
    long("metadata.max.retention.ms").or("604800000").high()
        .doc("How old metadata files may grow before they go."),
    int("node.id").at_least(0).high().in_force()
        .doc("The number of this node in its cluster."),
    int("num.replica.alter.log.dirs.threads").high()
        .doc("How many threads move replicas between log directories."),
    int("num.replica.fetchers").or("1").at_least(1).cluster_wide().high()
        .doc("How many threads fetch from each leader."),
    list("process.roles").allow(Allowed::NonEmptyListOf(&["broker", "controller"])).high()
        .doc("What the process is: broker, controller or both."),
    int("replica.fetch.backoff.ms").or("1000").at_least(0)
        .doc("How long a follower rests after a failed fetch."),
    int("replica.fetch.max.bytes").or("1048576").at_least(0)
        .doc("How many bytes of a partition a follower fetches at a time."),
    int("replica.fetch.min.bytes").or("1").high()
        .doc("How many bytes a follower waits for."),
    int("replica.fetch.response.max.bytes").or("10485760").at_least(0)
        .doc("How many bytes a follower's fetch may bring in all."),
    int("replica.fetch.wait.max.ms").or("500").high()
        .doc("How long a follower's fetch may wait."),
    long("replica.high.watermark.checkpoint.interval.ms").or("5000").high()
        .doc("How often the high watermarks are written down."),
    long("replica.lag.time.max.ms").or("30000").high()
        .doc("How long a follower may lag before it leaves the in-sync set."),
    string("replica.selector.class")
        .doc("The class that picks the replica a consumer reads from."),
    int("replica.socket.receive.buffer.bytes").or("65536").high()
        .doc("The kernel's receive buffer of a follower's connection."),
    int("replica.socket.timeout.ms").or("30000").high()
        .doc("How long a follower's request waits for its answer."),
    string("security.inter.broker.protocol").or("PLAINTEXT").one_of(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"])
        .doc("The protocol between brokers."),
];
