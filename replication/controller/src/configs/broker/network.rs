//! Listeners, connections, requests and the memory they may use.

use crate::configs::definition::{Definition, boolean, int, list, long, string};

#[rustfmt::skip]
pub(super) static DEFINITIONS: &[Definition] = &[
    list("advertised.listeners").non_empty().high().in_force()
        .doc("Where clients are told to connect, as NAME://host:port; unset, `listeners` holds."),
    long("connections.max.idle.ms").or("600000").in_force()
        .doc("How long a connection may be idle before it is closed."),
    long("connections.max.reauth.ms").or("0")
        .doc("How long an authentication holds before it must be renewed; 0 is for ever."),
    int("delete.records.purgatory.purge.interval.requests").or("1")
        .doc("After how many finished requests the waiting DeleteRecords are swept."),
    list("early.start.listeners").high()
        .doc("Listeners that open before the broker has caught up with the metadata."),
    int("fetch.max.bytes").or("57671680").at_least(1024).in_force()
        .doc("The most bytes one fetch is answered with; a first batch that is larger is sent all the same."),
    int("fetch.purgatory.purge.interval.requests").or("1000")
        .doc("After how many finished requests the waiting fetches are swept."),
    int("kafka.metrics.polling.interval.secs").or("10").at_least(1).low()
        .doc("How often Kafka's own metrics reporters are polled."),
    list("kafka.metrics.reporters").or("").low()
        .doc("Classes that report Kafka's own metrics."),
    string("listener.security.protocol.map").or("SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT").per_broker().low().in_force()
        .doc("Which protocol each listener name speaks."),
    list("listeners").or("PLAINTEXT://:9092").non_empty().per_broker().high().in_force()
        .doc("Where the broker listens, as NAME://host:port. Without TLS and authentication only loopback addresses are taken, unless `flumen.allow.insecure` is set."),
    int("max.connection.creation.rate").or("2147483647").at_least(0).cluster_wide()
        .doc("How many connections a second are accepted."),
    int("max.connections").or("2147483647").at_least(0).cluster_wide().in_force()
        .doc("How many connections are kept open."),
    int("max.connections.per.ip").or("2147483647").at_least(0).cluster_wide()
        .doc("How many connections one address may hold."),
    string("max.connections.per.ip.overrides").or("").cluster_wide()
        .doc("Other limits for single hosts, as host:count."),
    int("max.incremental.fetch.session.cache.slots").or("1000").at_least(0).in_force()
        .doc("How many fetch sessions are kept (KIP-227)."),
    int("max.request.partition.size.limit").or("2000").at_least(1).in_force()
        .doc("The most partitions one page of DescribeTopicPartitions holds."),
    int("num.io.threads").or("8").at_least(1).cluster_wide().high()
        .doc("How many threads Kafka processes requests with. Flumen has one thread per core (`flumen.cores`)."),
    int("num.network.threads").or("3").at_least(1).cluster_wide().high()
        .doc("How many threads Kafka reads requests with. Flumen has one thread per core (`flumen.cores`)."),
    int("producer.purgatory.purge.interval.requests").or("1000")
        .doc("After how many finished requests the waiting produces are swept."),
    long("queued.max.request.bytes").or("-1")
        .doc("How many bytes of requests may wait; -1 is without limit. Flumen bounds them by `flumen.inflight.bytes`."),
    int("queued.max.requests").or("500").at_least(1).high()
        .doc("How many requests may wait before connections are no longer read."),
    int("request.timeout.ms").or("30000").high()
        .doc("How long the broker waits for an answer to its own requests."),
    string("security.providers").low()
        .doc("Java security providers."),
    long("server.max.startup.time.ms").or("9223372036854775807").at_least(0).internal()
        .doc("How long the start may take."),
    long("socket.connection.setup.timeout.max.ms").or("30000")
        .doc("The longest the broker waits for its own connections to be made."),
    long("socket.connection.setup.timeout.ms").or("10000")
        .doc("How long the broker waits at first for its own connections to be made."),
    int("socket.listen.backlog.size").or("50").at_least(1)
        .doc("How many connections may wait to be accepted."),
    int("socket.receive.buffer.bytes").or("102400").high()
        .doc("The kernel's receive buffer of a connection; -1 leaves it to the system."),
    int("socket.request.max.bytes").or("104857600").at_least(1).high().in_force()
        .doc("The largest request accepted; a connection that sends more is closed."),
    int("socket.send.buffer.bytes").or("102400").high()
        .doc("The kernel's send buffer of a connection; -1 leaves it to the system."),
    boolean("unstable.api.versions.enable").or("false").high().internal()
        .doc("Whether unfinished versions of requests are offered."),
    boolean("unstable.feature.versions.enable").or("false").high().internal()
        .doc("Whether unfinished feature levels are offered."),
];
