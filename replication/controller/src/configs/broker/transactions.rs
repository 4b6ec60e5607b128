//! Transactions and their coordinator.

use crate::configs::definition::{Definition, boolean, int, short};

#[rustfmt::skip]
pub(super) static DEFINITIONS: &[Definition] = &[
    int("add.partitions.to.txn.retry.backoff.max.ms").or("100").at_least(0).high()
        .doc("The longest the broker waits before it asks again to add partitions to a transaction."),
    int("add.partitions.to.txn.retry.backoff.ms").or("20").at_least(1).high()
        .doc("How long the broker waits at first before it asks again to add partitions to a transaction."),
    int("transaction.abort.timed.out.transaction.cleanup.interval.ms").or("10000").at_least(1).low()
        .doc("How often transactions that ran out of time are aborted."),
    int("transaction.max.timeout.ms").or("900000").at_least(1).high().in_force()
        .doc("The longest timeout a transactional producer may ask for."),
    boolean("transaction.partition.verification.enable").or("true").cluster_wide().low()
        .doc("Whether a transactional batch is accepted only in a transaction known to the coordinator."),
    int("transaction.remove.expired.transaction.cleanup.interval.ms").or("3600000").at_least(1).low()
        .doc("How often expired transactional ids are removed."),
    int("transaction.state.log.load.buffer.size").or("5242880").at_least(1).high()
        .doc("How much is read at a time when a coordinator loads its transactions."),
    int("transaction.state.log.min.isr").or("2").at_least(1).high()
        .doc("The `min.insync.replicas` the transaction topic is made with."),
    int("transaction.state.log.num.partitions").or("50").at_least(1).high()
        .doc("How many partitions the transaction topic is made with."),
    short("transaction.state.log.replication.factor").or("3").at_least(1).high()
        .doc("How many replicas the transaction topic is made with."),
    int("transaction.state.log.segment.bytes").or("104857600").at_least(1).high()
        .doc("The segment size the transaction topic is made with."),
    boolean("transaction.two.phase.commit.enable").or("false").low()
        .doc("Whether producers may take part in two-phase commits."),
    int("transactional.id.expiration.ms").or("604800000").at_least(1).high()
        .doc("How long an idle transactional id is remembered."),
];
